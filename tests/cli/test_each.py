"""run --each: a saga for each line of a file, so many at once; what is bad, refused, interrupted, killed, repeated."""

from __future__ import annotations

import json
import os
import re
import resource
import signal
import subprocess
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Any

import pytest

from tests.harness import Saga, saga

ORDERS = """
params:
  order: {type: string}
  note: {type: string, default: ""}
  kind: {type: string, enum: [good, bad, worse, wait], default: good}
defaults: {timeout: 60s}
steps:
  - id: a
    action: |
      mkdir "running.$ORDER"; echo running.* | wc -w >> peaks
      case "$KIND" in wait) echo "$ORDER" > ready; read go < go;; esac
      rmdir "running.$ORDER"
      echo "$ORDER$NOTE" >> log
    env: {ORDER: "${params.order}", KIND: "${params.kind}", NOTE: "${params.note}"}
    undo: {run: '[ "$KIND" != worse ]', env: {KIND: "${params.kind}"}, max_retries: 0}
  - {id: b, action: '[ "$KIND" = good ] || [ "$KIND" = wait ]', env: {KIND: "${params.kind}"}, undo: none}
"""
RUN = ("run", "saga.yaml", "--each", "lines")
SAFE = (*RUN, "--id-from", "order")


def orders(folder: Path, *lines: object) -> Saga:
    """The definition, and a file `lines` of these objects."""
    return saga(folder, ORDERS).file("lines", in_lines(*lines))


def in_lines(*lines: object) -> str:
    return "".join((line if isinstance(line, str) else json.dumps(line)) + "\n" for line in lines)


def numbered(count: int, **others: str) -> list[dict[str, str]]:
    return [{"order": f"o{number}", **others} for number in range(1, count + 1)]


def logged(folder: Path) -> Counter[str]:
    """How often each order took effect."""
    return Counter((folder / "log").read_text().split()) if (folder / "log").exists() else Counter()


def once(count: int) -> Counter[str]:
    return Counter(line["order"] for line in numbered(count))


def peak(folder: Path) -> int:
    """The most steps that saw each other run: never more than there were."""
    return max(map(int, (folder / "peaks").read_text().split()))


@contextmanager
def gates(built: Saga) -> Iterator[tuple[IO[str], IO[str]]]:
    """The pipes in which orders of the kind `wait` say that they run, and wait for a word. Neither ever ends."""
    opened = [os.open(built.fifo(name), os.O_RDWR) for name in ("ready", "go")]
    with os.fdopen(opened[0], "r") as ready, os.fdopen(opened[1], "w", buffering=1) as go:
        yield ready, go


def let_go(go: IO[str], count: int) -> None:
    for _ in range(count):
        go.write("go\n")


def interrupted(process: subprocess.Popen[str]) -> None:
    """One Ctrl-C, and wait until it is noticed."""
    process.send_signal(signal.SIGINT)
    while not next(iter(process.stderr or ())).startswith("stopping"):
        pass


def ended(process: subprocess.Popen[str]) -> tuple[int, str, str]:
    """Exit code, and what it has printed since."""
    assert process.stdout is not None
    assert process.stderr is not None
    with process:
        stdout, stderr = process.stdout.read(), process.stderr.read()
    return process.wait(), stdout, stderr


def known(built: Saga) -> dict[str, str]:
    """The state of each saga that there is."""
    rows = built.again("list", "--limit", "1000", "--json").chatty().exits(0).json
    return {row["id"]: "interrupted" if row["interrupted"] else row["state"] for row in rows}


def nothing_ran(folder: Path) -> None:
    assert not (folder / "state").exists()
    assert not (folder / "log").exists()


def test_every_line_is_a_saga(tmp_path: Path) -> None:
    done = orders(tmp_path, *numbered(30)).args(*RUN, "--jobs", "4").stdout(re.compile(r"(test-\w{6} completed\n){30}")) \
        .stderr("30 of 30 lines: 30 completed\n").exits(0)
    assert len(set(done.stdout.splitlines())) == 30
    assert logged(tmp_path) == once(30)


