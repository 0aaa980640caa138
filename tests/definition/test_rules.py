"""One row for each rule: a definition and the codes of what is said about it."""

from __future__ import annotations

import itertools
import json
import random
import re
from graphlib import CycleError, TopologicalSorter

import pytest

from sagactl.definition.durations import seconds
from tests.definition.building import HEAD, STEP, codes, diagnostics, one, two

SHAPE = {
    "a root that is no mapping": ("[]", ["SG203"]),
    "no saga, no steps": ("version: 1", ["SG202", "SG202"]),
    "a higher version": (f"saga: s\nversion: 2\nsteps: {STEP[2:]}".replace("steps: {", "steps: [{").rstrip() + "]",
                         ["SG204"]),
    "no steps at all": ("saga: s\nsteps: []", ["SG206"]),
    "a name with a capital": (one("action: [x]").replace("saga: s", "saga: S"), ["SG205"]),
    "a name with a newline at its end": (one("action: [x]").replace("saga: s", 'saga: "s\\n"'), ["SG205"]),
    "an unknown field": (one("action: [x], udno: 1"), ["SG201"]),
    "no action": (one("description: x"), ["SG202"]),
    "an empty action": (one("action: []"), ["SG206"]),
    "an empty program": (one("action: ['']"), ["SG206"]),
    "an empty script": (one("action: ''"), ["SG206"]),
    "a number as a program": (one("action: [5]"), ["SG203"]),
    "a word that is a list": (one("action: [x, [y]]"), ["SG203"]),
    "a mapping without run": (one("action: {timeout: 5s}"), ["SG202"]),
    "a number as a timeout": (one("action: [x], timeout: 30"), ["SG203"]),
    "a timeout without a unit": (one("action: [x], timeout: '30'"), ["SG205"]),
    "a timeout of nothing": (one("action: [x], timeout: 0s"), ["SG205"]),
    "a truth as a number": (one("action: [x], max_retries: true"), ["SG203"]),
    "a real as a whole number": (one("action: [x], max_retries: 3.0"), ["SG203"]),
    "NaN as a number": (one("action: [x], retry_backoff: .nan"), ["SG203"]),
    "too many retries": (one("action: [x], max_retries: 101"), ["SG206"]),
    "too little backoff": (one("action: [x], retry_backoff: 0.5"), ["SG206"]),
    "an unknown jitter": (one("action: [x], retry_jitter: ful"), ["SG204"]),
    "exit code 0 as a failure": (one("action: [x], max_retries: 1, retry_on: [0]"), ["SG206"]),
    "an exit code twice": (one("action: [x], max_retries: 1, retry_on: [7, 7]"), ["SG207"]),
    "an undo that is nothing": (one("action: [x], undo: ").replace("undo: none, ", ""), ["SG203"]),
    "a manual undo with more": (one("action: [x], undo: {manual: x, run: y}").replace("undo: none, ", ""), ["SG201"]),
    "a variable of ours": (one("action: [x], env: {SAGA_ID: x}"), ["SG205"]),
    "a variable of ours too": (one("action: [x], env: {SAGACTL_DB: x}"), ["SG205"]),
    "a variable without value": (one("action: [x], env: {A: }"), ["SG203"]),
    "an output with a dash": (one("action: [x], outputs: [a-b]"), ["SG205"]),
    "an output in a dot file": (one("action: [x], outputs: {.a: {}}"), ["SG205"]),
    "stdout without a pointer": (one("action: [x], outputs: {a: {from: stdout}}"), ["SG202"]),
    "a pointer without stdout": (one("action: [x], outputs: {a: {pointer: /a}}"), ["SG208"]),
    "a pointer that is none": (one("action: [x], outputs: {a: {from: stdout, pointer: a}}"), ["SG205"]),
    "a secret of nowhere": (f"secrets: {{A: {{}}}}\n{HEAD}steps:\n{STEP}", ["SG206"]),
    "a secret of two places": (f"secrets: {{A: {{env: A, file: b}}}}\n{HEAD}steps:\n{STEP}", ["SG206"]),
    "a secret with a name of ours": (f"secrets: {{SAGA_A: {{env: A}}}}\n{HEAD}steps:\n{STEP}", ["SG205"]),
    "a parameter with a $ref": (f"saga: s\nparams: {{a: {{type: string, $ref: 'http://x/y'}}}}\nsteps:\n{STEP}",
                                ["SG201"]),
}  # fmt: skip


