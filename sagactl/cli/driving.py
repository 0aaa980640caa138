"""What run, resume and compensate have in common: drive sagas, tell what happens, end with their exit code."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path

from sagactl.cli import wiring
from sagactl.cli.output import complain, result, say, warn
from sagactl.cli.render import json as render_json
from sagactl.cli.render.human import conclusion, progress
from sagactl.cli.starting import surroundings, warn_of_changes
from sagactl.core import events as e
from sagactl.core.saga import Saga, evolve
from sagactl.core.states import FINAL, SagaState
from sagactl.errors import LockedError, NotFoundError, SagactlError
from sagactl.journal.reading import Reader
from sagactl.ports import Publish, Surroundings

OUTCOMES = {
    SagaState.COMPLETED: 0, SagaState.COMPENSATED: 10, SagaState.ESCALATED: 11, SagaState.PAUSED: 12,
    SagaState.ABANDONED: 13,
}
STDERR_LINES = 5
"""Of a failed command's stderr, so many lines are shown at once; `inspect` has more."""

WORST_FIRST = (7, 1, 143, 130, 129, 6, 11, 12, 13, 10, 5, 4, 3)


def exit_code(codes: Iterable[int]) -> int:
    """Of several, the worst."""
    found = set(codes)
    return next((code for code in WORST_FIRST if code in found), 0)


def publisher(*, quiet: bool, as_json: bool, several: bool = False) -> Publish:
    """What tells of recorded events: JSON lines, or the id alone, and plain progress lines on stderr."""
    def publish(saga: Saga, seq: int, event: e.Event) -> None:
        if as_json:
            result(render_json.line(render_json.event(saga.id, seq, event)))
        elif quiet and isinstance(event, e.SagaStarted):
            result(saga.id)
        elif not quiet and (said := progress(saga, event)) is not None:
            say(f"{_clock(event.at_s)} {saga.id + ' ' if several else ''}{said}")
        if isinstance(event, e.AttemptEnded):
            for line in event.ending.stderr_tail.splitlines()[-STDERR_LINES:] if not quiet else ():
                say(f"    | {line}")
            for warning in event.ending.warnings:
                warn(f"{saga.id}: {event.step} {warning}")

    return publish


def drive(
    database: Path, turns: Sequence[wiring.Turn], publish: Publish, *, quiet: bool, as_json: bool,
    judge: Callable[[Saga], int] = lambda saga: OUTCOMES.get(saga.state, 0), leave_out_held: bool = False,
) -> int:
    """Drive sagas and tell how each ended; the exit code. `judge` gives that of a saga that rests."""
    results, signals = wiring.drive(database, turns, publish)
    codes = []
    for each in results:
        if isinstance(each, SagactlError):
            if not (leave_out_held and isinstance(each, LockedError)):
                codes.append(complain(each))
            continue
        interrupted = each.state in (SagaState.RUNNING, SagaState.COMPENSATING)
        codes.append(128 + (signals.number or 0) if interrupted else judge(each))
        tell(each, quiet=quiet, as_json=as_json, interrupted=interrupted)
    return exit_code(codes)


def tell(saga: Saga, *, quiet: bool, as_json: bool = False, interrupted: bool = False) -> None:
    """The last word on a saga: its state on stdout, why and what to type next on stderr."""
    if quiet or as_json:
        return
    for line in conclusion(saga, interrupted=interrupted):
        say(line)
    if not (sys.stdout.isatty() and sys.stderr.isatty()):  # a person has just read it
        result(f"{saga.id} {'interrupted' if interrupted else saga.state}")


def report(database: Path, saga: Saga, *, quiet: bool, as_json: bool) -> int:
    """Tell of a saga for which nothing is to be done; its exit code. In JSON these are all of its events.

    What a crash or a full disk left of its evidence is tidied up.
    """
    if saga.state in FINAL:
        wiring.fold(database, saga)
    if as_json:
        for seq, event in existing(database).events(saga.id):
            result(render_json.line(render_json.event(saga.id, seq, event)))
    elif quiet:
        result(saga.id)
    tell(saga, quiet=quiet, as_json=as_json)
    return OUTCOMES[saga.state]


def going_on(
    database: Path, saga_id: str, say_so: Callable[[Saga, float], Sequence[e.Event]],
) -> Callable[[], tuple[Saga, Sequence[e.Event], Surroundings]]:
    """The `prepare` of a saga that exists: read it under its lock, take it on, and say what is to happen.

    `say_so` gives the events, if any, that the saga needs to go on.
    """
    def prepare() -> tuple[Saga, Sequence[e.Event], Surroundings]:
        saga = existing(database).load(saga_id)
        around = surroundings(saga.started)
        warn_of_changes(saga.started)
        now_s = time.time()
        words = say_so(saga, now_s)
        if saga.state in FINAL and not words:
            return saga, (), around
        pending = [e.HolderChanged(at_s=now_s, holder=wiring.me()), *words]
        for event in pending:
            saga = evolve(saga, event)
        return saga, pending, around

    return prepare


def existing(database: Path) -> Reader:
    """The reader of a database that must be there. Raises NotFoundError."""
    found = wiring.reader(database)
    if found is None:
        raise NotFoundError(f"no sagas yet: {database} does not exist", hint="start one: sagactl run FILE")
    return found


def _clock(at_s: float) -> str:
    return time.strftime("%H:%M:%SZ", time.gmtime(at_s))
