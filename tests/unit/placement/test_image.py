# Copyright (c) 2026, kraf.edge contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Which image the app runs from at the edge."""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import Any

import pytest

from ansible_collections.kraf.edge.plugins.module_utils.catalog.records import App
from ansible_collections.kraf.edge.plugins.module_utils.core.errors import KrafError
from ansible_collections.kraf.edge.plugins.module_utils.placement import image
from ansible_collections.kraf.edge.plugins.module_utils.placement.image import Target

from .containers import APP, container

OWN = "10.0.0.10:5000"
FACES = "registry.example/faces"
DIGEST = f"{FACES}@sha256:" + "2" * 64
ARM64 = f"{OWN}/pi1/faces@sha256:" + "3" * 64
BOTH = ("amd64", "arm64")


def declared(emulation: bool = False, **images: str) -> App:
    return dataclasses.replace(APP, images=images, emulation=emulation)


def target(*architectures: str, emulated: tuple[str, ...] = ()) -> Target:
    return Target(architectures, emulated, OWN)


def offer(*architectures: str, digest: str = "4", **more: Any) -> dict[str, Any]:
    return {"digest": f"sha256:{digest * 64}", "architectures": architectures, "absent": False, "why": "", **more}


def test_what_runs_is_taken_by_its_digest_where_its_registry_is_named() -> None:
    found = image.choose(declared(amd64=f"{FACES}:1"), container(), target("amd64"))
    assert (found.reference, found.own, found.architectures) == (DIGEST, False, ("amd64",))


def test_what_runs_is_pushed_when_no_registry_is_named() -> None:
    found = image.choose(APP, container(), target("amd64"))
    assert (found.reference, found.own, found.others) == ("", True, {})


def test_what_runs_wins_over_another_image_that_is_named() -> None:
    assert image.choose(declared(amd64="registry.example/newer:2"), container(), target("amd64")).own


def test_img_01_an_image_of_another_architecture_is_never_sent_to_the_nodes() -> None:
    app = declared(amd64=f"{FACES}:1", arm64=f"{FACES}:1-arm")
    found = image.choose(app, container(architecture="arm64"), target("amd64"))
    assert (found.architectures, found.reference) == (("amd64",), f"{FACES}:1")


def test_img_01_no_image_for_the_nodes_is_refused_with_what_there_is_and_every_way_out() -> None:
    with pytest.raises(KrafError) as caught:
        image.choose(declared(arm=f"{FACES}:1-v7"), container(architecture="arm64"), target("amd64"))
    text = str(caught.value)
    assert "nodes are amd64, the app has images for arm, arm64" in text
    for way in ("Name one", "playbook image_build", "emulation: true", "qemu-user-static"):
        assert way in text


def test_img_01_a_cluster_of_two_architectures_runs_what_the_device_runs() -> None:
    found = image.choose(APP, container(architecture="arm64"), target(*BOTH))
    assert (found.architectures, found.own) == (("arm64",), True)


# -- what registries really serve -------------------------------------------------------------------------------------


def test_only_images_that_the_edge_could_run_are_asked_for() -> None:
    app = declared(amd64=f"{FACES}:1", arm64=f"{FACES}:1-arm", arm=f"{OWN}/pi1/faces:v7")
    assert image.to_ask(app, container(architecture="arm64"), target("amd64")) == [f"{OWN}/pi1/faces:v7", f"{FACES}:1"]
    assert image.to_ask(APP, container(), target("amd64")) == []
    # What runs on the device needs no question: its engine has it.
    assert image.to_ask(declared(amd64=f"{FACES}:1"), container(), target("amd64")) == []


def test_img_01_a_named_image_that_is_of_another_architecture_is_refused_by_its_name() -> None:
    app = declared(amd64=f"{FACES}:1")
    with pytest.raises(KrafError, match=r"amd64 \(but registry.example/faces:1 is for arm64\)"):
        image.choose(app, container(architecture="arm64"), target("amd64"), {f"{FACES}:1": offer("arm64")})


def test_img_01_a_named_image_that_is_not_there_is_refused_by_its_name() -> None:
    app, gone = declared(amd64=f"{FACES}:1"), offer(absent=True)
    with pytest.raises(KrafError, match=r"amd64 \(but registry.example/faces:1 is not there\)"):
        image.choose(app, container(architecture="arm64"), target("amd64"), {f"{FACES}:1": gone})


def test_a_named_image_is_taken_by_the_digest_that_is_served() -> None:
    app = declared(amd64=f"{FACES}:1")
    found = image.choose(app, container(architecture="arm64"), target("amd64"), {f"{FACES}:1": offer("amd64")})
    assert found.reference == f"{FACES}@sha256:" + "4" * 64


