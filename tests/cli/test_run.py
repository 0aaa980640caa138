"""`sagactl run`, black box: order, undo, retries, values, exit codes."""

from __future__ import annotations

import json
import re
import shlex
import subprocess
from pathlib import Path

import pytest

from tests.harness import SAGACTL, environment, saga

STEPS = """
steps:
{steps}
"""


def chain(count: int, fails_at: int | None = None) -> str:
    """Steps s0, s1, … that log what they do; one of them fails."""
    lines = []
    for i in range(count):
        action = "exit 3" if i == fails_at else f"echo do{i} >> log"
        lines.append(f"  - id: s{i}\n    action: {action}\n    undo: echo undo{i} >> log")
    return STEPS.format(steps="\n".join(lines))


def test_a_saga_runs_its_steps_in_order(tmp_path: Path) -> None:
    saga(tmp_path, chain(3)).run().stdout("t completed\n").stderr("t completed").file_after(
        "log", "do0\ndo1\ndo2\n").exits(0)


@pytest.mark.parametrize("fails_at", range(4))
def test_a_failure_at_any_step_undoes_exactly_the_steps_before_it_in_reverse(tmp_path: Path, fails_at: int) -> None:
    log = [f"do{i}\n" for i in range(fails_at)] + [f"undo{i}\n" for i in reversed(range(fails_at))]
    saga(tmp_path, chain(4, fails_at)).run().stdout("t compensated\n").stderr(
        f"t compensated: s{fails_at}: exit 3; all that had to be is undone",
    ).file_after("log", "".join(log) or None).exits(10)


def test_an_undo_that_fails_lets_the_others_run_and_escalates_naming_it(tmp_path: Path) -> None:
    done = saga(tmp_path, """
defaults: {retry_delay: 10ms}
steps:
  - {id: a, action: "true", undo: echo a >> log}
  - id: b
    action: "true"
    undo: {run: "echo no more >&2; exit 9", max_retries: 1}
  - {id: c, action: "true", undo: echo c >> log}
  - {id: d, action: "false", undo: "true"}
""").run().stdout("t escalated\n").stderr("t escalated: b: undo failed: exit 9").file_after("log", "c\na\n").exits(11)
    assert 'sagactl resolve t --step b --as undone --reason "WHY"' in done.stderr


def test_steps_that_do_not_need_each_other_run_at_the_same_time(tmp_path: Path) -> None:
    """Each waits for the other's word on a pipe: one after the other would never end."""
    built = saga(tmp_path, """
defaults: {timeout: 20s}
steps:
  - {id: a, needs: [], action: "echo a > ab; read x < ba", undo: none}
  - {id: b, needs: [], action: "read x < ab; echo b > ba", undo: none}
""")
    built.fifo("ab")
    built.fifo("ba")
    built.run().chatty().exits(0)


def test_retries_are_made_within_the_budget_and_the_attempt_is_told(tmp_path: Path) -> None:
    saga(tmp_path, """
steps:
  - id: a
    action: echo $SAGA_ATTEMPT of $SAGA_MAX_ATTEMPTS $SAGA_IDEMPOTENCY_KEY >> log; test $SAGA_ATTEMPT = 3
    max_retries: 3
    retry_delay: 10ms
    undo: none
""").run().chatty().file_after("log", "".join(f"{i} of 4 t/a/action\n" for i in (1, 2, 3))).exits(0)


def test_a_command_that_does_not_exist_is_named_and_not_retried(tmp_path: Path) -> None:
    built = saga(tmp_path, "steps:\n  - {id: a, action: [no-such-program], max_retries: 5, undo: none}\n")
    built.run().stdout("t compensated\n").stderr("no-such-program: No such file or directory").exits(10)
    assert len(built.inspect()["steps"][0]["attempts"]) == 1


