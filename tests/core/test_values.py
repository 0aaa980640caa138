"""What the model's dataclasses have from `Value` is what `dataclass` would have given each of them."""

from __future__ import annotations

import copy
import dataclasses
from collections.abc import Iterator

import pytest

from sagactl.core import events as e
from sagactl.core.codec import NAMES
from sagactl.core.decide import Run
from sagactl.core.parts import Actor, Attempt, Ending, How, OpenStep, Reason
from sagactl.core.saga import Saga
from sagactl.model import Definition, ManualUndo, NothingToUndo, Phase, Script
from sagactl.plain import Value
from sagactl.ports import Job

ME = Actor(user="me", host="here", pid=7, boot_id="b")
VALUES = [
    ME, Script(text="x"), ManualUndo(text="x"), NothingToUndo(), OpenStep(step="a", reason=Reason.IN_DOUBT),
    e.SagaCompleted(at_s=1.0), e.SagaCompensated(at_s=1.0), e.SagaAbandoned(at_s=1.0, by=ME),
    e.ActionStarted(at_s=1.0, step="a", attempt=Attempt(step="a", phase=Phase.ACTION, number=1, timeout_s=1.0, started_s=1.0,
                                                        boot_id="b")),
    e.CompensationFailed(at_s=1.0, step="a", reason=Reason.UNDO_FAILED),
]


@pytest.mark.parametrize("value", VALUES, ids=lambda value: type(value).__name__)
def test_a_value_equals_its_like_and_nothing_else(value: object) -> None:
    like = copy.deepcopy(value)
    assert like is not value
    assert (like == value, hash(like) == hash(value), repr(like) == repr(value)) == (True, True, True)
    assert [other for other in VALUES if other == value] == [value]
    assert value != "x"


def test_a_value_of_another_class_or_with_another_field_is_another() -> None:
    ended = {"at_s": 1.0, "step": "a", "phase": Phase.ACTION, "number": 1, "ending": Ending(how=How.EXITED, ended_s=1.0)}
    kinds = [kind for kind in NAMES.values() if issubclass(kind, e.AttemptEnded)]
    made = [kind(**ended) for kind in kinds]  # type: ignore[arg-type]
    assert [[one == other for other in made] for one in made] == [[one is other for other in made] for one in made]
    for name in ("at_s", "step", "number"):
        assert dataclasses.replace(made[0], **{name: "z"}) != made[0]  # type: ignore[arg-type]


def test_a_value_shows_its_class_and_fields() -> None:
    assert repr(ME) == "Actor(user='me', host='here', pid=7, boot_id='b')"
    assert repr(NothingToUndo()) == "NothingToUndo()"
    assert repr(e.SagaCompleted(at_s=1.0)) == "SagaCompleted(at_s=1.0)"


@pytest.mark.parametrize("kind", NAMES.values(), ids=lambda kind: kind.__name__)
def test_no_event_can_be_changed_or_given_more(kind: type[e.Event]) -> None:
    event = object.__new__(kind)
    for field in dataclasses.fields(kind):
        with pytest.raises(dataclasses.FrozenInstanceError):
            setattr(event, field.name, 1)
    assert not hasattr(event, "__dict__")


def below(kind: type[object]) -> Iterator[type[object]]:
    for each in kind.__subclasses__():
        yield each
        yield from below(each)


def test_nothing_is_compiled_for_a_class_at_each_start_that_it_could_inherit() -> None:
    kinds = [*below(Value)]
    assert {*NAMES.values(), Attempt, Definition, Saga, Job, Run} <= {*kinds}
    for kind in kinds:
        assert not {"__eq__", "__hash__", "__repr__"} & vars(kind).keys(), kind
        own = kind.__base__ is Value or "__annotations__" in vars(kind)
        assert own or "__init__" not in vars(kind), kind
