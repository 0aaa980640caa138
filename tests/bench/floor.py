"""The same as floor.c in Python: `floor.py spawn COUNT AT_ONCE COMMAND`. Prints the seconds it took."""

from __future__ import annotations

import os
import sys
import time


def spawn_all(count: int, at_once: int, command: str) -> None:
    """Start a command so many times, and wait for each."""
    started = 0
    for ended in range(count):
        while started < count and started - ended < at_once:
            os.posix_spawn(command, [command], os.environ)
            started += 1
        _, status = os.waitpid(-1, 0)
        assert status == 0


if __name__ == "__main__":
    _, _, count, at_once, command = sys.argv
    since_s = time.perf_counter()
    spawn_all(int(count), int(at_once), command)
    print(time.perf_counter() - since_s)
