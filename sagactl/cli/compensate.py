"""`sagactl compensate`: take a saga back on demand, whether it is live, at rest or completed."""

from __future__ import annotations

import sys
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated

import typer

from sagactl.cli import driving, wiring
from sagactl.cli.options import Database, Json, Quiet, Reason, SagaName, database_path, reason_text
from sagactl.cli.output import result, say
from sagactl.cli.render.human import undo_text
from sagactl.core import events as e
from sagactl.core import operate
from sagactl.core.saga import Saga
from sagactl.core.states import SagaState, StepState
from sagactl.errors import UsageError

LOOK_S = 0.2
"""How often a saga that another process holds is looked at."""


def compensate(
    saga: SagaName, reason: Reason = "",
    yes: Annotated[bool, typer.Option("--yes", "-y", help="Do not ask; needed where nobody can be asked.")] = False,
    db: Database = None, quiet: Quiet = False, json: Json = False,
) -> int:
    """Undo what a saga has done, in reverse order. Exit 0 when all of it is undone.

    A live saga is asked to turn round: its running attempt is ended, and its own process undoes the rest.

    Example: sagactl compensate @last --reason "ordered twice" --yes
    """
    reason_text(reason)
    database = database_path(db)
    reader = driving.existing(database)
    found = reader.load(reader.find(saga))
    operate.compensate(found, wiring.me(), reason, found.changed_s)  # before anybody is asked: a conflict
    if found.state is SagaState.COMPENSATED:
        say(f"{found.id} is compensated already; nothing was run")
        driving.report(database, found, quiet=quiet, as_json=json)
        return 0
    if not yes:
        _ask(found)
    if quiet:
        result(found.id)
    if wiring.evidence(database).is_held(found.started.token):
        import anyio

        turned = anyio.run(_turn_round, database, found, reason)
        if turned is not None:
            if not quiet:
                driving.report(database, turned, quiet=False, as_json=json)
            return _code(turned)

    def say_so(saga: Saga, now_s: float) -> Sequence[e.Event]:
        event = operate.compensate(saga, wiring.me(), reason, now_s)
        return [event] if event is not None else []

    turn = wiring.Turn(
        id=found.id, token=found.started.token, prepare=driving.going_on(database, found.id, say_so),
    )
    publish = driving.publisher(quiet=quiet, as_json=json)
    return driving.drive(database, [turn], publish, quiet=quiet, as_json=json, judge=_code)


def _code(saga: Saga) -> int:
    return 0 if saga.state is SagaState.COMPENSATED else driving.OUTCOMES[saga.state]


def _ask(saga: Saga) -> None:
    if not sys.stdin.isatty() or not sys.stderr.isatty():
        raise UsageError("this undoes what was done, and there is no terminal to ask on", hint="say --yes to do it")
    say(f"{saga.id} is {saga.state}. This would be undone, in this order:")
    for name in reversed(saga.order):
        if saga.steps[name].state not in (StepState.COMPENSATED, StepState.SKIPPED, StepState.PENDING):
            say(f"  {name}: {undo_text(saga.by_id[name])}")
    try:
        agreed = typer.confirm("Undo it?", err=True)
    except typer.Abort:
        agreed = False
    if not agreed:
        raise UsageError("nothing was done")


async def _turn_round(database: Path, asked: Saga, reason: str) -> Saga | None:
    """Ask the process that holds a saga to turn it round, and wait until it lets go of it.

    None where it let go without having turned: the caller does it then.

    Raises:
        ConflictError: the saga has passed its pivot meanwhile.
    """
    import anyio

    async with wiring.journal(database) as journal:
        await journal.request(asked.id, wiring.me(), reason)
    reader, evidence = driving.existing(database), wiring.evidence(database)
    say(f"{asked.id} is live: asked its process to turn round")
    while True:
        held = evidence.is_held(asked.started.token)
        saga = reader.load(asked.id)
        turned = asked.turn is None and saga.turn is not None
        if turned and saga.state in driving.OUTCOMES:
            return saga
        if saga.turn is None:
            operate.compensate(saga, wiring.me(), reason, time.time())
        if not held:
            return None
        await anyio.sleep(LOOK_S)
