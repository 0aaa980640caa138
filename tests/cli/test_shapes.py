"""The shapes of what commands print for machines: the files, what they say of our own classes, and what holds us to them."""

from __future__ import annotations

import dataclasses
import json
import re
from collections.abc import Iterator
from enum import StrEnum
from pathlib import Path
from typing import Any

import pytest
from jsonschema import Draft202012Validator

from sagactl import model
from sagactl.cli import checks, completions, foresight, shapes
from sagactl.cli.commands import COMMANDS
from sagactl.cli.options import Form
from sagactl.cli.render.json import WORDS
from sagactl.cli.shapes import DRAFT, PRINTED, shape, shape_of
from sagactl.core import codec, judge, parts, states
from sagactl.errors import EXIT_CODES, NotFoundError
from sagactl.plain import to_plain
from tests.conforming import asked, conforms, strict
from tests.harness import Saga, saga

FOLDER = Path(shapes.__file__).parent
FILES = sorted(FOLDER.glob("*.json"))
FORMS = (Form.JSON, Form.JSONL)
TIMES = {f"{name}_s": name for name in ("at", "started", "ended", "retry_at", "check_at")}
OF_EVERY_EVENT = {"schema", "seq", "at", "saga", "type"}

FAILING = """
params:
  carrier: {type: string, default: ups}
steps:
- id: a
  description: reserve
  action: echo R-1 > "$SAGA_OUTPUT_DIR/ticket"
  outputs: {ticket: {from: file}}
  check: "false"
  undo: {run: echo back, max_retries: 0}
- {id: m, action: [echo, "${params.carrier}"], undo: {manual: Call them.}, needs: [a]}
- {id: c, action: echo no >&2; exit 4, undo: none, needs: [m]}
"""


def part(file: str, name: str = "") -> Any:
    whole = json.loads((FOLDER / f"{file}.json").read_text())
    return whole["$defs"][name] if name else whole


def consts(rule: Any) -> list[str]:
    """The values that a rule allows."""
    return rule["enum"] if "enum" in rule else [each["const"] for each in rule["oneOf"]]


def rules(rule: Any) -> Iterator[Any]:
    """A rule and all below it."""
    if isinstance(rule, dict):
        yield rule
    for each in rule.values() if isinstance(rule, dict) else rule if isinstance(rule, list) else ():
        yield from rules(each)


# The files.


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.stem)
def test_a_file_is_a_schema_and_stands_by_itself_with_what_it_refers_to(path: Path) -> None:
    whole = json.loads(path.read_text())
    assert whole["$schema"] == DRAFT
    Draft202012Validator.check_schema(whole)
    alone = shape(path.stem)
    Draft202012Validator.check_schema(alone)
    names = {rule["$ref"].removeprefix("#/$defs/") for rule in rules(alone) if "$ref" in rule}
    assert names == set(alone["$defs"])
    assert not [rule for rule in rules(alone["$defs"]) if {"$schema", "$defs"} & set(rule)]


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.stem)
def test_every_property_says_what_it_is(path: Path) -> None:
    whole = json.loads(path.read_text())
    for rule in rules(whole):
        for name, each in rule.get("properties", {}).items():
            file, _, below = each.get("$ref", "").partition("#/$defs/")
            shared = part(file.removesuffix(".json") or path.stem, below) if file or below else {}
            assert each.get("description") or shared.get("description"), name


def test_no_file_forbids_fields_and_no_two_parts_have_one_name() -> None:
    names = [path.stem for path in FILES]
    for path in FILES:
        whole = json.loads(path.read_text())
        names += whole.get("$defs", {})
        assert not [rule for rule in rules(whole) if rule.get("additionalProperties") is False]
    assert sorted(names) == sorted(set(names))


def test_every_file_is_of_use() -> None:
    used = {"exit_error", "parts"}
    for printed in PRINTED:
        for form in FORMS:
            used |= {rule["$ref"].rpartition("/")[2] for rule in rules(shape_of(printed, form)) if "$ref" in rule}
    assert {path.stem for path in FILES} <= used


# What they say of our own classes.


