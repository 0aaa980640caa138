"""`sagactl plan`: what would run, and what would become of it if a step failed. Runs nothing, reads no secret."""

from __future__ import annotations

import os
from collections.abc import Mapping
from typing import Annotated, Any

import typer

from sagactl.cli.files import load_definition, read_file
from sagactl.cli.options import Common
from sagactl.cli.output import json_line, result, warn
from sagactl.cli.params import Param, ParamFile, ParamsFile, given
from sagactl.core.saga import Saga
from sagactl.errors import InvalidError
from sagactl.model import Command, Definition, Jitter, ManualUndo, NothingToUndo, Step


def plan(
    file: Annotated[str, typer.Argument(metavar="FILE", show_default=False, help="The definition; - for stdin.")],
    *, param: Param = None, param_file: ParamFile = None, params_file: ParamsFile = None,
    common: Common,
) -> int:
    """Show what a saga would run, in which order, and for a failure at each step what is undone and what stays.

    A parameter that is missing is shown as its reference, as is what only a run can tell: outputs and the saga's id.

    Example: sagactl plan sagas/order.yaml -p carrier=ups
    """
    from sagactl.cli.render.plan import lines
    from sagactl.definition.parameters import check, refuse

    said = given(param, param_file, params_file, file=file)
    definition = load_definition(read_file(file), file, whole=True)
    found = check(definition, said.values, said.pairs)
    refuse(found.problems)
    for name in found.missing:
        warn(f"{name} is not given: shown as ${{params.{name}}}")
    folder = os.getcwd() if file == "-" else os.path.dirname(os.path.abspath(file))  # noqa: PTH109, PTH120, PTH100
    planned = _planned(definition, found.values, found.missing, folder)
    if common.quiet:
        for step in planned["steps"]:
            result(step["id"])
    elif not common.human:
        json_line(planned)
    else:
        for line in lines(planned, folder):
            result(line)
    return 0


def _planned(
    definition: Definition, values: Mapping[str, Any], missing: tuple[str, ...], folder: str,
) -> dict[str, Any]:
    """The plan as `--json` prints it."""
    from sagactl.cli.foresight import foreseen, outcomes, waves
    from sagactl.plain import to_plain

    params = {**values, **{name: f"${{params.{name}}}" for name in missing}}
    saga = foreseen(definition, params)
    order = waves(definition)
    wave_of = {name: number for number, wave in enumerate(order, 1) for name in wave}
    return {
        "schema": 1,
        "saga": definition.saga,
        "description": definition.description,
        "params": dict(values),
        "missing": list(missing),
        "deadline_s": definition.timeout_s,
        "waves": [list(wave) for wave in order],
        "steps": [_step(saga, step, wave_of[step.id], folder) for step in definition.steps],
        "failures": [
            {"step": each.step, "fate": each.fate, "check": each.check, "ends": each.ends, "becomes": each.becomes,
             "undone": list(each.undone), "stays": [{"text": "", **to_plain(stays)} for stays in each.stays]}
            for each in outcomes(definition, params)
        ],
    }  # fmt: skip


def _step(saga: Saga, step: Step, wave: int, folder: str) -> dict[str, Any]:
    from sagactl.template import show

    undo: Any = None
    match step.undo:
        case Command():
            undo = _command(saga, step, step.undo, folder)
        case ManualUndo(text=text):
            undo = {"manual": show(text, saga.value_of)}
        case NothingToUndo():
            undo = "none"
    return {
        "id": step.id,
        "description": step.description,
        "wave": wave,
        "needs": list(step.needs),
        "action": _command(saga, step, step.action, folder),
        "undo": undo,
        "check": step.check and _command(saga, step, step.check, folder),
        "outputs": list(step.outputs),
        "on_failure": step.on_failure,
        "on_interrupt": step.on_interrupt,
        "undo_if_failed": step.undo_if_failed,
        "pivot": step.pivot,
    }


def _command(saga: Saga, step: Step, command: Command, folder: str) -> dict[str, Any]:
    """A command with every value filled in that is known now. Of variables the names: their values may be secrets."""
    from sagactl.execution.invocation import KINDS
    from sagactl.template import MissingValueError, fill

    policy, lookup = command.retry, saga.value_of
    try:
        argv = KINDS[type(command.run)](command.run, lookup)
        cwd, stdin = fill(command.cwd, lookup), fill(command.stdin, lookup)
    except MissingValueError as error:
        raise InvalidError(f"step {step.id} could not be run: {error}") from None
    return {
        "argv": list(argv),
        "cwd": folder if cwd == "." else os.path.join(folder, cwd),  # noqa: PTH118
        "env": sorted(command.env),
        "secrets": list(step.secrets),
        "stdin": stdin,
        "timeout_s": command.timeout_s,
        "kill_after_s": command.kill_after_s,
        "attempts": policy.max_retries + 1,
        "delays_s": [policy.delay_before_s(retry, 1.0) for retry in range(1, policy.max_retries + 1)],
        "delays_are_most": policy.jitter is Jitter.FULL,
        "retry_on": None if policy.exit_codes is None else list(policy.exit_codes),
    }
