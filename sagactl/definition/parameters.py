"""The parameters that a saga is started with: given as `K=V`, in a file or as a mapping, checked against their rules.

Patterns are run here, and only here. Knows nothing about where the words of a command line come from.
"""

from __future__ import annotations

import contextlib
import json
import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from sagactl.definition.diagnostics import DefinitionError, Problem, did_you_mean, plain, shown
from sagactl.definition.reading import DEPTH_MAX, FILE_BYTES_MAX, read
from sagactl.definition.values import complaint
from sagactl.errors import InvalidError
from sagactl.model import Definition
from sagactl.template import VALUE_BYTES_MAX

_KINDS = {
    "string": "a string", "integer": "a whole number", "number": "a number", "boolean": "`true` or `false`",
    "array": "a list in JSON", "object": "a mapping in JSON",
}  # fmt: skip
_LIMITS = {
    "minimum": "at least {}", "maximum": "at most {}", "minLength": "at least {} characters",
    "maxLength": "at most {} characters", "pattern": "matching `{}` as a whole",
}  # fmt: skip
ENUM_SHOWN_MAX = 20


@dataclass(frozen=True, slots=True, kw_only=True)
class Checked:
    """What was given, put to the rules. `values` are the right ones and the defaults, in the order of the definition;
    `problems` sentences about the others; `missing` names those that have to be given and were not.
    """

    values: Mapping[str, object]
    problems: tuple[str, ...]
    missing: tuple[str, ...]


def check(definition: Definition, given: Mapping[str, object], pairs: Iterable[str] = ()) -> Checked:
    """All that can be said of these parameters. `pairs` are `NAME=TEXT`, read as the type of their parameter: a string
    as it is, all else as JSON. A pair wins over the value of the same name in `given`.
    """
    texts, problems = _split(pairs)
    problems += [_unknown(name, definition) for name in {**given, **texts} if name not in definition.params]
    values, missing = {}, []
    for name, rule in definition.params.items():
        value, told = _typed(texts[name], str(rule["type"])) if name in texts else (given.get(name), "")
        if name not in texts and name not in given:
            if "default" not in rule:
                missing.append(name)
                continue
            value = rule["default"]
        if told := told or _unfit(value) or complaint(value, rule):
            problems.append(f"{name} {told}, and is {_shown(texts.get(name, value))}{_nearest(value, rule)}")
        else:
            values[name] = value
    return Checked(values=values, problems=tuple(problems), missing=tuple(missing))


def bind(definition: Definition, given: Mapping[str, object], pairs: Iterable[str] = ()) -> Mapping[str, object]:
    """The value of every parameter, in the order of the definition: that of its pair, what is given, or its default.

    Raises:
        InvalidError: parameters are unknown, missing or invalid; the message names each.
    """
    checked = check(definition, given, pairs)
    absent = [f"{name} is missing: it has to be {rule_text(definition.params[name])}" for name in checked.missing]
    refuse([*checked.problems, *absent])
    return checked.values


def refuse(problems: Sequence[str]) -> None:
    """Raise InvalidError if there are any problems."""
    if problems:
        raise InvalidError("\n".join(["the parameters do not fit:", *(f"  {each}" for each in problems)]))


def rule_text(rule: Mapping[str, Any]) -> str:
    """What a parameter has to be, in words."""
    what = _one_of(rule["enum"]) if "enum" in rule else _KINDS[rule["type"]]
    return ", ".join([what, *(plain(words.format(rule[name])) for name, words in _LIMITS.items() if name in rule)])


def parse_params_file(data: bytes, file: str) -> Mapping[str, object]:
    """The values of a YAML or JSON file, which holds one mapping. Read as strictly as a definition.

    Raises:
        DefinitionError: it is none.
    """
    if data.lstrip().startswith(b"{") and len(data) <= FILE_BYTES_MAX:
        with contextlib.suppress(ValueError):  # then YAML's reader tells why
            return json_mapping(data)
    source, root, problems = read(data, file, begins="parameters are lines `NAME: VALUE`; `{}` is none at all")
    found = list(problems)
    if not found and not isinstance(root.value, dict):
        message = "the file must be a mapping of parameter names to values"
        found.append(Problem(code="SG203", span=root.span, message=message))
    if found:
        raise DefinitionError(source.diagnose(found))
    return dict(root.plain())


