"""The options that every command takes, before or after its name, and the arguments that several share."""

from __future__ import annotations

import functools
import os
import sys
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from typing import Annotated, Any, Final, TypeAlias, TypeVar

import typer

from sagactl.errors import UsageError

SagaName: TypeAlias = Annotated[str, typer.Argument(metavar="SAGA", show_default=False, help=(
    "An id, a unique prefix of one, @last, or - to read it from stdin."
))]
SagaNames: TypeAlias = Annotated[list[str] | None, typer.Argument(metavar="SAGA...", show_default=False, help=(
    "Ids, unique prefixes, @last, or - for ids on stdin, one a line."
))]
Reason: TypeAlias = Annotated[str, typer.Option("--reason", metavar="TEXT", show_default=False, help="Why.")]
Yes: TypeAlias = Annotated[bool, typer.Option("--yes", "-y", help="Do not ask; needed where nobody can be asked.")]


JOBS_MAX: Final = 1024
"""More would wait for one processor that serves them all."""

Jobs: TypeAlias = Annotated[int | None, typer.Option("--jobs", "-j", metavar="N", min=1, max=JOBS_MAX,
                                                     show_default=False, help="Sagas at once. Default: 8.")]


class Form(StrEnum):
    """What stdout gets. The last two are forms of diagnostics."""

    HUMAN = "human"
    JSON = "json"
    JSONL = "jsonl"
    CONCISE = "concise"
    GITHUB = "github"


FORMS: Final = (Form.HUMAN, Form.JSON, Form.JSONL)


class Color(StrEnum):
    AUTO = "auto"
    ALWAYS = "always"
    NEVER = "never"


class Progress(StrEnum):
    """What stderr gets while sagas run: a live tree, a line for each change, or nothing."""

    AUTO = "auto"
    LIVE = "live"
    PLAIN = "plain"
    NONE = "none"


def form_help(forms: Sequence[Form]) -> str:
    """What the help says of `-o` of a command with these forms."""
    return f"{', '.join(forms[:-1])} or {forms[-1]}. Default: $SAGACTL_OUTPUT, else human."


@dataclass(frozen=True, slots=True, kw_only=True)
class Common:
    """What a command was told by its common options, the environment, or not at all. `origins` says which, by name."""

    database: Path
    form: Form
    quiet: bool
    verbose: bool
    color: Color
    progress: Progress
    no_input: bool
    origins: Mapping[str, str]

    @property
    def human(self) -> bool:
        """Whether stdout is for people: neither ids alone nor JSON."""
        return self.form is Form.HUMAN and not self.quiet


def flags(
    *,
    db: Annotated[Path | None, typer.Option("--db", metavar="PATH", show_default=False, help=(
        "The database. Default: $SAGACTL_DB, else $XDG_STATE_HOME/sagactl/sagas.db."
    ))] = None,
    output: Annotated[str | None, typer.Option("--output", "-o", metavar="FORM", show_default=False, help=(
        form_help(FORMS)
    ))] = None,
    json: Annotated[bool, typer.Option("--json", help="Short for -o json.")] = False,
    quiet: Annotated[bool, typer.Option("--quiet", "-q", help="Print ids only.")] = False,
    verbose: Annotated[bool, typer.Option("--verbose", "-v", help="Say more: settings, commands as they run.")] = False,
    color: Annotated[str | None, typer.Option("--color", metavar="WHEN", show_default=False, help=(
        "auto, always or never. Default: $SAGACTL_COLOR, else auto: on terminals, without $NO_COLOR."
    ))] = None,
    progress: Annotated[str | None, typer.Option("--progress", metavar="HOW", show_default=False, help=(
        "auto, live, plain or none. Default: $SAGACTL_PROGRESS, else auto: live on a terminal, else or under $CI plain."
    ))] = None,
    no_input: Annotated[bool, typer.Option("--no-input", help="Ask for nothing, as $SAGACTL_NO_INPUT=1.")] = False,
) -> dict[str, Any]:
    """The common options as they were given."""
    if json and output not in (None, Form.JSON):
        raise UsageError(f"--json is -o json, and -o {output} is something else", hint="say one of them")
    return {"db": db, "output": "json" if json else output, "quiet": quiet, "verbose": verbose, "color": color,
            "progress": progress, "no_input": no_input}


