"""Several at once about one saga, and supervisors that die or hang: effects exactly once, and no word against another.

Real processes of the real command. Commands that race are started at the same instant; whichever is first, what they
answer, what the journal says and what was done must agree.
"""

from __future__ import annotations

import os
import select
import signal
import subprocess
from collections import Counter
from pathlib import Path

import pytest

from sagactl.execution import record
from sagactl.execution.processes import start_ticks
from tests.cli.test_crash import KILL_ORCHESTRATOR, ONCE, dies, script
from tests.conftest import Torture
from tests.harness import Saga, saga, states

PARALLEL = 33
"""One more than a supervisor takes."""

BULKY = 20
"""With 60 KiB of input each: several times what a socket holds."""


def ended(process: subprocess.Popen[str]) -> tuple[int, str]:
    """Exit code and stderr of a command that ends by itself."""
    try:
        _, stderr = process.communicate(timeout=60)
    finally:
        process.kill()
    assert "Traceback" not in stderr, stderr
    return process.returncode, stderr


def raced(built: Saga, *commands: tuple[str, ...]) -> list[int]:
    """The exit codes of commands started at the same instant."""
    processes = [built.start(*command) for command in commands]
    return [ended(process)[0] for process in processes]


def log(built: Saga) -> list[str]:
    path = built.folder / "log"
    return path.read_text().splitlines() if path.exists() else []


def count(built: Saga, kind: str) -> int:
    """How many events of that type there are."""
    return sum(event["type"] == kind for event in built.events())


def homes(folder: Path, number: int) -> list[Path]:
    """So many folders, each for a saga of its own."""
    found = [folder / f"saga{i}" for i in range(number)]
    for each in found:
        each.mkdir()
    return found


# Races.


@pytest.mark.torture
def test_of_three_simultaneous_resumes_exactly_one_drives(tmp_path: Path, torture: Torture) -> None:
    places = homes(tmp_path, torture.of(short=1, a_round=100))
    found = Counter[str]()
    for home in places:
        built = saga(home, f"""
steps:
  - id: a
    action: {script(ONCE, 'echo a >> log')}
    undo: none
  - {{id: b, action: echo b >> log, undo: none}}
""")
        dies(built)
        codes = raced(built, *[("resume", "t")] * 3)
        assert set(codes) <= {0, 6}, codes
        found["wrong"] += codes.count(0) == 0 or count(built, "holder_changed") != 1
        found["double"] += len(log(built)) > 2
        found["lost"] += not {"a", "b"} <= set(log(built)) or built.inspect()["state"] != "completed"
    torture.report("three simultaneous resumes", len(places), found)


@pytest.mark.torture
def test_compensate_against_resume_undoes_what_was_done_or_says_who_holds_the_saga(
    tmp_path: Path, torture: Torture,
) -> None:
    places = homes(tmp_path, torture.of(short=1, a_round=50))
    found = Counter[str]()
    for home in places:
        built = saga(home, f"""
steps:
  - {{id: a, action: echo a >> log, undo: echo undo a >> log}}
  - id: b
    action: {script(ONCE, 'echo b >> log')}
    undo: echo undo b >> log
  - {{id: c, action: echo c >> log, undo: echo undo c >> log}}
""")
        dies(built)
        resumed, compensated = raced(built, ("resume", "t"), ("compensate", "t", "--yes"))
        state, lines = built.inspect()["state"], log(built)
        undone = [line.removeprefix("undo ") for line in lines if line.startswith("undo")]
        found["double"] += len(lines) > len(set(lines))
        if compensated == 0:
            assert resumed in (0, 6, 10), resumed
            found["wrong"] += state != "compensated" or undone != sorted(undone, reverse=True)
            found["lost"] += not {line for line in lines if not line.startswith("undo")} <= set(undone)
        else:
            assert (resumed, compensated) == (0, 6)
            found["wrong"] += state != "completed" or bool(undone)
            found["lost"] += lines != ["a", "b", "c"]
    torture.report("compensate against resume", len(places), found)


@pytest.mark.torture
def test_resolve_against_resume_either_takes_a_persons_word_or_runs_the_undo_again(
    tmp_path: Path, torture: Torture,
) -> None:
    places = homes(tmp_path, torture.of(short=1, a_round=50))
    resolve = ("resolve", "t", "--step", "a", "--as", "undone", "--reason", "by hand")
    found = Counter[str]()
    for home in places:
        built = saga(home, """
steps:
  - {id: a, action: echo a >> log, undo: {run: "echo undo >> log; test -e mended", max_retries: 0}}
  - {id: b, action: "false", undo: none}
""")
        built.run().chatty().exits(11)
        built.file("mended", "")
        resumed, resolved = raced(built, ("resume", "t"), resolve)
        assert resolved in (0, 5, 6)
        assert resumed in ((6, 10) if resolved == 0 else (10,)), (resumed, resolved)
        found["wrong"] += states(built.inspect())["a"] != "compensated"
        if resumed == 6:
            built.again("resume", "t").chatty().exits(10)
        wanted = ["a", "undo", "undo"][: 2 if resolved == 0 else 3]
        found["double"] += len(log(built)) > len(wanted)
        found["lost"] += len(log(built)) < len(wanted)
        found["wrong"] += built.inspect()["state"] != "compensated"
    torture.report("resolve against resume", len(places), found)


