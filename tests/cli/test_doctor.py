"""`doctor`: every kind of finding, on databases that are sound, damaged, held, foreign, or older than their evidence."""

from __future__ import annotations

import json
import os
import re
import shutil
import sqlite3
import subprocess
import sys
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from sagactl.cli.doctor import doctor
from sagactl.journal.place import PAGE_BYTES
from tests.faults.damaging import shown
from tests.harness import Saga, common, saga
from tests.journal.making import history, write
from tests.journal.test_damage import tamper
from tests.journal.test_sqlite import HOLD

DONE, RUNNING, STUCK = ("6f726465722d" + digit for digit in ("31", "32", "33"))
"""The tokens of order-1 to order-3."""

LINE = re.compile(r"(ok|note|wrong) +[a-z ]+  .*|       .*|")


@pytest.fixture(scope="module")
def template(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A completed saga, an interrupted and an escalated one, each with the evidence that it would have."""
    path = tmp_path_factory.mktemp("template") / "sagas.db"
    write(path, history(), history("order-2")[:2], history("order-3", failing="step-1"))
    for token, attempts in ((DONE, ()), (RUNNING, ("0.action.1",)), (STUCK, ("0.action.1", "1.action.1"))):
        for each in (path.parent / "sagas.db.d" / token, *(path.parent / "sagas.db.d" / token / name for name in attempts)):
            each.mkdir(mode=0o700)
    return path.parent


@pytest.fixture
def path(template: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(template, tmp_path, dirs_exist_ok=True)) / "sagas.db"


def found(path: Path) -> dict[str, Any]:
    """What `doctor --json` says, by check; its exit code is that of what it says."""
    code, out, err = shown(lambda: doctor(common=common(path)))
    assert (err, out.count("\n")) == ("", 1)
    said = json.loads(out)
    checks = {check["name"]: check for check in said["checks"]}
    wrong = any(check["status"] == "wrong" for check in checks.values())
    assert (said["schema"], said["database"], said["ok"], code) == (1, str(path), not wrong, 7 if wrong else 0)
    assert all(check["hint"] for check in checks.values() if check["status"] != "ok")
    return checks


def trouble(path: Path) -> dict[str, str]:
    return {name: check["status"] for name, check in found(path).items() if check["status"] != "ok"}


WAITING = {"interrupted": "note", "escalated": "note"}


def test_what_waits_for_a_person_is_a_note_that_says_what_to_type(path: Path) -> None:
    checks = found(path)
    assert trouble(path) == WAITING
    assert (checks["interrupted"]["sagas"], checks["escalated"]["sagas"]) == (["order-2"], ["order-3"])
    assert "resume --all" in checks["interrupted"]["hint"]
    assert "3 sagas" in checks["rows"]["text"]


def test_each_check_is_a_line_and_the_last_one_says_it_all(path: Path) -> None:
    code, out, _ = shown(lambda: doctor(common=common(path, "human")))
    lines = out.splitlines()
    assert code == 0
    assert all(LINE.fullmatch(line) for line in lines[:-1])
    assert lines[-1] == "nothing is wrong; 2 notes"
    assert [line.split()[0] for line in lines if line and line[0] != " "][:-1] == ["ok"] * 14 + ["note", "ok", "note"] + ["ok"] * 3
    tamper(path, "UPDATE sagas SET why = 'x' WHERE key = 1")
    code, out, _ = shown(lambda: doctor(common=common(path, "human")))
    assert (code, out.splitlines()[-1]) == (7, "wrong: rows; 2 notes")


def test_where_there_is_no_database_yet_that_is_said_and_nothing_is_made(tmp_path: Path) -> None:
    built = saga(tmp_path, "")
    done = built.args("doctor").stdout(re.compile(r"(.+\n)*.*no database yet(.+\n)*\nnothing is wrong\n")).exits(0)
    assert "XDG_STATE_HOME" in done.stdout
    assert not list(tmp_path.iterdir())


def test_it_changes_nothing(path: Path) -> None:
    def trace() -> dict[str, Any]:
        return {str(each): (each.stat().st_mtime_ns, each.stat().st_size, each.is_file() and each.read_bytes())
                for each in path.parent.rglob("*")}

    tamper(path, "UPDATE sagas SET why = 'x' WHERE key = 1")
    before = trace()
    found(path)
    assert trace() == before


def change_page(path: Path, name: str, change: Callable[[bytes], bytes]) -> None:
    """Change the root page of an index behind SQLite's back."""
    with closing(sqlite3.connect(path)) as connection:
        (root,) = connection.execute("SELECT rootpage FROM sqlite_master WHERE name LIKE ?", (name,)).fetchone()
    whole, begin, end = path.read_bytes(), (root - 1) * PAGE_BYTES, root * PAGE_BYTES
    path.write_bytes(whole[:begin] + change(whole[begin:end]) + whole[end:])


def page(path: Path) -> None:
    change_page(path, "sqlite_autoindex_sagas%", lambda page: bytes(len(page)))


def entry(path: Path) -> None:
    change_page(path, "sagas_by_state", lambda page: page.replace(b"completed", b"Completed"))


def event(path: Path) -> None:
    tamper(path, "UPDATE events SET crc = crc + 1 WHERE saga = 1 AND seq = 4")


def vanished(path: Path) -> None:
    tamper(path, "DELETE FROM events WHERE saga = 1 AND seq > 3")


def definition(path: Path) -> None:
    tamper(path, "UPDATE definitions SET json = replace(json, 'step-1', 'step-7')")


def count(path: Path) -> None:
    tamper(path, "UPDATE counts SET sagas = sagas + 1")


def lost(path: Path) -> None:
    tamper(path, "INSERT INTO events SELECT 99, seq, type, data, crc FROM events WHERE saga = 1")


def newer(path: Path) -> None:
    with closing(sqlite3.connect(path)) as connection:
        connection.execute("PRAGMA user_version = 99")


def open_to_all(path: Path) -> None:
    path.chmod(0o666)


def open_folder(path: Path) -> None:
    (path.parent / "sagas.db.d").chmod(0o777)


def readable(path: Path) -> None:
    path.chmod(0o644)


def claimed(attempt: Path) -> None:
    attempt.mkdir(parents=True)
    attempt.with_name(f"{attempt.name}.record").touch()


def foreign(path: Path) -> None:
    """An attempt of a saga that is not in the database."""
    claimed(path.parent / "sagas.db.d" / "feed" / "0.action.1")


def ahead(path: Path) -> None:
    """An attempt that the saga's events do not have."""
    claimed(path.parent / "sagas.db.d" / RUNNING / "0.action.2")


def ahead_and_folded(path: Path) -> None:
    (path.parent / "sagas.db.d" / RUNNING / "folded").write_text('{"attempt": "3.undo.1"}\n')


def bare(path: Path) -> None:
    shutil.rmtree(path.parent / "sagas.db.d" / RUNNING)


def bare_final(path: Path) -> None:
    shutil.rmtree(path.parent / "sagas.db.d" / DONE)


def unfolded(path: Path) -> None:
    (path.parent / "sagas.db.d" / DONE / "0.action.1").mkdir()


def claim(path: Path) -> None:
    (path.parent / "sagas.db.d" / RUNNING / ".claim-77-1").touch()


def fold(path: Path) -> None:
    (path.parent / "sagas.db.d" / DONE / ".folded-77").touch()


def draft(path: Path) -> None:
    (path.parent / "sagas.db.d" / "new.db").touch()


@pytest.mark.parametrize(("harm", "expected", "said"), [
    (page, {"integrity": "wrong"}, "malformed"),
    (entry, {"integrity": "wrong"}, "missing from index sagas_by_state"),
    (event, {"rows": "wrong"}, "saga order-1: event 4"),
    (vanished, {"rows": "wrong"}, "saga order-1: event 4 is missing"),
    (definition, {"rows": "wrong"}, "saga order-3: its definition"),
    (count, {"tables": "wrong"}, "counted"),
    (lost, {"tables": "wrong"}, "key 99"),
    (open_to_all, {"modes": "wrong"}, "others can write"),
    (open_folder, {"folder": "wrong", "modes": "wrong"}, "others can write"),
    (readable, {"modes": "note"}, "others can read"),
    (foreign, {"evidence": "wrong"}, "does not have: feed"),
    (ahead, {"evidence": "wrong"}, "newer than the database, of: order-2"),
    (ahead_and_folded, {"evidence": "wrong"}, "newer than the database, of: order-2"),
    (bare, {"evidence": "wrong"}, "missing, of: order-2"),
    (bare_final, {"evidence": "note"}, "order-1"),
    (unfolded, {"leftovers": "note"}, "not folded, of: order-1"),
    (claim, {"leftovers": "note"}, ".claim-77-1"),
    (fold, {"leftovers": "note"}, ".folded-77"),
    (draft, {"leftovers": "note"}, "new.db"),
])
def test_each_kind_of_finding_is_found_by_its_check_and_named(
    path: Path, harm: Callable[[Path], None], expected: dict[str, str], said: str,
) -> None:
    harm(path)
    assert {name: status for name, status in trouble(path).items() if name not in WAITING} == expected
    checks = found(path)
    assert said in " ".join(checks[name]["text"] for name in expected)


def test_a_damaged_saga_does_not_hide_the_others(path: Path) -> None:
    tamper(path, "DELETE FROM events WHERE saga = 1 AND seq > 3")
    assert found(path)["rows"]["text"].endswith("; 2 others are as they were written")
    assert trouble(path) == {**WAITING, "rows": "wrong"}


def test_a_database_that_is_newer_is_wrong_and_the_rest_is_still_looked_at(path: Path) -> None:
    newer(path)
    assert trouble(path) == {"database": "wrong"}


@pytest.mark.parametrize("lose", [Path.unlink, lambda path: os.truncate(path, 0)], ids=["gone", "empty"])
def test_evidence_without_any_database_is_wrong(path: Path, lose: Callable[[Path], object]) -> None:
    lose(path)
    assert trouble(path) == {"database": "wrong"}
    said = found(path)["database"]
    assert "the files of 2 sagas" in said["text"]
    assert f"{path}.d" in said["hint"]


def test_a_paused_saga_is_a_note(tmp_path: Path) -> None:
    built = saga(tmp_path, "steps: [{id: a, action: exit 1, on_failure: pause, undo: none}]")
    built.run().chatty().exits(12)
    checks = found(tmp_path / "state/sagactl/sagas.db")
    assert (checks["paused"]["status"], checks["paused"]["sagas"]) == ("note", ["t"])
    assert "sagactl inspect" in checks["paused"]["hint"]


def test_what_a_run_made_before_its_intent_was_durable_is_nothing(path: Path) -> None:
    (path.parent / "sagas.db.d" / RUNNING / "0.action.2").mkdir()
    (path.parent / "sagas.db.d" / "feed" / "0.action.1").mkdir(parents=True)
    (path.parent / "sagas.db.d" / "feed" / "lock").touch()
    assert trouble(path) == WAITING


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can give a file away")
def test_files_of_somebody_else_are_wrong(path: Path) -> None:
    os.chown(path, 12345, 12345)
    assert found(path)["modes"]["text"] == f"{path} belongs to user 12345"


def test_a_lock_is_told_with_its_holder(path: Path) -> None:
    command = [sys.executable, "-c", HOLD, f"{path}.d/write.lock"]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as holder:
        assert holder.stdout is not None
        assert holder.stdout.readline() == "held\n"
        said = found(path)["locks"]["text"]
        holder.communicate("")
    assert said.startswith(f"held: write.lock by process {holder.pid} (")
    assert found(path)["locks"]["text"] == "none is held"


def test_settings_say_where_they_come_from(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert found(path)["settings"]["text"] == f"{path}, from --db"
    doctor_said = Saga(path.parent, "").args("--json", "doctor", "--progress", "none").env(
        SAGACTL_DB=str(path), SAGACTL_COLOR="never", SAGACTL_NO_INPUT="1").chatty().exits(0).json["checks"]
    said = {check["name"]: check["text"] for check in doctor_said}
    assert said["settings"] == f"{path}, from $SAGACTL_DB"
    assert said["options"] == ("output json, from --output; progress none, from --progress; color never, from "
                               "$SAGACTL_COLOR; no-input yes, from $SAGACTL_NO_INPUT")
    monkeypatch.setenv("SAGACTL_GRACE", "3s")
    assert found(path)["grace"]["text"] == "3s after TERM, from $SAGACTL_GRACE"
    monkeypatch.setenv("SAGACTL_GRACE", "3")
    assert trouble(path)["grace"] == "wrong"


@pytest.mark.parametrize("name", ["STATE_DIRECTORY", "XDG_STATE_HOME", "HOME"])
def test_the_place_of_the_database_is_told_with_what_chose_it(tmp_path: Path, name: str) -> None:
    folder = tmp_path / "place"
    folder.mkdir()
    out = Saga(tmp_path, "").args("doctor").env(**{"XDG_STATE_HOME": "", "STATE_DIRECTORY": "", name: str(folder)}).finished().stdout
    assert out.splitlines()[0].startswith(f"ok  settings     {folder}")
    assert out.splitlines()[0].endswith("from the default" if name == "HOME" else f"from ${name}")


def test_it_looks_at_a_live_saga_and_tells_who_runs_it(tmp_path: Path) -> None:
    built = saga(tmp_path, "steps: [{id: s, undo: none, action: 'echo on > ready; cat go'}]")
    ready, go = built.fifo("ready"), built.fifo("go")
    running = built.start("run", "saga.yaml", "--id", "t")
    ready.read_text()
    checks = {check["name"]: check for check in built.again("doctor", "--json").chatty().exits(0).json["checks"]}
    go.write_text("")
    running.communicate(timeout=60)
    assert running.returncode == 0
    assert checks["running"]["sagas"] == ["t"]
    assert f"process {running.pid} (" in checks["locks"]["text"]
    assert " since 20" in checks["locks"]["text"]
    assert not [check for check in checks.values() if check["status"] != "ok"]
    built.again("doctor").stdout(re.compile(r"(.*\n)*nothing is wrong\n")).exits(0)
