"""Options and arguments that several commands share, and where things live."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Annotated, TypeAlias

import typer

from sagactl.errors import UsageError

Database: TypeAlias = Annotated[
    Path | None,
    typer.Option("--db", envvar="SAGACTL_DB", metavar="PATH", show_default=False,
                 help="The database. Default: $XDG_STATE_HOME/sagactl/sagas.db."),
]
Quiet: TypeAlias = Annotated[bool, typer.Option("--quiet", "-q", help="Print ids only.")]
Json: TypeAlias = Annotated[bool, typer.Option("--json", help="Print JSON.")]
SagaName: TypeAlias = Annotated[str, typer.Argument(metavar="SAGA", show_default=False,
                                                    help="An id, a unique prefix of one, or @last.")]
Reason: TypeAlias = Annotated[str, typer.Option("--reason", metavar="TEXT", show_default=False, help="Why.")]


REASON_CHARS_MAX = 4096
"""A reason is for reading, and reaches the commands of undos as a variable."""


def database_path(given: Path | None) -> Path:
    """The database: what was given, else where the system keeps state. Absolute."""
    if given is not None:
        return given.absolute()
    unit = os.environ.get("STATE_DIRECTORY", "").split(":")[0]
    if unit:
        return Path(unit) / "sagas.db"
    state = os.environ.get("XDG_STATE_HOME", "")
    home = Path(state) if os.path.isabs(state) else Path.home() / ".local" / "state"  # noqa: PTH117
    return home / "sagactl" / "sagas.db"


def reason_text(text: str, *, required: bool = False) -> str:
    """A reason that somebody can read later. Raises UsageError."""
    if required and not text.strip():
        raise UsageError("--reason is empty: whoever reads this later needs it")
    if len(text) > REASON_CHARS_MAX:
        raise UsageError(f"--reason is over {REASON_CHARS_MAX} characters")
    return text


def grace_s() -> float:
    """How long after TERM running commands are left alone: $SAGACTL_GRACE, a duration, default 10s."""
    from sagactl.definition.durations import seconds

    text = os.environ.get("SAGACTL_GRACE", "10s")
    try:
        return seconds(text)
    except ValueError as error:
        raise UsageError(f"SAGACTL_GRACE={text}: {error}") from None
