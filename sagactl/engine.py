"""The loop: decide, record, execute, record. It knows neither SQLite nor processes, and decides nothing itself.

An outcome, the decision taken on it and the next intent go into one durable append; only then is anything started or
published. Signals make it stop starting; nothing that runs is lost when it ends, since attempts outlive it.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Final

import anyio
import anyio.abc

from sagactl.core import events as e
from sagactl.core import operate
from sagactl.core.decide import Effect, Record, Run, Stop, Wait, decide
from sagactl.core.judge import judge
from sagactl.core.parts import Attempt, Ending, How
from sagactl.core.saga import Saga, evolve
from sagactl.core.states import FINAL, SagaState
from sagactl.errors import BusyError, ConflictError, SagactlError, StoreError
from sagactl.model import Phase
from sagactl.ports import Clock, Executor, Job, Journal, Look, Publish, Request, Surroundings
from sagactl.signals import LEAVE, Signals

VOID_IN_A_ROW_MAX: Final = 3
"""An attempt that could not even start so often in a row will not the next time either."""

REQUEST_LOOK_S: Final = 1.0
"""How often the holder of a saga looks for a request to turn it round, when nothing else makes it look."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Engine:
    """What all sagas of a process share."""

    journal: Journal
    executor: Executor
    clock: Clock
    signals: Signals
    publish: Publish
    warn: Callable[[str], None]
    draw: Callable[[], float]

    async def drive(self, saga: Saga, pending: Sequence[e.Event], surroundings: Surroundings) -> Saga:
        """Take a saga as far as it goes and give it as it then is. The caller holds its lock.

        `pending` are its latest events, in `saga` already and not yet durable: its start, or who took it on. Ends
        when it rests, or on a signal when nothing of it runs any more.

        Raises:
            StoreError, FencedError: the journal failed. What runs goes on and is found by a resume.
            BusyError: the machine could not start a command three times in a row.
        """
        async with anyio.create_task_group() as tasks:
            driver = _Driver(self, saga, list(pending), surroundings, tasks)
            with self.signals.told(driver.wake):
                await driver.run()
        if driver.failure is not None:
            raise driver.failure
        if driver.saga.state in FINAL:
            try:
                await self.executor.fold(driver.saga, surroundings.secrets)
            except StoreError as error:
                self.warn(f"{driver.saga.id} has ended, but {error.message}")
        return driver.saga


_Key = tuple[str, Phase, int]


