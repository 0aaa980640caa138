"""`sagactl prune`: delete sagas that have ended, with all that was kept of them.

A saga goes in this order, under its own lock: its evidence, its row with all its events, its lock and its folder. So a
kill leaves either a saga without evidence, which the next prune takes, or an empty folder, which it takes in time; and
who wants to take that saga on either has it before that, or finds that there is none.
"""

from __future__ import annotations

import contextlib
import re
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from functools import partial
from math import inf, nextafter
from pathlib import Path
from typing import Annotated, Final

import typer

from sagactl.cli import wiring
from sagactl.cli.asking import agreed
from sagactl.cli.options import Common, Form, Yes
from sagactl.cli.output import complain, json_line, result, say, warn
from sagactl.cli.render.text import iso
from sagactl.core.states import FINAL, SagaState
from sagactl.errors import LockedError, NotFoundError, StoreError, UsageError
from sagactl.execution import survey
from sagactl.execution.evidence import Evidence
from sagactl.journal import checking, place, pruning
from sagactl.journal.listing import Row
from sagactl.journal.pruning import Ended, Found
from sagactl.journal.reading import Reader

BATCH_MAX: Final = 64
"""Sagas that are locked at once and share a transaction: others wait for either a few hundredths of a second."""

STRAY_S: Final = 3600.0
"""A folder without a saga that is younger may belong to one that is just beginning."""

_TOKEN: Final = re.compile("[0-9a-f]+")
_UNITS: Final = ("bytes", "KB", "MB", "GB", "TB")


@dataclass(slots=True, kw_only=True)
class _Done:
    """What went, or with `dry_run` would, and why the rest did not."""

    common: Common
    dry_run: bool
    ids: list[str] = field(default_factory=list)
    sagas: int = 0
    bytes: int = 0
    folders: int = 0
    foreign: int = 0
    held: int = 0
    codes: list[int] = field(default_factory=list)
    heard: list[int] = field(default_factory=list)
    """Signals to end: what is at work is ended whole, and no more begun."""

    def tell(self, rows: Sequence[tuple[Row, int]]) -> None:
        """These are gone: each with its bytes."""
        for row, size in rows:
            saga = row.summary
            self.sagas, self.bytes = self.sagas + 1, self.bytes + size
            match self.common.form:
                case Form.JSON:
                    self.ids.append(saga.id)
                case Form.JSONL:
                    json_line({"schema": 1, "id": saga.id, "name": saga.name, "state": saga.state,
                               "changed": iso(saga.changed_s), "bytes": size, "dry_run": self.dry_run})
                case _ if self.common.quiet:
                    result(saga.id)
                case _ if self.dry_run:
                    result(f"{saga.state:11}  {iso(saga.changed_s)}  {_size(size):>9}  {saga.id}")

    def conclude(self) -> None:
        """All of it in one line; what there is to know besides on stderr."""
        if self.common.form is Form.JSON:
            json_line({"schema": 1, "pruned": self.ids, "dry_run": self.dry_run, "bytes": self.bytes,
                       "folders": self.folders})
        elif self.common.human:
            verb = "would prune" if self.dry_run else "pruned"
            if self.sagas:
                result(f"{verb} {_count(self.sagas, 'saga')}, {_size(self.bytes)}")
            elif not self.codes:
                result("nothing to prune")
        if self.folders and not self.common.quiet:
            say(f"{'there are' if self.dry_run else 'removed'} {_count(self.folders, 'empty folder')} "
                "that a kill has left")
        if self.held:
            say(f"left out {_count(self.held, 'saga')} that a live process holds")
        if self.foreign:
            warn(f"{_count(self.foreign, 'folder')} with evidence of sagas that the database does not have: "
                 "sagactl doctor names them")


def prune(
    *,
    older_than: Annotated[str | None, typer.Option("--older-than", metavar="AGE", show_default=False, help=(
        "Only those that ended longer ago: 12h, 30d, 2w."
    ))] = None,
    state: Annotated[str | None, typer.Option("--state", metavar="S[,S...]", show_default=False, help=(
        "Only these: completed, compensated, abandoned."
    ))] = None,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Only say what would be deleted.")] = False,
    yes: Yes = False,
    common: Common,
) -> int:
    """Delete sagas that have ended, with their events and what their commands printed.

    Without --older-than all of them. One that is not completed, compensated or abandoned is never deleted.

    Example: sagactl prune --older-than 30d --dry-run
    """
    from sagactl.signals import noted

    wanted = Ended(states=_states(state), before_s=_before_s(older_than))
    done = _Done(common=common, dry_run=dry_run)
    reader = wiring.reader(common.database)
    if reader is not None:
        found = reader.look(partial(pruning.find, wanted=wanted))
        if found.keys and not dry_run and not yes:
            _ask(common, found)
        agreed_on = replace(wanted, before_s=min(wanted.before_s, nextafter(found.newest_s, inf)))
        with noted() as done.heard:
            try:
                _take(reader, found, agreed_on, done)
                _strays(reader, done)
            except BaseException:
                if done.sagas or done.folders:  # a full disk: what is gone is gone
                    done.conclude()
                raise
            done.conclude()
    else:
        done.conclude()
    return max([*done.codes, *(128 + number for number in done.heard[:1])], default=0)


def _states(text: str | None) -> frozenset[SagaState]:
    """Raises UsageError."""
    wanted = FINAL if text is None else frozenset(text.split(","))
    if wrong := sorted(wanted - FINAL):
        raise UsageError(f"only what has ended is pruned, and not {', '.join(wrong)}",
                         hint=f"states: {', '.join(sorted(FINAL))}")
    return frozenset(map(SagaState, wanted))


