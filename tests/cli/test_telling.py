"""What is told in lines: of a command that runs long, of checks; and what the last line keeps in mind."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from sagactl.cli.options import FORMS, settled
from sagactl.cli.render.human import conclusion, progress
from sagactl.cli.telling import Teller
from sagactl.core.states import StepState
from sagactl.model import OnInterrupt
from tests.core.test_decide import Drive, chain, retrying
from tests.harness import saga
from tests.world import step


def teller(drive: Drive, total: int = 1, **given: str) -> Teller:
    common = settled({"db": "none.db", **given}, {}, FORMS)
    return Teller(common, total, None, now_s=lambda: drive.now_s)


def test_a_command_that_runs_on_is_told_of_each_minute_until_it_ends(capsys: pytest.CaptureFixture[str]) -> None:
    drive = Drive.of(*chain("charge", "ship"))
    tells = teller(drive)
    tells.publish(drive.saga, drive.saga.seq, drive.saga.started)
    for _ in range(125):
        drive.now_s += 1
        tells.tick()
    assert [line.split(" ", 1)[1] for line in capsys.readouterr().err.splitlines()] == [
        "still running: charge (60s)", "still running: charge (120s)"]
    tells.ended(drive.saga.id)
    drive.now_s += 60
    tells.tick()
    assert capsys.readouterr().err == ""


@pytest.mark.parametrize(("given", "told"), [({"progress": "none"}, 0), ({"output": "jsonl"}, 0), ({}, 1)])
def test_only_where_lines_are_wanted(given: dict[str, str], told: int, capsys: pytest.CaptureFixture[str]) -> None:
    drive = Drive.of(*chain("charge"))
    tells = teller(drive, 2, **given)
    tells.publish(drive.saga, drive.saga.seq, drive.saga.started)
    drive.now_s += 61
    tells.tick()
    said = capsys.readouterr().err.splitlines()
    assert [line.split(" ", 1)[1] for line in said] == [f"{drive.saga.id} still running: charge (60s)"] * told


ASKED = """
defaults: {retry_delay: 10ms}
steps:
  - {id: a, action: kill -KILL $$, max_retries: 1, check: "CHECK", undo: none}
"""


@pytest.mark.parametrize(("check", "told"), [
    ("true", ["a: action is in doubt (ended by signal 9 after T, its check is asked first)", "a: check found the effect (T)"]),
    ("false", [
        "a: action is in doubt (ended by signal 9 after T, its check is asked first)",
        "a: check found no effect (exit 1 after T, a again in T)",
        "a: action is in doubt (ended by signal 9 after T, its check is asked first)",
        "a: check found no effect (exit 1 after T)",
    ]),
    ("test -e asked || { touch asked; exit 2; }", [
        "a: action is in doubt (ended by signal 9 after T, its check is asked first)",
        "a: check could not tell (exit 2 after T, asked again in T)", "a: check found the effect (T)",
    ]),
])  # fmt: skip
def test_of_a_step_in_doubt_it_is_said_that_its_check_comes_first(tmp_path: Path, check: str, told: list[str]) -> None:
    done = saga(tmp_path, ASKED.replace("CHECK", check)).run().chatty().finished()
    said = [line.split(" ", 1)[1] for line in done.stderr.splitlines() if " is in doubt " in line or " check " in line]
    assert [re.sub(r"\d+\.\d+s", "T", line) for line in said if "started" not in line] == told


def test_a_step_in_doubt_that_has_nothing_to_undo_is_named_in_the_end(tmp_path: Path) -> None:
    saga(tmp_path, "steps: [{id: a, action: kill -KILL $$, undo: none}]").run().chatty().stderr(
        "all that had to be is undone\n  a may have taken effect and stays (`undo: none`): ended by signal 9\n").exits(10)


def test_how_long_a_command_took_stands_beside_how_it_ended(tmp_path: Path) -> None:
    done = saga(tmp_path, "steps: [{id: a, action: 'true', outputs: [id], undo: none}]").run().chatty().exits(10)
    assert re.search(r"\(exit 0 after \d+\.\d+s: output id is missing: ", done.stderr)


def test_outputs_that_a_step_found_by_its_check_has_not_are_named(tmp_path: Path) -> None:
    built = saga(tmp_path, """
steps:
  - {id: a, action: 'echo 1 > "$SAGA_OUTPUT_DIR/got"; kill -KILL $$', outputs: [got, id], check: "true", undo: none}
  - {id: b, action: "false", on_failure: continue, undo: none}
""")
    built.run().chatty().stderr("t completed, without b, output id of a\n").exits(0)
    assert [step["outputs_missing"] for step in built.inspect()["steps"]] == [["id"], []]
    assert "  output got = 1\n  output id is missing\n" in built.again("inspect", "t").chatty().exits(0).stdout


def test_no_output_is_missing_of_a_step_that_gave_all_or_has_not_committed(tmp_path: Path) -> None:
    built = saga(tmp_path, """
steps:
  - {id: a, action: 'echo 1 > "$SAGA_OUTPUT_DIR/id"', outputs: [id], undo: none}
  - {id: b, action: "false", outputs: [id], on_failure: continue, undo: none}
""")
    built.run().chatty().stderr("t completed, without b\n").exits(0)
    assert [step["outputs_missing"] for step in built.inspect()["steps"]] == [[], []]


def test_who_stops_it_on_the_way_back_is_not_told_to_turn_it_back() -> None:
    drive = Drive.of(*chain("a", "b")).end("a", "ok")
    resume = "  sagactl resume simulated-1      goes on in the direction it was going"
    assert conclusion(drive.saga, interrupted=True)[1:] == [resume, "  sagactl compensate simulated-1  takes it back"]
    drive.end("b", "fail")
    assert drive.state("a") is StepState.COMPENSATING
    assert [" ".join(line.split()) for line in conclusion(drive.saga, interrupted=True)[1:]] == [" ".join(resume.split())]


def test_an_attempt_that_costs_nothing_is_told_as_made_again() -> None:
    drive = Drive.of(step("charge", action=retrying(3, delay_s=0.0), undo=retrying(1), on_interrupt=OnInterrupt.RETRY))

    def told() -> str | None:
        return progress(drive.saga, drive.events[-1])

    assert told() == "charge: action started (attempt 1/4)"
    drive.end("charge", "lost")
    assert told() == "charge: action started (attempt 1/4 again)"
    drive.end("charge", "fail")
    assert told() == "charge: action started (attempt 2/4)"
    drive.end("charge", "lost").compensate().end("charge", "lost")
    assert told() == "charge: undo started (attempt 1/2)"
