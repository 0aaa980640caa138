"""What a person may do to a saga: each word is one event, or a conflict that says what to do instead."""

from __future__ import annotations

from collections.abc import Mapping
from enum import StrEnum
from typing import Final

from sagactl.core import events as e
from sagactl.core.judge import needs_person, why
from sagactl.core.parts import Actor, Cause, OpenStep, Reason
from sagactl.core.saga import Saga
from sagactl.core.states import SagaState, StepState
from sagactl.core.tables import STEP_TABLE
from sagactl.errors import ConflictError, NotFoundError
from sagactl.model import Step
from sagactl.plain import first_line


class Word(StrEnum):
    """A person's word on a step."""

    UNDONE = "undone"
    LANDED = "landed"
    NOT_LANDED = "not-landed"
    KEPT = "kept"


WORDS: Mapping[Word, type[e.Declared]] = {
    Word.UNDONE: e.DeclaredUndone,
    Word.LANDED: e.DeclaredLanded,
    Word.NOT_LANDED: e.DeclaredNotLanded,
    Word.KEPT: e.DeclaredKept,
}


SETTLED: Final = "settled by hand: resume goes on"
"""Why a saga is escalated of whose steps none is open any more: it waits for `resume`."""


def resume(saga: Saga, by: Actor, at_s: float) -> e.Event | None:
    """The event with which a paused or escalated saga goes on; None where it needs none.

    Raises:
        ConflictError: a step is in doubt and only a person can tell.
    """
    if saga.state not in (SagaState.PAUSED, SagaState.ESCALATED):
        return None
    if saga.turn is not None:
        return e.CompensationResumed(at_s=at_s, by=by)
    doubtful = open_doubts(saga)
    if doubtful:
        message = f"{saga.id} can't go on while {', '.join(doubtful)} is in doubt"
        hint = f"look at what it did, then: sagactl resolve {saga.id} --step {doubtful[0]} " \
               f"--as landed|not-landed|kept --reason TEXT"
        raise ConflictError(message, hint=hint)
    return e.SagaResumed(at_s=at_s, by=by)


def compensate(saga: Saga, by: Actor, reason: str, at_s: float) -> e.Event | None:
    """The event that turns a saga back on request; None where it has turned, or been asked to, already.

    Raises:
        ConflictError: abandoned, past its pivot, or a doubt stands in the way.
    """
    if saga.state in (SagaState.COMPENSATING, SagaState.COMPENSATED):
        return None
    if saga.state is SagaState.ABANDONED:
        raise ConflictError(f"{saga.id} was abandoned: it stays as it is")
    if saga.past_pivot:
        forward = "" if saga.state is SagaState.COMPLETED else f"go on forward: sagactl resume {saga.id}"
        raise ConflictError(f"{saga.id} is past its pivot: there is no way back", hint=forward)
    for step in saga.definition.steps:
        _look_for_obstacle(saga, step)
    if saga.state is SagaState.ESCALATED and saga.turn is not None:
        return e.CompensationResumed(at_s=at_s, by=by)
    return None if saga.requested is not None else e.CompensationRequested(at_s=at_s, by=by, reason=reason)


def _look_for_obstacle(saga: Saga, step: Step) -> None:
    """Raise ConflictError where a doubt about this step keeps the saga from being undone."""
    view, running = saga.steps[step.id], saga.state is SagaState.RUNNING
    if view.state is not StepState.IN_DOUBT:
        return
    hint = f"sagactl resolve {saga.id} --step {step.id} --as landed|not-landed --reason TEXT"
    if view.last is not None and view.last.processes_left:
        pids = ", ".join(str(pid) for pid in view.last.processes_left)
        raise ConflictError(f"processes of step {step.id} of {saga.id} may still be at work: pid {pids}",
                            hint=f"end them, then: {f'sagactl resume {saga.id}' if running else hint}")
    if step.pivot and not running:
        raise ConflictError(f"whether {saga.id} is past its pivot {step.id} is in doubt", hint=hint)


