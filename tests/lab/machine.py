"""What the lab changes on the machine: each change is recorded before it is made, and undone from that record."""

from __future__ import annotations

import ipaddress
import json
import os
import shutil
from collections.abc import Sequence
from pathlib import Path

from .settings import Settings
from .steps import LabError, output, run, say, write

NETNS = Path("/var/run/netns")
MODULES = ("overlay", "br_netfilter", "vxlan", "loop", "fuse", "ip_tables", "ip_set", "xt_conntrack", "xfs")

# What the lab sets: several hosts with systemd and kubelet share the machine's limits.
SYSCTLS = {
    "net.ipv4.ip_forward": 1,
    "fs.inotify.max_user_instances": 8192,
    "fs.inotify.max_user_watches": 524288,
}
# What kubelet sets in its host, and the hosts share with the machine; put back at the end.
SHARED_SYSCTLS = (
    "vm.overcommit_memory",
    "vm.panic_on_oom",
    "kernel.panic",
    "kernel.panic_on_oops",
    "kernel.keys.root_maxkeys",
    "kernel.keys.root_maxbytes",
)

# Machine package of each tool that the lab runs.
TOOLS = {
    "debootstrap": "debootstrap",
    "ip": "iproute2",
    "iptables": "iptables",
    "nsenter": "util-linux",
    "gcc": "gcc",
    "ssh-keygen": "openssh-client",
    "curl": "curl",
    "losetup": "mount",
}


def sysctl_path(name: str) -> Path:
    return Path("/proc/sys") / name.replace(".", "/")


class Changes:
    """The record: what was changed, with what it takes to undo it."""

    def __init__(self, settings: Settings) -> None:
        self.path = settings.state / "machine.json"
        self.entries: list[dict[str, str]] = []
        if self.path.exists():
            self.entries = json.loads(self.path.read_text(encoding="utf-8"))

    def add(self, kind: str, name: str, old: str = "") -> None:
        """Records a change, once: the first record holds the value from before the lab."""
        if not any(entry["kind"] == kind and entry["name"] == name for entry in self.entries):
            self.entries.append({"kind": kind, "name": name, "old": old})
            self.save()

    def of(self, kind: str) -> list[dict[str, str]]:
        return [entry for entry in self.entries if entry["kind"] == kind]

    def forget(self, kind: str) -> None:
        self.entries = [entry for entry in self.entries if entry["kind"] != kind]
        self.save()

    def save(self) -> None:
        write(self.path, json.dumps(self.entries, indent=1) + "\n")

    def lines(self) -> list[str]:
        """What was changed, in words."""
        words = {
            "sysctl": "sysctl {name} set, {old} before",
            "shared-sysctl": "sysctl {name} may be set by a kubelet in the lab, {old} before",
            "module": "kernel module {name} loaded",
            "namespace": "network namespace {name}, with the veth pair {name}0, {name}1",
            "rule": "iptables rule {name}",
            "route": "route {name}",
            "package": "Debian package {name} installed (stays)",
        }
        return [words[entry["kind"]].format(**entry) for entry in self.entries]


def install_tools(changes: Changes) -> None:
    """Installs Debian packages whose tools the machine lacks. No service is among them."""
    missing = sorted({package for tool, package in TOOLS.items() if not shutil.which(tool)})
    if not missing:
        return
    if not shutil.which("apt-get"):
        raise LabError(
            f"missing on this machine: {', '.join(missing)}; install them, the lab can do it only with apt-get"
        )
    say(f"install {' '.join(missing)}")
    for package in missing:
        changes.add("package", package)
    install(missing)


def install(packages: Sequence[str]) -> None:
    """Installs Debian packages, and starts none of their services."""
    # RUNLEVEL=1 is how invoke-rc.d is told to start nothing.
    environment = {**os.environ, "DEBIAN_FRONTEND": "noninteractive", "RUNLEVEL": "1"}
    # An interrupted run may have left dpkg half-way, or still at work.
    run(["dpkg", "--configure", "-a"], env=environment)
    run(["apt-get", "update", "-q"], env=environment)
    argv = ["apt-get", "install", "-y", "-q", "-o", "DPkg::Lock::Timeout=300", "--no-install-recommends", *packages]
    run(argv, env=environment)


def _rules(settings: Settings) -> list[tuple[str, ...]]:
    """Table and rule: traffic of the lab passes whatever the machine's policy is, and leaves under its address."""
    link, comment = settings.link, ("-m", "comment", "--comment", settings.engine)
    return [
        ("filter", "FORWARD", "-i", link, *comment, "-j", "ACCEPT"),
        ("filter", "FORWARD", "-o", link, *comment, "-j", "ACCEPT"),
        ("nat", "POSTROUTING", "-s", f"{settings.engine_prefix}.0/30", "!", "-o", link, *comment, "-j", "MASQUERADE"),
    ]


