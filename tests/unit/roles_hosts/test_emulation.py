"""Which architectures a host emulates, as its kernel tells it."""

from __future__ import annotations

import pytest

from ansible_collections.kraf.edge.plugins.module_utils.hosts import emulation

ARM64 = "7f454c460201010000000000000000000200b700"
ARM = "7f454c4601010100000000000000000002002800"
BIG = "7f454c460202010000000000000000000002" + "00b7"


def entry(magic=ARM64, state="enabled", flags="POCF", offset="0"):
    return f"{state}\ninterpreter /usr/libexec/qemu\nflags: {flags}\noffset {offset}\nmagic {magic}\nmask {'f' * 40}\n"


def emulated(root, **entries):
    files = {f"{emulation.FOLDER}/{name}": text for name, text in {"status": "enabled\n", **entries}.items()}
    return emulation.emulated(root(files))


def test_img_01_architectures_are_known_by_the_programs_header_and_not_by_a_name(root):
    assert emulated(root, anything=entry(), other=entry(ARM)) == ["arm", "arm64"]


@pytest.mark.parametrize(
    "text",
    [
        entry(flags="POC"),
        entry(state="disabled"),
        entry(BIG),
        entry(offset="4"),
        entry("7f454c46"),
        entry("not hex"),
        "enabled\ninterpreter /usr/bin/python3\nflags: F\nextension .pyc\n",
        "",
    ],
)
def test_img_01_what_does_not_reach_into_containers_is_no_emulation(root, text):
    assert emulated(root, one=text) == []


def test_img_01_a_host_without_it_emulates_nothing(root):
    assert emulation.emulated(root({})) == []
    assert emulated(root, status="disabled\n", one=entry()) == []
