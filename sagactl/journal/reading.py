"""Reader: what a database holds, looked at without writing, making or locking anything.

Rule: nothing is believed without its checksum, and every look is one consistent snapshot on a connection of its own.
Imports neither anyio nor asyncio: a look must cost little more than Python's start.
"""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, TypeVar
from urllib.parse import quote

from sagactl.core.states import SagaState
from sagactl.errors import DamagedError, IllegalTransition, NotFoundError, SagactlError, StoreError
from sagactl.journal import place
from sagactl.journal.listing import COLUMNS, Listing, Row, Summary, Wanted, checked, counted, listed, piece
from sagactl.journal.rows import RESTORE, chained, event_crc, explained, unpack

if TYPE_CHECKING:
    from sagactl.core.events import Event
    from sagactl.core.saga import Saga
    from sagactl.model import Definition

T = TypeVar("T")

CANDIDATES_MAX: Final = 5
"""Ids named where a prefix is ambiguous."""

SHOWN_CHARS_MAX: Final = 140
"""Of what is no id; an id has at most 128."""

TRIES_MAX: Final = 20
"""Looks at a database that writers open and close meanwhile; each takes milliseconds."""

BUSY_S: Final = 10.0
"""How long SQLite waits for a writer that is just opening or closing the database."""


def open_reader(path: Path) -> Reader | None:
    """A reader; None where there is no database yet. Raises StoreError for one not ours, newer, or behind a symlink."""
    return Reader(path) if place.exists(path) else None


class Reader:
    """May be kept: every call sees the database as it then is. All raise StoreError, DamagedError."""

    def __init__(self, path: Path) -> None:
        self._path = path

    def find(self, text: str) -> str:
        """The id that a person means: `@last` is the newest, an exact id wins, else a prefix that only one has.

        Raises:
            NotFoundError: none, or several; the hint names some.
        """
        return self.look(lambda connection: _find(connection, text))

    def events(self, saga_id: str, after: int = 0) -> tuple[tuple[int, Event], ...]:
        """(seq, event) in order, without the first `after` ones; all of them are verified.

        Raises:
            NotFoundError: there is no saga of exactly that id.
            DamagedError: an event, or the saga's row, does not fit its checksum, or events are missing.
        """
        return self.look(lambda connection: _events(connection, saga_id, after))

    def load(self, saga_id: str) -> Saga:
        """The saga as its events make it. Raises as `events` does."""
        from sagactl.core.saga import replay

        events = self.events(saga_id)
        try:
            return replay(event for _, event in events)
        except IllegalTransition as error:
            raise DamagedError(f"the events of {saga_id} do not fit each other: {error}", hint=RESTORE) from error

    def summary(self, saga_id: str) -> Summary:
        """The row of one saga in a list. Raises NotFoundError, DamagedError."""
        return self.look(lambda connection: _row(connection, saga_id).summary)

    def summaries_of(self, ids: Iterable[str]) -> dict[str, Summary | SagactlError]:
        """The rows of these sagas in one look, or why one can't be had, NotFoundError or DamagedError."""
        def found(connection: sqlite3.Connection, saga_id: str) -> Summary | SagactlError:
            try:
                return _row(connection, saga_id).summary
            except (NotFoundError, DamagedError) as error:
                return error

        return self.look(lambda connection: {saga_id: found(connection, saga_id) for saga_id in ids})

    def summaries(
        self, states: Iterable[SagaState] | None = None, name_glob: str | None = None, since_s: float | None = None,
        limit: int | None = None,
    ) -> Listing:
        """Unfinished and escalated sagas first, then the finished ones; the newest first within both.

        `name_glob` is matched by SQLite's GLOB with the definition's name; `since_s` with the time of the last event,
        and the one that changed last is then first.
        """
        wanted = Wanted(states=frozenset(SagaState if states is None else states), name_glob=name_glob,
                        since_s=since_s, limit=limit)
        return self.look(lambda connection: listed(connection, wanted))

    def pieces(self) -> Iterator[Listing]:
        """All sagas, the oldest first, a thousand at a time. Each piece is a look of its own, made when wanted."""
        after: int | None = 0
        while after is not None:
            found, after = self.look(partial(piece, after=after))
            yield found

    def count_by_state(self) -> Mapping[SagaState, int]:
        """How many sagas are in each state, 0 for states that none is in; at once, however many there are.

        For display: it has no checksum.
        """
        found = self.look(counted)
        return {state: found.get(state.value, 0) for state in SagaState}

    def look(self, look: Callable[[sqlite3.Connection], T]) -> T:
        """Call `look` with a connection on which it sees one snapshot. It may be called several times.

        A WAL database without a WAL file is at rest, and opening it in the usual way would make that file: it is read
        as immutable, and again if it was not at rest to the end.
        """
        for _ in range(TRIES_MAX):
            at_rest = _stamp(self._path)
            try:
                found = self._snapshot(look, "mode=ro" if at_rest is None else "mode=ro&immutable=1")
            except SagactlError:
                if at_rest is None or at_rest == _stamp(self._path):
                    raise
            else:
                if at_rest is None or at_rest == _stamp(self._path):
                    return found
        raise StoreError(f"can't read {self._path}: it keeps being opened and closed", hint="try again")

    def _snapshot(self, look: Callable[[sqlite3.Connection], T], how: str) -> T:
        with explained("read", self._path):
            uri = f"file:{quote(bytes(self._path.absolute()))}?{how}"
            connection = sqlite3.connect(uri, uri=True, isolation_level=None, timeout=BUSY_S)
            try:
                connection.execute("PRAGMA cell_size_check = ON")
                connection.execute("BEGIN")
                return look(connection)
            finally:
                connection.close()


