"""What one step costs does not grow with the steps of its saga. Counted in operations: a time would be the machine's."""

from __future__ import annotations

import sys
from collections.abc import Callable
from types import FrameType
from typing import Any

import pytest

from sagactl.core import events as e
from sagactl.core.decide import Record, decide
from sagactl.core.judge import judge
from sagactl.core.parts import Attempt, Cause, Ending, How
from sagactl.core.saga import Saga, evolve, replay
from sagactl.journal.writing import Append
from tests.world import started, step

DONE = Ending(how=How.EXITED, ended_s=2.0, started_s=1.0, exit_status=0)


def halfway(count: int) -> tuple[Saga, Attempt]:
    """A chain of so many steps, of which the one in the middle runs."""
    saga = replay([started(*(step(f"s{i}", needs=(f"s{i - 1}",) if i else ()) for i in range(count)))])
    for _ in range(count // 2):
        saga, attempt = begun(saga)
        saga = evolve(saga, ended(saga, attempt))
    return begun(saga)


def begun(saga: Saga) -> tuple[Saga, Attempt]:
    effect = decide(saga, 1.0)[0]
    assert isinstance(effect, Record)
    assert isinstance(effect.event, e.ActionStarted)
    return evolve(saga, effect.event), effect.event.attempt


def ended(saga: Saga, attempt: Attempt) -> e.AttemptEnded:
    return judge(saga, attempt, DONE, at_s=2.0, draw=0.0)


def a_step(saga: Saga, attempt: Attempt) -> Saga:
    """Its outcome, and the intent of the next."""
    return begun(evolve(saga, ended(saga, attempt)))[0]


def an_append(saga: Saga, attempt: Attempt) -> Append:
    event = ended(saga, attempt)
    return Append.of(evolve(saga, event), [event], 0)


def operations(work: Callable[..., Any], *args: object) -> int:
    """How many of the interpreter's operations it takes."""
    count = 0

    def see(frame: FrameType, what: str, _: object) -> Any:
        nonlocal count
        frame.f_trace_opcodes = True
        count += what == "opcode"
        return see

    work(*args)  # what is cached is cached
    before = sys.gettrace()
    sys.settrace(see)
    try:
        work(*args)
    finally:
        sys.settrace(before)
    return count


@pytest.mark.parametrize("work", [a_step, an_append, lambda saga, _: decide(saga, 1.0)],
                         ids=["evolve", "append", "decide"])
def test_a_step_of_a_long_saga_costs_what_one_of_a_short_saga_costs(work: Callable[..., Any]) -> None:
    assert operations(work, *halfway(1000)) == operations(work, *halfway(10)) > 0


def test_what_is_done_is_counted_on_the_way() -> None:
    saga, attempt = halfway(10)
    assert saga.done == 5
    saga = evolve(saga, ended(saga, attempt))
    assert saga.done == 6
    saga = evolve(saga, e.CompensationStarted(at_s=3.0, cause=Cause.FAILURE))
    (effect,) = decide(saga, 4.0)
    assert isinstance(effect, Record)
    assert evolve(saga, effect.event).done == 5
