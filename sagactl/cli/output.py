"""The two streams. Results go to stdout, everything else to stderr; whatever was said by others is made safe here.

A stderr that is closed is no reason to stop a saga; a closed stdout is remembered for the exit code.
"""

from __future__ import annotations

import contextlib
import errno
import io
import os
import select
import sys
from collections.abc import Callable, Iterator, Mapping
from typing import Any, ClassVar, Final, TextIO

import typer

from sagactl import __version__
from sagactl.cli.options import Color, Common, Form
from sagactl.cli.render.text import json_text, safe
from sagactl.errors import InvalidError, SagactlError, StoreError

STYLES: Final[Mapping[str, Mapping[str, Any]]] = {
    "bad": {"fg": "red"}, "warn": {"fg": "yellow"}, "dim": {"dim": True},
}


NO_ROOM: Final = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)


class _Streams:
    closed = False
    failed = 0
    color = Color.NEVER
    form = ""
    complaints: ClassVar[dict[int, SagactlError]] = {}
    above: Callable[[str], None] | None = None


def prepare(common: Common) -> None:
    """How the streams are to be used by a command."""
    _Streams.color = common.color
    speak(common.form)
    if common.verbose:
        say(f"sagactl {__version__}, database {common.database} ({common.origins['db']})")


def speak(form: str) -> None:
    """What reads our errors: in a JSON form they end with an object."""
    _Streams.form = form


def result(text: str, style: str = "") -> None:
    """A line of results, flushed: a pipe sees it at once. A stdout that takes nothing is remembered.

    Of text that others wrote the caller has made one line; whatever else it holds is made safe here.
    """
    if _Streams.closed:
        return
    try:
        sys.stdout.write(_written(text, style, sys.stdout, lines=True))
        sys.stdout.flush()
    except (OSError, ValueError) as error:
        give_up_stdout()
        if isinstance(error, OSError) and error.errno in NO_ROOM:
            _Streams.failed = complain(StoreError(f"can't write all of it to stdout: {error.strerror}",
                                                  hint="make room there, and ask again: what was recorded is safe"))


def json_line(value: object) -> None:
    """One result for machines."""
    result(json_text(value))


@contextlib.contextmanager
def json_rows(form: Form) -> Iterator[Callable[[object], None]]:
    """Several results for machines, each printed as it comes: a line each, or with `json` the elements of an array."""
    count = 0

    def show(value: object) -> None:
        nonlocal count
        result(("[" if count == 0 else ",") * (form is Form.JSON) + json_text(value))
        count += 1

    failed = True
    try:
        yield show
        failed = False
    finally:
        if form is Form.JSON and (count or not failed):
            result("]" if count else "[]")


def one_place() -> bool:
    """Whether stdout and stderr are the same terminal, file or pipe."""
    try:
        return os.path.sameopenfile(1, 2)
    except OSError:
        return False


def give_up_stdout() -> None:
    """Nothing more can be said on stdout, and Python must not try to at exit."""
    _Streams.closed = True
    nowhere = os.open(os.devnull, os.O_WRONLY)
    os.dup2(nowhere, 1)
    os.close(nowhere)


def stdout_closed() -> bool:
    """Whether stdout takes nothing any more: closed by its reader, or its disk is full."""
    return _Streams.closed


def stdout_failed() -> int:
    """The exit code of a stdout that somebody still wanted to have, whose disk is full; else 0."""
    return _Streams.failed


def prepare_streams() -> None:
    """See to it that descriptors 0 to 2 are open: what is opened later must not be taken for them."""
    while (nowhere := os.open(os.devnull, os.O_RDWR)) <= 2:
        pass
    os.close(nowhere)
    if sys.stdin is None:
        sys.stdin = open(os.devnull, encoding="utf-8")  # noqa: SIM115, PTH123 - for the life of the process
    _Streams.closed = sys.stdout is None
    sys.stdout, sys.stderr = _patient(1, sys.stdout), _patient(2, sys.stderr)


class _Patient(io.FileIO):
    """A descriptor that others may have set not to block, as Node does: what it does not take yet is waited with."""

    def write(self, data: Any) -> int:
        """All of it."""
        rest = memoryview(data)
        while rest:
            try:
                rest = rest[os.write(self.fileno(), rest):]
            except BlockingIOError:
                select.select([], [self], [])
        return len(data)


def _patient(descriptor: int, stream: TextIO | None) -> TextIO:
    """A stream that waits, and keeps nothing back that would fail again at exit. None: it was closed at the start."""
    encoding, errors = ("utf-8", "strict") if stream is None else (stream.encoding, stream.errors)
    patient: Any = _Patient(descriptor, "w", closefd=False)
    return io.TextIOWrapper(patient, encoding, errors, write_through=True)


def say(text: str, style: str = "", *, lines: bool = False, end: str = "\n") -> None:
    """A message on stderr, one line unless `lines`. A stderr that takes nothing is no reason to stop."""
    with contextlib.suppress(OSError, ValueError):
        written = _written(text, style, sys.stderr, lines=lines).removesuffix("\n") + end
        if _Streams.above is not None:
            _Streams.above(written)
            return
        sys.stderr.write(written)
        sys.stderr.flush()


@contextlib.contextmanager
def said_above(write: Callable[[str], None]) -> Iterator[None]:
    """As long as the context lasts, what is said is given to `write`: something else has the lines below."""
    _Streams.above = write
    try:
        yield
    finally:
        _Streams.above = None


def _written(text: str, style: str, stream: TextIO, *, lines: bool) -> str:
    encoding = stream.encoding or "utf-8"
    shown = safe(text, lines=lines).encode(encoding, "backslashreplace").decode(encoding)
    return (typer.style(shown, **STYLES[style]) if style and colored(stream) else shown) + "\n"


def colored(stream: TextIO) -> bool:
    """Whether a stream gets colours: as --color has it, else the environment, else on a terminal that has them."""
    if _Streams.color is not Color.AUTO:
        return _Streams.color is Color.ALWAYS
    if os.environ.get("NO_COLOR"):
        return False
    if os.environ.get("FORCE_COLOR", "0") != "0":
        return True
    return stream.isatty() and os.environ.get("TERM") != "dumb"


def hint(text: str) -> None:
    """What to do next, below a message."""
    say(f"  {text}")


def warn(text: str) -> None:
    """Something that is not as it should be, and does not stop us."""
    say(f"sagactl: warning: {text}")


def complain(error: SagactlError) -> int:
    """Say what is wrong and what to do; the exit code."""
    several = isinstance(error, InvalidError)  # one problem a line
    say(f"sagactl: {error.message}", "" if several else "bad", lines=several)
    if error.hint:
        hint(error.hint)
    _Streams.complaints.setdefault(error.exit_code, error)
    return error.exit_code


def last_word(code: int) -> None:
    """For machines: what was complained of and gives the exit code, as the last line of stderr."""
    error = _Streams.complaints.get(code)
    if error is not None and _Streams.form in ("json", "jsonl"):
        import json

        say(json.dumps({"type": "exit_error", "schema": 1, "code": error.exit_code,
                        "error": error.name, "message": error.message, "hint": error.hint}))
