"""What an ended attempt means: an executor's Ending in, the one event to record out.

The rules of "Forward" 2 to 4 and "Back" 4 of the semantics: succeeded, failed or in doubt; whether another attempt is
worth it, and when. An attempt that nobody saw the end of, or that a person ended, costs nothing of the budget: it says
nothing about the command. Three of them in a row are not repeated.
"""

from __future__ import annotations

from enum import StrEnum
from typing import Final

from sagactl.core import events as e
from sagactl.core.parts import Attempt, Ending, How
from sagactl.core.saga import Saga
from sagactl.core.states import StepState
from sagactl.core.step import StepView
from sagactl.model import Argv, Command, OnInterrupt, Phase, Step

LOST_IN_A_ROW_MAX: Final = 3
"""After so many attempts in a row without a seen end, the command itself is the likeliest reason."""

BUSY_DELAY_S: Final = 1.0
"""How long a machine without room for a process is left alone before it is asked again."""

SHELL_SIGNAL_EXITS: Final = range(129, 160)
"""With these a shell reports that its command was ended by signal status - 128."""

UNSEEN: Final = (How.LOST, How.INTERRUPTED)


class Outcome(StrEnum):
    """What an attempt came to. VOID: it did not start."""

    SUCCEEDED = "succeeded"
    FAILED = "failed"
    IN_DOUBT = "in_doubt"
    VOID = "void"


def judge(saga: Saga, attempt: Attempt, ending: Ending, *, at_s: float, draw: float) -> e.AttemptEnded:
    """The event that records how `attempt`, live in `saga`, ended. `draw` in [0, 1) jitters the next delay."""
    step, view = saga.by_id[attempt.step], saga.steps[attempt.step]
    match attempt.phase:
        case Phase.ACTION:
            return _judge_action(step, view, attempt, ending, at_s, draw)
        case Phase.UNDO:
            return _judge_undo(step, view, attempt, ending, at_s, draw)
        case Phase.CHECK:
            return _judge_check(step, view, attempt, ending, at_s, draw)


def outcome_of(command: Command, ending: Ending) -> Outcome:
    """Classify an ending of an action or an undo by itself, without what was before it."""
    if ending.how in (How.BUSY, How.NEVER_STARTED):
        return Outcome.VOID
    if ending.processes_left:
        return Outcome.IN_DOUBT
    if ending.how is How.NOT_STARTED:
        return Outcome.FAILED
    if ending.how is not How.EXITED:
        return Outcome.IN_DOUBT
    if ending.exit_status == 0:
        return Outcome.IN_DOUBT if ending.outputs_error else Outcome.SUCCEEDED
    by_signal = not isinstance(command.run, Argv) and ending.exit_status in SHELL_SIGNAL_EXITS
    return Outcome.IN_DOUBT if by_signal else Outcome.FAILED


def needs_person(step: Step, view: StepView) -> bool:
    """Whether this step is in doubt in a way that only a person may settle."""
    if view.state is not StepState.IN_DOUBT or view.last is None or view.check_at_s is not None:
        return False
    if view.last.processes_left:
        return True
    unsettled = view.last.how in UNSEEN and view.retry_at_s is None
    return unsettled and (step.on_interrupt is OnInterrupt.ESCALATE or view.lost >= LOST_IN_A_ROW_MAX)


def why(last: Ending | None) -> str:
    """In one phrase, how an attempt ended."""
    if last is None:
        return "a person said so"
    said = {
        How.EXITED: f"exit {last.exit_status}",
        How.SIGNALED: f"ended by signal {last.signal}",
        How.TIMED_OUT: "timed out",
        How.STOPPED: "ended because the saga turned round",
        How.INTERRUPTED: "ended on a signal to sagactl",
        How.LOST: "lost with its supervisor",
        How.NOT_STARTED: "could not start",
        How.BUSY: "the machine was too busy to start it",
        How.NEVER_STARTED: "never started",
    }[last.how]
    details = [text for text in (last.outputs_error, last.message) if text]
    if last.processes_left:
        details.append("still alive: pid " + ", ".join(str(pid) for pid in last.processes_left))
    return ": ".join([said, *details])


def _judge_action(
    step: Step, view: StepView, attempt: Attempt, ending: Ending, at_s: float, draw: float,
) -> e.AttemptEnded:
    outcome = outcome_of(step.action, ending)
    if outcome is Outcome.VOID:
        return _voided(e.ActionVoided, attempt, ending, at_s)
    if outcome is Outcome.SUCCEEDED:
        return _ended(e.ActionSucceeded, attempt, ending, at_s)
    retry_at_s = None
    if ending.how in UNSEEN:
        if step.on_interrupt is OnInterrupt.RETRY and not ending.processes_left:
            retry_at_s = _unseen_retry_at_s(step.action, view, at_s, draw)
    elif not attempt.cut_by_deadline or ending.how is not How.TIMED_OUT:
        retry_at_s = _retry_at_s(step.action, view, ending, at_s, draw)
    if outcome is Outcome.FAILED and view.prior is not StepState.IN_DOUBT:
        return _ended(e.ActionFailed, attempt, ending, at_s, retry_at_s=retry_at_s)
    # A plain failure says nothing about the attempt before it that was in doubt: the step stays in doubt.
    check_at_s = at_s if step.check is not None and not ending.processes_left else None
    return _ended(e.ActionInDoubt, attempt, ending, at_s, retry_at_s=retry_at_s, check_at_s=check_at_s)


