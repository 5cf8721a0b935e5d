# Copyright (c) 2026, kraf.edge contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The app's image: built once for each state of its folder and kept by the lab's mirror."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

from tests.lab import images, steps

from . import access

FOLDER = Path(__file__).parent / "app"


def publish() -> str:
    """Make sure that the mirror serves the image of the app as it is now, and return its reference there."""
    name = f"docker.io/kraf/faces:{steps.digest(FOLDER)}"
    registry = access.registry_ref("").rstrip("/")
    if not images.image_served(registry, name):
        subprocess.run([sys.executable, "-m", "tests.lab", "publish", name, str(FOLDER)], cwd=access.ROOT, check=True)
    return f"{registry}/{name}"