def test_outputs_reach_later_steps_and_the_undo(tmp_path: Path) -> None:
    saga(tmp_path, """
steps:
  - id: a
    action: printf 'R-%s\\n' 1 > "$SAGA_OUTPUT_DIR/ref"; printf '{"deep":[{"n":7}]}'
    outputs: {ref: {}, number: {from: stdout, pointer: /deep/0/n}}
    undo: ["sh", "-c", "echo undo $1 >> log", "sh", "${steps.a.outputs.ref}"]
  - id: b
    action: ["sh", "-c", "echo got $1 >> log; exit 1", "sh", "${steps.a.outputs.number}"]
    undo: none
""").run().chatty().file_after("log", "got 7\nundo R-1\n").exits(10)


def test_exit_0_without_a_declared_output_is_in_doubt_and_undone(tmp_path: Path) -> None:
    built = saga(tmp_path, """
steps:
  - {id: a, action: "true", outputs: [ref], undo: "echo undo $SAGA_ACTION_STATE $SAGA_FAILED_STEP >> log"}
""")
    built.run().chatty().file_after("log", "undo in_doubt a\n").exits(10)
    attempt = built.inspect()["steps"][0]["attempts"][0]
    assert attempt["outcome"] == "in_doubt"
    assert "output ref is missing" in attempt["message"]


def test_an_undo_whose_reference_has_no_value_is_not_run(tmp_path: Path) -> None:
    saga(tmp_path, """
steps:
  - {id: a, action: "true", outputs: [ref], undo: [touch, "undone-${steps.a.outputs.ref}"]}
""").run().stdout("t escalated\n").stderr("${steps.a.outputs.ref} has no value").file_after("undone-", None).exits(11)


def test_an_undeclared_output_is_a_warning(tmp_path: Path) -> None:
    saga(tmp_path, """
steps:
  - {id: a, action: "echo x > $SAGA_OUTPUT_DIR/extra", undo: none}
""").run().stdout("t completed\n").stderr("a wrote the output extra, which is not declared").exits(0)


def test_env_cwd_and_stdin_reach_the_command(tmp_path: Path) -> None:
    (tmp_path / "inner").mkdir()
    saga(tmp_path, """
params: {who: {type: string}}
env: {A: top, B: "${params.who}"}
steps:
  - id: a
    env: {A: step}
    cwd: inner
    action: {run: 'cat > got; echo "$A $B $SAGA_PHASE $SAGA_STEP" >> got; pwd >> got', stdin: "in ${params.who}\\n"}
    undo: none
""").run("-p", "who=world").chatty().file_after(
        "inner/got", f"in world\nstep world action a\n{tmp_path}/inner\n").exits(0)


def test_a_value_is_data_and_never_code(tmp_path: Path) -> None:
    hostile = "$(touch pwned) `touch pwned`; touch pwned\n'\"\\ ${params.x} \x1b[31m"
    saga(tmp_path, """
params: {x: {type: string}}
steps:
  - {id: a, env: {X: "${params.x}"}, action: 'printf %s "$X" > env', undo: none}
  - {id: b, action: [sh, -c, 'printf %s "$1" > argv', sh, "--${params.x}"], undo: none}
""").run("-p", f"x={hostile}").chatty().file_after("env", hostile).file_after("argv", f"--{hostile}").file_after(
        "pwned", None).exits(0)


def test_a_secret_reaches_only_its_steps_and_is_nowhere_on_disk_or_in_what_is_shown(tmp_path: Path) -> None:
    secret = "hunter2-correct-horse"
    built = saga(tmp_path, """
secrets: {TOKEN: {env: THE_TOKEN}}
steps:
  - {id: b, action: 'test -z "${TOKEN-}"', undo: none}
  - {id: a, secrets: [TOKEN], action: 'echo "$TOKEN"; echo "$TOKEN" >&2; exit 1', undo: none}
""")
    done = built.env(THE_TOKEN=secret).run().chatty().exits(10)
    assert secret not in done.stdout + done.stderr
    assert "*" * len(secret) in built.inspect()["steps"][1]["attempts"][0]["stderr_tail"]
    for path in (tmp_path / "state").rglob("*"):
        assert not path.is_file() or secret.encode() not in path.read_bytes(), path


