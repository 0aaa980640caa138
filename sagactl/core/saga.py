"""A saga as the fold of its journal.

Rule 1: a state changes only by a row of a table (tables.py); an event that the tables do not allow raises
IllegalTransition. Rule 2: `evolve` keeps beside the states only what events said; it decides nothing.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from typing import Any

from sagactl.core import events as e
from sagactl.core.parts import Actor
from sagactl.core.states import DONE, SagaState, StepState
from sagactl.core.step import StepView, clamp, evolve_view, fresh
from sagactl.core.tables import SAGA_TABLE, STEP_TABLE, History
from sagactl.errors import IllegalTransition
from sagactl.model import Command, Definition, NothingToUndo, Step
from sagactl.plain import Value, dumps
from sagactl.template import Reference


@dataclass(frozen=True, slots=True, kw_only=True, eq=False, repr=False)
class Saga(Value):
    """The fold of a journal. Only `replay` and `evolve` make one.

    `seq` is the number of its events. `active`: steps whose needs are settled and which are not, in file order of
    becoming so. `order`: steps by first start. `to_undo`: what going back has still before it, next one first.
    `turn`: the event that turned it back. `past_pivot`: no way back. `decided`: the latest decision about the whole.
    `places`: where a step stands in the file, from 0. `done`: how many steps are in a state of DONE.
    """

    started: e.SagaStarted
    steps: Mapping[str, StepView]
    dependents: Mapping[str, tuple[Step, ...]]
    by_id: Mapping[str, Step]
    places: Mapping[str, int]
    state: SagaState = SagaState.RUNNING
    seq: int = 1
    changed_s: float
    holder: Actor
    done: int = 0
    active: tuple[str, ...] = ()
    order: tuple[str, ...] = ()
    to_undo: tuple[str, ...] = ()
    deadline_s: float | None = None
    deadline_left_s: float | None = None
    deadline_passed: bool = False
    past_pivot: bool = False
    requested: e.CompensationRequested | None = None
    turn: e.CompensationStarted | None = None
    decided: e.Event | None = None

    @property
    def id(self) -> str:
        return self.started.id

    @property
    def definition(self) -> Definition:
        return self.started.definition

    def value_of(self, reference: Reference) -> str | None:
        """What a `${…}` stands for now, None where it has no value."""
        if reference.param:
            return value_text(self.started.params.get(reference.param))
        if reference.step:
            view = self.steps.get(reference.step)
            return view.outputs.get(reference.output) if view else None
        return self.started.env.get(reference.env) if reference.env else self.id


def value_text(value: Any) -> str | None:
    """A parameter as commands get it: strings as they are, everything else as compact JSON."""
    return value if value is None or isinstance(value, str) else dumps(value)


def replay(events: Iterable[e.Event]) -> Saga:
    """The saga that these events, all of them in order, have made.

    Raises:
        IllegalTransition: the first is no SagaStarted, or the tables do not allow one of the others.
    """
    iterator = iter(events)
    first = next(iterator, None)
    if not isinstance(first, e.SagaStarted):
        raise IllegalTransition(f"a journal begins with SagaStarted, not with {type(first).__name__}")
    saga = _begin(first)
    for event in iterator:
        saga = evolve(saga, event)
    return saga


def evolve(saga: Saga, event: e.Event) -> Saga:
    """The saga after one more event.

    Raises:
        IllegalTransition: a table does not allow the event, or it is about an attempt that is not live.
    """
    state = SAGA_TABLE[saga.state].get(type(event))
    if state is None:
        raise IllegalTransition(f"saga {saga.id}: {type(event).__name__} is not allowed in state {saga.state}")
    changes = _step_changes(saga, event) if isinstance(event, e.StepEvent) else _saga_changes(saga, event)
    return replace(saga, state=state, seq=saga.seq + 1, changed_s=event.at_s, **changes)


def _begin(first: e.SagaStarted) -> Saga:
    definition = first.definition
    dependents: dict[str, list[Step]] = {step.id: [] for step in definition.steps}
    for step in definition.steps:
        for needed in step.needs:
            dependents[needed].append(step)
    return Saga(
        started=first,
        steps={step.id: StepView() for step in definition.steps},
        dependents={name: tuple(steps) for name, steps in dependents.items()},
        by_id={step.id: step for step in definition.steps},
        places={step.id: place for place, step in enumerate(definition.steps)},
        changed_s=first.at_s,
        holder=first.holder,
        active=tuple(step.id for step in definition.steps if not step.needs),
        deadline_s=None if definition.timeout_s is None else first.at_s + definition.timeout_s,
    )


def _saga_changes(saga: Saga, event: e.Event) -> dict[str, Any]:
    """The fields of the saga that an event about the whole changes."""
    match event:
        case e.HolderChanged(holder=holder):
            clamped = {name: clamp(view, event.at_s) for name, view in saga.steps.items()}
            left_s = _deadline_left_s(saga, event.at_s)
            deadline_s = None if left_s is None else event.at_s + left_s
            return {"holder": holder, "steps": clamped, "deadline_s": deadline_s}
        case e.DeadlinePassed():
            return {"deadline_passed": True}
        case e.CompensationRequested():
            return {"requested": event}
        case e.CompensationStarted():
            return {"turn": event, "requested": None, "decided": event, "to_undo": _to_undo(saga)}
        case e.CompensationResumed():
            again = tuple(name for name in reversed(saga.order) if _undo_again(saga, name))
            renewed = {name: fresh(view, event.at_s) if name in again else view for name, view in saga.steps.items()}
            return {"to_undo": again, "steps": renewed, "requested": None, "decided": event}
        case e.SagaResumed():
            left_s = saga.deadline_left_s
            stuck = {name: fresh(saga.steps[name], event.at_s) for name in saga.active if _ended(saga.steps[name])}
            deadline_s = None if left_s is None else event.at_s + left_s
            return {"deadline_s": deadline_s, "steps": {**saga.steps, **stuck}, "decided": event}
        case e.SagaPaused() | e.SagaEscalated():
            return {"deadline_left_s": _deadline_left_s(saga, event.at_s), "requested": None, "decided": event}
        case e.SagaAbandoned():
            idle = {name: replace(view, live=None) for name, view in saga.steps.items()}
            return {"steps": idle, "decided": event}
        case _:
            return {"decided": event}


def _step_changes(saga: Saga, event: e.StepEvent) -> dict[str, Any]:
    """The fields of the saga that an event about a step changes."""
    before = saga.steps[event.step]
    state = STEP_TABLE[before.state].get(type(event))
    if state is None:
        message = f"saga {saga.id}: {type(event).__name__} is not allowed for step {event.step} in state {before.state}"
        raise IllegalTransition(message)
    view = evolve_view(before, event)
    view = replace(view, state=view.prior if isinstance(state, History) else state)
    steps = {**saga.steps, event.step: view}
    if view.state is before.state:
        return {"steps": steps}
    done = saga.done + (view.state in DONE) - (before.state in DONE)
    return {"steps": steps, "done": done, **_settled(saga, steps, event.step, before.state)}


def _settled(saga: Saga, steps: Mapping[str, StepView], name: str, before: StepState) -> dict[str, Any]:
    """The lists that depend on states: what is active, the order of starts, what is still to undo."""
    state = steps[name].state
    if state is StepState.EXECUTING and name not in saga.order:
        return {"order": (*saga.order, name)}
    if state in (StepState.COMMITTED, StepState.SKIPPED):
        ready = (step.id for step in saga.dependents[name] if all(_done(steps[need]) for need in step.needs))
        active = (*(other for other in saga.active if other != name), *ready)
        past_pivot = saga.past_pivot or (saga.by_id[name].pivot and state is StepState.COMMITTED)
        return {"active": active, "past_pivot": past_pivot}
    if state is StepState.KEPT and before is StepState.IN_DOUBT:
        return {"past_pivot": saga.past_pivot or saga.by_id[name].pivot}
    if state in (StepState.COMPENSATED, StepState.COMPENSATION_FAILED):
        return {"to_undo": tuple(other for other in saga.to_undo if other != name)}
    return {}


def _done(view: StepView) -> bool:
    return view.state in (StepState.COMMITTED, StepState.SKIPPED)


def _ended(view: StepView) -> bool:
    return view.state in (StepState.FAILED, StepState.IN_DOUBT)


def _to_undo(saga: Saga) -> tuple[str, ...]:
    """Steps to undo, in reverse order of their first start."""
    def has_to(name: str) -> bool:
        step, state = saga.by_id[name], saga.steps[name].state
        stands = state in (StepState.COMMITTED, StepState.IN_DOUBT)
        half_done = state is StepState.FAILED and step.undo_if_failed
        return (stands or half_done) and not isinstance(step.undo, NothingToUndo)

    return tuple(name for name in reversed(saga.order) if has_to(name))


def _undo_again(saga: Saga, name: str) -> bool:
    failed = saga.steps[name].state is StepState.COMPENSATION_FAILED
    return failed and isinstance(saga.by_id[name].undo, Command)


def _deadline_left_s(saga: Saga, at_s: float) -> float | None:
    """The time to the deadline; no more than the definition gives, whatever the clock did."""
    if saga.deadline_s is None or saga.definition.timeout_s is None:
        return None
    return min(saga.deadline_s - at_s, saga.definition.timeout_s)
