"""SqliteJournal: the port `Journal` on SQLite, for one process that writes; other processes may write other sagas.

Group commit: who appends puts its work into a queue and waits. The first to do so has the loop call `_commit` next,
which takes all works that wait by then into one transaction with one fsync. So there is no writer task, and a caller
that is cancelled takes nothing away from the others: its work is done all the same.
Rule: the loop stands still for a transaction, since what comes meanwhile makes the next one larger; it never does for a
lock that another process holds. Must not know the engine, and decides nothing.
"""

from __future__ import annotations

import asyncio
import sqlite3
from collections import deque
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager, suppress
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, TypeVar

import anyio

from sagactl.core.events import Event
from sagactl.core.parts import Actor
from sagactl.core.saga import Saga
from sagactl.errors import StoreError
from sagactl.journal import place, writing
from sagactl.journal.lock import LOCK_WAIT_S, POLL_S, Patience, WriteLock
from sagactl.journal.rows import explained, is_busy, store_error
from sagactl.journal.writing import Append, Work
from sagactl.ports import Request

if TYPE_CHECKING:
    from sagactl.journal.listing import Row

T = TypeVar("T")

BATCH_MAX: Final = 1000
"""Works in one transaction: it stays in SQLite's page cache and under a tenth of a second."""

SHUT_WAIT_S: Final = 1.0
"""How long closing waits for the lock: nothing is lost without it, and who could not write has waited already."""

BUSY_S: Final = 10.0
"""How long locks of programs other than sagactl are waited for."""


@asynccontextmanager
async def open_journal(
    path: Path, *, lock_wait_s: float = LOCK_WAIT_S, busy_s: float = BUSY_S,
) -> AsyncIterator[SqliteJournal]:
    """The journal in that file, made where there is none, closed at the end of the context.

    Raises:
        StoreError: it can't be opened, or it is not ours, or newer, or lies where others can write.
    """
    there = place.exists(path)  # first: beside a file that is not ours nothing is made
    place.prepare(path)
    lock = WriteLock(place.folder_of(path) / "write.lock", lock_wait_s)
    try:
        if not there:
            async with lock.held():
                place.create(path)
        with explained("open", path):
            connection = sqlite3.connect(path, isolation_level=None, timeout=0)
        journal = SqliteJournal(path, connection, lock, busy_s)
        try:
            await journal.prepare()
            yield journal
        finally:
            with anyio.CancelScope(shield=True):
                await journal.close()
    finally:
        lock.close()


