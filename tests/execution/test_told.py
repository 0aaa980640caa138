"""When the record of an outcome is synced: not where the journal has it, soon where it has not."""

from __future__ import annotations

import json
import os
import re
import signal
import socket
import struct
import subprocess
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import anyio
import pytest

from sagactl.core.parts import Attempt
from sagactl.core.saga import Saga, evolve, replay
from sagactl.execution import processes, record
from sagactl.execution.channel import Supervisors
from sagactl.execution.evidence import Evidence
from sagactl.execution.executor import SupervisedExecutor
from sagactl.execution.launching import Launched
from sagactl.ports import Job
from tests.core.test_scale import begun, ended
from tests.execution.conftest import Lab
from tests.execution.conftest import ended as seen
from tests.faults.injection import Fault, inject, needs_strace
from tests.faults.steps import wait_until_alone
from tests.harness import ROOT, saga
from tests.world import started, step

OUTCOME = {"how": "exited", "status": 0, "at": 2.0}


def made(attempt: Path) -> int:
    """A record with an outcome, still open."""
    attempt.parent.mkdir(exist_ok=True)
    return record.claim(str(attempt), {"id": attempt.name}, OUTCOME)


def is_open(descriptor: int) -> bool:
    try:
        os.fstat(descriptor)
    except OSError:
        return False
    return True


def test_a_record_waits_for_the_journal_but_not_for_long(tmp_path: Path) -> None:
    told = record.Told()
    assert told.at_s == float("inf")
    first, second = (made(tmp_path / name) for name in "ab")
    told.add("a", first, 10.0)
    told.add("b", second, 11.0)
    told.sync(10.0)
    assert (is_open(first), is_open(second)) == (True, True)
    assert told.at_s == 10.0 + record.TOLD_S
    told.sync(told.at_s)
    assert (is_open(first), is_open(second)) == (False, True)
    told.kept(["a", "b", "c"])
    assert not is_open(second)
    assert told.at_s == float("inf")


def test_few_records_wait(tmp_path: Path) -> None:
    told = record.Told()
    descriptors = [made(tmp_path / str(i)) for i in range(record.TOLD_MAX + 2)]
    for i, descriptor in enumerate(descriptors):
        told.add(str(i), descriptor, 0.0)
    told.sync(0.0)
    assert [is_open(each) for each in descriptors] == [False, False, *[True] * record.TOLD_MAX]
    told.kept(map(str, range(len(descriptors))))
    assert not any(map(is_open, descriptors))


SYNCS = """
import os, sys
from sagactl.execution import record
from tests.execution.test_told import made
from pathlib import Path
told = record.Told()
for name in ("kept", "folded", "late"):
    told.add(name, made(Path(sys.argv[1], name, "0.action.1")), 0.0)
told.kept(["kept"])
os.unlink(Path(sys.argv[1], "folded", "0.action.1.record"))
told.sync(record.TOLD_S)
"""


@needs_strace
def test_only_what_nobody_else_keeps_is_synced(tmp_path: Path) -> None:
    trace = tmp_path / "trace"
    command = ["strace", "-y", "-o", str(trace), "-e", "trace=fsync,fdatasync", sys.executable, "-c", SYNCS, str(tmp_path)]
    subprocess.run(command, env={**os.environ, "PYTHONPATH": str(ROOT)}, check=True, capture_output=True)
    assert re.findall(r"sync\(\d+<([^>]*)/[^/>]*>", trace.read_text()) == [str(tmp_path / "late")]


@needs_strace
def test_an_outcome_that_its_orchestrator_did_not_live_to_keep_is_synced(tmp_path: Path) -> None:
    built = saga(tmp_path, "steps:\n  - {id: a, action: echo a >> log, undo: none}\n")
    told = Fault(calls="recvfrom", when=1, main=True)
    done = inject(tmp_path, ["run", "saga.yaml", "--id", "t"], orchestrator=told, supervisor=Fault(calls="fdatasync", when=9))
    assert done.code == -signal.SIGKILL
    wait_until_alone(tmp_path)
    assert (tmp_path / "trace" / "supervisor.0" / "calls").read_text().count("fdatasync(") == 1
    built.again("resume", "t").chatty().file_after("log", "a\n").exits(0)


@pytest.mark.skipif(not processes.PROC, reason="looks into /proc")
def test_a_supervisor_lets_go_of_what_the_journal_has(lab: Lab) -> None:
    first = lab.job("true")
    after = evolve(first.saga, ended(first.saga, first.attempt))
    second = replace(first, saga=after, attempt=replace(first.attempt, number=2))

    async def both(executor: SupervisedExecutor) -> list[int]:
        await seen(executor, first)
        executor.expect(second.saga, second.attempt)
        await seen(executor, second)
        (supervisor,) = executor._supervisors._all
        there = Path(f"/proc/{supervisor.process.pid}/fd")
        return [(there / name).stat().st_ino for name in os.listdir(there)]

    opened = lab.run(both)
    records = [Path(record.path_of(str(lab.attempt_folder(job)), "record")) for job in (first, second)]
    assert [path.stat().st_ino in opened for path in records] == [False, True]


class Peer:
    """A supervisor that a test plays: it takes requests, and tells of their end."""

    def __init__(self, end: socket.socket) -> None:
        self.end = end

    async def request(self) -> dict[str, Any]:
        """The next one, of which the command has ended well at once."""
        await anyio.wait_readable(self.end)
        (size,) = struct.unpack(">I", self.end.recv(4))
        asked: dict[str, Any] = json.loads(self.end.recv(size))
        os.close(record.claim(asked["folder"], {"id": asked["id"], "boot": asked["boot"]}, OUTCOME))
        text = json.dumps({"ended": asked["id"]}).encode()
        self.end.sendall(struct.pack(">I", len(text)) + text)
        return asked


@asynccontextmanager
async def played(folder: Path, process: subprocess.Popen[bytes]) -> AsyncIterator[tuple[SupervisedExecutor, Peer]]:
    """An executor whose one supervisor is a test."""
    ours, theirs = socket.socketpair()
    ours.setblocking(False)
    with theirs:
        async with Supervisors(Launched(ours, process)) as supervisors:
            yield SupervisedExecutor(Evidence(folder / "sagas.db"), supervisors, umask=0o022), Peer(theirs)


@pytest.mark.parametrize("durable", [True, False])
def test_a_request_says_which_outcomes_of_its_saga_the_journal_has(tmp_path: Path, durable: bool) -> None:  # noqa: FBT001
    def job(saga: Saga, attempt: Attempt) -> Job:
        return Job(saga=saga, attempt=attempt, command=saga.by_id[attempt.step].action, env={})

    async def main() -> None:
        async with played(tmp_path, process) as (executor, peer):
            async def asked(what: Job) -> Any:
                executor.expect(what.saga, what.attempt)
                over = anyio.Event()
                executor.start(what, lambda _: over.set())
                request = await peer.request()
                await over.wait()
                return request

            both = replay([started(step("a"), step("b"))])
            saga, first = begun(both)
            one = await asked(job(saga, first))
            after = evolve(saga, ended(saga, first)) if durable else saga
            two = await asked(job(after, replace(first, step="b")))
            assert (one["kept"], two["kept"]) == ([], [one["id"]] if durable else [])

    with subprocess.Popen(["true"]) as process:
        anyio.run(main)
