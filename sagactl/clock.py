"""The one source of time of a process: Unix seconds that never jump, whatever is done to the machine's clock.

Read once at the start, then carried on by the clock that also counts while the machine sleeps, where there is one.
"""

from __future__ import annotations

import time


class SystemClock:
    """The Clock port."""

    def __init__(self) -> None:
        self._began_s = time.time()
        self._began_steady_s = _steady_s()

    def now_s(self) -> float:
        """Unix seconds."""
        return self._began_s + _steady_s() - self._began_steady_s


def _steady_s() -> float:
    if hasattr(time, "CLOCK_BOOTTIME"):
        return time.clock_gettime(time.CLOCK_BOOTTIME)
    return time.monotonic()
