"""What the engine needs of the world, as Protocols of at most five methods: a journal, an executor, a clock.

Adapters live in journal/ and execution/; tests have fakes that pass the same contract suites.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Protocol, TypeAlias

from sagactl.core.events import Event
from sagactl.core.parts import Actor, Attempt, Ending, How
from sagactl.core.saga import Saga
from sagactl.model import Command, Output
from sagactl.plain import Value

Publish: TypeAlias = Callable[[Saga, int, Event], None]
"""Called with the saga as it is now, and each event that has become durable with its sequence number."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False, repr=False)
class Request(Value):
    """A person asks the process that holds a saga to turn it round. `key` orders requests and grows."""

    key: int
    by: Actor
    reason: str


@dataclass(frozen=True, slots=True, kw_only=True, eq=False, repr=False)
class Surroundings(Value):
    """What commands of a saga get from the process that drives it: variables, and the saga's secrets by name."""

    env: Mapping[str, str]
    secrets: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True, eq=False, repr=False)
class Job(Value):
    """An attempt with all that is needed to run it, values not yet filled in.

    `env` is what every command gets beside its own env; `secrets` the values of those that the step names.
    `outputs` are those that the attempt (for a check: the attempt that it judges) should have written.
    """

    saga: Saga
    attempt: Attempt
    command: Command
    env: Mapping[str, str]
    secrets: Mapping[str, str] = field(default_factory=dict)
    outputs: Mapping[str, Output] = field(default_factory=dict)


class Journal(Protocol):
    """The facts of all sagas, append-only and durable."""

    async def append(self, saga: Saga, events: Sequence[Event], *, answered: int = 0) -> Sequence[Request]:
        """Make `events` durable; `saga` is the saga after them. Gives the open requests about it.

        `answered`: requests up to this key are done with and removed in the same transaction. Calls that wait at
        the same time share one transaction; each succeeds or fails alone.

        Raises:
            FencedError: the journal does not hold the `saga.seq - len(events)` events that were before them.
            ConflictError: a first event whose id exists.
            StoreError: the journal can't be written or trusted.
        """
        ...

    async def requests(self, saga: Saga) -> Sequence[Request]:
        """The open requests about a saga, oldest first."""
        ...


Look: TypeAlias = Callable[[], Ending | None]
"""Gives how an attempt ended; None: nobody has seen it, and `recover` finds out. Raises StoreError, OSError."""


class Executor(Protocol):
    """Runs attempts in processes that outlive this one, each at most once whatever crashes."""

    def expect(self, saga: Saga, attempt: Attempt) -> None:
        """Make the place for an attempt whose intent is about to be durable. Raises StoreError."""
        ...

    def start(self, job: Job, ended: Callable[[Look], None]) -> None:
        """Run an attempt whose intent is durable and that was never started before.

        `ended` is called once, when it has ended, perhaps at once. Raises StoreError, OSError: then it never is.
        """
        ...

    async def recover(self, job: Job) -> Ending:
        """Find out what became of an attempt that an earlier process recorded; it may still be running."""
        ...

    def stop(self, saga: Saga, attempt: Attempt, why: How, *, kill: bool = False) -> None:
        """End a live attempt: TERM, its `kill_after`, KILL; or KILL now. Its Ending then says `why`."""
        ...

    async def fold(self, saga: Saga, secrets: Mapping[str, str]) -> None:
        """The saga is final: keep the evidence of its attempts in one file, without secrets. May be called twice."""
        ...


class Clock(Protocol):
    """One source of time."""

    def now_s(self) -> float:
        """Unix seconds; never goes back and never jumps within a process."""
        ...
