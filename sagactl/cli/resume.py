"""`sagactl resume`: go on with what was interrupted, paused or escalated, in the direction it was going."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Annotated

import typer

from sagactl.cli import driving, wiring
from sagactl.cli.options import Database, Json, Quiet, database_path
from sagactl.cli.output import complain, result, say
from sagactl.core import events as e
from sagactl.core import operate
from sagactl.core.saga import Saga
from sagactl.core.states import FINAL, SagaState
from sagactl.errors import SagactlError, UsageError


def resume(
    sagas: Annotated[list[str] | None, typer.Argument(metavar="SAGA...", show_default=False,
                                                      help="Ids, unique prefixes, or @last.")] = None,
    every: Annotated[bool, typer.Option("--all", help="Every interrupted saga that no live process holds.")] = False,
    db: Database = None, quiet: Quiet = False, json: Json = False,
) -> int:
    """Go on with sagas in the direction they were going.

    What failed in a paused or escalated saga has a fresh budget of attempts; a finished one is reported.

    Example: sagactl resume --all
    """
    if every == bool(sagas):
        raise UsageError("name sagas, or say --all")
    database = database_path(db)
    codes, turns = [], []
    if every:
        names, damages = interrupted(database)
        codes += [complain(error) for error in damages]
        if not names and not damages and not quiet:
            say("nothing to resume: no saga is interrupted")
    else:
        names = list(dict.fromkeys(driving.existing(database).find(name) for name in sagas or ()))
    for name in names:
        try:
            turn = _turn(database, name, quiet=quiet, as_json=json)
        except SagactlError as error:
            codes.append(complain(error))
            continue
        codes += [turn] if isinstance(turn, int) else []
        if isinstance(turn, wiring.Turn):
            turns.append(turn)
            if quiet:
                result(name)
    if turns:
        publish = driving.publisher(quiet=quiet, as_json=json, several=len(names) > 1)
        codes.append(driving.drive(database, turns, publish, quiet=quiet, as_json=json, leave_out_held=every))
    return driving.exit_code(codes)


def interrupted(database: Path) -> tuple[list[str], Sequence[SagactlError]]:
    """The ids of running or compensating sagas that no live process holds, and of which sagas that is unknown."""
    reader = wiring.reader(database)
    if reader is None:
        return [], ()
    evidence = wiring.evidence(database)
    found = reader.summaries(states=(SagaState.RUNNING, SagaState.COMPENSATING))
    return [row.id for row in found.rows if not evidence.is_held(row.token)], found.damages


def _turn(database: Path, name: str, *, quiet: bool, as_json: bool) -> wiring.Turn | int:
    """What to do for one saga: a turn to drive it, or the exit code of one that has ended."""
    saga = driving.existing(database).load(name)
    if saga.state in FINAL:
        if not quiet:
            say(f"{name} has ended already; nothing was run")
        return driving.report(database, saga, quiet=quiet, as_json=as_json)

    def say_so(saga: Saga, now_s: float) -> Sequence[e.Event]:
        event = operate.resume(saga, wiring.me(), now_s)
        return [event] if event is not None else []

    return wiring.Turn(id=name, token=saga.started.token, prepare=driving.going_on(database, name, say_so))
