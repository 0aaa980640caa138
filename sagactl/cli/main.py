"""The command line, and the one place that maps exceptions to exit codes. No traceback reaches a user."""

from __future__ import annotations

import functools
import importlib
import inspect
import os
import sys
from collections.abc import Callable, Mapping
from itertools import pairwise
from typing import Annotated, Any, Final

import typer
from typer.core import TyperCommand, TyperGroup

from sagactl import __version__
from sagactl.cli import options, output
from sagactl.cli.commands import COMMANDS, Command
from sagactl.cli.output import complain, result, say, stdout_closed
from sagactl.errors import EXIT_CODES, SagactlError, StoreError, UsageError

SETTINGS: Final = {"add_completion": False, "pretty_exceptions_enable": False, "rich_markup_mode": None}


def _show_help(ctx: typer.Context, wanted: bool) -> None:  # noqa: FBT001 - typer's order
    if wanted:
        result(ctx.get_help().rstrip("\n"))
        raise typer.Exit(_unless_closed(0))


def _show_version(wanted: bool) -> None:  # noqa: FBT001 - typer's
    if wanted:
        result(f"sagactl {__version__}")
        raise typer.Exit(_unless_closed(0))


def _option(name: str, kind: Any, default: object = inspect.Parameter.empty) -> inspect.Parameter:
    return inspect.Parameter(name, inspect.Parameter.KEYWORD_ONLY, annotation=kind, default=default)


HELP: Final = typer.Option("--help", "-h", is_eager=True, callback=_show_help, help="Show this and exit.")
VERSION: Final = typer.Option("--version", is_eager=True, callback=_show_version, help="Show the version and exit.")
COMMON: Final[Mapping[str, inspect.Parameter]] = {
    **inspect.signature(options.flags, eval_str=True).parameters,
    "show_help": _option("show_help", Annotated[bool, HELP], default=False),
    "show_version": _option("show_version", Annotated[bool, VERSION], default=False),
    "ctx": _option("ctx", typer.Context),
}


def about(*, ctx: typer.Context, **given: Any) -> None:
    """What comes before the command."""
    if ctx.invoked_subcommand is None:
        say(ctx.get_help().rstrip("\n"), lines=True)
        raise typer.Exit(UsageError.exit_code)
    del given["show_help"], given["show_version"]
    ctx.obj = options.flags(**given)


def _takes(function: Callable[..., None], own: Mapping[str, inspect.Parameter]) -> Callable[..., None]:
    """The function, for typer, with these parameters and the common ones."""
    parameters = {**own, **COMMON}
    function.__signature__ = inspect.Signature(list(parameters.values()))  # type: ignore[attr-defined]
    function.__annotations__ = {name: each.annotation for name, each in parameters.items()}
    return function


class OneCommand(TyperCommand):
    """Its own options first in its help, then those that every command has."""

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        """Read them. Raises UsageError where there are more arguments than it takes."""
        try:
            rest = super().parse_args(ctx, args)
        except Exception as error:
            told: Any = error
            if getattr(error, "ctx", ctx) is None:
                told.ctx = ctx  # who parses options knows of no command
            raise
        if rest:
            import shlex

            hint = f"{ctx.command_path} --help shows what it takes"
            if "=" in rest[0] and any(each.name == "param" for each in self.params):
                hint = f"a parameter is given with -p {shlex.quote(rest[0])}"
            raise UsageError(f"unexpected argument{'s' * (len(rest) > 1)}: {' '.join(rest)}", hint=hint)
        return rest

    def format_options(self, ctx: Any, formatter: Any) -> None:
        """Write them, and the arguments above them."""
        sections: dict[str, list[tuple[str, str]]] = {"Arguments": [], "Options": [], "Options of every command": []}
        for each in self.get_params(ctx):
            kind = "Arguments" if each.param_type_name == "argument" else "Options"
            record = each.get_help_record(ctx)
            if record is not None:
                sections["Options of every command" if each.name in COMMON else kind].append(record)
        for title, records in sections.items():
            if records:
                with formatter.section(title):
                    formatter.write_dl(records)


class Commands(TyperGroup):
    """The commands by the table; each is imported when it is asked for."""

    def __init__(self, **settings: Any) -> None:
        super().__init__(**settings)
        names: Any = dict.fromkeys(COMMANDS)
        self.commands = names  # for suggestions

    def list_commands(self, ctx: Any) -> list[str]:  # noqa: ARG002 - typer's
        """Their names, in the order of the table."""
        return [name for name, row in COMMANDS.items() if not row.hidden]

    def get_command(self, ctx: Any, cmd_name: str) -> Any:  # noqa: ARG002 - typer's
        """One of them; None where there is none of that name."""
        return built(cmd_name) if cmd_name in COMMANDS else None

    def format_commands(self, ctx: Any, formatter: Any) -> None:
        """Write what each is for."""
        with formatter.section("Commands"):
            formatter.write_dl([(name, COMMANDS[name].summary) for name in self.list_commands(ctx)])


