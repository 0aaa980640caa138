"""Frames of the live view: from sagas and a size to lines, without a clock or a terminal.

One saga is a tree of its steps, several are a line each. What does not fit is folded: first what is over, then what is
still to come; what failed or is at work has a line of its own as long as there is one, but leaves one for each count of
the others. Texts of others are made safe.
"""

from __future__ import annotations

import functools
import io
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final

from rich.cells import cell_len
from rich.color import ColorSystem
from rich.console import Console
from rich.text import Text

from sagactl.cli.render.marks import (
    INTERRUPTED,
    SAGAS,
    STEPS,
    WAITING,
    Mark,
    Rank,
    Row,
    age,
    mark_of_saga,
    mark_of_step,
    row_of_saga,
    row_of_step,
    stuck,
)
from sagactl.cli.render.text import safe
from sagactl.core.saga import Saga
from sagactl.core.states import SagaState

SPINNER: Final = "⠋⠙⠹⠸⠼⠴⠦⠧⠇⠏"
SPINNER_ASCII: Final = "|/-\\"
OURS: Final = {ord(char): None for char in SPINNER + "…" + "".join(
    mark.symbol for mark in (*STEPS.values(), *SAGAS.values(), WAITING))}
TURNS_A_SECOND: Final = 4
NAME_CELLS_MIN: Final = 8
CROWDED: Final = 3
"""Where no more lines are left, each that failed or is at work is worth more than a count of the others."""

