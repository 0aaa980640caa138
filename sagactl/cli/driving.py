"""What run, resume and compensate have in common: drive sagas, tell what happens, end with their exit code."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import Any, TypeAlias

from sagactl.cli import wiring
from sagactl.cli.options import Common, Form, Progress, names_of
from sagactl.cli.output import complain, result, say, warn
from sagactl.cli.render import json as render_json
from sagactl.cli.render.human import STDERR_LINES, conclusion, progress
from sagactl.cli.starting import surroundings, warn_of_changes
from sagactl.core import events as e
from sagactl.core.saga import Saga, evolve, replay
from sagactl.core.states import FINAL, SagaState
from sagactl.errors import LockedError, NotFoundError, SagactlError, UsageError
from sagactl.journal.reading import Reader
from sagactl.ports import Publish, Surroundings

OUTCOMES = {
    SagaState.COMPLETED: 0, SagaState.COMPENSATED: 10, SagaState.ESCALATED: 11, SagaState.PAUSED: 12,
    SagaState.ABANDONED: 13,
}
Show: TypeAlias = Callable[[object], None]
"""Takes one result in JSON."""

WORST_FIRST = (7, 1, 143, 130, 129, 6, 11, 12, 13, 10, 5, 4, 3)


def exit_code(codes: Iterable[int]) -> int:
    """Of several, the worst."""
    found = set(codes)
    return next((code for code in WORST_FIRST if code in found), 0)


def publisher(common: Common, *, several: bool = False) -> Publish:
    """What tells of recorded events: JSON lines, or the id alone, on stdout; a line for each change on stderr."""
    plain = not common.quiet and common.progress is not Progress.NONE and (
        common.form is not Form.JSONL or common.origins["progress"] != "default")

    def publish(saga: Saga, seq: int, event: e.Event) -> None:
        if common.form is Form.JSONL:
            result(render_json.line(render_json.event(saga.id, seq, event)))
        elif common.quiet and isinstance(event, e.SagaStarted):
            result(saga.id)
        if plain and (said := progress(saga, event, verbose=common.verbose)) is not None:
            say(f"{_clock(event.at_s)} {saga.id + ' ' if several else ''}{said}")
        if isinstance(event, e.AttemptEnded):
            for line in event.ending.stderr_tail.splitlines()[-STDERR_LINES:] if plain else ():
                say(f"    | {line}")
            for warning in event.ending.warnings:
                warn(f"{saga.id}: {event.step} {warning}")

    return publish


def drive(
    common: Common, turns: Sequence[wiring.Turn], show: Show, *, several: bool = False,
    judge: Callable[[Saga], int] = lambda saga: OUTCOMES.get(saga.state, 0), leave_out_held: bool = False,
) -> int:
    """Drive sagas and tell how each ended; the exit code. `judge` gives that of a saga that rests."""
    if not turns:
        return 0
    results, signals = wiring.drive(common.database, turns, publisher(common, several=several))
    codes = []
    for each in results:
        if isinstance(each, SagactlError):
            if not (leave_out_held and isinstance(each, LockedError)):
                codes.append(complain(each))
            continue
        interrupted = each.state in (SagaState.RUNNING, SagaState.COMPENSATING)
        codes.append(128 + (signals.number or 0) if interrupted else judge(each))
        tell(common, each, show, interrupted=interrupted)
    return exit_code(codes)


def tell(common: Common, saga: Saga, show: Show, *, interrupted: bool = False) -> None:
    """The last word on a saga: its state on stdout, why and what to type next on stderr. In JSON all there is of it."""
    if common.form is Form.JSON:
        show(shown(existing(common.database), saga.id, interrupted=interrupted))
    if not common.human:
        return
    for line in conclusion(saga, interrupted=interrupted):
        say(line)
    if not (sys.stdout.isatty() and sys.stderr.isatty()):  # a person has just read it
        result(f"{saga.id} {'interrupted' if interrupted else saga.state}")


def shown(reader: Reader, saga_id: str, *, interrupted: bool) -> dict[str, Any]:
    """All that happened in a saga, as JSON has it."""
    facts = reader.events(saga_id)
    return render_json.saga(replay(fact for _, fact in facts), facts, interrupted=interrupted)


def report(common: Common, saga: Saga, show: Show) -> int:
    """Tell of a saga for which nothing is to be done; its exit code. In JSON lines these are all of its events.

    What a crash or a full disk left of its evidence is tidied up.
    """
    if saga.state in FINAL:
        wiring.fold(common.database, saga)
    if common.form is Form.JSONL:
        for seq, event in existing(common.database).events(saga.id):
            result(render_json.line(render_json.event(saga.id, seq, event)))
    elif common.quiet:
        result(saga.id)
    tell(common, saga, show)
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


def named(common: Common, given: Sequence[str] | None) -> tuple[list[str], list[int]]:
    """The ids of the sagas that a command line names, each once, and exit codes for what is none.

    Raises:
        UsageError: it names none.
        NotFoundError: there are no sagas at all.
    """
    if not given:
        raise UsageError("name a saga: an id, a unique prefix of one, or @last")
    names = names_of(given)
    if not names:
        say("stdin names no sagas: there is nothing to do")
        return [], []
    reader, found, codes = existing(common.database), dict[str, None](), list[int]()
    for name in names:
        try:
            found[reader.find(name)] = None
        except NotFoundError as error:
            codes.append(complain(error))
    return list(found), codes


def existing(database: Path) -> Reader:
    """The reader of a database that must be there. Raises NotFoundError."""
    found = wiring.reader(database)
    if found is None:
        raise NotFoundError(f"no sagas yet: {database} does not exist", hint="start one: sagactl run FILE")
    return found


def _clock(at_s: float) -> str:
    return time.strftime("%H:%M:%SZ", time.gmtime(at_s))