def test_the_exit_code_is_the_worst_of_all(tmp_path: Path) -> None:
    lines = [{"order": "o1"}, {"order": "o2", "kind": "bad"}, {"order": "o3", "kind": "worse"}, {"order": "o4"}]
    built = orders(tmp_path, *lines)
    done = built.args(*SAFE, "--jobs", "1").stdout("o1 completed\no2 compensated\no3 escalated\no4 completed\n").stderr(
        "4 of 4 lines: 1 compensated, 2 completed, 1 escalated\n").exits(11)
    assert "o2 compensated: b: exit 1" in done.stderr
    built.file("lines", in_lines(*lines[:2])).again(*SAFE).stdout(re.compile(r"(o1 completed|o2 compensated|\n)+")) \
        .stderr("2 of 2").exits(10)


def test_a_line_wins_over_the_command_line_which_wins_over_defaults(tmp_path: Path) -> None:
    built = orders(tmp_path, {"order": "o1"}, {"order": "o2", "note": "-mine"})
    built.args(*RUN, "-p", "note=-all").chatty().exits(0)
    assert logged(tmp_path) == {"o1-all": 1, "o2-mine": 1}


def test_if_lines_are_bad_they_are_named_and_nothing_runs(tmp_path: Path) -> None:
    bad = {
        2: ("{", "line 2: it is no JSON"), 3: ("[]", "line 3: it is no JSON object"), 4: ({}, "line 4: order is missing"),
        6: ({"order": "x", "kind": "fine"}, "line 6: kind must be one of"), 7: ({"order": 7}, "line 7: order must be a string"),
        8: ({"order": "x", "ordr": ""}, "line 8: ordr is unknown"), 9: ('{"order": "x", "order": "y"}', "line 9: it can't be used"),
        10: ('{"order": NaN}', "line 10: it can't be used"), 11: ({"order": "../x"}, "line 11: order can't be an id"),
        12: ("[" * 100_000, "line 12: it is"), 13: ('"' + "x" * (1 << 21), "line 13: it is over 1 MiB"),
    }
    lines = [bad[number][0] if number in bad else {"order": f"o{number}"} for number in range(1, 15)]
    done = orders(tmp_path, *lines).args(*SAFE).stderr("lines has 11 bad lines; nothing was run:\n").exits(3)
    for _, told in bad.values():
        assert told in done.stderr
    assert "line 1:" not in done.stderr
    nothing_ran(tmp_path)


def test_of_many_bad_lines_twenty_are_shown_and_the_others_counted(tmp_path: Path) -> None:
    done = orders(tmp_path, {"order": "o1"}, *["{}"] * 333).args(*RUN).stderr("333 bad lines").exits(3)
    assert "\n  and 313 more\n" in done.stderr
    assert done.stderr.count("  line ") == 20


def test_an_id_that_stands_twice_names_both_lines_and_nothing_runs(tmp_path: Path) -> None:
    lines = [*numbered(3), "", {"order": "o2"}]
    built = orders(tmp_path, *lines)
    built.args(*SAFE).stderr("  line 5: its id o2 is that of line 2 already\n").exits(3)
    nothing_ran(tmp_path)
    built.again(*RUN, "--jobs", "1").chatty().exits(0)  # without ids of one's own it is an order more
    assert logged(tmp_path) == {"o1": 1, "o2": 2, "o3": 1}


def test_blank_lines_are_none_and_a_file_without_lines_is_nothing_to_do(tmp_path: Path) -> None:
    built = orders(tmp_path, "", {"order": "o1"}, "  ", '\ufeff{"order": "o2"}')
    built.args(*SAFE, "--jobs", "1").stdout("o1 completed\no2 completed\n").stderr("2 of 2 lines").exits(0)
    built.file("lines", "\n").again(*SAFE).stderr("there are no lines: nothing was run").exits(0)
    built.file("lines", "").again(*SAFE, "--json").stdout("[]\n").stderr("no lines").exits(0)


