"""Ways out for a person: pause, resolve, abandon, compensate, and what each command says when it does nothing."""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import termios
from pathlib import Path

import pytest
from rich.cells import cell_len

from tests.cli.test_crash import KILL_ORCHESTRATOR
from tests.harness import Saga, asked, completed, copied, saga, states
from tests.journal.making import history, write
from tests.journal.test_damage import tamper

ESCALATES = """
defaults: {retry_delay: 10ms}
steps:
  - {id: a, action: "true", undo: echo undo a >> log}
  - {id: b, action: "true", undo: {run: "test -e repaired", max_retries: 0}}
  - {id: m, action: "true", undo: {manual: "Call the carrier about ${saga.id}."}}
  - {id: c, action: "exit 4", undo: none}
"""


def escalated(folder: Path) -> Saga:
    built = saga(folder, ESCALATES)
    built.run().stdout("t escalated\n").stderr("""t escalated: 2 steps need a person
  m: it is undone by hand: Call the carrier about t.
  b: its undo failed once, last with exit 1: test -e repaired
  sagactl resume t                                       goes on; what failed has a fresh budget (mend its cause first)
  sagactl resolve t --step m --as undone --reason "WHY"  you took it back
  sagactl resolve t --step m --as kept --reason "WHY"    its effect stays
""").exits(11)
    return built


def test_resume_gives_a_failed_undo_a_fresh_budget_and_resolve_settles_a_manual_one(tmp_path: Path) -> None:
    built = escalated(tmp_path)
    built.file("repaired", "")
    built.again("resume", "t").chatty().exits(11)
    assert states(built.inspect()) == {
        "a": "compensated", "b": "compensated", "m": "compensation_failed", "c": "failed",
    }
    built.again("resolve", "t", "--step", "m", "--as", "undone", "--reason", "called").stdout(
        "t: m is compensated\n").stderr("sagactl resume t").exits(0)
    built.again("resume", "t").stdout("t compensated\n").stderr("c: exit 4").exits(10)


def test_what_is_kept_ends_the_saga_abandoned(tmp_path: Path) -> None:
    built = copied(tmp_path, escalated)
    for step in ("b", "m"):
        built.again("resolve", "t", "--step", step, "--as", "kept", "--reason", "so be it").chatty().exits(0)
    built.again("resume", "t").stdout("t abandoned\n").stderr("the effect of b, m was kept").exits(13)


def test_resolve_says_what_is_possible_and_what_is_still_open(tmp_path: Path) -> None:
    built = copied(tmp_path, escalated)
    resolve = ("resolve", "t", "--reason", "x", "--step")
    built.again(*resolve, "b", "--as", "landed").stderr("possible here: --as undone|kept").exits(5)
    built.again(*resolve, "zz", "--as", "kept").stderr("its steps: a, b, m, c").exits(4)
    built.again(*resolve, "b", "--as", "maybe").stderr("maybe").exits(2)
    built.again("resolve", "t", "--step", "b", "--as", "kept", "--reason", " ").stderr("--reason is empty").exits(2)
    built.again(*resolve, "b", "--as", "undone").stdout("t: b is compensated\n").stderr("still open: m").exits(0)
    (said,) = [event for event in built.events() if event["type"] == "declared_undone"]
    assert (said["step"], said["reason"]) == ("b", "x")


def test_abandon_ends_a_saga_as_it_is_and_a_second_time_changes_nothing(tmp_path: Path) -> None:
    built = copied(tmp_path, escalated)
    built.again("abandon", "t", "--reason", " ").stderr("--reason is empty").exits(2)
    built.again("abandon", "t", "--reason", "enough").stdout("t abandoned\n").stderr("enough").exits(0)
    built.again("abandon", "t", "--reason", "enough").stdout("t abandoned\n").stderr("abandoned already").exits(0)
    built.again("resume", "t").stdout("t abandoned\n").stderr("ended already").exits(13)
    built.again("compensate", "t", "--yes").stderr("it stays as it is").exits(5)


def test_a_completed_saga_is_compensated_on_request_and_a_second_time_changes_nothing(tmp_path: Path) -> None:
    built = saga(tmp_path, "steps:\n  - {id: a, action: 'true', undo: echo undo >> log}\n")
    built.run().chatty().exits(0)
    built.again("compensate", "t", "--yes", "--reason", "twice").stdout("t compensated\n").stderr("twice").file_after(
        "log", "undo\n").exits(0)
    built.again("compensate", "t", "--yes").stdout("t compensated\n").stderr("compensated already").file_after(
        "log", "undo\n").exits(0)


