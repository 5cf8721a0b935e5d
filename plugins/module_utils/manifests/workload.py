# Copyright (c) 2026, kraf.edge contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""An app at the edge: what its container on the device is, as Kubernetes objects."""

from __future__ import annotations

import base64
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from ..catalog.records import SERVICE, App
from ..core import names, sizes
from . import presence, relay
from .export import USER
from .export_files import FILES
from .labels import ARCHITECTURE, COMPONENT, EPOCH, emulates, labels
from .namespace import PULL_SECRET

GATE = "gate"
VOLUME_ROOT = "/kraf/data"
GATE_ROOT = "/kraf/gate"
FENCE_ROOT = "/kraf/fence"
BARRIER = "barrier"
"""Component of what stands in the place of a slot of a cronjob."""
TREE_ANNOTATION = "kraf.io/tree"
DEFAULT_CONTAINER = "kubectl.kubernetes.io/default-container"
"""Which one kubectl takes where none is named; otherwise the first."""

# The first word of a marker is the epoch that it opens the gate for, the second the run that wrote it. A pod that finds
# its gate open at once is none that a move waits for: it starts again, perhaps after the whole edge was away and the
# device has taken the app over (edge_lost). Then the app answers at its own port, which leads here otherwise.
WAIT = f"""\
epoch=$1 device=$2 asks=$2
trap 'exit 143' TERM
while :; do
  for marker in {VOLUME_ROOT}/.kraf/epoch {GATE_ROOT}/epoch {FENCE_ROOT}/epoch; do
    if [ -r "$marker" ] && read -r found run <"$marker" && [ "$found" = "$epoch" ]; then
      if [ -z "$asks" ] || ! curl -gs --noproxy '*' -m 2 -o /dev/null "$device"; then break 2; fi
      echo "it answers at $device: it runs on its device, and does not start here" >&2
      sleep 5
      continue 2
    fi
  done
  asks=
  sleep 0.05
done
"""

# The same for a job, which has a number of runs and not one more, whoever makes further pods of it: they are counted on
# the volume (word: epoch and runs), and kept, so that what the count says is so after a power cut.
COUNT = f"""\
most=$3 count={VOLUME_ROOT}/.kraf/runs
{WAIT}[ -d {VOLUME_ROOT}/.kraf ] || exit 0
set -eu
runs=0
if [ -r "$count" ] && read -r of found <"$count" && [ "$of" = "$epoch" ]; then runs=$found; fi
if [ "$runs" -ge "$most" ]; then echo "it has had its $most runs" >&2; exit 3; fi
printf '%s %s\\n' "$epoch" "$((runs + 1))" >"$count.new"
sync
mv "$count.new" "$count"
sync
"""


@dataclass(frozen=True)
class Health:
    """A command that ends with 0 while the app works; ``interval`` and ``timeout`` in seconds."""

    argv: tuple[str, ...]
    interval: float = 30.0
    timeout: float = 30.0
    retries: int = 3


@dataclass(frozen=True)
class Process:
    """What really runs on the device: the container's own words, not its image's.

    Attributes:
        argv: program and arguments.
        env: without what the image sets.
        user: uid of the process; None leaves the image's user. ``group`` likewise.
        stop_seconds: how long it may take to end.
        tmpfs: path and bytes (0 is no limit) of directories in memory.
        shm_bytes: size of /dev/shm; 0 leaves it as every container has it.
        files: path, content, and whether it may be executed, of files that it only reads.
        read_only_paths: where data are mounted that it only reads.
        hosts: entries of /etc/hosts, names by address.
        capabilities: of those that every container has, what it keeps although it drops others.
        sysctls: kernel parameters of its own, of those that Kubernetes counts as safe.
        health: how it says that it works.
    """

    argv: tuple[str, ...]
    env: Mapping[str, str] = field(default_factory=dict, repr=False)
    working_dir: str = ""
    user: int | None = None
    group: int | None = None
    groups: tuple[int, ...] = ()
    stop_seconds: int = 10
    tty: bool = False
    read_only: bool = False
    stdin: bool = False
    stdin_once: bool = False
    tmpfs: tuple[tuple[str, int], ...] = ()
    shm_bytes: int = 0
    files: tuple[tuple[str, bytes, bool], ...] = field(default=(), repr=False)
    read_only_paths: tuple[str, ...] = ()
    hosts: tuple[tuple[str, tuple[str, ...]], ...] = ()
    capabilities: tuple[str, ...] = ()
    dropped: tuple[str, ...] = ()
    no_new_privileges: bool = False
    sysctls: tuple[tuple[str, str], ...] = ()
    health: Health | None = None


