"""The simulation is worth something only if it notices planted bugs."""

from __future__ import annotations

import pytest

from tests.conftest import Torture
from tests.core.mutants import PLANTED, survivors


@pytest.mark.torture
def test_every_planted_bug_is_killed_by_the_invariant_that_it_breaks(torture: Torture) -> None:
    planted = torture.some(PLANTED, short=6)
    alive = survivors(planted)
    torture.report("bugs planted in the core and found", len(planted), {"undetected": len(alive)})
