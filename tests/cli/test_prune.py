"""prune: what has ended goes with all that is its own, and nothing else does."""

from __future__ import annotations

import fcntl
import json
import os
import pty
import re
import signal
import sqlite3
import subprocess
import time
from contextlib import closing
from pathlib import Path

import pytest

from sagactl.cli.prune import BATCH_MAX
from tests.cli.test_crash import KILL_ORCHESTRATOR
from tests.harness import SAGACTL, TIMEOUT_S, Saga, copied, environment, saga
from tests.journal.making import history, make, write

EVERY = {
    "running": f"{{id: a, action: {json.dumps(KILL_ORCHESTRATOR)}, undo: none}}",
    "completed": "{id: a, action: echo hello, undo: 'true'}",
    "compensated": "{id: a, action: exit 1, undo: none}",
    "abandoned": "{id: a, action: exit 1, undo: none, on_failure: pause}",
    "paused": "{id: a, action: exit 1, undo: none, on_failure: pause}",
    "escalated": "{id: a, action: exit 1, undo_if_failed: true, undo: {manual: call}}",
}
"""A saga in each state that lasts, of a definition of its own. The first is alone when it kills its orchestrator."""
OTHERS = ["escalated", "paused", "running"]


def root(folder: Path) -> Path:
    return folder / "state" / "sagactl" / "sagas.db.d"


def folders(folder: Path) -> set[str]:
    return {each.name for each in root(folder).iterdir()} - {"write.lock"}


def listed(built: Saga) -> list[str]:
    return sorted(built.again("list", "-q").chatty().exits(0).stdout.split())


def every(folder: Path) -> Saga:
    """A folder with a saga in each state, named by it."""
    built = saga(folder, "")
    for state, step in EVERY.items():
        built.file(f"{state}.yaml", f"saga: {state}\nsteps: [{step}]\n")
        built.again("run", f"{state}.yaml", "--id", state).finished()
    built.again("abandon", "abandoned", "--reason", "enough").chatty().exits(0)
    assert listed(built) == sorted(EVERY)
    return built


def completed(folder: Path, *ids: str) -> Saga:
    built = saga(folder, "steps:\n  - {id: a, action: echo hello, undo: echo undone >> log}\n")
    for name in ids:
        built.again("run", "saga.yaml", "--id", name).chatty().exits(0)
    return built


def token(built: Saga, saga_id: str) -> str:
    with closing(sqlite3.connect(root(built.folder).with_suffix(""))) as connection:
        return str(connection.execute("SELECT token FROM sagas WHERE id = ?", (saga_id,)).fetchone()[0])


def trace(folder: Path) -> dict[str, bytes]:
    return {str(each): each.read_bytes() for each in folder.rglob("*") if each.is_file()}


def test_what_has_ended_goes_with_its_evidence_and_nothing_else_does(tmp_path: Path) -> None:
    built = copied(tmp_path, every)
    kept = {token(built, name) for name in OTHERS}
    shown = [built.inspect(name) for name in OTHERS]
    built.again("prune", "--yes").stdout(re.compile(r"pruned 3 sagas, \d\.\d KB\n")).exits(0)
    assert listed(built) == OTHERS
    assert folders(tmp_path) == kept
    assert [built.inspect(name) for name in OTHERS] == shown
    built.again("logs", "completed").stderr("no saga completed").exits(4)
    assert "wrong" not in [each["status"] for each in built.again("doctor", "--json").chatty().exits(0).json["checks"]]
    built.again("prune", "--yes").stdout("nothing to prune\n").exits(0)


def test_an_id_is_free_again_once_its_saga_is_pruned(tmp_path: Path) -> None:
    built = copied(tmp_path, completed, "t")
    built.again("prune", "--yes", "-q").stdout("t\n").exits(0)
    built.run().stdout("t completed\n").chatty().exits(0)


def test_only_the_states_that_are_named_go(tmp_path: Path) -> None:
    built = copied(tmp_path, every)
    built.again("prune", "--state", "compensated,abandoned", "--yes", "-q").stdout("abandoned\ncompensated\n").exits(0)
    assert listed(built) == sorted([*OTHERS, "completed"])


