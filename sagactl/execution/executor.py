"""The orchestrator's side of running attempts: asks supervisors, and reads from the evidence what became of them.

What `start` and `recover` give is an Ending however the attempt ended, whoever ran it. The table of crash.md is
`recover`: an attempt is run again only if nobody can ever have run it.
"""

from __future__ import annotations

import contextlib
import errno
import os
import time
from collections import defaultdict
from collections.abc import Callable, Mapping
from functools import partial
from typing import Any

import anyio

from sagactl.core.parts import Attempt, Ending, How
from sagactl.core.saga import Saga
from sagactl.errors import StoreError
from sagactl.execution import capture, processes, record
from sagactl.execution.channel import Notice, Supervisor, Supervisors
from sagactl.execution.children import TOO_BUSY
from sagactl.execution.evidence import Evidence, masks, tail
from sagactl.execution.invocation import attempt_id, attempt_name, invocation
from sagactl.execution.orphans import claim_for_nobody
from sagactl.model import Phase
from sagactl.ports import Job, Look
from sagactl.template import MissingValueError

STDERR_TAIL_BYTES = 2048
"""So much of a failed command's stderr goes into the journal, where `inspect` shows it for good."""

LOOK_S = 0.1
"""How often an attempt is looked at that no supervisor of ours tells about."""


