"""The facts of a saga, past tense, one frozen class each: what the journal holds and the tables are keyed by.

A class is never edited once released: a new shape is a new class, and codec keeps reading the old. All times are Unix
seconds. Fields at their defaults are not written, so a default is part of the on-disk format.

A class without a field of its own inherits all that the decorator would make again, at a cost to each start.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from sagactl.core.parts import Actor, Attempt, Cause, Ending, OpenStep, Reason
from sagactl.model import Definition, Phase
from sagactl.plain import Value


@dataclass(frozen=True, slots=True, kw_only=True, eq=False, repr=False)
class Event(Value):
    """A fact about a saga at a time."""

    at_s: float


@dataclass(frozen=True, slots=True, kw_only=True, eq=False, repr=False)
class StepEvent(Event):
    """A fact about one step; looked up in the step table too."""

    step: str


@dataclass(frozen=True, slots=True, kw_only=True, eq=False, repr=False)
class AttemptStarted(StepEvent):
    """The intent: durable before anything runs."""

    attempt: Attempt


@dataclass(frozen=True, slots=True, kw_only=True, eq=False, repr=False)
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


@dataclass(frozen=True, slots=True, kw_only=True, eq=False, repr=False)
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


@dataclass(frozen=True, slots=True, kw_only=True, eq=False, repr=False)
class HolderChanged(Event):
    """Another process has taken the saga on."""

    holder: Actor


class DeadlinePassed(Event):
    """The deadline of the forward part passed; from here the saga can only turn back."""

    __slots__ = ()


@dataclass(frozen=True, slots=True, kw_only=True, eq=False, repr=False)
class CompensationRequested(Event):
    """A person asked for the saga to be undone."""

    by: Actor
    reason: str = ""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False, repr=False)
class CompensationStarted(Event):
    """The saga turned back. `failed_step` is the first one that made it so."""

    cause: Cause
    failed_step: str = ""
    text: str = ""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False, repr=False)
class CompensationResumed(Event):
    """An escalated compensation goes on; undos that failed have a fresh budget."""

    by: Actor


@dataclass(frozen=True, slots=True, kw_only=True, eq=False, repr=False)
class SagaResumed(Event):
    """A paused or escalated saga goes on forward; what failed has a fresh budget."""

    by: Actor


@dataclass(frozen=True, slots=True, kw_only=True, eq=False, repr=False)
class SagaPaused(Event):
    """A step with `on_failure: pause` is out of attempts."""

    step: str
    text: str = ""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False, repr=False)
class SagaEscalated(Event):
    """Neither forward nor back is possible without a person."""

    open: tuple[OpenStep, ...]


class SagaCompleted(Event):
    """Every step is committed or skipped."""

    __slots__ = ()


class SagaCompensated(Event):
    """Everything that had to be undone is undone."""

    __slots__ = ()


@dataclass(frozen=True, slots=True, kw_only=True, eq=False, repr=False)
class SagaAbandoned(Event):
    """The saga ended as it was: on a person's word, or because an effect was kept (`by` is None)."""

    by: Actor | None = None
    reason: str = ""


# Actions. In doubt: the effect is unknown.


class ActionStarted(AttemptStarted):
    """The step's action is about to run."""

    __slots__ = ()


class ActionSucceeded(AttemptEnded):
    """Exit 0 with all declared outputs."""

    __slots__ = ()


class ActionFailed(AttemptEnded):
    """It ended, and its effect is known to be absent."""

    __slots__ = ()


class ActionInDoubt(AttemptEnded):
    """Its effect, or that of an attempt before it, is unknown."""

    __slots__ = ()


class ActionVoided(AttemptEnded):
    """It did not start, which costs nothing: the step is as before it."""

    __slots__ = ()


# Checks, of an action or of an undo in doubt.


class CheckStarted(AttemptStarted):
    """The step's check is about to run."""

    __slots__ = ()


class EffectFound(AttemptEnded):
    """The check found the effect of the action."""

    __slots__ = ()


class EffectAbsent(AttemptEnded):
    """The check found that the action has no effect and never will."""

    __slots__ = ()


class CheckInconclusive(AttemptEnded):
    """The check could not tell."""

    __slots__ = ()


class CheckVoided(AttemptEnded):
    """The check did not start, which costs nothing."""

    __slots__ = ()


# Undos.


class UndoStarted(AttemptStarted):
    """The step's undo is about to run."""

    __slots__ = ()


class UndoSucceeded(AttemptEnded):
    """Exit 0: the step is undone."""

    __slots__ = ()


class UndoFailed(AttemptEnded):
    """It ended, and the step is not undone."""

    __slots__ = ()


class UndoInDoubt(AttemptEnded):
    """Whether the step is undone is unknown."""

    __slots__ = ()


class UndoVoided(AttemptEnded):
    """It did not start, which costs nothing."""

    __slots__ = ()


@dataclass(frozen=True, slots=True, kw_only=True, eq=False, repr=False)
class CompensationFailed(StepEvent):
    """The step can't be undone without a person."""

    reason: Reason
    text: str = ""


# Decisions and words about one step.


class StepSkipped(StepEvent):
    """A step with `on_failure: continue` is out of attempts; the saga goes on without it."""

    __slots__ = ()


@dataclass(frozen=True, slots=True, kw_only=True, eq=False, repr=False)
class Declared(StepEvent):
    """A person's word on a step."""

    by: Actor
    reason: str


class DeclaredUndone(Declared):
    """They undid it by hand."""

    __slots__ = ()


class DeclaredLanded(Declared):
    """The action took effect."""

    __slots__ = ()


class DeclaredNotLanded(Declared):
    """The action did not take effect."""

    __slots__ = ()


class DeclaredKept(Declared):
    """Its effect stays."""

    __slots__ = ()
