"""What README shows of scripts, and its recorded session: all of it runs as it stands there."""

from __future__ import annotations

import os
import re
import shlex
import shutil
import subprocess
from contextlib import suppress
from pathlib import Path

import pytest
import yaml

from sagactl.cli import wiring
from sagactl.errors import SagactlError
from tests.generated import README
from tests.harness import ROOT, SAGACTL, Saga, copied, environment, saga

ORDER = """
saga: order
params:
  order: {type: string, default: "0"}
env: {ORDER: "${params.order}"}
steps: [{id: a, action: 'test "$ORDER" != 13', undo: none}]
"""


def blocks(language: str) -> list[str]:
    return re.findall(rf"```{language}\n(.*?)```", README.read_text(), re.DOTALL)


def two_orders(folder: Path) -> None:
    """A folder with a `sagactl` to call, a definition, and two sagas of it."""
    built = saga(folder, "").file("order.yaml", ORDER).file("orders.jsonl", '{"order": "7"}\n{"order": "8"}\n')
    bin_folder = folder / "bin"
    bin_folder.mkdir()
    (bin_folder / "sagactl").write_text(f'#!/bin/sh\nexec {" ".join(SAGACTL)} "$@"\n')
    (bin_folder / "sagactl").chmod(0o755)
    for name in ("order-1", "order-2"):
        built.args("run", "order.yaml", "--id", name).chatty().exits(0)


@pytest.fixture
def shell(tmp_path: Path) -> Saga:
    return copied(tmp_path, two_orders)


def run(built: Saga, script: str, **variables: str) -> subprocess.CompletedProcess[str]:
    env = environment(built.folder) | variables
    env["PATH"] = f"{built.folder / 'bin'}:{os.environ['PATH']}"
    return subprocess.run(["bash", "-uc", script], cwd=built.folder, env=env, capture_output=True, text=True, check=False)


@pytest.mark.parametrize(("order", "said"), [
    ("1", "order 1 is on its way"), ("9", "order 9 is on its way"), ("13", "order 13 failed and was taken back"),
])  # fmt: skip
def test_a_script_goes_by_the_exit_code(shell: Saga, order: str, said: str) -> None:
    script = blocks("bash")[0].replace("run order.yaml", 'run order.yaml -p order="$ORDER"') if order == "13" else blocks("bash")[0]
    done = run(shell, script, ORDER=order)
    assert said in done.stdout, done.stderr


@pytest.mark.skipif(shutil.which("jq") is None, reason="there is no jq")
def test_a_script_reads_ids_and_json(shell: Saga) -> None:
    done = run(shell, blocks("bash")[1])
    first, second, third, last = done.stdout.splitlines()
    assert (first, second, third) == ("completed", "action_started", "action_succeeded")
    assert re.fullmatch(r"\d{4}-\d\d-\d\dT[\d:.]+Z", last)
    assert "exit_error" not in done.stderr


def test_a_script_goes_on_waits_and_puts_away(shell: Saga) -> None:
    done = run(shell, f"set -e\n{blocks('bash')[2]}")
    assert done.returncode == 0, done.stderr
    assert {"order-1 completed", "order-2 completed", "7 completed", "8 completed"} <= {*done.stdout.splitlines()}
    assert "stdin names no sagas: there is nothing to do" in done.stderr
    assert "somebody has to look" not in done.stdout
    shell.again("list", "-q").stdout("8\n7\norder-2\norder-1\n").exits(0)


def test_the_recorded_session_is_what_is_said_now(tmp_path: Path) -> None:
    (session,) = re.findall(r"<!-- session -->\n```console\n(.*?)```", README.read_text(), re.DOTALL)
    first, second = re.findall(r"^\$ (.*)\n((?:(?!\$ ).*\n)*)", session, re.MULTILINE)
    done = Saga(ROOT, "").args(*first[0].split()[1:]).env(XDG_STATE_HOME=str(tmp_path)).chatty().exits(10)
    assert vague(done.stderr) == vague(first[1])
    env = environment(tmp_path) | {"XDG_STATE_HOME": str(tmp_path)}
    shown = subprocess.run(second[0].split(), cwd=ROOT, env=env, capture_output=True, text=True, check=True).stdout
    assert vague(shown) == vague(second[1])