def test_a_missing_secret_is_an_error_before_anything_runs(tmp_path: Path) -> None:
    built = saga(tmp_path, """
secrets: {TOKEN: {env: THE_TOKEN}, OTHER: {file: /no/such}}
steps:
  - {id: a, secrets: [TOKEN], action: touch ran, undo: none}
""")
    done = built.run().stderr("secret TOKEN is missing: $THE_TOKEN is not set").file_after("ran", None).exits(3)
    assert "secret OTHER is missing: can't read /no/such: No such file or directory\n" in done.stderr
    built.again("list").stderr("no sagas yet").exits(0)


@pytest.mark.parametrize(("data", "said"), [
    (None, "is missing: can't read {path}: Is a directory"), (b"\xff", "is missing: can't read {path}: it is no UTF-8 text"),
    (b"", "is empty: {path}"), (b"\n", "is empty: {path}"), (b"a\0b", "contains a NUL byte"),
])
def test_of_a_secret_that_can_not_be_used_it_is_said_why(tmp_path: Path, data: bytes | None, said: str) -> None:
    path = tmp_path / "token"
    path.mkdir() if data is None else path.write_bytes(data)
    built = saga(tmp_path, """
secrets: {TOKEN: {file: token}, OTHER: {env: THE_OTHER}}
steps:
  - {id: a, secrets: [TOKEN, OTHER], action: touch ran, undo: none}
""").env(THE_OTHER="")
    done = built.run().stderr(f"secret TOKEN {said.format(path=path)}").file_after("ran", None).exits(3)
    assert "secret OTHER is empty: $THE_OTHER\n" in done.stderr


def test_warnings_about_the_definition_are_said_unless_only_ids_are_wanted(tmp_path: Path) -> None:
    built = saga(tmp_path, """
params: {name: {type: string}}
steps:
  - {id: a, action: [echo, "${params.name}"], undo: none}
""").file("lines", '{"name": "y"}\n')
    built.run("-p", "name=x").chatty().stderr("SG502").exits(0)
    built.again("run", "saga.yaml", "--id", "u", "-p", "name=x", "-q").stdout("u\n").exits(0)
    built.again("run", "saga.yaml", "--each", "lines", "-q").stdout(re.compile(r"test-[0-9a-z]{6}\n")).exits(0)


def test_the_variable_of_a_secret_and_inherited_saga_variables_are_not_passed_on(tmp_path: Path) -> None:
    saga(tmp_path, """
secrets: {TOKEN: {env: THE_TOKEN}}
steps:
  - {id: a, action: 'echo "${THE_TOKEN-none} ${SAGA_FOO-none} ${TOKEN-none}" > got', undo: none}
""").env(THE_TOKEN="x", SAGA_FOO="y").run().chatty().file_after("got", "none none none\n").exits(0)


def test_a_command_after_its_timeout_is_gone_with_everything_it_started(tmp_path: Path) -> None:
    built = saga(tmp_path, """
steps:
  - id: a
    action: |
      trap '' TERM
      (trap '' TERM; echo $$ > grandchild; exec <&- >&- 2>&-; sleep 300) &
      setsid sh -c 'trap "" TERM; sleep 300' &
      exec 3>&- >&- 2>&-
      sleep 300
    timeout: 300ms
    kill_after: 100ms
    undo: none
""")
    built.run().chatty().exits(10)
    attempt = built.inspect()["steps"][0]["attempts"][0]
    assert (attempt["outcome"], attempt["how"]) == ("in_doubt", "timed_out")
    assert processes_of(tmp_path) == []


def processes_of(folder: Path) -> list[int]:
    """The processes whose working folder is below that one."""
    found = []
    for path in Path("/proc").glob("[0-9]*"):
        try:
            cwd, stat = (path / "cwd").readlink(), (path / "stat").read_text()
        except OSError:
            continue
        if folder in (cwd, *cwd.parents) and stat.rsplit(")")[-1].split()[0] != "Z":
            found.append(int(path.name))
    return found


def test_an_id_makes_run_safe_to_repeat(tmp_path: Path) -> None:
    built = saga(tmp_path, chain(2))
    built.run().chatty().exits(0)
    built.run().stdout("t completed\n").stderr("t exists already; nothing was run").file_after(
        "log", "do0\ndo1\n").exits(0)