def params(rule: str) -> str:
    return f"saga: s\nparams: {{a: {rule}}}\nsteps:\n{STEP}"


PIVOT = "- {{id: {}, action: [x], undo: none, needs: [{}]{}}}\n"
RULES = {
    "two steps with one id": (f"{HEAD}steps:\n{STEP}{STEP}", ["SG301"]),
    "a need of nobody": (one("action: [x], needs: [b]"), ["SG302"]),
    "a need of itself": (one("action: [x], needs: [a]"), ["SG303"]),
    "a circle": (two("undo: none, needs: [b]", "undo: none, needs: [a]"), ["SG303"]),
    "a circle by silence": (two("undo: none, needs: [b]", "undo: none"), ["SG303"]),
    "going on with an undo": (two("undo: [x], on_failure: continue", "undo: none"), ["SG304"]),
    "going on without any": (two("on_failure: continue", "undo: none"), ["SG304"]),
    "going on by default": (two("undo: none", "undo: [x]") + "defaults: {on_failure: continue}", ["SG304"]),
    "a pivot beside a step": (two("undo: none, pivot: true", "undo: none, needs: []"), ["SG305"]),
    "a secret of no one": (one("action: [x], secrets: [T]"), ["SG306"]),
    "an action that is none": (one("action: none"), ["SG208"]),
    "a check that is none": (one("action: [x], check: none"), ["SG208"]),
    "a secret and a variable of one name": (
        "saga: s\nsecrets: {T: {env: T}}\nsteps:\n  - {id: a, action: [x], undo: none, secrets: [T], env: {T: x}}\n", ["SG208"]),
    "a setting said twice": (one("action: {run: [x], timeout: 1s}, timeout: 2s"), ["SG208"]),
    "a secret file by reference": (f"secrets: {{A: {{file: '${{env.H}}/x'}}}}\n{HEAD}steps:\n{STEP}", ["SG406"]),
    "a parameter without a type": (params("{default: 1}"), ["SG202"]),
    "an enum of numbers without a type": (params("{enum: [1, 2]}"), ["SG202"]),
    "a minimum of a string": (params("{type: string, minimum: 1}"), ["SG208"]),
    "a pattern of a number": (params("{type: number, pattern: x}"), ["SG208"]),
    "items of an object": (params("{type: object, items: {type: string}}"), ["SG208"]),
    "minimum over maximum": (params("{type: number, minimum: 2, maximum: 1}"), ["SG307"]),
    "a pattern that is none": (params("{type: string, pattern: '('}"), ["SG307"]),
    "a default of another type": (params("{type: string, default: 1}"), ["SG307"]),
    "a default out of its bounds": (params("{type: integer, minimum: 2, default: 1}"), ["SG307"]),
    "a default that is no choice": (params("{enum: [a, b], default: c}"), ["SG307"]),
    "a choice of another type": (params("{type: integer, enum: [1, a]}"), ["SG307"]),
    "a choice that is there twice": (params("{enum: [a, a]}"), ["SG207"]),
    "a wrong rule for items": (params("{type: array, items: {type: string, minimum: 1}}"), ["SG208"]),
    "a pattern that takes for ever": (params("{type: string, pattern: '(a+)+b', default: " + "a" * 60 + "}"), []),
    "a default null": (params("{type: string, default: }"), ["SG307"]),
    "a missing undo": (one("action: [x]").replace("undo: none, ", ""), ["SG501"]),
    "a missing undo past the pivot": (two("undo: none, pivot: true", "description: x"), ["SG510"]),
}


@pytest.mark.parametrize("name", SHAPE | RULES)
def test_a_rule_that_is_broken_is_named_by_its_code_and_nothing_else_is_said(name: str) -> None:
    text, expected = (SHAPE | RULES)[name]
    assert codes(text) == expected