def vague(text: str) -> str:
    """Without times, pids and made-up ids."""
    return re.sub(r"\d\d:\d\d:\d\dZ|\d+\.\ds|C-[0-9a-f]+|(?<=pid )\d+|(?<=process )\d+", "*", text)


def test_the_recorded_kill_and_escalation_are_what_is_said_now(tmp_path: Path) -> None:
    (session,) = re.findall(r"<!-- wrong -->\n```console\n(.*?)```", README.read_text(), re.DOTALL)
    first, second, *others = re.findall(r"^\$ (.*)\n((?:(?!\$ ).*\n)*)", session, re.MULTILINE)
    assert (first[0][-2:], second[0], first[1] + second[1]) == (" &", "sleep 2; kill -9 $!", "")
    killed_at_work(shlex.split(first[0])[1:-1], "order-2", "ship", tmp_path)
    if shutil.which("jq"):
        (rows, wanted), = re.findall(r"`sagactl (list -o jsonl) \| jq -r '([^']+)'`", README.read_text())
        assert subprocess.check_output(("jq", "-r", wanted), input=typed(rows, tmp_path), text=True) == "order-2\n"
    for command, said in others:
        more = f" -p folder={tmp_path}" * ("manual.yaml" in command)
        assert vague(typed(command.removeprefix("sagactl ") + more, tmp_path)) == vague(said)


def killed_at_work(args: list[str], saga_id: str, step: str, state: Path) -> None:
    """Start a saga and kill what drives it while the command of a step runs."""
    env = environment(state) | {"XDG_STATE_HOME": str(state)}
    with subprocess.Popen((*SAGACTL, *args), cwd=ROOT, env=env, start_new_session=True) as running:
        while not at_work(state / "sagactl" / "sagas.db", saga_id, step):
            assert running.poll() is None
        running.kill()


def at_work(database: Path, saga_id: str, step: str) -> bool:
    """Whether a command of the step runs. Without a database or such a saga none does."""
    with suppress(SagactlError):
        reader = wiring.reader(database)
        return reader is not None and bool(wiring.left_behind(reader.load(saga_id), step))
    return False


def typed(args: str, state: Path) -> str:
    """What a terminal shows of a command."""
    env = environment(state) | {"XDG_STATE_HOME": str(state)}
    return subprocess.run((*SAGACTL, *shlex.split(args)), cwd=ROOT, env=env, text=True, check=False,
                          stdout=subprocess.PIPE, stderr=subprocess.STDOUT).stdout


PROGRAMS = {
    "make": 'mkdir "$1"; touch "$1/one"; [ "$HALF" != build ] && touch "$1/two"',
    "rsync": 'to="$WWW${3#www:}"; mkdir -p "$to"; cp "$2/one" "$to"; [ "$HALF" != upload ] && cp "$2/two" "$to"',
    "ssh": """shift; sh -c "$(printf '%s' "$*" | sed "s#/srv/#$WWW/srv/#g")" """,
}
"""What the example calls, for one machine: its server is the folder $WWW. $HALF names who fails half way."""


@pytest.fixture
def releases(shell: Saga) -> Path:
    """Where the example publishes, with one release: below the folder `www` of the shell."""
    found = shell.folder / "www" / "srv" / "releases"
    (found / "0.9").mkdir(parents=True)
    for name, text in PROGRAMS.items():
        (shell.folder / "bin" / name).write_text(f"#!/bin/sh\n{text}\n")
        (shell.folder / "bin" / name).chmod(0o755)
    shell.file("publish.yaml", blocks("yaml")[0].replace("retry_delay: 5s", "retry_delay: 0s")).file("announce.sh", "#!/bin/sh\n")
    return found


