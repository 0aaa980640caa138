"""The orchestrator killed at each step of its protocol, and again at each step of its resume: once is once.

Effects are lines in a log. A supervisor outlives its orchestrator, so nothing is ever in doubt here.
"""

from __future__ import annotations

from dataclasses import replace
from itertools import count
from pathlib import Path

import pytest

from tests.cli.test_crash import script
from tests.conftest import Torture
from tests.faults.injection import Fault, needs_strace
from tests.faults.steps import ORCHESTRATOR, Found, Place, Story, first_reset, orchestrator_steps, places, try_all
from tests.harness import states

SEED = ("run", "seed.yaml", "--id", "seed")
RUN = ("run", "saga.yaml", "--id", "t")

DRIVEN = r"""
      until kill -0 "$(sed 's/.*"pid": \([0-9]*\).*/\1/' "$SAGA_OUTPUT_DIR/../lock")" 2>&-; do sleep 0.05; more=0.3; done
      sleep ${more:-0}""".strip()
"""In a step: wait until a live process drives the saga, and a while longer. So a resume finds it running, and attaches."""

CHAIN = Story(name="a chain", state="compensated", code=10, wanted="do-a do-b try undo-b undo-a", steps=f"""
  - {{id: a, action: echo do-a >> log, undo: echo undo-a >> log}}
  - id: b
    action: {script(DRIVEN, "echo do-b >> log")}
    undo: {script(DRIVEN, "echo undo-b >> log")}
  - {{id: c, action: echo try >> log; exit 1, undo: none}}
""")
ABREAST = Story(name="side by side", state="compensated", code=10, wanted="do-a do-b try undo-a undo-b", together=True, steps=f"""
  - {{id: a, needs: [], action: echo do-a >> log, undo: echo undo-a >> log}}
  - id: b
    needs: []
    action: {script(DRIVEN, "echo do-b >> log")}
    undo: echo undo-b >> log
  - {{id: c, needs: [a, b], action: echo try >> log; exit 1, undo: none}}
""")
STORIES = (
    CHAIN,
    ABREAST,
    Story(name="the first run ever", state="completed", code=0, before=(), wanted="do-a", steps="""
  - {id: a, action: echo do-a >> log, undo: none}
"""),
    Story(name="a retry", state="completed", code=0, wanted="try1 try2", steps="""
  - {id: a, action: 'echo try$SAGA_ATTEMPT >> log; test $SAGA_ATTEMPT = 2', max_retries: 1, retry_delay: 50ms, undo: none}
"""),
    Story(name="a check", state="compensated", code=10, wanted="do-a check undo-a check", steps="""
  - {id: a, action: echo do-a >> log; kill -9 $$, undo: echo undo-a >> log; kill -9 $$,
     check: 'echo check >> log; ! grep -q undo log'}
  - {id: b, action: exit 1, undo: none}
"""),
    Story(name="a pivot", state="escalated", code=11, wanted="do-a pivot try", steps="""
  - {id: a, action: echo do-a >> log, undo: echo undo-a >> log}
  - {id: p, action: echo pivot >> log, undo: none, pivot: true}
  - {id: c, action: echo try >> log; exit 1, undo: none}
""", heard=lambda shown: shown["state"] == "running"),
    Story(name="a compensation on request", state="compensated", code=10, wanted="do-a do-b undo-b undo-a", steps="""
  - {id: a, action: echo do-a >> log, undo: echo undo-a >> log}
  - {id: b, action: echo do-b >> log, undo: echo undo-b >> log}
""", before=(SEED, RUN), args=("compensate", "t", "--yes"), heard=lambda shown: shown["state"] != "completed"),
    Story(name="a word on a step in doubt", state="completed", code=0, wanted="do-a do-b", steps="""
  - {id: a, action: kill -9 $PPID; echo do-a >> log, undo: none, on_interrupt: escalate}
  - {id: b, action: echo do-b >> log, undo: none}
""", before=(SEED, RUN), args=("resolve", "t", "--step", "a", "--as", "landed", "--reason", "seen"),
          heard=lambda shown: states(shown)["a"] != "in_doubt"),
    Story(name="a resume of what was escalated", state="completed", code=0, wanted="do-a do-b", steps="""
  - {id: a, action: kill -9 $PPID; echo do-a >> log, undo: none, on_interrupt: escalate}
  - {id: b, action: echo do-b >> log, undo: none}
""", before=(SEED, RUN, ("resolve", "t", "--step", "a", "--as", "landed", "--reason", "seen")), args=("resume", "t")),
    Story(name="an abandoning", state="abandoned", code=0, wanted="do-a try", steps="""
  - {id: a, action: echo do-a >> log, undo: echo undo-a >> log}
  - {id: b, action: echo try >> log; exit 1, undo: none, on_failure: pause}
""", before=(SEED, RUN), args=("abandon", "t", "--reason", "enough"), heard=lambda shown: False),
)

AGAIN = ("flock", "link", "sendto", "rename")
MILESTONES = (*AGAIN, "epoll_wait", "rmdir")
"""The steps between which nothing changes for anybody else: locks (each commit is between two), claims, requests, the
wait for an attempt, the fold. Only the chain is also killed between them, at SQLite's pages, notices, reads and lines of
output. A second kill is at a lock, a claim, a request or the fold."""

SHORT = "  - {id: a, action: echo do-a >> log, undo: echo undo-a >> log}\n"
PAIRED = (
    replace(CHAIN, wanted="do-a undo-a", steps=SHORT + "  - {id: c, action: exit 1, undo: none}\n"),
    replace(ABREAST, wanted="do-a do-b undo-a", steps="""
  - {id: a, needs: [], action: echo do-a >> log, undo: echo undo-a >> log}
  - {id: b, needs: [], action: sleep 0.2; echo do-b >> log; exit 1, undo: none}
"""),
)


@needs_strace
@pytest.mark.torture
def test_killed_at_any_step_a_saga_goes_on_as_if_nothing_was(tmp_path: Path, torture: Torture) -> None:
    found = Found()

    def trial(place: Place, fault: Fault) -> None:
        found.hits += place.killed(fault, place.story.args).hit
        found.compare(place, *place.end(), fault)

    for story in torture.some(STORIES, short=1):
        with places(tmp_path, story, most=9 if torture.long else 1) as queue:
            rows = orchestrator_steps(first_reset(queue), story.args, ORCHESTRATOR if story is CHAIN else MILESTONES)
            try_all(queue, torture.some(rows, short=1), trial)
    torture.report("orchestrator killed at each step", found.hits, found.faults())


@needs_strace
@pytest.mark.torture
def test_killed_again_at_any_step_of_its_resume_it_goes_on_too(tmp_path: Path, torture: Torture) -> None:
    found = Found()

    def trial(place: Place, row: tuple[Fault, str]) -> None:
        first, call = row
        for when in count(1):
            place.reset()
            hit = place.killed(first, place.story.args).hit
            second = Fault(calls=call, when=when, main=True)
            again = hit and place.killed(second, place.story.then(place.look())).hit
            found.hits += hit + again
            found.compare(place, *place.end(), (first, second))
            if not again or not torture.long:
                break

    for story in torture.some(PAIRED, short=1):
        with places(tmp_path, story, most=9 if torture.long else 1) as queue:
            rows = orchestrator_steps(first_reset(queue), story.args, MILESTONES)
            pairs = [(first, call) for first in rows for call in AGAIN]
            try_all(queue, torture.some(pairs, short=1), trial)
    torture.report("orchestrator killed at each step, and at each step of its resume", found.hits, found.faults())