TEXT_CHARS_MAX: Final = 1000
"""No line of a terminal shows more; what others wrote may be megabytes."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Look:
    """What a frame is drawn for: the time in Unix seconds, a size in cells, and what the next Ctrl-C would do.

    `total`: how many sagas are to be driven; `settled`: how many of them are only counted, by what came of them.
    `last`: this frame stays, so nothing in it says that it goes on.
    """

    now_s: float
    width: int
    height: int
    hint: str = ""
    total: int = 1
    settled: Mapping[str, int] = field(default_factory=dict)
    plain: bool = False
    last: bool = False

    def seen(self, text: str) -> str:
        """A text of others as it can be shown here."""
        text = safe(text[:TEXT_CHARS_MAX])
        return text.encode("ascii", "backslashreplace").decode() if self.plain else text

    def symbol(self, mark: Mark) -> str:
        if not mark.symbol:
            turns = SPINNER_ASCII if self.plain else SPINNER
            return turns[int(self.now_s * TURNS_A_SECOND) % len(turns)]
        return mark.plain if self.plain else mark.symbol

    def fitted(self, text: Text, width: int) -> Text:
        """The text, cut where it is wider; it is changed in place."""
        if text.cell_len > width:
            text.truncate(width, overflow="crop" if self.plain else "ellipsis")
        return text


def frame(sagas: Sequence[Saga], look: Look) -> list[Text]:
    """At most `look.height` lines of at most `look.width` cells; none before the first saga."""
    if not (sagas or look.settled) or look.height < 1:
        return []
    if look.total == 1:
        return _tree(sagas[0], look) if sagas else []
    marks = {saga.id: mark_of_saga(saga, last=look.last) for saga in sagas}
    counts = Counter([mark.word for mark in marks.values()]) + Counter(look.settled)
    words = dict.fromkeys([*(mark.word for mark in (*SAGAS.values(), INTERRUPTED)), *sorted(counts)])
    said = [f"{counts[word]} {word}" for word in words if counts[word]]
    waiting = look.total - len(sagas) - sum(look.settled.values())
    if waiting and not look.last:
        said.append(f"{waiting} waiting")
    own, folds = _folded(marks, look)
    rows = [row_of_saga(saga, marks[saga.id], look.now_s) for saga in sagas if saga.id in own]
    return [_header([(f"{look.total} sagas", "bold"), (", ".join(said), "")], look), *_body(rows, folds, look)]


def _tree(saga: Saga, look: Look) -> list[Text]:
    back = saga.to_undo if saga.state is SagaState.COMPENSATING else ()
    before_it = frozenset(back)
    first = dict.fromkeys((*back, *saga.steps)) if back else saga.steps
    marks = {name: mark_of_step(saga, name, before_it, last=look.last) for name in first}
    own, folds = _folded(marks, look)
    words = stuck(saga)
    rows = [row_of_step(saga, name, marks[name], words.get(name, ""), look.now_s)
            for name in saga.steps if name in own]
    mark = mark_of_saga(saga, last=look.last)
    parts = [(saga.id, "bold"), (mark.word, mark.colour), (age(saga, look.now_s), "")]
    return [_header(parts, look), *_body(rows, folds, look)]


def _header(parts: Iterable[tuple[str, str]], look: Look) -> Text:
    first, *others = (Text(look.seen(part), style) for part, style in parts)
    room = look.width - sum(2 + part.cell_len for part in others)
    text = Text("  ").join([look.fitted(first, max(NAME_CELLS_MIN, room)), *others])
    room = look.width - text.cell_len - len(look.hint)
    if look.hint and not look.last and room >= 2:
        text.append(" " * room + look.hint, "dim")
    return look.fitted(text, look.width)


def _folded(marks: Mapping[str, Mark], look: Look) -> tuple[set[str], dict[Rank, str]]:
    """Which names have a line of their own below the first one, and the lines that count the others, by rank."""
    budget = look.height - 1
    if len(marks) <= budget:
        return set(marks), {}
    groups: dict[Rank, list[str]] = {rank: [] for rank in Rank}
    for name, mark in marks.items():
        groups[mark.rank].append(name)
    groups[Rank.OVER].reverse()  # the latest are worth more
    own: set[str] = set()
    folds: dict[Rank, str] = {}
    crowded = budget <= CROWDED
    for rank, names in groups.items():
        later = sum(min(len(groups[each]), 2 if each is Rank.AT_WORK else 1) for each in Rank if each > rank)
        kept_free = later if rank is Rank.NEXT or (rank <= Rank.AT_WORK and not crowded) else 0
        lines = max(0, min(len(names), budget - kept_free))
        budget -= lines
        rows = lines if lines == len(names) else max(lines - 1, int(lines > 0 and rank <= Rank.AT_WORK))
        own |= set(names[:rows])
        if lines > rows:
            counts = Counter(marks[name] for name in names[rows:])
            folds[rank] = "  ".join(_counted(mark, count, look) for mark, count in counts.items())
    return own, folds


def _counted(mark: Mark, count: int, look: Look) -> str:
    more = "" if mark.rank is Rank.OVER else "more "
    return f"{look.symbol(mark)} {count} {more}{mark.word}".rstrip()


def _body(rows: Sequence[Row], folds: Mapping[Rank, str], look: Look) -> list[Text]:
    """The rows in columns; before them what is over, after them what is still to come."""
    names = [look.seen(row.name) for row in rows]
    width = min(max(map(cell_len, names), default=0), max(NAME_CELLS_MIN, look.width // 3))
    times = max((len(row.time) for row in rows), default=0)
    lines = []
    for row, name in zip(rows, names, strict=True):
        cell = look.fitted(Text(name), width)
        cell.pad_right(width - cell.cell_len)
        line = Text.assemble((f"  {look.symbol(row.mark)} ", row.mark.colour), cell, f"  {row.time:{times}}  ",
                             look.seen(row.note))
        look.fitted(line, look.width).rstrip()
        lines.append(line)
    counted = {rank: look.fitted(Text(f"  {said}", "dim"), look.width) for rank, said in folds.items()}
    over = [counted.pop(Rank.OVER)] if Rank.OVER in counted else []
    return [*over, *lines, *counted.values()]


def certain(text: Text) -> bool:
    """Whether every terminal finds a line as wide as we do: of the characters of others only ASCII is so sure."""
    return text.plain.translate(OURS).isascii()


def painted(text: Text, *, colour: bool) -> str:
    """A line as a terminal wants it: with the sixteen colours that everybody has, or with none and no bold either."""
    parts = text.render(_console())
    system = ColorSystem.STANDARD if colour else None
    return "".join(part.text if part.style is None else part.style.render(part.text, color_system=system)
                   for part in parts)


@functools.cache
def _console() -> Console:
    """What knows the names of styles; nothing is ever written to it."""
    return Console(file=io.StringIO())
