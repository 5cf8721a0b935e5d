"""davfs2's files as text: what davfs2 reads back is what was meant."""

from __future__ import annotations

import pytest

from ansible_collections.kraf.edge.plugins.module_utils.core.errors import KrafError
from ansible_collections.kraf.edge.plugins.module_utils.on_device import davfs, mounts, units

MOUNT = davfs.Mount("photos", "/srv/kraf/photos", 18400, "kraf")
PASSWORDS = [
    "plain",
    "ha#sh",
    "#first",
    " leading",
    "trailing ",
    "two words",
    "tab\tinside",
    'quo"te',
    "back\\slash",
    "single'quote",
    "co:lon",
    "per%cent",
    "umläut",
    "한글",
    "$$dollar",
    '\\"#',
]


@pytest.mark.parametrize("password", PASSWORDS)
def test_dav_01_password_is_read_back_as_it_is(password: str) -> None:
    line = davfs.secret_line(MOUNT, password)
    assert line.split(" ", 1)[1].startswith('"kraf" "')
    assert davfs.parse_secret(line) == [MOUNT.path, "kraf", password]


def test_dav_01_raw_form_would_have_been_cut() -> None:
    assert davfs.parse_secret("/mnt kraf ha#sh") == ["/mnt", "kraf", "ha"]


@pytest.mark.parametrize(("length", "taken"), [(254, True), (255, False), (256, False), (300, False)])
def test_dav_03_password_longer_than_254_bytes_is_refused(length: int, taken: bool) -> None:
    if taken:
        assert davfs.secret_line(MOUNT, "a" * length)
        return
    with pytest.raises(KrafError, match=f"{length} bytes"):
        davfs.secret_line(MOUNT, "a" * length)


@pytest.mark.parametrize("password", ["", "new\nline", "nul\0", "carriage\r"])
def test_dav_02_password_that_cannot_be_sent_is_refused(password: str) -> None:
    with pytest.raises(KrafError) as refused:
        davfs.secret_line(MOUNT, password)
    assert not password or password not in str(refused.value)


def test_dav_02_byte_order_mark_is_taken_away() -> None:
    merged = davfs.merge_secrets("\ufeff/a u p\n", "/b", "/b u q")
    assert merged == "/a u p\n/b u q\n"


def test_secrets_of_others_stay_as_they_are() -> None:
    before = "# mine\n/a \"u\" 'p'\n" + davfs.secret_line(MOUNT, "old") + "\n"
    after = davfs.merge_secrets(before, MOUNT.path, davfs.secret_line(MOUNT, "new"))
    assert after.startswith("# mine\n/a \"u\" 'p'\n")
    assert "old" not in after
    assert davfs.merge_secrets(after, MOUNT.path, "") == "# mine\n/a \"u\" 'p'\n"


def test_dav_08_buffer_is_large_enough_for_new_kernels() -> None:
    assert "\nbuf_size 1024\n" in davfs.section(MOUNT)


def test_dav_07_nothing_asks_for_a_password() -> None:
    assert "\nask_auth 0\n" in davfs.section(MOUNT)


def test_dav_06_cache_is_on_durable_storage_and_limited() -> None:
    text = davfs.section(MOUNT)
    assert "\ncache_dir /var/lib/kraf/davfs2/photos\n" in text
    assert "\ncache_size 256\n" in text


def test_configuration_of_others_stays_and_the_section_is_replaced() -> None:
    once = davfs.merge_config("use_proxy 0", "photos", davfs.section(MOUNT))
    assert once.startswith("use_proxy 0\n# BEGIN kraf.edge photos\n[/srv/kraf/photos]\n")
    assert davfs.merge_config(once, "photos", davfs.section(MOUNT)) == once
    assert davfs.merge_config(once, "photos", "") == "use_proxy 0\n"


@pytest.mark.parametrize(("said", "bad"), [("davfs2 1.6.1  <x>", False), ("davfs2 1.7.1", True), ("", False)])
def test_dav_15_known_bad_versions_are_named(said: str, bad: bool) -> None:
    assert bool(davfs.bad_version(said)) is bad


@pytest.mark.parametrize("path", ["relative", "/with space", "/a/../b", "/slash/", "/new\nline", "/"])
def test_mount_point_that_needs_escaping_is_refused(path: str) -> None:
    with pytest.raises(KrafError, match="mount point"):
        davfs.validate(davfs.Mount("photos", path, 1, "u"))


def test_dav_12_unmount_gets_time_to_send() -> None:
    text = davfs.units(MOUNT, "srv-kraf-photos")["srv-kraf-photos.mount"]
    assert "TimeoutSec=300" in text
    assert "Wants=kraf-forward.service" in text, "Requires would unmount when haproxy restarts"


@pytest.mark.parametrize(
    ("line", "found"),
    [
        ("http://127.0.0.1:18400/ /srv/kraf/photos fuse rw,nosuid 0 0\n", True),
        ("systemd-1 /srv/kraf/photos autofs rw 0 0\n", False),
        ("http://127.0.0.1/ /srv/kraf/photos2 fuse rw 0 0\n", False),
    ],
)
def test_dav_07_mounted_is_what_the_kernel_says(line: str, found: bool) -> None:
    assert mounts.mounted("/srv/kraf/photos", line) is found


def test_unit_names_are_escaped_as_systemd_does() -> None:
    assert units.escape_path("/srv/kraf/photos", ".mount") == "srv-kraf-photos.mount"
    assert units.escape_path("/srv/a-b/.c", ".mount") == "srv-a\\x2db-.c.mount"
    assert units.escape_path("/", ".mount") == "-.mount"
