"""Supervisors killed at each of their steps, alone, with their orchestrator, and with all that runs.

What took effect is told from the log. An outcome is then known or in doubt, and never wrong: `check`, `on_interrupt` or
a person's word lead on, and no action is repeated unless one of them says so. A lost undo is: undos are safe to repeat.
"""

from __future__ import annotations

import functools
import os
import subprocess
from collections import Counter
from dataclasses import replace
from itertools import product
from pathlib import Path
from typing import Any

import pytest

from sagactl.core.judge import LOST_IN_A_ROW_MAX
from tests.conftest import Torture
from tests.faults.injection import SPAWN, Fault, needs_strace
from tests.faults.steps import (
    SUPERVISOR,
    Found,
    Place,
    Story,
    first_reset,
    orchestrator_steps,
    places,
    supervisor_steps,
    try_all,
)

CONTAINER = ("unshare", "--pid", "--fork", "--mount-proc", *(["--map-root-user"] if os.geteuid() else []))
MILESTONES = ("link", SPAWN, "pwrite64", "sendto", "fdatasync")
"""Claim, start, the slots, the notice, and the end."""

PERSON_MAX = 12
"""More words of a person are not needed: nothing dies any more then."""

CHECK = "test $(cat log | grep -c ^do-{0}) -gt $(cat log | grep -c ^undo-{0})"


def story(name: str, settings: str, needs: str = "", *, check: bool = False) -> Story:
    """Two steps that are undone because a third one fails, which leaves nothing."""
    def step(letter: str) -> str:
        asks = f", check: '{CHECK.format(letter)}'" if check else ""
        return f"  - {{id: {letter}, action: echo do-{letter} >> log, undo: echo undo-{letter} >> log{needs}{asks}, {settings}}}\n"

    last = "  - {id: z, needs: [a, b], action: exit 1, undo: none, on_interrupt: retry}\n"
    return Story(name=name, state="compensated", code=10, wanted="do-a do-b undo-b undo-a", together=bool(needs),
                 steps=step("a") + step("b") + last)


ASKS = story("a person is asked", "on_interrupt: escalate")
ABREAST = story("side by side", "on_interrupt: escalate", ", needs: []")
RETRIES = story("repeated", "on_interrupt: retry")
UNDOES = story("undone", "on_interrupt: undo")
CHECKS = story("the check tells", "on_interrupt: escalate", check=True)


def settle(place: Place) -> tuple[int, Any, int]:
    """Lead a story to its end; the exit code, what `inspect` shows, and how often a person had to say a word.

    A person who looks at the log says of a step in doubt whether it took effect.
    """
    words = 0
    for _ in range(PERSON_MAX):
        shown = place.look()
        for step in shown["steps"] if shown is not None and shown["state"] == "escalated" else ():
            if step["state"] == "in_doubt":
                words += 1
                word = "landed" if f"do-{step['id']}" in place.log() else "not-landed"
                place.command("resolve", "t", "--step", step["id"], "--as", word, "--reason", "the log")
        code = place.command(*place.story.then(shown)).code
        if code not in (7, 11):
            break
    return code, place.look(), words


def judge(found: Found, place: Place, trial: object) -> int:
    """Settle a story and hold it to what must be, by what `inspect` says was lost. How often a person was needed."""
    code, shown, words = settle(place)
    told = (place.story.name, trial, place.log(), code, words)
    if code != place.story.code or shown["state"] != place.story.state:
        found.note("wrong", told)
    there = Counter(place.log())
    lost = Counter((each["id"], attempt["phase"]) for each in shown["steps"] for attempt in each["attempts"]
                   if attempt["how"] == "lost")
    for step in "ab":
        done, undone = there[f"do-{step}"], there[f"undo-{step}"]
        if done > 1 + (lost[step, "action"] if place.story.name == RETRIES.name else 0):
            found.note("double", told)
        if undone > 1 + (lost[step, "undo"] if place.story.name != CHECKS.name else 0):
            found.note("double", told)
        given_up = place.story.name == UNDOES.name or lost[step, "action"] == LOST_IN_A_ROW_MAX
        if (done and not undone) or (not done and not given_up):
            found.note("lost", told)  # one undo takes back what was repeated, as its author has to see to
    log = list(dict.fromkeys(place.log()))
    if not place.story.together and log != [line for line in place.story.wanted.split() if line in log]:
        found.note("wrong", told)
    return words


