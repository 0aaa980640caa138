"""`sagactl plan`: what would run, and that what it foresees of a failure is what comes of it."""

from __future__ import annotations

import random
import re
from dataclasses import replace
from pathlib import Path

import pytest

from sagactl.cli import foresight
from sagactl.cli.render.plan import duration
from sagactl.core import events as e
from sagactl.core.decide import Record, Run, Wait, decide
from sagactl.core.judge import judge
from sagactl.core.parts import Ending, How
from sagactl.core.saga import Saga as View
from sagactl.core.saga import evolve, replay
from sagactl.core.states import SagaState, StepState
from sagactl.model import Definition, Phase
from tests.definition.building import definition as loaded
from tests.harness import saga
from tests.world import random_definition, started

TRIP = """saga: trip
description: Book it.
params:
  city: {type: string}
  nights: {type: integer, default: 2}
  fail: {type: string, default: "-"}
secrets: {TOKEN: {env: NOT_SET}}
defaults: {timeout: 30s}
timeout: 1h30m
env: {FAIL: "${params.fail}"}
steps:
  - id: flight
    needs: []
    action: [./book, flight, "--to=${params.city}"]
    outputs: [booking]
    undo: [./cancel, "--booking=${steps.flight.outputs.booking?}"]
    max_retries: 3
    retry_on: [75]
  - id: hotel
    description: where to sleep
    needs: []
    secrets: [TOKEN]
    stdin: ${params.nights} nights
    action: |
      test "$FAIL" != hotel
      echo 'two lines'
    undo: {run: [./cancel, hotel], timeout: 90s, max_retries: 100}
    check: [./has, hotel]
    undo_if_failed: true
    cwd: .
  - id: pay
    needs: [flight, hotel]
    pivot: true
    action: [./pay, "${saga.id}"]
    undo: {manual: "Call the bank about ${steps.flight.outputs.booking} in ${params.city}."}
    max_retries: 8
    retry_jitter: full
  - id: tell
    action: [./mail, "it's $${done}"]
    on_failure: continue
    undo: none
"""
PLAN = """trip: Book it.
  nights = 2
  fail = -
  deadline 1h30m

1. at the same time: flight, hotel
   flight
     ./book flight '--to=${params.city}'
       timeout 30s, 4 attempts, delays 1s 2s 4s, only on exit 75
       env: FAIL
     on_interrupt: retry
     outputs: booking
     undo: ./cancel '--booking=${steps.flight.outputs.booking}'
       timeout 30s, 4 attempts, delays 1s 2s 4s
       env: FAIL
   hotel
     # where to sleep
     /bin/sh -eu -c
       | test "$FAIL" != hotel
       | echo 'two lines'
       timeout 30s, 1 attempt
       env: FAIL
       secrets: TOKEN=***
       stdin: 2 nights
     undo_if_failed, on_interrupt: escalate
     undo: ./cancel hotel
       timeout 1m30s, 101 attempts, delays 1s 2s 4s 8s 16s 32s … 1m
       env: FAIL
       secrets: TOKEN=***
     check: ./has hotel
       timeout 30s, 3 attempts, delays 1s 2s
       env: FAIL
       secrets: TOKEN=***

2. pay
     ./pay '${saga.id}'
       timeout 30s, 9 attempts, delays up to 1s 2s 4s 8s 16s 32s … 1m
       env: FAIL
     pivot, on_interrupt: retry
     undo by hand: Call the bank about ${steps.flight.outputs.booking} in ${params.city}.

3. tell
     ./mail 'it'"'"'s ${done}'
       timeout 30s, 1 attempt
       env: FAIL
     on_failure: continue, on_interrupt: escalate
     undo: none

If a step fails, or ends in doubt (timed out, ended by a signal, without its outputs):
   flight fails     compensated: undo hotel
   flight in doubt  compensated: undo hotel, flight
   hotel fails      compensated: undo hotel, flight
   hotel in doubt   if the check finds the effect, the saga goes on; else as when it fails
   pay fails        compensated: undo hotel, flight
   pay in doubt     escalated: nothing is undone; flight, hotel, pay stay (a person decides)
   tell fails       the saga goes on without it
   tell in doubt    the saga goes on without it
If a step is lost (its supervisor or the machine died, or Ctrl-C twice), as `on_interrupt` says:
   flight, pay: it is repeated
   hotel: if the check finds the effect, the saga goes on; if none, it is repeated; else escalated (exit 11)
   tell: escalated (exit 11)
This is the most there is to undo: steps at the same time may not have started when another one fails.
"""


