"""A simulated world: what is on disk, which processes live, and what has really happened. No clock, no I/O.

`World` drives one saga through the pure core as the engine would, with crashes of the orchestrator before and after
any write, supervisors that survive or die, outcomes drawn at random, and an operator who interferes. It knows the
truth (which effects stand), so the invariants compare what the journal says with what happened. An `InvariantError`
carries the name of the invariant.
"""

from __future__ import annotations

import random
import sys
from dataclasses import dataclass, field, replace

from sagactl.core import codec, operate
from sagactl.core import events as e
from sagactl.core.decide import Record, Rest, Run, Stop, Verdict, Wait, decide, verdict_of
from sagactl.core.judge import judge
from sagactl.core.parts import Actor, Attempt, Ending, How
from sagactl.core.saga import Saga, evolve, replay
from sagactl.core.states import FINAL, SagaState, StepState
from sagactl.core.step import StepView
from sagactl.core.tables import SAGA_TABLE, STEP_TABLE
from sagactl.errors import ConflictError, IllegalTransition
from sagactl.model import (
    Argv,
    Command,
    Definition,
    Jitter,
    ManualUndo,
    NothingToUndo,
    OnFailure,
    OnInterrupt,
    Output,
    Phase,
    RetryPolicy,
    Script,
    Step,
)

ACTOR = Actor(user="tester", host="here", pid=1, boot_id="boot-1")
TURNS_MAX = 3000
TRUE = Argv(words=("true",))
STANDING = (StepState.COMMITTED, StepState.IN_DOUBT, StepState.KEPT, StepState.COMPENSATION_FAILED)
NOT_RUN = (How.NEVER_STARTED, How.BUSY, How.NOT_STARTED)

rows_taken: set[tuple[str, str]] = set()
"""(state, event type) of every row of both tables that any simulation of this process has taken."""


class InvariantError(AssertionError):
    """An invariant does not hold. `name` says which."""

    def __init__(self, name: str, detail: str = "") -> None:
        super().__init__(f"{name}: {detail}")
        self.name = name


def hold(name: str, fact: object, detail: object = "") -> None:
    if not fact:
        raise InvariantError(name, str(detail))


def step(name: str, **changes: object) -> Step:
    """A step with an action and an undo that take no retries unless told."""
    return replace(Step(id=name, action=Command(run=TRUE), undo=Command(run=TRUE)), **changes)  # type: ignore[arg-type]


def started(*steps: Step, timeout_s: float | None = None) -> e.SagaStarted:
    """The first event of a saga of these steps."""
    definition = Definition(saga="simulated", steps=steps, timeout_s=timeout_s)
    return e.SagaStarted(at_s=0.0, id="simulated-1", token="0" * 16, definition=definition, params={}, cwd="/",
                         env={}, env_names=(), holder=ACTOR)


def random_definition(rng: random.Random) -> e.SagaStarted:
    """Any small definition that the language accepts."""
    count = rng.randint(1, 5)
    pivot = rng.randrange(count) if rng.random() < 0.25 else None
    chain = pivot is not None or rng.random() < 0.5
    steps: list[Step] = []
    for i in range(count):
        above = [s.id for s in steps]
        needs = above[-1:] if chain else [name for name in above if rng.random() < 0.4]
        steps.append(_random_step(rng, f"s{i}", tuple(needs), is_pivot=i == pivot))
    return started(*steps, timeout_s=rng.choice([None, None, 5.0, 40.0]))


