"""Killed where it hurts, then resumed: each effect exactly once, whoever holds what."""

from __future__ import annotations

import os
import select
import signal
import subprocess
from contextlib import suppress
from pathlib import Path

from sagactl.execution.processes import start_ticks
from tests.harness import Saga, saga, states

KILL_ORCHESTRATOR = r"""kill -9 "$(sed 's/.*"pid": \([0-9]*\).*/\1/' state/sagactl/sagas.db.d/*/lock)" """
"""In a step: kill the process that drives the saga, whose pid its lock tells."""

ONCE = "test -e died || { touch died; " + KILL_ORCHESTRATOR + "; }"


def kill(process: subprocess.Popen[str]) -> None:
    process.send_signal(signal.SIGKILL)
    process.communicate(timeout=30)


def dies(built: Saga, *args: str) -> None:
    """Run a command that is killed by one of its own steps."""
    process = built.start(*(args or ("run", "saga.yaml", "--id", "t")))
    process.communicate(timeout=30)
    assert process.returncode == -signal.SIGKILL


def script(*lines: str) -> str:
    return "|\n" + "".join(f"      {line}\n" for line in lines)


def test_killed_during_an_action_it_is_adopted_and_not_repeated(tmp_path: Path) -> None:
    built = saga(tmp_path, f"""
steps:
  - id: a
    action: {script(ONCE, 'echo a >> log', 'echo out > $SAGA_OUTPUT_DIR/x')}
    outputs: [x]
    undo: echo undo a >> log
  - {{id: b, action: [sh, -c, "echo b $1 >> log", sh, "${{steps.a.outputs.x}}"], undo: none}}
""")
    dies(built)
    built.again("resume", "t").stdout("t completed\n").stderr("going on").file_after("log", "a\nb out\n").exits(0)
    assert len(built.inspect()["steps"][0]["attempts"]) == 1


def test_a_resume_waits_for_an_action_that_still_runs(tmp_path: Path) -> None:
    built = saga(tmp_path, f"""
steps:
  - id: a
    action: {script(ONCE, 'read go < go', 'echo a >> log')}
    undo: none
""")
    built.fifo("go")
    dies(built)
    process = built.start("resume", "t")
    (tmp_path / "go").write_text("go\n")
    process.communicate(timeout=30)
    assert process.returncode == 0
    assert (tmp_path / "log").read_text() == "a\n"


def test_killed_in_a_retry_delay_it_waits_the_rest_and_keeps_its_budget(tmp_path: Path) -> None:
    built = saga(tmp_path, """
steps:
  - {id: a, action: "echo a >> log; exit 1", max_retries: 1, retry_delay: 2s, undo: none}
""")
    process = built.start("run", "saga.yaml", "--id", "t")
    while built.again("list", "-q").chatty().exits(0).stdout != "t\n" or not built.inspect()["steps"][0]["next_attempt"]:
        pass
    kill(process)
    built.again("resume", "t").chatty().file_after("log", "a\na\n").exits(10)


def test_killed_during_an_undo_it_is_adopted_and_not_repeated(tmp_path: Path) -> None:
    built = saga(tmp_path, f"""
steps:
  - {{id: a, action: "true", undo: echo undo a >> log}}
  - id: b
    action: "true"
    undo: {script(ONCE, 'echo undo b >> log')}
  - {{id: c, action: "false", undo: none}}
""")
    dies(built)
    built.again("resume", "t").stdout("t compensated\n").stderr("compensated: c: exit 1").file_after(
        "log", "undo b\nundo a\n").exits(10)


def test_supervisor_and_orchestrator_killed_the_action_is_in_doubt_and_escalates(tmp_path: Path) -> None:
    built = saga(tmp_path, f"""
steps:
  - id: a
    action: {script(KILL_ORCHESTRATOR, 'kill -9 $PPID', 'echo a >> log')}
    undo: echo undo a >> log
""")
    dies(built)
    built.again("resume", "t").stdout("t escalated\n").stderr("a: in doubt: lost with its supervisor").exits(11)
    built.again("resume", "t").stderr("can't go on while a is in doubt").exits(5)
    built.again("resolve", "t", "--step", "a", "--as", "landed", "--reason", "log has it").chatty().exits(0)
    built.again("resume", "t").chatty().file_after("log", "a\n").exits(0)


