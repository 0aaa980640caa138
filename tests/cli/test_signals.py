"""The section Signals: what Ctrl-C, TERM and HUP do, once, twice, three times. No sleeps: pipes say when."""

from __future__ import annotations

import asyncio
import contextlib
import fcntl
import io
import json
import os
import signal
import subprocess
import threading
from collections import Counter
from pathlib import Path

import anyio
import anyio.lowlevel
import pytest

from sagactl.signals import ENDING, Signals
from tests.conftest import Torture
from tests.harness import ROOT, Result, Saga, saga, states

SLOW = """
defaults: {{timeout: 60s, kill_after: {kill_after}}}
steps:
  - id: a
    action: |
      {trap}
      echo ready > ready
      read go < go
      echo done >> log
    undo: echo undo >> log
    max_retries: {retries}
  - {{id: b, action: echo b >> log, undo: none}}
"""


def slow(folder: Path, *, trap: str = "", kill_after: str = "20s", retries: int = 0) -> Saga:
    built = saga(folder, SLOW.format(trap=trap or "true", kill_after=kill_after, retries=retries))
    built.fifo("ready")
    built.fifo("go")
    return built


def started(built: Saga, **options: object) -> subprocess.Popen[str]:
    """The saga is running and its first action has said that it is ready."""
    process = built.start("run", "saga.yaml", "--id", "t", **options)
    assert (built.folder / "ready").read_text() == "ready\n"
    return process


def let_go(built: Saga) -> None:
    (built.folder / "go").write_text("go\n")


@pytest.mark.parametrize(("number", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143), (signal.SIGHUP, 129)])
def test_a_first_signal_lets_the_running_action_end_and_starts_nothing_more(
    tmp_path: Path, number: int, code: int,
) -> None:
    built = slow(tmp_path)
    process = started(built)
    process.send_signal(number)
    wait_until_noticed(built)
    let_go(built)
    stdout, stderr = process.communicate(timeout=30)
    assert process.returncode == code, stderr
    assert stdout == "t interrupted\n"
    assert "sagactl resume t" in stderr
    assert "sagactl compensate t" in stderr
    assert (tmp_path / "log").read_text() == "done\n"
    assert states(built.inspect()) == {"a": "committed", "b": "pending"}
    built.again("resume", "t").chatty().file_after("log", "done\nb\n").exits(0)


def wait_until_noticed(built: Saga) -> None:
    """A signal is noticed before the answer to a later command: a second process asks for the state."""
    built.again("inspect", "t").chatty().exits(0)


def test_a_second_ctrl_c_ends_the_action_which_is_then_in_doubt(tmp_path: Path) -> None:
    built = slow(tmp_path)
    process = started(built)
    process.send_signal(signal.SIGINT)
    wait_until_noticed(built)
    process.send_signal(signal.SIGINT)
    _, stderr = process.communicate(timeout=30)
    assert process.returncode == 130, stderr
    shown = built.inspect()
    assert states(shown)["a"] == "in_doubt"
    assert shown["steps"][0]["attempts"][0]["how"] == "interrupted"
    built.again("resume", "t").chatty().exits(11)


def test_ctrl_c_during_the_last_step_still_completes(tmp_path: Path) -> None:
    built = saga(tmp_path, "steps:\n  - {id: a, action: 'echo ready > ready; read go < go', undo: none}\n")
    built.fifo("ready")
    built.fifo("go")
    process = started(built)
    process.send_signal(signal.SIGINT)
    wait_until_noticed(built)
    let_go(built)
    process.communicate(timeout=30)
    assert process.returncode == 0


def test_a_third_ctrl_c_kills_what_ignores_term(tmp_path: Path) -> None:
    built = slow(tmp_path, trap="trap '' TERM", kill_after="50s")
    process = started(built)
    for _ in range(3):
        process.send_signal(signal.SIGINT)
        wait_until_noticed(built)
    process.communicate(timeout=30)
    assert process.returncode == 130
    assert states(built.inspect())["a"] == "in_doubt"


def test_term_ends_the_action_after_the_grace_period(tmp_path: Path) -> None:
    built = slow(tmp_path).env(SAGACTL_GRACE="100ms")
    process = started(built)
    process.send_signal(signal.SIGTERM)
    process.communicate(timeout=30)
    assert process.returncode == 143
    assert states(built.inspect())["a"] == "in_doubt"


def test_ctrl_c_in_a_retry_delay_ends_at_once(tmp_path: Path) -> None:
    built = saga(tmp_path, """
steps:
  - {id: a, action: "echo ready > ready; exit 1", max_retries: 1, retry_delay: 1m, undo: none}
""")
    built.fifo("ready")
    process = started(built)
    while not built.inspect()["steps"][0]["next_attempt"]:
        pass
    process.send_signal(signal.SIGINT)
    process.communicate(timeout=10)
    assert process.returncode == 130


def test_the_terminals_ctrl_c_does_not_hit_the_commands(tmp_path: Path) -> None:
    """The signal goes to the whole group of sagactl, as a terminal sends it."""
    built = slow(tmp_path)
    process = started(built)
    os.killpg(process.pid, signal.SIGINT)
    wait_until_noticed(built)
    let_go(built)
    process.communicate(timeout=30)
    assert (tmp_path / "log").read_text() == "done\n"


