"""What the preflights of roles docker and kubernetes complain about."""

from __future__ import annotations

from typing import Any

import pytest

from ansible_collections.kraf.edge.plugins.filter.host_complaints import host_complaints
from ansible_collections.kraf.edge.plugins.module_utils.hosts import judge, plan


def complaints(hosts: dict[str, Any], settings: dict[str, Any]) -> list[str]:
    return host_complaints(hosts, "kubernetes", settings)


def only(found: list[str]) -> str:
    assert len(found) == 1, found
    return found[0]


def test_sound_hosts_have_no_complaint(host, settings):
    assert complaints({"one": host(1), "two": host(2)}, settings()) == []


def test_every_complaint_is_reported_at_once(host, settings):
    hosts = {"one": host(1, hostname="Pi_4", vxlan=False), "two": host(1, clock={"skew": 90})}
    found = complaints(hosts, settings(pod_cidr="192.168.0.0/16"))
    for word in ("Pi_4", "VXLAN", "+90 s", "machine id", "192.168.0.0/16", "address of"):
        assert any(word in text for text in found), (word, found)


@pytest.mark.parametrize(
    ("name", "suggestion"),
    [("PHost01", "phost01"), ("pi_4", "pi-4"), ("pi-", "pi"), ("n" * 70, "n" * 63), ("Pi.Local_", "pi.local")],
)
def test_ins_05_a_host_name_that_kubernetes_refuses_comes_with_one_that_it_takes(host, settings, name, suggestion):
    text = only(complaints({"one": host(1, hostname=name)}, settings()))
    assert repr(name) in text
    assert repr(suggestion) in text
    assert plan.NODE_NAME.match(suggestion)


def test_ins_05_another_node_name_may_be_given(host, settings):
    assert complaints({"one": host(1, hostname="Pi_4")}, settings(node_names={"one": "pi-4"})) == []


def test_ins_05_two_hosts_that_differ_only_in_case_are_one_node(host, settings):
    found = complaints({"one": host(1, hostname="pi4"), "two": host(2, hostname="PI4")}, settings())
    assert any("one has the same name" in text for text in found)


@pytest.mark.parametrize("key", ["machine_id", "product_uuid"])
def test_ins_09_twins_are_named(host, settings, key):
    hosts = {"one": host(1, **{key: "same"}), "two": host(2, **{key: "same"}), "three": host(3)}
    text = only(complaints(hosts, settings()))
    assert "one and two" in text
    assert "three" not in text


def test_ins_09_an_empty_machine_id_is_refused_and_a_missing_dmi_is_not(host, settings):
    text = only(complaints({"one": host(1, machine_id="", product_uuid="")}, settings()))
    assert "machine id of one" in text


@pytest.mark.parametrize(("skew", "word"), [(31.0, "ahead of"), (-86400.0, "behind")])
def test_ins_13_a_clock_that_is_off_is_refused_before_certificates_are_made(host, settings, skew, word):
    text = only(complaints({"one": host(1, clock={"skew": skew})}, settings()))
    assert "clock of one" in text
    assert word in text


def test_ins_13_a_skew_within_the_limit_is_taken(host, settings):
    assert complaints({"one": host(1, clock={"skew": -30.0})}, settings()) == []


CAUSES = [
    ("option", "lacks the option", "/boot/firmware/cmdline.txt"),
    ("reboot", "no reboot since", "/boot/firmware/cmdline.txt"),
    ("file", "neither /boot/firmware/cmdline.txt nor /boot/cmdline.txt", ""),
]


@pytest.mark.parametrize(("cause", "words", "file"), CAUSES)
def test_ins_03_a_missing_memory_group_is_reported_with_its_cause(host, settings, cause, words, file):
    group = {"version": 2, "memory": False, "cause": cause, "file": file}
    assert words in only(complaints({"one": host(1, cgroup=group)}, settings()))


def test_ins_03_what_a_reboot_cures_is_no_complaint_where_a_reboot_is_allowed(host, settings):
    group = {"memory": False, "cause": "option", "file": "/boot/cmdline.txt"}
    assert complaints({"one": host(1, cgroup=group)}, settings(may_reboot=True)) == []
    assert complaints({"one": host(1, cgroup={"memory": False, "cause": "file"})}, settings(may_reboot=True))


MATRIX = [
    (1, "1.22.9", "systemd", ""),
    (2, "1.22.9", "systemd", ""),
    (1, "1.22.9", "cgroupfs", ""),
    (2, "1.22.9", "cgroupfs", "only through systemd"),
    (1, "1.36.4", "systemd", "refuses control groups of version 1"),
]


@pytest.mark.parametrize(("group", "version", "driver", "words"), MATRIX)
def test_ins_21_control_groups_and_kubelet_fit_or_the_reason_is_given(host, settings, group, version, driver, words):
    hosts = {"one": host(1, cgroup={"version": group})}
    found = complaints(hosts, settings(version=version, cgroup_driver=driver))
    assert any("control groups" in text for text in found) == bool(words)
    assert not words or any(words in text for text in found)


