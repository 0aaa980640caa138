"""Every exception that a user can meet, and the one table of exit codes.

A class knows its exit code and what the code means; README, `--help` and `explain` are made from `EXIT_CODES`. A
message says what happened and where; `hint` says what to do next.
"""

from __future__ import annotations

EXIT_CODES: dict[int, tuple[str, str]] = {
    0: ("ok", "the command did what it says; run, resume, wait: the saga is completed"),
    1: ("error", "a bug in sagactl"),
    2: ("usage", "a flag or an argument is wrong, or a confirmation is needed"),
    3: ("invalid", "the definition or a parameter is wrong"),
    4: ("not_found", "no such saga or file, or the prefix is ambiguous"),
    5: ("conflict", "not allowed in this state, or the id is used for something else"),
    6: ("locked", "a live process holds this saga"),
    7: ("store", "the database can't be opened, written or trusted, or the machine can't start a process"),
    10: ("compensated", "the saga failed and all that committed or was in doubt was undone"),
    11: ("escalated", "a person is needed"),
    12: ("paused", "stopped on purpose before its end"),
    13: ("abandoned", "ended as it was, on a person's word"),
    124: ("timeout", "what was waited for had not ended in time"),
    129: ("signal", "HUP: checkpointed, resumable"),
    130: ("signal", "INT: checkpointed, resumable"),
    141: ("pipe", "stdout was closed and the code would else be 0"),
    143: ("signal", "TERM: checkpointed, resumable"),
}


class SagactlError(Exception):
    """Something the caller can't go on from. `exit_code` is a key of EXIT_CODES."""

    exit_code = 1
    usual_hint = ""

    def __init__(self, message: str, *, hint: str = "") -> None:
        super().__init__(message)
        self.message = message
        self.hint = hint or self.usual_hint

    @property
    def name(self) -> str:
        """The stable name of the exit code, for machines."""
        return EXIT_CODES[self.exit_code][0]


class UsageError(SagactlError):
    exit_code = 2


class InvalidError(SagactlError):
    """A definition or parameters that can't be used; the message may have several lines, one problem each."""

    exit_code = 3


class NotFoundError(SagactlError):
    exit_code = 4


class ConflictError(SagactlError):
    exit_code = 5


class LockedError(SagactlError):
    exit_code = 6


class StoreError(SagactlError):
    exit_code = 7
    usual_hint = "look at the disk and at the permissions there, then: sagactl resume --all"


class FencedError(StoreError):
    """Another writer appended to this saga first; nothing of this append is in the journal."""


class DamagedError(StoreError):
    """What the journal holds of a saga does not fit its checksums."""


class BusyError(StoreError):
    """The machine could not start a process, several times in a row; the saga stays resumable."""


class TimedOutError(SagactlError):
    exit_code = 124


class IllegalTransition(SagactlError):
    """An event that the tables do not allow in this state: a bug, or a journal that was tampered with."""