def fields(cls: type, rule: Any, besides: frozenset[str] = frozenset()) -> None:
    """Hold the properties of a rule to the fields of a class, as they are written."""
    known = {TIMES.get(field.name, field.name): field for field in dataclasses.fields(cls)}
    kind = {"kind"} if hasattr(cls, "KIND") else set()
    assert set(rule["properties"]) == known.keys() | besides | kind
    missing = dataclasses.MISSING
    needed = {name for name, field in known.items() if field.default is field.default_factory is missing}
    assert set(rule["required"]) == needed | besides | kind
    for name in known.keys() - needed:
        field = known[name]
        default = field.default_factory() if field.default_factory is not missing else field.default
        assert rule["properties"][name].get("default") == to_plain(default), name


@pytest.mark.parametrize("name", codec.NAMES)
def test_every_event_has_its_fields_and_no_others(name: str) -> None:
    whole = part("event")
    kinds = [whole["$defs"][each["$ref"].rpartition("/")[2]] for each in whole["oneOf"]]
    (rule,) = [each for each in kinds if name in consts(each["properties"]["type"])]
    fields(codec.NAMES[name], rule, frozenset(OF_EVERY_EVENT))


def test_there_is_no_event_but_those_of_the_core() -> None:
    whole = part("event")
    kinds = [whole["$defs"][each["$ref"].rpartition("/")[2]] for each in whole["oneOf"]]
    assert sorted(name for each in kinds for name in consts(each["properties"]["type"])) == sorted(codec.NAMES)


@pytest.mark.parametrize(("file", "name", "cls"), [
    ("event", "actor", parts.Actor), ("event", "attempt", parts.Attempt), ("event", "ending", parts.Ending),
    ("event", "open_step", parts.OpenStep), ("definition", "", model.Definition), ("definition", "defined_step", model.Step),
    ("definition", "command", model.Command), ("definition", "retry", model.RetryPolicy), ("definition", "argv", model.Argv),
    ("definition", "script", model.Script), ("definition", "manual", model.ManualUndo),
    ("definition", "nothing", model.NothingToUndo), ("definition", "output", model.Output),
    ("definition", "source", model.SecretSource),
])  # fmt: skip
def test_a_part_has_the_fields_of_its_class(file: str, name: str, cls: type) -> None:
    fields(cls, part(file, name))


@pytest.mark.parametrize(("rule", "kind"), [
    (part("parts", "saga_state"), states.SagaState), (part("parts", "step_state"), states.StepState),
    (part("parts", "phase"), model.Phase), (part("parts", "how"), parts.How), (part("parts", "reason"), parts.Reason),
    (part("parts", "on_failure"), model.OnFailure), (part("parts", "on_interrupt"), model.OnInterrupt),
    (part("event", "cause"), parts.Cause), (part("definition", "retry")["properties"]["jitter"], model.Jitter),
    (part("plan", "failure")["properties"]["fate"], foresight.Fate),
    (part("plan", "failure")["properties"]["check"]["oneOf"][1], foresight.Answer),
    (part("plan", "failure")["properties"]["stays"]["items"]["properties"]["why"], foresight.Why),
    (part("completions")["properties"]["shell"], completions.Shell),
    (part("doctor")["properties"]["checks"]["items"]["properties"]["status"], checks.Status),
])  # fmt: skip
def test_an_enumeration_has_the_values_of_its_class(rule: Any, kind: type[StrEnum]) -> None:
    assert consts(rule) == [each.value for each in kind]


def test_outcomes_words_and_exit_codes_are_those_that_there_are() -> None:
    outcomes = consts(part("saga", "tried")["properties"]["outcome"]["oneOf"][1])
    assert outcomes == [*judge.Outcome, "effect_found", "effect_absent", "inconclusive"]
    words = [name for name, cls in codec.NAMES.items() if issubclass(cls, WORDS)]
    assert consts(part("saga", "word")["properties"]["type"]) == words
    assert part("parts", "exit_code")["enum"] == list(EXIT_CODES)
    assert part("parts", "exit_name")["enum"] == list(dict.fromkeys(name for name, _ in EXIT_CODES.values()))


# Commands.


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("command", [name for name, row in COMMANDS.items() if not row.hidden])
def test_every_command_has_a_shape(command: str, form: Form) -> None:
    Draft202012Validator.check_schema(shape_of(command, form))


def test_only_commands_have_a_shape() -> None:
    assert {printed.split()[0] for printed in PRINTED} == {name for name, row in COMMANDS.items() if not row.hidden}


