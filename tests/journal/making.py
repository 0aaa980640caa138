"""Sagas for the tests of journals: what the engine would append for one, group by group."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from pathlib import Path

import anyio

from sagactl.core import events as e
from sagactl.core.decide import Record, Run, decide
from sagactl.core.judge import judge
from sagactl.core.parts import Actor, Ending, How
from sagactl.core.saga import Saga, evolve, replay
from sagactl.journal.sqlite import BATCH_MAX, open_journal
from sagactl.model import Phase
from tests.world import ACTOR, started, step

BOOT = "3b1f2c6e-8f43-4c8e-9a41-0d6f5d0a7c11"
START_S = 1763671234.125
ENV_NAMES = tuple(f"SOME_VARIABLE_{n}" for n in range(40))
Group = tuple[Saga, list[e.Event]]
"""What one append makes durable: the saga after it, and its latest events."""


def first(saga_id: str = "order-1", *, steps: int = 5) -> e.SagaStarted:
    """A start as large as those of real life."""
    return replace(
        started(*(step(f"step-{n}") for n in range(steps))), at_s=START_S, id=saga_id, token=saga_id.encode().hex(),
        cwd="/home/someone/project", env={"PATH": "/usr/local/bin:/usr/bin:/bin", "HOME": "/home/someone"},
        env_names=ENV_NAMES, file="/home/someone/project/saga.yaml", file_hash="5e" * 32,
        holder=Actor(user="someone", host="machine-17", pid=123456, boot_id=BOOT),
    )


def begun(saga_id: str = "order-1", **changes: object) -> Group:
    """A saga with its first event alone."""
    start = replace(first(saga_id), **changes)  # type: ignore[arg-type]
    return replay([start]), [start]


def history(saga_id: str = "order-1", *, steps: int = 5, failing: str = "", begun_s: float = START_S) -> list[Group]:
    """All appends of a saga that is driven to its rest. The action of `failing` exits with 1, and so do all undos."""
    groups: list[Group] = []
    pending: list[e.Event] = [replace(first(saga_id, steps=steps), at_s=begun_s)]
    saga, now_s = replay(pending), begun_s
    while True:
        effects = decide(saga, now_s)
        records = [effect.event for effect in effects if isinstance(effect, Record)]
        for event in records:
            saga = evolve(saga, event)
            pending.append(event)
        if records:
            continue
        groups.append((saga, pending))
        running = [effect.attempt for effect in effects if isinstance(effect, Run)]
        if not running:
            return groups
        now_s += 0.015625
        status = int(running[0].step == failing or running[0].phase is Phase.UNDO)
        ending = Ending(how=How.EXITED, started_s=now_s - 0.01, ended_s=now_s, exit_status=status)
        pending = [judge(saga, running[0], ending, at_s=now_s, draw=0.5)]
        saga = evolve(saga, pending[0])


def went_on(saga: Saga, at_s: float = START_S + 1) -> Group:
    """The saga after one more event: another process has taken it on."""
    event = e.HolderChanged(at_s=at_s, holder=ACTOR)
    return evolve(saga, event), [event]


def told(groups: Iterable[Group]) -> tuple[e.Event, ...]:
    """The events of all these appends."""
    return tuple(event for _, events in groups for event in events)


def write(path: Path, *histories: list[Group]) -> None:
    """Append sagas to the database there, one after the other."""
    async def run() -> None:
        async with open_journal(path) as journal:
            for groups in histories:
                for saga, events in groups:
                    await journal.append(saga, events)

    anyio.run(run)


def make(
    path: Path, count: int, *, escalated: int = 0, interrupted: int = 0, steps: int = 5, every_s: float = 1.0,
) -> None:
    """Append `order-0` and so on, one begun each `every_s`; the escalated and interrupted ones are evenly spread among
    those that completed. At least two steps each. A thousand share a transaction, so that a million take minutes.
    """
    ends = [history(steps=steps), history(steps=steps, failing="step-1"), history(steps=steps)[:2]]
    kinds = [(groups[-1][0], told(groups)) for groups in ends]

    async def run() -> None:
        async with open_journal(path) as journal:
            for begin in range(0, count, BATCH_MAX):
                async with anyio.create_task_group() as tasks:
                    for n in range(begin, min(begin + BATCH_MAX, count)):
                        kind = 1 if _falls(n, escalated, count) else 2 * _falls(n + 1, interrupted, count)
                        tasks.start_soon(journal.append, *_like(*kinds[kind], f"order-{n}", n * every_s))

    anyio.run(run)


def _falls(n: int, some: int, count: int) -> bool:
    """Whether the n-th of so many is one of some that are evenly spread."""
    return (n + 1) * some // count > n * some // count


def _like(saga: Saga, events: tuple[e.Event, ...], saga_id: str, later_s: float) -> Group:
    """The same under another id, at a later time."""
    start = replace(saga.started, at_s=saga.started.at_s + later_s, id=saga_id, token=saga_id.encode().hex())
    rest = [replace(event, at_s=event.at_s + later_s) for event in events[1:]]
    return replace(saga, started=start, changed_s=saga.changed_s + later_s), [start, *rest]
