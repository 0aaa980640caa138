"""`sagactl schema`: the language for editors, and one field for people; that it, README and the examples agree."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import jsonschema
import pytest
import yaml

from sagactl.cli.schema import every_field
from sagactl.definition.shape import schema
from tests.generated import README
from tests.harness import ROOT, Saga

ANY = re.compile(r".*", re.DOTALL)
FIELDS = {path: (rule, required) for path, rule, required in every_field()}


def test_the_whole_schema_is_the_file_that_validation_uses(tmp_path: Path) -> None:
    shown = Saga(tmp_path, "").args("schema").stdout(ANY).exits(0).json
    assert shown == json.loads((ROOT / "sagactl/definition/schema.json").read_text())


def test_a_field_is_explained_with_description_default_and_examples(tmp_path: Path) -> None:
    Saga(tmp_path, "").args("schema", "steps.outputs.from").stdout("""steps.outputs.NAME.from
  `file`: the action writes $SAGA_OUTPUT_DIR/NAME. `stdout`: it prints JSON that `pointer` points into.

  is        one of `file`, `stdout`
  default   file
  example   from: stdout
""").exits(0)
    undo = Saga(tmp_path, "").args("schema", "steps.undo").stdout(ANY).exits(0).stdout
    assert "\n  example   undo: [./bin/inventory, release]\n            undo: none\n            undo: {manual: Call" in undo
    assert re.search(r"\n  takes     .*\bmanual\b", undo)
    assert re.search(r"\n  takes     .*\brun, timeout\b", undo)


def test_a_field_in_json_is_a_schema_that_stands_by_itself(tmp_path: Path) -> None:
    shown = Saga(tmp_path, "").args("schema", "steps.undo", "--json").stdout(ANY).exits(0).json
    validator = jsonschema.Draft202012Validator(shown)
    assert validator.is_valid({"manual": "call"})
    assert not validator.is_valid({"manul": "call"})


@pytest.mark.parametrize(("field", "told"), [
    ("steps.udno", "did you mean `steps.undo`?"), ("undo", "did you mean `steps.undo`?"),
    ("params.patern", "did you mean `params.pattern`?"), ("\x1b[2Jx", "the fields: saga, version"),
])  # fmt: skip
def test_an_unknown_field_is_not_found_and_the_nearest_is_named(tmp_path: Path, field: str, told: str) -> None:
    said = Saga(tmp_path, "").args("schema", field).stderr(told).exits(4).stderr
    assert "\x1b" not in said


def test_every_field_that_the_schema_accepts_can_be_asked_for() -> None:
    last = {path.rpartition(".")[2] for path in FIELDS}
    parts = [schema(), *schema()["$defs"].values()]
    assert {name for part in parts for name in part.get("properties", {})} <= last


def test_every_field_is_explained_has_an_example_and_its_default_in_json_or_in_words() -> None:
    for path, (rule, required) in FIELDS.items():
        assert rule["description"].endswith("."), path
        assert rule["examples"], path
        told = required or "default" in rule or re.search(r"Default: |Without |Only a person|What to run|Taken as", rule["description"])
        assert told, path


@pytest.mark.parametrize("path", FIELDS)
def test_every_example_and_default_is_valid_and_survives_yaml(path: str) -> None:
    rule = {**FIELDS[path][0], "$defs": schema()["$defs"]}
    for value in [*rule["examples"], *([rule["default"]] if "default" in rule else [])]:
        jsonschema.Draft202012Validator(rule).validate(value)
        assert yaml.safe_load(yaml.safe_dump(value)) == value


def test_the_table_of_fields_in_the_readme_names_every_field_of_the_schema() -> None:
    table = README.read_text().split("<!-- fields -->")[1].split("<!-- end -->")[0]
    rows = dict(re.findall(r"^\| `([^`]*)` \|(.*)", table, re.MULTILINE))
    assert set(rows) <= set(FIELDS)
    for path in FIELDS:
        above, _, name = path.rpartition(".")
        assert path in rows or f"`{name}`" in rows.get(above, "") or f"steps.undo.{name}" in rows or name == "NAME", path


def walk(value: Any, path: str = "") -> Iterator[str]:
    """The paths of a definition as the schema calls them."""
    if isinstance(value, list):
        for each in value:
            yield from walk(each, path)
    elif isinstance(value, dict):
        for name, each in value.items():
            below = "NAME" if path in ("params", "secrets") or path.endswith((".outputs", "env")) else name
            yield (inner := f"{path}.{below}".lstrip("."))
            if below != "default":
                yield from walk(each, inner)


def test_every_field_that_the_examples_use_can_be_asked_for() -> None:
    used = {path for file in (ROOT / "sagas").glob("*.yaml") for path in walk(yaml.safe_load(file.read_text()))}
    assert {path for path in used if not path.endswith("NAME")} <= set(FIELDS)
    assert len(used) > 40


def test_what_a_command_prints_has_a_schema_too(tmp_path: Path) -> None:
    def of(*args: str) -> Any:
        return Saga(tmp_path, "").args("schema", "--of", *args).stdout(ANY).exits(0).json

    assert (of("list")["type"], of("list", "-o", "json")["type"]) == ("array", "array")
    assert of("list", "-o", "jsonl") != of("list")
    assert of("exit_error")["$schema"] == "https://json-schema.org/draft/2020-12/schema"
    assert "undos" in str(of("compensate --dry-run"))
    Saga(tmp_path, "").args("schema", "--of", "lst").stderr("these have one: run").exits(4)
    Saga(tmp_path, "").args("schema", "steps", "--of", "list").stderr("--of is a command's output").exits(2)
