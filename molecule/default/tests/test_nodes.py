"""What the roles leave on every node, the rebooted one included."""

from __future__ import annotations

import json

import pytest
from testinfra.host import Host

testinfra_hosts = ["ansible://kraf_control", "ansible://kraf_workers"]


@pytest.mark.parametrize("unit", ["docker", "kubelet"])
def test_services_run_and_start_at_boot(host: Host, unit: str) -> None:
    service = host.service(unit)
    assert service.is_running
    assert service.is_enabled


def test_docker_is_20_10(host: Host) -> None:
    assert "Server Version: 20.10." in host.check_output("docker info")


def test_ins_06_docker_and_kubelet_use_one_cgroup_driver(host: Host) -> None:
    assert "Cgroup Driver: systemd" in host.check_output("docker info")
    assert "cgroupDriver: systemd" in host.file("/var/lib/kubelet/config.yaml").content_string


def test_logs_of_containers_are_limited(host: Host) -> None:
    settings = json.loads(host.file("/etc/docker/daemon.json").content_string)
    assert settings["log-opts"]["max-size"]


def test_ins_16_an_upgrade_of_the_distribution_does_not_move_docker(host: Host) -> None:
    assert "docker.io" in host.check_output("apt-mark showhold").split()


def test_secrets_of_kubernetes_are_readable_by_root_alone(host: Host) -> None:
    open_to_others = host.check_output(
        "find /etc/kubernetes -name '*.conf' -not -name resolv.conf -perm /077 -o -name '*.key' -perm /077"
    )
    assert open_to_others == ""


ENDING = """
own=/var/lib/kubelet/pki/kubelet-client-current.pem
for file in $own $(find /etc/kubernetes/pki -name '*.crt') /etc/kubernetes/*.conf; do
    case $file in
        *.conf) text=$(sed -n 's/.*client-certificate-data: //p' "$file" | base64 -d) ;;
        *) text=$(cat "$file") ;;
    esac
    [ -z "$text" ] || echo "$text" | openssl x509 -noout -checkend 25920000 >/dev/null || echo "$file"
done
"""


def test_ins_19_after_all_had_ended_no_certificate_ends_within_300_days(host: Host) -> None:
    assert host.check_output(ENDING) == ""
