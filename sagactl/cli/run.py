"""`sagactl run`: validate, journal, execute, and take back what was done if a step fails."""

from __future__ import annotations

import re
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Annotated, Any

import typer

from sagactl.cli import driving, wiring
from sagactl.cli.files import load_definition, read_file
from sagactl.cli.options import Common
from sagactl.cli.output import json_line, result, say
from sagactl.cli.params import Param, ParamFile, ParamsFile, bound, given
from sagactl.cli.starting import new_id, started, surroundings
from sagactl.core import events as e
from sagactl.core.saga import Saga, replay
from sagactl.core.states import SagaState
from sagactl.errors import ConflictError, NotFoundError, UsageError
from sagactl.model import Definition
from sagactl.plain import dumps
from sagactl.ports import Surroundings

ID = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,127}")


def run(
    file: Annotated[str, typer.Argument(metavar="FILE", show_default=False, help="The definition; - for stdin.")],
    *, param: Param = None, param_file: ParamFile = None, params_file: ParamsFile = None,
    saga_id: Annotated[str | None, typer.Option("--id", metavar="ID", show_default=False, help=(
        "An id of your own, which makes this command safe to repeat: the same id goes on with or reports its saga."
    ))] = None,
    common: Common,
) -> int:
    """Run a saga: all of its steps happen, or what happened is undone in reverse order.

    Example: sagactl run sagas/order.yaml -p carrier=ups
    """
    if saga_id is not None and not ID.fullmatch(saga_id):
        raise UsageError(f"--id {saga_id!r}: letters, digits, dot, _ and -, at most 128, the first a letter or digit")
    said = given(param, param_file, params_file, file=file)
    data = read_file(file)
    definition = load_definition(data, file)  # warnings in a line each: `validate` shows them whole
    params = bound(definition, said, common)
    database = common.database
    known = _known(database, saga_id, definition, params)
    if known is None:
        first = started(definition, params, saga_id=saga_id or new_id(definition.saga),
                        file="" if file == "-" else file, data=data, at_s=time.time(), holder=wiring.me())
        turn = _first_turn(first, lambda: _raced(database, first.id, definition, params, quiet=common.quiet))
    elif known.state not in (SagaState.RUNNING, SagaState.COMPENSATING):
        say(f"{known.id} exists already; nothing was run")
        return driving.report(common, known, json_line)
    else:
        turn = _next_turn(database, known.id, definition, params)
        if common.quiet:
            result(known.id)
    return driving.drive(common, [turn], json_line)


def _first_turn(first: e.SagaStarted, otherwise: Callable[[], wiring.Turn]) -> wiring.Turn:
    around = surroundings(first)

    def prepare() -> tuple[Saga, Sequence[e.Event], Surroundings]:
        return replay([first]), [first], around

    return wiring.Turn(id=first.id, token=first.token, prepare=prepare, otherwise=otherwise)


def _raced(
    database: Path, saga_id: str, definition: Definition, params: dict[str, Any], *, quiet: bool,
) -> wiring.Turn:
    """Another process has started the same saga just now: go on with it, or find it held."""
    turn = _next_turn(database, saga_id, definition, params)
    if quiet:
        result(saga_id)
    return turn


def _next_turn(database: Path, saga_id: str, definition: Definition, params: dict[str, Any]) -> wiring.Turn:
    """The turn of a saga that exists, if it is the same one. Raises ConflictError, NotFoundError."""
    known = _known(database, saga_id, definition, params)
    if known is None:
        raise NotFoundError(f"no saga {saga_id}")
    prepare = driving.going_on(database, known.id, lambda *_: ())
    return wiring.Turn(id=known.id, token=known.started.token, prepare=prepare)


def _known(database: Path, saga_id: str | None, definition: Definition, params: dict[str, Any]) -> Saga | None:
    """The saga that an id already names, if it is the same one. Raises ConflictError if it is another."""
    reader = wiring.reader(database) if saga_id is not None else None
    if reader is None or saga_id is None:
        return None
    try:
        known = reader.load(saga_id)
    except NotFoundError:
        return None
    different = [what for what, same in (
        ("another definition", known.definition.fingerprint() == definition.fingerprint()),
        ("other parameters", dumps(dict(known.started.params)) == dumps(params)),
    ) if not same]
    if different:
        raise ConflictError(f"--id {saga_id} names a saga with {' and '.join(different)}",
                            hint=f"sagactl inspect {saga_id} shows it; choose another id for this one")
    return known