def test_the_last_line_needs_no_newline(tmp_path: Path) -> None:
    built = orders(tmp_path).file("lines", '{"order": "o1"}\n{"order": "o2"}')
    built.args(*SAFE, "--jobs", "1").stdout("o1 completed\no2 completed\n").stderr("2 of 2 lines").exits(0)


def test_a_second_start_goes_by_ids_and_repeats_nothing(tmp_path: Path) -> None:
    built = orders(tmp_path, *numbered(5), {"order": "o6", "kind": "bad"})
    built.args(*SAFE).chatty().exits(10)
    before = logged(tmp_path)
    built.file("lines", in_lines(*numbered(5), {"order": "o6", "kind": "bad"}, {"order": "o7"}))
    done = built.args(*SAFE).chatty().exits(10)
    assert sorted(done.stdout.splitlines()) == [*(f"o{n} completed" for n in range(1, 6)), "o6 compensated", "o7 completed"]
    assert logged(tmp_path) == before + Counter(["o7"])


def test_a_second_start_tidies_up_what_a_crash_has_left_of_the_evidence(tmp_path: Path) -> None:
    built = orders(tmp_path, *numbered(1))
    built.args(*SAFE).chatty().exits(0)
    (lock,) = (tmp_path / "state/sagactl/sagas.db.d").glob("*/lock")
    left = lock.with_name("0.action.9")
    left.mkdir()
    built.args(*SAFE).chatty().exits(0)
    assert not left.exists()


def test_a_line_that_says_something_else_than_its_saga_is_a_conflict_and_the_others_go_on(tmp_path: Path) -> None:
    built = orders(tmp_path, *numbered(2))
    built.args(*SAFE).chatty().exits(0)
    built.file("lines", in_lines({"order": "o1"}, {"order": "o2", "note": "x"}, {"order": "o3"}))
    done = built.args(*SAFE, "--jobs", "1").stdout("o1 completed\no3 completed\n").stderr(
        "sagactl: line 2: o2 names a saga with other parameters\n").exits(5)
    assert "3 of 3 lines: 2 completed, 1 conflict\n" in done.stderr
    assert logged(tmp_path) == once(3)


def test_a_line_whose_saga_a_live_process_holds_is_told_and_the_others_go_on(tmp_path: Path) -> None:
    built = orders(tmp_path, *numbered(1, kind="wait"))
    with gates(built) as (ready, go):
        process = built.start(*SAFE)
        ready.readline()
        built.file("lines", in_lines(*numbered(1, kind="wait"), {"order": "o2"}))
        built.args(*SAFE).stdout("o2 completed\n").stderr("line 1: o1 is held by process").exits(6)
        let_go(go, 1)
        assert ended(process)[0] == 0
    assert logged(tmp_path) == once(2)


def test_killed_in_the_middle_the_same_command_goes_on_and_each_effect_is_there_once(tmp_path: Path) -> None:
    built = orders(tmp_path, *numbered(2), *numbered(4, kind="wait")[2:], *numbered(6)[4:])
    with gates(built) as (ready, go):
        process = built.start(*SAFE, "--jobs", "2")
        assert {ready.readline(), ready.readline()} == {"o3\n", "o4\n"}
        process.kill()
        process.communicate()
        assert set(known(built).items()) == {("o1", "completed"), ("o2", "completed"), ("o3", "interrupted"), ("o4", "interrupted")}
        let_go(go, 2)  # the steps have outlived it
        built.args(*SAFE, "--jobs", "2").chatty().exits(0)
    assert set(known(built).values()) == {"completed"}
    assert logged(tmp_path) == once(6)


