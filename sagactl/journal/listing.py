"""Lists of sagas: the rows of `sagas` that can be trusted, and by name those that can't.

A list is read through the index of states. Where anything about that is damaged, the whole table is read again row by
row, by every way that leads to a row: what is damaged then costs itself and nothing else.
Rule: a saga is in a list, or the list says that something is missing. Called within a look of reading.py.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from sagactl.core.states import FINAL, SagaState
from sagactl.errors import DamagedError
from sagactl.journal.rows import RESTORE, SUMMARY_COLUMNS, is_damage, summary_crc

COLUMNS: Final = f"key, crc, {', '.join(SUMMARY_COLUMNS)}"

PIECE_MAX: Final = 1000
"""So many sagas are read at once where all of them are wanted."""

ENDED: Final = "state IN ('completed', 'compensated', 'abandoned')"
"""As in schema.sql, word for word: only then the index of ends is used. True of every final saga."""

_WAYS: Final = tuple(
    f"SELECT key, {name} FROM sagas {by} ORDER BY {column} {order}"  # noqa: S608 - our own names
    for by, column, name in (("NOT INDEXED", "key", "NULL"), ("INDEXED BY sagas_by_state", "state", "NULL"),
                             ("INDEXED BY sqlite_autoindex_sagas_1", "id", "id"))
    for order in ("ASC", "DESC")
)
"""All ways to the rows, each from both ends: a damaged page ends a walk."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Summary:
    """A saga in a list. Times are Unix seconds; `why` is one line, unsafe for terminals as it is."""

    id: str
    token: str
    name: str
    state: SagaState
    created_s: float
    changed_s: float
    steps_done: int
    steps_total: int
    why: str


@dataclass(frozen=True, slots=True)
class Row:
    """A row of `sagas` that fits its CRC."""

    key: int
    seq: int
    chain: int
    summary: Summary


