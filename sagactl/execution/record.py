"""The record of one attempt: a file of three slots that claims it, fences it and keeps its outcome.

The claim: write a whole file under a temporary name, flock it, `link()` it to its name. So claim, lock and the space
for the outcome come into being at one instant, and a second claim fails. Whoever claims an attempt may run it; the
lock is held as long as it is in hand. Standard library only.
"""

from __future__ import annotations

import contextlib
import errno
import fcntl
import json
import os
import time
from binascii import crc32
from collections.abc import Iterable
from typing import Any, Final, NamedTuple

SLOT_BYTES: Final = 512
"""One sector: a slot is written by one write that no crash tears in practice, and a CRC tells if one did."""

CLAIM, STARTED, OUTCOME = range(3)
RECORD, STDOUT, STDERR, STOP, STDIN = FILES = ("record", "stdout", "stderr", "stop", "stdin")
"""What there is of an attempt beside its folder, which holds its outputs: see `path_of`."""

STREAMS: Final = (STDOUT, STDERR)
LOCK_POLL_S: Final = 0.01
LOCK_RETRY_S: Final = 0.2
"""Between vfork and exec a child holds its parent's locks: a taker tries this long before it believes them."""

NO_FILE: Final = frozenset({errno.ELOOP, errno.ENOTDIR, errno.EISDIR, errno.ESPIPE, errno.ENXIO})
"""What opening and reading say where a command has put something else in a record's place."""

UNCLAIMED: Final = 0o500
"""The mode of an attempt's folder until it is claimed."""

_FOLDER: Final = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC
_READ: Final = os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC | os.O_NONBLOCK
_NEW: Final = os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC
_HEAD: Final = 9
_TEXT_BYTES_MAX: Final = SLOT_BYTES - _HEAD - 1


TOLD_S: Final = 1.0
"""Who was told of an outcome has it in the journal within milliseconds. If not, its record is synced."""

TOLD_MAX: Final = 256
"""Records that may wait for that: each is an open file."""


class DamagedRecordError(Exception):
    """A record that is there and can't be trusted."""


class Record(NamedTuple):
    """What the slots hold; None for a slot that was never written."""

    claim: dict[str, Any]
    started: dict[str, Any] | None
    outcome: dict[str, Any] | None


def path_of(attempt: str, name: str) -> str:
    """One of the FILES of an attempt. It lies beside the attempt's folder, `attempt`, in the folder of its saga.

    To make a file in a folder that is in use costs a fiftieth of what it does in one that was just made.
    """
    return f"{attempt}.{name}"


def make_folder(attempt: str) -> None:
    """Make the folder of an attempt, so that it says that nobody has claimed it. Raises OSError."""
    os.makedirs(attempt, UNCLAIMED)


def open_folder(attempt: str) -> None:
    """Say in the folder of an attempt that it was claimed, which lets its command write there.

    Files may go and their folder stay. Raises OSError: there is no such folder any more, or it can't be opened now.
    """
    descriptor = os.open(attempt, _FOLDER)
    try:
        os.fchmod(descriptor, 0o700)
    finally:
        os.close(descriptor)


def claim(attempt: str, slot: dict[str, Any], outcome: dict[str, Any] | None = None) -> int:
    """Claim an attempt, with its outcome where that is known; the descriptor holds the lock.

    Raises:
        FileExistsError: it is claimed already.
        OSError: no claim was made, for another reason.
    """
    temporary = f"{os.path.dirname(attempt)}/.claim-{os.getpid()}-{time.monotonic_ns()}"
    descriptor = os.open(temporary, _NEW, 0o600)
    try:
        whole = _encode(slot) + bytes(SLOT_BYTES) + (_encode(outcome) if outcome else bytes(SLOT_BYTES))
        _write(descriptor, whole, 0)
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        os.link(temporary, path_of(attempt, RECORD))
    except BaseException:
        os.close(descriptor)
        raise
    finally:
        with contextlib.suppress(OSError):  # once it is linked the attempt is claimed, whatever becomes of this name
            os.unlink(temporary)
    return descriptor


def write_slot(descriptor: int, index: int, slot: dict[str, Any]) -> None:
    """Overwrite one slot in place, at one go. Raises OSError."""
    _write(descriptor, _encode(slot), index * SLOT_BYTES)


