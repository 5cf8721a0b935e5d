"""python3 -m tests.lab COMMAND: the lab's one entry."""

from __future__ import annotations

import sys

if sys.version_info < (3, 11):
    sys.exit(f"lab: Python {sys.version.split()[0]} is older than 3.11; run it with PYTHON=python3.11")

import argparse
import contextlib
import os
import shutil
import signal
from pathlib import Path

from . import doctor, hosts, machine, mirror, programs, settings
from .engine import Engine
from .images import Builder
from .settings import Settings, SettingsError
from .steps import LabError, locked, run, say, step

BUILD = Path(__file__).parents[2] / "build"


def up(lab: Settings, arguments: argparse.Namespace) -> None:
    """Brings the lab up; what is up already stays."""
    doctor.check(lab)
    with locked(lab.cache / "lab.lock"):
        lab.root.mkdir(mode=0o700, parents=True, exist_ok=True)
        machine.install_tools(machine.Changes(lab))
    if lab.source == "build":
        # Minutes in a cold cache; other labs of this machine are not held up meanwhile.
        programs.build(lab, mirror.needed_programs())
    with locked(lab.cache / "lab.lock"):
        changes = machine.Changes(lab)
        machine.apply(lab, changes)
        engine = Engine(lab)
        engine.start()
        machine.add_route(lab, changes)
        hosts.make_key(lab)
        one, builder = hosts.Lab(lab, engine), Builder(lab, engine)
        one.network()
        if lab.source == "build":
            mirror.build_tree(lab)
        one.start_mirror(builder)
        one.start_hosts(builder)
        if lab.source == "build":
            builder.publish(one.registry)
    for line in hosts.status_lines(one):
        print(line)
    say(f"the lab {lab.name} is up; python3 -m tests.lab ssh {lab.hosts[0].name} reaches a host")


def down(lab: Settings, arguments: argparse.Namespace) -> None:
    """Removes the lab; with the last lab go the engine and all changes on the machine."""
    # What the playbooks wrote about its cluster (inventories/lab); the next lab of this name has another one.
    for name in ("kubeconfig", "catalog.sqlite"):
        (BUILD / lab.name / name).unlink(missing_ok=True)
    if not lab.root.exists():
        say("nothing to remove")
        return
    with locked(lab.cache / "lab.lock"):
        changes, engine = machine.Changes(lab), Engine(lab)
        if changes.of("namespace"):
            # Containers, volumes and loop devices are known to the engine; one that died is needed once more.
            machine.apply(lab, changes)
            engine.start()
            hosts.Lab(lab, engine).remove()
            machine.remove_route(lab, changes)
            left = engine.docker(
                "ps", "--all", "--filter", f"label={hosts.LABEL}", "--format", "{{.Names}}"
            ).stdout.split()
            if left:
                say(f"the engine stays for {' '.join(left)}")
                return
        engine.stop()
        machine.undo(lab, changes)
        shutil.rmtree(lab.root)
    say(f"the lab is gone; {lab.cache} keeps what was built")


def clean(lab: Settings, arguments: argparse.Namespace) -> None:
    """Removes the cache, unless a lab still uses it."""
    if lab.root.exists():
        raise LabError(f"a lab is up or half up ({lab.root} is there): run python3 -m tests.lab down first")
    with step(f"remove {lab.cache}"):
        run(["rm", "-rf", lab.cache])


def build(lab: Settings, arguments: argparse.Namespace) -> None:
    """Builds programs into the cache and prints their paths."""
    for path in programs.build(lab, arguments.program):
        print(path)


def publish(lab: Settings, arguments: argparse.Namespace) -> None:
    """Builds an image from a folder (build argument BASE: the mirror's Debian) and pushes it to the mirror."""
    engine = Engine(lab)
    registry = hosts.Lab(lab, engine).registry
    reference = f"{registry}/{arguments.name}"
    base = f"BASE={registry}/docker.io/library/debian:bookworm-slim"
    with step(f"image {arguments.name}"):
        engine.docker(
            "build", "--quiet", "--network", "host", "--build-arg", base, "--tag", reference, arguments.folder
        )
        engine.docker("push", "--quiet", reference)
    print(reference)


def status(lab: Settings, arguments: argparse.Namespace) -> None:
    """Shows the lab's containers."""
    engine = Engine(lab)
    if not engine.pid():
        say("the lab's engine does not run")
        return
    for line in hosts.status_lines(hosts.Lab(lab, engine)):
        print(line)


def show_changes(lab: Settings, arguments: argparse.Namespace) -> None:
    """Lists what the lab changed on this machine."""
    for line in machine.Changes(lab).lines() or ["nothing"]:
        print(line)


def ssh(lab: Settings, arguments: argparse.Namespace) -> None:
    """A shell, or one command, on a host."""
    for host in lab.hosts:
        if host.name == arguments.host:
            command = hosts.ssh_command(lab, host, *arguments.command)
            os.execvp(command[0], command)
    raise LabError(f"the lab has no host {arguments.host!r}; it has {' '.join(host.name for host in lab.hosts)}")


def docker(lab: Settings, arguments: argparse.Namespace) -> None:
    """The Docker client of the lab's engine."""
    engine = Engine(lab)
    os.execve(engine.client()[0], [*engine.client(), *arguments.command], engine.environment())


def parser() -> argparse.ArgumentParser:
    top = argparse.ArgumentParser(prog="python3 -m tests.lab", description=__doc__)
    commands = top.add_subparsers(dest="name", required=True, metavar="COMMAND")
    for name, function in COMMANDS.items():
        command = commands.add_parser(name, help=function.__doc__, description=function.__doc__)
        command.set_defaults(function=function)
        if name == "build":
            command.add_argument("program", nargs="+", choices=list(programs.PROGRAMS), metavar="PROGRAM")
        elif name == "publish":
            command.add_argument("name", metavar="NAME:TAG")
            command.add_argument("folder", help="build context with a Dockerfile")
        elif name == "ssh":
            command.add_argument("host")
        if name in ("ssh", "docker"):
            command.add_argument("command", nargs=argparse.REMAINDER)
    return top


COMMANDS = {
    "doctor": doctor.command,
    "up": up,
    "down": down,
    "clean": clean,
    "status": status,
    "changes": show_changes,
    "build": build,
    "publish": publish,
    "ssh": ssh,
    "docker": docker,
}


def main() -> int:
    arguments = parser().parse_args()
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    try:
        arguments.function(settings.from_environment(), arguments)
    except (LabError, SettingsError) as error:
        print(f"lab: {error}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        with contextlib.suppress(OSError):
            print("lab: interrupted; run the same command again, or `down`", file=sys.stderr)
        return 130
    return 0


if __name__ == "__main__":
    sys.exit(main())
