"""Looking: names, lists, and that a look leaves no trace."""

from __future__ import annotations

import os
import shutil
import sqlite3
import subprocess
import sys
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

import anyio
import pytest

from sagactl.core.saga import replay
from sagactl.core.states import FINAL, SagaState
from sagactl.errors import NotFoundError
from sagactl.journal import pruning
from sagactl.journal.listing import Wanted, counted, listed
from sagactl.journal.pruning import Ended
from sagactl.journal.reading import Reader, open_reader
from sagactl.journal.sqlite import open_journal
from tests.journal.making import START_S, begun, history, told, went_on, write

ROOT = Path(__file__).parents[2]


@pytest.fixture
def path(tmp_path: Path) -> Path:
    """Oldest first: two that completed, one that is escalated, one that runs."""
    path = tmp_path / "sagas.db"
    write(path, history("order-1"), history("order-10"), history("refund-1", failing="step-2"), [begun("refund-2")])
    return path


def trace(folder: Path) -> dict[str, tuple[int, int]]:
    return {str(each): (each.stat().st_mtime_ns, each.stat().st_size) for each in folder.rglob("*")}


def test_there_is_no_reader_where_there_is_no_database_and_nothing_is_made(tmp_path: Path) -> None:
    assert open_reader(tmp_path / "sagas.db") is None
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize(("text", "found"), [
    ("order-1", "order-1"), ("order-10", "order-10"), ("refund-2", "refund-2"), ("@last", "refund-2"),
])
def test_an_exact_id_wins_over_a_prefix_and_last_is_the_newest(path: Path, text: str, found: str) -> None:
    assert Reader(path).find(text) == found


def test_a_prefix_that_only_one_has_is_enough(path: Path) -> None:
    write(path, [begun("unlike-the-others")])
    assert Reader(path).find("un") == "unlike-the-others"


def test_an_ambiguous_prefix_is_an_error_that_names_candidates(path: Path) -> None:
    with pytest.raises(NotFoundError, match="'o'") as caught:
        Reader(path).find("o")
    assert caught.value.hint == "order-1, order-10"
    with pytest.raises(NotFoundError, match="no saga"):
        Reader(path).find("")


def test_an_unknown_name_is_an_error_with_a_hint(path: Path) -> None:
    for name in ("order-2", "zzz", "0", "order-1%", "ORDER-1"):
        with pytest.raises(NotFoundError) as caught:
            Reader(path).find(name)
        assert caught.value.hint
    with pytest.raises(NotFoundError):
        Reader(path).load("order")


def test_the_newest_of_no_sagas_is_an_error(tmp_path: Path) -> None:
    write(tmp_path / "sagas.db")
    with pytest.raises(NotFoundError, match="no sagas yet"):
        Reader(tmp_path / "sagas.db").find("@last")


def test_a_saga_is_the_replay_of_its_events(path: Path) -> None:
    events = told(history("refund-1", failing="step-2"))
    assert Reader(path).load("refund-1") == replay(events)
    assert Reader(path).events("refund-1") == tuple(enumerate(events, 1))


def test_events_after_a_number_begin_with_the_next_one(path: Path) -> None:
    whole = Reader(path).events("order-1")
    for after in range(len(whole) + 2):
        assert Reader(path).events("order-1", after=after) == whole[after:]


def test_unfinished_sagas_come_first_and_the_newest_first_of_both(path: Path) -> None:
    rows = Reader(path).summaries().rows
    assert [(row.id, row.state) for row in rows] == [
        ("refund-2", SagaState.RUNNING), ("refund-1", SagaState.ESCALATED),
        ("order-10", SagaState.COMPLETED), ("order-1", SagaState.COMPLETED),
    ]
    assert [Reader(path).summaries(limit=n).rows for n in range(6)] == [rows[:n] for n in range(6)]


