"""Steps of `true` as DBOS workflows on SQLite: `durable_dbos.py run|fail|interrupt|resume SAGAS STEPS JOBS`.

`fail`: after these steps one fails, and the workflow takes back those before it. `interrupt`: killed when all have done
their first step. `resume`: goes on with those. Prints as JSON how many commands it ran, its peak of memory, and how long it worked.
"""

from __future__ import annotations

import importlib
import itertools
import json
import os
import re
import signal
import subprocess
import sys
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

dbos: Any = importlib.import_module("dbos")
MODE, SAGAS, STEPS, JOBS = sys.argv[1], *map(int, sys.argv[2:])
POLL_S = 0.01
ran = itertools.count()
gate = threading.Barrier(SAGAS, action=lambda: os.kill(os.getpid(), signal.SIGKILL))


def do(command: str) -> None:
    """The effect of a step."""
    subprocess.run([command], check=True, env=os.environ)
    next(ran)


def break_down() -> None:
    raise RuntimeError("the step after the last")


def saga(steps: int) -> int:
    """One workflow; how many steps were done."""
    done = 0
    try:
        for _ in range(steps):
            step(os.environ["TRUE"])
            done += 1
            if MODE == "interrupt":
                gate.wait()
        if MODE == "fail":
            failing()
    except RuntimeError:
        for _ in range(done):
            step(os.environ["TRUE"])
    return done


step = dbos.DBOS.step()(do)
failing = dbos.DBOS.step()(break_down)
workflow = dbos.DBOS.workflow()(saga)


def one(n: int) -> int:
    """Run one under an id of its own."""
    with dbos.SetWorkflowID(f"saga-{n}"):
        done: int = workflow(STEPS)
    return done


def main() -> None:
    """Run all of them, so many at once."""
    dbos.DBOS(config={"name": "bench", "system_database_url": "sqlite:///peer.db", "log_level": "ERROR"})
    dbos.DBOS.launch()
    begun_s = time.perf_counter()
    if MODE == "resume":  # launching has begun it
        handles = [dbos.DBOS.retrieve_workflow(f"saga-{n}") for n in range(SAGAS)]
        done = sum(handle.get_result(polling_interval_sec=POLL_S) for handle in handles)
    else:
        with ThreadPoolExecutor(SAGAS if MODE == "interrupt" else JOBS) as pool:
            done = sum(pool.map(one, range(SAGAS)))
    worked_s = time.perf_counter() - begun_s  # it ends by waiting for a fixed time, in which hundreds of steps would hide
    assert done == SAGAS * STEPS
    status = Path("/proc/self/status")
    peak = re.search(r"VmHWM:\s*(\d+)", status.read_text()) if status.exists() else None
    print(json.dumps({"ran": next(ran), "peak_kb": int(peak[1]) if peak else 0, "worked_s": worked_s}), flush=True)
    dbos.DBOS.destroy()


main()
