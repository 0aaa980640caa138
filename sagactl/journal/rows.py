"""What a row of the journal looks like: checksums, packing, and SQLite's errors in our words.

Rule: what is here is the format on disk; a change of it is a new version of the database. Knows nothing of files.
"""

from __future__ import annotations

import sqlite3
import zlib
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final

from sagactl.errors import DamagedError, StoreError
from sagactl.plain import dumps

PACK_ABOVE_BYTES: Final = 512
"""Longer texts are deflated: a start with its environment is else half the size of its saga."""

PACKED_BYTES_MAX: Final = 64 * 1024 * 1024
"""No event is longer than this when unpacked; a saga's outputs are at most 64 KiB each."""

SUMMARY_COLUMNS: Final = ("id", "token", "name", "definition", "state", "seq", "chain", "created_s", "changed_s",
                          "steps_done", "steps_total", "why")
"""The columns of `sagas` that its CRC covers, in this order."""

_HINTS: Final = {
    "FULL": ("the disk is full", "make room, then: sagactl resume --all"),
    "READONLY": ("it is read-only", "check the permissions of the file and of its folder"),
    "PERM": ("permission denied", "check the permissions of the file and of its folder"),
    "CANTOPEN": ("it can't be opened", "check the permissions of the file and of its folder"),
    "BUSY": ("another program keeps it locked", "end what else has it open (a database browser, a backup)"),
    "LOCKED": ("another program keeps it locked", "end what else has it open (a database browser, a backup)"),
    "IOERR": ("reading or writing failed", "check the disk, its free space and the limits of this process (ulimit -f)"),
    "TOOBIG": ("an event is too large", "make the outputs of the step smaller"),
    "NOMEM": ("there is no memory left", "make room in memory, then try again"),
}
_DAMAGED: Final = ("CORRUPT", "NOTADB")
RESTORE: Final = "move the database, its -wal and its -shm away, keep them, then put a backup there"


def event_crc(token: str, seq: int, kind: str, data: str | bytes) -> int:
    """CRC-32 of an event row in its place. Text and BLOB of the same bytes differ."""
    form, raw = ("text", data.encode()) if isinstance(data, str) else ("blob", data)
    return zlib.crc32(raw, zlib.crc32(f"{token}\0{seq}\0{kind}\0{form}\0".encode()))


def chained(chain: int, crc: int) -> int:
    """The chain of a saga, which begins with 0, after one more event."""
    return zlib.crc32(crc.to_bytes(4, "big"), chain)


def summary_crc(values: Sequence[Any]) -> int:
    """CRC-32 of a row of `sagas`, from the values of SUMMARY_COLUMNS.

    Raises:
        TypeError, ValueError: the values are none that were ever written.
    """
    return zlib.crc32(dumps(list(values)).encode())


def pack(text: str) -> str | bytes:
    """A JSON text as `events.data` keeps it.

    Lone surrogates (bytes of a path that are no UTF-8) stand only inside JSON strings, where their escape means the
    same and can be encoded.
    """
    raw = text.encode("utf-8", "backslashreplace")
    return zlib.compress(raw) if len(raw) > PACK_ABOVE_BYTES else raw.decode()


def unpack(data: str | bytes) -> str:
    """The inverse of `pack`.

    Raises:
        ValueError: the data was not made by `pack`.
    """
    if isinstance(data, str):
        return data
    inflate = zlib.decompressobj()
    try:
        raw = inflate.decompress(data, PACKED_BYTES_MAX)
    except zlib.error as error:
        raise ValueError(f"not deflated: {error}") from error
    if not inflate.eof:
        raise ValueError("cut short, or far too long")
    return raw.decode()


def store_error(error: sqlite3.Error, doing: str, path: Path) -> StoreError:
    """What went wrong, where, and what to do. DamagedError where SQLite itself finds the file damaged."""
    name, kind = _named(error)
    if is_damage(error):
        return DamagedError(f"can't {doing} {path}: the database is damaged ({error})", hint=RESTORE)
    what, hint = _HINTS.get(kind, (str(error), ""))
    return StoreError(f"can't {doing} {path}: {what} ({name or type(error).__name__})", hint=hint)


def is_damage(error: Exception) -> bool:
    """Whether an error says that what is in the file is not what was written."""
    if isinstance(error, sqlite3.Error):
        return _named(error)[1] in _DAMAGED or "decode to UTF-8" in str(error)
    return isinstance(error, DamagedError | UnicodeDecodeError)


def is_busy(error: sqlite3.Error) -> bool:
    """Whether an error says that another program has a lock, which it may let go."""
    return _named(error)[1] == "BUSY"


def _named(error: sqlite3.Error) -> tuple[str, str]:
    """SQLite's name of an error, and its first word: ("IOERR_WRITE", "IOERR")."""
    name = (getattr(error, "sqlite_errorname", None) or "").removeprefix("SQLITE_")
    return name, name.split("_")[0]


@contextmanager
def explained(doing: str, path: Path) -> Iterator[None]:
    """SQLite's errors leave this context as StoreError; text that is no UTF-8, be it that of an error, as damage."""
    try:
        yield
    except sqlite3.Error as error:
        raise store_error(error, doing, path) from error
    except UnicodeDecodeError as error:
        raise DamagedError(f"can't {doing} {path}: the database is damaged ({error})", hint=RESTORE) from error