@pytest.mark.parametrize(("command", "form"), [("runn", Form.JSON), ("run", Form.HUMAN), ("validate", Form.GITHUB)])
def test_what_has_no_shape_is_told_with_those_that_have(command: str, form: Form) -> None:
    with pytest.raises(NotFoundError) as caught:
        shape_of(command, form)
    assert f"`{command} -o {form}` has no shape" in caught.value.message
    assert "compensate --dry-run" in caught.value.hint


@pytest.fixture(scope="module")
def seen(tmp_path_factory: pytest.TempPathFactory) -> Saga:
    """A folder with sagas that have been through much."""
    built = saga(tmp_path_factory.mktemp("seen"), FAILING)
    names = ("t", "u", *FORMS, *(f"left-{form}" for form in FORMS), "gone")
    built.file("names", "".join(json.dumps({"carrier": name}) + "\n" for name in names))
    built.again("run", "saga.yaml", "--each", "names", "--id-from", "carrier").chatty().exits(11)
    built.again("abandon", "gone", "--reason", "by hand").chatty().exits(0)
    return built.file("wrong.yaml", "saga: order\nsaga: order\nsteps: []\nstep: 1\n")


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize(("args", "code"), [
    (("run", "saga.yaml"), 11), (("resume", "u"), 11), (("compensate", "u", "--yes"), 11),
    (("compensate", "t", "--dry-run"), 0), (("list",), 0), (("inspect", "t"), 0), (("inspect", "t", "--definition"), 0),
    (("logs", "t"), 0), (("events", "t"), 0), (("wait", "t"), 11), (("validate", "wrong.yaml"), 3), (("plan", "saga.yaml"), 0),
    (("resolve", "FORM", "--step", "m", "--as", "undone", "--reason", "by hand"), 0), (("schema",), 0),
    (("abandon", "left-FORM", "--reason", "by hand"), 0), (("prune", "--dry-run"), 0),
    (("schema", "steps.undo"), 0), (("explain",), 0), (("doctor",), 0), (("completions", "fish"), 0),
])  # fmt: skip
def test_what_a_command_prints_has_its_shape(seen: Saga, args: tuple[str, ...], code: int, form: Form) -> None:
    args = (*(word.replace("FORM", form) for word in args), "-o", form)
    assert asked(args, {}) is not None
    assert seen.again(*args).chatty().exits(code).stdout  # the harness holds it to its shape


@pytest.mark.parametrize("form", FORMS)
def test_files_that_are_made_are_told_in_their_shape(tmp_path: Path, form: Form) -> None:
    assert json.loads(saga(tmp_path, "").args("init", "-o", form).chatty().exits(0).stdout)["written"]


def test_names_of_others_are_left_as_they_are_in_events(tmp_path: Path) -> None:
    built = saga(tmp_path, """
params:
  at_s: {type: object}
steps:
- {id: a, action: 'echo 12 > "$SAGA_OUTPUT_DIR/started_s"', undo: none, outputs: {started_s: {from: file}}}
""").file("p.json", '{"at_s": {"ended_s": 5}}')
    lines = built.run("--params-file", "p.json", "-o", "jsonl").chatty().exits(0).stdout.splitlines()
    first, *_, ended, _ = map(json.loads, lines)
    assert first["params"] == {"at_s": {"ended_s": 5}}
    assert ended["ending"]["outputs"] == {"started_s": "12"}
    again = built.again("events", "t").chatty().exits(0).stdout.splitlines()
    assert list(map(json.loads, again)) == list(map(json.loads, lines))


@pytest.mark.parametrize("command", ["wait", "resume", "compensate"])
def test_of_no_sagas_there_is_an_empty_array(tmp_path: Path, command: str) -> None:
    assert saga(tmp_path, "").args(command, "-", "--json").stdin("").chatty().exits(0).stdout == "[]\n"


# What holds every test to them.


