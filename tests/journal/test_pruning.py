"""What goes with a saga, what does not, and that the room is given back."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import anyio
import pytest

from sagactl.core.states import FINAL, SagaState
from sagactl.journal import checking, pruning
from sagactl.journal.listing import Row
from sagactl.journal.pruning import Ended
from sagactl.journal.reading import Reader
from sagactl.journal.sqlite import open_journal
from tests.journal.making import START_S, begun, history, make, told, write
from tests.world import ACTOR


@pytest.fixture
def path(tmp_path: Path) -> Path:
    path = tmp_path / "sagas.db"
    write(path, history("order-1"), history("order-2", steps=2), history("order-3"), history("refund-1", failing="step-2"),
          [begun("refund-2")])
    return path


def ended(path: Path, *names: str, wanted: Ended = Ended()) -> list[Row]:  # noqa: B008 - frozen
    """The sagas of these names, all where none is given, as far as they have ended."""
    reader = Reader(path)
    keys = reader.look(partial(pruning.find, wanted=wanted)).keys
    rows, damages = reader.look(partial(pruning.rows, keys=keys, wanted=wanted))
    assert not damages
    return [row for row in rows if not names or row.summary.id in names]


def forget(path: Path, rows: list[Row]) -> None:
    async def run() -> None:
        async with open_journal(path) as journal:
            await journal.forget(rows)

    anyio.run(run)


def every(path: Path, question: str) -> list[Any]:
    with closing(sqlite3.connect(path)) as connection:
        return [row[0] for row in connection.execute(question)]


def test_only_what_has_ended_is_found(path: Path) -> None:
    assert [row.summary.id for row in ended(path)] == ["order-2", "order-1", "order-3"]
    for states in ({SagaState.ABANDONED}, set(SagaState) - FINAL):
        wanted = Ended(states=frozenset(states))
        assert not Reader(path).look(partial(pruning.find, wanted=wanted)).keys


def test_what_ended_at_a_time_did_not_end_before_it(path: Path) -> None:
    ends = sorted({row.summary.changed_s for row in ended(path)})
    assert len(ends) == 2
    assert ended(path, wanted=Ended(before_s=ends[0])) == []
    assert [row.summary.id for row in ended(path, wanted=Ended(before_s=ends[1]))] == ["order-2"]
    found = Reader(path).look(partial(pruning.find, wanted=Ended()))
    assert (len(found.keys), found.oldest_s, found.newest_s) == (3, *ends)


@pytest.mark.anyio
async def test_a_saga_goes_with_its_events_and_its_requests_and_no_other_does(path: Path) -> None:
    async with open_journal(path) as journal:
        for name in ("order-1", "refund-2"):
            await journal.request(name, ACTOR, "stop")
        await journal.forget(ended(path, "order-1"))
    assert every(path, "SELECT DISTINCT saga FROM events") == [2, 3, 4, 5]
    assert every(path, "SELECT saga FROM requests") == [5]
    counts = Reader(path).count_by_state()
    assert {state.value: count for state, count in counts.items() if count} == {"running": 1, "escalated": 1, "completed": 2}
    assert Reader(path).look(checking.tables) == []
    assert Reader(path).load("order-3").seq == len(told(history()))


def test_a_definition_goes_with_the_last_saga_that_is_made_of_it(path: Path) -> None:
    assert len(every(path, "SELECT hash FROM definitions")) == 2
    forget(path, ended(path, "order-1", "order-3"))
    assert len(every(path, "SELECT hash FROM definitions")) == 2
    forget(path, ended(path, "order-2"))
    assert every(path, "SELECT hash FROM definitions") == every(path, "SELECT DISTINCT definition FROM sagas")
    assert Reader(path).load("refund-1").seq > 1


def test_definitions_whose_hashes_begin_alike_are_not_taken_for_each_other(path: Path) -> None:
    """A hash with the beginning of another one is put beside it."""
    one, other = sorted(set(every(path, "SELECT definition FROM sagas")))
    with closing(sqlite3.connect(path, isolation_level=None)) as connection:
        connection.execute("DROP TRIGGER sagas_keep_their_names")
        connection.execute("DROP TRIGGER definitions_never_change")
        connection.execute("UPDATE definitions SET hash = ? WHERE hash = ?", (other[:8] + one[8:], one))
        connection.execute("UPDATE sagas SET definition = ? WHERE definition = ?", (other[:8] + one[8:], one))
        connection.execute("DELETE FROM sagas WHERE definition = ?", (other,))
    assert every(path, "SELECT hash FROM definitions") == [other[:8] + one[8:]]


def test_a_saga_that_has_gone_on_since_it_was_read_stays(path: Path) -> None:
    (row,) = ended(path, "order-1")
    forget(path, [replace(row, seq=row.seq - 1)])
    assert Reader(path).load("order-1").seq == row.seq


def test_a_key_that_is_used_again_is_not_taken_for_the_saga_that_had_it(path: Path) -> None:
    write(path, history("order-9"))
    rows = ended(path, "order-9")
    forget(path, rows)
    assert Reader(path).look(partial(pruning.gone, sagas=rows)) == rows
    write(path, history("order-10"))
    assert [row.key for row in ended(path, "order-10")] == [row.key for row in rows]
    assert Reader(path).look(partial(pruning.gone, sagas=rows)) == rows


def test_a_row_that_the_index_has_in_the_wrong_state_is_not_trusted(path: Path) -> None:
    (row,) = ended(path, "order-1")
    with closing(sqlite3.connect(path, isolation_level=None)) as connection:
        connection.execute("UPDATE sagas SET state = 'completed' WHERE id = 'refund-2'")
    keys = Reader(path).look(partial(pruning.find, wanted=Ended())).keys
    rows, damages = Reader(path).look(partial(pruning.rows, keys=keys, wanted=Ended()))
    assert row in rows
    assert "refund-2" not in [each.summary.id for each in rows]
    assert "saga refund-2: its row does not fit" in damages[0].message


def test_room_is_given_back_piece_by_piece_while_others_write(tmp_path: Path) -> None:
    path = tmp_path / "sagas.db"
    make(path, 2000, steps=2)
    pages, rows, pieces = every(path, "PRAGMA page_count")[0], ended(path), 0

    async def run() -> None:
        nonlocal pieces
        async with open_journal(path) as journal:
            await journal.forget(rows)
            assert every(path, "PRAGMA freelist_count")[0] > pages * 0.9
            while await journal.shrink():
                pieces += 1
                await journal.append(*begun(f"new-{pieces}"))

    anyio.run(run)
    assert pieces == pages // pruning.SHRINK_PAGES
    assert every(path, "PRAGMA freelist_count") == [0]
    assert path.stat().st_size < pages * 8192 * 0.2
    assert Reader(path).look(checking.pages) == []


@pytest.mark.anyio
async def test_a_database_that_can_not_give_room_back_keeps_it(path: Path) -> None:
    with closing(sqlite3.connect(path, isolation_level=None)) as connection:
        connection.execute("PRAGMA journal_mode = DELETE")
        connection.execute("PRAGMA auto_vacuum = NONE")
        connection.execute("VACUUM")
    async with open_journal(path) as journal:
        for n in range(50):
            groups = history(f"many-{n}")
            await journal.append(groups[-1][0], told(groups))
        await journal.forget(ended(path))
        assert not await journal.shrink()
    assert every(path, "PRAGMA freelist_count")[0] > 0


def test_many_are_made_as_they_are_asked_for(tmp_path: Path) -> None:
    path = tmp_path / "sagas.db"
    make(path, 1100, escalated=3, interrupted=2, steps=2)
    counts = Reader(path).count_by_state()
    assert {state.value: count for state, count in counts.items() if count} == {
        "completed": 1095, "escalated": 3, "running": 2}
    assert Reader(path).load("order-700").started.at_s == START_S + 700
    assert not Reader(path).look(checking.tables)
