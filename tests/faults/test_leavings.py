"""What a command leaves where sagactl looks: outputs that are none, and evidence that it damaged or took away.

The folder of an attempt is the user's own, so a command can do anything there. It must not run a second time for it.
"""

from __future__ import annotations

import os
import re
import shutil
import subprocess
from pathlib import Path

import pytest

from sagactl.execution.processes import start_ticks
from tests.cli.test_crash import KILL_ORCHESTRATOR, dies
from tests.harness import SAGACTL, environment, saga

OWN = "own=$SAGA_OUTPUT_DIR"
"""Its files are `$own.record` and so on, beside its folder."""
BOUND_BY_MODES = ("setpriv", "--bounding-set=-dac_override,-dac_read_search")
"""Before a command line of root's: the modes of files mean for it what they mean for others."""


def test_outputs_that_are_none_are_in_doubt_and_say_why(tmp_path: Path) -> None:
    """None of them is followed, waited for, or read beyond its limit."""
    (tmp_path / "secret").write_text("not an output")
    rows = {
        "link": ('ln -s "$PWD/secret" $O/x', "Too many levels of symbolic links"),
        "fifo": ("mkfifo $O/x", "is no regular file"),
        "folder": ("mkdir $O/x", "is no regular file"),
        "linked_folder": ('rmdir $O; ln -s "$PWD" $O; cp secret x', "$SAGA_OUTPUT_DIR is a link"),
        "no_folder": ("rmdir $O", "is missing"),
        "another_file": ("rmdir $O; touch $O", "can't be read: Not a directory"),
        "nul": ("printf 'a\\0b' > $O/x", "contains a NUL byte"),
        "no_text": ("printf '\\377\\376' > $O/x", "is not UTF-8: byte 0"),
        "too_big": ("head -c 65537 /dev/zero > $O/x", "is over 64 KiB"),
        "sparse": ("truncate -s 1T $O/x", "is over 64 KiB"),
    }
    text = "defaults: {on_failure: continue}\nsteps:\n" + "".join(
        f"  - id: {name}\n    needs: []\n    outputs: [x]\n    undo: none\n    action: |\n      O=$SAGA_OUTPUT_DIR\n      {action}\n"
        for name, (action, _) in rows.items())
    built = saga(tmp_path, text)
    built.run().chatty().exits(0)
    for step in built.inspect()["steps"]:
        (attempt,) = step["attempts"]
        assert (step["outputs"], attempt["outcome"], attempt["exit_status"]) == ({}, "in_doubt", 0), step["id"]
        assert attempt["message"].startswith("output x "), step["id"]
        assert rows[step["id"]][1] in attempt["message"]


def test_an_output_of_exactly_the_limit_reaches_the_undo(tmp_path: Path) -> None:
    saga(tmp_path, """
steps:
  - id: a
    action: head -c 65536 /dev/zero > zeros; tr '\\0' x < zeros > "$SAGA_OUTPUT_DIR/x"
    outputs: [x]
    undo: {run: 'printf %s "$X" > undone', env: {X: "${steps.a.outputs.x}"}}
  - {id: b, action: "false", undo: none}
""").run().chatty().file_after("undone", "x" * 65536).exits(10)


def test_ten_thousand_outputs_that_nobody_declared_are_twenty_warnings(tmp_path: Path) -> None:
    built = saga(tmp_path, """
steps:
  - {id: a, outputs: [x], action: 'cd "$SAGA_OUTPUT_DIR"; seq 10000 > x; xargs touch < x; echo 1 > x', undo: none}
""")
    done = built.run().stdout("t completed\n").chatty().exits(0)
    assert done.stderr.count("which is not declared") == 20
    assert built.inspect()["steps"][0]["outputs"] == {"x": "1"}


def test_a_record_that_its_command_took_away_is_put_back(tmp_path: Path) -> None:
    """An attempt without a record is one that never started: it would be run again."""
    rows = ('rm "$own.record"', 'rm -r "$own"*', 'mv "$own" "$own-moved"; mv "$own.record" "$own-moved"', 'rm -r "$(dirname "$own")"',
            'rm -r "$own"*; echo x > "$own"', 'rm -r "$own"*; ln -s "$PWD" "$own"')
    text = "steps:\n" + "".join(
        f"  - {{id: s{i}, action: 'echo {i} >> log; {OWN}; {row}', undo: none}}\n" for i, row in enumerate(rows))
    built = saga(tmp_path, text + f"  - {{id: last, action: 'echo last >> log; {OWN}; {rows[1]}; exit 4', undo: none}}\n")
    built.run().stdout("t compensated\n").stderr("t compensated: last: exit 4").file_after(
        "log", "0\n1\n2\n3\n4\n5\nlast\n").exits(10)
    assert [len(step["attempts"]) for step in built.inspect()["steps"]] == [1] * 7


