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


def test_dav_05_a_container_that_was_there_before_the_mount_wrote_to_the_disk(host: Host) -> None:
    assert host.check_output(f"cat {MOUNT}/first") == "first"


def test_dav_05_a_container_that_starts_at_boot_gets_the_disk(host: Host) -> None:
    assert host.check_output(f"cat {MOUNT}/boot /proc/sys/kernel/random/boot_id | uniq | wc -l") == "1"


LARGE = """
import base64, hashlib, http.client, os, shlex, sys
mount, sent, got = sys.argv[1], hashlib.sha256(), hashlib.sha256()
with open(mount + "/large", "wb") as file:
    for number in range(200):
        part = os.urandom(2**20)
        sent.update(part)
        file.write(part)
lines = [shlex.split(line) for line in open("/etc/davfs2/secrets") if line.startswith('"' + mount + '"')]
url = [line.split()[0] for line in open("/proc/mounts") if line.split()[1] == mount and "http" in line][0]
token = base64.b64encode(":".join(lines[0][1:]).encode()).decode()
for _try in range(60):
    connection = http.client.HTTPConnection(url.split("/")[2], timeout=60)
    connection.request("GET", "/large", headers={"Authorization": "Basic " + token})
    answer = connection.getresponse()
    if answer.status == 200:
        break
    __import__("time").sleep(1)
while part := answer.read(2**20):
    got.update(part)
print(sent.hexdigest() == got.hexdigest())
os.unlink(mount + "/large")
"""


def test_wds_01_200_mib_come_whole_through_mount_and_door(host: Host) -> None:
    assert host.check_output("python3 -c %s %s", LARGE, MOUNT) == "True"
