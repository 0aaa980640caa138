"""Looking at a database as sagas pile up. It is made once and only looked at, so all rounds share it.

A saga takes about a millisecond to make: hence `--folder`, where they stay.
"""

from __future__ import annotations

from functools import partial
from pathlib import Path

from tests.bench import floors, ours
from tests.bench.measuring import FailedError, Setting, Subject
from tests.journal.making import make

SIZES = (10_000, 100_000, 1_000_000)
SIZES_QUICK = (100, 200, 400)
NEED_A_PERSON = 20


def list_(setting: Setting) -> Subject:
    return _at_all_sizes("list", ("list",), "order-", setting)


def list_escalated(setting: Setting) -> Subject:
    return _at_all_sizes("list of the escalated", ("list", "--state", "escalated"), "escalated", setting)


def list_interrupted(setting: Setting) -> Subject:
    return _at_all_sizes("list of the interrupted", ("list", "--state", "interrupted"), "interrupted", setting)


def inspect(setting: Setting) -> Subject:
    return _at_all_sizes("inspect", ("inspect", "order-7"), "order-7", setting)


def wait(setting: Setting) -> Subject:
    return _at_all_sizes("wait for a saga that has ended", ("wait", "order-7"), "order-7", setting)


def name(sagas: int) -> str:
    """The contestant: sagactl with so many sagas."""
    return f"{ours.NAME}, {sagas:,} sagas"


def _at_all_sizes(what: str, args: tuple[str, ...], wanted: str, setting: Setting) -> Subject:
    sizes = SIZES_QUICK if setting.quick else SIZES
    return Subject(what=f"{what}, whole command", unit="ms", rows={
        floors.PYTHON: floors.bare_python,
        **{name(sagas): partial(_looks, _made(setting, sagas), args, wanted) for sagas in sizes},
    })


def _made(setting: Setting, sagas: int) -> Path:
    path, making = setting.kept / f"{sagas}.db", setting.scratch / f"{sagas}.making"
    if not path.exists():
        make(making, sagas, escalated=NEED_A_PERSON, interrupted=NEED_A_PERSON)
        making.rename(path)  # so what is there is whole
    return path


def _looks(database: Path, args: tuple[str, ...], wanted: str, folder: Path) -> float:
    done = ours.sagactl(folder, *args, "--db", str(database))
    if wanted not in done.stdout:
        raise FailedError(f"{args} says {done.stdout[-200:]}")
    return done.seconds * 1000
