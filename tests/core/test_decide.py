"""Given events, when now, then effects: the rules of sagas one by one. Outcomes are written as short words."""

from __future__ import annotations

from dataclasses import dataclass, field, replace

import pytest

from sagactl.core import events as e
from sagactl.core import operate
from sagactl.core.decide import Record, Rest, Run, Stop, Wait, decide
from sagactl.core.judge import judge
from sagactl.core.parts import Cause, Ending, How, Reason
from sagactl.core.saga import Saga, evolve, replay
from sagactl.core.states import SagaState, StepState
from sagactl.errors import ConflictError, NotFoundError
from sagactl.model import (
    Argv,
    Command,
    Jitter,
    ManualUndo,
    NothingToUndo,
    OnFailure,
    OnInterrupt,
    RetryPolicy,
    Script,
    Step,
)
from tests.world import ACTOR, started, step

TRUE = Argv(words=("true",))
ENDINGS = {
    "ok": Ending(how=How.EXITED, ended_s=0.0, exit_status=0),
    "fail": Ending(how=How.EXITED, ended_s=0.0, exit_status=1),
    "exit 7": Ending(how=How.EXITED, ended_s=0.0, exit_status=7),
    "exit 137": Ending(how=How.EXITED, ended_s=0.0, exit_status=137),
    "no outputs": Ending(how=How.EXITED, ended_s=0.0, exit_status=0, outputs_error="output x is missing"),
    "killed": Ending(how=How.SIGNALED, ended_s=0.0, signal=9),
    "timeout": Ending(how=How.TIMED_OUT, ended_s=0.0),
    "stopped": Ending(how=How.STOPPED, ended_s=0.0),
    "lost": Ending(how=How.LOST, ended_s=0.0),
    "lost, pid left": Ending(how=How.LOST, ended_s=0.0, processes_left=(42,)),
    "interrupted": Ending(how=How.INTERRUPTED, ended_s=0.0),
    "not found": Ending(how=How.NOT_STARTED, ended_s=0.0, message="no such file: x"),
    "busy": Ending(how=How.BUSY, ended_s=0.0),
    "never": Ending(how=How.NEVER_STARTED, ended_s=0.0),
}


@dataclass
class Drive:
    """A saga driven by hand. `starts` lists what was started, as `action a`, in order."""

    saga: Saga
    now_s: float = 0.0
    starts: list[str] = field(default_factory=list)
    events: list[e.Event] = field(default_factory=list)

    @classmethod
    def of(cls, *steps: Step, timeout_s: float | None = None) -> Drive:
        drive = cls(replay([started(*steps, timeout_s=timeout_s)]))
        drive.record()
        return drive

    def record(self) -> None:
        while isinstance((effects := decide(self.saga, self.now_s))[0], Record):
            for effect in effects:
                assert isinstance(effect, Record)
                self.push(effect.event)

    def push(self, event: e.Event | None) -> None:
        assert event is not None
        if isinstance(event, e.AttemptStarted):
            self.starts.append(f"{event.attempt.phase} {event.step}")
        self.events.append(event)
        self.saga = evolve(self.saga, event)

    def end(self, name: str, outcome: str, draw: float = 0.5) -> Drive:
        """The live attempt of a step comes to that outcome, and what follows is recorded."""
        live = self.saga.steps[name].live
        assert live is not None, f"{name} has no live attempt: {self.saga.steps[name]}"
        self.push(judge(self.saga, live, ENDINGS[outcome], at_s=self.now_s, draw=draw))
        self.record()
        return self

    def at(self, now_s: float) -> Drive:
        self.now_s = now_s
        self.record()
        return self

    def state(self, name: str) -> StepState:
        return self.saga.steps[name].state

    def compensate(self, reason: str = "") -> Drive:
        self.push(operate.compensate(self.saga, ACTOR, reason, self.now_s))
        self.record()
        return self

    def resume(self) -> Drive:
        self.push(operate.resume(self.saga, ACTOR, self.now_s))
        self.record()
        return self

    def resolve(self, name: str, word: operate.Word) -> Drive:
        self.push(operate.resolve(self.saga, name, word, ACTOR, "looked", self.now_s))
        return self


def chain(*names: str, **changes: object) -> list[Step]:
    """Steps that run one after another."""
    return [step(name, needs=names[max(i - 1, 0) : i], **changes) for i, name in enumerate(names)]


def retrying(retries: int, **changes: object) -> Command:
    return Command(run=TRUE, retry=RetryPolicy(max_retries=retries, **changes))  # type: ignore[arg-type]


