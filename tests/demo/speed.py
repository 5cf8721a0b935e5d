# Copyright (c) 2026, kraf.edge contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""How fast the app finds faces, asked as its user asks: over HTTP, one photograph after the other."""

from __future__ import annotations

import http.client
import json
import math
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path


@dataclass
class Round:
    """One pass over the photographs: images per second, and each one's faces as [x, y, width, height] in pixels."""

    images_per_second: float
    faces: dict[str, list[list[int]]]


def detect(host: str, port: int, photographs: Sequence[Path], passes: int = 2) -> Round:
    """Post every photograph ``passes`` times over one connection; the first pass is not timed."""
    faces: dict[str, list[list[int]]] = {}
    begin = 0.0
    connection = http.client.HTTPConnection(host, port, timeout=120)
    for number in range(passes + 1):
        if number == 1:
            begin = time.monotonic()
        for photograph in photographs:
            connection.request("POST", f"/detect?name={photograph.name}", photograph.read_bytes())
            answer = connection.getresponse()
            body = answer.read()
            if answer.status != 200:
                raise RuntimeError(f"{photograph.name}: status {answer.status}: {body[:200]!r}")
            faces[photograph.name] = json.loads(body)["faces"]
    seconds = time.monotonic() - begin
    connection.close()
    return Round(len(photographs) * passes / seconds if passes else 0.0, faces)


def results(host: str, port: int) -> list[dict[str, object]]:
    """All rows that the app has stored, oldest first."""
    connection = http.client.HTTPConnection(host, port, timeout=60)
    connection.request("GET", "/results")
    rows: list[dict[str, object]] = json.loads(connection.getresponse().read())
    connection.close()
    return rows


def break_even_images(device: float, edge: float, both_moves_seconds: float) -> int | None:
    """From how many images on a move there and back pays, given images per second; None when the edge is no faster."""
    if edge <= device:
        return None
    return math.ceil(both_moves_seconds / (1 / device - 1 / edge))
