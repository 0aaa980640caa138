"""Options of the long campaigns."""

from __future__ import annotations

import random
import signal

import pytest

signal.signal(signal.SIGINT, signal.default_int_handler)  # a shell's `&` starts us with it ignored, and children keep that


def pytest_addoption(parser: pytest.Parser) -> None:
    group = parser.getgroup("torture", "long campaigns, run with -m torture")
    group.addoption("--torture-seed", type=int, default=None, help="repeat the campaign of that seed")
    group.addoption("--kills", type=int, default=300, help="random kills of the kill campaign")


@pytest.fixture
def torture_seed(request: pytest.FixtureRequest) -> int:
    """The seed of a campaign, printed so that it can be repeated."""
    given: int | None = request.config.getoption("--torture-seed")
    seed = random.SystemRandom().randrange(2**32) if given is None else given
    print(f"\n--torture-seed {seed}")
    return seed
