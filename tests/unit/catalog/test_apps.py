# Copyright (c) 2026, kraf.edge contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""catalog/apps: what a declaration of an app may say."""

from __future__ import annotations

from typing import Any

import pytest

from ansible_collections.kraf.edge.plugins.module_utils.catalog import apps
from ansible_collections.kraf.edge.plugins.module_utils.catalog.records import App, Data, Port, Probe
from ansible_collections.kraf.edge.plugins.module_utils.core import names
from ansible_collections.kraf.edge.plugins.module_utils.core.errors import KrafError


def declare(**options: Any) -> App:
    return apps.declared({"device": "pi1", "name": "faces", **options})


def refusal(**options: Any) -> KrafError:
    with pytest.raises(KrafError) as caught:
        declare(**options)
    assert caught.value.fix
    return caught.value


def test_an_app_needs_a_name_only() -> None:
    assert declare() == App("pi1", "faces", container="faces")


def test_nulls_and_empty_texts_are_the_same_as_nothing() -> None:
    options = (
        "images",
        "container",
        "command",
        "args",
        "env",
        "ports",
        "data",
        "cpu",
        "memory",
        "vram",
        "probe",
        "kind",
    )
    assert declare(**dict.fromkeys(options)) == declare(**dict.fromkeys(options, "")) == declare()


def test_a_whole_declaration_is_taken() -> None:
    app = declare(
        images={"arm64": "reg.example.org:5000/faces:1.4", "amd64": "faces@sha256:" + "0" * 64},
        container="faces_1",
        command=["python3", "app.py"],
        args=["--port", 8000, "with blank"],
        env="API_KEY, TZ",
        ports=[{"port": 8000, "device_port": None}, {"port": 80, "device_port": 8080, "protocol": "tcp"}],
        data=[{"name": "results", "path": "/data"}],
        cpu="500m",
        memory="256Mi",
        probe={"path": "/health", "port": None},
    )
    assert app.command == ("python3", "app.py")
    assert app.args == ("--port", "8000", "with blank")
    assert app.env == ("API_KEY", "TZ")
    assert app.ports == (Port(8000, 8000), Port(80, 8080))
    assert app.data == (Data("results", "/data"),)
    assert app.probe == Probe("/health", 8000)
    assert list(app.images) == ["amd64", "arm64"]


def test_an_unknown_kind_is_refused() -> None:
    assert "no such kind" in refusal(kind="daemon").why


def test_a_cronjob_has_a_schedule_and_nothing_else_has() -> None:
    assert declare(kind="cronjob", schedule=" */15  * * * MON-fri ").schedule == "*/15 * * * mon-fri"
    assert declare(kind="cronjob", schedule="@daily").schedule == "0 0 * * *"
    assert "needs one" in refusal(kind="cronjob").why
    assert "has none" in refusal(schedule="* * * * *").why
    assert "clients" in refusal(kind="cronjob", schedule="* * * * *", ports=[{"port": 8000}]).why
    assert declare(kind="cronjob", schedule="* * * * *").runs_as == "cron:* * * * *|faces|faces"


def test_mig_18_the_longest_name_of_a_cronjob_is_one_of_kubernetes() -> None:
    longest = "a" * 40
    assert len(names.workload(declare(kind="cronjob", schedule="* * * * *", name=longest).name)) <= 52


def test_a_job_needs_no_more_than_its_kind() -> None:
    job = declare(kind="job")
    assert job.job
    assert (job.retries, job.deadline_seconds) == (0, 0)
    assert not declare().job


def test_retries_and_deadline_of_a_job_are_kept() -> None:
    job = declare(kind="job", retries="3", deadline_seconds=3600)
    assert (job.retries, job.deadline_seconds) == (3, 3600)
    assert App.from_dict(job.as_dict()) == job


def test_a_row_of_before_jobs_is_read() -> None:
    row = declare().as_dict()
    del row["retries"], row["deadline_seconds"]
    assert App.from_dict(row) == declare()


@pytest.mark.parametrize("value", [-1, 1.5, "1h", True, 10**9, "\u0663"])
@pytest.mark.parametrize("option", ["retries", "deadline_seconds"])
def test_a_number_of_a_job_that_is_none_is_refused(option: str, value: object) -> None:
    assert "whole number" in refusal(kind="job", **{option: value}).why


@pytest.mark.parametrize("option", ["retries", "deadline_seconds"])
def test_what_only_a_job_has_is_refused_of_a_service(option: str) -> None:
    assert "only a job" in refusal(**{option: 1}).why
    assert getattr(declare(**{option: 0}), option) == 0


@pytest.mark.parametrize("options", [{"ports": [{"port": 80}]}, {"probe": {"path": "/"}}, {"overlap": True}])
def test_what_only_a_service_has_is_refused_of_a_job(options: dict[str, Any]) -> None:
    error = refusal(kind="job", **options)
    assert next(iter(options)) in error.what