def test_steps_in_order_complete_a_saga() -> None:
    drive = Drive.of(*chain("a", "b")).end("a", "ok").end("b", "ok")
    assert drive.saga.state is SagaState.COMPLETED
    assert decide(drive.saga, 0.0) == (Rest(),)


@pytest.mark.parametrize("fails_at", range(4))
def test_a_failure_undoes_exactly_the_steps_before_it_in_reverse(fails_at: int) -> None:
    drive = Drive.of(*chain("a", "b", "c", "d"))
    for name in "abcd"[:fails_at]:
        drive.end(name, "ok")
    drive.end("abcd"[fails_at], "fail")
    for name in reversed("abcd"[:fails_at]):
        drive.end(name, "ok")
    assert drive.saga.state is SagaState.COMPENSATED
    undone = [start for start in drive.starts if start.startswith("undo")]
    assert undone == [f"undo {name}" for name in reversed("abcd"[:fails_at])]


def test_steps_without_needs_start_together_and_are_undone_one_at_a_time() -> None:
    drive = Drive.of(step("a"), step("b"), step("c", needs=("a", "b")))
    assert drive.starts == ["action a", "action b"]
    drive.end("b", "ok").end("a", "ok").end("c", "fail")
    assert drive.starts[3:] == ["undo b"]
    drive.end("b", "ok")
    assert drive.starts[3:] == ["undo b", "undo a"]


def test_a_failed_attempt_is_retried_after_growing_capped_delays() -> None:
    policy = {"delay_s": 2.0, "backoff": 3.0, "max_delay_s": 10.0}
    drive = Drive.of(step("a", action=retrying(3, **policy)))
    for wait_s in (2.0, 6.0, 10.0):
        drive.end("a", "fail")
        assert decide(drive.saga, drive.now_s) == (Wait(drive.now_s + wait_s),)
        drive.at(drive.now_s + wait_s)
    drive.end("a", "fail")
    assert drive.starts == ["action a"] * 4
    assert drive.saga.state is SagaState.COMPENSATED


def test_full_jitter_draws_the_delay_and_the_event_keeps_it() -> None:
    drive = Drive.of(step("a", action=retrying(1, delay_s=8.0, jitter=Jitter.FULL))).end("a", "fail", draw=0.25)
    assert drive.saga.steps["a"].retry_at_s == 2.0


def test_only_the_listed_exit_codes_are_retried() -> None:
    command = retrying(1, delay_s=0.0, exit_codes=(7,))
    assert Drive.of(step("a", action=command)).end("a", "exit 7").starts == ["action a"] * 2
    assert Drive.of(step("a", action=command)).end("a", "fail").starts == ["action a"]
    assert Drive.of(step("a", action=command)).end("a", "timeout").starts == ["action a", "undo a"]


def test_a_command_that_cannot_start_is_never_retried() -> None:
    drive = Drive.of(step("a", action=retrying(3))).end("a", "not found")
    assert drive.starts == ["action a"]
    assert drive.saga.turn is not None
    assert drive.saga.turn.text == "could not start: no such file: x"


@pytest.mark.parametrize("outcome", ["timeout", "killed", "no outputs"])
def test_a_step_in_doubt_is_undone(outcome: str) -> None:
    drive = Drive.of(*chain("a", "b")).end("a", "ok").end("b", outcome)
    assert drive.starts == ["action a", "action b", "undo b"]


def test_128_plus_signal_is_a_signal_for_a_script_and_a_failure_for_an_argv() -> None:
    assert Drive.of(step("a")).end("a", "exit 137").starts == ["action a"]
    script = Command(run=Script(text="x"))
    assert Drive.of(step("a", action=script)).end("a", "exit 137").starts == ["action a", "undo a"]


def test_a_check_settles_a_doubt() -> None:
    doubtful = [step("a", check=Command(run=TRUE))]
    assert Drive.of(*doubtful).end("a", "timeout").end("a", "ok").saga.state is SagaState.COMPLETED
    gone = Drive.of(*doubtful).end("a", "timeout").end("a", "fail")
    assert gone.state("a") is StepState.FAILED
    assert gone.saga.state is SagaState.COMPENSATED


def test_a_check_that_cannot_tell_is_asked_again_and_then_the_step_stays_in_doubt() -> None:
    check = Command(run=TRUE, retry=RetryPolicy(max_retries=2, delay_s=0.0))
    drive = Drive.of(step("a", check=check)).end("a", "killed")
    for _ in range(3):
        drive.end("a", "timeout")
    assert drive.starts == ["action a", "check a", "check a", "check a", "undo a"]


