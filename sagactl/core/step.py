"""A step as the fold of its events: what is live, how its latest command ended, and what is left of its budget.

Rule: nothing here touches a state. Which state an event leads to is in the tables (tables.py), and saga.py sets it.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace

from sagactl.core import events as e
from sagactl.core.parts import Attempt, Ending, How
from sagactl.core.states import StepState
from sagactl.errors import IllegalTransition
from sagactl.model import Phase
from sagactl.plain import Value


@dataclass(frozen=True, slots=True, kw_only=True, eq=False, repr=False)
class StepView(Value):
    """Where a step stands. `live` is the attempt whose intent has no outcome; `last` how its latest command ended.

    `spent`, `checks_spent` and `lost` count within the present budget; `lost` those in a row that nobody saw the end
    of. `retry_at_s` None: no further attempt. `check_at_s` None: no check to ask. `delay_s`: how
    long the later of them was to wait when that was said. `numbers` are the highest attempt
    numbers by phase. `forward` is the state that going back found the step in.
    """

    state: StepState = StepState.PENDING
    prior: StepState = StepState.PENDING
    forward: StepState = StepState.PENDING
    live: Attempt | None = None
    last: Ending | None = None
    numbers: Mapping[Phase, int] = field(default_factory=dict)
    spent: int = 0
    checks_spent: int = 0
    lost: int = 0
    retry_at_s: float | None = None
    check_at_s: float | None = None
    delay_s: float = 0.0
    outputs: Mapping[str, str] = field(default_factory=dict)
    problem: e.CompensationFailed | None = None


def evolve_view(view: StepView, event: e.StepEvent) -> StepView:
    """The view with what the event says; its state is not touched."""
    match event:
        case e.AttemptStarted(attempt=attempt):
            if view.live is not None:
                raise IllegalTransition(f"step {event.step}: an attempt is live already: {view.live}")
            return _start(view, attempt)
        case e.AttemptEnded():
            if view.live is None or (view.live.phase, view.live.number) != (event.phase, event.number):
                raise IllegalTransition(f"step {event.step}: {event.phase} {event.number} is not the live attempt")
            return _end(view, event)
        case e.CompensationFailed():
            forward = view.forward if view.state is StepState.COMPENSATING else view.state
            return replace(view, problem=event, forward=forward, retry_at_s=None)
        case _:
            return replace(view, check_at_s=None)


def _start(view: StepView, attempt: Attempt) -> StepView:
    numbers = {**view.numbers, attempt.phase: attempt.number}
    if attempt.phase is Phase.CHECK:
        return replace(view, live=attempt, numbers=numbers, check_at_s=None)
    begun = replace(view, live=attempt, numbers=numbers, prior=view.state, retry_at_s=None, check_at_s=None,
                    checks_spent=0)
    undoing = (StepState.COMPENSATING, StepState.COMPENSATION_FAILED)
    if attempt.phase is Phase.UNDO and view.state not in undoing:
        return replace(begun, forward=view.state, spent=0, lost=0)
    return begun


def _end(view: StepView, event: e.AttemptEnded) -> StepView:
    times_s = [at_s for at_s in (event.retry_at_s, event.check_at_s) if at_s is not None]
    ended = replace(view, live=None, delay_s=max([0.0, *(at_s - event.at_s for at_s in times_s)]))
    match event:
        case e.ActionVoided() | e.UndoVoided():
            return replace(ended, retry_at_s=event.retry_at_s)
        case e.CheckVoided():
            return replace(ended, check_at_s=event.check_at_s)
        case e.CheckInconclusive():
            return replace(ended, checks_spent=view.checks_spent + 1, check_at_s=event.check_at_s)
        case e.EffectFound() | e.EffectAbsent():
            outputs = {**view.outputs, **event.ending.outputs}
            return replace(ended, retry_at_s=event.retry_at_s, check_at_s=None, outputs=outputs)
    unseen = event.ending.how in (How.LOST, How.INTERRUPTED)
    return replace(
        ended,
        last=event.ending,
        spent=view.spent if unseen else view.spent + 1,
        lost=view.lost + 1 if unseen else 0,
        retry_at_s=event.retry_at_s,
        check_at_s=event.check_at_s,
        outputs={**view.outputs, **event.ending.outputs},
    )


def fresh(view: StepView, at_s: float) -> StepView:
    """With a whole budget again, and the next attempt at once."""
    return replace(view, spent=0, lost=0, retry_at_s=at_s)


def clamp(view: StepView, at_s: float) -> StepView:
    """No wait is longer than it was when it began, whatever the clock did while nobody held the saga."""
    if view.retry_at_s is not None:
        view = replace(view, retry_at_s=min(view.retry_at_s, at_s + view.delay_s))
    if view.check_at_s is not None:
        view = replace(view, check_at_s=min(view.check_at_s, at_s + view.delay_s))
    return view
