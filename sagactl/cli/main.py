"""The command tree, and the one place that maps exceptions to exit codes. No traceback reaches a user."""

from __future__ import annotations

import functools
import io
from collections.abc import Callable

import typer

from sagactl import __version__
from sagactl.cli import (
    abandon,
    compensate,
    doctor,
    events,
    explain,
    init,
    inspect,
    logs,
    plan,
    resolve,
    resume,
    run,
    schema,
    validate,
    wait,
)
from sagactl.cli import list as list_command
from sagactl.cli.output import complain, hint, prepare_streams, result, say, stdout_closed
from sagactl.cli.wiring import user_umask
from sagactl.errors import EXIT_CODES, SagactlError, StoreError

app = typer.Typer(
    add_completion=False, pretty_exceptions_enable=False, no_args_is_help=True, rich_markup_mode=None,
    context_settings={"help_option_names": ["-h", "--help"]},
    help="Transactions for shell commands: all of it happens, or it is taken back, or you are told what is left.",
)


@app.callback(invoke_without_command=True)
def about(*, version: bool = typer.Option(False, "--version", help="Show the version and exit.")) -> None:
    """Transactions for shell commands."""
    if version:
        result(f"sagactl {__version__}")
        raise typer.Exit(141 if stdout_closed() else 0)


def guarded(command: Callable[..., int]) -> Callable[..., None]:
    """The command with its exceptions turned into messages on stderr and exit codes."""
    @functools.wraps(command)
    def run_command(*args: object, **options: object) -> None:
        raise SystemExit(finish(functools.partial(command, *args, **options)))

    return run_command


def finish(command: Callable[[], int]) -> int:
    """Run a command to its exit code."""
    try:
        code = command()
    except KeyboardInterrupt:
        return 130
    except (Exception, BaseExceptionGroup) as error:  # noqa: BLE001 - the last line of defence
        return report(error)
    return 141 if code == 0 and stdout_closed() else code


def report(error: BaseException) -> int:
    """Say what happened on stderr; the exit code."""
    while isinstance(error, BaseExceptionGroup):
        error = next((each for each in error.exceptions if isinstance(each, SagactlError)), error.exceptions[0])
    if isinstance(error, KeyboardInterrupt):
        return 130
    if isinstance(error, OSError):
        error = StoreError(f"can't read or write: {error}", hint="look at that file, then try again")
    if not isinstance(error, SagactlError):
        say(f"sagactl: a bug in sagactl: {type(error).__name__}: {error}")
        hint("please report it with the command that you typed; what was recorded is safe")
        return 1
    return complain(error)


def exit_codes(*codes: int) -> str:
    """The end of a command's help."""
    return "Exit codes: " + ", ".join(f"{code} {EXIT_CODES[code][0]}" for code in codes)


DRIVING = (0, 2, 3, 4, 5, 6, 7, 10, 11, 12, 13, 129, 130, 141, 143)

for command, name, summary, codes in (
    (run.run, "run", "Run a saga, or take back what happened.", DRIVING),
    (resume.resume, "resume", "Go on with what was interrupted.", DRIVING),
    (compensate.compensate, "compensate", "Take a saga back.", tuple(code for code in DRIVING if code != 10)),
    (list_command.list_sagas, "list", "List sagas.", (0, 2, 7)),
    (inspect.inspect, "inspect", "Show all that happened in a saga.", (0, 2, 4, 7)),
    (events.events, "events", "Print a saga's journal as JSON lines.", (0, 2, 4, 7, 130)),
    (logs.logs, "logs", "Print what a saga's commands printed.", (0, 2, 4, 7, 130)),
    (wait.wait, "wait", "Wait until sagas have ended.", (0, 2, 4, 7, 10, 11, 12, 13, 124, 130)),
    (validate.validate, "validate", "Find mistakes in definitions.", (0, 2, 3, 4)),
    (plan.plan, "plan", "Show what would run and what would be undone.", (0, 2, 3, 4)),
    (init.init, "init", "Write a first definition to start from.", (0, 2, 4, 5, 7)),
    (schema.schema, "schema", "Print the JSON Schema, or explain a field.", (0, 2, 4)),
    (explain.explain, "explain", "Explain a diagnostic or an exit code.", (0, 2, 4)),
    (resolve.resolve, "resolve", "Record a person's word on a step.", (0, 2, 4, 5, 6, 7)),
    (abandon.abandon, "abandon", "Leave a saga as it is.", (0, 2, 4, 5, 6, 7)),
    (doctor.doctor, "doctor", "Check the database, its evidence and its locks.", (0, 2, 7)),
):
    app.command(name, epilog=exit_codes(*codes), short_help=summary)(guarded(command))


def main() -> None:
    """Parse the command line and run it; never returns."""
    try:
        prepare_streams()
        user_umask()
        raise SystemExit(app(standalone_mode=False))
    except Exception as error:  # noqa: BLE001 - typer's own have no public name, and repeat what was typed
        raise SystemExit(refused(error)) from None


def refused(error: Exception) -> int:
    """Say what is wrong with the command line, as typer would, but safely; the exit code."""
    show, shown = getattr(error, "show", None), io.StringIO()
    if show is None:
        return report(error)
    show(file=shown)
    say(shown.getvalue().rstrip("\n"), lines=True)
    return int(getattr(error, "exit_code", 2))