def test_a_plain_failure_does_not_settle_the_doubt_of_the_attempt_before_it() -> None:
    drive = Drive.of(step("a", action=retrying(1, delay_s=0.0))).end("a", "timeout").end("a", "fail")
    assert drive.starts == ["action a", "action a", "undo a"]


@pytest.mark.parametrize("how", ["lost", "interrupted"])
def test_an_action_that_nobody_saw_end_escalates_by_default(how: str) -> None:
    drive = Drive.of(*chain("a", "b")).end("a", "ok").end("b", how)
    assert drive.saga.state is SagaState.ESCALATED
    assert isinstance(drive.saga.decided, e.SagaEscalated)
    assert [(o.step, o.reason) for o in drive.saga.decided.open] == [("b", Reason.IN_DOUBT)]
    assert drive.starts == ["action a", "action b"]


def test_a_lost_action_goes_by_its_on_interrupt() -> None:
    undone = Drive.of(step("a", on_interrupt=OnInterrupt.UNDO)).end("a", "lost")
    assert undone.starts == ["action a", "undo a"]
    retried = Drive.of(step("a", on_interrupt=OnInterrupt.RETRY)).end("a", "lost").at(1.0)
    assert retried.starts == ["action a", "action a"]


def test_a_lost_attempt_costs_no_retry() -> None:
    drive = Drive.of(step("a", action=retrying(1, delay_s=0.0), on_interrupt=OnInterrupt.RETRY))
    drive.end("a", "lost").end("a", "fail").end("a", "fail")
    assert drive.starts == ["action a"] * 3 + ["undo a"]


def test_three_losses_in_a_row_escalate() -> None:
    drive = Drive.of(step("a", action=retrying(9, delay_s=0.0), on_interrupt=OnInterrupt.RETRY))
    drive.end("a", "lost").end("a", "lost").end("a", "lost")
    assert drive.saga.state is SagaState.ESCALATED


def test_a_lost_action_whose_check_says_no_is_run_again_at_no_cost() -> None:
    drive = Drive.of(step("a", check=Command(run=TRUE))).end("a", "lost").end("a", "fail")
    assert drive.starts == ["action a", "check a", "action a"]


def test_processes_that_could_not_be_ended_escalate_before_any_check_and_name_their_pids() -> None:
    drive = Drive.of(step("a", check=Command(run=TRUE), on_interrupt=OnInterrupt.RETRY)).end("a", "lost, pid left")
    assert drive.starts == ["action a"]
    assert isinstance(drive.saga.decided, e.SagaEscalated)
    assert "pid 42" in drive.saga.decided.open[0].text


def test_nothing_is_undone_while_processes_of_a_step_may_still_be_at_work() -> None:
    drive = Drive.of(*chain("a", "b")).end("a", "ok").end("b", "lost, pid left")
    with pytest.raises(ConflictError, match="pid 42") as raised:
        operate.compensate(drive.saga, ACTOR, "", 0.0)
    assert "sagactl resolve simulated-1 --step b" in raised.value.hint
    drive.resolve("b", operate.Word.NOT_LANDED).compensate().end("a", "ok")
    assert drive.saga.state is SagaState.COMPENSATED


def test_an_attempt_that_never_started_costs_nothing_and_leaves_the_step_as_it_was() -> None:
    drive = Drive.of(step("a")).end("a", "never")
    assert drive.starts == ["action a", "action a"]
    drive.end("a", "busy")
    assert drive.state("a") is StepState.PENDING
    assert decide(drive.saga, 0.0) == (Wait(1.0),)
    live = drive.at(1.0).saga.steps["a"].live
    assert live is not None
    assert (live.number, live.ordinal) == (3, 1)


def test_a_voided_retry_keeps_the_doubt() -> None:
    drive = Drive.of(step("a", action=retrying(1, delay_s=0.0))).end("a", "timeout").end("a", "busy")
    assert drive.state("a") is StepState.IN_DOUBT


def test_siblings_end_before_the_decision_and_their_retries_are_cut_short() -> None:
    drive = Drive.of(step("a"), step("b", action=retrying(5)), step("c"))
    drive.end("b", "fail").end("a", "fail")
    assert drive.starts == ["action a", "action b", "action c"]
    drive.end("c", "ok")
    assert drive.saga.state is SagaState.COMPENSATING
    assert drive.starts == ["action a", "action b", "action c", "undo c"]


