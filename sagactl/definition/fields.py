"""Unknown fields: each is reported once, with what is meant, and the tree is read on as if that were written.

So a slip is not reported a second time as a missing field, and what stands below it is checked too. Which fields are
known is said by schema.json; what other tools call them by foreign.py. Changes the tree.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import Any, NamedTuple

from sagactl.definition.diagnostics import Problem, closest, did_you_mean, shown
from sagactl.definition.tree import Node
from sagactl.model import Phase

UNKNOWN_MAX = 200
"""A hostile file has 50,000, and each is compared with all that is known."""
_PARTS = {"file": "", "step": "step", "command": "command_mapping", "undo": "command_mapping", "defaults": "defaults",
          "rule": "rule", "output": "output", "secret": "secret"}
"""What a mapping is, and the part of the schema that describes it."""
_HOLDERS = {"step": "a step", "defaults": "`defaults`", "file": "the top of the file"}
_MINUTES = ("timeoutminutes", "timeoutmin", "timeoutmins")
_SECONDS = ("timeoutseconds", "timeoutsec", "timeoutsecs", "timeouts", "activedeadlineseconds")


class Meant(NamedTuple):
    """What an unknown field stands for, if that is known, and what to tell. `sure`: its value is of that kind too."""

    field: str
    hint: str
    sure: bool


def mend(root: Node, schema: Mapping[str, Any]) -> tuple[list[Problem], set[int]]:
    """The problems of unknown fields, and where values begin that may be of another kind than what they stand for."""
    problems: list[Problem] = []
    unsure: set[int] = set()
    for node, what in _mappings(root):
        known = _known(schema, what, node)
        for name in [name for name in node.fields if name not in known][: UNKNOWN_MAX - len(problems)]:
            meant = _meant(name, what, known, node, schema)
            field = node.fields[name]
            problems.append(Problem(code="SG201", span=field.key or field.span, message=f"unknown field {shown(name)}",
                                    help=meant.hint))
            if meant.field and meant.field not in node.fields:
                node.rename(name, meant.field)
            else:
                unsure.add(node.span.start)
            if not meant.sure:
                unsure.add(field.span.start)
    return problems, unsure


def _mappings(root: Node) -> Iterator[tuple[Node, str]]:
    """Each mapping that has fields, from above, and what it is. Looked for as late as possible: names change."""
    yield root, "file"
    for node, what in ((root.get("defaults"), "defaults"), *((each, "secret") for each in _values(root, "secrets"))):
        if node:
            yield node, what
    for rule in _values(root, "params"):
        yield from _rules(rule)
    for step in root.under_items("steps"):
        yield step, "step"
        for phase in Phase:
            if command := step.get(phase):
                yield command, "undo" if phase is Phase.UNDO else "command"
        for output in _values(step, "outputs"):
            yield output, "output"


def _rules(rule: Node) -> Iterator[tuple[Node, str]]:
    yield rule, "rule"
    if items := rule.get("items"):
        yield from _rules(items)


def _values(node: Node, name: str) -> Iterable[Node]:
    return node.under(name).values()


def _known(schema: Mapping[str, Any], what: str, node: Node) -> tuple[str, ...]:
    """The fields of a mapping. An undo is a command or `manual`, and while it is neither it may become both."""
    if what != "undo" or (node.get("run") and not node.get("manual")):
        return _fields(schema, what)
    return ("manual",) if node.get("manual") else ("manual", *_fields(schema, what))


def _fields(schema: Mapping[str, Any], what: str) -> tuple[str, ...]:
    part = schema["$defs"][_PARTS[what]] if _PARTS[what] else schema
    return tuple(part["properties"])


def _meant(name: str, what: str, known: Iterable[str], node: Node, schema: Mapping[str, Any]) -> Meant:
    from sagactl.definition.foreign import FOREIGN, folded, same_but_for_spelling

    word = folded(name)
    if known == ("manual",):
        return Meant("", "what a person undoes has `manual` alone", sure=False)
    if same := same_but_for_spelling(name, known):
        return Meant(same, f"write `{same}`", sure=True)
    if word in (*_MINUTES, *_SECONDS) and "timeout" in known:
        return Meant("timeout", _duration(node.fields[name].text, "m" if word in _MINUTES else "s"), sure=False)
    if what in ("command", "undo") and "run" in node.fields and (holder := _elsewhere(name, what, schema)):
        return Meant("", holder, sure=False)
    if row := FOREIGN["command" if what == "undo" else what].get(word):
        return _of_row(*row, node)
    if close := closest(name, known):
        return Meant(close, f"did you mean `{close}`?", sure=True)
    return Meant("", _elsewhere(name, what, schema) or did_you_mean(name, known, "fields here"), sure=False)


def _of_row(field: str, hint: str, node: Node) -> Meant:
    if field == "id" and "id" in node.fields:
        return Meant("description", "a step is known by its `id`; a text about it is its `description`", sure=False)
    if field == "action" and "action" in node.fields:
        return Meant("", "a step has one command: write all of it into `action`", sure=False)
    return Meant(field, hint, sure=False)


def _duration(text: str, unit: str) -> str:
    return f"write `timeout: {text}{unit}`" if text.isdecimal() else "write `timeout`, a duration as `10m`"


def _elsewhere(name: str, what: str, schema: Mapping[str, Any]) -> str:
    """Where a field that is known, but not here, belongs."""
    if what == "defaults" and name in _fields(schema, "step") and name in _fields(schema, "file"):
        return f"`{name}` belongs to the top of the file or to a step"
    for other, holder in _HOLDERS.items():
        if other != what and name in _fields(schema, other):
            return f"`{name}` belongs to {holder}"
    return ""
