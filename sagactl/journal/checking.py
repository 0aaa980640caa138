"""Whether all of a database is as it was written: SQLite's own check, every checksum, and what belongs together.

Rule: it changes nothing and goes on behind whatever is damaged. One saga is in memory at a time, so that a large
database can be checked. Every function is called within a look of reading.py.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from typing import Final

from sagactl.digest import sha256
from sagactl.errors import DamagedError
from sagactl.journal.listing import Row, Summary, by_key, counted, keys
from sagactl.journal.reading import verified
from sagactl.journal.rows import RESTORE, is_damage

PROBLEMS_MAX: Final = 10
"""Of what SQLite finds, so many are told: the rest follows from the same damage."""

_LOST_EVENTS: Final = "SELECT saga, count(*) FROM events WHERE saga NOT IN (SELECT key FROM sagas) " \
                      "GROUP BY saga LIMIT ?"


def pages(connection: sqlite3.Connection) -> list[str]:
    """What SQLite finds wrong with the structure of the file; nothing for a sound one."""
    try:
        rows = connection.execute(f"PRAGMA integrity_check({PROBLEMS_MAX})").fetchall()
    except sqlite3.Error as error:
        if not is_damage(error):
            raise
        return [str(error)]
    return [line for row in rows for line in str(row[0]).splitlines() if line != "ok"]


def sagas(connection: sqlite3.Connection) -> Iterator[Summary | DamagedError]:
    """Every saga whose row, events and definition fit their checksums; of every other what is wrong with it."""
    sound: dict[str, bool] = {}
    for key, named in sorted(keys(connection).items()):
        try:
            row = by_key(connection, key, named)
            _check_events(connection, row, sound)
        except DamagedError as error:
            yield error
        else:
            yield row.summary


def tables(connection: sqlite3.Connection) -> list[str]:
    """What is wrong between the tables: the counts of sagas, and events whose saga is gone."""
    found: list[str] = []

    def counts() -> None:
        there = dict(connection.execute("SELECT state, count(*) FROM sagas NOT INDEXED GROUP BY state"))
        if (kept := counted(connection)) != there:
            found.append(f"sagas are counted as {kept}, and there are {there}")

    def events() -> None:
        for saga, number in connection.execute(_LOST_EVENTS, (PROBLEMS_MAX,)):
            found.append(f"{number} events belong to a saga with key {saga}, which is not there")

    for look in (counts, events):
        try:
            look()
        except (sqlite3.Error, UnicodeDecodeError) as error:
            if not is_damage(error):
                raise
            found.append(f"{look.__name__} can't be read: {error}")
    return found


def tokens(connection: sqlite3.Connection) -> set[str]:
    """The tokens of all sagas. Raises sqlite3.Error where the table is damaged."""
    return {token for (token,) in connection.execute("SELECT token FROM sagas")}


def _check_events(connection: sqlite3.Connection, row: Row, sound: dict[str, bool]) -> None:
    """Raises DamagedError. `sound` remembers definitions by hash: many sagas have the same."""
    saga = f"saga {row.summary.id}"
    try:
        rows = connection.execute("SELECT seq, type, data, crc FROM events WHERE saga = ? ORDER BY seq", (row.key,))
        verified(row, rows)
        (name,) = connection.execute("SELECT definition FROM sagas WHERE key = ?", (row.key,)).fetchone()
        if name not in sound:
            sound[name] = _is_sound(connection, name)
    except (sqlite3.Error, UnicodeDecodeError) as error:
        if not is_damage(error):
            raise
        raise DamagedError(f"{saga}: its events can't be read ({error})", hint=RESTORE) from error
    if not sound[name]:
        raise DamagedError(f"{saga}: its definition is missing or damaged", hint=RESTORE)


def _is_sound(connection: sqlite3.Connection, name: str) -> bool:
    found = connection.execute("SELECT json FROM definitions WHERE hash = ?", (name,)).fetchone()
    return found is not None and sha256(str(found[0]).encode()) == name


