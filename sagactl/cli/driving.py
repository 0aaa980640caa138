"""What run, resume and compensate have in common: drive sagas, tell what happens, end with their exit code."""

from __future__ import annotations

import resource
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from itertools import chain
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeAlias

from sagactl.cli import wiring
from sagactl.cli.options import JOBS_MAX, Common, Form, names_of
from sagactl.cli.output import complain, json_line, one_place, result, say
from sagactl.core.states import FINAL, SagaState
from sagactl.errors import DamagedError, InvalidError, LockedError, NotFoundError, SagactlError, UsageError

if TYPE_CHECKING:
    from sagactl.cli.telling import Teller
    from sagactl.core import events as e
    from sagactl.core.saga import Saga
    from sagactl.journal.reading import Reader
    from sagactl.ports import Surroundings

OUTCOMES = {
    SagaState.COMPLETED: 0, SagaState.COMPENSATED: 10, SagaState.ESCALATED: 11, SagaState.PAUSED: 12,
    SagaState.ABANDONED: 13,
}
Show: TypeAlias = Callable[[object], None]
"""Takes one result in JSON."""

UNFINISHED = frozenset({SagaState.RUNNING, SagaState.COMPENSATING})
"""Of a saga that is driven no more: it was interrupted."""
JOBS = 8
"""Sagas at once, if nobody says how many: most commands wait for something else than the processor."""
DESCRIPTORS_OF_SAGA = 2
"""Its lock, and its share of the sockets to supervisors."""
DESCRIPTORS_OF_OURS = 64
"""The database, the streams, evidence that is being written: whatever the number of sagas."""

WORST_FIRST = (7, 1, 143, 130, 129, 6, 11, 12, 13, 10, 5, 4, 3)


def exit_code(codes: Iterable[int]) -> int:
    """Of several, the worst."""
    found = set(codes)
    return next((code for code in WORST_FIRST if code in found), max(found, default=0))


