# Copyright (c) 2026, kraf.edge contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The demo's photographs: those that come with scikit-image, their licences in that package's data/README.txt."""

from __future__ import annotations

import subprocess
import sys
import zipfile
from collections.abc import Mapping
from pathlib import Path

from PIL import Image, ImageDraw

PACKAGE = Path(__file__).parents[2] / "requirements" / "photographs.txt"
NAMES = ("astronaut.png", "camera.png", "chelsea.png", "coffee.png", "coins.png", "motorcycle_left.png", "rocket.jpg")
HEIGHT = 400
"""Of the annotated picture, in pixels."""


def fetch(folder: Path) -> list[Path]:
    """Put the photographs into a folder and return their paths; only the package's files are used."""
    wanted = [folder / name for name in NAMES]
    if all(path.exists() for path in wanted):
        return wanted
    folder.mkdir(parents=True, exist_ok=True)
    download = [sys.executable, "-m", "pip", "download", "-q", "--no-deps", "--only-binary=:all:", "-d", str(folder)]
    subprocess.run([*download, "-r", str(PACKAGE)], check=True)
    wheel = next(folder.glob("scikit_image-*.whl"))
    with zipfile.ZipFile(wheel) as package:
        for path in wanted:
            path.write_bytes(package.read(f"skimage/data/{path.name}"))
    wheel.unlink()
    return wanted


def annotate(found: Mapping[Path, list[list[int]]], caption: str, target: Path) -> None:
    """One picture of the photographs with faces in them, each face (x, y, width, height in pixels) in a box."""
    sheets = [_boxed(photograph, faces) for photograph, faces in found.items() if faces]
    whole = Image.new("RGB", (max(320, sum(sheet.width for sheet in sheets)), HEIGHT + 24), "white")
    left = 0
    for sheet in sheets:
        whole.paste(sheet, (left, 0))
        left += sheet.width
    ImageDraw.Draw(whole).text((6, HEIGHT + 6), caption, fill="black")
    target.parent.mkdir(parents=True, exist_ok=True)
    whole.save(target)


def _boxed(photograph: Path, faces: list[list[int]]) -> Image.Image:
    with Image.open(photograph) as source:
        picture = source.convert("RGB")
    pen = ImageDraw.Draw(picture)
    for x, y, width, height in faces:
        pen.rectangle((x, y, x + width, y + height), outline=(0, 220, 0), width=4)
    return picture.resize((round(picture.width * HEIGHT / picture.height), HEIGHT))
