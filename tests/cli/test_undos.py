"""What `compensate` says that it would undo is what it then undoes, in commands that a person can paste."""

from __future__ import annotations

import json
import os
import shlex
import signal
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.cli.test_crash import ONCE, dies, script
from tests.harness import Saga, asked, saga


def foretold(built: Saga) -> list[str]:
    """The steps of the dry run, which people are told as well."""
    (told,) = built.again("compensate", "t", "--dry-run", "--json").chatty().exits(0).json
    head, *lines = built.again("compensate", "t", "--dry-run").chatty().exits(0).stdout.splitlines()
    assert lines == [f"  {each['step']}: {each['undo']}" for each in told["undos"]]
    state = "interrupted" if told["interrupted"] else told["state"]
    would = "This would be undone, in this order:" if lines else "Nothing would be undone."
    assert head == f"t is {state}. {would}"
    return [each["step"] for each in told["undos"]]


def undone(built: Saga, code: int) -> list[str]:
    """The steps that the real run goes about to undo."""
    before = len(built.events())
    built.again("compensate", "t", "--yes").chatty().exits(code)
    types = ("undo_started", "compensation_failed")
    return list(dict.fromkeys(each["step"] for each in built.events()[before:] if each["type"] in types))


A = '  - {id: a, action: "true", undo: "true"}\n'
KEPT = ("k", "kept")


@pytest.mark.parametrize(("steps", "code", "words", "steps_undone", "ends"), [
    (A + """
  - {id: mail, action: "true", undo: none}
  - {id: extra, action: "false", on_failure: continue, undo: none}
  - {id: m, action: "true", undo: {manual: Call.}}
  - {id: missing, action: "true"}
""", 0, [], ["missing", "m", "a"], 11),
    ('  - {id: mail, action: "true", undo: none}\n', 0, [], [], 0),
    (A + '  - {id: f, action: "false", on_failure: pause, undo: "true"}\n', 12, [], ["a"], 0),
    (A + '  - {id: f, action: "false", on_failure: pause, undo_if_failed: true, undo: "true"}\n', 12, [], ["f", "a"], 0),
    (A + """
  - {id: b, action: "true", undo: {run: "test -e again || { touch again; false; }", max_retries: 0}}
  - {id: m, action: "true", undo: {manual: Call.}}
  - {id: k, action: "true", undo: {run: "false", max_retries: 0}}
  - {id: f, action: "false", undo: "true"}
""", 11, [KEPT], ["b"], 11),
    (A + '  - {id: k, action: "kill -9 $PPID", on_interrupt: escalate, undo: "true"}\n', 11, [KEPT], ["a"], 13),
    (A + '  - {id: k, action: "kill -9 $PPID", on_interrupt: escalate, undo: "true"}\n', 11, [("k", "not-landed")],
     ["a"], 0),
], ids=["completed", "nothing", "paused", "half-done", "escalated", "doubt-kept", "doubt-not-landed"])
def test_of_a_saga_at_rest_exactly_what_is_told_is_undone(
    tmp_path: Path, steps: str, code: int, words: list[tuple[str, str]], steps_undone: list[str], ends: int,
) -> None:
    built = saga(tmp_path, f"steps:\n{steps}")
    built.run().chatty().exits(code)
    for step, word in words:
        built.again("resolve", "t", "--step", step, "--as", word, "--reason", "x").chatty().exits(0)
    told = foretold(built)
    assert told == steps_undone
    assert undone(built, ends) == told


@pytest.mark.parametrize(("action", "more", "steps_undone"), [
    ((ONCE, "read go < go"), "undo: 'true'", ["b", "a"]),
    ((ONCE, "read go < go"), "undo: none", ["a"]),
    ((ONCE, "read go < go"), "{undo: 'true', check: exit 2}", ["b", "a"]),
    ((ONCE, "exit 1"), "pivot: true", ["a"]),
], ids=["undo", "none", "check", "pivot"])
def test_of_an_interrupted_saga_what_has_no_end_yet_is_told_too(
    tmp_path: Path, action: tuple[str, ...], more: str, steps_undone: list[str],
) -> None:
    keys = more.strip("{}").split(", ")
    built = saga(tmp_path, f"defaults: {{retry_delay: 10ms}}\nsteps:\n{A}  - id: b\n    action: {script(*action)}" + "".join(f"    {key}\n" for key in keys))
    built.fifo("go")
    dies(built)
    told = foretold(built)
    assert told == steps_undone
    assert built.again("compensate", "t", "--dry-run", "--json").chatty().exits(0).json[0]["interrupted"]
    assert undone(built, 0) == told


def test_of_a_saga_that_was_interrupted_on_its_way_back_what_is_left_is_told(tmp_path: Path) -> None:
    built = saga(tmp_path, f"steps:\n{A}  - id: b\n    action: 'true'\n    undo: {script(ONCE)}"
                 '  - {id: c, action: "true", undo: "true"}\n  - {id: d, action: "false", undo: none}\n')
    dies(built)
    assert foretold(built) == ["b", "a"]
    built.again("resume", "t").chatty().exits(10)