def test_a_paused_saga_is_resumed_with_a_fresh_budget(tmp_path: Path) -> None:
    built = saga(tmp_path, """
steps:
  - {id: a, action: "test -e repaired", on_failure: pause, undo: none}
  - {id: b, action: echo b >> log, undo: none}
""")
    built.run().stdout("t paused\n").stderr("""t paused: a: exit 1
  sagactl resume t                  tries again what failed
  sagactl compensate t              takes it back
  sagactl abandon t --reason "WHY"  leaves it as it is
""").exits(12)
    built.again("resume", "t").stdout("t paused\n").stderr("a: exit 1").exits(12)
    built.file("repaired", "").again("resume", "t").chatty().file_after("log", "b\n").exits(0)


def test_past_the_pivot_a_failure_escalates_and_resume_goes_on_forward(tmp_path: Path) -> None:
    built = saga(tmp_path, """
steps:
  - {id: a, action: "true", undo: echo undo a >> log}
  - {id: p, action: "true", pivot: true}
  - {id: z, action: "test -e repaired", undo: none}
""")
    built.run().stdout("t escalated\n").stderr("z: past pivot: exit 1").file_after("log", None).exits(11)
    done = built.again("compensate", "t", "--yes").stderr("past its pivot").exits(5)
    assert "go on forward: sagactl resume t" in done.stderr
    built.file("repaired", "").again("resume", "t").chatty().exits(0)


def test_a_saga_past_its_deadline_is_taken_back(tmp_path: Path) -> None:
    saga(tmp_path, """
timeout: 1s
steps:
  - {id: a, action: "true", undo: echo undo a >> log}
  - {id: b, action: "sleep 300", max_retries: 5, kill_after: 1s, undo: echo undo b >> log}
""").run().stdout("t compensated\n").stderr("the deadline of 1s passed").file_after("log", "undo b\nundo a\n").exits(10)


def test_a_step_that_may_fail_is_skipped_and_a_half_done_one_undone(tmp_path: Path) -> None:
    built = saga(tmp_path, """
steps:
  - {id: mail, action: "false", on_failure: continue, undo: none}
  - {id: half, action: "echo half >> log; exit 1", undo_if_failed: true, undo: "echo undo half >> log"}
""")
    built.run().chatty().file_after("log", "half\nundo half\n").exits(10)
    assert states(built.inspect()) == {"mail": "skipped", "half": "compensated"}


def test_an_unknown_saga_an_ambiguous_prefix_and_the_latest_one(tmp_path: Path) -> None:
    built = saga(tmp_path, "steps:\n  - {id: a, action: 'true', undo: none}\n")
    built.again("inspect", "t").stderr("no sagas yet").exits(4)
    for name in ("order-1", "order-2"):
        built.again("run", "saga.yaml", "--id", name).chatty().exits(0)
    built.again("inspect", "x").stderr("x").exits(4)
    built.again("inspect", "order").stderr("order-1").exits(4)
    assert built.inspect("@last")["id"] == "order-2"
    built.again("resume").stderr("name sagas, or say --all").exits(2)


def test_list_filters_limits_and_prints_ids_or_json(tmp_path: Path) -> None:
    built = saga(tmp_path, "params: {x: {type: integer}}\nsteps:\n"
                 "  - {id: a, env: {X: '${params.x}'}, action: exit $X, undo: none}\n")
    built.again("list").stderr("no sagas yet").exits(0)
    built.again("list", "--json").stdout("[]\n").exits(0)
    for name, status, code in (("one", 0, 0), ("two", 1, 10), ("three", 0, 0)):
        built.again("run", "saga.yaml", "--id", name, "-p", f"x={status}").chatty().exits(code)
    built.again("list", "-q").stdout("three\ntwo\none\n").exits(0)
    built.again("list", "-q", "--limit", "2").stdout("three\ntwo\n").stderr("1 more: --limit 4, or --state").exits(0)
    built.again("list", "--limit", "9" * 19).stderr("--limit").exits(2)
    built.again("list", "-q", "--state", "compensated").stdout("two\n").exits(0)
    built.again("list", "--state", "done").stderr("states: running, paused").exits(2)
    rows = built.again("list", "--json").stdout(re.compile(r"\[\{.*\}\n(,\{.*\}\n){2}\]\n")).exits(0).json
    assert [(row["id"], row["state"], row["why"]) for row in rows][1] == ("two", "compensated", "a: exit 1")


