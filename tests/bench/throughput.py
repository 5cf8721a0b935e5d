# Copyright (c) 2026, kraf.edge contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The virtual disk's throughput: through forward and door, and through davfs2 mounted by hand on the same export.

A write counts until the whole file is at the server, a read is of a file that the mount has never seen. The ways by
hand go to the export's pod, by a route over its node: TLS that davfs2 itself speaks, and plain HTTP. All run in turn.
"""

from __future__ import annotations

import statistics
import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

from tests.demo import access, disk
from tests.demo.access import KUBECTL
from tests.demo.apps import DEVICE
from tests.demo.progress import Progress

from .idle import the_tasks
from .rows import Row

MIB = 48
# Three ways of five rounds, and what is just written, fit into the volume of 1 GiB.
ROUNDS = 5
SOURCE = "/tmp/bench-source"
BY_HAND = "/srv/bench"
HOST = f"export-{disk.VOLUME}.kraf-{DEVICE}.svc"
WAYS = ("door", "tls", "plain")

MOUNT = """
set -e
ip route replace {pod} via {node}
grep -q ' {host}$' /etc/hosts || echo '{pod} {host}' >> /etc/hosts
umask 077
for way in tls plain; do
    mkdir -p {folder}/$way {folder}/cache-$way
    chown root:davfs2 {folder}/cache-$way && chmod 775 {folder}/cache-$way && chmod 755 {folder} {folder}/$way
    {{
        sed -n '/^# BEGIN kraf.edge {volume}$/,/^# END kraf.edge {volume}$/p' /etc/davfs2/davfs2.conf |
            grep -v '^[#[]\\|^cache_dir'
        echo cache_dir {folder}/cache-$way
        echo trust_ca_cert /etc/kraf/tls/ca.crt
        echo secrets {folder}/secrets
    }} > {folder}/$way.conf
done
cat > {folder}/secrets
mount -t davfs -o conf={folder}/tls.conf https://{host}:8443/ {folder}/tls
mount -t davfs -o conf={folder}/plain.conf http://{host}:8080/ {folder}/plain
head -c {bytes} /dev/urandom > {source}
"""
UNMOUNT = """
for way in tls plain; do timeout 60 umount {folder}/$way || umount -l {folder}/$way; done 2>/dev/null
rm -rf {folder} {source}
ip route del {pod} 2>/dev/null
grep -v ' {host}$' /etc/hosts > /tmp/bench-hosts; cat /tmp/bench-hosts > /etc/hosts; rm /tmp/bench-hosts
"""
# Run on the node, where the file appears by a rename once it is whole.
ARRIVED = """
import os, time
end = time.monotonic() + 300
while time.monotonic() < end:
    try:
        if os.stat("{path}").st_size == {bytes}:
            break
    except OSError:
        pass
    time.sleep(0.005)
else:
    raise SystemExit("{path} did not come within 300 s")
print(time.time())
"""


@dataclass
class Speed:
    """MiB a second, one value a round."""

    write: list[float]
    read: list[float]


def rows(progress: Progress) -> list[Row]:
    """The figures of throughput."""
    task, _play = the_tasks()["mount"]
    account = task["kraf.edge.mount"]
    pod = access.ssh(
        "control1", f"{KUBECTL} -n kraf-{DEVICE} get pod export-{disk.VOLUME}-0 -o jsonpath='{{.status.podIP}}'"
    ).strip()
    words = {
        "pod": pod,
        "node": access.address(disk.NODE),
        "host": HOST,
        "folder": BY_HAND,
        "volume": disk.VOLUME,
        "source": SOURCE,
        "bytes": MIB * 2**20,
    }
    secrets = "".join(f"{BY_HAND}/{way} {account['username']} {account['password']}\n" for way in ("tls", "plain"))
    access.ssh(DEVICE, UNMOUNT.format(**words))
    try:
        access.ssh(DEVICE, MOUNT.format(**words), secrets.encode())
        found = _measure(progress)
    finally:
        access.ssh(DEVICE, UNMOUNT.format(**words))
        access.ssh(disk.NODE, f"rm -f {disk.FILES}/bench-*")
    result = []
    for kind in ("write", "read"):
        median = {way: statistics.median(getattr(found[way], kind)) for way in WAYS}
        of = f"{MIB} MiB, median of {ROUNDS}, device of {access.LAB.device_cpus} cores"
        result += [
            Row(f"disk_{kind}_mib_per_second", median["door"], note=f"mount, forward, door, export; {of}"),
            Row(
                f"disk_{kind}_by_hand_tls_mib_per_second",
                median["tls"],
                note="davfs2 straight to the export's TLS port",
            ),
            Row(f"disk_{kind}_by_hand_plain_mib_per_second", median["plain"], note="the same without TLS"),
            Row(f"disk_{kind}_of_tls_ratio", median["door"] / median["tls"], 0.9, most=False),
            Row(f"disk_{kind}_of_plain_ratio", median["door"] / median["plain"], 0.6, most=False),
        ]
    return result


def _measure(progress: Progress) -> dict[str, Speed]:
    folders = {"door": disk.MOUNT, "tls": f"{BY_HAND}/tls", "plain": f"{BY_HAND}/plain"}
    found = {way: Speed([], []) for way in WAYS}
    names = {(way, number): f"bench-read-{way}-{number}" for way in WAYS for number in range(ROUNDS)}
    access.ssh(
        disk.NODE,
        f"cd {disk.FILES} && for name in {' '.join(names.values())}; do head -c {MIB * 2**20} /dev/urandom > $name;"
        " chown 33:33 $name; done; sync -f .",
    )
    # Longer than davfs2 keeps a listing, so that every mount knows the files.
    time.sleep(12)
    for number in range(ROUNDS):
        # Another one goes first each time.
        for way in WAYS[number % len(WAYS) :] + WAYS[: number % len(WAYS)]:
            path = f"{folders[way]}/{names[way, number]}"
            access.ssh(DEVICE, f"ls {folders[way]} >/dev/null")
            begin, end = access.ssh(DEVICE, f"date +%s.%N; cat {path} > /dev/null; date +%s.%N").split()
            found[way].read.append(MIB / (float(end) - float(begin)))
            found[way].write.append(_write(f"{folders[way]}/bench-write-{way}-{number}"))
            progress.say(f"  {way}: read {found[way].read[-1]:.1f}, write {found[way].write[-1]:.1f} MiB/s")
            access.ssh(DEVICE, f"rm -f {folders[way]}/bench-write-{way}-{number} {path}")
    return found


def _write(path: str) -> float:
    """MiB a second from the first byte that is written to the whole file at the server."""
    arrived = ARRIVED.format(path=f"{disk.FILES}/{path.rsplit('/', 1)[1]}", bytes=MIB * 2**20)
    with ThreadPoolExecutor() as threads:
        waiting = threads.submit(access.ssh, disk.NODE, f"python3 - <<'END'\n{arrived}\nEND")
        time.sleep(1)
        begin = access.ssh(DEVICE, f"date +%s.%N; dd if={SOURCE} of={path} bs=1M status=none").strip()
        return MIB / (float(waiting.result()) - float(begin))
