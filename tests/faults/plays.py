# Copyright (c) 2026, kraf.edge contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Kills every playbook again and again, each time it has changed a little more, until it comes to its end.

From bare hosts to a cluster, a disk on the device, new certificates, the device taken out and brought in again, and
back to bare hosts: then a further run changes nothing, and hosts are as they were found. The lab has to be up, and no
playbook may have run on it (``make lab``); ``migrate`` and ``control_address`` have harnesses of their own.
"""

from __future__ import annotations

import argparse
import re
import signal
import sys
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from tests.demo import access
from tests.demo.access import KUBECTL

from .lab import CHANGED, CONTROL, DEVICE, Lab, changed, command, remains
from .run import say

RUNS = 80
"""More runs than this come to no end."""


@dataclass(frozen=True)
class Job:
    """A playbook, killed on its way.

    Attributes:
        name: of the playbook, and of its outputs.
        inputs: its variables.
        every: changes after which it is killed.
        forced: variables that make each run do everything anew; such a run is killed a bit later each time.
        look: a command on the control plane host that shows what is wrong, by saying anything.
    """

    name: str
    inputs: Mapping[str, Any] = field(default_factory=dict)
    every: int = 3
    forced: Mapping[str, Any] = field(default_factory=dict)
    look: str = ""


_KUBECTL = f"{KUBECTL} --cache-dir /tmp/kubectl-cache"
"""Root's home is among what is compared at the end."""
HEALTHY = (
    f"{_KUBECTL} get nodes --no-headers | grep -vw Ready; "
    f"{_KUBECTL} get pods --all-namespaces --no-headers | grep -vwE 'Running|Completed'; true"
)
JOBS = (
    Job("cluster", every=2, look=HEALTHY),
    Job("device", every=2),
    Job("volume", {"kraf_device": DEVICE, "kraf_volume": "photos"}, every=1, look=HEALTHY),
    Job("certificates_renew", forced={"kraf_certificate_days": 3650}, look=HEALTHY),
    Job(
        "device_remove",
        {"kraf_device": DEVICE, "kraf_device_remove_confirm": DEVICE, "kraf_remove_volumes": "true"},
        every=1,
        look=remains(DEVICE, _KUBECTL),
    ),
    Job("reset", {"kraf_reset_confirm": access.LAB.name}, every=2),
)

PASSING = (
    *("/var/log/", "/var/cache/", "/var/lib/apt/", "/var/lib/dpkg/", "/var/lib/systemd/", "/run/", "/tmp/"),
    *("/var/tmp/", "/root/.ansible", "/etc/ld.so.cache", "/usr/share/mime/"),
)
"""Where any use of a host leaves traces: logs, caches, what package managers keep."""


def traces(host: str) -> set[str]:
    """What differs on a host from the image that it was made of, as far as the collection may have done it."""
    found = set()
    for line in command("docker", "diff", f"{access.LAB.name}-{host}").splitlines():
        kind, _space, path = line.partition(" ")
        # A folder counts as changed when anything in it is.
        if not path.startswith(PASSING) and "__pycache__" not in path and kind != "C":
            found.add(line)
    state = access.ssh(host, _STATE, timeout=60).splitlines()
    return found | {line.strip() for line in state if line.strip() and not _THEIR_OWN.search(line)}


_THEIR_OWN = re.compile(r"kubepods|/etc/machine-id|DOCKER_OUTPUT|DOCKER_POSTROUTING|127\.0\.0\.11")
"""Slices that last until the next boot, and what each container of the lab has from its engine."""


_STATE = """
find /etc -xdev -type f -not -name '*-' -not -path '/etc/mtab' -exec sha256sum {} + | sort -k 2
dpkg-query -W -f '${Package} ${Status}\\n'
systemctl list-unit-files --no-legend --no-pager | awk '{print "unit", $1, $2}'
ip -brief link | awk '{print "link", $1}' | sed 's/@.*//'
nft list tables 2>/dev/null | sed 's/^/nft /'
iptables-save 2>/dev/null | grep -v '^[#:*]' | grep -v COMMIT
for dir in /var/lib/docker /var/lib/kubelet /var/lib/etcd /var/lib/kraf /opt/cni /etc/cni; do
    [ -z "$(ls -A "$dir" 2>/dev/null)" ] || echo "$dir is not empty"
done
true
"""


def hammer(lab: Lab, job: Job) -> list[str]:
    """Kill the playbook on its way until it ends, then run it once more; what was wrong."""
    begin, wrong, kills = time.monotonic(), list[str](), 0
    playbook = f"kraf.edge.{job.name}"
    while True:
        log, limit = f"{job.name}-{kills}", job.every * (kills + 1 if job.forced else 1)
        inputs = {**job.inputs, **job.forced}
        rc = lab.play(playbook, log, killed=changed(limit), **inputs)
        if rc != -signal.SIGKILL:
            break
        kills += 1
        say(f"  {job.name} killed after {len(CHANGED.findall(lab.output(log)))} changes, in {_task(lab.output(log))!r}")
        if kills == RUNS:
            return [*wrong, f"{job.name} came to no end in {RUNS} runs"]
    if rc:
        wrong.append(f"{job.name}, killed {kills} times, then ended with {rc}:\n{lab.said(log, 40)}")
        return wrong
    if not kills:
        wrong.append(f"{job.name} was not killed once")
    rc = lab.play(playbook, f"{job.name}-again", **job.inputs)
    more = sum(map(int, re.findall(r"changed=(\d+)", lab.output(f"{job.name}-again"))))
    if rc or more:
        wrong.append(f"a further run of {job.name} ended with {rc} and changed {more}")
    if job.look:
        wrong += [f"after {job.name}: {line}" for line in access.ssh(CONTROL, job.look, timeout=60).splitlines()]
    seconds = time.monotonic() - begin
    say(f"{'WRONG' if wrong else 'ok':<6}{job.name}: killed {kills} times, {seconds:.0f} s")
    return wrong


def _task(output: str) -> str:
    return (re.findall(r"^TASK \[(.*?)\]", output, re.MULTILINE) or ["?"])[-1]


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("jobs", nargs="*", help=f"some of {', '.join(job.name for job in JOBS)}; all, in order")
    given = parser.parse_args()
    folder = access.ROOT / "build" / access.LAB.name
    lab, wrong = Lab(access.INVENTORY.resolve(), folder / "plays"), list[str]()
    chosen = [job for job in JOBS if not given.jobs or job.name in given.jobs]
    hosts = [host.name for host in access.LAB.hosts if not host.is_device]
    # A host on which nothing has run yet is the measure for one that has been reset.
    whole = len(chosen) == len(JOBS)
    before = {host: traces(host) for host in hosts} if whole else {}
    for job in chosen:
        complaints = hammer(lab, job)
        wrong += complaints
        if complaints:
            break
    else:
        for host, found in before.items():
            now = traces(host)
            wrong += [f"{host} has more than before: {line}" for line in sorted(now - found)]
            wrong += [f"{host} had: {line}" for line in sorted(found - now)]
    for one in wrong:
        say(f"WRONG: {one}")
    say(f"{len(wrong)} complaints; outputs in {lab.logs}")
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
