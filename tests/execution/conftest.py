"""An executor with real supervisors, and jobs for it, without a journal."""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import anyio
import pytest

from sagactl.core.decide import Record, decide
from sagactl.core.events import ActionStarted
from sagactl.core.parts import Attempt, Ending
from sagactl.core.saga import evolve, replay
from sagactl.execution import record
from sagactl.execution.channel import Supervisors
from sagactl.execution.evidence import Evidence
from sagactl.execution.executor import SupervisedExecutor
from sagactl.execution.processes import boot_id
from sagactl.model import Command, Output, Script
from sagactl.ports import Job, Look
from tests.world import started, step


async def ended(executor: SupervisedExecutor, job: Job) -> Ending:
    """Start an attempt and see it to its end, as the engine does."""
    over, looks = anyio.Event(), list[Look]()

    def take(look: Look) -> None:
        looks.append(look)
        over.set()

    executor.start(job, take)
    await over.wait()
    (look,) = looks
    return look() or await executor.recover(job)


class Lab:
    """Makes jobs of scripts and runs something with an executor of its own, as one process of sagactl would."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.evidence = Evidence(folder / "sagas.db")
        self.token = "0123456789abcdef"

    def job(
        self, script: str, *, boot: str = "", outputs: dict[str, Output] | None = None,
        secrets: dict[str, str] | None = None, **command: Any,
    ) -> Job:
        """The first attempt of a step; its folder is made and its intent is recorded."""
        action = Command(run=Script(text=script), cwd=str(self.folder), **command)
        first = started(step("a", action=action))
        first = replace(first, token=self.token, holder=replace(first.holder, boot_id=boot or boot_id()))
        saga = replay([first])
        (effect,) = decide(saga, time.time())
        assert isinstance(effect, Record)
        assert isinstance(effect.event, ActionStarted)
        job = Job(saga=evolve(saga, effect.event), attempt=effect.event.attempt, command=action,
                  env={"PATH": os.environ["PATH"]}, outputs=outputs or {}, secrets=secrets or {})
        if not self.attempt_folder(job).exists():
            record.make_folder(str(self.attempt_folder(job)))
        return job

    def run(self, work: Callable[[SupervisedExecutor], Any]) -> Any:
        """`work` gives a coroutine; what it gives."""
        async def main() -> Any:
            async with Supervisors() as supervisors:
                return await work(SupervisedExecutor(self.evidence, supervisors, umask=0o022))

        return anyio.run(main)

    def start(self, job: Job) -> Ending:
        ending: Ending = self.run(lambda executor: ended(executor, job))
        return ending

    def recover(self, job: Job) -> Ending:
        ending: Ending = self.run(lambda executor: executor.recover(job))
        return ending

    def attempt_folder(self, job: Job) -> Path:
        attempt: Attempt = job.attempt
        return self.evidence.saga_folder(self.token) / f"0.{attempt.phase}.{attempt.number}"


@pytest.fixture
def lab(tmp_path: Path) -> Iterator[Lab]:
    yield Lab(tmp_path)
