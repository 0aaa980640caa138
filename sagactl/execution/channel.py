"""The orchestrator's end of the sockets to its supervisors: starts them, sends requests, passes notices on.

A supervisor that dies is a notice to everybody who waits on it; what became of their attempts is in their records.
Rule: one turn of the loop for a request, one for a notice; no tasks.
"""

from __future__ import annotations

import asyncio
import json
import struct
from collections.abc import Callable
from typing import Any, Self, TypeAlias

from sagactl.execution.launching import Launched, launch
from sagactl.execution.supervisor import ATTEMPTS_MAX

Notice: TypeAlias = dict[str, Any]
"""What a supervisor says of an attempt; {} where it died instead."""


class Supervisor:
    """One supervisor process, as seen from here. Made where a loop runs."""

    def __init__(self, launched: Launched) -> None:
        self.socket, self.process = launched
        self.alive = True
        self.kept: list[str] = []
        self.waiting: dict[str, Callable[[Notice], None]] = {}
        self._received, self._unsent = bytearray(), bytearray()
        self._loop = asyncio.get_running_loop()
        self._loop.add_reader(self.socket, self._receive)

    @property
    def has_room(self) -> bool:
        return self.alive and len(self.waiting) < ATTEMPTS_MAX

    def run(self, request: dict[str, Any], told: Callable[[Notice], None]) -> None:
        """Ask for an attempt; `told` is called once, with the notice that it has ended.

        With the request goes which outcomes are `kept`, in the journal, since the one before.
        """
        self.send({**request, "kept": self.kept})
        self.waiting[request["id"]] = told
        self.kept = []

    def send(self, frame: dict[str, Any]) -> None:
        """Send one frame, whole; what the socket does not take now goes when it does."""
        text = json.dumps(frame).encode()
        waits = bool(self._unsent)
        self._unsent += struct.pack(">I", len(text)) + text
        if not waits:
            self._flush()

    def _flush(self) -> None:
        try:
            del self._unsent[: self.socket.send(self._unsent)]
        except BlockingIOError:
            pass
        except OSError:
            self._unsent.clear()  # it is dead, which `_receive` is told too
        if self._unsent:
            self._loop.add_writer(self.socket, self._writable)

    def _writable(self) -> None:
        self._loop.remove_writer(self.socket)
        self._flush()

    def _receive(self) -> None:
        """Read notices; once the supervisor is gone, tell everybody."""
        try:
            data = self.socket.recv(1 << 16)
        except BlockingIOError:
            return
        except OSError:
            data = b""
        if not data:
            self._leave()
            for identity in list(self.waiting):
                self.waiting.pop(identity)({})
            return
        self._received += data
        while len(self._received) >= 4:
            (size,) = struct.unpack_from(">I", self._received)
            if len(self._received) < 4 + size:
                return
            notice = json.loads(self._received[4 : 4 + size])
            del self._received[: 4 + size]
            if notice["ended"] in self.waiting:  # else it has been told of already
                self.waiting.pop(notice["ended"])(notice)

    def _leave(self) -> None:
        self.alive = False
        self._loop.remove_reader(self.socket)
        self._loop.remove_writer(self.socket)

    def close(self) -> None:
        """Let the supervisor go: it ends when its last attempt is done."""
        self._leave()
        self.socket.close()
        self.process.poll()
        self.process.returncode = self.process.returncode or 0  # it outlives us on purpose


class Supervisors:
    """As many supervisors as the attempts in hand need. An async context manager; leaving it ends no command."""

    def __init__(self, first: Launched | None = None) -> None:
        self._first = first
        self._all: list[Supervisor] = []

    async def __aenter__(self) -> Self:
        self._all = [Supervisor(self._first)] if self._first else []
        return self

    async def __aexit__(self, *error: object) -> None:
        for supervisor in self._all:
            supervisor.close()

    def with_room(self) -> Supervisor:
        """A supervisor that can take one attempt more; a new one where there is none."""
        self._all = [supervisor for supervisor in self._all if supervisor.alive or supervisor.waiting]
        for supervisor in self._all:
            if supervisor.has_room:
                return supervisor
        supervisor = Supervisor(launch())
        self._all.append(supervisor)
        return supervisor

    def of(self, identity: str) -> Supervisor | None:
        """The supervisor that has that attempt in hand, if it is one of ours."""
        return next((each for each in self._all if identity in each.waiting and each.alive), None)