def test_after_ctrl_c_the_same_command_goes_on(tmp_path: Path) -> None:
    built = orders(tmp_path, *numbered(2, kind="wait"), *numbered(5)[2:])
    with gates(built) as (ready, go):
        process = built.start(*SAFE, "--jobs", "2")
        ready.readline(), ready.readline()
        interrupted(process)
        let_go(go, 2)
        code, stdout, stderr = ended(process)
    assert code == 130
    assert sorted(stdout.splitlines()) == ["o1 interrupted", "o2 interrupted"]
    assert "3 lines were not begun: those after line 2\n" in stderr
    assert "the same command again goes on with what was interrupted, begins the rest, and repeats nothing" in stderr
    assert logged(tmp_path) == once(2)
    assert known(built) == {"o1": "interrupted", "o2": "interrupted"}
    done = built.args(*SAFE).chatty().exits(0)
    assert sorted(done.stdout.splitlines()) == [f"o{number} completed" for number in range(1, 6)]
    assert logged(tmp_path) == once(5)


def test_after_ctrl_c_without_ids_the_two_commands_that_go_on_are_told(tmp_path: Path) -> None:
    built = orders(tmp_path, "", *numbered(2, kind="wait"), *numbered(5)[2:])
    with gates(built) as (ready, go):
        process = built.start(*RUN, "--jobs", "2")
        ready.readline(), ready.readline()
        interrupted(process)
        let_go(go, 2)
        code, _, stderr = ended(process)
    assert code == 130
    assert "sagactl resume --all " in stderr
    command = re.search(r"tail -n \+\d+ lines", stderr)
    assert command is not None
    built.again("resume", "--all").chatty().exits(0)
    rest = subprocess.run(command[0], shell=True, cwd=tmp_path, capture_output=True, text=True, check=True).stdout  # noqa: S602
    built.again("run", "saga.yaml", "--each", "-").stdin(rest).chatty().exits(0)
    assert logged(tmp_path) == once(5)


def test_ctrl_c_when_all_lines_are_begun_and_end_well_changes_nothing(tmp_path: Path) -> None:
    built = saga(tmp_path, "steps: [{id: a, action: 'echo a > ready; read go < go', undo: none}]").file("lines", "{}\n{}\n")
    with gates(built) as (ready, go):
        process = built.start(*RUN)
        ready.readline(), ready.readline()
        interrupted(process)
        let_go(go, 2)
        code, stdout, stderr = ended(process)
    assert code == 0, stderr
    assert stdout.count("completed\n") == 2
    assert "not begun" not in stderr


def test_from_stdin_lines_are_kept_in_a_private_file_without_a_name(tmp_path: Path) -> None:
    kept = tmp_path / "tmp"
    kept.mkdir()
    built = orders(tmp_path, *numbered(1, kind="wait"), *numbered(3)[1:]).env(TMPDIR=str(kept))
    with gates(built) as (ready, go), (tmp_path / "lines").open() as stdin:
        process = built.start("run", "saga.yaml", "--each", "-", "--id-from", "order", stdin=stdin)
        ready.readline()
        files = [link.stat() for link in open_files(process) if str(link.readlink()).startswith(str(kept))]
        assert [(found.st_nlink, found.st_mode & 0o777) for found in files] == [(0, 0o600)]
        assert not list(kept.iterdir())
        let_go(go, 1)
        assert ended(process)[0] == 0
    assert logged(tmp_path) == once(3)
    built.again("run", "saga.yaml", "--each", "/dev/stdin", "--id-from", "order").stdin(in_lines({})).stderr(
        "/dev/stdin has a bad line").exits(3)


def open_files(process: subprocess.Popen[str]) -> Sequence[Path]:
    return list(Path(f"/proc/{process.pid}/fd").iterdir())


def test_without_room_to_keep_stdin_nothing_runs(tmp_path: Path) -> None:
    built = orders(tmp_path)
    with (tmp_path / "data").open("w+") as stdin:
        stdin.write(in_lines(*numbered(5000)))
        stdin.seek(0)
        process = built.start("run", "saga.yaml", "--each", "-", stdin=stdin, preexec_fn=lambda: resource.setrlimit(
            resource.RLIMIT_FSIZE, (10_000, 10_000)))
        code, _, stderr = ended(process)
    assert code == 7
    assert "can't keep the lines of - in a temporary file: File too large\n  make room" in stderr
    nothing_ran(tmp_path)


