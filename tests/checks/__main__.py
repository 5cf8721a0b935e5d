"""`python -m tests.checks` runs this repository's own static checks and prints every complaint at once."""

from __future__ import annotations

import sys
from pathlib import Path

from . import addresses, argument_specs, galaxy, pictures, variables

CHECKS = (galaxy, argument_specs, variables, addresses, pictures)


def main() -> int:
    root = Path(__file__).resolve().parents[2]
    complaints = [complaint for check in CHECKS for complaint in check.complaints(root)]
    for complaint in complaints:
        print(complaint)
    print(f"{len(complaints)} complaints from {len(CHECKS)} checks")
    return 1 if complaints else 0


if __name__ == "__main__":
    sys.exit(main())
