"""`sagactl run --each`: a saga for each line of a file, so many at once.

The file is read twice: first every line is checked, and nothing runs if one is bad; then a line is taken whenever there
is room for its saga, and forgotten when that has ended.
"""

from __future__ import annotations

import shlex
import time
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from itertools import islice
from typing import Final

from sagactl.cli import driving, wiring
from sagactl.cli.beginning import Beginning
from sagactl.cli.lines import Lines, checked, opened
from sagactl.cli.options import Common, Form, Progress
from sagactl.cli.output import complain, hint, json_rows, one_place, result, say
from sagactl.cli.params import Given
from sagactl.cli.render.human import conclusion
from sagactl.cli.render.text import iso
from sagactl.cli.telling import Teller, telling
from sagactl.core import events as e
from sagactl.core import operate
from sagactl.core.saga import Saga
from sagactl.core.states import SagaState
from sagactl.definition.parameters import check, refuse
from sagactl.errors import InvalidError, SagactlError, UsageError
from sagactl.model import Definition

COUNT_S: Final = 2.0
"""How often it is said how far it is, at most."""
CHANGED: Final = "the file has changed since its lines were checked: leave it as it is until all have been read"


def run_each(beginning: Beginning, said: Given, path: str, *, jobs: int | None, id_from: str | None) -> int:
    """Run a saga for each line of `path`; `-` is stdin. Gives the worst exit code of all.

    Raises:
        InvalidError: a line is bad, or something is missing that all of them need; then nothing has run.
        UsageError: `id_from` is no parameter, or there are too many `jobs`.
        NotFoundError: the file can't be read.
    """
    common, definition = beginning.common, beginning.definition
    at_once = driving.jobs_at_once(jobs)
    with opened(path) as file:
        lines = Lines(file, definition, _common_values(definition, said, id_from), id_from)
        total = checked(lines, "stdin" if path == "-" else path)
        if total == 0:
            say("there are no lines: nothing was run")
        _ = beginning.around  # what is missing is told once, before anything runs
        with json_rows(common.form) as show:
            if total == 0:
                return 0
            with telling(common, total, each=True) as teller:
                tally = Tally(common, total, show, teller)
                turns = _turns(beginning, lines, tally)
                signals = wiring.drive(common.database, turns, tally, jobs=at_once, on_end=tally.on_end)
        left = total - tally.taken
        tally.codes |= driving.stopped_by(signals.number, left + tally.counts["interrupted"])
        tally.count(last=True)
        if left or tally.counts["interrupted"]:
            _tell_how_to_go_on(tally, left, path, safe_to_repeat=id_from is not None)
    return driving.exit_code(tally.codes)


def _common_values(definition: Definition, said: Given, id_from: str | None) -> dict[str, object]:
    """The values that the command line gives to all lines. Raises InvalidError, UsageError."""
    if id_from is not None and id_from not in definition.params:
        known = f"the parameters are {', '.join(definition.params)}" if definition.params else "there are no parameters"
        raise UsageError(f"--id-from {id_from} is no parameter of {definition.saga}: {known}")
    found = check(definition, said.values, said.pairs)
    refuse(found.problems)
    return dict(found.values)


def _turns(beginning: Beginning, lines: Lines, tally: Tally) -> Iterator[wiring.Turn]:
    """The turn of each line, made when there is room for it. One that was changed meanwhile costs itself."""
    for number, line in islice(lines, tally.total):
        tally.taken, tally.last = tally.taken + 1, number
        if isinstance(line, str):
            tally.refused(number, None, InvalidError(f"line {number:,}: {line}", hint=CHANGED))
            continue
        if line.id in tally.numbers:
            other = tally.numbers[line.id]
            error = InvalidError(f"line {number:,}: its id is that of line {other:,}, which is running", hint=CHANGED)
            tally.refused(number, line.id, error)
            continue
        turn = beginning.turn(line.params, line.id)
        tally.numbers[turn.id] = number
        yield turn


