"""The lock around everything that writes to a database: transactions, checkpoints, and the closing of a connection.

SQLite has locks of its own. This one is held besides them because SQLite before 3.51.3 can corrupt a WAL that two
connections reset at the same instant (https://sqlite.org/wal.html#walresetbug), and because it can name its holder.
Rule: it is an flock, so it ends with its process whatever happens. Knows nothing of SQLite.
"""

from __future__ import annotations

import asyncio
import fcntl
import os
import stat
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from pathlib import Path
from typing import Final

from sagactl.errors import StoreError

LOCK_WAIT_S: Final = 30.0
"""A transaction takes milliseconds; who holds the lock for so long is stopped or hangs on its disk."""

POLL_S: Final = 0.002
"""A wait for an flock, or for a lock of SQLite, can't be cut short, so they are polled."""

_PID_BYTES = 20


class Patience:
    """How long what can't be done now is tried again: `wait_s` from the first time on."""

    def __init__(self, wait_s: float) -> None:
        self.wait_s = wait_s
        self._until_s: float | None = None

    def is_out(self) -> bool:
        """To be asked whenever it could not be done."""
        now_s = time.monotonic()
        if self._until_s is None:
            self._until_s = now_s + self.wait_s
        return now_s >= self._until_s


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

    @asynccontextmanager
    async def held(self, wait_s: float | None = None) -> AsyncIterator[None]:
        """Hold the lock as long as the context lasts. Waits for at most `wait_s`, by default its own.

        Raises:
            StoreError: another process holds it; says which.
        """
        patience = Patience(self.wait_s if wait_s is None else wait_s)
        while not self.take(patience):  # noqa: ASYNC110 - of an flock nobody is told that it is free
            await asyncio.sleep(POLL_S)
        try:
            yield
        finally:
            self.release()

    def take(self, patience: Patience) -> bool:
        """Take the lock if it is free; whether it was. Not to be taken twice: that succeeds, and one release ends both.

        Raises:
            StoreError: another process holds it, and there is no patience left; says which. Or there are no locks here.
        """
        try:
            self._flock(fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            if not patience.is_out():
                return False
            raise StoreError(f"{self.path} has been held for {patience.wait_s:g}s by {self._holder()}",
                             hint="look at that process; when it ends, the lock is free") from None
        with suppress(OSError):  # a full disk must not stop what may need no room; then only the name is stale
            if os.pread(self._descriptor, _PID_BYTES, 0) != self._pid:
                os.pwrite(self._descriptor, self._pid, 0)
        return True

    def release(self) -> None:
        """Raises StoreError."""
        self._flock(fcntl.LOCK_UN)

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
        pid = ""
        with suppress(OSError):
            pid = os.pread(self._descriptor, _PID_BYTES, 0).strip().decode("ascii", "replace")
        return f"process {pid}" if pid else "another process"
