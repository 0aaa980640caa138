"""Random sagas in a simulated world: every invariant of world.py, and every row of both tables taken."""

from __future__ import annotations

import random

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests import world
from tests.conftest import Torture


@settings(max_examples=150, deadline=None, suppress_health_check=list(HealthCheck))
@given(st.randoms(use_true_random=False))
def test_any_saga_keeps_every_invariant(rng: random.Random) -> None:
    world.simulate(rng)


@pytest.mark.torture
def test_sagas_with_crashes_keep_every_invariant_and_take_every_row(torture: Torture) -> None:
    crashes, sagas = 0, max(2500, torture.of(short=2500, a_round=20_000))
    for seed in range(torture.seed, torture.seed + sagas):
        crashes += world.simulate(random.Random(seed)).crashes
    assert crashes > sagas
    assert world.all_rows() - world.rows_taken == set()
    torture.report("simulated sagas, with crashes at any write", sagas, {})
