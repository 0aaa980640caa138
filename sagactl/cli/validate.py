"""`sagactl validate`: find mistakes before anything runs, and say them to people, editors or a workflow."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Annotated

import typer

from sagactl.cli.files import in_workflow, read_file, shown_name
from sagactl.cli.options import Common, Form
from sagactl.cli.output import complain, json_line, result, say
from sagactl.cli.render.text import safe
from sagactl.errors import InvalidError, NotFoundError, UsageError

if TYPE_CHECKING:
    from sagactl.definition.diagnostics import Diagnostic

def validate(
    files: Annotated[list[str], typer.Argument(metavar="FILE...", show_default=False,
                                               help="Definitions; - for stdin.")],
    strict: Annotated[bool, typer.Option("--strict", help="Warnings are errors.")] = False,
    ignore: Annotated[list[str] | None, typer.Option("--ignore", metavar="CODE,...", show_default=False, help=(
        "Warnings that are not wanted, as SG501,SG502; may be given several times."
    ))] = None,
    *, common: Common,
) -> int:
    """Check definitions and show every mistake with its place. Runs nothing.

    -o concise prints file:line:column, -o github what a GitHub workflow shows beside the lines, which is also the
    default there.

    Example: sagactl validate sagas/*.yaml
    """
    from sagactl.definition.loading import check

    form, unwanted = _form(common), _unwanted(ignore or ())
    found: list[Diagnostic] = []
    codes = set()
    for file in dict.fromkeys(files):
        name = shown_name(file)
        try:
            of_file = [replace(each, strict=strict) for each in check(read_file(file), name)
                       if each.code not in unwanted]
        except NotFoundError as error:
            codes.add(complain(error))
            continue
        found += of_file
        if any(each.severity == "error" for each in of_file):
            codes.add(InvalidError.exit_code)
        elif common.quiet:
            continue
        elif form is Form.HUMAN:
            result(f"{safe(name)}: valid")
    if common.quiet:
        for name in dict.fromkeys(each.file for each in found):
            result(safe(name))
    else:
        _show(found, form)
    return min(codes, default=0)


def _form(common: Common) -> Form:
    """Which form is wanted: in a GitHub workflow its own, where nothing else was said."""
    return Form.GITHUB if in_workflow() and common.origins["output"] == "default" else common.form


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


def _show(found: Sequence[Diagnostic], form: Form) -> None:
    """People read it on stderr, machines on stdout."""
    from sagactl.definition import formats

    match form:
        case Form.JSON:
            json_line({"schema": 1, "diagnostics": [formats.as_json(each) for each in found]})
        case Form.JSONL:
            for each in found:
                json_line({"schema": 1, **formats.as_json(each)})
        case Form.CONCISE | Form.GITHUB:
            for each in found:
                result(formats.concise(each) if form is Form.CONCISE else formats.github(each))
        case _ if found:
            say("\n\n".join([*(each.render() for each in found), _counted(found)]), lines=True)


def _counted(found: Sequence[Diagnostic]) -> str:
    """The last line: how many, and where to read more."""
    errors = sum(each.severity == "error" for each in found)
    counts = [(errors, "error"), (len(found) - errors, "warning")]
    text = " and ".join(f"{count:,} {name}{'s' * (count != 1)}" for count, name in counts if count)
    return f"{text}; `sagactl explain {found[0].code}` explains a code"
