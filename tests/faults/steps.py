"""Every step of a command, taken from a trace of it, and folders in which one command after another is killed.

A step is a system call that the protocol of crash.md is made of, by its number. The folder of a trial is put back to
what it was before the first kill, so that every trial begins the same.
"""

from __future__ import annotations

import os
import re
import select
import shutil
import time
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from queue import Queue
from typing import Any, Self, TypeVar

from tests.faults.injection import SPAWN, Fault, Traced, inject
from tests.harness import TIMEOUT_S, Result, Saga, saga

ORCHESTRATOR = ("mkdir", "openat", "flock", "pwrite64", "write", "link", "unlink", "sendto", "recvfrom", "pread64", "fsync",
                "fdatasync", "rename", "unlinkat", "rmdir", "epoll_wait")
"""Locks, transactions, claims, requests, notices, records, the fold, checkpoints."""

SUPERVISOR = ("recvfrom", "mkdir", "openat", "write", "flock", "link", "unlink", SPAWN, "pwrite64", "waitid",
              "sendto", "fdatasync")

_CALL = re.compile(r"(\w+)\((.*)")
_T = TypeVar("_T")


def orchestrator_steps(folder: Path, args: Sequence[str], calls: Sequence[str] = ORCHESTRATOR) -> list[Fault]:
    """Kills at every step of a command, which is run once for that."""
    inject(folder, args, orchestrator=Fault(calls=",".join(calls), when=1 << 15, main=True))
    wait_until_alone(folder)
    return [Fault(calls=call, when=when, main=True) for call, when in _calls(folder / "trace" / "orchestrator")]


def supervisor_steps(folder: Path, args: Sequence[str], calls: Sequence[str] = SUPERVISOR) -> list[Fault]:
    """Kills at every step of the first supervisor of a command, which is run once for that."""
    inject(folder, args, supervisor=Fault(calls=",".join(calls), when=1 << 15))
    wait_until_alone(folder)
    return [Fault(calls=call, when=when) for call, when in _calls(folder / "trace" / "supervisor.0" / "calls")]


def _calls(trace: Path) -> list[tuple[str, int]]:
    """What a process called and for which time, in order.

    Of opened files only those of the state; of waits only those for an attempt that has just been asked for.
    """
    counts = Counter[str]()
    before = ""
    found: list[tuple[str, int]] = []
    for line in trace.read_text(errors="replace").splitlines():
        match = _CALL.match(line)
        if match is None:
            continue
        call, rest = match.groups()
        counts[call] += 1
        if (call != "openat" or "/state/" in rest) and (call != "epoll_wait" or before == "sendto"):
            found.append((call, counts[call]))
        before = call
    return found


def wait_until_alone(folder: Path) -> None:
    """Until no process is left that was started for this folder: supervisors, their commands, tracers."""
    mark = f"XDG_STATE_HOME={folder / 'state'}\0".encode()
    until_s = time.monotonic() + TIMEOUT_S
    while left := [int(name) for name in os.listdir("/proc") if name.isdigit() and mark in _environ(name)]:
        assert time.monotonic() < until_s, f"something of {folder} still runs"
        for pid in left:
            _wait_for(pid, until_s - time.monotonic())


def _wait_for(pid: int, timeout_s: float) -> None:
    """Until a process has ended, without a look at it again and again."""
    with suppress(ProcessLookupError):
        descriptor = os.pidfd_open(pid)
        try:
            select.select([descriptor], [], [], max(0.0, timeout_s))
        finally:
            os.close(descriptor)


def _environ(name: str) -> bytes:
    try:
        return Path("/proc", name, "environ").read_bytes()
    except OSError:
        return b""


@dataclass(frozen=True, slots=True, kw_only=True)
class Story:
    """A saga, what is done before the kills, the command that is killed, and how all of it must be in the end.

    `heard` says of what `inspect` shows whether the command's word is recorded: then `resume` goes on, else the command
    is given again. `wanted` are the lines of the log; `together` where their order is open.
    """

    name: str
    steps: str
    wanted: str
    state: str
    code: int
    before: Sequence[Sequence[str]] = (("run", "seed.yaml", "--id", "seed"),)
    args: Sequence[str] = ("run", "saga.yaml", "--id", "t")
    heard: Callable[[Any], bool] = lambda shown: True
    together: bool = False

    def exit_of(self, args: Sequence[str]) -> int:
        """How the last command ends: to compensate is what `compensate` was asked for, and an outcome to `resume`."""
        return 0 if args[0] == "compensate" and self.state == "compensated" else self.code

    def then(self, shown: Any) -> Sequence[str]:
        return self.args if shown is None or not self.heard(shown) else ("resume", "t")


