"""The protocol of `crash.md`, all of its interleavings: nothing breaks, and it breaks where a rule is left out."""

from __future__ import annotations

import pytest

from tests.conftest import Torture
from tests.faults.protocol import Broken, Flaw, Protocol

FIRST_BROKEN = {
    Flaw.PID_FILE: {Broken.WRONG},
    Flaw.LINK_FIRST: {Broken.DOUBT},
    Flaw.RUN_AGAIN: {Broken.WRONG},
    Flaw.INTENT_LATER: {Broken.NO_INTENT},
    Flaw.NO_FENCE: {Broken.WRONG},
    Flaw.NO_CLAIM_FOR_NOBODY: {Broken.WRONG},
    Flaw.RELEASE_FIRST: {Broken.DOUBT},
    Flaw.READ_FIRST: {Broken.DOUBT},
    Flaw.NO_LOOK_AT_THE_FOLD: {Broken.WRONG, Broken.BESIDE},
}


@pytest.mark.torture
def test_no_interleaving_of_two_resumes_crashes_and_a_compensation_breaks_anything(torture: Torture) -> None:
    short = [Protocol(driver_crashes=1, supervisor_crashes=1), Protocol(locks_lost=1)]
    long = [Protocol(driver_crashes=3, supervisor_crashes=1),
            Protocol(driver_crashes=1, supervisor_crashes=1, locks_lost=1)]
    states = 0
    for protocol in long if torture.long else short:
        explored = protocol.explore()
        assert not explored.broken, (protocol, explored)
        states += explored.states
    torture.report("states of the protocol's model", states, {"double": 0, "lost": 0, "wrong": 0})


@pytest.mark.parametrize("flaw", Flaw, ids=lambda flaw: flaw.value)
def test_the_protocol_breaks_where_a_rule_is_left_out(flaw: Flaw) -> None:
    crashes, locks_lost = (0, 1) if flaw is Flaw.NO_FENCE else (1, 0)
    assert not Protocol(driver_crashes=crashes, locks_lost=locks_lost).explore().broken
    explored = Protocol(driver_crashes=crashes, locks_lost=locks_lost, flaw=flaw).explore()
    assert explored.broken == FIRST_BROKEN[flaw], explored.path
