"""The kill campaign: `sagactl run` and every resume after it are killed with SIGKILL at random moments.

Whatever happens, each action and each undo must have taken effect exactly once. An effect is one line in a log.
"""

from __future__ import annotations

import itertools
import os
import random
import shutil
import signal
import subprocess
import threading
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from tests.harness import Saga, saga

KILLS_IN_A_ROW_MAX = 6


def definition(rng: random.Random) -> tuple[str, list[str]]:
    """A saga of a few steps, in a chain or side by side, that completes or fails at its end; and the log it must leave.

    The lines of a chain are in order; those of parallel steps are compared as a set.
    """
    count, fails = rng.randint(2, 3), rng.random() < 0.6
    needs = "" if rng.random() < 0.6 else ", needs: []"
    lines, wanted = [], []
    for i in range(count):
        before, after = (f"sleep {rng.choice((0, 0.05, 0.4))}" for _ in range(2))
        lines.append(f"  - {{id: s{i}{needs}, action: '{before}; echo do{i} >> log; {after}', "
                     f"undo: '{before}; echo undo{i} >> log; {after}'}}")
        wanted.append(f"do{i}")
    if fails:
        every = ", ".join(f"s{i}" for i in range(count))
        lines.append(f"  - {{id: last, needs: [{every}], undo: none, retry_delay: 30ms, max_retries: 1, "
                     "action: 'echo try$SAGA_ATTEMPT >> log; exit 1'}")
        wanted += ["try1", "try2", *(f"undo{i}" for i in reversed(range(count)))]
    return "saga: killed\nsteps:\n" + "\n".join(lines) + "\n", wanted


def campaign(folder: Path, seed: int, kills: int) -> Counter[str]:
    """Run sagas, one a core, until that many kills have hit; what happened, counted.

    `double`, `lost` and `wrong` must stay 0. The folder of a saga with one of them is kept, named by its own seed.
    """
    counts, adding = Counter[str](), threading.Lock()

    def work(places: Iterator[int]) -> None:
        for place in places:
            if counts["kills"] >= kills:
                return
            home = folder / f"{seed}.{place}"
            home.mkdir()
            found = one(random.Random(home.name), home)
            with adding:
                counts.update(found)
            if not any(found[fault] for fault in ("double", "lost", "wrong")):
                shutil.rmtree(home)

    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else 1
    with ThreadPoolExecutor(cores) as pool:
        for worker in [pool.submit(work, itertools.count(first, cores)) for first in range(cores)]:
            worker.result()
    return counts


def one(rng: random.Random, folder: Path) -> Counter[str]:
    """One saga, killed up to KILLS_IN_A_ROW_MAX times, then resumed to its end."""
    text, wanted = definition(rng)
    built = saga(folder, text)
    counts = Counter(sagas=1)
    args = ["run", "saga.yaml", "--id", "t"]
    for _ in range(rng.randint(1, KILLS_IN_A_ROW_MAX)):
        if not hit(built, args, rng):
            break
        counts["kills"] += 1
        args = ["resume", "t"]
    code = 10 if "undo0" in wanted else 0
    built.again(*args).chatty().exits(code)
    found = Counter((folder / "log").read_text().split())
    counts["double"] += sum(n > 1 for n in found.values())
    counts["lost"] += sum(line not in found for line in wanted)
    counts["wrong"] += sum(line not in wanted for line in found)
    return counts


def hit(built: Saga, args: list[str], rng: random.Random) -> bool:
    """Start a command and kill it a random time after it has begun; whether it was still alive."""
    process = built.start(*args, "-o", "jsonl", stderr=subprocess.DEVNULL)
    assert process.stdout is not None
    with process.stdout as lines:
        lines.readline()
        try:
            process.wait(timeout=rng.uniform(0.0, 0.3))
        except subprocess.TimeoutExpired:
            process.send_signal(signal.SIGKILL)
            process.wait()
            return True
    return False
