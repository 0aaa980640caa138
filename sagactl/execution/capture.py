"""What an attempt left behind, read with care: outputs, the end of stderr, secrets masked before anything else looks.

Outputs are regular files, never read through a link; a stream may be of any size, so it is never read whole.
"""

from __future__ import annotations

import errno
import json
import os
import stat
from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, AnyStr, Final, NamedTuple

from sagactl.execution import record
from sagactl.plain import dumps

if TYPE_CHECKING:
    from sagactl.model import Output

OUTPUT_BYTES_MAX: Final = 64 * 1024
"""One output is an argument or a variable of a later command, and a row of the journal."""

STDOUT_BYTES_MAX: Final = 1024 * 1024
"""A stdout that a JSON Pointer looks into is parsed in memory."""

STARS_MIN: Final = 4
"""Fewer stars in an output are taken for what they are, not for a secret that was masked."""

MASK_DEPTH_MAX: Final = 16
"""Folders below each other that masking descends: each holds a descriptor."""

_NOT_READABLE: Final = record.NO_FILE | {errno.EACCES, errno.EPERM}
"""What opening an output says where its command has put something else there."""

_CHUNK: Final = 1024 * 1024
_FOLDER: Final = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC
_WRITE: Final = os.O_RDWR | os.O_NOFOLLOW | os.O_CLOEXEC | os.O_NONBLOCK
_READ: Final = os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC | os.O_NONBLOCK


class OutputError(ValueError):
    """An output that is missing or not as declared; the text says which and why."""


class Outputs(NamedTuple):
    """Valid outputs by name; what is wrong with the others, "" if nothing; names that nobody declared."""

    values: Mapping[str, str]
    error: str
    undeclared: tuple[str, ...]


def outputs(attempt: str, declared: Mapping[str, Output], secrets: Mapping[str, str]) -> Outputs:
    """Read the outputs of an attempt. A value that contains a secret is no valid output: it would be journaled.

    Raises OSError: one can't be read now, which says nothing about it.
    """
    values: dict[str, str] = {}
    problems = []
    for name, output in declared.items():
        try:
            value = _from_file(attempt, name) if output.pointer is None else _from_stdout(attempt, output.pointer)
            if not value and not output.empty_allowed:
                raise OutputError("is empty")
            leaked = next((secret for secret, text in secrets.items() if text and _holds(value, text)), None)
            if leaked is not None:
                raise OutputError(f"contains the secret {leaked}")
        except OutputError as error:
            problems.append(f"output {name} {error}")
        else:
            values[name] = value
    undeclared = tuple(masked(name, secrets.values()) for name in _undeclared(attempt, declared))
    return Outputs(values, "; ".join(problems), undeclared)


def mask(attempt: str, secrets: Iterable[str]) -> tuple[str, ...]:
    """Overwrite every secret in what an attempt printed and left with as many `*`, in place; what could not be.

    Only regular files of the attempt's own: what has a second name may be somebody else's. A file that vanishes
    meanwhile is a daemon's, and its affair.
    """
    texts = [secret.encode("utf-8", "surrogateescape") for secret in secrets if secret]
    failed: list[str] = []
    saga, name = os.path.split(attempt)
    if texts:
        names = (name, *(record.path_of(name, stream) for stream in record.STREAMS))
        failed += [each for each in names if os.path.islink(f"{saga}/{each}")]
        _mask_folder(saga, None, texts, failed, names)
    return tuple(each.removeprefix(f"{name}.") for each in failed)


def masked(text: str, secrets: Iterable[str]) -> str:
    """A text with every secret replaced by `***`."""
    for start, end in reversed(_places(text, secrets)):
        text = text[:start] + "***" + text[end:]
    return text


def _holds(value: str, secret: str) -> bool:
    """Whether an output contains a secret, or what masking has made of it."""
    stars = "*" * len(secret.encode("utf-8", "surrogateescape"))
    return secret in value or (len(stars) >= STARS_MIN and stars in value)


def _from_file(attempt: str, name: str) -> str:
    if os.path.islink(attempt):
        raise OutputError("can't be read: $SAGA_OUTPUT_DIR is a link")
    raw = _read(f"{attempt}/{name}", OUTPUT_BYTES_MAX + 1)
    return _text(raw.removesuffix(b"\n"))


