"""The state folder is its owner's alone, and nothing that somebody has planted there is followed, opened or overwritten.

What one database needs of its place is tested in tests/journal/test_place.py; here the real command runs.
"""

from __future__ import annotations

import os
import re
import subprocess
from collections.abc import Callable
from itertools import product
from pathlib import Path

import pytest

from sagactl.journal import place
from tests.cli.test_crash import KILL_ORCHESTRATOR
from tests.conftest import Torture
from tests.harness import SAGACTL, Saga, environment, saga

PRECIOUS = "precious"
LIMIT_S = 20
WAYS = {
    "completed": ("true", 0), "failed": ("exit 1", 10), "paused": ("exit 1", 12), "killed": (KILL_ORCHESTRATOR + "; true", -9),
}


def unlike(folder: Path) -> list[str]:
    """What below a folder is not private: 0700 for folders, 0600 for files."""
    return [f"{each}: {mode:o}" for each in folder.rglob("*")
            if (mode := each.lstat().st_mode & 0o777) != (0o700 if each.is_dir() else 0o600)]


@pytest.mark.parametrize("umask", [0o000, 0o777])
@pytest.mark.parametrize("way", WAYS)
def test_all_that_a_run_leaves_is_private_whatever_the_umask(tmp_path: Path, way: str, umask: int) -> None:
    script, code = WAYS[way]
    paused = ", on_failure: pause" if way == "paused" else ""
    built = saga(tmp_path, f"""
steps:
  - {{id: a, action: 'echo x > "$SAGA_OUTPUT_DIR/.kept"; chmod 600 "$SAGA_OUTPUT_DIR/.kept"; umask >&2', undo: 'true'}}
  - {{id: b, action: . ./end.sh, undo: none{paused}}}
""").file("end.sh", script).umask(umask)
    process = built.start("run", "saga.yaml", "--id", "t", umask=umask)
    said = process.communicate(timeout=LIMIT_S)[1]
    assert process.returncode == code, said
    found = unlike(tmp_path / "state")
    assert not found
    assert len(list((tmp_path / "state").rglob("*"))) > 5
    if way == "killed":
        built.args("resume", "t").chatty().exits(0)
        assert not unlike(tmp_path / "state")


def link(at: Path, target: Path) -> None:
    at.symlink_to(target)


def dangling(at: Path, target: Path) -> None:
    at.symlink_to(target.with_name("made"))


def hard(at: Path, target: Path) -> None:
    at.hardlink_to(target)


def fifo(at: Path, _: Path) -> None:
    os.mkfifo(at)


def folder(at: Path, _: Path) -> None:
    (at / "inner").mkdir(parents=True)


NAMES = ("x.db", "x.db-wal", "x.db-shm", "x.db-journal", "x.db.d", "x.db.d/write.lock", "x.db.d/new.db")
HARMLESS = {("x.db.d", "folder"), *(("x.db.d/new.db", kind) for kind in ("link", "dangling", "hard", "fifo"))}
"""A folder of ours may be there already, if its modes are right; a draft of a crashed process is removed."""


@pytest.mark.torture
def test_what_is_planted_is_refused_and_its_target_left_alone(tmp_path: Path, torture: Torture) -> None:
    rows = torture.some(list(product(NAMES, (link, dangling, hard, fifo, folder))), short=2)
    wrong = [said for place, row in enumerate(rows) if (said := planted(tmp_path / str(place), *row))]
    assert not wrong, wrong
    torture.report("things planted in the state folder", len(rows), {"wrong": len(wrong)})


def planted(home: Path, name: str, plant: Callable[[Path, Path], None]) -> str:
    """Run a saga where that was planted; what went wrong, "" where nothing did."""
    target, state = home / "target", home / "state"
    (state / name).parent.mkdir(mode=0o700, parents=True)
    target.write_text(PRECIOUS)
    target.chmod(0o644)
    plant(state / name, target)
    if (name, plant) == ("x.db.d", folder):
        (state / name).chmod(0o700)
    (home / "s.yaml").write_text("saga: s\nsteps: [{id: a, action: touch ran, undo: none}]\n")
    code, said = killed_if_it_hangs(home, "run", "s.yaml", "--db", "state/x.db")
    harmless = (name, plant.__name__) in HARMLESS
    held = (
        code == (0 if harmless else 7), (home / "ran").exists() == harmless, harmless or "state/x.db" in said,
        (target.read_text(), target.stat().st_mode & 0o777) == (PRECIOUS, 0o644), not (home / "made").exists(),
        "Traceback" not in said,
    )
    return "" if all(held) else f"{name} {plant.__name__}: {held} {said}"


def killed_if_it_hangs(folder: Path, *args: str) -> tuple[int, str]:
    """A command that can't hang the test: one that waits for a fifo does not end at TERM."""
    done = subprocess.run((*SAGACTL, *args), cwd=folder, env=environment(folder), stdin=subprocess.DEVNULL, text=True,
                          capture_output=True, timeout=LIMIT_S, check=False)
    return done.returncode, done.stdout + done.stderr


def test_a_look_is_not_misled_by_what_is_planted_either(tmp_path: Path) -> None:
    done(tmp_path).chatty().exits(0)
    (tmp_path / "target").write_text(PRECIOUS)
    for ending, plant in (("-wal", hard), ("-shm", hard), ("-journal", fifo)):
        beside = tmp_path / f"state/sagactl/sagas.db{ending}"
        beside.unlink(missing_ok=True)
        plant(beside, tmp_path / "target")
        code, said = killed_if_it_hangs(tmp_path, "inspect", "t")
        assert (code, f"sagas.db{ending}" in said) == (7, True), said
        beside.unlink()
    assert (tmp_path / "target").read_text() == PRECIOUS