@dataclass(frozen=True)
class Disk:
    """A data directory on a volume of the device, which the app has at the edge as it is.

    Attributes:
        name: of the data directory; ``volume`` of the volume.
        inside: path below what the volume's export serves; empty for all of it.
        node: the only node that can mount it beside its export; empty where that is left to the volume.
    """

    name: str
    volume: str
    inside: str = ""
    node: str = ""

    @property
    def path(self) -> str:
        """Path on the volume."""
        return f"{FILES}/{self.inside}" if self.inside else FILES


@dataclass(frozen=True)
class Companion:
    """What a further container of a group runs, by the member's name, and its image by digest."""

    member: str
    process: Process
    image: str


@dataclass(frozen=True)
class Workload:
    """An app at the edge, as it is wanted.

    Attributes:
        app: its row in the catalog.
        device_uid: uid of its device.
        process: what runs.
        image: reference by digest.
        gate_image: image of the collection's own, for the gate and the sidecars.
        architectures: of the image; a node of any of them can run it.
        epoch: the epoch for whose marker its gate waits.
        tree: number of the copy of the data that it uses.
        node: where it had better run, since its image is there; empty is anywhere.
        emulated: the architecture that its node has to emulate instead; empty for none.
        disks: data directories of which nothing is copied.
        companions: of a group, its further containers.
        names: of a group, by which its containers call each other: all of them are in one pod, at 127.0.0.1.
        member: of a part of a group (``parts``), whose it is; empty is the app's own.
        device_url: where clients of the device ask whether the app works; empty for one that has no such place.
    """

    app: App
    device_uid: str
    process: Process
    image: str
    gate_image: str
    architectures: tuple[str, ...]
    epoch: int
    tree: int
    node: str = ""
    emulated: str = ""
    disks: tuple[Disk, ...] = ()
    companions: tuple[Companion, ...] = ()
    names: tuple[str, ...] = ()
    member: str = ""
    device_url: str = ""

    @property
    def name(self) -> str:
        """Name of its objects."""
        return names.workload(self.app.name)

    @property
    def namespace(self) -> str:
        """Namespace of its device."""
        return names.namespace(self.app.device)

    @property
    def pod(self) -> str:
        """Name of its pod, where the name is known beforehand."""
        return f"{self.name}-0"


def parts(workload: Workload) -> list[Workload]:
    """One workload for each container: of a group more than one, each with what is this container's alone."""
    own, *others = workload.app.parts()
    found = [replace(workload, app=own, companions=())]
    for app, one in zip(others, workload.companions):
        found.append(replace(found[0], app=app, process=one.process, image=one.image, member=one.member))
    return found


def device_url(app: App, address: str) -> str:
    """Where clients of a device, at an address, ask whether an app works; empty where there is no such place."""
    port = next(
        (one.device_port for one in app.ports if app.probe and (one.port, one.protocol) == (app.probe.port, "TCP")), 0
    )
    if not app.probe or not port or not address or app.overlap:
        return ""
    return f"http://{f'[{address}]' if ':' in address else address}:{port}{app.probe.path}"


