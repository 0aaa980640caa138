"""What `prune` takes away: sagas that have ended, found by when that was, and how much there is of each.

Rule: only a final saga is ever named here, and only by a row that fits its checksum. The index of ends finds them, so
that few are found without a look at many. Called within a look of reading.py; `forget` within a write transaction.
"""

from __future__ import annotations

import sqlite3
from array import array
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from math import inf
from typing import Final

from sagactl.core.states import FINAL, SagaState
from sagactl.errors import DamagedError
from sagactl.journal.listing import ENDED, Row, by_key

SHRINK_PAGES: Final = 256
"""So many pages, 2 MB, are given back in one transaction: others wait for it a few hundredths of a second."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Ended:
    """Which final sagas: in one of these states, their last event before `before_s`."""

    states: frozenset[SagaState] = FINAL
    before_s: float = inf

    def has(self, row: Row) -> bool:
        """Whether a saga is one of them."""
        return row.summary.state in self.states & FINAL and row.summary.changed_s < self.before_s


@dataclass(slots=True)
class Found:
    """The keys of sagas, those of a state in the order in which they ended, and when the first and the last did."""

    keys: array[int] = field(default_factory=lambda: array("q"))
    oldest_s: float = inf
    newest_s: float = -inf


def find(connection: sqlite3.Connection, wanted: Ended) -> Found:
    """All of them as the index has it; only `rows` can be trusted."""
    found = Found()
    for state in sorted(wanted.states & FINAL):
        rows = connection.execute(f"SELECT key, changed_s FROM sagas WHERE state = ? AND {ENDED} "  # noqa: S608
                                  "AND changed_s < ? ORDER BY changed_s", (state, wanted.before_s))
        for key, changed_s in rows:
            found.keys.append(key)
            found.oldest_s, found.newest_s = min(found.oldest_s, changed_s), max(found.newest_s, changed_s)
    return found


def rows(
    connection: sqlite3.Connection, keys: Iterable[int], wanted: Ended,
) -> tuple[list[Row], list[DamagedError]]:
    """Those of these sagas that are still there and still wanted, and what is wrong with others."""
    found: list[Row] = []
    damages: list[DamagedError] = []
    for key in keys:
        if connection.execute("SELECT 1 FROM sagas WHERE key = ?", (key,)).fetchone() is None:
            continue
        try:
            row = by_key(connection, key, None)
        except DamagedError as error:
            damages.append(error)
            continue
        if wanted.has(row):
            found.append(row)
    return found, damages


def events_bytes(connection: sqlite3.Connection, sagas: Sequence[Row]) -> list[int]:
    """How many bytes the events of each of these sagas hold."""
    sums = "SELECT total(length(CAST(data AS BLOB))) FROM events WHERE saga = ?"
    return [int(connection.execute(sums, (row.key,)).fetchone()[0]) for row in sagas]


def gone(connection: sqlite3.Connection, sagas: Sequence[Row]) -> list[Row]:
    """Those of these sagas that are not there any more."""
    there = "SELECT 1 FROM sagas WHERE key = ? AND token = ?"
    return [row for row in sagas if connection.execute(there, (row.key, row.summary.token)).fetchone() is None]


def forget(connection: sqlite3.Connection, sagas: Sequence[Row]) -> None:
    """Delete sagas with all that is their own; one that has gone on since it was read stays."""
    connection.executemany("DELETE FROM sagas WHERE key = ? AND seq = ?", [(row.key, row.seq) for row in sagas])


def shrink(connection: sqlite3.Connection) -> bool:
    """Give a piece of the room that became free back to the file system; whether there is more."""
    before = connection.execute("PRAGMA freelist_count").fetchone()
    for _ in range(SHRINK_PAGES):
        connection.execute("PRAGMA incremental_vacuum(1)")  # of a larger number Python takes one step as well
    after = connection.execute("PRAGMA freelist_count").fetchone()
    return bool(0 < after[0] < before[0])  # a database that can't give pages back keeps them for what comes
