"""`sagactl validate`: find mistakes before anything runs, and say them to people, editors or a workflow."""

from __future__ import annotations

import os
from collections.abc import Sequence
from typing import TYPE_CHECKING, Annotated

import typer

from sagactl.cli.output import result, say
from sagactl.cli.render.human import safe
from sagactl.cli.render.json import line
from sagactl.cli.starting import read_file
from sagactl.errors import InvalidError, NotFoundError, UsageError

if TYPE_CHECKING:
    from sagactl.definition.diagnostics import Diagnostic

FORMS = ("human", "concise", "json", "jsonl", "github")


def validate(
    files: Annotated[list[str], typer.Argument(metavar="FILE...", show_default=False,
                                               help="Definitions; - for stdin.")],
    output: Annotated[str | None, typer.Option("--output", "-o", envvar="SAGACTL_OUTPUT", metavar="FORM",
                                               show_default=False, help=(
        "human, concise (file:line:column), json, jsonl or github. Default: human; in a GitHub workflow, github."
    ))] = None,
    json: Annotated[bool, typer.Option("--json", help="Short for -o json.")] = False,
    strict: Annotated[bool, typer.Option("--strict", help="Warnings are errors.")] = False,
    ignore: Annotated[list[str] | None, typer.Option("--ignore", metavar="CODE,...", show_default=False, help=(
        "Warnings that are not wanted, as SG501,SG502; may be given several times."
    ))] = None,
) -> int:
    """Check definitions and show every mistake with its place. Runs nothing.

    Example: sagactl validate sagas/*.yaml
    """
    from sagactl.definition.loading import check

    form, unwanted = _form(output, json=json), _unwanted(ignore or ())
    found: list[Diagnostic] = []
    codes = set()
    for file in dict.fromkeys(files):
        name = "<stdin>" if file == "-" else file
        try:
            of_file = [each for each in check(read_file(file), name) if each.code not in unwanted]
        except NotFoundError as error:
            say(error.message)
            codes.add(error.exit_code)
            continue
        found += of_file
        if of_file and (strict or any(each.severity == "error" for each in of_file)):
            codes.add(InvalidError.exit_code)
        elif form == "human":
            result(f"{safe(name)}: valid")
    _show(found, form)
    return min(codes, default=0)


def _form(given: str | None, *, json: bool) -> str:
    """Which form is wanted. Raises UsageError."""
    form = "json" if json else given or ("github" if os.environ.get("GITHUB_ACTIONS") == "true" else "human")
    if form not in FORMS:
        raise UsageError(f"no form {form!r}; the forms are {', '.join(FORMS)}")
    return form


def _unwanted(given: Sequence[str]) -> set[str]:
    """The codes of warnings that are not to be shown. Raises UsageError."""
    from sagactl.definition.codes import CODES

    codes = {code.strip().upper() for each in given for code in each.split(",") if code.strip()}
    warnings = [code for code in CODES if code.startswith("SG5")]
    for code in sorted(codes - {*warnings}):
        what = "is an error, which can't be ignored" if code in CODES else "is no code"
        raise UsageError(f"--ignore: {code!r} {what}; the warnings are {', '.join(warnings)}",
                         hint="sagactl explain shows what each code means")
    return codes


def _show(found: Sequence[Diagnostic], form: str) -> None:
    """People read it on stderr, machines on stdout."""
    from sagactl.definition import formats

    match form:
        case "json":
            result(line({"schema": 1, "diagnostics": [formats.as_json(each) for each in found]}))
        case "jsonl":
            for each in found:
                result(line({"schema": 1, **formats.as_json(each)}))
        case "concise" | "github":
            for each in found:
                result(getattr(formats, form)(each))
        case _ if found:
            say("\n\n".join([*(each.render() for each in found), _counted(found)]), lines=True)


def _counted(found: Sequence[Diagnostic]) -> str:
    """The last line: how many, and where to read more."""
    errors = sum(each.severity == "error" for each in found)
    counts = [(errors, "error"), (len(found) - errors, "warning")]
    text = " and ".join(f"{count:,} {name}{'s' * (count != 1)}" for count, name in counts if count)
    return f"{text}; `sagactl explain {found[0].code}` explains a code"