def test_a_closed_stdout_stops_nothing_and_is_told_in_the_exit_code(tmp_path: Path) -> None:
    built = slow(tmp_path)
    reader, writer = os.pipe()
    process = started(built, stdout=writer)
    os.close(writer)
    os.close(reader)
    let_go(built)
    process.communicate(timeout=30)
    assert process.returncode == 141
    assert built.inspect()["state"] == "completed"


def test_a_closed_stderr_stops_nothing(tmp_path: Path) -> None:
    built = slow(tmp_path)
    reader, writer = os.pipe()
    process = started(built, stderr=writer)
    os.close(writer)
    os.close(reader)
    let_go(built)
    process.communicate(timeout=30)
    assert process.returncode == 0


def test_a_killed_run_in_a_pipeline_does_not_hang_the_pipe(tmp_path: Path) -> None:
    """Neither the supervisor nor the command holds the orchestrator's stdout."""
    built = slow(tmp_path)
    process = started(built)
    process.kill()
    stdout, _ = process.communicate(timeout=10)
    assert stdout == ""
    let_go(built)
    built.again("resume", "t").chatty().exits(0)


def test_a_resume_that_waits_for_an_earlier_runs_action_can_end_it(tmp_path: Path) -> None:
    """Its supervisor has another orchestrator's socket: the word goes through a file."""
    built = slow(tmp_path)
    process = started(built)
    process.kill()
    process.communicate()
    resumed = built.start("resume", "t", "-o", "jsonl")
    assert resumed.stdout is not None
    assert '"holder_changed"' in resumed.stdout.readline()
    for _ in range(2):
        resumed.send_signal(signal.SIGINT)
        wait_until_noticed(built)
    _, stderr = resumed.communicate(timeout=30)
    assert resumed.returncode == 130, stderr
    assert "ending what runs" in stderr
    assert built.inspect()["steps"][0]["attempts"][0]["how"] == "interrupted"
    assert not (tmp_path / "log").exists()


def test_ctrl_c_before_anything_is_begun_is_told_in_the_exit_code(tmp_path: Path) -> None:
    """While it waits for another process that writes to the database, say."""
    built = saga(tmp_path, "steps: [{id: a, action: echo a >> log, undo: none}]\n")
    folder = tmp_path / "state/sagactl/sagas.db.d"
    folder.mkdir(mode=0o700, parents=True)
    with (folder / "write.lock").open("x") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        process = built.start("run", "saga.yaml")
        while str(folder / "write.lock") not in opened_by(process.pid):
            assert process.poll() is None
        process.send_signal(signal.SIGINT)
        assert process.stderr is not None
        assert "stopping" in process.stderr.readline()
    process.communicate(timeout=30)
    assert process.returncode == 130
    assert not (tmp_path / "log").exists()


def opened_by(pid: int) -> set[str]:
    found = set()
    for name in os.listdir(f"/proc/{pid}/fd"):
        with contextlib.suppress(FileNotFoundError):
            found.add(str(Path(f"/proc/{pid}/fd/{name}").readlink()))
    return found


def test_a_fourth_ctrl_c_leaves_what_cannot_be_ended_and_a_resume_finds_it(tmp_path: Path) -> None:
    """The command stops its own supervisor, which then hears nothing."""
    built = saga(tmp_path, "steps:\n  - {id: a, action: 'echo $PPID > pid; kill -STOP $PPID; echo > ready; cat go', undo: none}\n")
    ready, _ = built.fifo("ready"), built.fifo("go")
    process = built.start("run", "saga.yaml", "--id", "t", "-o", "jsonl")
    ready.read_text()
    assert process.stderr is not None
    for said in ("stopping", "ending", "killing", "leaving"):
        process.send_signal(signal.SIGINT)
        assert process.stderr.readline().startswith(said)
    process.communicate(timeout=30)
    assert process.returncode == 130
    os.kill(int((tmp_path / "pid").read_text()), signal.SIGCONT)
    built.again("resume", "t").chatty().exits(11)
    assert states(built.inspect()) == {"a": "in_doubt"}


def test_a_signal_is_heard_however_much_waits_for_the_loop() -> None:
    """Threads wake the loop through a pipe; while it is full, asyncio's own way loses a signal."""
    told: list[int] = []

    async def main() -> None:
        signals = Signals(10.0, told.append)
        async with anyio.create_task_group() as tasks:
            await tasks.start(signals.listen)
            for _ in range(5000):
                asyncio.get_running_loop().call_soon_threadsafe(lambda: None)
            os.kill(os.getpid(), signal.SIGINT)
            for _ in range(3):
                await anyio.lowlevel.checkpoint()
            tasks.cancel_scope.cancel()

    before = {number: signal.getsignal(number) for number in ENDING}
    anyio.run(main)
    for number, handler in before.items():
        signal.signal(number, handler)
    assert told == [1]


