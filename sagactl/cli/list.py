"""`sagactl list`: the sagas of a database, those that need somebody first."""

from __future__ import annotations

import shutil
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime
from pathlib import Path
from typing import Annotated, Final, TypeAlias

import typer

from sagactl.cli import wiring
from sagactl.cli.options import Common
from sagactl.cli.output import complain, json_rows, result, say
from sagactl.cli.render.text import safe, table
from sagactl.core.states import SagaState
from sagactl.errors import UsageError
from sagactl.journal.listing import Listing, Summary
from sagactl.journal.reading import Reader
from sagactl.plain import first_line

INTERRUPTED: Final = "interrupted"
STYLES: Final = {SagaState.ESCALATED: "bad", SagaState.PAUSED: "warn", INTERRUPTED: "warn"}
DISPENSABLE: Final = ("CHANGED", "STEPS", "SAGA")
"""The columns that a terminal too narrow for all goes without, one after another."""

MORE_MAX: Final = 1000
"""So many that are not shown are counted, so that a list of a million is still there at once."""

LIMIT_MAX: Final = 10_000_000
HUMAN_LIMIT: Final = 20
NAMED: Final = ("--db", "$SAGACTL_DB")
"""Who names a database wants to know if there is none: it may be the wrong one."""

ESCALATED_EXIT: Final = 11
_Row: TypeAlias = tuple[Summary, bool]
"""A saga, and whether it is interrupted."""


def list_sagas(
    state: Annotated[str | None, typer.Option("--state", metavar="S[,S...]", show_default=False,
                                              help="Only these states; `interrupted` is one too.")] = None,
    name: Annotated[str | None, typer.Option("--name", metavar="GLOB", show_default=False, help=(
        "Only sagas of definitions of this name, which may have * ? [..]."
    ))] = None,
    since: Annotated[str | None, typer.Option("--since", metavar="AGE|DATE", show_default=False, help=(
        "Only those that changed since: 2h, 3d, 2026-11-20, 2026-11-20T18:00Z."
    ))] = None,
    limit: Annotated[int | None, typer.Option("--limit", min=1, max=LIMIT_MAX, show_default=False, help=(
        "At most so many. Default: 20 for people, all for programs (-q, -o json, -o jsonl)."
    ))] = None,
    exit_code: Annotated[bool, typer.Option("--exit-code", help=(
        "Exit 11 if one of those asked for is escalated."
    ))] = False,
    *, common: Common,
) -> int:
    """List sagas: escalated and unfinished ones first, then the newest.

    Where the database is damaged, those that can be trusted are listed, the others named on stderr, and the exit is 7.

    Example: sagactl list --state escalated,interrupted
    """
    wanted, since_s = _states(state), _since_s(since)
    if name == "":
        raise UsageError("--name is empty", hint="leave it out for sagas of any name")
    judged_too = exit_code and limit is None  # the exit is that of all, though a person is shown the first of them
    hint = f"--limit {2 * (limit or HUMAN_LIMIT)}" + (", or --state" if state is None else "")
    if limit is None:
        limit = HUMAN_LIMIT if common.human else LIMIT_MAX
    reader = wiring.reader(common.database)
    found = Listing() if reader is None else reader.summaries(
        states=_journaled(wanted), name_glob=name, since_s=since_s,
        limit=None if (whole := judged_too or INTERRUPTED in wanted) else limit + MORE_MAX)
    every = list(_matching(found.rows, wanted, common.database))
    more, rows = max(0, len(every) - limit), every[:limit]
    _print(common, rows)
    if common.human:
        _show(rows)
        _needs_a_person(reader)
    if reader is None and (common.human or exit_code or common.origins["db"] in NAMED):
        say(f"no sagas yet: there is no database {common.database} ({common.origins['db']})")
    elif common.human and not rows and not found.damages:
        say("no such sagas" if any(each is not None for each in (state, name, since)) else "no sagas yet")
    if more:
        say(f"{more}{'+' if more == MORE_MAX and not whole else ''} more: {hint}")
    codes = [complain(error) for error in found.damages]
    if exit_code and any(row.state is SagaState.ESCALATED for row, _ in (every if judged_too else rows)):
        codes.append(ESCALATED_EXIT)
    return min(codes, default=0)


