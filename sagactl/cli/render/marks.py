"""What there is to say about steps and sagas while they run: a mark, a time and some words for each.

Nothing here is cut or made safe yet, and nothing here needs more than Python: whoever prints a state in colour finds
its colour here.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from enum import IntEnum
from typing import Final

from sagactl.core import operate
from sagactl.core.judge import why
from sagactl.core.parts import Ending
from sagactl.core.saga import Saga
from sagactl.core.states import SagaState, StepState
from sagactl.core.step import StepView
from sagactl.model import NothingToUndo, Phase, Step
from sagactl.plain import first_line

OUTPUT_CHARS_MAX: Final = 24
ACTIVE: Final = (SagaState.RUNNING, SagaState.COMPENSATING)


class Rank(IntEnum):
    """What has a line of its own, first to last."""

    URGENT = 0
    AT_WORK = 1
    NEXT = 2
    OVER = 3


@dataclass(frozen=True, slots=True)
class Mark:
    """How a state is shown: a symbol ("" for one that turns), its form in ASCII, a colour ("" for none), its word."""

    symbol: str
    plain: str
    colour: str
    word: str
    rank: Rank


AT_WORK: Final = Mark("", "", "cyan", "at work", Rank.AT_WORK)
WAITING: Final = Mark("↻", "~", "yellow", "waiting", Rank.AT_WORK)
LEFT: Final = Mark("!", "!", "yellow", "unfinished", Rank.AT_WORK)
TO_UNDO: Final = Mark("✓", "+", "green", "to undo", Rank.NEXT)
NOT_STARTED: Final = Mark("·", ".", "", "not started", Rank.NEXT)
STEPS: Final[Mapping[StepState, Mark]] = {
    StepState.PENDING: Mark("·", ".", "", "", Rank.NEXT),
    StepState.EXECUTING: AT_WORK,
    StepState.COMMITTED: Mark("✓", "+", "green", "done", Rank.OVER),
    StepState.FAILED: Mark("✗", "x", "red", "failed", Rank.URGENT),
    StepState.IN_DOUBT: Mark("?", "?", "yellow", "in doubt", Rank.URGENT),
    StepState.SKIPPED: Mark("-", "-", "yellow", "skipped", Rank.OVER),
    StepState.COMPENSATING: AT_WORK,
    StepState.COMPENSATED: Mark("↩", "<", "green", "undone", Rank.OVER),
    StepState.COMPENSATION_FAILED: Mark("✗", "x", "red", "not undone", Rank.URGENT),
    StepState.KEPT: Mark("=", "=", "yellow", "kept", Rank.OVER),
}
SAGAS: Final[Mapping[SagaState, Mark]] = {
    SagaState.RUNNING: Mark("", "", "cyan", "running", Rank.AT_WORK),
    SagaState.COMPENSATING: Mark("", "", "yellow", "compensating", Rank.AT_WORK),
    SagaState.COMPLETED: Mark("✓", "+", "green", "completed", Rank.OVER),
    SagaState.COMPENSATED: Mark("↩", "<", "yellow", "compensated", Rank.OVER),
    SagaState.ESCALATED: Mark("✗", "x", "red", "escalated", Rank.URGENT),
    SagaState.PAUSED: Mark("!", "!", "yellow", "paused", Rank.URGENT),
    SagaState.ABANDONED: Mark("=", "=", "yellow", "abandoned", Rank.OVER),
}
INTERRUPTED: Final = Mark("!", "!", "yellow", "interrupted", Rank.AT_WORK)


@dataclass(frozen=True, slots=True)
class Row:
    """A line below the first: a step or a saga, since when, and what there is to say."""

    mark: Mark
    name: str
    time: str
    note: str


# Steps.


def mark_of_step(saga: Saga, name: str, to_undo: frozenset[str], *, last: bool) -> Mark:
    """`to_undo` is the saga's, where it is going back; `last` as in frames.Look."""
    view = saga.steps[name]
    if view.live is not None or view.state is StepState.COMPENSATING:
        waits = view.live is None and (view.retry_at_s is not None or view.check_at_s is not None)
        return LEFT if last else WAITING if waits else AT_WORK
    if view.state in (StepState.FAILED, StepState.IN_DOUBT) and saga.state is SagaState.RUNNING and not last:
        return WAITING if view.retry_at_s is not None or view.check_at_s is not None else STEPS[view.state]
    if view.state is StepState.COMMITTED and name in to_undo:
        return TO_UNDO
    return NOT_STARTED if view.state is StepState.PENDING and saga.turn is not None else STEPS[view.state]


def stuck(saga: Saga) -> Mapping[str, str]:
    """The steps that a person has to do something about, and the word for it."""
    if saga.state is SagaState.ESCALATED:
        return {item.step: ", escalated" for item in operate.still_open(saga)}
    paused = getattr(saga.decided, "step", "") if saga.state is SagaState.PAUSED else ""
    return {paused: ", paused"} if paused else {}