def test_vram_is_refused_until_gpus_are_supported() -> None:
    error = refusal(vram="4Gi")
    assert error.what == "vram of app pi1/faces"
    assert "GPUs are not supported yet" in error.why


@pytest.mark.parametrize("command", ["python3 app.py", "python3", {"a": 1}, 5])
def test_a_command_that_is_no_list_is_refused(command: object) -> None:
    assert "no shell" in refusal(command=command).why
    assert "no shell" in refusal(args=command).why


@pytest.mark.parametrize("argument", [True, 1.5, None, ["a"], "nul\0"])
def test_an_argument_that_yaml_has_changed_is_refused(argument: object) -> None:
    assert refusal(args=[argument]).what == "args of app pi1/faces"


@pytest.mark.parametrize("name", ["1X", "a b", "ä", ".", "..", "..x", "a/b", "X$"])
def test_mig_13_a_variable_that_kubernetes_1_22_refuses_is_named(name: str) -> None:
    error = refusal(env=["OK", name])
    assert error.value == name
    assert error.what == "env of app pi1/faces"


@pytest.mark.parametrize("name", ["BAD-NAME", "_x", ".x", "a.b", "X1"])
def test_mig_13_a_variable_that_kubernetes_1_22_takes_is_taken(name: str) -> None:
    assert declare(env=[name]).env == (name,)


def test_mig_13_a_name_that_stands_there_twice_is_refused() -> None:
    assert "twice" in refusal(env=["A", "B", "A"]).why


@pytest.mark.parametrize(
    "env",
    [
        ["OK", "API_KEY=canary"],
        "API_KEY=canary",
        "OK\nAPI_KEY=canary",
        {"API_KEY": "canary"},
        [{"API_KEY": "canary"}],
        ["API_KEY=-----BEGIN canary\ncanary"],
        [" API_KEY = canary"],
    ],
)
def test_mig_15_a_value_in_the_place_of_a_name_is_refused_and_not_echoed(env: object) -> None:
    error = refusal(env=env)
    assert "API_KEY" in str(error)
    assert "canary" not in str(error)
    assert "canary" not in str(error.report())
    hidden = apps.env_values(env)
    assert any("canary" in text for text in hidden)


def test_a_name_alone_is_nothing_to_hide() -> None:
    assert apps.env_values(["API_KEY", "TZ"]) == apps.env_values(None) == apps.env_values("A,B") == []


@pytest.mark.parametrize("port", [0, 65536, -1, True, "http", None, 1.5])
def test_a_port_out_of_range_is_refused(port: object) -> None:
    assert "from 1 to 65535" in refusal(ports=[{"port": port}]).why


@pytest.mark.parametrize(
    ("ports", "reason"),
    [
        ([{"port": 80}, {"port": 80, "device_port": 81}], "twice"),
        ([{"port": 80}, {"port": 81, "device_port": 80}], "cannot both be reached"),
        ([{"port": 53, "protocol": "UDP"}, {"port": 53, "protocol": "udp", "device_port": 54}], "twice"),
        ([{"port": 9899, "protocol": "SCTP"}], "TCP and UDP only"),
    ],
)
def test_ports_that_a_forward_cannot_carry_are_refused(ports: list[dict[str, Any]], reason: str) -> None:
    assert reason in refusal(ports=ports).why


def test_a_port_of_tcp_and_one_of_udp_may_have_one_number() -> None:
    ports = [{"port": 53}, {"port": 53, "protocol": "udp"}]
    found = apps.declared({"device": "pi1", "name": "dns", "ports": ports}).ports
    assert [(one.port, one.device_port, one.protocol) for one in found] == [(53, 53, "TCP"), (53, 53, "UDP")]


def test_apps_of_a_device_may_share_the_number_of_a_port_but_not_its_protocol() -> None:
    one, other, third = (
        apps.declared({"device": "pi1", "name": name, "ports": [{"port": 53, "protocol": protocol}]})
        for name, protocol in (("a", "TCP"), ("b", "UDP"), ("c", "UDP"))
    )
    apps.refuse_twins([one, other])
    with pytest.raises(KrafError, match="device port of UDP of app pi1/c"):
        apps.refuse_twins([one, other, third])


@pytest.mark.parametrize("probe", [{"path": "/"}, {"path": "/", "port": 53}])
def test_a_probe_is_of_a_tcp_port(probe: dict[str, Any]) -> None:
    with_web = [{"port": 53, "protocol": "UDP"}, {"port": 80}]
    assert "no TCP port" in refusal(ports=[{"port": 53, "protocol": "UDP"}], probe=probe).why
    if "port" in probe:
        assert "none of the app's TCP ports" in refusal(ports=with_web, probe=probe).why
    else:
        found = apps.declared({"device": "pi1", "name": "dns", "ports": with_web, "probe": probe}).probe
        assert found
        assert found.port == 80


