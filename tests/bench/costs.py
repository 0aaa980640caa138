"""What else it takes: memory, bytes made durable, room on disk."""

from __future__ import annotations

import re
import shutil
from collections.abc import Callable, Iterable
from functools import partial
from pathlib import Path
from typing import TypeAlias

from tests.bench import ours, peers
from tests.bench.measuring import FailedError, Setting, Subject
from tests.journal.making import make

Trace: TypeAlias = tuple[str | Path, ...]
Work: TypeAlias = Callable[[int, Path, Trace], object]
"""Runs so much of something in a folder, with this command before its own."""

EVIDENCE, WITH_SUPERVISORS = "sagactl, evidence", "sagactl with its supervisors"
STEPS = 5
PEERS_AT_ONCE_MAX = 256
PEAKS = """  - id: peaks
    action: |
      main=$(sed -n 's/^PPid:[^0-9]*//p' "/proc/$PPID/status")
      cat "/proc/$PPID/status" > "peak.supervisor.$PPID.$$"
      cat "/proc/$main/status" > "peak.main.$main.$$"
    undo: none
"""
"""A step that keeps what the kernel says of its supervisor and of the process that started that."""


def memory(_: Setting) -> Subject:
    """The most memory of one saga of five steps, as the last of them sees it."""
    return Subject(what="peak memory of one saga", unit="KB", counted=True, rows={
        ours.NAME: partial(_one, "main"),
        WITH_SUPERVISORS: partial(_one, "*"),
        **peers.durable(lambda name, folder: peers.peak_kb(peers.run(name, folder, "run", 1, STEPS))),
    } if Path("/proc/self/status").exists() else {ours.NAME: "no /proc"})


def memory_more(setting: Setting) -> Subject:
    few, many = setting.of(64, quick=2), setting.of(1000, quick=4)
    there = "" if ours.has_each() else f"{ours.NOT_THERE}: run --each"
    return Subject(what=f"memory of each further saga at once, {few} to {many}", unit="KB", counted=True, rows={
        ours.NAME: there or partial(_further, few, many, "main"),
        WITH_SUPERVISORS: there or partial(_further, few, many, "*"),
        **peers.durable(partial(_further_of_peer, few, min(many, PEERS_AT_ONCE_MAX)), names=(peers.DBOS,)),
    })


def fsyncs(setting: Setting) -> Subject:
    """Of the journal they are waited for; of evidence they come after the next step has begun."""
    steps = setting.of(40, quick=4)
    return _synced(f"fsync and fdatasync for each further step of one saga (1 and {steps + 1})", _one_traced,
                   (1, steps + 1), steps, peers.durable(partial(_synced_of_peer, steps)))


def fsyncs_each(setting: Setting) -> Subject:
    sagas = setting.of(640, quick=4)
    there = None if ours.has_each() else {ours.NAME: f"{ours.NOT_THERE}: run --each"}
    return _synced("fsync and fdatasync for each step, 64 sagas at once", _each_traced, (1, sagas),
                   STEPS * (sagas - 1), {}, instead=there)


def room(setting: Setting) -> Subject:
    return Subject(what="bytes of the database for each finished saga of five steps", unit="bytes", counted=True, rows={
        ours.NAME: partial(_bytes, setting.of(10_000, quick=100)),
        **peers.durable(partial(_bytes_of_peer, setting.of(64, quick=3))),
    })


def _one(whose: str, folder: Path) -> float:
    ours.define(folder, STEPS - 1, more=PEAKS)
    ours.run(folder, STEPS)
    return sum(_peaks_kb(folder.glob(f"peak.{whose}.*")).values())


def _peaks_kb(kept: Iterable[Path]) -> dict[str, int]:
    """The highest peak by process."""
    found: dict[str, int] = {}
    for path in kept:
        peak = re.search(r"VmHWM:\s*(\d+)", path.read_text())
        if peak is None:
            raise FailedError(f"no peak in {path.name}")
        pid = path.name.split(".")[2]
        found[pid] = max(int(peak[1]), found.get(pid, 0))
    return found


def _further(few: int, many: int, whose: str, folder: Path) -> float:
    peaks = []
    for count in (few, many):
        below = folder / str(count)
        below.mkdir()
        ours.define(below, STEPS - 1, more=PEAKS)
        ours.run_each(below, count, STEPS, count)
        peaks.append(sum(_peaks_kb(below.glob(f"peak.{whose}.*")).values()))
    return (peaks[1] - peaks[0]) / (many - few)


def _further_of_peer(few: int, many: int, name: str, folder: Path) -> float:
    peaks = []
    for count in (few, many):
        below = folder / str(count)
        below.mkdir()
        peaks.append(peers.peak_kb(peers.run(name, below, "run", count, STEPS, count)))
    return (peaks[1] - peaks[0]) / (many - few)


def _synced(
    what: str, work: Work, counts: tuple[int, int], per: int, of_peers: dict[str, Callable[[Path], float] | str], *,
    instead: dict[str, str] | None = None,
) -> Subject:
    ran = partial(_calls, work, counts, per)
    own = {ours.NAME: partial(ran, lambda line: not _of_evidence(line)), EVIDENCE: partial(ran, _of_evidence)}
    if shutil.which("strace") is None:
        instead = {ours.NAME: "no strace"}
    return Subject(what=what, unit="calls", counted=True, rows=instead or {**own, **of_peers})


def _calls(work: Work, counts: tuple[int, int], per: int, counted: Callable[[str], bool], folder: Path) -> float:
    """Calls for each of `per`, of those that count."""
    calls = []
    for count in counts:
        below = folder / str(count)
        below.mkdir()
        kept = below / "trace"
        work(count, below, ("strace", "-f", "-y", "-o", kept, "-e", "trace=fsync,fdatasync"))
        begun = [line for line in kept.read_text().splitlines() if re.search(r"\bf(data)?sync\(", line)]
        calls.append(sum(counted(line) for line in begun))
    return (calls[1] - calls[0]) / per


def _of_evidence(line: str) -> bool:
    return ".db.d/" in line


def _one_traced(count: int, folder: Path, trace: Trace) -> None:
    ours.define(folder, count)
    ours.run(folder, count, *trace)


def _each_traced(count: int, folder: Path, trace: Trace) -> None:
    ours.define(folder, STEPS)
    ours.run_each(folder, count, STEPS, 64, *trace)


def _synced_of_peer(steps: int, name: str, folder: Path) -> float:
    def work(count: int, below: Path, trace: Trace) -> None:
        peers.run(name, below, "run", 1, count, before=trace)

    return _calls(work, (1, steps + 1), steps, bool, folder)


def _bytes(sagas: int, folder: Path) -> float:
    sizes = []
    for count in (1, sagas):
        path = folder / str(count) / "sagas.db"
        make(path, count)
        sizes.append(path.stat().st_size)
    return (sizes[1] - sizes[0]) / (sagas - 1)


def _bytes_of_peer(sagas: int, name: str, folder: Path) -> float:
    sizes = []
    for count in (1, sagas):
        below = folder / str(count)
        below.mkdir()
        peers.run(name, below, "run", count, STEPS)
        sizes.append((below / "peer.db").stat().st_size)
    return (sizes[1] - sizes[0]) / (sagas - 1)