def test_an_id_that_is_used_for_something_else_is_a_conflict(tmp_path: Path) -> None:
    built = saga(tmp_path, chain(1) + "params: {x: {type: string, default: a}}\n")
    built.run().chatty().exits(0)
    built.run("-p", "x=b").stdout("").stderr("a saga with other parameters").exits(5)
    saga(tmp_path, chain(2) + "params: {x: {type: string, default: a}}\n").run().stderr("a saga with another definition").exits(5)


def test_parameters_come_from_a_file_and_the_command_line_wins(tmp_path: Path) -> None:
    saga(tmp_path, """
params: {a: {type: string}, n: {type: integer}}
steps:
  - {id: s, env: {A: "${params.a}", N: "${params.n}"}, action: 'echo $A $N > got', undo: none}
""").file("params.yaml", "a: file\nn: 1\n").run("--params-file", "params.yaml", "-p", "a=line").chatty().file_after(
        "got", "line 1\n").exits(0)


def test_wrong_parameters_are_all_reported_at_once(tmp_path: Path) -> None:
    done = saga(tmp_path, """
params: {a: {type: string}, n: {type: integer}}
steps:
  - {id: s, action: "true", undo: none}
""").run("-p", "n=x", "-p", "unknown=1").stderr("").chatty().exits(3)
    assert all(name in done.stderr for name in ("n", "unknown"))


def test_a_definition_comes_from_stdin(tmp_path: Path) -> None:
    text = "saga: piped\nsteps:\n  - {id: a, action: touch ran, undo: none}\n"
    saga(tmp_path, "").args("run", "-", "--id", "t").stdin(text).chatty().file_after("ran", "").exits(0)


def test_quiet_prints_the_id_alone_and_json_the_events(tmp_path: Path) -> None:
    built = saga(tmp_path, chain(1))
    built.args("run", "saga.yaml", "-q").stdout(re.compile(r"test-[0-9a-z]{6}\n")).exits(0)
    done = built.args("run", "saga.yaml", "-o", "jsonl", "--id", "j").stdout(re.compile(r"(\{.*\}\n){4}")).chatty().exits(0)
    lines = [json.loads(line) for line in done.stdout.splitlines()]
    assert [line["type"] for line in lines] == ["saga_started", "action_started", "action_succeeded", "saga_completed"]
    assert [line["seq"] for line in lines] == [1, 2, 3, 4]
    assert {line["saga"] for line in lines} == {"j"}


def test_a_missing_file_is_not_found_and_a_wrong_one_invalid(tmp_path: Path) -> None:
    built = saga(tmp_path, "stepz: []\n")
    built.args("run", "nowhere.yaml").stderr("can't read nowhere.yaml: No such file or directory").exits(4)
    built.args("run", ".").stderr("is a folder").exits(4)
    built.args("run", "saga.yaml").stderr("saga.yaml:2:1").exits(3)


def test_an_id_that_could_be_a_path_is_a_usage_error(tmp_path: Path) -> None:
    saga(tmp_path, chain(1)).args("run", "saga.yaml", "--id", "../x").stderr("letters, digits").exits(2)


def test_a_gigabyte_of_output_grows_no_process_of_sagactl(tmp_path: Path) -> None:
    """Every process runs with less address space than the output has bytes."""
    built = saga(tmp_path, """
steps:
  - {id: a, action: head -c 1000000000 /dev/zero, undo: none}
""")
    limited = f"ulimit -v 900000; exec {shlex.join(SAGACTL)} run saga.yaml --id t"
    subprocess.run(["sh", "-c", limited], cwd=tmp_path, env=environment(tmp_path), check=True, timeout=60,
                   capture_output=True)
    assert built.inspect()["state"] == "completed"
    (folded,) = (tmp_path / "state/sagactl/sagas.db.d").rglob("folded")
    assert folded.stat().st_size < 500_000


