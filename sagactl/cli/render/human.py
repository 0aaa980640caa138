"""What is said to people about sagas, as lines. Whoever shows them makes them safe."""

from __future__ import annotations

import shlex
from collections.abc import Sequence

from sagactl.cli.render.text import indented, table
from sagactl.core import events as e
from sagactl.core import operate
from sagactl.core.judge import why
from sagactl.core.parts import Attempt, Ending, How, OpenStep, Reason
from sagactl.core.saga import Saga
from sagactl.core.states import SagaState, StepState
from sagactl.errors import ConflictError
from sagactl.model import Argv, Command, ManualUndo, NothingToUndo, Phase, Step
from sagactl.plain import first_line
from sagactl.template import Reference, show


def command_line(saga: Saga, command: Command) -> str:
    """A command with the values that its saga knows, quoted for a shell; of a script its first line, as written."""
    def known(reference: Reference) -> str | None:
        value = saga.value_of(reference)
        return "" if value is None and reference.optional else value

    if isinstance(command.run, Argv):
        return shlex.join(show(word, known) for word in command.run.words)
    return first_line(command.run.text)


def undo_text(saga: Saga, step: Step) -> str:
    """What taking a step of this saga back means."""
    match step.undo:
        case Command():
            return command_line(saga, step.undo)
        case ManualUndo(text=text):
            return f"by hand: {first_line(show(text, saga.value_of))}"
        case NothingToUndo():
            return "nothing to undo"
        case _:
            return "no undo: a person is needed"


def progress(saga: Saga, event: e.Event, *, verbose: bool = False) -> str | None:
    """The plain line of an event, less its time; None for events that say nothing by themselves."""
    match event:
        case e.AttemptStarted(attempt=attempt):
            shown = f": {command_line(saga, saga.by_id[event.step].command(attempt.phase))}" if verbose else ""
            return f"{event.step}: {attempt.phase} started{_of(saga, attempt)}{shown}"
        case e.AttemptEnded(ending=ending):
            return f"{event.step}: {event.phase} {_ended(event)} ({_took(ending)}{_again(saga, event)})"
        case e.StepSkipped():
            return f"{event.step}: skipped"
        case e.CompensationFailed(text=text):
            return f"{event.step}: not undone: {first_line(text)}"
        case e.CompensationStarted(cause=cause, failed_step=step, text=text):
            return "turning back: " + ": ".join(part for part in (cause, step, text) if part)
        case e.DeadlinePassed():
            return "the deadline has passed"
        case e.HolderChanged(holder=holder):
            return f"going on, in process {holder.pid}"
        case _:
            return None


def _again(saga: Saga, event: e.AttemptEnded) -> str:
    """When it is tried again, unless a check comes first; or that it is not, though there are attempts left."""
    if event.ending.how is How.INTERRUPTED:
        return ""
    if event.check_at_s is not None:
        asked_again = f", asked again in {max(0.0, event.check_at_s - event.at_s):.1f}s"
        return asked_again if event.phase is Phase.CHECK else ", its check is asked first"
    settled = saga.steps[event.step].state in (StepState.COMMITTED, StepState.COMPENSATED)
    if event.retry_at_s is not None and not settled:
        again = f"{event.step} again" if event.phase is Phase.CHECK else "again"
        return f", {again} in {max(0.0, event.retry_at_s - event.at_s):.1f}s"
    if event.phase is Phase.CHECK:
        return ""
    policy = saga.by_id[event.step].command(event.phase).retry
    status = event.ending.exit_status
    unlisted = policy.exit_codes is not None and status is not None and status not in policy.exit_codes
    return ", which is not in retry_on" if status and unlisted and policy.max_retries else ""


def _of(saga: Saga, attempt: Attempt) -> str:
    most = saga.by_id[attempt.step].command(attempt.phase).retry.max_retries + 1
    again = " again" if attempt.phase is not Phase.CHECK and saga.steps[attempt.step].lost else ""
    return f" (attempt {attempt.ordinal}/{most}{again})" if most > 1 else ""


def _ended(event: e.AttemptEnded) -> str:
    match event:
        case e.ActionSucceeded() | e.UndoSucceeded():
            return "succeeded"
        case e.ActionFailed() | e.UndoFailed():
            return "failed"
        case e.ActionInDoubt() | e.UndoInDoubt():
            return "is in doubt"
        case e.EffectFound():
            return "found the effect"
        case e.EffectAbsent():
            return "found no effect"
        case e.CheckInconclusive():
            return "could not tell"
        case _:
            return "did not start"


def _took(ending: Ending) -> str:
    said = why(ending)
    if ending.started_s is None:
        return said
    took = f"{max(0.0, ending.ended_s - ending.started_s):.1f}s"
    how, *details = said.split(": ", 1)
    return took if said == "exit 0" else ": ".join([f"{how} after {took}", *details])


