"""schema.json: complete, explained, and no key in it without an effect on the definition."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from collections.abc import Iterator
from typing import Any

import jsonschema
import pytest

from sagactl.definition.durations import _DURATION
from sagactl.definition.shape import schema
from tests.definition.building import definition

HEAD = "saga: s\n"
STEPS = "steps: [{id: a, action: [x], undo: none}]\n"


def of_step(fields: str) -> str:
    return f"{HEAD}steps: [{{id: z, action: [x], undo: none}}, {{id: a, action: [x], {fields}}}]\nsecrets: {{T: {{env: T}}}}"


def of_undo(fields: str) -> str:
    return f"{HEAD}steps: [{{id: a, action: [x], undo: {{run: [x], {fields}}}}}]"


def of_output(fields: str) -> str:
    return of_step(f"undo: none, outputs: {{o: {{{fields}}}}}")


def of_rule(fields: str) -> str:
    return f"{HEAD}{STEPS}params: {{p: {{{fields}}}}}"


def of_defaults(fields: str) -> str:
    return f"{HEAD}{STEPS}defaults: {{{fields}}}"


TUNING = ("timeout: 7s", "max_retries: 7", "retry_delay: 7s", "retry_backoff: 7", "retry_max_delay: 7s",
          "retry_jitter: full", "retry_on: [7]", "kill_after: 7s")
EFFECTS: dict[str, dict[str, tuple[str, str]]] = {
    "saga": {
        "saga": ("saga: t\n" + STEPS, HEAD + STEPS),
        "steps": (HEAD + STEPS, HEAD + STEPS.replace("id: a", "id: b")),
        **{
            text.split(":")[0]: (HEAD + STEPS, f"{HEAD}{STEPS}{text}")
            for text in ("description: d", "params: {p: {type: string}}", "secrets: {T: {env: T}}", "env: {A: b}",
                         "cwd: d", "defaults: {timeout: 7s}", "timeout: 7s")
        },
    },
    "step": {
        "id": (HEAD + STEPS, HEAD + STEPS.replace("id: a", "id: b")),
        "action": (HEAD + STEPS, HEAD + STEPS.replace("[x]", "[y]")),
        "undo": (of_step("undo: none"), of_step("undo: [x]")),
        **{
            text.split(":")[0]: (of_step("undo: none"), of_step(f"undo: none, {text}"))
            for text in ("description: d", "check: [x]", *TUNING, "env: {A: b}", "cwd: d", "secrets: [T]", "stdin: i",
                         "outputs: [o]", "needs: []", "undo_if_failed: true", "on_interrupt: undo",
                         "on_failure: continue", "pivot: true")
        },
    },
    "command_mapping": {
        "run": (of_undo(""), of_undo("").replace("run: [x]", "run: [y]")),
        **{
            text.split(":")[0]: (of_undo(""), of_undo(text))
            for text in (*TUNING, "env: {A: b}", "cwd: d", "stdin: i")
        },
    },
    "defaults": {
        text.split(":")[0]: (of_defaults(""), of_defaults(text)) for text in (*TUNING, "on_failure: continue")
    },
    "manual": {"manual": (of_step("undo: {manual: a}"), of_step("undo: {manual: b}"))},
    "output": {
        "from": (of_output(""), of_output("from: stdout, pointer: /a")),
        "pointer": (of_output("from: stdout, pointer: /a"), of_output("from: stdout, pointer: /b")),
        "empty": (of_output(""), of_output("empty: true")),
    },
    "secret": {
        "env": (f"{HEAD}{STEPS}secrets: {{T: {{env: A}}}}", f"{HEAD}{STEPS}secrets: {{T: {{env: B}}}}"),
        "file": (f"{HEAD}{STEPS}secrets: {{T: {{file: a}}}}", f"{HEAD}{STEPS}secrets: {{T: {{file: b}}}}"),
    },
    "rule": {
        text.split(":")[0]: (of_rule(f"type: {kind}"), of_rule(f"type: {kind}, {text}"))
        for kind, text in (
            ("string", "description: d"), ("string", "default: d"), ("string", "enum: [a]"), ("string", "pattern: a"),
            ("number", "minimum: 1"), ("number", "maximum: 1"), ("string", "minLength: 1"), ("string", "maxLength: 1"),
            ("array", "items: {type: string}"),
        )
    } | {"type": (of_rule("type: string"), of_rule("type: number"))},
}  # fmt: skip
WITHOUT_CHOICE = {("saga", "version")}
"""Has one value only, so it can have no effect."""


def properties() -> Iterator[tuple[str, str, dict[str, Any]]]:
    """(part, name, schema) of every property; the part of the whole file is `saga`."""
    for part, rule in {"saga": schema(), **schema()["$defs"]}.items():
        if rule.get("additionalProperties") is False:
            for name, field in rule["properties"].items():
                yield part, name, field


def test_every_key_has_a_row_of_its_effect() -> None:
    rows = {(part, name) for part, names in EFFECTS.items() for name in names}
    assert {(part, name) for part, name, _ in properties()} - WITHOUT_CHOICE == rows


@pytest.mark.parametrize(("part", "name"), [(part, name) for part, names in EFFECTS.items() for name in names])
def test_no_key_is_accepted_without_an_effect(part: str, name: str) -> None:
    before, after = EFFECTS[part][name]
    assert definition(before) != definition(after)


def test_the_schema_is_one_of_its_draft_and_closed() -> None:
    jsonschema.Draft202012Validator.check_schema(schema())
    text = json.dumps(schema())
    assert "oneOf" not in text
    assert set(re.findall(r'"\$ref": "([^"]*)/', text)) == {"#/$defs"}
    for part in schema()["$defs"].values():
        assert "properties" not in part or part.get("additionalProperties") is False


@pytest.mark.parametrize(("part", "name", "field"), list(properties()), ids=lambda each: each if isinstance(each, str) else "")
def test_every_property_is_explained_and_its_examples_and_default_fit(part: str, name: str, field: dict[str, Any]) -> None:
    assert field["description"].endswith(".")
    rule = {**field, "$defs": schema()["$defs"]}
    for value in [*field["examples"], *([field["default"]] if "default" in field else [])]:
        jsonschema.Draft202012Validator(rule).validate(value)


@pytest.mark.parametrize("text", ["500ms", "1h30m", "0s", "", "10", "1m1h", "99999h", "1s\n"])
def test_the_schema_and_the_reader_agree_on_durations(text: str) -> None:
    pattern = schema()["$defs"]["duration"]["pattern"]
    assert bool(re.fullmatch(pattern, text)) == bool(_DURATION.fullmatch(text))


def test_neither_loading_nor_binding_imports_jsonschema() -> None:
    code = (
        "import sys, sagactl.definition.loading as l, sagactl.definition.parameters as p;"
        "p.bind(l.load(sys.stdin.buffer.read(), 'f').definition, {'a': 'b'}); l.check(b'saga: 3', 'f');"
        "assert not {'jsonschema', 'requests'} & {*sys.modules}"
    )
    text = HEAD + STEPS + "params: {a: {type: string, pattern: b}}"
    subprocess.run([sys.executable, "-c", code], input=text.encode(), check=True)


BUILT_IN = {"retry_delay": "1s", "retry_backoff": 2, "retry_max_delay": "1m", "retry_jitter": "none", "kill_after": "10s"}


@pytest.mark.parametrize("part", ["step", "command_mapping", "defaults"])
def test_the_defaults_of_the_schema_are_those_that_hold(part: str) -> None:
    rules = schema()["$defs"][part]["properties"]
    assert {name: rules[name].get("default") for name in BUILT_IN} == BUILT_IN
    said = ", ".join(f"{name}: {value}" for name, value in BUILT_IN.items())
    (bare,), (full,) = (definition(f"{HEAD}{STEPS[:-3]}{fields}}}]").steps for fields in ("", f", {said}"))
    assert bare == full


@pytest.mark.parametrize(("part", "name", "field"), list(properties()), ids=lambda each: each if isinstance(each, str) else "")
def test_every_property_says_what_holds_without_it(part: str, name: str, field: dict[str, Any]) -> None:
    required = schema().get("required", ()) if part == "saga" else schema()["$defs"][part].get("required", ())
    said = re.search(r"Without (it|that|a default)\b|\bDefault: ", field["description"])
    assert [name in required, "default" in field, said is not None].count(True) == 1, field["description"]
