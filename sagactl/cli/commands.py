"""The table of commands: where each is, what it is for, and how it can end. A command is imported when it is wanted."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final, NamedTuple

from sagactl.cli.options import FORMS, Form


class Command(NamedTuple):
    """`function` of `sagactl.cli.<module>` takes the command's own options and `common: Common`; its int is the exit
    code, one of `codes`. `forms` are those that `-o` may name.
    """

    module: str
    function: str
    summary: str
    codes: tuple[int, ...]
    forms: tuple[Form, ...] = FORMS
    hidden: bool = False


def _command(summary: str, *codes: int, module: str, function: str = "", forms: tuple[Form, ...] = FORMS) -> Command:
    return Command(module=module, function=function or module, summary=summary, codes=codes, forms=forms)


_DRIVING: Final = (0, 1, 2, 3, 4, 5, 6, 7, 10, 11, 12, 13, 129, 130, 141, 143)
_BACK: Final = tuple(code for code in _DRIVING if code != 10)
_LOOKING: Final = (0, 1, 2, 4, 7, 141)

COMMANDS: Final[Mapping[str, Command]] = {
    "run": _command("Run a saga, or take back what happened.", *_DRIVING, module="run"),
    "resume": _command("Go on with what was interrupted.", *_DRIVING, module="resume"),
    "compensate": _command("Take sagas back.", *_BACK, module="compensate"),
    "list": _command("List sagas.", 0, 1, 2, 7, 11, 141, module="list", function="list_sagas"),
    "inspect": _command("Show all that happened in a saga.", *_LOOKING, module="inspect"),
    "logs": _command("Print what a saga's commands printed.", *_LOOKING, 130, module="logs"),
    "events": _command("Print the journal as JSON lines.", *_LOOKING, 130, module="events"),
    "wait": _command("Wait until sagas have ended.", 0, 1, 2, 4, 7, 10, 11, 12, 13, 124, 130, 141, module="wait"),
    "validate": _command("Find mistakes in definitions.", 0, 1, 2, 3, 4, 141, module="validate", forms=tuple(Form)),
    "plan": _command("Show what would run and what would be undone.", 0, 1, 2, 3, 4, 141, module="plan"),
    "resolve": _command("Record a person's word on a step.", 0, 1, 2, 4, 5, 6, 7, 141, module="resolve"),
    "abandon": _command("Leave a saga as it is.", 0, 1, 2, 4, 5, 6, 7, 141, module="abandon"),
    "init": _command("Write a first definition to start from.", 0, 1, 2, 4, 5, 7, 141, module="init"),
    "schema": _command("Print the JSON Schema, or explain a field.", 0, 1, 2, 4, 141, module="schema"),
    "explain": _command("Explain a diagnostic or an exit code.", 0, 1, 2, 4, 141, module="explain"),
    "doctor": _command("Check the database, its evidence and its locks.", 0, 1, 2, 7, 141, module="doctor"),
    "prune": _command("Delete sagas that have ended.", 0, 1, 2, 7, 130, 141, module="prune"),
    "completions": _command("Print the completions for a shell.", 0, 1, 2, 141, module="completions"),
    "complete": Command(module="completing", function="complete", summary="Answer a shell that completes.",
                        codes=(0, 1, 2, 141), hidden=True),
}
