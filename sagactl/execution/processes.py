"""Which processes belong to an attempt, and how they are ended. Standard library only.

They are those of its session and those that carry its SAGA_ATTEMPT_ID in their environment (Linux, through /proc). A
process is signalled through a pidfd where there is one, after its identity was looked at: a pid alone may be another's.
"""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Callable
from typing import Final

PROC: Final = os.path.isdir("/proc/self")
GIVE_UP_AFTER_S: Final = 5.0
"""Longer after KILL a process is stuck in the kernel, and a person has to know of it."""

_LOOK_MIN_S, _LOOK_MAX_S = 0.005, 0.1
_CARRIED = b"SAGA_ATTEMPT_ID="


def boot_id() -> str:
    """What names this boot of the machine; "" where the system has no such name."""
    try:
        if PROC:
            with open("/proc/sys/kernel/random/boot_id", encoding="ascii") as file:
                return file.read().strip()
        import subprocess

        command = ["/usr/sbin/sysctl", "-n", "kern.bootsessionuuid"]
        return subprocess.run(command, capture_output=True, text=True, check=False).stdout.strip()
    except OSError:
        return ""


def start_ticks(pid: int) -> int | None:
    """When a live process started, in clock ticks since boot; None where it is gone or a zombie.

    Without /proc it is 0 for every process that is there.
    """
    if not PROC:
        return 0 if _signalled(os.kill, pid, 0) else None
    stat = _stat(pid)
    return stat[1] if stat else None


def now_ticks() -> int:
    """The time in which `start_ticks` tells; 0 without /proc."""
    return time.clock_gettime_ns(time.CLOCK_BOOTTIME) // (1_000_000_000 // os.sysconf("SC_CLK_TCK")) if PROC else 0


def child_ticks(pid: int, since_ticks: int) -> int | None:
    """`start_ticks` of a child that was started after `since_ticks`.

    Within the tick in which it was started that is known without a look, which would wait until it has been loaded.
    """
    return since_ticks if now_ticks() == since_ticks else start_ticks(pid)


def lived_s(ticks: int) -> float:
    """For how long a process has lived that started then, whatever was done to the clock meanwhile. Needs /proc."""
    return time.clock_gettime(time.CLOCK_BOOTTIME) - ticks / os.sysconf("SC_CLK_TCK")


def members(attempt_id: str, session: int | None, since_ticks: int | None) -> tuple[int, ...]:
    """The pids of an attempt's live processes, zombies left out.

    `session` is the pid of its leader, if known; `since_ticks` the start of the leader: older processes can't belong.
    Without /proc it is the leader's group as a whole, named by the leader's pid.

    Raises:
        OSError: they can't be looked at now; that says nothing about whether there are any.
    """
    if not PROC:
        return (session,) if session is not None and _signalled(os.killpg, session, 0) else ()
    # Twice to say nobody: who forked after the list was made, and ended, is in none with its child.
    return _members(attempt_id, session, since_ticks) or _members(attempt_id, session, since_ticks)


def carried() -> dict[str, tuple[int, ...]]:
    """The ids of all attempts that have live processes, and their pids; none without /proc. Raises OSError."""
    found: dict[str, tuple[int, ...]] = {}
    for name in filter(str.isdigit, os.listdir("/proc") if PROC else ()):
        for pair in _environment(name):
            if pair.startswith(_CARRIED):
                identity = pair[len(_CARRIED):].decode("utf-8", "replace")
                found[identity] = (*found.get(identity, ()), int(name))
    return found


class Sweep:
    """Ends an attempt's processes: TERM, `kill_after_s` later KILL, until none is left or GIVE_UP_AFTER_S passed.

    Call `look` at `again_at_s` or later until it says True; `left` then has the pids that could not be ended.
    Times are of one monotonic clock.
    """

    def __init__(self, attempt_id: str, session: int | None, since_ticks: int | None, now_s: float, kill_after_s: float
                 ) -> None:
        self.left: tuple[int, ...] = ()
        self.again_at_s = now_s
        self._who = (attempt_id, session, since_ticks)
        self._kill_at_s = now_s + kill_after_s
        self._termed: set[int] = set()
        self._pause_s = _LOOK_MIN_S

    def kill_now(self, now_s: float) -> None:
        """No more waiting for what TERM does."""
        self._kill_at_s = min(self._kill_at_s, now_s)
        self.again_at_s = now_s

    def look(self, now_s: float) -> bool:
        """Signal what is there; whether the sweep is over."""
        self.left = members(*self._who)
        if not self.left:
            return True
        killing = now_s >= self._kill_at_s
        for pid in self.left:
            if killing:
                send(pid, self._who, signal.SIGKILL)
            elif pid not in self._termed:
                send(pid, self._who, signal.SIGTERM)
                send(pid, self._who, signal.SIGCONT)
                self._termed.add(pid)
        self._pause_s = _LOOK_MIN_S if killing else min(self._pause_s * 2, _LOOK_MAX_S)
        self.again_at_s = now_s + self._pause_s if killing else min(now_s + self._pause_s, self._kill_at_s)
        return now_s >= self._kill_at_s + GIVE_UP_AFTER_S


def send(pid: int, who: tuple[str, int | None, int | None], number: int) -> None:
    """Signal a process if it still is the attempt's; a process that is gone is no error. Raises OSError."""
    if not PROC:
        _signalled(os.killpg, pid, number)
        return
    try:
        descriptor = os.pidfd_open(pid)
    except ProcessLookupError:
        return
    try:
        stat = _stat(pid)
        same = stat is not None and (stat[0] == who[1] or _CARRIED + who[0].encode() in _environment(str(pid)))
        if same:
            signal.pidfd_send_signal(descriptor, number)
    except (ProcessLookupError, PermissionError):
        pass  # gone meanwhile, or another user's: then it stays in `left`
    finally:
        os.close(descriptor)


def _members(attempt_id: str, session: int | None, since_ticks: int | None) -> tuple[int, ...]:
    wanted = _CARRIED + attempt_id.encode()
    found = []
    for name in os.listdir("/proc"):
        stat = _stat(int(name)) if name.isdigit() else None
        if stat is None or (since_ticks is not None and stat[1] < since_ticks):
            continue
        if stat[0] == session or wanted in _environment(name):
            found.append(int(name))
    return tuple(found)


def _stat(pid: int) -> tuple[int, int] | None:
    """Session and start of a process that is there and no zombie."""
    try:
        descriptor = os.open(f"/proc/{pid}/stat", os.O_RDONLY | os.O_CLOEXEC)
        try:
            raw = os.read(descriptor, 4096)
        finally:
            os.close(descriptor)
        fields = raw[raw.rindex(b")") + 2 :].split()
        return None if fields[0] in (b"Z", b"X") else (int(fields[3]), int(fields[19]))
    except (FileNotFoundError, ProcessLookupError, PermissionError, ValueError):
        return None


def _environment(name: str) -> list[bytes]:
    """Of a process that is there and ours to look at; none otherwise. Raises OSError."""
    try:
        with open(f"/proc/{name}/environ", "rb") as environ:
            return environ.read().split(b"\0")
    except (FileNotFoundError, ProcessLookupError, PermissionError):
        return []


def _signalled(send_to: Callable[[int, int], None], pid: int, number: int) -> bool:
    """Whether there was somebody to signal."""
    try:
        send_to(pid, number)
    except OSError:
        return False
    return True
