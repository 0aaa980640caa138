"""A look at all evidence beside a database: what is there, what was left behind, and who holds what.

Rule: it writes nothing and makes nothing. A lock is looked at by taking it shared for an instant, which takers sit out.
"""

from __future__ import annotations

import json
import os
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from sagactl.execution import processes, record
from sagactl.execution.evidence import FOLDED, contents, is_attempt, iso
from sagactl.execution.invocation import attempt_name

if TYPE_CHECKING:
    from sagactl.core.saga import Saga

_OWN_DRAFT = "new.db"
_NOT_EVIDENCE = frozenset({"write.lock", _OWN_DRAFT})
HEAD_BYTES = 4096


class Holding(NamedTuple):
    """A lock and who holds it; `command` and `since` are "" where nothing tells them."""

    lock: Path
    pid: int
    command: str
    since: str

    def __str__(self) -> str:
        since = f" since {self.since}" if self.since else ""
        return f"process {self.pid or 'unknown'}{f' ({self.command})' if self.command else ''}{since}"


class Found(NamedTuple):
    """What the folder of one saga has: attempts, those that were claimed, and what a kill left behind.

    `claimed` are also those that were folded. An attempt has a folder before its intent is durable, and a claim after.
    """

    attempts: tuple[str, ...]
    claimed: tuple[str, ...]
    drafts: tuple[str, ...]


def tokens(root: Path) -> set[str]:
    """The names of all sagas that have evidence; none where the folder can't be read."""
    return set(_listed(root)) - _NOT_EVIDENCE


def drafts(root: Path) -> list[str]:
    """What the making of a database left behind there."""
    return [_OWN_DRAFT] if os.path.lexists(root / _OWN_DRAFT) else []


def look(folder: Path) -> Found | None:
    """What is in the folder of a saga, None where there is none. Raises OSError."""
    found = contents(folder)
    if found is None:
        return None
    claimed = sorted(name for name, parts in found.attempts.items() if record.RECORD in parts)
    return Found(tuple(sorted(found.attempts)), (*claimed, *_folded(folder)), tuple(sorted(found.drafts)))


def holding(lock: Path) -> Holding | None:
    """Who holds a lock now; None for nobody. Raises OSError."""
    if not record.is_held(str(lock), retry_s=0.0):
        return None
    head = lock.read_bytes()[:HEAD_BYTES]
    try:
        said = json.loads(head)
        pid, since = (said["pid"], iso(said["since"])) if isinstance(said, dict) else (int(said), "")
    except (ValueError, KeyError, TypeError, OverflowError):
        pid, since = 0, ""
    return Holding(lock, pid, _command(pid), since)


def at_work(folder: Path, attempts: Iterable[str]) -> dict[str, int]:
    """The attempts of a saga that a supervisor has in hand, with the pid of the command, 0 before it has one."""
    found = {}
    for name in attempts:
        try:
            if record.is_held(record.path_of(f"{folder}/{name}", record.RECORD), retry_s=0.0):
                slots = record.read(f"{folder}/{name}")
                found[name] = int(((slots.started if slots else None) or {}).get("pid", 0))
        except (OSError, record.DamagedRecordError):
            found[name] = 0
    return found


def steps_at_work(folder: Path, saga: Saga) -> dict[str, tuple[int, ...]]:
    """The steps of a saga whose attempt without outcome is still at work, and the pids that are known.

    Of one that a supervisor has in hand it is the command's, of another all that is left. Raises OSError.
    """
    names = _live(saga)
    found = at_work(folder, names)
    alive = steps_left_running(folder, saga) if len(found) < len(names) else {}
    return alive | {names[each]: (pid,) for each, pid in found.items() if pid}


def steps_left_running(folder: Path, saga: Saga) -> dict[str, tuple[int, ...]]:
    """The steps whose attempt has not ended and has live processes, and their pids, in one look at all there are.

    Raises OSError.
    """
    ids = {name: f"{saga.started.token}.{each}" for each, name in _live(saga).items() if not has_ended(folder, each)}
    alive = processes.carried() if ids else {}
    return {name: alive[identity] for name, identity in ids.items() if identity in alive}


def _live(saga: Saga) -> dict[str, str]:
    """The names of attempts without outcome, and their steps."""
    return {attempt_name(saga, view.live): name for name, view in saga.steps.items() if view.live is not None}


def has_ended(folder: Path, attempt: str) -> bool:
    """Whether the outcome of an attempt is known and nothing could not be ended, so that what is left is a daemon."""
    try:
        found = record.read(f"{folder}/{attempt}")
    except (OSError, record.DamagedRecordError):
        return False
    return found is not None and found.outcome is not None and not found.outcome.get("left")


def _listed(folder: Path) -> list[str]:
    try:
        return sorted(each.name for each in os.scandir(folder))
    except OSError:
        return []


def _folded(folder: Path) -> Iterator[str]:
    """The attempts that were folded; "damaged" for a line that can't be read."""
    try:
        with (folder / FOLDED).open(encoding="utf-8", errors="surrogateescape") as file:
            for line in file:
                try:
                    name = str(json.loads(line)["attempt"])
                except (ValueError, KeyError, TypeError):
                    name = "damaged"
                yield name if is_attempt(name) else "damaged"
    except FileNotFoundError:
        return


def _command(pid: int) -> str:
    try:
        return Path(f"/proc/{pid}/cmdline").read_bytes().rstrip(b"\0").replace(b"\0", b" ").decode("utf-8", "replace")
    except OSError:
        return ""