@pytest.mark.parametrize(("text", "hint"), [
    (one("action: [x], retries: 1"), "write `max_retries: 3`"),
    (one("action: [x], timeout: 30"), "write `30s`"),
    (one("action: [x], retry_jitter: ful"), "did you mean `full`?"),
    (one("action: [x], stdin: 5"), 'write it in quotes: "5"'),
    (two("undo: none", "undo: none, needs: [aa]"), "did you mean `a`?"),
    (two("undo: none, needs: [b]", "undo: none"), "`b` has no `needs`, so it needs every step above it"),
])  # fmt: skip
def test_help_says_what_to_write(text: str, hint: str) -> None:
    assert hint in diagnostics(text)[0].help


def test_two_steps_with_one_id_name_both_places() -> None:
    (found,) = diagnostics(f"{HEAD}steps:\n{STEP}{STEP}")
    assert (found.line, found.column) == (5, 8)
    assert [(note.line, note.column) for note in found.notes] == [(4, 8)]


def test_a_pivot_in_a_chain_is_ordered() -> None:
    assert codes(two("undo: none", "undo: none, pivot: true")) == []


@pytest.mark.parametrize(("text", "expected_s"), [
    ("500ms", 0.5), ("10s", 10), ("5m", 300), ("1h30m", 5400), ("1h1m1s1ms", 3661.001), ("0s", 0),
])  # fmt: skip
def test_a_duration_is_a_number_of_seconds(text: str, expected_s: float) -> None:
    assert seconds(text) == expected_s


@pytest.mark.parametrize("text", ["", "10", "s", "10 s", "1m1h", "1.5s", "-1s", "1d", "10s\n", "\u0661s", "1s1s"])
def test_what_is_no_duration_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="is no duration"):
        seconds(text)


def test_circles_are_told_where_no_order_exists_and_only_there() -> None:
    draw = random.Random(7)
    told = 0
    for _ in range(400):
        count = draw.randint(1, 6)
        needs = [draw.sample(range(count), draw.randint(0, min(2, count))) if draw.random() < 0.7 else None for _ in range(count)]
        lines = [
            f"- {{id: s{i}, action: x, undo: none{'' if each is None else ', needs: ' + json.dumps([f's{n}' for n in each])}}}"
            for i, each in enumerate(needs)
        ]
        found = [each for each in diagnostics("saga: s\nsteps:\n" + "\n".join(lines)) if each.code == "SG303"]
        full = {i: set(range(i)) if each is None else set(each) for i, each in enumerate(needs)}
        assert bool(found) == has_circle(full), lines
        assert len({each.message for each in found}) == len(found)
        for each in found:
            steps = [int(name) for name in re.findall(r"`s(\d)`", each.message)]
            assert all(there in full[here] for here, there in itertools.pairwise(steps))
        told += bool(found)
    assert 50 < told < 350


def has_circle(needs: dict[int, set[int]]) -> bool:
    try:
        TopologicalSorter(needs).prepare()
    except CycleError:
        return True
    return False


def test_a_pivot_that_may_be_skipped_is_not_relied_on() -> None:
    assert codes(two("pivot: true, undo: none", "undo: [x]")) == ["SG510", "SG509"]
    assert codes(two("pivot: true, undo: none, on_failure: continue", "undo: [x]")) == []
    assert codes(two("pivot: true, undo: none, on_failure: continue", "needs: [a]")) == ["SG501"]


@pytest.mark.parametrize(("text", "cut"), [
    ("fixes #12", True), ("fixes\t#12", True), ("fixes\n      it #12", True), ("fixes  # 12", False), ("fixes ## 12", False),
    ("fixes #", False), ("fixes#12", False), ("'fixes' #12", False), ('"fixes" #12', False), ("fixes\n      #12", False),
    ("|\n      fixes #12", False), ("> #12\n      fixes", False), ("'fixes #12'", False),
])  # fmt: skip
@pytest.mark.parametrize("field", ["description", "action", "undo", "check", "- "])
def test_a_text_without_quotes_that_ends_at_what_is_hardly_a_comment(field: str, text: str, cut: bool) -> None:  # noqa: FBT001
    fields = {"action": "[./pay]", "undo": "none"}
    fields |= {"action": f"\n    - ./pay\n    - {text}"} if field == "- " else {"undo": f"\n    manual: {text}"} if field == "undo" \
        else {field: text}
    lines = "".join(f"  {name}: {value}\n" for name, value in fields.items())
    assert codes(f"saga: s\nsteps:\n- id: a\n{lines}") == ["SG517"] * cut
