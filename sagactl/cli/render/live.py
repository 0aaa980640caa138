"""What a terminal shows while sagas run: a thread draws frames (frames.py) below the lines that are said meanwhile.

Only that thread writes, and each frame is one write: whoever publishes never waits for a slow or stopped terminal, and
no failure of drawing reaches a saga. The cursor is never hidden and stays behind the last line, so that nothing, not
even SIGKILL, leaves the terminal other than it was. Rich is imported by the thread, while the first step runs.

Where the frame begins is counted back from the cursor, at the width of now: a terminal that becomes narrower breaks
rows, one that becomes wider joins them. So nothing is drawn until a new size stands, and a row that meets a terminal
narrower than we know is left to break there too. What a terminal has pushed above its first row nobody can take back.
"""

from __future__ import annotations

import codecs
import contextlib
import os
import signal
import sys
import threading
import time
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from types import TracebackType
from typing import Final, Self, TextIO

from sagactl.cli.render.text import safe
from sagactl.core import events as e
from sagactl.core.saga import Saga

FRAME_S: Final = 0.25
STANDS_S: Final = 2.0
"""So long the end waits for a new size to stand: whoever goes on changing it gets what there is to say all the same."""
HINTS: Final = (
    "Ctrl-C stops safely", "Ctrl-C again ends what runs", "Ctrl-C again kills what runs", "Ctrl-C again leaves it", "",
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
        self._plain = codecs.lookup(stream.encoding).name != "utf-8" or _only_ascii()
        self._total, self._colour, self._now_s = total, colour, now_s
        self._lock = threading.Lock()
        self._sagas: dict[str, Saga] = {}
        self._settled: Counter[str] = Counter()
        self._said: list[str] = []
        self._level = 0
        self._left = threading.Event()
        self._thread: threading.Thread | None = None
        self._afresh = self._resized = False
        self._drawn: Sequence[Line] = ()
        self._size, self._since_s = UNKNOWN_SIZE, 0.0

    def publish(self, saga: Saga, _seq: int, _event: e.Event) -> None:
        """Show a saga as it now is. Never waits, never raises."""
        with self._lock:
            self._sagas[saga.id] = saga
        if self._thread is None:
            thread = threading.Thread(target=self._draw_on, name="view", daemon=True)
            with contextlib.suppress(RuntimeError):  # no room for a thread: then there are only the lines said
                thread.start()
                self._thread = thread

    def drop(self, saga_id: str) -> None:
        """One of several needs no line any more: from now on it is only counted, so there may be any number."""
        if self._total > 1:
            with self._lock:
                self._sagas.pop(saga_id, None)

    def count(self, word: str) -> None:
        """One more of several without a line has come to that."""
        with self._lock:
            self._settled[word] += 1

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
        self._size = _size(self._fd)
        self._draw()
        drawn_s = time.monotonic()
        while not self._left.wait(FRAME_S):
            if time.monotonic() - drawn_s > 4 * FRAME_S:  # we may have stood still: the main thread hears of that now
                self._left.wait(FRAME_S)
            if self._stands():
                self._draw()
            drawn_s = time.monotonic()
        until_s = time.monotonic() + STANDS_S
        while not self._stands() and time.monotonic() < until_s:
            time.sleep(FRAME_S)
        self._draw(last=True)

    def _stands(self) -> bool:
        """Whether the size has been the same for a while: tmux tells of the next one that much later than it is so."""
        size, now_s = _size(self._fd), time.monotonic()
        if size != self._size:
            self._size, self._since_s, self._resized = size, now_s, True
        return not self._resized or now_s - self._since_s >= FRAME_S

    def _draw(self, *, last: bool = False) -> None:
        with self._lock:
            sagas, said, self._said = list(self._sagas.values()), "".join(self._said), []
            settled = self._settled.copy()
        in_front = _in_front(self._fd)
        if self._afresh or not in_front:
            self._afresh, self._drawn = False, ()
        if not in_front:
            self._write(said)
            return
        lines = self._lines(sagas, settled, last=last)
        if said or last or self._resized or lines != self._drawn:
            start = back(self._drawn, self._size, clear=bool(said) or self._resized or not lines)
            drawn = f"{TO_LINE_END}\n".join(text for text, _ in lines)
            self._write(f"{start}{said}{drawn}" + (f"{TO_LINE_END}{TO_SCREEN_END}" if lines else "")
                        + ("\n" if last and lines else ""))
            self._drawn, self._resized = lines, False

    def _lines(self, sagas: Sequence[Saga], settled: Mapping[str, int], *, last: bool) -> Sequence[Line]:
        width, height = max(1, self._size.columns - 1), max(1, self._size.lines - 1)  # nothing wraps, nothing scrolls
        try:
            from sagactl.cli.render.frames import Look, certain, frame, painted

            look = Look(now_s=self._now_s(), width=width, height=height, hint=HINTS[self._level], total=self._total,
                        settled=settled, plain=self._plain, last=last)
            lines = [(painted(text, colour=self._colour), text) for text in frame(sagas, look)]
            return [(drawn if certain(text) else f"{NO_WRAP}{drawn}{WRAP}", text.cell_len) for drawn, text in lines]
        except Exception as error:  # noqa: BLE001 - a bug in drawing is told, and stops nothing
            told = safe(f"sagactl: a bug in sagactl: can't draw: {type(error).__name__}: {error}")[:width]
            return [(told, len(told))]

    def _write(self, text: str) -> None:
        data = text.encode(self._encoding, "backslashreplace")
        with contextlib.suppress(OSError):  # a terminal that is gone is no reason to stop
            while data:
                data = data[os.write(self._fd, data):]


def back(drawn: Sequence[Line], size: os.terminal_size, *, clear: bool) -> str:
    """From behind the last of these lines to the start of the first, in a terminal that is of this size now.

    With `clear` each of their rows is cleared from its first cell on, so that it is joined to none any more, but never
    the whole screen at once: tmux would keep it. Where a terminal has broken some and pushed some up, the first row is
    left empty: the one above may go on in it.
    """
    rows = sum(max(1, -(-cells // max(1, size.columns))) for _, cells in drawn)
    if not rows:
        return ""
    if clear:
        return "\r" + TO_LINE_END + f"\x1b[1A{TO_LINE_END}" * (rows - 1) + "\n" * (rows > max(size.lines, len(drawn)))
    return "\r" + f"\x1b[{rows - 1}A" * (rows > 1)


def _only_ascii() -> bool:
    """Whether the locale is C. Python makes the streams UTF-8 then, and where only LANG says so it sets LC_CTYPE."""
    whole, chars, rest = (os.environ.get(name, "") for name in ("LC_ALL", "LC_CTYPE", "LANG"))
    if chars == "C.UTF-8" and rest:
        chars = rest
    return (whole or chars or rest) in ("C", "POSIX")


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