def selector(app: App, component: str = "app") -> dict[str, str]:
    """The labels of the app's own pods, or of its objects of another component."""
    return {"kraf.io/app": app.name, COMPONENT: component}


def secret_name(app: App, member: str = "") -> str:
    """Name of the Secret that holds the values of the environment, of the app's own container or of a member's."""
    return _of(f"{names.workload(app.name)}-env", member)


def files_name(app: App, member: str = "") -> str:
    """Name of the Secret that holds the files of the device that it reads, likewise."""
    return _of(f"{names.workload(app.name)}-files", member)


def secret_names(app: App) -> list[str]:
    """Names of all Secrets that its workload may have."""
    return [name for one in app.named() for name in (secret_name(app, one), files_name(app, one))]


def _of(name: str, member: str) -> str:
    # No app's name has a dot, so that no app's Secret is another one's member's.
    return f"{name}.{member}" if member else name


def gate_name(app: App) -> str:
    """Name of the ConfigMap that is the marker of an app without a volume."""
    return f"{names.workload(app.name)}-gate"


def objects(workload: Workload) -> list[dict[str, Any]]:
    """Secrets, Service and the workload itself, in the order in which they are applied."""
    secrets = []
    for part in parts(workload):
        secrets += [environment(part), *([files(part)] if part.process.files else [])]
    return [*secrets, *services(workload), running(workload)]


def _labels(workload: Workload) -> dict[str, str]:
    return {**labels(workload.app.device, workload.device_uid, workload.app.name), COMPONENT: "app"}


def _object(workload: Workload, api_version: str, kind: str, name: str, **content: Any) -> dict[str, Any]:
    metadata = {"name": name, "namespace": workload.namespace, "labels": _labels(workload)}
    return {"apiVersion": api_version, "kind": kind, "metadata": metadata, **content}


def environment(workload: Workload) -> dict[str, Any]:
    """The values of the environment: here, and nowhere else."""
    data = {key: base64.b64encode(value.encode()).decode() for key, value in sorted(workload.process.env.items())}
    return _object(workload, "v1", "Secret", secret_name(workload.app, workload.member), type="Opaque", data=data)


def files(workload: Workload) -> dict[str, Any]:
    """The content of files of the device, by their number: a path is no key of a Secret."""
    data = {_key(number): base64.b64encode(one[1]).decode() for number, one in enumerate(workload.process.files)}
    return _object(workload, "v1", "Secret", files_name(workload.app, workload.member), type="Opaque", data=data)


def _key(number: int) -> str:
    return f"file-{number}"


def services(workload: Workload) -> list[dict[str, Any]]:
    """Its Service; none of an app that nobody asks anything."""
    return [service(workload)] if workload.app.ports or presence.needed(workload.app) else []


def service(workload: Workload) -> dict[str, Any]:
    """The address by which the door finds the app.

    A single pod is published before it is ready: who may speak to it is decided by the forward, and the way to it is
    then there when it starts.
    """
    ports = [
        {
            "name": f"p{port.port}-{port.protocol.lower()}",
            "port": port.port,
            "targetPort": port.port,
            "protocol": port.protocol,
        }
        for port in workload.app.ports
    ]
    ports += [
        {"name": f"p{udp}-stream", "port": tcp, "targetPort": tcp, "protocol": "TCP"}
        for udp, tcp in relay.ports(workload.app).items()
    ]
    if presence.needed(workload.app):
        ports.append(
            {"name": presence.CONTAINER, "port": presence.PORT, "targetPort": presence.PORT, "protocol": "TCP"}
        )
    spec = {
        "type": "ClusterIP",
        "selector": selector(workload.app),
        "ports": ports,
        "publishNotReadyAddresses": not workload.app.overlap,
    }
    return _object(workload, "v1", "Service", workload.name, spec=spec)