def test_a_record_that_was_taken_away_is_there_again_for_a_resume(tmp_path: Path) -> None:
    built = saga(tmp_path, f"""
steps:
  - id: a
    action: |
      echo a >> log
      echo $PPID > supervisor
      {KILL_ORCHESTRATOR}
      rm -r "$SAGA_OUTPUT_DIR"*
    undo: none
""")
    dies(built)
    while start_ticks(int((tmp_path / "supervisor").read_text())) is not None:
        pass
    built.again("resume", "t").stdout("t completed\n").chatty().file_after("log", "a\n").exits(0)


def test_something_else_in_the_place_of_a_record_leaves_the_attempt_in_doubt(tmp_path: Path) -> None:
    rows = {
        "text": 'echo x > "$own.record"', "empty": ': > "$own.record"', "link": 'rm "$own.record"; ln -s "$PWD/log" "$own.record"',
        "folder": 'rm "$own.record"; mkdir "$own.record"', "fifo": 'rm "$own.record"; mkfifo "$own.record"',
    }
    built = saga(tmp_path, "steps:\n" + "".join(
        f"  - id: {name}\n    needs: []\n    on_interrupt: undo\n    undo: echo undo {name} >> log\n"
        f"    action: |\n      echo {name} >> log\n      {OWN}\n      {damage}\n" for name, damage in rows.items()))
    built.run().stdout("t compensated\n").chatty().exits(10)
    assert sorted((tmp_path / "log").read_text().splitlines()) == sorted([*rows, *(f"undo {name}" for name in rows)])
    for step in built.inspect()["steps"]:
        action, undo = step["attempts"]
        assert (action["how"], action["outcome"], undo["outcome"]) == ("lost", "in_doubt", "succeeded"), step["id"]
        assert "its record is damaged" in action["message"]


def test_evidence_that_its_command_made_unreadable_is_named_and_read_once_it_can_be(tmp_path: Path) -> None:
    if os.getuid() == 0 and not shutil.which("setpriv"):
        pytest.skip("no mode binds root, and there is no setpriv to change that")
    built = saga(tmp_path, "steps:\n  - {id: a, action: 'echo a >> log; chmod 0 $SAGA_OUTPUT_DIR $SAGA_OUTPUT_DIR.record', undo: none}\n")
    for args in (("run", "saga.yaml", "--id", "t"), ("resume", "t")):
        command = (*(BOUND_BY_MODES if os.getuid() == 0 else ()), *SAGACTL, *args)
        done = subprocess.run(command, cwd=tmp_path, env=environment(tmp_path), timeout=30, check=False,
                              capture_output=True, text=True)
        assert (done.returncode, done.stdout) == (7, "")
        assert re.search(r"^sagactl: .*Permission denied: '.*/0\.action\.1\.record'", done.stderr, re.MULTILINE), done.stderr
    (path,) = (tmp_path / "state/sagactl/sagas.db.d").glob("*/0.action.1.record")
    path.chmod(0o600)
    built.again("resume", "t").stdout("t completed\n").chatty().file_after("log", "a\n").exits(0)


@pytest.mark.parametrize(("plant", "code", "said"), [
    ('ln -s "$PWD/precious" "$next.stdout"', 0, "its output can't be captured: File exists, again"),
    ('ln "$PWD/precious" "$next.stderr"', 0, "its output can't be captured: File exists, again"),
    ('mkfifo "$next.stdin"', 0, "its output can't be captured: File exists, again"),
    ('ln "$PWD/precious" "$next"', 7, "1.action.1: File exists"),
    ('ln -s "$PWD/precious" "$next.record"', 11, "1.action.1.record is no regular file"),
    ('mkdir "$next.record"', 11, "1.action.1.record is no regular file"),
])
def test_nothing_runs_into_what_a_command_plants_in_the_place_of_a_later_one(
    tmp_path: Path, plant: str, code: int, said: str,
) -> None:
    built = saga(tmp_path, f"""
steps:
  - {{id: a, action: 'next=$(dirname "$SAGA_OUTPUT_DIR")/1.action.1; {plant}', undo: none}}
  - {{id: b, action: {{run: cat >> log, stdin: b}}, undo: none, on_interrupt: escalate}}
""").file("precious", "precious")
    done = built.run().chatty().file_after("log", None if code else "b").file_after("precious", "precious").exits(code)
    assert said in done.stderr
    if code == 0:
        assert sorted(path.name for path in next(tmp_path.rglob("folded")).parent.iterdir()) == ["folded", "lock"]
    if code == 7:
        next(tmp_path.rglob("1.action.1")).unlink()
        built.again("resume", "t").chatty().file_after("log", "b").exits(0)


