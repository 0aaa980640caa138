"""What the journal keeps of an event: names, compactness, and reading it back."""

from __future__ import annotations

import json
from dataclasses import replace

import pytest

from sagactl.core import events as e
from sagactl.core.codec import decode, definition_key, encode
from sagactl.core.parts import Ending, How
from sagactl.model import Argv, Command, Definition, Phase, RetryPolicy, Script
from tests.world import started, step


def test_a_start_refers_to_its_definition_by_key_and_is_read_back_whole() -> None:
    first = started(step("a", action=Command(run=Script(text="x"), retry=RetryPolicy(exit_codes=(7,)))))
    name, text = encode(first)
    assert (name, json.loads(text)["definition"]) == ("saga_started", definition_key(first.definition))
    assert decode(name, text, lambda _: first.definition) == first


def test_fields_at_their_defaults_are_not_written() -> None:
    ended = e.ActionSucceeded(at_s=2.0, step="a", phase=Phase.ACTION, number=1,
                              ending=Ending(how=How.EXITED, ended_s=2.0, exit_status=0))
    assert json.loads(encode(ended)[1]) == {
        "at_s": 2.0, "step": "a", "phase": "action", "number": 1,
        "ending": {"how": "exited", "ended_s": 2.0, "exit_status": 0},
    }


def test_an_unknown_name_is_an_error() -> None:
    with pytest.raises(KeyError):
        decode("saga_vanished", "{}", lambda _: started(step("a")).definition)


def test_a_definition_is_read_back_from_its_text_and_its_fingerprint_ignores_descriptions() -> None:
    one = Definition(saga="x", steps=(step("a", action=Command(run=Argv(words=("a", "b")), env={"K": "v"})),))
    other = Definition(saga="x", description="said", steps=(step("a", description="d", action=one.steps[0].action),))
    assert Definition.from_json(json.loads(one.to_json())) == one
    assert one.fingerprint() == other.fingerprint()
    assert definition_key(one) != definition_key(other)


def test_the_text_of_a_definition_is_made_once_and_is_no_part_of_it() -> None:
    one, other = started(step("a")).definition, started(step("a")).definition
    assert one.to_json() is one.to_json()
    assert (one, repr(one)) == (other, repr(other))
    assert json.loads(replace(one, description="said").to_json()) == {**json.loads(one.to_json()), "description": "said"}
