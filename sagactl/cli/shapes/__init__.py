"""What commands print with `-o json` and `-o jsonl`, as JSON Schemas (draft 2020-12): a file for each shape.

Fields may be added, so no shape forbids those that it does not have: readers pass over what they do not know. The files
refer to each other by name; `shape` and `shape_of` give one that stands by itself.
"""

from __future__ import annotations

import functools
import json
from collections.abc import Mapping
from importlib.resources import files
from typing import Any, Final, TypeAlias

from sagactl.cli.options import Form
from sagactl.errors import NotFoundError

Rule: TypeAlias = dict[str, Any]

DRAFT: Final = "https://json-schema.org/draft/2020-12/schema"


def _one(name: str) -> Rule:
    return {"$ref": f"{name}.json"}


def _several(name: str) -> Rule:
    return {"type": "array", "items": _one(name)}


_SCHEMA: Final[Rule] = {"$ref": DRAFT}

PRINTED: Final[Mapping[str, tuple[Rule, Rule]]] = {
    "run": (_one("saga"), _one("event")),
    "run --each": (_several("each"), _one("each")),
    "resume": (_several("saga"), _one("event")),
    "compensate": (_several("saga"), _one("event")),
    "compensate --dry-run": (_several("undos"), _one("undos")),
    "list": (_several("summary"), _one("summary")),
    "inspect": (_one("saga"), _one("saga")),
    "inspect --definition": (_one("definition"), _one("definition")),
    "logs": (_several("log_line"), _one("log_line")),
    "events": (_several("event"), _one("event")),
    "wait": (_several("summary"), _one("summary")),
    "validate": (_one("diagnostics"), _one("diagnostic")),
    "plan": (_one("plan"), _one("plan")),
    "resolve": (_one("saga"), _one("saga")),
    "abandon": (_one("saga"), _one("saga")),
    "init": (_one("init"), _one("init")),
    "schema": (_SCHEMA, _SCHEMA),
    "explain": (_several("explanation"), _one("explanation")),
    "doctor": (_one("doctor"), _one("doctor")),
    "completions": (_one("completions"), _one("completions")),
    "prune": (_one("pruned"), _one("pruned_saga")),
}
"""By command, with the option that makes it print something else: what all of stdout is with `json`, and each of its
lines with `jsonl`. An error in these forms is an `exit_error`, the last line of stderr.
"""


def shape_of(command: str, form: Form) -> Rule:
    """What a key of PRINTED prints in a form, `json` or `jsonl`, as one schema that refers to nothing outside it.

    Raises:
        NotFoundError: it prints nothing for machines, or is no command.
    """
    if command not in PRINTED or form not in (Form.JSON, Form.JSONL):
        raise NotFoundError(f"`{command} -o {form}` has no shape", hint=f"these have one: {', '.join(PRINTED)}")
    return _alone(PRINTED[command][form is Form.JSONL])


def shape(name: str) -> Rule:
    """The shape of a file here, named without `.json`, as one schema that refers to nothing outside it."""
    return _alone(_one(name))


def _alone(rule: Rule) -> Rule:
    """A rule with all that it refers to below `$defs`, each part under its own name."""
    parts: dict[str, Any] = {}

    def taken(value: Any, file: str) -> Any:
        if isinstance(value, list):
            return [taken(each, file) for each in value]
        if not isinstance(value, dict):
            return value
        found = {key: taken(each, file) for key, each in value.items() if key not in ("$schema", "$defs")}
        return {**found, "$ref": target(found["$ref"], file)} if "$ref" in found else found

    def target(reference: str, file: str) -> str:
        if reference == DRAFT:
            return reference
        path, _, part = reference.partition("#/$defs/")
        file = path.removesuffix(".json") or file
        name = part or file
        if name not in parts:
            parts[name] = {}  # a part may refer to itself
            parts[name] = taken(_file(file)["$defs"][part] if part else _file(file), file)
        return f"#/$defs/{name}"

    whole = taken(rule, "")
    return {"$schema": DRAFT, **whole, **({"$defs": parts} if parts else {})}


@functools.cache
def _file(name: str) -> Rule:
    found: Rule = json.loads(files("sagactl.cli.shapes").joinpath(f"{name}.json").read_text("utf-8"))
    return found