def _random_step(rng: random.Random, name: str, needs: tuple[str, ...], *, is_pivot: bool) -> Step:
    on_failure = rng.choice([OnFailure.COMPENSATE] * 5 + [OnFailure.CONTINUE] + [OnFailure.PAUSE] * 2)
    undos = [Command(run=TRUE, retry=_random_policy(rng))] * 6 + [None, ManualUndo(text="call"), NothingToUndo()]
    runs: list[Argv | Script] = [TRUE, Script(text="true")]
    run = rng.choice(runs)
    action = Command(run=run, retry=_random_policy(rng),
                     timeout_s=rng.choice([3.0, 30.0]))
    return Step(
        id=name, needs=needs, action=action, on_failure=on_failure, pivot=is_pivot,
        undo=NothingToUndo() if on_failure is OnFailure.CONTINUE else rng.choice(undos),
        check=Command(run=TRUE, retry=RetryPolicy(max_retries=rng.randint(0, 2))) if rng.random() < 0.5 else None,
        outputs={"out": Output()} if rng.random() < 0.2 else {},
        undo_if_failed=rng.random() < 0.15,
        on_interrupt=rng.choice(list(OnInterrupt)),
    )


def _random_policy(rng: random.Random) -> RetryPolicy:
    return RetryPolicy(max_retries=rng.choice([0, 0, 1, 3]), delay_s=rng.choice([0.0, 1.0, 10.0]),
                       backoff=rng.choice([1.0, 2.0]), max_delay_s=15.0, jitter=rng.choice(list(Jitter)),
                       exit_codes=rng.choice([None, None, None, (1, 7), (7, 130)]))


@dataclass(slots=True)
class Process:
    """An attempt that a supervisor has claimed: how it will end, and whether that has been written down."""

    attempt: Attempt
    ending: Ending
    lands: bool
    done: bool = False
    supervisor_lives: bool = True


