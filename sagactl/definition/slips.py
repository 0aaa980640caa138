"""Slips which a parser notices late and calls something else: looked for before what it says is explained."""

from __future__ import annotations

import re

from sagactl.definition.applying import schema
from sagactl.definition.diagnostics import Note, Problem, Span
from sagactl.definition.faults import Fault, problem


def tight_bracket(fault: Fault) -> Problem | None:
    """`{run:[x]}`, a colon with a bracket right behind it."""
    colon = fault.at if fault.char == ":" else fault.at - 1
    key = re.search(r"(?:^|[\s,{[])([A-Za-z_][\w-]*)$", fault.before.removesuffix(":"))
    value = re.match(r":(\[[^\]]*\]|\{[^}]*\}|[\[{])", fault.line(colon))
    if key is None or value is None:
        return None
    return problem(colon, "a space is missing after the colon", f"write `{key[1]}: {value[1]}`")


def closed_below(fault: Fault) -> Problem | None:
    """A text in quotes that was meant to end on its line, and ends at the next quote, lines below, with more behind."""
    before = fault.text[: fault.at].rstrip(" ")
    quote = before[-1:]
    if quote not in ("'", '"'):
        return None
    at = before.rfind(quote, 0, len(before) - 1)
    while at > 0 and before[at - 1] == ("\\" if quote == '"' else "'"):
        at = before.rfind(quote, 0, at - 1)
    if at < 0 or "\n" not in before[at:]:
        return None
    note = Note(span=Span(start=len(before) - 1, end=len(before)), message="ends here, with more behind it")
    return problem(at, "the text in quotes that begins here ends lines below", f"write `{quote}` where it should end",
                    notes=(note,))


def comma_left_out(fault: Fault) -> Problem | None:
    """`{id: x undo: none}`: a field of the language stands before the second colon. Not in a text for people."""
    found = re.search(r"([A-Za-z_]\w*):[ ]+[^,{[:]*[ ](?P<field>[A-Za-z_]\w*)$", fault.before)
    if found is None or found[1] in ("description", "manual"):
        return None
    field = found["field"]
    if not any(field in part.get("properties", ()) for part in (schema(), *schema()["$defs"].values())):
        return None
    return problem(fault.at - len(field), "a `,` is missing before this", f"write a `,` before `{field}:`",
                   width=len(field))
