# Copyright (c) 2026, kraf.edge contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What of a systemd service is the same at the edge, and what is refused."""

from __future__ import annotations

import dataclasses
from typing import Any

import pytest
from hypothesis import HealthCheck, event, given, settings

from ansible_collections.kraf.edge.plugins.module_utils.catalog.records import App, Data, Port
from ansible_collections.kraf.edge.plugins.module_utils.core.errors import KrafError
from ansible_collections.kraf.edge.plugins.module_utils.placement import definition, image, portable_unit, verdicts
from ansible_collections.kraf.edge.plugins.module_utils.placement.verdicts import KEPT, LOST, REFUSED, TRANSLATED

from .systemd_units import APP, CANARY, FOLDER, unit, units

LOOPBACK = [{"address": "127.0.0.1", "port": 8000, "protocol": "tcp"}]


def judged(of_unit: dict[str, Any] | None = None, app: App = APP, **changes: Any) -> dict[str, str]:
    return {row["property"]: row["verdict"] for row in portable_unit.examine(app, unit(of_unit, **changes))}


def test_a_plain_service_can_move() -> None:
    rows = portable_unit.examine(APP, unit())
    verdicts.refuse(APP, rows)
    found = {row["property"]: row["verdict"] for row in rows}
    assert found["argv"] == found["user faces"] == found["data results"] == found[f"state directory {FOLDER}"] == KEPT
    assert found["port 8000/tcp"] == TRANSLATED
    assert CANARY not in repr(rows)


def test_no_unit_is_an_error_that_names_it() -> None:
    with pytest.raises(KrafError, match=r"unit of app pi1/faces: 'faces\.service'"):
        portable_unit.examine(APP, None)


@pytest.mark.parametrize(
    ("of_unit", "name", "may_be_accepted"),
    [
        ({"type": "oneshot"}, "type oneshot", False),
        ({"type": "forking"}, "type forking", False),
        ({"type": "dbus"}, "type dbus", False),
        ({"expands": True}, "argv", False),
        ({"starts": 2}, "argv", False),
        ({"triggered_by": ["faces.socket"]}, "socket faces.socket", False),
        ({"triggered_by": ["faces.timer"]}, "trigger faces.timer", True),
        ({"triggered_by": ["faces.path"]}, "trigger faces.path", True),
        ({"needs": ["redis.service"]}, "needs redis.service", True),
        ({"needed_by": ["ui.service"]}, "needed by ui.service", True),
        ({"commands": {"ExecStartPre": 1}}, "ExecStartPre", True),
        ({"commands": {"ExecStopPost": 1}}, "ExecStopPost", True),
        ({"ambient": ["NET_ADMIN"]}, "ambient capability NET_ADMIN", True),
        ({"transient": True}, "transient unit", False),
        ({"masked": True}, "mask", False),
        ({"default_dependencies": False}, "DefaultDependencies no", True),
        ({"unreadable": ["/etc/faces"]}, "environment file /etc/faces", True),
        ({"read_write_paths": ["/srv/x"]}, "path /srv/x", True),
        ({"directories": {"state": ["/var/lib/other"]}}, "state directory /var/lib/other", True),
        ({"listens": []}, "port 8000/tcp", False),
        ({"listens": LOOPBACK}, "port 8000/tcp", True),
    ],
)
def test_what_the_edge_does_not_give_is_refused_by_name(
    of_unit: dict[str, Any], name: str, may_be_accepted: bool
) -> None:
    rows = portable_unit.examine(APP, unit(of_unit))
    assert {row["property"]: row["verdict"] for row in rows}[name] == REFUSED
    with pytest.raises(KrafError) as caught:
        verdicts.refuse(APP, rows)
    assert name in str(caught.value)
    left = portable_unit.examine(APP, unit(of_unit), [name])
    assert {row["property"]: row["verdict"] for row in left}[name] == (LOST if may_be_accepted else REFUSED)


@pytest.mark.parametrize(
    ("setting", "verdict"),
    [
        ("PrivateNetwork", REFUSED),
        ("DeviceAllow", REFUSED),
        ("IPAddressDeny", REFUSED),
        ("LoadCredential", REFUSED),
        ("RootImage", REFUSED),
        ("RefuseManualStop", REFUSED),
        ("PropertyOfTheYear2040", REFUSED),
        ("LimitNOFILE 5", LOST),
        ("SystemCallFilter 5", LOST),
        ("UMask 5", LOST),
        ("RestartUSec 5", LOST),
        ("ProtectHome 5", KEPT),
        ("ProtectKernelModules 5", KEPT),
        ("StateDirectoryMode 5", KEPT),
    ],
)
def test_settings_of_systemd_are_known_or_refused(setting: str, verdict: str) -> None:
    assert judged(settings={setting.split()[0]: "5"})[setting] == verdict


def test_loopback_is_kept_where_the_catalog_says_what_runs_at_the_edge() -> None:
    app = dataclasses.replace(APP, command=("/faces", "--listen=0.0.0.0"))
    assert judged({"listens": LOOPBACK, "expands": True, "type": "forking"}, app)["port 8000/tcp"] == TRANSLATED
    assert portable_unit.process(app, unit()).argv == ("/faces", "--listen=0.0.0.0")


def test_a_unit_at_rest_is_not_asked_where_it_listens() -> None:
    assert judged({"listens": []}, running=False)["port 8000/tcp"] == TRANSLATED