def test_lists_can_be_narrowed(path: Path) -> None:
    reader = Reader(path)
    assert [row.id for row in reader.summaries(states=[SagaState.ESCALATED]).rows] == ["refund-1"]
    assert reader.summaries(states=[]).rows == ()
    assert len(reader.summaries(name_glob="simul*").rows) == 4
    assert reader.summaries(name_glob="order*").rows == ()
    assert [row.id for row in reader.summaries(since_s=START_S + 0.001).rows] == ["refund-1", "order-10", "order-1"]


def test_a_summary_tells_how_far_a_saga_is_and_why(path: Path) -> None:
    escalated, completed = (Reader(path).summaries(states=[state]).rows[0] for state in
                            (SagaState.ESCALATED, SagaState.COMPLETED))
    saga = history("refund-1", failing="step-2")[-1][0]
    assert (escalated.steps_done, escalated.steps_total, escalated.changed_s) == (0, 5, saga.changed_s)
    assert escalated.why.startswith("step-")
    assert (completed.steps_done, completed.steps_total, completed.why) == (5, 5, "")
    assert (completed.name, completed.created_s) == ("simulated", START_S)


def test_sagas_are_counted_by_state(path: Path) -> None:
    counts = Reader(path).count_by_state()
    assert {state.value: count for state, count in counts.items() if count} == {
        "running": 1, "escalated": 1, "completed": 2,
    }
    assert set(counts) == set(SagaState)


def test_looking_at_a_database_at_rest_leaves_no_trace(path: Path) -> None:
    before = trace(path.parent)
    reader = Reader(path)
    assert reader.load(reader.find("@last")).seq == 1
    assert len(reader.summaries().rows) == 4
    assert trace(path.parent) == before


def test_looking_at_a_database_in_use_makes_no_file_and_sees_what_is_durable(path: Path) -> None:
    async def look() -> None:
        async with open_journal(path) as journal:
            await journal.append(*begun("order-7"))
            before = set(path.parent.rglob("*"))
            assert Reader(path).load("order-7").seq == 1
            assert set(path.parent.rglob("*")) == before

    anyio.run(look)


def test_a_reader_that_is_kept_sees_what_was_written_since(path: Path) -> None:
    reader = Reader(path)
    assert reader.find("@last") == "refund-2"
    write(path, [begun("order-8")])
    assert reader.find("@last") == "order-8"


def test_a_crashed_process_leaves_a_wal_that_is_read(path: Path, tmp_path: Path) -> None:
    """What a kill leaves: the database and its WAL, never written back."""
    copy = tmp_path / "copy"
    copy.mkdir()

    async def crash() -> None:
        async with open_journal(path) as journal:
            await journal.append(*begun("order-9"))
            for name in ("sagas.db", "sagas.db-wal", "sagas.db-shm"):
                shutil.copy(path.with_name(name), copy)

    anyio.run(crash)
    assert Reader(copy / "sagas.db").find("@last") == "order-9"


LOOK = """
import os, sys
from pathlib import Path
import hashlib, sagactl.core.codec  # whose code that user may not read
from sagactl.journal.reading import open_reader
os.setgid(65534); os.setuid(65534)
reader = open_reader(Path(sys.argv[1]))
print(reader.load(reader.find("@last")).id, os.access(os.path.dirname(sys.argv[1]), os.W_OK))
"""


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can become somebody else")
def test_a_folder_that_cannot_be_written_to_can_be_looked_at(path: Path) -> None:
    for folder in (path.parent, *path.parent.parents):
        if folder.stat().st_mode & 0o005 != 0o005:
            folder.chmod(folder.stat().st_mode | 0o005)
    path.chmod(0o644)
    done = subprocess.run([sys.executable, "-c", LOOK, str(path)], cwd=ROOT, capture_output=True, text=True,
                          check=False)
    assert (done.stdout, done.stderr) == ("refund-2 False\n", "")


