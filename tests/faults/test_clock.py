"""The clock of the machine set back and forward while sagas run and while nobody runs them.

What a process of sagactl takes for the time is shifted by a file that its folder holds, `shift`, read at each look: a
`sitecustomize` of the test wraps the two clocks of the wall and of a machine that may sleep. Those of supervisors, which
load nothing of the kind, are the real ones.
"""

from __future__ import annotations

import itertools
import os
import re
import signal
import subprocess
import time
from datetime import UTC, datetime
from pathlib import Path

import pytest

from sagactl.execution.processes import start_ticks
from tests.cli.test_crash import KILL_ORCHESTRATOR, dies
from tests.harness import ROOT, Saga, saga

SHIFTED = """
import time
wall, steady = time.time, time.clock_gettime
def shifts():
    with open({path!r}) as file:
        return [float(word) for word in file.read().split()]
time.time = lambda: wall() + sum(shifts())
time.clock_gettime = lambda clock: steady(clock) + shifts()[1] * (clock == time.CLOCK_BOOTTIME)
"""
HOUR_S = 3600
FROM_1970_S = -datetime.now(UTC).timestamp()
TO_2100_S = datetime(2100, 1, 2, tzinfo=UTC).timestamp() - datetime.now(UTC).timestamp()


def at(folder: Path, text: str, *, shift_s: float = 0) -> Saga:
    """A saga in a folder with a clock of its own."""
    (folder / "shift").write_text(f"{shift_s} 0")
    (folder / "sitecustomize.py").write_text(SHIFTED.format(path=str(folder / "shift")))
    return on_that_clock(saga(folder, text))


def on_that_clock(built: Saga) -> Saga:
    return built.env(PYTHONPATH=f"{built.folder}:{ROOT}")


def again(built: Saga, *args: str) -> Saga:
    return on_that_clock(built.again(*args))


def set_clock(built: Saga, shift_s: float, *, slept_s: float = 0) -> None:
    """Set the clock of every process of that folder, live ones too, and let the machine have slept so long."""
    temporary = built.folder / "shift.new"
    temporary.write_text(f"{shift_s} {slept_s}")
    temporary.rename(built.folder / "shift")


def until(process: subprocess.Popen[str], event: str) -> None:
    """Read JSON lines of a run until that event."""
    assert process.stdout is not None
    line = "nothing"
    while f'"{event}"' not in line:
        line = process.stdout.readline()
        assert line, f"ended without {event}"


def interrupted(built: Saga, event: str) -> None:
    """Run the saga and kill it after that event."""
    process = built.start("run", "saga.yaml", "--id", "t", "-o", "jsonl")
    until(process, event)
    process.kill()
    process.communicate(timeout=30)


def waits_s(built: Saga) -> list[float]:
    """Seconds of real time between the starts of attempts, as the commands saw them: lines of `log`."""
    seen = [float(line) for line in (built.folder / "log").read_text().split()]
    return [after - before for before, after in itertools.pairwise(seen)]


RETRIED = """
steps:
  - {{id: a, action: "date +%s.%N >> log; exit 1", max_retries: 2, retry_delay: {delay}, retry_backoff: 1, undo: none}}
"""


def test_a_clock_that_is_set_while_a_retry_is_waited_for_changes_nothing(tmp_path: Path) -> None:
    """All the while a process lives, its time is that of its start carried on."""
    built = at(tmp_path, RETRIED.format(delay="1s"))
    process = built.start("run", "saga.yaml", "--id", "t", "-o", "jsonl")
    for shift_s in (-HOUR_S, HOUR_S):
        until(process, "action_failed")
        set_clock(built, shift_s)
    process.communicate(timeout=30)
    assert process.returncode == 10
    assert len(waits_s(built)) == 2
    assert all(1.0 <= wait_s < 20.0 for wait_s in waits_s(built))


@pytest.mark.skipif(not hasattr(time, "CLOCK_BOOTTIME"), reason="no clock here counts while the machine sleeps")
def test_a_machine_that_slept_through_a_delay_makes_the_next_attempt_at_once(tmp_path: Path) -> None:
    built = at(tmp_path, RETRIED.format(delay="50m"))
    process = built.start("run", "saga.yaml", "--id", "t", "-o", "jsonl")
    until(process, "action_failed")
    set_clock(built, 0, slept_s=HOUR_S)
    until(process, "action_failed")
    process.send_signal(signal.SIGINT)
    process.communicate(timeout=30)
    assert process.returncode == 130
    assert len(waits_s(built)) == 1


def test_a_clock_set_back_between_two_processes_lengthens_no_delay(tmp_path: Path) -> None:
    """An hour back: the next attempt would be an hour away."""
    built = at(tmp_path, RETRIED.format(delay="1s"))
    interrupted(built, "action_failed")
    set_clock(built, -HOUR_S)
    again(built, "resume", "t").chatty().exits(10)
    first_s, second_s = waits_s(built)
    assert 1.0 <= first_s < 30.0
    assert 1.0 <= second_s < 20.0


def test_a_clock_set_forward_between_two_processes_ends_the_delay_and_skips_no_attempt(tmp_path: Path) -> None:
    built = at(tmp_path, RETRIED.format(delay="50m").replace("max_retries: 2", "max_retries: 1"))
    interrupted(built, "action_failed")
    set_clock(built, HOUR_S)
    again(built, "resume", "t").chatty().exits(10)
    assert len(waits_s(built)) == 1
    assert [attempt["number"] for attempt in built.inspect()["steps"][0]["attempts"]] == [1, 2]


