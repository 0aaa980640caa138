"""What is wrong with a file, where, and how to mend it: values first, one rendering for people.

A `Problem` is found at a span of the text; a `Source` makes a `Diagnostic` of it, which needs the text no more.
Knows nothing about YAML or about sagas; codes.py says what the codes mean.
"""

from __future__ import annotations

import re
import unicodedata
from bisect import bisect_right
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from enum import StrEnum
from functools import cached_property
from typing import NamedTuple

from sagactl.errors import InvalidError

SHOWN_MAX = 100
"""Diagnostics in one message: nobody reads more, and a hostile file could have 50,000."""
LINE_SHOWN_MAX = 120
VALUE_SHOWN_MAX = 60
NAMES_SHOWN_MAX = 30
COMPARED_MAX = 20
HELP_LINE_MAX = 96
_HEADER = re.compile(r"[|>][^\r\n]*")
"""Of a block: nothing else that holds text begins so."""
_CLOSE_LENGTH_MAX = 64
_SHORT_MAX = 4
"""Of a name this short, half would do to make it like another: one letter is as much as a slip may change."""


class Severity(StrEnum):
    ERROR = "error"
    WARNING = "warning"


class Span(NamedTuple):
    """A piece of the text: character offsets from 0, `end` exclusive."""

    start: int
    end: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Note:
    """Another place that belongs to a problem, and why."""

    span: Span
    message: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Problem:
    """Something that is wrong at a span. `code` is a key of CODES."""

    code: str
    span: Span
    message: str
    help: str = ""
    notes: tuple[Note, ...] = ()

    @property
    def severity(self) -> Severity:
        return severity_of(self.code)