def test_a_look_imports_neither_asyncio_nor_libraries() -> None:
    code = "import sys; import sagactl.journal.reading; print(*sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True)
    assert not {"anyio", "asyncio", "typer", "rich", "yaml"} & set(done.stdout.split())


def test_those_that_changed_last_come_first_where_a_time_is_given(path: Path) -> None:
    older = begun("refund-3", at_s=START_S - 100)
    write(path, [older, went_on(older[0], START_S + 100)], history("late", begun_s=START_S - 50))
    rows = Reader(path).summaries(since_s=START_S - 60).rows
    assert [row.id for row in rows] == ["refund-3", "refund-1", "refund-2", "order-10", "order-1", "late"]
    assert [row.id for row in Reader(path).summaries(since_s=START_S + 0.001).rows] == [
        "refund-3", "refund-1", "order-10", "order-1"]
    assert [Reader(path).summaries(since_s=START_S - 60, limit=n).rows for n in range(7)] == [rows[:n] for n in range(7)]


QUESTIONS = (
    "SELECT id FROM sagas WHERE id >= ? AND id < 'p' ORDER BY id LIMIT 6",
    "SELECT * FROM sagas WHERE id = ?",
    "SELECT * FROM events WHERE saga = ? ORDER BY seq",
)


def plans(path: Path, look: Callable[[sqlite3.Connection], object]) -> list[str]:
    """How SQLite finds what a look asks for, a line for each table or sort."""
    asked: list[str] = []
    with closing(sqlite3.connect(path, isolation_level=None)) as connection:
        connection.set_trace_callback(asked.append)
        look(connection)
        connection.set_trace_callback(None)
        return [row[3] for each in asked if not each.startswith("--")
                for row in connection.execute(f"EXPLAIN QUERY PLAN {each}")]


@pytest.mark.parametrize("question", QUESTIONS)
def test_an_index_answers_without_a_scan_or_a_sort(path: Path, question: str) -> None:
    found = plans(path, lambda connection: connection.execute(question, ("x",)))
    assert found
    assert all(line.startswith("SEARCH") for line in found), found


@pytest.mark.parametrize("state", SagaState)
@pytest.mark.parametrize("since_s", [None, START_S])
def test_a_list_of_a_state_reads_those_that_it_shows(path: Path, state: SagaState, since_s: float | None) -> None:
    """Of those that a person has to see to there are few, and they may be sorted."""
    wanted = Wanted(states=frozenset({state}), since_s=since_s, limit=20)
    found = [line for line in plans(path, lambda connection: listed(connection, wanted)) if "counts" not in line]
    index = "sagas_by_state (state=?)" if since_s is None or state not in FINAL else "sagas_by_end (state=? AND changed_s>?)"
    sort = ["USE TEMP B-TREE FOR ORDER BY"] if since_s is not None and state not in FINAL else []
    assert found == [f"SEARCH sagas USING INDEX {index}", *sort]


def test_what_is_to_be_pruned_is_found_in_the_index_alone(path: Path) -> None:
    found = plans(path, lambda connection: pruning.find(connection, Ended(before_s=START_S)))
    assert found == ["SEARCH sagas USING COVERING INDEX sagas_by_end (state=? AND changed_s<?)"] * 3


def test_the_other_sagas_of_a_definition_are_looked_for_in_an_index(path: Path) -> None:
    """In the trigger, of which the plan tells nothing: the tables and indexes that its program opens to read."""
    with closing(sqlite3.connect(path)) as connection:
        names = dict(connection.execute("SELECT rootpage, name FROM sqlite_schema"))
        program = connection.execute("EXPLAIN DELETE FROM sagas WHERE key = 1").fetchall()
    read = [names.get(root) for _, operation, _, root, *_ in program if operation == "OpenRead"]
    assert "sagas_by_definition" in read


def test_sagas_are_counted_without_reading_one(path: Path) -> None:
    assert plans(path, counted) == ["SCAN counts"]