def test_list_by_name_and_by_time(tmp_path: Path) -> None:
    built = saga(tmp_path, "steps: [{id: a, action: 'true', undo: none}]")
    for name in ("ship-eu", "ship-us", "bill"):
        built.file(f"{name}.yaml", f"saga: {name}\nsteps: [{{id: a, action: 'true', undo: none}}]\n")
        built.again("run", f"{name}.yaml", "--id", name).chatty().exits(0)
    built.again("list", "-q", "--name", "ship-*").stdout("ship-us\nship-eu\n").exits(0)
    built.again("list", "-q", "--name", "ship").exits(0)
    built.again("list", "--name", "none").stderr("no such sagas").exits(0)
    for since in ("1h", "2d", "2020-01-01", "2020-01-01T10:00Z"):
        built.again("list", "-q", "--since", since).stdout("bill\nship-us\nship-eu\n").exits(0)
    for since in ("0s", "2999-01-01"):
        built.again("list", "-q", "--since", since).exits(0)
    built.again("list", "--since", "soon").stderr("--since soon: neither an age, as 2h or 3d, nor a date").exits(2)


def test_list_says_what_waits_for_a_person_and_can_exit_with_it(tmp_path: Path) -> None:
    built = saga(tmp_path, "steps: [{id: a, action: 'true'}, {id: b, action: 'false', undo: none}]")
    built.file("good.yaml", "saga: good\nsteps: [{id: a, action: 'true', undo: none}]\n")
    built.again("run", "good.yaml", "--id", "g").chatty().exits(0)
    assert "in all" not in built.again("list", "--exit-code").chatty().exits(0).stderr
    built.run().chatty().exits(11)
    assert built.again("list", "--exit-code").chatty().exits(11).stderr == (
        "1 escalated in all: sagactl inspect SAGA says what a person can do\n")
    built.again("list", "--exit-code", "-q", "--name", "good").stdout("g\n").exits(0)
    built.again("list", "--exit-code", "-q").stdout("t\ng\n").exits(11)


def test_the_exit_code_of_list_is_that_of_all_though_a_person_is_shown_the_first_twenty(tmp_path: Path) -> None:
    built = saga(tmp_path, "steps: [{id: a, action: 'true'}, {id: b, action: 'false', undo: none}]")
    built.run().chatty().exits(11)
    built.file("paused.yaml", "saga: paused\nsteps: [{id: a, action: 'false', on_failure: pause, undo: none}]\n")
    built.file("lines", "{}\n" * 20).again("run", "paused.yaml", "--each", "lines").chatty().exits(12)
    done = built.again("list", "--exit-code", "--state", "paused,escalated").chatty().exits(11)
    assert (len(done.stdout.splitlines()), "escalated" in done.stdout) == (1 + 20, False)
    assert "1 more: --limit 40\n" in done.stderr
    built.again("list", "--exit-code", "--limit", "20").chatty().exits(0)


def test_the_last_column_of_list_is_cut_to_the_width_of_a_terminal_and_never_in_a_pipe(tmp_path: Path) -> None:
    by_hand = "{manual: '" + "世界 is to be called. " * 9 + "'}"
    built = saga(tmp_path, f'steps: [{{id: a, action: "true", undo: {by_hand}}}, {{id: b, action: "false", needs: [a]}}]')
    built.env(PYTHONUTF8="1", COLUMNS="").run().chatty().exits(11)

    def shown(columns: int) -> list[str]:
        ours, theirs = os.openpty()
        termios.tcsetwinsize(ours, (24, columns))
        process = built.start("list", "--color", "never", stdout=theirs)
        process.communicate(timeout=30)
        text = os.read(ours, 4096).decode()
        os.close(ours)
        os.close(theirs)
        return re.sub(r"\d+s ago +", "0s ago   ", text).splitlines()

    head, line = re.sub(r"\d+s ago +", "0s ago   ", built.again("list").chatty().exits(0).stdout).splitlines()
    assert cell_len(line) > 200
    assert shown(400) == [head, line]
    for columns, names in ((40, "ID SAGA STATE STEPS CHANGED WHY"), (39, "ID SAGA STATE STEPS WHY"),
                           (30, "ID SAGA STATE WHY"), (23, "ID STATE WHY"), (18, "ID STATE WHY")):
        fitting, cut = shown(columns)
        assert fitting.split() == names.split()
        assert cell_len(cut) <= columns
    assert shown(10) == ["ID  STATE      WHY", "t   escalated  …"]  # there is no room for the last one at all
    for columns in (80, 81, 82, 83):
        same, cut = shown(columns)
        assert same == head
        assert cut.endswith("…")
        assert line.startswith(cut[:-1])
        assert columns - 2 <= cell_len(cut) <= columns