def test_the_evidence_of_a_final_saga_is_one_file(tmp_path: Path) -> None:
    built = saga(tmp_path, chain(3, 2))
    built.run().chatty().exits(10)
    (folder,) = [path for path in (tmp_path / "state/sagactl/sagas.db.d").iterdir() if path.is_dir()]
    assert sorted(path.name for path in folder.iterdir()) == ["folded", "lock"]
    lines = [json.loads(line) for line in (folder / "folded").read_text().splitlines()]
    assert [line["attempt"] for line in lines] == ["0.action.1", "0.undo.1", "1.action.1", "1.undo.1", "2.action.1"]


@pytest.mark.parametrize("umask", [0o000, 0o022, 0o137])
def test_files_are_private_whatever_the_umask_and_commands_keep_the_users(tmp_path: Path, umask: int) -> None:
    """The saga rests unfinished, so that the evidence of its attempt is still there."""
    built = saga(tmp_path, "steps:\n  - {id: a, action: umask > mask; exit 1, undo: none, on_failure: pause}\n")
    built.umask(umask).run().chatty().file_after("mask", f"{umask:04o}\n").exits(12)
    for path in (tmp_path / "state/sagactl").rglob("*"):
        assert path.stat().st_mode & 0o777 == (0o700 if path.is_dir() else 0o600), path


def test_a_secret_in_the_name_of_an_output_is_masked(tmp_path: Path) -> None:
    built = saga(tmp_path, """
secrets: {TOKEN: {env: THE_TOKEN}}
steps:
  - {id: a, secrets: [TOKEN], action: 'touch "$SAGA_OUTPUT_DIR/got-$TOKEN"', undo: none}
""")
    done = built.env(THE_TOKEN="hunter2").run().stdout("t completed\n").stderr("wrote the output got-***").exits(0)
    assert "hunter2" not in done.stderr + built.again("events", "t").chatty().exits(0).stdout


def test_a_secret_with_a_nul_byte_is_an_error_before_anything_runs(tmp_path: Path) -> None:
    (tmp_path / "token").write_bytes(b"a\0b")
    saga(tmp_path, """
secrets: {TOKEN: {file: token}}
steps:
  - {id: a, secrets: [TOKEN], action: touch ran, undo: none}
""").run().stderr("secret TOKEN contains a NUL byte").file_after("ran", None).exits(3)


def test_what_a_command_names_cannot_forge_a_line(tmp_path: Path) -> None:
    done = saga(tmp_path, """
steps:
  - {id: a, action: 'touch "$SAGA_OUTPUT_DIR/x$(printf "\\nt escalated: call 555")"', undo: none}
""").run().stdout("t completed\n").stderr(r"output x\nt escalated: call 555, which").exits(0)
    assert "\nt escalated" not in done.stderr


def test_evidence_that_cannot_be_tidied_up_is_a_warning(tmp_path: Path) -> None:
    built = saga(tmp_path, """
steps:
  - {id: a, action: 'cd "$SAGA_OUTPUT_DIR"; for i in 1 2 3; do d=$(printf "d/%.0s" $(seq 500)); mkdir -p $d; cd $d; done', undo: none}
""")
    try:
        built.run().stdout("t completed\n").stderr("t has ended, but can't tidy up the evidence").exits(0)
        assert built.inspect()["state"] == "completed"
    finally:
        subprocess.run(["rm", "-rf", tmp_path / "state"], check=True)


@pytest.mark.parametrize(("streams", "code"), [
    ("2>&-", 0), (">&-", 141), ("> /dev/full", 7), ("2> /dev/full", 0), ("<&- >&- 2>&-", 141), ("-o jsonl > /dev/full", 7),
])
def test_streams_that_take_nothing_stop_no_saga(tmp_path: Path, streams: str, code: int) -> None:
    built = saga(tmp_path, "steps:\n  - {id: a, action: touch ran, undo: none}\n")
    line = f"exec {shlex.join(SAGACTL)} run saga.yaml --id t {streams}"
    done = subprocess.run(["sh", "-c", line], cwd=tmp_path, env=environment(tmp_path), timeout=30, check=False,
                          capture_output=True, text=True)
    assert (done.returncode, "raceback" in done.stderr) == (code, False)
    assert built.inspect()["state"] == "completed"