@pytest.mark.parametrize("state", [*OTHERS, "interrupted", "compensating", "done", "", "completed,"])
def test_a_state_that_is_not_final_is_refused(tmp_path: Path, state: str) -> None:
    built = saga(tmp_path, "").again("prune", "--yes", "--state", state)
    built.stderr("states: abandoned, compensated, completed").exits(2)


def test_only_those_that_ended_longer_ago_go(tmp_path: Path) -> None:
    built = copied(tmp_path, completed, "new")
    write(root(tmp_path).with_suffix(""), history("old"))
    for age in ("1d", "2w", "24h", "1w1d1h1m1s1ms"):
        built.again("prune", "--older-than", age, "--dry-run", "-q").stdout("old\n").exits(0)
    built.again("prune", "--older-than", "9999w").stdout("nothing to prune\n").exits(0)
    built.again("prune", "--older-than", "1d", "--yes").stdout(re.compile(r"pruned 1 saga, \d\.\d KB\n")).exits(0)
    assert listed(built) == ["new"]
    built.again("prune", "--older-than", "0s", "--yes", "-q").stdout("new\n").exits(0)


@pytest.mark.parametrize("age", ["", "30", "3x", "d", "1d2w", "1h2d", "-1d", "1.5d", " 1d", "99999999d"])
def test_what_is_no_age_is_refused(tmp_path: Path, age: str) -> None:
    saga(tmp_path, "").again("prune", "--yes", "--older-than", age).stderr("is no age").exits(2)


def test_a_dry_run_says_what_would_go_and_changes_nothing(tmp_path: Path) -> None:
    built = copied(tmp_path, completed, "one", "two")
    before = trace(tmp_path)
    lines = r"completed .* \d\.\d KB  one\ncompleted .* \d\.\d KB  two\nwould prune 2 sagas, \d\.\d KB\n"
    built.again("prune", "--dry-run").stdout(re.compile(lines)).exits(0)
    assert trace(tmp_path) == before
    would = built.again("prune", "--dry-run", "--json").stdout(re.compile(".*\n")).exits(0).json
    did = built.again("prune", "--yes", "--json").stdout(re.compile(".*\n")).exits(0).json
    assert would == {"schema": 1, "pruned": ["one", "two"], "dry_run": True, "bytes": did["bytes"], "folders": 0}
    assert did == {**would, "dry_run": False}
    assert listed(built) == []


def test_each_saga_is_a_line_of_json_lines(tmp_path: Path) -> None:
    built = copied(tmp_path, completed, "one", "two")
    changed = [built.inspect(name)["changed"] for name in ("one", "two")]
    done = built.again("prune", "--yes", "-o", "jsonl").stdout(re.compile("(.*\n){2}")).exits(0)
    rows = [json.loads(line) for line in done.stdout.splitlines()]
    assert [row.pop("bytes") > 500 for row in rows] == [True, True]
    assert rows == [{"schema": 1, "id": name, "name": "test", "state": "completed", "changed": at, "dry_run": False}
                    for name, at in zip(("one", "two"), changed, strict=True)]


@pytest.mark.parametrize("args", [(), ("--no-input",), ("--json",), ("-q",)])
def test_where_nobody_can_be_asked_it_needs_to_be_told(tmp_path: Path, args: tuple[str, ...]) -> None:
    write(tmp_path / "sagas.db", history("old"))
    before = trace(tmp_path)
    saga(tmp_path, "").again("prune", "--db", str(tmp_path / "sagas.db"), *args).stderr("say --yes to do it").exits(2)
    assert trace(tmp_path) == before


def on_terminal(folder: Path, typed: str, *args: str) -> tuple[int, str, str]:
    """A command with a person at it: exit, stdout, what the terminal showed."""
    ours, theirs = pty.openpty()
    try:
        begun = subprocess.Popen((*SAGACTL, *args), cwd=folder, env=environment(folder), stdin=theirs, stderr=theirs,
                                 stdout=subprocess.PIPE, text=True, start_new_session=True)
        os.write(ours, typed.encode())
        stdout, _ = begun.communicate(timeout=TIMEOUT_S)
        return begun.returncode, stdout, os.read(ours, 1 << 16).decode()
    finally:
        os.close(ours)
        os.close(theirs)


