"""Side by side: what is compared, how it is run in rounds, and what comes of it.

A figure is a cost, so less is better. Each round runs every contestant of a subject once, in an order drawn by a seed,
each in a fresh folder that is removed afterwards: what the machine does meanwhile hits all of them alike.
"""

from __future__ import annotations

import random
import statistics
import subprocess
import tempfile
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TypeAlias

from tests.harness import environment

Measure: TypeAlias = Callable[[Path], float]
"""Does its work in the folder given, looks whether it was done, and gives what it cost in the subject's unit."""

ROUNDS_OF_COUNTED_MAX = 3
COMMAND_S_MAX = 3600
"""Longer than anything here takes, so what hangs ends."""


class FailedError(Exception):
    """Something did not do its work: then there is no figure."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Setting:
    """`scratch` is where folders are made, and goes away; what is in `kept` may be of an earlier run.

    `c_floor` is the command of floor.c, or why there is none.
    """

    scratch: Path
    kept: Path
    quick: bool
    c_floor: Path | str

    def of(self, full: int, *, quick: int) -> int:
        """How much of something: `quick` only shows that it works."""
        return quick if self.quick else full


@dataclass(frozen=True, slots=True, kw_only=True)
class Subject:
    """What is measured, in which unit, and of whom; instead of how, a row may say why it is not there.

    `counted`: no time, but bytes or calls, of which a few rounds tell as much as many.
    """

    what: str
    unit: str
    counted: bool = False
    rows: Mapping[str, Measure | str]


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcome:
    """The figures of a subject, a round each, by contestant in the order of the rows; and who is absent, and why."""

    what: str
    unit: str
    figures: Mapping[str, Sequence[float]]
    absent: Mapping[str, str] = field(default_factory=dict)

    @property
    def floor(self) -> str | None:
        """The contestant that the others are measured by: the first floor that is there."""
        return next((who for who in self.figures if who.startswith("floor")), None)

    def median(self, who: str) -> float:
        return statistics.median(self.figures[who])

    def quartiles(self, who: str) -> tuple[float, float]:
        """The middle half of the rounds lies between these."""
        figures = self.figures[who]
        if len(figures) < 2:
            return figures[0], figures[0]
        low, _, high = statistics.quantiles(figures, n=4, method="inclusive")
        return low, high


def compete(subject: Subject, setting: Setting, rounds: int, rng: random.Random) -> Outcome:
    """Run the rounds. Who fails once is out, and the outcome says why."""
    absent = {who: row for who, row in subject.rows.items() if isinstance(row, str)}
    there = {who: row for who, row in subject.rows.items() if not isinstance(row, str)}
    figures: dict[str, list[float]] = {who: [] for who in there}
    for _ in range(min(rounds, ROUNDS_OF_COUNTED_MAX) if subject.counted else rounds):
        for who in rng.sample(list(there), len(there)):
            try:
                with tempfile.TemporaryDirectory(dir=setting.scratch) as folder:
                    figures[who].append(there[who](Path(folder)))
            except FailedError as error:
                absent[who] = f"failed: {error}"
                del figures[who], there[who]
    return Outcome(what=subject.what, unit=subject.unit, figures=figures, absent=absent)


@dataclass(frozen=True, slots=True, kw_only=True)
class Done:
    """A command that ended as it should."""

    seconds: float
    stdout: str
    stderr: str


def command(folder: Path, *argv: str | Path, code: int = 0, **variables: str) -> Done:
    """Run a command there, from its start to its end. Raises FailedError where it does not exit with `code`."""
    env = {**environment(folder), **variables}
    since_s = time.perf_counter()
    done = subprocess.run(argv, cwd=folder, env=env, capture_output=True, text=True, check=False,
                          stdin=subprocess.DEVNULL, timeout=COMMAND_S_MAX)
    seconds = time.perf_counter() - since_s
    if done.returncode != code:
        said = " ".join((done.stderr or done.stdout).split())[-300:]
        raise FailedError(f"{' '.join(map(str, argv))[-120:]} exits {done.returncode}, not {code}: {said}")
    return Done(seconds=seconds, stdout=done.stdout, stderr=done.stderr)


def hold(found: object, wanted: object, what: str) -> None:
    """Raises FailedError where something did not come to what it should."""
    if found != wanted:
        raise FailedError(f"{what}: {found}, not {wanted}")
