"""What SQLite does not notice: flipped bits, rows that vanish, rows that were moved or made up."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from sagactl.core.events import Event
from sagactl.core.states import SagaState
from sagactl.errors import DamagedError, StoreError
from sagactl.journal.reading import Reader, open_reader
from tests.journal.making import START_S, begun, history, write

SAGAS = 24
GUARDS = ("events_never_change", "events_are_added_once", "events_go_with_their_saga", "definitions_never_change",
          "sagas_keep_their_names")


def tamper(path: Path, *statements: str) -> None:
    """What a person with a database browser, or a bug of SQLite, could do."""
    with closing(sqlite3.connect(path, isolation_level=None)) as connection:
        for name in GUARDS:
            connection.execute(f"DROP TRIGGER {name}")
        for statement in statements:
            assert connection.execute(statement).rowcount > 0


@pytest.fixture
def path(tmp_path: Path) -> Path:
    path = tmp_path / "sagas.db"
    write(path, history(), history("order-2"))
    return path


LAST = len([event for _, events in history() for event in events])


@pytest.mark.parametrize(("statement", "said"), [
    ("DELETE FROM events WHERE saga = 1 AND seq = (SELECT seq FROM sagas WHERE key = 1)", f"order-1: event {LAST} is missing"),
    ("DELETE FROM events WHERE saga = 1 AND seq > 3", "order-1: event 4 is missing"),
    ("DELETE FROM events WHERE saga = 1 AND seq = 5", "order-1: event 5 is missing"),
    ("DELETE FROM events WHERE saga = 1", "order-1: event 1 is missing"),
    ("UPDATE events SET type = 'action_failed' WHERE saga = 1 AND type = 'action_succeeded'", "event 7 does not fit"),
    ("UPDATE events SET data = replace(data, '0', '1') WHERE saga = 1 AND seq = 4", "event 4 does not fit"),
    ("UPDATE events SET data = CAST(data AS BLOB) WHERE saga = 1 AND seq = 4", "event 4 does not fit"),
    ("UPDATE events SET crc = crc + 1 WHERE saga = 1 AND seq = 4", "event 4 does not fit"),
    ("INSERT OR REPLACE INTO events SELECT 1, seq, type, data, crc FROM events WHERE saga = 2", "event 1 does not fit"),
    ("UPDATE sagas SET token = 'ff' WHERE key = 1", "row does not fit"),
    ("UPDATE sagas SET seq = seq - 1 WHERE key = 1", "row does not fit"),
    ("UPDATE sagas SET state = 'running' WHERE key = 1", "row does not fit"),
    ("UPDATE definitions SET json = replace(json, 'step-1', 'step-7')", "definition is missing or damaged"),
    ("DELETE FROM definitions", "definition is missing or damaged"),
])
def test_a_change_is_noticed_and_named(path: Path, statement: str, said: str) -> None:
    tamper(path, statement)
    with pytest.raises(DamagedError, match=said) as caught:
        Reader(path).load("order-1")
    assert caught.value.exit_code == 7
    assert caught.value.hint


def test_two_events_that_changed_places_are_noticed(path: Path) -> None:
    tamper(path, "UPDATE events SET seq = 99 WHERE saga = 1 AND seq = 2",
           "UPDATE events SET seq = 2 WHERE saga = 1 AND seq = 4", "UPDATE events SET seq = 4 WHERE saga = 1 AND seq = 99")
    with pytest.raises(DamagedError, match="event 2 does not fit"):
        Reader(path).load("order-1")


@pytest.mark.parametrize(("statement", "shown", "said"), [
    ("UPDATE counts SET sagas = sagas + 1 WHERE state = 'completed'", ["order-2", "order-1"], "list of completed sagas"),
    ("UPDATE sagas SET why = 'x' WHERE key = 1", ["order-2"], "saga order-1: its row does not fit"),
    ("UPDATE sagas SET state = 'running' WHERE key = 1", ["order-2"], "saga order-1: its row does not fit"),
    ("UPDATE sagas SET why = CAST(x'ff' AS TEXT) WHERE key = 1", ["order-2"], "saga order-1: its row can't be read"),
])
def test_a_list_has_what_can_be_trusted_and_names_the_rest(path: Path, statement: str, shown: list[str], said: str) -> None:
    tamper(path, statement)
    found = Reader(path).summaries()
    assert [row.id for row in found.rows] == shown
    (damage,) = found.damages
    assert said in damage.message
    assert (damage.exit_code, bool(damage.hint)) == (7, True)


def test_a_list_that_is_read_row_by_row_is_narrowed_in_the_same_way(path: Path) -> None:
    write(path, [begun("order-3")], history("refund-1", failing="step-1"))
    reader = Reader(path)
    questions: list[dict[str, Any]] = [
        {"states": [SagaState.RUNNING]}, {"states": [SagaState.COMPLETED]}, {"limit": 2}, {"limit": 3}, {},
        {"name_glob": "simul*"}, {"name_glob": "order*"}, {"since_s": START_S + 0.001},
    ]
    whole = [reader.summaries(**question).rows for question in questions]
    tamper(path, "UPDATE counts SET sagas = 9")
    assert [reader.summaries(**question).rows for question in questions] == whole
    assert reader.summaries().damages


def test_an_index_that_leads_astray_hides_no_saga(path: Path) -> None:
    """The entry of the index of states is moved to a row that is not there; then to a state that is none."""
    whole = path.read_bytes()
    places = [place for place in range(len(whole)) if whole.startswith(b"completed", place)]
    hidden = 0
    for place in places:
        path.write_bytes(whole[:place] + b"Completed" + whole[place + 9:])
        found = Reader(path).summaries()
        hidden += bool(found.damages)
        assert {row.id for row in found.rows} | {name for error in found.damages
                                                for name in ("order-1", "order-2") if name in error.message} == {"order-1", "order-2"}
    assert hidden >= 3  # two entries of the index of states and a count; a list asks the other places for no state


def test_damage_of_one_saga_leaves_the_others_readable(path: Path) -> None:
    tamper(path, "DELETE FROM events WHERE saga = 1 AND seq = 2")
    assert Reader(path).load("order-2").seq == LAST


def test_an_append_does_not_make_damage_look_whole(path: Path) -> None:
    write(path, [begun("order-3")])
    saga = Reader(path).load("order-3")
    tamper(path, "UPDATE sagas SET chain = chain + 1 WHERE id = 'order-3'")
    from tests.journal.making import went_on
    write(path, [went_on(saga)])
    with pytest.raises(DamagedError, match="order-3"):
        Reader(path).load("order-3")


def test_a_damaged_index_is_not_taken_for_a_saga_that_is_not_there(tmp_path: Path) -> None:
    """Wherever an id stands, its dash becomes an m: a search that passes there goes the wrong way."""
    path = tmp_path / "sagas.db"
    write(path, *([begun(f"order-{n}")] for n in range(SAGAS)))
    whole, name = path.read_bytes(), b"order-12"
    places: list[int] = []
    while (place := whole.find(name, places[-1] + 1 if places else 0)) >= 0:
        places.append(place)
        path.write_bytes(whole[:place] + name.replace(b"-", b"m") + whole[place + len(name):])
        assert None in look(path).values()
    assert len(places) >= 2


def look(path: Path) -> dict[str, object]:
    """Everything that can be read, None where it is an error."""
    def tried(read: Callable[[Reader], object]) -> object:
        try:
            reader = open_reader(path)
            assert reader is not None
            return read(reader)
        except StoreError:
            return None

    def events(name: str) -> Callable[[Reader], tuple[tuple[int, Event], ...]]:
        return lambda reader: reader.events(reader.find(name))

    return {"list": tried(lambda reader: None if (found := reader.summaries()).damages else found.rows),
            **{name: tried(events(name)) for name in (f"order-{n}" for n in range(SAGAS))}}
