# Copyright (c) 2026, kraf.edge contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The base of a host: identity, boot options, swap, kernel modules, clock, packages."""

from __future__ import annotations

import hashlib
import os
import platform
import re
import sys
import time
from collections.abc import Mapping, Sequence
from typing import Any

from .reading import Root, output

CMDLINE_FILES = ("/boot/firmware/cmdline.txt", "/boot/cmdline.txt")
MEMORY_OPTIONS = ("cgroup_enable=memory", "cgroup_memory=1")
SWAP_SERVICES = (
    "dphys-swapfile.service",
    "zramswap.service",
    "zram-config.service",
    "zram-swap.service",
    "systemd-zram-setup@zram0.service",
    "rpi-setup-loop@var-swap.service",
)
OWNED_UNITS = "/etc/systemd/system"
MADE_UNITS = ("/run/systemd/generator", "/run/systemd/generator.late", "/usr/lib/systemd/system", "/lib/systemd/system")
ARCHITECTURES = {
    "x86_64": "amd64",
    "amd64": "amd64",
    "aarch64": "arm64",
    "arm64": "arm64",
    "armv7l": "arm",
    "armv6l": "arm",
}


def identity(root: Root) -> dict[str, Any]:
    """Names and ids that must differ between hosts. A Raspberry Pi has no DMI, so product_uuid may be empty."""
    machine = platform.machine()
    architecture = ARCHITECTURES.get(machine, machine)
    if architecture == "arm64" and sys.maxsize <= 2**32:
        architecture = "arm"
    release = dict(re.findall(r'^([A-Z_]+)="?([^"\n]*)"?$', root.text("/etc/os-release"), re.MULTILINE))
    return {
        "hostname": platform.node(),
        "machine_id": root.text("/etc/machine-id").strip(),
        "product_uuid": root.text("/sys/class/dmi/id/product_uuid").strip().lower(),
        "architecture": architecture,
        "kernel": platform.release(),
        "distribution": {"id": release.get("ID", ""), "version": release.get("VERSION_ID", "")},
        "python": platform.python_version(),
        "memory_bytes": os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES"),
        "cpus": os.cpu_count() or 1,
    }


def cmdline_file(root: Root) -> str:
    """The file that holds the kernel's options: one line with ``root=``, which a stub that points elsewhere lacks."""
    for path in CMDLINE_FILES:
        lines = [line for line in root.lines(path) if line.strip()]
        if len(lines) == 1 and re.search(r"(^|\s)root=", lines[0]):
            return path
    return ""


def cgroup(root: Root) -> dict[str, Any]:
    """Version of the control groups, and whether the memory controller is really on.

    When it is off, ``cause`` says why: ``option`` (the boot file lacks it), ``reboot`` (the file has it, the running
    kernel does not), ``file`` (no boot file was found); ``line`` is what the boot file should say.
    """
    unified = root.text("/sys/fs/cgroup/cgroup.controllers")
    version = 2 if root.exists("/sys/fs/cgroup/cgroup.controllers") else 1
    if version == 2:
        memory = "memory" in unified.split()
    else:
        rows = [line.split() for line in root.lines("/proc/cgroups") if not line.startswith("#")]
        memory = any(row[0] == "memory" and row[-1] == "1" for row in rows if row)
    found = {"version": version, "memory": memory, "cause": "", "file": "", "line": ""}
    if memory:
        return found
    path = cmdline_file(root)
    if not path:
        return {**found, "cause": "file"}
    words = root.text(path).split()
    missing = [option for option in MEMORY_OPTIONS if option not in words]
    line = " ".join([word for word in words if word != "cgroup_disable=memory"] + missing)
    return {**found, "cause": "option" if missing else "reboot", "file": path, "line": line}


def swap(root: Root) -> dict[str, list[str]]:
    """Swap that is on, and every origin that would turn it on at the next start.

    ``mask`` lists units that a package or a generator made, ``disable`` those of the host's owner: no mask for them.
    """
    entries = [line for line in root.lines("/etc/fstab") if not line.lstrip().startswith("#")]
    made = {name for folder in MADE_UNITS for name in root.names(folder) if _makes_swap(name)}
    owned = {name for name in root.names(OWNED_UNITS) if _makes_swap(name)}
    wanted = {
        name
        for folder in root.names(OWNED_UNITS)
        if folder.endswith((".wants", ".requires"))
        for name in root.names(f"{OWNED_UNITS}/{folder}")
    }
    return {
        "active": [line.split()[0] for line in root.lines("/proc/swaps")[1:] if line.strip()],
        "fstab": [line for line in entries if line.split()[2:3] == ["swap"]],
        "mask": sorted(made - owned),
        "disable": sorted(unit for unit in owned & wanted if not root.masks(f"{OWNED_UNITS}/{unit}")),
    }