def _rule(action: str, rule: tuple[str, ...], check: bool = True) -> int:
    table, chain, *match = rule
    return run(["iptables", "-w", "10", "-t", table, action, chain, *match], check=check).returncode


def apply(settings: Settings, changes: Changes) -> None:
    """Prepares the machine: sysctls, modules, the engine's network namespace and its way out."""
    for name in SHARED_SYSCTLS:
        if sysctl_path(name).exists():
            changes.add("shared-sysctl", name, sysctl_path(name).read_text(encoding="utf-8").strip())
    for name, value in SYSCTLS.items():
        old = sysctl_path(name).read_text(encoding="utf-8").strip()
        if int(old) < value:
            changes.add("sysctl", name, old)
            sysctl_path(name).write_text(f"{value}\n", encoding="utf-8")
    if Path("/proc/modules").exists() and shutil.which("modprobe"):
        loaded = {line.split()[0] for line in Path("/proc/modules").read_text(encoding="utf-8").splitlines()}
        for module in MODULES:
            if module not in loaded and not Path("/sys/module", module).exists():
                changes.add("module", module)
                run(["modprobe", "-q", module], check=False)
    namespace, link, peer = settings.namespace, settings.link, settings.peer
    changes.add("namespace", namespace)
    if run(["nsenter", f"--net={NETNS / namespace}", "true"], check=False).returncode:
        # Also what a killed `ip netns add` leaves: a file that is no namespace.
        (NETNS / namespace).unlink(missing_ok=True)
        run(["ip", "netns", "add", namespace])
    if run(["ip", "link", "show", link], check=False).returncode:
        run(["ip", "link", "add", link, "type", "veth", "peer", "name", peer, "netns", namespace])
    inside = ["ip", "-n", namespace]
    run(["ip", "address", "replace", f"{settings.engine_prefix}.1/30", "dev", link])
    run(["ip", "link", "set", link, "up"])
    run([*inside, "address", "replace", f"{settings.engine_prefix}.2/30", "dev", peer])
    run([*inside, "link", "set", peer, "up"])
    run([*inside, "link", "set", "lo", "up"])
    run([*inside, "route", "replace", "default", "via", f"{settings.engine_prefix}.1"])
    # Before dockerd starts: it sets the policy of FORWARD to DROP where it has to switch forwarding on itself.
    run(["nsenter", f"--net={NETNS / namespace}", "sh", "-c", "echo 1 >/proc/sys/net/ipv4/ip_forward"])
    for rule in _rules(settings):
        changes.add("rule", " ".join(rule))
        if _rule("-C", rule, check=False):
            _rule("-I", rule)


def add_route(settings: Settings, changes: Changes) -> None:
    """The machine reaches the hosts of a lab directly."""
    changes.add("route", settings.subnet)
    run(["ip", "route", "replace", settings.subnet, "via", f"{settings.engine_prefix}.2"])


def remove_route(settings: Settings, changes: Changes) -> None:
    run(["ip", "route", "delete", settings.subnet], check=False)
    changes.entries = [
        entry for entry in changes.entries if (entry["kind"], entry["name"]) != ("route", settings.subnet)
    ]
    changes.save()


def undo(settings: Settings, changes: Changes) -> None:
    """Takes back every change that is recorded. What is already gone is no error."""
    for entry in changes.of("rule"):
        rule = tuple(entry["name"].split())
        while not _rule("-C", rule, check=False):
            _rule("-D", rule)
    changes.forget("rule")
    run(["ip", "link", "delete", settings.link], check=False)
    changes.forget("route")
    if (NETNS / settings.namespace).exists():
        run(["ip", "netns", "delete", settings.namespace])
    changes.forget("namespace")
    for kind in ("sysctl", "shared-sysctl"):
        for entry in changes.of(kind):
            if sysctl_path(entry["name"]).read_text(encoding="utf-8").strip() != entry["old"]:
                sysctl_path(entry["name"]).write_text(entry["old"] + "\n", encoding="utf-8")
        changes.forget(kind)
    for entry in changes.of("module"):
        run(["modprobe", "-q", "-r", entry["name"]], check=False)
    changes.forget("module")
    say("put back on this machine: sysctls, iptables rules, routes, network namespace")
    for entry in changes.of("package"):
        say(f"stays on this machine: Debian package {entry['name']}")


def routes_overlapping(settings: Settings, networks: list[str]) -> list[str]:
    """Routes and addresses of the machine that overlap with the lab's networks, except the lab's own."""
    wanted = [ipaddress.ip_network(network) for network in networks]
    found = []
    for line in output(["ip", "-4", "route", "show", "table", "all"]).splitlines():
        fields = line.split()
        target = fields[1] if fields[0] in ("local", "broadcast", "unreachable", "blackhole") else fields[0]
        if target == "default" or settings.link in fields:
            continue
        try:
            network = ipaddress.ip_network(target, strict=False)
        except ValueError:
            continue
        if any(network.overlaps(one) for one in wanted):
            found.append(line)
    return found