@pytest.mark.parametrize(
    ("address", "verdict"), [("0.0.0.0", REFUSED), ("192.0.2.7", REFUSED), ("127.0.0.1", LOST), ("::1", LOST)]
)
def test_other_ports_are_not_passed_over(address: str, verdict: str) -> None:
    more = [*unit()["unit"]["listens"], {"address": address, "port": 9000, "protocol": "tcp"}]
    assert judged({"listens": more})["port 9000/tcp"] == verdict


def test_a_dynamic_user_needs_a_number() -> None:
    none = {"user": None, "group": None, "groups": [], "unknown": []}
    assert judged({"dynamic_user": True}, identity=none)["user faces"] == REFUSED
    assert judged({"dynamic_user": True})["user faces"] == KEPT


def test_root_is_root_with_less() -> None:
    assert judged(identity={"user": 0, "group": 0, "groups": [], "unknown": []}, user="root")["user root"] == LOST


def test_what_it_may_write_to_is_there_at_the_edge() -> None:
    directories = {
        "state": [FOLDER],
        "cache": ["/var/cache/faces"],
        "runtime": ["/run/faces"],
        "logs": ["/var/log/faces"],
    }
    found = unit({"directories": directories, "protect_system": "strict", "private_tmp": True}, read_only=True)
    process = portable_unit.process(APP, found)
    assert process.read_only
    assert [path for path, _size in process.tmpfs] == [
        "/run/faces",
        "/tmp",
        "/var/cache/faces",
        "/var/log/faces",
        "/var/tmp",
    ]
    within = dataclasses.replace(APP, data=(Data("cache", "/var/cache/faces"), Data("results", FOLDER)))
    assert "/var/cache/faces" not in dict(portable_unit.process(within, found).tmpfs)


def test_rights_that_it_has_not_are_dropped_at_the_edge() -> None:
    process = portable_unit.process(
        APP, unit({"bounding": ["CHOWN", "SYS_TIME"]}, security_options=["no-new-privileges"])
    )
    assert "CHOWN" not in process.dropped
    assert "NET_RAW" in process.dropped
    assert process.no_new_privileges


def test_an_image_is_the_operators_and_none_is_refused_with_the_way_out() -> None:
    choice = image.choose(APP, unit(), image.Target(("amd64",)))
    assert choice.reference == "registry.example/faces:1"
    assert choice.report[0]["why"] == "named by the app for amd64"
    with pytest.raises(KrafError, match=r"images for amd64.*images: \{arm64: \.\.\.\}.*image_build"):
        image.choose(APP, unit(), image.Target(("arm64",)))


def test_adopting_a_unit_declares_what_it_is() -> None:
    listens = [
        {"address": "0.0.0.0", "port": 8000, "protocol": "tcp"},
        {"address": "::", "port": 8000, "protocol": "tcp"},
        {"address": "127.0.0.1", "port": 9000, "protocol": "tcp"},
        {"address": "0.0.0.0", "port": 53, "protocol": "udp"},
    ]
    made = definition.adopt(
        unit({"listens": listens}, memory_bytes=200 << 20, env=["TOKEN"]),
        "pi1",
        images={"amd64": "registry.example/faces:1"},
    )
    assert made.app == App(
        "pi1",
        "faces",
        unit="faces.service",
        images={"amd64": "registry.example/faces:1"},
        env=("TOKEN",),
        ports=(Port(8000, 8000),),
        data=(Data("faces", FOLDER),),
        memory="200Mi",
    )
    refused = [row["property"] for row in made.report if row["verdict"] == REFUSED]
    assert refused == ["port 53/udp"]


def test_adopting_a_unit_without_an_image_says_what_is_missing() -> None:
    with pytest.raises(KrafError, match="a unit has no image"):
        definition.adopt(unit(), "pi1")


@pytest.mark.parametrize(
    ("given_images", "found"),
    [
        (None, {}),
        ("", {}),
        ({"amd64": "a:1"}, {"amd64": "a:1"}),
        ("amd64=a:1, arm64=b:2", {"amd64": "a:1", "arm64": "b:2"}),
        (["amd64=a@sha256:1"], {"amd64": "a@sha256:1"}),
    ],
)
def test_images_are_taken_as_awx_gives_them(given_images: Any, found: dict[str, str]) -> None:
    assert definition.images(given_images) == found


def test_an_image_without_an_architecture_is_refused() -> None:
    with pytest.raises(KrafError, match="kraf_app_images: 'a:1'"):
        definition.images("a:1")


@settings(max_examples=500, deadline=None, suppress_health_check=list(HealthCheck))
@given(found=units())
def test_any_unit_moves_or_is_refused_by_the_name_of_a_property(found: dict[str, Any]) -> None:
    rows = portable_unit.examine(APP, found)
    assert CANARY not in repr(rows)
    told = " ".join(f"{row['property']} {row['why']}" for row in rows)
    assert all(key in told for key in found["settings"])
    refused = [row for row in rows if row["verdict"] == REFUSED]
    if refused:
        with pytest.raises(KrafError) as caught:
            verdicts.refuse(APP, rows)
        assert all(row["property"] in str(caught.value) for row in refused)
    left = portable_unit.examine(APP, found, [row["property"] for row in refused])
    assert all(row["verdict"] != REFUSED or not row.get("override") for row in left)
    event("refused" if refused else "moves")
    portable_unit.process(APP, found)