def test_a_plan_shows_all_that_would_run_and_what_a_failure_leads_to(tmp_path: Path) -> None:
    built = saga(tmp_path, TRIP).args("plan", "saga.yaml").stdout(PLAN)
    built.stderr("sagactl: warning: city is not given: shown as ${params.city}").exits(0)
    assert not (tmp_path / "state").exists()


def test_a_plan_in_json_is_one_object_with_every_word_as_it_would_be_executed(tmp_path: Path) -> None:
    built = saga(tmp_path, TRIP).args("plan", "-", "-o", "json", "-p", "city=a b\n'").stdin(TRIP).stdout(re.compile(".*\n"))
    plan = built.exits(0).json
    assert (plan["schema"], plan["saga"], plan["deadline_s"], plan["missing"]) == (1, "trip", 5400.0, [])
    assert plan["params"] == {"city": "a b\n'", "nights": 2, "fail": "-"}
    assert plan["waves"] == [["flight", "hotel"], ["pay"], ["tell"]]
    flight, hotel, pay, tell = plan["steps"]
    assert flight["action"]["argv"] == ["./book", "flight", "--to=a b\n'"]
    assert (flight["action"]["delays_s"], flight["action"]["retry_on"]) == ([1.0, 2.0, 4.0], [75])
    assert hotel["action"]["argv"][:3] == ["/bin/sh", "-eu", "-c"]
    assert (hotel["action"]["secrets"], hotel["action"]["env"], hotel["action"]["cwd"]) == (["TOKEN"], ["FAIL"], str(tmp_path))
    assert pay["undo"] == {"manual": "Call the bank about ${steps.flight.outputs.booking} in a b\n'."}
    assert (pay["action"]["delays_are_most"], tell["undo"], tell["on_failure"]) == (True, "none", "continue")
    assert next(each for each in plan["failures"] if each["step"] == "pay") == {
        "step": "pay", "fate": "failed", "check": None, "ends": "compensated", "becomes": "failed",
        "undone": ["hotel", "flight"], "stays": [],
    }  # fmt: skip


REAL = """
params: {fail: {type: string, default: "-"}}
env: {FAIL: "${params.fail}"}
defaults: {retry_delay: 10ms, max_retries: 1}
steps:
  - {id: a, action: test "$FAIL" != a, undo: echo a >> log}
  - {id: b, action: test "$FAIL" != b, undo: none}
  - {id: c, action: test "$FAIL" != c, undo: {manual: by hand}}
  - {id: d, action: test "$FAIL" != d, undo: echo d >> log, undo_if_failed: true}
  - {id: m, action: test "$FAIL" != m}
  - {id: o, action: test "$FAIL" != o, undo: none, on_failure: continue}
  - {id: p, action: test "$FAIL" != p, undo: echo p >> log, on_failure: pause}
  - {id: q, action: test "$FAIL" != q, pivot: true, undo: none}
  - {id: r, action: test "$FAIL" != r, undo: echo r >> log}
"""


def test_what_is_foreseen_of_a_failure_is_what_a_real_run_comes_to(tmp_path: Path) -> None:
    built = saga(tmp_path, REAL)
    plan = built.args("plan", "saga.yaml", "--json").chatty().exits(0).json
    foreseen = {each["step"]: each for each in plan["failures"] if each["fate"] == "failed"}
    for name in "dopr":
        (tmp_path / "log").write_text("")
        code = built.again("run", "saga.yaml", "--id", name, "-p", f"fail={name}").chatty().finished().code
        told = foreseen[name]
        assert (tmp_path / "log").read_text().split() == told["undone"], name
        assert code == {"running": 0, "compensated": 10, "escalated": 11, "paused": 12}[told["ends"]], name
    assert [(each["step"], each["why"]) for each in foreseen["r"]["stays"]] == [
        ("a", "past_pivot"), ("b", "none"), ("c", "past_pivot"), ("d", "past_pivot"), ("m", "past_pivot"), ("o", "none"),
        ("p", "past_pivot"), ("q", "none"),
    ]  # fmt: skip
    assert foreseen["q"]["stays"] == [
        {"step": "m", "why": "missing", "text": ""}, {"step": "c", "why": "manual", "text": "by hand"},
        {"step": "b", "why": "none", "text": ""}, {"step": "o", "why": "none", "text": ""},
    ]  # fmt: skip


