"""What resolve and abandon have in common: record one event of an operator under the saga's lock, run nothing."""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

from sagactl.cli import driving, wiring

if TYPE_CHECKING:
    from sagactl.core import events as e
    from sagactl.core.saga import Saga


def record(database: Path, name: str, word: Callable[[Saga, float], e.Event | None]) -> tuple[Saga, bool]:
    """Record what `word` makes of a saga; the saga as it then is, and whether that changed it.

    Raises:
        LockedError: a live process holds it.
    """
    import anyio

    from sagactl.core.saga import evolve

    reader = driving.existing(database)
    saga_id = reader.find(name)
    saga = reader.load(saga_id)
    with wiring.locked(database, saga_id, saga.started.token):
        saga = reader.load(saga_id)
        event = word(saga, time.time())
        if event is None:
            return saga, False
        saga = evolve(saga, event)
        anyio.run(_append, database, saga, event)
        return saga, True


async def _append(database: Path, saga: Saga, event: e.Event) -> None:
    async with wiring.journal(database) as journal:
        await journal.append(saga, [event])