# An orchestrator that is stopped, and one that is stale.


def test_a_stale_orchestrator_is_fenced_writes_nothing_and_runs_nothing(tmp_path: Path) -> None:
    built = saga(tmp_path, """
steps:
  - {id: a, action: "echo ready > ready; read go < go; echo a >> log", undo: none}
  - {id: b, action: echo b >> log, undo: none}
""")
    built.fifo("ready")
    built.fifo("go")
    stale = built.start("run", "saga.yaml", "--id", "t")
    try:
        assert (tmp_path / "ready").read_text() == "ready\n"
        stale.send_signal(signal.SIGSTOP)
        built.again("resume", "t").stderr(f"held by process {stale.pid} ").exits(6)
        (lock,) = (tmp_path / "state/sagactl/sagas.db.d").glob("*/lock")
        lock.unlink()
        resumed = built.start("resume", "t")
        (tmp_path / "go").write_text("go\n")
        assert ended(resumed)[0] == 0
        before = built.events()
    finally:
        stale.send_signal(signal.SIGCONT)
    code, stderr = ended(stale)
    assert code == 7, stderr
    assert "another process went on with it" in stderr
    assert built.events() == before
    assert log(built) == ["a", "b"]
    assert built.inspect()["state"] == "completed"
    assert not list(lock.parent.glob("*.record")), "an attempt that was folded away has been claimed anew"


# Supervisors.


def supervisors(folder: Path) -> Counter[int]:
    """How many attempts each supervisor has claimed, by pid."""
    found = (record.read(str(path.with_suffix(""))) for path in (folder / "state/sagactl/sagas.db.d").glob("*/*.record"))
    return Counter(each.claim["supervisor"] for each in found if each)


def child(pid: int) -> int:
    """The one process that a process has started."""
    (found,) = Path(f"/proc/{pid}/task/{pid}/children").read_text().split()
    return int(found)


def open_both_ways(path: Path) -> int:
    """A named pipe that neither waits for a reader nor ends when one goes."""
    os.mkfifo(path)
    return os.open(path, os.O_RDWR)


def test_a_supervisor_that_dies_with_32_attempts_leaves_them_to_their_checks_and_the_33rd_alone(tmp_path: Path) -> None:
    steps = "".join(f"""
  - id: s{i}
    needs: []
    action: "echo >> ready; read go < go; echo $SAGA_STEP >> log"
    check: grep -qx $SAGA_STEP log
    undo: none""" for i in range(PARALLEL))
    built = saga(tmp_path, f"steps:{steps}\n")
    ready, go = open_both_ways(tmp_path / "ready"), open_both_ways(tmp_path / "go")
    process = built.start("run", "saga.yaml", "--id", "t")
    said = b""
    while len(said) < PARALLEL:
        said += os.read(ready, PARALLEL)
    ((killed, most), (_, rest)) = supervisors(tmp_path).most_common()
    assert (most, rest) == (32, 1)
    os.kill(killed, signal.SIGKILL)
    os.write(go, b"\n" * PARALLEL)
    assert ended(process)[0] == 0
    assert sorted(log(built)) == sorted(f"s{i}" for i in range(PARALLEL))
    outcomes = Counter(tuple(attempt["outcome"] for attempt in step["attempts"]) for step in built.inspect()["steps"])
    assert outcomes == {("in_doubt", "effect_found"): 32, ("succeeded",): 1}
    os.close(ready)
    os.close(go)


def with_a_full_socket(folder: Path) -> tuple[Saga, subprocess.Popen[str], int]:
    """A resume that asks a stopped supervisor for more than its socket holds; and that supervisor.

    The resume attaches to an attempt of an earlier process, so that its own supervisor can be stopped before it is asked.
    """
    steps = "".join(f"""
  - {{id: s{i}, needs: [first], action: wc -c >> log, stdin: "${{params.bulk}}", undo: none}}"""
                    for i in range(BULKY))
    built = saga(folder, f"""
params: {{bulk: {{type: string, default: {'x' * 60 * 1024}}}}}
steps:
  - id: first
    action: {script(KILL_ORCHESTRATOR, 'read go < go')}
    undo: none{steps}
  - {{id: last, action: read go < go, undo: none}}
""")
    built.fifo("go")
    dies(built)
    process = built.start("resume", "t")
    assert process.stderr is not None
    assert "is still at work, pid " in process.stderr.readline()
    assert "going on" in process.stderr.readline()
    stopped = child(process.pid)
    os.kill(stopped, signal.SIGSTOP)
    (folder / "go").write_text("go\n")
    while count(built, "action_started") < 1 + BULKY or not asleep(process.pid):
        pass
    assert supervisors(folder)[stopped] == 0
    return built, process, stopped