def conclusion(saga: Saga, *, interrupted: bool = False) -> list[str]:
    """The one important sentence about a saga, and what to type next."""
    if interrupted:
        doubts = operate.open_doubts(saga)
        ways = [(f"sagactl resume {saga.id}", f"goes on; about {', '.join(doubts)} only you can tell" if doubts
                 else "goes on in the direction it was going")]
        ways += [(f"sagactl compensate {saga.id}", "takes it back")] * (saga.state is SagaState.RUNNING)
        return [f"{saga.id} is interrupted and can go on:", *_to_type(ways)]
    match saga.state:
        case SagaState.COMPLETED:
            without = [name for name, view in saga.steps.items() if view.state is StepState.SKIPPED]
            without += [f"output {output} of {name}" for name in saga.steps for output in missing_outputs(saga, name)]
            return [f"{saga.id} completed" + (f", without {', '.join(without)}" if without else "")]
        case SagaState.COMPENSATED:
            return [f"{saga.id} compensated: {operate.because(saga)}; all that had to be is undone",
                    *_trusted(saga), *_doubtful(saga)]
        case SagaState.PAUSED:
            return [f"{saga.id} paused: {operate.because(saga)}", *_to_type([
                (f"sagactl resume {saga.id}", "tries again what failed"),
                (f"sagactl compensate {saga.id}", "takes it back"),
                _leaving(saga),
            ])]
        case SagaState.ESCALATED:
            still_open = operate.still_open(saga)
            most = f"{len(still_open)} steps need a person" if len(still_open) > 1 else operate.because(saga)
            return [f"{saga.id} escalated: {most}", *(line for item in still_open for line in _standing(saga, item)),
                    *_kept(saga),
                    *_ways_out(saga)]
        case SagaState.ABANDONED:
            return [f"{saga.id} abandoned: {operate.because(saga)}", *_kept(saga)]
        case _:
            return [f"{saga.id} {saga.state}"]


def _kept(saga: Saga) -> list[str]:
    """What stays behind on a person's word."""
    return [f"  {name} was kept and stays behind; what would take it back: {undo_text(saga, saga.by_id[name])}"
            for name in saga.order if saga.steps[name].state is StepState.KEPT]


def _trusted(saga: Saga) -> list[str]:
    """The steps that failed by their exit status and were not undone: nobody has looked whether that is so."""
    names = [name for name, view in saga.steps.items()
             if view.state is StepState.FAILED and view.last is not None and view.last.exit_status]
    if not names:
        return []
    are = "are" if len(names) > 1 else "is"
    return [f"  {', '.join(names)} failed by exit status and {are} trusted to have left nothing (see undo_if_failed)"]


def _doubtful(saga: Saga) -> list[str]:
    """The steps that may have taken effect and have nothing to undo, by the word of their author."""
    return [f"  {name} may have taken effect and stays (`undo: none`): {why(view.last)}"
            for name, view in saga.steps.items() if view.state is StepState.IN_DOUBT]


def missing_outputs(saga: Saga, name: str) -> list[str]:
    """The outputs that a committed step should have given and has not: a check or a person said that it took effect."""
    view = saga.steps[name]
    wanted = saga.by_id[name].outputs if view.state is StepState.COMMITTED else ()
    return [output for output in wanted if output not in view.outputs]


STDERR_LINES = 5
"""Of a failed command's stderr, so many lines are shown at once; `logs` has more."""


def _standing(saga: Saga, item: OpenStep) -> list[str]:
    """What still stands of a step that needs a person, what was tried, and what its author says about it."""
    step, view = saga.by_id[item.step], saga.steps[item.step]
    more = ""
    match item.reason:
        case Reason.UNDO_MISSING:
            said = "it took effect and has no undo"
        case Reason.UNDO_MANUAL:
            said, more = "it is undone by hand:", item.text
        case Reason.UNDO_FAILED:
            tried = view.numbers.get(Phase.UNDO, 0)
            said = f"its undo failed {'once' if tried == 1 else f'{tried} times'}, last with {item.text}: " \
                   f"{undo_text(saga, step)}"
        case Reason.IN_DOUBT:
            said = f"nobody knows whether it took effect: {item.text}"
        case Reason.PAST_PIVOT:
            said = f"it failed after the pivot, so nothing is undone: {item.text}"
    tail = view.last.stderr_tail if view.last is not None and item.reason is not Reason.UNDO_MANUAL else ""
    if len(more.strip().splitlines()) == 1:
        said, more = f"{said} {more.strip()}", ""
    return [f"  {item.step}: {said}", *indented(more, "    "),
            *indented("\n".join(tail.splitlines()[-STDERR_LINES:]), "    | ")]


def _ways_out(saga: Saga) -> list[str]:
    """What to type: what settles each open step, then what there is besides."""
    still_open = operate.still_open(saga)
    ways = []
    for item in still_open:
        state = saga.steps[item.step].state
        words = ("landed", "not-landed", "kept") if state is StepState.IN_DOUBT else ("undone", "kept")
        ways += [(f'sagactl resolve {saga.id} --step {item.step} --as {word} --reason "WHY"', _MEANS[word])
                 for word in words if state is not StepState.FAILED]
    can_try_again = [item for item in still_open if item.reason in (Reason.UNDO_FAILED, Reason.PAST_PIVOT)]
    if not still_open:
        ways.append((f"sagactl resume {saga.id}", "goes on"))
    elif can_try_again and not (saga.turn is None and operate.open_doubts(saga)):
        ways.insert(0, (f"sagactl resume {saga.id}", "goes on; what failed has a fresh budget (mend its cause first)"))
    if saga.turn is None and _can_turn_back(saga):
        ways.append((f"sagactl compensate {saga.id}", "takes it back"))
    return _to_type([*ways, _leaving(saga)])


def _leaving(saga: Saga) -> tuple[str, str]:
    return f'sagactl abandon {saga.id} --reason "WHY"', "leaves it as it is"


def _to_type(ways: Sequence[tuple[str, str]]) -> list[str]:
    """Commands, and what each does."""
    return [f"  {line}" for line in table(ways)]


_MEANS = {"landed": "it took effect", "not-landed": "it did not", "undone": "you took it back",
          "kept": "its effect stays"}


def _can_turn_back(saga: Saga) -> bool:
    try:
        operate.compensate(saga, saga.started.holder, "", saga.changed_s)
    except ConflictError:
        return False
    return True
