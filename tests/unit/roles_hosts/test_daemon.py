"""Docker Engine's daemon.json: what stays, what changes, what it costs."""

from __future__ import annotations

import pytest

from ansible_collections.kraf.edge.plugins.module_utils.core.errors import KrafError
from ansible_collections.kraf.edge.plugins.module_utils.hosts import daemon

DEFAULTS = {"live-restore": True, "log-driver": "json-file", "log-opts": {"max-size": "10m", "max-file": "3"}}
WANTED = {"exec-opts": ["native.cgroupdriver=systemd"]}


def test_dkr_05_keys_that_the_role_does_not_know_stay():
    owners = {"default-runtime": "crun", "runtimes": {"crun": {"path": "/usr/bin/crun"}}, "dns": ["9.9.9.9"]}
    merged = daemon.merge(owners, WANTED, DEFAULTS)
    assert {key: merged[key] for key in owners} == owners
    assert merged["exec-opts"] == WANTED["exec-opts"]


def test_dkr_05_the_owners_log_options_win_over_defaults():
    merged = daemon.merge({"log-opts": {"max-size": "1g"}}, WANTED, DEFAULTS)
    assert merged["log-opts"] == {"max-size": "1g"}


def test_dkr_05_another_log_driver_gets_no_options_that_it_does_not_know():
    assert "log-opts" not in daemon.merge({"log-driver": "journald"}, WANTED, DEFAULTS)


@pytest.mark.parametrize(
    ("text", "place"),
    [
        ('{\n  "debug": true,\n}\n', "line 3"),
        ('{\n  // the proxy\n  "debug": true\n}\n', "line 2"),
        ('{"debug": true', "line 1"),
    ],
)
def test_dkr_05_invalid_json_stops_with_its_line(text, place):
    with pytest.raises(KrafError, match=place) as caught:
        daemon.parse(text, "/etc/docker/daemon.json")
    assert "/etc/docker/daemon.json" in str(caught.value)


def test_dkr_05_the_fault_of_a_file_is_told_without_stopping():
    assert "line 2" in daemon.fault("{\n,}", daemon.PATH)
    assert daemon.fault("{}", daemon.PATH) == ""


@pytest.mark.parametrize("text", ["[]", '"text"', "3"])
def test_dkr_05_json_that_is_no_object_is_refused(text):
    with pytest.raises(KrafError, match="JSON object"):
        daemon.parse(text, "/etc/docker/daemon.json")


@pytest.mark.parametrize("text", ["", "  \n"])
def test_dkr_05_an_empty_file_counts_as_no_settings(text):
    assert daemon.parse(text, "/etc/docker/daemon.json") == {}


def test_dkr_05_a_second_merge_changes_nothing():
    once = daemon.merge(
        {"insecure-registries": ["old:5000"]}, {**WANTED, "insecure-registries": ["new:5000"]}, DEFAULTS
    )
    twice = daemon.merge(once, {**WANTED, "insecure-registries": ["new:5000"]}, DEFAULTS)
    assert once == twice
    assert once["insecure-registries"] == ["old:5000", "new:5000"]


def test_ins_06_another_cgroup_driver_is_replaced_not_added():
    merged = daemon.merge({"exec-opts": ["native.cgroupdriver=cgroupfs", "isolation=default"]}, WANTED, {})
    assert merged["exec-opts"] == ["isolation=default", "native.cgroupdriver=systemd"]
    assert daemon.cgroup_driver(merged) == "systemd"
    assert daemon.cgroup_driver({}) == ""


@pytest.mark.parametrize(
    ("keys", "action"),
    [
        ([], "none"),
        (["insecure-registries"], "reload"),
        (["live-restore", "registry-mirrors"], "reload"),
        (["live-restore", "log-driver"], "restart"),
        (["exec-opts"], "restart"),
    ],
)
def test_dkr_05_only_settings_that_need_it_cause_a_restart(keys, action):
    assert daemon.action(keys) == action


def test_dkr_05_a_setting_taken_away_counts_as_changed():
    assert daemon.changed_keys({"debug": True, "dns": []}, {"dns": [], "labels": []}) == ["debug", "labels"]
