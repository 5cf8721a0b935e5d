"""Builds container images: the lab's own, kept in the cache as files, and upstream's, for the mirror's registry."""

from __future__ import annotations

import contextlib
import os
import platform
import re
import shutil
import urllib.error
import urllib.request
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from . import programs
from . import settings as pins
from .engine import Engine, needs_shim, shim
from .settings import BUILD_FILES, Settings
from .steps import LabError, digest, output, partial_folder, run, step

SUITE = "bookworm"
FILES = BUILD_FILES / "images"
ARCHITECTURES = {"x86_64": "amd64", "aarch64": "arm64"}
CONTROL_PLANE = ("kube-apiserver", "kube-controller-manager", "kube-scheduler")


def architecture() -> str:
    """The machine's architecture in Debian's and Go's word."""
    try:
        return ARCHITECTURES[platform.machine()]
    except KeyError:
        raise LabError(f"this machine is {platform.machine()}; the lab builds for {', '.join(ARCHITECTURES)}") from None


@dataclass(frozen=True)
class Image:
    """An image of upstream's that the mirror serves: its name there, its build files, its base, its programs."""

    name: str
    files: str
    base: str = ""
    programs: tuple[tuple[str, str], ...] = ()


def _one(name: str) -> tuple[tuple[str, str], ...]:
    return ((name, name),)


UPSTREAM = (
    *(Image(f"registry.k8s.io/{name}:{pins.KUBERNETES}", "scratch", "", _one(name)) for name in CONTROL_PLANE),
    Image(f"registry.k8s.io/kube-proxy:{pins.KUBERNETES}", "kube-proxy", "network", _one("kube-proxy")),
    Image(f"registry.k8s.io/etcd:{pins.ETCD[1:]}-0", "scratch", "", _one("etcd") + _one("etcdctl")),
    Image(f"registry.k8s.io/pause:{pins.PAUSE}", "pause", "", _one("pause")),
    Image(f"registry.k8s.io/coredns/coredns:{pins.COREDNS}", "coredns", "debian", _one("coredns")),
    Image(f"docker.io/flannel/flannel:{pins.FLANNEL}", "flannel", "network", _one("flanneld")),
    Image(
        f"docker.io/flannel/flannel-cni-plugin:{pins.FLANNEL_CNI_IMAGE}",
        "flannel-cni-plugin",
        "debian",
        (("flannel-cni", "flannel"),),
    ),
    Image(f"docker.io/library/registry:{pins.IMAGE_REGISTRY}", "registry", "debian"),
    Image(f"docker.io/library/debian:{SUITE}-slim", "", "debian"),
)


def apt_sources(folder: Path = Path("/etc/apt")) -> str:
    """Sources for the lab's Debian systems: the machine's own stanzas of this suite, in deb822 form."""
    stanzas = []
    for file in sorted(folder.glob("sources.list.d/*.sources")):
        for block in re.split(r"\n\s*\n", file.read_text(encoding="utf-8")):
            lines = [line for line in block.splitlines() if line and not line.startswith("#")]
            fields = dict(re.findall(r"^(\S+):\s*(.*)$", "\n".join(lines), re.M))
            if _is_debian(fields.get("URIs", ""), fields.get("Suites", "")) and fields.get("Enabled", "yes") != "no":
                stanzas.append((fields["URIs"], fields["Suites"], fields.get("Components", "main")))
    for file in [folder / "sources.list", *sorted(folder.glob("sources.list.d/*.list"))]:
        if file.exists():
            for line in file.read_text(encoding="utf-8").splitlines():
                match = re.match(r"deb\s+(?:\[[^]]*\]\s+)?(\S+)\s+(\S+)\s+(.+)$", line)
                if match and _is_debian(match[1], match[2]):
                    stanzas.append((match[1], match[2], match[3]))
    if not any(SUITE in suites.split() for __, suites, __ in stanzas):
        raise LabError(
            f"no apt source of Debian {SUITE} under {folder}: "
            "the lab takes its packages from the machine's own sources; add one"
        )
    keyring = "/usr/share/keyrings/debian-archive-keyring.gpg"
    return "\n".join(
        f"Types: deb\nURIs: {uris}\nSuites: {suites}\nComponents: {components}\nSigned-By: {keyring}\n"
        for uris, suites, components in stanzas
    )


