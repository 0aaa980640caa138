"""Planted bugs: each line of PLANTED breaks one rule of the core, and a named invariant of the simulation must notice.

`python -m tests.core.mutants` plants them one after another in a copy and prints which invariant killed each.
"""

from __future__ import annotations

import shutil
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import NamedTuple

ROOT = Path(__file__).parents[2]
SAGAS = 6000


class Mutant(NamedTuple):
    """Replace `old`, which stands exactly once in `file`, by `new`; `invariant` must break."""

    file: str
    old: str
    new: str
    invariant: str


PLANTED = (
    Mutant("saga", "for name in reversed(saga.order) if has_to(name)", "for name in saga.order if has_to(name)",
           "undos come in reverse order of start"),
    Mutant("saga", "if all(_done(steps[need]) for need in step.needs)", "if any(_done(steps[need]) "
           "for need in step.needs)", "a step starts after all that it needs"),
    Mutant("step", "spent=view.spent if unseen else view.spent + 1", "spent=view.spent", "budgets are spent exactly"),
    Mutant("step", "spent=view.spent if unseen else view.spent + 1", "spent=view.spent + 2",
           "budgets are spent exactly"),
    Mutant("saga", "stands = state in (StepState.COMMITTED, StepState.IN_DOUBT)",
           "stands = state is StepState.COMMITTED", "compensated means that nothing with an undo is left"),
    Mutant("saga", "past_pivot = saga.past_pivot or (", "past_pivot = (False and ",
           "nothing is undone past a committed pivot"),
    Mutant("step", "min(view.retry_at_s, at_s + view.delay_s)", "view.retry_at_s + 100.0",
           "no wait is longer than its configured delay"),
    Mutant("saga", "view.prior if isinstance(state, History)", "StepState.PENDING if isinstance(state, History)",
           "a pending step has no effect"),
    Mutant("saga", "deadline_s=None if definition.timeout_s is None else first.at_s + definition.timeout_s",
           "deadline_s=None if definition.timeout_s is None else first.at_s + definition.timeout_s + 9",
           "an attempt ends by the deadline"),
    Mutant("judge", "if outcome is Outcome.FAILED and view.prior is not StepState.IN_DOUBT:",
           "if outcome is Outcome.FAILED:", "failed means that it took no effect"),
    Mutant("judge", "return Outcome.IN_DOUBT if ending.outputs_error else Outcome.SUCCEEDED",
           "return Outcome.FAILED if ending.outputs_error else Outcome.SUCCEEDED",
           "failed means that it took no effect"),
    Mutant("judge", "return Outcome.IN_DOUBT if by_signal else Outcome.FAILED", "return Outcome.FAILED",
           "failed means that it took no effect"),
    Mutant("judge", "if ending.how is not How.EXITED:\n        return Outcome.IN_DOUBT",
           "if ending.how is not How.EXITED:\n        return Outcome.FAILED", "failed means that it took no effect"),
    Mutant("judge", "if told and ending.exit_status == 1:", "if told and ending.exit_status == 0:",
           "a check that tells settles the doubt"),
    Mutant("judge", "_ended(e.EffectAbsent,", "_ended(e.EffectFound,", "committed means that it took effect"),
    Mutant("judge", "or spent > policy.max_retries", "or spent > policy.max_retries + 1",
           "budgets are spent exactly"),
    Mutant("judge", "or spent > policy.max_retries", "or spent >= policy.max_retries", "budgets are spent exactly"),
    Mutant("judge", "return None if lost >= LOST_IN_A_ROW_MAX else at_s", "return at_s",
           "three losses in a row are not repeated"),
    Mutant("decide", "if deadline_s is not None and now_s >= deadline_s:", "if False:",
           "time moves forward"),
    Mutant("decide", "timeout_s=min(timeout_s, left_s)", "timeout_s=timeout_s", "an attempt ends by the deadline"),
    Mutant("decide", "return (saga.deadline_passed or saga.requested is not None) and not saga.past_pivot",
           "return saga.deadline_passed and not saga.past_pivot", "no action starts in a saga that turns back"),
    Mutant("decide", "elif not halting and (view.retry_at_s or 0.0) <= now_s:",
           "elif (view.retry_at_s or 0.0) <= now_s:", "no action starts once a step is out of attempts"),
    Mutant("decide", "halting = turns_back(saga) or any((verdict_of(*pair) or 0) > Verdict.CONTINUE for pair in steps)",
           "halting = turns_back(saga) or all((verdict_of(*pair) or 0) > Verdict.CONTINUE for pair in steps)",
           "no action starts once a step is out of attempts"),
    Mutant("decide", "elif not halting and (view.retry_at_s or 0.0) <= now_s:", "elif not halting:",
           "a retry waits for its time"),
    Mutant("decide", "if halting and not live and not asking:", "if halting and not asking:",
           "no attempt is live when the saga turns"),
    Mutant("decide", "if left or (doubt and step.pivot and verdict is Verdict.COMPENSATE):", "if left:",
           "nothing is undone while the pivot is in doubt"),
    Mutant("decide", "number=view.numbers.get(phase, 0) + 1,\n        ordinal=1 if", "number=1,\n        ordinal=1 if",
           "an attempt id is never used twice"),
    Mutant("decide", "    if problems:\n", "    if False:\n", "compensated means that nothing with an undo is left"),
    Mutant("decide", "if not saga.active:", "if len(saga.active) < 2:",
           "completed means all committed or skipped"),
    Mutant("decide", "Stop(a) for a in live if a.phase is Phase.ACTION", "Stop(a) for a in live",
           "checks and undos are not stopped"),
    Mutant("decide", "    if view.live is not None:\n        return (Run(view.live),)", "    if False:\n        return ()",
           "one undo at a time"),
)


def kill(mutant: Mutant) -> str:
    """Plant one bug in a copy of the code, simulate, and give what was printed."""
    with tempfile.TemporaryDirectory() as folder:
        for package in ("sagactl", "tests"):
            shutil.copytree(ROOT / package, Path(folder, package), ignore=shutil.ignore_patterns("__pycache__"))
        path = Path(folder, "sagactl", "core", f"{mutant.file}.py")
        text = path.read_text()
        if text.count(mutant.old) != 1:
            return f"{mutant.old!r} stands {text.count(mutant.old)} times in {mutant.file}.py"
        path.write_text(text.replace(mutant.old, mutant.new))
        command = [sys.executable, "-m", "tests.world", str(SAGAS)]
        return subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False).stdout.strip()


def survivors(planted: Sequence[Mutant] = PLANTED) -> list[str]:
    """A line for each mutant that its invariant did not kill. Empty is good."""
    with ThreadPoolExecutor(2) as pool:
        said = list(pool.map(kill, planted))
    return [f"{mutant.file}: {mutant.old!r} -> {mutant.new!r}: {text}"
            for mutant, text in zip(planted, said, strict=True) if f": {mutant.invariant}:" not in text]


if __name__ == "__main__":
    alive = survivors()
    print("\n".join([*alive, f"{len(PLANTED) - len(alive)} of {len(PLANTED)} mutants killed by their invariant"]))
    sys.exit(bool(alive))