def test_a_supervisor_that_dies_under_a_live_run_leaves_the_check_to_tell(tmp_path: Path) -> None:
    built = saga(tmp_path, f"""
steps:
  - id: a
    action: {script('kill -9 $PPID', 'echo a >> log')}
    check: grep -q a log
    undo: none
  - {{id: b, action: echo b >> log, undo: none}}
""")
    built.run().chatty().file_after("log", "a\nb\n").exits(0)
    assert [attempt["outcome"] for attempt in built.inspect()["steps"][0]["attempts"]] == ["in_doubt", "effect_found"]


def test_the_command_of_a_dead_supervisor_is_ended_at_its_timeout(tmp_path: Path) -> None:
    built = saga(tmp_path, f"""
steps:
  - id: a
    action: {script('kill -9 $PPID', 'echo $$ > pid', 'sleep 300')}
    timeout: 500ms
    on_interrupt: undo
    undo: echo undo >> log
""")
    built.run().chatty().file_after("log", "undo\n").exits(10)
    assert start_ticks(int((tmp_path / "pid").read_text())) is None


def test_an_edited_definition_changes_nothing_in_a_saga_in_flight_and_is_warned_of(tmp_path: Path) -> None:
    text = f"""
steps:
  - id: a
    action: {script(ONCE, 'echo a >> log')}
    undo: none
  - {{id: b, action: echo b >> log, undo: none}}
"""
    built = saga(tmp_path, text)
    dies(built)
    (tmp_path / "saga.yaml").write_text("saga: test\nsteps:\n  - {id: z, action: echo z >> log, undo: none}\n")
    built.again("resume", "t").stdout("t completed\n").stderr("saga.yaml has changed since t started").file_after(
        "log", "a\nb\n").exits(0)


def test_a_deleted_definition_is_warned_of(tmp_path: Path) -> None:
    built = saga(tmp_path, f"steps:\n  - id: a\n    action: {script(ONCE)}\n    undo: none\n")
    dies(built)
    (tmp_path / "saga.yaml").unlink()
    built.again("resume", "t").stdout("t completed\n").stderr("saga.yaml is gone since t started").exits(0)


def test_a_working_folder_that_is_gone_is_an_error_before_anything_is_recorded(tmp_path: Path) -> None:
    built = saga(tmp_path, "")
    (tmp_path / "inner").mkdir()
    ONCE_ABOVE = f"test -e ../died || {{ touch ../died; cd ..; {KILL_ORCHESTRATOR}; }}"  # noqa: N806
    built.file("inner/saga.yaml", f"saga: t\nsteps:\n  - id: a\n    action: {script(ONCE_ABOVE)}\n    undo: none\n")
    dies(built, "run", "inner/saga.yaml", "--id", "t")
    (tmp_path / "inner").rename(tmp_path / "moved")
    before = built.again("events", "t").chatty().exits(0).stdout
    built.again("resume", "t").stderr("the working folder of t is gone").exits(3)
    assert built.again("events", "t").chatty().exits(0).stdout == before


def test_a_secret_that_is_missing_is_told_with_the_saga_that_needs_it(tmp_path: Path) -> None:
    built = saga(tmp_path, """
secrets: {TOKEN: {env: THE_TOKEN}}
steps:
  - {id: a, secrets: [TOKEN], action: exit 1, undo: none, on_failure: pause}
""")
    built.env(THE_TOKEN="x").run().chatty().exits(12)
    said = built.again("resume", "t").stderr("t can't go on: secret TOKEN is missing: $THE_TOKEN is not set").exits(3)
    assert "set it where sagactl runs, then: sagactl resume t" in said.stderr


def test_of_the_variables_that_are_missing_now_a_few_are_named_and_none_of_the_terminal(tmp_path: Path) -> None:
    built = saga(tmp_path, "steps:\n  - {id: a, action: exit 1, undo: none, on_failure: pause}\n")
    gone = {f"GONE_{number}": "x" for number in range(10)}
    built.env(**gone, SHLVL="2", TMUX_PANE="%1", OLDPWD="/").run().chatty().exits(12)
    said = built.again("resume", "t").chatty().exits(12).stderr
    assert "missing now: GONE_0, GONE_1, GONE_2, GONE_3, GONE_4, GONE_5, GONE_6, GONE_7 and 2 more\n" in said


def test_of_three_resumes_at_once_one_works_and_two_say_who_holds_the_saga(tmp_path: Path) -> None:
    built = saga(tmp_path, f"""
steps:
  - id: a
    action: {script(ONCE, 'read go < go', 'echo a >> log')}
    undo: none
""")
    built.fifo("go")
    dies(built)
    processes = [built.start("resume", "t") for _ in range(3)]
    said: list[tuple[int, str]] = []
    while len(said) < 2:
        for process in [each for each in processes if each.poll() is not None]:
            said.append((process.returncode, process.communicate()[1]))
            processes.remove(process)
    (holder,) = processes
    for code, stderr in said:
        assert code == 6
        assert f"held by process {holder.pid}" in stderr
    (tmp_path / "go").write_text("go\n")
    holder.communicate(timeout=30)
    assert holder.returncode == 0
    assert (tmp_path / "log").read_text() == "a\n"


