"""How long a command takes from its start to its end, when there is little to do."""

from __future__ import annotations

from functools import partial
from pathlib import Path

from sagactl.cli.commands import COMMANDS
from tests.bench import floors, ours, peers
from tests.bench.measuring import FailedError, Measure, Setting, Subject, hold

AGAIN = "sagactl, seen before"


def version(_: Setting) -> Subject:
    return _alone("sagactl --version", partial(_says, ("--version",), "sagactl"))


def help_(_: Setting) -> Subject:
    return _alone("sagactl --help", partial(_says, ("--help",), "Commands:"))


def complete(_: Setting) -> Subject:
    return _alone("completion of an id", _completes if "complete" in COMMANDS else ours.NOT_THERE)


def run(_: Setting) -> Subject:
    return Subject(what="run of five `true` steps", unit="ms", rows={
        floors.PYTHON: floors.bare_python,
        ours.NAME: partial(_runs, 1),
        AGAIN: partial(_runs, 2),
        **peers.runners(),
        **peers.durable(lambda name, folder: peers.run(name, folder, "run", 1, 5).seconds * 1000),
    })


def list_(_: Setting) -> Subject:
    return _alone("list of one saga", _lists)


def validate_few(_: Setting) -> Subject:
    return _alone("validate of 5 steps", partial(_validates, 5))


def validate_many(_: Setting) -> Subject:
    return _alone("validate of 200 steps", partial(_validates, 200))


def _alone(what: str, measure: Measure | str) -> Subject:
    return Subject(what=what, unit="ms", rows={floors.PYTHON: floors.bare_python, ours.NAME: measure})


def _says(args: tuple[str, ...], what: str, folder: Path) -> float:
    done = ours.sagactl(folder, *args)
    if what not in done.stdout:
        raise FailedError(f"{args} says {done.stdout[-200:]}")
    return done.seconds * 1000


def _runs(times: int, folder: Path) -> float:
    """Milliseconds of the last of so many runs of one definition."""
    ours.define(folder, 5)
    for n in range(times):
        done = ours.sagactl(folder, "run", ours.FILE, "--id", f"run-{n}")
    ours.look(folder, sagas=times, steps=5)
    return done.seconds * 1000


def _lists(folder: Path) -> float:
    ours.define(folder, 5)
    ours.run(folder, 5)
    return _says(("list",), "one", folder)


def _completes(folder: Path) -> float:
    ours.define(folder, 5)
    ours.run(folder, 5)
    return _says(("complete", "--", "inspect", "o"), "one", folder)


def _validates(steps: int, folder: Path) -> float:
    ours.define(folder, steps)
    done = ours.sagactl(folder, "validate", ours.FILE)
    hold(done.stdout, f"{ours.FILE}: valid\n", "validate")
    return done.seconds * 1000