def _stamp(path: Path) -> tuple[int, int, int] | None:
    """What changes when a database at rest is written to; None where it is in use, or was left by a crash."""
    if Path(f"{path}-wal").exists():
        return None
    try:
        found = path.stat()
    except OSError as error:
        raise StoreError(f"can't read {path}: {error.strerror}") from error
    return found.st_ino, found.st_size, found.st_mtime_ns


def _find(connection: sqlite3.Connection, text: str) -> str:
    if not text or not text.isascii():
        raise _no_saga(text)
    if text == "@last":
        found = connection.execute(f"SELECT {COLUMNS} FROM sagas ORDER BY key DESC LIMIT 1").fetchone()  # noqa: S608
        if found is None:
            raise NotFoundError("no sagas yet", hint="start one: sagactl run FILE")
        return checked(found).summary.id
    # The last code point is higher than any that an id has.
    ids = [row[0] for row in connection.execute("SELECT id FROM sagas WHERE id >= ? AND id < ? ORDER BY id LIMIT ?",
                                                (text, text + chr(0x10FFFF), CANDIDATES_MAX + 1))]
    not_there = None if text in ids[:1] else _not_there(connection, text)
    if not_there is None or len(ids) == 1:
        return _row(connection, ids[0]).summary.id
    if not_there is not None and not ids:
        raise not_there
    named = ids if len(ids) <= CANDIDATES_MAX else [*ids[:CANDIDATES_MAX], "…"]
    raise NotFoundError(f"several sagas begin with {text!r}", hint=", ".join(named))


def _row(connection: sqlite3.Connection, saga_id: str) -> Row:
    found = connection.execute(f"SELECT {COLUMNS} FROM sagas WHERE id = ?", (saga_id,)).fetchone()  # noqa: S608
    if found is None:
        raise _not_there(connection, saga_id)
    return checked(found)