CHECKED = """
defaults: {retry_delay: 10ms}
steps:
  - {id: a, action: [touch, a], undo: echo a >> log}
  - {id: late, action: 'echo x > late; sleep 30', timeout: 300ms, check: "CHECK", undo: echo late >> log}
"""


@pytest.mark.parametrize("check", ["true", "false", "exit 2"])
def test_what_is_foreseen_of_a_step_in_doubt_is_what_its_check_makes_of_it(tmp_path: Path, check: str) -> None:
    built = saga(tmp_path, CHECKED.replace("CHECK", check)).file("log", "")
    plan = built.args("plan", "saga.yaml", "--json").chatty().exits(0).json
    answer = {"true": "effect_found", "false": "effect_absent", "exit 2": "inconclusive"}[check]
    told, = [each for each in plan["failures"] if (each["step"], each["fate"], each["check"]) == ("late", "in_doubt", answer)]
    code = built.again("run", "saga.yaml", "--id", "x").chatty().finished().code
    assert code == {"running": 0, "compensated": 10}[told["ends"]]
    assert (tmp_path / "log").read_text().split() == told["undone"] == {"true": [], "false": ["a"]}.get(check, ["late", "a"])


def driven(definition: Definition, name: str, how: How, answer: foresight.Answer | None) -> tuple[View, list[str]]:
    """The saga driven to its rest, attempt by attempt: all ends well but this step's action, which ends last and always
    so, and its check says `answer`. One that is lost is so once. And the steps whose undo succeeded, in order.
    """
    saga, now_s = replay([replace(started(*definition.steps), definition=definition)]), 0.0
    undone: list[str] = []
    while True:
        effects = decide(saga, now_s)
        live = [each.attempt for each in effects if isinstance(each, Run)]
        others = [attempt for attempt in live if attempt.step != name or attempt.phase is not Phase.ACTION]
        if records := [each.event for each in effects if isinstance(each, Record)]:
            events: list[e.Event] = records
        elif live:
            attempt = (others or live)[0]
            status = list(foresight.Answer).index(answer) if answer and attempt.phase is Phase.CHECK else 0
            well = bool(others) or (how is How.LOST and attempt.number > 1)
            bad = Ending(how=how, exit_status=1 if how is How.EXITED else None, ended_s=now_s)
            ending = Ending(how=How.EXITED, exit_status=status, ended_s=now_s) if well else bad
            events = [judge(saga, attempt, ending, at_s=now_s, draw=0.5)]
        elif waits := [each.until_s for each in effects if isinstance(each, Wait)]:
            now_s = min(waits)
            continue
        else:
            return saga, undone
        for event in events:
            undone += [event.step] if isinstance(event, e.UndoSucceeded) else []
            saga = evolve(saga, event)


@pytest.mark.parametrize("seed", range(8))
def test_what_is_foreseen_is_what_the_whole_protocol_comes_to(seed: int) -> None:
    """Of random definitions, without a deadline, which foresight leaves out."""
    rng = random.Random(seed)
    for _ in range(12):
        definition = replace(random_definition(rng).definition, timeout_s=None)
        for told in foresight.outcomes(definition, {}):
            how = {"failed": How.EXITED, "in_doubt": How.TIMED_OUT, "lost": How.LOST}[told.fate]
            view, undone = driven(definition, told.step, how, told.check)
            ends = SagaState.RUNNING if view.state is SagaState.COMPLETED else view.state
            assert (told.ends, told.undone) == (ends, tuple(undone)), told
            if how is How.LOST:
                repeated = view.steps[told.step].numbers[Phase.ACTION] > 1
                assert (told.becomes is StepState.EXECUTING) == repeated, told
            elif ends is SagaState.RUNNING:
                assert told.becomes is view.steps[told.step].state, told
            if ends is not SagaState.RUNNING:
                standing = (StepState.COMMITTED, StepState.IN_DOUBT, StepState.COMPENSATION_FAILED)
                kept = {each for each, step in view.steps.items() if step.state in standing}
                assert {stays.step for stays in told.stays} == kept, told


def test_a_step_in_doubt_whose_undo_needs_an_output_of_it_may_stay(tmp_path: Path) -> None:
    plan = saga(tmp_path, """
steps: [{id: a, action: [x], outputs: [o], undo: [y, "--o=${steps.a.outputs.o}"]}, {id: b, action: [x], undo: none}]
""").args("plan", "saga.yaml", "--json").chatty().exits(0).json
    failed, in_doubt, _, after, *_ = plan["failures"]
    assert failed["stays"] == []
    assert (in_doubt["ends"], in_doubt["undone"]) == ("escalated", [])
    assert [(each["step"], each["why"]) for each in in_doubt["stays"]] == [("a", "no_value")]
    assert (after["ends"], after["undone"]) == ("compensated", ["a"])