def test_so_many_run_at_once_as_jobs_says(tmp_path: Path) -> None:
    built = orders(tmp_path, *numbered(7, kind="wait"))
    with gates(built) as (ready, go):
        process = built.start(*RUN, "--jobs", "3")
        for _ in range(3):  # three are there before any may go
            ready.readline()
        let_go(go, 7)
        assert ended(process)[0] == 0
    assert logged(tmp_path) == once(7)
    assert peak(tmp_path) == 3


def test_resume_drives_so_many_at_once_as_jobs_says(tmp_path: Path) -> None:
    definition = ORDERS.replace("  - id: a", "  - {id: first, action: 'echo x > first; read go < second', undo: none}\n  - id: a")
    built = saga(tmp_path, definition).file("lines", in_lines(*numbered(5, kind="wait")))
    built.fifo("first"), built.fifo("second")
    first, second = (os.fdopen(os.open(tmp_path / name, os.O_RDWR), mode) for name, mode in (("first", "r"), ("second", "w")))
    with first, second, gates(built) as (ready, go):
        process = built.start(*RUN, "--jobs", "5")
        for _ in range(5):
            first.readline()
        interrupted(process)
        second.write("go\n" * 5)
        second.flush()
        assert ended(process)[0] == 130
        process = built.start("resume", "--all", "--jobs", "2")
        ready.readline(), ready.readline()
        let_go(go, 5)
        assert ended(process)[0] == 0
    assert logged(tmp_path) == once(5)
    assert peak(tmp_path) == 2


def test_after_ctrl_c_resume_begins_no_further_saga_and_says_so(tmp_path: Path) -> None:
    built = orders(tmp_path, *numbered(3, kind="wait"))
    with gates(built) as (ready, go):
        process = built.start(*SAFE, "--jobs", "3")
        for _ in range(3):
            ready.readline()
        process.kill()
        process.communicate()
        process = built.start("resume", "o1", "o2", "o3", "--jobs", "1")
        while not built.again("events", "o1").chatty().exits(0).stdout.count("holder_changed"):
            pass
        interrupted(process)
        let_go(go, 3)
        code, stdout, stderr = ended(process)
    assert (code, stdout) == (130, "o1 interrupted\n")
    assert "2 more were not begun\n" in stderr
    built.again("resume", "--all").chatty().exits(0)
    assert logged(tmp_path) == once(3)


def test_lines_are_read_when_there_is_room_for_them(tmp_path: Path) -> None:
    built = orders(tmp_path, *numbered(1, kind="wait"), *[{"order": "x", "note": "y" * 100}] * 5000)
    with gates(built) as (ready, go):
        process = built.start(*RUN, "--jobs", "1")
        ready.readline()
        (link,) = [link for link in open_files(process) if link.readlink() == tmp_path / "lines"]
        read = re.match(r"pos:\s*(\d+)", Path(str(link).replace("/fd/", "/fdinfo/")).read_text())
        assert read is not None
        assert int(read[1]) < 100_000 < (tmp_path / "lines").stat().st_size
        assert len(known(built)) == 1
        interrupted(process)
        let_go(go, 1)
        assert "5,000 lines were not begun" in ended(process)[2]


def test_a_line_that_is_changed_meanwhile_costs_itself_and_one_more_is_not_run(tmp_path: Path) -> None:
    far = {"order": "o2", "note": " " * 100_000}
    built = orders(tmp_path, *numbered(1, kind="wait"), far, {"order": "o3"}, {"order": "o4"})
    with gates(built) as (ready, go):
        process = built.start(*SAFE, "--jobs", "1")
        ready.readline()
        text = (tmp_path / "lines").read_text().replace('"o3"', '"??"')
        (tmp_path / "lines").write_text(text + in_lines({"order": "o5"}))
        let_go(go, 1)
        code, stdout, stderr = ended(process)
    assert code == 3
    assert stdout == "o1 completed\no2 completed\no4 completed\n"
    assert "sagactl: line 3: order can't be an id" in stderr


