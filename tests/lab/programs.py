"""Builds upstream's programs by the Go toolchain, once, into the cache."""

from __future__ import annotations

import json
import os
import re
import shutil
from dataclasses import dataclass
from pathlib import Path

from . import settings as pins
from .settings import Settings
from .steps import LabError, digest, locked, output, partial_folder, run, step, write

KUBERNETES_MODULE = "k8s.io/kubernetes"
# Staging modules of Kubernetes vX.Y.Z are published as v0.Y.Z.
STAGING_VERSION = "v0." + pins.KUBERNETES.split(".", 1)[1]
# With the releases that Kubernetes 1.22 pins, every program panics in JSON when built by a current Go.
NEWER = {"github.com/modern-go/reflect2": "v1.0.2", "github.com/json-iterator/go": "v1.1.12"}
OPENAPI = "pkg/generated/openapi"
OPENAPI_GENERATOR = {
    "k8s.io/kube-openapi": "v0.0.0-20240228011516-70dd3763d340",
    "golang.org/x/tools": "v0.30.0",
}


@dataclass(frozen=True)
class Program:
    """A program: the package that makes it, and what its module requires."""

    package: str
    requires: tuple[tuple[str, str], ...]
    cgo: bool = False

    @property
    def version(self) -> str:
        return self.requires[0][1]

    @property
    def is_kubernetes(self) -> bool:
        return self.requires[0][0] == KUBERNETES_MODULE


def _kubernetes(name: str) -> Program:
    return Program(f"{KUBERNETES_MODULE}/cmd/{name}", ((KUBERNETES_MODULE, pins.KUBERNETES),))


_ETCD = (("go.etcd.io/etcd/server/v3", pins.ETCD), ("go.etcd.io/etcd/etcdctl/v3", pins.ETCD))

PROGRAMS = {
    **{
        name: _kubernetes(name)
        for name in (
            "kubeadm",
            "kubelet",
            "kubectl",
            "kube-apiserver",
            "kube-controller-manager",
            "kube-scheduler",
            "kube-proxy",
        )
    },
    "etcd": Program("go.etcd.io/etcd/server/v3", _ETCD),
    "etcdctl": Program("go.etcd.io/etcd/etcdctl/v3", _ETCD),
    "coredns": Program("github.com/coredns/coredns", (("github.com/coredns/coredns", pins.COREDNS),)),
    "flanneld": Program("github.com/flannel-io/flannel", (("github.com/flannel-io/flannel", pins.FLANNEL),), cgo=True),
    "flannel-cni": Program(
        "github.com/containernetworking/plugins/plugins/meta/flannel",
        (("github.com/containernetworking/plugins", pins.FLANNEL_CNI_MODULE),),
    ),
}


def program_path(settings: Settings, name: str) -> Path:
    """Where a built program lies in the cache."""
    return settings.programs / f"{name}-{PROGRAMS[name].version}"


def kubernetes_go_mod(upstream: str) -> str:
    """A go.mod that builds Kubernetes from outside its own repository, from the text of its go.mod."""
    if "replace (" not in upstream:
        raise LabError(
            f"go.mod of {KUBERNETES_MODULE} {pins.KUBERNETES} has no replace block; the lab cannot build this version"
        )
    replace = upstream[upstream.index("replace (") :]
    replace = re.sub(r"=> \./staging/src/k8s\.io/(\S+)", rf"=> k8s.io/\1 {STAGING_VERSION}", replace)
    for module, version in NEWER.items():
        replace = re.sub(rf"{re.escape(module)} => .*", f"{module} => {module} {version}", replace)
    replace = replace.replace("replace (", f"replace (\n\t{KUBERNETES_MODULE} => ./kubernetes", 1)
    return f"module lab/kubernetes\n\ngo 1.16\n\nrequire {KUBERNETES_MODULE} {pins.KUBERNETES}\n\n{replace}"


def linker_flags(program: Program) -> str:
    """Linker flags: no debugging data; Kubernetes' version, which its programs compare among each other."""
    flags = ["-s", "-w"]
    if program.is_kubernetes:
        major, minor = pins.KUBERNETES[1:].split(".")[:2]
        values = {"gitVersion": pins.KUBERNETES, "gitMajor": major, "gitMinor": minor, "gitTreeState": "clean"}
        for package in ("k8s.io/component-base/version", "k8s.io/client-go/pkg/version"):
            flags += [f"-X {package}.{key}={value}" for key, value in values.items()]
    if program.cgo:
        flags.append("-linkmode external -extldflags -static")
    return " ".join(flags)


def _environment(**extra: str) -> dict[str, str]:
    return {**os.environ, "GOFLAGS": "-mod=mod -buildvcs=false", "GOWORK": "off", **extra}


def _module_dirs(modules: list[str]) -> list[Path]:
    """Folders of modules in Go's module cache, downloaded when they are not there."""
    text = output(["go", "mod", "download", "-json", *modules], env=_environment(), cwd="/")
    decoder, found = json.JSONDecoder(), []
    while text:
        document, end = decoder.raw_decode(text)
        found.append(Path(document["Dir"]))
        text = text[end:].lstrip()
    return found


