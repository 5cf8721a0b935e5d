"""The lab's pure parts: its settings, the lists and files that it writes, and its judgement of a machine."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
import yaml

from tests.lab import doctor, images, mirror, programs, settings
from tests.lab.steps import LabError

GOOD = doctor.Machine(
    root=True,
    system="Linux",
    python=(3, 11),
    memory_gib=16.0,
    cores=2,
    disk_gib=80.0,
    cgroups="v1",
    file_systems=frozenset(doctor.FILE_SYSTEMS),
    vxlan=True,
    loop=True,
    overlapping_routes=(),
    go=True,
    apt=True,
    sys_resource=False,
    other_engine="/var/run/docker.sock",
)


def test_default_hosts_have_the_addresses_of_the_inventory() -> None:
    lab = settings.from_environment({})
    inventory = yaml.safe_load(Path("inventories/lab/hosts.yml").read_text(encoding="utf-8"))
    groups = ("kraf_control", "kraf_workers", "kraf_devices")
    listed = {name: values for group in groups for name, values in inventory[group]["hosts"].items()}
    assert {host.name: "{{ lab_prefix }}." + host.address.rsplit(".", 1)[1] for host in lab.hosts} == {
        name: values["ansible_host"] for name, values in listed.items()
    }


def test_an_empty_variable_counts_as_unset() -> None:
    assert settings.from_environment({"KRAF_LAB_NAME": "", "KRAF_LAB_HOSTS": ""}) == settings.from_environment({})


@pytest.mark.parametrize(
    ("variable", "value"),
    [
        ("KRAF_LAB_NAME", "Two-Labs"),
        ("KRAF_LAB_NAME", "averyverylongname"),
        ("KRAF_LAB_ENGINE", "averyverylongname"),
        ("KRAF_LAB_PREFIX", "10.213"),
        ("KRAF_LAB_PREFIX", "8.8.8"),
        ("KRAF_LAB_PREFIX", "10.213.254"),
        ("KRAF_LAB_HOSTS", "control2"),
        ("KRAF_LAB_HOSTS", "pi1,pi1"),
        ("KRAF_LAB_HOSTS", "laptop"),
        ("KRAF_LAB_DEVICE_CPUS", "0"),
        ("KRAF_LAB_DEVICE_CPUS", "a quarter"),
        ("KRAF_LAB_SOURCE", "internet"),
    ],
)
def test_a_wrong_setting_is_named_with_its_value(variable: str, value: str) -> None:
    with pytest.raises(settings.SettingsError) as caught:
        settings.from_environment({variable: value})
    assert variable in str(caught.value)
    assert value.split(",")[0] in str(caught.value)


@pytest.mark.parametrize(
    ("cpus", "available", "cores"),
    [("0.25", [0, 1], ["0", "1", "0"]), ("1.5", [0, 1, 2, 3], ["0,1", "2,3", "0,1"]), ("4", [2, 5], ["2,5"] * 3)],
)
def test_a_device_has_as_few_cores_as_its_limit_needs(cpus: str, available: list[int], cores: list[str]) -> None:
    lab = settings.from_environment({"KRAF_LAB_DEVICE_CPUS": cpus, "KRAF_LAB_HOSTS": "control1,pi1,pi2,pi7"})
    assert [lab.device_cores(host, available) for host in lab.hosts if host.is_device] == cores


def test_checksums_read_back_by_program_version_and_architecture() -> None:
    entries = {
        "kubeadm": {"1.22.9": {"arm64": "b" * 64, "amd64": "a" * 64}},
        "cni_plugins": {"1.10.0": {"amd64": "c" * 64}},
    }
    text = mirror.checksums_text(entries)
    assert yaml.safe_load(text) == entries
    assert list(yaml.safe_load(text)) == ["cni_plugins", "kubeadm"]


def test_a_good_machine_has_no_complaint_and_another_engine_is_none() -> None:
    assert doctor.judge(GOOD, "build") == []


def test_every_complaint_is_shown_at_once() -> None:
    bad = replace(
        GOOD, root=False, memory_gib=2.0, cores=1, disk_gib=3.0, overlapping_routes=("10.213.0.0/16 dev vpn0",)
    )
    complaints = doctor.judge(bad, "build")
    assert len(complaints) == 5
    assert any("10.213.0.0/16 dev vpn0" in text and "KRAF_LAB_PREFIX" in text for text in complaints)


def test_go_is_needed_only_for_what_is_built() -> None:
    without = replace(GOOD, go=False, sys_resource=True)
    assert doctor.judge(without, "upstream") == []
    assert "Go" in doctor.judge(without, "build")[0]


def test_kubernetes_builds_from_published_staging_modules_and_newer_json() -> None:
    upstream = (
        "module k8s.io/kubernetes\n\nreplace (\n"
        "\tgithub.com/modern-go/reflect2 => github.com/modern-go/reflect2 v1.0.1\n"
        "\tk8s.io/api => ./staging/src/k8s.io/api\n)\n"
    )
    text = programs.kubernetes_go_mod(upstream)
    assert "k8s.io/api => k8s.io/api v0.22.9" in text
    assert "reflect2 => github.com/modern-go/reflect2 v1.0.2" in text
    assert "k8s.io/kubernetes => ./kubernetes" in text
    assert "staging" not in text


def test_a_go_mod_without_replacements_is_refused() -> None:
    with pytest.raises(LabError, match="no replace block"):
        programs.kubernetes_go_mod("module k8s.io/kubernetes\n")


def test_apt_sources_are_the_machines_own_debian_stanzas_only(tmp_path: Path) -> None:
    folder = tmp_path / "sources.list.d"
    folder.mkdir()
    (folder / "debian.sources").write_text(
        "Types: deb\n# URIs: http://comment.invalid/debian\nURIs: http://archive.invalid/debian\n"
        "Suites: bookworm bookworm-updates\nComponents: main\n",
        encoding="utf-8",
    )
    (folder / "vendor.list").write_text(
        "deb [signed-by=/x] https://vendor.invalid/apt bookworm main\n", encoding="utf-8"
    )
    text = images.apt_sources(tmp_path)
    assert "comment.invalid" not in text
    assert "vendor.invalid" not in text
    assert images.archive_address(text) == "http://archive.invalid/debian"


def test_a_machine_without_debian_sources_is_told_so(tmp_path: Path) -> None:
    with pytest.raises(LabError, match="add one"):
        images.apt_sources(tmp_path)
