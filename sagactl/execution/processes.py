"""Which processes belong to an attempt, and how they are ended. Standard library only.

They are those of its session and those that carry its SAGA_ATTEMPT_ID in their environment (Linux, through /proc). A
process is signalled through a pidfd where there is one, after its identity was looked at: a pid alone may be another's.
"""

from __future__ import annotations

import os
import signal
from typing import Final

PROC: Final = os.path.isdir("/proc/self")
GIVE_UP_AFTER_S: Final = 5.0
"""Longer after KILL a process is stuck in the kernel, and a person has to know of it."""

_LOOK_MIN_S, _LOOK_MAX_S = 0.005, 0.1


def boot_id() -> str:
    """What names this boot of the machine; "" where the system has no such name."""
    try:
        with open("/proc/sys/kernel/random/boot_id", encoding="ascii") as file:
            return file.read().strip()
    except OSError:
        return ""


def start_ticks(pid: int) -> int | None:
    """When a live process started, in clock ticks since boot; None where it is gone or a zombie."""
    stat = _stat(pid)
    return stat[1] if stat else None


def members(attempt_id: str, session: int | None, since_ticks: int | None) -> tuple[int, ...]:
    """The pids of an attempt's live processes, zombies left out.

    `session` is the pid of its leader, if known; `since_ticks` the start of the leader: older processes can't belong.
    """
    if not PROC:
        return ()
    wanted = f"SAGA_ATTEMPT_ID={attempt_id}".encode()
    found = []
    for name in os.listdir("/proc"):
        stat = _stat(int(name)) if name.isdigit() else None
        if stat is None or (since_ticks is not None and stat[1] < since_ticks):
            continue
        if stat[0] == session or _carries(name, wanted):
            found.append(int(name))
    return tuple(found)


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
    """Signal a process if it still is the attempt's; a process that is gone is no error."""
    try:
        if not hasattr(os, "pidfd_open"):
            os.kill(pid, number)
            return
        descriptor = os.pidfd_open(pid)
    except OSError:
        return
    try:
        stat = _stat(pid)
        same = stat is not None and (stat[0] == who[1] or _carries(str(pid), f"SAGA_ATTEMPT_ID={who[0]}".encode()))
        if same:
            signal.pidfd_send_signal(descriptor, number)
    except OSError:
        pass
    finally:
        os.close(descriptor)


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
    except (OSError, ValueError):
        return None


def _carries(name: str, wanted: bytes) -> bool:
    try:
        with open(f"/proc/{name}/environ", "rb") as environ:
            return wanted in environ.read().split(b"\0")
    except OSError:
        return False
