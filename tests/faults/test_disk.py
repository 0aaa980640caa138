"""Disk full, I/O error and kill at the N-th system call of a kind, N going up until a run completes untouched.

However far the run came: exit 7 that says what to do, or the end of the saga; then it goes on, with nothing lost and
nothing done twice. Errors come once, or from then on.
"""

from __future__ import annotations

import itertools
import os
import random
import shutil
import signal
import subprocess
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.conftest import Torture
from tests.faults.injection import KILL, Fault, inject, needs_strace
from tests.faults.surviving import RUN, SECRET, a_saga, survived, told
from tests.harness import saga

pytestmark = [needs_strace, pytest.mark.torture]

FULL, BROKEN, READ_ONLY = "error=ENOSPC", "error=EIO", "error=EROFS"
UNTOUCHED_IN_A_ROW = 2
"""A supervisor may make its last calls after its saga has ended, unseen: one run that looks untouched is not enough."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Series:
    """The same fault at the first, second, … of these calls. `about` so many there are; each `step`-th is taken.

    `lasting` is how many calls fail, 0 for all from then on. `fresh` where there is no database yet.
    """

    who: str
    calls: str
    effect: str
    about: int
    lasting: int = 1
    step: int = 1
    fresh: bool = False
    main: bool = False

    def fault(self, when: int) -> Fault:
        until = when + self.lasting - 1 if self.lasting > 1 else None
        return Fault(calls=self.calls, when=when, effect=self.effect, onwards=self.lasting == 0, until=until,
                     main=self.main)


def orchestrator(calls: str, effect: str, about: int, *, lasting: int = 1, step: int = 1, fresh: bool = False,
                 main: bool = False) -> Series:
    return Series(who="orchestrator", calls=calls, effect=effect, about=about, lasting=lasting, step=step, fresh=fresh,
                  main=main)


def supervisor(calls: str, effect: str, about: int, *, lasting: int = 1, step: int = 1) -> Series:
    return Series(who="supervisor", calls=calls, effect=effect, about=about, lasting=lasting, step=step)


WRITES = [
    orchestrator("pwrite64", FULL, 60),
    orchestrator("pwrite64", BROKEN, 60, step=3),
    orchestrator("pwrite64", FULL, 60, lasting=0, step=3),
    orchestrator("pwrite64", FULL, 60, fresh=True),
    orchestrator("pwrite64", BROKEN, 60, lasting=0, step=3, fresh=True),
    orchestrator("write", FULL, 15),
    orchestrator("write", FULL, 15, lasting=0, step=3),
    supervisor("pwrite64", FULL, 15),
    supervisor("pwrite64", BROKEN, 15, lasting=3),
    supervisor("pwrite64", FULL, 15, lasting=15, step=7),
]
OTHERS = [
    *(orchestrator("fdatasync,fsync", BROKEN, 10, lasting=lasting, fresh=fresh)
      for lasting in (0, 1) for fresh in (False, True)),
    *(orchestrator("openat", effect, 30, lasting=lasting, step=step, fresh=fresh)
      for effect, lasting, step, fresh in (("error=EMFILE", 1, 1, True), ("error=EMFILE", 0, 4, False),
                                           (BROKEN, 1, 2, False), (FULL, 1, 2, True))),
    *(orchestrator("?rename,?unlink,?unlinkat,?mkdir,?link", effect, 10, lasting=lasting, fresh=fresh)
      for effect, lasting, fresh in ((FULL, 1, True), (READ_ONLY, 0, True), (BROKEN, 1, False))),
    orchestrator("ftruncate", BROKEN, 2),
    orchestrator("ftruncate", FULL, 2, lasting=0),
    orchestrator("flock", "error=ENOLCK", 14, fresh=True),
    orchestrator("pread64", BROKEN, 25, step=2),
    supervisor("openat", BROKEN, 250, step=5),
    supervisor("openat", "error=EMFILE", 250, step=5),
    supervisor("?link", FULL, 10),
    supervisor("?unlink", READ_ONLY, 6),
    supervisor("flock", "error=ENOLCK", 10),
]
KILLS = [
    orchestrator("pwrite64", KILL, 60, step=2, fresh=True),
    orchestrator("fdatasync,fsync", KILL, 16, fresh=True),
    orchestrator("openat", KILL, 30, step=2, fresh=True, main=True),
    orchestrator("?rename,?unlink,?unlinkat,?mkdir,?link,?rmdir", KILL, 20, fresh=True),
    orchestrator("ftruncate,flock", KILL, 14),
    orchestrator("pwrite64", KILL, 60, step=2),
    orchestrator("write", KILL, 15),
]


@pytest.mark.parametrize(("what", "matrix", "short"), [
    ("ENOSPC and EIO at each write of the journal and the evidence", WRITES, 1),
    ("failures of each sync, open, rename, unlink, lock and read", OTHERS, 2),
    ("kills at each call of the first run, the masking, the fold and the close", KILLS, 1),
], ids=["writes", "others", "kills"])
def test_a_fault_of_the_disk_loses_nothing(
    tmp_path: Path, torture: Torture, what: str, matrix: list[Series], short: int,
) -> None:
    before = a_saga(tmp_path / "before")
    before.again("run", "saga.yaml", "--id", "old").chatty().exits(10)
    tried, found = 0, Counter[str]()
    rows = torture.some(matrix, short=short)
    with ThreadPoolExecutor(len(os.sched_getaffinity(0))) as pool:
        for hits, wrong in pool.map(lambda row: walked(tmp_path, row, torture), rows):
            tried += hits
            for kind, text in wrong:
                found[kind] += 1
                print(text)
    torture.report(what, tried, found)


def walked(folder: Path, series: Series, torture: Torture) -> tuple[int, list[tuple[str, str]]]:
    """Take a series; how many of its faults were hit, and what went wrong. One of them by the seed if run short."""
    name = f"{series.who}-{series.calls}-{series.effect}-{series.lasting}-{series.fresh}".replace("?", "")
    drawn = random.Random(f"{torture.seed}{name}").randint(1, series.about)
    tried, untouched, wrong = 0, 0, list[tuple[str, str]]()
    for when in itertools.count(1, series.step) if torture.long else (drawn, 1):
        place = folder / name / str(when)
        hit, found = survival(place, folder / "before" / "state", series, when)
        wrong += [(kind, f"{name} at {when}: {text}") for kind, text in found]
        if not found:
            shutil.rmtree(place)
        tried += hit
        untouched = 0 if hit else untouched + 1
        if untouched == UNTOUCHED_IN_A_ROW or (hit and not torture.long):
            break
    if torture.long and not tried:
        wrong.append(("wrong", f"{name} hits nothing"))
    return tried, wrong


def survival(place: Path, before: Path, series: Series, when: int) -> tuple[bool, list[tuple[str, str]]]:
    """One run with a fault, then one without; whether it was hit, and what went wrong."""
    built = a_saga(place)
    if not series.fresh:
        shutil.copytree(before, place / "state")
    try:
        fault = series.fault(when)
        done = inject(place, RUN, orchestrator=fault if series.who == "orchestrator" else None,
                      supervisor=fault if series.who == "supervisor" else None)
    except subprocess.TimeoutExpired:
        return True, [("wrong", "hangs")]
    killed = done.code == -signal.SIGKILL
    mute = series.calls == "write" and series.lasting == 0  # then stderr fails as well
    early = (3, 4) if series.calls == "openat" else ()  # the definition or the secret could not be read
    found = [] if killed or mute else list(told(done.code, done.stderr, may=(7, 10, *early)))
    return done.hit, found + list(survived(built, done.stderr))


@pytest.mark.parametrize("args", [["list"], ["inspect", "t"], ["events", "t"]], ids=lambda args: args[0])
def test_what_only_looks_says_that_it_can_not_read(tmp_path: Path, torture: Torture, args: list[str]) -> None:
    built = a_saga(tmp_path / "saga")
    built.again(*RUN).chatty().exits(10)
    tried, found = 0, Counter[str]()
    for calls, effect in (("pread64", BROKEN), ("openat", "error=EMFILE")):
        for when in torture.some(range(1, 60), short=1):
            done = inject(built.folder, args, orchestrator=Fault(calls=calls, effect=effect, when=when))
            wrong = list(told(done.code, done.stderr, may=(0, 7)))
            found.update(kind for kind, _ in wrong)
            tried += 1
            if not done.hit and torture.long:
                break
    torture.report(f"failing reads of {args[0]}", tried, found)


def masking(folder: Path) -> int:
    """Which of its writes to a place in a file a run masks a secret with, as a trace of one shows."""
    inject(a_saga(folder).folder, RUN, orchestrator=Fault(calls="pwrite64", when=1 << 15, main=True))
    trace = (folder / "trace" / "orchestrator").read_text()
    return trace[: trace.index("*" * 3)].count("pwrite64(")


def test_what_could_not_be_masked_is_told(tmp_path: Path) -> None:
    built = a_saga(tmp_path / "saga")
    write = Fault(calls="pwrite64", effect=BROKEN, when=masking(tmp_path / "seen"), main=True)
    done = inject(built.folder, RUN, orchestrator=write)
    assert done.code == 10
    assert "warning: t: a left stdout, in which secrets could not be masked" in done.stderr
    told_later = built.again("events", "t").chatty().exits(0).stdout
    assert "left stdout, in which secrets could not be masked" in told_later
    assert SECRET not in told_later


def test_an_outcome_that_can_not_be_written_is_told_and_kept(tmp_path: Path) -> None:
    built = saga(tmp_path, "steps:\n  - {id: a, action: echo a >> log, undo: none}\n")
    done = inject(tmp_path, RUN, supervisor=Fault(calls="pwrite64", effect=FULL, when=3, until=8))
    assert done.code == 7, done.stderr
    assert "sagactl: an outcome can't be written to " in done.stderr
    assert "No space left on device" in done.stderr
    assert "make room: its supervisor keeps trying; then: sagactl resume t" in done.stderr
    built.again("resume", "t").chatty().file_after("log", "a\n").exits(0)


def test_a_file_for_the_input_that_can_not_be_made_is_no_fault_of_the_command(tmp_path: Path) -> None:
    built = saga(tmp_path, "steps:\n  - {id: a, action: {run: cat >> log, stdin: a}, undo: none}\n")
    done = inject(tmp_path, RUN, supervisor=Fault(calls="?unlink", effect=READ_ONLY, when=1, onwards=True))
    assert done.code == 7, done.stderr
    assert "Read-only file system" in done.stderr
    built.again("resume", "t").chatty().file_after("log", "a").exits(0)


def test_a_request_to_turn_round_that_fails_can_be_repeated(tmp_path: Path, torture: Torture) -> None:
    tried, found = 0, Counter[str]()
    rows = [(calls, effect, when) for calls, about in (("pwrite64", 6), ("fdatasync", 2)) for effect in (FULL, KILL)
            for when in range(1, about)]
    for calls, effect, when in torture.some(rows, short=2):
        place = tmp_path / f"{calls}-{effect}-{when}"
        place.mkdir()
        built = saga(place, "steps:\n  - {id: a, action: echo do >> log; echo > ready; read go < go, "
                            "undo: echo undo >> log}\n")
        ready, _ = built.fifo("ready"), built.fifo("go")
        process = built.start(*RUN)
        ready.read_text()
        done = inject(place, ["compensate", "t", "--yes"], orchestrator=Fault(calls=calls, effect=effect, when=when))
        tried += done.hit
        if done.code not in (0, -signal.SIGKILL):
            found.update(kind for kind, _ in told(done.code, done.stderr, may=(7,)))
        again = built.again("compensate", "t", "--yes").finished()
        found["wrong"] += again.code != 0
        process.communicate(timeout=60)
        found["wrong"] += process.returncode != 10
        log = (place / "log").read_text().split()
        found["double"] += len(log) > 2
        found["lost"] += log != ["do", "undo"]
    torture.report("faults of a request to turn a live saga round", tried, +found)
