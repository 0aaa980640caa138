"""`sagactl list`: the sagas of a database, those that need somebody first."""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from datetime import datetime
from pathlib import Path
from typing import Annotated, Final, TypeAlias

import typer

from sagactl.cli import wiring
from sagactl.cli.options import Common
from sagactl.cli.output import complain, json_rows, result, say
from sagactl.cli.render import json as render_json
from sagactl.cli.render.text import first_line, safe, table
from sagactl.core.states import SagaState
from sagactl.errors import UsageError
from sagactl.journal.listing import Listing, Summary
from sagactl.journal.reading import Reader

INTERRUPTED: Final = "interrupted"
STYLES: Final = {SagaState.ESCALATED: "bad", SagaState.PAUSED: "warn", INTERRUPTED: "warn"}
MORE_MAX: Final = 1000
"""So many that are not shown are counted, so that a list of a million is still there at once."""

LIMIT_MAX: Final = 10_000_000
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
    limit: Annotated[int, typer.Option("--limit", min=1, max=LIMIT_MAX, help="At most so many.")] = 20,
    exit_code: Annotated[bool, typer.Option("--exit-code", help="Exit 11 if one that is listed is escalated.")] = False,
    *, common: Common,
) -> int:
    """List sagas: escalated and unfinished ones first, then the newest.

    Where the database is damaged, those that can be trusted are listed, the others named on stderr, and the exit is 7.

    Example: sagactl list --state escalated,interrupted
    """
    wanted, since_s = _states(state), _since_s(since)
    reader = wiring.reader(common.database)
    found = Listing() if reader is None else reader.summaries(
        states=_journaled(wanted), name_glob=name, since_s=since_s,
        limit=None if INTERRUPTED in wanted else limit + MORE_MAX)
    rows = list(_matching(found.rows, wanted, common.database))
    more, rows = max(0, len(rows) - limit), rows[:limit]
    with json_rows(common.form) as show:
        for row, interrupted in () if common.human else rows:
            if common.quiet:
                result(row.id)
            else:
                show(render_json.summary(row, interrupted=interrupted))
    if common.human:
        _show(rows)
        if not rows and not found.damages:
            narrowed = any(each is not None for each in (state, name, since))
            say("no such sagas" if reader is not None and narrowed else "no sagas yet")
        _needs_a_person(reader)
    if more:
        say(f"{more}{'+' if more == MORE_MAX else ''} more: --limit {limit * 2}, or --state")
    codes = [complain(error) for error in found.damages]
    if exit_code and any(row.state is SagaState.ESCALATED for row, _ in rows):
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
    head, *lines = table([("ID", "SAGA", "STATE", "STEPS", "CHANGED", "WHY"), *(
        (row.id, row.name, INTERRUPTED if interrupted else row.state, f"{row.steps_done}/{row.steps_total}",
         _age(now_s - row.changed_s), safe(first_line(row.why))) for row, interrupted in rows)])
    result(head, "dim")
    for line, (row, interrupted) in zip(lines, rows, strict=True):
        result(line, STYLES.get(INTERRUPTED if interrupted else row.state, ""))


def _needs_a_person(reader: Reader | None) -> None:
    """The last line: how many sagas of the whole database wait for somebody."""
    counts = reader.count_by_state() if reader is not None else {}
    waiting = [f"{counts[state]:,} {state}" for state in (SagaState.ESCALATED, SagaState.PAUSED) if counts.get(state)]
    if waiting:
        say(f"{' and '.join(waiting)} in all: sagactl inspect SAGA says what a person can do")


def _states(text: str | None) -> frozenset[str]:
    wanted = frozenset(text.split(",")) if text else frozenset()
    known = [*SagaState, INTERRUPTED]
    unknown = sorted(wanted - set(known))
    if unknown:
        raise UsageError(f"unknown state {', '.join(unknown)}", hint=f"states: {', '.join(known)}")
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
        raise UsageError(f"--since {text}: neither an age, as 2h or 3d, nor a date, as 2026-11-20") from None


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
