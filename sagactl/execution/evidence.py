"""Where the evidence of attempts lies: folders, names and the lock of a saga, beside the database that it belongs to.

    <db>.d/<saga token>/lock
    <db>.d/<saga token>/folded                      the attempts of a final saga, one JSON line each
    <db>.d/<saga token>/<step no>.<phase>.<n>/      an attempt: what it leaves in $SAGA_OUTPUT_DIR, which this is
    <db>.d/<saga token>/<step no>.<phase>.<n>.*     its record, stdout, stderr, stop

Folders are 0700 and files 0600. All names are made here and in `record`, from numbers and random tokens; never from a
user's text.
"""

from __future__ import annotations

import contextlib
import errno
import fcntl
import json
import os
import re
import shutil
from collections.abc import Iterator, Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, NamedTuple

from sagactl.errors import LockedError, NotFoundError, StoreError
from sagactl.execution import capture, record

if TYPE_CHECKING:
    from sagactl.core.parts import Actor
    from sagactl.core.saga import Saga

FOLDED = "folded"
DRAFTS = (".claim-", ".stop-", ".folded-")
"""So begin the names of files that are not whole yet."""

KEPT_BYTES_MAX = 64 * 1024
"""Of each stream of an attempt, its end is kept when a saga is final."""

_OURS = re.compile(rf"(\d+\.(?:action|undo|check)\.\d+)(?:\.({'|'.join(record.FILES)}))?", re.ASCII)
_OPEN = os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC


class Contents(NamedTuple):
    """What is in the folder of a saga, by name: of each attempt "" for its folder, else which of its files; drafts."""

    attempts: Mapping[str, Sequence[str]]
    drafts: Sequence[str]


