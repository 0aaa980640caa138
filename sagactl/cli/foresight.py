"""What a definition would do, played through with the core's own `decide`, `judge` and `evolve`: no rule stands here.

Outputs are played by their references, so that commands show `${steps.S.outputs.O}`. Retries and the deadline are left
out: they change when a step is out of attempts, not what follows from it. So are their delays. Nothing runs and no
database is touched.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from enum import StrEnum
from typing import Any

from sagactl.core import events as e
from sagactl.core.decide import Record, Run, decide
from sagactl.core.judge import judge
from sagactl.core.parts import Actor, Attempt, Ending, How, Reason
from sagactl.core.saga import Saga, evolve, replay
from sagactl.core.states import SagaState, StepState
from sagactl.model import Argv, Command, Definition, NothingToUndo, Phase, Step
from sagactl.template import MissingValueError, Reference, fill


class Fate(StrEnum):
    """How a step ends that does not succeed. LOST: in doubt too, since nobody saw the end."""

    FAILED = "failed"
    IN_DOUBT = "in_doubt"
    LOST = "lost"


class Answer(StrEnum):
    """What a check says of a step in doubt."""

    FOUND = "effect_found"
    ABSENT = "effect_absent"
    INCONCLUSIVE = "inconclusive"


_ENDINGS = {
    Fate.FAILED: Ending(how=How.EXITED, exit_status=1, ended_s=0.0),
    Fate.IN_DOUBT: Ending(how=How.TIMED_OUT, ended_s=0.0),
    Fate.LOST: Ending(how=How.LOST, ended_s=0.0),
    Answer.FOUND: Ending(how=How.EXITED, exit_status=0, ended_s=0.0),
    Answer.ABSENT: Ending(how=How.EXITED, exit_status=1, ended_s=0.0),
    Answer.INCONCLUSIVE: Ending(how=How.EXITED, exit_status=2, ended_s=0.0),
}
"""How the action ends, and its check."""


class Why(StrEnum):
    """Why the effect of a step stays."""

    NONE = "none"
    MISSING = "missing"
    MANUAL = "manual"
    PAST_PIVOT = "past_pivot"
    UNDECIDED = "undecided"
    NO_VALUE = "no_value"
    """In doubt, it may not have written the outputs that its undo needs."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Stays:
    """A step whose effect is not undone; `text` is the runbook of a manual undo."""

    step: str
    why: Why
    text: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcome:
    """What follows when one step is out of attempts and every other step that can has committed.

    `check` is what the check said, None where none is asked. `ends` is the saga's state, `running` where it goes on.
    `becomes` is the step's when that is decided: of a saga that goes on `committed`, `skipped` or, where the step is
    repeated, `executing`. `undone` is in order. With several steps at a time those beside the failed one may not have
    started yet: then there is less to undo.
    """

    step: str
    fate: Fate
    check: Answer | None
    ends: SagaState
    becomes: StepState
    undone: tuple[str, ...] = ()
    stays: tuple[Stays, ...] = ()


_Undos = dict[tuple[str, StepState], Stays | None]
"""What stays of a step in a state after its undo; None for nothing."""


def foreseen(definition: Definition, params: Mapping[str, Any]) -> Saga:
    """The saga of these parameters after its good end: its `value_of` shows what commands get."""
    return _advance(_begun(definition, params), frozenset())


def waves(definition: Definition) -> tuple[tuple[str, ...], ...]:
    """The steps in order of their start, those that start at the same time together."""
    found, saga = [], _begun(definition, {})
    while wave := _live(saga := _decided(saga)):
        found.append(tuple(attempt.step for attempt in wave))
        saga = _ended_well(saga, wave)
    return tuple(found)


def outcomes(definition: Definition, params: Mapping[str, Any]) -> Iterator[Outcome]:
    """For each step, in order, what follows when it fails, is in doubt or is lost, for each answer of its check."""
    steps = [step.id for step in definition.steps]
    undos: _Undos = {}
    for name, saga in _held(_begun(definition, params), steps):
        yield _outcome(saga, name, Fate.FAILED, None, undos)
        for fate in (Fate.IN_DOUBT, Fate.LOST):
            for answer in Answer if saga.by_id[name].check else (None,):
                yield _outcome(saga, name, fate, answer, undos)


def _begun(definition: Definition, params: Mapping[str, Any]) -> Saga:
    return replay([e.SagaStarted(
        at_s=0.0, id="${saga.id}", token="", definition=_bare(definition), params=params, cwd="", env={}, env_names=(),
        holder=Actor(user="", host="", pid=0, boot_id=""),
    )])  # fmt: skip


def _bare(definition: Definition) -> Definition:
    """Without deadline, retries and delays."""
    def once(command: Command) -> Command:
        return replace(command, retry=replace(command.retry, max_retries=0, delay_s=0.0))

    return replace(definition, timeout_s=None, steps=tuple(
        replace(step, action=once(step.action), check=step.check and once(step.check)) for step in definition.steps
    ))


