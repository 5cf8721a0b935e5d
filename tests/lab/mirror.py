"""The mirror: upstream's files under upstream's paths, the list of their checksums, and upstream's images."""

from __future__ import annotations

import gzip
import os
import shutil
import tarfile
from pathlib import Path

from . import programs
from . import settings as pins
from .images import UPSTREAM, architecture
from .settings import Settings
from .steps import partial_folder, run, sha256, step, write

KUBERNETES_PROGRAMS = ("kubeadm", "kubelet", "kubectl")
REGISTRY_PORT = 5000


def needed_programs() -> list[str]:
    """Programs that the mirror serves, as files or inside images."""
    inside = [program for image in UPSTREAM for program, _unused in image.programs if program != "pause"]
    return [*KUBERNETES_PROGRAMS, *inside]


def checksums_text(entries: dict[str, dict[str, dict[str, str]]]) -> str:
    """A list of checksums as YAML: program, version without `v`, architecture, sha256."""
    lines = ["---"]
    for program, versions in sorted(entries.items()):
        lines.append(f"{program}:")
        for version, sums in versions.items():
            lines.append(f"  {version}:")
            lines += [f"    {arch}: {value}" for arch, value in sorted(sums.items())]
    return "\n".join([*lines, ""])


def build_tree(settings: Settings) -> Path:
    """Lays out the HTTP tree, with the upstream's host as first element of each path."""
    tree, arch = settings.cache / "mirror", architecture()
    entries: dict[str, dict[str, dict[str, str]]] = {}
    for name in KUBERNETES_PROGRAMS:
        path = tree / f"dl.k8s.io/release/{pins.KUBERNETES}/bin/linux/{arch}/{name}"
        _place(programs.program_path(settings, name), path)
        entries[name] = {pins.KUBERNETES[1:]: {arch: _with_checksum(path)}}
    name = f"cni-plugins-linux-{arch}-{pins.CNI_PLUGINS}.tgz"
    path = tree / f"github.com/containernetworking/plugins/releases/download/{pins.CNI_PLUGINS}/{name}"
    if not path.exists():
        _pack_cni_plugins(settings, path)
    entries["cni_plugins"] = {pins.CNI_PLUGINS[1:]: {arch: _with_checksum(path)}}
    write(tree / "checksums.yml", checksums_text(entries))
    return tree


def _place(source: Path, target: Path) -> None:
    target.parent.mkdir(parents=True, exist_ok=True)
    if target.exists() and target.samefile(source):
        return
    partial = target.with_name(f".{target.name}.partial")
    partial.unlink(missing_ok=True)
    os.link(source, partial)
    os.replace(partial, target)


def _with_checksum(path: Path) -> str:
    """The file's sha256, which also stands beside it as upstream has it."""
    value = sha256(path)
    write(path.with_name(f"{path.name}.sha256"), f"{value}\n")
    return value


def _pack_cni_plugins(settings: Settings, target: Path) -> None:
    """Debian's plugins in upstream's archive; the same bytes at each run, so that a checksum stays true."""
    with step("CNI plugins from Debian's package"), partial_folder(settings.cache / "build" / "cni") as folder:
        folder.chmod(0o755)
        run(["apt-get", "update", "-q"])
        run(["apt-get", "download", "-q", "containernetworking-plugins"], cwd=folder)
        for deb in folder.glob("*.deb"):
            run(["dpkg-deb", "-x", deb, folder / "root"])
        plugins = sorted((folder / "root/usr/lib/cni").iterdir())
        archive = folder / "plugins.tgz"
        with (
            open(archive, "wb") as raw,
            gzip.GzipFile(filename="", fileobj=raw, mode="wb", mtime=0) as packed,
            tarfile.open(fileobj=packed, mode="w") as tar,
        ):
            for plugin in plugins:
                # flannel's own plugin comes with flannel.
                if plugin.name != "flannel":
                    tar.add(plugin, arcname=f"./{plugin.name}", filter=_plain)
        target.parent.mkdir(parents=True, exist_ok=True)
        shutil.move(archive, target)


def _plain(member: tarfile.TarInfo) -> tarfile.TarInfo:
    member.uid = member.gid = member.mtime = 0
    member.uname = member.gname = "root"
    return member
