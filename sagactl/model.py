"""What a saga is made of: the definition after validation, normalised and frozen.

Every default of the language has been filled in: the core and the engine never ask where a value came from. Durations
are float seconds. Strings may hold `${…}` (template.py) where the language allows it.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any, ClassVar, TypeAlias

from sagactl.plain import Value, dumps, from_plain, to_plain


class Phase(StrEnum):
    """Which of a step's three commands."""

    ACTION = "action"
    UNDO = "undo"
    CHECK = "check"


class Jitter(StrEnum):
    NONE = "none"
    FULL = "full"


class OnFailure(StrEnum):
    """What a step that is out of attempts means for its saga."""

    COMPENSATE = "compensate"
    CONTINUE = "continue"
    PAUSE = "pause"


class OnInterrupt(StrEnum):
    """What to do with an action that was lost or ended by a person's signal, when no check tells."""

    RETRY = "retry"
    UNDO = "undo"
    ESCALATE = "escalate"


@dataclass(frozen=True, slots=True, kw_only=True, eq=False, repr=False)
class RetryPolicy(Value):
    """How often and when a command is tried again. `exit_codes` None: every failure is worth another attempt."""

    max_retries: int = 0
    delay_s: float = 1.0
    backoff: float = 2.0
    max_delay_s: float = 60.0
    jitter: Jitter = Jitter.NONE
    exit_codes: tuple[int, ...] | None = None

    def delay_before_s(self, retry: int, draw: float) -> float:
        """Seconds to wait before retry number `retry` (from 1). `draw` in [0, 1) is used with full jitter only."""
        try:
            grown = self.delay_s * self.backoff ** (retry - 1)
        except OverflowError:
            grown = self.max_delay_s
        delay_s = min(grown, self.max_delay_s)
        return delay_s * draw if self.jitter is Jitter.FULL else delay_s


@dataclass(frozen=True, slots=True, kw_only=True, eq=False, repr=False)
class Argv(Value):
    """A command as a list of words: no shell; each word stays one word whatever its values hold."""

    KIND: ClassVar[str] = "argv"
    words: tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True, eq=False, repr=False)
class Script(Value):
    """A command as a shell script, run by `/bin/sh -eu -c`. Nothing is ever replaced in its text."""

    KIND: ClassVar[str] = "script"
    text: str


Run: TypeAlias = Argv | Script


@dataclass(frozen=True, slots=True, kw_only=True, eq=False, repr=False)
class Command(Value):
    """One command with all that decides how it runs. `env` is the saga's, the step's and its own, merged."""

    KIND: ClassVar[str] = "command"
    run: Run
    timeout_s: float = 300.0
    kill_after_s: float = 10.0
    retry: RetryPolicy = RetryPolicy()
    env: Mapping[str, str] = field(default_factory=dict)
    cwd: str = "."
    stdin: str = ""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False, repr=False)
class ManualUndo(Value):
    """Only a person can undo this; `text` is their runbook."""

    KIND: ClassVar[str] = "manual"
    text: str


@dataclass(frozen=True, slots=True, kw_only=True, eq=False, repr=False)
class NothingToUndo(Value):
    """`undo: none`: the author says that there is nothing to take back."""

    KIND: ClassVar[str] = "nothing"


@dataclass(frozen=True, slots=True, kw_only=True, eq=False, repr=False)
class Output(Value):
    """Where an output comes from: a file of its name in SAGA_OUTPUT_DIR, or a JSON Pointer into stdout."""

    pointer: str | None = None
    empty_allowed: bool = False


@dataclass(frozen=True, slots=True, kw_only=True, eq=False, repr=False)
class SecretSource(Value):
    """Where a secret is read from: an environment variable or a file. Exactly one is set."""

    env: str = ""
    file: str = ""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False, repr=False)
class Step(Value):
    """One unit of a saga. `undo` None is a missing undo; `needs` names the steps that must be settled before."""

    id: str
    action: Command
    undo: Command | ManualUndo | NothingToUndo | None = None
    check: Command | None = None
    description: str = ""
    needs: tuple[str, ...] = ()
    outputs: Mapping[str, Output] = field(default_factory=dict)
    secrets: tuple[str, ...] = ()
    undo_if_failed: bool = False
    on_failure: OnFailure = OnFailure.COMPENSATE
    on_interrupt: OnInterrupt = OnInterrupt.ESCALATE
    pivot: bool = False

    def command(self, phase: Phase) -> Command:
        """The command of a phase.

        Raises:
            LookupError: the step has none.
        """
        found = {Phase.ACTION: self.action, Phase.UNDO: self.undo, Phase.CHECK: self.check}[phase]
        if not isinstance(found, Command):
            raise LookupError(f"step {self.id} has no {phase} command")
        return found


class _Texted(Value):
    """Room for the text of a definition, which is made once for all its sagas. No field: it says nothing more."""

    __slots__ = ("_text",)
    _text: str


@dataclass(frozen=True, slots=True, kw_only=True, eq=False, repr=False)
class Definition(_Texted):
    """The YAML file, validated. `params` maps a name to its JSON Schema; `timeout_s` bounds the forward part."""

    saga: str
    steps: tuple[Step, ...]
    version: int = 1
    description: str = ""
    params: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)
    secrets: Mapping[str, SecretSource] = field(default_factory=dict)
    timeout_s: float | None = None

    def to_json(self) -> str:
        """The canonical text that the journal keeps; equal definitions give equal texts."""
        try:
            return self._text
        except AttributeError:
            object.__setattr__(self, "_text", dumps(to_plain(self)))
            return self._text

    @classmethod
    def from_json(cls, plain: Any) -> Definition:
        """The inverse of `to_json`, from the parsed JSON value."""
        return from_plain(cls, plain)

    def fingerprint(self) -> str:
        """SHA-256 in hex of what the saga does: descriptions do not count."""
        from sagactl.digest import sha256

        steps = tuple(dataclasses.replace(step, description="") for step in self.steps)
        params = {name: {k: v for k, v in rule.items() if k != "description"} for name, rule in self.params.items()}
        bare = dataclasses.replace(self, description="", steps=steps, params=params)
        return sha256(bare.to_json().encode())
