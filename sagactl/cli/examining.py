"""The checks of `doctor`, in the order in which they are told. Each looks at one thing and gives its Check.

Rule: nothing here writes, and no check keeps the next from being made. What waits for a person is a note; wrong is what
a later command would stumble over.
"""

from __future__ import annotations

import contextlib
import sqlite3
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

from sagactl.cli import wiring
from sagactl.cli.checks import Check, Status, grace, listed, places, settings, some, sqlite
from sagactl.cli.options import Common
from sagactl.core.states import FINAL, SagaState
from sagactl.errors import DamagedError, SagactlError, StoreError
from sagactl.execution import processes, survey
from sagactl.journal import checking, place
from sagactl.journal.listing import Summary
from sagactl.journal.reading import Reader
from sagactl.journal.rows import RESTORE
from sagactl.model import Phase


@dataclass(slots=True)
class _Seen:
    """What was seen of the sagas of a database, in one look."""

    sound: int = 0
    damages: list[DamagedError] = field(default_factory=list)
    tokens: set[str] = field(default_factory=set)
    live: list[Summary] = field(default_factory=list)
    escalated: list[str] = field(default_factory=list)
    paused: list[str] = field(default_factory=list)
    resting: dict[str, str] = field(default_factory=dict)
    """Unfinished ones that may have evidence: token and id."""
    bare: list[str] = field(default_factory=list)
    bare_final: list[str] = field(default_factory=list)
    left: list[str] = field(default_factory=list)
    unfolded: list[str] = field(default_factory=list)
    at_work: list[str] = field(default_factory=list)
    """Those with a supervisor, or at least a process of theirs, though nobody drives them."""


def all_checks(common: Common) -> Iterator[Check]:
    """Every check that can be made there."""
    database = common.database
    yield from settings(common)
    yield grace()
    yield from places(database)
    yield sqlite()
    root = place.folder_of(database)
    names = survey.tokens(root)
    held = {name: found for name in names if (found := _holding(root / name / "lock"))}
    seen: _Seen | None = _Seen()
    try:
        reader = wiring.reader(database)
        text = f"version {place.VERSION}" if reader else f"no database yet: {database} has no sagas"
        yield Check(name="database", text=text)
        if reader is not None:
            yield from _inside(reader)
            seen = reader.look(lambda connection: _see(connection, root, set(held)))
            yield _rows(seen)
            seen.at_work += _left_running(database, reader, seen)
    except StoreError as error:
        yield Check(name="database", status=Status.WRONG, text=error.message, hint=error.hint)
        reader, seen = None, None
    yield _locks(root, held)
    if seen is not None:
        yield from _waiting(seen, held)
        with contextlib.suppress(StoreError):  # which sagas there are can't be read: that was told above
            yield _evidence(reader, seen, root, names - held.keys())
    yield _leftovers(seen or _Seen(), root)


def _inside(reader: Reader) -> Iterator[Check]:
    for name, look, sound in (("integrity", checking.pages, "the structure of the file is sound"),
                              ("tables", checking.tables, "the tables fit each other")):
        problems = reader.look(look)
        status, hint = (Status.WRONG, RESTORE) if problems else (Status.OK, "")
        yield Check(name=name, status=status, text="; ".join(problems) or sound, hint=hint)


def _see(connection: sqlite3.Connection, root: Path, held: set[str]) -> _Seen:
    seen = _Seen()
    for each in checking.sagas(connection):
        if isinstance(each, DamagedError):
            seen.damages.append(each)
            continue
        seen.sound += 1
        seen.tokens.add(each.token)
        if each.state is SagaState.ESCALATED:
            seen.escalated.append(each.id)
        elif each.state is SagaState.PAUSED:
            seen.paused.append(each.id)
        elif each.state in (SagaState.RUNNING, SagaState.COMPENSATING):
            seen.live.append(each)
        if each.token not in held:
            _see_evidence(seen, each, root)
    return seen


def _left_running(database: Path, reader: Reader, seen: _Seen) -> list[str]:
    """The sagas that nobody drives, of which a command runs without a supervisor."""
    found = []
    with contextlib.suppress(OSError, SagactlError):  # what can't be read is told elsewhere
        tokens = {identity.partition(".")[0] for identity in processes.carried()} & seen.resting.keys()
        for name in sorted({seen.resting[token] for token in tokens}.difference(seen.at_work)):
            found += [name] if wiring.left_running(database, reader.load(name)) else []
    return found