class SqliteJournal:
    """Made by `open_journal`. `commits` counts the write transactions so far."""

    def __init__(self, path: Path, connection: sqlite3.Connection, lock: WriteLock, busy_s: float) -> None:
        self._path, self._connection, self._lock, self._busy_s = path, connection, lock, busy_s
        self._loop = asyncio.get_running_loop()
        self._waiting: deque[Work[Any]] = deque()
        self._next: asyncio.Handle | None = None
        self._renew_patience()
        self.commits = 0

    async def append(self, saga: Saga, events: Sequence[Event], *, answered: int = 0) -> Sequence[Request]:
        """See ports.Journal."""
        try:
            prepared = Append.of(saga, events, answered)
        except ValueError as error:
            raise StoreError(f"an event of {saga.id} can't be written: {error}") from error
        return await self._write(prepared)

    async def requests(self, saga: Saga) -> Sequence[Request]:
        """See ports.Journal."""
        return await self._patiently("read", partial(writing.open_requests, saga_id=saga.id))

    async def request(self, saga_id: str, by: Actor, reason: str) -> None:
        """Ask the process that holds a saga to turn it round; durable on return.

        Raises:
            NotFoundError: there is no such saga.
            StoreError: the journal can't be written.
        """
        await self._write(partial(writing.add_request, saga_id=saga_id, by=by, reason=reason))

    async def forget(self, sagas: Sequence[Row]) -> None:
        """Delete sagas with their events; durable on return. One that has gone on since it was read stays.

        Raises:
            StoreError: the journal can't be written; then none of them is gone.
        """
        from sagactl.journal import pruning

        await self._write(partial(pruning.forget, sagas=sagas))

    async def shrink(self) -> bool:
        """Give a piece of the room that deleted sagas left back to the file system; whether there is more.

        The file is shorter once the WAL is written back. Raises StoreError.
        """
        from sagactl.journal import pruning

        return await self._write(pruning.shrink)

    async def prepare(self) -> None:
        """Set the connection up. Raises StoreError."""
        if not await self._patiently("open", _set_up):
            async with self._lock.held():
                await self._patiently("open", _to_wal)

    async def close(self) -> None:
        """Close the connection once nothing waits any more: callers that were cancelled have left their works.

        The last connection to close writes the WAL back, hence the lock. Where it can't be had, a live process holds it
        and has the database open: then this is not the last one.
        """
        with explained("close", self._path):
            try:
                while self._waiting:
                    with suppress(StoreError):
                        await self._write(_nothing)  # behind all of them
                with suppress(StoreError):
                    async with self._lock.held(SHUT_WAIT_S):
                        self._connection.close()
            finally:
                if self._next is not None:
                    self._next.cancel()
                self._connection.close()

    async def _patiently(self, doing: str, function: Callable[[sqlite3.Connection], T]) -> T:
        """What the function gives; it is called again while another program keeps the database locked.

        Raises StoreError.
        """
        patience = Patience(self._busy_s)
        with explained(doing, self._path):
            while True:
                try:
                    return function(self._connection)
                except sqlite3.OperationalError as error:
                    if not is_busy(error) or patience.is_out():
                        raise
                await asyncio.sleep(POLL_S)

    async def _write(self, function: Callable[[sqlite3.Connection], T]) -> T:
        work = Work(function, self._loop.create_future())
        self._waiting.append(work)
        if self._next is None:
            self._next = self._loop.call_soon(self._commit)
        await work.over
        if isinstance(work.error, sqlite3.Error):
            raise store_error(work.error, "write to", self._path) from work.error
        if work.error is not None:
            raise work.error
        return work.result

    # Called by the loop.

    def _commit(self) -> None:
        """Commit what waits, or try again in a while where another process is in the way. Raises no Exception."""
        self._next, done = None, True
        try:
            done = self._has_committed()
        except Exception as error:  # noqa: BLE001 - it belongs to those who wait, not to the loop
            writing.settle(self._batch(), error)
        if done:
            self._renew_patience()
        if self._waiting:
            self._next = self._loop.call_later(0 if done else POLL_S, self._commit)

    def _has_committed(self) -> bool:
        """Whether nobody was in the way.

        Raises:
            StoreError, sqlite3.Error: it can't be done, or somebody has been in the way for too long.
        """
        if not self._lock.take(self._for_lock):
            return False
        try:
            # Never deferred: a reader that upgrades fails at once, however patient it is.
            self._connection.execute("BEGIN IMMEDIATE")
            writing.transact(self._connection, self._batch())
            self.commits += 1
        except sqlite3.OperationalError as error:
            if not is_busy(error) or self._for_others.is_out():
                raise
            return False
        finally:
            self._lock.release()
        return True

    def _renew_patience(self) -> None:
        self._for_lock, self._for_others = Patience(self._lock.wait_s), Patience(self._busy_s)

    def _batch(self) -> list[Work[Any]]:
        return [self._waiting.popleft() for _ in range(min(len(self._waiting), BATCH_MAX))]


def _set_up(connection: sqlite3.Connection) -> bool:
    """Whether the database is one with a WAL already."""
    connection.execute("PRAGMA synchronous = FULL")
    connection.execute("PRAGMA trusted_schema = OFF")
    connection.execute("PRAGMA cell_size_check = ON")
    return bool(connection.execute("PRAGMA journal_mode").fetchone() == ("wal",))


def _to_wal(connection: sqlite3.Connection) -> None:
    connection.execute("PRAGMA journal_mode = WAL")


def _nothing(_: sqlite3.Connection) -> None:
    """A work that is none."""
