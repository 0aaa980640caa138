"""sagactl as a contestant: definitions of so many steps, and commands whose effects are looked at."""

from __future__ import annotations

import functools
import json
from pathlib import Path
from typing import Any

from tests.bench.floors import true
from tests.bench.measuring import Done, command, hold
from tests.harness import SAGACTL

NAME = "sagactl"
FILE = "saga.yaml"
LINES = "lines.jsonl"
DATABASE = Path("state/sagactl/sagas.db")
NOT_THERE = "not there"


def define(folder: Path, steps: int, *, undo: str = "none", needs: str = "", more: str = "") -> None:
    """Write a definition of steps that run `true`, one after the other unless `needs`; `more` are further lines."""
    undoing = f'["{true()}"]' if undo == "true" else undo
    lines = [f'  - {{id: step-{n}, action: ["{true()}"], undo: {undoing}{needs}}}' for n in range(1, steps + 1)]
    head = ("saga: bench", "params: {n: {type: integer, default: 0}}", "steps:")
    (folder / FILE).write_text("\n".join((*head, *lines, more)))


def sagactl(folder: Path, *args: str, code: int = 0) -> Done:
    """One command."""
    return command(folder, *SAGACTL, *args, code=code)


def run(folder: Path, steps: int, *before: str | Path) -> Done:
    """Run the definition there, with a command before it if need be; all of its steps are done."""
    done = command(folder, *before, *SAGACTL, "run", FILE, "--id", "one")
    look(folder, sagas=1, steps=steps)
    return done


@functools.cache
def has_each() -> bool:
    """Whether `run` takes many sagas at once."""
    return "--each" in sagactl(Path.cwd(), "run", "--help").stdout


def run_each(folder: Path, sagas: int, steps: int, jobs: int, *before: str | Path) -> Done:
    """Run the definition there for that many lines of parameters, so many at once."""
    (folder / LINES).write_text("".join(f'{{"n": {n}}}\n' for n in range(sagas)))
    done = command(folder, *before, *SAGACTL, "run", FILE, "--each", LINES, "--jobs", str(jobs))
    look(folder, sagas=sagas, steps=steps)
    return done


def look(folder: Path, *, sagas: int, steps: int) -> None:
    """Raises FailedError unless there are that many sagas, all completed, with that many steps done in each."""
    shown: list[Any] = json.loads(sagactl(folder, "list", "--json", "--limit", str(sagas + 1)).stdout)
    hold(len(shown), sagas, "sagas")
    for saga in shown:
        hold((saga["state"], saga["steps_done"]), ("completed", steps), saga["id"])
