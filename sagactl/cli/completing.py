"""The hidden command `complete`: what may stand in the place of the last word of a command line. Shells ask it on TAB.

Rule: it only looks. Where something is wrong (no database, a damaged one, a broken definition) there is nothing to
offer, and nothing is said about it. What a terminal would obey, a line could not hold, or a command would take for an
option or a shell for a home is not offered.
"""

from __future__ import annotations

import contextlib
import json
import shlex
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import Annotated, Any, Final, NamedTuple

import typer

from sagactl.cli import wiring
from sagactl.cli.commands import COMMANDS
from sagactl.cli.options import Common
from sagactl.cli.output import result
from sagactl.cli.render.text import safe
from sagactl.core.states import FINAL, SagaState
from sagactl.errors import NotFoundError

LOOKED_AT_MAX: Final = 500
"""Of the sagas that fit a command the newest so many are looked at. An older one is found by a prefix of its own."""

OFFERS_MAX: Final = 100
"""Nobody reads a longer list of ids."""

_LIVE: Final = frozenset({SagaState.RUNNING, SagaState.COMPENSATING})
_ALL: Final = frozenset(SagaState)
STATES: Final[Mapping[str, frozenset[SagaState]]] = {
    "resume": _ALL - FINAL,
    "compensate": _ALL - {SagaState.COMPENSATED, SagaState.ABANDONED},
    "wait": _LIVE,
    "resolve": frozenset({SagaState.PAUSED, SagaState.ESCALATED}),
    "abandon": _ALL - FINAL,
}
"""The states of the sagas that a command takes; every other command takes all."""


class Line(NamedTuple):
    """A command line that ends in a value: of which `place`, as far as it is typed in `text`. `options` are the values
    that were given before, by the name of their parameter.
    """

    command: str
    place: Any
    text: str
    arguments: Sequence[str]
    options: Mapping[str, Sequence[str]]
    database: Path


def complete(
    words: Annotated[list[str] | None, typer.Argument(metavar="WORD...", show_default=False, help=(
        "What stands behind `sagactl`, up to the cursor."))] = None,
    quoted: Annotated[bool, typer.Option("--quoted", help="They are as they were typed, with their quotes.")] = False,
    *, common: Common,
) -> int:
    """Print what may stand in the place of the last word, one a line; nothing where anything is wrong.

    Example: sagactl complete -- resume order-
    """
    with contextlib.suppress(Exception):  # whatever it is: who presses TAB gets no message
        given = [_unquoted(word) if quoted else word for word in words or ()]
        for offer in offers(given, common.database):
            result(offer)
    return 0


def offers(words: Sequence[str], database: Path) -> Iterable[str]:
    """What goes on from the last word. `database` holds where the words name none. Raises where something is wrong."""
    line = parsed(words, database)
    kind = kind_of(line.place) if line else ""
    if line is None or kind not in OFFERS:
        return []
    found = dict.fromkeys(each for each in OFFERS[kind](line) if each.startswith(line.text))
    return [each for each in found if safe(each) == each and not each.startswith(("-", "~"))]


def kind_of(place: Any) -> str:
    """What an option or an argument takes, as its help names it: of `[SAGA]` and `SAGA...` that is `SAGA`.

    Of one whose words its help lists it is the name of its parameter.
    """
    name: str = place.metavar or place.name
    return name.strip("[]").removesuffix("...")


def parsed(words: Sequence[str], database: Path) -> Line | None:
    """The line as typer would understand it; None where its last word is no value."""
    from sagactl.cli.main import app, built

    command, arguments, places = "", [], list[Any](typer.main.get_command(app).params)
    options: dict[str, list[str]] = {}
    waiting, only_arguments = None, False
    for word in words[:-1]:
        place, text = (waiting, word) if waiting else _option(places, word, only_arguments=only_arguments)
        waiting = place if place and text is None else None
        if place and text is not None:
            options.setdefault(place.name, []).append(text)
        elif word == "--":
            only_arguments = True
        elif place or (word.startswith("-") and word != "-" and not only_arguments):
            continue
        elif command:
            arguments.append(word)
        elif word in COMMANDS:
            command, places = word, built(word).params
        else:
            return None
    text = words[-1]
    if waiting:
        place = waiting
    elif text.startswith("-") and not only_arguments:
        place, text = _option(places, text, only_arguments=False)
    else:
        place = _argument(places, len(arguments)) if command else None
    named = options.get("db")
    return None if place is None or text is None else Line(
        command=command, place=place, text=text, arguments=arguments, options=options,
        database=Path(named[-1]).expanduser().absolute() if named else database)


def _option(places: Sequence[Any], word: str, *, only_arguments: bool) -> tuple[Any, str | None]:
    """The option with a value that a word names, and its value where that is in the same word."""
    for place in () if only_arguments else places:
        if place.param_type_name != "option" or place.is_flag:
            continue
        for name in place.opts:
            if word == name:
                return place, None
            start = f"{name}=" if name.startswith("--") else name
            if word.startswith(start):
                return place, word[len(start):]
    return None, None


