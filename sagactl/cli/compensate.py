"""`sagactl compensate`: take sagas back on demand, whether they are live, at rest or completed."""

from __future__ import annotations

import time
from collections.abc import Sequence
from math import inf
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from sagactl.cli import driving, wiring
from sagactl.cli.asking import agreed
from sagactl.cli.options import Common, Reason, SagaNames, Yes, reason_text
from sagactl.cli.output import complain, json_rows, result, say
from sagactl.cli.render.text import safe
from sagactl.core.states import SagaState, StepState
from sagactl.errors import ConflictError, SagactlError, UsageError

if TYPE_CHECKING:
    from sagactl.core import events as e
    from sagactl.core.saga import Saga

LOOK_S = 0.2
"""How often sagas that other processes hold are looked at."""


def compensate(
    sagas: SagaNames = None, reason: Reason = "", yes: Yes = False,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Only show what would be undone.")] = False,
    *, common: Common,
) -> int:
    """Undo what sagas have done, in reverse order. Exit 0 when all of it is undone.

    A live saga is asked to turn round: its running attempt is ended, and its own process undoes the rest.

    Example: sagactl compensate @last --reason "ordered twice" --yes
    """
    reason_text(reason)
    names, codes = driving.named(common, sagas)
    with json_rows(common.form) as show:
        found = _to_undo(common, names, reason, codes, None if dry_run else show)
        if dry_run:
            for saga in found:
                _show_undos(common, saga, show)
            return driving.exit_code(codes)
        if found and not yes:
            _ask(common, found)
        codes += _turned_round(common, found, reason, show)
    return driving.exit_code(codes)


def _to_undo(
    common: Common, names: Sequence[str], reason: str, codes: list[int], show: driving.Show | None,
) -> list[Saga]:
    """Those that can be taken back; what the others come to is told, reported with `show`, and added to `codes`."""
    found = []
    for name in names:
        try:
            saga = driving.existing(common.database).load(name)
            _look_ahead(saga, reason)
        except SagactlError as error:
            codes.append(complain(error))
            continue
        if saga.state is not SagaState.COMPENSATED:
            found.append(saga)
            continue
        if not common.quiet:
            say(f"{saga.id} is compensated already; nothing was run")
        if show is not None:
            driving.report(common, saga, show)
    return found


def _look_ahead(saga: Saga, reason: str) -> None:
    """Before anybody is asked: raise ConflictError where it can't be taken back."""
    from sagactl.core import operate

    try:
        operate.compensate(saga, wiring.me(), reason, saga.changed_s)
    except ConflictError as error:
        doubtful = [name for name, view in saga.steps.items() if view.last is not None and view.last.processes_left
                    and view.state is StepState.IN_DOUBT]
        if not doubtful or any(wiring.left_behind(saga, name) for name in doubtful):
            raise
        raise ConflictError(f"whether {', '.join(doubtful)} of {saga.id} took effect is in doubt; what was at work "
                            "then has ended since", hint=error.hint.removeprefix("end them, then: ")) from None


def _undos(saga: Saga) -> list[tuple[str, str]]:
    """What is to be undone, in this order: (step, its undo)."""
    from sagactl.cli.render.human import undo_text

    return [(name, undo_text(saga, saga.by_id[name])) for name in _when_asked(saga).to_undo]


def _when_asked(saga: Saga) -> Saga:
    """The saga as it turns back, by the core's own decisions; as it comes to rest where it does not turn.

    Of a saga that runs it is the most there can be to undo: what has no end yet may have taken effect, but its pivot.
    """
    from sagactl.core import operate
    from sagactl.core.saga import evolve

    event = operate.compensate(saga, wiring.me(), "", saga.changed_s)
    saga = evolve(saga, event) if event is not None else saga
    while saga.turn is None and (events := _next_events(saga)):
        for each in events:
            saga = evolve(saga, each)
    return saga


def _next_events(saga: Saga) -> list[e.Event]:
    """What a saga that is asked to turn back comes to next, at a time when it waits for nothing more."""
    from sagactl.core.decide import Record, Run, decide
    from sagactl.core.judge import judge
    from sagactl.core.parts import Ending, How

    failed, stopped = Ending(how=How.EXITED, exit_status=1, ended_s=inf), Ending(how=How.STOPPED, ended_s=inf)
    events: list[e.Event] = []
    for effect in decide(saga, inf):
        if isinstance(effect, Record):
            events.append(effect.event)
        elif isinstance(effect, Run):
            ending = failed if saga.by_id[effect.attempt.step].pivot else stopped
            events.append(judge(saga, effect.attempt, ending, at_s=inf, draw=0.0))
    return events


