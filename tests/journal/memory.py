"""A journal in memory that keeps the contract: what the engine's tests write to. Keeps rows as the codec makes them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

from sagactl.core.codec import decode, encode
from sagactl.core.events import Event
from sagactl.core.parts import Actor
from sagactl.core.saga import Saga
from sagactl.errors import ConflictError, FencedError, NotFoundError, StoreError
from sagactl.model import Definition
from sagactl.ports import Request


@dataclass(slots=True)
class MemoryJournal:
    """See ports.Journal. `rows` are (type, JSON) by saga id."""

    rows: dict[str, list[tuple[str, str]]] = field(default_factory=dict)
    definitions: dict[str, Definition] = field(default_factory=dict)
    open: dict[str, list[Request]] = field(default_factory=dict)
    last_key: int = 0

    async def append(self, saga: Saga, events: Sequence[Event], *, answered: int = 0) -> Sequence[Request]:
        try:
            rows = [encode(event) for event in events]
        except ValueError as error:
            raise StoreError(str(error)) from error
        before, there = saga.seq - len(events), self.rows.get(saga.id, [])
        if before == 0 and there:
            raise ConflictError(f"there is a saga {saga.id} already")
        if len(there) != before:
            raise FencedError(f"{saga.id} has {len(there)} events, not {before}")
        self.rows[saga.id] = there + rows
        self.definitions[saga.id] = saga.definition
        self.open[saga.id] = [request for request in self.open.get(saga.id, []) if request.key > answered]
        return await self.requests(saga)

    async def requests(self, saga: Saga) -> Sequence[Request]:
        return tuple(self.open.get(saga.id, ()))

    async def request(self, saga_id: str, by: Actor, reason: str) -> None:
        if saga_id not in self.rows:
            raise NotFoundError(f"no saga {saga_id}")
        self.last_key += 1
        self.open[saga_id].append(Request(key=self.last_key, by=by, reason=reason))

    def events(self, saga_id: str) -> tuple[Event, ...]:
        """What was appended, read back from the rows."""
        return tuple(decode(kind, text, lambda _: self.definitions[saga_id]) for kind, text in self.rows[saga_id])
