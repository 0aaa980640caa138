"""The lines of `run --each`: each a JSON object with the parameters of one saga, checked before any of them runs.

Rule: nothing is kept of a line that was read, so a million of them need no more memory than a few. Only to find an id
that stands twice are 8 bytes of a line kept, and 50 for the moment of comparing. Knows nothing about running.
"""

from __future__ import annotations

import contextlib
import sys
import tempfile
from array import array
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import Any, BinaryIO, Final

from sagactl.cli.beginning import ID, ID_RULE
from sagactl.definition.parameters import check, json_mapping, rule_text
from sagactl.errors import InvalidError, NotFoundError, StoreError
from sagactl.model import Definition

LINE_BYTES_MAX: Final = 1 << 20
"""Parameters of one saga; the values that a command can be given are shorter by far."""

LINES_MAX: Final = 10_000_000
"""A producer that never ends is stopped there."""

BAD_SHOWN_MAX: Final = 20
"""Of bad lines so many are shown: whoever mends them sees what is wrong with the rest."""


@dataclass(frozen=True, slots=True)
class Line:
    """What a line says. `id` is that of its saga, None for one that is made."""

    params: Mapping[str, Any]
    id: str | None


@dataclass(frozen=True, slots=True)
class Lines:
    """The lines of a file that can be read again; `common` are the values of what they do not say themselves."""

    file: BinaryIO
    definition: Definition
    common: Mapping[str, object]
    id_from: str | None

    def __iter__(self) -> Iterator[tuple[int, Line | str]]:
        """From the first line on, without the blank ones: its number, and what it says or what is wrong with it."""
        self.file.seek(0)
        for number, data in enumerate(_pieces(self.file), 1):
            if number > LINES_MAX:
                raise InvalidError(f"there are over {LINES_MAX:,} lines", hint="split the file")
            if data.strip():
                try:
                    yield number, self._line(data)
                except ValueError as error:
                    yield number, str(error)

    def _line(self, data: bytes) -> Line:
        """Raises ValueError: what is wrong with it."""
        if len(data) > LINE_BYTES_MAX:
            raise ValueError(f"it is over {LINE_BYTES_MAX >> 20} MiB long")
        found = check(self.definition, {**self.common, **json_mapping(data)})
        missing = (f"{name} is missing: it has to be {rule_text(self.definition.params[name])}"
                   for name in found.missing)
        if problems := "; ".join([*found.problems, *missing]):
            raise ValueError(problems)
        if self.id_from is None:
            return Line(found.values, None)
        value = found.values[self.id_from]
        if isinstance(value, bool) or not isinstance(value, str | int) or not ID.fullmatch(str(value)):
            raise ValueError(f"{self.id_from} can't be an id: {ID_RULE}")
        return Line(found.values, str(value))


@contextlib.contextmanager
def opened(path: str) -> Iterator[BinaryIO]:
    """A file of lines that can be read again.

    Raises:
        NotFoundError: it can't be read.
        StoreError: it comes through a pipe, and there is no room to keep it meanwhile.
    """
    with contextlib.ExitStack() as stack:
        try:
            file = sys.stdin.buffer if path == "-" else stack.enter_context(Path(path).open("rb"))
            again = path != "-" and file.seekable()  # of stdin others may have read a part
        except IsADirectoryError:
            raise NotFoundError(f"{path} is a folder, not a file") from None
        except OSError as error:
            raise NotFoundError(f"can't read {path}: {error.strerror}") from None
        yield file if again else stack.enter_context(_kept(file, path))


def _kept(file: BinaryIO, path: str) -> BinaryIO:
    """The lines of a file in one without a name, for us alone. Raises StoreError."""
    kept: BinaryIO | None = None
    try:
        kept = tempfile.TemporaryFile()  # noqa: SIM115 - the caller closes it
        for number, line in enumerate(_pieces(file)):
            kept.write(line.removesuffix(b"\n") + b"\n")
            if number == LINES_MAX:  # it is told of when they are read
                break
        kept.flush()
    except OSError as error:
        with contextlib.suppress(OSError):  # what is left in its buffer finds no room either
            if kept is not None:
                kept.close()
        raise StoreError(f"can't keep the lines of {path} in a temporary file: {error.strerror}",
                         hint="make room, or name another folder with TMPDIR") from error
    return kept


def _pieces(file: BinaryIO) -> Iterator[bytes]:
    """The lines of a file. Of one that is too long no more than what shows that."""
    while data := file.readline(LINE_BYTES_MAX + 1):
        yield data
        while len(data) > LINE_BYTES_MAX and not data.endswith(b"\n"):
            data = file.readline(LINE_BYTES_MAX + 1)


def checked(lines: Lines, name: str) -> int:
    """How many lines there are. Raises InvalidError: some are bad; the message names them."""
    total, bad, shown, hashes = 0, 0, list[str](), array("q")
    for number, line in lines:
        total += 1
        if isinstance(line, str):
            bad += 1
            shown += [f"line {number:,}: {line}"] * (bad <= BAD_SHOWN_MAX)
        elif line.id is not None:
            hashes.append(hash(line.id))
    for text in _twice(lines, hashes):
        bad += 1
        shown += [text] * (bad <= BAD_SHOWN_MAX)
    if bad:
        more = [f"  and {bad - len(shown):,} more"] * (bad > len(shown))
        count = f"{bad:,} bad lines" if bad > 1 else "a bad line"
        raise InvalidError("\n".join([f"{name} has {count}; nothing was run:", *(f"  {text}" for text in shown),
                                      *more]))
    return total


def _twice(lines: Lines, hashes: array[int]) -> Iterator[str]:
    """What is wrong with lines whose id an earlier one has. Their hashes say whether there is anything to look for."""
    doubtful = {one for one, other in pairwise(sorted(hashes)) if one == other}
    first: dict[str, int] = {}
    for number, line in lines if doubtful else ():
        if isinstance(line, Line) and line.id is not None and hash(line.id) in doubtful:
            before = first.setdefault(line.id, number)
            if before != number:
                yield f"line {number:,}: its id {line.id} is that of line {before:,} already"