@dataclass(frozen=True, slots=True)
class Listing:
    """The sagas of a list that can be trusted, and what is wrong with the others; each error names a saga or a row."""

    rows: tuple[Summary, ...] = ()
    damages: tuple[DamagedError, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Wanted:
    """What a list is to have. `name_glob` is matched by SQLite's GLOB; None is no condition."""

    states: frozenset[SagaState]
    name_glob: str | None = None
    since_s: float | None = None
    limit: int | None = None


def listed(connection: sqlite3.Connection, wanted: Wanted) -> Listing:
    """Unfinished and escalated sagas first, then the finished ones; within both the newest first, or with `since_s`
    the one that changed last.
    """
    try:
        rows: list[Row] = []
        for group in (wanted.states - FINAL, wanted.states & FINAL):
            rows += _newest(connection, group, wanted, None if wanted.limit is None else wanted.limit - len(rows))
        return Listing(tuple(row.summary for row in rows))
    except (DamagedError, sqlite3.Error, UnicodeDecodeError) as error:
        if not is_damage(error):
            raise
        return _carefully(connection, wanted, error)


def piece(connection: sqlite3.Connection, after: int) -> tuple[Listing, int | None]:
    """The next sagas after that key, the oldest first, and the key to go on after: None, these are the last ones.

    Where they are damaged these are all that are left.
    """
    try:
        question = f"SELECT {COLUMNS} FROM sagas NOT INDEXED WHERE key > ? ORDER BY key LIMIT ?"  # noqa: S608
        rows = [checked(row) for row in connection.execute(question, (after, PIECE_MAX))]
        if len(rows) == PIECE_MAX:
            return Listing(tuple(row.summary for row in rows)), rows[-1].key
        there = connection.execute("SELECT count(*) FROM sagas NOT INDEXED").fetchone()[0]
        if there != sum(counted(connection).values()):
            raise DamagedError("the list of all sagas is damaged", hint=RESTORE)
        return Listing(tuple(row.summary for row in rows)), None
    except (DamagedError, sqlite3.Error, UnicodeDecodeError) as error:
        if not is_damage(error):
            raise
        rows, damages = _one_by_one(connection, error)
        rows.sort(key=lambda row: row.key)
        return Listing(tuple(row.summary for row in rows if row.key > after), tuple(damages)), None


def checked(found: Sequence[Any], named: str = "") -> Row:
    """A row that was read as COLUMNS. Raises DamagedError, which says `named` where that is known to be its id."""
    key, crc, *values = found
    row = dict(zip(SUMMARY_COLUMNS, values, strict=True))
    try:
        fits = summary_crc(values) == crc
    except (TypeError, ValueError):
        fits = False
    if not fits:
        raise DamagedError(f"saga {named or row['id']}: its row does not fit its checksum", hint=RESTORE)
    row["state"] = SagaState(row["state"])
    return Row(key, row["seq"], row["chain"], Summary(**{field: row[field] for field in Summary.__slots__}))


def keys(connection: sqlite3.Connection) -> Mapping[int, str | None]:
    """The keys of all sagas that any way leads to, each with the id that its index has for it.

    Damage is skipped: a key may be missing, or be none.
    """
    found: dict[int, str | None] = {}
    for way in _WAYS:
        try:
            for key, named in connection.execute(way):
                found[key] = named or found.get(key)
        except (sqlite3.Error, UnicodeDecodeError) as error:
            if not is_damage(error):
                raise
    return found


def by_key(connection: sqlite3.Connection, key: int, named: str | None) -> Row:
    """The row of a key. Raises DamagedError, which says `named`, or the key, where the row does not tell."""
    who = f"saga {named}" if named else f"the saga with key {key}"
    try:
        found = connection.execute(f"SELECT {COLUMNS} FROM sagas WHERE key = ?", (key,)).fetchone()  # noqa: S608
    except (sqlite3.Error, UnicodeDecodeError) as error:
        if not is_damage(error):
            raise
        raise DamagedError(f"{who}: its row can't be read ({error})", hint=RESTORE) from error
    if found is None:
        raise DamagedError(f"{who}: an index leads to no row", hint=RESTORE)
    row = checked(found, named or "")
    if named not in (None, row.summary.id):
        raise DamagedError(f"saga {row.summary.id}: the index of ids has it as {named}", hint=RESTORE)
    return row


def counted(connection: sqlite3.Connection) -> dict[str, int]:
    """How many sagas are in each state by the table `counts`, which has no checksum."""
    return {state: sagas for state, sagas in connection.execute("SELECT state, sagas FROM counts") if sagas}


def _newest(
    connection: sqlite3.Connection, states: frozenset[SagaState], wanted: Wanted, limit: int | None,
) -> list[Row]:
    """The newest sagas in these states. One look for each state: an index has them in this order already."""
    found: list[Row] = []
    for state in states:
        rows = connection.execute(_question(state, wanted), (
            state.value, wanted.name_glob, wanted.since_s, -1 if limit is None else limit,
        ))
        trusted = [checked(row) for row in rows]
        whole = wanted.name_glob is None and wanted.since_s is None and (limit is None or len(trusted) < limit)
        _check(connection, state, trusted, whole=whole)
        found += trusted
    return sorted(found, key=lambda row: _age(row, wanted), reverse=True)[:limit]


def _question(state: SagaState, wanted: Wanted) -> str:
    """Those of a state that changed lately stand together in the index of ends, so that it reads no others."""
    lately = f"AND changed_s >= ?3{f' AND {ENDED}' if state in FINAL else ''} ORDER BY changed_s DESC, key DESC"
    return (f"SELECT {COLUMNS} FROM sagas WHERE state = ?1 AND (?2 IS NULL OR name GLOB ?2) "  # noqa: S608
            f"{'ORDER BY key DESC' if wanted.since_s is None else lately} LIMIT ?4")


def _age(row: Row, wanted: Wanted) -> tuple[float, int]:
    """What a list is in order of: when a saga began, or with `since_s` when it changed."""
    return 0.0 if wanted.since_s is None else row.summary.changed_s, row.key


def _check(connection: sqlite3.Connection, state: SagaState, trusted: Sequence[Row], *, whole: bool) -> None:
    """A damaged index of states shows in rows of another state, and in their number where these are all there are.

    Raises:
        DamagedError: a saga may be missing from the list.
    """
    fits = all(row.summary.state is state for row in trusted)
    if whole:
        fits = fits and len({row.key for row in trusted}) == counted(connection).get(state, 0)
    if not fits:
        raise DamagedError(f"the list of {state} sagas is damaged", hint=RESTORE)


def _carefully(connection: sqlite3.Connection, wanted: Wanted, error: Exception) -> Listing:
    """The list from all rows that can be read one by one. Whatever the state of a damaged one is, it is told of."""
    found, damages = _one_by_one(connection, error)
    rows = [row for row in found if row.summary.state in wanted.states and _meets(connection, row.summary, wanted)]
    rows.sort(key=lambda row: (row.summary.state not in FINAL, _age(row, wanted)), reverse=True)
    return Listing(tuple(row.summary for row in rows[:wanted.limit]), tuple(damages))


def _one_by_one(connection: sqlite3.Connection, error: Exception) -> tuple[list[Row], list[DamagedError]]:
    """All rows that can be read one by one, and what is wrong with the others: at the least `error`."""
    found: list[Row] = []
    damages: list[DamagedError] = []
    for key, named in keys(connection).items():
        try:
            found.append(by_key(connection, key, named))
        except DamagedError as damage:
            damages.append(damage)
    if not damages:
        damages = [error if isinstance(error, DamagedError) else
                   DamagedError(f"the list of sagas is damaged, and may lack some ({error})", hint=RESTORE)]
    return found, damages


def _meets(connection: sqlite3.Connection, summary: Summary, wanted: Wanted) -> bool:
    late = wanted.since_s is None or summary.changed_s >= wanted.since_s
    return late and (wanted.name_glob is None or bool(
        connection.execute("SELECT ? GLOB ?", (summary.name, wanted.name_glob)).fetchone()[0]))