@pytest.mark.parametrize("first", ["interrupted", "fail"])
def test_a_sibling_whose_retry_waits_has_no_say_and_goes_on_once_a_person_has_spoken(first: str) -> None:
    retried = step("m", action=retrying(3), on_interrupt=OnInterrupt.RETRY)
    drive = Drive.of(retried, step("n")).end("m", first).end("n", "interrupted")
    assert drive.saga.state is SagaState.ESCALATED
    escalated = drive.events[-1]
    assert isinstance(escalated, e.SagaEscalated)
    assert [still_open.step for still_open in escalated.open] == ["n"]
    after = drive.at(1000.0).resolve("n", operate.Word.LANDED).resume().end("m", "ok")
    assert after.saga.state is SagaState.COMPLETED
    assert after.starts == ["action m", "action n", "action m"]


def test_a_sibling_whose_retry_waits_is_not_skipped_and_is_undone_when_the_saga_turns_back() -> None:
    retried = step("m", action=retrying(3), on_failure=OnFailure.CONTINUE)
    drive = Drive.of(retried, step("n")).end("m", "timeout").end("n", "fail")
    assert drive.starts == ["action m", "action n", "undo m"]
    paused = Drive.of(retried, step("n", on_failure=OnFailure.PAUSE)).end("m", "timeout").end("n", "fail").at(1000.0)
    assert paused.saga.state is SagaState.PAUSED
    assert paused.resume().starts == ["action m", "action n", "action m", "action n"]


def test_compensate_comes_before_escalate_before_pause_before_continue() -> None:
    skips = step("k", on_failure=OnFailure.CONTINUE, undo=NothingToUndo())
    pauses, compensates, escalates = step("p", on_failure=OnFailure.PAUSE), step("c"), step("e")
    drive = Drive.of(skips, pauses, escalates, compensates)
    drive.end("k", "fail").end("p", "fail").end("e", "lost").end("c", "fail")
    assert drive.saga.turn is not None
    assert (drive.saga.turn.cause, drive.saga.turn.failed_step) == (Cause.FAILURE, "c")
    assert Drive.of(skips, pauses, escalates).end("k", "fail").end("p", "fail").end("e", "lost").saga.state == "escalated"
    assert Drive.of(skips, pauses).end("k", "fail").end("p", "fail").saga.state is SagaState.PAUSED
    assert Drive.of(skips).end("k", "fail").saga.state is SagaState.COMPLETED


def test_a_skipped_step_lets_the_next_one_start() -> None:
    skips = step("a", on_failure=OnFailure.CONTINUE, undo=NothingToUndo())
    drive = Drive.of(skips, step("b", needs=("a",))).end("a", "fail")
    assert drive.starts == ["action a", "action b"]


def test_the_deadline_bounds_an_attempt_and_turns_the_saga() -> None:
    drive = Drive.of(*chain("a", "b", action=retrying(5)), timeout_s=10.0)
    drive.at(4.0).end("a", "ok")
    live = drive.saga.steps["b"].live
    assert live is not None
    assert (live.timeout_s, live.cut_by_deadline) == (6.0, True)
    drive.now_s = 10.0
    drive.end("b", "timeout")
    assert drive.starts == ["action a", "action b", "undo b"]
    assert drive.saga.turn is not None
    assert drive.saga.turn.cause is Cause.DEADLINE


def test_a_deadline_that_passes_stops_what_runs_and_ends_a_wait() -> None:
    drive = Drive.of(step("a"), step("b", action=retrying(1, delay_s=60.0)), timeout_s=10.0).end("b", "fail")
    drive.at(11.0)
    assert [type(effect) for effect in decide(drive.saga, 11.0)][1] is Stop
    drive.end("a", "stopped")
    assert drive.starts == ["action a", "action b", "undo a"]


def test_all_committed_is_completed_even_late() -> None:
    drive = Drive.of(step("a"), timeout_s=10.0)
    drive.now_s = 11.0
    assert drive.end("a", "ok").saga.state is SagaState.COMPLETED


def test_the_deadline_stands_still_while_a_saga_is_paused() -> None:
    drive = Drive.of(step("a", on_failure=OnFailure.PAUSE), timeout_s=10.0)
    drive.now_s = 4.0
    drive.end("a", "fail").at(1000.0).resume()
    assert drive.saga.deadline_s == 1006.0


