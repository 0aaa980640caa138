"""The parameters that a saga is started with: given as `K=V`, in a file or as a mapping, checked against their rules.

Patterns are run here, and only here. Knows nothing about where the words of a command line come from.
"""

from __future__ import annotations

import json
import math
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from sagactl.definition.diagnostics import DefinitionError, Problem, did_you_mean, plain, shown
from sagactl.definition.reading import DEPTH_MAX, FILE_BYTES_MAX, read
from sagactl.definition.values import complaint
from sagactl.errors import InvalidError
from sagactl.model import Definition


def bind(definition: Definition, given: Mapping[str, object]) -> Mapping[str, object]:
    """The value of every parameter, in the order of the definition: what is given, else its default.

    Raises:
        InvalidError: parameters are unknown, missing or invalid; the message names each.
    """
    problems = [_unknown(name, definition) for name in given if name not in definition.params]
    values: dict[str, object] = {}
    for name, rule in definition.params.items():
        if name not in given and "default" not in rule:
            problems.append(f"{name} is missing: it has no default")
            continue
        values[name] = given.get(name, rule.get("default"))
        if told := _not_json(values[name]) or complaint(values[name], rule):
            problems.append(f"{name} {told}, and is {shown(values[name])}")
    _raise(problems)
    return values


def parse_pairs(definition: Definition, pairs: Iterable[str]) -> Mapping[str, object]:
    """The values of `K=V`, each read as the type of its parameter: a string as it is, all else as JSON.

    Raises:
        InvalidError: a pair is none, a name is unknown or given twice, a value is not of its type; all at once.
    """
    problems: list[str] = []
    values: dict[str, object] = {}
    for pair in pairs:
        name, equals, text = pair.partition("=")
        if not equals:
            problems.append(f"{shown(pair)} has no `=`: write NAME=VALUE")
        elif name not in definition.params:
            problems.append(_unknown(name, definition))
        elif name in values:
            problems.append(f"{name} is given twice")
        else:
            values[name], told = _typed(text, str(definition.params[name]["type"]))
            problems += [f"{name} {told}, and is {shown(text)}"] if told else []
    _raise(problems)
    return values


def parse_params_file(data: bytes, file: str) -> Mapping[str, object]:
    """The values of a YAML or JSON file, which holds one mapping. Read as strictly as a definition.

    Raises:
        DefinitionError: it is none.
    """
    if data.lstrip().startswith(b"{") and len(data) <= FILE_BYTES_MAX and (values := _json_mapping(data)) is not None:
        return values
    source, root, problems = read(data, file)
    found = list(problems)
    if not found and not isinstance(root.value, dict):
        message = "the file must be a mapping of parameter names to values"
        found.append(Problem(code="SG203", span=root.span, message=message))
    if found:
        raise DefinitionError(source.diagnose(found))
    return dict(root.plain())


def _json_mapping(data: bytes) -> dict[str, object] | None:
    """JSON's own reading of a mapping; None where it is no JSON, or says something twice: YAML's reader tells why."""
    try:
        found: object = json.loads(data, object_pairs_hook=_unique, parse_constant=_refuse)
    except (ValueError, RecursionError):
        return None
    return found if isinstance(found, dict) else None


def _typed(text: str, kind: str) -> tuple[object, str]:
    """The value of a text, and what is wrong with it as the end of a sentence."""
    if kind == "string":
        return text, ""
    try:
        value: object = json.loads(text, object_pairs_hook=_unique, parse_constant=_refuse)
    except (ValueError, RecursionError):
        return None, {
            "integer": "must be a whole number", "number": "must be a number", "boolean": "must be `true` or `false`",
            "array": "must be a list in JSON", "object": "must be a mapping in JSON",
        }[kind]  # fmt: skip
    return value, complaint(value, {"type": kind})


def _unique(pairs: Sequence[tuple[str, Any]]) -> dict[str, Any]:
    if len(found := dict(pairs)) < len(pairs):
        raise ValueError("a key stands twice")
    return found


def _refuse(constant: str) -> Any:
    raise ValueError(f"{constant} is no JSON")


def _not_json(value: object, depth: int = 0) -> str:
    """Why a value can't be kept as JSON, as the end of a sentence; empty when it can."""
    match value:
        case None | bool() | int():
            return ""
        case float():
            return "" if math.isfinite(value) else "must be a finite number"
        case str():
            return "" if value.isascii() or _is_unicode(value) else "must be UTF-8"
        case _ if depth >= DEPTH_MAX:
            return f"must not be nested more than {DEPTH_MAX} deep"
        case list() | tuple():
            return next((told for item in value if (told := _not_json(item, depth + 1))), "")
        case Mapping():
            if not all(isinstance(key, str) for key in value):
                return "must have strings as keys"
            return _not_json([*value.keys(), *value.values()], depth)
        case _:
            return "must be a JSON value"


def _is_unicode(text: str) -> bool:
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return True


def _unknown(name: str, definition: Definition) -> str:
    hint = did_you_mean(name, definition.params) or (
        f"the parameters are {', '.join(definition.params)}" if definition.params else "there are no parameters"
    )
    return f"{plain(name) if name.isidentifier() else shown(name)} is unknown: {hint}"


def _raise(problems: Sequence[str]) -> None:
    if problems:
        raise InvalidError("\n".join(["the parameters do not fit:", *(f"  {each}" for each in problems)]))
