"""Stands in for the pip installer that ansible-test wants to download: Python carries a pip of its own.

ansible-test keeps downloads in its cache, and .ci/stage puts this file there when the cache has none.
"""

from __future__ import annotations

import ensurepip
import os
import subprocess
import sys


def main() -> int:
    machine_config = os.environ.get("PIP_CONFIG_FILE")
    # bootstrap() points PIP_CONFIG_FILE at /dev/null for the whole process, which loses the machine's index and CA.
    ensurepip.bootstrap(default_pip=True)
    os.environ.pop("PIP_CONFIG_FILE", None)
    if machine_config:
        os.environ["PIP_CONFIG_FILE"] = machine_config
    wanted = [argument for argument in sys.argv[1:] if not argument.startswith("--no-")]
    return subprocess.call([sys.executable, "-m", "pip", "install", *wanted])


if __name__ == "__main__":
    sys.exit(main())