def _judge_undo(
    step: Step, view: StepView, attempt: Attempt, ending: Ending, at_s: float, draw: float,
) -> e.AttemptEnded:
    undo = step.command(Phase.UNDO)
    outcome = outcome_of(undo, ending)
    if outcome is Outcome.VOID:
        return _voided(e.UndoVoided, attempt, ending, at_s)
    if outcome is Outcome.SUCCEEDED:
        return _ended(e.UndoSucceeded, attempt, ending, at_s)
    if ending.how in UNSEEN and not ending.processes_left:
        retry_at_s = _unseen_retry_at_s(undo, view, at_s, draw)
    else:
        retry_at_s = _retry_at_s(undo, view, ending, at_s, draw)
    if outcome is Outcome.FAILED:
        return _ended(e.UndoFailed, attempt, ending, at_s, retry_at_s=retry_at_s)
    check_at_s = at_s if step.check is not None and not ending.processes_left else None
    return _ended(e.UndoInDoubt, attempt, ending, at_s, retry_at_s=retry_at_s, check_at_s=check_at_s)


def _judge_check(
    step: Step, view: StepView, attempt: Attempt, ending: Ending, at_s: float, draw: float,
) -> e.AttemptEnded:
    check = step.command(Phase.CHECK)
    if outcome_of(check, ending) is Outcome.VOID:
        return _voided(e.CheckVoided, attempt, ending, at_s)
    told = ending.how is How.EXITED and not ending.processes_left
    if told and ending.exit_status == 0:
        return _ended(e.EffectFound, attempt, ending, at_s, retry_at_s=view.retry_at_s)
    if told and ending.exit_status == 1:
        return _ended(e.EffectAbsent, attempt, ending, at_s, retry_at_s=_retry_after_absence_s(view, at_s))
    spent = view.checks_spent + 1
    again = spent <= check.retry.max_retries and not ending.processes_left and ending.how is not How.NOT_STARTED
    check_at_s = at_s + check.retry.delay_before_s(spent, draw) if again else None
    return _ended(e.CheckInconclusive, attempt, ending, at_s, retry_at_s=view.retry_at_s, check_at_s=check_at_s)


def _retry_at_s(command: Command, view: StepView, ending: Ending, at_s: float, draw: float) -> float | None:
    """When to try again after an attempt whose end was seen; None where the budget or the policy says no."""
    policy, spent = command.retry, view.spent + 1
    worth_it = policy.exit_codes is None or (ending.how is How.EXITED and ending.exit_status in policy.exit_codes)
    never = ending.how in (How.NOT_STARTED, How.STOPPED) or bool(ending.processes_left)
    if never or not worth_it or spent > policy.max_retries:
        return None
    return at_s + policy.delay_before_s(spent, draw)


def _unseen_retry_at_s(command: Command, view: StepView, at_s: float, draw: float) -> float | None:
    lost = view.lost + 1
    return None if lost >= LOST_IN_A_ROW_MAX else at_s + command.retry.delay_before_s(lost, draw)


def _retry_after_absence_s(view: StepView, at_s: float) -> float | None:
    """The check said that nothing happened: an attempt that was only lost is then repeated at no cost."""
    unseen = view.last is not None and view.last.how in UNSEEN
    if unseen and view.retry_at_s is None and view.lost < LOST_IN_A_ROW_MAX:
        return at_s
    return view.retry_at_s


def _voided(kind: type[e.AttemptEnded], attempt: Attempt, ending: Ending, at_s: float) -> e.AttemptEnded:
    again_s = at_s + (BUSY_DELAY_S if ending.how is How.BUSY else 0.0)
    if attempt.phase is Phase.CHECK:
        return _ended(kind, attempt, ending, at_s, check_at_s=again_s)
    return _ended(kind, attempt, ending, at_s, retry_at_s=again_s)


def _ended(
    kind: type[e.AttemptEnded], attempt: Attempt, ending: Ending, at_s: float, *,
    retry_at_s: float | None = None, check_at_s: float | None = None,
) -> e.AttemptEnded:
    return kind(at_s=at_s, step=attempt.step, phase=attempt.phase, number=attempt.number, ending=ending,
                retry_at_s=retry_at_s, check_at_s=check_at_s)
