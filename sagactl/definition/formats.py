"""Diagnostics for machines: one line for editors, JSON, and the commands of GitHub's workflows.

`Diagnostic.render` is the form for people. JSON's fields are stable; more may be added.
"""

from __future__ import annotations

from typing import Any

from sagactl.definition.diagnostics import Diagnostic, Place, plain


def concise(each: Diagnostic) -> str:
    """`file:line:column: error[SG201]: message`, as editors and `grep` know it."""
    return _one_line(f"{each.file}:{each.line}:{each.column}: {each.severity}[{each.code}]: {each.message}")


def as_json(each: Diagnostic) -> dict[str, Any]:
    """All that is known of it. Lines and columns from 1, `end_column` exclusive."""
    return {
        "code": each.code, "severity": each.severity.value, "file": each.file, **_place(each.place),
        "message": each.message, "help": each.help or None,
        "related": [{**_place(note), "message": note.label} for note in each.notes],
    }


def github(each: Diagnostic) -> str:
    """A workflow command, which marks the line in a pull request."""
    place = each.place
    end = f",endColumn={place.end_column}" if place.end_line == place.line else ""
    text = "\n".join(filter(None, (each.message, each.help and f"help: {each.help}")))
    return (f"::{each.severity} file={_property(each.file)},line={place.line},endLine={place.end_line},"
            f"col={place.column}{end},title={each.code}::{_data(plain(text))}")


def _place(place: Place) -> dict[str, int]:
    return {"line": place.line, "column": place.column, "end_line": place.end_line, "end_column": place.end_column}


def _one_line(text: str) -> str:
    return plain(text).replace("\n", " ")


def _data(text: str) -> str:
    return text.replace("%", "%25").replace("\r", "%0D").replace("\n", "%0A")


def _property(text: str) -> str:
    return _data(plain(text)).replace(":", "%3A").replace(",", "%2C")
