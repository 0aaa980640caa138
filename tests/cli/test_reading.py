"""What the commands that only read say: all of it, as it comes, and nothing for an option that can't have an effect."""

from __future__ import annotations

import json
import os
import re
import select
import shutil
import signal
from pathlib import Path

import pytest

from sagactl.journal.listing import PIECE_MAX
from tests.harness import TIMEOUT_S, Saga, asked, completed, copied, saga
from tests.journal.making import history, make, write
from tests.journal.test_damage import tamper

COUNT = PIECE_MAX + 1
ONE = "steps:\n  - {id: a, action: 'true', undo: none}\n"


@pytest.fixture(scope="module")
def many(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A database of more sagas than are read at once."""
    path = tmp_path_factory.mktemp("many") / "sagas.db"
    make(path, COUNT, steps=2)
    return path


def test_a_stdout_that_does_not_block_gets_all_of_it(many: Path, tmp_path: Path) -> None:
    end, begin = os.pipe()
    os.set_blocking(begin, False)
    listing = saga(tmp_path, "").start("--db", str(many), "list", "--json", stdout=begin)
    while listing.poll() is None and select.select([], [begin], [], 0)[1]:
        pass  # until no more goes in
    os.close(begin)
    with os.fdopen(end, "rb") as pipe:
        rows = json.loads(pipe.read())
    assert listing.communicate(timeout=TIMEOUT_S)[1] == ""
    assert listing.returncode == 0
    assert len({row["id"] for row in rows}) == COUNT


def test_the_events_of_all_sagas_are_read_as_they_are_printed(tmp_path: Path) -> None:
    """What comes after the first lines were printed is found as well: it was not read before them."""
    path = tmp_path / "sagas.db"
    make(path, COUNT, steps=2)
    telling = saga(tmp_path, "").start("--db", str(path), "events", "-q")
    assert telling.stdout is not None
    first = telling.stdout.readline()
    write(path, history("late", steps=2))
    lines = [first, *telling.stdout]
    assert telling.communicate(timeout=TIMEOUT_S)[1] == ""
    assert telling.returncode == 0
    assert lines[0] == "order-0 1\n"
    assert list(dict.fromkeys(line.split()[0] for line in lines)) == [*(f"order-{n}" for n in range(COUNT)), "late"]


def test_the_events_of_all_sagas_but_the_damaged_ones_are_printed(tmp_path: Path) -> None:
    write(tmp_path / "sagas.db", *(history(f"order-{n}", steps=2) for n in (1, 2, 3)))
    tamper(tmp_path / "sagas.db", "UPDATE sagas SET why = 'x' WHERE key = 2")
    done = saga(tmp_path, "").args("--db", str(tmp_path / "sagas.db"), "events", "-q").stdout(
        re.compile(r"(order-1 \d+\n)+(order-3 \d+\n)+")).stderr("saga order-2: its row does not fit").exits(7)
    assert done.stderr.count("order-2") == 1


def test_a_row_that_vanished_is_missed(tmp_path: Path) -> None:
    write(tmp_path / "sagas.db", *(history(f"order-{n}", steps=2) for n in (1, 2, 3)))
    tamper(tmp_path / "sagas.db", "UPDATE counts SET sagas = sagas + 1")
    saga(tmp_path, "").args("--db", str(tmp_path / "sagas.db"), "events", "-q").stdout(
        re.compile(r"(order-\d \d+\n)+")).stderr("the list of all sagas is damaged").exits(7)


def test_a_follower_does_not_take_another_saga_of_that_id_for_its_own(tmp_path: Path) -> None:
    built = saga(tmp_path, "steps:\n  - {id: a, action: cat go, undo: none}\n").file("other.yaml", f"saga: other\n{ONE}")
    go, begun = built.fifo("go"), built.start("run", "saga.yaml", "--id", "t", "-o", "jsonl")
    assert begun.stdout is not None
    begun.stdout.readline()
    following = built.start("events", "t", "-f", "-q")
    assert following.stdout is not None
    assert following.stdout.readline() == "t 1\n"
    os.kill(following.pid, signal.SIGSTOP)
    os.waitid(os.P_PID, following.pid, os.WSTOPPED | os.WNOWAIT)
    go.open("w").close()
    begun.communicate(timeout=TIMEOUT_S)
    built.again("prune", "--yes", "-q").stdout("t\n").exits(0)
    built.again("run", "other.yaml", "--id", "t").chatty().exits(0)
    os.kill(following.pid, signal.SIGCONT)
    assert set(following.stdout) <= {"t 2\n"}
    assert "the saga t was pruned, and another one has its id now" in following.communicate(timeout=TIMEOUT_S)[1]
    assert following.returncode == 4


@pytest.mark.parametrize(("option", "value", "said"), [
    ("--state", "", "unknown state ''"), ("--state", "running,,paused", "unknown state ''"),
    ("--name", "", "--name is empty"), ("--since", "", "--since '': neither an age"),
])
def test_an_empty_filter_is_not_taken_for_none(tmp_path: Path, option: str, value: str, said: str) -> None:
    done = Saga(tmp_path, "").args("list", option, value).stderr(said).exits(2)
    assert option != "--state" or "states: running" in done.stderr


def test_a_quiet_option_that_can_have_no_effect_is_refused(tmp_path: Path) -> None:
    built = copied(tmp_path, completed)
    built.again("inspect", "t", "-q").stdout("t\n").exits(0)
    built.again("inspect", "t", "--definition", "-q").stderr("say one of them").exits(2)
    built.again("schema", "--of", "list", "-q").stderr("say one of them").exits(2)


def test_of_a_compensated_saga_no_steps_are_counted(tmp_path: Path) -> None:
    built = saga(tmp_path, "steps:\n  - {id: a, action: 'true', undo: 'true'}\n"
                           "  - {id: b, action: exit 1, undo: none}\n")
    built.run().chatty().exits(10)
    assert re.search(r"^t +test +compensated +-  ", built.again("list").chatty().exits(0).stdout, re.MULTILINE)
    assert built.again("list", "--json").chatty().exits(0).json[0]["steps_done"] == 0


def test_what_was_kept_is_said_with_its_reason_and_its_undo(tmp_path: Path) -> None:
    built = saga(tmp_path, "defaults: {retry_delay: 10ms}\nsteps:\n  - {id: a, action: 'true', undo: rm --not-an-option}\n"
                           "  - {id: b, action: exit 1, undo: none}\n")
    built.run().chatty().exits(11)
    built.again("resolve", "t", "--step", "a", "--as", "kept", "--reason", "so be it").chatty().exits(0)
    behind = "  a was kept and stays behind; what would take it back: rm --not-an-option\n"
    built.again("resume", "t").stdout("t abandoned\n").stderr(behind).exits(13)
    shown = built.again("inspect", "t").chatty().exits(0).stdout
    assert shown.endswith(behind)
    assert re.search(r"^a  kept\n(  .*\n)*  stays behind, kept by \S+: so be it\n", shown, re.MULTILINE)
    said = built.inspect()
    assert [(word["step"], word["reason"]) for word in said["words"] if word["type"] == "declared_kept"] == [("a", "so be it")]
    assert said["steps"][0]["state"] == "kept"


def test_a_kept_step_to_be_undone_by_hand_is_told_with_its_values(tmp_path: Path) -> None:
    built = saga(tmp_path, "steps:\n  - {id: a, action: {run: echo 7}, outputs: {id: {from: stdout, pointer: ''}}, "
                           "undo: {manual: 'Cancel ${steps.a.outputs.id}'}}\n  - {id: b, action: exit 1, undo: none}\n")
    built.run().chatty().exits(11)
    built.again("resolve", "t", "--step", "a", "--as", "kept", "--reason", "so be it").chatty().exits(0)
    built.again("resume", "t").stdout("t abandoned\n").stderr("what would take it back: by hand: Cancel 7\n").exits(13)


def test_sagas_are_pruned_where_the_folder_of_all_evidence_is_missing(tmp_path: Path) -> None:
    built = copied(tmp_path, completed)
    shutil.rmtree(tmp_path / "state" / "sagactl" / "sagas.db.d")
    built.again("prune", "--yes", "-q").stdout("t\n").exits(0)
    built.again("list", "--json").stdout("[]\n").exits(0)


def test_ctrl_c_at_a_question_ends_it_and_changes_nothing(tmp_path: Path) -> None:
    built = copied(tmp_path, completed)
    asking, ours, _ = asked(built, "prune", question=b"[y/N]")
    asking.send_signal(signal.SIGINT)
    assert asking.communicate(timeout=TIMEOUT_S)[0] == ""
    os.close(ours)
    assert asking.returncode == 130
    assert built.inspect()["state"] == "completed"


def test_people_are_shown_twenty_and_programs_all(many: Path, tmp_path: Path) -> None:
    built = saga(tmp_path, "")
    assert len(built.again("--db", str(many), "list", "-q").chatty().exits(0).stdout.split()) == COUNT
    shown = built.again("--db", str(many), "list").chatty().exits(0)
    assert len(shown.stdout.splitlines()) == 1 + 20
    assert "more: --limit 40" in shown.stderr


def test_a_database_that_there_is_not_is_named(tmp_path: Path) -> None:
    built = saga(tmp_path, "").env(SAGACTL_DB=str(tmp_path / "typo.db"))
    built.args("list", "-q", "--exit-code").stderr(f"there is no database {tmp_path / 'typo.db'} ($SAGACTL_DB)").exits(0)


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="no /dev/full")
def test_a_stdout_whose_disk_is_full_is_no_closed_pipe(many: Path, tmp_path: Path) -> None:
    for more in ((), ("-q",), ("-o", "json")):
        with Path("/dev/full").open("w") as full:
            process = saga(tmp_path, "").start("--db", str(many), "list", *more, stdout=full)
            _, said = process.communicate(timeout=TIMEOUT_S)
        assert process.returncode == 7
        assert "sagactl: can't write all of it to stdout: No space left on device\n  make room there" in said
        assert ('"exit_error"' in said) is ("json" in more)