def test_events_are_json_lines_after_a_number(tmp_path: Path) -> None:
    built = copied(tmp_path, completed)
    lines = built.again("events", "t", "--after", "3").stdout(re.compile(r"\{.*\}\n")).exits(0).stdout
    assert '"type":"saga_completed"' in lines


def test_validate_shows_every_mistake_with_its_place_and_strict_makes_warnings_errors(tmp_path: Path) -> None:
    built = saga(tmp_path, "steps:\n  - {id: a, action: 'true'}\n")
    built.again("validate", "saga.yaml").stdout("saga.yaml: valid\n").stderr("SG501").exits(0)
    built.again("validate", "--strict", "saga.yaml").stdout("").stderr("SG501").exits(3)
    built.file("wrong.yaml", "saga: x\nstepz: []\n")
    done = built.again("validate", "wrong.yaml", "saga.yaml").stdout("saga.yaml: valid\n").stderr(
        "wrong.yaml:2:1").exits(3)
    assert "SG501" in done.stderr


def test_a_database_of_ones_own_is_used(tmp_path: Path) -> None:
    built = saga(tmp_path, "steps:\n  - {id: a, action: 'true', undo: none}\n")
    built.run("--db", "mine.db").chatty().exits(0)
    assert (tmp_path / "mine.db").exists()
    built.again("list", "-q", "--db", "mine.db").stdout("t\n").exits(0)
    built.again("list", "-q").env(SAGACTL_DB=str(tmp_path / "mine.db")).stdout("t\n").exits(0)
    built.again("list").stderr("no sagas yet").exits(0)


def test_a_database_that_is_not_ours_is_refused_and_untouched(tmp_path: Path) -> None:
    (tmp_path / "other.db").write_bytes(b"something else entirely" * 50)
    built = saga(tmp_path, "steps:\n  - {id: a, action: 'true', undo: none}\n")
    built.run("--db", "other.db").stderr("other.db").exits(7)
    assert (tmp_path / "other.db").read_bytes() == b"something else entirely" * 50


def test_what_a_command_said_cannot_act_on_the_terminal(tmp_path: Path) -> None:
    built = saga(tmp_path, r"""
steps:
  - {id: a, action: "printf 'bad \\033[31m \\302\\233 \\342\\200\\256 end' >&2; exit 1", undo: none}
""")
    built.run().chatty().exits(10)
    shown = built.again("inspect", "t").stdout(re.compile(r".*", re.DOTALL)).exits(0).stdout
    assert r"bad \x1b[31m \x9b \u202e end" in shown
    plain = built.again("inspect", "t").env(LC_ALL="C", PYTHONIOENCODING="ascii").chatty().exits(0).stdout
    assert "bad" in plain


def test_an_operator_has_to_say_a_usage_that_is_whole(tmp_path: Path) -> None:
    built = saga(tmp_path, "")
    built.again("--version").stdout(re.compile(r"sagactl \d+\.\d+\.\d+\n")).exits(0)
    built.again("frobnicate").stderr("frobnicate").exits(2)
    assert "Exit codes: 0 ok" in built.again("run", "--help").chatty().exits(0).stdout


def test_a_reason_has_a_limit(tmp_path: Path) -> None:
    built = copied(tmp_path, escalated)
    built.again("abandon", "t", "--reason", "x" * 5000).stderr("--reason is over 4096 characters").exits(2)


