"""Where the lab lives and what it is made of: every path, address, name and version in one place."""

from __future__ import annotations

import ipaddress
import math
import os
import re
import shutil
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

HERE = Path(__file__).resolve().parent
BUILD_FILES = HERE / "build"

# Versions of what the mirror serves. etcd is pinned past 3.5.0 to 3.5.2, which can corrupt data.
KUBERNETES = "v1.22.9"
ETCD = "v3.5.13"
COREDNS = "v1.8.4"
FLANNEL = "v0.26.7"
FLANNEL_CNI_IMAGE = "v1.6.2-flannel1"
FLANNEL_CNI_MODULE = "v0.9.1"
CNI_PLUGINS = "v1.1.1"
PAUSE = "3.5"
IMAGE_REGISTRY = "2.8.2"

SOURCES = ("build", "upstream")

# Last octet of each host's address; the mirror stands beside them.
MIRROR_OCTET = 2
HOST_OCTETS = {"control": 10, "worker": 11, "pi": 20}
DEFAULT_HOSTS = ("control1", "worker1", "worker2", "pi1")
HOST_NAME = re.compile(r"^(control|worker|pi)([1-9])$")
LAB_NAME = re.compile(r"^[a-z][a-z0-9]{0,11}$")
ENGINE_NAME = re.compile(r"^[a-z][a-z0-9-]{0,11}$")


class SettingsError(ValueError):
    """A setting of the environment that the lab cannot use; the text says which, why and what to write instead."""


@dataclass(frozen=True)
class Host:
    """One host of the lab: a container with systemd that is reached by SSH."""

    name: str
    address: str

    @property
    def is_device(self) -> bool:
        return self.name.startswith("pi")


@dataclass(frozen=True)
class Settings:
    """One lab's settings, read from the environment."""

    cache: Path
    root: Path
    name: str
    prefix: str
    engine: str
    engine_prefix: str
    hosts: tuple[Host, ...]
    device_cpus: str
    source: str

    @property
    def subnet(self) -> str:
        return f"{self.prefix}.0/24"

    @property
    def mirror_address(self) -> str:
        return f"{self.prefix}.{MIRROR_OCTET}"

    @property
    def namespace(self) -> str:
        """The engine's network namespace."""
        return self.engine

    @property
    def link(self) -> str:
        """The machine's end of the veth pair to the engine; the other end is `peer`."""
        return f"{self.engine}0"

    @property
    def peer(self) -> str:
        return f"{self.engine}1"

    def device_cores(self, host: Host, available: Sequence[int]) -> str:
        """The machine's cores that a device runs on, as ``docker run --cpuset-cpus`` takes them.

        As few as its limit needs: on more, what should wait for a process of higher priority would run beside it and
        use up the limit of both, which no core of that speed does.
        """
        devices = [one.name for one in self.hosts if one.is_device]
        count = min(len(available), math.ceil(float(self.device_cpus)))
        first = devices.index(host.name) * count
        return ",".join(str(available[(first + number) % len(available)]) for number in range(count))

    @property
    def programs(self) -> Path:
        return self.cache / "programs"

    @property
    def state(self) -> Path:
        return self.root / "state"

    @property
    def ssh_key(self) -> Path:
        return self.root / "ssh_key"

    @property
    def socket(self) -> Path:
        return self.root / "docker.sock"


def parse_prefix(variable: str, text: str) -> str:
    """The first three octets of a private /24, as in `10.213.7`."""
    try:
        network = ipaddress.IPv4Network(f"{text}.0/24")
    except ValueError:
        network = None
    if network is None or not network.is_private or network.is_loopback:
        raise SettingsError(
            f"{variable}={text!r}: not the first three octets of a private network; write for example 10.213.7"
        )
    return text


def parse_hosts(text: str, prefix: str) -> tuple[Host, ...]:
    """Hosts from a list of names separated by commas; each name's number gives the address."""
    names = [name.strip() for name in text.split(",") if name.strip()]
    hosts = []
    for name in names:
        match = HOST_NAME.match(name)
        if not match:
            raise SettingsError(
                f"KRAF_LAB_HOSTS: {name!r} is not a host of the lab; "
                "write control1, worker1 to worker9 or pi1 to pi9, separated by commas"
            )
        octet = HOST_OCTETS[match[1]] + int(match[2])
        if match[1] == "control" and match[2] != "1":
            raise SettingsError(f"KRAF_LAB_HOSTS: {name!r}: the lab has one control plane host, control1")
        hosts.append(Host(name, f"{prefix}.{octet}"))
    if not hosts:
        raise SettingsError("KRAF_LAB_HOSTS: no host named; leave it unset for " + ",".join(DEFAULT_HOSTS))
    if len(set(names)) != len(names):
        raise SettingsError(f"KRAF_LAB_HOSTS={text!r}: a host is named twice")
    return tuple(hosts)


def parse_cpus(text: str) -> str:
    """A CPU limit as `docker run --cpus` takes it, in cores."""
    try:
        value = float(text)
    except ValueError:
        value = 0.0
    if not 0.05 <= value <= 64:
        raise SettingsError(
            f"KRAF_LAB_DEVICE_CPUS={text!r}: not a number of cores from 0.05 to 64; write for example 0.25"
        )
    return text


GO = Path("/usr/local/go/bin")
"""Where Go's own installation puts it; the PATH of a login shell leads there, that of a service as a rule does not."""


def from_environment(environment: Mapping[str, str] | None = None) -> Settings:
    """Settings from `KRAF_LAB_*`; an empty variable counts as unset. Raises SettingsError."""

    given = os.environ if environment is None else environment
    if environment is None and not shutil.which("go") and (GO / "go").exists():
        os.environ["PATH"] += os.pathsep + str(GO)

    def get(name: str, default: str) -> str:
        return given.get(f"KRAF_LAB_{name}", "") or default

    name = get("NAME", "lab")
    if not LAB_NAME.match(name):
        raise SettingsError(
            f"KRAF_LAB_NAME={name!r}: containers and a bridge are named after it; "
            "write up to 12 lower case letters and digits, a letter first"
        )
    engine = get("ENGINE", "kraf-lab")
    if not ENGINE_NAME.match(engine):
        raise SettingsError(
            f"KRAF_LAB_ENGINE={engine!r}: a network namespace and an interface are named after it; "
            "write up to 12 lower case letters, digits and hyphens, a letter first"
        )
    prefix = parse_prefix("KRAF_LAB_PREFIX", get("PREFIX", "10.213.7"))
    engine_prefix = parse_prefix("KRAF_LAB_ENGINE_PREFIX", get("ENGINE_PREFIX", "10.213.254"))
    if prefix == engine_prefix:
        raise SettingsError(
            f"KRAF_LAB_PREFIX={prefix!r} is the engine's own network; take another, for example 10.213.7"
        )
    source = get("SOURCE", "build")
    if source not in SOURCES:
        raise SettingsError(f"KRAF_LAB_SOURCE={source!r}: write one of {', '.join(SOURCES)}")
    return Settings(
        cache=Path(get("CACHE", "/var/cache/kraf-lab")),
        root=Path(get("ROOT", "/var/lib/kraf-lab")),
        name=name,
        prefix=prefix,
        engine=engine,
        engine_prefix=engine_prefix,
        hosts=parse_hosts(get("HOSTS", ",".join(DEFAULT_HOSTS)), prefix),
        device_cpus=parse_cpus(get("DEVICE_CPUS", "0.25")),
        source=source,
    )
