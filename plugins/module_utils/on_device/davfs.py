# Copyright (c) 2026, kraf.edge contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""davfs2's own files, as text: secrets, configuration, units. Its manual pages: mount.davfs(8), davfs2.conf(5)."""

from __future__ import annotations

import re
from dataclasses import dataclass

from ..core.errors import KrafError

LONGEST_PASSWORD = 254
"""Bytes; davfs2 1.6.1 cuts longer ones or sends foreign memory behind them, at 255 now and then."""
KNOWN_BAD = {"1.7.0": "lists directories slowly", "1.7.1": "lists directories slowly", "1.7.2": "lists slowly"}
KNOWN_BAD["1.7.3"] = "lists slowly"
_PATH = re.compile(r"/[A-Za-z0-9][A-Za-z0-9._/-]*\Z")

SETTINGS = {
    "ask_auth": "0",
    "use_locks": "0",
    # Below 132 every listing fails on kernels from 6.16 on; below about 512 on pages of 16 KiB.
    "buf_size": "1024",
    "delay_upload": "0",
    "connect_timeout": "5",
    "read_timeout": "15",
    "retry": "5",
    "max_retry": "60",
    "max_upload_attempts": "1000000",
    "table_size": "4096",
    "dir_refresh": "10",
    "file_refresh": "1",
}


@dataclass(frozen=True)
class Mount:
    """A mount of an export through its forward."""

    name: str
    path: str
    port: int
    username: str
    uid: str = "root"
    gid: str = "root"
    file_mode: str = "644"
    dir_mode: str = "755"
    cache_mib: int = 256
    cache_dir: str = ""
    unmount_timeout: int = 300

    @property
    def url(self) -> str:
        """The loopback address at which the forward offers the export."""
        return f"http://127.0.0.1:{self.port}/"

    @property
    def cache(self) -> str:
        """Directory of its cache, on durable storage: what was written and not sent yet is there alone."""
        return self.cache_dir or f"/var/lib/kraf/davfs2/{self.name}"

    @property
    def options(self) -> str:
        """Mount options."""
        modes = f"uid={self.uid},gid={self.gid},file_mode={self.file_mode},dir_mode={self.dir_mode}"
        return f"rw,_netdev,{modes}"


def validate(mount: Mount) -> None:
    """Refuse what would need escaping in one of the files.

    Raises:
        KrafError: naming the option.
    """
    if not _PATH.match(mount.path) or ".." in mount.path.split("/") or mount.path.endswith("/"):
        why = "letters, digits and . _ / - are taken, it is absolute, without .. and without a slash at its end"
        raise KrafError("mount point", mount.path, why, f"Use /srv/kraf/{mount.name}")
    for what, text in (("uid", mount.uid), ("gid", mount.gid), ("mode", mount.file_mode), ("mode", mount.dir_mode)):
        if not re.match(r"[A-Za-z0-9_-]+\Z", text):
            raise KrafError(f"mount {mount.name}, {what}", text, "letters, digits, '-' and '_' are taken")


def quote(text: str) -> str:
    """A word of davfs2's secrets: in double quotes always, since unquoted ``#``, blanks and quotes end or break it."""
    return '"' + text.replace("\\", "\\\\").replace('"', '\\"') + '"'


def parse_secret(line: str) -> list[str]:
    """Words of a line of secrets, read as davfs2 1.6 reads it; empty for a comment or a malformed line."""
    words: list[str] = []
    word, inside, started, index = "", False, False, 0
    while index < len(line):
        char = line[index]
        if char == "\\" and index + 1 < len(line):
            index += 1
            word, started = word + line[index], True
        elif char == '"':
            inside, started = not inside, True
        elif not inside and char in " \t#":
            if started:
                words.append(word)
            word, started = "", False
            if char == "#":
                return words
        else:
            word, started = word + char, True
        index += 1
    if inside:
        return []
    return [*words, word] if started else words


def secret_line(mount: Mount, password: str) -> str:
    """The line for a mount, checked by reading it back.

    Raises:
        KrafError: when davfs2 could not send this user and password as they are.
    """
    for what, text in (("user", mount.username), ("password", password)):
        if not text or any((ord(char) < 32 and char != "\t") or ord(char) == 127 for char in text):
            raise KrafError(f"mount {mount.name}, {what}", None, "it is empty or holds a control character")
        if len(text.encode()) > LONGEST_PASSWORD:
            why = f"it has {len(text.encode())} bytes; davfs2 garbles more than {LONGEST_PASSWORD}"
            raise KrafError(f"mount {mount.name}, {what}", None, why, "Rotate the export's credentials")
    line = " ".join(quote(text) for text in (mount.path, mount.username, password))
    if parse_secret(line) != [mount.path, mount.username, password]:
        raise KrafError(f"mount {mount.name}, credentials", None, "davfs2 would not read them as they are")
    return line


def merge_secrets(text: str, path: str, line: str) -> str:
    """Secrets with this mount's line set, or removed when ``line`` is empty; all other lines stay as they are."""
    kept = [one for one in text.lstrip("\ufeff").splitlines() if parse_secret(one)[:1] != [path]]
    return "".join(f"{one}\n" for one in [*kept, *filter(None, [line])])


