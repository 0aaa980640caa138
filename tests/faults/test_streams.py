"""Signals, terminals and streams that go away, in every phase: the command goes on, and nothing is done twice.

A saga is stopped while one of its commands, an action, a check or an undo, waits at a pipe. Whatever stops it, the
effects must afterwards be there once each; a command that was ended before its effect has to be repeated for that.
"""

from __future__ import annotations

import fcntl
import os
import pty
import signal
import subprocess
import termios
from pathlib import Path

import pytest

from tests.conftest import Torture
from tests.harness import ROOT, Saga, saga, states

WAITS = 'if mkdir first; then echo ready > ready; read go < go; fi; echo "$SAGA_PHASE" >> log'
"""The first attempt says that it is there and waits; a later one does not."""

PHASES = {
    "action": (f"""
  - {{id: a, on_interrupt: retry, action: '{WAITS}', undo: none}}
  - {{id: b, action: echo b >> log, undo: none}}
""", 0, ["action", "b"]),
    "check": (f"""
  - {{id: a, outputs: [x], action: "true", check: '{WAITS}', undo: none}}
  - {{id: b, action: echo b >> log, undo: none}}
""", 0, ["check", "b"]),
    "undo": (f"""
  - {{id: a, action: "true", undo: echo a >> log}}
  - {{id: b, action: "true", undo: '{WAITS}'}}
  - {{id: c, action: "false", undo: none}}
""", 10, ["undo", "a"]),
}
"""Per phase: the steps, the exit code in the end, and the log then."""

INT, TERM, HUP, QUIT = signal.SIGINT, signal.SIGTERM, signal.SIGHUP, signal.SIGQUIT
SENT = ((INT,), (INT, INT), (INT, INT, INT), (TERM,), (TERM, TERM), (TERM, INT), (INT, TERM), (HUP,), (HUP, HUP), (HUP, INT),
        (INT, HUP), (QUIT,), (INT, QUIT))
ROWS = [(phase, sent) for phase in PHASES for sent in SENT]


def waiting(folder: Path, phase: str) -> Saga:
    """A saga whose command of that phase will wait."""
    built = saga(folder, "defaults: {retry_delay: 10ms, kill_after: 20s}\nsteps:" + PHASES[phase][0])
    built.fifo("ready")
    built.fifo("go")
    return built


def started(built: Saga, *args: str, **options: object) -> subprocess.Popen[str]:
    process = built.start("run", "saga.yaml", "--id", "t", *args, **options)
    assert (built.folder / "ready").read_text() == "ready\n"
    return process


def level_after(sent: tuple[signal.Signals, ...]) -> int:
    """How far these signals ask a run to stop: 1 start nothing, 2 end what runs, 3 kill it."""
    level = 0
    for number in sent:
        level = max(level, 1) if number is HUP else min(level + 1, 3)
    return level


def stopped(built: Saga, sent: tuple[signal.Signals, ...]) -> int:
    """Start the saga, send these signals, each once the one before it has been noticed; the exit code."""
    process = started(built.env(SAGACTL_GRACE="50s"))
    assert process.stderr is not None
    for i, number in enumerate(sent, 1):
        process.send_signal(number)
        if number is not QUIT and level_after(sent[:i]) > level_after(sent[: i - 1]):
            while "what runs" not in (line := process.stderr.readline()):
                assert line, (sent, "said nothing")
        elif number is QUIT:
            process.wait(timeout=30)
    if QUIT in sent or level_after(sent) == 1:
        (built.folder / "go").write_text("go\n")
    process.communicate(timeout=30)
    return process.returncode


@pytest.mark.torture
def test_whatever_signals_stop_a_saga_its_effects_are_there_once_after_a_resume(tmp_path: Path, torture: Torture) -> None:
    rows = torture.some(ROWS, short=2)
    double = lost = 0
    for i, (phase, sent) in enumerate(rows):
        folder = tmp_path / str(i)
        folder.mkdir()
        built = waiting(folder, phase)
        code = stopped(built, sent)
        assert code == (-QUIT if QUIT in sent else 128 + sent[0]), (phase, sent)
        shown = built.inspect()
        assert shown["interrupted"], (phase, sent)
        built.again("resume", "t").chatty().exits(PHASES[phase][1])
        log = (folder / "log").read_text().split()
        double += sum(log.count(line) > 1 for line in set(log))
        lost += sum(line not in log for line in PHASES[phase][2])
        assert log == PHASES[phase][2], (phase, sent)
    torture.report("signals in every phase", len(rows), {"double": double, "lost": lost})


def test_term_ends_an_undo_too_after_the_grace_period(tmp_path: Path) -> None:
    built = waiting(tmp_path, "undo").env(SAGACTL_GRACE="50ms")
    process = started(built)
    process.send_signal(TERM)
    process.communicate(timeout=30)
    assert process.returncode == 143
    built.again("resume", "t").chatty().file_after("log", "undo\na\n").exits(10)