@pytest.mark.parametrize(("step", "code", "why"), [
    ("{id: b, action: exit 3, undo: none, on_failure: pause}", 12, "it was wrong"),
    ("{id: b, action: sleep 300, kill_after: 1s, undo: none}", 10, "b: the deadline of 1s passed"),
    ("{id: b, action: exit 3, undo: none}", 10, "b: exit 3"),
], ids=["request", "deadline", "failure"])
def test_list_and_inspect_say_the_same_of_why_a_saga_turned_back(tmp_path: Path, step: str, code: int, why: str) -> None:
    limit = "1s" if "deadline" in why else "1h"
    built = saga(tmp_path, f"timeout: {limit}\nsteps:\n  - {{id: a, action: 'true', undo: 'true'}}\n  - {step}\n")
    built.run().chatty().exits(code)
    if code == 12:
        built.again("compensate", "t", "--yes", "--reason", why).chatty().exits(0)
    (listed,) = built.again("list", "--json").chatty().exits(0).json
    assert (listed["why"], built.inspect()["why"]) == (why, why)


@pytest.mark.parametrize("word", ["kept", "undone"])
def test_the_same_word_a_second_time_changes_nothing_and_another_one_is_refused(tmp_path: Path, word: str) -> None:
    built = copied(tmp_path, escalated)
    resolve, other = ("resolve", "t", "--step", "m", "--reason", "x", "--as"), {"kept": "undone", "undone": "kept"}[word]
    now = built.again(*resolve, word).chatty().exits(0).stdout
    before = built.events()
    built.again(*resolve, word).stdout(now).stderr(f"t: m was resolved as {word} already").exits(0)
    built.again(*resolve, other).stderr(f"can't be resolved as {other}").exits(5)
    built.again("resolve", "t", "--step", "a", "--reason", "x", "--as", "undone").stderr("can't be resolved").exits(5)
    assert built.events() == before


def test_a_step_whose_undo_ran_was_not_undone_by_anybody(tmp_path: Path) -> None:
    built = escalated(tmp_path).file("repaired", "")
    built.again("resume", "t").chatty().exits(11)
    built.again("resolve", "t", "--step", "b", "--as", "undone", "--reason", "x").stderr("is compensated, which").exits(5)


def test_an_interrupted_saga_is_not_called_running_by_resolve(tmp_path: Path) -> None:
    built = saga(tmp_path, f"steps:\n  - {{id: a, action: {json.dumps(KILL_ORCHESTRATOR)}, undo: none}}\n")
    built.run().chatty().finished()
    built.again("resolve", "t", "--step", "a", "--as", "kept", "--reason", "x").stderr(
        "t is interrupted: only a paused or escalated saga").exits(5)


def test_of_a_completed_saga_past_its_pivot_nobody_is_sent_forward(tmp_path: Path) -> None:
    built = saga(tmp_path, "steps:\n  - {id: p, action: 'true', pivot: true}\n")
    built.run().chatty().exits(0)
    done = built.again("compensate", "t", "--yes").chatty().exits(5)
    assert "t is past its pivot: there is no way back" in done.stderr
    assert "resume" not in done.stderr


def test_inspect_shows_what_persons_said_and_why(tmp_path: Path) -> None:
    built = copied(tmp_path, escalated)
    built.again("resolve", "t", "--step", "m", "--as", "undone", "--reason", "ticket 812").chatty().exits(0)
    (word,) = built.inspect()["words"]
    assert (word["type"], word["step"], word["reason"]) == ("declared_undone", "m", "ticket 812")
    assert "declared undone of m, by" in built.again("inspect", "t").chatty().exits(0).stdout


def test_inspect_says_after_how_long_an_attempt_timed_out_and_not_what_ended_it(tmp_path: Path) -> None:
    built = saga(tmp_path, "steps: [{id: a, action: 'while :; do read word < go; done', timeout: 200ms, undo: none}]")
    built.fifo("go")
    built.run().chatty().exits(10)
    said = built.again("inspect", "t").chatty().exits(0).stdout
    assert "  action 1  in doubt, timed out after 200ms  " in said
    assert "signal" not in said


def test_a_step_that_is_trusted_to_have_left_nothing_is_named(tmp_path: Path) -> None:
    saga(tmp_path, "steps:\n  - {id: a, action: exit 3, undo: 'true'}\n").run().stdout("t compensated\n").stderr(
        "a failed by exit status and is trusted to have left nothing").exits(10)


