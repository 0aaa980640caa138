"""What happens inside a write transaction, and the transaction itself.

Rule: works that come together share one transaction and one fsync, each in a savepoint of its own, so that one which
is fenced fails alone. Knows nothing of tasks or locks; that somebody waits for a work is a future.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import sqlite3
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Final, Generic, TypeVar

from sagactl.core import events as e
from sagactl.core.codec import definition_key, encode
from sagactl.core.operate import because
from sagactl.core.parts import Actor
from sagactl.core.saga import Saga
from sagactl.errors import ConflictError, DamagedError, FencedError, NotFoundError
from sagactl.journal.rows import RESTORE, SUMMARY_COLUMNS, chained, event_crc, pack, summary_crc
from sagactl.plain import dumps, from_plain, to_plain
from sagactl.ports import Request

T = TypeVar("T")

WHY_CHARS_MAX: Final = 200
"""A line of a list; the events have the whole."""

_INSERT_SAGA: Final = f"INSERT INTO sagas ({', '.join(SUMMARY_COLUMNS)}, crc) " \
                      f"VALUES ({', '.join('?' * (len(SUMMARY_COLUMNS) + 1))})"  # noqa: S608 - our own names
_UPDATE_SAGA: Final = "UPDATE sagas SET state = ?, seq = ?, chain = ?, changed_s = ?, steps_done = ?, why = ?, " \
                      "crc = ? WHERE key = ?"


class Work(Generic[T]):
    """A function to run inside a transaction that others share, and what came of it once `over` is done."""

    def __init__(self, function: Callable[[sqlite3.Connection], T], over: asyncio.Future[None]) -> None:
        self._function = function
        self.over = over
        self.error: Exception | None = None
        self._results: list[T] = []

    @property
    def result(self) -> T:
        """What the function gave. Only for a work that is over without an error."""
        return self._results[0]

    def run(self, connection: sqlite3.Connection) -> None:
        """Call the function in a savepoint. Raises only what has ended the whole transaction."""
        connection.execute("SAVEPOINT work")
        try:
            self._results = [self._function(connection)]
        except Exception as error:
            if not connection.in_transaction:
                raise  # SQLite itself has rolled all of it back: disk full, I/O error
            connection.execute("ROLLBACK TO work")
            self.error = error
        connection.execute("RELEASE work")


def transact(connection: sqlite3.Connection, works: Sequence[Work[object]]) -> None:
    """Run works in the transaction that has begun, end it, and settle them all. Raises no Exception.

    What they did is durable when this returns.
    """
    try:
        for work in works:
            work.run(connection)
        connection.execute("COMMIT")
    except Exception as error:  # noqa: BLE001 - it belongs to those who wait
        settle(works, error)
    else:
        settle(works, None)
    finally:
        with contextlib.suppress(sqlite3.Error):  # where even that fails, SQLite rolls back by itself
            if connection.in_transaction:
                connection.execute("ROLLBACK")


def settle(works: Sequence[Work[object]], error: Exception | None) -> None:
    """Say that works are over; with an error, none of them took place."""
    for work in works:
        work.error = error or work.error
        if not work.over.done():  # who waited for it was cancelled
            work.over.set_result(None)


@dataclass(frozen=True, slots=True, kw_only=True)
class Append:
    """An append with all that can be computed before it has the database for itself.

    `rows` are (seq, type, data, CRC); `expected` the number of events that must be there.
    """

    saga: Saga
    expected: int
    rows: tuple[tuple[int, str, str | bytes, int], ...]
    why: str
    answered: int

    @classmethod
    def of(cls, saga: Saga, events: Sequence[e.Event], answered: int) -> Append:
        """Raises ValueError where an event can't be written as JSON (NaN)."""
        rows, token, expected = [], saga.started.token, saga.seq - len(events)
        for seq, event in enumerate(events, expected + 1):
            kind, text = encode(event)
            data = pack(text)
            rows.append((seq, kind, data, event_crc(token, seq, kind, data)))
        why = _encodable(because(saga))[:WHY_CHARS_MAX]
        return cls(saga=saga, expected=expected, rows=tuple(rows), why=why, answered=answered)

    def __call__(self, connection: sqlite3.Connection) -> tuple[Request, ...]:
        """Write it; the open requests about the saga."""
        saga, token = self.saga, self.saga.started.token
        found = connection.execute("SELECT key, token, seq, chain, definition FROM sagas WHERE id = ?",
                                   (saga.id,)).fetchone()
        if self.expected == 0:
            if found is not None:
                raise ConflictError(f"there is a saga {saga.id} already", hint=f"sagactl inspect {saga.id} shows it")
            key = self._begin(connection)
        else:
            if found is None or found[1:3] != (token, self.expected):
                there = "is gone" if found is None or found[1] != token else f"has {found[2]} events"
                raise FencedError(f"{saga.id} {there}, not the {self.expected} that this process knows: "
                                  f"another process went on with it", hint=f"sagactl inspect {saga.id} shows it")
            key, chain, definition = found[0], found[3], found[4]
            self._go_on(connection, key, chain, definition)
        connection.executemany("INSERT INTO events (saga, seq, type, data, crc) VALUES (?, ?, ?, ?, ?)",
                               [(key, *row) for row in self.rows])
        if self.answered:
            connection.execute("DELETE FROM requests WHERE saga = ? AND key <= ?", (key, self.answered))
        return requests_of(connection, key)

    def _begin(self, connection: sqlite3.Connection) -> int:
        definition = self.saga.definition
        key = definition_key(definition)
        found = connection.execute("SELECT json FROM definitions WHERE hash = ?", (key,)).fetchone()
        if found is None:
            connection.execute("INSERT INTO definitions VALUES (?, ?)", (key, definition.to_json()))
        elif found != (definition.to_json(),):
            raise DamagedError(f"the database holds a damaged copy of the definition of {self.saga.id}", hint=RESTORE)
        values = self._summary(0, key)
        inserted = connection.execute(_INSERT_SAGA, (*values, summary_crc(values))).lastrowid
        assert inserted is not None
        return inserted

    def _go_on(self, connection: sqlite3.Connection, key: int, chain: int, definition: str) -> None:
        values = self._summary(chain, definition)
        state, seq, after, _, changed_s, done, _, text = values[4:]
        connection.execute(_UPDATE_SAGA, (state, seq, after, changed_s, done, text, summary_crc(values), key))

    def _summary(self, chain: int, definition: str) -> tuple[str | int | float, ...]:
        """The values of SUMMARY_COLUMNS. `chain` is that of the events before these."""
        saga = self.saga
        for row in self.rows:
            chain = chained(chain, row[3])
        return (saga.id, saga.started.token, saga.definition.saga, definition, saga.state.value, saga.seq, chain,
                float(saga.started.at_s), float(saga.changed_s), saga.done, len(saga.steps), self.why)