@dataclass(slots=True)
class Tally:
    """What has come of the lines so far. `last` is the number of the last one taken, `numbers` those of the sagas that
    are being driven.
    """

    common: Common
    total: int
    show: Callable[[object], None]
    teller: Teller
    taken: int = 0
    last: int = 0
    numbers: dict[str, int] = field(default_factory=dict)
    counts: Counter[str] = field(default_factory=Counter)
    codes: set[int] = field(default_factory=set)
    said_s: float = field(default_factory=time.monotonic)
    said: int = 0

    def publish(self, saga: Saga, seq: int, event: e.Event) -> None:
        """See wiring.Listener."""
        self.teller.publish(saga, seq, event)

    def stopping(self, level: int) -> None:
        """See wiring.Listener."""
        self.teller.stopping(level)

    def tick(self) -> None:
        """Say how far it is, where no view shows it."""
        self.teller.tick()
        if self.teller.view is None:
            self.count()

    def on_end(self, turn: wiring.Turn, ended: Saga | SagactlError) -> None:
        """Tell what has come of a line."""
        number = self.numbers.pop(turn.id)
        self.teller.ended(turn.id)
        if isinstance(ended, SagactlError):
            self.refused(number, turn.id, type(ended)(f"line {number:,}: {ended.message}", hint=ended.hint))
        else:
            self.ended(number, ended)

    def refused(self, number: int, saga_id: str | None, error: SagactlError) -> None:
        """No saga, or one that could not be driven."""
        self._count(error.name)
        self.codes.add(complain(error))
        if not self.common.human and not self.common.quiet:
            self.show({"schema": 1, "line": number, "id": saga_id, "code": error.exit_code, "error": error.name,
                       "message": error.message, "hint": error.hint})

    def ended(self, number: int, saga: Saga) -> None:
        """A saga that rests, or was interrupted."""
        interrupted = saga.state in driving.UNFINISHED
        word = "interrupted" if interrupted else saga.state.value
        self._count(word)
        self.codes |= set() if interrupted else {driving.OUTCOMES[saga.state]}
        if self.common.human:
            if saga.state in driving.OUTCOMES and saga.state is not SagaState.COMPLETED:
                say(conclusion(saga)[0])
            (result if self.teller.view is None or not one_place() else say)(f"{saga.id} {word}")
        elif not self.common.quiet:
            self.show({"schema": 1, "line": number, "id": saga.id, "name": saga.definition.saga, "state": saga.state,
                       "interrupted": interrupted, "started": iso(saga.started.at_s), "changed": iso(saga.changed_s),
                       "why": operate.because(saga)})

    def _count(self, word: str) -> None:
        self.counts[word] += 1
        if self.teller.view is not None:
            self.teller.view.count(word)

    def count(self, *, last: bool = False) -> None:
        """Say how far it is, now and then and in the end."""
        common, now_s, known = self.common, time.monotonic(), sum(self.counts.values())
        due = known > self.said and (last or now_s >= self.said_s + COUNT_S)
        if common.quiet or common.progress is Progress.NONE or not due:
            return
        if common.form is Form.JSONL and common.origins["progress"] == "default":
            return
        self.said_s, self.said = now_s, known
        said = ", ".join(f"{count:,} {word}" for word, count in sorted(self.counts.items()))
        say(f"{known:,} of {self.total:,} lines: {said}")


def _tell_how_to_go_on(tally: Tally, left: int, path: str, *, safe_to_repeat: bool) -> None:
    """What to type after an interruption. Without --id-from the same command would do all of it once more."""
    if left:
        say(f"{left:,} {'line was' if left == 1 else 'lines were'} not begun: those after line {tally.last:,}")
    if safe_to_repeat:
        hint("the same command again goes on with what was interrupted, begins the rest, and repeats nothing")
        return
    if tally.counts["interrupted"]:
        hint("sagactl resume --all    goes on with what was interrupted")
    if left:
        rest = f": tail -n +{tally.last + 1} {shlex.quote(path)}" if path != "-" else ""
        hint(f"the same command with --each - begins the rest, given those lines alone{rest}")
