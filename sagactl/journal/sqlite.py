"""SqliteJournal: the port `Journal` on SQLite, for one process that writes; other processes may write other sagas.

Group commit: who appends puts its work into a queue and sends the database thread a note to see it done. The first note
takes all works that wait by then into one transaction with one fsync; the notes of those find theirs done. So there is
no writer task, and a caller that is cancelled takes nothing away from the others: its work is done all the same.
Must not know the engine, and decides nothing.
"""

from __future__ import annotations

import sqlite3
from collections import deque
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, TypeVar

import aiosqlite
import anyio
import anyio.to_thread

from sagactl.core.events import Event
from sagactl.core.parts import Actor
from sagactl.core.saga import Saga
from sagactl.errors import StoreError
from sagactl.journal import place, writing
from sagactl.journal.lock import LOCK_WAIT_S, WriteLock
from sagactl.journal.rows import explained, store_error
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
"""How long SQLite waits for locks of programs other than sagactl."""


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
        try:
            if not there:
                await anyio.to_thread.run_sync(place.create, path, lock)
            with explained("open", path):
                connection = await aiosqlite.connect(path, isolation_level=None, timeout=busy_s)
        except RuntimeError as error:  # Python's, where the machine has no room for a thread
            hint = "make room (processes, memory), then try again"
            raise StoreError(f"can't open {path}: {error}", hint=hint) from error
        journal = SqliteJournal(path, connection, lock)
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

    def __init__(self, path: Path, connection: aiosqlite.Connection, lock: WriteLock) -> None:
        self._path, self._connection, self._lock = path, connection, lock
        self._waiting: deque[Work[Any]] = deque()
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
        with explained("read", self._path):
            return await self._hop(writing.open_requests, saga.id)

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
        """Set the connection up."""
        with explained("open", self._path):
            await self._hop(self._set_up)

    async def close(self) -> None:
        """Close the connection. Everything that was appended is durable already."""
        with explained("close", self._path):
            try:
                await self._hop(self._shut)
            finally:
                await self._connection.close()  # ends its thread, for which Python would wait at exit

    async def _write(self, function: Callable[[sqlite3.Connection], T]) -> T:
        work = Work(function)
        self._waiting.append(work)
        await self._hop(self._see_done, work)
        if isinstance(work.error, sqlite3.Error):
            raise store_error(work.error, "write to", self._path) from work.error
        if work.error is not None:
            raise work.error
        return work.result

    async def _hop(self, function: Callable[..., T], *arguments: object) -> T:
        """Call `function(connection, *arguments)` on the thread of the database.

        aiosqlite's public methods are one hop to its thread for each statement (47 µs, and others get in between);
        this is one for a whole transaction.
        """
        connection: Any = self._connection
        result: T = await connection._execute(function, connection._conn, *arguments)  # noqa: SLF001
        return result

    # On the thread of the database.

    def _see_done(self, connection: sqlite3.Connection, work: Work[object]) -> None:
        """Commit what waits, until `work` is among it; nothing where it has been done already."""
        while not work.settled:
            try:
                with self._lock.held():  # what comes while the lock is waited for shares its transaction
                    writing.transact(connection, self._batch())
                    self.commits += 1
            except StoreError as error:
                writing.settle(self._batch(), error)

    def _batch(self) -> list[Work[Any]]:
        return [self._waiting.popleft() for _ in range(min(len(self._waiting), BATCH_MAX))]

    def _set_up(self, connection: sqlite3.Connection) -> None:
        connection.execute("PRAGMA synchronous = FULL")
        connection.execute("PRAGMA trusted_schema = OFF")
        connection.execute("PRAGMA cell_size_check = ON")
        if connection.execute("PRAGMA journal_mode").fetchone() != ("wal",):
            with self._lock.held():
                connection.execute("PRAGMA journal_mode = WAL")

    def _shut(self, connection: sqlite3.Connection) -> None:
        """The last connection to close writes the WAL back, hence the lock.

        Where it can't be had, a live process holds it and has the database open: then this is not the last one.
        """
        try:
            with self._lock.held(SHUT_WAIT_S):
                connection.close()
        except StoreError:
            connection.close()
