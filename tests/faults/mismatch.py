# Copyright (c) 2026, kraf.edge contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Device and cluster tell different stories: a re-flashed device, a restored etcd, a deleted Placement, a deleted
namespace.

Each is shown with what both sides say, and refused before anything is changed, in both directions and by the playbook
``standby``. etcd is restored from a snapshot as the operator's guide has it, to before a move, and back. The lab has to
be up, with its cluster.
"""

from __future__ import annotations

import json
import sys
import time

from tests.demo import access
from tests.demo.access import KUBECTL

from .lab import CONTROL, DEVICE, Lab, until
from .lost import Checks
from .run import LEDGER
from .writer import numbers

NAME = LEDGER.name
NAMESPACE = f"kraf-{DEVICE}"
RECORD = f"/var/lib/kraf/placements/{NAME}.json"
PLACEMENT = f"{KUBECTL} -n {NAMESPACE}"
ABOUT = ("resourceVersion", "uid", "creationTimestamp", "generation", "managedFields")


_ETCDCTL = (
    "etcdctl --endpoints https://127.0.0.1:2379 --cacert /etc/kubernetes/pki/etcd/ca.crt "
    "--cert /etc/kubernetes/pki/etcd/server.crt --key /etc/kubernetes/pki/etcd/server.key"
)
_SAVE = f"{KUBECTL} -n kube-system exec etcd-{CONTROL} -- {_ETCDCTL} snapshot save /var/lib/etcd/{{name}}.db"
_RESTORE = """
set -eu
image=$(docker inspect -f '{{{{.Config.Image}}}}' $(docker ps -q -f label=io.kubernetes.container.name=etcd))
peer=$(sed -n 's/.*--initial-advertise-peer-urls=//p' /etc/kubernetes/manifests/etcd.yaml)
mkdir -p /root/manifests
mv /etc/kubernetes/manifests/etcd.yaml /etc/kubernetes/manifests/kube-*.yaml /root/manifests
for name in etcd kube-apiserver kube-controller-manager kube-scheduler; do
    while [ -n "$(docker ps -q -f label=io.kubernetes.container.name=$name)" ]; do sleep 1; done