@needs_strace
@pytest.mark.torture
def test_a_supervisor_killed_at_any_step(tmp_path: Path, torture: Torture) -> None:
    """Its orchestrator lives. Nobody is asked where the definition says what to do."""
    found = Found()

    def trial(place: Place, fault: Fault) -> None:
        found.hits += place.killed(None, place.story.args, supervisor=fault).hit
        if judge(found, place, fault) and place.story in (RETRIES, UNDOES, CHECKS):
            found.note("wrong", (place.story.name, fault, "a person was asked"))

    for told in torture.some([ASKS, ABREAST, RETRIES, UNDOES, CHECKS], short=1):
        with places(tmp_path, told, most=9 if torture.long else 1) as queue:
            rows = supervisor_steps(first_reset(queue), told.args, SUPERVISOR if told in (ASKS, CHECKS) else MILESTONES)
            try_all(queue, torture.some(rows, short=1), trial)
    torture.report("supervisor killed at each step", found.hits, found.faults())


@needs_strace
@pytest.mark.torture
def test_every_supervisor_killed_at_the_same_step(tmp_path: Path, torture: Torture) -> None:
    """The run ends in doubt, or with nothing that could be started; without further deaths the saga gets to its end."""
    found = Found()

    def trial(place: Place, fault: Fault) -> None:
        found.hits += place.killed(None, place.story.args, supervisor=fault, all_supervisors=True).hit
        judge(found, place, fault)

    for told in torture.some([ASKS, CHECKS], short=1):
        with places(tmp_path, told, most=9 if torture.long else 1) as queue:
            rows = supervisor_steps(first_reset(queue), told.args, MILESTONES)
            try_all(queue, torture.some(rows, short=1), trial)
    torture.report("every supervisor killed at each step", found.hits, found.faults())


@needs_strace
@pytest.mark.torture
def test_orchestrator_and_supervisor_killed_at_any_two_steps(tmp_path: Path, torture: Torture) -> None:
    found = Found()

    def trial(place: Place, pair: tuple[Fault, Fault]) -> None:
        ours, theirs = pair
        found.hits += place.killed(ours, place.story.args, supervisor=theirs).hit
        judge(found, place, pair)

    with places(tmp_path, ASKS, most=9 if torture.long else 1) as queue:
        folder = first_reset(queue)
        ours = orchestrator_steps(folder, ASKS.args, ("sendto", "rename"))
        theirs = supervisor_steps(first_reset(queue), ASKS.args, MILESTONES)
        try_all(queue, torture.some(list(product(ours, theirs)), short=1), trial)
    torture.report("orchestrator and supervisor killed at each pair of steps", found.hits, found.faults())


@functools.cache
def no_container() -> str:
    """Why a pid namespace can't be made here; "" where it can."""
    try:
        done = subprocess.run([*CONTAINER, "true"], capture_output=True, text=True, check=False)
    except OSError as error:
        return str(error)
    return done.stderr.strip() if done.returncode else ""


@needs_strace
@pytest.mark.torture
@pytest.mark.skipif(bool(no_container()), reason=f"no pid namespace: {no_container()}")
def test_a_container_killed_at_any_step_takes_all_with_it(tmp_path: Path, torture: Torture) -> None:
    """`sagactl` is the first process of its pid namespace: with it everything in there dies. A resume runs outside."""
    found = Found()

    def trial(place: Place, fault: Fault) -> None:
        done = place.killed(fault, place.story.args, within=CONTAINER)
        found.hits += done.code not in (0, 10, 11)  # what unshare ends with then is its own affair
        judge(found, place, fault)

    for told in torture.some([ASKS, CHECKS], short=1):
        slow = replace(told, steps=told.steps.replace("action: echo", "action: sleep 0.1; echo"))
        with places(tmp_path, slow, most=9 if torture.long else 1) as queue:
            rows = orchestrator_steps(first_reset(queue), slow.args, (*MILESTONES, "flock", "recvfrom", "unlink", "rename"))
            try_all(queue, torture.some(rows, short=1), trial)
    torture.report("container killed at each step", found.hits, found.faults())
