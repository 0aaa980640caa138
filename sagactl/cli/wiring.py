"""Puts the program together: the only file that names adapters.

What only a drive or a word needs (anyio, aiosqlite, supervisors) is imported by it: a look must not wait for that.
"""

from __future__ import annotations

import contextlib
import getpass
import os
import random
import socket
import time
from collections.abc import AsyncIterator, Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from sagactl.cli.options import grace_s, user_umask
from sagactl.cli.output import say, warn
from sagactl.core import events as e
from sagactl.core.parts import Actor
from sagactl.core.saga import Saga
from sagactl.core.states import FINAL
from sagactl.errors import ConflictError, LockedError, SagactlError, StoreError
from sagactl.execution.evidence import Evidence, masks
from sagactl.execution.launching import Launched, launch
from sagactl.execution.processes import boot_id
from sagactl.journal.reading import Reader, open_reader
from sagactl.ports import Publish, Surroundings

if TYPE_CHECKING:
    from sagactl.engine import Signals
    from sagactl.journal.sqlite import SqliteJournal


@dataclass(frozen=True, slots=True, kw_only=True)
class Turn:
    """One saga to drive: its lock is taken, then `prepare` gives the saga, its pending events and surroundings."""

    id: str
    token: str
    prepare: Callable[[], tuple[Saga, Sequence[e.Event], Surroundings]]
    otherwise: Callable[[], Turn] | None = None
    """What to do instead where this is a conflict: another process started a saga of that id first."""


def me() -> Actor:
    """This process."""
    try:
        user = getpass.getuser()
    except (KeyError, OSError):
        user = str(os.getuid())
    user = user.encode("utf-8", "backslashreplace").decode()
    return Actor(user=user, host=socket.gethostname(), pid=os.getpid(), boot_id=boot_id())


def reader(database: Path) -> Reader | None:
    """What the database holds, read-only; None where there is none yet."""
    return open_reader(database)


def evidence(database: Path) -> Evidence:
    return Evidence(database)


@contextlib.contextmanager
def locked(database: Path, saga_id: str, token: str) -> Iterator[None]:
    """Hold a saga as long as the context lasts.

    Raises:
        LockedError: a live process holds it; says which, since when.
    """
    with contextlib.ExitStack() as stack:
        try:
            stack.enter_context(Evidence(database).lock(token, me(), time.time()))
        except LockedError as error:
            hint = f"sagactl inspect {saga_id} shows how far it is"
            raise LockedError(f"{saga_id} is {error.message}", hint=hint) from None
        yield


@contextlib.asynccontextmanager
async def journal(database: Path) -> AsyncIterator[SqliteJournal]:
    """The journal, for one word of an operator."""
    from sagactl.journal.sqlite import open_journal

    async with open_journal(database) as opened:
        yield opened


def drive(database: Path, turns: Iterable[Turn], publish: Publish) -> tuple[list[Saga | SagactlError], Signals]:
    """Drive sagas side by side, each until it rests or a signal ends it. Gives each, or why it could not be driven.

    Raises:
        SagactlError: the database can't be opened.
    """
    first = launch()  # it starts while the rest is being imported

    import anyio

    return anyio.run(_drive, database, list(turns), publish, first)


async def _drive(
    database: Path, turns: Sequence[Turn], publish: Publish, first: Launched,
) -> tuple[list[Saga | SagactlError], Signals]:
    import anyio

    from sagactl.clock import SystemClock
    from sagactl.engine import Engine, Signals
    from sagactl.execution.channel import Supervisors
    from sagactl.execution.executor import SupervisedExecutor
    from sagactl.journal.sqlite import open_journal

    signals = Signals(grace_s(), _tell_of_signal)
    results: list[Saga | SagactlError] = [SagactlError("not driven")] * len(turns)
    async with anyio.create_task_group() as tasks:
        await tasks.start(signals.listen)
        async with open_journal(database) as opened, Supervisors(first) as supervisors:
            executor = SupervisedExecutor(Evidence(database), supervisors, umask=user_umask())
            engine = Engine(journal=opened, executor=executor, clock=SystemClock(), signals=signals, publish=publish,
                            warn=warn, draw=random.random)

            async def one(place: int, turn: Turn) -> None:
                try:
                    with locked(database, turn.id, turn.token):
                        results[place] = await engine.drive(*turn.prepare())
                except* (SagactlError, OSError) as group:
                    results[place] = _first(group)
                if isinstance(results[place], ConflictError) and turn.otherwise is not None:
                    Evidence(database).discard(turn.token)
                    try:
                        again = turn.otherwise()
                    except SagactlError as error:
                        results[place] = error
                    else:
                        await one(place, again)

            async with anyio.create_task_group() as driving:
                for place, turn in enumerate(turns):
                    driving.start_soon(one, place, turn)
        tasks.cancel_scope.cancel()
    return results, signals


def _tell_of_signal(level: int) -> None:
    """Somebody has pressed a key and sees at once what that does."""
    say({
        1: "stopping: nothing more starts, what runs may end (Ctrl-C again ends it)",
        2: "ending what runs (Ctrl-C again kills it)",
        3: "killing what runs (Ctrl-C again leaves it to its supervisor)",
        4: "leaving what runs",
    }[level])


def _first(error: BaseException) -> SagactlError:
    while isinstance(error, BaseExceptionGroup):
        error = error.exceptions[0]
    return error if isinstance(error, SagactlError) else StoreError(f"can't read or write below the state: {error}")


def alive(database: Path, saga: Saga) -> list[str]:
    """The steps of a saga whose attempt without outcome still runs, as far as one can see from here."""
    from sagactl.execution.orphans import running_steps

    return running_steps(Evidence(database), saga)


def at_work(database: Path, saga: Saga) -> dict[str, int]:
    """The steps whose attempt without outcome a supervisor has in hand, with the pid of the command. Only looks."""
    from sagactl.execution import survey
    from sagactl.execution.invocation import attempt_name

    names = {attempt_name(saga, view.live): name for name, view in saga.steps.items() if view.live is not None}
    found = survey.at_work(Evidence(database).saga_folder(saga.started.token), names)
    return {names[each]: pid for each, pid in found.items()}


def mask_left(database: Path, saga: Saga, secrets: Mapping[str, str] | None) -> None:
    """See orphans.mask_left."""
    from sagactl.execution import orphans

    orphans.mask_left(Evidence(database), saga, secrets)


def fold(database: Path, saga: Saga, *, without_secrets: bool = False) -> None:
    """Tidy up what there still is of the evidence of a saga that has ended; a failure is a warning.

    Where its secrets can't be read it is left to somebody who can, or, `without_secrets`, nothing that could hold one
    is kept.
    """
    from sagactl.cli.starting import known_secrets

    kept, token = Evidence(database), saga.started.token
    try:
        if kept.is_folded(token):
            return
        with kept.lock(token, me(), time.time()):
            now = Reader(database).load(saga.id)  # it may have been turned back meanwhile
            secrets = known_secrets(now.started)
            if now.state in FINAL and (without_secrets or secrets is not None):
                kept.fold(token, masks(now, secrets))
    except LockedError:
        pass  # then another process is about to
    except (StoreError, OSError) as error:
        warn(f"{saga.id} has ended, but {error}")