def _held(saga: Saga, steps: Sequence[str]) -> Iterator[tuple[str, Saga]]:
    """Each step with the saga in which it alone has not ended, nor what needs it.

    By halves, so that what two steps have in common is played once: a definition may have 1,000.
    """
    saga = _advance(saga, frozenset(steps))
    if len(steps) == 1:
        yield steps[0], saga
        return
    half = len(steps) // 2
    yield from _held(saga, steps[:half])
    yield from _held(saga, steps[half:])


def _advance(saga: Saga, held: frozenset[str]) -> Saga:
    """As far as it goes when all succeeds, and the steps in `held` never end."""
    while True:
        saga = _decided(saga)
        ready = [attempt for attempt in _live(saga) if attempt.step not in held]
        if not ready:
            return saga
        saga = _ended_well(saga, ready)


def _decided(saga: Saga) -> Saga:
    """With all that there is to decide now."""
    while (after := _decided_once(saga)) is not saga:
        saga = after
    return saga


def _decided_once(saga: Saga) -> Saga:
    for each in decide(saga, 0.0):
        if isinstance(each, Record):
            saga = evolve(saga, each.event)
    return saga


def _live(saga: Saga) -> list[Attempt]:
    return [each.attempt for each in decide(saga, 0.0) if isinstance(each, Run)]


def _ended_well(saga: Saga, attempts: Sequence[Attempt]) -> Saga:
    for attempt in attempts:
        outputs = {name: f"${{steps.{attempt.step}.outputs.{name}}}" for name in saga.by_id[attempt.step].outputs}
        saga = _ended(saga, attempt, Ending(how=How.EXITED, exit_status=0, ended_s=0.0, outputs=outputs))
    return saga


def _ended(saga: Saga, attempt: Attempt, ending: Ending) -> Saga:
    return evolve(saga, judge(saga, attempt, ending, at_s=0.0, draw=0.0))


def _outcome(saga: Saga, name: str, fate: Fate, check: Answer | None, undos: _Undos) -> Outcome:
    """Let the step end so, and see what the core makes of it. What is found of undos is kept in `undos`."""
    saga = _ended(saga, saga.steps[name].live, _ENDINGS[fate])  # type: ignore[arg-type]
    while saga.state is SagaState.RUNNING and saga.steps[name].state in (StepState.FAILED, StepState.IN_DOUBT):
        live = saga.steps[name].live
        saga = _ended(saga, live, _ENDINGS[check]) if live and check else _decided_once(saga)
    keys = [(each, saga.steps[each].state) for each in saga.to_undo]
    for key in keys:
        if key not in undos:
            undos[key] = _left_by_undo(saga, key[0])
    left = [stays for key in keys if (stays := undos[key])]
    undone = tuple(key[0] for key in keys if undos[key] is None)
    looked_at = set(saga.to_undo)
    ends = saga.state
    if ends is SagaState.COMPENSATING:
        ends = SagaState.ESCALATED if left else SagaState.COMPENSATED
    going_on = ends in (SagaState.RUNNING, SagaState.COMPLETED)
    others = [] if going_on else [_stays(saga, each) for each in saga.order if each not in looked_at]
    return Outcome(step=name, fate=fate, check=check, ends=SagaState.RUNNING if going_on else ends,
                   becomes=saga.steps[name].state, undone=undone,
                   stays=(*left, *(stays for stays in others if stays)))


def _left_by_undo(saga: Saga, name: str) -> Stays | None:
    """What the core says when this step's turn to be undone comes; None where a command undoes it."""
    for each in decide(replace(saga, to_undo=(name,)), 0.0):
        if isinstance(each, Record) and isinstance(each.event, e.CompensationFailed):
            manual = each.event.reason is Reason.UNDO_MANUAL
            return Stays(step=name, why=Why.MANUAL if manual else Why.MISSING, text=each.event.text if manual else "")
    return None if _has_its_values(saga, saga.by_id[name].command(Phase.UNDO)) else Stays(step=name, why=Why.NO_VALUE)


def _has_its_values(saga: Saga, command: Command) -> bool:
    """Whether a command could be started now: its references have values. Those to variables are passed over."""
    def lookup(reference: Reference) -> str | None:
        return "" if reference.env else saga.value_of(reference)

    words = command.run.words if isinstance(command.run, Argv) else ()
    try:
        for template in (*words, *command.env.values(), command.cwd, command.stdin):
            fill(template, lookup)
    except MissingValueError:
        return False
    return True


def _stays(saga: Saga, name: str) -> Stays | None:
    """Why a step that is not to be undone keeps its effect; None where it has none."""
    step, state = saga.by_id[name], saga.steps[name].state
    if state not in (StepState.COMMITTED, StepState.IN_DOUBT):
        return None
    return Stays(step=name, why=_why(saga, step))


def _why(saga: Saga, step: Step) -> Why:
    if isinstance(step.undo, NothingToUndo):
        return Why.NONE
    return Why.PAST_PIVOT if saga.past_pivot else Why.UNDECIDED
