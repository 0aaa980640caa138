"""`sagactl resume`: go on with what was interrupted, paused or escalated, in the direction it was going."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from sagactl.cli import driving, wiring
from sagactl.cli.options import Common, Jobs, SagaNames
from sagactl.cli.output import complain, json_rows, say
from sagactl.core.states import FINAL, SagaState
from sagactl.errors import SagactlError, UsageError

if TYPE_CHECKING:
    from sagactl.core import events as e
    from sagactl.core.saga import Saga
    from sagactl.journal.listing import Summary


def resume(
    sagas: SagaNames = None,
    every: Annotated[bool, typer.Option("--all", help="Every interrupted saga that no live process holds.")] = False,
    jobs: Jobs = None,
    *, common: Common,
) -> int:
    """Go on with sagas in the direction they were going.

    What failed in a paused or escalated saga has a fresh budget of attempts; a finished one is reported.

    Example: sagactl resume --all
    """
    if every is bool(sagas):
        raise UsageError("name sagas, or say --all for every interrupted one",
                         hint="sagactl list --state interrupted shows them")
    if every:
        names, damages = interrupted(common.database)
        codes = [complain(error) for error in damages]
        if not names and not damages and not common.quiet:
            say("nothing to resume: no saga is interrupted")
    else:
        names, codes = driving.named(common, sagas)
    with json_rows(common.form) as show:
        turns = _turns(common, names, codes, show)
        codes.append(driving.drive(common, turns, show, jobs=jobs, total=len(names), leave_out_held=every))
    return driving.exit_code(codes)


def _turns(common: Common, names: Sequence[str], codes: list[int], show: driving.Show) -> Iterator[wiring.Turn | None]:
    """The turn of each; None where there is none: what it comes to is told and added to `codes`."""
    if not names:
        return
    reader = driving.existing(common.database)
    for name, found in reader.summaries_of(names).items():
        try:
            if isinstance(found, SagactlError):
                raise found
            if found.state not in FINAL:
                yield _turn(common.database, found)
                continue
            saga = reader.load(name)
            if not common.quiet:
                say(f"{name} has ended already; nothing was run")
            codes.append(driving.report(common, saga, show))
        except SagactlError as error:
            codes.append(complain(error))
        yield None


def interrupted(database: Path) -> tuple[list[str], Sequence[SagactlError]]:
    """The ids of running or compensating sagas that no live process holds, and of which sagas that is unknown."""
    reader = wiring.reader(database)
    if reader is None:
        return [], ()
    evidence = wiring.evidence(database)
    found = reader.summaries(states=(SagaState.RUNNING, SagaState.COMPENSATING))
    return [row.id for row in found.rows if not evidence.is_held(row.token)], found.damages


def _turn(database: Path, found: Summary) -> wiring.Turn:
    def say_so(now: Saga, now_s: float) -> Sequence[e.Event]:
        from sagactl.core import operate

        event = operate.resume(now, wiring.me(), now_s)
        return [event] if event is not None else []

    return wiring.Turn(id=found.id, token=found.token, prepare=driving.going_on(database, found.id, say_so))