def test_a_terminal_is_asked_and_told_how_many_and_how_old(tmp_path: Path) -> None:
    built = copied(tmp_path, completed, "new")
    write(root(tmp_path).with_suffix(""), history("old"))
    code, stdout, shown = on_terminal(tmp_path, "n\n", "prune")
    assert (code, stdout) == (2, "")
    assert "This would be deleted: 2 sagas, the last of which ended " in shown
    assert "and the first 2025-11-20T" in shown
    assert "nothing was deleted" in shown
    assert on_terminal(tmp_path, "y\n", "prune", "--no-input")[0] == 2
    assert listed(built) == ["new", "old"]
    code, stdout, shown = on_terminal(tmp_path, "y\n", "prune", "--older-than", "1d")
    assert code == 0
    assert stdout.startswith("pruned 1 saga, ")
    assert listed(built) == ["new"]


def test_before_there_is_a_database_nothing_is_pruned_and_nothing_is_made(tmp_path: Path) -> None:
    saga(tmp_path, "").again("prune").stdout("nothing to prune\n").exits(0)
    saga(tmp_path, "").again("prune", "--json").stdout(
        '{"schema":1,"pruned":[],"dry_run":false,"bytes":0,"folders":0}\n').exits(0)
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_ends_it_between_two_transactions_and_what_went_is_told(tmp_path: Path, number: signal.Signals) -> None:
    """The ids of a batch are more than the pipe takes: until somebody reads, the first one is not done."""
    path = tmp_path / "sagas.db"
    name, count = "x" * 80, 3 * BATCH_MAX
    write(path, *(history(f"{name}-{n}", steps=1) for n in range(count)))
    end, begin = os.pipe()
    fcntl.fcntl(begin, fcntl.F_SETPIPE_SZ, 4096)
    process = saga(tmp_path, "").start("--db", str(path), "prune", "--yes", "-q", stdout=begin)
    os.close(begin)
    with os.fdopen(end, "rb", buffering=0) as pipe:
        first = pipe.readline()
        process.send_signal(number)
        gone = [line.decode() for line in (first, *pipe)]
    assert process.wait(TIMEOUT_S) == 128 + number
    process.communicate()
    assert len(gone) == BATCH_MAX
    left = saga(tmp_path, "").again("--db", str(path), "list", "-q").chatty().exits(0).stdout.splitlines(keepends=True)
    assert sorted(gone + left) == sorted(f"{name}-{n}\n" for n in range(count))


def test_a_saga_that_a_live_process_holds_is_left_out(tmp_path: Path) -> None:
    built = copied(tmp_path, completed, "t", "u")
    with (root(tmp_path) / token(built, "t") / "lock").open() as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        built.again("prune", "--yes", "-q").stdout("u\n").stderr("left out 1 saga that a live process holds").exits(0)
    assert listed(built) == ["t"]
    built.again("logs", "t").stdout("a | hello\n").exits(0)


def test_a_damaged_saga_stays_and_is_named_and_the_others_go(tmp_path: Path) -> None:
    built = copied(tmp_path, completed, "one", "two", "three")
    with closing(sqlite3.connect(root(tmp_path).with_suffix(""), isolation_level=None)) as connection:
        connection.execute("UPDATE sagas SET why = 'x' WHERE id = 'two'")
    done = built.again("prune", "--yes", "-q").stdout("one\nthree\n").stderr("saga two: its row does not fit").exits(7)
    assert done.stderr.count("saga two") == 1
    assert len(folders(tmp_path)) == 1


def test_evidence_that_was_deleted_by_hand_is_not_missed(tmp_path: Path) -> None:
    built = copied(tmp_path, completed, "t")
    (folder,) = folders(tmp_path)
    subprocess.run(["rm", "-r", root(tmp_path) / folder], check=True)
    built.again("prune", "--yes", "-q").stdout("t\n").exits(0)
    assert folders(tmp_path) == set()


