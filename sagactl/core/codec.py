"""Events to and from what the journal keeps: a type name and a JSON text.

The names are an explicit table: renaming a class changes nothing on disk. A definition is kept once and referred to by
the hash of its text.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import replace
from functools import lru_cache
from typing import Any

from sagactl.core import events as e
from sagactl.model import Definition
from sagactl.plain import dumps, from_plain, to_plain

NAMES: Mapping[str, type[e.Event]] = {
    "saga_started": e.SagaStarted,
    "holder_changed": e.HolderChanged,
    "deadline_passed": e.DeadlinePassed,
    "compensation_requested": e.CompensationRequested,
    "compensation_started": e.CompensationStarted,
    "compensation_resumed": e.CompensationResumed,
    "saga_resumed": e.SagaResumed,
    "saga_paused": e.SagaPaused,
    "saga_escalated": e.SagaEscalated,
    "saga_completed": e.SagaCompleted,
    "saga_compensated": e.SagaCompensated,
    "saga_abandoned": e.SagaAbandoned,
    "action_started": e.ActionStarted,
    "action_succeeded": e.ActionSucceeded,
    "action_failed": e.ActionFailed,
    "action_in_doubt": e.ActionInDoubt,
    "action_voided": e.ActionVoided,
    "check_started": e.CheckStarted,
    "effect_found": e.EffectFound,
    "effect_absent": e.EffectAbsent,
    "check_inconclusive": e.CheckInconclusive,
    "check_voided": e.CheckVoided,
    "undo_started": e.UndoStarted,
    "undo_succeeded": e.UndoSucceeded,
    "undo_failed": e.UndoFailed,
    "undo_in_doubt": e.UndoInDoubt,
    "undo_voided": e.UndoVoided,
    "compensation_failed": e.CompensationFailed,
    "step_skipped": e.StepSkipped,
    "declared_undone": e.DeclaredUndone,
    "declared_landed": e.DeclaredLanded,
    "declared_not_landed": e.DeclaredNotLanded,
    "declared_kept": e.DeclaredKept,
}

_ELSEWHERE = Definition(saga="", steps=())
"""Stands for a definition where it is not written."""

_NAME_OF: Mapping[type[e.Event], str] = {kind: name for name, kind in NAMES.items()}


def name_of(event: e.Event) -> str:
    """The on-disk name of an event's type."""
    return _NAME_OF[type(event)]


def definition_key(definition: Definition) -> str:
    """SHA-256 in hex of a definition's whole canonical text."""
    return _key(definition.to_json())


@lru_cache(maxsize=1)
def _key(text: str) -> str:
    from sagactl.digest import sha256

    return sha256(text.encode())


def plain(event: e.Event) -> dict[str, Any]:
    """The event's fields as JSON values; a definition as its key."""
    fields: dict[str, Any]
    if not isinstance(event, e.SagaStarted):
        fields = to_plain(event)
        return fields
    fields = to_plain(replace(event, definition=_ELSEWHERE))
    return {**fields, "definition": definition_key(event.definition)}


def encode(event: e.Event) -> tuple[str, str]:
    """Type name and JSON text."""
    return name_of(event), dumps(plain(event))


def decode(name: str, text: str, definition: Callable[[str], Definition]) -> e.Event:
    """The inverse of `encode`; `definition` gives the one of a key.

    Raises:
        ValueError, TypeError, KeyError: not written by `encode`, or by a newer version of it.
    """
    fields = json.loads(text)
    if name != "saga_started":
        return from_plain(NAMES[name], fields)
    whole = definition(fields["definition"])
    started = from_plain(e.SagaStarted, {**fields, "definition": {"saga": whole.saga, "steps": []}})
    return replace(started, definition=whole)
