"""Random kills of the orchestrator: nothing twice, nothing lost."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.conftest import Torture
from tests.faults.kills import campaign


@pytest.mark.torture
def test_random_kills_repeat_nothing_and_lose_nothing(tmp_path: Path, torture: Torture) -> None:
    counts = campaign(tmp_path, torture.seed, kills=torture.of(short=5, a_round=1000))
    torture.report("random kills of the orchestrator", counts["kills"],
                   {"double": counts["double"], "lost": counts["lost"], "wrong": counts["wrong"]})
