"""The facts of a saga, past tense, one frozen class each: what the journal holds and the tables are keyed by.

A class is never edited once released: a new shape is a new class, and codec keeps reading the old. All times are Unix
seconds. Fields at their defaults are not written, so a default is part of the on-disk format.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from sagactl.core.parts import Actor, Attempt, Cause, Ending, OpenStep, Reason
from sagactl.model import Definition, Phase


@dataclass(frozen=True, slots=True, kw_only=True)
class Event:
    """A fact about a saga at a time."""

    at_s: float


@dataclass(frozen=True, slots=True, kw_only=True)
class StepEvent(Event):
    """A fact about one step; looked up in the step table too."""

    step: str


@dataclass(frozen=True, slots=True, kw_only=True)
class AttemptStarted(StepEvent):
    """The intent: durable before anything runs."""

    attempt: Attempt


@dataclass(frozen=True, slots=True, kw_only=True)
class AttemptEnded(StepEvent):
    """An outcome. `retry_at_s`: the earliest time of the next attempt, None for no more of them.

    `check_at_s`: the earliest time at which a check is asked, None for no check.
    """

    phase: Phase
    number: int
    ending: Ending
    retry_at_s: float | None = None
    check_at_s: float | None = None


# The saga as a whole.


@dataclass(frozen=True, slots=True, kw_only=True)
class SagaStarted(Event):
    """All that can't change any more. `token` is random: it names the evidence folder and makes attempt ids unique.

    `env` holds PATH, HOME and what `${env.X}` read; `env_names` the names of the other variables that were there.
    `file` is the absolute path of the YAML ("" for stdin) and `file_hash` the SHA-256 of its bytes at start, in hex.
    """

    id: str
    token: str
    definition: Definition
    params: Mapping[str, Any]
    cwd: str
    env: Mapping[str, str]
    env_names: tuple[str, ...]
    holder: Actor
    file: str = ""
    file_hash: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class HolderChanged(Event):
    """Another process has taken the saga on."""

    holder: Actor


@dataclass(frozen=True, slots=True, kw_only=True)
class DeadlinePassed(Event):
    """The deadline of the forward part passed; from here the saga can only turn back."""


@dataclass(frozen=True, slots=True, kw_only=True)
class CompensationRequested(Event):
    """A person asked for the saga to be undone."""

    by: Actor
    reason: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class CompensationStarted(Event):
    """The saga turned back. `failed_step` is the first one that made it so."""

    cause: Cause
    failed_step: str = ""
    text: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class CompensationResumed(Event):
    """An escalated compensation goes on; undos that failed have a fresh budget."""

    by: Actor


@dataclass(frozen=True, slots=True, kw_only=True)
class SagaResumed(Event):
    """A paused or escalated saga goes on forward; what failed has a fresh budget."""

    by: Actor


@dataclass(frozen=True, slots=True, kw_only=True)
class SagaPaused(Event):
    """A step with `on_failure: pause` is out of attempts."""

    step: str
    text: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class SagaEscalated(Event):
    """Neither forward nor back is possible without a person."""

    open: tuple[OpenStep, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class SagaCompleted(Event):
    """Every step is committed or skipped."""


@dataclass(frozen=True, slots=True, kw_only=True)
class SagaCompensated(Event):
    """Everything that had to be undone is undone."""


@dataclass(frozen=True, slots=True, kw_only=True)
class SagaAbandoned(Event):
    """The saga ended as it was: on a person's word, or because an effect was kept (`by` is None)."""

    by: Actor | None = None
    reason: str = ""


# Actions. In doubt: the effect is unknown.


@dataclass(frozen=True, slots=True, kw_only=True)
class ActionStarted(AttemptStarted):
    """The step's action is about to run."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ActionSucceeded(AttemptEnded):
    """Exit 0 with all declared outputs."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ActionFailed(AttemptEnded):
    """It ended, and its effect is known to be absent."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ActionInDoubt(AttemptEnded):
    """Its effect, or that of an attempt before it, is unknown."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ActionVoided(AttemptEnded):
    """It did not start, which costs nothing: the step is as before it."""


# Checks, of an action or of an undo in doubt.


@dataclass(frozen=True, slots=True, kw_only=True)
class CheckStarted(AttemptStarted):
    """The step's check is about to run."""


@dataclass(frozen=True, slots=True, kw_only=True)
class EffectFound(AttemptEnded):
    """The check found the effect of the action."""


@dataclass(frozen=True, slots=True, kw_only=True)
class EffectAbsent(AttemptEnded):
    """The check found that the action has no effect and never will."""


@dataclass(frozen=True, slots=True, kw_only=True)
class CheckInconclusive(AttemptEnded):
    """The check could not tell."""


@dataclass(frozen=True, slots=True, kw_only=True)
class CheckVoided(AttemptEnded):
    """The check did not start, which costs nothing."""


# Undos.


@dataclass(frozen=True, slots=True, kw_only=True)
class UndoStarted(AttemptStarted):
    """The step's undo is about to run."""


@dataclass(frozen=True, slots=True, kw_only=True)
class UndoSucceeded(AttemptEnded):
    """Exit 0: the step is undone."""


@dataclass(frozen=True, slots=True, kw_only=True)
class UndoFailed(AttemptEnded):
    """It ended, and the step is not undone."""


@dataclass(frozen=True, slots=True, kw_only=True)
class UndoInDoubt(AttemptEnded):
    """Whether the step is undone is unknown."""


@dataclass(frozen=True, slots=True, kw_only=True)
class UndoVoided(AttemptEnded):
    """It did not start, which costs nothing."""


@dataclass(frozen=True, slots=True, kw_only=True)
class CompensationFailed(StepEvent):
    """The step can't be undone without a person."""

    reason: Reason
    text: str = ""


# Decisions and words about one step.


@dataclass(frozen=True, slots=True, kw_only=True)
class StepSkipped(StepEvent):
    """A step with `on_failure: continue` is out of attempts; the saga goes on without it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Declared(StepEvent):
    """A person's word on a step."""

    by: Actor
    reason: str


@dataclass(frozen=True, slots=True, kw_only=True)
class DeclaredUndone(Declared):
    """They undid it by hand."""


@dataclass(frozen=True, slots=True, kw_only=True)
class DeclaredLanded(Declared):
    """The action took effect."""


@dataclass(frozen=True, slots=True, kw_only=True)
class DeclaredNotLanded(Declared):
    """The action did not take effect."""


@dataclass(frozen=True, slots=True, kw_only=True)
class DeclaredKept(Declared):
    """Its effect stays."""
