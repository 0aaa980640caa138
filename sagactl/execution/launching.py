"""Starting a supervisor process. Standard library only: the first one starts while the rest is still being imported."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
from typing import NamedTuple

from sagactl.errors import StoreError

SCRIPT = os.path.join(os.path.dirname(os.path.abspath(__file__)), "supervisor.py")


class Launched(NamedTuple):
    """A supervisor process and our end of its socket, non-blocking. It ends when that is closed and it has no work."""

    socket: socket.socket
    process: subprocess.Popen[bytes]


def launch() -> Launched:
    """Start a supervisor. It inherits nothing but its end of the socket. Raises StoreError where the machine can't."""
    try:
        ours, theirs = socket.socketpair()
    except OSError as error:
        raise StoreError(f"can't start a supervisor process: {error}") from error
    with theirs:
        command = [sys.executable, "-I", "-S", SCRIPT, str(theirs.fileno())]
        try:
            # Without preexec_fn this is vfork: SQLite's connections and locks are never inherited.
            process = subprocess.Popen(
                command, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
                cwd="/", start_new_session=True, pass_fds=(theirs.fileno(),),
            )
        except OSError as error:
            ours.close()
            raise StoreError(f"can't start a supervisor process: {error}") from error
    ours.setblocking(False)
    return Launched(ours, process)
