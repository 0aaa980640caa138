"""What every journal promises: one suite for the fake and for SQLite."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass
from pathlib import Path

import anyio
import pytest

from sagactl.core.events import Event
from sagactl.errors import ConflictError, FencedError, NotFoundError, StoreError
from sagactl.journal.reading import Reader
from sagactl.journal.sqlite import SqliteJournal, open_journal
from tests.journal.making import begun, history, told, went_on
from tests.journal.memory import MemoryJournal
from tests.world import ACTOR

pytestmark = pytest.mark.anyio


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"


@dataclass(frozen=True, slots=True)
class Case:
    journal: MemoryJournal | SqliteJournal
    read: Callable[[str], tuple[Event, ...]]


@pytest.fixture(params=["memory", "sqlite"])
async def case(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[Case]:
    if request.param == "memory":
        memory = MemoryJournal()
        yield Case(memory, memory.events)
        return
    path = tmp_path / "sagas.db"
    async with open_journal(path) as journal:
        yield Case(journal, lambda saga_id: tuple(event for _, event in Reader(path).events(saga_id)))


async def test_events_are_read_back_as_they_were_appended(case: Case) -> None:
    groups = history(failing="step-3")
    for saga, events in groups:
        assert await case.journal.append(saga, events) == ()
    assert case.read("order-1") == told(groups)


async def test_a_first_event_of_a_known_id_is_a_conflict_and_changes_nothing(case: Case) -> None:
    await case.journal.append(*begun())
    with pytest.raises(ConflictError, match="order-1"):
        await case.journal.append(*begun(token="f" * 16))
    assert case.read("order-1") == tuple(begun()[1])


async def test_a_second_writer_is_fenced_and_writes_nothing(case: Case) -> None:
    saga, events = begun()
    await case.journal.append(saga, events)
    ours, theirs = went_on(saga, at_s=2e9), went_on(saga, at_s=3e9)
    await case.journal.append(*theirs)
    with pytest.raises(FencedError, match="order-1"):
        await case.journal.append(*ours)
    assert case.read("order-1") == (*events, *theirs[1])


async def test_a_writer_that_missed_an_append_is_fenced(case: Case) -> None:
    saga, events = begun()
    await case.journal.append(saga, events)
    missed, _ = went_on(saga)
    with pytest.raises(FencedError):
        await case.journal.append(*went_on(missed))


async def test_going_on_with_a_saga_that_is_not_there_is_fenced(case: Case) -> None:
    with pytest.raises(FencedError):
        await case.journal.append(*went_on(begun()[0]))


async def test_of_appends_at_the_same_time_the_fenced_one_fails_alone(case: Case) -> None:
    begins = [begun(f"order-{n}") for n in range(20)]
    for saga, events in begins:
        await case.journal.append(saga, events)
    await case.journal.append(*went_on(begins[7][0]))
    fenced: list[int] = []

    async def go_on(n: int) -> None:
        try:
            await case.journal.append(*went_on(begins[n][0], at_s=4e9))
        except FencedError:
            fenced.append(n)

    async with anyio.create_task_group() as tasks:
        for n in range(20):
            tasks.start_soon(go_on, n)
    assert fenced == [7]
    assert all(case.read(f"order-{n}")[-1].at_s == (4e9 if n != 7 else went_on(begins[7][0])[1][0].at_s)
               for n in range(20))


async def test_an_append_gives_the_open_requests_of_its_saga_oldest_first(case: Case) -> None:
    saga, events = begun()
    await case.journal.append(saga, events)
    await case.journal.append(*begun("order-2"))
    await case.journal.request("order-2", ACTOR, "not this one")
    await case.journal.request("order-1", ACTOR, "wrong price")
    await case.journal.request("order-1", ACTOR, "again")
    requests = await case.journal.append(*went_on(saga))
    assert [(request.by, request.reason) for request in requests] == [(ACTOR, "wrong price"), (ACTOR, "again")]
    assert requests[0].key < requests[1].key
    assert await case.journal.requests(saga) == requests


async def test_answered_requests_are_removed_and_their_keys_not_used_again(case: Case) -> None:
    saga, events = begun()
    await case.journal.append(saga, events)
    await case.journal.request("order-1", ACTOR, "one")
    await case.journal.request("order-1", ACTOR, "two")
    one, two = await case.journal.requests(saga)
    after, more = went_on(saga)
    assert await case.journal.append(after, more, answered=one.key) == (two,)
    assert await case.journal.append(*went_on(after), answered=two.key) == ()
    await case.journal.request("order-1", ACTOR, "three")
    assert [request.key > two.key for request in await case.journal.requests(saga)] == [True]


async def test_a_fenced_append_answers_no_request(case: Case) -> None:
    saga, events = begun()
    await case.journal.append(saga, events)
    await case.journal.append(*went_on(saga))
    await case.journal.request("order-1", ACTOR, "one")
    (one,) = await case.journal.requests(saga)
    with pytest.raises(FencedError):
        await case.journal.append(*went_on(saga), answered=one.key)
    assert await case.journal.requests(saga) == (one,)


async def test_a_request_about_no_saga_is_an_error(case: Case) -> None:
    with pytest.raises(NotFoundError, match="order-9"):
        await case.journal.request("order-9", ACTOR, "")


async def test_a_path_that_is_no_utf8_is_read_back(case: Case) -> None:
    saga, events = begun(cwd='/tmp/\udcff"\\\udc80', params={"long": "\udcfe" + "x" * 2000})
    await case.journal.append(saga, events)
    assert case.read("order-1") == tuple(events)


async def test_an_event_that_is_no_json_is_refused_and_nothing_is_written(case: Case) -> None:
    with pytest.raises(StoreError):
        await case.journal.append(*begun(params={"price": float("nan")}))
    await case.journal.append(*begun())
    assert case.read("order-1") == tuple(begun()[1])
