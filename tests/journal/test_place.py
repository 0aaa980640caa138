"""Where a database lies: modes, whose it is, and what is not touched."""

from __future__ import annotations

import os
import re
import sqlite3
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path

import pytest

from sagactl.errors import StoreError
from sagactl.journal import place
from sagactl.journal.reading import Reader, open_reader
from tests.faults.injection import needs_strace
from tests.harness import ROOT
from tests.journal.making import begun, history, write


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "far" / "away" / "sagas.db"


@pytest.fixture(params=[0o000, 0o022, 0o777])
def umask(request: pytest.FixtureRequest) -> Iterator[int]:
    before = os.umask(request.param)
    yield request.param
    os.umask(before)


def mode(path: Path | str) -> int:
    return Path(path).stat().st_mode & 0o777


@pytest.mark.usefixtures("umask")
def test_folders_are_0700_and_files_0600_whatever_the_umask(path: Path) -> None:
    write(path, [begun()])
    assert [mode(each) for each in (path.parent.parent, path.parent, f"{path}.d")] == [0o700] * 3
    assert [mode(each) for each in (path, f"{path}.d/write.lock")] == [0o600] * 2
    assert sorted(each.name for each in path.parent.rglob("*")) == ["sagas.db", "sagas.db.d", "write.lock"]


def test_a_database_names_its_application_and_version(path: Path) -> None:
    write(path, [begun()])
    with closing(sqlite3.connect(path)) as connection:
        found = [connection.execute(f"PRAGMA {name}").fetchone()[0] for name in ("application_id", "user_version")]
    assert found == [place.APPLICATION_ID, place.VERSION]


def foreign(path: Path) -> None:
    with closing(sqlite3.connect(path)) as connection:
        connection.executescript("PRAGMA journal_mode = WAL; CREATE TABLE mine (x);")


def newer(path: Path) -> None:
    write(path, [begun()])
    with closing(sqlite3.connect(path)) as connection:
        connection.execute(f"PRAGMA user_version = {place.VERSION + 1}")


def text(path: Path) -> None:
    path.write_text("order_id: 17\n")


def link(path: Path) -> None:
    write(path.with_name("real.db"), [begun()])
    path.symlink_to("real.db")


def fifo(path: Path) -> None:
    os.mkfifo(path)


def folder(path: Path) -> None:
    path.mkdir()


@pytest.mark.parametrize(("make", "said"), [
    (foreign, "not a database of sagactl"), (newer, "this sagactl knows version"), (text, "not a database of sagactl"),
    (link, "symlink"), (fifo, "not a database"), (folder, "not a database"),
])
def test_what_is_not_ours_or_newer_is_refused_and_stays_as_it_is(
    tmp_path: Path, make: Callable[[Path], None], said: str,
) -> None:
    path = tmp_path / "sagas.db"
    make(path)
    before = path.read_bytes() if path.is_file() else b""
    with pytest.raises(StoreError, match=said) as written:
        write(path, [begun("order-2")])
    with pytest.raises(StoreError, match=said) as read:
        open_reader(path)
    assert [(each.value.exit_code, bool(each.value.hint)) for each in (written, read)] == [(7, True)] * 2
    assert before == (path.read_bytes() if path.is_file() else b"")
    assert {each.name for each in tmp_path.iterdir()} <= {"sagas.db", "sagas.db.d", "real.db", "real.db.d"}


def test_an_empty_file_becomes_a_database(tmp_path: Path) -> None:
    path = tmp_path / "sagas.db"
    path.touch()
    assert open_reader(path) is None
    write(path, [begun()])
    assert Reader(path).find("@last") == "order-1"