class _Driver:
    """One saga being driven."""

    def __init__(
        self, engine: Engine, saga: Saga, pending: list[e.Event], surroundings: Surroundings,
        tasks: anyio.abc.TaskGroup,
    ) -> None:
        self.engine, self.saga, self.pending, self.surroundings = engine, saga, pending, surroundings
        self.tasks, self.woken = tasks, anyio.Event()
        self.ended: list[tuple[Job, Look]] = []
        self.in_hand: dict[_Key, Attempt] = {}
        self.intended: set[_Key] = set()
        self.voids: dict[tuple[str, Phase], int] = {}
        self.answered = 0
        self.untold: list[tuple[Saga, int, e.Event]] = []
        self.failure: SagactlError | None = None

    async def run(self) -> None:
        """The loop."""
        while True:
            effects = self.decide()
            requests = await self.record()
            turned = self.answer(requests)
            if not turned:
                self.act(effects)
            self.tell()  # last: what was started runs already
            if turned:
                continue
            if self.engine.signals.level == LEAVE:
                self.tasks.cancel_scope.cancel()
                return
            if not self.in_hand and (self.halting or not any(isinstance(each, Wait | Run) for each in effects)):
                return
            await self.wait(effects)

    @property
    def halting(self) -> bool:
        return self.engine.signals.level > 0 or self.failure is not None

    def decide(self) -> tuple[Effect, ...]:
        """Evolve through all that is to be recorded now; the effects that are none of it.

        While halting nothing is decided any more, except that the saga has reached its end.
        """
        while True:
            effects = decide(self.saga, self.engine.clock.now_s())
            records = [effect.event for effect in effects if isinstance(effect, Record)]
            if self.halting:
                records = [event for event in records if isinstance(event, (e.SagaCompleted, e.SagaCompensated))]
            if not records:
                return effects
            for event in records:
                self.push(event)

    def push(self, event: e.Event) -> None:
        if isinstance(event, e.AttemptStarted):
            try:
                self.engine.executor.expect(self.saga, event.attempt)
            except StoreError as error:  # then it is not intended; what runs ends, and is recorded
                self.failure = self.failure or error
                return
        self.saga = evolve(self.saga, event)
        self.pending.append(event)
        if isinstance(event, e.AttemptStarted):
            self.intended.add(_key(event.attempt))

    async def record(self) -> Sequence[Request]:
        """Make what is pending durable. Gives the open requests."""
        if not self.pending:
            return await self.engine.journal.requests(self.saga)
        with anyio.CancelScope(shield=True):
            requests = await self.engine.journal.append(self.saga, self.pending, answered=self.answered)
        self.untold += [(self.saga, seq, event) for seq, event in
                        enumerate(self.pending, self.saga.seq - len(self.pending) + 1)]
        self.pending = []
        return requests

    def tell(self) -> None:
        """Publish what is durable."""
        untold, self.untold = self.untold, []
        for saga, seq, event in untold:
            self.engine.publish(saga, seq, event)

    def answer(self, requests: Sequence[Request]) -> bool:
        """Turn a request into its event; whether there is something new to record."""
        for request in requests:
            if request.key <= self.answered:
                continue
            self.answered = request.key
            try:
                event = operate.compensate(self.saga, request.by, request.reason, self.engine.clock.now_s())
            except ConflictError:
                continue  # who asked looks at the saga and is told why by the same rule
            if event is not None:
                self.push(event)
        return bool(self.pending)

    def act(self, effects: Sequence[Effect]) -> None:
        """Start and stop what the effects say, and what the user's signals say."""
        for effect in effects:
            if isinstance(effect, Run) and self.may_start(_key(effect.attempt)):
                self.begin(self.job(effect.attempt))
            elif isinstance(effect, Stop):
                self.engine.executor.stop(self.saga, effect.attempt, How.STOPPED)
        level = self.engine.signals.level
        if level >= 2:
            for attempt in self.in_hand.values():
                self.engine.executor.stop(self.saga, attempt, How.INTERRUPTED, kill=level > 2)

    def may_start(self, key: _Key) -> bool:
        """Not what is in hand. While halting nothing of ours starts, but what an earlier process left is looked at."""
        if key in self.in_hand or self.failure is not None:
            return False
        return not (self.halting and key in self.intended)

    def begin(self, job: Job) -> None:
        """See one attempt to its end: start it where its intent is ours, else find out what became of it."""
        key = _key(job.attempt)
        self.in_hand[key] = job.attempt
        if key not in self.intended:
            self.tasks.start_soon(self.recover, job)
            return
        try:
            self.engine.executor.start(job, partial(self.look_at, job))
        except (SagactlError, OSError) as error:
            self.fail(job, error)

    async def recover(self, job: Job) -> None:
        """Find out what became of an attempt."""
        try:
            ending = await self.engine.executor.recover(job)
        except (SagactlError, OSError) as error:
            self.fail(job, error)
        else:
            self.look_at(job, lambda: ending)

    def look_at(self, job: Job, look: Look) -> None:
        """An attempt has ended: the loop looks how."""
        self.ended.append((job, look))
        self.wake()

    def fail(self, job: Job, error: SagactlError | OSError) -> None:
        """An attempt can't be started or seen to its end now; the saga stays resumable."""
        del self.in_hand[_key(job.attempt)]
        if isinstance(error, OSError):
            what = f"the evidence of {job.attempt.step} of {self.saga.id} can't be read or written: {error}"
            error = StoreError(what, hint=f"mend that, then: sagactl resume {self.saga.id}")
        self.failure = self.failure or error
        self.wake()

    def job(self, attempt: Attempt) -> Job:
        step = self.saga.by_id[attempt.step]
        tells = attempt.phase is Phase.ACTION or (
            attempt.phase is Phase.CHECK and self.saga.state is SagaState.RUNNING
        )
        return Job(
            saga=self.saga, attempt=attempt, command=step.command(attempt.phase), env=self.surroundings.env,
            secrets={name: self.surroundings.secrets[name] for name in step.secrets},
            outputs=step.outputs if tells else {},
        )

    def wake(self) -> None:
        """Something has happened that the loop should look at: an attempt ended, or a signal came."""
        self.woken.set()

    async def wait(self, effects: Sequence[Effect]) -> None:
        """Until something happened: an attempt ended, a signal came, a time has come, or a request may be there."""
        clock = self.engine.clock
        until_s = min([clock.now_s() + REQUEST_LOOK_S, *(each.until_s for each in effects if isinstance(each, Wait))])
        with anyio.move_on_after(max(0.0, until_s - clock.now_s())):
            await self.woken.wait()
        self.woken = anyio.Event()
        ended, self.ended = self.ended, []
        for job, look in ended:
            self.take(job, look)

    def take(self, job: Job, look: Look) -> None:
        """An outcome becomes an event."""
        attempt = job.attempt
        try:
            ending = look()
        except (SagactlError, OSError) as error:
            self.fail(job, error)
            return
        if ending is None:
            self.tasks.start_soon(self.recover, job)
            return
        del self.in_hand[_key(attempt)]
        self.count_voids(attempt, ending)
        self.push(judge(self.saga, attempt, ending, at_s=self.engine.clock.now_s(), draw=self.engine.draw()))

    def count_voids(self, attempt: Attempt, ending: Ending) -> None:
        """Three attempts in a row that did not start stop the run; the saga stays resumable."""
        command = (attempt.step, attempt.phase)
        if ending.how not in (How.BUSY, How.NEVER_STARTED):
            self.voids.pop(command, None)
            return
        self.voids[command] = self.voids.get(command, 0) + 1
        if self.voids[command] >= VOID_IN_A_ROW_MAX:
            message = f"the machine could not start the {attempt.phase} of {attempt.step} " \
                      f"{VOID_IN_A_ROW_MAX} times in a row: {ending.message or 'no supervisor took it on'}"
            hint = f"make room (processes, memory, descriptors, disk), then: sagactl resume {self.saga.id}"
            self.failure = self.failure or BusyError(message, hint=hint)


def _key(attempt: Attempt) -> _Key:
    return attempt.step, attempt.phase, attempt.number
