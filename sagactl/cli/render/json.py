"""JSON for machines: snake_case, RFC 3339 UTC, durations as float seconds named `…_s`, `"schema": 1`."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

from sagactl.cli.render.human import missing_outputs
from sagactl.cli.render.text import iso
from sagactl.core import codec, operate
from sagactl.core import events as e
from sagactl.core.judge import outcome_of
from sagactl.core.saga import Saga
from sagactl.journal.listing import Summary
from sagactl.model import Phase

WORDS = (e.CompensationRequested, e.CompensationResumed, e.SagaResumed, e.SagaAbandoned, e.Declared)
"""The events by which persons come into a saga's history."""

_TIMES = frozenset({"at_s", "started_s", "ended_s", "retry_at_s", "check_at_s"})
_THEIRS = frozenset({"params", "env", "outputs"})
"""Below these stand names that others have given."""


def event(saga_id: str, seq: int, fact: e.Event) -> dict[str, Any]:
    """An event as `events` prints it."""
    fields = _outside(codec.plain(fact))
    at = fields.pop("at")
    return {"schema": 1, "seq": seq, "at": at, "saga": saga_id, "type": codec.name_of(fact), **fields}


def summary(row: Summary, *, interrupted: bool) -> dict[str, Any]:
    """A saga in a list."""
    return {
        "schema": 1, "id": row.id, "name": row.name, "state": row.state, "interrupted": interrupted,
        "started": iso(row.created_s), "changed": iso(row.changed_s), "steps_done": row.steps_done,
        "steps_total": row.steps_total, "why": row.why,
    }


def saga(view: Saga, facts: Sequence[tuple[int, e.Event]], *, interrupted: bool) -> dict[str, Any]:
    """All that happened in a saga: `inspect --json`."""
    attempts = _attempts(view, facts)
    return {
        "schema": 1,
        "id": view.id,
        "name": view.definition.saga,
        "description": view.definition.description,
        "state": view.state,
        "interrupted": interrupted,
        "why": operate.because(view),
        "started": iso(view.started.at_s),
        "changed": iso(view.changed_s),
        "params": dict(view.started.params),
        "cwd": view.started.cwd,
        "file": view.started.file,
        "events": view.seq,
        "words": [_word(fact) for _, fact in facts if isinstance(fact, WORDS)],
        "steps": [_step(view, name, attempts[name]) for name in view.steps],
    }


def _word(fact: e.Event) -> dict[str, Any]:
    """What a person said or had done: when, what, who, why."""
    by = getattr(fact, "by", None)
    return {
        "at": iso(fact.at_s), "type": codec.name_of(fact), "step": getattr(fact, "step", None),
        "by": f"{by.user}@{by.host}" if by else None, "reason": getattr(fact, "reason", ""),
    }


def _step(view: Saga, name: str, attempts: Sequence[dict[str, Any]]) -> dict[str, Any]:
    step = view.steps[name]
    return {
        "id": name,
        "description": view.by_id[name].description,
        "state": step.state,
        "attempts": list(attempts),
        "outputs": dict(step.outputs),
        "outputs_missing": missing_outputs(view, name),
        "next_attempt": iso(step.retry_at_s) if step.retry_at_s is not None else None,
        "problem": None if step.problem is None else {"reason": step.problem.reason, "text": step.problem.text},
    }


def _attempts(view: Saga, facts: Iterable[tuple[int, e.Event]]) -> dict[str, list[dict[str, Any]]]:
    """The attempts of each step in order, those without an outcome included."""
    found: dict[str, list[dict[str, Any]]] = {name: [] for name in view.steps}
    for _, fact in facts:
        match fact:
            case e.AttemptStarted(attempt=attempt, at_s=at_s):
                found[fact.step].append({
                    "phase": attempt.phase, "number": attempt.number, "started": iso(at_s), "ended": None,
                    "outcome": None, "how": None, "exit_status": None, "signal": None, "message": "",
                    "stderr_tail": "", "timeout_s": attempt.timeout_s,
                })
            case e.AttemptEnded(ending=ending):
                ended = next(each for each in reversed(found[fact.step])
                             if (each["phase"], each["number"]) == (fact.phase, fact.number))
                ended |= {
                    "ended": iso(ending.ended_s), "outcome": _outcome(view, fact), "how": ending.how,
                    "exit_status": ending.exit_status, "signal": ending.signal,
                    "message": ending.outputs_error or ending.message, "stderr_tail": ending.stderr_tail,
                }
    return found


def _outcome(view: Saga, fact: e.AttemptEnded) -> str:
    told = {e.EffectFound: "effect_found", e.EffectAbsent: "effect_absent", e.CheckInconclusive: "inconclusive"}
    command = view.by_id[fact.step].command(fact.phase)
    if fact.phase is Phase.CHECK:
        return told.get(type(fact), "void")
    return outcome_of(command, fact.ending)


def _outside(value: Any) -> Any:
    """Our own times as RFC 3339 under their name without `_s`; everything else as it is."""
    if isinstance(value, list):
        return [_outside(each) for each in value]
    if not isinstance(value, dict):
        return value
    found = {}
    for key, each in value.items():
        if key in _TIMES:
            found[key.removesuffix("_s")] = iso(each)
        else:
            found[key] = each if key in _THEIRS else _outside(each)
    return found
