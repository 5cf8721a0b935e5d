"""What roles docker and kubernetes leave on hosts, and what they keep away from them; field cases by their ids."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path

from testinfra.host import Host

testinfra_hosts = ["ansible://kraf_control", "ansible://kraf_workers"]


def test_ins_04_nothing_turns_swap_on(host: Host) -> None:
    assert host.check_output("sed -n '/^[^#].*[[:space:]]swap[[:space:]]/p' /etc/fstab") == ""
    units = host.check_output("systemctl list-units --type=swap --state=active --no-legend --plain")
    assert units == ""


def test_containers_are_stopped_when_the_host_goes_down_and_not_before(host: Host) -> None:
    assert host.service("kraf-containers").is_running
    assert host.service("kraf-containers").is_enabled
    refused = host.run("systemctl stop kraf-containers")
    assert refused.rc != 0


def test_ins_11_the_hosts_proxy_does_not_reach_the_control_plane(host: Host) -> None:
    found = host.run("grep --recursive --ignore-case --extended-regexp 'https?_proxy' /etc/kubernetes/manifests")
    assert found.stdout == ""


def test_ins_14_the_control_plane_goes_by_a_name_and_its_certificate_holds_name_and_address(host: Host) -> None:
    configuration = host.file("/etc/kubernetes/kubelet.conf").content_string
    assert "server: https://control1:6443" in configuration
    certificate = host.file("/etc/kubernetes/pki/apiserver.crt")
    if certificate.exists:
        names = host.check_output("openssl x509 -noout -ext subjectAltName -in %s", certificate.path)
        address = host.check_output(
            "sed -n 's/.*--advertise-address=//p' /etc/kubernetes/manifests/kube-apiserver.yaml"
        )
        assert "DNS:control1" in names
        assert f"IP Address:{address}" in names


def test_ins_15_no_token_outlives_the_installation_by_more_than_a_quarter_of_an_hour(host: Host) -> None:
    configuration = host.file("/etc/kubernetes/kraf-kubeadm.yaml")
    if configuration.exists:
        assert "ttl: 15m" in configuration.content_string
        assert configuration.mode == 0o600
    assert not host.file("/etc/kubernetes/bootstrap-kubelet.conf").exists


def test_dkr_05_the_owners_settings_of_docker_are_still_there(host: Host) -> None:
    settings = json.loads(host.file("/etc/docker/daemon.json").content_string)
    before = host.file("/var/lib/kraf/installed/daemon.json").content_string
    owners = json.loads(before) if before.strip() else {}
    assert {key: settings[key] for key in owners} == owners


def test_ins_07_the_owners_settings_of_containerd_are_still_there(host: Host) -> None:
    name = host.check_output("cat /etc/hostname")
    before = (Path(__file__).parents[1] / f"files/containerd/{name}.toml").read_bytes()
    assert host.file("/etc/containerd/config.toml").sha256sum == hashlib.sha256(before).hexdigest()


def test_containers_survive_a_restart_of_docker(host: Host) -> None:
    assert "Live Restore Enabled: true" in host.check_output("docker info")


def test_pods_get_the_sites_real_name_servers(host: Host) -> None:
    servers = host.file("/etc/kubernetes/resolv.conf").content_string
    assert "nameserver " in servers
    assert "nameserver 127." not in servers
    assert "resolvConf: /etc/kubernetes/resolv.conf" in host.file("/var/lib/kubelet/config.yaml").content_string


def test_programs_are_the_ones_of_the_wanted_release(host: Host) -> None:
    assert host.check_output("/usr/local/bin/kubelet --version") == "Kubernetes v1.22.9"