done
cp /var/lib/etcd/*.db /root/manifests
docker run --rm -v /var/lib:/var/lib -v /root/manifests:/from "$image" etcdctl snapshot restore /from/{name}.db \
    --name {host} --initial-cluster "{host}=$peer" --initial-advertise-peer-urls "$peer" \
    --data-dir /var/lib/etcd-restored
rm -rf /var/lib/etcd && mv /var/lib/etcd-restored /var/lib/etcd
cp /root/manifests/*.db /var/lib/etcd
mv /root/manifests/*.yaml /etc/kubernetes/manifests
systemctl restart kubelet
"""


class Stories(Checks):
    """The stories, on a lab that is up."""

    def __init__(self, lab: Lab) -> None:
        super().__init__()
        self.lab = lab

    def refused(self, what: str, *words: str) -> None:
        """No run acts, each says why, and both sides are as before."""
        before = self.lab.look(LEDGER)
        for number, (playbook, to) in enumerate(
            (("kraf.edge.migrate", "edge"), ("kraf.edge.migrate", "device"), ("kraf.edge.standby", "edge"))
        ):
            log = f"{what.replace(' ', '-')}-{number}"
            rc = self.lab.play(playbook, log, kraf_apps=[f"{DEVICE}/{NAME}"], kraf_to=to)
            said = self.lab.output(log)
            missing = [one for one in words if one not in said]
            self.check(f"{what}: {playbook} to the {to} is refused and says so", (rc, missing), (2, []))
        after = self.lab.look(LEDGER)
        same = (after.running, after.policy, after.pods, after.workloads, after.forward, after.device)
        was = (before.running, before.policy, before.pods, before.workloads, before.forward, before.device)
        self.check(f"{what}: nothing was changed", (*same, after.placement), (*was, before.placement))

    def placement(self) -> dict[str, object]:
        """The Placement as it could be applied again."""
        found = json.loads(access.ssh(CONTROL, f"{PLACEMENT} get placements.kraf.io {NAME} -o json"))
        found["metadata"] = {key: value for key, value in found["metadata"].items() if key not in ABOUT}
        return dict(found)

    def put(self, placement: dict[str, object]) -> None:
        """Put a Placement there in place of the one that is."""
        access.ssh(CONTROL, f"{PLACEMENT} delete placements.kraf.io {NAME} --ignore-not-found")
        access.ssh(CONTROL, f"{PLACEMENT} create -f -", stdin=json.dumps(placement).encode())

    def save(self, name: str) -> None:
        """A snapshot of etcd."""
        access.ssh(CONTROL, _SAVE.format(name=name))

    def restore(self, name: str) -> None:
        """etcd as it was then. What others have seen since is newer than what it says: they begin anew."""
        access.ssh(CONTROL, _RESTORE.format(name=name, host=CONTROL))
        until(lambda: access.ssh(CONTROL, f"{KUBECTL} get --raw /readyz").strip() == "ok")
        for host in access.LAB.hosts:
            if not host.is_device:
                access.ssh(host.name, "systemctl restart kubelet")
        ready = f"{KUBECTL} wait --for=condition=Ready --timeout=60s node --all && echo yes"
        until(lambda: access.ssh(CONTROL, ready, timeout=90).strip().endswith("yes"))
        # Nodes and pods are as the snapshot has them until each kubelet has told.
        time.sleep(60)

    def etcd(self) -> None:
        """etcd is restored to before the app was moved, and then to after it."""
        self.lab.deploy(LEDGER)
        self.check("the app is on the device", self.lab.move(LEDGER, "device", "etcd-begin"), 0)
        before = self.lab.look(LEDGER).placement
        self.save("before")
        self.check("it moves to the edge", self.lab.move(LEDGER, "edge", "etcd-move"), 0)
        log = numbers(self.lab.log_of(LEDGER))
        self.save("after")
        self.restore("before")
        self.check("the cluster does not know of the move", self.lab.look(LEDGER).placement, before)
        told = f"the device says owner edge, epoch {before['epoch'] + 1}, idle"
        self.refused("etcd of before", f"the Placement says owner device, epoch {before['epoch']}", told)
        self.restore("after")
        until(lambda: numbers(self.lab.log_of(LEDGER)) == log)
        self.check("with the etcd of after it moves back", self.lab.move(LEDGER, "device", "etcd-back"), 0)
        self.check("its data are what they were", numbers(self.lab.log_of(LEDGER)), log)

    def run(self) -> None:
        """All of them, one after the other."""
        self.etcd()
        self.lab.deploy(LEDGER)
        self.check("the app is at the edge", self.lab.move(LEDGER, "edge", "begin"), 0)
        good = self.placement()
        epoch = int(good["spec"]["epoch"])  # type: ignore[index]

        access.ssh(DEVICE, f"mv {RECORD} /root/kept.json")
        self.refused("device written anew", f"owner edge, epoch {epoch}", "the device says owner device, epoch 1, idle")
        access.ssh(DEVICE, f"mv /root/kept.json {RECORD}")

        access.ssh(CONTROL, f"{PLACEMENT} delete placements.kraf.io {NAME}")
        told = f"the device says owner edge, epoch {epoch}, idle"
        self.refused(
            "Placement deleted", f"the edge has its workload of epoch {epoch}, but there is no Placement", told
        )

        spec = {**good["spec"], "owner": "device", "epoch": epoch - 1}  # type: ignore[dict-item]
        self.put({**good, "spec": spec})
        self.refused("etcd restored", f"the Placement says owner device, epoch {epoch - 1}", told)

        self.put(good)
        self.check("with its own story the app moves back", self.lab.move(LEDGER, "device", "back"), 0)
        log = numbers(self.lab.log_of(LEDGER))

        access.ssh(CONTROL, f"{KUBECTL} delete namespace {NAMESPACE} --timeout=120s", timeout=150)
        self.refused_without_namespace(epoch + 1)
        self.check("the device is brought in again", self.lab.play("kraf.edge.device", "again"), 0)
        self.refused(
            "namespace deleted", f"there is no Placement; the device says owner device, epoch {epoch + 1}, idle"
        )
        access.ssh(DEVICE, f"rm {RECORD}")
        # The volume's file outlives the namespace, and with it the number of the last run.
        rc = self.lab.move(LEDGER, "edge", "outrun")
        said = "of a Placement that was deleted" in self.lab.output("outrun")
        side = self.lab.look(LEDGER)
        self.check(
            "an old volume is found before clients wait",
            (rc, said, side.running, side.forward),
            (2, True, True, "device"),
        )
        self.check("once the device's file is corrected, it moves", self.lab.move(LEDGER, "edge", "corrected"), 0)
        self.check("and back", self.lab.move(LEDGER, "device", "corrected-back"), 0)
        self.check("its data are what they were", numbers(self.lab.log_of(LEDGER)), log)

    def refused_without_namespace(self, epoch: int) -> None:
        """Without the device's namespace not even the door knows the device; the app goes on where it is."""
        rc = self.lab.move(LEDGER, "edge", "no-namespace")
        said = f"epoch {epoch}, idle" in self.lab.output("no-namespace")
        self.check("namespace deleted: refused, both sides shown", (rc, said), (2, True))
        self.check("namespace deleted: the app runs on its device", self.lab.look(LEDGER).running, True)


def main() -> int:
    """Run it; the exit status is 1 when something was wrong."""
    stories = Stories(Lab(access.INVENTORY.resolve(), access.ROOT / "build" / access.LAB.name / "mismatch"))
    stories.run()
    return stories.end(stories.lab.logs)


if __name__ == "__main__":
    sys.exit(main())