def _is_debian(uris: str, suites: str) -> bool:
    """True for Debian's own archives; other vendors' repositories use the same suite names."""
    named = all(suite.startswith(SUITE) for suite in suites.split())
    return named and bool(re.search(r"/debian(-security)?/?(\s|$)", uris))


def apt_settings() -> str:
    """The machine's own settings for fetching packages: proxies, and what a frozen or lagging archive needs."""
    lines = output(["apt-config", "dump"]).splitlines()
    kept = [line for line in lines if re.match(r'Acquire::(http|https|Check-[A-Za-z-]+)(::[^ ]*)? "[^"]+";$', line)]
    return "".join(f"{line}\n" for line in kept)


def archive_address(sources: str) -> str:
    """Where debootstrap finds the suite: the first address of its stanza."""
    for stanza in sources.split("\n\n"):
        fields = dict(re.findall(r"^(\S+): (.*)$", stanza, re.M))
        if SUITE in fields["Suites"].split():
            return str(fields["URIs"].split()[0])
    raise LabError(f"no apt source of Debian {SUITE}")


def root_file_system(settings: Settings) -> Path:
    """A minimal Debian as a tar file in the cache."""
    sources, extra = apt_sources(), apt_settings()
    target = settings.cache / "images" / f"rootfs-{SUITE}-{digest(sources, extra)}.tar"
    if target.exists():
        return target
    address = archive_address(sources)
    target.parent.mkdir(parents=True, exist_ok=True)
    with step(f"debootstrap {SUITE}"), partial_folder(target.with_suffix(".root")) as folder:
        tree = folder / "root"
        run(["debootstrap", "--variant=minbase", "--include=ca-certificates", SUITE, tree, address])
        (tree / "etc/apt/sources.list").unlink()
        (tree / "etc/apt/sources.list.d/debian.sources").write_text(sources, encoding="utf-8")
        (tree / "etc/apt/apt.conf.d/90machine").write_text(extra, encoding="utf-8")
        # A proxy's or a company's authority, where the machine trusts one.
        for certificate in Path("/usr/local/share/ca-certificates").glob("**/*.crt"):
            shutil.copy(certificate, tree / "usr/local/share/ca-certificates" / certificate.name)
        run(["chroot", tree, "update-ca-certificates"])
        run(["chroot", tree, "apt-get", "clean"])
        for name in ("var/lib/apt/lists", "var/log"):
            shutil.rmtree(tree / name)
            (tree / name).mkdir()
        run(["tar", "--numeric-owner", "-C", tree, "-cf", folder / "root.tar", "."])
        os.replace(folder / "root.tar", target)
    return target


