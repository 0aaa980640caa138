"""The checks of `doctor`, in the order in which they are told. Each looks at one thing and gives its Check.

Rule: nothing here writes, and no check keeps the next from being made. What waits for a person is a note; wrong is what
a later command would stumble over.
"""

from __future__ import annotations

import contextlib
import os
import shutil
import sqlite3
import stat
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from pathlib import Path
from typing import Final

from sagactl.cli import wiring
from sagactl.cli.options import Common, grace_s
from sagactl.core.states import FINAL, SagaState
from sagactl.errors import DamagedError, SagactlError, StoreError, UsageError
from sagactl.execution import survey
from sagactl.journal import checking, place
from sagactl.journal.listing import Summary
from sagactl.journal.reading import Reader
from sagactl.journal.rows import RESTORE
from sagactl.model import Phase

NAMES_MAX: Final = 5
"""So many are named in a line; `--json` has all of them."""

ROOM_BYTES_MIN: Final = 100 * 1024 * 1024
"""Less free space than this is worth a word: a saga that can't record an outcome stops."""

SOUND_SQLITE: Final = (3, 51, 3)
"""The first without the WAL reset bug (https://sqlite.org/wal.html#walresetbug)."""


class Status(StrEnum):
    OK = "ok"
    NOTE = "note"
    WRONG = "wrong"


@dataclass(frozen=True, slots=True, kw_only=True)
class Check:
    """What one check found. `sagas` are ids, or tokens of evidence that belongs to no saga."""

    name: str
    status: Status = Status.OK
    text: str
    hint: str = ""
    sagas: tuple[str, ...] = ()


@dataclass(slots=True)
class _Seen:
    """What was seen of the sagas of a database, in one look."""

    sound: int = 0
    damages: list[DamagedError] = field(default_factory=list)
    tokens: set[str] = field(default_factory=set)
    live: list[Summary] = field(default_factory=list)
    escalated: list[str] = field(default_factory=list)
    resting: dict[str, str] = field(default_factory=dict)
    """Unfinished ones that may have evidence: token and id."""
    bare: list[str] = field(default_factory=list)
    bare_final: list[str] = field(default_factory=list)
    left: list[str] = field(default_factory=list)
    unfolded: list[str] = field(default_factory=list)
    at_work: list[str] = field(default_factory=list)
    """Those with a supervisor, though nobody drives them."""


def all_checks(common: Common) -> Iterator[Check]:
    """Every check that can be made there."""
    database = common.database
    yield from _settings(common)
    yield _grace()
    yield from _places(database)
    yield _sqlite()
    root = place.folder_of(database)
    names = survey.tokens(root)
    held = {name: found for name in names if (found := _holding(root / name / "lock"))}
    seen: _Seen | None = _Seen()
    try:
        reader = wiring.reader(database)
        text = f"version {place.VERSION}" if reader else f"no database yet: {database} does not exist"
        yield Check(name="database", text=text)
        if reader is not None:
            yield from _inside(reader)
            seen = reader.look(lambda connection: _see(connection, root, set(held)))
            yield _rows(seen)
    except StoreError as error:
        yield Check(name="database", status=Status.WRONG, text=error.message, hint=error.hint)
        reader, seen = None, None
    yield _locks(root, held)
    if seen is not None:
        yield from _waiting(seen, held)
        with contextlib.suppress(StoreError):  # which sagas there are can't be read: that was told above
            yield _evidence(reader, seen, root, names - held.keys())
    yield _leftovers(seen or _Seen(), root)


def _settings(common: Common) -> Iterator[Check]:
    def whence(name: str) -> str:
        return common.origins[name].replace("default", "the default")

    yield Check(name="settings", text=f"{common.database}, from {whence('db')}")
    settings = {"output": common.form, "progress": common.progress, "color": common.color,
                "no_input": "yes" if common.no_input else "no"}
    yield Check(name="options", text="; ".join(f"{name.replace('_', '-')} {value}, from {whence(name)}"
                                                for name, value in settings.items()))


