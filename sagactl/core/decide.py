"""What comes next: `decide(saga, now_s)` gives effects, and nothing else in the program decides.

Records come alone: record them, evolve, ask again. Decisions are events too, so a later call can't decide the past
anew. An attempt is run only as the effect of its recorded intent: `Run` is given for what is live in the saga.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from enum import IntEnum
from typing import TypeAlias

from sagactl.core import events as e
from sagactl.core.judge import UNSEEN, needs_person, why
from sagactl.core.parts import Attempt, Cause, OpenStep, Reason
from sagactl.core.saga import Saga
from sagactl.core.states import SagaState, StepState
from sagactl.core.step import StepView
from sagactl.model import Command, ManualUndo, OnFailure, OnInterrupt, Phase, Step
from sagactl.plain import Value
from sagactl.template import show


@dataclass(frozen=True, slots=True, eq=False, repr=False)
class Record(Value):
    """Append this event, durably."""

    event: e.Event


@dataclass(frozen=True, slots=True, eq=False, repr=False)
class Run(Value):
    """This attempt's intent is recorded: see to it that it runs, or find out what became of it. May be given again."""

    attempt: Attempt


@dataclass(frozen=True, slots=True, eq=False, repr=False)
class Stop(Value):
    """End this live attempt: the saga has turned round. May be given again."""

    attempt: Attempt


@dataclass(frozen=True, slots=True, eq=False, repr=False)
class Wait(Value):
    """Nothing to do before this time unless an attempt ends."""

    until_s: float


@dataclass(frozen=True, slots=True, eq=False, repr=False)
class Rest(Value):
    """Nothing to do any more, unless a person says so."""


Effect: TypeAlias = Record | Run | Stop | Wait | Rest


class Verdict(IntEnum):
    """What an ended step means for the saga; where steps disagree the highest counts."""

    CONTINUE = 1
    PAUSE = 2
    ESCALATE = 3
    COMPENSATE = 4


ENDED = (StepState.FAILED, StepState.IN_DOUBT, StepState.KEPT)
"""Such a step has had its last attempt, or would have another one."""


def decide(saga: Saga, now_s: float) -> tuple[Effect, ...]:
    """The next effects: only Records, or none of them. Pure; the same answer for the same arguments."""
    match saga.state:
        case SagaState.RUNNING:
            return _forward(saga, now_s)
        case SagaState.COMPENSATING:
            return _back(saga, now_s)
        case SagaState.PAUSED | SagaState.ESCALATED | SagaState.COMPLETED if saga.requested and not saga.past_pivot:
            return (Record(_turn(saga, now_s, ())),)
        case _:
            return (Rest(),)


def turns_back(saga: Saga) -> bool:
    """Whether a running saga has to turn back although no step says so."""
    return (saga.deadline_passed or saga.requested is not None) and not saga.past_pivot


# Forward.


def _forward(saga: Saga, now_s: float) -> tuple[Effect, ...]:
    if not saga.active:
        return (Record(e.SagaCompleted(at_s=now_s)),)
    deadline_s = None if saga.past_pivot or saga.deadline_passed else saga.deadline_s
    if deadline_s is not None and now_s >= deadline_s:
        return (Record(e.DeadlinePassed(at_s=now_s)),)
    steps = [(saga.by_id[name], saga.steps[name]) for name in saga.active]
    halting = turns_back(saga) or any((verdict_of(*pair) or 0) > Verdict.CONTINUE for pair in steps)
    records = _forward_records(saga, steps, now_s, deadline_s, halting=halting)
    if records:
        return tuple(Record(event) for event in records)
    live = [view.live for _, view in steps if view.live is not None]
    asking = any(view.check_at_s is not None for _, view in steps)
    if halting and not live and not asking:
        return (Record(_conclude(saga, steps, now_s)),)
    stops = [Stop(a) for a in live if a.phase is Phase.ACTION] if turns_back(saga) else []
    waits = _waits((view for _, view in steps), deadline_s, halting=halting)
    return (*(Run(attempt) for attempt in live), *stops, *waits)