class Builder:
    """Makes images in the lab's engine, each once for what it is made of."""

    def __init__(self, settings: Settings, engine: Engine) -> None:
        self.settings = settings
        self.engine = engine
        self.keys: dict[str, str] = {}

    def own(self, name: str) -> str:
        """Reference of an image of the lab's own (debian, network, host, device, mirror), built or loaded."""
        reference = f"kraf-lab/{name}:{self.key(name)}"
        if self.engine.inspect("image", reference):
            return reference
        saved = self.settings.cache / "images" / f"{name}-{self.key(name)}.tar"
        if saved.exists():
            with step(f"load image {name}"):
                self.engine.docker("load", "--input", saved)
            return reference
        if name == "debian":
            file = root_file_system(self.settings)
            with step("import the Debian image"):
                path = "ENV PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
                self.engine.docker("import", "--change", path, "--change", 'CMD ["bash"]', file, reference)
            return reference
        base = self.own(BASES[name])
        with step(f"build image {name}"), self._context(FILES / name) as context:
            if name == "host":
                (context / "sbin").mkdir()
                if needs_shim():
                    # Docker inside a host meets the same limits as the lab's engine.
                    shutil.copy2(shim(self.settings), context / "sbin/kraf-lab-runc")
            self._build(context, reference, base)
        if name != "network":
            self._save(reference, saved)
        return reference

    def key(self, name: str) -> str:
        """What an image of the lab's own is made from, as a short name."""
        if name not in self.keys:
            if name == "debian":
                self.keys[name] = root_file_system(self.settings).stem.rsplit("-", 1)[1]
            else:
                marks = [shim(self.settings).name] if name == "host" and needs_shim() else []
                self.keys[name] = digest(self.key(BASES[name]), FILES / name, *marks)
        return self.keys[name]

    @contextlib.contextmanager
    def _context(self, files: Path, members: tuple[tuple[str, str], ...] = ()) -> Iterator[Path]:
        """A build context: the image's own files, and programs under bin/ as (program, file name)."""
        with partial_folder(self.settings.cache / "build" / f"image-{files.name}") as folder:
            context = folder / "context"
            shutil.copytree(files, context)
            (context / "bin").mkdir(exist_ok=True)
            for program, name in members:
                source = pause(self.settings) if program == "pause" else programs.program_path(self.settings, program)
                os.link(source, context / "bin" / name)
            yield context

    def _build(self, context: Path, reference: str, base: str) -> None:
        arguments = ["--build-arg", f"BASE={base}"] if base else []
        # The host's network: no bridge of the engine's is needed for packages.
        self.engine.docker("build", "--quiet", "--network", "host", *arguments, "--tag", reference, context)

    def _save(self, reference: str, target: Path) -> None:
        with partial_folder(target) as folder:
            self.engine.docker("save", "--output", folder / "image.tar", reference)
            os.replace(folder / "image.tar", target)
        for older in target.parent.glob(f"{target.name.rsplit('-', 1)[0]}-*.tar"):
            if older != target:
                older.unlink()

    def publish(self, registry: str) -> None:
        """Pushes upstream's images to the mirror's registry as far as it lacks them."""
        published = self.settings.cache / "published"
        published.mkdir(parents=True, exist_ok=True)
        for image in UPSTREAM:
            key = self._upstream_key(image)
            mark = published / re.sub(r"[/:]", "_", image.name)
            if mark.exists() and mark.read_text(encoding="utf-8") == key and image_served(registry, image.name):
                continue
            with step(f"image {image.name}"):
                target = f"{registry}/{image.name}"
                if image.files:
                    base = self.own(image.base) if image.base else ""
                    with self._context(FILES / image.files, image.programs) as context:
                        self._build(context, target, base)
                else:
                    self.engine.docker("tag", self.own(image.base), target)
                self.engine.docker("push", "--quiet", target)
                self.engine.docker("image", "rm", target)
                mark.write_text(key, encoding="utf-8")

    def _upstream_key(self, image: Image) -> str:
        parts = [self.key(image.base)] if image.base else []
        if image.files:
            parts.append(digest(FILES / image.files))
        return digest(*parts, *(f"{name}:{_program_version(name)}" for name, *__ in image.programs))


BASES = {"network": "debian", "host": "debian", "device": "host", "mirror": "debian"}


def _program_version(name: str) -> str:
    return pins.PAUSE if name == "pause" else programs.PROGRAMS[name].version


def image_served(registry: str, name: str) -> bool:
    """True when a registry without TLS answers for this image."""
    repository, tag = name.rsplit(":", 1)
    accept = {"Accept": "application/vnd.docker.distribution.manifest.v2+json"}
    request = urllib.request.Request(
        f"http://{registry}/v2/{repository}/manifests/{tag}", method="HEAD", headers=accept
    )
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    try:
        with opener.open(request, timeout=10) as answer:
            return bool(answer.status == 200)
    except (urllib.error.URLError, OSError):
        return False


def pause(settings: Settings) -> Path:
    """The static program that holds a pod's namespaces."""
    source = FILES / "pause" / "pause.c"
    target = settings.programs / f"pause-{digest(source)}"
    if not target.exists():
        with partial_folder(settings.programs / "pause.build") as folder:
            run(["gcc", "-Os", "-static", "-s", "-o", folder / "pause", source])
            os.replace(folder / "pause", target)
    return target
