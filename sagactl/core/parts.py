"""What events are made of: attempts, how they end, and who and why. Times are Unix seconds.

As for events, a field at its default is not written: a default is part of the on-disk format.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum

from sagactl.model import Phase
from sagactl.plain import Value


class How(StrEnum):
    """How an attempt ended, as the executor saw it."""

    EXITED = "exited"
    SIGNALED = "signaled"
    TIMED_OUT = "timed_out"
    STOPPED = "stopped"
    """Ended because the saga turned round."""
    INTERRUPTED = "interrupted"
    """Ended by a person's second signal."""
    LOST = "lost"
    """Its supervisor died, or the machine did: nobody saw the end."""
    NOT_STARTED = "not_started"
    """The command can't be started, now or later."""
    BUSY = "busy"
    """The machine had no room for another process."""
    NEVER_STARTED = "never_started"
    """The intent was recorded, nobody ever claimed it, and now nobody can."""


class Cause(StrEnum):
    """Why a saga turned back."""

    FAILURE = "failure"
    DEADLINE = "deadline"
    REQUEST = "request"


class Reason(StrEnum):
    """Why a step needs a person."""

    UNDO_FAILED = "undo_failed"
    UNDO_MISSING = "undo_missing"
    UNDO_MANUAL = "undo_manual"
    IN_DOUBT = "in_doubt"
    PAST_PIVOT = "past_pivot"


@dataclass(frozen=True, slots=True, kw_only=True, eq=False, repr=False)
class Actor(Value):
    """Who did something: the user and the process, and the boot of the machine that it ran in."""

    user: str
    host: str
    pid: int
    boot_id: str


@dataclass(frozen=True, slots=True, kw_only=True, eq=False, repr=False)
class Attempt(Value):
    """One try of a command. `number` only grows within a step and phase; `ordinal` counts the present budget, from 1.

    A check has the number of the attempt that it `judges`. `cut_by_deadline`: the timeout is the saga's, not its own.
    """

    step: str
    phase: Phase
    number: int
    ordinal: int = 1
    timeout_s: float
    started_s: float
    boot_id: str
    judges: int = 0
    cut_by_deadline: bool = False


@dataclass(frozen=True, slots=True, kw_only=True, eq=False, repr=False)
class Ending(Value):
    """What an attempt came to, as seen from outside; judge.py says what it means.

    `outputs` are those that were valid, `outputs_error` says what is wrong with the others. `processes_left` are pids
    that could not be ended. Text is at most a few KiB and has secrets masked.
    """

    how: How
    ended_s: float
    started_s: float | None = None
    exit_status: int | None = None
    signal: int | None = None
    message: str = ""
    outputs: Mapping[str, str] = field(default_factory=dict)
    outputs_error: str = ""
    stderr_tail: str = ""
    processes_left: tuple[int, ...] = ()
    warnings: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True, eq=False, repr=False)
class OpenStep(Value):
    """A step that waits for a person: why, and what they were told to do."""

    step: str
    reason: Reason
    text: str = ""
