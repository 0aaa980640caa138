"""A plan for people: the waves of steps with their commands, then what follows from a failure at each step.

Takes what `--json` prints. Every text in it is the author's or a user's, and is made one safe line here.
"""

from __future__ import annotations

import shlex
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from sagactl.cli.render.text import safe
from sagactl.errors import EXIT_CODES
from sagactl.plain import dumps, first_line

DELAYS_SHOWN_MAX = 6
UNDONE_SHOWN_MAX = 20
STDIN_CHARS_SHOWN_MAX = 100
_STAYS = {
    "none": "`undo: none`", "missing": "no undo", "no_value": "where it wrote no outputs, which its undo needs",
    "past_pivot": "past the pivot", "undecided": "a person decides",
}  # fmt: skip
_GOES_ON = {"committed": "the saga goes on", "skipped": "the saga goes on without it", "executing": "it is repeated"}
_ANSWERED = {"effect_found": "if the check finds the effect,", "effect_absent": "if none,"}
_EXIT_CODES = {name: code for code, (name, _) in EXIT_CODES.items()}
_UNITS_S = ((3600.0, "h"), (60.0, "m"), (1.0, "s"), (0.001, "ms"))


def lines(plan: Mapping[str, Any], folder: str) -> Iterator[str]:
    """The plan, line by line. `folder` is that of the definition, where commands run that name none."""
    yield safe(plan["saga"] + (f": {plan['description']}" if plan["description"] else ""))
    for name, value in plan["params"].items():
        yield safe(f"  {name} = {shlex.quote(value) if isinstance(value, str) else dumps(value)}")
    if plan["deadline_s"] is not None:
        yield f"  deadline {duration(plan['deadline_s'])}"
    steps = {step["id"]: step for step in plan["steps"]}
    for number, wave in enumerate(plan["waves"], 1):
        yield ""
        yield f"{number}. {wave[0]}" if len(wave) == 1 else f"{number}. at the same time: {', '.join(wave)}"
        for name in wave:
            if len(wave) > 1:
                yield f"   {name}"
            yield from _step(steps[name], folder)
    yield ""
    yield from _failures(plan)
    if any(len(wave) > 1 for wave in plan["waves"]):
        yield "This is the most there is to undo: steps at the same time may not have started when another one fails."


def _failures(plan: Mapping[str, Any]) -> Iterator[str]:
    """A line for each failure and each doubt; steps that are lost together where the same follows."""
    by_fate: dict[str, dict[str, list[Mapping[str, Any]]]] = {"failed": {}, "in_doubt": {}, "lost": {}}
    for each in plan["failures"]:
        by_fate[each["fate"]].setdefault(each["step"], []).append(each)
    yield "If a step fails, or ends in doubt (timed out, ended by a signal, without its outputs):"
    width = max(map(len, by_fate["failed"])) + len(" in doubt")
    for name, (failed,) in by_fate["failed"].items():
        yield f"   {f'{name} fails'.ljust(width)}  {_outcome(failed)}"
        told = [(each, _outcome(each)) for each in by_fate["in_doubt"][name]]
        yield f"   {f'{name} in doubt'.ljust(width)}  " + _by_answer(
            [(each, "as when it fails" if each["check"] and text == _outcome(failed) else text) for each, text in told])
    yield "If a step is lost (its supervisor or the machine died, or Ctrl-C twice), as `on_interrupt` says:"
    together: dict[str, list[str]] = {}
    for name, rows in by_fate["lost"].items():
        together.setdefault(_by_answer([(each, _in_short(each)) for each in rows]), []).append(name)
    yield from (f"   {_names(names)}: {text}" for text, names in together.items())


def _by_answer(told: Sequence[tuple[Mapping[str, Any], str]]) -> str:
    """What follows, for each answer of the check if there is one."""
    *answers, (_, otherwise) = told
    said = [f"{_ANSWERED[each['check']]} {text}; " for each, text in answers if text != otherwise]
    return "".join(said) + ("else " if said else "") + otherwise


def _in_short(failure: Mapping[str, Any]) -> str:
    if failure["ends"] == "running":
        return _GOES_ON[failure["becomes"]]
    return f"{failure['ends']} (exit {_EXIT_CODES[failure['ends']]})"