def _interrupted(common: Common, saga: Saga) -> bool:
    return saga.state in driving.UNFINISHED and not wiring.evidence(common.database).is_held(saga.started.token)


def _told(common: Common, saga: Saga) -> list[str]:
    """What is to be undone, as lines for people."""
    state, undos = "interrupted" if _interrupted(common, saga) else saga.state, _undos(saga)
    would = "This would be undone, in this order:" if undos else "Nothing would be undone."
    return [f"{saga.id} is {state}. {would}", *(f"  {step}: {undo}" for step, undo in undos)]


def _show_undos(common: Common, saga: Saga, show: driving.Show) -> None:
    if common.quiet:
        result(saga.id)
    elif common.human:
        for line in _told(common, saga):
            result(safe(line))
    else:
        show({"schema": 1, "id": saga.id, "state": saga.state, "interrupted": _interrupted(common, saga),
              "undos": [{"step": step, "undo": undo} for step, undo in _undos(saga)]})


def _ask(common: Common, sagas: Sequence[Saga]) -> None:
    lines = [line for saga in sagas for line in _told(common, saga)]
    if not agreed(common, lines, "this undoes what was done", "Undo it?"):
        raise UsageError("nothing was done")


def _turned_round(common: Common, sagas: Sequence[Saga], reason: str, show: driving.Show) -> list[int]:
    """Take sagas back: those that a live process holds by that process, the others here. Their exit codes."""
    from sagactl.core import operate

    evidence, codes = wiring.evidence(common.database), []
    held = [saga for saga in sagas if evidence.is_held(saga.started.token)]
    left = [saga for saga in sagas if saga not in held]
    if held:
        import anyio

        for asked, turned in zip(held, anyio.run(_ask_holders, common.database, held, reason), strict=True):
            if isinstance(turned, SagactlError):
                codes.append(complain(turned))
            elif turned is None:
                left.append(asked)
            else:
                driving.report(common, turned, show)
                codes.append(_code(turned))

    def say_so(saga: Saga, now_s: float) -> Sequence[e.Event]:
        event = operate.compensate(saga, wiring.me(), reason, now_s)
        return [event] if event is not None else []

    turns = [wiring.Turn(id=saga.id, token=saga.started.token,
                         prepare=driving.going_on(common.database, saga.id, say_so)) for saga in left]
    return [*codes, driving.drive(common, turns, show, total=len(left), judge=_code)]


def _code(saga: Saga) -> int:
    return 0 if saga.state is SagaState.COMPENSATED else driving.OUTCOMES[saga.state]


async def _ask_holders(database: Path, asked: Sequence[Saga], reason: str) -> list[Saga | SagactlError | None]:
    """Ask the processes that hold sagas to turn them round, and wait until each lets go of its own.

    Gives each as it then is; None where it was let go without having turned: the caller does it then; an error where
    it has passed its pivot meanwhile.
    """
    import anyio

    async with wiring.journal(database) as journal:
        for saga in asked:
            await journal.request(saga.id, wiring.me(), reason)
            say(f"{saga.id} is live: asked its process to turn round")
    found: dict[str, Saga | SagactlError | None] = {}
    while len(found) < len(asked):
        for saga in asked:
            try:
                if saga.id not in found and (now := _answer(database, saga, reason)) is not saga:
                    found[saga.id] = now
            except SagactlError as error:
                found[saga.id] = error
        await anyio.sleep(LOOK_S * (len(found) < len(asked)))
    return [found[saga.id] for saga in asked]


def _answer(database: Path, asked: Saga, reason: str) -> Saga | None:
    """What has become of a request: the saga that has turned, None where it was let go, `asked` itself: nothing yet.

    Raises:
        ConflictError: it has passed its pivot.
    """
    from sagactl.core import operate

    held = wiring.evidence(database).is_held(asked.started.token)
    saga = driving.existing(database).load(asked.id)
    if asked.turn is None and saga.turn is not None and saga.state in driving.OUTCOMES:
        return saga
    if saga.turn is None:
        operate.compensate(saga, wiring.me(), reason, time.time())
    return asked if held else None
