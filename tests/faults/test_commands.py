"""Commands that can't start, end strangely, or pour out too much: each costs its own step and nothing else.

Rows of one kind are the steps of one saga, each `on_failure: continue`: they must not disturb each other either.
"""

from __future__ import annotations

import os
import re
import shutil
import signal
import subprocess
from pathlib import Path
from typing import Any

import pytest

from sagactl.execution.processes import start_ticks
from tests.harness import SAGACTL, Saga, environment, saga, states

HOLDER = r"""sed 's/.*"pid": \([0-9]*\).*/\1/' state/sagactl/sagas.db.d/*/lock"""
"""In a step: the pid of the process that drives the saga, which its lock tells."""


def side_by_side(folder: Path, actions: dict[str, str], more: str = "") -> Saga:
    """A step for each action (a YAML value), none of which matters to the others."""
    text = "defaults: {on_failure: continue, retry_delay: 10ms}\nsteps:\n"
    for name, action in actions.items():
        text += f"  - {{id: {name}, needs: [], action: {action}, undo: none{more}}}\n"
    return saga(folder, text)


def attempts(shown: Any) -> dict[str, list[Any]]:
    """The attempts of each step of what `inspect --json` gave."""
    return {step["id"]: step["attempts"] for step in shown["steps"]}


def test_a_command_that_cannot_start_says_why_and_is_not_retried(tmp_path: Path) -> None:
    (tmp_path / "folder").mkdir()
    (tmp_path / "loop").symlink_to("loop")
    for name, text, mode in (("plain", "#!/bin/sh\n", 0o600), ("orphan", "#!/no/such/shell\n", 0o700),
                             ("headless", "touch ran\n", 0o700), ("binary", "\x7fELF\0\0", 0o700)):
        (tmp_path / name).write_text(text)
        (tmp_path / name).chmod(mode)
    rows = {
        "missing": ("[./missing]", "./missing: No such file or directory"),
        "unsearchable": ("[no-such-program-anywhere]", "no-such-program-anywhere: No such file or directory"),
        "not_executable": ("[./plain]", "./plain: Permission denied"),
        "folder": ("[./folder]", "./folder: Permission denied"),
        "below_a_file": ("[./plain/x]", "./plain/x: Not a directory"),
        "loop": ("[./loop]", "./loop: Too many levels of symbolic links"),
        "interpreter": ("[./orphan]", "the interpreter of ./orphan: No such file or directory"),
        "no_first_line": ("[./headless]", "./headless: Exec format error"),
        "half_a_binary": ("[./binary]", "./binary: Exec format error"),
        "too_long_a_name": (f"[./{'x' * 300}]", "File name too long"),
    }
    built = side_by_side(tmp_path, {name: action for name, (action, _) in rows.items()}, ", max_retries: 3")
    built.run().chatty().file_after("ran", None).exits(0)
    for name, tried in attempts(built.inspect()).items():
        (attempt,) = tried
        assert (attempt["outcome"], attempt["how"]) == ("failed", "not_started"), name
        assert rows[name][1] in attempt["message"]


def test_more_arguments_than_the_system_takes_are_a_failure_that_says_so(tmp_path: Path) -> None:
    names = ", ".join(f"A{i}: '${{params.x}}${{params.x}}'" for i in range(30))
    done = saga(tmp_path, f"""
params: {{x: {{type: string, default: {'x' * 60_000}}}}}
steps:
  - {{id: a, env: {{{names}}}, max_retries: 2, action: touch ran, undo: touch undone}}
""").run().stdout("t compensated\n").stderr("a: could not start: /bin/sh: Argument list too long").file_after(
        "ran", None).file_after("undone", None).exits(10)
    assert "failed by exit status" not in done.stderr


def test_an_undo_and_a_check_that_cannot_start_leave_their_step_to_a_person(tmp_path: Path) -> None:
    """The check is inconclusive, so the step is undone; the undo is not repeated, and the other one still runs."""
    built = saga(tmp_path, """
steps:
  - {id: a, action: "true", undo: echo a >> log}
  - {id: b, action: "true", outputs: [never], check: [./no-check], undo: [./no-undo]}
""")
    built.run().stdout("t escalated\n").stderr("b: undo failed: could not start: ./no-undo: No such file").file_after(
        "log", "a\n").exits(11)
    tried = attempts(built.inspect())["b"]
    assert [(each["phase"], each["how"]) for each in tried] == [
        ("action", "exited"), ("check", "not_started"), ("undo", "not_started")]
    (tmp_path / "no-undo").write_text("#!/bin/sh\necho b >> log\n")
    (tmp_path / "no-undo").chmod(0o700)
    built.again("resume", "t").stdout("t compensated\n").chatty().file_after("log", "a\nb\n").exits(10)


