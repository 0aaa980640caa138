"""Campaigns: what the marker `torture` does, its options, and the table of figures at the end.

A campaign is one test that runs short in the default run and at length with `-m torture`. It takes the fixture `torture`
and asks it how much to do: `of` for random tries, `some` for the rows of a matrix. What it reports stands in the table.
"""

from __future__ import annotations

import random
import signal
import time
from collections.abc import Mapping, Sequence
from typing import Final, TypeVar

import pytest

signal.signal(signal.SIGINT, signal.default_int_handler)  # a shell's `&` starts us with it ignored, and children keep that
for number in (signal.SIGHUP, signal.SIGQUIT):
    signal.signal(number, signal.SIG_DFL)  # as nohup does

FAULTS: Final = ("double", "lost", "wrong", "undetected", "tracebacks")
SEED: Final = 2
_T = TypeVar("_T")
FIGURES: Final = "figures"


class Torture:
    """How much a campaign does, from which seed, and what came of it."""

    def __init__(self, test: pytest.Item) -> None:
        self.long = test.config.getoption("markexpr") == "torture"
        self.seed: int = test.config.getoption("--torture-seed")
        self._rounds: float = test.config.getoption("--rounds")
        self._test = test
        self._since_s = time.monotonic()

    def of(self, *, short: int, a_round: int) -> int:
        """How many random tries: `short` in the default run, else `a_round` for each round."""
        return round(a_round * self._rounds) if self.long else short

    def some(self, rows: Sequence[_T], *, short: int) -> list[_T]:
        """The rows of a matrix: all of them with `-m torture`, else so many, drawn by the seed, in order."""
        if self.long or len(rows) <= short:
            return list(rows)
        return [rows[i] for i in sorted(random.Random(self.seed).sample(range(len(rows)), short))]

    def report(self, what: str, tried: int, found: Mapping[str, int]) -> None:
        """A row of the table. Nothing tried and any fault found fail the test; `found` may only name FAULTS."""
        assert set(found) <= set(FAULTS)
        assert tried > 0, what
        assert not any(found.values()), f"{what}: {dict(found)} in {tried}, seed {self.seed}"
        self._test.user_properties.append((FIGURES, (what, tried, time.monotonic() - self._since_s)))


def pytest_addoption(parser: pytest.Parser) -> None:
    group = parser.getgroup("torture", "campaigns, at length with -m torture")
    group.addoption("--rounds", type=float, default=1.0, help="how long: 1 is about 1,000 random kills, 10 what README asks")
    group.addoption("--torture-seed", type=int, default=SEED, help="another seed, or that of a run to repeat")


@pytest.fixture
def torture(request: pytest.FixtureRequest) -> Torture:
    return Torture(request.node)


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    if config.getoption("markexpr") == "torture":
        for item in items:
            item.add_marker(pytest.mark.timeout(0))


@pytest.hookimpl(trylast=True)
def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter, config: pytest.Config) -> None:
    passed = terminalreporter.stats.get("passed", ())
    rows = [figures for test in passed for name, figures in test.user_properties if name == FIGURES]
    if config.getoption("markexpr") != "torture" or not rows:
        return
    terminalreporter.section(f"torture, seed {config.getoption('--torture-seed')}")
    terminalreporter.write_line(f"| what | tried | {' | '.join(FAULTS)} | seconds |")
    terminalreporter.write_line(f"|---|--:|{'--:|' * len(FAULTS)}--:|")
    for what, tried, took_s in sorted(rows):
        terminalreporter.write_line(f"| {what} | {tried:,} | {' | '.join('0' for _ in FAULTS)} | {took_s:.0f} |")