def test_past_a_committed_pivot_a_failure_escalates_and_the_deadline_is_void() -> None:
    pivot = step("p", pivot=True)
    drive = Drive.of(step("a"), replace(pivot, needs=("a",)), step("z", needs=("p",)), timeout_s=10.0)
    drive.end("a", "ok").end("p", "ok").at(99.0)
    assert drive.saga.state is SagaState.RUNNING
    with pytest.raises(ConflictError, match="past its pivot"):
        operate.compensate(drive.saga, ACTOR, "", 99.0)
    drive.end("z", "fail")
    assert isinstance(drive.saga.decided, e.SagaEscalated)
    assert drive.saga.decided.open[0].reason is Reason.PAST_PIVOT
    assert drive.resume().end("z", "ok").saga.state is SagaState.COMPLETED


def test_nothing_is_undone_while_the_pivot_is_in_doubt() -> None:
    drive = Drive.of(*[replace(s, pivot=s.id == "p") for s in chain("a", "p")]).end("a", "ok").end("p", "timeout")
    assert drive.saga.state is SagaState.ESCALATED
    with pytest.raises(ConflictError, match="pivot p is in doubt"):
        operate.compensate(drive.saga, ACTOR, "", 0.0)
    assert drive.resolve("p", operate.Word.NOT_LANDED).compensate().end("a", "ok").saga.state == "compensated"


def test_a_request_turns_a_live_saga_round() -> None:
    drive = Drive.of(*chain("a", "b")).end("a", "ok").compensate("changed my mind")
    assert [type(effect) for effect in decide(drive.saga, 0.0)] == [Run, Stop]
    drive.end("b", "stopped").end("b", "ok").end("a", "ok")
    assert drive.saga.state is SagaState.COMPENSATED
    assert drive.saga.turn is not None
    assert (drive.saga.turn.cause, drive.saga.turn.text) == (Cause.REQUEST, "changed my mind")


def test_a_second_request_says_nothing_new() -> None:
    drive = Drive.of(step("a")).compensate()
    assert operate.compensate(drive.saga, ACTOR, "again", 0.0) is None


def test_a_completed_saga_is_compensated_on_request() -> None:
    drive = Drive.of(*chain("a", "b")).end("a", "ok").end("b", "ok").compensate().end("b", "ok").end("a", "ok")
    assert drive.saga.state is SagaState.COMPENSATED
    assert operate.compensate(drive.saga, ACTOR, "", 0.0) is None


def test_an_undo_out_of_attempts_lets_the_others_run_and_escalates_naming_it() -> None:
    drive = Drive.of(*chain("a", "b", "c")).end("a", "ok").end("b", "ok").end("c", "fail")
    drive.end("b", "fail").end("a", "ok")
    assert drive.state("a") is StepState.COMPENSATED
    assert isinstance(drive.saga.decided, e.SagaEscalated)
    assert [(o.step, o.reason, o.text) for o in drive.saga.decided.open] == [("b", Reason.UNDO_FAILED, "exit 1")]


def test_a_missing_and_a_manual_undo_escalate_with_the_runbook() -> None:
    missing, manual = step("a", undo=None), step("b", needs=("a",), undo=ManualUndo(text="call ${saga.id} ${params.x}"))
    drive = Drive.of(missing, manual, step("c", needs=("b",))).end("a", "ok").end("b", "ok").end("c", "fail")
    assert isinstance(drive.saga.decided, e.SagaEscalated)
    told = [(o.step, o.reason, o.text) for o in drive.saga.decided.open]
    assert told == [("b", Reason.UNDO_MANUAL, "call simulated-1 ${params.x}"),
                    ("a", Reason.UNDO_MISSING, "the definition says no `undo` for this step")]


def test_undo_none_stays_committed_and_a_half_done_step_is_undone_when_it_says_so() -> None:
    half = step("b", needs=("a",), undo_if_failed=True)
    drive = Drive.of(step("a", undo=NothingToUndo()), half).end("a", "ok").end("b", "fail").end("b", "ok")
    assert drive.starts == ["action a", "action b", "undo b"]
    assert drive.state("a") is StepState.COMMITTED
    assert drive.saga.state is SagaState.COMPENSATED


def test_an_undo_in_doubt_is_put_to_the_check() -> None:
    steps = chain("a", "b", check=Command(run=TRUE), undo=retrying(1, delay_s=0.0))
    drive = Drive.of(*steps).end("a", "ok").end("b", "fail").end("a", "timeout")
    assert drive.starts[-1] == "check a"
    assert drive.end("a", "fail").saga.state is SagaState.COMPENSATED
    still_there = Drive.of(*steps).end("a", "ok").end("b", "fail").end("a", "timeout").end("a", "ok")
    assert still_there.starts[-2:] == ["check a", "undo a"]


