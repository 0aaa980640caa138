"""The record of one attempt: a file of three slots that claims it, fences it and keeps its outcome.

The claim: write a whole file under a temporary name, flock it, `link()` it to its name. So claim, lock and the space
for the outcome come into being at one instant, and a second claim fails. Whoever claims an attempt may run it; the
lock is held as long as it is in hand. Standard library only.
"""

from __future__ import annotations

import errno
import fcntl
import json
import os
import time
from binascii import crc32
from typing import Any, Final, NamedTuple

SLOT_BYTES: Final = 512
"""One sector: a slot is written by one write that no crash tears in practice, and a CRC tells if one did."""

CLAIM, STARTED, OUTCOME = range(3)
NAME: Final = "record"
STOP_NAME: Final = "stop"
FOLDED: Final = "folded"
LOCK_POLL_S: Final = 0.01
LOCK_RETRY_S: Final = 0.2
"""Between vfork and exec a child holds its parent's locks: a taker tries this long before it believes them."""

_NEW: Final = os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC
_HEAD: Final = 9
_TEXT_BYTES_MAX: Final = SLOT_BYTES - _HEAD - 1


class DamagedRecordError(Exception):
    """A record that is there and can't be trusted."""


class Record(NamedTuple):
    """What the slots hold; None for a slot that was never written."""

    claim: dict[str, Any]
    started: dict[str, Any] | None
    outcome: dict[str, Any] | None


def claim(folder: str, slot: dict[str, Any], outcome: dict[str, Any] | None = None) -> int:
    """Claim the attempt of `folder`, with its outcome where that is known; the descriptor holds the lock.

    Raises:
        FileExistsError: it is claimed already.
        OSError: no claim was made, for another reason.
    """
    temporary = os.path.join(folder, f".claim-{os.getpid()}-{time.monotonic_ns()}")
    descriptor = os.open(temporary, _NEW, 0o600)
    try:
        whole = _encode(slot) + bytes(SLOT_BYTES) + (_encode(outcome) if outcome else bytes(SLOT_BYTES))
        if os.write(descriptor, whole) < len(whole):
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        os.link(temporary, os.path.join(folder, NAME))
    except BaseException:
        os.close(descriptor)
        raise
    finally:
        os.unlink(temporary)
    return descriptor


def write_slot(descriptor: int, index: int, slot: dict[str, Any]) -> None:
    """Overwrite one slot in place, at one go. Raises OSError."""
    os.pwrite(descriptor, _encode(slot), index * SLOT_BYTES)


def read(folder: str) -> Record | None:
    """The record of an attempt, None where nobody has claimed it.

    Raises:
        DamagedRecordError: there is one, and a CRC or its form is wrong. While its lock is held that may be a slot
            that is just being written.
        OSError: it can't be read now.
    """
    try:
        descriptor = os.open(os.path.join(folder, NAME), os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC)
    except FileNotFoundError:
        return None
    except OSError as error:
        if error.errno == errno.ELOOP:
            raise DamagedRecordError(f"{folder}/{NAME} is a link") from error
        raise
    try:
        raw = os.pread(descriptor, 3 * SLOT_BYTES + 1, 0)
    finally:
        os.close(descriptor)
    if len(raw) != 3 * SLOT_BYTES:
        raise DamagedRecordError(f"{folder}/{NAME} has {len(raw)} bytes")
    slots = [_decode(raw[i * SLOT_BYTES : (i + 1) * SLOT_BYTES], folder) for i in range(3)]
    if slots[CLAIM] is None:
        raise DamagedRecordError(f"{folder}/{NAME} has an empty claim")
    return Record(slots[CLAIM], slots[STARTED], slots[OUTCOME])


def was_folded(folder: str) -> bool:
    """Whether an attempt is among those that were folded away with their records when their saga was final.

    Asked after a claim that succeeded: the fold is whole before a record goes, so such a claim can't be missed.
    """
    saga, name = os.path.split(folder)
    try:
        with open(os.path.join(saga, FOLDED), encoding="utf-8", errors="surrogateescape") as file:
            return any(json.loads(line)["attempt"] == name for line in file)
    except FileNotFoundError:
        return False
    except (OSError, ValueError, KeyError):
        return True  # what can't be read may name it: then it is not run


def is_held(path: str, retry_s: float = LOCK_RETRY_S) -> bool:
    """Whether a live process holds the flock of a file. False where there is no file."""
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC)
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


def _encode(slot: dict[str, Any]) -> bytes:
    text = json.dumps(slot, separators=(",", ":")).encode()
    if len(text) > _TEXT_BYTES_MAX:
        raise ValueError(f"a slot of {len(text)} bytes")
    return b"%08x " % crc32(text) + text.ljust(_TEXT_BYTES_MAX) + b"\n"


def _decode(raw: bytes, folder: str) -> Any:
    if not raw.strip(b"\0"):
        return None
    text = raw[_HEAD:].rstrip(b" \n")
    if raw[:_HEAD] != b"%08x " % crc32(text):
        raise DamagedRecordError(f"{folder}/{NAME}: a checksum is wrong")
    return json.loads(text)