LIMITED = """
timeout: 10m
steps:
  - {{id: a, action: echo a >> log, undo: echo undo a >> log}}
  - {{id: b, {b}, undo: echo undo b >> log}}
"""
FAILS_ONCE = "action: 'test -e mended || exit 1; echo b >> log', max_retries: 3, retry_delay: 1m"


def test_a_deadline_that_passed_while_nothing_ran_turns_the_saga_back_and_is_named(tmp_path: Path) -> None:
    built = at(tmp_path, LIMITED.format(b=FAILS_ONCE))
    interrupted(built, "action_failed")
    set_clock(built, HOUR_S)
    again(built, "resume", "t").stdout("t compensated\n").stderr("the deadline of 600s passed").file_after(
        "log", "a\nundo a\n").exits(10)
    assert len(built.inspect()["steps"][1]["attempts"]) == 1


def test_a_command_that_ended_before_the_deadline_is_no_victim_of_it(tmp_path: Path) -> None:
    """All committed is completed, even late: only nobody had looked."""
    built = at(tmp_path, LIMITED.format(b="action: 'echo $PPID > supervisor; echo ready > ready; echo b >> log'"))
    built.fifo("ready")
    process = built.start("run", "saga.yaml", "--id", "t")
    assert (tmp_path / "ready").read_text() == "ready\n"
    process.kill()
    process.communicate(timeout=30)
    while start_ticks(int((tmp_path / "supervisor").read_text())) is not None:
        pass
    set_clock(built, HOUR_S)
    again(built, "resume", "t").stdout("t completed\n").chatty().file_after("log", "a\nb\n").exits(0)


@pytest.mark.parametrize("ending", ["pause", "escalate"])
def test_the_deadline_stands_still_while_a_person_is_waited_for(tmp_path: Path, ending: str) -> None:
    """An hour passes, and the ten minutes of the saga have not."""
    how = {"pause": "action: 'test -e mended && echo b >> log', on_failure: pause",
           "escalate": "action: 'test -e mended && echo b >> log || kill -9 $PPID'"}[ending]
    built = at(tmp_path, LIMITED.format(b=how))
    built.run().chatty().exits({"pause": 12, "escalate": 11}[ending])
    set_clock(built, HOUR_S)
    if ending == "escalate":
        again(built, "resolve", "t", "--step", "b", "--as", "not-landed", "--reason", "looked").chatty().exits(0)
    built.file("mended", "")
    again(built, "resume", "t").stdout("t completed\n").chatty().file_after("log", "a\nb\n").exits(0)


def test_a_deadline_is_never_further_away_than_it_was_at_the_start(tmp_path: Path) -> None:
    """The clock was a year ahead when the saga started. Once it is right again, the saga has no year more."""
    b = "timeout: 2h, max_retries: 1, retry_delay: 1s, action: 'echo $SAGA_DEADLINE >> log; exit 1'"
    built = at(tmp_path, LIMITED.format(b=b), shift_s=365 * 24 * HOUR_S)
    interrupted(built, "action_failed")
    set_clock(built, 0)
    again(built, "resume", "t").chatty().exits(10)
    _, wrong, right, _ = (tmp_path / "log").read_text().split("\n", 3)
    assert float(wrong) - time.time() > 364 * 24 * HOUR_S
    assert float(right) - time.time() <= 600


def test_the_timeout_of_a_command_whose_supervisor_is_dead_is_not_the_clocks_affair(tmp_path: Path) -> None:
    built = at(tmp_path, f"""
steps:
  - id: a
    action: |
      while ! grep -q ticks "$SAGA_OUTPUT_DIR.record"; do :; done
      {KILL_ORCHESTRATOR}
      kill -9 $PPID
      read go < go
      echo a >> log
    check: grep a log
    undo: none
""")
    built.fifo("go")
    dies(built)
    set_clock(built, HOUR_S)
    process = built.start("resume", "t", "-o", "jsonl")
    until(process, "holder_changed")
    built.again("inspect", "t").chatty().exits(0)
    go = os.open(tmp_path / "go", os.O_RDWR)  # whether or not anybody reads it
    os.write(go, b"go\n")
    process.communicate(timeout=30)
    os.close(go)
    assert process.returncode == 0
    assert (tmp_path / "log").read_text() == "a\n"


@pytest.mark.parametrize("shift_s", [FROM_1970_S, TO_2100_S], ids=["1970", "2100"])
def test_no_year_is_a_traceback(tmp_path: Path, shift_s: float) -> None:
    """A machine without a battery starts in 1970; sagas of then are looked at and gone on with later."""
    built = at(tmp_path, RETRIED.format(delay="1s"), shift_s=shift_s)
    interrupted(built, "action_failed")
    for clock_s in (shift_s, 0):
        set_clock(built, clock_s)
        again(built, "inspect", "t").stdout(re.compile(r"t  interrupted, running\n(.*\n)+")).exits(0)
        again(built, "list").stdout(re.compile(r"ID .*\nt .* interrupted .*\n")).exits(0)
    set_clock(built, 0)
    again(built, "resume", "t").chatty().exits(10)
    assert len(waits_s(built)) == 2
    assert built.inspect()["started"][:4] in ("1970", "2100")

