"""Random kills of the orchestrator: nothing twice, nothing lost."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.faults.kills import campaign

FAULTLESS = {"double": 0, "lost": 0, "wrong": 0}


def test_30_random_kills_repeat_nothing_and_lose_nothing(tmp_path: Path) -> None:
    counts = campaign(tmp_path, seed=2, kills=30)
    assert {name: counts[name] for name in FAULTLESS} == FAULTLESS, counts


@pytest.mark.torture
@pytest.mark.timeout(0)
def test_random_kills_repeat_nothing_and_lose_nothing(
    tmp_path: Path, torture_seed: int, request: pytest.FixtureRequest,
) -> None:
    counts = campaign(tmp_path, torture_seed, request.config.getoption("--kills"))
    print(f"\n{dict(counts)}")
    assert {name: counts[name] for name in FAULTLESS} == FAULTLESS, counts
