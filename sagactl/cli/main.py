"""The command tree, and the one place that maps exceptions to exit codes. No traceback reaches a user."""

from __future__ import annotations

import functools
from collections.abc import Callable

import typer

from sagactl import __version__
from sagactl.cli import abandon, compensate, events, inspect, resolve, resume, run, validate
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
    except (SagactlError, BaseExceptionGroup) as error:
        return report(error)
    except OSError as error:
        return complain(StoreError(f"can't read or write: {error}", hint="look at that file, then try again"))
    except Exception as error:  # noqa: BLE001 - the last line of defence
        return report(error)
    return 141 if code == 0 and stdout_closed() else code


def report(error: BaseException) -> int:
    """Say what happened on stderr; the exit code."""
    while isinstance(error, BaseExceptionGroup):
        error = next((each for each in error.exceptions if isinstance(each, SagactlError)), error.exceptions[0])
    if isinstance(error, KeyboardInterrupt):
        return 130
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
    (inspect.inspect, "inspect", "Show all that happened in a saga.", (0, 4, 7)),
    (events.events, "events", "Print a saga's journal as JSON lines.", (0, 4, 7)),
    (validate.validate, "validate", "Find mistakes in definitions.", (0, 3, 4)),
    (resolve.resolve, "resolve", "Record a person's word on a step.", (0, 2, 4, 5, 6, 7)),
    (abandon.abandon, "abandon", "Leave a saga as it is.", (0, 2, 4, 5, 6, 7)),
):
    app.command(name, epilog=exit_codes(*codes), short_help=summary)(guarded(command))


def main() -> None:
    """Parse the command line and run it; never returns."""
    prepare_streams()
    user_umask()
    app()
