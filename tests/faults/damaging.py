"""A database with many sagas in mixed states, ways to damage its file, and what the commands then show.

Rule: whatever a command shows of a saga is what it showed before the damage, or it exits 7 and shows nothing of it.
"""

from __future__ import annotations

import io
import json
import random
import shutil
import sqlite3
from collections import Counter
from collections.abc import Callable, Mapping
from contextlib import closing, redirect_stderr, redirect_stdout, suppress
from pathlib import Path
from typing import NamedTuple

import anyio

from sagactl.cli.events import events
from sagactl.cli.inspect import inspect
from sagactl.cli.list import list_sagas
from sagactl.cli.main import finish
from sagactl.errors import NotFoundError, StoreError
from sagactl.journal.reading import Reader
from sagactl.journal.sqlite import open_journal
from tests.harness import common
from tests.journal.making import Group, history, write

SAGAS = 50
LIMIT = 100
SECTORS = (512, 4096)


class Shown(NamedTuple):
    """What a command gave."""

    code: int
    out: str
    err: str


def mixed() -> list[list[Group]]:
    """Histories of sagas: completed, escalated, running and compensating, each cut at another place."""
    made = []
    for n in range(SAGAS):
        groups = history(f"order-{n}", steps=2 + n % 4, failing="step-1" if n % 3 == 0 else "")
        made.append(groups if n % 5 < 3 else groups[: 1 + n % len(groups)])
    return made


def make(path: Path) -> None:
    write(path, *mixed())


def shown(command: Callable[[], int]) -> Shown:
    """Call a command as the program does."""
    out, err = io.StringIO(), io.StringIO()
    with redirect_stdout(out), redirect_stderr(err):
        code = finish(command)
    return Shown(code, out.getvalue(), err.getvalue())


def look(path: Path, names: list[str]) -> dict[str, Shown]:
    """What `list`, `inspect` and `events` show; of the latter two one for each saga, in turn."""
    one_by_one = {
        name: shown(lambda name=name, n=n: inspect(name, common=common(path)) if n % 2 else events(name, common=common(path)))  # type: ignore[misc]
        for n, name in enumerate(names)
    }
    return {**one_by_one, "list": shown(lambda: list_sagas(limit=LIMIT, common=common(path)))}


def flip(rng: random.Random, data: bytes) -> bytes:
    place = rng.randrange(len(data) * 8)
    damaged = bytearray(data)
    damaged[place // 8] ^= 1 << place % 8
    return bytes(damaged)


def zero(rng: random.Random, data: bytes) -> bytes:
    size = rng.choice(SECTORS)
    place = rng.randrange(0, len(data), size)
    return data[:place] + bytes(len(data[place : place + size])) + data[place + size :]


def cut(rng: random.Random, data: bytes) -> bytes:
    return data[: rng.randrange(1, len(data))]


def judge(before: Mapping[str, Shown], after: Mapping[str, Shown]) -> Counter[str]:
    """How many looks were as before, how many said what is wrong, and the faults: undetected, tracebacks."""
    counts = Counter[str]()
    for name, found in after.items():
        if found.code not in (0, 7) or "Traceback" in found.err or (found.code == 7 and "sagactl: " not in found.err):
            counts["tracebacks"] += 1
        elif found.code == 0:
            counts["same" if found == before[name] else "undetected"] += 1
        elif name == "list":
            counts["undetected" if _wrong(before[name], found) else "told"] += 1
        else:
            counts["undetected" if found.out else "told"] += 1
    return counts


def _wrong(before: Shown, after: Shown) -> bool:
    """Whether a list that is not whole shows a row that was not there, or lacks one without a word."""
    rows, left = ({row["id"]: row for row in json.loads(each.out or "[]")} for each in (before, after))
    return any(rows.get(name) != row for name, row in left.items()) or not after.err


def places(path: Path) -> dict[str, list[tuple[int, int]]]:
    """Where in the file the types, contents and checksums of each saga's events lie: (first byte, bytes)."""
    whole, found = path.read_bytes(), dict[str, list[tuple[int, int]]]()
    with closing(sqlite3.connect(f"file:{path}?mode=ro&immutable=1", uri=True)) as connection:
        rows = connection.execute("SELECT id, type, data, events.crc FROM sagas JOIN events "
                                  "ON saga = key ORDER BY saga, events.seq").fetchall()
    for name, kind, data, crc in rows:
        raw = kind.encode() + (data if isinstance(data, bytes) else data.encode())
        raw += crc.to_bytes(4 if crc < 2**31 else 6, "big")  # as SQLite writes it; many sagas have the same text
        if whole.count(raw) == 1:
            found.setdefault(name, []).append((whole.index(raw), len(raw)))
    return found


Moment = Mapping[str, int]
"""How many events each saga has."""


def left_by_a_crash(folder: Path, *, sagas: int) -> tuple[Path, list[Moment]]:
    """A database with a WAL that was never written back, and every moment at which something became durable."""
    histories = [history(f"order-{n}", failing="step-1" if n % 3 == 0 else "") for n in range(2 * sagas)]
    source, copy = folder / "source" / "sagas.db", folder / "copy" / "sagas.db"
    write(source, *histories[:sagas])
    moments: list[Moment] = [{groups[-1][0].id: groups[-1][0].seq for groups in histories[:sagas]}]

    async def run() -> None:
        async with open_journal(source) as journal:
            for groups in histories[sagas:]:
                for saga, events in groups:
                    await journal.append(saga, events)
                    moments.append({**moments[-1], saga.id: saga.seq})
            copy.parent.mkdir(mode=0o700)
            for ending in ("", "-wal"):
                shutil.copy(f"{source}{ending}", f"{copy}{ending}")

    anyio.run(run)
    return copy, moments


def moment(path: Path, known: Moment) -> Moment | None:
    """What a database shows; None where it says that it can't be trusted."""
    found: dict[str, int] = {}
    try:
        reader = Reader(path)
        for name in known:
            with suppress(NotFoundError):
                found[name] = reader.load(name).seq
        listed = reader.summaries()
    except StoreError:
        return None
    return None if listed.damages else found