def _not_there(connection: sqlite3.Connection, saga_id: str) -> NotFoundError:
    """The error that there is no such saga, once that is sure: an index entry that misled the search stands beside it.

    Raises:
        DamagedError: an entry of the index is not what its row says.
    """
    for order in ("< ? ORDER BY id DESC", ">= ? ORDER BY id"):  # the same way down as that of the search
        found = connection.execute(f"SELECT key, id FROM sagas WHERE id {order} LIMIT 1", (saga_id,))  # noqa: S608
        for key, indexed in found:
            if connection.execute("SELECT id FROM sagas NOT INDEXED WHERE key = ?", (key,)).fetchone() != (indexed,):
                raise DamagedError(f"the index of ids is damaged beside {_cut(saga_id)}", hint=RESTORE)
    return _no_saga(saga_id)


def _no_saga(text: str) -> NotFoundError:
    return NotFoundError(f"no saga {_cut(text) or repr(text)}", hint="sagactl list shows what there is")


def _cut(text: str) -> str:
    """What somebody took for an id, no longer than a line."""
    return text if len(text) <= SHOWN_CHARS_MAX else text[:SHOWN_CHARS_MAX] + "…"


def _events(connection: sqlite3.Connection, saga_id: str, after: int) -> tuple[tuple[int, Event], ...]:
    from sagactl.core.codec import decode
    from sagactl.core.events import SagaStarted

    saga, facts = _row(connection, saga_id), []
    rows = connection.execute("SELECT seq, type, data, crc FROM events WHERE saga = ? ORDER BY seq", (saga.key,))
    texts = verified(saga, rows)
    for seq, (kind, text) in enumerate(texts, 1):
        if seq > after or seq == 1:
            try:
                facts.append((seq, decode(kind, text, lambda key: _definition(connection, saga_id, key))))
            except (ValueError, TypeError, KeyError) as error:
                raise _damaged(saga_id, seq, f"can't be read ({type(error).__name__}: {error})") from error
    first = facts[0][1]
    if not isinstance(first, SagaStarted) or (first.id, first.token) != (saga_id, saga.summary.token):
        raise _damaged(saga_id, 1, "is not the start of this saga")
    return tuple(facts if after < 1 else facts[1:])


def verified(saga: Row, rows: Iterable[Sequence[Any]]) -> list[tuple[str, str]]:
    """(type, JSON text) of all events of a saga, at least one."""
    saga_id, texts, chain = saga.summary.id, [], 0
    for expected, (seq, kind, data, crc) in enumerate(rows, 1):
        if seq != expected:
            raise _damaged(saga_id, expected, "is missing")
        if not isinstance(data, str | bytes) or event_crc(saga.summary.token, seq, kind, data) != crc:
            raise _damaged(saga_id, seq, "does not fit its checksum")
        chain = chained(chain, crc)
        try:
            texts.append((kind, unpack(data)))
        except ValueError as error:
            raise _damaged(saga_id, seq, f"can't be unpacked: {error}") from error
    if len(texts) < max(saga.seq, 1):
        raise _damaged(saga_id, len(texts) + 1, "is missing")
    if len(texts) > saga.seq:
        raise _damaged(saga_id, saga.seq + 1, "should not be there")
    if chain != saga.chain:
        raise DamagedError(f"saga {saga_id}: its {saga.seq} events are not those that were written", hint=RESTORE)
    return texts


def _definition(connection: sqlite3.Connection, saga_id: str, key: str) -> Definition:
    """The definition of that hash. Raises DamagedError where its text is not the one; else as its reader does."""
    from sagactl.digest import sha256
    from sagactl.model import Definition

    found = connection.execute("SELECT json FROM definitions WHERE hash = ?", (key,)).fetchone()
    if found is None or sha256(found[0].encode()) != key:
        raise DamagedError(f"saga {saga_id}: its definition is missing or damaged", hint=RESTORE)
    return Definition.from_json(json.loads(found[0]))


def _damaged(saga_id: str, seq: int, what: str) -> DamagedError:
    return DamagedError(f"saga {saga_id}: event {seq} {what}", hint=RESTORE)