@dataclass(frozen=True, slots=True, kw_only=True)
class Place:
    """A piece of a file: characters from 1, `end_column` exclusive, and the line that it begins on."""

    line: int
    column: int
    end_line: int
    end_column: int
    source: str
    label: str = ""

    @property
    def width(self) -> int:
        """Of the caret: no longer than the line."""
        end = self.end_column if self.end_line == self.line else len(self.source) + 1
        return max(1, end - self.column)

    def marked(self, sign: str) -> tuple[str, str]:
        """The line, cut around the place where it is long, and what stands below it."""
        cut = max(0, self.column - 1 - LINE_SHOWN_MAX * 2 // 3)
        line = self.source[cut : cut + LINE_SHOWN_MAX]
        before = self.column - 1 - cut
        mark = " " * _cells(line[:before]) + sign * max(1, _cells(line[before : before + self.width]))
        return line, f"{mark} {self.label}".rstrip()


def _cells(text: str) -> int:
    """How many cells of a terminal a text takes: `世` takes two, an accent of its own none. What is not printed as
    itself is shown as `�`, which takes one.
    """
    if text.isascii():
        return len(text)
    own = (char for char in text if unicodedata.category(char) not in ("Mn", "Me"))
    return sum(2 if unicodedata.east_asian_width(char) in "WF" else 1 for char in own)


@dataclass(frozen=True, slots=True, kw_only=True)
class Diagnostic:
    """A problem with all that is needed to show it. `notes` are other places of the same file. `strict`: a warning
    counts as an error.
    """

    code: str
    message: str
    file: str
    place: Place
    help: str = ""
    notes: tuple[Place, ...] = ()
    strict: bool = False

    @property
    def severity(self) -> Severity:
        return Severity.ERROR if self.strict else severity_of(self.code)

    @property
    def line(self) -> int:
        return self.place.line

    @property
    def column(self) -> int:
        return self.place.column

    def render(self) -> str:
        """The lines that a person reads, without a final newline and without control characters."""
        places = sorted([(each.line, each.column, each) for each in (self.place, *self.notes)], key=lambda row: row[:2])
        width = len(str(places[-1][0]))
        gutter = " " * width
        lines = [f"{self.severity}[{self.code}]: {self.message}",
                 f"{gutter}--> {self.file}:{self.line}:{self.column}", f"{gutter} |"]
        before, shown_before = 0, ""
        for number, _, place in places:
            line, mark = place.marked("^" if place is self.place else "-")
            if before and number > before + 1:
                lines.append("...")
            if (number, line) != (before, shown_before):  # a long line may be cut elsewhere for each place
                lines.append(f"{number:>{width}} | {line}".rstrip())
            lines.append(f"{gutter} | {mark}")
            before, shown_before = number, line
        if self.help:
            lines.append(f"{gutter} = help: " + self.help.replace("\n", f"\n{gutter}         "))
        return "\n".join(plain(text) for text in lines)


class DefinitionError(InvalidError):
    """A file that can't be used. `diagnostics` holds all that was found, warnings too, sorted by place."""

    def __init__(self, diagnostics: Sequence[Diagnostic]) -> None:
        shown = [each.render() for each in diagnostics[:SHOWN_MAX]]
        if len(diagnostics) > SHOWN_MAX:
            shown.append(f"and {len(diagnostics) - SHOWN_MAX} more")
        super().__init__("\n\n".join(shown))
        self.diagnostics = tuple(diagnostics)


@dataclass(frozen=True, kw_only=True)
class Source:
    """The text of a file, and where its lines are."""

    file: str
    text: str

    @cached_property
    def _lines(self) -> list[str]:
        return re.split(r"\r\n|\r|\n", self.text)

    @cached_property
    def _starts(self) -> list[int]:
        return [0, *(found.end() for found in re.finditer(r"\r\n|\r|\n", self.text))]

    def place(self, span: Span) -> tuple[int, int]:
        """Line and column of the start of a span, from 1."""
        line = bisect_right(self._starts, span.start)
        return line, span.start - self._starts[line - 1] + 1

    def finder(self, span: Span, value: str) -> Callable[[str, int], Span]:
        """A function that tells where a piece of a string stands in the file: `find(piece, offset in value)`.

        To be asked in order of offsets. The whole `span` of the string is given where it can't be told, as when the
        piece is written with escapes. Pieces are matched by counting: the third in the value is the third in the file.
        The header of a block (`|`, `>-` and a comment) is no part of the value.
        """
        header = _HEADER.match(self.text, span.start, span.end)
        offset_done, at_done = 0, header.end() if header else span.start

        def find(piece: str, offset: int) -> Span:
            nonlocal offset_done, at_done
            at = at_done
            for _ in range(value.count(piece, offset_done, offset)):
                at = self.text.find(piece, at, span.end) + 1 or span.end
            at = self.text.find(piece, at, span.end)
            if at < 0:
                return span
            offset_done, at_done = offset + 1, at + 1
            return Span(start=at, end=at + len(piece))

        return find

    def diagnose(self, problems: Iterable[Problem]) -> tuple[Diagnostic, ...]:
        """The diagnostics of `problems`, each once, sorted by place and code."""
        found = [self._diagnostic(problem) for problem in dict.fromkeys(problems)]
        return tuple(sorted(found, key=lambda each: (each.line, each.column, each.code, each.message)))

    def _diagnostic(self, problem: Problem) -> Diagnostic:
        notes = tuple(self._place(note.span, note.message) for note in problem.notes)
        return Diagnostic(code=problem.code, message=problem.message, file=self.file, place=self._place(problem.span),
                          help=problem.help, notes=notes)

    def _place(self, span: Span, label: str = "") -> Place:
        line, column = self.place(span)
        end_line, end_column = self.place(Span(start=span.end, end=span.end))
        if end_column == 1 and end_line > line:  # a block ends before the next line begins
            end_line, end_column = end_line - 1, len(self._lines[end_line - 2]) + 1
        return Place(line=line, column=column, end_line=end_line, end_column=end_column, source=self._lines[line - 1],
                     label=label)


def severity_of(code: str) -> Severity:
    return Severity.WARNING if code.startswith("SG5") else Severity.ERROR


def plain(text: str) -> str:
    """`text` with each character that a terminal would not print as itself, newline apart, as `�`."""
    return "".join(char if char.isprintable() or char == "\n" else " " if char == "\t" else "\ufffd" for char in text)


def shown(value: object) -> str:
    """A value in backquotes for a message, cut to one short line."""
    text = value if isinstance(value, str) else repr(value)
    cut = text if len(text) <= VALUE_SHOWN_MAX else text[: VALUE_SHOWN_MAX - 1] + "…"
    return f"`{plain(cut).replace(chr(10), ' ')}`"


def did_you_mean(name: str, known: Iterable[str], what: str = "") -> str:
    """The help that names the known name closest to `name`; where none is close and `what` they are is said, all."""
    names = list(known)
    if found := closest(name, names):
        return f"did you mean `{found}`?"
    if not what:
        return ""
    if not names:
        return f"there are no {what}"
    more = f" and {len(names) - NAMES_SHOWN_MAX} more" if len(names) > NAMES_SHOWN_MAX else ""
    lines = [f"{what}:"]
    for place, each in enumerate(map(shown, names[:NAMES_SHOWN_MAX]), 1):
        if len(lines[-1]) + len(each) > HELP_LINE_MAX:
            lines.append("   ")
        lines[-1] += f" {each}" + "," * (place < len(names[:NAMES_SHOWN_MAX]))
    return "\n".join(lines) + more


def closest(name: str, known: Iterable[str]) -> str:
    """The known name that `name` is a slip of; empty when none is close."""
    from difflib import get_close_matches

    if len(name) > _CLOSE_LENGTH_MAX:
        return ""
    names = list(known)
    letters = sorted(name)
    if same := next((each for each in names if len(each) == len(name) and sorted(each) == letters), ""):
        return same
    if len(name) <= _SHORT_MAX:
        names = [each for each in names if _differs_by_one(name.lower(), each)]
    if len(names) > COMPARED_MAX:  # a comparison takes 50 µs, and there may be 1,000 names and 200 slips
        names = [each for each in names if {each[:1], each[-1:]} & {name[:1], name[-1:]}]
        names = sorted(names, key=lambda each: abs(len(each) - len(name)))[:COMPARED_MAX]
    cutoff = 0.6 if len(name) <= _SHORT_MAX else 0.7
    close = get_close_matches(name, names, n=1, cutoff=cutoff) or \
        get_close_matches(name.lower(), names, n=1, cutoff=cutoff)
    return close[0] if close else ""


def _differs_by_one(name: str, other: str) -> bool:
    """Is one letter all that is left out, added or replaced?"""
    short, long = sorted((name, other), key=len)
    at = next((place for place, (a, b) in enumerate(zip(short, long, strict=False)) if a != b), len(short))
    return len(long) - len(short) <= 1 and short[at + (len(short) == len(long)) :] == long[at + 1 :]
