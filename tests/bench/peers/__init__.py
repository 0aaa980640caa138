"""Others that do the same work, where they are installed, as rows of a subject.

Runners (make, just, go-task, doit, invoke) run five steps and keep nothing. DBOS and TaskFlow keep what they did in
SQLite, as they come: of their settings only TaskFlow's wait for a lock is changed, without which many at once fail.
"""

from __future__ import annotations

import importlib.metadata
import json
import shutil
import subprocess
import sys
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any, Final

from tests.bench.floors import true
from tests.bench.measuring import Done, FailedError, Measure, command, hold

HERE = Path(__file__).parent
DBOS, TASKFLOW = "DBOS", "TaskFlow"
NOT_INSTALLED = "not installed"


@dataclass(frozen=True, slots=True, kw_only=True)
class Runner:
    """`argv` runs the five steps of `file` and prints a line for each, with `true` in it."""

    argv: tuple[str, ...]
    file: str


RUNNERS: Final[Mapping[str, Runner]] = {
    "make": Runner(argv=("make",), file="Makefile"),
    "just": Runner(argv=("just",), file="justfile"),
    "go-task": Runner(argv=("task",), file="Taskfile.yml"),
    "doit": Runner(argv=(sys.executable, "-m", "doit"), file="dodo.py"),
    "invoke": Runner(argv=(sys.executable, "-m", "invoke", "five"), file="tasks.py"),
}
DURABLE: Final[Mapping[str, Path]] = {DBOS: HERE / "durable_dbos.py", TASKFLOW: HERE / "durable_taskflow.py"}


def versions() -> dict[str, str]:
    """What is installed, with its version."""
    found = {}
    for name in ("doit", "invoke", DBOS, TASKFLOW):
        try:
            found[name] = importlib.metadata.version(name)
        except importlib.metadata.PackageNotFoundError:
            continue
    for name in ("make", "just", "go-task"):
        path = shutil.which(RUNNERS[name].argv[0])
        if path is not None:
            said = subprocess.run((path, "--version"), capture_output=True, text=True, check=False).stdout
            found[name] = next((word for word in said.split() if word[0].isdigit()), "")
    return found


def runners() -> dict[str, Measure | str]:
    """Milliseconds of five steps, the whole command."""
    there = versions()
    return {name: partial(_five, runner) if name in there else NOT_INSTALLED for name, runner in RUNNERS.items()}


def _five(runner: Runner, folder: Path) -> float:
    shutil.copy(HERE / runner.file, folder)
    done = command(folder, *runner.argv, TRUE=true())
    hold(sum("true" in line for line in (done.stdout + done.stderr).splitlines()), 5, "steps")
    return done.seconds * 1000


def durable(
    measure: Callable[[str, Path], float], *, names: tuple[str, ...] = (DBOS, TASKFLOW),
) -> dict[str, Measure | str]:
    """Rows of the durable ones. `measure` takes a name and a folder, and calls `run` with them."""
    there = versions()
    return {name: partial(measure, name) if name in there else NOT_INSTALLED for name in names}


def run(
    name: str, folder: Path, mode: str, sagas: int, steps: int, jobs: int = 1, *, ran: int | None = None,
    before: tuple[str | Path, ...] = (),
) -> Done:
    """One of the durable ones, which runs `ran` commands: else as many as there are steps."""
    words = (mode, str(sagas), str(steps), str(jobs))
    done = command(folder, *before, sys.executable, DURABLE[name], *words, TRUE=true())
    hold(_told(done)["ran"], sagas * steps if ran is None else ran, "commands run")
    return done


def peak_kb(done: Done) -> int:
    """The most memory that it had at once."""
    return int(_told(done)["peak_kb"])


def worked_s(done: Done) -> float:
    """From its first saga to the end of its last, without its own start and end."""
    return float(_told(done)["worked_s"])


def _told(done: Done) -> dict[str, Any]:
    try:
        told: dict[str, Any] = json.loads(done.stdout)
    except ValueError:
        raise FailedError(f"it says {done.stdout[-200:]}") from None
    return told