class SupervisedExecutor:
    """The Executor port. `umask` is that of the user, for the commands; `supervisors` must be entered."""

    def __init__(self, evidence: Evidence, supervisors: Supervisors, *, umask: int) -> None:
        self._evidence = evidence
        self._supervisors = supervisors
        self._umask = umask
        self._boot_id = processes.boot_id()
        self._stops: dict[str, tuple[How, bool]] = {}
        self._folded: dict[str, dict[str, dict[str, Any]]] = {}
        self._told: defaultdict[str, list[tuple[Attempt, Supervisor]]] = defaultdict(list)

    def expect(self, saga: Saga, attempt: Attempt) -> None:
        """Make the folder of an attempt before its intent is durable: one that is missing afterwards was deleted.

        None for an attempt that was folded away: nothing may run there again.
        """
        path = self._path(saga, attempt)
        try:
            if attempt_name(saga, attempt) not in self._known(saga) and not os.path.isdir(path):
                record.make_folder(path)
        except OSError as error:
            raise StoreError(f"can't make {path}: {error.strerror}") from error

    def start(self, job: Job, ended: Callable[[Look], None]) -> None:
        """Ask for an attempt whose intent is durable. One that is in the evidence already is never run again."""
        path, identity = self._path(job.saga, job.attempt), attempt_id(job.saga, job.attempt)
        if identity in self._stops:
            why = "the saga turned round before it started"
            ended(lambda: Ending(how=How.NEVER_STARTED, ended_s=time.time(), message=why))
            return
        try:
            request = invocation(job, path, self._judged(job, path))
        except MissingValueError as error:
            why = str(error)
            ended(lambda: Ending(how=How.NOT_STARTED, ended_s=time.time(), message=why))
            return
        if attempt_name(job.saga, job.attempt) in self._known(job.saga):
            ended(lambda: None)
            return
        self._keep(job.saga)
        supervisor = self._supervisors.with_room()

        def told(notice: Notice) -> None:
            self._told[job.saga.started.token].append((job.attempt, supervisor))
            ended(partial(self._noticed, job, notice))

        supervisor.run({**request, "id": identity, "boot": self._boot_id, "umask": self._umask}, told)

    def _noticed(self, job: Job, notice: Notice) -> Ending | None:
        """How an attempt ended; None where it was claimed already, or its supervisor has died."""
        if "outcome" in notice:
            return self._ending(job, record.Record({}, notice["started"], notice["outcome"]))
        if "errno" in notice:
            return self._unclaimed(notice["errno"])
        if "unwritten" in notice:
            path, why = self._path(job.saga, job.attempt), os.strerror(notice["unwritten"])
            raise StoreError(f"an outcome can't be written to {record.path_of(path, record.RECORD)}: {why}",
                             hint=f"make room: its supervisor keeps trying; then: sagactl resume {job.saga.id}")
        return None

    async def recover(self, job: Job) -> Ending:
        """Find out what became of an attempt that is in the journal without an outcome."""
        self._folded.pop(job.saga.started.token, None)  # who took this saga from us may have folded it since
        folded = self._known(job.saga).get(attempt_name(job.saga, job.attempt))
        if folded is not None:
            outcome = folded.get("outcome") or {"how": How.LOST, "at": time.time()}
            return self._ending(job, record.Record(folded.get("claim", {}), folded.get("started"), outcome))
        path = self._path(job.saga, job.attempt)
        if job.attempt.boot_id == self._boot_id:
            claim_for_nobody(path, attempt_id(job.saga, job.attempt), self._boot_id)  # its outcome is then read below
        damaged = 0
        while True:
            held = _is_held(path)
            try:
                found = record.read(path)
            except record.DamagedRecordError as error:
                damaged += not held
                if damaged > 1:  # nobody can be writing it just now
                    return self._lost(job, f"its record is damaged: {error}")
                await anyio.sleep(LOOK_S)
                continue
            if found is None:
                return self._lost(job, "the machine was started anew since, and there is no record of it")
            if found.outcome is not None:
                return self._ending(job, found)
            if found.claim.get("boot") != self._boot_id:
                return self._lost(job, "the machine was started anew since")
            if not held:
                return await self._outlive(job, found)
            await anyio.sleep(LOOK_S)

    def stop(self, saga: Saga, attempt: Attempt, why: How, *, kill: bool = False) -> None:
        """End a live attempt, whoever supervises it. May be called again, to hurry."""
        identity = attempt_id(saga, attempt)
        why = self._stops.get(identity, (why, False))[0]
        if self._stops.get(identity) == (why, kill):
            return
        ours = self._supervisors.of(identity)
        if ours is not None:
            ours.send({"stop": identity, "why": why, "kill": kill})
        written = self._write_stop(self._path(saga, attempt), why + " kill" * kill)
        if written or ours is not None:
            self._stops[identity] = (why, kill)  # else it is tried again: the engine says so each second

    async def fold(self, saga: Saga, secrets: Mapping[str, str]) -> None:
        """Keep the evidence of a final saga in one file. May be called twice."""
        self._evidence.fold(saga.started.token, masks(saga, secrets))
        self._folded.pop(saga.started.token, None)
        self._keep(saga)

    def _keep(self, saga: Saga) -> None:
        """Let supervisors know which outcomes that they have told of are in the journal, of which `saga` is."""
        told = self._told.pop(saga.started.token, [])
        for attempt, supervisor in told:
            if saga.steps[attempt.step].live == attempt:
                self._told[saga.started.token].append((attempt, supervisor))
            else:
                supervisor.kept.append(attempt_id(saga, attempt))

    # Reading what there is.

    def _path(self, saga: Saga, attempt: Attempt) -> str:
        return self._evidence.attempt(saga.started.token, attempt_name(saga, attempt))

    def _judged(self, job: Job, path: str) -> str:
        """The path of the attempt with the outputs: `path`, its own, or for a check that of what it judges."""
        if job.attempt.phase is not Phase.CHECK:
            return path
        place = attempt_name(job.saga, job.attempt).split(".")[0]
        phase = Phase.UNDO if Phase.UNDO in job.saga.steps[job.attempt.step].numbers else Phase.ACTION
        return self._evidence.attempt(job.saga.started.token, f"{place}.{phase}.{job.attempt.judges}")

    def _known(self, saga: Saga) -> Mapping[str, dict[str, Any]]:
        """What was folded of a saga; read once, since only a final saga is folded."""
        token = saga.started.token
        if token not in self._folded:
            self._folded[token] = self._evidence.folded(token)
        return self._folded[token]

    def _write_stop(self, path: str, text: str) -> bool:
        """Leave word for a supervisor whose socket is not ours, whole or not at all. False where the disk is full."""
        temporary = f"{os.path.dirname(path)}/.stop-{os.getpid()}"
        try:
            with contextlib.suppress(FileNotFoundError):
                os.unlink(temporary)
            descriptor = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600)
            with os.fdopen(descriptor, "w", encoding="ascii") as file:
                file.write(text)
            os.replace(temporary, record.path_of(path, record.STOP))
        except OSError:
            return False
        return True

    # What it means.

    def _unclaimed(self, number: int) -> Ending:
        """The supervisor could not make the claim, so nothing ran."""
        if number in TOO_BUSY:
            return Ending(how=How.BUSY, ended_s=time.time(), message=os.strerror(number))
        raise StoreError(f"can't write the record of an attempt below {self._evidence.root}: {os.strerror(number)}")

    def _lost(self, job: Job, message: str, left: tuple[int, ...] = ()) -> Ending:
        how = self._stops.get(attempt_id(job.saga, job.attempt), (How.LOST, False))[0]
        now_s = time.time()
        found = record.Record({}, None, {"how": how, "at": now_s, "left": left})
        return self._ending(job, found, message=message)

    def _ending(self, job: Job, found: record.Record, message: str = "") -> Ending:
        """The Ending of a record whose outcome is known: secrets masked, outputs and the end of stderr read."""
        assert found.outcome is not None
        path, outcome = self._path(job.saga, job.attempt), found.outcome
        judged = self._judged(job, path)
        how, number = _how(outcome), outcome.get("errno")
        # A check writes into the folder of the attempt that it judges.
        written = {path, judged} if job.secrets else ()
        unmasked = [name for each in written for name in capture.mask(each, job.secrets.values())]
        succeeded = how is How.EXITED and outcome.get("status") == 0
        wanted = job.outputs if how not in (How.NOT_STARTED, How.BUSY, How.NEVER_STARTED) else {}
        read = capture.outputs(judged, wanted, job.secrets)
        return Ending(
            how=how,
            ended_s=outcome["at"],
            started_s=found.started["at"] if found.started else None,
            exit_status=outcome.get("status"),
            signal=outcome.get("signal"),
            message=message or outcome.get("message", "") or (
                _could_not(job, number, in_cwd=outcome.get("cwd", False)) if number else ""),
            outputs=read.values,
            outputs_error=read.error if succeeded and job.attempt.phase is Phase.ACTION else "",
            stderr_tail="" if succeeded else capture.masked(
                tail(record.path_of(path, record.STDERR), STDERR_TAIL_BYTES), job.secrets.values()),
            processes_left=tuple(outcome.get("left", ())),
            warnings=(
                *(f"left {capture.masked(name, job.secrets.values())}, in which secrets could not be masked"
                  for name in unmasked),
                *(f"wrote the output {name}, which is not declared"
                  for name in read.undeclared if job.attempt.phase is Phase.ACTION),
            ),
        )

    async def _outlive(self, job: Job, found: record.Record) -> Ending:
        """The supervisor is dead: wait for the command until its timeout, end it then, or on a word to stop."""
        identity = attempt_id(job.saga, job.attempt)
        started = found.started or {}
        session, ticks = started.get("pid"), started.get("ticks")
        lived_s = processes.lived_s(ticks) if ticks else time.time() - found.claim.get("at", 0.0)
        left_s = min(max(job.attempt.timeout_s - lived_s, 0.0), job.attempt.timeout_s)
        deadline_s = time.monotonic() + left_s
        if session is None:
            await anyio.sleep(LOOK_S)  # between vfork and exec a command does not carry its id yet
        while self._leads(identity, session, ticks):
            if time.monotonic() >= deadline_s or identity in self._stops:
                return self._lost(job, "its supervisor died", await self._sweep(job, session, ticks))
            await anyio.sleep(LOOK_S)
        return self._lost(job, "its supervisor died", processes.members(identity, session, ticks))

    def _leads(self, identity: str, session: int | None, ticks: int | None) -> bool:
        """Whether the command itself is alive; before its pid was recorded, whether anything of the attempt is."""
        if session is None:
            return bool(processes.members(identity, None, None))
        return processes.start_ticks(session) == ticks and ticks is not None

    async def _sweep(self, job: Job, session: int | None, ticks: int | None) -> tuple[int, ...]:
        identity = attempt_id(job.saga, job.attempt)
        sweep = processes.Sweep(identity, session, ticks, time.monotonic(), job.command.kill_after_s)
        while not sweep.look(time.monotonic()):
            if self._stops.get(identity, (How.LOST, False))[1]:
                sweep.kill_now(time.monotonic())
            await anyio.sleep(max(0.0, sweep.again_at_s - time.monotonic()))
        return sweep.left


def _is_held(path: str) -> bool:
    """Whether a supervisor has an attempt in hand. Raises OSError: that can't be told now."""
    try:
        return record.is_held(record.path_of(path, record.RECORD), retry_s=0.0)
    except OSError as error:
        if error.errno not in record.NO_FILE:
            raise
        return False


def _how(outcome: Mapping[str, Any]) -> How:
    """How it ended; a word that is none of ours was put there by a command, and tells nothing."""
    return How(outcome["how"]) if outcome.get("how") in set(How) else How.LOST


def _could_not(job: Job, number: int, *, in_cwd: bool) -> str:
    """Why a command could not start, naming what could not be found or run."""
    words = getattr(job.command.run, "words", ("/bin/sh",))
    what = f"its working folder {job.command.cwd}" if in_cwd else words[0]
    found = "/" in what and os.path.exists(os.path.join(job.saga.started.cwd, job.command.cwd, what))
    if number == errno.ENOENT and found and not in_cwd:
        what = f"the interpreter of {what}"
    return f"{what}: {os.strerror(number)}"
