"""Judges whether this machine can carry the lab: collects every complaint, with its fix, and shows them at once."""

from __future__ import annotations

import argparse
import os
import platform
import shutil
import sys
from dataclasses import dataclass
from pathlib import Path

from . import engine, machine
from .settings import Settings
from .steps import LabError, run, say

MIN_MEMORY_GIB = 7.0
MIN_CORES = 2
MIN_DISK_GIB = 25.0
FILE_SYSTEMS = ("overlay", "fuse", "xfs")


@dataclass(frozen=True)
class Machine:
    """What was found on a machine."""

    root: bool
    system: str
    python: tuple[int, int]
    memory_gib: float
    cores: int
    disk_gib: float
    cgroups: str
    file_systems: frozenset[str]
    vxlan: bool
    loop: bool
    overlapping_routes: tuple[str, ...]
    go: bool
    apt: bool
    sys_resource: bool
    other_engine: str


def judge(found: Machine, source: str) -> list[str]:
    """Complaints about a machine, each with its fix. None: the lab can run there."""
    checks = [
        (found.root, "not root: the lab makes network namespaces and mounts; run it as root"),
        (found.system == "Linux", f"{found.system} is not Linux: run the lab in a Linux machine"),
        (
            found.python >= (3, 11),
            f"Python {found.python[0]}.{found.python[1]} is older than 3.11: install Python 3.11 or later",
        ),
        (
            found.memory_gib >= MIN_MEMORY_GIB,
            f"{found.memory_gib:.1f} GiB of memory, {MIN_MEMORY_GIB:.0f} are needed: take a larger machine",
        ),
        (found.cores >= MIN_CORES, f"{found.cores} CPU core, {MIN_CORES} are needed: take a larger machine"),
        (
            found.disk_gib >= MIN_DISK_GIB,
            f"{found.disk_gib:.0f} GiB of disk are free, {MIN_DISK_GIB:.0f} are needed: "
            "set KRAF_LAB_CACHE and KRAF_LAB_ROOT to a larger disk",
        ),
        (
            found.cgroups in ("v1", "v2"),
            "no cgroups under /sys/fs/cgroup: mount cgroup2 there, or the cgroup v1 controllers",
        ),
        (found.vxlan, "the kernel has no VXLAN: load the module vxlan, or take a kernel with it"),
        (found.loop, "no /dev/loop-control: load the module loop, or take a kernel with it"),
        (
            found.go or source == "upstream",
            "the Go toolchain is not in PATH: install Go 1.21 or later, "
            "or set KRAF_LAB_SOURCE=upstream to use upstream's own files",
        ),
        (
            found.go or found.sys_resource,
            "this machine lacks CAP_SYS_RESOURCE and the Go toolchain that builds the lab's cure for it: "
            "install Go, or grant the capability",
        ),
        (found.apt, "no apt-get: the lab takes its packages from Debian; run it on Debian 12"),
    ]
    complaints = [text for good, text in checks if not good]
    complaints += [
        f"the kernel has no {name} file system: load the module {name}, or take a kernel with it"
        for name in FILE_SYSTEMS
        if name not in found.file_systems
    ]
    complaints += [
        f"the lab's network overlaps with this machine's route `{route}`: "
        "set KRAF_LAB_PREFIX (or KRAF_LAB_ENGINE_PREFIX) to a free network"
        for route in found.overlapping_routes
    ]
    return complaints


def _free_gib(path: Path) -> float:
    while not path.exists():
        path = path.parent
    return shutil.disk_usage(path).free / 2**30


def _memory_gib() -> float:
    lines = Path("/proc/meminfo").read_text(encoding="utf-8").splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith("MemTotal:")) / 2**20


def _cgroups() -> str:
    if Path("/sys/fs/cgroup/cgroup.controllers").exists():
        return "v2"
    return "v1" if Path("/sys/fs/cgroup/memory").exists() else "none"


def _has_vxlan() -> bool:
    """Tries it: the only test that is true for built-in drivers and modules alike."""
    name = f"klvx{os.getpid() % 100000}"
    made = run(["ip", "link", "add", name, "type", "vxlan", "id", "4242", "dstport", "0"], check=False).returncode == 0
    if made:
        run(["ip", "link", "delete", name], check=False)
    return made


def _other_engine() -> str:
    return "/var/run/docker.sock" if Path("/var/run/docker.sock").exists() else ""


def look(lab: Settings) -> Machine:
    """Looks at this machine; changes nothing but a link that is gone at once."""
    linux = platform.system() == "Linux"
    for module in machine.MODULES if Path("/proc/modules").exists() and os.geteuid() == 0 else ():
        run(["modprobe", "-q", module], check=False) if shutil.which("modprobe") else None
    known = (
        {line.split()[-1] for line in Path("/proc/filesystems").read_text(encoding="utf-8").splitlines()}
        if linux
        else set()
    )
    has_ip = shutil.which("ip") is not None
    up = Path("/sys/class/net", lab.link).exists()
    networks = [lab.subnet] if up else [lab.subnet, f"{lab.engine_prefix}.0/24"]
    return Machine(
        root=os.geteuid() == 0,
        system=platform.system(),
        python=sys.version_info[:2],
        memory_gib=_memory_gib(),
        cores=os.cpu_count() or 1,
        disk_gib=min(_free_gib(lab.cache), _free_gib(lab.root)),
        cgroups=_cgroups(),
        file_systems=frozenset(known),
        vxlan=not has_ip or _has_vxlan(),
        loop=Path("/dev/loop-control").exists(),
        overlapping_routes=tuple(machine.routes_overlapping(lab, networks)) if has_ip else (),
        go=shutil.which("go") is not None,
        apt=shutil.which("apt-get") is not None,
        sys_resource=not engine.needs_shim(),
        other_engine=_other_engine(),
    )


def check(lab: Settings) -> Machine:
    """Raises LabError with every complaint about this machine."""
    found = look(lab)
    complaints = judge(found, lab.source)
    if complaints:
        raise LabError("this machine cannot carry the lab:\n" + "\n".join(f"- {text}" for text in complaints))
    return found


def command(lab: Settings, arguments: argparse.Namespace) -> None:
    """Says whether this machine can carry the lab, and what to do where it cannot."""
    found = check(lab)
    print(
        f"memory {found.memory_gib:.1f} GiB, {found.cores} cores, disk {found.disk_gib:.0f} GiB, cgroup {found.cgroups}"
    )
    print(f"networks {lab.subnet} and {lab.engine_prefix}.0/24 are free")
    if found.other_engine:
        print(f"another engine listens on {found.other_engine}: it stays as it is, the lab has its own")
    if not found.sys_resource:
        print("CAP_SYS_RESOURCE is missing: the lab puts its shim before runc")
    say("this machine can carry the lab")
