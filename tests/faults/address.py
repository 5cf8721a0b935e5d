# Copyright (c) 2026, kraf.edge contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""INS-14: the control plane host comes back from a reboot with another address, and later with its own again.

The playbook ``cluster`` has to refuse and to name the one that helps; ``control_address`` moves the control plane, also
when it was killed; a second run changes nothing. The lab has to be up, with its cluster.
"""

from __future__ import annotations

import argparse
import json
import re
import signal
import sys
import time
from pathlib import Path

from tests.demo import access
from tests.demo.access import KUBECTL
from tests.lab import settings

from .lab import Lab, begun, command, until
from .run import say

HOST = "control1"
KILLED_AT = ("Make the certificates", "Let etcd listen", "Restart kubelet", "Tell etcd", "Let what speaks")
"""Tasks of role kubernetes that a play is killed in, one after the other."""


def give(was: str, address: str) -> None:
    """The host goes down, and comes up with another address; the site's names say so."""
    container = f"{access.LAB.name}-{HOST}"
    command("docker", "network", "disconnect", access.LAB.name, container)
    command("docker", "network", "connect", "--ip", address, access.LAB.name, container)
    command("docker", "restart", container)
    # The lab's own lines, which stand for the site's DNS. Those of the collection carry its name.
    edit = rf"sed -E '/kraf[.]edge/!s/^{re.escape(was)}(\s+{HOST})/{address}\1/' /etc/hosts >/tmp/hosts"
    edit += " && cat /tmp/hosts >/etc/hosts"
    for host in access.LAB.hosts:
        command("docker", "exec", f"{access.LAB.name}-{host.name}", "sh", "-c", edit)
    # By its engine: SSH knows the host by its own address only.
    up = ("docker", "exec", container, "sh", "-c", "docker info >/dev/null && systemctl is-active kubelet")
    until(lambda: command(*up).strip() == "active", 120)


def look(address: str) -> list[str]:
    """What is wrong with the cluster."""
    found = command(
        *("docker", "exec", f"{access.LAB.name}-{HOST}", "sh", "-c"),
        f"{KUBECTL} get nodes,endpoints,pods --all-namespaces -o json; ls /etc/kubernetes",
    )
    answer, end = json.JSONDecoder().raw_decode(found)
    wrong = [f"the mark of a move is left: {found[end:]}"] if "kraf-moving" in found[end:].split() else []
    for item in answer["items"]:
        kind, name = item["kind"], item["metadata"]["name"]
        if kind == "Node" and name == HOST:
            addresses = [one["address"] for one in item["status"]["addresses"] if one["type"] == "InternalIP"]
            wrong += [] if addresses == [address] else [f"node {name} has {addresses}, not {address}"]
        if kind == "Endpoints" and name == "kubernetes":
            addresses = [one["ip"] for part in item.get("subsets") or [] for one in part.get("addresses") or []]
            wrong += [] if addresses == [address] else [f"service kubernetes leads to {addresses}, not {address}"]
        if kind == "Pod" and item["status"]["phase"] not in ("Running", "Succeeded"):
            wrong.append(f"pod {item['metadata']['namespace']}/{name} is {item['status']['phase']}")
    return wrong


def move(was: str, address: str, folder: Path, kills: tuple[str, ...]) -> list[str]:
    """Give the host the address, and let the playbooks find it so."""
    say(f"{HOST}: {was} -> {address}")
    give(was, address)
    folder.mkdir(parents=True, exist_ok=True)
    moved = folder / "moved.json"
    moved.write_text(json.dumps({"kraf_control": {"hosts": {HOST: {"ansible_host": address}}}}))
    lab = Lab(access.INVENTORY, folder, moved)
    wrong: list[str] = []
    rc, said = lab.play("kraf.edge.cluster", "refused"), lab.output("refused")
    if rc == 0 or "run playbook control_address" not in said or was not in said:
        wrong.append(f"cluster ended with {rc} and does not name the playbook that helps:\n{said[-1500:]}")
    for number, task in enumerate(kills):
        log = f"killed-{number}"
        rc = lab.play("kraf.edge.control_address", log, killed=begun(task))
        say(f"  killed in {task!r}")
        if rc != -signal.SIGKILL:
            wrong.append(f"the play was to be killed in {task!r} and ended with {rc}:\n{lab.said(log)}")
    begin = time.monotonic()
    rc = lab.play("kraf.edge.control_address", "moved")
    say(f"  control_address ended with {rc} after {time.monotonic() - begin:.0f} s")
    if rc:
        return [*wrong, f"control_address ended with {rc}:\n{lab.said('moved', 30)}"]
    rc = lab.play("kraf.edge.control_address", "again")
    changed = sum(map(int, re.findall(r"changed=(\d+)", lab.output("again"))))
    if rc or changed:
        wrong.append(f"a second run ended with {rc} and changed {changed}:\n{lab.said('again', 30)}")
    return wrong + look(address)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--short", action="store_true", help="kill the play once only, on the way there")
    given = parser.parse_args()
    own = next(host.address for host in settings.from_environment().hosts if host.name == HOST)
    other = f"{own.rpartition('.')[0]}.31"
    folder = access.ROOT / "build" / access.LAB.name / "address"
    wrong = move(own, other, folder, KILLED_AT[2:3] if given.short else KILLED_AT)
    wrong += move(other, own, folder, ())
    for one in wrong:
        say(f"WRONG: {one}")
    say("the control plane moved there and back" if not wrong else f"{len(wrong)} complaints; outputs in {folder}")
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