def row_of_step(saga: Saga, name: str, mark: Mark, need: str, now_s: float) -> Row:
    """The row of a step with that mark; `need` is what `stuck` says of it."""
    step, view = saga.by_id[name], saga.steps[name]
    if mark is LEFT:
        return Row(mark, name, "", f"the {view.live.phase} has no outcome yet" if view.live else "not undone yet")
    if view.live is not None:
        return Row(mark, name, lasted(now_s - view.live.started_s), _trying(step, view))
    if mark is WAITING:
        return Row(mark, name, "", _waiting(step, view, now_s))
    return Row(mark, name, "" if view.last is None else _time(view.last), _settled(saga, step, view, mark.word, need))


def _trying(step: Step, view: StepView) -> str:
    """What a live attempt is. Only called where there is one."""
    assert view.live is not None
    phase, undoing = view.live.phase, view.state is StepState.COMPENSATING
    words = ["undoing" if phase is Phase.UNDO else ""]
    if phase is Phase.CHECK:
        words = ["checking the undo" if undoing else "checking"]
    most = step.command(phase).retry.max_retries + 1
    if most > 1:
        words.append(f"attempt {view.live.ordinal}/{most}")
    if view.live.ordinal > 1 and phase is not Phase.CHECK:
        words.append(_last(view))
    return "  ".join(word for word in words if word)


def _waiting(step: Step, view: StepView, now_s: float) -> str:
    undoing = view.state is StepState.COMPENSATING
    if view.check_at_s is not None:
        return f"check{_in(view.check_at_s, now_s)}  {_last(view)}".rstrip()
    if view.retry_at_s is None:
        return ""
    most = step.command(Phase.UNDO if undoing else Phase.ACTION).retry.max_retries + 1
    count = f" {view.spent + 1}/{most}" if view.spent < most else ""  # what was lost costs nothing of the budget
    return f"{'undo ' if undoing else ''}retry{count}{_in(view.retry_at_s, now_s)}  {_last(view)}".rstrip()


def _in(at_s: float, now_s: float) -> str:
    return f" in {lasted(left_s)}" if (left_s := math.ceil(at_s - now_s)) > 0 else " now"


def _last(view: StepView) -> str:
    if view.last is None:
        return ""
    took = _time(view.last)
    return f"(last: {why(view.last)}{' after ' + took if took else ''})"


def _settled(saga: Saga, step: Step, view: StepView, word: str, need: str) -> str:
    """What there is to say about a step at which nothing is at work."""
    match view.state:
        case StepState.COMMITTED:
            nothing = "nothing to undo" if saga.turn is not None and isinstance(step.undo, NothingToUndo) else ""
            said = word if word == TO_UNDO.word else nothing
            outputs = (f"{name}={_short(value)}" for name, value in view.outputs.items())
            return "  ".join(part for part in (said, *outputs) if part)
        case StepState.FAILED | StepState.IN_DOUBT | StepState.SKIPPED:
            return f"{word}{need}: {why(view.last)}"
        case StepState.COMPENSATION_FAILED if view.problem is not None:
            return f"{view.problem.reason.replace('_', ' ')}{need}: {first_line(view.problem.text)}"
        case _:
            return word


def _short(value: str) -> str:
    return value if len(value) <= OUTPUT_CHARS_MAX else value[:OUTPUT_CHARS_MAX - 3] + "..."


# Sagas.


def mark_of_saga(saga: Saga, *, last: bool) -> Mark:
    return INTERRUPTED if last and saga.state in ACTIVE else SAGAS[saga.state]


def row_of_saga(saga: Saga, mark: Mark, now_s: float) -> Row:
    time, reason = age(saga, now_s), operate.because(saga)
    if mark.rank is not Rank.AT_WORK:
        return Row(mark, saga.id, time, mark.word + (f": {reason}" if reason else ""))
    settled = sum(view.state not in (StepState.PENDING, StepState.EXECUTING) for view in saga.steps.values())
    before_it = frozenset(saga.to_undo)
    at_work = [name for name in saga.steps if mark_of_step(saga, name, before_it, last=False).rank is Rank.AT_WORK]
    done = f"{len(saga.to_undo)} to undo" if saga.turn is not None else f"{settled}/{len(saga.steps)} done"
    return Row(mark, saga.id, time, "  ".join([mark.word, done, ", ".join(at_work)]).rstrip())


# Times.


def age(saga: Saga, now_s: float) -> str:
    """Since when there is the saga; how long it took where nothing goes on."""
    return lasted((now_s if saga.state in ACTIVE else saga.changed_s) - saga.started.at_s)


def _time(ending: Ending) -> str:
    return "" if ending.started_s is None else lasted(ending.ended_s - ending.started_s, tenths=True)


def lasted(seconds: float, *, tenths: bool = False) -> str:
    """A time for reading: 0.4s, 9s, 1m05s, 2h03m, 3d04h; never below 0, whatever the clock did."""
    seconds = max(0.0, seconds)
    if seconds < 60:
        return f"{seconds:.1f}s" if tenths else f"{int(seconds)}s"
    minutes = int(seconds) // 60
    if minutes < 60:
        return f"{minutes}m{int(seconds) % 60:02}s"
    hours = minutes // 60
    return f"{hours}h{minutes % 60:02}m" if hours < 24 else f"{hours // 24}d{hours % 24:02}h"
