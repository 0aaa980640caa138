"""`sagactl validate` and `sagactl explain` as people, editors and workflows see them."""

from __future__ import annotations

import json
import os
import re
from pathlib import Path

import pytest

from sagactl.cli.explain import NEXT
from sagactl.definition.codes import CODES
from sagactl.errors import EXIT_CODES
from tests.harness import Saga, saga

GOOD = "saga: good\nsteps:\n  - {id: a, action: [./a], undo: none}\n"
WRONG = "saga: wrong\nsteps:\n  - {id: a, action: [./a], undo: none}\n  - {id: a, action: [./a], udno: none}\n"
WARNED = "saga: warned\nsteps:\n  - {id: a, action: [./a]}\n"
CONCISE = """\
wrong.yaml:4:10: error[SG301]: `a` is the id of two steps
wrong.yaml:4:28: error[SG201]: unknown field `udno`
warned.yaml:3:6: warning[SG501]: `a` has no `undo`
"""
GITHUB = """\
::error file=wrong.yaml,line=4,endLine=4,col=10,endColumn=11,title=SG301::`a` is the id of two steps%0Ahelp: ids are \
unique: rename one of the two
::error file=wrong.yaml,line=4,endLine=4,col=28,endColumn=32,title=SG201::unknown field `udno`%0Ahelp: did you mean \
`undo`?
::warning file=warned.yaml,line=3,endLine=3,col=6,endColumn=8,title=SG501::`a` has no `undo`%0Ahelp: write `undo: none` \
where there is nothing to undo; else a saga that has to undo it escalates
"""


def validate(folder: Path, *args: str) -> Saga:
    built = Saga(folder, "").file("good.yaml", GOOD).file("wrong.yaml", WRONG).file("warned.yaml", WARNED)
    kept = {"GITHUB_ACTIONS": "", "SAGACTL_OUTPUT": ""}
    return built.env(**{name: value for name, value in kept.items() if name in os.environ}).args("validate", *args)


def test_all_problems_of_all_files_come_in_one_go_and_the_worst_decides(tmp_path: Path) -> None:
    done = validate(tmp_path, "wrong.yaml", "good.yaml", "warned.yaml", "wrong.yaml", "gone.yaml").stdout(
        "good.yaml: valid\nwarned.yaml: valid\n").stderr("gone.yaml").exits(3)
    assert re.findall(r"\[(SG\d+)\]", done.stderr) == ["SG301", "SG201", "SG501"]
    assert "--> wrong.yaml:4:28" in done.stderr
    assert "2 errors and 1 warning; `sagactl explain SG301` explains a code" in done.stderr


def test_a_concise_line_is_for_editors(tmp_path: Path) -> None:
    validate(tmp_path, "-o", "concise", "wrong.yaml", "good.yaml", "warned.yaml").stdout(CONCISE).exits(3)


def test_a_workflow_command_is_for_github(tmp_path: Path) -> None:
    files = ("wrong.yaml", "good.yaml", "warned.yaml")
    validate(tmp_path, "-o", "github", *files).stdout(GITHUB).exits(3)
    validate(tmp_path, *files).env(GITHUB_ACTIONS="true").stdout(GITHUB).exits(3)
    validate(tmp_path, *files).env(GITHUB_ACTIONS="true", SAGACTL_OUTPUT="concise").stdout(CONCISE).exits(3)
    for command in ("run", "plan"):  # their results are for others: beside the form for people, on stderr
        saga(tmp_path, "").args(command, files[0]).env(GITHUB_ACTIONS="true").stderr(GITHUB.splitlines()[0]).exits(3)


def test_a_workflow_command_is_escaped(tmp_path: Path) -> None:
    name = "a,b%:c.yaml"
    done = Saga(tmp_path, "").file(name, 'saga: s\n"x%\\n::error::y": 1\nsteps: []\n').args(
        "validate", "-o", "github", name).stdout(re.compile("(?s)::error.*")).exits(3)
    assert done.stdout.count("\n") == done.stdout.count("::error file=a%2Cb%25%3Ac.yaml,line=") == 2
    assert "x%25 ::error::y" in done.stdout


def test_json_is_one_object_and_jsonl_one_a_line(tmp_path: Path) -> None:
    found = validate(tmp_path, "--json", "wrong.yaml", "warned.yaml").stdout(re.compile(r"\{.*\}\n")).exits(3).json
    assert found["schema"] == 1
    assert found["diagnostics"][0] == {
        "code": "SG301", "severity": "error", "file": "wrong.yaml", "line": 4, "column": 10, "end_line": 4,
        "end_column": 11, "message": "`a` is the id of two steps", "help": "ids are unique: rename one of the two",
        "related": [{"line": 3, "column": 10, "end_line": 3, "end_column": 11, "message": "first here"}],
    }
    lines = validate(tmp_path, "-o", "jsonl", "wrong.yaml", "warned.yaml").stdout(re.compile(r"(?s)\{.*\}\n")).exits(3).stdout
    assert [json.loads(line) for line in lines.splitlines()] == [{"schema": 1, **each} for each in found["diagnostics"]]
    empty = validate(tmp_path, "-o", "json", "good.yaml").stdout(re.compile(r"\{.*\}\n")).exits(0).json
    assert empty == {"schema": 1, "diagnostics": []}


