"""Does a tree have the shape that schema.json describes? Every difference in our own words, never the validator's.

The sentences come from the schema: the `title` of a part says what a value there must be. Knows nothing about what the
fields mean.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

from sagactl.definition.applying import Broken, differences, schema
from sagactl.definition.diagnostics import Note, Problem, Span, shown
from sagactl.definition.fields import mend
from sagactl.definition.tree import Node
from sagactl.definition.values import canonical

__all__ = ["problems_of_shape", "schema"]

_MISSING = {
    "saga": "`saga: NAME` at the top", "steps": "`steps:` and below it a list, each item with `- id: NAME`",
    "id": "`id: NAME`, the name by which other steps know this one",
    "action": "`action: [PROGRAM, ARGUMENT]`, or `action: ` and a shell script",
    "run": "`run: [PROGRAM, ARGUMENT]`, or `run: ` and a shell script",
    "pointer": "`pointer: /FIELD`, where in the JSON on stdout the value is",
    "type": "`type: string`, or `integer`, `number`, `boolean`, `array`, `object`",
}  # fmt: skip
"""What to write for a field that is missing."""


def problems_of_shape(root: Node) -> Iterator[Problem]:
    """Every place where the tree is not what the schema asks for, one problem each. Where a field has the wrong
    name, the tree is mended.
    """
    problems, unsure = mend(root, schema())
    yield from problems
    seen: set[int] = set()
    for broken in differences(root.plain()):
        node = root.at(broken.path)
        if node.broken:
            continue
        if broken.name is not None:
            yield _bad_name(node, broken.name, broken)
        elif broken.keyword == "required":
            yield from _missing(node, broken.rule["required"], _field(broken.path))
        elif broken.keyword == "uniqueItems":
            yield from _repeated(node)
        elif node.span.start not in unsure and id(node) not in seen:
            from sagactl.definition.bad_values import bad_value

            seen.add(id(node))
            yield bad_value(node, broken, _field(broken.path))


def _bad_name(node: Node, name: str, broken: Broken) -> Problem:
    from sagactl.definition.bad_values import name_help

    hint = name_help(name, broken.rule) if "pattern" in broken.rule else ""
    return Problem(code="SG205", span=node.fields[name].key or node.span, help=hint,
                   message=f"the name {shown(name)} must be {broken.rule['title']}")


def _missing(node: Node, required: list[str], where: str) -> Iterator[Problem]:
    for name in required:
        if name not in node.fields:
            yield Problem(code="SG202", span=node.head, message=f"{where} has no `{name}`",
                          help=f"write {_MISSING[name]}" if name in _MISSING else "")


def _repeated(node: Node) -> Iterator[Problem]:
    seen: dict[str, Span] = {}
    for item in node.items:
        value = canonical(item.plain())
        if value in seen:
            text = shown(item.text or json.dumps(item.plain(), ensure_ascii=False))
            first = Note(span=seen[value], message="first here")
            yield Problem(code="SG207", span=item.span, message=f"{text} stands twice in one list",
                          help="remove one of the two", notes=(first,))
        seen.setdefault(value, item.span)


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
