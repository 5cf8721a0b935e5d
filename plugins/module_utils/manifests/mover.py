# Copyright (c) 2026, kraf.edge contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The mover: a pod that lives as long as a migration, at the edge, beside the app's data.

It serves the data to the device by rsync, and a box of small files by which device and controller tell each other how
far they are, through the door and without a further call to the device. It also pulls the app's image onto the node.
"""

from __future__ import annotations

import base64
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from ..core import names
from .export import USER as SERVER
from .labels import APP, COMPONENT, EPOCH, labels
from .namespace import PULL_SECRET
from .workload import Disk, disk_volumes

RSYNC_PORT = 8730
BOX_PORT = 8731
MODULE = "data"
CONTAINER = "mover"
USER = "kraf"
ROOT = "/kraf/data"
BOX = "/kraf/box"
DISKS = "/kraf/disks"
RUN_ANNOTATION = "kraf.io/run"
CAPABILITIES = ("CHOWN", "DAC_OVERRIDE", "FOWNER", "FSETID", "MKNOD", "SETFCAP", "SETGID", "SETUID", "SYS_CHROOT")
"""What keeping owners, modes, device nodes and capabilities of files takes (capabilities(7)), and rsync's chroot."""

# Outside a chroot the daemon would rewrite absolute symbolic links and those that lead up (rsyncd.conf(5)).
# A sender that reads a file of many gigabytes says nothing meanwhile: the timeout is for dead connections only.
# What one connection has brought is durable, with its names, before the next one looks: the comparison is the last one.
_RSYNCD = f"""\
port = {RSYNC_PORT}
use chroot = yes
uid = 0
gid = 0
max connections = 8
log file = /dev/stderr
lock file = {BOX}/rsyncd.lock
[{MODULE}]
path = {ROOT}
read only = false
auth users = {USER}
secrets file = {BOX}/secrets
fake super = no
munge symlinks = no
pre-xfer exec = sync -f {ROOT} 2>&1
timeout = 1800
"""

_LIGHTTPD = f"""\
server.document-root = "{BOX}/files"
server.port = {BOX_PORT}
server.upload-dirs = ( "{BOX}/upload" )
server.modules = ( "mod_webdav" )
server.max-keep-alive-requests = 100000
server.max-keep-alive-idle = 300
server.stat-cache-engine = "disable"
mimetype.assign = ( "" => "application/octet-stream" )
webdav.activate = "enable"
"""

# $1: the run, $2: the epoch. Secret parts come from files, so that they are in no argument list.
_SERVE = f"""\
set -eu
umask 077
token=$(cat /kraf/secret/token)
mkdir -p {BOX}/files/$token {BOX}/upload
chown -R 65534:65534 {BOX}/files {BOX}/upload 2>/dev/null || true
printf '%s:%s\\n' {USER} "$token" >{BOX}/secrets
rsync --daemon --no-detach --config=/kraf/config/rsyncd.conf &
lighttpd -D -f /kraf/config/lighttpd.conf &
trap 'kill $(jobs -p) 2>/dev/null; exit 0' TERM
wait
"""

MARK = f"""\
set -eu
epoch=$1 run=$2
[ "$KRAF_RUN" = "$run" ] || {{ echo "this mover is of run $KRAF_RUN" >&2; exit 3; }}
mkdir -p {ROOT}/.kraf
exec 9>{ROOT}/.kraf/lock
flock 9
before=0
if [ -s {ROOT}/.kraf/epoch ]; then read -r found before <{ROOT}/.kraf/epoch; fi
[ "${{before:-0}}" -le "$run" ] || {{ echo "the marker is of run $before" >&2; exit 3; }}
printf '%s %s\\n' "$epoch" "$run" >{ROOT}/.kraf/epoch.new
sync {ROOT}/.kraf/epoch.new
mv {ROOT}/.kraf/epoch.new {ROOT}/.kraf/epoch
sync {ROOT}/.kraf
"""
"""Writes the marker: only by the mover's own run, never over the marker of a later run."""

