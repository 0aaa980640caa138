"""What each step of a saga costs, forward and back."""

from __future__ import annotations

import json
from functools import partial
from pathlib import Path

from tests.bench import floors, ours, peers
from tests.bench.measuring import Setting, Subject, hold

PARALLEL = ", needs: []"


def slope(setting: Setting) -> Subject:
    """From 1 to 201 steps: starting up costs the same and falls out."""
    steps = setting.of(200, quick=10)
    return Subject(what=f"each further `true` step of one saga (1 and {steps + 1} steps)", unit="ms", rows={
        **floors.spawning(setting, steps),
        **floors.syncing(setting, steps),
        ours.NAME: partial(_slope, steps),
        **peers.durable(partial(_slope_of_peer, steps)),
    })


def parallel(setting: Setting) -> Subject:
    steps = setting.of(1000, quick=20)
    return Subject(what=f"run of {steps} `true` steps side by side", unit="ms", rows={
        **floors.spawning(setting, steps, 64, each=False), ours.NAME: partial(_runs, steps, PARALLEL),
    })


def chain(setting: Setting) -> Subject:
    steps = setting.of(1000, quick=20)
    return Subject(what=f"run of {steps} `true` steps in a chain", unit="ms", rows={
        **floors.spawning(setting, steps, each=False), ours.NAME: partial(_runs, steps, ""),
    })


def back(setting: Setting) -> Subject:
    """Ten commands that succeed, and one failure between them."""
    return Subject(what="run of five `true` steps, a failure, five undos", unit="ms", rows={
        **floors.spawning(setting, 11, each=False),
        ours.NAME: _compensates,
        **peers.durable(lambda name, folder: peers.run(name, folder, "fail", 1, 5, ran=10).seconds * 1000),
    })


def _runs(steps: int, needs: str, folder: Path) -> float:
    ours.define(folder, steps, needs=needs)
    return ours.run(folder, steps).seconds * 1000


def _slope(steps: int, folder: Path) -> float:
    taken = []
    for count in (1, steps + 1):
        below = folder / str(count)
        below.mkdir()
        taken.append(_runs(count, "", below))
    return (taken[1] - taken[0]) / steps


def _slope_of_peer(steps: int, name: str, folder: Path) -> float:
    taken = []
    for count in (1, steps + 1):
        below = folder / str(count)
        below.mkdir()
        taken.append(peers.worked_s(peers.run(name, below, "run", 1, count)) * 1000)
    return (taken[1] - taken[0]) / steps


def _compensates(folder: Path) -> float:
    ours.define(folder, 5, undo="true", more='  - {id: failing, action: ["false"], undo: none}\n')
    done = ours.sagactl(folder, "run", ours.FILE, "--id", "one", code=10)
    shown = json.loads(ours.sagactl(folder, "inspect", "one", "--json").stdout)
    hold([step["state"] for step in shown["steps"]], ["compensated"] * 5 + ["failed"], "steps")
    return done.seconds * 1000
