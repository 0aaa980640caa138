"""Hostile definitions: only the documented error, within a second and 256 MB each, and nothing of them is ever run."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from tests.conftest import Torture
from tests.faults.hostile import FOLDER, STEP, corpus
from tests.faults.hostile.trial import MEMORY_BYTES_MAX
from tests.harness import ROOT, SAGACTL, TIMEOUT_S, environment, saga

PROCESSES = 2
CORPUS = corpus()


def trial(*args: object) -> subprocess.Popen[bytes]:
    """A process that tries definitions with little memory."""
    command = (sys.executable, "-m", "tests.faults.hostile.trial", *map(str, args))
    return subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE)


def told(process: subprocess.Popen[bytes]) -> Any:
    said, _ = process.communicate()
    assert process.returncode == 0, f"{process.args!r} ended with {process.returncode}"
    return json.loads(said)


def test_a_hostile_definition_is_only_refused_and_what_is_so_only_when_it_runs_is_valid() -> None:
    """In one test, for one process with little memory that says something of each definition of the corpus."""
    said = told(trial("corpus"))
    assert said.keys() == CORPUS.keys()
    assert {name: each for name, each in said.items() if each["wrong"] or CORPUS[name][0] not in each["said"]} == {}
    assert said["regex-bomb"]["said"] == ["valid"]
    assert said["regex-bomb"]["took_s"] < 0.1
    assert STEP in CORPUS["a megabyte of comment"][1]


def test_the_corpus_is_large_and_each_of_its_files_says_what_it_tries() -> None:
    files = sorted(FOLDER.glob("*.yaml"))
    assert len(files) >= 60
    assert all(b": " in path.read_bytes().splitlines()[0] for path in files)


@pytest.mark.torture
def test_mutated_definitions_are_only_refused_or_valid(torture: Torture) -> None:
    tried = torture.of(short=400, a_round=100_000)
    processes = [trial("mutated", torture.seed * PROCESSES + place, tried // PROCESSES) for place in range(PROCESSES)]
    results = [told(process) for process in processes]
    faults = [fault for result in results for fault in result["faults"]]
    assert not faults, faults[:3]
    assert sum(result["valid"] for result in results) > tried / 50  # else the mutations miss what comes after reading
    torture.report("mutated definitions", tried // PROCESSES * PROCESSES, {"wrong": len(faults)})


def test_the_command_refuses_all_files_of_the_corpus_and_runs_nothing(tmp_path: Path) -> None:
    before = sorted(FOLDER.iterdir())
    paths = [str(path) for path in sorted(FOLDER.glob("*.yaml"))]
    done = saga(tmp_path, "").args("validate", *paths).finished()
    assert done.code == 3
    assert "Traceback" not in done.stderr
    valid = {path for path in paths if CORPUS[Path(path).stem][0] == "valid"}
    assert {line.removesuffix(": valid") for line in done.stdout.splitlines()} == valid
    assert sorted(FOLDER.iterdir()) == before
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("name", ["a million brackets", "UTF-16", "NUL"])
def test_the_command_refuses_what_is_big_or_no_text(tmp_path: Path, name: str) -> None:
    (tmp_path / "f.yaml").write_bytes(CORPUS[name][1])
    saga(tmp_path, "").args("validate", "f.yaml").stderr(f"error[{CORPUS[name][0]}]").exits(3)


@pytest.mark.parametrize("file", ["/dev/zero", "large.yaml"])
def test_a_file_without_end_is_refused_at_once(tmp_path: Path, file: str) -> None:
    with (tmp_path / "large.yaml").open("wb") as large:
        large.truncate(1 << 40)
    limited = ["prlimit", f"--as={MEMORY_BYTES_MAX}", *SAGACTL, "validate", file]
    done = subprocess.run(limited, cwd=tmp_path, env=environment(tmp_path), capture_output=True, timeout=TIMEOUT_S, check=False)
    assert done.returncode == 3
    assert b"error[SG101]" in done.stderr


def test_a_pattern_that_takes_for_ever_is_ended_by_ctrl_c_with_nothing_begun(tmp_path: Path) -> None:
    built = saga(tmp_path, "params: {p: {type: string, pattern: '(a|a)*b'}}\nsteps: [{id: a, action: touch ran, undo: none}]")
    nowhere = subprocess.DEVNULL
    process = built.start("run", "saga.yaml", "--params-file", "-", stdin=subprocess.PIPE, stdout=nowhere, stderr=nowhere)
    assert process.stdin is not None
    with process.stdin as params:
        params.write("p: " + "a" * 4000)
    while (spent := spent_s(process.pid)) is not None and spent < 1.0:
        pass  # it is at work: nothing else takes a second
    process.send_signal(2)
    assert process.wait(timeout=TIMEOUT_S) == 130
    assert not (tmp_path / "ran").exists()
    built.again("list").stderr("no sagas yet").exits(0)


def spent_s(pid: int) -> float | None:
    """How long a process has used the processor; None when it is gone."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return None if fields[0] in "ZX" else (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")