def test_too_few_descriptors_are_a_clear_error_and_the_saga_is_resumable(tmp_path: Path) -> None:
    codes = set()
    for limit in range(7, 16, 2):
        folder = tmp_path / str(limit)
        folder.mkdir()
        built = saga(folder, "steps:\n  - {id: a, action: touch ran, undo: none}\n")
        line = f"ulimit -n {limit}; exec {shlex.join(SAGACTL)} run saga.yaml --id t"
        done = subprocess.run(["sh", "-c", line], cwd=folder, env=environment(folder), timeout=30, check=False,
                              capture_output=True, text=True)
        codes.add(done.returncode)
        assert done.returncode in (0, 7), (limit, done.stderr)
        assert done.returncode == 0 or re.search(r"^sagactl: .*can't", done.stderr, re.MULTILINE), done.stderr
        built.run().chatty().file_after("ran", "").exits(0)
    assert codes == {0, 7}


def test_of_three_runs_with_one_id_at_once_one_works_and_two_say_that_it_is_held(tmp_path: Path) -> None:
    built = saga(tmp_path, "steps:\n  - {id: a, action: 'echo ran >> log; read go < go', undo: none}\n")
    built.fifo("go")
    processes = [built.start("run", "saga.yaml", "--id", "t", "-q") for _ in range(3)]
    codes: list[int | None] = []
    while len(codes) < 2:
        for process in [each for each in processes if each.poll() is not None]:
            codes.append(process.returncode)
            assert process.communicate()[0] == ""
            processes.remove(process)
    (tmp_path / "go").write_text("go\n")
    processes[0].communicate(timeout=30)
    assert (codes, processes[0].returncode) == ([6, 6], 0)
    assert (tmp_path / "log").read_text() == "ran\n"


def test_a_database_that_is_not_ours_gets_no_company(tmp_path: Path) -> None:
    (tmp_path / "other").write_text("not a database, and long enough to have a header of a hundred bytes" * 3)
    saga(tmp_path, "steps:\n  - {id: a, action: 'true', undo: none}\n").run("--db", "other").stderr("other").exits(7)
    assert not (tmp_path / "other.d").exists()


def test_json_parameters_are_read_as_json(tmp_path: Path) -> None:
    text = json.dumps({"x": "hi \U0001F600"})
    saga(tmp_path, """
params: {x: {type: string}}
steps:
  - {id: a, env: {X: "${params.x}"}, action: 'printf %s "$X" > got', undo: none}
""").file("p.json", text).run("--params-file", "p.json").chatty().file_after("got", "hi \U0001F600").exits(0)


def test_true_and_one_are_other_parameters(tmp_path: Path) -> None:
    built = saga(tmp_path, "params: {l: {type: array}}\nsteps:\n"
                 "  - {id: a, env: {L: '${params.l}'}, action: 'true', undo: none}\n")
    built.run("-p", "l=[true]").chatty().exits(0)
    built.run("-p", "l=[1]").stderr("other parameters").exits(5)


def test_nobody_at_stdin_is_no_bug(tmp_path: Path) -> None:
    for line, code in (("run -", 3), ("compensate x", 4), ("--version", 0)):
        done = subprocess.run(["sh", "-c", f"exec {shlex.join(SAGACTL)} {line} <&-"], cwd=tmp_path, timeout=30,
                              env=environment(tmp_path), check=False, capture_output=True, text=True)
        assert (done.returncode, "a bug in sagactl" in done.stderr) == (code, False), done.stderr


def test_secrets_are_masked_below_folders_and_what_can_not_be_masked_is_named(tmp_path: Path) -> None:
    built = saga(tmp_path, """
secrets: {TOKEN: {env: THE_TOKEN}}
steps:
  - id: a
    secrets: [TOKEN]
    action: |
      cd "$SAGA_OUTPUT_DIR"; mkdir .deep; echo $TOKEN > .deep/reply
      for i in $(seq 20); do mkdir .d; cd .d; done
      exit 1
    on_failure: pause
    undo: none
""")
    built.env(THE_TOKEN="hunter2").run().chatty().stderr("in which secrets could not be masked").exits(12)
    for path in (tmp_path / "state").rglob("*"):
        assert not path.is_file() or b"hunter2" not in path.read_bytes(), path
