# Copyright (c) 2026, kraf.edge contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Which image the app runs from at the edge."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import pytest

from ansible_collections.kraf.edge.plugins.module_utils.core.errors import KrafError
from ansible_collections.kraf.edge.plugins.module_utils.placement import image

from .containers import APP, container

DIGEST = "registry.example/faces@sha256:" + "2" * 64


def test_what_runs_is_taken_by_its_digest_where_its_registry_is_named() -> None:
    app = dataclasses.replace(APP, images={"amd64": "registry.example/faces:1"})
    assert image.choose(app, container(), ["amd64"]).reference == DIGEST


def test_what_runs_is_pushed_when_no_registry_is_named() -> None:
    assert image.choose(APP, container(), ["amd64"]).reference == ""


def test_what_runs_wins_over_another_image_that_is_named() -> None:
    app = dataclasses.replace(APP, images={"amd64": "registry.example/newer:2"})
    assert image.choose(app, container(), ["amd64"]).reference == ""


def test_img_01_an_image_of_another_architecture_is_never_sent_to_the_nodes() -> None:
    app = dataclasses.replace(
        APP, images={"amd64": "registry.example/faces:1", "arm64": "registry.example/faces:1-arm"}
    )
    found = image.choose(app, container(architecture="arm64"), ["amd64"])
    assert (found.architecture, found.reference) == ("amd64", "registry.example/faces:1")


def test_img_01_no_image_for_the_nodes_is_refused_with_what_there_is() -> None:
    app = dataclasses.replace(APP, images={"arm": "registry.example/faces:1-v7"})
    with pytest.raises(KrafError, match=r"nodes are amd64, the app has images for arm, arm64.*Name one"):
        image.choose(app, container(architecture="arm64"), ["amd64"])


def test_img_01_a_cluster_of_two_architectures_runs_what_the_device_runs() -> None:
    assert image.choose(APP, container(architecture="arm64"), ["amd64", "arm64"]).architecture == "arm64"


def test_img_03_no_image_is_exported_or_imported_for_its_architecture_would_be_the_hosts() -> None:
    plugins = Path(image.__file__).parents[2]
    words = ("fromSrc", "}/export", "}/get", "/images/load")
    found = [(path.name, word) for path in plugins.rglob("*.py") for word in words if word in path.read_text()]
    assert found == []