class Evidence:
    """The evidence beside one database. Paths are made; only `lock`, `discard`, `clear` and `fold` write."""

    def __init__(self, database: Path) -> None:
        self.root = Path(f"{database}.d")

    def saga_folder(self, token: str) -> Path:
        return self.root / token

    def attempt(self, token: str, name: str) -> str:
        """The path of an attempt: of its folder, and what `record.path_of` wants. A text, for this is made often."""
        return f"{self.root}/{token}/{name}"

    @contextlib.contextmanager
    def lock(self, token: str, holder: Actor, since_s: float) -> Iterator[None]:
        """Hold a saga for as long as the context lasts; only one process can.

        Raises:
            LockedError: a live process holds it; says which, since when.
            NotFoundError: it was pruned at this instant.
            StoreError: the lock can't be made, opened or taken.
        """
        path = f"{self.root}/{token}/lock"
        try:
            os.makedirs(os.path.dirname(path), mode=0o700, exist_ok=True)
            descriptor = os.open(path, _OPEN, 0o600)
        except FileNotFoundError:  # between the two the folder went away
            raise NotFoundError("the saga was deleted just now", hint="sagactl list shows what there is") from None
        except OSError as error:
            raise StoreError(f"can't open {path}: {error.strerror}") from error
        try:
            try:
                if not record.take_lock(descriptor, fcntl.LOCK_EX):
                    raise LockedError(f"held by {_holder(descriptor)}")
                said = {"pid": holder.pid, "host": holder.host, "user": holder.user, "since": since_s}
                with contextlib.suppress(OSError):  # a full disk: then only the name is missing
                    # Not cut to nothing first: ext4 then writes the file to disk when it is closed.
                    os.ftruncate(descriptor, os.pwrite(descriptor, json.dumps(said).encode(), 0))
            except OSError as error:
                raise StoreError(f"can't take the lock {path}: {error.strerror}") from error
            yield
        finally:
            os.close(descriptor)

    def discard(self, token: str) -> None:
        """Remove the folder of a saga that never began, if it holds nothing but its lock and empty folders."""
        folder = self.saga_folder(token)
        with contextlib.suppress(OSError):
            for path in folder.iterdir():
                if path.name != "lock":
                    path.rmdir()  # fails where there is anything else: then that stays
            (folder / "lock").unlink()
            folder.rmdir()

    def clear(self, token: str) -> None:
        """Remove all evidence of a saga but its lock, which the caller holds. May be called twice.

        Raises:
            StoreError: something can't be removed.
        """
        folder = self.saga_folder(token)
        try:
            for name in sorted(os.listdir(folder)):  # so the folder of an attempt goes before its record
                if name != "lock":
                    _remove(f"{folder}/{name}")
        except (OSError, RecursionError) as error:  # folders a thousand deep
            raise StoreError(f"can't remove the evidence in {folder}: {error}",
                             hint="look at what is there, then prune again") from error

    def bytes_of(self, token: str) -> int:
        """How much the files of a saga hold, as far as they can be seen; its lock is none of it."""
        return sum(_size(Path(folder, name))
                   for folder, _, names in os.walk(self.saga_folder(token)) for name in names if name != "lock")

    def is_held(self, token: str) -> bool:
        """Whether a live process holds that saga now."""
        return record.is_held(f"{self.root}/{token}/lock", retry_s=0.0)

    def folded(self, token: str) -> dict[str, dict[str, Any]]:
        """What was folded of a saga, by attempt name; empty where nothing was. Raises StoreError: it is damaged."""
        path = f"{self.root}/{token}/{FOLDED}"
        try:
            with open(path, encoding="utf-8", errors="surrogateescape") as file:
                return {line["attempt"]: line for line in map(json.loads, file)}
        except FileNotFoundError:
            return {}
        except (ValueError, KeyError, TypeError, RecursionError) as error:
            raise StoreError(f"{path} is damaged: {type(error).__name__}: {error}",
                             hint="restore it from a backup, or move it away: it holds what ended attempts have left") \
                from error

    def is_folded(self, token: str) -> bool:
        """Whether no attempt of that saga has a folder or a file. Raises OSError."""
        found = contents(self.saga_folder(token))
        return not (found and found.attempts)

    def fold(self, token: str, masks: Mapping[str, Sequence[str] | None] = MappingProxyType({})) -> None:
        """Put the attempts of a final saga into one file, then remove what there is of them. May be called twice.

        The file is whole before anything goes, so a crash at any line loses nothing. The folder of an attempt goes
        first, its record after it: a claim that is made then finds no folder. `masks` is what the function of that name
        gives: what a process wrote that its command left running was not masked yet.

        Raises:
            StoreError: the evidence can't be read or written.
        """
        folder = f"{self.root}/{token}"
        try:
            found = contents(folder)
            if not (found and found.attempts):
                return
            for name in found.drafts:
                _remove(f"{folder}/{name}")
            known = self.folded(token)
            if fresh := {name: parts for name, parts in found.attempts.items() if name not in known}:
                for name, parts in sorted(fresh.items()):
                    known[name] = _attempt(f"{folder}/{name}", parts, masks.get(name.split(".")[0], ()))
                _write_whole(folder, "".join(json.dumps(line) + "\n" for line in known.values()))
            for name, parts in found.attempts.items():
                path = f"{folder}/{name}"
                for part in sorted(parts):
                    _remove(record.path_of(path, part) if part else path, is_folder=not part)
        except FileNotFoundError:
            return
        except (OSError, RecursionError) as error:  # folders a thousand deep
            raise StoreError(f"can't tidy up the evidence in {folder}: {error}") from error


def _size(path: Path) -> int:
    try:
        return path.lstat().st_size
    except OSError:
        return 0


def is_attempt(name: str) -> bool:
    """Whether an attempt is named so."""
    ours = _OURS.fullmatch(name)
    return bool(ours and not ours[2])


