"""The lock around everything that writes to a database: transactions, checkpoints, and the closing of a connection.

SQLite has locks of its own. This one is held besides them because SQLite before 3.51.3 can corrupt a WAL that two
connections reset at the same instant (https://sqlite.org/wal.html#walresetbug), and because it can name its holder.
Rule: it is an flock, so it ends with its process whatever happens. Knows nothing of SQLite.
"""

from __future__ import annotations

import fcntl
import os
import stat
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Final

from sagactl.errors import StoreError

LOCK_WAIT_S: Final = 30.0
"""A transaction takes milliseconds; who holds the lock for so long is stopped or hangs on its disk."""

POLL_S: Final = 0.002
"""A wait for an flock can't be cut short, so the lock is polled."""

_PID_BYTES = 20


class WriteLock:
    """The file `<database>.d/write.lock`. Its holder's pid is written there, never synced."""

    def __init__(self, path: Path, wait_s: float = LOCK_WAIT_S) -> None:
        """Open the file, making it 0600 where there is none. Raises StoreError."""
        self.path, self.wait_s = path, wait_s
        self._pid = f"{os.getpid()}\n".encode().ljust(_PID_BYTES)
        try:
            self._descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600)
            found = os.fstat(self._descriptor)
            if not stat.S_ISREG(found.st_mode) or found.st_nlink > 1:  # the pid would be written into another's file
                os.close(self._descriptor)
                raise StoreError(f"{path} is not a file that sagactl has made",
                                 hint="look at what it is, and move it away")
            if found.st_size == 0:
                os.fchmod(self._descriptor, 0o600)  # a umask may have taken our own bits
        except OSError as error:
            raise StoreError(f"can't open {path}: {error.strerror}") from error

    def close(self) -> None:
        os.close(self._descriptor)

    @contextmanager
    def held(self, wait_s: float | None = None) -> Iterator[None]:
        """Hold the lock as long as the context lasts. Blocks its thread for at most `wait_s`, by default its own.

        Raises:
            StoreError: another process holds it; says which.
        """
        wait_s = self.wait_s if wait_s is None else wait_s
        until_s = time.monotonic() + wait_s
        while not self._take():
            if time.monotonic() >= until_s:
                raise StoreError(f"{self.path} has been held for {wait_s:g}s by {self._holder()}",
                                 hint="look at that process; when it ends, the lock is free")
            time.sleep(POLL_S)
        try:
            yield
        finally:
            self._flock(fcntl.LOCK_UN)

    def _take(self) -> bool:
        try:
            self._flock(fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            return False
        if os.pread(self._descriptor, _PID_BYTES, 0) != self._pid:
            with suppress(OSError):  # a full disk must not stop what may need no room; then only the name is stale
                os.pwrite(self._descriptor, self._pid, 0)
        return True

    def _flock(self, operation: int) -> None:
        """Raises BlockingIOError where another process holds it, StoreError where there are no locks."""
        try:
            fcntl.flock(self._descriptor, operation)
        except BlockingIOError:
            raise
        except OSError as error:
            raise StoreError(f"can't lock {self.path}: {error.strerror}",
                             hint="keep the database on a local disk") from error

    def _holder(self) -> str:
        pid = os.pread(self._descriptor, _PID_BYTES, 0).strip().decode("ascii", "replace")
        return f"process {pid}" if pid else "another process"
