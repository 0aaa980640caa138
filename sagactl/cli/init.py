"""`sagactl init`: a first definition to start from, with its schema beside it for editors. Overwrites nothing."""

from __future__ import annotations

import os
import re
from importlib.resources import files
from pathlib import Path
from typing import Annotated

import typer

from sagactl.cli.options import Common, Form, user_umask
from sagactl.cli.output import hint, json_line, result, say, warn
from sagactl.cli.render.text import safe
from sagactl.errors import ConflictError, NotFoundError

SCHEMA = "saga-v1.schema.json"
"""The name that the starter's modeline has for it."""


def init(
    file: Annotated[Path, typer.Argument(metavar="[FILE]", show_default=False, help=(
        "Where to write it; - for stdout. Default: saga.yaml."
    ))] = Path("saga.yaml"),
    *, common: Common,
) -> int:
    """Write a commented definition that runs as it is, and its schema beside it, so that editors know the fields.

    Example: sagactl init saga.yaml
    """
    starter = files("sagactl.cli").joinpath("starter.yaml").read_text("utf-8")
    if str(file) == "-":
        if common.form is Form.HUMAN:
            result(starter.removesuffix("\n"))
        else:
            json_line({"schema": 1, "written": [], "text": starter})
        hint(f"for editors: sagactl schema > {SCHEMA}")
        return 0
    if re.fullmatch(r"[\w./-]+", str(file), re.ASCII):
        starter = starter.replace("saga.yaml", str(file))
    if not _written(file, starter):
        raise ConflictError(f"{file} exists already; nothing was written", hint="another name: sagactl init FILE")
    beside, text = file.parent / SCHEMA, files("sagactl.definition").joinpath("schema.json").read_text("utf-8")
    written = [file]
    say(f"wrote {safe(str(file))}")
    if _written(beside, text):
        written.append(beside)
        say(f"wrote {safe(str(beside))}, which tells editors the fields")
    elif beside.read_text("utf-8", "replace") != text:
        warn(f"{beside} exists already and is of another version; sagactl schema prints this one's")
    hint(f"run it: sagactl run {safe(str(file))}")
    if common.form is Form.HUMAN:
        result(safe(str(file)))
    else:
        json_line({"schema": 1, "written": [str(each) for each in written]})
    return 0


def _written(path: Path, text: str) -> bool:
    """Write a new file, with the rights that the user's files have; False where there is one of that name.

    Raises:
        NotFoundError: there is no such folder.
    """
    try:
        descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
    except FileExistsError:
        return False
    except (FileNotFoundError, NotADirectoryError):
        raise NotFoundError(f"there is no folder {path.parent}", hint="make it first") from None
    with os.fdopen(descriptor, "w", encoding="utf-8") as new:
        os.fchmod(descriptor, 0o666 & ~user_umask())
        new.write(text)
    return True