def test_a_line_that_is_given_the_id_of_a_running_saga_costs_itself(tmp_path: Path) -> None:
    """The second saga changes the file, the fourth lets the first one go."""
    lines = [*numbered(2), " " * 300_000, {"order": "o3"}, {"order": "o4"}]  # so the last two have not been read then
    built = saga(tmp_path, """
params: {order: {type: string}}
steps:
  - id: a
    action: case "$ORDER" in o1) read go < go;; o2) cp changed lines;; o4) echo > go;; esac
    env: {ORDER: "${params.order}"}
    undo: none
""").file("lines", in_lines(*lines)).file("changed", in_lines(*lines).replace("o3", "o1"))
    built.fifo("go")
    done = built.args(*SAFE, "--jobs", "2").chatty().exits(3)
    assert sorted(done.stdout.splitlines()) == ["o1 completed", "o2 completed", "o4 completed"]
    assert "sagactl: line 4: its id is that of line 1, which is running\n  the file has changed since" in done.stderr
    assert done.stderr.endswith("4 of 4 lines: 3 completed, 1 invalid\n")


STARTED = "o1 a: action started"
ALL_STARTED = f'{STARTED}: mkdir "running.$ORDER"; echo running.* | wc -w >> peaks …'


@pytest.mark.parametrize(("args", "variables", "told", "counted"), [
    ((), {}, None, True),
    (("-v",), {}, ALL_STARTED, True),
    (("--progress", "plain"), {}, STARTED, True),
    ((), {"SAGACTL_PROGRESS": "plain"}, STARTED, True),
    (("--progress", "live"), {}, None, True),
    (("--progress", "none"), {}, None, False),
    (("--progress", "none", "-v"), {}, None, False),
    (("-o", "json", "-v"), {}, ALL_STARTED, True),
    (("-o", "json", "--progress", "plain"), {}, STARTED, True),
    (("-o", "jsonl", "-v"), {}, None, False),
    (("-o", "jsonl", "--progress", "plain"), {}, STARTED, True),
    (("-o", "jsonl", "--progress", "live"), {}, None, True),
    (("-q", "--progress", "plain"), {}, None, False),
    (("-q", "-v"), {}, None, False),
])  # fmt: skip
def test_lines_for_each_change_are_told_where_they_are_wanted(
    tmp_path: Path, args: Sequence[str], variables: dict[str, str], told: str | None, *, counted: bool,
) -> None:
    built = orders(tmp_path, *numbered(2)).env(**variables)
    done = built.args(*SAFE, "--jobs", "1", *args).chatty().exits(0)
    said = [re.sub(r"^[\d:]{8}Z |(?<=\()\d.*", "", line) for line in done.stderr.splitlines()]
    assert ("2 of 2 lines: 2 completed" in said) is counted
    assert [line for line in said if line.startswith("o1 a: action started")] == [told] * (told is not None)
    assert ("o2 b: action succeeded (" in said) is (told is not None)
    rows = [json.loads(line)["id"] for line in done.stdout.splitlines()] if "jsonl" in args else \
        [row["id"] for row in done.json] if "json" in args else [line.split()[0] for line in done.stdout.splitlines()]
    assert rows == ["o1", "o2"]


def test_quiet_prints_ids_as_sagas_start_and_nothing_else(tmp_path: Path) -> None:
    built = orders(tmp_path, *numbered(2, kind="wait"))
    with gates(built) as (ready, go):
        process = built.start(*SAFE, "-q", "--jobs", "1")
        ready.readline()
        assert process.stdout is not None
        assert process.stdout.readline() == "o1\n"
        let_go(go, 2)
        assert ended(process) == (0, "o2\n", "")
    built.args(*SAFE, "-q", "--jobs", "1").stdout("o1\no2\n").exits(0)