def test_ctrl_c_again_while_the_end_is_told_cuts_nothing_off(tmp_path: Path) -> None:
    """Under a live view the result comes last; this one is more than its pipe takes."""
    more = "".join(f"  - {{id: s{n}, action: 'true', undo: none}}\n" for n in range(60))
    built = saga(tmp_path, "steps:\n  - {id: a, action: echo > ready; cat go, undo: none}\n" + more)
    ready, _ = built.fifo("ready"), built.fifo("go")
    terminal, theirs = os.openpty()
    end, begin = os.pipe()
    fcntl.fcntl(begin, fcntl.F_SETPIPE_SZ, 4096)
    process = built.start("run", "saga.yaml", "--id", "t", "--progress", "live", "--json", stdout=begin, stderr=theirs)
    os.close(begin)
    os.close(theirs)
    with os.fdopen(terminal, "rb", buffering=0) as screen, os.fdopen(end, "rb", buffering=0) as pipe:
        drawing = threading.Thread(target=lambda: drained(screen))
        drawing.start()
        ready.read_text()
        process.send_signal(signal.SIGINT)
        let_go(built)
        told = pipe.read(1)
        process.send_signal(signal.SIGINT)
        told += pipe.readall()
        process.communicate(timeout=30)
        drawing.join()
    assert json.loads(told)["interrupted"]
    assert process.returncode == 130


def drained(screen: io.RawIOBase) -> None:
    with contextlib.suppress(OSError):  # EIO: nobody writes to that terminal any more
        while screen.read(65536):
            pass


AT_EVENT = """
import atexit, os, sys
seen, at, number = 0, os.environ["SAGA_AT"], int(os.environ["SAGA_NUMBER"])
def hear(event, arguments):
    global seen
    if seen or (event == "import" and arguments[0] == "sagactl.cli.main"):
        seen += 1
        if str(seen) == at:
            os.kill(os.getpid(), number)
if at == "end":
    atexit.register(lambda: [os.kill(os.getpid(), number), None])
else:
    sys.addaudithook(hear)
if not at:
    atexit.register(lambda: print(seen, "events", file=sys.stderr))
"""
"""At the so many-th import, open, exec and the like since our own code is loaded, or when Python ends: a signal."""

PARTS = 25
RUN = ("run", "saga.yaml", "--id", "t")
COMMANDS = (RUN, ("list",), ("validate", "saga.yaml"), ("wait", "none"), ("run", "--help"))
DEATHS = {signal.SIGINT: 130, signal.SIGTERM: -signal.SIGTERM, signal.SIGHUP: -signal.SIGHUP}
"""Which a shell sees as 130, 143 and 129."""


def signalled(folder: Path, args: tuple[str, ...], number: int = 0, at: object = "") -> Result:
    folder.mkdir()
    built = saga(folder, "steps: [{id: a, action: echo a >> log, undo: none}]").file("sitecustomize.py", AT_EVENT)
    done = built.env(PYTHONPATH=f"{folder}:{ROOT}", SAGA_AT=str(at), SAGA_NUMBER=str(number)).args(*args).finished()
    if args == RUN:
        saga(folder, "").args(*RUN).chatty().file_after("log", "a\n").exits(0)
    return done


@pytest.mark.torture
def test_a_signal_while_a_command_loads_leaves_no_traceback_and_a_run_that_can_be_repeated(
    tmp_path: Path, torture: Torture,
) -> None:
    """A run that is under way may end as the signal wants it or, in its last step, as if there were none."""
    rows = [(args, signal.SIGINT, part) for args in COMMANDS for part in range(PARTS)]
    rows += [(args, number, PARTS // 2) for args in COMMANDS for number in (signal.SIGTERM, signal.SIGHUP)]
    rows = torture.some(rows, short=3)
    plain = {args: signalled(tmp_path / "-".join(args), args) for args in dict.fromkeys(args for args, *_ in rows)}
    found: Counter[str] = Counter()
    for place, (args, number, part) in enumerate(rows):
        events = int(plain[args].stderr.split()[-2])
        done = signalled(tmp_path / str(place), args, number, 1 + events * part // PARTS)
        others = {0, 128 + number} if args == RUN else set()
        found["tracebacks"] += "Traceback" in done.stderr or "bug" in done.stderr
        found["wrong"] += done.code not in {DEATHS[number], *others}
    torture.report("Signal while loading", len(rows), found)


@pytest.mark.parametrize("args", COMMANDS)
def test_ctrl_c_while_python_ends_is_quiet(tmp_path: Path, args: tuple[str, ...]) -> None:
    done = signalled(tmp_path / "x", args, signal.SIGINT, "end")
    assert done.code == 130
    assert "Traceback" not in done.stderr


def test_ctrl_c_that_was_ignored_at_the_start_stays_so(tmp_path: Path) -> None:
    """As a shell's `&` and nohup have it."""
    built = saga(tmp_path, "").file("sitecustomize.py", AT_EVENT)
    ignored = built.env(PYTHONPATH=f"{tmp_path}:{ROOT}", SAGA_AT="9", SAGA_NUMBER="2").start(
        "list", preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_IGN))
    assert ignored.communicate(timeout=30)[1].startswith("no sagas yet")
    assert ignored.returncode == 0
