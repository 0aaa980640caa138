"""`sagactl run`: validate, journal, execute, and take back what was done if a step fails."""

from __future__ import annotations

from typing import Annotated

import typer

from sagactl.cli import driving
from sagactl.cli.beginning import ID, ID_RULE, Beginning
from sagactl.cli.files import load_definition, read_file
from sagactl.cli.options import Common, Jobs
from sagactl.cli.output import json_line, say
from sagactl.cli.params import Param, ParamFile, ParamsFile, bound, given
from sagactl.core.saga import Saga
from sagactl.errors import UsageError


def run(  # noqa: PLR0913 - typer's form: a parameter for each option
    file: Annotated[str, typer.Argument(metavar="FILE", show_default=False, help="The definition; - for stdin.")],
    *, param: Param = None, param_file: ParamFile = None, params_file: ParamsFile = None,
    saga_id: Annotated[str | None, typer.Option("--id", metavar="ID", show_default=False, help=(
        "An id of your own, which makes this command safe to repeat: the same id goes on with or reports its saga."
    ))] = None,
    each: Annotated[str | None, typer.Option("--each", metavar="FILE", show_default=False, help=(
        "A saga for each line of a file, a JSON object of parameters which win over -p; - for stdin."
    ))] = None,
    jobs: Jobs = None,
    id_from: Annotated[str | None, typer.Option("--id-from", metavar="PARAM", show_default=False, help=(
        "With --each: the id is this parameter's value, which makes the command safe to repeat."
    ))] = None,
    common: Common,
) -> int:
    """Run a saga: all of its steps happen, or what happened is undone in reverse order.

    Example: sagactl run sagas/order.yaml -p carrier=ups
    """
    if saga_id is not None and not ID.fullmatch(saga_id):
        raise UsageError(f"--id {saga_id!r}: {ID_RULE}")
    if each is None and (jobs is not None or id_from is not None):
        raise UsageError(f"{'--jobs' if id_from is None else '--id-from'} is for --each: this is one saga")
    if each is not None and saga_id is not None:
        raise UsageError("--id names one saga, and --each starts many", hint="--id-from PARAM gives each its id")
    said = given(param, param_file, params_file, file=file, each=each)
    data = read_file(file)
    definition = load_definition(data, file, quiet=common.quiet)  # warnings in a line each: `validate` shows them whole
    beginning = Beginning(common, definition, file, data)
    if each is not None:
        from sagactl.cli.each import run_each

        return run_each(beginning, said, each, jobs=jobs, id_from=id_from)
    params = bound(definition, said, common)
    turn = beginning.known(saga_id, params) if saga_id is not None else None
    if isinstance(turn, Saga):
        say(f"{turn.id} exists already; nothing was run")
        return driving.report(common, turn, json_line)
    return driving.drive(common, [turn or beginning.turn(params, saga_id)], json_line, jobs=1)
