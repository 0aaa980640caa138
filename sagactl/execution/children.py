"""Starting a command, in a session of its own with output to files, and seeing its end. Standard library only."""

from __future__ import annotations

import os
import signal
import subprocess
from typing import Any, Final

_OUTPUT: Final = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_APPEND | os.O_NOFOLLOW | os.O_CLOEXEC


class EvidenceError(OSError):
    """A file for the output or the input of a command could not be made, which is no fault of the command."""


def spawn(request: dict[str, Any]) -> subprocess.Popen[bytes]:
    """Run a command in a session of its own, output to files. Raises OSError, EvidenceError; nothing runs then.

    Every descriptor of this process is close-on-exec, so `close_fds` has nothing to do; without preexec_fn it is vfork.
    """
    folder = request["folder"]
    opened: list[int] = []
    try:
        try:
            os.makedirs(os.path.join(folder, "outputs"), mode=0o700, exist_ok=True)
            stdin = _stdin(folder, request["stdin"], opened)
            opened.append(os.open(os.path.join(folder, "stdout"), _OUTPUT, 0o600))
            opened.append(os.open(os.path.join(folder, "stderr"), _OUTPUT, 0o600))
        except OSError as error:
            raise EvidenceError(error.errno, error.strerror, error.filename) from error
        return subprocess.Popen(
            request["argv"], stdin=stdin, stdout=opened[-2], stderr=opened[-1], cwd=request["cwd"],
            env=request["env"], start_new_session=True, close_fds=False, umask=request["umask"],
        )
    finally:
        for descriptor in opened:
            os.close(descriptor)


def _stdin(folder: str, text: str, opened: list[int]) -> int | None:
    """A descriptor to read `text` from: a file without a name, or None for what we have ourselves, /dev/null."""
    if not text:
        return None
    path = os.path.join(folder, ".stdin")
    descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600)
    opened.append(descriptor)
    os.unlink(path)
    data = text.encode("utf-8", "surrogateescape")
    while data:
        data = data[os.write(descriptor, data) :]
    os.lseek(descriptor, 0, os.SEEK_SET)
    return descriptor


def end_of(process: subprocess.Popen[bytes]) -> dict[str, int] | None:
    """Status or signal of a child that has ended, None before. It is left a zombie where the system can do that."""
    if not hasattr(os, "waitid"):  # macOS before Python 3.13
        status = process.poll()
        return None if status is None else {"status": status} if status >= 0 else {"signal": -status}
    ended = os.waitid(os.P_PID, process.pid, os.WEXITED | os.WNOHANG | os.WNOWAIT)
    if ended is None:
        return None
    return {"status" if ended.si_code == os.CLD_EXITED else "signal": ended.si_status}


def end_signals() -> int:
    """A descriptor that is readable after a child has ended."""
    reader, writer = os.pipe()
    os.set_blocking(reader, False)
    os.set_blocking(writer, False)
    signal.signal(signal.SIGCHLD, lambda *_: None)
    signal.set_wakeup_fd(writer, warn_on_full_buffer=False)
    return reader