def resolve(saga: Saga, step: str, word: Word, by: Actor, reason: str, at_s: float) -> e.Event:
    """A person's word on a step of a paused or escalated saga. Nobody drives it meanwhile: its lock is held.

    Raises:
        NotFoundError: the saga has no such step.
        ConflictError: the saga or the step is in no state for that word.
    """
    if step not in saga.steps:
        raise NotFoundError(f"{saga.id} has no step {step}", hint=f"its steps: {', '.join(saga.steps)}")
    if saga.state not in (SagaState.PAUSED, SagaState.ESCALATED):
        interrupted = saga.state in (SagaState.RUNNING, SagaState.COMPENSATING)
        hint = f"sagactl resume {saga.id} goes on, or escalates what only you can tell" if interrupted else ""
        raise ConflictError(f"{saga.id} is {'interrupted' if interrupted else saga.state}: "
                            "only a paused or escalated saga is resolved by hand", hint=hint)
    state = saga.steps[step].state
    allowed = [each for each, kind in WORDS.items() if kind in STEP_TABLE[state]]
    if word not in allowed:
        hint = f"possible here: --as {'|'.join(allowed)}" if allowed else "there is nothing to resolve in this step"
        raise ConflictError(f"step {step} of {saga.id} is {state}, which can't be resolved as {word}", hint=hint)
    return WORDS[word](at_s=at_s, step=step, by=by, reason=reason)


def abandon(saga: Saga, by: Actor, reason: str, at_s: float) -> e.Event | None:
    """The event that ends a saga as it is; None where it is abandoned already.

    Raises:
        ConflictError: it has ended otherwise.
    """
    if saga.state is SagaState.ABANDONED:
        return None
    if saga.state in (SagaState.COMPLETED, SagaState.COMPENSATED):
        raise ConflictError(f"{saga.id} is {saga.state}: there is nothing to abandon")
    return e.SagaAbandoned(at_s=at_s, by=by, reason=reason)


def still_open(saga: Saga) -> tuple[OpenStep, ...]:
    """Of an escalated saga the steps that nobody has settled since, as they were when it escalated."""
    if not isinstance(saga.decided, e.SagaEscalated):
        return ()
    waiting = {Reason.PAST_PIVOT: (StepState.IN_DOUBT, StepState.FAILED)}
    return tuple(
        each for each in saga.decided.open
        if saga.steps[each.step].state in waiting.get(each.reason, (StepState.IN_DOUBT, StepState.COMPENSATION_FAILED))
    )


def because(saga: Saga) -> str:
    """In a line why a saga is where it is: what needs a person, why it turned back or was left, or how the step that
    holds it up last failed; "" where nothing does.
    """
    match saga.decided:
        case e.SagaEscalated():
            waiting = (": ".join(filter(None, (each.step, each.reason.replace("_", " "), first_line(each.text))))
                       for each in still_open(saga))
            return "; ".join(waiting) or SETTLED
        case e.SagaPaused(step=step, text=text):
            return f"{step}: {text}"
        case e.SagaAbandoned(reason=reason) if reason:
            return reason
    if saga.turn is not None:
        blamed = saga.turn.failed_step and saga.turn.cause is not Cause.REQUEST
        return f"{saga.turn.failed_step}: {saga.turn.text}" if blamed else saga.turn.text
    failed = (name for name in saga.active if saga.steps[name].state in (StepState.FAILED, StepState.IN_DOUBT))
    name = min(failed, key=saga.places.__getitem__, default=None)
    return "" if name is None else f"{name}: {why(saga.steps[name].last)}"


def open_doubts(saga: Saga) -> tuple[str, ...]:
    """The steps on which only a person can speak before the saga goes on forward."""
    return tuple(step.id for step in saga.definition.steps if needs_person(step, saga.steps[step.id]))
