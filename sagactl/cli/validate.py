"""`sagactl validate`: find mistakes before anything runs."""

from __future__ import annotations

from typing import Annotated

import typer

from sagactl.cli.output import result, say
from sagactl.cli.starting import read_file
from sagactl.errors import InvalidError, SagactlError


def validate(
    files: Annotated[list[str], typer.Argument(metavar="FILE...", show_default=False, help="Definitions.")],
    strict: Annotated[bool, typer.Option("--strict", help="Warnings are errors.")] = False,
) -> int:
    """Check definitions and show every mistake with its place. Runs nothing.

    Example: sagactl validate sagas/*.yaml
    """
    from sagactl.definition.loading import load

    codes = set()
    for file in files:
        try:
            loaded = load(read_file(file), file)
        except SagactlError as error:
            say(error.message, lines=True)
            codes.add(error.exit_code)
            continue
        for warning in loaded.warnings:
            say(warning.render(), lines=True)
        if strict and loaded.warnings:
            codes.add(InvalidError.exit_code)
        else:
            result(f"{file}: valid")
    return min(codes, default=0)