def running(workload: Workload) -> dict[str, Any]:
    """The StatefulSet; the Job; the CronJob; or the Deployment of an app that may run on both sides."""
    match = selector(workload.app)
    spec: dict[str, Any] = {"replicas": 1, "selector": {"matchLabels": match}, "template": _template(workload)}
    if workload.app.job:
        # Suspended: it has no pod until its run resumes it, and its deadline counts from then on.
        found = _object(workload, "batch/v1", "Job", workload.name, spec={"suspend": True, **_tries(workload)})
    elif workload.app.cron:
        found = _object(workload, "batch/v1", "CronJob", workload.name, spec=_schedule(workload))
    elif workload.app.overlap:
        found = _object(workload, "apps/v1", "Deployment", workload.name, spec=spec)
    else:
        # A changed template must not restart the app by itself.
        spec.update({"serviceName": workload.name, "updateStrategy": {"type": "OnDelete"}})
        found = _object(workload, "apps/v1", "StatefulSet", workload.name, spec=spec)
    found["metadata"]["annotations"] = _annotations(workload)
    return found


def _tries(workload: Workload) -> dict[str, Any]:
    """What runs to its end, how often it is tried again, and when it is ended."""
    deadline = workload.app.deadline_seconds
    limit = {"activeDeadlineSeconds": deadline} if deadline else {}
    return {"backoffLimit": workload.app.retries, "template": _template(workload), **limit}


def _schedule(workload: Workload) -> dict[str, Any]:
    """Suspended: it begins no slot until the run that moved it there has come to its end."""
    return {
        "schedule": workload.app.schedule,
        "suspend": True,
        "concurrencyPolicy": "Forbid",
        "jobTemplate": {"metadata": {"labels": _labels(workload)}, "spec": _tries(workload)},
    }


def barrier(app: App, uid: str, cron_job: Mapping[str, Any], slot: int) -> dict[str, Any]:
    """A Job that never runs, in the place of a slot's: as long as it is there, that slot is not begun.

    Args:
        app: the cronjob's row in the catalog.
        uid: of its device.
        cron_job: its CronJob.
        slot: a minute since 1970, by which the controller names the Job of a slot.
    """
    place, spec = cron_job["metadata"], cron_job["spec"]["jobTemplate"]["spec"]
    labels_ = {**labels(app.device, uid, app.name), **selector(app, BARRIER)}
    metadata = {"name": f"{place['name']}-{slot}", "namespace": place["namespace"], "labels": labels_}
    template = {"metadata": {"labels": labels_}, "spec": spec["template"]["spec"]}
    return {
        "apiVersion": "batch/v1",
        "kind": "Job",
        "metadata": metadata,
        "spec": {"suspend": True, "template": template},
    }


def _annotations(workload: Workload) -> dict[str, str]:
    return {EPOCH: str(workload.epoch), TREE_ANNOTATION: str(workload.tree)}


def proof(workload: Workload) -> dict[str, Any]:
    """The workload's pod under another name, for the API server's judgement in a dry run.

    Of a StatefulSet's template Kubernetes 1.22 judges nothing but the labels; what is wrong with the rest would show
    only when no pod comes (ValidatePodTemplateSpecForStatefulSet).
    """
    template = _template(workload)
    found = _object(workload, "v1", "Pod", f"{workload.name}-proof", spec=template["spec"])
    found["metadata"].update(template["metadata"])
    return found


