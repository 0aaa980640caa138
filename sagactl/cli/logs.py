"""`sagactl logs`: what the commands of a saga have printed."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Annotated, Any

import typer

from sagactl.cli import driving, wiring
from sagactl.cli.following import changes
from sagactl.cli.options import Common, Form, SagaName, name_of
from sagactl.cli.output import json_rows, result, say, stdout_closed
from sagactl.cli.render.text import safe
from sagactl.cli.starting import known_secrets
from sagactl.core import events as e
from sagactl.core.parts import Attempt
from sagactl.core.saga import Saga, replay
from sagactl.errors import NotFoundError, UsageError
from sagactl.execution.capture import masked
from sagactl.execution.invocation import attempt_name
from sagactl.execution.record import STREAMS
from sagactl.execution.streams import Stream
from sagactl.journal.reading import Reader
from sagactl.model import Phase


def logs(
    saga: SagaName,
    step: Annotated[str | None, typer.Argument(metavar="[STEP]", show_default=False, help="Only this step.")] = None,
    phase: Annotated[Phase | None, typer.Option("--phase", show_default=False, help="Only these commands.")] = None,
    attempt: Annotated[int | None, typer.Option("--attempt", metavar="N", min=1, show_default=False,
                                                help="Only attempts of this number.")] = None,
    follow: Annotated[bool, typer.Option("--follow", "-f", help="Go on with what is printed from now on, until the "
                                                                "saga is final, escalated or paused.")] = False,
    *, common: Common,
) -> int:
    """Print what a saga's commands printed: each line behind its step, `|` for stdout and `!` for stderr.

    Of a final saga the last 64 KiB of each stream are kept. A step with secrets is shown when it has ended.

    Example: sagactl logs @last charge -f
    """
    if follow and common.form is Form.JSON:
        raise UsageError("-f has no end, and an array needs one", hint="-o jsonl is a line for each line")
    reader = driving.existing(common.database)
    name = reader.find(name_of(saga))
    if step is not None and step not in reader.load(name).by_id:
        raise NotFoundError(f"{name} has no step {step}", hint=f"steps: {', '.join(reader.load(name).by_id)}")
    shown: dict[str, _Shown] = {}
    with json_rows(common.form) as show:
        wanted = partial(_attempts, step, phase, attempt)
        for each, line in _printed(common.database, name, shown, wanted, follow=follow):
            if common.human:
                result(f"{each.label} {'|' if line['stream'] == 'stdout' else '!'} {safe(line['text'])}")
            elif common.quiet:
                result(safe(line["text"]))
            else:
                show({"schema": 1, "saga": name, **line})
        if not shown and (step, phase, attempt) != (None, None, None):
            raise _none_such(name, step, phase, attempt, _attempts(None, None, None, _facts(reader, name)))
    if common.human:
        _say_what_is_missing(shown.values(), follow=follow)
    return 0


def _say_what_is_missing(shown: Collection[_Shown], *, follow: bool) -> None:
    for each in shown:
        for stream in each.streams:
            if stream.not_kept_bytes:
                say(f"{each.label}: {stream.not_kept_bytes:,} bytes of its {stream.name} were not kept")
    if not follow and not any(each.printed for each in shown):
        say("nothing was printed")


def _printed(
    database: Path, name: str, shown: dict[str, _Shown], wanted: Callable[[Sequence[e.Event]], Sequence[Attempt]],
    *, follow: bool,
) -> Iterator[tuple[_Shown, dict[str, Any]]]:
    """Each line with its attempt, as JSON has it; those that come later too, where it is followed."""
    reader = driving.existing(database)
    secrets = known_secrets(reader.load(name).started)
    for _ in changes(database, watch=lambda: [stream.stamp() for each in shown.values() for stream in each.streams]):
        ended = not follow or reader.summary(name).state in driving.OUTCOMES
        facts = _facts(reader, name)
        view = replay(facts)
        for started in wanted(facts):
            named = attempt_name(view, started)
            path = wiring.evidence(database).attempt(view.started.token, named)
            each = shown.setdefault(named, _Shown(started, [Stream(path, stream) for stream in STREAMS]))
            for line in each.more(view, partial(_kept, database, view, named), secrets, whole=ended):
                yield each, line
        if ended or stdout_closed():
            return


@dataclass(slots=True)
class _Shown:
    """An attempt of which something may have been shown."""

    attempt: Attempt
    streams: Sequence[Stream]
    printed: bool = False
    done: bool = False

    @property
    def label(self) -> str:
        """The step; and what else it takes to tell its attempts from each other."""
        words = [self.attempt.step, *([self.attempt.phase] if self.attempt.phase is not Phase.ACTION else [])]
        return " ".join([*words, *([f"#{self.attempt.number}"] if self.attempt.number > 1 else [])])

    def more(
        self, view: Saga, folded: Callable[[], Mapping[str, Any]], secrets: Mapping[str, str] | None, *, whole: bool,
    ) -> Iterator[dict[str, Any]]:
        """What was printed since the last look, as JSON has it.

        What may hold secrets is not yet masked while live, nor ever what a process wrote that was left running: it is
        masked here, and not shown where `secrets` are not known and it is not folded yet.
        """
        live = view.steps[self.attempt.step].live
        over = live is None or (live.phase, live.number) != (self.attempt.phase, self.attempt.number)
        names = view.by_id[self.attempt.step].secrets
        if self.done or (names and (not over or (secrets is None and not folded()))):
            return
        values = [part for name in names if secrets for part in (secrets[name], *secrets[name].splitlines())]
        for stream in self.streams:
            for text in stream.lines(folded, whole=over or whole):
                self.printed = True
                yield {"step": self.attempt.step, "phase": self.attempt.phase, "attempt": self.attempt.number,
                       "stream": stream.name, "text": masked(text, values)}
        self.done = over


def _kept(database: Path, view: Saga, attempt: str) -> Mapping[str, Any]:
    return wiring.evidence(database).folded(view.started.token).get(attempt, {})


def _facts(reader: Reader, name: str) -> list[e.Event]:
    return [fact for _, fact in reader.events(name)]


def _none_such(
    name: str, step: str | None, phase: Phase | None, number: int | None, there: Sequence[Attempt],
) -> NotFoundError:
    """That no attempt is the one asked for, and which there are: those of the step, or if it has none of all steps."""
    from sagactl.cli.checks import some

    last = {(each.step, each.phase): each.number for each in there}
    near = [key for key in last if key[0] == step] or list(last)
    asked = " ".join(word for word in (step, phase, f"#{number}" if number else "") if word)
    ran = some(f"{one} {way} #1" + (f" to #{last[one, way]}" if last[one, way] > 1 else "") for one, way in near)
    return NotFoundError(f"{name} has no attempt {asked}",
                         hint=f"there are: {ran}" if ran else "no command has started yet")


def _attempts(
    step: str | None, phase: Phase | None, number: int | None, facts: Sequence[e.Event],
) -> list[Attempt]:
    """The attempts that are asked for, in the order in which they started."""
    return [
        fact.attempt for fact in facts if isinstance(fact, e.AttemptStarted) and step in (None, fact.step)
        and phase in (None, fact.attempt.phase) and number in (None, fact.attempt.number)
    ]
