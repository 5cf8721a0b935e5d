"""The device and its virtual disk after the export's pod was killed under a writer, and after the device's reboot."""

from __future__ import annotations

import hashlib
import importlib.util
import json
from pathlib import Path

from testinfra.host import Host

testinfra_hosts = ["ansible://pi1"]

MOUNT = "/srv/kraf/photos"
COUNT = 200
SPEC = importlib.util.spec_from_file_location("writer", Path(__file__).parents[1] / "files/writer.py")
assert SPEC is not None
assert SPEC.loader is not None
writer = importlib.util.module_from_spec(SPEC)
SPEC.loader.exec_module(writer)


def test_the_writer_saw_no_error_while_the_export_was_killed_twice(host: Host) -> None:
    seen = json.loads(host.file("/var/tmp/kraf-writer.json").content_string)
    assert seen["errors"] == []
    assert seen["written"] == COUNT


def test_every_file_is_right_after_the_reboot(host: Host) -> None:
    lines = host.check_output(f"cd {MOUNT}/killed && sha256sum f*").splitlines()
    found = {name: digest for digest, name in (line.split() for line in lines)}
    wanted = {f"f{number:04d}": hashlib.sha256(writer.content(number)).hexdigest() for number in range(COUNT)}
    assert found == wanted


def test_the_disk_is_mounted_and_says_its_true_size(host: Host) -> None:
    host.check_output(f"ls {MOUNT}")
    kind, size = host.check_output(f"df --block-size=1 --output=fstype,size {MOUNT} | tail -n 1").split()
    assert kind == "fuse"
    # What the file system itself takes is not the device's to use.
    assert 0.9 * 2**30 <= int(size) <= 2**30


def test_nothing_of_the_disk_waits_in_lost_and_found(host: Host) -> None:
    assert host.check_output(f"find {MOUNT}/lost+found -type f | wc -l") == "0"


def test_secrets_on_the_device_are_readable_by_root_alone(host: Host) -> None:
    assert host.file("/etc/kraf/tls/device.pem").mode == 0o600
    assert host.check_output("find /etc/davfs2/secrets -perm /077") == ""


def test_no_password_stands_in_a_command_line(host: Host) -> None:
    secrets = host.file("/etc/davfs2/secrets").content_string
    passwords = {line.split()[-1].strip('"') for line in secrets.splitlines() if line and not line.startswith("#")}
    assert passwords
    running = host.check_output("cat /proc/[0-9]*/cmdline | tr '\\0' ' '")
    assert [password for password in passwords if password in running] == []