def _template(workload: Workload) -> dict[str, Any]:
    app, containers = workload.app, parts(workload)
    spec: dict[str, Any] = {
        "enableServiceLinks": False,
        "automountServiceAccountToken": False,
        "imagePullSecrets": [{"name": PULL_SECRET}],
        **nodes(workload),
        "terminationGracePeriodSeconds": max(1, *(one.process.stop_seconds for one in containers)),
        "securityContext": _pod_security([one.process for one in containers], workload.disks),
        "containers": [_container(one) for one in containers],
    }
    if app.kind != SERVICE:
        spec["restartPolicy"] = "Never"
        # A node that is away may still run it: no second one is made beside it.
        spec["tolerations"] = [
            {"key": f"node.kubernetes.io/{taint}", "operator": "Exists", "effect": "NoExecute"}
            for taint in ("not-ready", "unreachable")
        ]
    if relay.ports(app):
        spec["containers"].append(relay.container(app, workload.gate_image))
    hosts = _hosts(workload, containers)
    if hosts:
        spec["hostAliases"] = [{"ip": address, "hostnames": found} for address, found in hosts.items()]
    volumes = [volume for one in containers for volume in _own_volumes(one)]
    if not app.overlap:
        spec["initContainers"] = [_gate(workload)]
        volumes = [*_volumes(workload), *volumes]
    annotations = _annotations(workload)
    if presence.needed(app):
        spec["containers"].insert(0, presence.container(workload.gate_image, workload.epoch))
        volumes.append(presence.volume())
        annotations[DEFAULT_CONTAINER] = "app"
    if volumes:
        spec["volumes"] = volumes
    return {"metadata": {"labels": _labels(workload), "annotations": annotations}, "spec": spec}


def _hosts(workload: Workload, containers: Sequence[Workload]) -> dict[str, list[str]]:
    """Names by address, which the containers of a pod have in common."""
    pairs = [pair for one in containers for pair in one.process.hosts]
    pairs += [("127.0.0.1", workload.names)] if workload.names else []
    found: dict[str, list[str]] = {}
    for address, listed in pairs:
        found[address] = list(dict.fromkeys([*found.get(address, ()), *listed]))
    return found


def nodes(workload: Workload) -> dict[str, Any]:
    """Which nodes can run the image, and on which of them it had better run."""
    if workload.emulated:
        found: dict[str, Any] = {"nodeSelector": {emulates(workload.emulated): "true"}}
    elif len(workload.architectures) == 1:
        found = {"nodeSelector": {ARCHITECTURE: workload.architectures[0]}}
    else:
        fits = {"key": ARCHITECTURE, "operator": "In", "values": list(workload.architectures)}
        required = {"nodeSelectorTerms": [{"matchExpressions": [fits]}]}
        found = {"affinity": {"nodeAffinity": {"requiredDuringSchedulingIgnoredDuringExecution": required}}}
    if workload.node:
        here = [{"key": "kubernetes.io/hostname", "operator": "In", "values": [workload.node]}]
        preferred = [{"weight": 100, "preference": {"matchExpressions": here}}]
        affinity = found.setdefault("affinity", {}).setdefault("nodeAffinity", {})
        affinity["preferredDuringSchedulingIgnoredDuringExecution"] = preferred
    pinned = next((disk.node for disk in workload.disks if disk.node), "")
    if pinned:
        found.setdefault("nodeSelector", {})["kubernetes.io/hostname"] = pinned
    return found


def _pod_security(processes: Sequence[Process], disks: tuple[Disk, ...] = ()) -> dict[str, Any]:
    found: dict[str, Any] = {"seccompProfile": {"type": "RuntimeDefault"}}
    # Files on a volume of the device belong to the server that has stored them, and to its group.
    given = [*(group for process in processes for group in process.groups), *([USER] if disks else [])]
    groups = list(dict.fromkeys(given))
    sysctls = {name: value for process in processes for name, value in process.sysctls}
    if groups:
        found["supplementalGroups"] = groups
    if sysctls:
        found["sysctls"] = [{"name": name, "value": value} for name, value in sorted(sysctls.items())]
    return found


def _volumes(workload: Workload) -> list[dict[str, Any]]:
    if workload.app.data:
        own = {"name": "data", "persistentVolumeClaim": {"claimName": workload.name}}
        return [own, *disk_volumes(workload.disks)]
    gate = {"name": gate_name(workload.app), "optional": True}
    return [{"name": "gate", "emptyDir": {"sizeLimit": "1Mi"}}, {"name": "fence", "configMap": gate}]


