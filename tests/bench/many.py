"""Many sagas: at once in one process, and going on with a hundred after a crash."""

from __future__ import annotations

import contextlib
import os
import select
import shutil
import signal
import sys
from functools import partial
from pathlib import Path

from tests.bench import floors, ours, peers
from tests.bench.measuring import Setting, Subject, command
from tests.harness import SAGACTL

STEPS = 5
SAGAS_OF_PEERS_MAX = {peers.DBOS: 256, peers.TASKFLOW: 64}
"""They are so much slower that a round would take minutes. A figure is per step, so a smaller number does."""

KILLED = """
saga: bench
steps:
  - id: first
    action: |
      echo "$PPID" > supervisor
      kill -9 "$(sed -n 's/^PPid:[^0-9]*//p' "/proc/$PPID/status")"
    undo: none
  - {{id: second, action: ["{true}"], undo: none}}
  - {{id: third, action: ["{true}"], undo: none}}
"""
"""Its first step ends the process that drives it: the one that started its supervisor."""


def each(jobs: int, setting: Setting) -> Subject:
    """From one saga to many: starting up costs the same and falls out."""
    sagas = setting.of(max(64, 4 * jobs), quick=4)
    return Subject(what=f"each `true` step, {jobs} sagas of {STEPS} steps at once", unit="ms", rows={
        **floors.spawning(setting, setting.of(2000, quick=20), jobs),
        ours.NAME: partial(_each, sagas, jobs) if ours.has_each() else f"{ours.NOT_THERE}: run --each",
        **peers.durable(partial(_each_of_peer, sagas, jobs)),
    })


def resume(setting: Setting) -> Subject:
    """Sagas of three steps whose process was killed in the first (DBOS: right after it)."""
    sagas = setting.of(100, quick=2)
    home = setting.scratch / "interrupted"
    return Subject(what=f"resume of {sagas} interrupted sagas, two `true` steps left in each", unit="ms", rows={
        **floors.spawning(setting, 2 * sagas, each=False),
        ours.NAME: partial(_resumes, _interrupted(home, sagas), sagas) if sys.platform == "linux" else "no /proc",
        **peers.durable(partial(_resumes_of_peer, sagas), names=(peers.DBOS,)),
    })


def _each(sagas: int, jobs: int, folder: Path) -> float:
    taken = []
    for count in (1, sagas):
        below = folder / str(count)
        below.mkdir()
        ours.define(below, STEPS)
        taken.append(ours.run_each(below, count, STEPS, jobs).seconds * 1000)
    return (taken[1] - taken[0]) / (STEPS * (sagas - 1))


def _each_of_peer(sagas: int, jobs: int, name: str, folder: Path) -> float:
    taken, some = [], min(sagas, SAGAS_OF_PEERS_MAX[name])
    for count in (1, some):
        below = folder / str(count)
        below.mkdir()
        taken.append(peers.worked_s(peers.run(name, below, "run", count, STEPS, jobs)) * 1000)
    return (taken[1] - taken[0]) / (STEPS * (some - 1))


def _interrupted(home: Path, sagas: int) -> Path:
    """A folder whose database has that many sagas, each killed by its first step. Rounds work on copies of it."""
    home.mkdir()
    (home / ours.FILE).write_text(KILLED.format(true=floors.true()))
    for n in range(sagas):
        command(home, *SAGACTL, "run", ours.FILE, "--id", f"saga-{n}", code=-signal.SIGKILL)
        with contextlib.suppress(ProcessLookupError):  # it has ended already
            supervisor = os.pidfd_open(int((home / "supervisor").read_text()))
            select.select([supervisor], [], [])
            os.close(supervisor)
    return home


def _resumes(home: Path, sagas: int, folder: Path) -> float:
    shutil.copytree(home, folder, dirs_exist_ok=True)
    done = ours.sagactl(folder, "resume", "--all")
    ours.look(folder, sagas=sagas, steps=3)
    return done.seconds * 1000


def _resumes_of_peer(sagas: int, name: str, folder: Path) -> float:
    words = (sys.executable, peers.DURABLE[name], "interrupt", str(sagas), "3", "1")
    command(folder, *words, code=-signal.SIGKILL, TRUE=floors.true())
    return peers.run(name, folder, "resume", sagas, 3, ran=2 * sagas).seconds * 1000
