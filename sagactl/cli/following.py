"""Following sagas that other processes drive: how a change of the database is noticed.

Nothing tells a stranger of a commit. What costs next to nothing is a look at size and time of two files, which every
commit changes; only then the database is read. Once a second it is read in any case: file times are coarse.
"""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Final

LOOK_S: Final = 0.1
"""How often the files are looked at, which takes microseconds."""

SURE_S: Final = 1.0
"""How long a change may go unnoticed where two commits fall into one tick of the file system's clock."""


def changes(
    database: Path, until_s: float = float("inf"), watch: Callable[[], object] = lambda: None,
) -> Iterator[None]:
    """Yield at once, then whenever the database, or what `watch` gives, may have changed.

    The last time is at `until_s` (monotonic clock).
    """
    def stamp() -> object:
        return watch(), [_stat(f"{database}{suffix}") for suffix in ("", "-wal")]

    while True:
        seen, looked_s = stamp(), time.monotonic()
        yield
        while seen == stamp() and time.monotonic() < min(looked_s + SURE_S, until_s):
            time.sleep(max(0.0, min(LOOK_S, until_s - time.monotonic())))
        if time.monotonic() >= until_s:
            yield
            return


def _stat(path: str) -> tuple[int, int, int] | None:
    try:
        found = os.stat(path)  # noqa: PTH116 - ten times a second
    except OSError:
        return None
    return found.st_ino, found.st_size, found.st_mtime_ns