def _grace() -> Check:
    by = "$SAGACTL_GRACE" if "SAGACTL_GRACE" in os.environ else "the default"
    try:
        return Check(name="grace", text=f"{grace_s():g}s after TERM, from {by}")
    except UsageError as error:
        return Check(name="grace", status=Status.WRONG, text=error.message, hint="mend or unset SAGACTL_GRACE")


def _places(database: Path) -> Iterator[Check]:
    root = place.folder_of(database)
    there = next(each for each in (root, *root.parents) if _is_there(each))
    if not _is_there(root):
        yield Check(name="folder", text=f"{root} is not there yet")
    else:
        try:
            place.check_folder(database)
            yield Check(name="folder", text=f"{root} is yours alone to write to")
        except StoreError as error:
            yield Check(name="folder", status=Status.WRONG, text=error.message, hint=error.hint)
    yield _modes(database, root)
    kind = place.file_system(there.lstat().st_dev)
    if kind in place.NETWORK:
        yield Check(name="file system", status=Status.WRONG, text=f"{kind} is a network file system",
                    hint="choose a database on a local disk with --db")
    else:
        yield Check(name="file system", text=kind or "its type is not told here")
    free = shutil.disk_usage(there).free
    status, hint = (Status.NOTE, "make room") if free < ROOM_BYTES_MIN else (Status.OK, "")
    yield Check(name="disk", status=status, text=f"{free // 1024 ** 2} MB free", hint=hint)


def _modes(database: Path, root: Path) -> Check:
    """Owners and modes of all that is made beside the evidence."""
    files = [Path(f"{database}{ending}") for ending in ("", "-wal", "-shm")]
    notes: list[str] = []
    for path in (database.parent, root, *files, root / "write.lock"):
        try:
            found = path.lstat()
        except OSError:
            continue
        ours = path != database.parent
        mend = f"chmod {'700' if stat.S_ISDIR(found.st_mode) else '600'} {path}"
        if ours and found.st_uid != os.geteuid():
            return Check(name="modes", status=Status.WRONG, text=f"{path} belongs to user {found.st_uid}",
                         hint="run as that user, or choose another database with --db")
        if found.st_mode & 0o022 and (ours or not found.st_mode & stat.S_ISVTX):
            return Check(name="modes", status=Status.WRONG, text=f"others can write to {path}",
                         hint=f"look at what is in it, then: {mend}")
        if ours and found.st_mode & 0o044:
            notes.append(mend)
    if notes:
        return Check(name="modes", status=Status.NOTE, text="others can read what sagas keep", hint="; ".join(notes))
    return Check(name="modes", text="nobody else can read or write")


def _sqlite() -> Check:
    said = "" if sqlite3.sqlite_version_info >= SOUND_SQLITE else (
        "; before 3.51.3 it can corrupt a WAL that two connections reset at once: write.lock prevents that")
    return Check(name="sqlite", text=sqlite3.sqlite_version + said)


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
        elif each.state in (SagaState.RUNNING, SagaState.COMPENSATING):
            seen.live.append(each)
        if each.token not in held:
            _see_evidence(seen, each, root)
    return seen


def _see_evidence(seen: _Seen, saga: Summary, root: Path) -> None:
    """What the folder of a saga that nobody holds tells."""
    found = survey.look(root / saga.token)
    final = saga.state in FINAL
    if found is None:
        (seen.bare_final if final else seen.bare).append(saga.id)
        return
    seen.left += [str(root / saga.token / draft) for draft in found.drafts]
    if final and found.folders:
        seen.unfolded.append(saga.id)
    if not final:
        seen.resting[saga.token] = saga.id
        seen.at_work += [saga.id] if survey.at_work(root / saga.token, found.folders) else []


