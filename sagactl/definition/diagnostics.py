"""What is wrong with a file, where, and how to mend it: values first, one rendering for people.

A `Problem` is found at a span of the text; a `Source` makes a `Diagnostic` of it, which needs the text no more. Codes
are stable: once published, one keeps its meaning. Knows nothing about YAML or about sagas.
"""

from __future__ import annotations

import re
from bisect import bisect_right
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from enum import StrEnum
from functools import cached_property

from sagactl.errors import InvalidError

CODES: dict[str, str] = {
    "SG101": "the file is too large",
    "SG102": "the file is not UTF-8",
    "SG103": "the file holds a control character",
    "SG104": "the file is not YAML",
    "SG105": "the file is nested too deeply",
    "SG106": "the file has too many values",
    "SG107": "a text is too long",
    "SG108": "a key stands twice in one mapping",
    "SG109": "anchors and aliases are not accepted",
    "SG110": "tags are not accepted",
    "SG111": "the file holds a second document",
    "SG112": "a key is no string",
    "SG113": "the file is empty",
    "SG114": "directives are not accepted",
    "SG201": "a field is unknown",
    "SG202": "a field is missing",
    "SG203": "a value is not of the right kind",
    "SG204": "a value is none of those that are known",
    "SG205": "a value or name is not written as it should be",
    "SG206": "a value is out of its bounds",
    "SG207": "a value stands twice in a list",
    "SG208": "a field has no effect where it stands",
    "SG301": "two steps have one id",
    "SG302": "a step needs a step that does not exist",
    "SG303": "steps need each other in a circle",
    "SG304": "on_failure: continue without undo: none",
    "SG305": "a pivot is not ordered against every other step",
    "SG306": "a secret is not declared",
    "SG307": "the rule of a parameter contradicts itself",
    "SG401": "a ${…} is no reference",
    "SG402": "a reference to an unknown parameter",
    "SG403": "a reference to an unknown step",
    "SG404": "a reference to an unknown output",
    "SG405": "a reference to an output that may not exist yet",
    "SG406": "a reference where none is allowed",
    "SG407": "a reference in a shell script",
    "SG408": "a reference in what an interpreter runs as code",
    "SG409": "a reference in a variable that decides what code runs",
    "SG501": "a step has no undo",
    "SG502": "an argument that may be read as an option",
    "SG503": "a pipeline hides the exit codes of its commands",
}
"""Each code and what it means in one line. SG1: the file, SG2: its shape, SG3: rules of sagas, SG4: references,
SG5: warnings."""

SHOWN_MAX = 100
"""Diagnostics in one message: nobody reads more, and a hostile file could have 50,000."""
LINE_SHOWN_MAX = 120
VALUE_SHOWN_MAX = 60
_CLOSE_LENGTH_MAX = 64


class Severity(StrEnum):
    ERROR = "error"
    WARNING = "warning"


@dataclass(frozen=True, slots=True, kw_only=True)
class Span:
    """A piece of the text: character offsets from 0, `end` exclusive."""

    start: int
    end: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Problem:
    """Something that is wrong at a span. `code` is a key of CODES."""

    code: str
    span: Span
    message: str
    help: str = ""

    @property
    def severity(self) -> Severity:
        return severity_of(self.code)


@dataclass(frozen=True, slots=True, kw_only=True)
class Diagnostic:
    """A problem with all that is needed to show it. `line` and `column` count characters from 1, `width` is that of
    the caret, `source` the line that it points into.
    """

    code: str
    message: str
    file: str
    line: int
    column: int
    width: int
    source: str
    help: str = ""

    @property
    def severity(self) -> Severity:
        return severity_of(self.code)

    def render(self) -> str:
        """The lines that a person reads, without a final newline and without control characters."""
        cut = max(0, self.column - 1 - LINE_SHOWN_MAX * 2 // 3)
        line = self.source[cut : cut + LINE_SHOWN_MAX]
        caret = " " * (self.column - 1 - cut) + "^" * max(1, min(self.width, len(line) - (self.column - 1 - cut)))
        gutter = " " * len(str(self.line))
        lines = [
            f"{self.severity}[{self.code}]: {self.message}",
            f"{gutter}--> {self.file}:{self.line}:{self.column}",
            f"{gutter} |",
            f"{self.line} | {line}".rstrip(),
            f"{gutter} | {caret}",
        ]
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
        """
        offset_done, at_done = 0, span.start

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
        line, column = self.place(problem.span)
        source = self._lines[line - 1]
        width = min(problem.span.end - problem.span.start, len(source) - column + 1)
        return Diagnostic(code=problem.code, message=problem.message, file=self.file, line=line, column=column,
                          width=max(1, width), source=source, help=problem.help)


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


def did_you_mean(name: str, known: Iterable[str]) -> str:
    """The help that names the known name closest to `name`; empty when none is close."""
    from difflib import get_close_matches

    close = get_close_matches(name, list(known), n=1) if len(name) <= _CLOSE_LENGTH_MAX else []
    return f"did you mean `{close[0]}`?" if close else ""
