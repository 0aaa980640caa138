"""Steps of `true` as TaskFlow flows on SQLite: `durable_taskflow.py run|fail SAGAS STEPS JOBS`.

`fail`: after these steps one fails, and the engine reverts those before it. Prints as JSON how many commands it ran,
its peak of memory, and how long it worked.
"""

from __future__ import annotations

import importlib
import itertools
import json
import os
import re
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path
from typing import Any

engines: Any = importlib.import_module("taskflow.engines")
linear_flow: Any = importlib.import_module("taskflow.patterns.linear_flow")
backends: Any = importlib.import_module("taskflow.persistence.backends")
models: Any = importlib.import_module("taskflow.persistence.models")
task: Any = importlib.import_module("taskflow.task")
MODE, SAGAS, STEPS, JOBS = sys.argv[1], *map(int, sys.argv[2:])
PLACE = "sqlite:///peer.db?timeout=600"
"""SQLite would wait 5 s for a lock, and then sagas of many at once fail."""

ran = itertools.count()


def do() -> None:
    """The effect of a step."""
    subprocess.run([os.environ["TRUE"]], check=True, env=os.environ)
    next(ran)


def undo(**_: object) -> None:
    """The effect of taking it back."""
    do()


def break_down() -> None:
    raise RuntimeError("the step after the last")


def one(backend: Any, n: int) -> None:
    """One flow in a book of its own."""
    flow = linear_flow.Flow(f"saga-{n}")
    for i in range(STEPS):
        flow.add(task.FunctorTask(do, name=f"step-{i}", revert=undo))
    if MODE == "fail":
        flow.add(task.FunctorTask(break_down, name="failing"))
    book, detail = models.LogBook(flow.name), models.FlowDetail(flow.name, f"saga-{n}")
    book.add(detail)
    connection = backend.get_connection()
    connection.save_logbook(book)
    connection.close()
    engine = engines.load(flow, flow_detail=detail, book=book, backend=backend, engine="serial")
    try:
        engine.run()
    except RuntimeError:
        assert MODE == "fail"
    assert engine.storage.get_flow_state() == ("REVERTED" if MODE == "fail" else "SUCCESS")


def main() -> None:
    """Run all of them, so many at once."""
    with backends.backend({"connection": PLACE}) as backend, ThreadPoolExecutor(JOBS) as pool:
        begun_s = time.perf_counter()
        list(pool.map(partial(one, backend), range(SAGAS)))
        worked_s = time.perf_counter() - begun_s
    status = Path("/proc/self/status")
    peak = re.search(r"VmHWM:\s*(\d+)", status.read_text()) if status.exists() else None
    print(json.dumps({"ran": next(ran), "peak_kb": int(peak[1]) if peak else 0, "worked_s": worked_s}), flush=True)


main()