def section(mount: Mount) -> str:
    """The mount's section of davfs2.conf."""
    settings = {**SETTINGS, "cache_size": str(mount.cache_mib), "cache_dir": mount.cache}
    lines = [f"{key} {value}" for key, value in settings.items()]
    return "\n".join([f"# BEGIN kraf.edge {mount.name}", f"[{mount.path}]", *lines, f"# END kraf.edge {mount.name}\n"])


def merge_config(text: str, name: str, block: str) -> str:
    """davfs2.conf with a mount's section set, or removed when ``block`` is empty; the rest stays as it is."""
    marked = rf"# BEGIN kraf\.edge {re.escape(name)}\n.*?# END kraf\.edge {re.escape(name)}\n"
    if re.search(marked, text, re.DOTALL):
        return re.sub(marked, lambda _found: block, text, flags=re.DOTALL)
    return text + ("" if not block or not text or text.endswith("\n") else "\n") + block


def bad_version(said: str) -> str:
    """What is known against a version of davfs2, from what ``mount.davfs -V`` prints; "" when nothing is."""
    found = re.search(r"davfs2 (\d+\.\d+\.\d+)", said)
    reason = KNOWN_BAD.get(found.group(1), "") if found else ""
    return f"davfs2 {found.group(1)} {reason}" if found and reason else ""


def units(mount: Mount, unit: str) -> dict[str, str]:
    """Units of a mount by name; ``unit`` is the escaped path without suffix."""
    guard = f"kraf-mount-{mount.name}.service"
    return {
        guard: f"""\
[Unit]
Description=kraf.edge: guard of the mount {mount.path}
StopWhenUnneeded=yes
After=local-fs.target

[Service]
ExecStartPre=/usr/local/lib/kraf/mount-guard before {mount.path} {mount.cache} {mount.name}
ExecStart=/usr/local/lib/kraf/mount-guard watch {mount.path} {mount.cache} {mount.name}
ExecStopPost=/usr/local/lib/kraf/mount-guard after {mount.path} {mount.cache} {mount.name}
TimeoutStopSec={mount.unmount_timeout + 30}
""",
        f"{unit}.mount": f"""\
[Unit]
Description=kraf.edge: volume {mount.name}
Wants=kraf-forward.service
Requires={guard}
After=kraf-forward.service {guard}

[Mount]
What={mount.url}
Where={mount.path}
Type=davfs
Options={mount.options}
TimeoutSec={mount.unmount_timeout}
""",
        f"{unit}.automount": f"""\
[Unit]
Description=kraf.edge: volume {mount.name}, mounted when it is used

[Automount]
Where={mount.path}
DirectoryMode=0000

[Install]
WantedBy=multi-user.target
""",
    }


GUARD = """\
#!/bin/sh
# Written by kraf.edge. Guards a davfs2 mount against what an unclean exit leaves behind: davfs2 writes its index at a
# clean exit only, and a cache without it serves files that the server never got.
set -u
path=$2 cache=$3 name=$4
marker=/var/lib/kraf/davfs2/$name.mounted
pidfile=/run/mount.davfs/$(echo "${path#/}" | tr / -).pid
mounted() { grep -q " $path fuse" /proc/self/mounts; }
alive() {
    pid=$(cat "$pidfile" 2>/dev/null) || return 1
    [ "$(cat "/proc/$pid/comm" 2>/dev/null)" = mount.davfs ]
}
case $1 in
before)
    alive && mounted && exit 0
    # Without a user and password that it can use, davfs2 sends what happens to be in its memory in their place.
    entry='"([^"\\\\]|\\\\.)+"'
    if ! grep -Eq "^\\"$path\\" $entry $entry$" /etc/davfs2/secrets; then
        echo "/etc/davfs2/secrets has no user and password for $path, written as the module kraf.edge.mount does" >&2
        exit 1
    fi
    mounted && umount -l "$path"
    if ! alive; then
        rm -f "$pidfile"
        if [ -e "$marker" ] && [ -n "$(find "$cache" -type f 2>/dev/null | head -n 1)" ]; then
            aside=/var/lib/kraf/davfs2-quarantine/$name/$(date -u +%Y%m%dT%H%M%SZ)
            mkdir -p -m 0700 "$aside"
            find "$cache" -mindepth 1 -maxdepth 1 -exec mv -t "$aside" {} +
            echo "the last mount of $path did not end cleanly: its cache is in $aside"
        fi
    fi
    # The cache may be elsewhere.
    mkdir -p "${marker%/*}"
    : > "$marker"
    sync "$marker"
    ;;
watch)
    tries=0
    until alive && mounted; do
        # It may have died before it was seen.
        [ -e "$pidfile" ] && mounted && ! alive && break
        tries=$((tries + 1))
        [ $tries -gt 90 ] && exit 0
        sleep 1
    done
    alive && tail --pid="$pid" -f /dev/null
    mounted && umount -l "$path"
    exit 0
    ;;
after)
    # It may still be sending. A clean exit takes the pid file along.
    tries=0
    while alive && [ $tries -lt 300 ]; do
        tries=$((tries + 1))
        sleep 1
    done
    mounted || alive || [ -e "$pidfile" ] || rm -f "$marker"
    exit 0
    ;;
esac
"""
