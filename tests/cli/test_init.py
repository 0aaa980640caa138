"""`sagactl init`: a first definition that validates, runs, shows a failure, and that editors understand."""

from __future__ import annotations

import re
import stat
from pathlib import Path

import pytest

from tests.harness import ROOT, Saga

SCHEMA = ROOT / "sagactl/definition/schema.json"


def made(folder: Path, name: str = "saga.yaml") -> Saga:
    """A folder in which `sagactl init` has written its definition."""
    built = Saga(folder, "")
    built.args("init", name).stdout(f"{name}\n").stderr(f"run it: sagactl run {name}").exits(0)
    return built


def letters(folder: Path) -> list[str]:
    return sorted(path.read_text() for path in folder.glob("letter-*"))


def test_what_it_writes_is_valid_runs_and_is_taken_back_on_demand(tmp_path: Path) -> None:
    built = made(tmp_path)
    built.args("validate", "--strict", "saga.yaml").stdout("saga.yaml: valid\n").stderr("").exits(0)
    built.args("run", "saga.yaml", "--id", "t").chatty().exits(0)
    assert letters(tmp_path) == ["Hello, world!\n"]
    built.args("compensate", "t", "--yes").chatty().exits(0)
    assert letters(tmp_path) == []


def test_its_documented_change_fails_and_leaves_nothing(tmp_path: Path) -> None:
    built = made(tmp_path)
    command = re.search(r"sagactl (run saga\.yaml -p \S+)", (tmp_path / "saga.yaml").read_text())
    assert command
    built.args(*command[1].split()).chatty().exits(10)
    assert letters(tmp_path) == []


def test_every_command_that_it_shows_names_the_file_that_was_written(tmp_path: Path) -> None:
    made(tmp_path, "my.yaml")
    text = (tmp_path / "my.yaml").read_text()
    assert "saga.yaml" not in text
    assert text.count("my.yaml") >= 4


def test_the_modeline_points_to_the_schema_that_is_written_beside_it(tmp_path: Path) -> None:
    (tmp_path / "sub").mkdir()
    made(tmp_path, "sub/saga.yaml")
    modeline = (tmp_path / "sub/saga.yaml").read_text().splitlines()[0]
    target = re.fullmatch(r"# yaml-language-server: \$schema=(\./\S+)", modeline)
    assert target
    assert (tmp_path / "sub" / target[1]).read_text() == SCHEMA.read_text()


def test_nothing_is_overwritten(tmp_path: Path) -> None:
    built = Saga(tmp_path, "").file("saga.yaml", "mine")
    built.args("init").stderr("saga.yaml exists already; nothing was written").file_after("saga.yaml", "mine").exits(5)
    assert not (tmp_path / "saga-v1.schema.json").exists()
    (tmp_path / "link.yaml").symlink_to("nowhere")
    built.args("init", "link.yaml").stderr("exists already").file_after("nowhere", None).exits(5)
    built.file("saga-v1.schema.json", "{}").args("init", "new.yaml").stdout("new.yaml\n")
    built.stderr("saga-v1.schema.json exists already and is of another version").file_after("saga-v1.schema.json", "{}").exits(0)


@pytest.mark.parametrize(("umask", "mode"), [(0o022, 0o644), (0o077, 0o600)])
def test_its_files_have_the_rights_of_the_user_s_own(tmp_path: Path, umask: int, mode: int) -> None:
    Saga(tmp_path, "").umask(umask).args("init").chatty().exits(0)
    assert {stat.S_IMODE(path.stat().st_mode) for path in tmp_path.iterdir()} == {mode}


def test_a_folder_that_is_not_there_is_not_found(tmp_path: Path) -> None:
    Saga(tmp_path, "").args("init", "none/saga.yaml").stderr("there is no folder none").exits(4)


def test_to_stdout_it_writes_no_file(tmp_path: Path) -> None:
    shown = Saga(tmp_path, "").args("init", "-").stdout(re.compile(r".*", re.DOTALL)).stderr("sagactl schema > ").exits(0)
    assert shown.stdout == (ROOT / "sagactl/cli/starter.yaml").read_text()
    assert list(tmp_path.iterdir()) == []