@pytest.mark.parametrize("path", ["data", "", "/", "//data", "/data/", "/a/../b", "/a//b", "/proc", "/sys/x", "/dev"])
def test_data_without_a_plain_absolute_path_are_refused(path: str) -> None:
    assert refusal(data=[{"name": "a", "path": path}]).what == "data of app pi1/faces"


@pytest.mark.parametrize(("one", "other"), [("/data", "/data"), ("/data", "/data/x"), ("/data/x", "/data")])
def test_data_within_data_are_refused(one: str, other: str) -> None:
    error = refusal(data=[{"name": "a", "path": one}, {"name": "b", "path": other}])
    assert error.why == f"it overlaps with {one}"


def test_data_beside_each_other_are_taken() -> None:
    data = [{"name": "a", "path": "/data"}, {"name": "b", "path": "/data2"}]
    assert declare(data=data).data == (Data("a", "/data"), Data("b", "/data2"))
    assert "stands there twice" in refusal(data=[data[0], {"name": "a", "path": "/x"}]).why


@pytest.mark.parametrize(
    "options",
    [
        {"memory": "256MB"},
        {"memory": "100m"},
        {"memory": "1Mi"},
        {"cpu": "2Gi"},
        {"cpu": "0"},
        {"images": {"x86": "faces:1"}},
        {"images": {"arm64": "Not An Image"}},
        {"images": {"arm64": ""}},
        {"container": "-x"},
        {"probe": {"path": "/health"}},
        {"probe": {"path": "health"}, "ports": [{"port": 80}]},
        {"probe": {"path": "/a b"}, "ports": [{"port": 80}]},
        {"probe": {"path": "/", "port": 81}, "ports": [{"port": 80}]},
        {"overlap": True, "data": [{"name": "a", "path": "/data"}]},
        {"overlap": "perhaps"},
    ],
)
def test_what_could_not_run_is_refused_and_names_the_app(options: dict[str, Any]) -> None:
    assert "pi1/faces" in refusal(**options).what


@pytest.mark.parametrize(("device", "name"), [("Pi1", "faces"), ("pi1", "Faces"), ("all", "faces"), ("pi1", "x" * 41)])
def test_names_that_kubernetes_refuses_are_refused(device: str, name: str) -> None:
    with pytest.raises(KrafError, match="name"):
        apps.declared({"device": device, "name": name})


def test_an_app_survives_the_way_through_a_dictionary() -> None:
    app = declare(
        command=["a"], env=["B"], ports=[{"port": 80}], data=[{"name": "d", "path": "/d"}], probe={"path": "/"}
    )
    assert App.from_dict(app.as_dict()) == app
    assert App.from_dict(declare().as_dict()) == declare()


IMAGES = {"amd64": "faces:1"}


def test_a_service_of_the_device_can_be_an_app() -> None:
    app = declare(unit="faces.service", images=IMAGES, ports=[{"port": 80}], container="")
    assert (app.unit, app.container, app.runs_as) == ("faces.service", "", "unit:faces.service")
    assert declare(unit="", container="").runs_as == "faces"
    assert App.from_dict(app.as_dict()) == app


@pytest.mark.parametrize(
    ("options", "why"),
    [
        ({"container": "faces"}, "only one of both"),
        ({"images": {}}, "a unit has no image"),
        ({"kind": "job"}, "a job is a container"),
        ({"unit": "faces"}, "no name of a service"),
        ({"unit": "faces.timer"}, "no name of a service"),
        ({"unit": "faces@.service"}, "no name of a service"),
        ({"unit": "a b.service"}, "no name of a service"),
        ({"unit": "../a.service"}, "no name of a service"),
        ({"ports": [{"port": 80, "device_port": 8080}]}, "listens itself"),
        ({"ports": [{"port": 53, "protocol": "UDP"}]}, "only TCP"),
    ],
)
def test_a_service_that_could_not_move_is_refused(options: dict[str, Any], why: str) -> None:
    error = refusal(**{"unit": "faces.service", "images": IMAGES, **options})
    assert "pi1/faces" in error.what
    assert why in error.why


def test_two_apps_cannot_have_one_unit_and_several_have_one_each() -> None:
    first = declare(unit="faces.service", images=IMAGES)
    other = apps.declared({"device": "pi1", "name": "other", "unit": "other.service", "images": IMAGES})
    apps.refuse_twins([first, other])
    twin = apps.declared({"device": "pi1", "name": "twin", "unit": "faces.service", "images": IMAGES})
    with pytest.raises(KrafError, match="unit of app pi1/twin"):
        apps.refuse_twins([first, twin])
