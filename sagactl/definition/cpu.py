"""A limit to the processor time of what may never end by itself: a regular expression put to a string."""

from __future__ import annotations

from collections.abc import Callable
from types import FrameType
from typing import TypeVar

T = TypeVar("T")


def within(limit_s: float, work: Callable[[], T]) -> T:
    """What `work` gives. Only the main thread can be interrupted: in any other there is no limit.

    Raises:
        TimeoutError: it took more than `limit_s` seconds of processor time in user mode.
    """
    import signal
    import threading

    if threading.current_thread() is not threading.main_thread():
        return work()
    over = False

    def end(_: int, __: FrameType | None) -> None:
        if not over:
            raise TimeoutError

    before = signal.signal(signal.SIGVTALRM, end)
    signal.setitimer(signal.ITIMER_VIRTUAL, limit_s)
    try:
        return work()
    finally:
        over = True
        signal.setitimer(signal.ITIMER_VIRTUAL, 0)
        signal.signal(signal.SIGVTALRM, before)
