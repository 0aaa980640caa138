"""Floors: what nobody can beat, as rows of a subject."""

from __future__ import annotations

import functools
import shutil
import subprocess
import sys
from pathlib import Path

from tests.bench.measuring import FailedError, Measure, Setting, command

PYTHON = "floor: python -c pass"
C_LOOP = "floor: spawn and wait, C"
PYTHON_LOOP = "floor: spawn and wait, Python"
SYNC_LOOP = "floor: fdatasync, C"
HERE = Path(__file__).parent


def true() -> str:
    """The command that does nothing, by its path, so that no shell has one of its own."""
    found = shutil.which("true")
    if found is None:
        raise FailedError("there is no command `true` here")
    return found


def compiled(folder: Path) -> Path | str:
    """floor.c as a command in that folder, or why there is none."""
    compiler = shutil.which("cc")
    if compiler is None:
        return "no C compiler (cc)"
    binary = folder / "floor"
    argv = (compiler, "-O2", "-o", binary, HERE / "floor.c")
    done = subprocess.run(argv, capture_output=True, text=True, check=False)
    return f"cc fails: {done.stderr[-200:]}" if done.returncode else binary


def bare_python(folder: Path) -> float:
    """Milliseconds of an interpreter that does nothing."""
    return command(folder, sys.executable, "-c", "pass").seconds * 1000


def spawning(setting: Setting, count: int, at_once: int = 1, *, each: bool = True) -> dict[str, Measure | str]:
    """Milliseconds of starting `true` so many times: each, or all together."""
    words = ("spawn", str(count), str(at_once), true())
    per = count if each else 1
    in_c = setting.c_floor
    return {
        C_LOOP: in_c if isinstance(in_c, str) else functools.partial(_told, (in_c, *words), per),
        PYTHON_LOOP: functools.partial(_told, (sys.executable, HERE / "floor.py", *words), per),
    }


def syncing(setting: Setting, count: int) -> dict[str, Measure | str]:
    """Milliseconds of overwriting one page durably."""
    if isinstance(setting.c_floor, str):
        return {SYNC_LOOP: setting.c_floor}
    return {SYNC_LOOP: functools.partial(_told, (setting.c_floor, "sync", str(count), "page"), count)}


def _told(argv: tuple[str | Path, ...], per: int, folder: Path) -> float:
    return float(command(folder, *argv).stdout) * 1000 / per
