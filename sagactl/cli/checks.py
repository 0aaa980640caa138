"""One check of `doctor`, and those of what sagas live on: settings, folder, modes, file system, disk, SQLite."""

from __future__ import annotations

import os
import shutil
import sqlite3
import stat
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from typing import Final

from sagactl.cli.options import Common, grace_s
from sagactl.errors import StoreError, UsageError
from sagactl.journal import place

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


def listed(
    name: str, sagas: Sequence[str], none: str, status: Status, hint: str = "", before: str = "",
) -> Check:
    if not sagas:
        return Check(name=name, text=none)
    return Check(name=name, status=status, text=before + some(sagas), hint=hint, sagas=tuple(sagas))


def some(texts: Iterable[str], between: str = ", ") -> str:
    """The first of them, and how many more there are."""
    every = list(texts)
    more = [f"{len(every) - NAMES_MAX} more"] if len(every) > NAMES_MAX else []
    return between.join([*every[:NAMES_MAX], *more])


def settings(common: Common) -> Iterator[Check]:
    def whence(name: str) -> str:
        return common.origins[name].replace("default", "the default")

    yield Check(name="settings", text=f"{common.database}, from {whence('db')}")
    settings = {"output": common.form, "progress": common.progress, "color": common.color,
                "no_input": "yes" if common.no_input else "no"}
    yield Check(name="options", text="; ".join(f"{name.replace('_', '-')} {value}, from {whence(name)}"
                                                for name, value in settings.items()))


def grace() -> Check:
    by = "$SAGACTL_GRACE" if "SAGACTL_GRACE" in os.environ else "the default"
    try:
        return Check(name="grace", text=f"{grace_s():g}s after TERM, from {by}")
    except UsageError as error:
        return Check(name="grace", status=Status.WRONG, text=error.message, hint="mend or unset SAGACTL_GRACE")


def places(database: Path) -> Iterator[Check]:
    root = place.folder_of(database)
    there = next(each for each in (root, *root.parents) if _is_there(each))
    if not _is_there(root):
        yield _writable(database, there) or Check(name="folder", text=f"{root} is not there yet")
    else:
        try:
            place.check_folder(database)
            yield _writable(database, there) or Check(name="folder", text=f"{root} is yours alone to write to")
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


def _writable(database: Path, there: Path) -> Check | None:
    """What is wrong where nothing can be written; None where it can. `there`: the nearest folder that there is."""
    for path in (there, database.parent, database):
        if _is_there(path) and not os.access(path, os.W_OK):
            read_only = os.statvfs(path).f_flag & os.ST_RDONLY
            why, mend = ("its file system is read-only", "mount it to be written to") if read_only else (
                "its permissions forbid it", "mend its permissions")
            return Check(name="folder", status=Status.WRONG, text=f"{path} can't be written to: {why}",
                         hint=f"{mend}, or choose another database with --db")
    return None


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
        if found.st_mode & (0o022 if ours else 0o002) and (ours or not found.st_mode & stat.S_ISVTX):
            return Check(name="modes", status=Status.WRONG, text=f"others can write to {path}",
                         hint=f"look at what is in it, then: {mend}")
        if ours and found.st_mode & 0o044:
            notes.append(mend)
    if notes:
        return Check(name="modes", status=Status.NOTE, text="others can read what sagas keep", hint="; ".join(notes))
    return Check(name="modes", text="nobody else can read or write")


def sqlite() -> Check:
    said = "" if sqlite3.sqlite_version_info >= SOUND_SQLITE else (
        "; before 3.51.3 it can corrupt a WAL that two connections reset at once: write.lock prevents that")
    return Check(name="sqlite", text=sqlite3.sqlite_version + said)


def _is_there(path: Path) -> bool:
    """Whether there is anything of that name that can be seen, be it a broken link."""
    try:
        path.lstat()
    except OSError:
        return False
    return True