def test_a_working_folder_that_an_earlier_step_removed_is_named_and_the_rest_is_undone(tmp_path: Path) -> None:
    (tmp_path / "inner").mkdir()
    saga(tmp_path, """
steps:
  - {id: a, cwd: inner, action: rmdir "$PWD", undo: {run: echo a >> log, cwd: .}}
  - {id: b, cwd: inner, max_retries: 2, action: touch ran, undo: none}
""").run().stdout("t compensated\n").stderr("b: could not start: its working folder inner: No such file").file_after(
        "log", "a\n").exits(10)


def test_undos_that_need_a_removed_folder_wait_for_a_person_to_make_it_again(tmp_path: Path) -> None:
    (tmp_path / "inner").mkdir()
    built = saga(tmp_path, "").file("inner/saga.yaml", """
saga: t
steps:
  - {id: a, action: rm -r "$PWD", undo: echo a >> log}
  - {id: b, action: "true", undo: none}
""")
    built.args("run", "inner/saga.yaml", "--id", "t").stdout("t escalated\n").stderr(
        "a: undo failed: could not start: its working folder").exits(11)
    built.again("resume", "t").stderr("the working folder of t is gone: " + str(tmp_path / "inner")).exits(3)
    (tmp_path / "inner").mkdir()
    built.again("resume", "t").stdout("t compensated\n").chatty().file_after("inner/log", "a\n").exits(10)


def test_a_command_reads_no_input_but_its_own(tmp_path: Path) -> None:
    """What sagactl itself could read is not the commands', and what they do not read is no error."""
    built = side_by_side(tmp_path, {
        "none": "cat > none", "own": "{run: cat > own, stdin: mine}", "unread": f"{{run: 'true', stdin: {'x' * 60_000}}}",
        "closed": f"{{run: 'exec <&-', stdin: {'x' * 60_000}}}",
    })
    built.run().stdin("the user's\n").chatty().file_after("none", "").file_after("own", "mine").exits(0)
    assert set(states(built.inspect()).values()) == {"committed"}


def test_the_exit_status_137_is_told_from_a_kill(tmp_path: Path) -> None:
    """As the OOM killer does it: the command itself, one that a shell waits for, and a number that only looks so."""
    built = side_by_side(tmp_path, {
        "itself": "[sh, -c, kill -9 $$]", "shell": "kill -9 $$", "child": "sh -c 'kill -9 $$'; exit $?",
        "number": "[sh, -c, exit 137]",
    })
    built.run().chatty().exits(0)
    shown = built.again("inspect", "t").chatty().exits(0).stdout
    ended = {name: (tried[0]["outcome"], tried[0]["how"], tried[0]["exit_status"], tried[0]["signal"])
             for name, tried in attempts(built.inspect()).items()}
    assert ended == {
        "itself": ("in_doubt", "signaled", None, 9), "shell": ("in_doubt", "signaled", None, 9),
        "child": ("in_doubt", "exited", 137, None), "number": ("failed", "exited", 137, None),
    }
    assert (shown.count("in doubt, signal 9"), shown.count("in doubt, exit 137")) == (2, 1)
    assert shown.count("failed, exit 137") == 1


def test_a_command_without_streams_ends_as_its_status_says(tmp_path: Path) -> None:
    built = side_by_side(tmp_path, {"good": "exec <&- >&- 2>&-; touch good", "bad": "exec <&- >&- 2>&-; exit 3"})
    built.run().chatty().file_after("good", "").exits(0)
    shown = built.inspect()
    assert states(shown) == {"good": "committed", "bad": "skipped"}
    assert attempts(shown)["bad"][0]["exit_status"] == 3


