"""Where a database lies: its folders and their modes, whose it is, and making a new one.

Rule: a database appears whole or not at all, and one that is not ours is never opened by SQLite, which might write to
it. Knows no events.
"""

from __future__ import annotations

import contextlib
import os
import re
import sqlite3
import stat
from pathlib import Path
from typing import Final

from sagactl.errors import StoreError
from sagactl.journal.rows import explained

APPLICATION_ID: Final = 0x53414741
"""`SAGA` in ASCII, in the header of the file (https://sqlite.org/fileformat.html#application_id)."""

VERSION: Final = 1
"""Of the tables and rows, as `user_version` in the header. Older versions are read, newer ones refused."""

PAGE_BYTES: Final = 8192
"""A row of `events` keeps up to a quarter of a page in place: with 4096 most starts would need a page of their own."""

NETWORK: Final = frozenset({"nfs", "nfs4", "cifs", "smb3", "smbfs", "afs", "ceph", "glusterfs", "lustre", "fuse.sshfs"})
"""File systems where neither WAL (shared memory) nor flock can be trusted."""

_TOKEN = re.compile("[0-9a-f]+")
_HEADER_BYTES = 100
_MAGIC = b"SQLite format 3\0"


def folder_of(database: Path) -> Path:
    """The folder beside a database for its lock and its evidence."""
    return Path(f"{database}.d")


def prepare(database: Path) -> None:
    """Make the folders of a database, 0700, where there are none. May be called twice.

    Raises:
        StoreError: a folder can't be made, or others could have put something into ours.
    """
    folder = folder_of(database)
    try:
        _make(database.parent)
        _make(folder)
    except OSError as error:
        raise StoreError(f"can't make the folders of {database}: {error.strerror}: {error.filename}") from error
    check_folder(database)


def check_folder(database: Path) -> None:
    """Look at the folder beside a database, which must be there.

    Raises:
        StoreError: others could have put something into it, or its file system can't be trusted with locks.
    """
    folder = folder_of(database)
    try:
        found = folder.lstat()
    except OSError as error:
        raise StoreError(f"can't look at {folder}: {error.strerror}") from error
    parent = database.parent.stat()
    if parent.st_mode & stat.S_IWOTH and not parent.st_mode & stat.S_ISVTX:
        raise StoreError(f"everybody can write to {database.parent}, and put another file in the database's place",
                         hint=f"chmod o-w {database.parent}, or choose another database with --db")
    if not stat.S_ISDIR(found.st_mode):
        raise StoreError(f"{folder} is not a folder", hint="choose another database with --db")
    if found.st_uid != os.geteuid():
        raise StoreError(f"{folder} belongs to user {found.st_uid}, not to you ({os.geteuid()})",
                         hint="run as that user, or choose another database with --db")
    if found.st_mode & 0o022:
        raise StoreError(f"others can write to {folder}", hint=f"look at what is in it, then: chmod 700 {folder}")
    kind = file_system(found.st_dev)
    if kind in NETWORK:
        raise StoreError(f"{database} is on a network file system ({kind})",
                         hint="choose a database on a local disk with --db")


def exists(database: Path) -> bool:
    """Whether there is a database of ours; False for no file, or an empty one. Reads only the file's header.

    Raises:
        StoreError: it is behind a symlink, not ours, or of a newer version; something was planted beside it; or it is
            gone, and what its sagas did would be done again.
    """
    header = _header(database)
    if not header and (lost := _lost(database)):
        header = _header(database)  # somebody may have made it, and begun a saga, meanwhile
        if not header:
            raise lost
    if header:
        _check(database, header)
    return bool(header)


def _lost(database: Path) -> StoreError | None:
    """What is wrong where there is no database, or an empty file, but what belongs to one."""
    how = "empty" if database.exists() else "gone"
    wal, folder = Path(f"{database}-wal"), folder_of(database)
    with contextlib.suppress(OSError):
        if wal.stat().st_size:
            return StoreError(f"{database} is {how}, but {wal} is left of it",
                              hint="move that away first: SQLite would write it into any database that is put there")
    try:
        sagas = [each for each in folder.iterdir() if _TOKEN.fullmatch(each.name) and each.is_dir()]
        left = sum(any(each.name != "lock" for each in saga.iterdir()) for saga in sagas)
    except OSError:
        left = 0
    return StoreError(f"{database} is {how}, but {folder} has the files of {left} saga{'s' * (left > 1)}",
                      hint=f"put the newest backup back; or, to begin anew, move {folder} away") if left else None