def _from_stdout(attempt: str, pointer: str) -> str:
    raw = _read(record.path_of(attempt, record.STDOUT), STDOUT_BYTES_MAX, "stdout")
    try:
        value: Any = json.loads(raw)
    except (ValueError, RecursionError) as error:
        raise OutputError(f"is not there: stdout is not JSON ({error})") from None
    for part in pointer.split("/")[1:]:
        key = part.replace("~1", "/").replace("~0", "~")
        try:
            value = value[int(key)] if isinstance(value, list) and key.isdecimal() else value[key]
        except (KeyError, IndexError, TypeError):
            raise OutputError(f"is not there: stdout has nothing at {pointer}") from None
    if value is None:
        raise OutputError(f"is null at {pointer} of stdout")
    try:
        return _text((value if isinstance(value, str) else dumps(value)).encode())
    except ValueError as error:
        raise OutputError(f"is no text that can be passed on: {error}") from None


def _read(path: str, bytes_max: int, what: str = "") -> bytes:
    try:
        descriptor = os.open(path, _READ)
    except FileNotFoundError:
        raise OutputError("is missing: the command did not write $SAGA_OUTPUT_DIR/" + os.path.basename(path)) from None
    except OSError as error:
        if error.errno not in _NOT_READABLE:
            raise  # the machine's fault: it is read again by a resume
        raise OutputError(f"can't be read: {error.strerror}") from None
    try:
        status = os.fstat(descriptor)
        if not stat.S_ISREG(status.st_mode):
            raise OutputError("is no regular file")
        if status.st_size > bytes_max:
            raise OutputError(f"can't be read: {what or 'it'} is over {bytes_max // 1024} KiB")
        return os.read(descriptor, bytes_max + 1)
    finally:
        os.close(descriptor)


def _text(raw: bytes) -> str:
    if len(raw) > OUTPUT_BYTES_MAX:
        raise OutputError(f"is over {OUTPUT_BYTES_MAX // 1024} KiB")
    try:
        text = raw.decode()
    except UnicodeDecodeError as error:
        raise OutputError(f"is not UTF-8: byte {error.start}") from None
    if "\0" in text:
        raise OutputError("contains a NUL byte, which no process can be given")
    return text


def _undeclared(folder: str, declared: Mapping[str, Output]) -> tuple[str, ...]:
    try:
        names = sorted(os.listdir(folder))
    except OSError:
        return ()
    files = {name for name, output in declared.items() if output.pointer is None}
    return tuple(name for name in names if not name.startswith(".") and name not in files)[:20]


def _mask_folder(
    path: str, parent: int | None, texts: list[bytes], failed: list[str], names: Sequence[str] | None = None,
    depth: int = 0,
) -> None:
    """One folder, or these `names` in it, and what is below, by descriptor: no name is followed through a link."""
    try:
        descriptor = os.open(path, _FOLDER, dir_fd=parent)
    except FileNotFoundError:
        return
    except OSError:
        failed.append(path)
        return
    try:
        for name in os.listdir(descriptor) if names is None else names:
            try:
                status = os.stat(name, dir_fd=descriptor, follow_symlinks=False)
                if stat.S_ISDIR(status.st_mode):
                    if depth == MASK_DEPTH_MAX:
                        failed.append(name)
                    else:
                        _mask_folder(name, descriptor, texts, failed, depth=depth + 1)
                elif stat.S_ISREG(status.st_mode):
                    if status.st_nlink > 1:  # its other name may be anybody's file
                        failed.append(name)
                    else:
                        _mask_file(name, descriptor, texts)
            except FileNotFoundError:
                continue
            except OSError:
                failed.append(name)
    finally:
        os.close(descriptor)


def _mask_file(name: str, folder: int, texts: list[bytes]) -> None:
    try:
        descriptor = os.open(name, _WRITE, dir_fd=folder)
    except PermissionError:
        os.chmod(name, 0o600, dir_fd=folder)
        descriptor = os.open(name, _WRITE, dir_fd=folder)
    try:
        overlap = max(len(text) for text in texts) - 1
        at, was, now = 0, b"", b""  # the end of the piece before: as it was, and as it has been written
        while fresh := os.pread(descriptor, _CHUNK, at + len(was)):
            was += fresh
            clean = bytearray(now + fresh)
            places = _places(was, texts)
            for start, end in places:
                clean[start:end] = b"*" * (end - start)
            if places:
                os.pwrite(descriptor, clean, at)
            done = max(0, len(was) - overlap)
            at, was, now = at + done, was[done:], bytes(clean[done:])
    finally:
        os.close(descriptor)


def _places(whole: AnyStr, parts: Iterable[AnyStr]) -> list[tuple[int, int]]:
    """Start and end of every place where a part stands, in order; where parts overlap, the whole."""
    found = []
    for part in filter(None, parts):
        at = whole.find(part)
        while at >= 0:
            found.append((at, at + len(part)))
            at = whole.find(part, at + 1)
    places: list[tuple[int, int]] = []
    for start, end in sorted(found):
        if places and start < places[-1][1]:
            places[-1] = (places[-1][0], max(end, places[-1][1]))
        else:
            places.append((start, end))
    return places
