"""Puts the program together: the only file that names adapters.

What only a drive or a word needs (anyio, asyncio, supervisors) is imported by it: a look must not wait for that.
"""

from __future__ import annotations

import contextlib
import os
import time
from collections.abc import AsyncIterator, Callable, Iterable, Iterator, Mapping, Sequence
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Final, NamedTuple, Protocol

from sagactl.cli.options import grace_s, user_umask
from sagactl.cli.output import say, warn
from sagactl.core.states import FINAL
from sagactl.errors import ConflictError, DamagedError, FencedError, LockedError, SagactlError, StoreError
from sagactl.execution.evidence import Evidence, masks
from sagactl.execution.processes import boot_id

if TYPE_CHECKING:
    from sagactl.core import events as e
    from sagactl.core.parts import Actor
    from sagactl.core.saga import Saga
    from sagactl.engine import Engine
    from sagactl.execution.launching import Launched
    from sagactl.journal.reading import Reader
    from sagactl.journal.sqlite import SqliteJournal
    from sagactl.ports import Surroundings
    from sagactl.signals import Signals


class Turn(NamedTuple):
    """One saga to drive: its lock is taken, then `prepare` gives the saga, its pending events and surroundings."""

    id: str
    token: str
    prepare: Callable[[], tuple[Saga, Sequence[e.Event], Surroundings]]
    otherwise: Callable[[], Turn | Saga] | None = None
    """What is done instead where there is a saga of that id already; gives it where it rests."""


class Listener(Protocol):
    """Who hears what happens while sagas are driven. Must not wait and not raise."""

    def publish(self, saga: Saga, seq: int, event: e.Event) -> None:
        """See ports.Publish."""

    def stopping(self, level: int) -> None:
        """The user wants it to stop, so far (engine.Signals)."""

    def tick(self) -> None:
        """Another TICK_S have passed."""


TICK_S: Final = 1.0

STORE_FAILURES_MAX: Final = 10
"""When the store has failed so many sagas in a row, or the machine could start none of their commands, the next would
fare no better.
"""


@cache
def me() -> Actor:
    """This process."""
    import getpass
    import socket

    from sagactl.core.parts import Actor

    try:
        user = getpass.getuser()
    except (KeyError, OSError):
        user = str(os.getuid())
    user = user.encode("utf-8", "backslashreplace").decode()
    return Actor(user=user, host=socket.gethostname(), pid=os.getpid(), boot_id=boot_id())


def reader(database: Path) -> Reader | None:
    """What the database holds, read-only; None where there is none yet."""
    from sagactl.journal.reading import open_reader

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


def drive(
    database: Path, turns: Iterable[Turn], listener: Listener, *, jobs: int,
    on_end: Callable[[Turn, Saga | SagactlError], None],
) -> Signals:
    """Drive sagas, `jobs` at once, each until it rests or a signal ends it. `turns` may have no end in sight.

    A turn is taken when there is room for it; `on_end` is told what came of it, a saga or why it could not be driven,
    and must not raise. One that fails takes nothing from the others, but after a signal, or when the store has failed
    STORE_FAILURES_MAX times in a row, no more turns are taken: the caller sees what is left of `turns`.

    Raises:
        SagactlError: the database can't be opened.
    """
    from sagactl.execution.launching import launch

    first = launch()  # it starts while the rest is being imported

    import anyio

    return anyio.run(_drive, database, iter(turns), listener, first, jobs, on_end)


async def _drive(
    database: Path, turns: Iterator[Turn], listener: Listener, first: Launched, jobs: int,
    on_end: Callable[[Turn, Saga | SagactlError], None],
) -> Signals:
    import random

    import anyio
    import anyio.lowlevel

    from sagactl.clock import SystemClock
    from sagactl.engine import Engine
    from sagactl.execution.channel import Supervisors
    from sagactl.execution.executor import SupervisedExecutor
    from sagactl.journal.sqlite import open_journal
    from sagactl.signals import Signals

    signals = Signals(grace_s(), lambda level: _tell_of_signal(level, listener))
    store_failures = 0
    async with anyio.create_task_group() as tasks:
        await tasks.start(signals.listen)
        tasks.start_soon(_ticking, listener)
        async with open_journal(database) as opened, Supervisors(first) as supervisors:
            executor = SupervisedExecutor(Evidence(database), supervisors, umask=user_umask())
            engine = Engine(journal=opened, executor=executor, clock=SystemClock(), signals=signals,
                            publish=listener.publish, warn=warn, draw=random.random)

            async def work() -> None:
                nonlocal store_failures
                while not signals.level and store_failures < STORE_FAILURES_MAX:
                    turn = next(turns, None)
                    if turn is None:
                        return
                    ended = await _ended(database, engine, turn)
                    store_failures = store_failures + 1 if _is_of_the_store(ended) else 0
                    on_end(turn, ended)
                    await anyio.lowlevel.checkpoint()  # where a lock is held nothing has been waited for

            async with anyio.create_task_group() as driving:
                for _ in range(jobs):
                    driving.start_soon(work)
        tasks.cancel_scope.cancel()
    return signals


async def _ended(database: Path, engine: Engine, turn: Turn) -> Saga | SagactlError:
    """What becomes of a turn, or of what is to be done instead."""
    try:
        ended: Saga | SagactlError = SagactlError("not driven")
        try:
            with locked(database, turn.id, turn.token):
                ended = await engine.drive(*turn.prepare())
        except* (SagactlError, OSError) as group:
            ended = _first(group)
        if not isinstance(ended, ConflictError) or turn.otherwise is None:
            return ended
        Evidence(database).discard(turn.token)
        instead = turn.otherwise()
    except SagactlError as error:
        return error
    return await _ended(database, engine, instead) if isinstance(instead, Turn) else instead


def _is_of_the_store(ended: Saga | SagactlError) -> bool:
    """Whether this may befall every saga: neither a damaged one nor one that another process has taken."""
    return isinstance(ended, StoreError) and not isinstance(ended, DamagedError | FencedError)


async def _ticking(listener: Listener) -> None:
    import anyio

    while True:
        await anyio.sleep(TICK_S)
        listener.tick()


def _tell_of_signal(level: int, listener: Listener) -> None:
    """Somebody has pressed a key and sees at once what that does."""
    listener.stopping(level)
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


def at_work(database: Path, saga: Saga) -> dict[str, tuple[int, ...]]:
    """See survey.steps_at_work."""
    from sagactl.execution import survey

    return survey.steps_at_work(Evidence(database).saga_folder(saga.started.token), saga)


def left_running(database: Path, saga: Saga) -> dict[str, tuple[int, ...]]:
    """See survey.steps_left_running."""
    from sagactl.execution import survey

    return survey.steps_left_running(Evidence(database).saga_folder(saga.started.token), saga)


def left_behind(saga: Saga, step: str) -> tuple[int, ...]:
    """The pids of what is still alive of a step that is in doubt."""
    from sagactl.execution import processes

    place, numbers = saga.places[step], saga.steps[step].numbers
    found = [processes.members(f"{saga.started.token}.{place}.{phase}.{number}", None, None)
             for phase, number in numbers.items()]
    return tuple(sorted({pid for pids in found for pid in pids}))


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
    from sagactl.journal.reading import Reader

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
