"""How far the user has asked this process to stop, by signals. Decides nothing: the engine looks at the level."""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
from collections.abc import Callable, Iterator
from typing import Final

import anyio
import anyio.abc

ENDING: Final = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
LEAVE: Final = 4
"""The level at which nothing is waited for any more: what still runs is its supervisor's, and a resume finds it."""


@contextlib.contextmanager
def noted() -> Iterator[list[int]]:
    """As long as the context lasts, signals that would end the process are only put on this list."""
    heard: list[int] = []
    wanted = [number for number in ENDING if signal.getsignal(number) is not signal.SIG_IGN]
    before = {number: signal.signal(number, lambda number, _: heard.append(number)) for number in wanted}
    try:
        yield heard
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


class Signals:
    """How far the user has asked this process to stop: 1 start nothing, 2 end what runs, 3 kill it, 4 leave it.

    `number` is that of the first signal. HUP never goes beyond 1; TERM goes on to 2 by itself after `grace_s`.
    """

    def __init__(self, grace_s: float, tell: Callable[[int], None]) -> None:
        self.level = 0
        self.number: int | None = None
        self._grace_s = grace_s
        self._tell = tell
        self._listeners: list[Callable[[], None]] = []

    @contextlib.contextmanager
    def told(self, listener: Callable[[], None]) -> Iterator[None]:
        """As long as the context lasts, call `listener` whenever the level has changed."""
        self._listeners.append(listener)
        try:
            yield
        finally:
            self._listeners.remove(listener)

    def raise_to(self, level: int) -> None:
        """Go to that level, if it is higher than the present one."""
        if level > self.level:
            self.level = level
            self._tell(level)
            for listener in self._listeners:
                listener()

    async def listen(self, *, task_status: anyio.abc.TaskStatus[None] = anyio.TASK_STATUS_IGNORED) -> None:
        """Until cancelled. A signal that was ignored when the process started (nohup, a shell's `&`) stays so.

        Once it was asked to stop the process is about to end: then further signals only count, up to LEAVE.

        A signal goes straight to the loop: asyncio's own way is a byte in a pipe, which may be full.
        """
        heard = [number for number in ENDING if signal.getsignal(number) is not signal.SIG_IGN]
        if not heard:
            task_status.started()
            await anyio.sleep_forever()
        loop = asyncio.get_running_loop()
        async with anyio.create_task_group() as tasks:
            def hear(number: int, _: object) -> None:
                loop.call_soon_threadsafe(self._take, number, tasks)

            before = {number: signal.signal(number, hear) for number in heard}
            try:
                task_status.started()
                await anyio.sleep_forever()
            finally:
                for number, handler in before.items():
                    signal.signal(number, self._hurry if self.level else handler)

    def _hurry(self, number: int, _: object) -> None:
        """All that ran has been left: what is said of it in the end is said, unless the user insists."""
        self.level += 1
        if self.level >= LEAVE:
            os._exit(128 + number)

    def _take(self, number: int, tasks: anyio.abc.TaskGroup) -> None:
        self.number = self.number or number
        if number == signal.SIGHUP:
            self.raise_to(1)
        elif number == signal.SIGTERM and self.level == 0:
            self.raise_to(1)
            tasks.start_soon(self._grace)
        else:
            self.raise_to(min(self.level + 1, LEAVE))

    async def _grace(self) -> None:
        await anyio.sleep(self._grace_s)
        self.raise_to(2)
