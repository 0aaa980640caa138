"""`sagactl completions`: the completions of the shells, made from the commands as they are.

A shell knows commands, options and fixed values by itself; what is in a database or a definition it asks of
`sagactl complete` (completing.py). The scripts without their tables lie in completion_scripts/.
"""

from __future__ import annotations

import re
import shlex
import sys
import textwrap
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from typing import Annotated, Any, Final

import typer

from sagactl.cli.commands import COMMANDS
from sagactl.cli.completing import OFFERS, kind_of
from sagactl.cli.list import INTERRUPTED
from sagactl.cli.options import FORMS, Color, Common, Form, Progress
from sagactl.cli.output import hint, json_line, result
from sagactl.core.states import FINAL, SagaState


class Shell(StrEnum):
    BASH = "bash"
    ZSH = "zsh"
    FISH = "fish"


FILES: Final[Mapping[Shell, str]] = {Shell.BASH: "sagactl.bash", Shell.ZSH: "_sagactl", Shell.FISH: "sagactl.fish"}
INSTALLED: Final[Mapping[Shell, str]] = {
    Shell.BASH: "sagactl completions bash > ~/.local/share/bash-completion/completions/sagactl",
    Shell.ZSH: "sagactl completions zsh > FOLDER/_sagactl, where FOLDER is in $fpath before compinit",
    Shell.FISH: "sagactl completions fish > ~/.config/fish/completions/sagactl.fish",
}


@dataclass(frozen=True, slots=True)
class Values:
    """What a place takes: `words`, a comma-separated `list` of them, `files`, what is to `ask`, NAME=PATH `pairs`, what
    only the `user` knows; or nothing, for a flag.
    """

    kind: str = ""
    words: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Place:
    """An option by its names, or an argument, which has none."""

    names: tuple[str, ...]
    help: str
    values: Values
    repeated: bool
    required: bool


def completions(
    shell: Annotated[Shell, typer.Argument(metavar="bash|zsh|fish", show_default=False, help="For which.")],
    *, common: Common,
) -> int:
    """Print the completions for a shell, to be kept where it looks for them.

    For bash in ~/.local/share/bash-completion/completions/sagactl, for fish in ~/.config/fish/completions/sagactl.fish,
    for zsh as _sagactl in a folder of $fpath, before compinit is called. Or have a shell read them at its start:
    source <(sagactl completions bash). They ask the `sagactl` that is in $PATH.

    Example: sagactl completions bash > ~/.local/share/bash-completion/completions/sagactl
    """
    if common.form is Form.HUMAN:
        result(script(shell).rstrip("\n"))
        if common.human and sys.stdout.isatty():
            hint(f"to keep them: {INSTALLED[shell]}")
    else:
        json_line({"schema": 1, "shell": shell, "script": script(shell)})
    return 0


def script(shell: Shell) -> str:
    """The text of the file for a shell."""
    text = (Path(__file__).parent / "completion_scripts" / FILES[shell]).read_text("utf-8")
    parts = {Shell.BASH: _bash, Shell.ZSH: _zsh, Shell.FISH: _fish}[shell](commands())
    for name, part in parts.items():
        text = text.replace(f"@{name}@", part)
    return text


def commands() -> dict[str, list[Place]]:
    """The places of every command that is shown, by its name; those before a command by "", which are options only."""
    from sagactl.cli.main import app, built

    shown = {"": typer.main.get_command(app), **{name: built(name) for name, row in COMMANDS.items() if not row.hidden}}
    return {name: [_place(name, each) for each in command.params] for name, command in shown.items()}


def _place(command: str, place: Any) -> Place:
    option = place.param_type_name == "option"
    return Place(
        names=tuple(sorted(place.opts, key=len)) if option else (),
        help=(place.help or "").split(". ")[0].rstrip(".").replace("`", ""),
        values=Values() if option and place.is_flag else _values(command, place),
        repeated=bool(place.multiple if option else place.nargs == -1), required=place.required,
    )


def _values(command: str, place: Any) -> Values:
    known = {
        "FORM": COMMANDS[command].forms if command else FORMS, "WHEN": tuple(Color), "HOW": tuple(Progress),
        "S[,S...]": tuple(FINAL) if command == "prune" else (*SagaState, INTERRUPTED),
    }
    kind = kind_of(place)
    if kind in OFFERS:
        return Values("pairs" if kind == "NAME=PATH" else "ask")
    words = getattr(place.type, "choices", None) or known.get(place.metavar, ())
    if words:
        return Values("list" if "," in (place.metavar or "") else "words", tuple(sorted(map(str, words))))
    if kind in ("FILE", "PATH"):
        return Values("files")
    return Values("user")


def _bash(tree: Mapping[str, Sequence[Place]]) -> dict[str, str]:
    everywhere = {name: place.values for place in tree[""] for name in place.names}
    own: dict[Values, list[str]] = {Values("words", tuple(filter(None, tree))): [":"]}
    common: dict[Values, list[str]] = {}
    for command, places in tree.items():
        for place in (each for each in places if each.values.kind):
            for name in place.names or ("",):
                if everywhere.get(name) != place.values:
                    own.setdefault(place.values, []).append(f"{command}:{name}")
                elif not command:
                    common.setdefault(place.values, []).append(f"*:{name}")
    options = {command: [name for place in places for name in place.names] for command, places in tree.items()}
    return {
        "OPTIONS": "\n".join(_arm([command or "''"], ["names=(", *names, ")"]) for command, names in options.items()),
        "PLACES": "\n".join(_arm(patterns, [f"place=({values.kind}", *map(shlex.quote, values.words), ")"])
                            for values, patterns in (*own.items(), *common.items())),
    }


