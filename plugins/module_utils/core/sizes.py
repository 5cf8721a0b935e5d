# Copyright (c) 2026, kraf.edge contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Sizes: one syntax for people, parsed strictly, translated for each consumer.

A size is a decimal number and a binary unit: ``512Mi``, ``1Gi``, ``1.5Ti``. What Kubernetes takes beyond that is either
ambiguous or dangerous (``10m`` is a hundredth of a byte, ``1000Ei`` silently becomes 2**63-1) and is refused.
Syntax of quantities: https://kubernetes.io/docs/reference/kubernetes-api/common-definitions/quantity/
"""

from __future__ import annotations

import math
import re
from fractions import Fraction

from .errors import KrafError

UNITS = {"Ki": 2**10, "Mi": 2**20, "Gi": 2**30, "Ti": 2**40, "Pi": 2**50}
MINIMUM = UNITS["Mi"]
MAXIMUM = 2**63 - 1

_SIZE = re.compile(r"([0-9]{1,20}(?:\.[0-9]{1,20})?)(Ki|Mi|Gi|Ti|Pi)\Z", re.ASCII)
_FIX = "Write a number and one of Mi, Gi, Ti, for example 10Gi"


def parse(text: object, what: str = "size", minimum: int = MINIMUM) -> int:
    """Bytes of a size as a person wrote it.

    Args:
        text: such as ``1Gi``; only text, since YAML has already changed a bare number (``010`` is 8).
        what: the thing that has this size, for the message.
        minimum: smallest size that makes sense, in bytes.

    Returns:
        A whole number of bytes, rounded up.

    Raises:
        KrafError: naming the value, the reason and a way to write it.
    """
    if not isinstance(text, str):
        raise KrafError(what, text, "a size is a text with its unit, a number alone could mean bytes or GiB", _FIX)
    found = _SIZE.match(text)
    if not found:
        raise KrafError(what, text, _reason(text), _FIX)
    # Fractions, since both float and Decimal round.
    size = math.ceil(Fraction(found.group(1)) * UNITS[found.group(2)])
    if size < minimum:
        raise KrafError(what, text, f"that is {size} bytes, at least {human(minimum)} are needed", _FIX)
    if size > MAXIMUM:
        raise KrafError(what, text, "that is more than a 64-bit number of bytes holds", _FIX)
    return size


_REASONS = (
    (r"\s*", "it is empty"),
    (r"[0-9.]+", "it has no unit, so it could mean bytes or GiB"),
    (r"0x[0-9a-f]*", "hexadecimal numbers are not taken"),
    (r"[-+].*", "a size has no sign"),
    (r"[0-9.]+e[-+]?[0-9]+", "exponents are not taken"),
    (r"[0-9.]+\s*[kmgtpe]i?b(ytes?)?", "units are written without the B: Mi, Gi, Ti"),
    (r"[0-9.]+\s+[kmgtp]i?", "there is a blank before the unit"),
    (r"[0-9.]+ei", "no store holds that much"),
    (r"[0-9]+(\.[0-9]+)?[kmgtp]i", "a unit is an upper-case letter and a lower-case i: Mi, Gi, Ti"),
    (r"[0-9.]*[0-9],[0-9].*", "the decimal sign is a point"),
)


def _reason(text: str) -> str:
    # M and m differ by a factor of a thousand million: the one unit where the letter's case is the reason.
    if re.fullmatch(r"[0-9.]+m", text, re.ASCII):
        return "m means a thousandth, so this is at most some bytes"
    if re.fullmatch(r"[0-9.]+[kKMGTPE]", text, re.ASCII):
        return "decimal units (K, M, G) differ from binary ones by up to 10 percent, and only binary ones are taken"
    for pattern, reason in _REASONS:
        if re.fullmatch(pattern, text, re.ASCII | re.IGNORECASE):
            return reason
    return "it is not a size"


def to_kubernetes(size: int) -> str:
    """The shortest Kubernetes quantity that is exactly this many bytes."""
    for unit in ("Pi", "Ti", "Gi", "Mi", "Ki"):
        if size and size % UNITS[unit] == 0:
            return f"{size // UNITS[unit]}{unit}"
    return str(size)


def from_kubernetes(quantity: object) -> int:
    """Bytes of a quantity that Kubernetes itself returned, in whatever form it is written there.

    Raises:
        KrafError: when it is no quantity.
    """
    text = str(quantity)
    found = re.match(r"([0-9]{1,30}(?:\.[0-9]{1,30})?)([eE][0-9]{1,2}|[KMGTPE]i|[kMGTPE]|m)?\Z", text, re.ASCII)
    if not found:
        raise KrafError("quantity", quantity, "the API server returned what is no quantity")
    number, suffix = Fraction(found.group(1)), found.group(2) or ""
    factor = Fraction(1)
    if suffix in UNITS or suffix == "Ei":
        factor = Fraction(2 ** (10 * ("KMGTPE".index(suffix[0]) + 1)))
    elif suffix == "m":
        factor = Fraction(1, 1000)
    elif suffix[:1] in ("e", "E") and len(suffix) > 1:
        factor = Fraction(10) ** int(suffix[1:])
    elif suffix:
        factor = Fraction(10 ** (3 * ("kMGTPE".index(suffix) + 1)))
    return math.ceil(number * factor)


def to_prometheus(size: int) -> str:
    """The size as Prometheus' ``--storage.tsdb.retention.size`` wants it: with a B, which there means binary units."""
    text = to_kubernetes(size)
    return text[:-1] + "B" if text.endswith("i") else text + "B"


def human(size: int) -> str:
    """The size for a sentence: at most one decimal, binary unit."""
    for unit in ("Pi", "Ti", "Gi", "Mi", "Ki"):
        if size >= UNITS[unit]:
            return f"{size / UNITS[unit]:.1f}".rstrip("0").rstrip(".") + " " + unit + "B"
    return f"{size} B"


def millicores(text: object, what: str = "cpu") -> int:
    """Thousandths of a CPU of a quantity as Kubernetes takes it for CPUs: ``2``, ``0.5``, ``250m``.

    Raises:
        KrafError: for anything else, and for less than Kubernetes' smallest amount, 1m.
    """
    fix = "Write a number of CPUs such as 0.5, or thousandths of one such as 500m"
    found = re.match(r"([0-9]{1,9}(?:\.[0-9]{1,9})?)(m?)\Z", text, re.ASCII) if isinstance(text, str) else None
    if not found:
        raise KrafError(what, text, "it is not an amount of CPU", fix)
    exact = Fraction(found.group(1)) * (1 if found.group(2) else 1000)
    if exact < 1 or exact.denominator != 1:
        raise KrafError(what, text, "the smallest amount of CPU, and the smallest step, is 1m", fix)
    return int(exact)