class Told:
    """The records of which the orchestrator was told, by attempt, as long as nobody has made their outcome durable.

    That is the journal, in the transaction that it makes at once; else it is `sync`. Before, a power cut leaves the
    attempt in doubt.
    """

    def __init__(self) -> None:
        self._open: dict[str, tuple[float, int]] = {}

    @property
    def at_s(self) -> float:
        """When `sync` has something to do."""
        return next((at_s for at_s, _ in self._open.values()), float("inf"))

    def add(self, identity: str, descriptor: int, now_s: float) -> None:
        """Take on a record that is open. It is closed some time."""
        self._open[identity] = (now_s + TOLD_S, descriptor)

    def kept(self, identities: Iterable[str]) -> None:
        """The journal has the outcomes of these."""
        for identity in identities:
            if identity in self._open:
                os.close(self._open.pop(identity)[1])

    def sync(self, now_s: float) -> None:
        """Make durable what waits for too long; what was folded away meanwhile is so already."""
        while self._open and (self.at_s <= now_s or len(self._open) > TOLD_MAX):
            _, descriptor = self._open.pop(next(iter(self._open)))
            with contextlib.suppress(OSError):  # read back from the cache; a power cut makes it in doubt
                if os.fstat(descriptor).st_nlink:
                    os.fdatasync(descriptor)
            os.close(descriptor)


def stop_word(attempt: str) -> str:
    """What the file `stop` of an attempt says; "" where there is none, or none of ours."""
    try:
        descriptor = os.open(path_of(attempt, STOP), _READ)
        try:
            return os.read(descriptor, 64).decode("ascii", "replace")
        finally:
            os.close(descriptor)
    except OSError:
        return ""


def restore(attempt: str, slot: dict[str, Any], outcome: dict[str, Any]) -> None:
    """Put the record of an attempt back where its own command removed it: without one it would be run again.

    Raises OSError.
    """
    try:
        os.lstat(path_of(attempt, RECORD))
    except FileNotFoundError:
        with contextlib.suppress(FileExistsError, FileNotFoundError):  # all evidence has gone, and with it the database
            saga = os.path.dirname(attempt)
            if not os.path.isdir(saga):
                os.mkdir(saga, mode=0o700)
            os.close(claim(attempt, slot, outcome))
    except OSError:
        pass  # it can't be looked at, so it is there


def read(attempt: str) -> Record | None:
    """The record of an attempt, None where nobody has claimed it.

    Raises:
        DamagedRecordError: there is one, and a CRC or its form is wrong. While its lock is held that may be a slot
            that is just being written.
        OSError: it can't be read now.
    """
    path = path_of(attempt, RECORD)
    try:
        descriptor = os.open(path, _READ)
        try:
            raw = os.pread(descriptor, 3 * SLOT_BYTES + 1, 0)
        finally:
            os.close(descriptor)
    except FileNotFoundError:
        return None
    except OSError as error:
        if error.errno in NO_FILE:
            raise DamagedRecordError(f"{path} is no regular file") from error
        raise
    if len(raw) != 3 * SLOT_BYTES:
        raise DamagedRecordError(f"{path} has {len(raw)} bytes")
    slots = [_decode(raw[i * SLOT_BYTES : (i + 1) * SLOT_BYTES], path) for i in range(3)]
    if slots[CLAIM] is None:
        raise DamagedRecordError(f"{path} has an empty claim")
    return Record(slots[CLAIM], slots[STARTED], slots[OUTCOME])


def is_held(path: str, retry_s: float = LOCK_RETRY_S) -> bool:
    """Whether a live process holds the flock of a file. False where there is no file."""
    try:
        descriptor = os.open(path, _READ)
    except FileNotFoundError:
        return False
    try:
        return not take_lock(descriptor, fcntl.LOCK_SH, retry_s)
    finally:
        os.close(descriptor)


def take_lock(descriptor: int, kind: int, retry_s: float = LOCK_RETRY_S) -> bool:
    """Take a flock of that kind (LOCK_EX, LOCK_SH), trying for `retry_s` seconds. Blocks no longer than that."""
    deadline_s = time.monotonic() + retry_s
    while True:
        try:
            fcntl.flock(descriptor, kind | fcntl.LOCK_NB)
        except BlockingIOError:
            if time.monotonic() >= deadline_s:
                return False
            time.sleep(LOCK_POLL_S)
        else:
            return True


def _write(descriptor: int, data: bytes, at: int) -> None:
    if os.pwrite(descriptor, data, at) < len(data):
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))


def _encode(slot: dict[str, Any]) -> bytes:
    text = json.dumps(slot, separators=(",", ":")).encode()
    if len(text) > _TEXT_BYTES_MAX:
        raise ValueError(f"a slot of {len(text)} bytes")
    return b"%08x " % crc32(text) + text.ljust(_TEXT_BYTES_MAX) + b"\n"


def _decode(raw: bytes, path: str) -> Any:
    if not raw.strip(b"\0"):
        return None
    text = raw[_HEAD:].rstrip(b" \n")
    if raw[:_HEAD] != b"%08x " % crc32(text):
        raise DamagedRecordError(f"{path}: a checksum is wrong")
    return json.loads(text)