def test_a_registry_that_the_device_cannot_ask_is_no_reason_to_refuse_and_is_told() -> None:
    app, silent = declared(amd64=f"{FACES}:1"), {"digest": "", "architectures": [], "absent": False, "why": "no route"}
    found = image.choose(app, container(architecture="arm64"), target("amd64"), {f"{FACES}:1": silent})
    assert found.reference == f"{FACES}:1"
    assert "no route" in found.report[0]["why"]


# -- several architectures --------------------------------------------------------------------------------------------


def test_img_01_what_the_device_runs_and_what_was_built_for_the_other_become_an_index() -> None:
    found = image.choose(declared(arm64=ARM64), container(), target(*BOTH))
    assert (found.architectures, found.own, found.others) == (BOTH, True, {"arm64": ARM64})
    assert found.reference == ""


def test_img_01_images_of_the_clusters_registry_become_an_index_also_for_nodes_to_come() -> None:
    amd64 = f"{OWN}/other/faces:1"
    found = image.choose(declared(amd64=amd64, arm64=ARM64), container(architecture="arm64"), target("amd64"))
    assert (found.architectures, found.own, found.others) == (BOTH, False, {"amd64": amd64, "arm64": ARM64})


def test_img_01_one_name_that_serves_both_is_an_index_already() -> None:
    app, there = declared(amd64=f"{FACES}:1", arm64=f"{FACES}:1"), {f"{FACES}:1": offer(*BOTH, digest="2")}
    found = image.choose(app, container(), target(*BOTH), there)
    assert (found.architectures, found.reference, found.own, found.others) == (BOTH, DIGEST, False, {})


def test_img_01_an_image_of_another_registry_is_in_no_index_and_the_report_says_why() -> None:
    found = image.choose(declared(arm64="elsewhere.example/faces:1"), container(), target(*BOTH))
    assert (found.architectures, found.own, found.others) == (("amd64",), True, {})
    lost = [one for one in found.report if one["verdict"] == "lost"]
    assert [one["property"] for one in lost] == ["image for arm64"]
    assert "not all of the app's lie in 10.0.0.10:5000" in lost[0]["why"]
    assert "image_build" in lost[0]["why"]


def test_an_image_that_runs_from_elsewhere_is_pushed_for_an_index() -> None:
    found = image.choose(declared(amd64=f"{FACES}:1", arm64=ARM64), container(), target(*BOTH))
    assert (found.architectures, found.own, found.others) == (BOTH, True, {"arm64": ARM64})
    # But not for nodes that are not there.
    one = image.choose(declared(amd64=f"{FACES}:1", arm64=ARM64), container(), target("amd64"))
    assert (one.architectures, one.reference) == (("amd64",), DIGEST)


# -- emulation --------------------------------------------------------------------------------------------------------


def test_img_01_an_image_is_emulated_where_the_app_allows_it_and_nodes_can() -> None:
    found = image.choose(declared(True), container(architecture="arm64"), target("amd64", emulated=("arm64",)))
    assert (found.architectures, found.emulated, found.own) == ((), "arm64", True)
    assert [one["property"] for one in found.report if one["verdict"] == "lost"] == ["architecture"]


def test_img_01_an_image_for_the_nodes_wins_over_emulation() -> None:
    app, nodes = declared(True, amd64=f"{FACES}:1"), target("amd64", emulated=("arm64",))
    found = image.choose(app, container(architecture="arm64"), nodes)
    assert (found.architectures, found.emulated) == (("amd64",), "")


@pytest.mark.parametrize(
    ("allowed", "emulated", "told"),
    [
        (False, ("arm64",), "or allow that nodes emulate arm64 (emulation: true"),
        (True, (), "no node emulates arm64"),
        (True, ("arm",), "no node emulates arm64"),
    ],
)
def test_img_01_without_emulation_the_refusal_says_what_is_missing(
    allowed: bool, emulated: tuple[str, ...], told: str
) -> None:
    with pytest.raises(KrafError) as caught:
        image.choose(declared(allowed), container(architecture="arm64"), target("amd64", emulated=emulated))
    assert told in str(caught.value)


def test_img_03_no_image_is_exported_or_imported_for_its_architecture_would_be_the_hosts() -> None:
    plugins = Path(image.__file__).parents[2]
    words = ("fromSrc", "}/export", "}/get", "/images/load")
    found = [(path.name, word) for path in plugins.rglob("*.py") for word in words if word in path.read_text()]
    assert found == []