def settled(after: Mapping[str, Any], before: Mapping[str, Any], forms: Sequence[Form]) -> Common:
    """What holds: an option after the command's name, else one before it, else the environment, else the default.

    Raises:
        UsageError: a value is none of those that there are; says whose.
    """
    origins: dict[str, str] = {}

    def chosen(name: str, variable: str = "") -> Any:
        given = after.get(name) or before.get(name)
        known = os.environ.get(variable, "") if variable and not given else ""
        origins[name] = f"--{name}" if given else f"${variable}" if known else "default"
        return given or known

    def one_of(name: str, variable: str, values: Sequence[_Enum]) -> _Enum:
        text = chosen(name, variable)
        found = next((each for each in values if each == text), values[0])
        if text not in ("", found):
            said = origins[name] if origins[name].startswith("$") else "-o" if name == "output" else f"--{name}"
            raise UsageError(f"{said} {text}: one of {', '.join(values)}")
        return found

    quiet, verbose = bool(chosen("quiet")), bool(chosen("verbose"))
    form = one_of("output", "SAGACTL_OUTPUT", forms)
    if quiet and form is not Form.HUMAN:
        if origins["output"].startswith("-"):
            raise UsageError(f"-q prints ids alone, and -o {form} is something else", hint="say one of them")
        form = Form.HUMAN
    unasked = chosen("no_input", "SAGACTL_NO_INPUT")
    given = chosen("db", "SAGACTL_DB")
    database, whence = (Path(given).absolute(), origins["db"]) if given else default_database()
    origins["db"] = whence
    return Common(
        database=database, form=form, quiet=quiet, verbose=verbose,
        color=one_of("color", "SAGACTL_COLOR", tuple(Color)),
        progress=one_of("progress", "SAGACTL_PROGRESS", tuple(Progress)),
        no_input=unasked is True or _says_yes(unasked or ""), origins=origins,
    )


_Enum = TypeVar("_Enum", bound=StrEnum)


def _says_yes(text: str) -> bool:
    """What $SAGACTL_NO_INPUT says. Raises UsageError."""
    if text not in ("", "0", "1", "false", "true", "no", "yes"):
        raise UsageError(f"$SAGACTL_NO_INPUT {text}: one of 1, true, yes, 0, false, no")
    return text in ("1", "true", "yes")


def default_database() -> tuple[Path, str]:
    """Where the system keeps state, and what says so."""
    unit = os.environ.get("STATE_DIRECTORY", "").split(":")[0]
    if unit:
        return Path(unit) / "sagas.db", "$STATE_DIRECTORY"
    state = os.environ.get("XDG_STATE_HOME", "")
    if os.path.isabs(state):  # noqa: PTH117
        return Path(state) / "sagactl" / "sagas.db", "$XDG_STATE_HOME"
    return Path.home() / ".local" / "state" / "sagactl" / "sagas.db", "default"


@functools.cache
def user_umask() -> int:
    """What the user had set when this was called first; commands get it. Our own files are private from then on."""
    return os.umask(0o077)


NAMES_MAX: Final = 1_000_000
"""Ids on stdin; a producer that never ends is stopped there."""


def names_of(given: Sequence[str]) -> list[str]:
    """The names of sagas that a command line gives, those on stdin where it says `-`. Each once, in order.

    Raises:
        UsageError: too many on stdin.
    """
    names: dict[str, None] = {}
    for name in given:
        names |= dict.fromkeys(_on_stdin() if name == "-" else [name])
    return list(names)


def name_of(given: str) -> str:
    """The one saga that a command line names, or stdin where it says `-`. Raises UsageError."""
    names = names_of([given])
    if len(names) != 1:
        raise UsageError(f"one saga is wanted, and stdin names {len(names)}")
    return names[0]


def _on_stdin() -> Iterator[str]:
    for number, line in enumerate(sys.stdin.buffer):
        if number == NAMES_MAX:
            raise UsageError(f"over {NAMES_MAX:,} lines on stdin")
        if word := os.fsdecode(line).strip():
            yield word


REASON_CHARS_MAX: Final = 4096
"""A reason is for reading, and reaches the commands of undos as a variable."""


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
        raise UsageError(f"$SAGACTL_GRACE {text}: {error}") from None