def test_compensate_turns_a_live_saga_round(tmp_path: Path) -> None:
    built = saga(tmp_path, """
steps:
  - {id: a, action: "true", undo: echo undo a >> log}
  - {id: b, action: "echo ready > ready; sleep 300", undo: echo undo b $SAGA_ACTION_STATE >> log}
""")
    built.fifo("ready")
    process = built.start("run", "saga.yaml", "--id", "t")
    assert (tmp_path / "ready").read_text() == "ready\n"
    built.again("compensate", "t").stderr("nobody to ask").exits(2)
    built.again("compensate", "t", "--yes", "--reason", "changed my mind").stdout("t compensated\n").stderr(
        "changed my mind").file_after("log", "undo b in_doubt\nundo a\n").exits(0)
    process.communicate(timeout=30)
    assert process.returncode == 10


def test_an_interrupted_saga_is_listed_so_and_resumed_with_all_others(tmp_path: Path) -> None:
    built = saga(tmp_path, f"steps:\n  - id: a\n    action: {script(ONCE)}\n    undo: none\n")
    dies(built)
    assert "interrupted" in built.again("list").chatty().exits(0).stdout
    (row,) = built.again("list", "--json", "--state", "interrupted").chatty().exits(0).json
    assert (row["id"], row["state"], row["interrupted"]) == ("t", "running", True)
    shown = built.inspect()
    assert (shown["state"], shown["interrupted"], states(shown)) == ("running", True, {"a": "executing"})
    built.again("resume", "--all").chatty().exits(0)
    built.again("resume", "--all").stderr("nothing to resume").exits(0)


def test_a_run_with_the_id_of_an_interrupted_saga_goes_on_with_it(tmp_path: Path) -> None:
    built = saga(tmp_path, f"steps:\n  - id: a\n    action: {script(ONCE, 'echo a >> log')}\n    undo: none\n")
    dies(built)
    built.run().chatty().file_after("log", "a\n").exits(0)


def test_abandon_is_a_conflict_while_a_command_is_alive(tmp_path: Path) -> None:
    built = saga(tmp_path, f"steps:\n  - id: a\n    action: {script(ONCE, 'read go < go')}\n    undo: none\n")
    built.fifo("go")
    dies(built)
    built.again("abandon", "t", "--reason", "enough").stderr("still running: a").exits(5)
    (tmp_path / "go").write_text("go\n")
    built.again("resume", "t").chatty().exits(0)


def test_an_abandoned_saga_leaves_no_secret_and_no_loose_evidence(tmp_path: Path) -> None:
    built = saga(tmp_path, f"""
secrets: {{TOKEN: {{env: THE_TOKEN}}}}
steps:
  - id: a
    secrets: [TOKEN]
    action: {script('echo "$TOKEN"', ONCE, 'echo gone > gone')}
    undo: none
""").env(THE_TOKEN="hunter2")
    built.fifo("gone")
    dies(built)
    assert (tmp_path / "gone").read_text() == "gone\n"
    while built.again("abandon", "t", "--reason", "enough").env(THE_TOKEN="hunter2").finished().code:
        pass
    (folder,) = [path for path in (tmp_path / "state/sagactl/sagas.db.d").iterdir() if path.is_dir()]
    assert sorted(path.name for path in folder.iterdir()) == ["folded", "lock"]
    assert "hunter2" not in (folder / "folded").read_text()
    assert "*******" in (folder / "folded").read_text()


def test_a_link_planted_where_a_lock_should_be_is_an_error_that_names_it(tmp_path: Path) -> None:
    built = saga(tmp_path, f"steps:\n  - id: a\n    action: {script(ONCE)}\n    undo: none\n")
    dies(built)
    (lock,) = (tmp_path / "state/sagactl/sagas.db.d").glob("*/lock")
    lock.unlink()
    lock.symlink_to(tmp_path / "saga.yaml")
    before = (tmp_path / "saga.yaml").read_text()
    for command in (["list"], ["resume", "t"], ["inspect", "t"]):
        built.again(*command).stderr(str(lock)).exits(7)
    assert (tmp_path / "saga.yaml").read_text() == before