def _generator(settings: Settings) -> Path:
    tool = settings.programs / f"openapi-gen-{OPENAPI_GENERATOR['k8s.io/kube-openapi']}"
    if not tool.exists():
        _go_build(
            settings,
            _module(settings, "openapi-gen", OPENAPI_GENERATOR),
            {"k8s.io/kube-openapi/cmd/openapi-gen": tool},
            "",
            False,
        )
    return tool


def _generate_openapi(settings: Settings, module: Path, source: Path) -> None:
    """Releases before 1.24 do not carry the API server's generated description, on which server-side apply depends."""
    staging = sorted(
        set(re.findall(r"=> \./staging/src/k8s\.io/(?!sample-)(\S+)", (source / "go.mod").read_text(encoding="utf-8")))
    )
    trees = {KUBERNETES_MODULE: source}
    names = [f"k8s.io/{name}" for name in staging]
    trees.update(zip(names, _module_dirs([f"{name}@{STAGING_VERSION}" for name in names]), strict=True))
    packages = set()
    for name, tree in trees.items():
        for file in tree.rglob("*.go"):
            relative = file.relative_to(tree).parent
            if {"vendor", "testdata", "staging"} & set(relative.parts):
                continue
            if "+k8s:openapi-gen=true" in file.read_text(encoding="utf-8"):
                packages.add(str(Path(name) / relative))
    write(module / "boilerplate.txt", "")
    run(
        [
            _generator(settings),
            *("--output-dir", source / OPENAPI, "--output-pkg", f"{KUBERNETES_MODULE}/{OPENAPI}"),
            *("--output-file", "zz_generated.openapi.go", "--go-header-file", module / "boilerplate.txt"),
            *("--report-filename", module / "violations.txt"),
            *sorted(packages),
        ],
        cwd=module,
        env=_environment(GODEBUG="gotypesalias=0"),
    )


def _kubernetes_module(settings: Settings) -> Path:
    """Prepares a module that builds Kubernetes. Go refuses to add files to its module cache, so this one is copied."""
    recipe = digest(repr(NEWER), repr(OPENAPI_GENERATOR))
    target = settings.cache / "build" / f"kubernetes-{pins.KUBERNETES}-{recipe}"
    if target.exists():
        return target
    source = _module_dirs([f"{KUBERNETES_MODULE}@{pins.KUBERNETES}"])[0]
    with step(f"Kubernetes {pins.KUBERNETES}: source and API description"), partial_folder(target) as folder:
        copy = folder / "kubernetes"
        run(["cp", "-r", "--no-preserve=mode", source, copy])
        write(folder / "go.mod", kubernetes_go_mod((copy / "go.mod").read_text(encoding="utf-8")))
        _generate_openapi(settings, folder, copy)
        folder.rename(target)
    return target


def _module(settings: Settings, name: str, requires: dict[str, str]) -> Path:
    """A small module of the lab's own around programs that `go install` refuses for their go.mod's sake."""
    folder = settings.cache / "build" / name
    lines = [f"module lab/{name}", "", "go 1.21", "", "require ("]
    lines += [f"\t{module} {version}" for module, version in requires.items()]
    write(folder / "go.mod", "\n".join([*lines, ")", ""]))
    return folder


def _go_build(settings: Settings, module: Path, targets: dict[str, Path], flags: str, cgo: bool) -> None:
    """Builds packages of one module at once; each target appears when it is whole."""
    with partial_folder(settings.programs / f"{module.name}.build") as scratch:
        tags = ["-tags", "netgo,osusergo"] if cgo else []
        command = ["go", "build", "-trimpath", *tags, "-ldflags", flags, "-o", f"{scratch}/", *targets]
        run(["nice", "-n", "5", *command], cwd=module, env=_environment(CGO_ENABLED="1" if cgo else "0"))
        for package, target in targets.items():
            parts = package.split("/")
            built = scratch / (parts[-2] if re.fullmatch(r"v\d+", parts[-1]) else parts[-1])
            target.parent.mkdir(parents=True, exist_ok=True)
            shutil.move(built, target)


def build(settings: Settings, names: list[str]) -> list[Path]:
    """Builds the named programs as far as the cache lacks them. Returns their paths in the order asked for."""
    unknown = [name for name in names if name not in PROGRAMS]
    if unknown:
        raise LabError(f"no such program: {', '.join(unknown)}; the lab builds {', '.join(PROGRAMS)}")
    missing = [name for name in names if not program_path(settings, name).exists()]
    if missing:
        if not shutil.which("go"):
            raise LabError("the Go toolchain is not in PATH: install Go 1.21 or later, or set KRAF_LAB_SOURCE=upstream")
        with locked(settings.cache / "build.lock"):
            _build_missing(settings, [name for name in missing if not program_path(settings, name).exists()])
    return [program_path(settings, name) for name in names]


def _build_missing(settings: Settings, names: list[str]) -> None:
    groups: dict[tuple[tuple[str, str], ...], list[str]] = {}
    for name in names:
        groups.setdefault(PROGRAMS[name].requires, []).append(name)
    for requires, members in groups.items():
        first = PROGRAMS[members[0]]
        with step(f"build {' '.join(members)} {first.version}"):
            if first.is_kubernetes:
                module = _kubernetes_module(settings)
            else:
                module = _module(settings, members[0], dict(requires))
            targets = {PROGRAMS[name].package: program_path(settings, name) for name in members}
            _go_build(settings, module, targets, linker_flags(first), first.cgo)
