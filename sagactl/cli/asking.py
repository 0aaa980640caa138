"""Questions: only a terminal is asked, and a flag can answer each."""

from __future__ import annotations

import contextlib
import os
import signal
import sys
from collections.abc import Iterable
from types import FrameType

from sagactl.cli.options import Common
from sagactl.cli.output import say
from sagactl.errors import UsageError


def can_ask(common: Common) -> bool:
    """Whether there is a person to ask."""
    return not common.no_input and sys.stdin.isatty() and sys.stderr.isatty()


def agreed(common: Common, about: Iterable[str], what: str, question: str) -> bool:
    """Whether a person agrees, who is shown `about` first. The end of input is a no.

    Raises:
        UsageError: there is nobody to ask; `what` is what would have been done.
    """
    if not can_ask(common):
        raise UsageError(f"{what}, and there is nobody to ask", hint="say --yes to do it")
    for line in about:
        say(line)
    return typed(f"{question} [y/N] ").strip().lower() in (b"y", b"yes")


def typed(question: str) -> bytes:
    """The line that a person types, b"" at the end of input. What is said next begins a line, whatever was pressed."""
    before = signal.getsignal(signal.SIGINT)

    def end(number: int, at: FrameType | None) -> None:
        with contextlib.suppress(OSError):
            os.write(2, b"\n")
        if callable(before):
            before(number, at)

    if callable(before):
        signal.signal(signal.SIGINT, end)
    say(question, end="")
    try:
        line = sys.stdin.buffer.readline()
    finally:
        signal.signal(signal.SIGINT, before)
    if not line.endswith(b"\n"):
        say("")
    return line
