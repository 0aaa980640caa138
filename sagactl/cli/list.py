"""`sagactl list`: the sagas of a database, those that need somebody first."""

from __future__ import annotations

import time
from typing import Annotated

import typer

from sagactl.cli import wiring
from sagactl.cli.options import Common
from sagactl.cli.output import complain, json_rows, result, say
from sagactl.cli.render import json as render_json
from sagactl.cli.render.text import safe, table
from sagactl.core.states import SagaState
from sagactl.errors import UsageError
from sagactl.journal.listing import Listing

INTERRUPTED = "interrupted"
STYLE_OF = {SagaState.ESCALATED: "bad", SagaState.PAUSED: "warn", INTERRUPTED: "warn"}
MORE_MAX = 1000
"""So many that are not shown are counted, so that a list of a million is still there at once."""


def list_sagas(
    state: Annotated[str | None, typer.Option("--state", metavar="S[,S...]", show_default=False,
                                              help="Only these states; `interrupted` is one too.")] = None,
    limit: Annotated[int, typer.Option("--limit", min=1, help="At most so many.")] = 20,
    *, common: Common,
) -> int:
    """List sagas: escalated and unfinished ones first, then the newest.

    Where the database is damaged, those that can be trusted are listed, the others named on stderr, and the exit is 7.

    Example: sagactl list --state escalated,interrupted
    """
    wanted = _states(state)
    reader, evidence = wiring.reader(common.database), wiring.evidence(common.database)
    rows = []
    most = None if wanted else limit + MORE_MAX
    found = reader.summaries(states=_journaled(wanted), limit=most) if reader else Listing()
    for row in found.rows:
        live = row.state in (SagaState.RUNNING, SagaState.COMPENSATING)
        interrupted = live and not evidence.is_held(row.token)
        if not wanted or row.state in wanted or (interrupted and INTERRUPTED in wanted):
            rows.append((row, interrupted))
    more, rows = max(0, len(rows) - limit), rows[:limit]
    with json_rows(common.form) as show:
        for row, interrupted in rows if not common.human else ():
            if common.quiet:
                result(row.id)
            else:
                show(render_json.summary(row, interrupted=interrupted))
    if common.human and rows:
        now_s = time.time()
        cells = [(row.id, row.name, INTERRUPTED if interrupted else row.state, f"{row.steps_done}/{row.steps_total}",
                  _age(now_s - row.changed_s), safe(row.why)) for row, interrupted in rows]
        head, *lines = table([("ID", "SAGA", "STATE", "STEPS", "CHANGED", "WHY"), *cells])
        result(head, "dim")
        for line, (row, interrupted) in zip(lines, rows, strict=True):
            result(line, STYLE_OF.get(INTERRUPTED if interrupted else row.state, ""))
        if more:
            say(f"{more}{'+' if more == MORE_MAX else ''} more: --limit {limit * 2}, or --state")
    elif common.human and not found.damages:
        say("no sagas" + (f" in state {state}" if state else " yet"))
    return max((complain(error) for error in found.damages), default=0)


def _states(text: str | None) -> frozenset[str]:
    wanted = frozenset(text.split(",")) if text else frozenset()
    known = [*SagaState, INTERRUPTED]
    unknown = sorted(wanted - set(known))
    if unknown:
        raise UsageError(f"unknown state {', '.join(unknown)}", hint=f"states: {', '.join(known)}")
    return wanted


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