def test_ins_21_a_release_without_dockershim_is_refused_with_that_reason(host, settings):
    found = complaints({"one": host(1)}, settings(version="1.36.4"))
    assert any("only up to 1.23" in text for text in found)


def test_ins_14_an_address_that_the_control_plane_lost_is_named_with_the_new_one(host, settings):
    found = {"joined": True, "cluster_name": "kraf", "version": "1.22.9", "advertise_address": "192.168.1.9"}
    text = only(complaints({"one": host(1, kubernetes=found)}, settings()))
    assert "192.168.1.9" in text
    assert "its address is 192.168.1.1" in text
    assert "playbook control_address" in text
    assert complaints({"one": host(1, kubernetes=found)}, settings(moving=True)) == []


@pytest.mark.parametrize("key", ["pod_cidr", "service_cidr"])
def test_cni_04_another_network_than_the_clusters_is_refused(host, settings, key):
    found = {"joined": True, "cluster_name": "kraf", "version": "1.22.9", key: "10.32.0.0/16"}
    text = only(complaints({"one": host(1, kubernetes=found)}, settings()))
    assert f"kraf_{key}" in text
    assert "Set it to 10.32.0.0/16" in text


def test_cni_02_a_kernel_without_vxlan_is_refused_unless_host_gw_is_used(host, settings):
    hosts = {"one": host(1, vxlan=False)}
    text = only(complaints(hosts, settings()))
    assert "linux-modules-extra-raspi" in text
    assert "host-gw" in text
    assert complaints(hosts, settings(backend="host-gw")) == []


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"pod_cidr": "10.96.0.0/16"}, "overlaps kraf_service_cidr"),
        ({"pod_cidr": "192.168.0.0/16"}, "overlaps 192.168.1.0/24 of one's interface eth0"),
        ({"service_cidr": "192.168.1.128/25"}, "overlaps 192.168.1.0/24 of one's interface eth0"),
        ({"pod_cidr": "10.244.0.0/25"}, "every node takes a /24"),
        ({"pod_cidr": "10.244.1.0/16"}, "it is no IPv4 network"),
        ({"service_cidr": ""}, "it is no IPv4 network"),
    ],
)
def test_networks_that_cannot_work_are_refused(host, settings, changes, words):
    assert words in only(complaints({"one": host(1)}, settings(**changes)))


@pytest.mark.parametrize("cidr", ["fd00::/64", "fd00::/64,10.244.0.0/16", "10.244.0.0/16,fd00::/64"])
def test_ins_18_ipv6_is_refused_with_the_reason(host, settings, cidr):
    assert "carries IPv4 only" in only(complaints({"one": host(1)}, settings(pod_cidr=cidr)))


def test_the_clusters_own_interfaces_are_not_in_its_way(host, settings):
    bridge = {"address": "10.244.0.1", "prefix": 24, "interface": "cni0", "own": True}
    assert complaints({"one": host(1, addresses=[bridge])}, settings()) == []


@pytest.mark.parametrize("name", ["", "Site A", "a/b", "../x"])
def test_a_cluster_name_that_cannot_name_a_file_or_an_object_is_refused(host, settings, name):
    assert "cluster name" in only(complaints({"one": host(1)}, settings(cluster_name=name)))


@pytest.mark.parametrize("version", ["1.22", "latest", "", "1.22.9-rc1"])
def test_what_is_no_version_is_refused(host, settings, version):
    assert any("three numbers" in text for text in complaints({"one": host(1)}, settings(version=version)))


def test_programs_without_a_known_checksum_are_refused_by_architecture(host, settings):
    hosts = {"one": host(1), "two": host(2, architecture="riscv64")}
    text = only(complaints(hosts, settings()))
    assert "programs for two" in text
    assert "riscv64" in text


@pytest.mark.parametrize("control", [[], ["one", "two"]])
def test_one_control_plane_host_is_wanted(host, settings, control):
    assert "exactly one host" in only(complaints({"one": host(1), "two": host(2)}, settings(control=control)))


def test_a_node_of_a_foreign_cluster_is_left_alone(host, settings):
    found = {"joined": True, "server": "https://10.0.0.1:6443"}
    text = only(complaints({"one": host(1, kubernetes=found)}, settings()))
    assert "https://10.0.0.1:6443" in text
    assert "did not make" in text


def test_ins_15_a_worker_of_another_cluster_is_refused_not_reset(host, settings):
    ours = {"joined": True, "cluster_name": "kraf", "version": "1.22.9", "authority": "a"}
    hosts = {"one": host(1, kubernetes=ours), "two": host(2, kubernetes={**ours, "authority": "b"})}
    assert "another certificate authority than one's" in only(complaints(hosts, settings()))


def test_another_cluster_name_or_version_than_the_hosts_is_refused(host, settings):
    ours = {"joined": True, "cluster_name": "other", "version": "1.22.17"}
    found = complaints({"one": host(1, kubernetes=ours)}, settings())
    assert any("belongs to the cluster other" in text for text in found)
    assert any("runs 1.22.17" in text for text in found)