@functools.cache
def built(name: str) -> Any:
    """A command, as typer has it."""
    row = COMMANDS[name]
    alone = typer.Typer(**SETTINGS, context_settings={  # type: ignore[arg-type]
        "help_option_names": [], "allow_extra_args": True})
    function = getattr(importlib.import_module(f"sagactl.cli.{row.module}"), row.function)
    codes = ", ".join(f"{code} {EXIT_CODES[code][0]}" for code in row.codes)
    alone.command(name, cls=OneCommand, help=inspect.getdoc(function), epilog=f"Exit codes: {codes}",
                  short_help=row.summary, hidden=row.hidden)(guarded(function, row))
    command: Any = typer.main.get_command(alone)
    next(each for each in command.params if each.name == "output").help = options.form_help(row.forms)
    return command


def guarded(function: Callable[..., int], row: Command) -> Callable[..., None]:
    """The command with the common options, and its exceptions turned into messages on stderr and exit codes."""
    def run_command(ctx: typer.Context, **given: Any) -> None:
        del given["show_help"], given["show_version"]
        after = {name: given.pop(name) for name in COMMON if name in given}

        def whole() -> int:
            common = options.settled(options.flags(**after), ctx.obj, row.forms)
            output.prepare(common)
            return function(**given, common=common)

        raise SystemExit(finish(whole))

    own = dict(inspect.signature(function, eval_str=True).parameters)
    del own["common"]
    return _takes(run_command, {name: each.replace(kind=each.KEYWORD_ONLY) for name, each in own.items()})


def finish(command: Callable[[], int]) -> int:
    """Run a command to its exit code."""
    try:
        code = command()
    except (Exception, BaseExceptionGroup) as error:  # noqa: BLE001 - the last line of defence
        code = report(error)
    code = _unless_closed(code)
    output.last_word(code)
    return code


def _unless_closed(code: int) -> int:
    """The exit code, where all went well but for a stdout that took no more."""
    return (output.stdout_failed() or 141) if code == 0 and stdout_closed() else code


def report(error: BaseException) -> int:
    """Say what happened on stderr; the exit code."""
    while isinstance(error, BaseExceptionGroup):
        error = next((each for each in error.exceptions if isinstance(each, SagactlError)), error.exceptions[0])
    if isinstance(error, OSError) or (isinstance(error, ImportError) and str(error.path).endswith(".so")):
        error = StoreError(f"can't read or write: {error}", hint="look at that file, then try again")
    if not isinstance(error, SagactlError):
        error = SagactlError(f"a bug in sagactl: {type(error).__name__}: {error}",
                             hint="please report it with the command that you typed; what was recorded is safe")
    return complain(error)


app = typer.Typer(
    **SETTINGS, cls=Commands, invoke_without_command=True,  # type: ignore[arg-type]
    context_settings={"help_option_names": []},
    help="Transactions for shell commands: all of it happens, or it is taken back, or you are told what is left.",
    epilog="sagactl COMMAND --help says more. Options may stand before or after the command.",
)
app.callback()(_takes(about, {}))


def main() -> None:
    """Parse the command line and run it; never returns."""
    try:
        output.prepare_streams()
        output.speak(_wanted_form())
        options.user_umask()
        raise SystemExit(app(standalone_mode=False))
    except Exception as error:  # noqa: BLE001 - typer's own have no public name, and repeat what was typed
        code = refused(error)
        output.last_word(code)
        raise SystemExit(code) from None


def refused(error: Exception) -> int:
    """Say what is wrong with the command line; the exit code."""
    told = getattr(error, "format_message", None)
    if told is None:
        return report(error)
    path = getattr(getattr(error, "ctx", None), "command_path", "sagactl")
    return complain(UsageError(" ".join(told().split()), hint=f"{path} --help shows what it takes"))


def _wanted_form() -> str:
    """The form that the command line asks for, as far as one can tell before it is parsed: errors may come first."""
    words = sys.argv[1:]
    said = [word for sign, word in pairwise(words) if sign in ("-o", "--output")]
    said += [word.removeprefix("--output=").removeprefix("-o") for word in words
             if word.startswith(("--output=", "-o"))]
    said += ["json"] if "--json" in words else []
    said = said or ([] if {"-q", "--quiet"} & {*words} else [os.environ.get("SAGACTL_OUTPUT", "")])
    return next((form for form in ("jsonl", "json") if form in said), "")
