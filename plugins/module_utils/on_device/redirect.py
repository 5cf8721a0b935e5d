# Copyright (c) 2026, kraf.edge contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Clients of a port that a container publishes, led to haproxy: nftables rules ahead of Docker's own.

The container is not touched. The rules come at priority -110, before Docker's destination NAT at -100, and pass by
haproxy's own connections, and marked ones such as the UDP forwarder's, which reach the container as clients did before.
"""

from __future__ import annotations

from collections.abc import Sequence

from .forward_store import UDP, Forward
from .run import check, run

TABLE = "inet kraf_forward"
PRIORITY = -110
MARK = 0x6B72
"""Mark of connections that go past the rules: a probe that asks the app itself."""


def render(forwards: Sequence[Forward], user: str) -> str:
    """A ruleset that replaces our table as one transaction; without any redirect the table is empty."""
    rules = [_rule(one) for one in sorted(forwards, key=lambda one: one.port) if one.redirect]
    body = "".join(f"        {rule}\n" for rule in rules)
    answers = "".join(f"        {rule}\n" for rule in _answers(forwards))
    return f"""\
# Written by kraf.edge from the files in forwards/; changes made here are lost.
table {TABLE}
delete table {TABLE}
table {TABLE} {{
    chain prerouting {{
        type nat hook prerouting priority {PRIORITY}; policy accept;
{body}    }}
    chain output {{
        type nat hook output priority {PRIORITY}; policy accept;
        meta skuid {user} return
{_MARKED if answers else ""}        meta mark {MARK:#010x} return
{body}    }}
{_POSTROUTING.format(priority=PRIORITY, answers=answers) if answers else ""}}}
"""


# The flows of the UDP forwarder itself, for whoever lets the kernel forget those of clients.
_MARKED = f"        meta l4proto udp meta mark {MARK:#010x} ct mark set {MARK:#010x} return\n"
_POSTROUTING = """\
    chain postrouting {{
        type nat hook postrouting priority {priority}; policy accept;
{answers}    }}
"""


def ports(forwards: Sequence[Forward]) -> set[int]:
    """UDP ports of containers that these forwards take over."""
    return {one.port for one in forwards if one.redirect and one.protocol == UDP}


def _answers(forwards: Sequence[Forward]) -> list[str]:
    """UDP answers that come after the kernel has forgotten their question (30 s) leave from the client's port, too."""
    found = [one for one in sorted(forwards, key=lambda one: one.port) if one.redirect and one.protocol == UDP]
    return [f"udp sport {one.listen} snat to :{one.port}" for one in found]


def _rule(forward: Forward) -> str:
    destination = "fib daddr type local" if forward.address == "*" else f"ip daddr {forward.address}"
    return f"{destination} {forward.protocol} dport {forward.port} redirect to :{forward.listen}"


def loaded(text: str) -> bool:
    """Whether the kernel has the rules of this text."""
    listed = run(["nft", "--stateless", "list", "table", *TABLE.split()], 10)
    return listed.ok and _rules(listed.stdout) == _rules(text)


def _rules(text: str) -> list[str]:
    lines = [line.strip() for line in text.splitlines()]
    # A user is listed by name or by number, as nft pleases.
    wanted = ("redirect to", "snat to")
    return [
        line for line in lines if any(word in line for word in wanted) or (" mark " in line and line.endswith("return"))
    ]


def apply(text: str) -> bool:
    """Load the rules unless the kernel has them; True when it had not."""
    if loaded(text):
        return False
    check(["nft", "-f", "-"], 10, stdin=text, fix="See nft list ruleset on the device")
    return True
