"""Does a tree have the shape that schema.json describes? Every difference in our own words, never the validator's.

The sentences come from the schema: the `title` of a part says what a value there must be. Known pitfalls of jsonschema
4 are closed here: `3.0` and `true` are no integers, NaN no number, a pattern matches the whole string, and no `$ref`
is ever fetched. Knows nothing about what the fields mean.
"""

from __future__ import annotations

import json
import math
import re
from collections.abc import Iterator
from functools import cache
from importlib.resources import files
from typing import Any

from sagactl.definition.diagnostics import Problem, did_you_mean, shown
from sagactl.definition.tree import Node

_CODES = {"type": "SG203", "enum": "SG204", "pattern": "SG205", "not": "SG208"}
"""By the keyword of the schema that does not hold; SG206 for the rest, all of which are bounds."""


@cache
def schema() -> dict[str, Any]:
    """schema.json: the language as JSON Schema, draft 2020-12."""
    text = files("sagactl.definition").joinpath("schema.json").read_text("utf-8")
    parsed: dict[str, Any] = json.loads(text)
    return parsed


def problems_of_shape(root: Node) -> Iterator[Problem]:
    """Every place where the tree is not what the schema asks for. Imports jsonschema, which takes 75 ms."""
    for error in _validator().iter_errors(root.plain()):
        node = root.at(error.absolute_path)
        if "propertyNames" in error.absolute_schema_path:
            key = node.fields[str(error.instance)].key or node.span
            message = f"the name {shown(error.instance)} must be {error.schema['title']}"
            yield Problem(code="SG205", span=key, message=message)
        elif error.validator == "additionalProperties":
            yield from _unknown(node, error.schema["properties"])
        elif error.validator == "required":
            yield from _missing(node, error.validator_value, _field(error.absolute_path))
        elif error.validator == "uniqueItems":
            yield from _repeated(node)
        else:
            yield _bad_value(node, error)


@cache
def _validator() -> Any:
    import jsonschema
    from referencing import Registry

    base = jsonschema.Draft202012Validator
    checker = base.TYPE_CHECKER.redefine("integer", lambda _, value: type(value) is int)
    checker = checker.redefine("number", lambda _, value: type(value) is int or _finite(value))
    own = {"pattern": _pattern, "uniqueItems": _unique}
    extend: Any = jsonschema.validators.extend
    return extend(base, validators=own, type_checker=checker)(schema(), registry=Registry())


def _finite(value: object) -> bool:
    return isinstance(value, float) and math.isfinite(value)


def _pattern(validator: Any, pattern: str, instance: object, _: object) -> Iterator[Any]:
    from jsonschema import ValidationError

    if validator.is_type(instance, "string") and not re.fullmatch(pattern, str(instance)):
        yield ValidationError("does not match")


def _unique(_: Any, __: object, instance: object, ___: object) -> Iterator[Any]:
    """As the original, which takes quadratic time for lists of mixed kinds."""
    from jsonschema import ValidationError

    if isinstance(instance, list) and len({_canonical(item) for item in instance}) < len(instance):
        yield ValidationError("repeats")


def _canonical(value: object) -> str:
    return json.dumps(value, sort_keys=True)


def _unknown(node: Node, known: dict[str, Any]) -> Iterator[Problem]:
    for name, field in node.fields.items():
        if name not in known:
            message = f"unknown field {shown(name)}"
            yield Problem(code="SG201", span=field.key or field.span, message=message, help=did_you_mean(name, known))


def _missing(node: Node, required: list[str], where: str) -> Iterator[Problem]:
    for name in required:
        if name not in node.fields:
            yield Problem(code="SG202", span=node.head, message=f"{where} has no `{name}`")


def _repeated(node: Node) -> Iterator[Problem]:
    seen: set[str] = set()
    for item in node.items:
        value = _canonical(item.plain())
        if value in seen:
            text = shown(item.text or json.dumps(item.plain(), ensure_ascii=False))
            yield Problem(code="SG207", span=item.span, message=f"{text} stands twice in one list")
        seen.add(value)


def _bad_value(node: Node, error: Any) -> Problem:
    rule = error.schema
    code = _CODES.get(error.validator, "SG206")
    title = rule.get("title", "something else")
    message = rule.get("errorMessage") or f"{_field(error.absolute_path)} must be {title}, not {_kind(node)}"
    # Where the whole of a long block is meant, its key or first line is.
    span = node.head if node.fields or node.items else node.span
    if span.start == span.end:
        span = node.key or span
    return Problem(code=code, span=span, message=message, help=_help(node, rule, title))


def _field(path: Any) -> str:
    """How a message calls what stands at a path."""
    match list(path):
        case []:
            return "the file"
        case [*_, "steps", int(place)]:
            return f"step {place + 1}"
        case [*_, str(above), int(place)]:
            return f"item {place + 1} of `{above}`"
        case [*_, last]:
            return f"`{last}`"
    return "the value"


def _kind(node: Node) -> str:
    match node.value:
        case None:
            return "nothing"
        case dict():
            return f"a mapping of {len(node.value):,}" if node.value else "an empty mapping"
        case tuple():
            return f"a list of {len(node.value):,}" if node.value else "an empty list"
        case str():
            return shown(node.value) if node.value else "an empty text"
        case _:
            return shown(node.text)


def _help(node: Node, rule: dict[str, Any], title: str) -> str:
    if "enum" in rule and node.string:
        return did_you_mean(node.string, [str(each) for each in rule["enum"]])
    if title.startswith("a duration") and re.fullmatch(r"\d+", node.text, re.ASCII) and int(node.text[:9]):
        return f"write `{node.text[:9]}s` for seconds, `{node.text[:9]}m` for minutes"
    if rule.get("type") == "string" and isinstance(node.value, (int, float)) and not title.startswith("a duration"):
        return f'write it in quotes: "{node.text}"'
    return ""
