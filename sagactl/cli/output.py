"""The two streams. Results go to stdout, everything else to stderr; whatever was said by others is made safe here.

A stderr that is closed is no reason to stop a saga; a closed stdout is remembered for the exit code.
"""

from __future__ import annotations

import contextlib
import os
import sys

from sagactl.cli.render.human import safe
from sagactl.errors import InvalidError, SagactlError


class _Stdout:
    closed = False


def result(text: str) -> None:
    """A line of results, flushed: a pipe sees it at once. A stdout that takes nothing is remembered.

    Of text that others wrote the caller has made one line; whatever else it holds is made safe here.
    """
    if _Stdout.closed:
        return
    try:
        sys.stdout.write(_encodable(safe(text, lines=True), sys.stdout.encoding) + "\n")
        sys.stdout.flush()
    except (OSError, ValueError):
        give_up_stdout()


def give_up_stdout() -> None:
    """Nothing more can be said on stdout, and Python must not try to at exit."""
    _Stdout.closed = True
    nowhere = os.open(os.devnull, os.O_WRONLY)
    os.dup2(nowhere, 1)
    os.close(nowhere)


def stdout_closed() -> bool:
    """Whether stdout takes nothing any more: closed by its reader, or its disk is full."""
    return _Stdout.closed


def prepare_streams() -> None:
    """See to it that descriptors 0 to 2 are open: what is opened later must not be taken for them."""
    while (nowhere := os.open(os.devnull, os.O_RDWR)) <= 2:
        pass
    os.close(nowhere)
    if sys.stdin is None:
        sys.stdin = open(os.devnull, encoding="utf-8")  # noqa: SIM115, PTH123 - for the life of the process
    if sys.stdout is None:
        _Stdout.closed = True
        sys.stdout = open(os.devnull, "w", encoding="utf-8")  # noqa: SIM115, PTH123
    if sys.stderr is None:
        sys.stderr = open(os.devnull, "w", encoding="utf-8")  # noqa: SIM115, PTH123


def say(text: str, *, lines: bool = False) -> None:
    """A message on stderr, one line unless `lines`. A stderr that takes nothing is no reason to stop."""
    with contextlib.suppress(OSError, ValueError):
        sys.stderr.write(_encodable(safe(text, lines=lines), sys.stderr.encoding) + "\n")
        sys.stderr.flush()


def _encodable(text: str, encoding: str | None) -> str:
    encoding = encoding or "utf-8"
    return text.encode(encoding, "backslashreplace").decode(encoding)


def hint(text: str) -> None:
    """What to do next, below a message."""
    say(f"  {text}")


def warn(text: str) -> None:
    """Something that is not as it should be, and does not stop us."""
    say(f"sagactl: warning: {text}")


def complain(error: SagactlError) -> int:
    """Say what is wrong and what to do; the exit code."""
    say(f"sagactl: {error.message}", lines=isinstance(error, InvalidError))  # one problem a line
    if error.hint:
        hint(error.hint)
    return error.exit_code
