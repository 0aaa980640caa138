"""The supervisor: a process of its own that runs commands and outlives whoever asked for them.

It claims an attempt before it runs it, enforces its timeout, sweeps what it leaves, and writes its outcome into its
record; the record is the truth, and a notice over the socket says what was written there. It never waits for the
orchestrator, and ends when that is gone and its last attempt is done. Run as a script with `python -I -S`; its one
argument is the descriptor of the socket. Standard library only.

On the socket both ways: a length of four bytes, big-endian, then JSON.
"""

from __future__ import annotations

import contextlib
import fcntl
import json
import os
import selectors
import signal
import socket
import struct
import sys
import time
from collections import deque
from typing import Any, Final

if __name__ == "__main__":
    sys.path.append(os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__)))))

from sagactl.execution import processes, record
from sagactl.execution.children import end_of, end_signals, not_started, reap, spawn

ATTEMPTS_MAX: Final = 32
"""Attempts in one supervisor's hand: bounds descriptors, and what is lost with it."""

STOP_LOOK_S: Final = 1.0
WRITE_RETRY_S: Final = 0.5
WRITE_TRIES_UNTOLD: Final = 6
"""After so many the orchestrator is told that an outcome can't be written; the supervisor goes on trying."""

LOOK_RETRY_S: Final = 0.1


class Attempt:
    """One attempt in hand. `descriptor` holds its record's lock; `own` and `outcome` are its first and last slot."""

    def __init__(self, request: dict[str, Any], own: dict[str, Any], descriptor: int) -> None:
        self.id: str = request["id"]
        self.folder: str = request["folder"]
        self.kill_after_s: float = request["kill_after_s"]
        self.request = request
        self.own = own
        self.descriptor = descriptor
        self.pid: int | None = None
        self.since_ticks: int | None = None
        self.at_s = float("inf")
        self.sweep: processes.Sweep | None = None
        self.started: dict[str, Any] | None = None
        self.outcome: dict[str, Any] = {}
        self.leader_gone = False
        self.tries = 0