@dataclass(slots=True)
class World:
    """One saga, its journal on disk, its processes and the truth about its effects."""

    rng: random.Random
    saga: Saga
    journal: list[e.Event]
    now_s: float = 0.0
    processes: dict[tuple[str, Phase, int], Process] = field(default_factory=dict)
    effects: dict[str, bool] = field(default_factory=dict)
    half_done: set[str] = field(default_factory=set)
    crashes: int = 0
    trouble: float = 0.3
    operator_calls: int = 0
    trace: list[str] = field(default_factory=list)

    @classmethod
    def begin(cls, rng: random.Random, first: e.SagaStarted) -> World:
        return cls(rng=rng, saga=replay([first]), journal=[first], trouble=rng.choice([0.0, 0.1, 0.3, 0.6]))

    # The engine's part.

    def run(self) -> Saga:
        """Drive the saga until nothing more happens to it. Ends, or InvariantError `every saga stops`."""
        for _ in range(TURNS_MAX):
            if self.rng.random() < 0.03 and self.crashes < 8:
                self.crash()
            effects = decide(self.saga, self.now_s)
            hold("decide is repeatable", effects == decide(self.saga, self.now_s))
            if isinstance(effects[0], Rest):
                if not self.operator():
                    self.check_the_end()
                    return self.saga
            elif isinstance(effects[0], Record):
                hold("records come alone", all(isinstance(effect, Record) for effect in effects))
                self.append([effect.event for effect in effects if isinstance(effect, Record)])
            else:
                self.act(effects)
        raise InvariantError("every saga stops", f"{TURNS_MAX} turns: {self.trace[-12:]}")

    def append(self, events: list[e.Event]) -> None:
        """One durable transaction; the orchestrator may die before it or after it."""
        crash_at = self.rng.random() if self.crashes < 8 else 1.0
        if crash_at < 0.02:
            self.crash()
            return
        for event in events:
            self.check_event(event)
            before = self.saga
            try:
                self.saga = evolve(self.saga, event)
            except IllegalTransition as illegal:
                raise InvariantError("the tables allow what is recorded", str(illegal)) from illegal
            self.journal.append(event)
            self.take_row(before, event)
            self.trace.append(f"{self.now_s:.1f} {type(event).__name__} {getattr(event, 'step', '')}")
        self.check_states()
        if crash_at < 0.05:
            self.crash()

    def act(self, effects: tuple[object, ...]) -> None:
        """Start what is to run, then let one thing happen: an attempt ends, a stop, a request, or time passes."""
        running = []
        for effect in effects:
            if isinstance(effect, Run):
                running.append(self.start(effect.attempt))
            elif isinstance(effect, Stop):
                self.stop(self.processes[_key(effect.attempt)])
        waits = [effect.until_s for effect in effects if isinstance(effect, Wait)]
        hold("a running saga has something to wait for", running or waits, effects)
        if self.rng.random() < 0.02:
            self.request()
        elif running and (not waits or self.rng.random() < 0.7):
            self.finish(self.rng.choice(running))
        elif waits:
            hold("time moves forward", min(waits) > self.now_s, waits)
            self.now_s = min(waits)

    def start(self, attempt: Attempt) -> Process:
        """A supervisor claims the attempt, once; the second time it is the same process."""
        view = self.saga.steps[attempt.step]
        hold("a command starts only as the effect of a recorded intent", view.live == attempt, attempt)
        key = _key(attempt)
        if key not in self.processes:
            self.processes[key] = self.draw(attempt)
        return self.processes[key]

    def finish(self, process: Process) -> None:
        """The attempt ends: its effect happens if it does, the record is written, the orchestrator reads it."""
        self.happen(process)
        if self.rng.random() < 0.03 and self.crashes < 8:
            self.crash()
            return
        self.now_s += self.rng.choice([0.0, 0.1, 2.0])
        ending = replace(process.ending, ended_s=self.now_s)
        event = judge(self.saga, process.attempt, ending, at_s=self.now_s, draw=self.rng.random())
        self.append([event])

    def crash(self) -> None:
        """The orchestrator dies; perhaps supervisors too. Then a resume: replay, and look at what was live."""
        self.crashes += 1
        self.now_s += self.rng.choice([0.0, 1.0, 100.0])
        self.saga = replay(self.journal)
        for view in self.saga.steps.values():
            if view.live is None:
                continue
            process = self.processes.get(_key(view.live))
            if process is None:
                ending = Ending(how=How.NEVER_STARTED, ended_s=self.now_s)
                self.processes[_key(view.live)] = Process(view.live, ending, lands=False)
            elif not process.done and self.rng.random() < 0.4:
                left = (99,) if self.rng.random() < 0.1 else ()
                process.ending = Ending(how=How.LOST, ended_s=self.now_s, processes_left=left)
                process.lands = self.rng.random() < 0.5
        if self.saga.state in (SagaState.RUNNING, SagaState.COMPENSATING):
            event = e.HolderChanged(at_s=self.now_s, holder=ACTOR)
            rows_taken.add((self.saga.state, "HolderChanged"))
            self.saga = evolve(self.saga, event)
            self.journal.append(event)
        self.check_waits()

    # The machine's part.

    def draw(self, attempt: Attempt) -> Process:
        """How this attempt will end, and whether its effect will have taken place."""
        rng, step = self.rng, self.saga.by_id[attempt.step]
        if rng.random() < 0.02:
            how = rng.choice(NOT_RUN)
            return Process(attempt, Ending(how=how, ended_s=self.now_s), lands=False)
        if attempt.phase is Phase.CHECK:
            if rng.random() < 0.3:
                return Process(attempt, Ending(how=How.TIMED_OUT, ended_s=self.now_s), lands=False)
            return Process(attempt, Ending(how=How.EXITED, ended_s=self.now_s, exit_status=-1), lands=False)
        if rng.random() >= self.trouble:
            return Process(attempt, Ending(how=How.EXITED, ended_s=self.now_s, exit_status=0), lands=True)
        how = rng.choice([How.EXITED, How.EXITED, How.EXITED, How.TIMED_OUT, How.SIGNALED, How.INTERRUPTED])
        if how is not How.EXITED:
            return Process(attempt, Ending(how=how, ended_s=self.now_s, signal=9), lands=rng.random() < 0.5)
        if step.outputs and rng.random() < 0.3:
            ending = Ending(how=how, ended_s=self.now_s, exit_status=0, outputs_error="no out")
            return Process(attempt, ending, lands=attempt.phase is Phase.ACTION or rng.random() < 0.5)
        status = rng.choice([1, 7, 130])
        by_signal = status == 130 and not isinstance(step.command(attempt.phase).run, Argv)
        lands = by_signal and rng.random() < 0.5
        return Process(attempt, Ending(how=how, ended_s=self.now_s, exit_status=status), lands=lands)

    def happen(self, process: Process) -> None:
        """The effect of an attempt takes place, once, when it ends."""
        if process.done:
            return
        process.done = True
        attempt = process.attempt
        if attempt.phase is Phase.CHECK:
            if process.ending.exit_status == -1:
                status = 0 if self.effects.get(attempt.step) else 1
                process.ending = replace(process.ending, exit_status=status)
            return
        if process.lands and process.ending.how not in NOT_RUN:
            again = attempt.phase is Phase.ACTION and self.effects.get(attempt.step)
            if again:
                settled = self.saga.steps[attempt.step].prior is not StepState.IN_DOUBT
                hold("an action is not repeated unless it is in doubt", not settled, attempt)
            self.effects[attempt.step] = attempt.phase is Phase.ACTION

    def stop(self, process: Process) -> None:
        hold("checks and undos are not stopped", process.attempt.phase is Phase.ACTION, process.attempt)
        if not process.done and process.ending.how not in (*NOT_RUN, How.LOST):
            process.lands = process.lands if self.rng.random() < 0.5 else False
            process.ending = Ending(how=How.STOPPED, ended_s=self.now_s)

    # The operator's part.

    def request(self) -> None:
        try:
            event = operate.compensate(self.saga, ACTOR, "", self.now_s)
        except ConflictError:
            return
        if event is not None:
            self.append([event])

    def operator(self) -> bool:
        """A person does something about a saga that rests, now and then. False: they leave it."""
        if self.operator_calls >= 12 or self.rng.random() < 0.15:
            return False
        self.operator_calls += 1
        self.now_s += self.rng.choice([0.0, 50.0])
        choice = self.rng.choice(["resume", "compensate", "resolve", "resolve", "abandon", "resume"])
        try:
            event = self.word(choice)
        except ConflictError:
            return True
        if event is not None:
            taken = [e.HolderChanged(at_s=self.now_s, holder=ACTOR)] if choice in ("resume", "compensate") else []
            self.append([*taken, event])
        return self.saga.state not in (SagaState.COMPENSATED, SagaState.ABANDONED)

    def word(self, choice: str) -> e.Event | None:
        match choice:
            case "resume":
                return operate.resume(self.saga, ACTOR, self.now_s)
            case "compensate":
                return operate.compensate(self.saga, ACTOR, "", self.now_s)
            case "abandon" if self.rng.random() < 0.2:
                return operate.abandon(self.saga, ACTOR, "enough", self.now_s)
            case "resolve":
                return self.truthful_word()
        return None

    def truthful_word(self) -> e.Event | None:
        name = self.rng.choice(sorted(self.saga.steps))
        view = self.saga.steps[name]
        if self.rng.random() < 0.2:
            return operate.resolve(self.saga, name, operate.Word.KEPT, ACTOR, "so be it", self.now_s)
        if view.state is StepState.COMPENSATION_FAILED:
            event = operate.resolve(self.saga, name, operate.Word.UNDONE, ACTOR, "by hand", self.now_s)
            self.effects[name] = False
            return event
        word = operate.Word.LANDED if self.effects.get(name) else operate.Word.NOT_LANDED
        return operate.resolve(self.saga, name, word, ACTOR, "looked", self.now_s)

    # Invariants.

    def check_event(self, event: e.Event) -> None:
        """What must hold of an event in the saga that it is about to change."""
        saga = self.saga
        name, text = codec.encode(event)
        hold("an event is read as it was written", codec.decode(name, text, lambda _: saga.definition) == event, event)
        match event:
            case e.ActionStarted():
                self.check_action_start(event)
            case e.CheckInconclusive(ending=ending):
                told = ending.how is How.EXITED and ending.exit_status in (0, 1)
                hold("a check that tells settles the doubt", not told, event)
            case e.UndoStarted() | e.CompensationFailed():
                self.check_undo(event)
            case e.CompensationStarted():
                pivots = [saga.steps[s.id].state for s in saga.definition.steps if s.pivot]
                hold("nothing is undone past a committed pivot", StepState.COMMITTED not in pivots)
                hold("nothing is undone while the pivot is in doubt", StepState.IN_DOUBT not in pivots)
                hold("no attempt is live when the saga turns", not any(v.live for v in saga.steps.values()))
                self.check_cause(event)

    def check_cause(self, event: e.CompensationStarted) -> None:
        """A budget is spent exactly: the step that turned the saga had no attempt left."""
        if event.cause != "failure":
            return
        step, view = saga_step(self.saga, event.failed_step)
        last = view.last
        plain = last is not None and last.how is How.EXITED and not last.outputs_error
        out_of_attempts = view.retry_at_s is None and view.state is not StepState.KEPT
        if plain and out_of_attempts and step.action.retry.exit_codes is None:
            cost = self.cost(step.id)
            hold("budgets are spent exactly", cost == step.action.retry.max_retries + 1, (step.id, cost))

    def cost(self, name: str) -> int:
        """Action attempts of the present budget that count, from the journal alone."""
        cost = 0
        for event in self.journal:
            if isinstance(event, e.SagaResumed):
                cost = 0
            if not isinstance(event, (e.ActionFailed, e.ActionInDoubt)) or event.step != name:
                continue
            cost += event.ending.how not in (How.LOST, How.INTERRUPTED)
        return cost

    def check_action_start(self, event: e.ActionStarted) -> None:
        saga = self.saga
        step, _ = saga_step(saga, event.step)
        done = (StepState.COMMITTED, StepState.SKIPPED)
        verdicts = [verdict_of(saga.by_id[n], saga.steps[n]) or 0 for n in saga.active]
        hold("no action starts once a step is out of attempts", max(verdicts, default=0) <= Verdict.CONTINUE, event)
        hold("a step starts after all that it needs", all(saga.steps[n].state in done for n in step.needs), event)
        hold("budgets are spent exactly", self.cost(step.id) <= step.action.retry.max_retries, event)
        hold("no action starts in a saga that turns back", saga.past_pivot or saga.requested is None, event)
        deadline_s = self.deadline_s()
        hold("no action starts after the deadline", event.at_s < deadline_s, event)
        hold("an attempt id is never used twice", _key(event.attempt) not in self.processes, event)
        hold("an attempt ends by the deadline", event.at_s + event.attempt.timeout_s <= deadline_s + 1e-6, event)
        self.check_losses(event)
        retry_at_s = saga.steps[step.id].retry_at_s
        hold("a retry waits for its time", retry_at_s is None or retry_at_s <= event.at_s, event)

    def deadline_s(self) -> float:
        """When the forward part must end, from the journal alone: it stands still while paused or escalated."""
        timeout_s = self.saga.definition.timeout_s
        if timeout_s is None or self.saga.past_pivot:
            return float("inf")
        rested_s, since_s = 0.0, 0.0
        for event in self.journal:
            if isinstance(event, (e.SagaPaused, e.SagaEscalated)):
                since_s = event.at_s
            if isinstance(event, e.SagaResumed):
                rested_s += event.at_s - since_s
        return timeout_s + rested_s

    def check_losses(self, started: e.AttemptStarted) -> None:
        """The journal's own count of attempts of this command in a row that nobody saw the end of."""
        lost = 0
        for event in self.journal:
            if isinstance(event, (e.SagaResumed, e.CompensationResumed)):
                lost = 0
            if isinstance(event, e.AttemptEnded) and (event.step, event.phase) == (started.step, started.attempt.phase):
                unseen = event.ending.how in (How.LOST, How.INTERRUPTED)
                lost = lost + 1 if unseen else lost if event.ending.how in NOT_RUN[:2] else 0
        hold("three losses in a row are not repeated", lost < 3, started)

    def check_undo(self, event: e.StepEvent) -> None:
        saga = self.saga
        later = saga.order[saga.order.index(event.step) + 1 :]
        open_later = [n for n in later if n in saga.to_undo]
        hold("undos come in reverse order of start", not open_later, (event, open_later))
        hold("one undo at a time", not any(v.live for v in saga.steps.values()), event)
        if isinstance(event, e.UndoStarted):
            hold("an attempt id is never used twice", _key(event.attempt) not in self.processes, event)
            self.check_losses(event)

    def check_states(self) -> None:
        """What the journal says of a step must agree with the truth."""
        for name, view in self.saga.steps.items():
            stands = self.effects.get(name, False)
            if view.state is StepState.COMMITTED:
                hold("committed means that it took effect", stands, name)
            if view.state is StepState.FAILED:
                hold("failed means that it took no effect", not stands, name)
            if view.state is StepState.COMPENSATED:
                hold("compensated means that no effect stands", not stands, name)
            if view.state is StepState.PENDING:
                hold("a pending step has no effect", not stands, name)

    def check_waits(self) -> None:
        """After a crash no wait is longer than its configured delay."""
        for view in self.saga.steps.values():
            if view.retry_at_s is not None and self.saga.state in (SagaState.RUNNING, SagaState.COMPENSATING):
                hold("no wait is longer than its configured delay", view.retry_at_s <= self.now_s + 15.0, view)

    def check_the_end(self) -> None:
        saga = self.saga
        hold("replay equals the live saga", replay(self.journal) == saga)
        states = {name: view.state for name, view in saga.steps.items()}
        if saga.state is SagaState.COMPLETED:
            hold("completed means all committed or skipped",
                 set(states.values()) <= {StepState.COMMITTED, StepState.SKIPPED}, states)
        if saga.state is SagaState.COMPENSATED:
            for s in saga.definition.steps:
                standing = states[s.id] in STANDING
                hold("compensated means that nothing with an undo is left", isinstance(s.undo, NothingToUndo)
                     or not standing, s.id)
        if saga.state in FINAL and saga.state is not SagaState.ABANDONED:
            hold("an ended saga has nothing live", not any(v.live for v in saga.steps.values()))
        if saga.state is SagaState.ESCALATED:
            decided = saga.decided
            hold("an escalated saga says why", isinstance(decided, e.SagaEscalated) and decided.open, decided)

    def take_row(self, before: Saga, event: e.Event) -> None:
        rows_taken.add((before.state.value, type(event).__name__))
        if isinstance(event, e.StepEvent):
            rows_taken.add(("step " + before.steps[event.step].state.value, type(event).__name__))


