"""schema.json, and where a plain value is not what it asks for.

A validator of exactly the keywords that schema.json uses; another one there is a KeyError. Not jsonschema: that takes
40 ms to import and more than twice as long for a large file, and has ideas of its own: here `3.0` and `true` are no
integers, NaN is no number, a pattern matches the whole string, and no `$ref` is ever fetched. In all else the two are
of one mind, which a test holds with jsonschema beside it.
"""

from __future__ import annotations

import json
import math
import re
from collections.abc import Callable, Mapping
from functools import cache
from pathlib import Path as File
from typing import Any, NamedTuple, TypeAlias

from sagactl.definition.values import canonical

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
    text = File(__file__).with_name("schema.json").read_bytes()  # importlib.resources takes 3 ms to import
    parsed: dict[str, Any] = json.loads(text)
    return parsed


def differences(value: Any) -> list[Broken]:
    """All that the schema does not allow in a value, but for fields that are unknown: those are for fields.py."""
    found: list[Broken] = []
    _apply(schema(), value, (), found)
    return found


def _apply(rule: Mapping[str, Any], value: Any, path: Path, found: list[Broken]) -> None:
    for keyword, asked, reach, holds in _ASKED.get(id(rule)) or _keywords(rule):
        if reach:
            reach(asked, value, path, rule, found)
        elif not holds(asked, value):
            found.append(Broken(path, keyword, rule))


_ASKED: dict[int, tuple[tuple[str, Any, Any, Any], ...]] = {}
"""What each part of the schema asks, by its identity: (keyword, asked, function of _REACHING, function of _HOLDS)."""


def _keywords(rule: Mapping[str, Any]) -> tuple[tuple[str, Any, Any, Any], ...]:
    own = [(name, asked) for name, asked in rule.items() if name not in _EXPLAINING]
    _ASKED[id(rule)] = tuple((name, asked, _REACHING.get(name), name not in _REACHING and _HOLDS[name])
                             for name, asked in own)
    return _ASKED[id(rule)]


def _fits(rule: Mapping[str, Any], value: Any) -> bool:
    found: list[Broken] = []
    _apply(rule, value, (), found)
    return not found


def _is_finite(value: object) -> bool:
    return type(value) is int or (isinstance(value, float) and math.isfinite(value))


_TYPES: dict[str, Callable[[Any], bool]] = {
    "string": lambda value: isinstance(value, str), "integer": lambda value: type(value) is int,
    "number": _is_finite, "boolean": lambda value: isinstance(value, bool),
    "array": lambda value: isinstance(value, list), "object": lambda value: isinstance(value, dict),
}  # fmt: skip


def _is_of(kinds: Any, value: Any) -> bool:
    return _TYPES[kinds](value) if isinstance(kinds, str) else any(_TYPES[kind](value) for kind in kinds)


def _bound(kind: str, holds: Callable[[Any, Any], bool]) -> Callable[[Any, Any], bool]:
    """A bound of values of one type, which asks nothing of others."""
    is_one = _TYPES[kind]
    return lambda asked, value: not is_one(value) or holds(asked, value)


_HOLDS: dict[str, Callable[[Any, Any], bool]] = {
    "type": _is_of,
    "enum": lambda asked, value: canonical(value) in map(canonical, asked),
    "const": lambda asked, value: canonical(value) == canonical(asked),
    "not": lambda asked, value: not _fits(asked, value),
    "pattern": _bound("string", lambda asked, value: re.fullmatch(asked, value) is not None),
    "minLength": _bound("string", lambda asked, value: len(value) >= asked),
    "maxLength": _bound("string", lambda asked, value: len(value) <= asked),
    "minimum": _bound("number", lambda asked, value: value >= asked),
    "maximum": _bound("number", lambda asked, value: value <= asked),
    "minItems": _bound("array", lambda asked, value: len(value) >= asked),
    "maxItems": _bound("array", lambda asked, value: len(value) <= asked),
    "uniqueItems": _bound("array", lambda _, value: len(value) < 2 or len({*map(canonical, value)}) == len(value)),
    "minProperties": _bound("object", lambda asked, value: len(value) >= asked),
    "maxProperties": _bound("object", lambda asked, value: len(value) <= asked),
    "required": _bound("object", lambda asked, value: all(name in value for name in asked)),
}
"""What a keyword asks of the one value that it stands beside."""


def _ref(name: str, value: Any, path: Path, _: object, found: list[Broken]) -> None:
    _apply(schema()["$defs"][name.rpartition("/")[2]], value, path, found)


def _all_of(rules: list[Any], value: Any, path: Path, _: object, found: list[Broken]) -> None:
    for rule in rules:
        _apply(rule, value, path, found)


def _if(rule: Mapping[str, Any], value: Any, path: Path, whole: Mapping[str, Any], found: list[Broken]) -> None:
    branch = "then" if _fits(rule, value) else "else"
    if branch in whole:
        _apply(whole[branch], value, path, found)


def _properties(rules: Mapping[str, Any], value: Any, path: Path, _: object, found: list[Broken]) -> None:
    if isinstance(value, dict):
        for name, item in value.items():
            if name in rules:
                _apply(rules[name], item, (*path, name), found)


def _additional(rule: Any, value: Any, path: Path, _: object, found: list[Broken]) -> None:
    if rule is not False and isinstance(value, dict):
        for name, item in value.items():
            _apply(rule, item, (*path, name), found)


def _names(rule: Mapping[str, Any], value: Any, path: Path, _: object, found: list[Broken]) -> None:
    for name in value if isinstance(value, dict) else ():
        first = len(found)
        _apply(rule, name, path, found)
        found[first:] = [broken._replace(name=name) for broken in found[first:]]


def _first_items(rules: list[Any], value: Any, path: Path, _: object, found: list[Broken]) -> None:
    for place, rule in enumerate(rules[: len(value)] if isinstance(value, list) else ()):
        _apply(rule, value[place], (*path, place), found)


def _items(rule: Mapping[str, Any], value: Any, path: Path, whole: Mapping[str, Any], found: list[Broken]) -> None:
    if isinstance(value, list):
        for place in range(len(whole.get("prefixItems", ())), len(value)):
            _apply(rule, value[place], (*path, place), found)


_REACHING: dict[str, Callable[[Any, Any, Path, Mapping[str, Any], list[Broken]], None]] = {
    "$ref": _ref, "allOf": _all_of, "if": _if, "properties": _properties, "additionalProperties": _additional,
    "propertyNames": _names, "prefixItems": _first_items, "items": _items,
}  # fmt: skip
"""What a keyword asks of what is within the value."""
