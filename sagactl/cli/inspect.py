"""`sagactl inspect`: all that happened in one saga, and what can be done now."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Annotated, Any

import typer

from sagactl.cli import driving, wiring
from sagactl.cli.options import Common, SagaName, name_of
from sagactl.cli.output import json_line, result
from sagactl.cli.render.text import indented, safe
from sagactl.core.states import SagaState
from sagactl.errors import UsageError
from sagactl.plain import dumps, first_line, to_plain


def inspect(
    saga: SagaName,
    definition: Annotated[bool, typer.Option("--definition", help=(
        "Print the definition that it runs, as JSON, which is YAML too, and nothing else."
    ))] = False,
    *, common: Common,
) -> int:
    """Show a saga: its steps with their attempts, outputs and undos, and why it is where it is.

    Example: sagactl inspect @last --json
    """
    if definition and common.quiet:
        raise UsageError("--definition prints the definition, and -q nothing but the id", hint="say one of them")
    reader = driving.existing(common.database)
    name = reader.find(name_of(saga))
    view = reader.load(name)
    live = view.state in (SagaState.RUNNING, SagaState.COMPENSATING)
    interrupted = live and not wiring.evidence(common.database).is_held(view.started.token)
    if common.quiet:
        result(name)
    elif definition:
        json_line(to_plain(view.definition))
    elif not common.human:
        json_line(driving.shown(reader, name, interrupted=interrupted))
    else:
        from sagactl.cli.render.human import conclusion

        shown, at_work = driving.shown(reader, name, interrupted=interrupted), wiring.at_work(common.database, view)
        for line in (*_lines(shown, at_work), "", *conclusion(view, interrupted=interrupted)):
            result(safe(line))
    return 0


def _lines(shown: dict[str, Any], at_work: Mapping[str, Sequence[int]]) -> list[str]:
    """All but the conclusion. `at_work` are the steps whose command runs, with its pids."""
    state = "interrupted, " + shown["state"] if shown["interrupted"] else shown["state"]
    lines = [f"{shown['id']}  {state}", f"  started {shown['started']}, last change {shown['changed']}"]
    lines += [f"  file {shown['file'] or '(stdin)'}, working folder {shown['cwd']}"]
    lines += [f"  {shown['description']}"] if shown["description"] else []
    lines += [f"  param {name} = {value if isinstance(value, str) else dumps(value)}"
              for name, value in shown["params"].items()]
    for step in shown["steps"]:
        lines += ["", f"{step['id']}  {step['state']}" + (f"  {step['description']}" if step["description"] else "")]
        lines += [line for attempt in step["attempts"] for line in _attempt(attempt)]
        if step["id"] in at_work:
            lines.append(f"    its command runs: pid {', '.join(map(str, at_work[step['id']]))}")
        lines += [f"  output {name} = {value}" for name, value in step["outputs"].items()]
        lines += [f"  output {name} is missing" for name in step["outputs_missing"]]
        if step["problem"] is not None and step["state"] == "compensation_failed":
            lines.append(f"  not undone: {first_line(step['problem']['text'])}")
        lines += [f"  stays behind, kept by {word['by']}: {word['reason']}" for word in shown["words"]
                  if (word["type"], word["step"]) == ("declared_kept", step["id"])]
    words = [_word(word) for word in shown["words"]]
    return [*lines, "", *words] if words else lines


def _word(word: dict[str, Any]) -> str:
    what = word["type"].replace("_", " ") + (f" of {word['step']}" if word["step"] else "")
    return f"{word['at']}  {what}" + (f", by {word['by']}" if word["by"] else "") + (
        f": {word['reason']}" if word["reason"] else "")


def _attempt(attempt: dict[str, Any]) -> list[str]:
    head = f"  {attempt['phase']} {attempt['number']}"
    if attempt["outcome"] is None:
        return [f"{head}  started {attempt['started']}, no outcome yet"]
    said = _how(attempt)
    message = f": {attempt['message']}" if attempt["message"] else ""
    tail = indented(attempt["stderr_tail"], "    | ")
    return [f"{head}  {attempt['outcome'].replace('_', ' ')}, {said}{message}  {attempt['ended']}", *tail]


def _how(attempt: dict[str, Any]) -> str:
    """How an attempt ended. One that timed out was ended by us, so its signal or exit status says nothing more."""
    from sagactl.cli.render.plan import duration
    from sagactl.core.parts import How

    if attempt["how"] == How.TIMED_OUT:
        return f"timed out after {duration(attempt['timeout_s'])}"
    if attempt["exit_status"] is not None:
        return f"exit {attempt['exit_status']}"
    return attempt["how"].replace("_", " ") if attempt["signal"] is None else f"signal {attempt['signal']}"