def test_a_host_that_knows_only_itself_as_resolver_is_refused(host, settings):
    hosts = {"one": host(1, nameservers=[])}
    assert "resolver of one" in only(complaints(hosts, settings()))
    assert complaints(hosts, settings(nameservers=["192.168.1.254"])) == []


def test_dkr_01_a_missing_module_folder_asks_for_a_reboot(host):
    text = only(host_complaints({"one": host(1, modules={"present": False})}, "docker"))
    assert "/lib/modules/6.1.0" in text
    assert "Reboot" in text


def test_dkr_05_an_invalid_daemon_json_is_reported_before_anything_is_changed(host):
    text = only(host_complaints({"one": host(1, daemon_fault="line 3, column 5: Expecting value")}, "docker"))
    assert "/etc/docker/daemon.json of one" in text
    assert "line 3" in text


def test_ins_06_a_flag_that_gives_kubelet_another_driver_is_named_with_its_file(host, settings):
    path = "/etc/systemd/system/kubelet.service.d/20-extra.conf"
    text = only(complaints({"one": host(1, kubernetes={"cgroup_flags": {path: "cgroupfs"}})}, settings()))
    assert path in text
    assert "cgroupfs" in text
    assert complaints({"one": host(1, kubernetes={"cgroup_flags": {path: "systemd"}})}, settings()) == []


def reset_complaints(host_facts: dict[str, Any], remove: bool = False) -> list[str]:
    return host_complaints({"one": host_facts}, "reset", {"cluster_name": "kraf", "remove_volumes": remove})


def test_ins_15_a_reset_takes_no_node_of_another_cluster_apart(host):
    foreign = {"joined": True, "server": "https://10.0.0.1:6443"}
    other = {"joined": True, "cluster_name": "other"}
    assert "somebody else's" in only(reset_complaints({**host(1, kubernetes=foreign), "disks": []}))
    assert "the cluster other" in only(reset_complaints({**host(1, kubernetes=other), "disks": []}))
    assert reset_complaints({**host(1), "disks": []}) == []


def test_a_reset_wants_consent_for_virtual_disks(host):
    ours = {**host(1, kubernetes={"joined": True, "cluster_name": "kraf"}), "disks": ["/var/lib/kraf/volumes/a.img"]}
    text = only(reset_complaints(ours))
    assert "a.img" in text
    assert "kraf_remove_volumes" in text
    assert reset_complaints(ours, remove=True) == []


def test_dkr_02_a_host_without_any_working_firewall_is_refused(host):
    broken = {"works": False, "error": "Failed to initialize nft"}
    text = only(host_complaints({"one": host(1, iptables={"nft": broken, "legacy": {"works": False}})}, "docker"))
    assert "Failed to initialize nft" in text


BACKENDS = [
    ((True, 0), (False, 0), "nft", "nft"),
    ((False, 0), (True, 0), "nft", "legacy"),
    ((True, 0), (True, 5), "nft", "legacy"),
    ((True, 3), (True, 1), "legacy", "nft"),
    ((True, 0), (True, 0), "legacy", "legacy"),
    ((False, 0), (False, 0), "nft", ""),
]


@pytest.mark.parametrize(("nft", "legacy", "current", "wanted"), BACKENDS)
def test_dkr_02_the_back_end_that_works_and_holds_the_rules_is_chosen(nft, legacy, current, wanted):
    tables = {"current": current}
    for name, (works, rules) in (("nft", nft), ("legacy", legacy)):
        tables[name] = {"works": works, "rules": rules}
    assert plan.iptables_backend(tables) == wanted


def test_ins_20_an_old_python_is_named_with_the_supported_range():
    versions = {"old": "3.7\r\n", "new": "3.11\r\n", "none": "sh: 1: python3: not found\r\n"}
    found = [str(error) for error in judge.python(versions, (3, 8))]
    assert len(found) == 2
    assert "3.7" in found[0]
    assert "3.9 or later" in found[0]
    assert "python3: not found" in found[1]


def test_ins_20_what_ssh_says_beside_the_version_is_no_version():
    said = "3.11\r\nWarning: Permanently added '192.0.2.1' (ED25519).\r\nShared connection to 192.0.2.1 closed.\r\n"
    assert not list(judge.python({"one": said, "two": "Warning: 192.0.2.1 is new.\r\n3.9\r\n"}, (3, 8)))


def test_ins_20_the_range_is_ansible_cores_where_that_is_narrower():
    assert "3.10 or later" in only([str(error) for error in judge.python({"one": "3.9"}, (3, 10))])


def test_ins_19_the_certificate_that_ends_first_is_found(host):
    hosts = {
        "one": host(1, kubernetes={"certificates": {"/etc/kubernetes/pki/apiserver.crt": 300.0}}),
        "two": host(2, kubernetes={"certificates": {"/var/lib/kubelet/pki/kubelet-client-current.pem": 12.5}}),
    }
    first = judge.certificate_days(hosts)
    assert first == {"days": 12.5, "host": "two", "path": "/var/lib/kubelet/pki/kubelet-client-current.pem"}
    assert judge.certificate_days({"three": host(3)}) == {}