def _matching(rows: Sequence[Summary], wanted: frozenset[str], database: Path) -> Iterator[_Row]:
    evidence = wiring.evidence(database)
    for row in rows:
        live = row.state in (SagaState.RUNNING, SagaState.COMPENSATING)
        interrupted = live and not evidence.is_held(row.token)
        if not wanted or row.state in wanted or (interrupted and INTERRUPTED in wanted):
            yield row, interrupted


def _show(rows: Sequence[_Row]) -> None:
    if not rows:
        return
    now_s = time.time()
    room = shutil.get_terminal_size().columns if sys.stdout.isatty() else None
    columns = {
        "ID": [row.id for row, _ in rows],
        "SAGA": [row.name for row, _ in rows],
        "STATE": [INTERRUPTED if interrupted else row.state for row, interrupted in rows],
        "STEPS": [_steps(row) for row, _ in rows],
        "CHANGED": [_age(now_s - row.changed_s) for row, _ in rows],
        "WHY": [safe(first_line(row.why)) for row, _ in rows],
    }
    head, *lines = _table(columns)
    for name in DISPENSABLE:
        if room is not None and len(head) > room:
            del columns[name]
            head, *lines = _table(columns)
    why_at = head.rindex("WHY")
    result(head, "dim")
    for line, state in zip(lines, columns["STATE"], strict=True):
        result(line if room is None else _cut(line, why_at, room), STYLES.get(state, ""))


def _table(columns: Mapping[str, Sequence[str]]) -> list[str]:
    return table([(*columns,), *zip(*columns.values(), strict=True)])


def _cut(line: str, why_at: int, room: int) -> str:
    """Without the end of a last column for which there is no room; that begins at this character."""
    from rich.cells import cell_len, set_cell_size

    if cell_len(line) <= room or len(line) <= why_at:
        return line
    return line[:why_at] + set_cell_size(line[why_at:], max(0, room - 1 - cell_len(line[:why_at]))).rstrip() + "…"


def _print(common: Common, rows: Sequence[_Row]) -> None:
    """For programs."""
    with json_rows(common.form) as show:
        for row, interrupted in () if common.human else rows:
            if common.quiet:
                result(row.id)
            else:
                from sagactl.cli.render import json as render_json

                show(render_json.summary(row, interrupted=interrupted))


def _steps(row: Summary) -> str:
    """How many are done and stand. Of a compensated saga none is meant to: a count would read as if none had run."""
    return "-" if row.state is SagaState.COMPENSATED else f"{row.steps_done}/{row.steps_total}"


def _needs_a_person(reader: Reader | None) -> None:
    """The last line: how many sagas of the whole database wait for somebody."""
    counts = reader.count_by_state() if reader is not None else {}
    waiting = [f"{counts[state]:,} {state}" for state in (SagaState.ESCALATED, SagaState.PAUSED) if counts.get(state)]
    if waiting:
        say(f"{' and '.join(waiting)} in all: sagactl inspect SAGA says what a person can do")


def _states(text: str | None) -> frozenset[str]:
    wanted = frozenset() if text is None else frozenset(text.split(","))
    known = [*SagaState, INTERRUPTED]
    unknown = sorted(wanted - set(known))
    if unknown:
        shown = ", ".join(each or "''" for each in unknown)
        raise UsageError(f"unknown state {shown}", hint=f"states: {', '.join(known)}")
    return wanted


def _since_s(text: str | None) -> float | None:
    """Since when, in Unix seconds: that long ago, or from that day or moment on, here where no zone is said."""
    from sagactl.definition.durations import age_s

    if text is None:
        return None
    try:
        return time.time() - age_s(text)
    except ValueError:
        pass
    try:
        return datetime.fromisoformat(text).timestamp()
    except (ValueError, OverflowError, OSError):
        raise UsageError(f"--since {text or repr(text)}: neither an age, as 2h or 3d, nor a date, as 2026-11-20") \
            from None


def _journaled(wanted: frozenset[str]) -> tuple[SagaState, ...] | None:
    """The states to look for in the database; an interrupted saga is a running or compensating one there."""
    if not wanted:
        return None
    live = {SagaState.RUNNING, SagaState.COMPENSATING} if INTERRUPTED in wanted else set()
    return tuple(live | {SagaState(each) for each in wanted if each != INTERRUPTED})


def _age(seconds: float) -> str:
    for unit, size in (("d", 86400), ("h", 3600), ("m", 60)):
        if seconds >= size:
            return f"{seconds // size:.0f}{unit} ago"
    return f"{max(0.0, seconds):.0f}s ago"