def _arm(patterns: Sequence[str], body: Sequence[str]) -> str:
    """A case of bash, in lines that can be read."""
    whole = f"{' | '.join(dict.fromkeys(patterns))}) {' '.join(body)} ;;".replace("( ", "(").replace(" ) ;;", ") ;;")
    return " \\\n".join(textwrap.wrap(whole, 112, initial_indent=" " * 8, subsequent_indent=" " * 12,
                                     break_long_words=False, break_on_hyphens=False))


def _zsh(tree: Mapping[str, Sequence[Place]]) -> dict[str, str]:
    common = [place for place in tree[""] if all(place in places for places in tree.values())]
    arms = []
    for command, places in tree.items():
        specs = [spec for place in places if place not in common for spec in _specs(place)]
        if command:
            lines = " \\\n".join(f"                {spec}" for spec in ['"${(@)common}"', *specs])
            arms.append(f"        {command})\n            _arguments -s -S : \\\n{lines}\n            ;;")
    rows = [f"{name}:{COMMANDS[name].summary.rstrip('.')}" for name in tree if name]
    shared = [spec for place in common for spec in _specs(place)]
    before = [spec for place in tree[""] if place not in common for spec in _specs(place)]
    return {
        "COMMANDS": _indented(map(shlex.quote, rows)), "COMMON": _indented(shared), "ARGUMENTS": "\n".join(arms),
        "BEFORE": _indented(f"{spec} \\" for spec in before),
    }


def _indented(lines: Iterable[str]) -> str:
    return "\n".join(f"        {line}" for line in lines)


_ACTIONS: Final = {"files": "_files", "ask": "_sagactl_ask", "pairs": "_sagactl_pairs", "user": " "}


def _specs(place: Place) -> Iterator[str]:
    """The place as _arguments has it."""
    words, kind = " ".join(place.values.words), place.values.kind
    action = {"words": f"({words})", "list": f"_values -s , value {words}"}.get(kind) or _ACTIONS.get(kind, "")
    told = re.sub(r"([\[\]:\\])", r"\\\1", place.help)
    if not place.names:
        yield shlex.quote(f"{'*' if place.repeated else '' if place.required else ':'}:{told}:{action}")
    others = f"({' '.join(place.names)})" if len(place.names) > 1 else ""
    for name in place.names:
        sign = "" if not action else "=" if name.startswith("--") else "+"
        before = "*" if place.repeated else others
        yield shlex.quote(f"{before}{name}{sign}[{told}]{f': :{action}' if action else ''}")


def _fish(tree: Mapping[str, Sequence[Place]]) -> dict[str, str]:
    groups: dict[Place, dict[str, None]] = {}
    for command, places in tree.items():
        for place in places:
            bare = place if place.names else Place((), "", place.values, repeated=False, required=False)
            groups.setdefault(bare, {})[command] = None
    rows = [f"complete -c sagactl -n __sagactl_at -a {name} -d {_fished(COMMANDS[name].summary.rstrip('.'))}"
            for name in tree if name]
    for place, names in groups.items():
        others = [command for command in tree if command not in names]
        at = f"not __sagactl_at {' '.join(others)}" if "" in names else f"__sagactl_at {' '.join(names)}"
        rows += _fish_rows(place, "__sagactl_at" if [*names] == [""] else at if others else "")
    valued = " ".join(name for place in tree[""] if place.values.kind for name in place.names)
    return {"ROWS": "\n".join(rows), "VALUED": valued}


def _fish_rows(place: Place, at: str) -> Iterator[str]:
    """The place as `complete` has it. A path behind NAME= has a row of its own."""
    flags = [f"-l {name[2:]}" if name.startswith("--") else f"-s {name[1:]}" for name in place.names]
    told = [f"-d {_fished(place.help)}"] if place.names else []
    words = " ".join(place.values.words)
    only, files = ("-x ", "-r -F") if flags else ("", "-F")
    asked = f"{only}-k -a '(__sagactl_ask)'"
    ways = {
        "": [("", "")], "user": [("", only.strip())], "files": [("", files)], "ask": [("", asked)],
        "words": [("", f"{only}-a {_fished(words)}")],
        "list": [("", f"{only}-a {_fished(f'(__fish_append , {words})')}")],
        "pairs": [("not __sagactl_in_pair", asked), ("__sagactl_in_pair", files)],
    }
    for when, way in ways[place.values.kind]:
        where = "; and ".join(filter(None, (at, when)))
        parts = ["complete -c sagactl", f"-n {_fished(where)}" if where else "", *flags, way, *told]
        yield " ".join(filter(None, parts))


def _fished(text: str) -> str:
    return "'" + text.replace("\\", "\\\\").replace("'", "\\'") + "'"