class Supervisor:
    """The loop. All times are of the monotonic clock, but those in records, which are Unix seconds."""

    def __init__(self, channel: socket.socket) -> None:
        self.channel = channel
        self.connected = True
        self.received = bytearray()
        self.notices: deque[bytes] = deque()
        self.attempts: dict[str, Attempt] = {}
        self.told = record.Told()
        self.stop_look_s = float("inf")
        self.selector = selectors.DefaultSelector()
        self.selector.register(channel, selectors.EVENT_READ, self.receive_or_notify)
        self.signals = end_signals()
        self.selector.register(self.signals, selectors.EVENT_READ, self.children_ended)

    def run(self) -> None:
        """Until the orchestrator is gone and nothing is in hand."""
        while self.connected or self.attempts:
            now_s = time.monotonic()
            next_s = min([self.stop_look_s, self.told.at_s, *(attempt.at_s for attempt in self.attempts.values())])
            pause_s = None if next_s == float("inf") else max(0.0, next_s - now_s)
            for key, events in self.selector.select(pause_s):
                key.data(events)
            self.look()

    # The orchestrator's side.

    def receive_or_notify(self, events: int) -> None:
        """The socket is ready."""
        if events & selectors.EVENT_WRITE:
            self.notify()
        if events & selectors.EVENT_READ:
            self.receive()

    def receive(self) -> None:
        """Read what has come; a partial frame waits for its rest, and is dropped if that never comes."""
        try:
            data = self.channel.recv(1 << 16)
        except BlockingIOError:
            return
        except OSError:
            data = b""
        if not data:
            self.connected = False
            self.selector.unregister(self.channel)
            self.channel.close()
            self.stop_look_s = time.monotonic()
            return
        self.received += data
        while len(self.received) >= 4:
            (size,) = struct.unpack_from(">I", self.received)
            if len(self.received) < 4 + size:
                return
            frame = json.loads(bytes(self.received[4 : 4 + size]))
            del self.received[: 4 + size]
            self.stop(frame) if "stop" in frame else self.start(frame)

    def notify(self, notice: dict[str, Any] | None = None) -> None:
        """Say that there is something to read; what the socket does not take waits until it does."""
        if notice is not None:
            text = json.dumps(notice).encode()
            self.notices.append(struct.pack(">I", len(text)) + text)
        if not self.connected:
            return
        try:
            while self.notices:
                sent = self.channel.send(self.notices[0])
                rest = self.notices.popleft()[sent:]
                if rest:
                    self.notices.appendleft(rest)
        except OSError:
            pass
        events = selectors.EVENT_READ | (selectors.EVENT_WRITE if self.notices else 0)
        self.selector.modify(self.channel, events, self.receive_or_notify)

    # An attempt's life.

    def start(self, request: dict[str, Any]) -> None:
        """Claim an attempt and run it. An attempt that is claimed already is left alone."""
        self.told.kept(request["kept"])
        own = {"id": request["id"], "boot": request["boot"], "supervisor": os.getpid(), "at": time.time()}
        try:
            os.stat(request["folder"])
            descriptor = record.claim(request["folder"], own)
        except FileExistsError:
            self.notify({"ended": request["id"]})
            return
        except OSError as error:
            self.notify({"ended": request["id"], "errno": error.errno})
            return
        attempt = Attempt(request, own, descriptor)
        self.attempts[attempt.id] = attempt
        since_ticks = processes.now_ticks()
        try:
            attempt.pid = spawn(request)
        except (OSError, ValueError) as error:
            attempt.outcome = not_started(error, request["cwd"])
            self.finish(attempt)
            return
        attempt.at_s = time.monotonic() + request["timeout_s"]
        attempt.started = {"pid": attempt.pid, "at": time.time()}
        try:
            attempt.since_ticks = attempt.started["ticks"] = processes.child_ticks(attempt.pid, since_ticks)
            record.write_slot(descriptor, record.STARTED, attempt.started)
        except OSError:
            pass  # the slot only helps whoever comes after a crash of this process; the command runs

    def stop(self, frame: dict[str, Any]) -> None:
        """End an attempt on the orchestrator's word: {"stop": id, "why": how, "kill": whether at once}."""
        attempt = self.attempts.get(frame["stop"])
        if attempt is not None:
            self.end(attempt, frame["why"], kill=frame["kill"])

    def end(self, attempt: Attempt, why: str, *, kill: bool) -> None:
        """Begin to end an attempt, or hurry; one that has ended by itself keeps its outcome."""
        self.see_leader(attempt)
        if attempt.pid is None or attempt.id not in self.attempts:
            return
        now_s = time.monotonic()
        if not attempt.outcome:
            attempt.outcome = {"how": why}
        if attempt.sweep is None:
            self.begin_sweep(attempt, now_s)
        if kill and attempt.sweep is not None:
            attempt.sweep.kill_now(now_s)
        attempt.at_s = now_s

    def begin_sweep(self, attempt: Attempt, now_s: float) -> None:
        attempt.sweep = processes.Sweep(attempt.id, attempt.pid, attempt.since_ticks, now_s, attempt.kill_after_s)

    def children_ended(self, _: int = 0) -> None:
        """Some child has ended: see which, by pid."""
        try:
            while os.read(self.signals, 512):
                pass
        except BlockingIOError:
            pass
        for attempt in list(self.attempts.values()):
            self.see_leader(attempt)

    def see_leader(self, attempt: Attempt) -> None:
        """Whether the command itself has ended. It stays a zombie until the sweep is over: its pid stays its own."""
        if attempt.pid is None or attempt.leader_gone:
            return
        detail = end_of(attempt.pid)
        if detail is None:
            return
        attempt.leader_gone = True
        if attempt.outcome:
            attempt.outcome |= detail
        else:
            attempt.outcome = {"how": "exited" if "status" in detail else "signaled", **detail}
        if attempt.outcome == {"how": "exited", "status": 0}:
            self.finish(attempt)
            return
        now_s = time.monotonic()
        if attempt.sweep is None:
            self.begin_sweep(attempt, now_s)
        attempt.at_s = now_s

    def look(self) -> None:
        """Everything that is due: timeouts, sweeps, outcomes that could not be written, and stop files."""
        now_s = time.monotonic()
        if now_s >= self.stop_look_s:
            self.stop_look_s = now_s + STOP_LOOK_S
            self.look_for_stops()
        for attempt in list(self.attempts.values()):
            if now_s < attempt.at_s:
                continue
            try:
                self.look_at(attempt, now_s)
            except OSError:
                attempt.at_s = now_s + LOOK_RETRY_S  # no descriptor to look with, say: nothing is known yet
        self.told.sync(now_s if self.connected else float("inf"))

    def look_at(self, attempt: Attempt, now_s: float) -> None:
        """What is due for one attempt."""
        if attempt.pid is None or attempt.outcome.get("at"):
            self.finish(attempt)
        elif attempt.sweep is None:
            self.end(attempt, "timed_out", kill=False)
        elif attempt.sweep.look(now_s):
            self.see_leader(attempt)
            stuck = () if attempt.leader_gone else (attempt.pid,)
            self.finish(attempt, left=tuple({*attempt.sweep.left, *stuck}))
        else:
            attempt.at_s = attempt.sweep.again_at_s

    def look_for_stops(self) -> None:
        """Once the orchestrator is gone, a file `stop` speaks for it: its text is why, and `kill` after a space."""
        for attempt in list(self.attempts.values()):
            why, _, kill = record.stop_word(attempt.folder).partition(" ")
            if why in ("stopped", "interrupted"):  # anything else was put there by a command
                self.end(attempt, why, kill=kill == "kill")

    def finish(self, attempt: Attempt, left: tuple[int, ...] = ()) -> None:
        """Write the outcome, then let go of the attempt. Where it can't be written it is tried again, lock in hand."""
        attempt.outcome.setdefault("at", time.time())
        if left:
            attempt.outcome["left"] = sorted(left)[:20]
        try:
            record.write_slot(attempt.descriptor, record.OUTCOME, attempt.outcome)
            record.restore(attempt.folder, attempt.own, attempt.outcome)
        except OSError as error:
            attempt.at_s = time.monotonic() + WRITE_RETRY_S
            attempt.tries += 1
            if attempt.tries == WRITE_TRIES_UNTOLD:
                self.notify({"ended": attempt.id, "unwritten": error.errno})
            return
        del self.attempts[attempt.id]
        if attempt.pid is not None and attempt.leader_gone:
            reap(attempt.pid)
        with contextlib.suppress(OSError):  # closing it is as good
            fcntl.flock(attempt.descriptor, fcntl.LOCK_UN)
        self.notify({"ended": attempt.id, "started": attempt.started, "outcome": attempt.outcome})
        self.told.add(attempt.id, attempt.descriptor, time.monotonic())


def main() -> None:
    """Serve the socket whose descriptor is the one argument."""
    for number in (signal.SIGINT, signal.SIGHUP, signal.SIGTERM, signal.SIGQUIT):
        signal.signal(number, lambda *_: None)  # a handler, not SIG_IGN: commands must not inherit that
    signal.pthread_sigmask(signal.SIG_SETMASK, ())
    channel = socket.socket(fileno=int(sys.argv[1]))
    os.set_inheritable(channel.fileno(), False)
    channel.setblocking(False)
    Supervisor(channel).run()


if __name__ == "__main__":
    main()