def asleep(pid: int) -> bool:
    """Whether no thread of a process has anything to do."""
    return all(") S " in (path / "stat").read_text() for path in Path(f"/proc/{pid}/task").iterdir())


def test_requests_that_fill_the_socket_of_a_stopped_supervisor_wait_until_it_goes_on(tmp_path: Path) -> None:
    built, process, stopped = with_a_full_socket(tmp_path)
    os.kill(stopped, signal.SIGCONT)
    (tmp_path / "go").write_text("go\n")
    assert ended(process)[0] == 0
    assert log(built) == [str(60 * 1024)] * BULKY
    assert all(len(step["attempts"]) == 1 for step in built.inspect()["steps"])


@pytest.mark.parametrize("first", ["supervisor", "resume"])
def test_an_orchestrator_killed_before_a_full_socket_leaves_whole_requests_and_no_part_of_one(
    tmp_path: Path, first: str,
) -> None:
    built, process, stopped = with_a_full_socket(tmp_path)
    process.send_signal(signal.SIGKILL)
    process.communicate(timeout=30)
    if first == "supervisor":
        goes_on_to_its_end(stopped)
    resumed = built.start("resume", "t")
    if first == "resume":
        while count(built, "action_started") < 1 + 2 * BULKY + 1:
            pass
        goes_on_to_its_end(stopped)
    (tmp_path / "go").write_text("go\n")
    assert ended(resumed)[0] == 0
    assert log(built) == [str(60 * 1024)] * BULKY
    hows = Counter(attempt["how"] for step in built.inspect()["steps"] for attempt in step["attempts"])
    assert hows["exited"] == 1 + BULKY + 1
    assert 0 < hows["never_started"] < BULKY if first == "supervisor" else hows["never_started"] == BULKY
    assert hows.keys() == {"exited", "never_started"}


def goes_on_to_its_end(supervisor: int) -> None:
    """A stopped supervisor whose orchestrator is gone does all that it was asked for."""
    descriptor = os.pidfd_open(supervisor)
    os.kill(supervisor, signal.SIGCONT)
    assert select.select([descriptor], [], [], 30)[0]
    os.close(descriptor)


# An attempt that goes on without its orchestrator.


def left_behind(folder: Path) -> tuple[Saga, int]:
    """A saga whose orchestrator is gone and whose action sleeps on under its supervisor; the action's pid."""
    built = saga(folder, f"""
steps:
  - id: a
    action: {script(KILL_ORCHESTRATOR, 'echo $$ > ready', 'exec sleep 300')}
    undo: echo undo $SAGA_ACTION_STATE >> log
""")
    built.fifo("ready")
    process = built.start("run", "saga.yaml", "--id", "t")
    pid = int((folder / "ready").read_text())
    process.communicate(timeout=30)
    return built, pid


def attached(built: Saga) -> subprocess.Popen[str]:
    """A resume that has found the action."""
    process = built.start("resume", "t")
    assert process.stderr is not None
    assert "is still at work, pid " in process.stderr.readline()
    assert "going on" in process.stderr.readline()
    return process


def test_a_resume_told_twice_to_stop_ends_the_action_that_it_found_which_compensate_then_undoes(tmp_path: Path) -> None:
    built, pid = left_behind(tmp_path)
    process = attached(built)
    assert process.stderr is not None
    for said in ("stopping", "ending what runs"):
        process.send_signal(signal.SIGINT)
        assert said in process.stderr.readline()
    assert ended(process)[0] == 130
    assert start_ticks(pid) is None
    (step,) = built.inspect()["steps"]
    assert (step["state"], [attempt["how"] for attempt in step["attempts"]]) == ("in_doubt", ["interrupted"])
    built.again("compensate", "t", "--yes").chatty().file_after("log", "undo in_doubt\n").exits(0)


def test_compensate_ends_the_action_that_a_killed_run_left_and_undoes_it(tmp_path: Path) -> None:
    built, pid = left_behind(tmp_path)
    built.again("compensate", "t", "--yes").chatty().file_after("log", "undo in_doubt\n").exits(0)
    assert start_ticks(pid) is None


def test_compensate_turns_a_resume_round_that_waits_for_an_action_which_it_found(tmp_path: Path) -> None:
    built, pid = left_behind(tmp_path)
    process = attached(built)
    built.again("compensate", "t", "--yes").chatty().file_after("log", "undo in_doubt\n").exits(0)
    assert ended(process)[0] == 10
    assert start_ticks(pid) is None
