"""The states of sagas and steps by name, for who only looks; tables.py says how they change."""

from __future__ import annotations

from enum import StrEnum
from typing import Final


class SagaState(StrEnum):
    RUNNING = "running"
    PAUSED = "paused"
    COMPENSATING = "compensating"
    ESCALATED = "escalated"
    COMPLETED = "completed"
    COMPENSATED = "compensated"
    ABANDONED = "abandoned"


class StepState(StrEnum):
    PENDING = "pending"
    EXECUTING = "executing"
    COMMITTED = "committed"
    FAILED = "failed"
    IN_DOUBT = "in_doubt"
    SKIPPED = "skipped"
    COMPENSATING = "compensating"
    COMPENSATED = "compensated"
    COMPENSATION_FAILED = "compensation_failed"
    KEPT = "kept"


DONE: Final = frozenset({StepState.COMMITTED, StepState.SKIPPED, StepState.KEPT})
"""What a list counts as done."""

FINAL = frozenset({SagaState.COMPLETED, SagaState.COMPENSATED, SagaState.ABANDONED})
"""No process has anything to do for these; a completed saga may still be compensated on request."""