def _rows(seen: _Seen) -> Check:
    if not seen.damages:
        return Check(name="rows", text=f"{seen.sound} saga{'s' * (seen.sound != 1)}, all as they were written")
    said = _some([error.message for error in seen.damages], "; ")
    return Check(name="rows", status=Status.WRONG, text=f"{said}; {seen.sound} others are as they were written",
                 hint=RESTORE)


def _locks(root: Path, held: dict[str, survey.Holding]) -> Check:
    found = [("write.lock", _holding(root / "write.lock")), *held.items()]
    lines = [f"{name} by {holding}" for name, holding in found if holding]
    return Check(name="locks", text=f"held: {_some(lines, '; ')}" if lines else "none is held")


def _waiting(seen: _Seen, held: dict[str, survey.Holding]) -> Iterator[Check]:
    running = [each.id for each in seen.live if each.token in held]
    interrupted = [each.id for each in seen.live if each.token not in held]
    yield _listed("running", running, "none", Status.OK)
    yield _listed("interrupted", interrupted, "none", Status.NOTE, "sagactl resume --all")
    yield _listed("commands", seen.at_work, "none runs on by itself", Status.NOTE, "sagactl resume SAGA waits for it")
    yield _listed("escalated", seen.escalated, "none", Status.NOTE, "sagactl inspect SAGA says what a person has to do")


def _evidence(reader: Reader | None, seen: _Seen, root: Path, names: set[str]) -> Check:
    """What belongs together and does not: sagas without evidence, evidence without saga or newer than its saga."""
    known = seen.tokens if reader is None or names <= seen.tokens else seen.tokens | reader.look(checking.tokens)
    strange = () if seen.damages else [name for name in names - known if _has_claims(root / name)]
    newer = [] if reader is None else [
        saga for token, saga in seen.resting.items() if _is_newer(reader, saga, root / token)]
    if strange:
        return _listed("evidence", sorted(strange), "", Status.WRONG, "the database is older than its evidence, or "
                       "another one: restore its newest backup", "of sagas that the database does not have: ")
    if newer:
        return _listed("evidence", newer, "", Status.WRONG, "restore the newest backup; or resume: an attempt that was "
                       "made is read, never repeated", "newer than the database, of: ")
    if seen.bare:
        return _listed("evidence", seen.bare, "", Status.WRONG, "restore the folder; else what was running there is "
                       "in doubt when it is resumed", "missing, of: ")
    return _listed("evidence", seen.bare_final, "each saga has its own", Status.NOTE,
                   "what their commands printed is gone", "missing, of sagas that have ended: ")


def _leftovers(seen: _Seen, root: Path) -> Check:
    """What a kill left behind. It is in nobody's way and takes room."""
    left = [*seen.left, *(str(root / name) for name in survey.drafts(root))]
    if left:
        return Check(name="leftovers", status=Status.NOTE, text=f"drafts: {_some(left)}",
                     hint="they can be deleted while no sagactl runs")
    return _listed("leftovers", seen.unfolded, "none", Status.NOTE, "nothing is lost: it takes more room than it needs",
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


def _is_there(path: Path) -> bool:
    """Whether there is anything of that name that can be seen, be it a broken link."""
    try:
        path.lstat()
    except OSError:
        return False
    return True


def _holding(lock: Path) -> survey.Holding | None:
    try:
        return survey.holding(lock)
    except OSError:
        return None


def _listed(
    name: str, sagas: Sequence[str], none: str, status: Status, hint: str = "", before: str = "",
) -> Check:
    if not sagas:
        return Check(name=name, text=none)
    return Check(name=name, status=status, text=before + _some(sagas), hint=hint, sagas=tuple(sagas))


def _some(texts: Iterable[str], between: str = ", ") -> str:
    """The first of them, and how many more there are."""
    every = list(texts)
    more = [f"{len(every) - NAMES_MAX} more"] if len(every) > NAMES_MAX else []
    return between.join([*every[:NAMES_MAX], *more])