def test_what_a_step_in_doubt_may_leave_is_not_said_of_it_when_it_has_committed() -> None:
    step = "{{id: {0}, needs: [], action: [x], outputs: [o], undo: [y, '--o=${{steps.{0}.outputs.o}}']}}"
    told = foresight.outcomes(loaded(f"saga: s\nsteps: [{step.format('a')}, {step.format('b')}]"), {})
    assert [(each.step, each.undone, [stays.step for stays in each.stays]) for each in told] == [
        ("a", ("b",), []), ("a", ("b",), ["a"]), ("a", (), ["a", "b"]),
        ("b", ("a",), []), ("b", ("a",), ["b"]), ("b", (), ["a", "b"]),
    ]  # fmt: skip


@pytest.mark.parametrize(("args", "code", "told"), [
    (("-o", "xml"), 2, "-o xml: one of human, json, jsonl"), (("-p", "nights=x"), 3, "nights must be a whole number, and is `x`"),
    (("-p", "citty=x"), 3, "citty is unknown: did you mean `city`?"), (("--params-file", "none"), 4, "can't read none"),
])  # fmt: skip
def test_what_is_wrong_with_the_command_line_is_said(tmp_path: Path, args: tuple[str, ...], code: int, told: str) -> None:
    saga(tmp_path, TRIP).args("plan", "saga.yaml", *args).stderr(told).exits(code)


def test_a_wrong_definition_is_told_with_its_places(tmp_path: Path) -> None:
    wrong = TRIP.replace("max_retries: 100", "max_retries: 101")
    saga(tmp_path, wrong).args("plan", "saga.yaml").stderr("saga.yaml:27:63").exits(3)


def test_nothing_in_a_plan_acts_on_a_terminal_or_makes_a_line_of_its_own(tmp_path: Path) -> None:
    hostile = "\x1b]0;x\x07\u202e\n   fake fails"
    shown = saga(tmp_path, r"""
description: "\e[2J\nfake"
params: {x: {type: string}}
steps: [{id: a, description: "\e[1m\nfake", action: [x, "--${params.x}"], stdin: "${params.x}", undo: {manual: "${params.x}"}}]
""").args("plan", "saga.yaml", "-p", f"x={hostile}").stdout(re.compile(r"(?:[^\x00-\x09\x0b-\x1f\x7f\u202e])*")).exits(0)
    assert not re.search(r"^ *fake", shown.stdout, re.MULTILINE)


@pytest.mark.parametrize("needs", ["", ", needs: []"])
def test_of_many_steps_each_is_foreseen_with_all_others_that_do_not_need_it(needs: str) -> None:
    steps = "".join(f"- {{id: s{i}, action: [x], undo: [y]{needs}}}\n" for i in range(100))
    told = [each for each in foresight.outcomes(loaded(f"saga: s\nsteps:\n{steps}"), {}) if each.fate != "lost"]
    assert [len(each.undone) for each in told] == [
        count for i in range(100) for count in ((99, 100) if needs else (i, i + 1))
    ]  # fmt: skip


@pytest.mark.parametrize(("seconds", "text"), [(0.0, "0s"), (0.5, "500ms"), (1.001, "1s1ms"), (5400.0, "1h30m"), (300.0, "5m")])
def test_a_duration_is_shown_as_it_is_written(seconds: float, text: str) -> None:
    from sagactl.definition.durations import seconds as parsed

    assert duration(seconds) == text
    assert parsed(text) == pytest.approx(seconds)


def test_a_folder_of_its_own_is_shown(tmp_path: Path) -> None:
    shown = saga(tmp_path, """
steps: [{id: a, action: {run: [./a], cwd: sub}, undo: {run: [./u], cwd: /opt}}, {id: b, action: [./b], undo: none}]
""").args("plan", "saga.yaml").chatty().exits(0).stdout
    assert [line.strip() for line in shown.splitlines() if "cwd:" in line] == [f"cwd: {tmp_path}/sub", "cwd: /opt"]


def test_two_files_of_parameters_are_refused(tmp_path: Path) -> None:
    built = saga(tmp_path, TRIP).file("a.json", "{}").file("b.json", "{}")
    built.args("plan", "saga.yaml", "--params-file", "a.json", "--params-file", "b.json").stderr("given twice").exits(2)
