"""`sagactl resolve`: a person's word on a step that only a person can settle."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from sagactl.cli import driving, saying, wiring
from sagactl.cli.options import Common, Reason, SagaName, name_of, reason_text
from sagactl.cli.output import json_line, result, say
from sagactl.core import events as e
from sagactl.core import operate
from sagactl.core.decide import Record, decide
from sagactl.core.saga import Saga, evolve
from sagactl.core.states import FINAL, SagaState, StepState
from sagactl.errors import ConflictError


def resolve(
    saga: SagaName,
    step: Annotated[str, typer.Option("--step", metavar="STEP", show_default=False, help="Which step.")],
    word: Annotated[operate.Word, typer.Option("--as", show_default=False, help=(
        "undone: by hand; landed: the action took effect; not-landed: it did not; kept: its effect stays, and all else "
        "is taken back."))],
    reason: Reason, *, common: Common,
) -> int:
    """Record what a person found out or did about a step. Runs nothing; `resume` goes on.

    Example: sagactl resolve @last --step charge --as undone --reason "refunded by hand, ticket 812"
    """
    reason_text(reason, required=True)
    def said(now: Saga, at_s: float) -> e.Event | None:
        if _is_last(common.database, now.id, step, operate.WORDS[word]):
            return None
        event = operate.resolve(now, step, word, wiring.me(), reason, at_s)
        if alive := wiring.left_behind(now, step):
            raise ConflictError(f"processes of step {step} of {now.id} are still at work: pid "
                                f"{', '.join(map(str, alive))}", hint="end them, look at what it did, then say so")
        return event

    after, changed = saying.record(common.database, name_of(saga), said)
    if not common.human:
        if common.quiet:
            result(after.id)
        else:
            json_line(driving.shown(driving.existing(common.database), after.id, interrupted=False))
        return 0
    if not changed:
        say(f"{after.id}: {step} was resolved as {word} already")
    result(f"{after.id}: {step} is {after.steps[step].state}")
    still_open = [name for name, view in after.steps.items() if view.state is StepState.COMPENSATION_FAILED]
    still_open += operate.open_doubts(after)
    say(f"still open: {', '.join(still_open)}" if still_open else "nothing is open any more")
    if after.state in (SagaState.PAUSED, SagaState.ESCALATED):
        say(f"  sagactl resume {after.id}    {'then ' * bool(still_open)}{_way(after)}")
    return 0


def _is_last(database: Path, saga_id: str, step: str, kind: type[e.Declared]) -> bool:
    """Whether the latest that happened to a step is a person's word of this kind."""
    events = (event for _, event in reversed(driving.existing(database).events(saga_id)))
    last = next((event for event in events if isinstance(event, e.StepEvent) and event.step == step), None)
    return isinstance(last, kind)


def _way(saga: Saga) -> str:
    """Which way a resume would go, by the core's own decisions up to the next command."""
    try:
        resumed = operate.resume(saga, wiring.me(), saga.changed_s)
    except ConflictError:
        return "goes on"
    going = evolve(saga, resumed) if resumed else saga
    while isinstance(first := decide(going, saga.changed_s)[0], Record):
        if isinstance(first.event, e.AttemptStarted):
            return "takes back what else there is" if going.turn is not None else "goes on forward"
        going = evolve(going, first.event)
    return f"ends it as {going.state}: nothing is left to run" if going.state in FINAL else "goes on"