PURGE = f"""\
set -eu
keep=$1 run=$2
[ "$KRAF_RUN" = "$run" ] || {{ echo "this mover is of run $KRAF_RUN" >&2; exit 3; }}
for tree in {ROOT}/[0-9]*; do
  if [ -d "$tree" ] && [ "${{tree##*/}}" != "$keep" ]; then rm -rf "$tree"; echo "${{tree##*/}}"; fi
done
"""
"""Removes all trees but the good one, and names them."""

_TUPLES = "-printf '%i %s %T@ %C@ %P\\0'"
REMEMBER = f"""\
set -eu
export LC_ALL=C
mkdir -p {ROOT}/.kraf
rm -f {ROOT}/.kraf/changed-* {BOX}/before-*
case $(stat -f -c %T {ROOT}) in ext2/ext3|xfs|btrfs|f2fs|overlayfs) ;; *) exit 0 ;; esac
sync -f {ROOT}
sure=$(($(date +%s) - 1))
for dir in {ROOT}/$1/*/; do
  name=$(basename "$dir")
  find "$dir" -type f ! -newerct "@$sure" {_TUPLES} | sort -z >{BOX}/before-"$name"
done
"""
"""Writes down inode, size and times of the files of tree $1 before they are copied; racy ones are left out."""

CHANGED = f"""\
set -eu
export LC_ALL=C
sync -f {ROOT}
text=
for dir in {ROOT}/$1/*/; do
  name=$(basename "$dir")
  [ -e {BOX}/before-"$name" ] || continue
  find "$dir" -type f {_TUPLES} | sort -z >{BOX}/now
  list={ROOT}/.kraf/changed-$name
  comm -z -13 {BOX}/before-"$name" {BOX}/now | sed -z 's/^[^ ]* [^ ]* [^ ]* [^ ]* //' >"$list"
  where=
  if [ -s "$list" ]; then where=":/.kraf/changed-$name"; fi
  text="$text${{text:+, }}\\"$name\\": \\"$where\\""
done
text="{{$text}}"
"""
"""Lists the files of tree $1 that may have changed since; leaves in $text where the lists lie, by name, as JSON."""

# Names are bytes: records end with NUL. What davfs2 calls lost+found at the top of a mount is not the server's.
_LIST = f"""\
set -eu
export LC_ALL=C
name=$1 how=$3
mkdir -p "$2"
cd "$2"
top=
if [ "${{2##*/}}" = files ] && [ "$(dirname "$(dirname "$2")")" = {DISKS} ]; then top=./lost+found; fi
sync -f .
entries() {{
  find . -mindepth 1 -path "$top" -prune -o -type d -printf 'd - %P\\0'
  if [ "$how" = auto ] && [ "$(du -s -B1 . | cut -f1)" -ge {64 << 20} ]; then
    find . -path "$top" -prune -o -type f -printf 's %s %P\\0'
  else
    find . -path "$top" -prune -o -type f -print0 | xargs -0 -r sha256sum -z \
      | sed -z 's,^\\([0-9a-f]*\\)  \\./,f \\1 ,'
  fi
}}
entries | sort -z >{BOX}/there
"""
COMPARE = f"""\
{_LIST}
base64 -d {BOX}/files/$(cat /kraf/secret/token)/disk-"$name" | sort -z >{BOX}/told
comm -z -3 {BOX}/there {BOX}/told | head -z -n 5 | tr -d '\\t' | tr '\\0' '\\n'
"""
"""Compares a directory ($2) with what the device has told of it ($1: data directory); prints what differs."""
SHOW = f"""\
{_LIST}
odd() {{ find . -mindepth 1 -path "$top" -prune -o ! -type f ! -type d -printf "$1"; }}
(cat {BOX}/there; odd 'x - %P\\0') | base64 -w0 >{BOX}/shown
dir={BOX}/files/$(cat /kraf/secret/token)
chmod 644 {BOX}/shown
mv {BOX}/shown "$dir/disk-$name"
odd '%y %P\\n' | head -n 20
find . -type f -links +1 -printf 'f %P\\n' | head -n 20
"""
"""Leaves what a directory holds for the device; prints what WebDAV does not show as it is: type, path."""
GIVE = f"""\
set -eu
[ "$KRAF_RUN" = "$2" ] || {{ echo "this mover is of run $KRAF_RUN" >&2; exit 3; }}
chown -h -R {SERVER}:{SERVER} "$1"
chmod -R u+rwX "$1"
sync -f "$1"
"""
"""Gives what an app has written to its volume's server, which has no rights of root."""

