"""Attempts in the journal without an outcome, which nobody may have in hand: claimed for nobody, looked at, masked.

Rule: whoever calls this holds the saga's lock.
"""

from __future__ import annotations

import contextlib
import os
import stat
import time
from collections.abc import Mapping
from typing import Any

from sagactl.core.parts import How
from sagactl.core.saga import Saga
from sagactl.errors import StoreError
from sagactl.execution import capture, processes, record
from sagactl.execution.evidence import Evidence
from sagactl.execution.invocation import attempt_id, attempt_name


def claim_for_nobody(attempt: str, identity: str, boot: str) -> None:
    """Claim an attempt of this boot if nobody has, so that nobody ever can; its outcome is there at once.

    Its folder was there before its intent was durable, and was opened after the claim, as its streams were made: where
    they say otherwise, evidence was deleted, and the attempt is lost instead of never started.

    Raises:
        StoreError: the claim can't be written, or it can't be looked whether anything of the attempt is alive.
    """
    own = {"id": identity, "boot": boot, "supervisor": 0, "at": time.time()}
    outcome: dict[str, Any] = {"how": How.NEVER_STARTED, "at": time.time()}
    try:
        if not os.path.lexists(record.path_of(attempt, record.RECORD)):
            left = processes.members(identity, None, None)[:20]
            if left or _was_claimed(attempt):
                outcome |= {"how": How.LOST, "left": left, "message": "its evidence is gone"}
        os.makedirs(os.path.dirname(attempt), mode=0o700, exist_ok=True)
        os.close(record.claim(attempt, own, outcome))
    except FileExistsError:
        pass
    except OSError as error:
        raise StoreError(f"can't claim {attempt}: {error}") from error


def _was_claimed(attempt: str) -> bool:
    """Whether its folder is gone, or says that it was claimed, or there is something of it that comes after a claim."""
    try:
        mode = os.lstat(attempt).st_mode
        if not stat.S_ISDIR(mode) or mode & 0o777 != record.UNCLAIMED:
            return True
    except FileNotFoundError:
        return True
    return any(os.path.lexists(record.path_of(attempt, name)) for name in record.STREAMS)


def running_steps(evidence: Evidence, saga: Saga) -> list[str]:
    """The steps whose attempt without an outcome still runs. One that nobody has claimed never will, after this.

    Raises StoreError.
    """
    found, boot = [], processes.boot_id()
    for name, view in saga.steps.items():
        if view.live is None:
            continue
        attempt = evidence.attempt(saga.started.token, attempt_name(saga, view.live))
        identity = attempt_id(saga, view.live)
        if view.live.boot_id == boot:
            claim_for_nobody(attempt, identity, boot)
            found += [name] if _runs(attempt, identity) else []
    return found


def mask_left(evidence: Evidence, saga: Saga, secrets: Mapping[str, str] | None) -> None:
    """Mask what attempts without an outcome captured, none of which runs; without `secrets` their streams go.

    For a saga that is about to be abandoned: nobody will look at them again. Raises OSError.
    """
    for name, view in saga.steps.items():
        if view.live is None or not saga.by_id[name].secrets:
            continue
        attempt = evidence.attempt(saga.started.token, attempt_name(saga, view.live))
        if secrets is not None:
            capture.mask(attempt, [secrets[each] for each in saga.by_id[name].secrets])
        else:
            for stream in record.STREAMS:
                with contextlib.suppress(FileNotFoundError):
                    os.unlink(record.path_of(attempt, stream))


def _runs(attempt: str, identity: str) -> bool:
    """Whether a claimed attempt has a supervisor or a process."""
    if record.is_held(record.path_of(attempt, record.RECORD)):
        return True
    try:
        found = record.read(attempt)
    except record.DamagedRecordError:
        found = None
    started = (found.started if found else None) or {}
    return bool(processes.members(identity, started.get("pid"), started.get("ticks")))