def disk_volumes(disks: tuple[Disk, ...]) -> list[dict[str, Any]]:
    """The volumes of the device that a pod mounts, each once."""
    claims = sorted({names.claim(disk.volume) for disk in disks})
    return [{"name": f"disk-{one}", "persistentVolumeClaim": {"claimName": one}} for one in claims]


def _memory(workload: Workload) -> list[tuple[str, str, int]]:
    """Name of the volume, path and bytes (0 is no limit) of what lies in memory."""
    process, after = workload.process, _after(workload)
    found = [(f"tmpfs-{number}{after}", path, size) for number, (path, size) in enumerate(process.tmpfs)]
    return [*found, *([(f"shm{after}", "/dev/shm", process.shm_bytes)] if process.shm_bytes else [])]  # noqa: S108


def _after(workload: Workload) -> str:
    """What a member's volumes have behind their names."""
    return f"-of-{workload.member}" if workload.member else ""


def _own_volumes(workload: Workload) -> list[dict[str, Any]]:
    """What lies in memory, and files of the device."""
    process = workload.process
    found: list[dict[str, Any]] = [
        {"name": name, "emptyDir": {"medium": "Memory", **({"sizeLimit": str(size)} if size else {})}}
        for name, _path, size in _memory(workload)
    ]
    if process.files:
        items = [
            {"key": _key(number), "path": _key(number), "mode": 0o555 if executable else 0o444}
            for number, (_path, _content, executable) in enumerate(process.files)
        ]
        secret = {"secretName": files_name(workload.app, workload.member), "items": items}
        found.append({"name": f"files{_after(workload)}", "secret": secret})
    return found


def _mounts(workload: Workload) -> list[dict[str, Any]]:
    process = workload.process
    found: list[dict[str, Any]] = []
    disks = {disk.name: disk for disk in workload.disks}
    for data in workload.app.data:
        one: dict[str, Any] = {"name": "data", "mountPath": data.path, "subPath": f"{workload.tree}/{data.name}"}
        if data.name in disks:
            disk = disks[data.name]
            one.update(name=f"disk-{names.claim(disk.volume)}", subPath=disk.path)
        if any(f"{data.path}/".startswith(f"{path}/") for path in process.read_only_paths):
            one["readOnly"] = True
        found.append(one)
    found += [{"name": name, "mountPath": path} for name, path, _size in _memory(workload)]
    found += [
        {"name": f"files{_after(workload)}", "mountPath": path, "subPath": _key(number), "readOnly": True}
        for number, (path, _content, _executable) in enumerate(process.files)
    ]
    return found


def _gate(workload: Workload) -> dict[str, Any]:
    if workload.app.data:
        mounts = [{"name": "data", "mountPath": VOLUME_ROOT, **({} if workload.app.job else {"readOnly": True})}]
    else:
        mounts = [{"name": "gate", "mountPath": GATE_ROOT}, {"name": "fence", "mountPath": FENCE_ROOT}]
    command = ["sh", "-c", WAIT, GATE, str(workload.epoch), workload.device_url]
    security: dict[str, Any] = {"allowPrivilegeEscalation": False, "capabilities": {"drop": ["ALL"]}}
    if workload.app.job:
        # What it counts lies beside the marker, where the mover's root alone writes.
        security.update(runAsUser=0, runAsGroup=0)
        command = ["sh", "-c", COUNT, GATE, str(workload.epoch), "", str(workload.app.retries + 1)]
    return {
        "name": GATE,
        "image": workload.gate_image,
        "command": command,
        "resources": _small(),
        "securityContext": security,
        "volumeMounts": mounts,
    }


_LONGEST_PERIOD = 10
"""Seconds between two tries of the app's own check: whoever waits for the app to be ready waits as long."""