def all_rows() -> set[tuple[str, str]]:
    """Every row of both tables, as `rows_taken` names them."""
    sagas = {(state.value, kind.__name__) for state, row in SAGA_TABLE.items() for kind in row}
    return sagas | {("step " + state.value, kind.__name__) for state, row in STEP_TABLE.items() for kind in row}


def saga_step(saga: Saga, name: str) -> tuple[Step, StepView]:
    return saga.by_id[name], saga.steps[name]


def _key(attempt: Attempt) -> tuple[str, Phase, int]:
    return attempt.step, attempt.phase, attempt.number


def simulate(rng: random.Random) -> World:
    """One random saga from its start until it rests for good."""
    world = World.begin(rng, random_definition(rng))
    world.run()
    return world


def main(sagas: int) -> int:
    """Simulate that many sagas, seeds 0 and up; print the first invariant that does not hold. Exit 1 if one does not.

    An exception of the core itself counts as the invariant `the core does not fail`.
    """
    for seed in range(sagas):
        try:
            simulate(random.Random(seed))
        except InvariantError as broken:
            print(f"seed {seed}: {broken}")
            return 1
        except Exception as failure:  # noqa: BLE001 - a mutant may raise anything
            print(f"seed {seed}: the core does not fail: {failure!r}")
            return 1
    print(f"{sagas} sagas, every invariant held")
    return 0


if __name__ == "__main__":
    sys.exit(main(int(sys.argv[1])))
