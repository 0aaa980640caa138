"""The database as the world can leave it: damaged, cut, locked, foreign, older than its evidence."""

from __future__ import annotations

import random
import re
import shutil
import sqlite3
import subprocess
from collections import Counter
from collections.abc import Callable
from contextlib import closing
from functools import partial
from pathlib import Path

import pytest

from sagactl.cli.abandon import abandon
from sagactl.cli.doctor import doctor
from sagactl.cli.events import events
from sagactl.cli.inspect import inspect
from sagactl.cli.list import list_sagas
from sagactl.cli.resume import resume
from sagactl.journal import place
from tests.conftest import Torture
from tests.faults import damaging
from tests.harness import Saga, common, saga
from tests.journal import test_place
from tests.journal.making import begun, write
from tests.journal.test_damage import tamper
from tests.journal.test_sqlite import HOLD, python

NAMES = [f"order-{n}" for n in range(damaging.SAGAS)]
WAL_SAGAS = 12

EXCLUDE = """
import sqlite3, sys
connection = sqlite3.connect(sys.argv[1], isolation_level=None)
connection.execute("BEGIN EXCLUSIVE")
print("held", flush=True)
sys.stdin.read()
connection.execute("COMMIT")
"""

UNREADABLE = """
import os, sys
from pathlib import Path
from sagactl.cli.doctor import doctor
from sagactl.cli.list import list_sagas
from sagactl.cli.main import finish
from sagactl.cli.options import FORMS, settled
import sagactl.definition.durations
if os.geteuid() == 0:  # who may read everything
    os.setgid(65534); os.setuid(65534)
command = {"list": list_sagas, "doctor": doctor}[sys.argv[2]]
sys.exit(finish(lambda: command(common=settled({"db": sys.argv[1]}, {}, FORMS))))
"""


