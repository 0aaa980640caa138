"""Small definitions for tests, and what loading them says."""

from __future__ import annotations

from sagactl.definition.diagnostics import Diagnostic
from sagactl.definition.loading import check, load
from sagactl.model import Definition

UNUSED = ("SG506", "SG507", "SG508")
HEAD = "saga: s\nparams: {p: {type: string}, n: {type: integer}}\n"
STEP = "- {id: a, action: [x], undo: none}\n"


def one(fields: str) -> str:
    """A definition of one step `a` with these further fields, in flow style."""
    return f"{HEAD}steps:\n- {{id: a, undo: none, {fields}}}\n"


def two(first: str, second: str) -> str:
    """A definition of two steps `a` and `b` with an output `o` each."""
    common = "action: [x], outputs: [o]"
    return f"{HEAD}steps:\n- {{id: a, {common}, {first}}}\n- {{id: b, {common}, {second}}}\n"


def definition(text: str) -> Definition:
    return load(text.encode(), "f.yaml").definition


def diagnostics(text: str | bytes) -> tuple[Diagnostic, ...]:
    """All that loading says, but for what nothing uses: the small definitions here declare more than they need."""
    found = check(text if isinstance(text, bytes) else text.encode(), "f.yaml")
    return tuple(each for each in found if each.code not in UNUSED)


def codes(text: str | bytes) -> list[str]:
    return [each.code for each in diagnostics(text)]