def done(folder: Path) -> Saga:
    return saga(folder, "steps: [{id: a, action: touch ran, undo: none}]").args("run", "saga.yaml", "--id", "t")


READ_ONLY = "mount --bind state state; mount -o remount,ro,bind state"

needs_mounts = pytest.mark.skipif(
    subprocess.run(["unshare", "-m", "true"], capture_output=True, check=False).returncode != 0, reason="may not mount",
)


def within(folder: Path, prepare: str, *args: str) -> str:
    """A command in a mount namespace of its own, that `prepare` has arranged; it must end with 7. What it printed and said."""
    shell = ["unshare", "-m", "sh", "-euc", f'{prepare}\nexec "$@"', "sh", *SAGACTL, *args]
    done = subprocess.run(shell, cwd=folder, env=environment(folder), stdin=subprocess.DEVNULL, text=True,
                          capture_output=True, timeout=LIMIT_S, check=False)
    assert done.returncode == 7, done.stdout + done.stderr
    assert "Traceback" not in done.stderr
    return done.stdout + done.stderr


@needs_mounts
@pytest.mark.parametrize("state", ["new", "used"])
def test_a_state_folder_that_is_read_only_is_an_error_that_names_it(tmp_path: Path, state: str) -> None:
    built = done(tmp_path)
    if state == "used":
        built.chatty().exits(0)
        (tmp_path / "ran").unlink()
    (tmp_path / "state").mkdir(exist_ok=True)
    assert str(tmp_path / "state/sagactl") in within(tmp_path, READ_ONLY, "run", "saga.yaml")
    assert not (tmp_path / "ran").exists()


@needs_mounts
@pytest.mark.parametrize("state", ["new", "used"])
def test_doctor_finds_a_state_folder_that_is_read_only(tmp_path: Path, state: str) -> None:
    if state == "used":
        done(tmp_path).chatty().exits(0)
    folder = tmp_path / "state"
    folder.mkdir(exist_ok=True)
    path = folder / "sagactl/sagas.db.d" if state == "used" else folder
    said = within(tmp_path, READ_ONLY, "doctor")
    assert f"folder       {path} can't be written to: its file system is read-only\n       mount it" in said
    assert "wrong: folder" in said


@needs_mounts
def test_on_a_read_only_state_folder_an_error_says_what_and_no_more(tmp_path: Path) -> None:
    done(tmp_path).chatty().exits(0)
    (lock,) = (tmp_path / "state").rglob("lock")
    said = within(tmp_path, READ_ONLY, "prune", "--yes")
    assert "nothing to prune" not in said
    assert "Read-only file system" in said
    lock.unlink()
    assert within(tmp_path, READ_ONLY, "resolve", "t", "--step", "a", "--as", "kept", "--reason", "x").startswith(
        f"sagactl: can't open {lock}: Read-only file system\n")


@needs_mounts
def test_a_state_folder_on_a_network_file_system_is_refused(tmp_path: Path) -> None:
    """The kernel's list of mounts is replaced by one that says so of every mount."""
    done(tmp_path)
    lie = "sed 's/ - [^ ]* / - nfs4 /' /proc/$$/mountinfo > mounts; mount --bind mounts /proc/$$/mountinfo"
    said = within(tmp_path, lie, "run", "saga.yaml")
    assert "is on a network file system (nfs4)" in said
    assert not (tmp_path / "ran").exists()


@pytest.mark.parametrize("name", [
    "../x", "/etc/passwd", "..", ".hidden", "-x", "a\nb", "", "x" * 129,
])
def test_an_id_is_never_a_path(tmp_path: Path, name: str) -> None:
    built = saga(tmp_path, "steps: [{id: a, action: touch ran, undo: none}]")
    built.args("run", "saga.yaml", f"--id={name}").stderr("--id").file_after("ran", None).exits(2)
    assert sorted(each.name for each in tmp_path.iterdir()) == ["saga.yaml"]


def test_what_lies_below_the_state_is_named_by_us_alone(tmp_path: Path) -> None:
    """No id, name, parameter or output of anybody is part of a path."""
    saga(tmp_path, """
saga: name-of-the-saga
params: {word: {type: string}}
steps:
  - {id: id-of-the-step, action: 'echo v > "$SAGA_OUTPUT_DIR/output_name"', outputs: [output_name], undo: none}
  - {id: last, action: exit 1, undo: none, on_failure: pause}
""").args("run", "saga.yaml", "--id", "id-of-the-saga", "-p", "word=../../../w").chatty().exits(12)
    below = tmp_path / "state"
    names = {str(each.relative_to(below)) for each in below.rglob("*")}
    ours = re.compile(r"sagactl(/sagas\.db(-wal|-shm)?|/sagas\.db\.d(/write\.lock|/[0-9a-f]{16}(/lock|/\d+\.action\.\d+"
                      r"(\.record|\.std(out|err)|/output_name)?)?)?)?")
    assert {name for name in names if not ours.fullmatch(name)} == set()
    assert any(name.endswith("/0.action.1/output_name") for name in names)


def test_the_file_system_of_this_folder_has_a_name(tmp_path: Path) -> None:
    assert place.file_system(tmp_path.stat().st_dev) not in {"", *place.NETWORK}


def test_a_folder_in_which_everybody_can_replace_the_database_is_refused(tmp_path: Path) -> None:
    built = saga(tmp_path, "steps:\n  - {id: a, action: 'echo once >> log', undo: none}\n")
    built.run().chatty().exits(0)
    folder = tmp_path / "state" / "sagactl"
    folder.chmod(0o777)
    built.args("run", "saga.yaml", "--id", "u").stderr("everybody can write to").file_after("log", "once\n").exits(7)
    folder.chmod(0o1777)
    built.again("run", "saga.yaml", "--id", "u").chatty().exits(0)