def requests_of(connection: sqlite3.Connection, key: int) -> tuple[Request, ...]:
    """The open requests about the saga of that key, oldest first."""
    rows = connection.execute("SELECT key, by, reason FROM requests WHERE saga = ? ORDER BY key", (key,))
    return tuple(Request(key=row[0], by=from_plain(Actor, json.loads(row[1])), reason=row[2]) for row in rows)


def open_requests(connection: sqlite3.Connection, saga_id: str) -> tuple[Request, ...]:
    """The same by id; none where there is no such saga."""
    found = connection.execute("SELECT key FROM sagas WHERE id = ?", (saga_id,)).fetchone()
    return requests_of(connection, found[0]) if found else ()


def add_request(connection: sqlite3.Connection, saga_id: str, by: Actor, reason: str) -> None:
    """Raises NotFoundError where there is no such saga."""
    found = connection.execute("SELECT key FROM sagas WHERE id = ?", (saga_id,)).fetchone()
    if found is None:
        raise NotFoundError(f"no saga {saga_id}")
    connection.execute("INSERT INTO requests (saga, by, reason) VALUES (?, ?, ?)",
                       (found[0], dumps(to_plain(by)), _encodable(reason)))


def _encodable(text: str) -> str:
    """The text without lone surrogates, which no database keeps."""
    return text.encode("utf-8", "backslashreplace").decode()