def test_a_failed_commands_stderr_is_shown_at_once(tmp_path: Path) -> None:
    saga(tmp_path, "steps:\n  - {id: a, action: 'echo no such carrier >&2; exit 3', undo: none}\n").run().stdout(
        "t compensated\n").stderr("    | no such carrier\n").exits(10)


def test_what_is_asked_about_again_is_reported_in_the_form_that_was_asked_for(tmp_path: Path) -> None:
    built = saga(tmp_path, "steps:\n  - {id: a, action: 'true', undo: none}\n")
    built.run("-q").stdout("t\n").exits(0)
    built.run("-q").stdout("t\n").stderr("exists already").exits(0)
    built.again("resume", "t", "-q").stdout("t\n").exits(0)
    assert built.run("-o", "jsonl").chatty().exits(0).stdout == built.again("events", "t").chatty().exits(0).stdout


def test_a_question_that_is_not_answered_changes_nothing(tmp_path: Path) -> None:
    built = saga(tmp_path, "steps:\n  - {id: a, action: 'true', undo: echo undo >> log}\n")
    built.run().chatty().exits(0)
    process, ours, shown = asked(built, "compensate", "t", question=b"Undo it?")
    assert b"a: echo undo >> log" in shown
    os.write(ours, b"n\n")
    process.communicate(timeout=30)
    os.close(ours)
    assert process.returncode == 2
    assert built.inspect()["state"] == "completed"


def doubtful(folder: Path, more: str) -> None:
    shown = saga(folder, f"""steps:
  - {{id: one, action: "true", undo: "true"}}
  - {{id: two, action: kill -9 $PPID, undo: "true"}}
{more}""").run().chatty().exits(11).stderr
    assert "sagactl resolve t --step two" in shown
    assert "sagactl compensate t" in shown
    assert "sagactl resume t" not in shown  # it would be refused


@pytest.mark.parametrize(("word", "more", "way"), [
    ("kept", "", "takes back what else there is"),
    ("landed", "", "ends it as completed: nothing is left to run"),
    ("landed", "  - {id: three, action: 'true', undo: none}", "goes on forward"),
])
def test_resolve_says_which_way_a_resume_would_go(tmp_path: Path, word: str, more: str, way: str) -> None:
    built = copied(tmp_path, doubtful, more)
    built.again("resume", "t").stderr("can't go on while two is in doubt").exits(5)
    said = built.again("resolve", "t", "--step", "two", "--as", word, "--reason", "seen").chatty().exits(0).stderr
    assert f"sagactl resume t    {way}" in said
    assert "settled by hand: resume goes on" in built.again("list").chatty().exits(0).stdout


def test_an_undo_by_hand_is_not_tried_again_by_a_resume(tmp_path: Path) -> None:
    built = saga(tmp_path, "steps:\n  - {id: one, action: 'true', undo: {manual: Ask}}\n  - {id: two, action: 'false', undo: none}\n")
    shown = built.run().chatty().exits(11).stderr
    assert '--step one --as undone --reason "WHY"' in shown
    assert "sagactl resume" not in shown


def test_of_several_sagas_a_damaged_one_costs_itself_alone(tmp_path: Path) -> None:
    built = saga(tmp_path, "")
    write(tmp_path / "sagas.db", *(history(name) for name in ("one", "two", "three")))
    tamper(tmp_path / "sagas.db", "UPDATE sagas SET why = 'x' WHERE id = 'two'")
    built.args("--db", "sagas.db", "wait", "one", "two", "three").stdout("one completed\nthree completed\n").stderr("saga two: its row").exits(7)
    done = built.again("--db", "sagas.db", "compensate", "--dry-run", "one", "two", "three", "-o", "jsonl").chatty().exits(7)
    assert [json.loads(line)["id"] for line in done.stdout.splitlines()] == ["one", "three"]


def test_the_error_that_machines_read_is_that_of_the_exit_code(tmp_path: Path) -> None:
    built = saga(tmp_path, "steps: [{id: a, action: 'false', undo: none}]")
    built.run().chatty().exits(10)
    assert "exit_error" not in built.again("wait", "t", "none", "-o", "jsonl").chatty().exits(10).stderr
    assert "exit_error" in built.again("wait", "none", "-o", "jsonl").chatty().exits(4).stderr
    assert "exit_error" not in built.again("list", "json").chatty().exits(2).stderr
    assert "exit_error" not in built.again("list", "-o", "human", "--x").env(SAGACTL_OUTPUT="json").chatty().exits(2).stderr