def _header(database: Path) -> bytes:
    """The first bytes of a file; none where there is no file. Raises StoreError."""
    if database.is_symlink():
        raise StoreError(f"{database} is a symlink", hint="name the file itself with --db")
    for ending in ("-wal", "-shm", "-journal"):
        _refuse_planted(Path(f"{database}{ending}"))
    try:
        # Not blocking: a fifo must not hang us.
        descriptor = os.open(database, os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC | os.O_NONBLOCK)
    except FileNotFoundError:
        return b""
    except OSError as error:
        raise StoreError(f"can't open {database}: {error.strerror}") from error
    try:
        regular = stat.S_ISREG(os.fstat(descriptor).st_mode)
        return os.pread(descriptor, _HEADER_BYTES, 0) if regular else b"no file"
    finally:
        os.close(descriptor)


def _refuse_planted(beside: Path) -> None:
    """Refuse what SQLite would take for its own: it writes through a hard link, and waits for a fifo for ever."""
    try:
        found = beside.lstat()
    except FileNotFoundError:
        return
    except OSError as error:
        raise StoreError(f"can't look at {beside}: {error.strerror}") from error
    if not stat.S_ISREG(found.st_mode) or found.st_nlink > 1:
        raise StoreError(f"{beside} is not a file that sagactl has made", hint="look at what it is, and move it away")


def create(database: Path) -> None:
    """Make a database, 0600, unless another process has just done so. The caller holds the lock of writers.

    It is made beside its place and renamed: a crash leaves none. Raises StoreError.
    """
    if exists(database):
        return
    draft = folder_of(database) / "new.db"
    schema = Path(__file__).with_name("schema.sql").read_text("utf-8")
    try:
        draft.unlink(missing_ok=True)
        os.close(os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600))
        draft.chmod(0o600)
        with explained("make", database):
            _fill(draft, schema)
        _sync(draft)
        draft.rename(database)
        _sync(database.parent)
    except OSError as error:
        raise StoreError(f"can't make {database}: {error.strerror}") from error


def _fill(draft: Path, schema: str) -> None:
    """Make the tables. Nothing of it is durable yet: as a whole it costs one fsync, and by transactions twenty."""
    connection = sqlite3.connect(draft, isolation_level=None)
    try:
        connection.execute("PRAGMA synchronous = OFF")
        connection.execute(f"PRAGMA page_size = {PAGE_BYTES}")
        connection.execute("PRAGMA auto_vacuum = INCREMENTAL")  # before there is a table, or never
        connection.executescript(
            f"PRAGMA application_id = {APPLICATION_ID}; PRAGMA user_version = {VERSION};"
            f"BEGIN; {schema} COMMIT; PRAGMA journal_mode = WAL;"
        )
    finally:
        connection.close()


def _sync(path: Path) -> None:
    descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _check(database: Path, header: bytes) -> None:
    version, application = (int.from_bytes(header[at:at + 4], "big") for at in (60, 68))
    if header[:16] != _MAGIC or len(header) < _HEADER_BYTES or application != APPLICATION_ID:
        raise StoreError(f"{database} is not a database of sagactl", hint="choose another one with --db")
    if version != VERSION:
        raise StoreError(f"{database} has version {version}; this sagactl knows version {VERSION}",
                         hint="use the sagactl that wrote it, or a newer one")


def _make(folder: Path) -> None:
    """The folder and those above it that are missing, 0700 whatever the umask."""
    if folder.is_dir():
        return
    if folder.parent != folder:
        _make(folder.parent)
    try:
        folder.mkdir(mode=0o700)
    except FileExistsError:
        return
    folder.chmod(0o700)


def file_system(device: int) -> str:
    """The type of the file system of a device; "" where the machine does not say (no Linux)."""
    wanted = f"{os.major(device)}:{os.minor(device)}"
    try:
        lines = Path("/proc/self/mountinfo").read_text("utf-8", "replace").splitlines()
    except OSError:
        return ""
    found = [line.split(" - ")[1].split()[0] for line in lines if line.split()[2] == wanted and " - " in line]
    return found[-1] if found else ""
