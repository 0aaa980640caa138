"""Does a value fit the rule of its parameter? The JSON Schema meaning of nine keywords, in our own words.

A rule or a part of one that is malformed asks for nothing: it has been reported before.
"""

from __future__ import annotations

import json
import math
import re
import warnings
from collections.abc import Callable, Mapping
from typing import Any

from sagactl.definition.cpu import within
from sagactl.definition.diagnostics import shown

PATTERN_BYTES_MAX = 4096
PATTERN_CPU_S = 1.0
"""A longer string is not put to a pattern, and none for longer: regular expressions can take exponential time."""


def _is_number(value: Any) -> bool:
    return _is_integer(value) or (isinstance(value, float) and math.isfinite(value))


def _is_integer(value: Any) -> bool:
    return isinstance(value, int) and not isinstance(value, bool)


TYPES: dict[str, tuple[str, Callable[[Any], bool]]] = {
    "string": ("a string", lambda value: isinstance(value, str)),
    "integer": ("a whole number", _is_integer),
    "number": ("a number", _is_number),
    "boolean": ("`true` or `false`", lambda value: isinstance(value, bool)),
    "array": ("a list", lambda value: isinstance(value, (list, tuple))),
    "object": ("a mapping", lambda value: isinstance(value, Mapping)),
}


def complaint(value: Any, rule: Mapping[str, Any]) -> str:
    """What is wrong with a value, as the end of a sentence ("must be …"); empty when it fits."""
    known = TYPES.get(str(rule.get("type")))
    if known and not known[1](value):
        return f"must be {known[0]}"
    if isinstance(rule.get("enum"), (list, tuple)) and canonical(value) not in map(canonical, rule["enum"]):
        return "must be one of " + ", ".join(shown(each) for each in rule["enum"][:20])
    if isinstance(value, str):
        return _of_string(value, rule)
    if _is_number(value):
        return _of_number(value, rule)
    if isinstance(value, (list, tuple)) and isinstance(rule.get("items"), Mapping):
        told = ((place, complaint(item, rule["items"])) for place, item in enumerate(value, 1))
        return next((f"has an item, number {place}, that {text}" for place, text in told if text), "")
    return ""


def compiled(pattern: str) -> re.Pattern[str]:
    """The regular expression of a parameter.

    Raises:
        ValueError: Python can't compile it.
    """
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            return re.compile(pattern)
    except (re.error, RecursionError, OverflowError) as error:
        at = error.pos if isinstance(error, re.error) else None
        raise ValueError("it is too complex" if at is None else f"look at its character {at + 1:,}") from None


def _of_number(value: float, rule: Mapping[str, Any]) -> str:
    if _is_number(rule.get("minimum")) and value < rule["minimum"]:
        return f"must be at least {rule['minimum']}"
    if _is_number(rule.get("maximum")) and value > rule["maximum"]:
        return f"must be at most {rule['maximum']}"
    return ""


def _of_string(value: str, rule: Mapping[str, Any]) -> str:
    if _is_number(rule.get("minLength")) and len(value) < rule["minLength"]:
        return f"must have at least {rule['minLength']} characters"
    if _is_number(rule.get("maxLength")) and len(value) > rule["maxLength"]:
        return f"must have at most {rule['maxLength']} characters"
    if not isinstance(rule.get("pattern"), str):
        return ""
    if len(value.encode("utf-8", "surrogatepass")) > PATTERN_BYTES_MAX:
        return f"must have at most {PATTERN_BYTES_MAX // 1024} KiB, as it has a pattern"
    try:
        matches = within(PATTERN_CPU_S, lambda: compiled(rule["pattern"]).fullmatch(value) is not None)
    except TimeoutError:
        return f"takes too long to put to `{rule['pattern']}`: write that without repeats within repeats; " \
            "`(a+)+` is such a one"
    return "" if matches else f"must match `{rule['pattern']}` as a whole"


def canonical(value: Any) -> str:
    """Equal for equal JSON values, as JSON Schema counts: 1 and 1.0 are equal at any depth, 1 and true are not."""
    return json.dumps(_whole(value), sort_keys=True)


def _whole(value: Any) -> Any:
    match value:
        case float() if value.is_integer():
            return int(value)
        case list() | tuple():
            return [_whole(item) for item in value]
        case Mapping():
            return {name: _whole(item) for name, item in value.items()}
        case _:
            return value