def _forward_records(
    saga: Saga, steps: Iterable[tuple[Step, StepView]], now_s: float, deadline_s: float | None, *, halting: bool,
) -> list[e.Event]:
    records: list[e.Event] = []
    for step, view in steps:
        if view.live is not None or view.state is StepState.KEPT:
            continue
        if view.check_at_s is not None:
            if view.check_at_s <= now_s:
                records.append(e.CheckStarted(at_s=now_s, step=step.id, attempt=_check(saga, step, view, now_s)))
        elif verdict_of(step, view) is Verdict.CONTINUE:
            records.append(e.StepSkipped(at_s=now_s, step=step.id))
        elif not halting and (view.retry_at_s or 0.0) <= now_s:
            attempt = _attempt(saga, step, view, Phase.ACTION, now_s, deadline_s)
            records.append(e.ActionStarted(at_s=now_s, step=step.id, attempt=attempt))
    return records


def verdict_of(step: Step, view: StepView) -> Verdict | None:
    """What this step's end means, None while it has not ended: one that waits for its retry has no say."""
    if view.state is StepState.KEPT:
        return Verdict.COMPENSATE
    if view.state not in (StepState.FAILED, StepState.IN_DOUBT) or view.live or view.check_at_s is not None:
        return None
    if view.retry_at_s is not None:
        return None
    if needs_person(step, view):
        return Verdict.ESCALATE
    unsettled = view.state is StepState.IN_DOUBT and view.last is not None and view.last.how in UNSEEN
    if unsettled and step.on_interrupt is OnInterrupt.UNDO:
        return Verdict.COMPENSATE
    match step.on_failure:
        case OnFailure.COMPENSATE:
            return Verdict.COMPENSATE
        case OnFailure.CONTINUE:
            return Verdict.CONTINUE
        case OnFailure.PAUSE:
            return Verdict.PAUSE


def _conclude(saga: Saga, steps: Iterable[tuple[Step, StepView]], now_s: float) -> e.Event:
    """Nothing runs any more: the one decision that follows from what has ended, or will not be retried now."""
    ended = [(step, view) for step, view in steps if view.state in ENDED]
    verdict = max((verdict for pair in ended if (verdict := verdict_of(*pair))), default=Verdict.CONTINUE)
    if turns_back(saga):
        verdict = Verdict.COMPENSATE
    culprits = [pair for pair in ended if verdict_of(*pair) is verdict] or ended
    if verdict is Verdict.COMPENSATE and saga.past_pivot and any(view.state is StepState.KEPT for _, view in culprits):
        return e.SagaAbandoned(at_s=now_s, reason="an effect was kept, and past the pivot there is no way back")
    open_steps = _open_steps(saga, ended, verdict)
    if open_steps:
        return e.SagaEscalated(at_s=now_s, open=open_steps)
    if verdict is Verdict.PAUSE:
        step, view = culprits[0]
        return e.SagaPaused(at_s=now_s, step=step.id, text=why(view.last))
    return _turn(saga, now_s, culprits)


def _open_steps(
    saga: Saga, ended: Iterable[tuple[Step, StepView]], verdict: Verdict,
) -> tuple[OpenStep, ...]:
    """The steps that stand in the way of that verdict until a person has spoken."""
    found = []
    for step, view in ended:
        doubt = view.state is StepState.IN_DOUBT
        left = doubt and view.last is not None and bool(view.last.processes_left)
        if left or (doubt and step.pivot and verdict is Verdict.COMPENSATE):
            found.append(OpenStep(step=step.id, reason=Reason.IN_DOUBT, text=why(view.last)))
        elif verdict is Verdict.COMPENSATE and saga.past_pivot:
            found.append(OpenStep(step=step.id, reason=Reason.PAST_PIVOT, text=why(view.last)))
        elif verdict is Verdict.ESCALATE and needs_person(step, view):
            found.append(OpenStep(step=step.id, reason=Reason.IN_DOUBT, text=why(view.last)))
    return tuple(found)


def _turn(saga: Saga, now_s: float, culprits: Iterable[tuple[Step, StepView]]) -> e.CompensationStarted:
    step, view = next(iter(culprits), (None, None))
    failed_step, text = (step.id, why(view.last)) if step is not None and view is not None else ("", "")
    if saga.requested is not None:
        said = saga.requested.reason or f"{saga.requested.by.user} asked for it"
        return e.CompensationStarted(at_s=now_s, cause=Cause.REQUEST, failed_step=failed_step, text=said)
    if saga.deadline_passed:
        passed = f"the deadline of {saga.definition.timeout_s:g}s passed"
        return e.CompensationStarted(at_s=now_s, cause=Cause.DEADLINE, failed_step=failed_step, text=passed)
    return e.CompensationStarted(at_s=now_s, cause=Cause.FAILURE, failed_step=failed_step, text=text)


