"""Writes numbered files into a directory and records what the writer saw: python3 writer.py DIRECTORY COUNT RESULT.

The content follows from the number, so that the reader of the other side needs no list. Standard library only.
"""

import json
import os
import sys
import time

SIZE = 16 * 1024
PAUSE = 0.15


def content(number):
    return (b"%08d" % number) * (SIZE // 8)


def main(directory, count, result):
    os.makedirs(directory, exist_ok=True)
    seen = {"written": 0, "errors": [], "longest_seconds": 0.0}
    for number in range(count):
        started = time.monotonic()
        try:
            with open(os.path.join(directory, f"f{number:04d}"), "wb") as stream:
                stream.write(content(number))
            seen["written"] += 1
        except OSError as error:
            seen["errors"].append(f"f{number:04d}: {error}")
        seen["longest_seconds"] = max(seen["longest_seconds"], time.monotonic() - started)
        time.sleep(PAUSE)
    with open(result + ".new", "w") as stream:
        json.dump(seen, stream)
    os.replace(result + ".new", result)


if __name__ == "__main__":
    main(sys.argv[1], int(sys.argv[2]), sys.argv[3])