def _see_evidence(seen: _Seen, saga: Summary, root: Path) -> None:
    """What the folder of a saga that nobody holds tells."""
    found = survey.look(root / saga.token)
    final = saga.state in FINAL
    if found is None:
        (seen.bare_final if final else seen.bare).append(saga.id)
        return
    seen.left += [str(root / saga.token / draft) for draft in found.drafts]
    if final and found.attempts:
        seen.unfolded.append(saga.id)
    if not final:
        seen.resting[saga.token] = saga.id
        seen.at_work += [saga.id] if survey.at_work(root / saga.token, found.attempts) else []


def _rows(seen: _Seen) -> Check:
    if not seen.damages:
        return Check(name="rows", text=f"{seen.sound} saga{'s' * (seen.sound != 1)}, all as they were written")
    said = some([error.message for error in seen.damages], "; ")
    return Check(name="rows", status=Status.WRONG, text=f"{said}; {seen.sound} others are as they were written",
                 hint=RESTORE)


def _locks(root: Path, held: dict[str, survey.Holding]) -> Check:
    found = [("write.lock", _holding(root / "write.lock")), *held.items()]
    lines = [f"{name} by {holding}" for name, holding in found if holding]
    return Check(name="locks", text=f"held: {some(lines, '; ')}" if lines else "none is held")


def _waiting(seen: _Seen, held: dict[str, survey.Holding]) -> Iterator[Check]:
    running = [each.id for each in seen.live if each.token in held]
    interrupted = [each.id for each in seen.live if each.token not in held]
    yield listed("running", running, "none", Status.OK)
    yield listed("interrupted", interrupted, "none", Status.NOTE, "sagactl resume --all")
    yield listed("commands", seen.at_work, "none runs on by itself", Status.NOTE, "sagactl resume SAGA waits for it")
    yield listed("escalated", seen.escalated, "none", Status.NOTE, "sagactl inspect SAGA says what a person has to do")
    yield listed("paused", seen.paused, "none", Status.NOTE, "sagactl inspect SAGA says what a person can do")


def _evidence(reader: Reader | None, seen: _Seen, root: Path, names: set[str]) -> Check:
    """What belongs together and does not: sagas without evidence, evidence without saga or newer than its saga."""
    known = seen.tokens if reader is None or names <= seen.tokens else seen.tokens | reader.look(checking.tokens)
    strange = () if seen.damages else [name for name in names - known if _has_claims(root / name)]
    newer = [] if reader is None else [
        saga for token, saga in seen.resting.items() if _is_newer(reader, saga, root / token)]
    if strange:
        return listed("evidence", sorted(strange), "", Status.WRONG, "the database is older than its evidence, or "
                       "another one: restore its newest backup", "of sagas that the database does not have: ")
    if newer:
        return listed("evidence", newer, "", Status.WRONG, "restore the newest backup; or resume: an attempt that was "
                       "made is read, never repeated", "newer than the database, of: ")
    if seen.bare:
        return listed("evidence", seen.bare, "", Status.WRONG, "restore the folder; else what was running there is "
                       "in doubt when it is resumed", "missing, of: ")
    return listed("evidence", seen.bare_final, "each saga has its own", Status.NOTE,
                   "what their commands printed is gone", "missing, of sagas that have ended: ")


def _leftovers(seen: _Seen, root: Path) -> Check:
    """What a kill left behind. It is in nobody's way and takes room."""
    left = [*seen.left, *(str(root / name) for name in survey.drafts(root))]
    if left:
        return Check(name="leftovers", status=Status.NOTE, text=f"drafts: {some(left)}",
                     hint="they can be deleted while no sagactl runs")
    return listed("leftovers", seen.unfolded, "none", Status.NOTE, "nothing is lost: it takes more room than it needs",
                   "evidence that was not folded, of: ")


def _is_newer(reader: Reader, saga_id: str, folder: Path) -> bool:
    """Whether there is evidence of an attempt that the saga's events do not have. Evidence was looked for first."""
    found = survey.look(folder)
    if found is None:
        return False
    try:
        saga = reader.load(saga_id)
    except SagactlError:
        return False  # the rows say so
    steps = list(saga.steps.values())
    for name in found.claimed:
        step, _, tail = name.partition(".")
        phase, _, number = tail.partition(".")
        if not number or int(step) >= len(steps) or int(number) > steps[int(step)].numbers.get(Phase(phase), 0):
            return True
    return False


def _has_claims(folder: Path) -> bool:
    found = survey.look(folder)
    return found is not None and bool(found.claimed)


def _holding(lock: Path) -> survey.Holding | None:
    try:
        return survey.holding(lock)
    except OSError:
        return None
