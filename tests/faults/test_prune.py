"""prune killed at each of its steps, stopped while others want the same saga, and refused by the disk."""

from __future__ import annotations

import os
import signal
import sqlite3
import subprocess
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from pathlib import Path

import pytest

from tests.cli.test_prune import age, completed, folders, root, token
from tests.conftest import Torture
from tests.faults.injection import Fault, Traced, inject, needs_strace
from tests.faults.steps import Found, Place, Story, first_reset, orchestrator_steps, places, try_all
from tests.harness import TIMEOUT_S, Saga, copied

PRUNE = ("prune", "--yes")
STEPS = ("mkdir", "openat", "flock", "pwrite64", "fdatasync", "unlink", "unlinkat", "rmdir", "write")
STORY = Story(name="what has ended", wanted="", state="paused", code=12, args=PRUNE, steps="""
  - {id: a, action: exit 1, on_failure: pause, undo: none}
""", before=[("run", *which) for which in (
    ("seed.yaml", "--id", "one"), ("saga.yaml", "--id", "t"), ("seed.yaml", "--id", "two"),
)])
pytestmark = needs_strace


@pytest.mark.torture
def test_killed_at_any_step_the_next_prune_ends_it_and_nothing_else_is_touched(tmp_path: Path, torture: Torture) -> None:
    found = Found()

    def trial(place: Place, fault: Fault) -> None:
        untouched, kept = place.look(), token(Saga(place.folder, ""), "t")
        found.hits += place.killed(fault, PRUNE).hit
        doctor = place.command("doctor", "--json")
        if doctor.code != 0 or any(check["status"] == "wrong" for check in doctor.json["checks"]):
            found.note("wrong", (fault, doctor.stdout))
        again = place.command(*PRUNE)
        left = place.command("list", "-q").stdout.split()
        if again.code != 0 or left != ["t"] or definitions(place.folder) != 1:
            found.note("wrong", (fault, again.stdout, again.stderr, left))
        age(root(place.folder), 2.0)
        place.command(*PRUNE)
        if folders(place.folder) != {kept} or place.look() != untouched:
            found.note("lost", (fault, folders(place.folder)))

    with places(tmp_path, STORY, most=9 if torture.long else 1) as queue:
        rows = orchestrator_steps(first_reset(queue), PRUNE, STEPS)
        assert len(rows) > 30
        try_all(queue, torture.some(rows, short=1), trial)
    torture.report("prune killed at each step", found.hits, found.faults())


def definitions(folder: Path) -> int:
    with closing(sqlite3.connect(root(folder).with_suffix(""))) as connection:
        return int(connection.execute("SELECT count(*) FROM definitions").fetchone()[0])


def evidence(built: Saga, saga_id: str = "t") -> Path:
    return root(built.folder) / token(built, saga_id)


def stopped(folder: Path) -> int:
    """The process of a trace that a fault has stopped."""
    trace = folder / "trace" / "orchestrator"
    while not (lines := [line for line in (trace.read_text() if trace.exists() else "").splitlines()
                         if line.endswith("--- stopped by SIGSTOP ---")]):
        pass
    return int(lines[0].split()[0])


def meanwhile(built: Saga, fault: Fault, other: str) -> tuple[Traced, Traced]:
    """What came of prune, which a fault stops, and of `compensate t` in the meantime. `other` is said by that before
    prune goes on; "" where it ends first.
    """
    with ThreadPoolExecutor(1) as pool:
        pruning = pool.submit(inject, built.folder, PRUNE, orchestrator=fault)
        pid = stopped(built.folder)
        try:
            with built.start("compensate", "t", "--yes", stdout=subprocess.DEVNULL) as begun:
                assert begun.stderr is not None
                said = begun.stderr.readline() if other else begun.stderr.read()
                assert other in said
                os.kill(pid, signal.SIGCONT)
                said += begun.stderr.read()
        except BaseException:
            os.kill(pid, signal.SIGCONT)
            raise
        return pruning.result(TIMEOUT_S), Traced(code=begun.returncode, stdout="", stderr=said, hit=False)


def test_a_saga_that_is_compensated_before_its_lock_is_taken_stays(tmp_path: Path) -> None:
    built = completed(tmp_path, "t")
    lock = Fault(calls="openat", when=1, effect="signal=STOP", paths=(evidence(built) / "lock",))
    pruned, compensated = meanwhile(built, lock, "")
    assert compensated.code == 0, compensated.stderr
    assert (pruned.code, pruned.stdout) == (0, "nothing to prune\n"), pruned.stderr
    assert built.inspect()["state"] == "compensated"
    assert (tmp_path / "log").read_text() == "undone\n"
    built.again("logs", "t").stdout("a | hello\n").exits(0)


def test_who_would_compensate_what_is_just_being_pruned_is_told_that_it_is_gone(tmp_path: Path) -> None:
    built = completed(tmp_path, "t")
    clearing = Fault(calls="unlink,unlinkat", when=1, effect="signal=STOP", paths=(evidence(built) / "folded",))
    pruned, compensated = meanwhile(built, clearing, "t is live: asked its process to turn round")
    assert compensated.code == 4, compensated.stderr
    assert "no saga t" in compensated.stderr
    assert (pruned.code, pruned.stdout[:13]) == (0, "pruned 1 saga"), pruned.stderr
    assert not (tmp_path / "log").exists()
    assert folders(tmp_path) == set()


def test_a_folder_that_goes_while_its_lock_is_being_taken_is_a_saga_that_is_gone(tmp_path: Path) -> None:
    built = copied(tmp_path, completed, "t")
    gone = Fault(calls="openat", when=1, onwards=True, effect="error=ENOENT", paths=(evidence(built) / "lock",))
    done = inject(tmp_path, ("compensate", "t", "--yes"), orchestrator=gone)
    assert (done.code, done.stdout) == (4, ""), done.stderr
    assert "the saga was deleted just now" in done.stderr


def test_a_saga_whose_evidence_can_not_be_removed_stays_and_is_named(tmp_path: Path) -> None:
    built = copied(tmp_path, completed, "t", "u")
    refused = Fault(calls="unlink,unlinkat", when=1, effect="error=EACCES", paths=(evidence(built) / "folded",))
    done = inject(tmp_path, (*PRUNE, "-q"), orchestrator=refused)
    assert (done.code, done.stdout) == (7, "u\n"), done.stderr
    assert f"can't remove the evidence in {evidence(built)}" in done.stderr
    assert folders(tmp_path) == {token(built, "t")}
    built.again(*PRUNE, "-q").stdout("t\n").exits(0)


def test_on_a_full_disk_no_saga_is_called_pruned_that_is_not(tmp_path: Path) -> None:
    built = copied(tmp_path, completed, "t")
    wal = Path(f"{root(tmp_path).with_suffix('')}-wal")
    full = Fault(calls="pwrite64", when=1, onwards=True, effect="error=ENOSPC", paths=(wal,))
    done = inject(tmp_path, PRUNE, orchestrator=full)
    assert (done.code, done.stdout) == (7, ""), done.stderr
    assert "the disk is full" in done.stderr
    assert built.inspect()["state"] == "completed"
    built.again(*PRUNE, "-q").stdout("t\n").exits(0)
