# Copyright (c) 2026, kraf.edge contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a kubelet says in a log's place is no log."""

from __future__ import annotations

from typing import Any
from unittest.mock import Mock

import pytest

from ansible_collections.kraf.edge.plugins.module_utils.cluster.client import Cluster

GONE = "unable to retrieve container logs for docker://4bf363defb0fdcc5"


@pytest.mark.parametrize(
    ("said", "log"),
    [
        (b"so far\n", "so far\n"),
        (GONE.encode(), ""),
        (f"{GONE}\n".encode(), ""),
        (f"{GONE}\nsaid the app\n".encode(), f"{GONE}\nsaid the app\n"),
        (b"", ""),
    ],
    ids=["a log", "gone", "gone, with an end of line", "an app that says so", "nothing said"],
)
def test_the_log_of_a_container_that_was_removed_is_none(said: bytes, log: str) -> None:
    link: Any = Mock()
    link.request.return_value = said
    assert Cluster(link).logs("app-train-x", "kraf-pi1", "app") == log
