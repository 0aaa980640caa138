"""What only SQLite can promise: durable, shared with other processes, and whole after any failure."""

from __future__ import annotations

import asyncio
import os
import resource
import sqlite3
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path

import anyio
import anyio.lowlevel
import pytest

from sagactl.errors import StoreError
from sagactl.journal import place
from sagactl.journal.lock import Patience, WriteLock
from sagactl.journal.reading import Reader
from sagactl.journal.sqlite import SqliteJournal, open_journal
from tests.journal.making import begun, history, told, went_on, write
from tests.world import ACTOR

ROOT = Path(__file__).parents[2]
BYTES_OF_A_SAGA_MAX = 4000


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "state" / "sagas.db"


def python(code: str, *arguments: object, **options: object) -> subprocess.Popen[str]:
    """Another process that runs `code`; its stdin and stdout are pipes."""
    return subprocess.Popen([sys.executable, "-c", code, *map(str, arguments)], cwd=ROOT, text=True,  # type: ignore[call-overload,no-any-return]
                            stdin=subprocess.PIPE, stdout=subprocess.PIPE, **options)


HOLD = """
import sys
from pathlib import Path
from sagactl.journal.lock import Patience, WriteLock
lock = WriteLock(Path(sys.argv[1]))
assert lock.take(Patience(0))
print("held", flush=True)
sys.stdin.read()
"""


@contextmanager
def held(path: Path) -> Iterator[subprocess.Popen[str]]:
    """Another process holds the lock of those who write to a database, until its stdin or the context ends."""
    with python(HOLD, place.folder_of(path) / "write.lock") as holder:
        assert holder.stdout is not None
        assert holder.stdout.readline() == "held\n"
        yield holder


async def tried() -> None:
    """Until all that can has been done, and the loop has come to what was to be called soon."""
    await anyio.wait_all_tasks_blocked()
    await anyio.lowlevel.checkpoint()


APPEND = """
import sys
from pathlib import Path
from tests.journal.making import history, write
sys.stdin.readline()
write(Path(sys.argv[1]), *(history(f"{sys.argv[2]}-{n}") for n in range(10)))
"""

FILL = """
import anyio, resource, sys
from pathlib import Path
from sagactl.errors import StoreError
from sagactl.journal.sqlite import open_journal
from tests.journal.making import begun

async def main():
    async with open_journal(Path(sys.argv[1])) as journal:
        await journal.append(*begun("before"))
        resource.setrlimit(resource.RLIMIT_FSIZE, (200_000, resource.RLIM_INFINITY))
        try:
            for n in range(1000):
                await journal.append(*begun(f"filling-{n}"))
        except StoreError as error:
            print(n, error.exit_code, error.message, error.hint, sep="|")
        resource.setrlimit(resource.RLIMIT_FSIZE, (resource.RLIM_INFINITY, resource.RLIM_INFINITY))
        await journal.append(*begun("after"))

anyio.run(main)
"""


@pytest.mark.anyio
async def test_appends_that_wait_at_the_same_time_share_one_transaction(path: Path) -> None:
    async with open_journal(path) as journal:
        lock = WriteLock(Path(f"{path}.d/write.lock"))
        async with anyio.create_task_group() as tasks, lock.held():
            for n in range(100):
                tasks.start_soon(journal.append, *begun(f"order-{n}"))
            await anyio.wait_all_tasks_blocked()
        lock.close()
        assert journal.commits == 1
    assert len(Reader(path).summaries().rows) == 100


@pytest.mark.anyio
async def test_a_caller_that_is_cancelled_is_heard_all_the_same_and_does_not_break_the_others(path: Path) -> None:
    async with open_journal(path) as journal:
        lock = WriteLock(Path(f"{path}.d/write.lock"))
        async with anyio.create_task_group() as others, lock.held(), anyio.create_task_group() as cancelled:
            for n in range(10):
                group = cancelled if n % 2 else others
                group.start_soon(journal.append, *begun(f"order-{n}"))
            await anyio.wait_all_tasks_blocked()
            cancelled.cancel_scope.cancel()
        lock.close()
        await journal.append(*begun("later"))
    reader = Reader(path)
    assert all(reader.load(row.id).seq == 1 for row in reader.summaries().rows)
    assert {*(f"order-{n}" for n in range(10)), "later"} == {row.id for row in reader.summaries().rows}