def test_of_a_live_saga_what_runs_is_told_too(tmp_path: Path) -> None:
    built = saga(tmp_path, f"steps:\n{A}" + '  - {id: b, action: "echo > begun; read go < go", undo: "true"}\n')
    built.fifo("begun")
    built.fifo("go")
    process = built.start("run", "saga.yaml", "--id", "t")
    (tmp_path / "begun").read_text()
    (told,) = built.again("compensate", "t", "--dry-run", "--json").chatty().exits(0).json
    assert (told["state"], told["interrupted"]) == ("running", False)
    assert foretold(built) == ["b", "a"] == undone(built, 0)
    process.communicate(timeout=30)


HOSTILE = "it's; $(touch hacked)\n\x1b[31m"
SHOW = ["./show.sh", "${params.x}", "${saga.id}", "${steps.a.outputs.no}", "${steps.none.outputs.no?}"]
VALUES = [HOSTILE, "t", "7 8", ""]


def with_values(folder: Path) -> Saga:
    """Its step `b` has values in its action and its undo; both fail unless there is a file `repaired`."""
    command = {"run": SHOW, "max_retries": 0}
    steps = [{"id": "none", "action": "false", "on_failure": "continue", "outputs": ["no"], "undo": "none"},
             {"id": "a", "action": "echo '7 8' > $SAGA_OUTPUT_DIR/no", "outputs": ["no"], "undo": "none"},
             {"id": "b", "action": {"run": ["true", *SHOW]}, "undo": command}]
    params = {"x": {"type": "string", "default": HOSTILE}}
    built = saga(folder, f"params: {json.dumps(params)}\nsteps: {json.dumps(steps)}\n")
    built.file("show.sh", "#!/bin/sh\nexit 9\n")
    (folder / "show.sh").chmod(0o755)
    return built


def held(line: str) -> list[str]:
    """The words of a shown command, as a shell takes them: what could act on a terminal is escaped."""
    assert line.isprintable()
    return shlex.split(line)


SHOWN = ["./show.sh", HOSTILE.replace("\n", r"\n").replace("\x1b", r"\x1b"), *VALUES[1:]]


def line_with(text: str, part: str) -> str:
    (line,) = [each for each in text.splitlines() if part in each]
    return line.partition(part)[2]


def test_commands_are_told_with_their_values_as_a_shell_takes_them(tmp_path: Path) -> None:
    built = with_values(tmp_path)
    said = built.run("-v").chatty().exits(0).stderr
    assert held(line_with(said, "b: action started: ")) == ["true", *SHOWN]
    (told,) = built.again("compensate", "t", "--dry-run", "--json").chatty().exits(0).json
    assert shlex.split(told["undos"][0]["undo"]) == ["./show.sh", *VALUES]
    shown = built.again("compensate", "t", "--dry-run").chatty().exits(0).stdout
    assert held(line_with(shown, "  b: ")) == SHOWN
    said = built.again("compensate", "t", "--yes").chatty().exits(11).stderr
    assert held(line_with(said, "  b: its undo failed once, last with exit 9: ")) == SHOWN
    built.again("resolve", "t", "--step", "b", "--as", "kept", "--reason", "x").chatty().exits(0)
    said = built.again("resume", "t").chatty().exits(13).stderr
    assert held(line_with(said, "what would take it back: ")) == SHOWN


@pytest.mark.parametrize(("end", "code", "said"), [
    (lambda process, _: process.send_signal(signal.SIGINT), 130, b""),
    (lambda _, ours: os.write(ours, b"\x04"), 2, b"\x1b[31msagactl: nothing was done"),
], ids=["ctrl-c", "ctrl-d"])
def test_what_follows_a_question_begins_a_line_whatever_was_pressed(
    tmp_path: Path, end: Callable[[subprocess.Popen[str], int], object], code: int, said: bytes,
) -> None:
    built = saga(tmp_path, f"steps:\n{A}")
    built.run().chatty().exits(0)
    process, ours, shown = asked(built, "compensate", "t", question=b"Undo it? [y/N] ")
    end(process, ours)
    process.communicate(timeout=30)
    assert process.returncode == code
    shown += os.read(ours, 4096)
    os.close(ours)
    assert shown.partition(b"[y/N] ")[2].startswith(b"\r\n" + said)


def test_a_question_shows_commands_with_their_values_and_says_what_is_interrupted(tmp_path: Path) -> None:
    built = saga(tmp_path, "params: {x: {type: string, default: a b}}\nsteps:\n  - {id: a, action: 'true', undo: [echo, '${params.x}']}\n"
                 f"  - id: b\n    action: {script(ONCE)}    undo: none\n")
    dies(built)
    process, ours, shown = asked(built, "compensate", "t", question=b"Undo it?")
    os.write(ours, b"n\n")
    process.communicate(timeout=30)
    os.close(ours)
    assert b"t is interrupted. This would be undone, in this order:\r\n  a: echo 'a b'\r\nUndo it?" in shown
