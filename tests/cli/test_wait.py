"""wait and events --follow: what another process does is seen without asking it."""

from __future__ import annotations

import json
import signal
import subprocess
from pathlib import Path

import pytest

from tests.harness import completed, copied, saga

HELD = "steps:\n  - {id: a, action: 'cat go', undo: none}\n"
"""Runs until somebody opens and closes the fifo `go`."""


def let_go(fifo: Path) -> None:
    fifo.open("w").close()


def test_waiting_ends_as_the_saga_does(tmp_path: Path) -> None:
    built = saga(tmp_path, 'steps:\n  - {id: a, action: ["false"], undo: none}\n')
    built.run().chatty().exits(10)
    built.again("wait", "t").stdout("t compensated\n").exits(10)
    assert built.again("wait", "t", "--json").chatty().exits(10).json[0]["state"] == "compensated"
    built.again("wait", "t", "-q").stdout("t\n").exits(10)


def test_a_saga_of_another_process_is_waited_for(tmp_path: Path) -> None:
    built = saga(tmp_path, HELD)
    go, begun = built.fifo("go"), built.start("run", "saga.yaml", "--id", "t", "-o", "jsonl")
    assert begun.stdout is not None
    begun.stdout.readline()
    waiting = built.start("wait", "t")
    following = built.start("events", "t", "-f")
    assert following.stdout is not None
    first = following.stdout.readline()
    let_go(go)
    assert waiting.communicate(timeout=30) == ("t completed\n", "")
    assert waiting.returncode == 0
    told = following.stdout.read()  # what readline has read ahead is not for communicate
    _, complaint = following.communicate(timeout=30)
    assert (following.returncode, complaint) == (0, "")
    events = [json.loads(line) for line in (first + told).splitlines()]
    assert [event["seq"] for event in events] == list(range(1, len(events) + 1))
    assert events[-1]["type"] == "saga_completed"
    begun.communicate(timeout=30)
    assert built.again("events", "t").finished().stdout == first + told


def test_waiting_gives_up_after_its_timeout_and_says_for_whom(tmp_path: Path) -> None:
    built = saga(tmp_path, HELD)
    go, begun = built.fifo("go"), built.start("run", "saga.yaml", "--id", "t", "-o", "jsonl")
    assert begun.stdout is not None
    begun.stdout.readline()
    built.again("wait", "t", "--timeout", "50ms").stderr("after 50ms t had not ended").exits(124)
    let_go(go)
    begun.communicate(timeout=30)


def test_of_several_sagas_the_worst_outcome_is_the_exit_code(tmp_path: Path) -> None:
    built = saga(tmp_path, "params:\n  code: {type: integer}\nsteps:\n"
                           "  - {id: a, action: [sh, -c, 'exit $1', sh, '${params.code}'], undo: none}\n")
    built.args("run", "saga.yaml", "--id", "good", "-p", "code=0").chatty().exits(0)
    built.args("run", "saga.yaml", "--id", "bad", "-p", "code=1").chatty().exits(10)
    built.again("wait", "good", "bad", "good").stdout("good completed\nbad compensated\n").exits(10)


def test_an_interrupted_saga_is_waited_for_since_somebody_may_resume_it(tmp_path: Path) -> None:
    built = saga(tmp_path, HELD)
    go, begun = built.fifo("go"), built.start("run", "saga.yaml", "--id", "t", "-o", "jsonl")
    assert begun.stdout is not None
    begun.stdout.readline()
    begun.kill()
    begun.communicate(timeout=30)
    built.again("wait", "t", "--timeout", "50ms").stderr("had not ended").exits(124)
    waiting, resuming = built.start("wait", "t"), built.start("resume", "t")
    let_go(go)
    assert waiting.communicate(timeout=30)[0] == "t completed\n"
    resuming.communicate(timeout=30)


def test_a_wrong_timeout_and_an_unknown_saga_are_told_at_once(tmp_path: Path) -> None:
    built = copied(tmp_path, completed)
    built.again("wait", "t", "--timeout", "10").stderr("--timeout 10: `10` is no duration").exits(2)
    built.again("wait", "t", "nobody").stdout("t completed\n").stderr("no saga nobody").exits(4)


@pytest.mark.parametrize(("given", "named"), [
    ("\0" * 9000, "no saga " + r"\x00" * 140 + "…"), ("nobody", "no saga nobody"), ("é" * 200, "no saga " + "é" * 140 + "…"),
    ("\udcff", r"no saga \udcff"), ("x" * 140, "no saga " + "x" * 140),
], ids=["zeros", "short", "not ascii", "not utf-8", "just so long"])
def test_what_is_no_saga_is_named_no_longer_than_a_line(tmp_path: Path, given: str, named: str) -> None:
    built = copied(tmp_path, completed)
    done = (built.again("wait", "-").stdin(given) if "\0" in given else built.again("wait", given)).chatty().exits(4)
    assert done.stderr == f"sagactl: {named}\n  sagactl list shows what there is\n"


def test_no_name_at_all_is_no_saga(tmp_path: Path) -> None:
    built = copied(tmp_path, completed)
    built.again("wait", "").stderr("no saga ''\n  sagactl list shows what there is\n").exits(4)


def test_ctrl_c_ends_a_follower_quietly(tmp_path: Path) -> None:
    built = saga(tmp_path, HELD)
    go, begun = built.fifo("go"), built.start("run", "saga.yaml", "--id", "t", "-o", "jsonl")
    assert begun.stdout is not None
    begun.stdout.readline()
    following = built.start("events", "t", "--follow")
    assert following.stdout is not None
    following.stdout.readline()
    following.send_signal(signal.SIGINT)
    assert following.wait(timeout=30) == 130
    assert following.communicate()[1] == ""
    let_go(go)
    begun.communicate(timeout=30)


def test_the_events_of_all_sagas_are_followed_too(tmp_path: Path) -> None:
    built = saga(tmp_path, HELD)
    go = built.fifo("go")
    first = built.start("run", "saga.yaml", "--id", "first", "-o", "jsonl")
    let_go(go)
    told = first.communicate(timeout=30)[0]
    assert built.again("events").chatty().exits(0).stdout == told
    following = built.start("events", "-f", stderr=subprocess.DEVNULL)
    assert following.stdout is not None
    assert [following.stdout.readline() for _ in told.splitlines()] == told.splitlines(keepends=True)
    second = built.start("run", "saga.yaml", "--id", "second", "-o", "jsonl")
    let_go(go)
    later = second.communicate(timeout=30)[0]
    assert [following.stdout.readline() for _ in later.splitlines()] == later.splitlines(keepends=True)
    following.send_signal(signal.SIGINT)
    following.stdout.close()
    assert following.wait(timeout=30) == 130
    assert [(each["saga"], each["seq"]) for each in built.again("events", "--json").chatty().exits(0).json][:2] == [
        ("first", 1), ("first", 2)]
    built.again("events", "--after", "2").stderr("--after is the number of an event within one saga").exits(2)
    built.again("events", "-f", "--json").stderr("-f has no end").exits(2)