def _argument(places: Sequence[Any], number: int) -> Any:
    """The argument that is next where so many were given; None where no more is taken."""
    arguments = [place for place in places if place.param_type_name == "argument"]
    last = arguments[-1:] if arguments and arguments[-1].nargs == -1 else []
    return next(iter([*arguments[number:number + 1], *last]), None)


def _unquoted(word: str) -> str:
    """A word as it was typed without its quotes; one that is still open counts as closed."""
    for closing in ("", "'", '"'):
        with contextlib.suppress(ValueError):
            return "".join(shlex.split(word + closing))
    return word


def _sagas(line: Line) -> Iterable[str]:
    """Ids, the unfinished first and then the newest."""
    reader = wiring.reader(line.database)
    if reader is None:
        return []
    if line.text.startswith("@"):
        return ["@last"]
    states = STATES.get(line.command, _ALL)
    rows = [row for row in reader.summaries(states, limit=LOOKED_AT_MAX).rows if row.id.startswith(line.text)]
    if not rows and line.text:
        with contextlib.suppress(NotFoundError):
            rows = [row for row in [reader.summary(reader.find(line.text))] if row.state in states]
    if line.command == "resume":
        evidence = wiring.evidence(line.database)
        rows = [row for row in rows if row.state not in _LIVE or not evidence.is_held(row.token)]
    return [row.id for row in rows if row.id not in line.arguments][:OFFERS_MAX]


def _steps(line: Line) -> Iterable[str]:
    """The steps of the saga that is named; for `resolve` those that a person's word is possible on."""
    from sagactl.core.operate import WORDS
    from sagactl.core.tables import STEP_TABLE

    reader = wiring.reader(line.database)
    if reader is None:
        return []
    saga = reader.load(reader.find(line.arguments[0]))
    if line.command != "resolve":
        return list(saga.steps)
    words = set(WORDS.values())
    return [name for name, view in saga.steps.items() if words & STEP_TABLE[view.state].keys()]


def _words(line: Line) -> Iterable[str]:
    """What a person may say of the step that is named."""
    from sagactl.core.operate import WORDS
    from sagactl.core.tables import STEP_TABLE

    reader = wiring.reader(line.database)
    if reader is None:
        return []
    view = reader.load(reader.find(line.arguments[0])).steps[line.options["step"][-1]]
    return [word for word, kind in WORDS.items() if kind in STEP_TABLE[view.state]]


def _rules(line: Line) -> Mapping[str, Any]:
    """The parameters of the definition that is named, each with its rule as far as it can be read."""
    from sagactl.cli.files import read_file
    from sagactl.definition.reading import read

    path = Path(line.arguments[0]).expanduser()
    if not path.is_file():  # stdin, or a pipe that would be waited for
        return {}
    _, root, _ = read(read_file(str(path)), str(path))
    plain = root.plain()
    params = plain.get("params") if isinstance(plain, dict) else None
    return params if isinstance(params, dict) else {}


def _names(line: Line) -> Iterable[str]:
    return list(_rules(line))


def _pairs(line: Line) -> Iterable[str]:
    """`NAME=` of what was not given yet; behind it the values that there are, where they are few."""
    rules, (name, equals, _) = _rules(line), line.text.partition("=")
    if not equals:
        given = {pair.partition("=")[0] for pairs in line.options.values() for pair in pairs}
        return [f"{each}=" for each in rules if each not in given]
    rule = rules.get(name)
    if not isinstance(rule, dict):
        return []
    values = rule.get("enum", [True, False] if rule.get("type") == "boolean" else [])
    return [f"{name}={each if isinstance(each, str) else json.dumps(each)}" for each in values]


def _codes(_: Line) -> Iterable[str]:
    from sagactl.definition.codes import CODES
    from sagactl.errors import EXIT_CODES

    return [*CODES, *(name for name, _ in EXIT_CODES.values()), *map(str, EXIT_CODES)]


def _warnings(line: Line) -> Iterable[str]:
    from sagactl.definition.codes import CODES

    before = line.text[:line.text.rfind(",") + 1]
    return [f"{before}{code}" for code in CODES if code.startswith("SG5") and code not in before]


def _fields(_: Line) -> Iterable[str]:
    from sagactl.cli.schema import every_field

    return [path for path, _, _ in every_field()]


def _shapes(_: Line) -> Iterable[str]:
    from sagactl.cli.shapes import PRINTED

    return [*PRINTED, "exit_error"]


OFFERS: Final[Mapping[str, Callable[[Line], Iterable[str]]]] = {
    "SAGA": _sagas, "STEP": _steps, "NAME=VALUE": _pairs, "NAME=PATH": _pairs, "PARAM": _names,
    "word": _words, "CODE": _codes, "CODE,": _warnings, "FIELD": _fields, "COMMAND": _shapes,
}
"""Who knows what may stand where a help says this."""
