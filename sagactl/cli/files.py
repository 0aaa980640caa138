"""The files that a user names: definitions and parameters, read whole, and told of where they are wrong."""

from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import TYPE_CHECKING

from sagactl.cli.output import say
from sagactl.errors import NotFoundError

if TYPE_CHECKING:
    from sagactl.model import Definition


def read_file(path: str) -> bytes:
    """The bytes of a file that the user named; `-` is stdin. Raises NotFoundError.

    Of one that is too large no more than what shows that: it may have no end.
    """
    from sagactl.definition.reading import FILE_BYTES_MAX

    try:
        if path == "-":
            return sys.stdin.buffer.read(FILE_BYTES_MAX + 1)
        with Path(path).open("rb") as file:
            return file.read(FILE_BYTES_MAX + 1)
    except IsADirectoryError:
        raise NotFoundError(f"{path} is a folder, not a file") from None
    except OSError as error:
        raise NotFoundError(f"can't read {path}: {error.strerror}") from None


def shown_name(file: str) -> str:
    """What a file is called in what is said of it."""
    return "<stdin>" if file == "-" else file


def in_workflow() -> bool:
    """Whether a GitHub workflow runs us, which shows what is said in its own form beside the lines."""
    return os.environ.get("GITHUB_ACTIONS") == "true"


def load_definition(data: bytes, file: str, *, whole: bool = False, quiet: bool = False) -> Definition:
    """The definition in a file, its warnings said unless `quiet`, in a line each unless `whole`.

    Raises DefinitionError.
    """
    from sagactl.definition import formats
    from sagactl.definition.diagnostics import DefinitionError
    from sagactl.definition.loading import load

    try:
        loaded = load(data, shown_name(file))
    except DefinitionError as error:
        for each in error.diagnostics if in_workflow() else ():
            say(formats.github(each))
        raise
    for warning in () if quiet else loaded.warnings:
        if in_workflow():
            say(formats.github(warning))
        else:
            say(warning.render() if whole else formats.concise(warning), lines=whole)
    return loaded.definition