@pytest.fixture(scope="module")
def template(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("mixed") / "sagas.db"
    damaging.make(path)
    return path


@pytest.fixture
def path(template: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(template.parent, tmp_path, dirs_exist_ok=True)) / "sagas.db"


# Damage.


@pytest.mark.torture
def test_whatever_a_damaged_database_shows_is_what_was_written(path: Path, torture: Torture) -> None:
    rng, counts, whole = random.Random(torture.seed), Counter[str](), path.read_bytes()
    before = damaging.look(path, NAMES)
    assert {each.code for each in before.values()} == {0}
    for n in range(tries := torture.of(short=6, a_round=1000)):
        damage = (damaging.flip, damaging.zero, damaging.cut)[n % 3]
        path.write_bytes(damage(rng, whole))
        found = damaging.judge(before, damaging.look(path, NAMES))
        assert not found["undetected"] + found["tracebacks"], f"try {n}, seed {torture.seed}"
        counts += found
    assert counts["same"] > tries
    assert counts["told"] > tries
    torture.report("a damaged database", tries, {name: counts[name] for name in ("undetected", "tracebacks")})


@pytest.mark.torture
def test_damage_in_the_rows_of_a_saga_is_noticed_and_touches_no_other_saga(path: Path, torture: Torture) -> None:
    rng, counts, whole = random.Random(torture.seed), Counter[str](), path.read_bytes()
    before = damaging.look(path, NAMES)
    places = damaging.places(path)
    assert sum(map(len, places.values())) > 5 * damaging.SAGAS
    for _ in range(tries := torture.of(short=6, a_round=300)):
        name = rng.choice(NAMES)
        begin, size = rng.choice(places[name])
        path.write_bytes(whole[:begin] + damaging.flip(rng, whole[begin : begin + size]) + whole[begin + size :])
        after = damaging.look(path, NAMES)
        del after["list"]
        counts["undetected"] += after.pop(name).code != 7
        counts["lost"] += sum(found != before[other] for other, found in after.items())
    torture.report("damage in one saga's rows", tries, {name: counts[name] for name in ("undetected", "lost")})


@pytest.mark.torture
def test_a_damaged_wal_leaves_what_was_durable_at_one_moment_or_an_error(tmp_path: Path, torture: Torture) -> None:
    """SQLite takes a WAL to end where its checksums do: that is an older database, never one that is mixed."""
    path, moments = damaging.left_by_a_crash(tmp_path, sagas=WAL_SAGAS)
    wal = Path(f"{path}-wal")
    rng, counts, whole, database = random.Random(torture.seed), Counter[str](), wal.read_bytes(), path.read_bytes()
    assert damaging.moment(path, moments[-1]) == moments[-1]
    for n in range(tries := torture.of(short=4, a_round=1000)):
        damage = (damaging.flip, damaging.zero, damaging.cut)[n % 3]
        Path(f"{path}-shm").unlink(missing_ok=True)
        path.write_bytes(database)
        wal.write_bytes(damage(rng, whole))
        found = damaging.moment(path, moments[-1])
        counts["whole" if found == moments[-1] else "told" if found is None else "older" if found in moments else
               "undetected"] += 1
    assert counts["older"] > tries // 2
    torture.report("a damaged WAL", tries, {"undetected": counts["undetected"]})


def test_a_wal_that_is_gone_leaves_an_older_database_that_is_whole(tmp_path: Path) -> None:
    path, moments = damaging.left_by_a_crash(tmp_path, sagas=3)
    Path(f"{path}-wal").unlink()
    assert damaging.moment(path, moments[-1]) == moments[0]


def test_damaged_sagas_are_named_and_the_others_resumed(tmp_path: Path) -> None:
    """Through the real command: of four interrupted sagas one has a damaged row and one a damaged event."""
    path = tmp_path / "sagas.db"
    write(path, *([begun(name, cwd=str(tmp_path))] for name in ("a", "b", "c", "d")))
    tamper(path, "UPDATE sagas SET why = 'x' WHERE id = 'a'", "UPDATE events SET crc = crc + 1 WHERE saga = 2")
    done = Saga(tmp_path, "").args("resume", "--all", "--db", str(path)).chatty().exits(7)
    assert sorted(done.stdout.splitlines()) == ["c completed", "d completed"]
    assert [line for line in done.stderr.splitlines() if line.startswith("sagactl: saga")] == [
        "sagactl: saga a: its row does not fit its checksum", "sagactl: saga b: event 1 does not fit its checksum",
    ]
    shown = Saga(tmp_path, "").args("list", "--json", "--db", str(path)).stderr("saga a: its row").stdout(re.compile(r"\[\{.*\}\n(,\{.*\}\n){2}\]\n"))
    assert {row["id"]: row["state"] for row in shown.exits(7).json} == {"b": "running", "c": "completed", "d": "completed"}


# Locks.


def test_a_database_locked_by_another_program_is_waited_for(tmp_path: Path) -> None:
    built = saga(tmp_path, "steps: [{id: s, undo: none, action: 'echo s >> log'}]")
    built.run().chatty().exits(0)
    database = tmp_path / "state" / "sagactl" / "sagas.db"
    with python(EXCLUDE, database) as holder:
        assert holder.stdout is not None
        assert holder.stdout.readline() == "held\n"
        running = built.start("run", "saga.yaml", "--id", "u")
        while len(list(Path(f"{database}.d").glob("*/lock"))) < 2:  # it has its own lock, and waits for the database
            assert running.poll() is None
        built.again("list", "-q").stdout("t\n").exits(0)
        holder.communicate("")
    running.communicate(timeout=60)
    assert running.returncode == 0
    assert (tmp_path / "log").read_text() == "s\ns\n"


def test_a_run_that_lost_the_race_for_its_id_leaves_no_folder_behind(tmp_path: Path) -> None:
    """Both find no saga of that id, and wait for the lock of writers to begin one."""
    built = saga(tmp_path, "steps: [{id: s, undo: none, action: 'echo s >> log'}]")
    built.args("run", "saga.yaml", "--id", "first").chatty().exits(0)
    root = tmp_path / "state" / "sagactl" / "sagas.db.d"
    with python(HOLD, root / "write.lock") as holder:
        assert holder.stdout is not None
        assert holder.stdout.readline() == "held\n"
        both = [built.start("run", "saga.yaml", "--id", "t") for _ in range(2)]
        while len(list(root.glob("*/lock"))) < 3:
            assert [each.poll() for each in both] == [None, None]
        holder.communicate("")
    for each in both:
        each.communicate(timeout=60)
    assert {each.returncode for each in both} <= {0, 6}
    assert (tmp_path / "log").read_text() == "s\ns\n"
    assert len(list(root.glob("*/lock"))) == 2


@pytest.mark.torture
def test_the_command_waits_for_the_lock_of_writers_and_then_names_its_holder(tmp_path: Path, torture: Torture) -> None:
    """Its own limit of 30 s is waited out at length only; in the default run the holder lets go."""
    built = saga(tmp_path, "steps: [{id: s, undo: none, action: 'echo s >> log'}]")
    built.run().chatty().exits(0)
    root = tmp_path / "state" / "sagactl" / "sagas.db.d"
    with python(HOLD, root / "write.lock") as holder:
        assert holder.stdout is not None
        assert holder.stdout.readline() == "held\n"
        running = built.start("run", "saga.yaml", "--id", "u")
        while len(list(root.glob("*/lock"))) < 2:
            assert running.poll() is None
        if torture.long:
            _, said = running.communicate(timeout=120)
            assert running.returncode == 7
            assert f"held for 30s by process {holder.pid}" in said
        holder.communicate("")
    running.communicate(timeout=60)
    assert (running.returncode, (tmp_path / "log").read_text()) == ((7, "s\n") if torture.long else (0, "s\ns\n"))
    torture.report("a lock of writers that is held", 1, {})


# What is not a database of ours.


def other_application(path: Path) -> None:
    write(path, [begun()])
    with closing(sqlite3.connect(path)) as connection:
        connection.execute(f"PRAGMA application_id = {place.APPLICATION_ID + 1}")


@pytest.mark.parametrize("make", [test_place.foreign, test_place.newer, test_place.text, test_place.folder, other_application])
def test_what_is_not_ours_is_refused_by_every_command_and_stays_as_it_is(tmp_path: Path, make: Callable[[Path], None]) -> None:
    path = tmp_path / "sagas.db"
    make(path)
    built = saga(tmp_path, "steps: [{id: s, undo: none, action: 'echo s >> log'}]")
    before = path.read_bytes() if path.is_file() else b""
    found = [damaging.shown(command) for command in (
        *(partial(each, common=common(path)) for each in (list_sagas, doctor)),
        partial(resume, every=True, common=common(path)),
        *(partial(each, "order-1", common=common(path)) for each in (inspect, events)),
        partial(abandon, "order-1", "gone", common=common(path)),
    )]
    assert [each.code for each in found] == [7] * len(found)
    assert not any("Traceback" in each.err or " bug " in each.err for each in found)
    built.args("run", "saga.yaml", "--db", str(path)).stderr(str(path)).exits(7)
    assert not (tmp_path / "log").exists()
    assert before == (path.read_bytes() if path.is_file() else b"")


@pytest.mark.parametrize("command", ["list", "doctor"])
def test_a_database_that_cannot_be_read_is_an_error(tmp_path: Path, command: str) -> None:
    path = tmp_path / "sagas.db"
    write(path, [begun()])
    path.chmod(0)
    for folder in (tmp_path, *tmp_path.parents[:3]):
        folder.chmod(0o755)
    with python(UNREADABLE, path, command, stderr=subprocess.STDOUT) as looking:
        said, _ = looking.communicate(timeout=60)
    assert (looking.returncode, f"can't open {path}: Permission denied" in said, "Traceback" in said) == (7, True, False)


# Older than its evidence.


@pytest.mark.parametrize("fails", [False, True])
def test_a_restored_backup_repeats_no_attempt_that_is_in_the_evidence(tmp_path: Path, fails: bool) -> None:  # noqa: FBT001
    """The second step makes the backup. What came after it is read from the evidence, folded or not."""
    copy = "mkdir backup; cp state/sagactl/sagas.db* backup/ 2>/dev/null || true"
    last = "exit 1" if fails else "true"
    built = saga(tmp_path, f"""
steps:
  - {{id: a, undo: 'echo undo-a >> log', action: 'echo a >> log'}}
  - {{id: b, undo: {{manual: by hand}}, action: 'echo b >> log; {copy}'}}
  - {{id: c, undo: none, action: 'echo c >> log; {last}'}}
""")
    code = 11 if fails else 0
    built.run().chatty().exits(code)
    log = (tmp_path / "log").read_text()
    state = tmp_path / "state" / "sagactl"
    for each in state.glob("sagas.db*"):
        if each.is_file():
            each.unlink()
    for each in (tmp_path / "backup").iterdir():
        if each.is_file() and not each.name.endswith("-shm"):
            shutil.copy(each, state)
    said = built.again("doctor", "--json").chatty().exits(7).json
    assert [check["name"] for check in said["checks"] if check["status"] == "wrong"] == ["evidence"]
    built.again("resume", "t").chatty().exits(code)
    assert (tmp_path / "log").read_text() == log
    assert len(log.split()) == len(set(log.split()))


def test_no_saga_begins_on_a_damaged_copy_of_its_definition(tmp_path: Path) -> None:
    built = saga(tmp_path, "steps:\n  - {id: a, action: 'echo once >> log', undo: none}\n")
    built.run().chatty().exits(0)
    (database,) = tmp_path.rglob("sagas.db")
    with closing(sqlite3.connect(database)) as connection, connection:
        connection.execute("DROP TRIGGER definitions_never_change")
        connection.execute("UPDATE definitions SET json = replace(json, 'once', 'oncf')")
    built.args("run", "saga.yaml", "--id", "u").stderr("a damaged copy of the definition of u").file_after("log", "once\n").exits(7)
