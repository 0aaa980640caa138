"""`sagactl explain`: what a code of a diagnostic or an exit code means, with a wrong and a right example."""

from __future__ import annotations

import re
import textwrap
from typing import Annotated, Any

import typer

from sagactl.cli.options import Common
from sagactl.cli.output import hint, json_rows, result
from sagactl.cli.render.text import table
from sagactl.errors import EXIT_CODES, NotFoundError

_GO_ON = "sagactl resume SAGA goes on, sagactl compensate SAGA takes it back"
NEXT = {
    2: "the message names what is wrong; sagactl COMMAND --help shows what it takes",
    3: "sagactl validate FILE shows every mistake of a definition, sagactl explain CODE what it means",
    4: "sagactl list shows the sagas that there are",
    5: "sagactl inspect SAGA shows its state and what can be done now",
    6: "sagactl inspect SAGA shows how far it is; try again when it has ended",
    7: "the message says why; what was recorded before is safe",
    10: "sagactl inspect SAGA shows which step failed and why",
    11: "sagactl inspect SAGA shows what is left; then resume, resolve or abandon it",
    **dict.fromkeys((12, 129, 130, 143), _GO_ON),
    124: "what was waited for goes on; wait again, or look with sagactl inspect SAGA",
}
"""What to do next, by exit code."""


def explain(
    code: Annotated[str | None, typer.Argument(metavar="[CODE]", show_default=False, help=(
        "Of a diagnostic, as SG201, or an exit code or its name, as 11 or escalated. None: a list of all."
    ))] = None,
    *, common: Common,
) -> int:
    """Explain a diagnostic or an exit code.

    Example: sagactl explain SG501
    """
    from sagactl.definition.codes import CODES

    wanted = (code or "").strip()
    diagnostics = [each for each in CODES if wanted.upper() in ("", each)]
    exits = [number for number, (name, _) in EXIT_CODES.items() if wanted.lower() in ("", str(number), name)]
    if not diagnostics and not exits:
        raise NotFoundError(f"no code {code!r}", hint=_closest(wanted, CODES))
    if common.quiet:
        for each in (*diagnostics, *exits):
            result(str(each))
    elif not common.human:
        with json_rows(common.form) as show:
            for row in (*map(_diagnostic_row, diagnostics), *map(_exit_row, exits)):
                show({"schema": 1, **row})
    elif not wanted:
        result(_everything(CODES))
        hint("sagactl explain CODE says more")
    else:
        for each in diagnostics:
            result(_diagnostic(each, CODES[each]))
        for number in exits:
            result(f"exit code {number}, {EXIT_CODES[number][0]}: {EXIT_CODES[number][1]}")
            if number in NEXT:
                result(f"  {NEXT[number]}")
    return 0


def _diagnostic_row(code: str) -> dict[str, Any]:
    from sagactl.definition.codes import CODES
    from sagactl.definition.explanations import explanation

    found = explanation(code)
    return {"code": code, "kind": _severity(code), "meaning": CODES[code], "why": found.why, "wrong": found.wrong,
            "makes": found.makes, "right": found.right}


def _exit_row(number: int) -> dict[str, Any]:
    name, meaning = EXIT_CODES[number]
    return {"code": number, "kind": "exit", "name": name, "meaning": meaning, "next": NEXT.get(number, "")}


def _everything(codes: dict[str, str]) -> str:
    rows = list(codes.items())
    exits = [(str(number), f"{name}: {meaning}") for number, (name, meaning) in EXIT_CODES.items()]
    return "\n".join(["diagnostics", *table(rows), "", "exit codes", *table(exits)])


def _diagnostic(code: str, meaning: str) -> str:
    from sagactl.definition.explanations import explanation

    found = explanation(code)
    wrong = _indented(found.wrong or found.makes)
    severity = _severity(code)
    head = "Wrong, what this prints" if found.makes else "Wrong"
    parts = [f"{code} ({severity}): {meaning}", found.why, f"{head}:\n\n{wrong}",
             f"Right:\n\n{_indented(found.right)}"]
    if severity == "warning":
        parts.append(f"`sagactl validate --ignore {code}` does not show it.")
    return "\n\n".join(part.rstrip() for part in parts)


def _severity(code: str) -> str:
    return "warning" if code.startswith("SG5") else "error"


def _indented(text: str) -> str:
    return textwrap.indent(text, "    ")


def _closest(wanted: str, codes: dict[str, str]) -> str:
    from sagactl.definition.diagnostics import did_you_mean

    word = wanted.upper() if re.match(r"sg", wanted, re.IGNORECASE) else wanted
    names = [*codes, *(name for name, _ in EXIT_CODES.values())]
    return did_you_mean(word, names) or "sagactl explain lists them all"