def _small() -> dict[str, Any]:
    return {"requests": {"cpu": "10m", "memory": "16Mi"}, "limits": {"cpu": "200m", "memory": "64Mi"}}


def _container(workload: Workload) -> dict[str, Any]:
    app, process = workload.app, workload.process
    found: dict[str, Any] = {
        "name": workload.member or "app",
        "image": workload.image,
        "command": [_literal(one) for one in process.argv[:1]],
        "args": [_literal(one) for one in process.argv[1:]],
        "envFrom": [{"secretRef": {"name": secret_name(app, workload.member)}}],
        "ports": [{"containerPort": port.port, "protocol": port.protocol} for port in app.ports],
        "resources": _resources(app),
        "securityContext": _container_security(process),
        "readinessProbe": None if app.kind != SERVICE else _probe(app, process.health),
        "volumeMounts": _mounts(workload),
    }
    if process.working_dir:
        found["workingDir"] = process.working_dir
    for key in ("tty", "stdin"):
        if getattr(process, key):
            found[key] = True
    if process.stdin and process.stdin_once:
        found["stdinOnce"] = True
    return {key: value for key, value in found.items() if value not in ([], {}, None)}


def _literal(argument: str) -> str:
    """An argument that Kubernetes leaves as it is: it would put variables in the place of $(NAME), Docker does not."""
    return argument.replace("$", "$$")


def _container_security(process: Process) -> dict[str, Any]:
    found: dict[str, Any] = {}
    if process.user is not None:
        found["runAsUser"] = process.user
    if process.group is not None:
        found["runAsGroup"] = process.group
    if process.read_only:
        found["readOnlyRootFilesystem"] = True
    if process.no_new_privileges:
        found["allowPrivilegeEscalation"] = False
    wanted = {"add": list(process.capabilities), "drop": list(process.dropped)}
    if process.dropped:
        found["capabilities"] = {key: value for key, value in wanted.items() if value}
    return found


def _resources(app: App) -> dict[str, Any]:
    """Limits as declared; what is asked for is little, so that the app fits where it would on its device."""
    limits = {key: value for key, value in (("cpu", app.cpu), ("memory", app.memory)) if value}
    requests = {}
    if app.cpu and sizes.millicores(app.cpu) < 50:
        requests["cpu"] = app.cpu
    if app.memory and sizes.from_kubernetes(app.memory) < 64 * sizes.UNITS["Mi"]:
        requests["memory"] = app.memory
    small = {"cpu": "50m", "memory": "64Mi"}
    return {"limits": limits, "requests": {**small, **requests}} if limits else {}


def _probe(app: App, health: Health | None) -> dict[str, Any] | None:
    timing = {"periodSeconds": 1, "timeoutSeconds": 2, "failureThreshold": 3}
    if app.probe:
        return {"httpGet": {"path": app.probe.path, "port": app.probe.port}, **timing}
    if health:
        timing = {
            "periodSeconds": min(_LONGEST_PERIOD, max(1, round(health.interval))),
            "timeoutSeconds": max(1, math.ceil(health.timeout)),
            "failureThreshold": max(1, health.retries),
        }
        return {"exec": {"command": [_literal(one) for one in health.argv]}, **timing}
    tcp = [port.port for port in app.ports if port.protocol == "TCP"]
    return {"tcpSocket": {"port": tcp[0]}, **timing} if tcp else None


def fence(app: App, device_uid: str, epoch: int, run: int, resource_version: str = "") -> dict[str, Any]:
    """The marker of an app without a volume: for pods that come later than the one that was waiting."""
    mine = {**labels(app.device, device_uid, app.name), COMPONENT: "app"}
    metadata = {"name": gate_name(app), "namespace": names.namespace(app.device), "labels": mine}
    if resource_version:
        metadata["resourceVersion"] = resource_version
    return {"apiVersion": "v1", "kind": "ConfigMap", "metadata": metadata, "data": {"epoch": f"{epoch} {run}\n"}}