def contents(folder: str | Path) -> Contents | None:
    """One look at the folder of a saga, None where there is none. Raises OSError."""
    attempts: dict[str, list[str]] = {}
    drafts = []
    try:
        names = os.listdir(folder)
    except (FileNotFoundError, NotADirectoryError):
        return None
    for name in names:
        if ours := _OURS.fullmatch(name):
            attempts.setdefault(ours[1], []).append(ours[2] or "")
        elif name.startswith(DRAFTS):
            drafts.append(name)
    return Contents(attempts, drafts)


def _remove(path: str, *, is_folder: bool = False) -> None:
    """Remove what should be a file or an empty folder, and whatever else a command put there. No link is followed."""
    try:
        if is_folder:
            os.rmdir(path)
        else:
            os.unlink(path)
    except FileNotFoundError:
        pass
    except OSError:
        if os.path.isdir(path) and not os.path.islink(path):
            shutil.rmtree(path)
        elif is_folder:
            os.unlink(path)
        else:
            raise


def masks(saga: Saga, secrets: Mapping[str, str] | None) -> dict[str, Sequence[str] | None]:
    """The secrets that an attempt may have printed, by the place of its step; None where nobody knows them any more."""
    return {
        str(place): None if secrets is None else [secrets[name] for name in step.secrets]
        for place, step in enumerate(saga.definition.steps) if step.secrets
    }


def _attempt(attempt: str, parts: Sequence[str], secrets: Sequence[str] | None) -> dict[str, Any]:
    """An attempt as it is folded; of what it printed nothing where that could hold secrets that nobody knows."""
    try:
        found = record.read(attempt) if record.RECORD in parts else None
    except record.DamagedRecordError:
        found = None
    slots = dict(zip(("claim", "started", "outcome"), found, strict=True)) if found else {}
    streams: dict[str, Any] = {}
    capture.mask(attempt, secrets or ())
    for name in record.STREAMS:
        path = record.path_of(attempt, name)
        text, streams[f"{name}_bytes"] = _tail(path, KEPT_BYTES_MAX, "surrogateescape") if name in parts else ("", 0)
        streams[name] = "" if secrets is None else capture.masked(text, secrets)
    return {"attempt": os.path.basename(attempt), **slots, **streams}


def tail(path: str, bytes_max: int) -> str:
    """The end of a captured stream, as text; "" where none can be read. Bytes that are no UTF-8 become U+FFFD."""
    try:
        return _tail(path, bytes_max)[0]
    except OSError:
        return ""


def _tail(path: str, bytes_max: int, errors: str = "replace") -> tuple[str, int]:
    """The end of a captured stream and the size of the whole. Raises OSError: there is one that can't be read now."""
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC)
        try:
            size = os.fstat(descriptor).st_size
            return os.pread(descriptor, bytes_max, max(0, size - bytes_max)).decode("utf-8", errors), size
        finally:
            os.close(descriptor)
    except OSError as error:
        if error.errno in (errno.ENOENT, *record.NO_FILE):  # a command may have put something else there
            return "", 0
        raise


def _write_whole(folder: str, text: str) -> None:
    temporary = f"{folder}/.{FOLDED}-new"  # of one name: who holds the lock has removed what a kill left
    descriptor = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600)
    try:
        with os.fdopen(descriptor, "w", encoding="utf-8", errors="surrogateescape") as file:
            file.write(text)
            file.flush()
            os.fsync(descriptor)
        os.rename(temporary, f"{folder}/{FOLDED}")
    except OSError:
        _remove(temporary)
        raise


def _holder(descriptor: int) -> str:
    try:
        said = json.loads(os.pread(descriptor, 4096, 0))
        since = iso(said["since"])
        return f"process {said['pid']} of {said['user']} on {said['host']} since {since}"
    except (ValueError, KeyError, TypeError, OverflowError):
        return "another process, which is just taking it"


def iso(at_s: float) -> str:
    """RFC 3339 UTC, to the second."""
    return datetime.fromtimestamp(at_s, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
