"""What to say of a value that the schema does not allow, and what to write in its place.

The sentence is made of the `title` of the part of the schema; the help is found by what is wanted and what is there.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Mapping
from typing import Any

from sagactl.definition.applying import Broken
from sagactl.definition.diagnostics import Problem, closest, plain, shown
from sagactl.definition.foreign import VALUES
from sagactl.definition.reading import resolve
from sagactl.definition.time_words import duration_help
from sagactl.definition.tree import Node

_CODES = {"type": "SG203", "enum": "SG204", "pattern": "SG205", "not": "SG208"}
"""By the keyword of the schema that does not hold; SG206 for the rest, all of which are bounds."""
_TRUE, _FALSE = ("yes", "on", "y", "1", "true"), ("no", "off", "n", "0", "false")
_FIRST = {"id": "step-", "saga": "saga-"}
_NEEDED = ("saga", "steps", "id", "action", "run", "manual")
_SEEN_MAX = 80
_NAMES_MAX = 3


def bad_value(node: Node, broken: Broken, field: str) -> Problem:
    """The problem of a value at which a keyword of the schema does not hold. `field` is how to call it."""
    rule = broken.rule
    code = _CODES.get(broken.keyword, "SG206")
    title = rule.get("title", "something else")
    message = rule.get("errorMessage") or f"{field} must be {title}, not {_kind(node)}"
    span = node.span if node.span.start < node.span.end else node.key or node.span
    return Problem(code=code, span=span, message=message, help=_help(node, rule, title, field.strip("`")))


def name_help(name: str, rule: Any, field: str = "") -> str:
    """A name that would be accepted for one that is not; empty where none is like it."""
    pattern = rule["pattern"]
    if name.upper().startswith("SAGA") and "SAGA_" in pattern:
        return "sagactl itself sets the variables that begin so: choose another name"
    parted = re.sub(r"(?<=[a-z])(?=[A-Z])", "-", name[:_SEEN_MAX].strip())
    dashed = re.sub(r"[^A-Za-z0-9_-]+", "-", parted).strip("-")
    for each in (dashed, dashed.replace("-", "_"), dashed.lower(), dashed.lower().replace("-", "_")):
        for first in ("", _FIRST.get(field, "_"), "n"):
            if each and re.fullmatch(pattern, first + each):
                return f"write `{first + each}`"
    return ""


def _kind(node: Node) -> str:
    match node.value:
        case None:
            return "nothing"
        case dict():
            names = ", ".join(map(shown, list(node.value)[:3])) + (", …" if len(node.value) > 3 else "")
            return f"a mapping with {names}" if node.value else "an empty mapping"
        case tuple():
            return f"a list of {len(node.value):,}" if node.value else "an empty list"
        case str():
            if not node.value:
                return "an empty text"
            return shown(node.value if isinstance(resolve(node.value), str) else f'"{node.value}"')
        case _:
            return shown(node.text)


def _help(node: Node, rule: Mapping[str, Any], title: str, field: str) -> str:
    """What to write; empty where nobody can guess."""
    kinds = rule.get("type", ())
    if "${" in node.string and "enum" not in rule and kinds == "string":
        return "references stand in arguments, `env`, `cwd` and `stdin`; this is a constant"
    if node.value is None and field != "undo":
        return _for_nothing(kinds, field)
    if field.startswith("item ") and "string" in kinds and len(node.fields) == 1:
        (name, value), = node.fields.items()
        return f"write it in quotes: {json.dumps(plain(f'{name}: {value.text}')[:_SEEN_MAX], ensure_ascii=False)}"
    if "not" in rule:
        return "write `from: stdout` beside it, or leave it out"
    if "enum" in rule:
        return _for_choice(node, rule, field)
    if title.startswith("a duration"):
        return duration_help(node, title)
    if kinds in ("integer", "number", "boolean"):
        return _for_number(node, title, field) if kinds != "boolean" else _for_truth(node)
    if kinds == "object":
        return _for_mapping(node, title, field)
    if "array" in kinds:
        return _for_list(node, kinds, field)
    return _for_text(node, rule, field) if "string" in kinds else ""


def _for_nothing(kinds: Any, field: str) -> str:
    if field.startswith("item") and "string" in kinds:
        return 'write "" for an empty text'
    if field.startswith(("item", "step ")):
        return "write it, or remove its `-`"
    return f"write a value behind `{field}:`, or below it" + ("" if field in _NEEDED else "; or leave it out")


def _for_choice(node: Node, rule: Mapping[str, Any], field: str) -> str:
    if field == "version":
        return "" if isinstance(node.value, int) and node.value > 1 else "write `version: 1`, or leave the line out"
    known = [str(each) for each in rule["enum"]]
    word = plain(node.text[:_SEEN_MAX]).lower()
    meant = VALUES.get(field, {}).get(word) or closest(word, known)
    return f"did you mean `{meant}`?" if word and meant else ""


def _for_truth(node: Node) -> str:
    word = node.text.lower()
    if word == node.string and word in ("true", "false"):
        return f"write it without quotes: {word}"
    return "write `true`" if word in _TRUE else "write `false`" if word in _FALSE else ""


def _for_number(node: Node, title: str, field: str) -> str:
    if isinstance(node.value, (int, float)) and not isinstance(node.value, bool) and " from " in title:
        return f"write one from {title.rpartition(' from ')[2]}"
    if re.fullmatch(r"-?\d{1,9}(\.\d{1,9})?", node.string, re.ASCII):
        return f"write it without quotes: {node.string}"
    return "write by how much, as `2`" if field == "retry_backoff" and node.string else ""


def _for_mapping(node: Node, title: str, field: str) -> str:
    """A mapping is meant, of a file, a step, a secret, variables."""
    if field == "the file":
        return "write `saga: NAME`, then `steps:` and below it the list of steps"
    if field.startswith("step ") and node.items:
        return "write all steps into one list: they run in order, or beside each other where `needs` says so"
    if field.startswith("step ") and node.text:
        return f"write `- id: NAME` and below it `action: {plain(node.text)[:_SEEN_MAX]}`"
    if "`env` or with `file`" in title:
        both = "env" in node.fields and "file" in node.fields
        return "keep one of the two" if both else "a secret never stands in a definition: write `{env: NAME}`"
    if "`type`" in title and node.text:
        return f"write `{_rule_for(node)}`"
    if title.startswith("a mapping such as `{from") and node.text:
        return f"write `{field}: {{from: stdout, pointer: /{field}}}`, or `{field}: {{from: file}}`"
    if field == "params":
        return f"write a rule for each: `params: {{{_each(node, 'NAME', '{type: string}', str.lower)}}}`"
    if field == "secrets":
        return "write where each is read from, never what it is:\n" \
            f"`secrets: {{{_each(node, 'TOKEN', '{env: NAME}')}}}`"
    pairs = [item.text.partition("=")[::2] for item in node.items[:5] if "=" in item.text]
    if pairs and field == "env":
        return "write it as a mapping: {" + plain(", ".join(f"{name}: {value!r}" for name, value in pairs)) + "}"
    return "write it as a mapping: `NAME: VALUE`, one a line" if node.items or node.text else ""


def _each(node: Node, name: str, rule: str, written: Callable[[str], str] = str) -> str:
    """The names that somebody listed, each with a rule, in which NAME stands for it."""
    named = [item.text or next(iter(item.fields), "") for item in node.items] or node.text.split()
    found = [found[0] for each in named if (found := re.match(r"[A-Za-z_]\w{0,30}(?![^=])", each, re.ASCII))]
    names = [written(each) for each in found[:_NAMES_MAX]] or [name]
    return ", ".join(f"{each}: {rule.replace('NAME', each)}" for each in names)


def _rule_for(node: Node) -> str:
    """The rule of a parameter for which a type stands, or the value that it should have."""
    types = VALUES["type"]
    if node.string in (*types, *types.values()):
        return f"{{type: {types.get(node.string, node.string)}}}"
    match node.value:
        case bool():
            kind = "boolean"
        case int():
            kind = "integer"
        case float():
            kind = "number"
        case _:
            kind = "string"
    value = plain(node.text[:_SEEN_MAX])
    return f"{{type: {kind}, default: {value if re.fullmatch(r'[A-Za-z0-9_.+-]+', value) else json.dumps(value)}}}"


def _for_list(node: Node, kinds: Any, field: str) -> str:
    """A list is meant, perhaps among others: of one where a single value stands, of the keys where a mapping does."""
    if field == "undo":
        unknown = node.value is None or isinstance(node.value, bool)
        return "write `undo: none` where there is nothing to undo; leave the field out while you don't know" \
            if unknown else ""
    if field == "steps" and node.fields:
        return f"write each as an item of a list: `- id: {plain(next(iter(node.fields)))[:_SEEN_MAX]}`"
    if field == "steps" and node.text:
        return "write each as an item of a list below it: `- id: NAME`, and what it does"
    if kinds == "array" and node.fields:
        return f"write the names alone: [{', '.join(map(plain, list(node.fields)[:5]))}]"
    if field == "secrets" and node.string in ("inherit", "all"):
        return "write the names of those that the step needs: [NAME]"
    if node.text and kinds in ("array", ["array", "object"]):
        return f"write it as a list: [{', '.join(re.split(r'[, ]+', plain(node.text[:_SEEN_MAX])))}]"
    return f'write it in quotes: "{plain(node.text[:_SEEN_MAX])}"' if node.text else ""


def _for_text(node: Node, rule: Mapping[str, Any], field: str) -> str:
    if field == "pointer" and (found := re.fullmatch(r"\$?\.?([\w.\[\]]{1,80})", node.text)):
        return "write `/" + re.sub(r"[.\[\]]+", "/", found[1]).strip("/") + "`"
    if "pattern" in rule and "minLength" not in rule and node.text:
        quoted = f'write it in quotes: "{node.text.lower()}"'
        return quoted if isinstance(node.value, bool) else name_help(node.text, rule, field)
    if field == "pattern" and node.items:
        return f'write it in quotes: "[{plain(", ".join(item.text for item in node.items))[:_SEEN_MAX]}]"'
    if isinstance(node.value, (int, float)):
        return f'write it in quotes: "{node.text}"'
    if node.items and all(item.text for item in node.items):
        return f'write one text: "{plain(" ".join(item.text for item in node.items))[:_SEEN_MAX]}"'
    return ""
