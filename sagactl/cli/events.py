"""`sagactl events`: the journal as JSON lines."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Final

import typer

from sagactl.cli import driving
from sagactl.cli.following import changes
from sagactl.cli.options import Common, Form, name_of
from sagactl.cli.output import complain, json_rows, result, stdout_closed
from sagactl.core.states import FINAL, SagaState
from sagactl.errors import NotFoundError, SagactlError, UsageError
from sagactl.journal.listing import Listing

if TYPE_CHECKING:
    from sagactl.core.events import Event
    from sagactl.journal.reading import Reader

LATE_S: Final = 3600.0
"""So much older than the latest a change may say it is: the clock may have been set back."""


def events(
    saga: Annotated[str | None, typer.Argument(metavar="[SAGA]", show_default=False, help=(
        "An id, a unique prefix of one, @last, or - to read it from stdin. Without it, the events of all sagas."
    ))] = None,
    after: Annotated[int, typer.Option("--after", metavar="SEQ", min=0, help="Only events after this number.")] = 0,
    follow: Annotated[bool, typer.Option("--follow", "-f", help="Go on with what is recorded from now on, until the "
                                                                "saga is final, escalated or paused.")] = False,
    *, common: Common,
) -> int:
    """Print events, one JSON object a line, each with seq, at, saga and type; the oldest saga first.

    Example: sagactl events @last --after 3
    """
    if follow and common.form is Form.JSON:
        raise UsageError("-f has no end, and an array needs one", hint="-o jsonl is a line for each event")
    if after and saga is None:
        raise UsageError("--after is the number of an event within one saga: name it")
    from sagactl.cli.render import json as render_json

    codes: list[int] = []
    facts = _of_all(common.database, codes, follow=follow) if saga is None else _of_one(
        common.database, name_of(saga), after, follow=follow)
    with json_rows(common.form) as show:
        for name, seq, event in facts:
            if common.quiet:
                result(f"{name} {seq}")
            else:
                show(render_json.event(name, seq, event))
            if stdout_closed():
                break
    return max(codes, default=0)


def _of_one(database: Path, given: str, after: int, *, follow: bool) -> Iterator[tuple[str, int, Event]]:
    reader = driving.existing(database)
    name = reader.find(given)
    token = reader.summary(name).token
    for _ in changes(database):
        row = reader.summary(name)
        if row.token != token:
            raise NotFoundError(f"the saga {name} was pruned, and another one has its id now",
                                hint=f"sagactl events {name} shows that one")
        ended = not follow or row.state in driving.OUTCOMES
        for seq, event in reader.events(name, after):
            yield name, seq, event
            after = seq
        if ended or stdout_closed():
            return


def _of_all(database: Path, codes: list[int], *, follow: bool) -> Iterator[tuple[str, int, Event]]:
    """Those of sagas that can't be trusted are complained of, once.

    The first look goes through them piece by piece. After it only what is unfinished or has changed lately is looked at
    again.
    """
    reader = driving.existing(database)
    seen: dict[str, tuple[int, float]] = {}
    damaged: set[str] = set()
    latest_s: float | None = None
    for _ in changes(database):
        for found in reader.pieces() if latest_s is None else _changed(reader, latest_s - LATE_S):
            for saga in found.rows:
                after, changed_s = seen.get(saga.token, (0, None))
                latest_s = max(saga.changed_s, latest_s or saga.changed_s)
                if changed_s == saga.changed_s and saga.state in FINAL:
                    continue
                try:
                    for seq, event in reader.events(saga.id, after):
                        yield saga.id, seq, event
                        after = seq
                except SagactlError as error:
                    _complain_once(error, damaged, codes)
                if follow:
                    seen[saga.token] = after, saga.changed_s
            for damage in found.damages:
                _complain_once(damage, damaged, codes)
        if not follow or stdout_closed():
            return


def _changed(reader: Reader, since_s: float) -> Iterator[Listing]:
    """What is unfinished, or has changed since, the oldest first."""
    lately, unfinished = reader.summaries(since_s=since_s), reader.summaries(states=set(SagaState) - FINAL)
    rows = {row.id: row for row in (*lately.rows, *unfinished.rows)}
    yield Listing(tuple(sorted(rows.values(), key=lambda row: row.created_s)), (*lately.damages, *unfinished.damages))


def _complain_once(error: SagactlError, said: set[str], codes: list[int]) -> None:
    if error.message not in said:
        said.add(error.message)
        codes.append(complain(error))