def duration(seconds: float) -> str:
    """Seconds as the language writes them."""
    left_ms, text = round(seconds * 1000), ""
    for unit_s, unit in _UNITS_S:
        count, left_ms = divmod(left_ms, round(unit_s * 1000))
        text += f"{count}{unit}" if count else ""
    return text or "0s"


def _step(step: Mapping[str, Any], folder: str) -> Iterator[str]:
    if step["description"]:
        yield safe(f"     # {step['description']}")
    yield from _command("", step["action"], folder)
    words = [word for word in ("pivot", "undo_if_failed") if step[word]]
    words += [f"on_failure: {step['on_failure']}"] if step["on_failure"] != "compensate" else []
    yield f"     {', '.join([*words, 'on_interrupt: ' + step['on_interrupt']])}"
    if step["outputs"]:
        yield f"     outputs: {', '.join(step['outputs'])}"
    undo = step["undo"]
    if undo is None:
        yield "     undo: missing, a person is needed"
    elif undo == "none":
        yield "     undo: none"
    elif "manual" in undo:
        yield safe(f"     undo by hand: {first_line(undo['manual'])}")
    else:
        yield from _command("undo: ", undo, folder)
    if step["check"]:
        yield from _command("check: ", step["check"], folder)


def _command(name: str, command: Mapping[str, Any], folder: str) -> Iterator[str]:
    """The words as a person would type them; quotes are for display only."""
    *words, last = command["argv"]
    if "\n" in last and words[:1] == ["/bin/sh"]:
        yield f"     {name}{shlex.join(words)}"
        yield from (safe(f"       | {line}") for line in last.rstrip("\n").split("\n"))
    else:
        yield safe(f"     {name}{shlex.join(command['argv'])}")
    yield "       " + ", ".join(_settings(command))
    if command["cwd"] != folder:
        yield safe(f"       cwd: {command['cwd']}")
    if command["env"]:
        yield f"       env: {', '.join(command['env'])}"
    if command["secrets"]:
        yield f"       secrets: {', '.join(f'{secret}=***' for secret in command['secrets'])}"
    if stdin := command["stdin"]:
        more = "…" if len(stdin) > STDIN_CHARS_SHOWN_MAX else ""
        yield safe(f"       stdin: {stdin[:STDIN_CHARS_SHOWN_MAX]}{more}")


def _settings(command: Mapping[str, Any]) -> Iterator[str]:
    yield f"timeout {duration(command['timeout_s'])}"
    if command["attempts"] == 1:
        yield "1 attempt"
        return
    yield f"{command['attempts']} attempts"
    delays = [duration(each) for each in command["delays_s"]]
    more = f" … {delays[-1]}" if len(delays) > DELAYS_SHOWN_MAX else ""
    yield f"delays {'up to ' if command['delays_are_most'] else ''}{' '.join(delays[:DELAYS_SHOWN_MAX])}{more}"
    if command["retry_on"] is not None:
        yield f"only on exit {' '.join(map(str, command['retry_on']))}"


def _outcome(failure: Mapping[str, Any]) -> str:
    if failure["ends"] == "running":
        return _GOES_ON[failure["becomes"]]
    undone = failure["undone"]
    nothing = "nothing to undo" if failure["ends"] == "compensated" else "nothing is undone"
    parts = [f"undo {_names(undone)}" if undone else nothing]
    by_reason: dict[str, list[str]] = {}
    for each in failure["stays"]:
        reason = f"by hand: {first_line(each['text'])}" if each["why"] == "manual" else _STAYS[each["why"]]
        by_reason.setdefault(reason, []).append(each["step"])
    for reason, names in by_reason.items():
        parts.append(f"{_names(names)} {'stays' if len(names) == 1 else 'stay'} ({reason})")
    return safe(f"{failure['ends']}: {'; '.join(parts)}")


def _names(names: Sequence[str]) -> str:
    more = f" and {len(names) - UNDONE_SHOWN_MAX} more" if len(names) > UNDONE_SHOWN_MAX else ""
    return ", ".join(names[:UNDONE_SHOWN_MAX]) + more
