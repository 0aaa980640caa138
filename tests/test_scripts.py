"""What README shows of scripts, and its recorded session: all of it runs as it stands there."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
from pathlib import Path

import pytest
import yaml

from tests.generated import README
from tests.harness import ROOT, SAGACTL, Saga, environment, saga

ORDER = """
saga: order
params:
  order: {type: string, default: "0"}
env: {ORDER: "${params.order}"}
steps: [{id: a, action: 'test "$ORDER" != 13', undo: none}]
"""


def blocks(language: str) -> list[str]:
    return re.findall(rf"```{language}\n(.*?)```", README.read_text(), re.DOTALL)


@pytest.fixture
def shell(tmp_path: Path) -> Saga:
    """A folder with a `sagactl` to call, a definition, and two sagas of it."""
    built = saga(tmp_path, "").file("order.yaml", ORDER).file("orders.jsonl", '{"order": "7"}\n{"order": "8"}\n')
    bin_folder = tmp_path / "bin"
    bin_folder.mkdir()
    (bin_folder / "sagactl").write_text(f'#!/bin/sh\nexec {" ".join(SAGACTL)} "$@"\n')
    (bin_folder / "sagactl").chmod(0o755)
    for name in ("order-1", "order-2"):
        built.args("run", "order.yaml", "--id", name).chatty().exits(0)
    return built


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
    """Without times and made-up ids."""
    return re.sub(r"\d\d:\d\d:\d\dZ|\d+\.\ds|C-[0-9a-f]+", "*", text)


def test_the_crontab_has_commands_that_run(shell: Saga) -> None:
    (line,) = [line for line in blocks("crontab")[0].splitlines() if not line.startswith("#")]
    found = re.fullmatch(r"((?:[\d*/,-]+ ){5})\s*(.+)", line)
    assert found
    assert run(shell, found[2]).returncode == 0
    shell.file("fails.yaml", "saga: f\nsteps: [{id: a, action: 'true'}, {id: b, action: 'false', undo: none}]\n")
    shell.args("run", "fails.yaml", "--id", "f").chatty().exits(11)
    done = run(shell, found[2])
    assert (done.returncode, done.stdout) == (11, "f\n")  # cron mails what is printed


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
    assert [each.returncode for each in done] == [0, 0], done
    assert done[1].stdout == "deploy-5-1 completed\n"
