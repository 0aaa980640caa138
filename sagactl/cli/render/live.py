"""What a terminal shows while sagas run: a thread draws frames (frames.py) below the lines that are said meanwhile.

Only that thread writes, and each frame is one write: whoever publishes never waits for a slow or stopped terminal, and
no failure of drawing reaches a saga. The cursor is never hidden and stays behind the last line, so that nothing, not
even SIGKILL, leaves the terminal other than it was. Rich is imported by the thread, while the first step runs.
"""

from __future__ import annotations

import codecs
import contextlib
import os
import signal
import sys
import threading
import time
from collections.abc import Callable, Sequence
from types import TracebackType
from typing import Final, Self, TextIO

from sagactl.cli.render.text import safe
from sagactl.core import events as e
from sagactl.core.saga import Saga

FRAME_S: Final = 0.25
HINTS: Final = (
    "Ctrl-C pauses safely", "Ctrl-C again ends what runs", "Ctrl-C again kills what runs", "Ctrl-C again leaves it", "",
)
"""What the next Ctrl-C would do, by how far the user has gone (engine.Signals)."""
UNKNOWN_SIZE: Final = os.terminal_size((80, 24))
NO_WRAP, WRAP, TO_LINE_END, TO_SCREEN_END = "\x1b[?7l", "\x1b[?7h", "\x1b[K", "\x1b[J"

Line = tuple[str, int]
"""A line as it is written, and how many cells of the terminal it takes."""


def possible(stream: TextIO) -> bool:
    """Whether a stream is a terminal that can draw, and we are in its foreground."""
    drawing = os.environ.get("TERM", "") not in ("", "dumb", "unknown")
    return drawing and stream.isatty() and _in_front(stream.fileno())


class View:
    """The live view of `total` sagas. Entered in the main thread; drawn from the first event on until it is left."""

    def __init__(
        self, total: int, *, colour: bool, stream: TextIO | None = None, now_s: Callable[[], float] = time.time,
    ) -> None:
        stream = stream or sys.stderr
        self._fd, self._encoding = stream.fileno(), stream.encoding
        self._plain = codecs.lookup(stream.encoding).name != "utf-8"
        self._total, self._colour, self._now_s = total, colour, now_s
        self._lock = threading.Lock()
        self._sagas: dict[str, Saga] = {}
        self._said: list[str] = []
        self._level = 0
        self._left = threading.Event()
        self._thread: threading.Thread | None = None
        self._afresh = False
        self._drawn: Sequence[Line] = ()

    def publish(self, saga: Saga, _seq: int, _event: e.Event) -> None:
        """Show a saga as it now is. Never waits, never raises."""
        with self._lock:
            self._sagas[saga.id] = saga
        if self._thread is None:
            thread = threading.Thread(target=self._draw_on, name="view", daemon=True)
            with contextlib.suppress(RuntimeError):  # no room for a thread: then there are only the lines said
                thread.start()
                self._thread = thread

    def above(self, text: str) -> None:
        """Say something above the view, as it is, newline included; it stays."""
        if self._thread is None:
            self._write(text)
            return
        with self._lock:
            self._said.append(text)

    def stopping(self, level: int) -> None:
        """The user has asked to stop; the first line says what the next Ctrl-C does."""
        self._level = level

    def __enter__(self) -> Self:
        self._before = signal.signal(signal.SIGCONT, self._continued)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None,
    ) -> None:
        """The last frame stays, and what is said from now on comes below it."""
        self._left.set()
        if self._thread is not None:
            self._thread.join()
            self._thread = None
        signal.signal(signal.SIGCONT, self._before or signal.SIG_DFL)

    def _continued(self, *_: object) -> None:
        self._afresh = True  # while we stood still a shell has written below what we drew

    def _draw_on(self) -> None:
        self._draw()
        drawn_s = time.monotonic()
        while not self._left.wait(FRAME_S):
            if time.monotonic() - drawn_s > 4 * FRAME_S:  # we may have stood still: the main thread hears of that now
                self._left.wait(FRAME_S)
            self._draw()
            drawn_s = time.monotonic()
        self._draw(last=True)

    def _draw(self, *, last: bool = False) -> None:
        with self._lock:
            sagas, said, self._said = list(self._sagas.values()), "".join(self._said), []
        in_front = _in_front(self._fd)
        if self._afresh or not in_front:
            self._afresh, self._drawn = False, ()
        if not in_front:
            self._write(said)
            return
        size = _size(self._fd)
        lines = self._lines(sagas, size, last=last)
        if said or last or lines != self._drawn:
            drawn = f"{TO_LINE_END}\n".join(text for text, _ in lines)
            above = said.replace("\n", f"{TO_LINE_END}\n")  # never the whole screen at once: tmux would keep it
            self._write(f"{back(self._drawn, size.columns)}{above}{NO_WRAP}{drawn}"
                        f"{TO_LINE_END if lines else ''}{TO_SCREEN_END}{WRAP}" + ("\n" if last and lines else ""))
            self._drawn = lines

    def _lines(self, sagas: Sequence[Saga], size: os.terminal_size, *, last: bool) -> Sequence[Line]:
        width, height = max(1, size.columns - 1), max(1, size.lines - 1)  # nothing wraps, nothing scrolls
        try:
            from sagactl.cli.render.frames import Look, frame, painted

            look = Look(now_s=self._now_s(), width=width, height=height, hint=HINTS[self._level], total=self._total,
                        plain=self._plain, last=last)
            return [(painted(text, colour=self._colour), text.cell_len) for text in frame(sagas, look)]
        except Exception as error:  # noqa: BLE001 - a bug in drawing is told, and stops nothing
            told = safe(f"sagactl: a bug in sagactl: can't draw: {type(error).__name__}: {error}")[:width]
            return [(told, len(told))]

    def _write(self, text: str) -> None:
        data = text.encode(self._encoding, "backslashreplace")
        with contextlib.suppress(OSError):  # a terminal that is gone is no reason to stop
            while data:
                data = data[os.write(self._fd, data):]


def back(drawn: Sequence[Line], columns: int) -> str:
    """From behind the last of these lines to the start of the first, in a terminal that is so wide now.

    A terminal that has become narrower has broken those that are too long for it.
    """
    rows = sum(max(1, -(-cells // max(1, columns))) for _, cells in drawn)
    return f"\x1b[{rows - 1}A\r" if rows > 1 else "\r" if rows else ""


def _size(fd: int) -> os.terminal_size:
    """The size now; a terminal that does not know it, or is gone, is taken for an ordinary one."""
    try:
        found = os.get_terminal_size(fd)
    except OSError:
        return UNKNOWN_SIZE
    return found if found.columns and found.lines else UNKNOWN_SIZE


def _in_front(fd: int) -> bool:
    """Whether we may draw: not in the background of a shell that uses the terminal itself."""
    try:
        return os.tcgetpgrp(fd) == os.getpgrp()
    except OSError:
        return True  # not our terminal, so there is no shell either
