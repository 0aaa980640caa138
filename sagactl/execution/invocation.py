"""What exactly a supervisor is asked to run: a job with every value filled in.

`KINDS` is the one table of kinds of commands. A value that is missing, holds NUL or is too long is found here, before
anything starts.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from typing import Any

from sagactl.core.parts import Attempt
from sagactl.core.saga import Saga
from sagactl.core.states import StepState
from sagactl.execution import argv, script
from sagactl.model import Argv, Phase, Script
from sagactl.ports import Job
from sagactl.template import Lookup, fill

KINDS: Mapping[type, Callable[[Any, Lookup], tuple[str, ...]]] = {Argv: argv.words, Script: script.words}

OURS = "SAGA_"
"""Variables with this prefix are ours; inherited ones are never passed on."""


FAILURE_CHARS_MAX = 4096
"""A reason is for reading; a longer one could keep every undo from starting (E2BIG)."""


def invocation(job: Job, folder: str, outputs_folder: str) -> dict[str, Any]:
    """argv, env, cwd, stdin, timeouts: the run request of supervisor.py less who it is.

    Raises:
        MissingValueError: a reference has no value that a process can be given.
    """
    command, lookup = job.command, job.saga.value_of
    return {
        "folder": folder,
        "argv": KINDS[type(command.run)](command.run, lookup),
        "env": {
            **job.env,
            **{name: fill(value, lookup) for name, value in command.env.items()},
            **job.secrets,
            **_told(job, outputs_folder),
        },
        "cwd": os.path.join(job.saga.started.cwd, fill(command.cwd, lookup)),
        "stdin": fill(command.stdin, lookup),
        "timeout_s": job.attempt.timeout_s,
        "kill_after_s": command.kill_after_s,
    }


def attempt_id(saga: Saga, attempt: Attempt) -> str:
    """What no other attempt of any saga has: the saga's random token, the step's place, phase and number."""
    return f"{saga.started.token}.{attempt_name(saga, attempt)}"


def attempt_name(saga: Saga, attempt: Attempt) -> str:
    """Unique within a saga, made of digits and the phase only: the name of the attempt's folder."""
    return f"{saga.places[attempt.step]}.{attempt.phase}.{attempt.number}"


def _told(job: Job, outputs_folder: str) -> dict[str, str]:
    """The SAGA_* variables of a command."""
    saga, attempt = job.saga, job.attempt
    asked_about = Phase.ACTION if attempt.phase is Phase.CHECK else attempt.phase
    told = {
        "SAGA_ID": saga.id,
        "SAGA_NAME": saga.definition.saga,
        "SAGA_STEP": attempt.step,
        "SAGA_PHASE": attempt.phase,
        "SAGA_ATTEMPT": str(attempt.ordinal),
        "SAGA_MAX_ATTEMPTS": str(job.command.retry.max_retries + 1),
        "SAGA_ATTEMPT_ID": attempt_id(saga, attempt),
        "SAGA_IDEMPOTENCY_KEY": f"{saga.id}/{attempt.step}/{asked_about}",  # a check looks for what has the action's
        "SAGA_OUTPUT_DIR": outputs_folder,
        "SAGA_DEADLINE": str(int(attempt.started_s + attempt.timeout_s)),  # shells count in whole numbers
    }
    if attempt.phase is Phase.UNDO:
        forward = saga.steps[attempt.step].forward
        told["SAGA_ACTION_STATE"] = forward if forward is not StepState.PENDING else ""
        told["SAGA_FAILED_STEP"] = saga.turn.failed_step if saga.turn else ""
        told["SAGA_FAILURE"] = saga.turn.text[:FAILURE_CHARS_MAX] if saga.turn else ""
    return told