def json_mapping(data: bytes) -> dict[str, object]:
    """The one JSON object that these bytes are.

    Raises:
        ValueError: they are none, or say something twice; the text is a sentence.
    """
    try:
        found: object = json.loads(data.decode("utf-8-sig"), object_pairs_hook=_unique, parse_constant=_refuse)
    except UnicodeDecodeError:
        raise ValueError("it is not UTF-8") from None
    except json.JSONDecodeError as error:
        raise ValueError(f"it is no JSON: {error.msg}, at character {error.pos + 1:,}") from None
    except RecursionError:
        raise ValueError("it is nested too deep") from None
    except ValueError as error:
        raise ValueError(f"it can't be used: {error}") from None
    if not isinstance(found, dict):
        raise ValueError("it is no JSON object of parameters")
    return found


def _split(pairs: Iterable[str]) -> tuple[dict[str, str], list[str]]:
    """The texts of pairs by name, and what is wrong with the pairs themselves."""
    texts: dict[str, str] = {}
    problems = []
    for pair in pairs:
        name, equals, text = pair.partition("=")
        if not equals:
            problems.append(f"{shown(pair)} has no `=`: write `-p NAME=VALUE`, or `--param-file NAME=PATH`")
        elif name in texts:
            problems.append(f"{_name(name)} is given twice")
        else:
            texts[name] = text
    return texts, problems


def _typed(text: str, kind: str) -> tuple[object, str]:
    """The value of a text, and what is wrong with it as the end of a sentence."""
    if kind == "string":
        return text, ""
    try:
        return json.loads(text, object_pairs_hook=_unique, parse_constant=_refuse), ""
    except (ValueError, RecursionError):
        return None, f"must be {_KINDS[kind]}"


def _unique(pairs: Sequence[tuple[str, Any]]) -> dict[str, Any]:
    if len(found := dict(pairs)) < len(pairs):
        raise ValueError("a key stands twice")
    return found


def _refuse(constant: str) -> Any:
    raise ValueError(f"{constant} is no JSON")


def _unfit(value: object) -> str:
    """Why no process can be given a value, as the end of a sentence; empty when one can. A string may be any bytes."""
    if not isinstance(value, str):
        return _not_json(value)
    if "\0" in value:
        return "must not hold a NUL byte, which no process can be given"
    try:
        too_long = len(value.encode("utf-8", "surrogateescape")) >= VALUE_BYTES_MAX
    except UnicodeEncodeError:
        return "must be UTF-8"
    return f"must be under {VALUE_BYTES_MAX // 1024} KiB" if too_long else ""


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
    return f"{_name(name)} is unknown: {hint}"


def _name(name: str) -> str:
    return plain(name) if name.isidentifier() else shown(name)


def _shown(value: object) -> str:
    """A value as its author could have written it."""
    if isinstance(value, str):
        return shown(value)
    try:
        return shown(json.dumps(value, ensure_ascii=False))
    except (ValueError, TypeError, RecursionError):
        return shown(value)


def _one_of(values: Sequence[object]) -> str:
    more = ", …" if len(values) > ENUM_SHOWN_MAX else ""
    return "one of " + ", ".join(map(_shown, values[:ENUM_SHOWN_MAX])) + more


def _nearest(value: object, rule: Mapping[str, Any]) -> str:
    """The value of an `enum` that was meant."""
    known = [each for each in rule.get("enum", ()) if isinstance(each, str)]
    meant = did_you_mean(value, known) if isinstance(value, str) else ""
    return f": {meant}" if meant else ""