def test_a_signal_in_the_delay_before_an_undo_is_repeated_ends_at_once(tmp_path: Path) -> None:
    built = saga(tmp_path, """
steps:
  - {id: a, action: "true", undo: {run: "echo undo >> log; test -e mended", max_retries: 1, retry_delay: 1s}}
  - {id: b, action: "false", undo: none}
""")
    process = built.start("run", "saga.yaml", "--id", "t", "-o", "jsonl")
    assert process.stdout is not None
    while '"undo_failed"' not in process.stdout.readline():
        pass
    process.send_signal(HUP)
    process.communicate(timeout=30)
    assert process.returncode == 129
    assert built.inspect()["steps"][0]["next_attempt"]
    built.file("mended", "").again("resume", "t").chatty().file_after("log", "undo\nundo\n").exits(10)


def on_a_terminal(built: Saga) -> tuple[subprocess.Popen[str], int]:
    """The saga, waiting, in the foreground of a terminal of its own; and the side of it where the keys are."""
    keys, screen = pty.openpty()
    process = started(built, stdin=screen, stdout=screen, stderr=screen,
                      preexec_fn=lambda: fcntl.ioctl(0, termios.TIOCSCTTY, 0))
    os.close(screen)
    return process, keys


def read_until(descriptor: int, text: bytes) -> None:
    """Read a terminal until it shows that."""
    seen = b""
    while text not in seen:
        seen += os.read(descriptor, 4096)


def test_the_keys_of_a_terminal_do_not_reach_the_command(tmp_path: Path) -> None:
    """Ctrl-C stops the run, Ctrl-backslash ends it at once; the command sees neither, and does its work."""
    built = waiting(tmp_path, "action")
    text = (tmp_path / "saga.yaml").read_text()
    built.file("saga.yaml", text.replace("if mkdir first", 'trap "echo hit >> log" INT QUIT HUP TERM; if mkdir first'))
    process, keys = on_a_terminal(built)
    try:
        os.write(keys, b"\x03")
        read_until(keys, b"what runs may end")
        os.write(keys, b"\x1c")
        assert process.wait(timeout=30) == -QUIT
    finally:
        os.close(keys)
    (tmp_path / "go").write_text("go\n")
    built.again("resume", "t").stdout("t completed\n").chatty().file_after("log", "action\nb\n").exits(0)


@pytest.mark.parametrize("phase", ["action", "undo"])
def test_a_closed_terminal_lets_the_command_end_and_the_saga_is_resumable(tmp_path: Path, phase: str) -> None:
    built = waiting(tmp_path, phase)
    process, keys = on_a_terminal(built)
    os.close(keys)
    built.again("inspect", "t").chatty().exits(0)
    (tmp_path / "go").write_text("go\n")
    assert process.wait(timeout=30) == 129
    assert (tmp_path / "log").read_text().split() == PHASES[phase][2][:1]
    assert built.inspect()["interrupted"]
    built.again("resume", "t").chatty().exits(PHASES[phase][1])
    assert (tmp_path / "log").read_text().split() == PHASES[phase][2]


@pytest.mark.parametrize(("phase", "code"), [("action", 141), ("undo", 10)])
def test_who_reads_only_the_first_line_stops_nothing(tmp_path: Path, phase: str, code: int) -> None:
    """The exit code tells of the closed stdout only where it would else be 0."""
    built = waiting(tmp_path, phase)
    process = started(built, "-o", "jsonl", stderr=subprocess.DEVNULL)
    assert process.stdout is not None
    assert '"saga_started"' in process.stdout.readline()
    process.stdout.close()
    (tmp_path / "go").write_text("go\n")
    assert process.wait(timeout=30) == code
    assert (tmp_path / "log").read_text().split() == PHASES[phase][2]


def test_streams_that_are_all_closed_meanwhile_stop_nothing(tmp_path: Path) -> None:
    built = waiting(tmp_path, "action")
    process = started(built, stdin=subprocess.PIPE)
    for stream in (process.stdin, process.stdout, process.stderr):
        assert stream is not None
        stream.close()
    (tmp_path / "go").write_text("go\n")
    assert process.wait(timeout=30) == 141
    assert set(states(built.inspect()).values()) == {"committed"}


AT_IMPORT = """
import os, signal, sys
def hear(event, arguments):
    if event == "import" and arguments[0] == {module!r}:
        os.kill(os.getpid(), signal.SIGINT)
sys.addaudithook(hear)
"""
LOADED = ("typer", "sagactl.cli.driving", "sagactl.definition.loading", "sagactl.definition.applying", "yaml", "anyio", "asyncio",
          "sagactl.engine", "sagactl.execution.executor", "sagactl.journal.sqlite", "sqlite3", "asyncio.base_events")


@pytest.mark.torture
def test_ctrl_c_while_the_program_still_loads_leaves_no_traceback_and_a_run_that_can_be_repeated(
    tmp_path: Path, torture: Torture,
) -> None:
    modules = torture.some(LOADED, short=2)
    tracebacks = 0
    for module in modules:
        folder = tmp_path / module
        folder.mkdir()
        built = saga(folder, "steps:\n  - {id: a, action: echo a >> log, undo: none}\n")
        built.file("sitecustomize.py", AT_IMPORT.format(module=module))
        done = built.env(PYTHONPATH=f"{folder}:{ROOT}").run().finished()
        assert done.code == 130, (module, done.stderr)
        tracebacks += "Traceback" in done.stderr or "bug" in done.stderr
        saga(folder, "").run().chatty().file_after("log", "a\n").exits(0)
    torture.report("Ctrl-C while loading", len(modules), {"tracebacks": tracebacks})