@pytest.mark.parametrize(("half", "code", "uploaded"), [("", 0, ["0.9", "1.0"]), ("build", 10, ["0.9"]), ("upload", 10, ["0.9"])])
def test_what_is_published_is_taken_back_and_nothing_else(
    shell: Saga, releases: Path, half: str, code: int, uploaded: list[str],
) -> None:
    kept = {each.name for each in shell.folder.iterdir()}
    variables = {"WWW": str(shell.folder / "www"), "HALF": half}
    done = run(shell, "sagactl run publish.yaml -p version=1.0 --id p", **variables)
    assert (done.returncode, sorted(each.name for each in releases.iterdir())) == (code, uploaded), done.stderr
    assert half == "" or f"turning back: failure: {half}" in done.stderr
    assert run(shell, "sagactl compensate p --yes", **variables).returncode == 0
    assert [each.name for each in releases.iterdir()] == ["0.9"]
    assert {each.name for each in shell.folder.iterdir()} == kept


def test_what_is_published_is_valid_and_neither_takes_the_place_of_another_nor_lands_elsewhere(shell: Saga, releases: Path) -> None:
    kept = {each.name for each in shell.folder.iterdir()}
    variables = {"WWW": str(shell.folder / "www"), "HALF": ""}
    assert run(shell, "sagactl validate --strict publish.yaml").returncode == 0
    again = run(shell, "sagactl run publish.yaml -p version=0.9", **variables)
    assert "free: exit 1" in again.stderr
    assert run(shell, "sagactl run publish.yaml -p version=..", **variables).returncode == 3
    assert [each.name for each in releases.iterdir()] == ["0.9"]
    assert {each.name for each in shell.folder.iterdir()} == kept


def test_the_crontab_has_commands_that_run(shell: Saga) -> None:
    path, line = [line for line in blocks("crontab")[0].splitlines() if not line.startswith("#")]
    assert path.startswith("PATH=/")
    found = re.fullmatch(r"((?:[\d*/,-]+ ){5})\s*(.+)", line)
    assert found
    assert run(shell, found[2]).returncode == 0
    shell.file("fails.yaml", "saga: f\nsteps: [{id: a, action: 'true'}, {id: b, action: 'false', undo: none}]\n")
    shell.args("run", "fails.yaml", "--id", "f").chatty().exits(11)
    done = run(shell, found[2])
    assert (done.returncode, done.stdout) == (11, "f\n")  # cron mails what is printed
    shell.file("pauses.yaml", "saga: p\nsteps: [{id: a, action: 'false', on_failure: pause, undo: none}]\n")
    shell.args("run", "pauses.yaml", "--id", "p").chatty().exits(12)
    assert sorted(run(shell, found[2]).stdout.split()) == ["f", "p"]


@pytest.mark.skipif(shutil.which("systemd-analyze") is None, reason="there is no systemd")
def test_the_unit_is_one_that_systemd_takes(tmp_path: Path) -> None:
    unit = tmp_path / "sagactl-resume.service"
    unit.write_text(blocks("ini")[0].replace("/usr/local/bin/sagactl", "/bin/true").replace("User=orders", "User=root"))
    done = subprocess.run(["systemd-analyze", "verify", "--man=no", str(unit)], capture_output=True, text=True, check=False)
    ours = [line for line in done.stderr.splitlines() if unit.name in line]
    assert ours == []


def test_the_unit_keeps_its_state_where_systemd_says(tmp_path: Path) -> None:
    folder = tmp_path / "var"
    folder.mkdir(mode=0o700)
    built = saga(tmp_path, ORDER).env(STATE_DIRECTORY=str(folder))
    built.args("run", "saga.yaml", "--id", "t").chatty().exits(0)
    assert (folder / "sagas.db").exists()
    command = re.search(r"^ExecStart=\S+ (.*)$", blocks("ini")[0], re.MULTILINE)
    assert command
    built.args(*command[1].split()).stderr("nothing to resume").exits(0)


def test_the_workflow_is_one_and_its_commands_run(shell: Saga) -> None:
    flow = yaml.safe_load(blocks("yml")[0])
    commands = [step["run"] for step in flow["jobs"]["deploy"]["steps"] if "run" in step]
    shell.file("deploy.yaml", ORDER)
    done = [run(shell, command, GITHUB_ACTIONS="true", GITHUB_RUN_ID="5", GITHUB_RUN_ATTEMPT="1") for command in commands]
    assert [each.returncode for each in done] == [0, 0, 0], done
    assert done[2].stdout == "deploy-5-1 completed\n"