def test_a_runbook_of_several_lines_is_shown_as_lines(tmp_path: Path) -> None:
    built = saga(tmp_path, """
steps:
  - id: dns
    action: "true"
    undo:
      manual: |
        Remove the record at the registrar,
        see the page "dns".
  - {id: b, action: "false", undo: none}
""")
    said = built.run().chatty().exits(11).stderr
    assert """
  dns: it is undone by hand:
    Remove the record at the registrar,
    see the page "dns".
""" in said
    for shown in (said, *(built.again(*args).chatty().exits(0).stdout for args in (("list",), ("plan", "saga.yaml")))):
        assert r"\n" not in shown
        assert "Remove the record at the registrar, …" in shown


def test_where_both_streams_are_one_the_end_is_told_once(tmp_path: Path) -> None:
    built = saga(tmp_path, "steps: [{id: a, action: 'true', undo: none}]")
    process = built.start("run", "saga.yaml", "--id", "t", stderr=subprocess.STDOUT)
    assert process.communicate(timeout=30)[0].count("t completed") == 1


def alive(pid: int) -> bool:
    try:
        return " Z " not in Path(f"/proc/{pid}/stat").read_text()
    except (FileNotFoundError, ProcessLookupError):
        return False


def test_nobody_speaks_on_a_step_whose_processes_are_still_at_work(tmp_path: Path) -> None:
    """The supervisor and the command are killed; what the command has started lives on, and nobody looks after it."""
    built = saga(tmp_path, """
steps:
  - id: a
    action: |
      until grep -aq ticks "$SAGA_OUTPUT_DIR.record"; do sleep 0.01; done  # its pid is recorded
      sleep 300 & echo $PPID $$ $! > pids; wait
    undo: echo undo >> log
    on_interrupt: escalate
""")
    built.fifo("pids")
    process = built.start("run", "saga.yaml", "--id", "t")
    supervisor, shell, pid = map(int, (tmp_path / "pids").read_text().split())
    process.send_signal(signal.SIGSTOP)  # it finds both of them dead
    for each in (supervisor, shell):
        os.kill(each, signal.SIGKILL)
        while alive(each):
            pass
    process.send_signal(signal.SIGCONT)
    assert process.wait(timeout=30) == 11
    process.communicate()
    try:
        for word in ("landed", "not-landed"):
            built.again("resolve", "t", "--step", "a", "--as", word, "--reason", "x").stderr(f"at work: pid {pid}").exits(5)
        built.again("compensate", "t", "--yes").stderr(f"may still be at work: pid {pid}").exits(5)
    finally:
        os.kill(pid, signal.SIGKILL)
    while alive(pid):
        pass
    built.again("compensate", "t", "--yes").stderr("what was at work then has ended since").exits(5)
    built.again("resolve", "t", "--step", "a", "--as", "landed", "--reason", "seen").chatty().exits(0)
    built.again("compensate", "t", "--yes").chatty().file_after("log", "undo\n").exits(0)


@pytest.mark.parametrize(("args", "code", "said", "log"), [
    (("resume",), 11, "order-1 escalated\n", "undo\n"), (("compensate", "--yes"), 11, "order-1 escalated\n", "undo\n"),
    (("wait",), 11, "order-1 escalated\n", None), (("compensate", "--dry-run", "-q"), 0, "order-1\n", None),
])
def test_a_saga_that_is_named_several_times_is_done_once_and_told_once(
    tmp_path: Path, args: tuple[str, ...], code: int, said: str, log: str | None,
) -> None:
    built = saga(tmp_path, """
steps:
  - {id: a, action: "true", undo: {run: echo undo >> log; exit 1, max_retries: 0}}
  - {id: b, action: exit 1, undo: none}
""")
    built.args("run", "saga.yaml", "--id", "order-1").chatty().exits(11)
    (tmp_path / "log").unlink()
    done = built.again(*args, "order-1", "@last", "ord", "-", "order-1").stdin("order-1\norder\n").chatty().file_after(
        "log", log).exits(code)
    assert done.stdout == said
    assert done.stderr.count("order-1 escalated: ") == int(log is not None)
    done = built.again(*args, "nobody", "nobody").chatty().exits(4)
    assert done.stderr.count("no saga nobody") == 1
