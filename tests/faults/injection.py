"""Faults at an exact system call, by strace: no hook in the program, and no timing.

`sagactl` and its supervisors are traced apart. A `Fault` names system calls, which of them is hit (the N-th of a
thread), and what happens there: the process dies just before the call, or the call fails. Counting N up until nothing is
hit takes every step of a run once.
"""

from __future__ import annotations

import functools
import json
import os
import platform
import re
import shlex
import shutil
import signal
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.harness import ROOT, TIMEOUT_S, environment

KILL = "signal=KILL"
_GLIBC = [int(part) for part in re.findall(r"\d+", platform.libc_ver()[1])]
SPAWN = "clone3" if _GLIBC >= [2, 34] else "clone"
"""The system call with which the C library starts a command."""

ATTACHED = r"""
import json, os, sys
import anyio._backends._asyncio, jsonschema, yaml
import sagactl.__main__, sagactl.cli.main, sagactl.clock, sagactl.definition.loading, sagactl.definition.parameters
import sagactl.engine, sagactl.execution.executor, sagactl.journal.sqlite
status = open("/proc/self/status")
tracer = os.posix_spawnp("strace", [*json.loads(sys.argv[1]), "-p", str(os.getpid())], os.environ,
                         file_actions=[(os.POSIX_SPAWN_OPEN, n, os.devnull, os.O_RDWR, 0) for n in range(3)])
while "TracerPid:\t0\n" in (status.seek(0), status.read())[1]:
    assert os.waitpid(tracer, os.WNOHANG)[0] == 0, "strace refused"
sys.argv[:2] = ["sagactl"]
sagactl.__main__.main()
"""
"""Import first, then be traced: each system call costs two switches, and imports are thousands."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Fault:
    """At the N-th of these system calls (`when`, from 1; `onwards` at all from then on, or up to `until`), `effect`.

    `effect` is `signal=KILL` or `error=ENOSPC` and the like. With `paths` only calls on these files count, with
    `main` only those of the first thread. Each call is counted by itself, and each thread by itself.
    """

    calls: str
    when: int
    effect: str = KILL
    onwards: bool = False
    until: int | None = None
    paths: tuple[Path, ...] = ()
    main: bool = False

    def options(self) -> list[str]:
        """As strace wants it. A name with `?` may be missing on this machine."""
        which = f"{self.when}{'+' if self.onwards else f'..{self.until}' if self.until else ''}"
        limits = [option for path in self.paths for option in ("-P", str(path))]
        return [*limits, "-e", f"trace={self.calls}", "-e", f"inject={self.calls}:{self.effect}:when={which}"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Traced:
    """A command that has ended. `hit` says whether a fault was reached; `code` is negative for a signal."""

    code: int
    stdout: str
    stderr: str
    hit: bool


@functools.cache
def why_not() -> str:
    """Why faults can't be injected here; "" where they can."""
    if shutil.which("strace") is None:
        return "there is no strace"
    done = subprocess.run(["strace", "-D", "-f", "-o", os.devnull, "true"], capture_output=True,
                          text=True, check=False)
    return done.stderr.strip() if done.returncode else ""


needs_strace = pytest.mark.skipif(bool(why_not()), reason=f"no injection: {why_not()}")


def inject(
    folder: Path, args: Sequence[str], *, orchestrator: Fault | None = None, supervisor: Fault | None = None,
    all_supervisors: bool = False, within: Sequence[str] = (),
) -> Traced:
    """Run `sagactl` in a folder with faults in it, in its first supervisor (or each of them), or in both.

    `within` is a command to run it with, such as `unshare`. Ends when `sagactl` has; supervisors may go on.
    """
    ours, theirs = folder / "trace" / "orchestrator", folder / "trace" / "supervisor"
    shutil.rmtree(ours.parent, ignore_errors=True)
    ours.parent.mkdir()
    python = str(_python(folder, supervisor, theirs, most=1000 if all_supervisors else 1))
    command = [*within, python, "-m", "sagactl", *args]
    if orchestrator is not None:
        threads = [] if orchestrator.main else ["-f", "--detach-on=execve"]  # supervisors are traced by their own
        strace = ["strace", *threads, "-o", str(ours), *orchestrator.options()]
        command = [*within, python, "-c", ATTACHED, json.dumps(strace), *args]
    out, err = ours.with_name("stdout"), ours.with_name("stderr")
    with out.open("wb") as stdout, err.open("wb") as stderr:  # not pipes: the tracer lives on and would hold them
        code = subprocess.run(command, cwd=folder, env=environment(folder), stdin=subprocess.DEVNULL, stdout=stdout,
                              stderr=stderr, timeout=TIMEOUT_S, check=False, start_new_session=True).returncode
    hit = code == -signal.SIGKILL or any(_hit(trace) for trace in (ours, *ours.parent.glob("*/calls")))
    return Traced(code=code, stdout=out.read_text(errors="replace"), stderr=err.read_text(errors="replace"), hit=hit)


def _hit(trace: Path) -> bool:
    text = trace.read_text(errors="replace") if trace.exists() else ""
    return "(INJECTED)" in text or "+++ killed by SIGKILL +++" in text


def _python(folder: Path, fault: Fault | None, trace: Path, *, most: int) -> Path:
    """An interpreter like ours, in an environment of its own, that starts so many supervisors under strace."""
    home = folder / "python"
    wrapper = home / "bin" / "python"
    if not home.exists():
        (home / "bin").mkdir(parents=True)
        (home / "pyvenv.cfg").write_text(f"home = {Path(sys.base_prefix) / 'bin'}\n")
        (home / "lib").symlink_to(Path(sys.prefix) / "lib")
    real = os.path.realpath(sys.executable)
    traced = shlex.join(["strace", "-D", "-o", "calls", *fault.options()]) if fault else ""
    # The program starts its supervisors with sys.executable, which is the name that it was itself started by.
    wrapper.write_text(f"""#!/bin/bash
if [ "$1" != -I ]; then PYTHONPATH='{ROOT}' exec -a '{wrapper}' {real} "$@"; fi
for ((i = 0; i < {most if fault else 0}; i++)); do
    if mkdir '{trace}'.$i 2>/dev/null; then cd '{trace}'.$i && exec {traced} {real} "$@"; fi
done
exec {real} "$@"
""")
    wrapper.chmod(0o755)
    return wrapper
