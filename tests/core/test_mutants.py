"""The simulation is worth something only if it notices planted bugs."""

from __future__ import annotations

from tests.core.mutants import survivors


def test_every_planted_bug_is_killed_by_the_invariant_that_it_breaks() -> None:
    assert survivors() == []