def test_a_warning_is_switched_off_by_its_code(tmp_path: Path) -> None:
    validate(tmp_path, "--strict", "warned.yaml").stderr("SG501").exits(3)
    validate(tmp_path, "--strict", "--ignore", "SG502, sg501", "warned.yaml").stdout("warned.yaml: valid\n").exits(0)
    validate(tmp_path, "--ignore", "SG502", "--ignore", "SG501", "warned.yaml").stdout("warned.yaml: valid\n").exits(0)


@pytest.mark.parametrize("code", ["SG201", "SG599", "all"])
def test_only_a_warning_can_be_switched_off(code: str, tmp_path: Path) -> None:
    done = validate(tmp_path, "--ignore", code, "wrong.yaml").stderr("--ignore").exits(2)
    assert all(each in done.stderr for each in CODES if each.startswith("SG5"))


def test_an_unknown_form_is_a_usage_error_that_names_the_known_ones(tmp_path: Path) -> None:
    validate(tmp_path, "-o", "xml", "good.yaml").stderr("one of human, json, jsonl, concise, github").exits(2)
    validate(tmp_path, "good.yaml").env(SAGACTL_OUTPUT="xml").stderr("$SAGACTL_OUTPUT xml: one of human").exits(2)


def test_a_definition_is_read_from_stdin_and_a_folder_is_not_found(tmp_path: Path) -> None:
    validate(tmp_path, "-").stdin(GOOD).stdout("<stdin>: valid\n").exits(0)
    validate(tmp_path, "-o", "concise", "-").stdin(WARNED).stdout("<stdin>:3:6: warning[SG501]: `a` has no `undo`\n").exits(0)
    validate(tmp_path, ".").stderr("is a folder").exits(4)


def test_a_code_is_explained_with_what_is_wrong_and_what_is_right(tmp_path: Path) -> None:
    done = Saga(tmp_path, "").args("explain", "sg201").stdout(re.compile(r"(?s)SG201 \(error\): a field is unknown\n.*")).exits(0)
    assert "Wrong:" in done.stdout
    assert "Right:" in done.stdout
    done = Saga(tmp_path, "").args("explain", "SG501").stdout(re.compile(r"(?s)SG501 \(warning\).*")).exits(0)
    assert "--ignore SG501" in done.stdout


@pytest.mark.parametrize(("word", "codes"), [("11", [11]), ("escalated", [11]), ("Signal", [129, 130, 143])])
def test_an_exit_code_is_explained_by_its_number_and_by_its_name(word: str, codes: list[int], tmp_path: Path) -> None:
    expected = "".join(f"exit code {code}, {EXIT_CODES[code][0]}: {EXIT_CODES[code][1]}\n  {NEXT[code]}\n" for code in codes)
    Saga(tmp_path, "").args("explain", word).stdout(expected).exits(0)


def test_without_a_code_all_are_listed(tmp_path: Path) -> None:
    done = Saga(tmp_path, "").args("explain").stdout(re.compile("(?s)diagnostics\n.*")).stderr("sagactl explain CODE").exits(0)
    assert all(f"{code}  {meaning}\n" in done.stdout for code, meaning in CODES.items())
    assert all(re.search(rf"^{code} +{name}: ", done.stdout, re.MULTILINE) for code, (name, _) in EXIT_CODES.items())


@pytest.mark.parametrize(("word", "hint"), [("escalatd", "did you mean `escalated`?"), ("zzz", "lists them all")])
def test_an_unknown_code_is_not_found(word: str, hint: str, tmp_path: Path) -> None:
    Saga(tmp_path, "").args("explain", word).stderr(hint).exits(4)


def test_strict_warnings_are_errors_in_every_form(tmp_path: Path) -> None:
    assert "error[SG501]" in validate(tmp_path, "--strict", "warned.yaml").chatty().exits(3).stderr
    assert "error[SG501]" in validate(tmp_path, "--strict", "-o", "concise", "warned.yaml").chatty().exits(3).stdout
    said = validate(tmp_path, "--strict", "--json", "warned.yaml").chatty().exits(3).json["diagnostics"]
    assert [each["severity"] for each in said] == ["error"]


def test_what_comes_from_stdin_is_called_so_by_every_command(tmp_path: Path) -> None:
    for command in ("validate", "run", "plan"):
        assert "<stdin>:2:" in Saga(tmp_path, "").args(command, "-").stdin("saga: s\nstps: []\n").chatty().exits(3).stderr
