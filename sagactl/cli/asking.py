"""Questions: only a terminal is asked, and a flag can answer each."""

from __future__ import annotations

import sys
from collections.abc import Iterable

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
    say(f"{question} [y/N] ", end="")
    return sys.stdin.buffer.readline().strip().lower() in (b"y", b"yes")