@dataclass(frozen=True, slots=True)
class Place:
    """A folder in which a story begins again and again."""

    folder: Path
    story: Story

    @classmethod
    def at(cls, folder: Path, story: Story) -> Self:
        folder.mkdir()
        built = saga(folder, f"saga: test\ndefaults: {{retry_delay: 10ms}}\nsteps:\n{story.steps}")
        built.file("seed.yaml", "saga: seed\nsteps: [{id: a, action: 'true', undo: none}]\n")
        for args in story.before:
            built.again(*args).finished()
        wait_until_alone(folder)
        shutil.copytree(folder, _before(folder))
        return cls(folder, story)

    def reset(self) -> None:
        """As it was before the first kill."""
        wait_until_alone(self.folder)
        shutil.rmtree(self.folder)
        shutil.copytree(_before(self.folder), self.folder)

    def command(self, *args: str) -> Result:
        result = Saga(self.folder, "").args(*args).finished()
        assert "Traceback" not in result.stderr, result.stderr
        assert "a bug in sagactl" not in result.stderr, result.stderr
        return result

    def look(self) -> Any:
        """What `inspect` shows, None where there is no such saga."""
        shown = self.command("inspect", "t", "--json")
        assert shown.code in (0, 4), shown.stderr
        return shown.json if shown.code == 0 else None

    def log(self) -> list[str]:
        path = self.folder / "log"
        return path.read_text().split() if path.exists() else []

    def killed(self, fault: Fault | None, args: Sequence[str], **options: Any) -> Traced:
        """Kill a command at a step, if it gets so far. The options are those of `inject`."""
        done = inject(self.folder, args, orchestrator=fault, **options)
        assert "Traceback" not in done.stderr, done.stderr
        return done

    def end(self) -> tuple[bool, Any]:
        """Give the command as often as it takes for its word to be heard, then go on to the end: exit as wanted, inspect."""
        assert self.command("list").code == 0
        right, shown = False, self.look()
        for _ in range(3):
            args = self.story.then(shown)
            right, shown = self.command(*args).code == self.story.exit_of(args), self.look()
            if shown is not None and shown["state"] == self.story.state:
                break
        return right, shown


def _before(folder: Path) -> Path:
    return folder.with_name(f"{folder.name} before")


@dataclass(slots=True)
class Found:
    """What came of trials. Whoever reports it is told of each fault where pytest shows what was printed."""

    hits: int = 0
    counts: Counter[str] = field(default_factory=Counter)

    def note(self, what: str, trial: object) -> None:
        self.counts[what] += 1
        print(f"{what}: {trial}")

    def compare(self, place: Place, right: bool, shown: Any, trial: object) -> None:  # noqa: FBT001 - as `end` gives it
        """Hold a story that has ended to what it must be."""
        story, log, wanted = place.story, place.log(), place.story.wanted.split()
        there, must = Counter(log), Counter(wanted)
        trial = (story.name, trial, log, right, shown and shown["state"])
        if there - must:
            self.note("double" if set(there) <= set(must) else "wrong", trial)
        if must - there:
            self.note("lost", trial)
        in_order = story.together or log == wanted
        if not in_order or not right or shown is None or shown["state"] != story.state:
            self.note("wrong", trial)

    def faults(self) -> dict[str, int]:
        return {what: self.counts[what] for what in ("double", "lost", "wrong")}


@contextmanager
def places(folder: Path, story: Story, *, most: int) -> Iterator[Queue[Place]]:
    """A place for each core, but not more than that."""
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else 1
    queue: Queue[Place] = Queue()
    for number in range(min(cores, most)):
        queue.put(Place.at(folder / f"{story.name} {number}", story))
    yield queue
    while not queue.empty():
        wait_until_alone(queue.get().folder)


def first_reset(queue: Queue[Place]) -> Path:
    """The folder of a place that is as it was before the first kill, to run a command there once."""
    place: Place = queue.queue[0]
    place.reset()
    return place.folder


def try_all(queue: Queue[Place], rows: Sequence[_T], trial: Callable[[Place, _T], None]) -> None:
    """Every row once, each in a place that is as it was."""
    def one(row: _T) -> None:
        place = queue.get()
        try:
            place.reset()
            trial(place, row)
        finally:
            queue.put(place)

    with ThreadPoolExecutor(queue.qsize()) as pool:
        list(pool.map(one, rows))