PULL = "pull"
"""Begins the names of containers that only pull an image."""
THERE, WAITING = "there", "waiting"


@dataclass(frozen=True)
class Mover:
    """A mover as it is wanted.

    Attributes:
        image: image of the collection's own.
        app_image: the app's image, to be on the node before it is needed; empty pulls nothing.
        node: where it has to run; empty leaves that to the volume. ``fits``: parts of a pod's
            spec that say which nodes can run the app, for then.
        token: shared with the device.
        data: whether the app has a volume.
        disks: data directories on volumes of the device.
        more_images: of a group, those of its further containers.
    """

    device: str
    device_uid: str
    app: str
    epoch: int
    run: int
    image: str
    token: str
    app_image: str = ""
    node: str = ""
    data: bool = True
    fits: Mapping[str, Any] = field(default_factory=dict)
    disks: tuple[Disk, ...] = ()
    more_images: tuple[str, ...] = ()

    @property
    def images(self) -> list[str]:
        """What is to be on the node before it is needed."""
        return list(dict.fromkeys(filter(None, (self.app_image, *self.more_images))))

    @property
    def name(self) -> str:
        """Name of its objects."""
        return names.mover(self.app)

    @property
    def namespace(self) -> str:
        """Namespace of the device."""
        return names.namespace(self.device)


def objects(mover: Mover) -> list[dict[str, Any]]:
    """Secret, ConfigMap, Service and pod, in the order in which they are applied."""
    return [secret(mover), configuration(mover), service(mover), pod(mover)]


def selector(app: str) -> dict[str, str]:
    """The labels of an app's movers and of what belongs to them."""
    return {APP: app, COMPONENT: "mover"}


def _object(mover: Mover, kind: str, name: str = "", **content: Any) -> dict[str, Any]:
    mine = {**labels(mover.device, mover.device_uid, mover.app), **selector(mover.app)}
    annotations = {EPOCH: str(mover.epoch), RUN_ANNOTATION: str(mover.run)}
    metadata = {"name": name or mover.name, "namespace": mover.namespace, "labels": mine, "annotations": annotations}
    return {"apiVersion": "v1", "kind": kind, "metadata": metadata, **content}


def secret(mover: Mover) -> dict[str, Any]:
    """What device and mover share."""
    return _object(mover, "Secret", type="Opaque", data={"token": base64.b64encode(mover.token.encode()).decode()})


def configuration(mover: Mover) -> dict[str, Any]:
    """Configuration of its two servers."""
    return _object(mover, "ConfigMap", data={"rsyncd.conf": _RSYNCD, "lighttpd.conf": _LIGHTTPD, "serve": _SERVE})


def service(mover: Mover) -> dict[str, Any]:
    """Its address for the door. Its pod never becomes ready: the container that pulls the image ends at once."""
    ports = [
        {"name": "rsync", "port": RSYNC_PORT, "targetPort": RSYNC_PORT, "protocol": "TCP"},
        {"name": "box", "port": BOX_PORT, "targetPort": BOX_PORT, "protocol": "TCP"},
    ]
    spec = {"selector": selector(mover.app), "ports": ports, "publishNotReadyAddresses": True}
    return _object(mover, "Service", names.mover_service(mover.app, mover.run), spec=spec)