def test_evidence_of_any_form_goes(tmp_path: Path) -> None:
    """What was not folded yet, and what commands have left in it. A link is not followed."""
    built = copied(tmp_path, completed, "t")
    (tmp_path / "other").mkdir()
    (tmp_path / "other" / "file").write_text("not ours")
    evidence = root(tmp_path) / token(built, "t")
    (evidence / "0.action.1" / "deep").mkdir(parents=True)
    (evidence / "0.action.1.stdout").write_text("x")
    (evidence / "0.action.1.record").mkdir()
    (evidence / "0.action.1.record" / "file").touch()
    os.mkfifo(evidence / "0.action.1" / "fifo")
    (evidence / "0.action.1" / "link").symlink_to(tmp_path / "other")
    (evidence / "link").symlink_to(tmp_path / "other")
    (evidence / ".folded-new").write_text("half")
    built.again("prune", "--yes", "-q").stdout("t\n").exits(0)
    assert folders(tmp_path) == set()
    assert (tmp_path / "other" / "file").read_text() == "not ours"


def age(folder: Path, hours: float) -> None:
    """Make a folder and what is in it older."""
    at_s = time.time() - hours * 3600
    for each in (*folder.rglob("*"), folder):
        os.utime(each, (at_s, at_s), follow_symlinks=False)


def test_empty_folders_of_sagas_that_never_began_go_in_time(tmp_path: Path) -> None:
    built = copied(tmp_path, completed, "t")
    known = folders(tmp_path)
    for name, hours in (("aa", 1.1), ("bb", 0.9), ("cc", 2.0), ("dd", 2.0), ("ee", 2.0), ("notes", 2.0)):
        (root(tmp_path) / name / "0.action.1").mkdir(parents=True)
        (root(tmp_path) / name / "lock").touch(0o600)
        age(root(tmp_path) / name, hours)
    (root(tmp_path) / "cc" / "lock").unlink()
    age(root(tmp_path) / "cc", 2.0)
    os.utime(root(tmp_path) / "dd" / "lock")  # taken just now
    with (root(tmp_path) / "ee" / "lock").open() as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        built.again("prune", "--older-than", "1d", "--dry-run").stdout("nothing to prune\n").stderr(
            "there are 2 empty folders that a kill has left").exits(0)
        assert folders(tmp_path) == known | {"aa", "bb", "cc", "dd", "ee", "notes"}
        built.again("prune", "--older-than", "1d").stdout("nothing to prune\n").stderr(
            "removed 2 empty folders that a kill has left").exits(0)
    assert folders(tmp_path) == known | {"bb", "dd", "ee", "notes"}
    assert built.again("prune", "--older-than", "1d", "--json").chatty().exits(0).json["folders"] == 1
    built.again("logs", "t").stdout("a | hello\n").exits(0)


def test_evidence_of_sagas_that_the_database_does_not_have_stays_and_is_told_of(tmp_path: Path) -> None:
    """The database is an old backup: what ran since is known from the evidence alone."""
    built = completed(tmp_path, "old")
    database = root(tmp_path).with_suffix("")
    backup = database.read_bytes()
    completed(tmp_path, "new")
    newer = token(built, "new")
    database.write_bytes(backup)
    age(root(tmp_path) / newer, 2.0)
    built.again("prune", "--yes", "-q").stdout("old\n").stderr(
        "1 folder with evidence of sagas that the database does not have").exits(0)
    assert folders(tmp_path) == {newer}


def test_the_room_of_many_sagas_is_given_back(tmp_path: Path) -> None:
    database = tmp_path / "sagas.db"
    make(database, 600, steps=2, escalated=2)
    before = database.stat().st_size
    done = saga(tmp_path, "").again("prune", "--db", str(database), "--yes", "--json").stdout(re.compile(".*\n")).exits(0)
    assert len(done.json["pruned"]) == 598
    assert before > 900_000
    assert database.stat().st_size < 150_000
    shown = saga(tmp_path, "").again("list", "--db", str(database), "-q").stdout(re.compile("(order.*\n){2}")).exits(0)
    assert len(shown.stdout.split()) == 2