def test_machines_get_a_line_for_each_line(tmp_path: Path) -> None:
    lines = [{"order": "o1"}, {"order": "o2", "kind": "bad"}, {"order": "o3"}]
    built = orders(tmp_path, {"order": "o3", "note": "x"})
    built.args(*SAFE).chatty().exits(0)
    built.file("lines", in_lines(*lines))
    done = built.args(*SAFE, "-o", "jsonl", "--jobs", "1").chatty().exits(10)
    rows = [json.loads(line) for line in done.stdout.splitlines()]
    assert [(row["line"], row["id"]) for row in rows] == [(1, "o1"), (2, "o2"), (3, "o3")]
    assert [row.get("state") for row in rows] == ["completed", "compensated", None]
    assert rows[0].keys() == {"schema", "line", "id", "name", "state", "interrupted", "started", "changed", "why"}
    assert (rows[1]["why"], rows[1]["interrupted"]) == ("b: exit 1", False)
    assert (rows[2]["code"], rows[2]["error"]) == (5, "conflict")
    again: list[Any] = built.args(*SAFE, "-o", "json", "--jobs", "1").chatty().exits(10).json
    assert again == rows


def test_a_store_that_takes_nothing_ends_it(tmp_path: Path) -> None:
    built = orders(tmp_path, *numbered(40))
    built.again("run", "saga.yaml", "-p", "order=first").chatty().exits(0)
    process = built.start(*RUN, "--jobs", "1", preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_FSIZE, (33_000, 33_000)))
    code, stdout, stderr = ended(process)
    assert (code, stdout) == (7, "")
    assert "10 of 40 lines: 10 store\n" in stderr
    assert "30 lines were not begun: those after line 10\n" in stderr
    assert logged(tmp_path) == {"first": 1}


def test_more_jobs_than_open_files_allow_are_refused_with_a_number_that_would_do(tmp_path: Path) -> None:
    built = orders(tmp_path, *numbered(3))
    fewer = {"preexec_fn": lambda: resource.setrlimit(resource.RLIMIT_NOFILE, (100, 100))}
    code, _, stderr = ended(built.start(*SAFE, "--jobs", "19", **fewer))
    assert code == 2
    assert "--jobs 19 needs 102 open files, and the limit is 100\n  ulimit -n sets it; --jobs 18 is what it allows" in stderr
    nothing_ran(tmp_path)
    assert ended(built.start(*SAFE, "--jobs", "18", **fewer))[0] == 0
    assert logged(tmp_path) == once(3)


@pytest.mark.parametrize(("args", "code", "told"), [
    ((*RUN, "--id", "t"), 2, "--id names one saga, and --each starts many\n  --id-from PARAM"),
    (("run", "saga.yaml", "--jobs", "2"), 2, "--jobs is for --each: this is one saga"),
    (("run", "saga.yaml", "--id-from", "order"), 2, "--id-from is for --each: this is one saga"),
    ((*RUN, "--id-from", "ordr"), 2, "--id-from ordr is no parameter of test: the parameters are order, note, kind"),
    ((*RUN, "--jobs", "0"), 2, "'--jobs'"),
    ((*RUN, "--jobs", "1025"), 2, "'--jobs'"),
    ((*RUN, "-p", "kind=fine"), 3, "the parameters do not fit:\n  kind must be one of"),
    (("run", "-", "--each", "-"), 2, "only one of the definition and the parameters"),
    (("run", "saga.yaml", "--each", "-", "--params-file", "-"), 2, "only one of the definition and the parameters"),
    (("run", "saga.yaml", "--each", "nowhere"), 4, "can't read nowhere: No such file"),
    (("run", "saga.yaml", "--each", "."), 4, ". is a folder, not a file"),
])
def test_what_makes_no_sense_is_refused(tmp_path: Path, args: Sequence[str], code: int, told: str) -> None:
    orders(tmp_path, *numbered(2)).args(*args).stderr(told).exits(code)
    nothing_ran(tmp_path)


def test_a_missing_secret_is_told_once_and_nothing_runs(tmp_path: Path) -> None:
    built = saga(tmp_path, "secrets: {key: {env: NO_SUCH_KEY}}\nsteps: [{id: a, action: 'true', undo: none, secrets: [key]}]")
    built.file("lines", "{}\n{}\n").again(*RUN).stderr("sagactl: secret key is missing: $NO_SUCH_KEY is not set\n").exits(3)
    nothing_ran(tmp_path)