def test_what_a_killed_run_left_running_is_shown_by_inspect_and_doctor(tmp_path: Path) -> None:
    built = saga(tmp_path, f"""
steps:
  - id: a
    action: {script('echo $$ > pid', ONCE, 'read go < go')}
    undo: none
""")
    built.fifo("go")
    dies(built)
    pid = (tmp_path / "pid").read_text().strip()
    assert f"its command runs: pid {pid}" in built.again("inspect", "t").chatty().exits(0).stdout
    assert "note  commands" in built.again("doctor").chatty().exits(0).stdout
    (tmp_path / "go").write_text("go\n")
    built.again("resume", "t").chatty().exits(0)
    assert "ok  commands" in built.again("doctor").chatty().exits(0).stdout


def test_what_runs_on_though_its_supervisor_is_dead_is_shown_too_and_told_how_it_ends(tmp_path: Path) -> None:
    built = saga(tmp_path, f"""
steps:
  - id: a
    action: {script(KILL_ORCHESTRATOR, 'kill -9 $PPID', 'echo $$ > pid', 'read go < go')}
    check: exit 1
    undo: none
""")
    built.fifo("go")
    built.fifo("pid")
    process = built.start("run", "saga.yaml", "--id", "t")
    pid = (tmp_path / "pid").read_text().strip()
    process.communicate(timeout=30)
    assert f"its command runs: pid {pid}" in built.again("inspect", "t").chatty().exits(0).stdout
    assert "note  commands" in built.again("doctor").chatty().exits(0).stdout
    built.again("compensate", "t", "--yes").stdout("t compensated\n").stderr(f"a is still at work, pid {pid}: ending it").exits(0)
    assert "ok  commands" in built.again("doctor").chatty().exits(0).stdout


def test_a_daemon_that_an_action_left_on_purpose_is_nothing_that_a_saga_waits_for(tmp_path: Path) -> None:
    built = saga(tmp_path, """
steps:
  - {id: a, action: "setsid cat daemon & echo a", undo: none}
  - {id: b, action: "false", on_failure: pause, undo: none}
""")
    daemon = built.fifo("daemon")
    built.run().chatty().exits(12)
    assert "ok    commands" in built.again("doctor").chatty().exits(0).stdout
    assert "its command runs" not in built.again("inspect", "t").chatty().exits(0).stdout
    assert "still at work" not in built.again("resume", "t").chatty().exits(12).stderr
    daemon.write_text("")


def test_what_an_action_left_that_has_ended_is_a_daemon_even_before_its_end_is_in_the_journal(tmp_path: Path) -> None:
    built = saga(tmp_path, f"""
steps:
  - id: a
    action: {script('setsid cat daemon &', 'echo $PPID > supervisor', KILL_ORCHESTRATOR)}
    undo: none
""")
    daemon = built.fifo("daemon")
    dies(built)
    with suppress(ProcessLookupError):  # it has ended already
        supervisor = os.pidfd_open(int((tmp_path / "supervisor").read_text()))
        select.select([supervisor], [], [])
        os.close(supervisor)
    assert "its command runs" not in built.again("inspect", "t").chatty().exits(0).stdout
    assert "still at work" not in built.again("resume", "t").chatty().exits(0).stderr
    daemon.write_text("")


def test_a_check_has_the_idempotency_key_of_the_action_that_it_asks_about_and_an_undo_its_own(tmp_path: Path) -> None:
    built = saga(tmp_path, f"""
steps:
  - id: a
    action: {script('echo $SAGA_IDEMPOTENCY_KEY >> log', 'kill -9 $PPID')}
    check: grep -qx "$SAGA_IDEMPOTENCY_KEY" log
    undo: echo $SAGA_IDEMPOTENCY_KEY >> log
  - {{id: b, action: "false", undo: none}}
""")
    built.run().stdout("t compensated\n").chatty().file_after("log", "t/a/action\nt/a/undo\n").exits(10)


def test_a_lock_whose_text_is_none_of_ours_still_locks(tmp_path: Path) -> None:
    built = saga(tmp_path, "steps:\n  - {id: a, action: 'echo > ready; cat go', undo: none}\n")
    ready, go = built.fifo("ready"), built.fifo("go")
    running = built.start("run", "saga.yaml", "--id", "t")
    ready.read_text()
    (lock,) = tmp_path.rglob("sagas.db.d/*/lock")
    lock.write_text("[1]")
    built.again("resume", "t").stderr("held by another process").exits(6)
    go.open("w").close()
    assert running.communicate(timeout=30)[0] == "t completed\n"
