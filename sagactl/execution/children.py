"""Starting a command, in a session of its own with output to files, and seeing its end. Standard library only."""

from __future__ import annotations

import contextlib
import errno
import os
import signal
from collections.abc import Iterable
from typing import Any, Final

from sagactl.execution import record

_RESET: Final = (signal.SIGPIPE, signal.SIGXFSZ)
"""What Python ignores and a command must not inherit so."""

TOO_BUSY: Final = frozenset({errno.EAGAIN, errno.ENOMEM, errno.EMFILE, errno.ENFILE, errno.ENOSPC})
"""What the system says where it has no room for a command just now."""

_OUTPUT: Final = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_APPEND | os.O_NOFOLLOW | os.O_CLOEXEC


class EvidenceError(OSError):
    """A file for the output or the input of a command could not be made, which is no fault of the command."""


def spawn(request: dict[str, Any]) -> int:
    """Run a command in a session of its own, output to files; its pid.

    Raises OSError, EvidenceError, ValueError; nothing runs then.
    """
    opened: list[int] = []
    try:
        try:
            record.open_folder(request["folder"])  # fails where it was folded away or pruned meanwhile
            stdin = _stdin(request["folder"], request["stdin"], opened)
            opened.append(os.open(record.path_of(request["folder"], record.STDOUT), _OUTPUT, 0o600))
            opened.append(os.open(record.path_of(request["folder"], record.STDERR), _OUTPUT, 0o600))
        except OSError as error:
            raise EvidenceError(error.errno, error.strerror, error.filename) from error
        return _started(request, enumerate((stdin, *opened[-2:])))
    finally:
        for descriptor in opened:
            os.close(descriptor)


def not_started(error: OSError | ValueError, cwd: str) -> dict[str, Any]:
    """The outcome of a command that `spawn` could not start in the folder `cwd`."""
    number = error.errno if isinstance(error, OSError) else errno.EINVAL
    if isinstance(error, EvidenceError):
        message = f"its output can't be captured: {os.strerror(number or 0)}"
        return {"how": "busy", "errno": number, "cwd": False, "message": message}
    in_cwd = isinstance(error, OSError) and error.filename == cwd
    return {"how": "busy" if number in TOO_BUSY else "not_started", "errno": number, "cwd": in_cwd}


def _started(request: dict[str, Any], streams: Iterable[tuple[int, int | None]]) -> int:
    """The pid of a command with these descriptors, a None left as it is.

    posix_spawn costs half of what subprocess does, which asks for nothing here that it lacks: folder and umask are
    inherited, so this process, of one thread, has them meanwhile; and the PATH that finds the command until the next
    one. All other descriptors of ours are close-on-exec.
    """
    os.environ["PATH"] = request["env"].get("PATH", os.defpath)
    os.chdir(request["cwd"])
    ours = os.umask(request["umask"])
    try:
        return os.posix_spawnp(
            request["argv"][0], request["argv"], request["env"], setsid=True, setsigdef=_RESET,
            file_actions=[(os.POSIX_SPAWN_DUP2, theirs, at) for at, theirs in streams if theirs is not None],
        )
    finally:
        os.umask(ours)
        os.chdir("/")  # ours again: a folder that a process is in can't be unmounted


def _stdin(attempt: str, text: str, opened: list[int]) -> int | None:
    """A descriptor to read `text` from: a file without a name, or None for what we have ourselves, /dev/null."""
    if not text:
        return None
    path = record.path_of(attempt, record.STDIN)
    descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600)
    opened.append(descriptor)
    os.unlink(path)
    data = text.encode("utf-8", "surrogateescape")
    while data:
        data = data[os.write(descriptor, data) :]
    os.lseek(descriptor, 0, os.SEEK_SET)
    return descriptor


def end_of(pid: int) -> dict[str, int] | None:
    """Status or signal of a child that has ended, None before. It is left a zombie where the system can do that."""
    if not hasattr(os, "waitid"):  # macOS before Python 3.13
        reaped, status = os.waitpid(pid, os.WNOHANG)
        code = os.waitstatus_to_exitcode(status) if reaped else None
        return None if code is None else {"status": code} if code >= 0 else {"signal": -code}
    ended = os.waitid(os.P_PID, pid, os.WEXITED | os.WNOHANG | os.WNOWAIT)
    if ended is None:
        return None
    return {"status" if ended.si_code == os.CLD_EXITED else "signal": ended.si_status}


def reap(pid: int) -> None:
    """Let go of a child that has ended."""
    with contextlib.suppress(ChildProcessError):  # where `end_of` had to
        os.waitpid(pid, 0)


def end_signals() -> int:
    """A descriptor that is readable after a child has ended."""
    reader, writer = os.pipe()
    os.set_blocking(reader, False)
    os.set_blocking(writer, False)
    signal.signal(signal.SIGCHLD, lambda *_: None)
    signal.set_wakeup_fd(writer, warn_on_full_buffer=False)
    return reader
