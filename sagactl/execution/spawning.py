"""Starting a command: a session of its own, output to files, nothing inherited. Standard library only."""

from __future__ import annotations

import os
import subprocess
from typing import Any, Final

_OUTPUT: Final = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_APPEND | os.O_NOFOLLOW | os.O_CLOEXEC


def spawn(request: dict[str, Any]) -> subprocess.Popen[bytes]:
    """Run a command in a session of its own, output to files. Raises OSError; nothing runs then.

    Every descriptor of this process is close-on-exec, so `close_fds` has nothing to do; without preexec_fn it is vfork.
    """
    folder = request["folder"]
    opened: list[int] = []
    try:
        os.makedirs(os.path.join(folder, "outputs"), mode=0o700, exist_ok=True)
        stdin = _stdin(folder, request["stdin"], opened)
        opened.append(os.open(os.path.join(folder, "stdout"), _OUTPUT, 0o600))
        opened.append(os.open(os.path.join(folder, "stderr"), _OUTPUT, 0o600))
        return subprocess.Popen(
            request["argv"], stdin=stdin, stdout=opened[-2], stderr=opened[-1], cwd=request["cwd"],
            env=request["env"], start_new_session=True, close_fds=False, umask=request["umask"],
        )
    finally:
        for descriptor in opened:
            os.close(descriptor)


def _stdin(folder: str, text: str, opened: list[int]) -> int:
    """A descriptor to read `text` from: a file without a name, or nothing at all."""
    if not text:
        return subprocess.DEVNULL
    path = os.path.join(folder, ".stdin")
    descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600)
    opened.append(descriptor)
    os.unlink(path)
    data = text.encode("utf-8", "surrogateescape")
    while data:
        data = data[os.write(descriptor, data) :]
    os.lseek(descriptor, 0, os.SEEK_SET)
    return descriptor