def test_a_word_to_stop_that_is_none_of_ours_is_passed_over(tmp_path: Path) -> None:
    """The supervisor looks for it once its orchestrator is gone."""
    rows = ('mkfifo "$own.stop"', r'printf \\377 > "$own.stop"', 'echo nonsense > "$own.stop"', 'ln -s /dev/zero "$own.stop"')
    built = saga(tmp_path, "steps:\n" + "".join(
        f"  - {{id: s{i}, needs: [], action: '{OWN}; {stop}; echo >> ready; sleep 2; echo {i} >> log', undo: none}}\n"
        for i, stop in enumerate(rows)))
    ready = os.open(built.fifo("ready"), os.O_RDWR)
    begun = built.start("run", "saga.yaml", "--id", "t")
    said = b""
    while len(said) < len(rows):
        said += os.read(ready, len(rows))
    os.close(ready)
    begun.kill()
    begun.communicate(timeout=30)
    built.again("resume", "t").chatty().exits(0)
    assert sorted((tmp_path / "log").read_text().split()) == ["0", "1", "2", "3"]


def test_a_command_that_empties_its_folder_is_not_run_beside_itself(tmp_path: Path) -> None:
    built = saga(tmp_path, "steps:\n  - {id: a, action: 'rm -rf \"$SAGA_OUTPUT_DIR\".*; echo began >> log; echo > ready; read x < go', "
                           "undo: none}\n")
    ready, go = built.fifo("ready"), built.fifo("go")
    begun = built.start("run", "saga.yaml", "--id", "t")
    ready.read_text()
    begun.kill()
    begun.communicate(timeout=30)
    built.again("resume", "t").chatty().exits(11)
    go.write_text("on\n")
    assert (tmp_path / "log").read_text() == "began\n"


def test_evidence_of_a_final_saga_that_is_damaged_is_an_error_that_names_it(tmp_path: Path) -> None:
    built = saga(tmp_path, "steps:\n  - {id: a, action: echo hello, undo: echo back}\n")
    built.run().chatty().exits(0)
    (folded,) = tmp_path.rglob("folded")
    folded.write_text("{")
    built.again("logs", "t").stderr(f"{folded} is damaged").exits(7)
    built.again("compensate", "t", "--yes").chatty().exits(7)


def test_logs_of_a_final_saga_keep_the_beginning_of_what_is_no_text(tmp_path: Path) -> None:
    built = saga(tmp_path, "steps:\n  - {id: a, action: \"echo first; printf '\\\\377%.0s' 1 2 3 4 5; echo; echo last\", undo: none}\n")
    built.run().chatty().exits(0)
    built.again("logs", "t").stdout(f"a | first\na | {chr(0xFFFD) * 5}\na | last\n").exits(0)


def test_without_its_secrets_the_evidence_of_a_final_saga_is_left_to_somebody_who_has_them(tmp_path: Path) -> None:
    """A kill between the last event and the fold, and a cron job that repeats the run."""
    built = saga(tmp_path, "secrets: {TOKEN: {env: TOKEN}}\nsteps:\n  - {id: a, secrets: [TOKEN], action: 'echo hello $TOKEN', undo: none}\n")
    (tmp_path / "state").mkdir()
    built.env(TOKEN="hush-hush").run().chatty().exits(0)
    (folded,) = tmp_path.rglob("folded")
    folder, stdout = folded.with_name("0.action.1"), folded.with_name("0.action.1.stdout")
    folder.mkdir()
    stdout.write_text("hello *********\n")
    folded.unlink()
    built.again("resume", "t").chatty().exits(0)
    assert stdout.exists()
    built.again("resume", "t").env(TOKEN="hush-hush").chatty().exits(0)
    assert not folder.exists()
    assert not stdout.exists()
    built.again("logs", "t").stdout("a | hello *********\n").exits(0)
