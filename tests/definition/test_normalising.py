"""One normalised definition: what every default and every inheritance comes to."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from sagactl.definition.loading import load
from sagactl.model import (
    Argv,
    Command,
    Definition,
    Jitter,
    ManualUndo,
    NothingToUndo,
    OnFailure,
    OnInterrupt,
    Output,
    RetryPolicy,
    Script,
    SecretSource,
)
from tests.definition.building import definition, one

EXAMPLE = (Path(__file__).parent / "example.yaml").read_bytes()


def test_the_example_of_the_language_loads_without_a_warning() -> None:
    loaded = load(EXAMPLE, "order.yaml")
    assert loaded.warnings == ()
    saga = loaded.definition
    assert (saga.saga, saga.timeout_s) == ("order", 600)
    assert saga.params["carrier"] == {"type": "string", "enum": ["dhl", "ups"], "default": "dhl"}
    assert saga.secrets == {"PAYMENT_TOKEN": SecretSource(env="PAYMENT_TOKEN")}
    assert [step.needs for step in saga.steps] == [(), ("reserve",), ("reserve", "charge"), ("ship",)]


def test_the_steps_of_the_example_have_all_that_is_said_and_not_said() -> None:
    reserve, charge, ship, notify = load(EXAMPLE, "order.yaml").definition.steps
    assert reserve.action == Command(
        run=Argv(words=("./bin/inventory", "reserve", "--order=${params.order_id}")), timeout_s=10,
        retry=RetryPolicy(max_retries=3),
    )
    assert isinstance(reserve.undo, Command)
    assert (reserve.undo.timeout_s, reserve.undo.retry.max_retries) == (30, 3)
    assert reserve.check is not None
    assert (reserve.check.timeout_s, reserve.check.retry.max_retries) == (30, 2)
    assert reserve.on_interrupt is OnInterrupt.RETRY
    assert charge.action.retry == RetryPolicy(max_retries=2, exit_codes=(7, 28))
    assert isinstance(charge.undo, Command)
    assert isinstance(charge.undo.run, Script)
    assert charge.undo.env == {
        "ORDER": "${params.order_id}", "AMOUNT": "${params.amount_cents}", "CHARGE": "${steps.charge.outputs.charge_id}",
    }  # fmt: skip
    assert charge.undo.retry == RetryPolicy(max_retries=10)
    assert charge.secrets == ("PAYMENT_TOKEN",)
    assert ship.outputs == {"tracking": Output(pointer="/tracking")}
    assert isinstance(ship.undo, ManualUndo)
    assert (notify.undo, notify.on_failure) == (NothingToUndo(), OnFailure.CONTINUE)
    assert notify.on_interrupt is OnInterrupt.ESCALATE


def test_a_definition_survives_the_way_to_json_and_back() -> None:
    saga = load(EXAMPLE, "order.yaml").definition
    assert Definition.from_json(json.loads(saga.to_json())) == saga


def test_without_a_word_each_command_has_what_is_built_in() -> None:
    (step,) = definition("saga: s\nsteps: [{id: a, action: [x], undo: [y], check: z}]").steps
    assert step.action == Command(run=Argv(words=("x",)))
    assert step.undo == Command(run=Argv(words=("y",)), retry=RetryPolicy(max_retries=3))
    assert step.check == Command(run=Script(text="z"), timeout_s=60, retry=RetryPolicy(max_retries=2))


EVERY_DEFAULT = (
    "defaults: {timeout: 7s, max_retries: 5, retry_delay: 2s, retry_backoff: 3, retry_max_delay: 9s, "
    "retry_jitter: full, retry_on: [4], kill_after: 500ms, on_failure: pause}\n"
)
POLICY = RetryPolicy(max_retries=5, delay_s=2, backoff=3, max_delay_s=9, jitter=Jitter.FULL, exit_codes=(4,))


def test_defaults_stand_between_the_word_of_an_author_and_what_is_built_in() -> None:
    (step,) = definition(EVERY_DEFAULT + "saga: s\nsteps: [{id: a, action: [x], undo: [x], check: [x]}]").steps
    expected = Command(run=Argv(words=("x",)), timeout_s=7, kill_after_s=0.5, retry=POLICY)
    assert step.action == step.undo == step.check == expected
    assert step.on_failure is OnFailure.PAUSE
    assert step.on_interrupt is OnInterrupt.ESCALATE, "a default is not the step's own word"


def test_the_settings_of_a_step_are_its_actions_only() -> None:
    (step,) = definition(
        "saga: s\nsteps: [{id: a, timeout: 7s, max_retries: 1, retry_on: [3], kill_after: 1s, stdin: in, "
        "action: [x], undo: [x], check: {run: [x], timeout: 1s, stdin: c}}]"
    ).steps
    policy = RetryPolicy(max_retries=1, exit_codes=(3,))
    assert step.action == Command(run=Argv(words=("x",)), timeout_s=7, kill_after_s=1, retry=policy, stdin="in")
    assert step.undo == Command(run=Argv(words=("x",)), retry=RetryPolicy(max_retries=3))
    assert step.check == Command(run=Argv(words=("x",)), timeout_s=1, stdin="c", retry=RetryPolicy(max_retries=2))


def test_env_and_cwd_go_from_saga_to_step_to_command() -> None:
    (step,) = definition(
        "saga: s\nenv: {A: saga, B: saga, C: saga}\ncwd: saga\nsteps: [{id: a, env: {B: step, C: step}, action: [x], "
        "undo: {run: [x], env: {C: own}, cwd: ../own}, check: [x]}]"
    ).steps
    assert step.action.env == {"A": "saga", "B": "step", "C": "step"}
    assert isinstance(step.undo, Command)
    assert step.undo.env == {"A": "saga", "B": "step", "C": "own"}
    assert (step.action.cwd, step.undo.cwd) == ("saga", "../own")
    assert definition(one("action: [x]")).steps[0].action.cwd == "."


@pytest.mark.parametrize(("fields", "expected"), [
    ("action: [x]", OnInterrupt.ESCALATE), ("action: [x], max_retries: 0", OnInterrupt.ESCALATE),
    ("action: [x], max_retries: 1", OnInterrupt.RETRY), ("action: {run: [x], max_retries: 1}", OnInterrupt.RETRY),
    ("action: [x], max_retries: 1, on_interrupt: undo", OnInterrupt.UNDO),
])  # fmt: skip
def test_only_a_step_that_says_so_itself_is_retried_after_an_interrupt(fields: str, expected: OnInterrupt) -> None:
    assert definition(one(fields)).steps[0].on_interrupt is expected


NEEDS = {
    "a chain by silence": (["", "", ""], [(), ("s0",), ("s1",)]),
    "a fork and a join by silence": (["", "[s0]", "[s0]", ""], [(), ("s0",), ("s0",), ("s1", "s2")]),
    "a start of its own": (["", "[]", ""], [(), (), ("s0", "s1")]),
    "a need of a step below": (["[s1]", "[]", "[]"], [("s1",), (), ()]),
    "silence after a need of a step below": (["[s2]", "[]", "[]", ""], [("s2",), (), (), ("s0", "s1")]),
    "needs in another order": (["", "[]", "[s1, s0]"], [(), (), ("s0", "s1")]),
}


@pytest.mark.parametrize("name", NEEDS)
def test_needs_are_explicit_and_minimal(name: str) -> None:
    given, expected = NEEDS[name]
    steps = [f"- {{id: s{i}, action: [x], undo: none{f', needs: {needs}' if needs else ''}}}" for i, needs in enumerate(given)]
    assert [step.needs for step in definition("saga: s\nsteps:\n" + "\n".join(steps)).steps] == expected


def test_a_thousand_silent_steps_have_a_thousand_needs() -> None:
    steps = "\n".join(f"- {{id: s{i}, action: [x], undo: none}}" for i in range(1000))
    assert sum(len(step.needs) for step in definition("saga: s\nsteps:\n" + steps).steps) == 999


def test_outputs_are_files_unless_they_say_otherwise() -> None:
    (step,) = definition(one("action: [x], outputs: {a: {}, b: {empty: true}, c: {from: stdout, pointer: ''}}")).steps
    assert step.outputs == {"a": Output(), "b": Output(empty_allowed=True), "c": Output(pointer="")}


def test_the_same_saga_in_other_words_has_the_same_fingerprint() -> None:
    short = definition("saga: s\nsteps: [{id: a, action: [x], undo: none}, {id: b, action: [x], undo: none}]")
    long = definition(
        "saga: s\ndescription: d\nversion: 1\nsteps:\n- {id: a, action: {run: [x]}, undo: none, needs: [], timeout: 300s}\n"
        "- {id: b, action: [x], undo: none, needs: [a], on_failure: compensate, cwd: .}\n"
    )
    assert short.fingerprint() == long.fingerprint()