@pytest.mark.skipif(not Path("/proc/self").exists(), reason="looks at the memory of a live process in /proc")
def test_endless_lines_of_any_bytes_grow_neither_a_process_nor_the_journal(tmp_path: Path) -> None:
    """Read back in full they are twice the memory allowed; with a secret each of them is also searched."""
    built = saga(tmp_path, f"""
secrets: {{TOKEN: {{env: THE_TOKEN}}}}
steps:
  - id: a
    secrets: [TOKEN]
    action: head -c 80000000 /dev/zero; head -c 80000000 /dev/zero | tr '\\0' '\\377' >&2; printf '\\033[2J' >&2; exit 3
    on_failure: continue
    undo: none
  - id: b
    action: |
      cat /proc/$PPID/status "/proc/$({HOLDER})/status" > status
    undo: none
""")
    done = built.env(THE_TOKEN="hunter2").run().stdout("t completed\n").chatty().exits(0)
    peaks = re.findall(r"VmHWM:\s+(\d+) kB", (tmp_path / "status").read_text())
    assert len(peaks) == 2
    assert max(int(each) for each in peaks) < 80_000
    assert "\033" not in done.stderr
    assert len(done.stderr) < 20_000
    assert len(attempts(built.inspect())["a"][0]["stderr_tail"]) <= 2048
    assert sum(path.stat().st_size for path in (tmp_path / "state").rglob("*") if path.is_file()) < 1_000_000


def test_after_a_success_a_daemon_stays_and_after_a_failure_nothing_does(tmp_path: Path) -> None:
    """Daemons in sessions of their own, children of theirs, and what ignores TERM. Each says that it is there."""
    leave = "(trap '' TERM; setsid sh -c 'trap \"\" TERM; echo $$ > {0}; sh -c \"echo \\$\\$ > {0}2; read x < hold\"; exit' &)"
    wait = "while ! test -s {0}2; do :; done"
    built = saga(tmp_path, "defaults: {kill_after: 100ms}\nsteps:\n" + "".join(
        f"  - id: {name}\n    undo: none\n    action: |\n      {leave.format(name)}\n      {wait.format(name)}\n      {end}\n"
        for name, end in (("stays", "exit 0"), ("fails", "exit 1"))))
    built.fifo("hold")
    built.run().stdout("t compensated\n").stderr("t compensated: fails: exit 1").exits(10)
    left = {name: int((tmp_path / name).read_text()) for name in ("stays", "stays2", "fails", "fails2")}
    try:
        assert [name for name, pid in left.items() if start_ticks(pid) is not None] == ["stays", "stays2"]
    finally:
        for name in ("stays", "stays2"):
            os.kill(left[name], signal.SIGKILL)


@pytest.mark.skipif(os.getuid() != 0 or not (shutil.which("setpriv") and shutil.which("prlimit")),
                    reason="needs root, to be a user that has no other processes, and setpriv and prlimit to become it")
def test_too_few_processes_are_a_clear_error_and_the_saga_is_resumable(tmp_path: Path) -> None:
    """Too few for a supervisor, and for the command that it is to start."""
    may_read = "+dac_override,+dac_read_search"
    for limit, missing in ((1, "can't start a supervisor process"), (2, "could not start the action of a 3 times")):
        poor = ("setpriv", f"--reuid={54321 + limit}", "--clear-groups", f"--inh-caps={may_read}",
                f"--ambient-caps={may_read}", *SAGACTL, "run", "saga.yaml", "--id", "t")
        folder = tmp_path / str(limit)
        folder.mkdir()
        saga(folder, "steps:\n  - {id: a, action: echo ran >> log, undo: none}\n")
        done = subprocess.run(["prlimit", f"--nproc={limit}", *poor], cwd=folder, env=environment(folder), timeout=30,
                              check=False, capture_output=True, text=True)
        assert done.returncode == 7, (limit, done.stderr)
        assert "\nsagactl: " in f"\n{done.stderr}", done.stderr
        assert missing in done.stderr
        subprocess.run(poor, cwd=folder, env=environment(folder), timeout=30, check=True, capture_output=True)
        assert (folder / "log").read_text() == "ran\n"


@pytest.mark.skipif(not shutil.which("prlimit"), reason="needs prlimit, to take descriptors from a live process")
def test_a_supervisor_without_room_for_a_command_stops_the_run_after_three_tries(tmp_path: Path) -> None:
    built = saga(tmp_path, """
steps:
  - {id: a, action: prlimit --nofile=9 --pid $PPID, undo: none}
  - {id: b, action: echo b >> log, undo: none}
""")
    done = built.run().stdout("").stderr("the machine could not start the action of b 3 times in a row").file_after(
        "log", None).exits(7)
    assert "Too many open files" in done.stderr
    assert "make room (processes, memory, descriptors, disk), then: sagactl resume t" in done.stderr
    built.again("resume", "t").stdout("t completed\n").chatty().file_after("log", "b\n").exits(0)
