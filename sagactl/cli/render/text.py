"""Text for terminals and pipes: what anybody else has said is made safe here, and nowhere else."""

from __future__ import annotations

import unicodedata
from collections.abc import Iterable, Sequence
from datetime import UTC, datetime

_HIDDEN = frozenset({"Cc", "Cf", "Cs", "Co", "Cn", "Zl", "Zp"})


def is_hidden(char: str) -> bool:
    """Whether a character could act on a terminal, or hide others there, instead of being seen."""
    return unicodedata.category(char) in _HIDDEN


def json_text(value: object) -> str:
    """One JSON text on one line, for machines; yet what could act on a terminal is escaped, as JSON does it."""
    import json

    text = json.dumps(value, ensure_ascii=False, separators=(",", ":")).encode("utf-8", "backslashreplace").decode()
    return text if text.isprintable() else "".join(json.dumps(c)[1:-1] if is_hidden(c) else c for c in text)


def safe(text: str, *, lines: bool = False) -> str:
    """The text with every character that could act on a terminal or hide others shown as an escape.

    That is controls, C1, bidi and other format characters, surrogates and line separators; newlines are kept with
    `lines`.
    """
    if text.isprintable():  # then none of them is in it; the rest is slow
        return text
    return "".join(char if (char == "\n" and lines) or not is_hidden(char) else _escape(char) for char in text)


def _escape(char: str) -> str:
    return char.encode("unicode_escape", "backslashreplace").decode("ascii")


def iso(at_s: float) -> str:
    """RFC 3339 UTC with milliseconds."""
    return datetime.fromtimestamp(at_s, UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


def table(rows: Sequence[Sequence[str]]) -> list[str]:
    """A line for each row: columns two spaces apart, the last one ragged."""
    widths = [max(len(cell) for cell in column) for column in zip(*rows, strict=True)]
    return ["  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip() for row in rows]


def indented(text: str, prefix: str) -> Iterable[str]:
    """Every line of a text behind a prefix."""
    return (f"{prefix}{line}" for line in text.rstrip("\n").splitlines())