def jobs_at_once(wanted: int | None) -> int:
    """How many sagas to drive at once.

    Raises:
        UsageError: so many are wanted that the limit on open files does not allow.
    """
    limit = resource.getrlimit(resource.RLIMIT_NOFILE)[0]
    room = JOBS_MAX
    if limit != resource.RLIM_INFINITY:
        room = max(1, (limit - DESCRIPTORS_OF_OURS) // DESCRIPTORS_OF_SAGA)
    if wanted is not None and wanted > room:
        raise UsageError(f"--jobs {wanted} needs {DESCRIPTORS_OF_OURS + wanted * DESCRIPTORS_OF_SAGA} open files, and "
                         f"the limit is {limit}", hint=f"ulimit -n sets it; --jobs {room} is what it allows")
    return wanted or min(JOBS, room)


def drive(
    common: Common, turns: Iterable[wiring.Turn | None], show: Show, *, jobs: int | None = None, total: int = 1,
    judge: Callable[[Saga], int] = lambda saga: OUTCOMES.get(saga.state, 0), leave_out_held: bool = False,
) -> int:
    """Drive `total` sagas and tell how each ended; the exit code. `judge` gives that of a saga that rests.

    None among the turns is a saga for which nothing is to be done. Each is told of as it ends, but under a live view
    all in the end: what matters most stands last.
    """
    from sagactl.cli.telling import telling

    ends = _Ends(common, show, judge, leave_out_held)
    source = ends.taking(turns)
    first = next(source, None)
    if first is None:
        return 0
    with telling(common, total) as ends.teller:
        signals = wiring.drive(common.database, chain([first], source), ends.teller, jobs=jobs_at_once(jobs),
                               on_end=ends.on_end)
    for saga in ends.later:
        ends.tell(saga)
    left = total - ends.taken
    if left:
        say(f"{left:,} more {'was' if left == 1 else 'were'} not begun")
    return exit_code(ends.codes | stopped_by(signals.number, ends.unfinished + left))


class _Ends:
    """What has come of the sagas that are driven."""

    teller: Teller

    def __init__(self, common: Common, show: Show, judge: Callable[[Saga], int], leave_out_held: bool) -> None:  # noqa: FBT001
        self._common, self._show, self._judge, self._leave_out_held = common, show, judge, leave_out_held
        self.taken = self.unfinished = 0
        self.codes: set[int] = set()
        self.later: list[Saga] = []

    def taking(self, turns: Iterable[wiring.Turn | None]) -> Iterator[wiring.Turn]:
        for turn in turns:
            if turn is not None:
                yield turn
            else:
                self.taken += 1

    def on_end(self, _: wiring.Turn, ended: Saga | SagactlError) -> None:
        self.taken += 1  # not before: after a signal a turn that was made is left alone
        if isinstance(ended, SagactlError):
            if not (self._leave_out_held and isinstance(ended, LockedError)):
                self.codes.add(complain(ended))
            return
        interrupted = ended.state in UNFINISHED
        self.unfinished += interrupted
        self.codes.update(() if interrupted else (self._judge(ended),))
        self.teller.ended(ended.id)
        if self.teller.view is None:
            self.tell(ended)
        else:
            self.later.append(ended)

    def tell(self, saga: Saga) -> None:
        try:
            tell(self._common, saga, self._show, interrupted=saga.state in UNFINISHED)
        except SagactlError as error:  # what it did is recorded; the others go on
            self.codes.add(complain(error))


def stopped_by(number: int | None, unfinished: int) -> set[int]:
    """The exit code of the signal that has left sagas unfinished, if any did."""
    return {128 + number} if number and unfinished else set()


def tell(common: Common, saga: Saga, show: Show, *, interrupted: bool = False) -> None:
    """The last word on a saga: its state on stdout, why and what to type next on stderr. In JSON all there is of it."""
    if common.form is Form.JSON:
        show(shown(existing(common.database), saga.id, interrupted=interrupted))
    if not common.human:
        return
    from sagactl.cli.render.human import conclusion

    for line in conclusion(saga, interrupted=interrupted):
        say(line)
    if not one_place():  # who reads that has just been told
        result(f"{saga.id} {'interrupted' if interrupted else saga.state}")


def shown(reader: Reader, saga_id: str, *, interrupted: bool) -> dict[str, Any]:
    """All that happened in a saga, as JSON has it."""
    from sagactl.cli.render import json as render_json
    from sagactl.core.saga import replay

    facts = reader.events(saga_id)
    return render_json.saga(replay(fact for _, fact in facts), facts, interrupted=interrupted)


def report(common: Common, saga: Saga, show: Show) -> int:
    """Tell of a saga for which nothing is to be done; its exit code. In JSON lines these are all of its events.

    What a crash or a full disk left of its evidence is tidied up.
    """
    if saga.state in FINAL:
        wiring.fold(common.database, saga)
    if common.form is Form.JSONL:
        from sagactl.cli.render import json as render_json

        for seq, event in existing(common.database).events(saga.id):
            json_line(render_json.event(saga.id, seq, event))
    elif common.quiet:
        result(saga.id)
    tell(common, saga, show)
    return OUTCOMES[saga.state]


def going_on(
    database: Path, saga_id: str, say_so: Callable[[Saga, float], Sequence[e.Event]],
) -> Callable[[], tuple[Saga, Sequence[e.Event], Surroundings]]:
    """The `prepare` of a saga that exists: read it under its lock, take it on, and say what is to happen.

    `say_so` gives the events, if any, that the saga needs to go on.
    """
    from sagactl.cli.starting import surroundings, warn_of_changes
    from sagactl.core import events as e
    from sagactl.core.saga import evolve

    def prepare() -> tuple[Saga, Sequence[e.Event], Surroundings]:
        saga = existing(database).load(saga_id)
        try:
            around = surroundings(saga.started)
        except InvalidError as error:
            hint = error.hint or f"set it where sagactl runs, then: sagactl resume {saga_id}"
            raise InvalidError(f"{saga_id} can't go on: {error}", hint=hint) from error
        warn_of_changes(saga.started)
        now_s = time.time()
        words = say_so(saga, now_s)
        turns = saga.requested or any(isinstance(each, e.CompensationRequested) for each in words)
        for step, pids in wiring.left_running(database, saga).items():
            say(f"{saga.id}: {step} is still at work, pid {', '.join(map(str, pids))}: "
                f"{'ending' if turns and saga.turn is None else 'waiting for'} it")
        if saga.state in FINAL and not words:
            return saga, (), around
        pending = [e.HolderChanged(at_s=now_s, holder=wiring.me()), *words]
        for event in pending:
            saga = evolve(saga, event)
        return saga, pending, around

    return prepare


def named(common: Common, given: Sequence[str] | None) -> tuple[list[str], list[int]]:
    """The ids of the sagas that a command line names, each once, and exit codes for what is none.

    Raises:
        UsageError: it names none.
        NotFoundError: there are no sagas at all.
    """
    if not given:
        raise UsageError("name a saga: an id, a unique prefix of one, or @last")
    names = names_of(given)
    if not names:
        say("stdin names no sagas: there is nothing to do")
        return [], []
    reader, found, codes = existing(common.database), dict[str, None](), list[int]()
    for name in names:
        try:
            found[reader.find(name)] = None
        except (NotFoundError, DamagedError) as error:
            codes.append(complain(error))
    return list(found), codes


def existing(database: Path) -> Reader:
    """The reader of a database that must be there. Raises NotFoundError."""
    found = wiring.reader(database)
    if found is None:
        raise NotFoundError(f"no sagas yet: {database} does not exist", hint="start one: sagactl run FILE")
    return found