def _before_s(older_than: str | None) -> float:
    """Raises UsageError."""
    from sagactl.definition.durations import age_s

    try:
        return inf if older_than is None else time.time() - age_s(older_than)
    except ValueError as error:
        raise UsageError(f"--older-than {older_than}: {error}") from None


def _ask(common: Common, found: Found) -> None:
    """Raises UsageError: nobody can be asked, or does not want it."""
    which = f"{_count(len(found.keys), 'saga')}, the last of which ended {iso(found.newest_s)}"
    about = f"{which}, and the first {iso(found.oldest_s)}" if len(found.keys) > 1 else which
    if not agreed(common, [f"This would be deleted: {about}."], f"this deletes {which}",
                  "Delete them, with their events and what their commands printed?"):
        raise UsageError("nothing was deleted")


def _take(reader: Reader, found: Found, wanted: Ended, done: _Done) -> None:
    """Delete what was found, or with --dry-run tell of it."""
    if not done.dry_run and found.keys:
        import anyio

        anyio.run(_delete, reader, found, wanted, done)
        return
    for keys in _batches(found, done):
        evidence = wiring.evidence(done.common.database)
        done.tell(_weigh(reader, evidence, _rows(reader, keys, wanted, done)))


async def _delete(reader: Reader, found: Found, wanted: Ended, done: _Done) -> None:
    evidence = wiring.evidence(done.common.database)
    async with wiring.journal(done.common.database) as journal:
        for keys in _batches(found, done):
            with contextlib.ExitStack() as locks:
                held = [row for row in _rows(reader, keys, wanted, done) if _lock(evidence, row, locks, done)]
                now = _rows(reader, [row.key for row in held], wanted, done)  # until here each could go on
                cleared = [each for each in _weigh(reader, evidence, now) if _clear(evidence, each[0], done)]
                try:
                    await journal.forget([row for row, _ in cleared])
                finally:  # a full disk: what is gone is told of
                    gone = reader.look(partial(pruning.gone, sagas=held))
                    for row in gone:
                        evidence.discard(row.summary.token)
                    done.tell([each for each in cleared if each[0] in gone])
        while not done.heard and await journal.shrink():
            pass


def _batches(found: Found, done: _Done) -> Iterator[Sequence[int]]:
    for begin in range(0, len(found.keys), BATCH_MAX):
        if done.heard:
            return
        yield found.keys[begin:begin + BATCH_MAX]


def _rows(reader: Reader, keys: Sequence[int], wanted: Ended, done: _Done) -> list[Row]:
    rows, damages = reader.look(partial(pruning.rows, keys=keys, wanted=wanted))
    done.codes += [complain(error) for error in damages]
    return rows


def _weigh(reader: Reader, evidence: Evidence, rows: Sequence[Row]) -> list[tuple[Row, int]]:
    """Each with how many bytes its events and its evidence hold."""
    events = reader.look(partial(pruning.events_bytes, sagas=rows))
    return [(row, held + evidence.bytes_of(row.summary.token)) for row, held in zip(rows, events, strict=True)]


def _lock(evidence: Evidence, row: Row, locks: contextlib.ExitStack, done: _Done) -> bool:
    """Whether a saga is ours now, until `locks` ends."""
    try:
        locks.enter_context(evidence.lock(row.summary.token, wiring.me(), time.time()))
    except LockedError:
        done.held += 1
    except NotFoundError:
        pass  # another prune has just deleted it
    except StoreError as error:
        done.codes.append(complain(error))
    else:
        return True
    return False


def _clear(evidence: Evidence, row: Row, done: _Done) -> bool:
    """Whether all evidence of a saga is gone."""
    try:
        evidence.clear(row.summary.token)
    except StoreError as error:
        done.codes.append(complain(error))
        return False
    return True


def _strays(reader: Reader, done: _Done) -> None:
    """Remove the folders without saga that a kill has left, which hold nothing: not what a lost database has left.

    Which saga each folder is of is only read where there are more folders than sagas: of a million that takes seconds.
    """
    root, evidence = place.folder_of(done.common.database), wiring.evidence(done.common.database)
    if not root.is_dir():
        return
    if sum(1 for _ in root.iterdir()) - 1 <= sum(reader.count_by_state().values()):  # less write.lock
        return
    names = {name for name in survey.tokens(root) if _TOKEN.fullmatch(name)}  # first: then its saga is in the database
    for name in sorted(names - reader.look(checking.tokens)):
        if done.heard:
            return
        with contextlib.suppress(LockedError, OSError):
            if time.time() - _changed_s(root / name) < STRAY_S:
                continue
            found = survey.look(root / name)
            if found is None or found.claimed:
                done.foreign += found is not None
            elif not done.dry_run:
                with evidence.lock(name, wiring.me(), time.time()):
                    evidence.discard(name)
                done.folders += not (root / name).exists()
            else:
                done.folders += not evidence.is_held(name)


def _changed_s(folder: Path) -> float:
    """When somebody last made something there, or held its lock."""
    lock = folder / "lock"
    return max(each.lstat().st_mtime for each in (folder, lock) if each == folder or lock.exists())


def _count(number: int, what: str) -> str:
    return f"{number:,} {what}{'s' * (number != 1)}"


def _size(count: int) -> str:
    """As people say it: `512 bytes`, `41 KB`, `3.2 GB`."""
    size, unit = float(count), 0
    while size >= 1024 and unit < len(_UNITS) - 1:
        size, unit = size / 1024, unit + 1
    return f"{size:.1f} {_UNITS[unit]}" if unit and size < 10 else f"{size:.0f} {_UNITS[unit]}"
