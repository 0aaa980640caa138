"""Random sagas in a simulated world: every invariant of world.py, and every row of both tables taken."""

from __future__ import annotations

import random

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests import world


@settings(max_examples=300, deadline=None, suppress_health_check=list(HealthCheck))
@given(st.randoms(use_true_random=False))
def test_any_saga_keeps_every_invariant(rng: random.Random) -> None:
    world.simulate(rng)


def test_2500_sagas_with_crashes_keep_every_invariant_and_take_every_row() -> None:
    crashes = 0
    for seed in range(2500):
        crashes += world.simulate(random.Random(seed)).crashes
    assert crashes > 2500
    assert world.all_rows() - world.rows_taken == set()


@pytest.mark.torture
@pytest.mark.timeout(0)
def test_100000_sagas_keep_every_invariant(torture_seed: int) -> None:
    for seed in range(torture_seed, torture_seed + 100_000):
        world.simulate(random.Random(seed))
