"""Where it was measured: figures of two machines say nothing about each other."""

from __future__ import annotations

import os
import platform
import re
from pathlib import Path


def machine(scratch: Path) -> dict[str, str]:
    """Name and value of what decides how fast things are here."""
    return {
        "CPU": _cpu(),
        "cores": str(len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()),
        "kernel": f"{platform.system()} {platform.release()}",
        "Python": platform.python_version(),
        "load": " ".join(f"{each:.2f}" for each in os.getloadavg()),
        "file system": _file_system(scratch.resolve()),
    }


def _cpu() -> str:
    try:
        found = re.search(r"^model name\s*: (.*)", Path("/proc/cpuinfo").read_text(), re.MULTILINE)
    except OSError:
        found = None
    return found[1] if found else platform.processor() or platform.machine()


def _file_system(folder: Path) -> str:
    """The type of what is mounted there: of the mount with the longest path that is above the folder."""
    try:
        mounts = [line.split()[1:3] for line in Path("/proc/self/mounts").read_text().splitlines()]
    except OSError:
        return "unknown"
    above = [(len(point), kind) for point, kind in mounts if folder.is_relative_to(point)]
    return max(above)[1] if above else "unknown"