def pod(mover: Mover) -> dict[str, Any]:
    """The pod itself."""
    mounts = [
        {"name": "config", "mountPath": "/kraf/config"},
        {"name": "secret", "mountPath": "/kraf/secret"},
        {"name": "box", "mountPath": BOX},
    ]
    volumes: list[dict[str, Any]] = [
        {"name": "config", "configMap": {"name": mover.name}},
        {"name": "secret", "secret": {"secretName": mover.name, "defaultMode": 0o400}},
        {"name": "box", "emptyDir": {}},
    ]
    if mover.data:
        mounts.append({"name": "data", "mountPath": ROOT})
        volumes.append({"name": "data", "persistentVolumeClaim": {"claimName": names.workload(mover.app)}})
    volumes += disk_volumes(mover.disks)
    mounts += [{"name": one["name"], "mountPath": f"{DISKS}/{one['name']}"} for one in disk_volumes(mover.disks)]
    serve = {
        "name": CONTAINER,
        "image": mover.image,
        "command": ["sh", "/kraf/config/serve"],
        "env": [{"name": "KRAF_RUN", "value": str(mover.run)}],
        "resources": {
            "requests": {"cpu": "50m", "memory": "32Mi"},
            "limits": {"cpu": "1", "memory": "256Mi"},
        },
        "securityContext": {
            "runAsUser": 0,
            "runAsGroup": 0,
            "allowPrivilegeEscalation": False,
            "capabilities": {"drop": ["ALL"], "add": list(CAPABILITIES)},
        },
        "volumeMounts": mounts,
    }
    spec: dict[str, Any] = {
        "restartPolicy": "Never",
        "enableServiceLinks": False,
        "automountServiceAccountToken": False,
        "imagePullSecrets": [{"name": PULL_SECRET}],
        "terminationGracePeriodSeconds": 2,
        "securityContext": {"seccompProfile": {"type": "RuntimeDefault"}},
        "containers": [serve, *(_pull(number, one) for number, one in enumerate(mover.images))],
        "volumes": volumes,
    }
    node = mover.node or next((disk.node for disk in mover.disks if disk.node), "")
    if node:
        spec["nodeSelector"] = {"kubernetes.io/hostname": node}
    else:
        spec.update(mover.fits)
    return _object(mover, "Pod", spec=spec)


def _pull(number: int, image: str) -> dict[str, Any]:
    """A container whose only use is that the node pulls its image: it names a program that no image has."""
    return {
        "name": f"{PULL}-{number}" if number else PULL,
        "image": image,
        "command": ["/.kraf-image-is-here"],
        "resources": {"requests": {"cpu": "1m", "memory": "8Mi"}, "limits": {"cpu": "10m", "memory": "16Mi"}},
        "securityContext": {"allowPrivilegeEscalation": False, "capabilities": {"drop": ["ALL"]}},
    }


def pulled(pod: dict[str, Any]) -> str:
    """State of the images in a mover's pod: ``there``, ``waiting``, or the reason why one cannot be pulled."""
    statuses = (pod.get("status") or {}).get("containerStatuses") or []
    states = [_state(status) for status in statuses if status["name"].startswith(PULL)]
    wrong = [one for one in states if one not in (THERE, WAITING)]
    return wrong[0] if wrong else THERE if states and set(states) == {THERE} else WAITING


def _state(status: Mapping[str, Any]) -> str:
    if status.get("imageID") or (status.get("state") or {}).get("terminated"):
        return THERE
    waiting = (status.get("state") or {}).get("waiting") or {}
    if waiting.get("reason") in ("ErrImagePull", "ImagePullBackOff", "InvalidImageName", "ErrImageNeverPull"):
        return str(waiting.get("message") or waiting["reason"])
    return WAITING
