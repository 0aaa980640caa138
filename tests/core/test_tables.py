"""The two tables: every state is reached, ends are ends, and what they do not allow raises."""

from __future__ import annotations

import pytest

from sagactl.core import events as e
from sagactl.core.codec import NAMES
from sagactl.core.parts import Attempt, Ending, How
from sagactl.core.saga import evolve, replay
from sagactl.core.states import SagaState, StepState
from sagactl.core.tables import SAGA_TABLE, STEP_TABLE, History
from sagactl.errors import IllegalTransition
from sagactl.model import Phase
from tests.world import ACTOR, started, step

ABSTRACT = {e.Event, e.StepEvent, e.AttemptStarted, e.AttemptEnded, e.Declared}


def concrete(kind: type[e.Event]) -> set[type[e.Event]]:
    found = {each for each in vars(e).values() if isinstance(each, type) and issubclass(each, kind)}
    return found - ABSTRACT


def test_every_state_has_a_row_and_every_state_but_the_first_is_reached() -> None:
    assert set(SAGA_TABLE) == set(SagaState)
    assert set(STEP_TABLE) == set(StepState)
    assert {to for row in SAGA_TABLE.values() for to in row.values()} == set(SagaState)
    reached = {to for row in STEP_TABLE.values() for to in row.values()}
    assert reached - set(History) == set(StepState) - {StepState.PENDING}


def test_compensated_and_abandoned_are_ends() -> None:
    assert not SAGA_TABLE[SagaState.COMPENSATED]
    assert not SAGA_TABLE[SagaState.ABANDONED]
    assert not STEP_TABLE[StepState.COMPENSATED]
    assert not STEP_TABLE[StepState.KEPT]


def test_every_event_is_in_the_saga_table_and_those_of_steps_in_the_step_table() -> None:
    in_sagas = {kind for row in SAGA_TABLE.values() for kind in row}
    in_steps = {kind for row in STEP_TABLE.values() for kind in row}
    assert concrete(e.Event) - {e.SagaStarted} == in_sagas
    assert concrete(e.StepEvent) == in_steps


def test_every_event_has_a_name_on_disk() -> None:
    assert concrete(e.Event) == set(NAMES.values())


def test_every_pair_that_the_saga_table_leaves_out_raises() -> None:
    saga = replay([started(step("a"))])
    for kind in (e.SagaCompensated, e.SagaCompleted):
        ended = evolve(saga, e.SagaAbandoned(at_s=1.0, by=ACTOR))
        with pytest.raises(IllegalTransition, match=f"{kind.__name__} is not allowed in state abandoned"):
            evolve(ended, kind(at_s=2.0))


def test_an_undo_in_a_running_saga_raises() -> None:
    saga = replay([started(step("a"))])
    attempt = Attempt(step="a", phase=Phase.UNDO, number=1, timeout_s=1.0, started_s=0.0, boot_id="b")
    with pytest.raises(IllegalTransition, match="UndoStarted is not allowed in state running"):
        evolve(saga, e.UndoStarted(at_s=0.0, step="a", attempt=attempt))


def test_a_step_event_that_the_step_table_leaves_out_raises() -> None:
    saga = replay([started(step("a"))])
    with pytest.raises(IllegalTransition, match="StepSkipped is not allowed for step a in state pending"):
        evolve(saga, e.StepSkipped(at_s=0.0, step="a"))


def test_the_outcome_of_another_attempt_than_the_live_one_raises() -> None:
    attempt = Attempt(step="a", phase=Phase.ACTION, number=1, timeout_s=1.0, started_s=0.0, boot_id="b")
    saga = evolve(replay([started(step("a"))]), e.ActionStarted(at_s=0.0, step="a", attempt=attempt))
    stale = e.ActionSucceeded(at_s=1.0, step="a", phase=Phase.ACTION, number=2,
                              ending=Ending(how=How.EXITED, ended_s=1.0, exit_status=0))
    with pytest.raises(IllegalTransition, match="action 2 is not the live attempt"):
        evolve(saga, stale)


def test_a_second_check_while_one_is_live_raises() -> None:
    attempt = Attempt(step="a", phase=Phase.ACTION, number=1, timeout_s=1.0, started_s=0.0, boot_id="b")
    lost = Ending(how=How.LOST, ended_s=1.0)
    check = Attempt(step="a", phase=Phase.CHECK, number=1, timeout_s=1.0, started_s=0.0, boot_id="b", judges=1)
    saga = replay([
        started(step("a")),
        e.ActionStarted(at_s=0.0, step="a", attempt=attempt),
        e.ActionInDoubt(at_s=1.0, step="a", phase=Phase.ACTION, number=1, ending=lost, check_at_s=1.0),
        e.CheckStarted(at_s=1.0, step="a", attempt=check),
    ])
    with pytest.raises(IllegalTransition, match="an attempt is live already"):
        evolve(saga, e.CheckStarted(at_s=1.0, step="a", attempt=check))


def test_a_journal_that_does_not_begin_with_its_start_raises() -> None:
    with pytest.raises(IllegalTransition, match="begins with SagaStarted"):
        replay([e.SagaCompleted(at_s=0.0)])
    with pytest.raises(IllegalTransition, match="begins with SagaStarted"):
        replay([])
