"""logs: what commands printed, while they run, after they ended, and after the saga did."""

from __future__ import annotations

import json
import re
from pathlib import Path

from tests.harness import copied, saga

FAILS = """steps:
  - {id: reserve, action: 'echo reserved; echo warned >&2', undo: echo released}
  - {id: charge, action: 'echo no card >&2; exit 1', max_retries: 1, retry_delay: 1ms, undo: none}
"""


def failed(folder: Path) -> None:
    saga(folder, FAILS).run().chatty().exits(10)


def test_each_line_stands_behind_its_step_phase_and_attempt(tmp_path: Path) -> None:
    built = copied(tmp_path, failed)
    built.again("logs", "t").stdout(
        "reserve | reserved\nreserve ! warned\ncharge ! no card\ncharge #2 ! no card\nreserve undo | released\n",
    ).exits(0)


def test_a_step_a_phase_and_an_attempt_can_be_chosen(tmp_path: Path) -> None:
    built = copied(tmp_path, failed)
    built.again("logs", "t", "charge", "--attempt", "2").stdout("charge #2 ! no card\n").exits(0)
    built.again("logs", "t", "--phase", "undo").stdout("reserve undo | released\n").exits(0)
    built.again("logs", "t", "ship").stderr("t has no step ship").exits(4)
    built.again("logs", "t", "charge", "--phase", "check").stderr(
        "t has no attempt charge check\n  there are: charge action #1 to #2\n").exits(4)
    built.again("logs", "t", "--attempt", "3").stderr(
        "t has no attempt #3\n  there are: reserve action #1, charge action #1 to #2, reserve undo #1\n").exits(4)
    built.again("logs", "t", "--attempt", "3", "--json").stderr('"error": "not_found"').exits(4)


def test_a_step_that_has_not_run_is_told_from_one_that_printed_nothing(tmp_path: Path) -> None:
    built = saga(tmp_path, "steps:\n  - {id: a, action: exit 1, undo: none}\n"
                           "  - {id: b, action: echo b, undo: none}\n")
    built.run().chatty().exits(10)
    built.again("logs", "t", "a").stderr("nothing was printed").exits(0)
    for more in ((), ("-f",)):
        built.again("logs", "t", "b", *more).stderr("t has no attempt b\n  there are: a action #1\n").exits(4)


def test_json_has_a_line_for_each(tmp_path: Path) -> None:
    built = copied(tmp_path, failed)
    lines = built.again("logs", "t", "reserve", "--phase", "action", "-o", "jsonl").stdout(re.compile(r"(\{.*\}\n)+")).exits(0)
    assert [json.loads(line) for line in lines.stdout.splitlines()] == [
        {"schema": 1, "saga": "t", "step": "reserve", "phase": "action", "attempt": 1, "stream": stream, "text": text}
        for stream, text in (("stdout", "reserved"), ("stderr", "warned"))
    ]


def test_a_follower_sees_lines_before_the_command_ends_and_ends_with_the_saga(tmp_path: Path) -> None:
    built = saga(tmp_path, "steps:\n  - {id: a, action: 'echo one; cat go; printf two', undo: none}\n"
                           "  - {id: b, action: 'echo three', undo: none}\n")
    go, begun = built.fifo("go"), built.start("run", "saga.yaml", "--id", "t", "-o", "jsonl")
    assert begun.stdout is not None
    begun.stdout.readline()
    following = built.start("logs", "t", "-f")
    assert following.stdout is not None
    assert following.stdout.readline() == "a | one\n"
    go.open("w").close()
    assert following.stdout.read() == "a | two\nb | three\n"
    assert following.communicate(timeout=30)[1] == ""
    assert following.returncode == 0
    begun.communicate(timeout=30)


def test_a_secret_is_not_shown_before_it_is_masked(tmp_path: Path) -> None:
    built = saga(tmp_path, "secrets:\n  TOKEN: {env: TOKEN}\nsteps:\n"
                           "  - {id: a, secrets: [TOKEN], action: 'echo \"it is $TOKEN\"; echo > ready; cat go', undo: none}\n")
    go, ready = built.fifo("go"), built.fifo("ready")
    begun = built.env(TOKEN="hush-hush").start("run", "saga.yaml", "--id", "t", "-o", "jsonl")
    ready.read_text()
    built.again("logs", "t").stderr("nothing was printed").exits(0)
    go.open("w").close()
    begun.communicate(timeout=30)
    built.again("logs", "t").stdout("a | it is *********\n").exits(0)


def test_of_what_was_printed_and_not_kept_the_size_is_told(tmp_path: Path) -> None:
    built = saga(tmp_path, "steps: [{id: a, action: 'seq 20000; echo no >&2', undo: none}]")
    built.run().chatty().exits(0)
    done = built.again("logs", "t").chatty().exits(0)
    size = len("".join(f"{i}\n" for i in range(1, 20001)))
    assert done.stdout.endswith("a | 20000\na ! no\n")
    assert done.stderr == f"a: {size - 65536:,} bytes of its stdout were not kept\n"
    assert built.again("logs", "t", "-o", "jsonl").chatty().exits(0).stderr == ""


def test_what_could_act_on_a_terminal_is_shown_as_an_escape_and_an_endless_line_in_pieces(tmp_path: Path) -> None:
    built = saga(tmp_path, "steps:\n  - {id: a, action: 'printf \"\\\\033[2Jx\"', undo: none}\n"
                           "  - {id: b, action: 'head -c 200000 /dev/zero | tr \"\\\\0\" x; cat go', undo: none}\n")
    go, begun = built.fifo("go"), built.start("run", "saga.yaml", "--id", "t", "-o", "jsonl")
    assert begun.stdout is not None
    begun.stdout.readline()
    following = built.start("logs", "t", "-f")
    assert following.stdout is not None
    assert following.stdout.readline() == "a | \\x1b[2Jx\n"
    assert [following.stdout.readline() for _ in range(3)] == ["b | " + "x" * 65536 + "\n"] * 3
    go.open("w").close()
    assert following.stdout.read() == "b | " + "x" * (200_000 - 3 * 65536) + "\n"
    assert following.communicate(timeout=30)[1] == ""
    begun.communicate(timeout=30)
