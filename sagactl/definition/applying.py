"""schema.json, and where a plain value is not what it asks for.

What a single keyword asks is jsonschema's word; how the keywords reach into a value is done here, as that library takes
most of its time for it. Known pitfalls of jsonschema 4 are closed: `3.0` and `true` are no integers, NaN no number, a
pattern matches the whole string, lists of mixed kinds take no quadratic time, and no `$ref` is ever fetched.
"""

from __future__ import annotations

import json
import math
import re
from collections.abc import Callable, Iterator, Mapping
from functools import cache
from importlib.resources import files
from typing import Any, NamedTuple, TypeAlias

Path: TypeAlias = tuple[str | int, ...]
_EXPLAINING = ("description", "examples", "default", "title", "errorMessage", "then", "else", "$defs", "$id", "$schema")


class Broken(NamedTuple):
    """A keyword that does not hold at a path. `rule` is the part of the schema that it stands in; `name` is that of a
    key where a name is meant and not its value.
    """

    path: Path
    keyword: str
    rule: Mapping[str, Any]
    name: str | None = None


@cache
def schema() -> dict[str, Any]:
    """schema.json: the language as JSON Schema, draft 2020-12."""
    text = files("sagactl.definition").joinpath("schema.json").read_text("utf-8")
    parsed: dict[str, Any] = json.loads(text)
    return parsed


def differences(value: Any) -> Iterator[Broken]:
    """All that the schema does not allow in a value, but for fields that are unknown: those are for fields.py."""
    yield from _apply(schema(), value, ())


def canonical(value: object) -> str:
    """Equal for equal values."""
    return json.dumps(value, sort_keys=True)


def _apply(rule: Mapping[str, Any], value: Any, path: Path) -> Iterator[Broken]:
    own, checks, validator = _OWN, _checks(), _validator()
    for keyword, asked in rule.items():
        if keyword in own:
            yield from own[keyword](asked, value, path, rule)
        elif keyword not in _EXPLAINING:
            for _ in checks[keyword](validator, asked, value, rule) or ():
                yield Broken(path, keyword, rule)
                break


@cache
def _validator() -> Any:
    import jsonschema

    checker = jsonschema.Draft202012Validator.TYPE_CHECKER
    checker = checker.redefine("integer", lambda _, value: type(value) is int)
    checker = checker.redefine("number", lambda _, value: type(value) is int or _finite(value))
    extend: Any = jsonschema.validators.extend
    return extend(jsonschema.Draft202012Validator, type_checker=checker)({})


@cache
def _checks() -> dict[str, Callable[..., Any]]:
    """What each keyword asks of the one value that it stands beside."""
    return {**_validator().VALIDATORS, "pattern": _pattern, "uniqueItems": _unique}


def _finite(value: object) -> bool:
    return isinstance(value, float) and math.isfinite(value)


def _pattern(_: Any, pattern: str, value: object, __: object) -> Iterator[str]:
    if isinstance(value, str) and not re.fullmatch(pattern, value):
        yield pattern


def _unique(_: Any, __: object, value: object, ___: object) -> Iterator[str]:
    if isinstance(value, list) and len({canonical(item) for item in value}) < len(value):
        yield "twice"


def _ref(name: str, value: Any, path: Path, _: object) -> Iterator[Broken]:
    yield from _apply(schema()["$defs"][name.rpartition("/")[2]], value, path)


def _all_of(rules: list[Any], value: Any, path: Path, _: object) -> Iterator[Broken]:
    for rule in rules:
        yield from _apply(rule, value, path)


def _if(rule: Mapping[str, Any], value: Any, path: Path, whole: Mapping[str, Any]) -> Iterator[Broken]:
    branch = "else" if any(_apply(rule, value, path)) else "then"
    if branch in whole:
        yield from _apply(whole[branch], value, path)


def _properties(rules: Mapping[str, Any], value: Any, path: Path, _: object) -> Iterator[Broken]:
    if isinstance(value, dict):
        for name, item in value.items():
            if name in rules:
                yield from _apply(rules[name], item, (*path, name))


def _additional(rule: Any, value: Any, path: Path, _: object) -> Iterator[Broken]:
    if rule is not False and isinstance(value, dict):
        for name, item in value.items():
            yield from _apply(rule, item, (*path, name))


def _names(rule: Mapping[str, Any], value: Any, path: Path, _: object) -> Iterator[Broken]:
    for name in value if isinstance(value, dict) else ():
        for broken in _apply(rule, name, path):
            yield broken._replace(name=name)


def _first_items(rules: list[Any], value: Any, path: Path, _: object) -> Iterator[Broken]:
    for place, rule in enumerate(rules[: len(value)] if isinstance(value, list) else ()):
        yield from _apply(rule, value[place], (*path, place))


def _items(rule: Mapping[str, Any], value: Any, path: Path, whole: Mapping[str, Any]) -> Iterator[Broken]:
    if isinstance(value, list):
        for place in range(len(whole.get("prefixItems", ())), len(value)):
            yield from _apply(rule, value[place], (*path, place))


_OWN: dict[str, Callable[[Any, Any, Path, Mapping[str, Any]], Iterator[Broken]]] = {
    "$ref": _ref, "allOf": _all_of, "if": _if, "properties": _properties, "additionalProperties": _additional,
    "propertyNames": _names, "prefixItems": _first_items, "items": _items,
}  # fmt: skip
