"""What is told while sagas run: events or ids on stdout; on stderr a line for each change, a live view, or nothing."""

from __future__ import annotations

import contextlib
import os
import sys
import time
from collections.abc import Callable, Iterator
from typing import Final

from sagactl.cli.options import Common, Form, Progress
from sagactl.cli.output import colored, json_line, result, said_above, say, warn
from sagactl.cli.render.human import STDERR_LINES, progress
from sagactl.cli.render.live import View, possible
from sagactl.core import events as e
from sagactl.core.saga import Saga

STILL_S: Final = 60.0
"""So often it is said that a command is still running."""


@contextlib.contextmanager
def telling(common: Common, total: int, *, each: bool = False) -> Iterator[Teller]:
    """Tell of so many sagas: with a live view where a person sits at a terminal, and nothing else writes to it.

    `each`: those of `run --each`, where stdout has a row for each, and lines are told only if they were asked for.
    """
    wanted = common.progress is Progress.LIVE or (
        common.progress is Progress.AUTO and common.human and not os.environ.get("CI"))
    if not wanted or (sys.stdout.isatty() and not common.human) or not possible(sys.stderr):
        yield Teller(common, total, None, each=each)
        return
    with View(total, colour=colored(sys.stderr)) as view, said_above(view.above):
        yield Teller(common, total, view, each=each)


class Teller:
    """Hears what happens to sagas (wiring.Listener)."""

    def __init__(
        self, common: Common, total: int, view: View | None, now_s: Callable[[], float] = time.time, *,
        each: bool = False,
    ) -> None:
        self.view = view
        self._each, self._events = each, common.form is Form.JSONL and not each
        self._common, self._several, self._now_s = common, total > 1, now_s
        self._lines = not common.quiet and common.progress is not Progress.NONE and (
            common.form is not Form.JSONL or common.origins["progress"] != "default") and (
            not each or common.verbose or common.progress is Progress.PLAIN)
        self._running: dict[str, Saga] = {}
        self._still: dict[tuple[str, str], float] = {}

    def publish(self, saga: Saga, seq: int, event: e.Event) -> None:
        """An event is recorded. With a live view only failures are told in lines, or all with -v."""
        if self._events:
            from sagactl.cli.render import json as render_json

            json_line(render_json.event(saga.id, seq, event))
        elif self._common.quiet and isinstance(event, e.SagaStarted | e.HolderChanged):
            result(saga.id)
        tail = event.ending.stderr_tail.splitlines()[-STDERR_LINES:] if isinstance(event, e.AttemptEnded) else []
        if self.view is not None:
            self.view.publish(saga, seq, event)
        else:
            self._running[saga.id] = saga
        if self._lines and (self.view is None or self._common.verbose or tail):
            said = progress(saga, event, verbose=self._common.verbose)
            if said is not None:
                self._say(event.at_s, saga, said)
            for line in tail:
                say(f"    | {line}")
        if isinstance(event, e.AttemptEnded):
            for warning in event.ending.warnings:
                warn(f"{saga.id}: {event.step} {warning}")

    def stopping(self, level: int) -> None:
        """The user wants it to stop, so far (engine.Signals)."""
        if self.view is not None:
            self.view.stopping(level)

    def tick(self) -> None:
        """About a second has passed: say what has been running for a minute, and for each further one."""
        now_s, still = self._now_s(), {}
        for saga in self._running.values() if self._lines else ():
            for name, step in saga.steps.items() if saga.active or saga.to_undo else ():
                if step.live is None:
                    continue
                minutes = (now_s - step.live.started_s) // STILL_S
                if minutes > self._still.get((saga.id, name), 0):
                    self._say(now_s, saga, f"still running: {name} ({minutes * STILL_S:.0f}s)")
                still[saga.id, name] = minutes
        self._still = still

    def ended(self, saga_id: str) -> None:
        """Nothing more comes of a saga."""
        self._running.pop(saga_id, None)
        if self._each and self.view is not None:
            self.view.drop(saga_id)

    def _say(self, at_s: float, saga: Saga, text: str) -> None:
        say(f"{time.strftime('%H:%M:%SZ', time.gmtime(at_s))} {saga.id + ' ' if self._several else ''}{text}")
