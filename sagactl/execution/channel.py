"""The orchestrator's end of the sockets to its supervisors: starts them, sends requests, wakes who waits for notices.

A supervisor that dies wakes everybody who waits on it; what became of their attempts is read from their records.
"""

from __future__ import annotations

import json
import struct
from typing import Any, Self

import anyio
import anyio.abc

from sagactl.execution.launching import Launched, launch
from sagactl.execution.supervisor import ATTEMPTS_MAX


class Supervisor:
    """One supervisor process, as seen from here."""

    def __init__(self, launched: Launched) -> None:
        self.socket, self.process = launched
        self.alive = True
        self.notices: dict[str, dict[str, Any]] = {}
        self.waiting: dict[str, anyio.Event] = {}
        self._sending = anyio.Lock()

    @property
    def has_room(self) -> bool:
        return self.alive and len(self.waiting) < ATTEMPTS_MAX

    async def run(self, request: dict[str, Any]) -> dict[str, Any] | None:
        """Ask for an attempt and wait until it has ended; its notice, None where the supervisor died instead."""
        identity = request["id"]
        self.waiting[identity] = ended = anyio.Event()
        try:
            await self.send(request)
            if self.alive:
                await ended.wait()
        finally:
            del self.waiting[identity]
        return self.notices.pop(identity, None)

    async def send(self, frame: dict[str, Any]) -> None:
        """Send one frame, whole. A dead supervisor is noticed by `listen`."""
        text = json.dumps(frame).encode()
        data = memoryview(struct.pack(">I", len(text)) + text)
        async with self._sending:
            try:
                while data and self.alive:
                    try:
                        data = data[self.socket.send(data) :]
                    except BlockingIOError:
                        await anyio.wait_writable(self.socket)
            except OSError:
                return
            except BaseException:
                self.alive = False  # nothing may follow the half of a frame
                raise

    async def listen(self) -> None:
        """Read notices until the supervisor is gone; then wake everybody."""
        received = bytearray()
        while True:
            await anyio.wait_readable(self.socket)
            try:
                data = self.socket.recv(1 << 16)
            except BlockingIOError:
                continue
            except OSError:
                data = b""
            if not data:
                break
            received += data
            while len(received) >= 4 and len(received) >= 4 + (size := struct.unpack_from(">I", received)[0]):
                notice = json.loads(bytes(received[4 : 4 + size]))
                del received[: 4 + size]
                if notice["ended"] in self.waiting:
                    self.notices[notice["ended"]] = notice
                    self.waiting[notice["ended"]].set()
        self.alive = False
        for event in self.waiting.values():
            event.set()

    def close(self) -> None:
        """Let the supervisor go: it ends when its last attempt is done."""
        self.alive = False
        self.socket.close()
        self.process.poll()
        self.process.returncode = self.process.returncode or 0  # it outlives us on purpose


class Supervisors:
    """As many supervisors as the attempts in hand need. An async context manager; leaving it ends no command."""

    def __init__(self, first: Launched | None = None) -> None:
        self._all = [Supervisor(first)] if first else []

    async def __aenter__(self) -> Self:
        self._tasks = anyio.create_task_group()
        await self._tasks.__aenter__()
        for supervisor in self._all:
            self._tasks.start_soon(supervisor.listen)
        return self

    async def __aexit__(self, *error: object) -> bool | None:
        self._tasks.cancel_scope.cancel()
        try:
            return await self._tasks.__aexit__(*error)  # type: ignore[arg-type]
        finally:
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
        self._tasks.start_soon(supervisor.listen)
        return supervisor

    def tell(self, supervisor: Supervisor, frame: dict[str, Any]) -> None:
        """Send a frame without waiting for it to be taken."""
        self._tasks.start_soon(supervisor.send, frame)

    def of(self, identity: str) -> Supervisor | None:
        """The supervisor that has that attempt in hand, if it is one of ours."""
        return next((each for each in self._all if identity in each.waiting and each.alive), None)
