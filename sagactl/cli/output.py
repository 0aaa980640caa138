"""The two streams. Results go to stdout, everything else to stderr; whatever was said by others is made safe here.

A stderr that is closed is no reason to stop a saga; a closed stdout is remembered for the exit code.
"""

from __future__ import annotations

import contextlib
import sys

from sagactl.cli.render.human import safe
from sagactl.errors import SagactlError


class _Stdout:
    closed = False


def result(text: str) -> None:
    """A line of results, flushed: a pipe sees it at once. A closed pipe is remembered, see `stdout_closed`."""
    if _Stdout.closed:
        return
    encoding = sys.stdout.encoding or "utf-8"
    try:
        sys.stdout.write(text.encode(encoding, "backslashreplace").decode(encoding) + "\n")
        sys.stdout.flush()
    except (BrokenPipeError, ValueError):
        _Stdout.closed = True


def stdout_closed() -> bool:
    """Whether somebody has closed our stdout."""
    return _Stdout.closed


def say(text: str) -> None:
    """A message on stderr; it may have several lines."""
    encoding = sys.stderr.encoding or "utf-8"
    with contextlib.suppress(OSError, ValueError):
        sys.stderr.write(safe(text, lines=True).encode(encoding, "backslashreplace").decode(encoding) + "\n")
        sys.stderr.flush()


def hint(text: str) -> None:
    """What to do next, below a message."""
    say(f"  {text}")


def warn(text: str) -> None:
    """Something that is not as it should be, and does not stop us."""
    say(f"sagactl: warning: {text}")


def complain(error: SagactlError) -> int:
    """Say what is wrong and what to do; the exit code."""
    say(f"sagactl: {error.message}")
    if error.hint:
        hint(error.hint)
    return error.exit_code