@pytest.mark.parametrize("lose", [Path.unlink, lambda path: os.truncate(path, 0)], ids=["gone", "empty"])
def test_a_database_that_was_lost_is_not_made_anew_beside_what_its_sagas_left(
    tmp_path: Path, lose: Callable[[Path], object],
) -> None:
    path, left = tmp_path / "sagas.db", tmp_path / "sagas.db.d" / "feed"
    write(path, [begun()])
    left.mkdir()
    lose(path)
    (left.parent / "theirs").mkdir()
    (left / "lock").touch()
    assert open_reader(path) is None  # nothing was done there
    (left / "0.action.1").mkdir()
    with pytest.raises(StoreError, match=r"the files of 1 saga$") as written:
        write(path, [begun("order-2")])
    with pytest.raises(StoreError, match=r"gone|empty") as read:
        open_reader(path)
    assert written.value.hint == read.value.hint == f"put the newest backup back; or, to begin anew, move {path}.d away"
    left.parent.rename(tmp_path / "away")
    wal = tmp_path / "sagas.db-wal"
    wal.write_bytes(b"frames")
    with pytest.raises(StoreError, match=r"sagas\.db-wal is left of it") as read:
        open_reader(path)
    assert "move that away first" in read.value.hint
    wal.unlink()
    write(path, [begun("order-2")])
    assert open_reader(path) is not None


@pytest.mark.parametrize("bits", [0o770, 0o707, 0o722])
def test_a_folder_that_others_can_write_to_is_refused(tmp_path: Path, bits: int) -> None:
    beside = tmp_path / "sagas.db.d"
    beside.mkdir()
    beside.chmod(bits)
    with pytest.raises(StoreError, match="others can write") as caught:
        write(tmp_path / "sagas.db", [begun()])
    assert "chmod" in caught.value.hint
    assert not (tmp_path / "sagas.db").exists()


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can give a folder away")
def test_a_folder_of_somebody_else_is_refused(tmp_path: Path) -> None:
    beside = tmp_path / "sagas.db.d"
    beside.mkdir(mode=0o700)
    os.chown(beside, 12345, 12345)
    with pytest.raises(StoreError, match="belongs to user 12345"):
        write(tmp_path / "sagas.db", [begun()])


def test_a_folder_behind_a_symlink_is_refused(tmp_path: Path) -> None:
    (tmp_path / "elsewhere").mkdir()
    (tmp_path / "sagas.db.d").symlink_to("elsewhere")
    with pytest.raises(StoreError, match="not a folder"):
        write(tmp_path / "sagas.db", [begun()])
    assert not list((tmp_path / "elsewhere").iterdir())


def test_a_lock_behind_a_symlink_is_refused(tmp_path: Path) -> None:
    (tmp_path / "sagas.db.d").mkdir(mode=0o700)
    (tmp_path / "sagas.db.d" / "write.lock").symlink_to(tmp_path / "precious")
    with pytest.raises(StoreError, match=r"write\.lock"):
        write(tmp_path / "sagas.db", [begun()])
    assert not (tmp_path / "precious").exists()


def test_a_folder_that_cannot_be_made_is_an_error_that_names_it(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(StoreError, match="file"):
        write(tmp_path / "file" / "sagas.db", [begun()])


def test_a_draft_that_a_crash_left_is_in_nobodys_way(tmp_path: Path) -> None:
    (tmp_path / "sagas.db.d").mkdir(mode=0o700)
    (tmp_path / "sagas.db.d" / "new.db").write_bytes(b"half of a data")
    write(tmp_path / "sagas.db", history())
    assert not (tmp_path / "sagas.db.d" / "new.db").exists()


def test_a_database_that_another_process_has_just_made_is_left_as_it_is(tmp_path: Path) -> None:
    path = tmp_path / "sagas.db"
    write(path, [begun()])
    place.create(path)
    assert Reader(path).find("@last") == "order-1"


MAKES = """
import sys
from pathlib import Path
from sagactl.journal import place
path = Path(sys.argv[1])
place.prepare(path)
place.create(path)
"""


@needs_strace
def test_a_new_database_is_durable_as_a_whole_before_it_appears_and_not_by_parts(path: Path, tmp_path: Path) -> None:
    trace = tmp_path / "trace"
    command = ["strace", "-f", "-y", "-o", str(trace), "-e", "trace=fsync,fdatasync,rename", sys.executable, "-c", MAKES, str(path)]
    subprocess.run(command, env={**os.environ, "PYTHONPATH": str(ROOT)}, check=True, capture_output=True)
    calls = re.findall(r"(sync|rename)\(.*?([^/<>\"]+)[\">]", trace.read_text())
    assert calls == [("sync", "new.db"), ("rename", "new.db"), ("sync", "away")]
