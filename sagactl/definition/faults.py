"""A place at which a text stops being YAML, the text around it, and how to write a value so that YAML takes it."""

from __future__ import annotations

import re
from dataclasses import dataclass

from sagactl.definition.diagnostics import Note, Problem, Span

SEEN_MAX = 400
"""Characters of a line that are looked at: a hostile one is long."""
CLOSING = {"[": "]", "{": "}"}
KEY_LINE = re.compile(r"[ \t]*(?:-[ ]+)*[A-Za-z_][\w.-]*[ ]*:(?:\s|$)")
_TEXTS = ("saga", "description", "manual", "run", "cwd", "stdin", "pattern")
"""Fields whose value is no mapping."""
_COMMENT = re.compile(r"\s+#.*$")


@dataclass(frozen=True, slots=True, kw_only=True)
class Fault:
    """Where a parser gave up: `at` is the place, `start` that of the thing it was reading."""

    text: str
    at: int
    start: int

    @property
    def char(self) -> str:
        return self.text[self.at : self.at + 1]

    @property
    def begin(self) -> int:
        """Where the line of `at` begins."""
        return self.text.rfind("\n", 0, self.at) + 1

    @property
    def before(self) -> str:
        """What stands before `at` on its line."""
        return self.text[max(self.begin, self.at - SEEN_MAX) : self.at]

    @property
    def line_above(self) -> int:
        """Where the nearest line above begins that is neither empty nor a comment; -1 where there is none."""
        end = self.begin - 1
        while end > 0:
            begin = self.text.rfind("\n", 0, end) + 1
            if not re.match(r"[ \t]*(#.*)?$", self.text[begin:end]):
                return begin
            end = begin - 1
        return -1

    def line(self, begin: int) -> str:
        """The text from `begin` to the end of its line, without comment."""
        end = self.text.find("\n", begin)
        return _COMMENT.sub("", self.text[begin : min(end if end >= 0 else len(self.text), begin + SEEN_MAX)]).rstrip()

    def same_line(self) -> bool:
        return "\n" not in self.text[self.start : self.at]


def problem(at: int, message: str, hint: str, *, width: int = 1, notes: tuple[Note, ...] = ()) -> Problem:
    return Problem(code="SG104", span=Span(start=at, end=at + width), message=message, help=hint, notes=notes)


def quoted(value: str) -> str:
    """A value as it should be written: in quotes that it does not hold."""
    if '"' not in value and "\\" not in value:
        return f'"{value}"'
    return "'" + value.replace("'", "''") + "'"


def as_value(key: str, value: str) -> str:
    """How to write a value that holds a `: `: in quotes, or in braces where it begins with a known key."""
    found = re.fullmatch(r"(manual|run|env|file|from|pointer|type|enum|default):[ ]+(.+)", value)
    if found is None or key in _TEXTS:
        return f"put the value in quotes: {key}: {quoted(value)}"
    plain = re.fullmatch(r"""[\w./$][\w./$ -]*|"[^"\\]*"|'[^']*'|\[[^\[\]{}:#]*\]""", found[2])
    return f"write `{key}: {{{found[1]}: {found[2] if plain else quoted(found[2])}}}`"


def in_quotes(value: str) -> str:
    return f"put it in quotes: {quoted(value)[:200]}"


def unknown(fault: Fault) -> Problem:
    return problem(fault.at, "what stands here is no YAML",
                    "look at this line and the one above: at colons, quotes, brackets and the indentation")