def _makes_swap(unit: str) -> bool:
    return unit.endswith(".swap") or unit in SWAP_SERVICES


def kernel_modules(root: Root) -> dict[str, Any]:
    """Whether modules of the running kernel can be loaded: its package may have been upgraded without a reboot."""
    release = platform.release()
    loadable = root.exists("/proc/modules")
    return {"loadable": loadable, "present": not loadable or root.exists(f"/lib/modules/{release}"), "release": release}


def clock(controller_time: float | None, limit: float, wait: float) -> dict[str, Any]:
    """Seconds by which this clock is ahead of the controller's; waits up to ``wait`` seconds for it to come near."""
    if controller_time is None:
        return {"skew": None}
    started = time.monotonic()
    while True:
        passed = time.monotonic() - started
        skew = time.time() - (controller_time + passed)
        if abs(skew) <= limit or passed >= wait:
            return {"skew": round(skew, 1)}
        time.sleep(1)


def packages(root: Root, names: Sequence[str]) -> dict[str, Any]:
    """Which of these Debian packages are missing, which are held, and the versions of those that are there."""
    # dpkg's own database: reading it costs less than starting dpkg-query.
    wanted = set(names)
    versions: dict[str, str] = {}
    held = []
    for block in root.text("/var/lib/dpkg/status").split("\n\n") if wanted else []:
        name = block.partition("\n")[0].replace("Package: ", "", 1)
        if name not in wanted:
            continue
        fields = dict(re.findall(r"^(Status|Version): (.*)$", block, re.MULTILINE))
        desired, _flag, state = (fields.get("Status", "") + "   ").split(" ")[:3]
        if state == "installed":
            versions[name] = fields.get("Version", "")
            if desired == "hold":
                held.append(name)
    return {"missing": [name for name in names if name not in versions], "held": held, "versions": versions}


def apparmor(root: Root) -> bool:
    """Whether the kernel enforces AppArmor profiles."""
    return root.text("/sys/module/apparmor/parameters/enabled").strip() == "Y"


def lock_holder(root: Root) -> str:
    """The program that holds dpkg's database now, as ``name (pid N)``; empty when nobody does."""
    for path in ("/var/lib/dpkg/lock-frontend", "/var/lib/dpkg/lock", "/var/lib/apt/lists/lock"):
        try:
            inode = os.stat(root.at(path)).st_ino
        except OSError:
            continue
        for line in root.lines("/proc/locks"):
            fields = line.split()
            # N: POSIX ADVISORY WRITE PID MAJOR:MINOR:INODE START END
            if len(fields) > 5 and fields[5].endswith(f":{inode}"):
                return f"{root.text(f'/proc/{fields[4]}/comm').strip() or 'a program'} (pid {fields[4]})"
    return ""


def checksums(root: Root, paths: Sequence[str]) -> dict[str, str]:
    """sha256 of programs, by path; empty for one that is not there."""
    sums = {}
    for path in paths:
        try:
            digest = hashlib.sha256()
            with open(root.at(path), "rb") as file:
                for block in iter(lambda: file.read(1 << 20), b""):
                    digest.update(block)
            sums[path] = digest.hexdigest()
        except OSError:
            sums[path] = ""
    return sums


def proxies(root: Root, environment: Mapping[str, str]) -> dict[str, str]:
    """Proxy variables that programs on this host are given, from the environment and from /etc/environment."""
    found = {}
    for line in root.lines("/etc/environment"):
        name, separator, value = line.removeprefix("export ").partition("=")
        if separator and name.strip().lower().endswith("_proxy"):
            found[name.strip().lower()] = value.strip().strip("\"'")
    found.update({name.lower(): value for name, value in environment.items() if name.lower().endswith("_proxy")})
    return {name: value for name, value in found.items() if value}


def units(names: Sequence[str]) -> dict[str, dict[str, bool]]:
    """State of systemd units, by name."""
    states = {name: {"exists": False, "active": False, "enabled": False} for name in names}
    if not names:
        return states
    properties = "--property=Id,LoadState,ActiveState,UnitFileState"
    _code, text = output(["systemctl", "show", properties, *[f"{name}.service" for name in names]])
    for block in text.strip().split("\n\n"):
        fields = dict(line.split("=", 1) for line in block.splitlines() if "=" in line)
        name = fields.get("Id", "").replace(".service", "")
        if name in states:
            states[name] = {
                "exists": fields.get("LoadState") == "loaded",
                "active": fields.get("ActiveState") == "active",
                "enabled": fields.get("UnitFileState") == "enabled",
            }
    return states