@pytest.mark.anyio
async def test_more_appends_than_one_transaction_takes_are_all_done(
    path: Path, monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("sagactl.journal.sqlite.BATCH_MAX", 3)
    async with open_journal(path) as journal, anyio.create_task_group() as tasks:
        for n in range(20):
            tasks.start_soon(journal.append, *begun(f"order-{n}"))
    assert len(Reader(path).summaries().rows) == 20


def test_a_finished_saga_of_five_steps_takes_at_most_4_kb(path: Path) -> None:
    write(path)
    empty = path.stat().st_size
    write(path, *(history(f"order-{n:04}") for n in range(100)))
    assert (path.stat().st_size - empty) / 100 <= BYTES_OF_A_SAGA_MAX


@pytest.mark.anyio
async def test_a_lock_held_by_another_process_is_an_error_that_names_it(path: Path) -> None:
    heard: list[str] = []
    async with open_journal(path, lock_wait_s=0.05) as journal:
        for n in range(2):  # it waits as long the second time
            with held(path) as holder:
                asyncio.get_running_loop().call_later(0.01, heard.append, "meanwhile")
                with pytest.raises(StoreError, match=f"process {holder.pid}") as caught:
                    await journal.append(*begun(f"order-{n}"))
                assert heard == ["meanwhile"] * (n + 1)
            assert caught.value.exit_code == 7
            await journal.append(*begun(f"order-{n}"))
    assert {row.id for row in Reader(path).summaries().rows} == {"order-0", "order-1"}


@pytest.mark.anyio
async def test_what_is_on_the_loop_goes_on_while_another_process_holds_the_lock(path: Path) -> None:
    async with open_journal(path, lock_wait_s=10) as journal:
        with held(path) as holder:
            async with anyio.create_task_group() as tasks:
                tasks.start_soon(journal.append, *begun())
                await tried()
                assert not Reader(path).summaries().rows
                holder.communicate("")
    assert Reader(path).load("order-1").seq == 1


@pytest.mark.anyio
async def test_what_a_cancelled_caller_left_is_written_before_the_database_is_closed(path: Path) -> None:
    place.prepare(path)
    place.create(path)
    with held(path) as holder:
        async with open_journal(path, lock_wait_s=10) as journal, anyio.create_task_group() as tasks:
            tasks.start_soon(journal.append, *begun())
            await tried()
            tasks.cancel_scope.cancel()
            asyncio.get_running_loop().call_later(0.01, holder.communicate, "")
    assert Reader(path).load("order-1").seq == 1


@pytest.mark.anyio
async def test_closing_ends_though_what_a_cancelled_caller_left_can_not_be_written(
    path: Path, monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("sagactl.journal.sqlite.SHUT_WAIT_S", 0.01)
    place.prepare(path)
    place.create(path)
    with held(path):
        async with open_journal(path, lock_wait_s=0.05) as journal, anyio.create_task_group() as tasks:
            tasks.start_soon(journal.append, *begun())
            await tried()
            tasks.cancel_scope.cancel()
        assert journal._next is None
    assert not Reader(path).summaries().rows


@pytest.mark.anyio
async def test_closing_that_is_itself_cancelled_leaves_nothing_on_the_loop(path: Path) -> None:
    """As at a second Ctrl-C, when asyncio ends all tasks, and no shield keeps it from that."""
    journals: list[SqliteJournal] = []

    async def use() -> None:
        async with open_journal(path) as journal:
            journals.append(journal)
            await journal.append(*begun())

    place.prepare(path)
    place.create(path)
    with held(path):
        using = asyncio.ensure_future(use())
        for _ in range(2):
            await tried()
            assert not using.done()
            using.cancel()
        with pytest.raises(asyncio.CancelledError):
            await using
        (journal,) = journals
        assert journal._next is not None
        assert journal._next.cancelled()
    assert not Reader(path).summaries().rows


def test_two_processes_that_append_at_the_same_time_lose_nothing(path: Path) -> None:
    writers = [python(APPEND, path, name) for name in ("left", "right")]
    for each in writers:
        assert each.stdin is not None
        each.stdin.write("go\n")
        each.stdin.flush()
    for each in writers:
        each.communicate()
        assert each.returncode == 0
    reader = Reader(path)
    for name in ("left", "right"):
        for n in range(10):
            expected = told(history(f"{name}-{n}"))
            assert tuple(event for _, event in reader.events(f"{name}-{n}")) == expected


def test_a_write_that_fails_for_want_of_room_leaves_nothing_behind_and_a_later_one_works(path: Path) -> None:
    with python(FILL, path, start_new_session=True) as filling:
        said, _ = filling.communicate()
    assert filling.returncode == 0
    count, code, message, hint = said.strip().split("|")
    assert (code, str(path) in message, bool(hint)) == ("7", True, True)
    reader = Reader(path)
    names = {row.id for row in reader.summaries().rows}
    assert names == {"before", "after", *(f"filling-{n}" for n in range(int(count)))}
    assert all(reader.load(name).seq == 1 for name in names)
    assert resource.getrlimit(resource.RLIMIT_FSIZE)[0] == resource.RLIM_INFINITY


@pytest.mark.anyio
async def test_a_full_database_fails_the_append_that_needs_room_and_keeps_the_others(path: Path) -> None:
    async with open_journal(path) as journal:
        await journal.append(*begun("before"))
        journal._connection.execute("PRAGMA max_page_count = 20")
        with pytest.raises(StoreError, match="the disk is full"):
            await journal.append(*begun("large", params={"x": os.urandom(200_000).hex()}))
        await journal.append(*begun("after"))
    assert {row.id for row in Reader(path).summaries().rows} == {"before", "after"}


@pytest.mark.anyio
async def test_a_database_that_another_program_keeps_locked_is_an_error_that_says_so(path: Path) -> None:
    heard: list[str] = []
    async with open_journal(path, busy_s=0.05) as journal:
        with closing(sqlite3.connect(path, isolation_level=None)) as other:
            other.execute("BEGIN IMMEDIATE")
            asyncio.get_running_loop().call_later(0.01, heard.append, "meanwhile")
            with pytest.raises(StoreError, match=f"{path}: another program keeps it locked"):
                await journal.append(*begun())
            assert heard == ["meanwhile"]
            other.execute("ROLLBACK")
        await journal.append(*begun())


@pytest.mark.anyio
async def test_what_is_on_the_loop_goes_on_while_another_program_keeps_the_database_locked(path: Path) -> None:
    async with open_journal(path, busy_s=10) as journal:
        lock = WriteLock(place.folder_of(path) / "write.lock")
        with closing(sqlite3.connect(path, isolation_level=None)) as other:
            other.execute("BEGIN IMMEDIATE")
            began_s = time.monotonic()
            async with anyio.create_task_group() as tasks:
                tasks.start_soon(journal.append, *begun())
                await tried()
                assert time.monotonic() - began_s < 10
                assert lock.take(Patience(0)), "other processes wait for that program, not for us"
                lock.release()
                other.execute("ROLLBACK")
        lock.close()
    assert Reader(path).load("order-1").seq == 1


@pytest.mark.anyio
async def test_opening_waits_for_a_program_that_has_the_database_for_itself(path: Path) -> None:
    async def use() -> None:
        async with open_journal(path, busy_s=10) as journal:
            await journal.append(*begun())

    place.prepare(path)
    place.create(path)
    with closing(sqlite3.connect(path, isolation_level=None)) as other:
        other.execute("PRAGMA locking_mode = EXCLUSIVE")
        other.execute("BEGIN EXCLUSIVE")
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(use)
            await tried()
            other.close()
    assert Reader(path).load("order-1").seq == 1


def test_a_process_that_is_killed_in_mid_work_leaves_every_append_whole(path: Path) -> None:
    code = APPEND.replace("range(10)", "range(300)").replace("write(", "print('on', flush=True); write(")
    with python(code, path, "order") as writer:
        assert writer.stdin is not None
        writer.stdin.write("go\n")
        writer.stdin.flush()
        while not (path.exists() and len(Reader(path).summaries().rows) > 3):
            assert writer.poll() is None
        writer.kill()
    reader = Reader(path)
    names = [row.id for row in reader.summaries().rows]
    expected = [len(events) for _, events in history()]
    sizes = {sum(expected[:n]) for n in range(1, len(expected) + 1)}
    assert {reader.load(name).seq for name in names} <= sizes
    write(path, history("next"))
    assert len(Reader(path).summaries().rows) == len(names) + 1


STATEMENTS = (
    "UPDATE events SET data = '{}' WHERE seq = 2",
    "DELETE FROM events WHERE seq = 3",
    "INSERT OR REPLACE INTO events SELECT saga, seq, type, '{}', crc FROM events",
    "UPDATE definitions SET json = '{}'",
    "UPDATE sagas SET id = 'other'",
)


@pytest.mark.parametrize("statement", STATEMENTS)
def test_the_tables_refuse_to_change_the_past(path: Path, statement: str) -> None:
    write(path, history())
    with closing(sqlite3.connect(path, isolation_level=None)) as connection, pytest.raises(sqlite3.IntegrityError):
        connection.execute(statement)
    assert Reader(path).load("order-1").seq == len(told(history()))


def test_a_saga_goes_with_all_that_is_its_own(path: Path) -> None:
    write(path, history(), history("order-2"))
    with closing(sqlite3.connect(path, isolation_level=None)) as connection:
        connection.execute("DELETE FROM sagas WHERE id = 'order-1'")
        assert connection.execute("SELECT DISTINCT saga FROM events").fetchall() == [(2,)]
    assert sum(Reader(path).count_by_state().values()) == 1
    assert Reader(path).load("order-2").seq == len(told(history()))


@pytest.mark.anyio
async def test_a_request_is_seen_by_the_process_that_holds_the_saga(path: Path) -> None:
    saga, events = begun()
    async with open_journal(path) as holder:
        await holder.append(saga, events)
        async with open_journal(path) as asker:
            await asker.request("order-1", ACTOR, "stop")
        (request,) = await holder.append(*went_on(saga))
        assert request.reason == "stop"


def test_a_database_that_was_taken_out_of_wal_is_put_back(path: Path) -> None:
    write(path, [begun()])
    with closing(sqlite3.connect(path)) as connection:
        connection.execute("PRAGMA journal_mode = DELETE")
    write(path, [begun("order-2")])
    assert path.read_bytes()[18:20] == b"\x02\x02"