@pytest.mark.parametrize(("args", "env", "wanted"), [
    (("list", "--json"), {}, ("list", Form.JSON)), (("-o", "jsonl", "list"), {}, ("list", Form.JSONL)),
    (("list", "-ojsonl"), {}, ("list", Form.JSONL)), (("list", "--output=json"), {}, ("list", Form.JSON)),
    (("-o", "json", "list", "--output", "jsonl"), {}, ("list", Form.JSONL)),
    (("list",), {"SAGACTL_OUTPUT": "json"}, ("list", Form.JSON)), (("list",), {}, None),
    (("list", "-o", "human"), {"SAGACTL_OUTPUT": "json"}, None), (("list", "-q"), {"SAGACTL_OUTPUT": "json"}, None),
    (("events", "t"), {}, ("events", Form.JSONL)), (("inspect", "t", "--json"), {}, ("inspect", Form.JSON)),
    (("inspect", "t", "--definition"), {}, ("inspect --definition", Form.JSON)),
    (("run", "saga.yaml", "--each=x", "--json"), {}, ("run --each", Form.JSON)),
    (("compensate", "--dry-run", "t", "-o", "jsonl"), {}, ("compensate --dry-run", Form.JSONL)),
    (("init", "-", "--json"), {}, ("init", Form.JSON)), (("--version",), {}, None), (("validate", "-o", "github", "f"), {}, None),
])  # fmt: skip
def test_a_command_line_tells_which_shape_it_asks_for(
    args: tuple[str, ...], env: dict[str, str], wanted: tuple[str, Form] | None,
) -> None:
    assert asked(args, env) == wanted


ROW = {"schema": 1, "id": "t", "name": "test", "state": "completed", "interrupted": False, "why": "",
       "started": "2026-01-02T03:04:05.678Z", "changed": "2026-01-02T03:04:05.678Z", "steps_done": 1, "steps_total": 1}
ERROR = {"type": "exit_error", "schema": 1, "code": 4, "error": "not_found", "message": "no", "hint": ""}


def test_a_list_and_its_errors_are_held_to_their_shapes() -> None:
    conforms(["list", "--json"], {}, 0, json.dumps([ROW]), "")
    conforms(["list", "--json"], {}, 7, "", json.dumps(ERROR))
    conforms(["list", "--json"], {}, 130, "", "")
    conforms(["list", "-o", "jsonl"], {}, 0, "", "")
    conforms(["list", "-o", "jsonl"], {}, -9, '{"sche', "")
    conforms(["list"], {}, 0, "no JSON", "")
    conforms(["events", "none"], {}, 4, "", "no saga none")


@pytest.mark.parametrize(("code", "out", "err"), [
    (0, json.dumps([{**ROW, "new": 1}]), ""), (0, json.dumps([{k: v for k, v in ROW.items() if k != "why"}]), ""),
    (0, json.dumps([{**ROW, "started": "2026-01-02T03:04:05.678+00:00"}]), ""), (0, json.dumps([{**ROW, "schema": 2}]), ""),
    (0, json.dumps([{**ROW, "state": "Completed"}]), ""), (0, json.dumps(ROW), ""), (0, "", ""), (4, "", ""),
    (4, "", json.dumps({**ERROR, "new": 1})), (4, json.dumps([{**ROW, "new": 1}]), json.dumps(ERROR)),
])  # fmt: skip
def test_what_differs_from_its_shape_fails_a_test(code: int, out: str, err: str) -> None:
    with pytest.raises((AssertionError, json.JSONDecodeError)):
        conforms(["list", "--json"], {}, code, out, err)


@pytest.mark.parametrize("line", [json.dumps({**ROW, "new": 1}) + "\n", json.dumps(ROW), "[]\n"])
def test_every_line_is_held_to_its_shape(line: str) -> None:
    with pytest.raises(AssertionError):
        conforms(["list", "-o", "jsonl"], {}, 0, json.dumps(ROW) + "\n" + line, "")


def test_readers_may_pass_over_new_fields_and_tests_may_not_at_any_depth() -> None:
    event = {"schema": 1, "seq": 2, "at": "2026-01-02T03:04:05.678Z", "saga": "t", "type": "saga_escalated",
             "open": [{"step": "a", "reason": "undo_failed", "new": 1}]}
    published = shape_of("events", Form.JSONL)
    assert Draft202012Validator(published).is_valid(event)
    assert not Draft202012Validator(strict(published)).is_valid(event)


def test_the_harness_holds_every_command_to_its_shape(tmp_path: Path) -> None:
    other = saga(tmp_path, "").file("sagactl.py", "print('[{}]')")  # found before ours by python -m
    with pytest.raises(AssertionError, match=re.escape("'schema' is a required property")):
        other.args("list", "--json").finished()
    assert other.again("list").finished().stdout == "[{}]\n"
