"""`sagactl compensate`: take sagas back on demand, whether they are live, at rest or completed."""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from sagactl.cli import driving, wiring
from sagactl.cli.asking import agreed
from sagactl.cli.options import Common, Reason, SagaNames, Yes, reason_text
from sagactl.cli.output import complain, json_rows, result, say
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


def _undos(saga: Saga) -> Iterator[tuple[str, str]]:
    """What is to be undone, in this order: (step, its undo)."""
    from sagactl.cli.render.human import undo_text

    for name in reversed(saga.order):
        if saga.steps[name].state not in (StepState.COMPENSATED, StepState.SKIPPED, StepState.PENDING):
            yield name, undo_text(saga.by_id[name])


def _show_undos(common: Common, saga: Saga, show: driving.Show) -> None:
    if common.quiet:
        result(saga.id)
    elif common.human:
        result(f"{saga.id} is {saga.state}. This would be undone, in this order:")
        for step, undo in _undos(saga):
            result(f"  {step}: {undo}")
    else:
        show({"schema": 1, "id": saga.id, "state": saga.state,
              "undos": [{"step": step, "undo": undo} for step, undo in _undos(saga)]})


def _ask(common: Common, sagas: Sequence[Saga]) -> None:
    lines, evidence = [], wiring.evidence(common.database)
    for saga in sagas:
        held = saga.state not in driving.UNFINISHED or evidence.is_held(saga.started.token)
        lines.append(f"{saga.id} is {saga.state if held else 'interrupted'}. This would be undone, in this order:")
        lines += [f"  {step}: {undo}" for step, undo in _undos(saga)]
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