# Back.


def _back(saga: Saga, now_s: float) -> tuple[Effect, ...]:
    if not saga.to_undo:
        return (Record(_conclude_back(saga, now_s)),)
    step = saga.by_id[saga.to_undo[0]]
    view = saga.steps[step.id]
    if view.live is not None:
        return (Run(view.live),)
    if view.state is StepState.COMPENSATING or view.state is StepState.COMPENSATION_FAILED:
        at_s = view.check_at_s if view.check_at_s is not None else view.retry_at_s
        if at_s is None:
            text = why(view.last)
            failed = e.CompensationFailed(at_s=now_s, step=step.id, reason=Reason.UNDO_FAILED, text=text)
            return (Record(failed),)
        if at_s > now_s:
            return (Wait(at_s),)
        if view.check_at_s is not None:
            return (Record(e.CheckStarted(at_s=now_s, step=step.id, attempt=_check(saga, step, view, now_s))),)
    return (Record(_begin_undo(saga, step, view, now_s)),)


def _begin_undo(saga: Saga, step: Step, view: StepView, now_s: float) -> e.StepEvent:
    match step.undo:
        case Command():
            attempt = _attempt(saga, step, view, Phase.UNDO, now_s, None)
            return e.UndoStarted(at_s=now_s, step=step.id, attempt=attempt)
        case ManualUndo(text=text):
            shown = show(text, saga.value_of)
            return e.CompensationFailed(at_s=now_s, step=step.id, reason=Reason.UNDO_MANUAL, text=shown)
        case _:
            text = "the definition says no `undo` for this step"
            return e.CompensationFailed(at_s=now_s, step=step.id, reason=Reason.UNDO_MISSING, text=text)


def _conclude_back(saga: Saga, now_s: float) -> e.Event:
    problems = [(name, saga.steps[name].problem) for name in reversed(saga.order)
                if saga.steps[name].state is StepState.COMPENSATION_FAILED]
    if problems:
        still_open = tuple(OpenStep(step=name, reason=p.reason, text=p.text) for name, p in problems if p is not None)
        return e.SagaEscalated(at_s=now_s, open=still_open)
    kept = [name for name in saga.order if saga.steps[name].state is StepState.KEPT]
    if kept:
        return e.SagaAbandoned(at_s=now_s, reason=f"the effect of {', '.join(kept)} was kept; the rest is undone")
    return e.SagaCompensated(at_s=now_s)


# Both ways.


def _attempt(
    saga: Saga, step: Step, view: StepView, phase: Phase, now_s: float, deadline_s: float | None,
) -> Attempt:
    timeout_s = step.command(phase).timeout_s
    left_s = timeout_s if deadline_s is None else deadline_s - now_s
    first_undo = phase is Phase.UNDO and view.state not in (StepState.COMPENSATING, StepState.COMPENSATION_FAILED)
    return Attempt(
        step=step.id,
        phase=phase,
        number=view.numbers.get(phase, 0) + 1,
        ordinal=1 if first_undo else view.spent + 1,
        timeout_s=min(timeout_s, left_s),
        started_s=now_s,
        boot_id=saga.holder.boot_id,
        cut_by_deadline=left_s < timeout_s,
    )


def _check(saga: Saga, step: Step, view: StepView, now_s: float) -> Attempt:
    judged = Phase.UNDO if view.state is StepState.COMPENSATING else Phase.ACTION
    return Attempt(
        step=step.id,
        phase=Phase.CHECK,
        number=view.numbers.get(Phase.CHECK, 0) + 1,
        ordinal=view.checks_spent + 1,
        timeout_s=step.command(Phase.CHECK).timeout_s,
        started_s=now_s,
        boot_id=saga.holder.boot_id,
        judges=view.numbers[judged],
    )


def _waits(views: Iterable[StepView], deadline_s: float | None, *, halting: bool) -> tuple[Wait, ...]:
    times = [] if deadline_s is None or halting else [deadline_s]
    for view in views:
        at_s = view.check_at_s if view.check_at_s is not None or halting else view.retry_at_s
        if at_s is not None and view.live is None:
            times.append(at_s)
    return (Wait(min(times)),) if times else ()