def test_a_lost_undo_is_retried_beyond_its_budget_but_not_three_times() -> None:
    drive = Drive.of(*chain("a", "b", undo=retrying(0, delay_s=0.0))).end("a", "ok").end("b", "fail")
    drive.end("a", "lost").end("a", "lost")
    assert drive.starts[-3:] == ["undo a"] * 3
    assert drive.end("a", "lost").saga.state is SagaState.ESCALATED


def test_resume_gives_a_failed_undo_a_fresh_budget_and_leaves_manual_ones_open() -> None:
    manual = step("m", undo=ManualUndo(text="call"))
    drive = Drive.of(manual, *[replace(s, needs=("m",)) for s in chain("a")], step("z", needs=("a",)))
    drive.end("m", "ok").end("a", "ok").end("z", "fail").end("a", "fail")
    drive.resume().end("a", "ok")
    assert drive.saga.state is SagaState.ESCALATED
    assert drive.resolve("m", operate.Word.UNDONE).resume().saga.state == "compensated"


def test_what_a_person_keeps_ends_the_saga_abandoned() -> None:
    drive = Drive.of(*chain("a", "b", undo=None)).end("a", "ok").end("b", "fail")
    drive.resolve("a", operate.Word.KEPT).resume()
    assert drive.saga.state is SagaState.ABANDONED


def test_landed_goes_on_and_not_landed_runs_again() -> None:
    landed = Drive.of(*chain("a", "b")).end("a", "lost").resolve("a", operate.Word.LANDED).resume()
    assert landed.starts == ["action a", "action b"]
    again = Drive.of(*chain("a", "b")).end("a", "lost").resolve("a", operate.Word.NOT_LANDED).resume()
    assert again.starts == ["action a", "action a"]


def test_a_doubt_that_only_a_person_can_settle_blocks_resume() -> None:
    drive = Drive.of(step("a")).end("a", "lost")
    with pytest.raises(ConflictError, match="while a is in doubt") as raised:
        operate.resume(drive.saga, ACTOR, 0.0)
    assert "sagactl resolve simulated-1 --step a" in raised.value.hint


def test_a_word_that_does_not_fit_says_which_do() -> None:
    drive = Drive.of(step("a")).end("a", "lost")
    with pytest.raises(ConflictError, match="can't be resolved as undone") as raised:
        operate.resolve(drive.saga, "a", operate.Word.UNDONE, ACTOR, "", 0.0)
    assert "landed|not-landed|kept" in raised.value.hint
    with pytest.raises(NotFoundError, match="no step b"):
        operate.resolve(drive.saga, "b", operate.Word.KEPT, ACTOR, "", 0.0)
    with pytest.raises(ConflictError, match="only a paused or escalated saga"):
        operate.resolve(Drive.of(step("a")).saga, "a", operate.Word.KEPT, ACTOR, "", 0.0)


def test_abandon_ends_an_unfinished_saga_once() -> None:
    drive = Drive.of(step("a")).end("a", "lost")
    drive.push(operate.abandon(drive.saga, ACTOR, "enough", 0.0))
    assert drive.saga.state is SagaState.ABANDONED
    assert operate.abandon(drive.saga, ACTOR, "again", 0.0) is None
    with pytest.raises(ConflictError, match="stays as it is"):
        operate.compensate(drive.saga, ACTOR, "", 0.0)
    with pytest.raises(ConflictError, match="nothing to abandon"):
        operate.abandon(Drive.of(step("a")).end("a", "ok").saga, ACTOR, "", 0.0)


def test_a_new_holder_waits_no_longer_than_the_configured_delay_whatever_the_clock_did() -> None:
    drive = Drive.of(step("a", action=retrying(1, delay_s=5.0))).at(1000.0).end("a", "fail")
    drive.now_s = 10.0
    drive.push(e.HolderChanged(at_s=10.0, holder=ACTOR))
    assert decide(drive.saga, 10.0) == (Wait(15.0),)


def test_a_clock_that_was_ahead_at_the_start_leaves_no_more_time_after_a_pause() -> None:
    drive = Drive.of(step("a", on_failure=OnFailure.PAUSE), timeout_s=10.0)
    drive.now_s = -1000.0
    drive.end("a", "fail").at(0.0).resume()
    assert drive.saga.deadline_s == 10.0
