"""The options of every command: on both sides of its name, against the environment, and what each does."""

from __future__ import annotations

import json
import os
import re
import subprocess
from pathlib import Path

import pytest

from sagactl.cli.commands import COMMANDS, Command
from sagactl.cli.options import Form
from tests.harness import ROOT, SAGACTL, Saga, completed, copied, environment, saga

QUICK = 'steps: [{id: a, action: ["true"], undo: none}]'
FAILING = 'steps: [{id: a, action: "echo no >&2; exit 3", undo: none}]'
RED, DIM = "\x1b[31m", "\x1b[2m"


@pytest.fixture
def built(tmp_path: Path) -> Saga:
    """A folder with one completed saga, `t`, for commands that run nothing of it."""
    return copied(tmp_path, completed)


SIDES = [
    (("-q",), "t\n"), (("-o", "jsonl"), '{"schema":1,"id":"t"'), (("--json",), '[{"schema":1,"id":"t"'),
    (("--color", "always"), DIM), (("--db", "other.db"), ""),
]


@pytest.mark.parametrize(("option", "shown"), SIDES)
def test_a_common_option_does_the_same_before_and_after_the_command(built: Saga, option: tuple[str, ...], shown: str) -> None:
    before = built.again(*option, "list").chatty().exits(0).stdout
    after = built.again("list", *option).chatty().exits(0).stdout
    assert re.sub(r"\d+\w ago", "", before) == re.sub(r"\d+\w ago", "", after)
    assert before.startswith(shown)
    assert before != built.again("list").chatty().exits(0).stdout


def test_what_stands_after_the_command_wins_over_before_and_both_over_the_environment(built: Saga) -> None:
    def listed(*args: str, **env: str) -> str:
        return built.again(*args).env(**env).chatty().exits(0).stdout[:2]

    assert listed("list", SAGACTL_OUTPUT="json") == "[{"
    assert listed("-o", "jsonl", "list", SAGACTL_OUTPUT="json") == '{"'
    assert listed("-o", "json", "list", "-o", "human", SAGACTL_OUTPUT="json") == "ID"
    assert listed("list", SAGACTL_DB="none.db") == ""
    assert listed("--db", "state/sagactl/sagas.db", "list", SAGACTL_DB="none.db") == "ID"
    assert listed("-q", "list", SAGACTL_OUTPUT="json") == "t\n"


@pytest.mark.parametrize(("args", "env", "said"), [
    (("list", "-o", "xml"), {}, "-o xml: one of human, json, jsonl"),
    (("list", "-o", "github"), {}, "-o github: one of human, json, jsonl"),
    (("list",), {"SAGACTL_OUTPUT": "xml"}, "$SAGACTL_OUTPUT xml: one of"),
    (("--color", "red", "list"), {}, "--color red: one of auto, always, never"),
    (("list",), {"SAGACTL_COLOR": "red"}, "$SAGACTL_COLOR red: one of"),
    (("list", "--progress", "dots"), {}, "--progress dots: one of auto, live, plain, none"),
    (("list",), {"SAGACTL_PROGRESS": "dots"}, "$SAGACTL_PROGRESS dots: one of"),
    (("list", "-q", "--json"), {}, "-q prints ids alone"),
    (("list", "--json", "-o", "jsonl"), {}, "--json is -o json"),
])  # fmt: skip
def test_a_value_that_there_is_not_is_told_with_where_it_came_from(
    built: Saga, args: tuple[str, ...], env: dict[str, str], said: str,
) -> None:
    built.again(*args).env(**env).stderr(f"sagactl: {said}").exits(2)


def test_verbose_says_which_database_and_the_commands_as_they_run(tmp_path: Path) -> None:
    built = saga(tmp_path, QUICK)
    said = built.run("-v").chatty().exits(0).stderr
    assert re.match(rf"sagactl \S+, database {re.escape(str(tmp_path))}/state/sagactl/sagas\.db \(\$XDG_STATE_HOME\)\n", said)
    assert re.search(r"a: action started: true\n", said)
    assert "started: true" not in saga(tmp_path, "").args("run", "saga.yaml").chatty().exits(0).stderr


@pytest.mark.parametrize(("how", "lines"), [("plain", 3), ("none", 1)])
def test_progress_is_a_line_for_each_change_or_nothing_but_the_end(tmp_path: Path, how: str, lines: int) -> None:
    built = saga(tmp_path, QUICK)
    done = built.run("--progress", how).stdout("t completed\n").chatty().exits(0)
    assert done.stderr.count("\n") == lines
    assert built.again("run", "saga.yaml").env(SAGACTL_PROGRESS=how).chatty().exits(0).stderr.count("\n") == lines


def test_json_lines_are_progress_enough_unless_more_is_asked_for(tmp_path: Path) -> None:
    built = saga(tmp_path, QUICK)
    assert built.run("-o", "jsonl").chatty().exits(0).stderr == ""
    asked = built.again("run", "saga.yaml", "-o", "jsonl", "--progress", "plain").chatty().exits(0)
    assert "a: action started" in asked.stderr
    assert all(json.loads(line)["schema"] == 1 for line in asked.stdout.splitlines())


@pytest.mark.parametrize(("env", "args", "colored"), [
    ({}, (), False), ({"FORCE_COLOR": "1"}, (), True), ({"FORCE_COLOR": "0"}, (), False),
    ({"FORCE_COLOR": "1", "NO_COLOR": "1"}, (), False), ({"NO_COLOR": "1"}, ("--color", "always"), True),
    ({"FORCE_COLOR": "1"}, ("--color", "never"), False), ({"SAGACTL_COLOR": "always"}, (), True),
    ({"SAGACTL_COLOR": "always"}, ("--color", "never"), False),
])  # fmt: skip
def test_a_pipe_has_colours_only_where_somebody_wants_them(
    built: Saga, env: dict[str, str], args: tuple[str, ...], colored: bool,  # noqa: FBT001
) -> None:
    listed = built.again("list", *args).env(**env).chatty().exits(0)
    failed = built.again("inspect", "none", *args).env(**env).chatty().exits(4)
    assert ((DIM in listed.stdout), (RED in failed.stderr)) == (colored, colored)
    assert "\x1b" not in built.again("list", "--json", *args).env(**env).chatty().exits(0).stdout


@pytest.mark.parametrize(("args", "code", "name"), [
    (("inspect", "none"), 4, "not_found"), (("list", "--state", "x"), 2, "usage"), (("lisst",), 2, "usage"),
    (("list", "--limit", "many"), 2, "usage"), (("run", "wrong.yaml"), 3, "invalid"), (("--color", "x", "list"), 2, "usage"),
    (("compensate", "t"), 2, "usage"), (("run", "saga.yaml", "--id", "t", "-p", "x=1"), 3, "invalid"),
])  # fmt: skip
def test_for_machines_the_last_line_of_stderr_is_the_error(built: Saga, args: tuple[str, ...], code: int, name: str) -> None:
    built.file("wrong.yaml", "saga: [")
    done = built.again("-o", "json", *args).chatty().exits(code)
    last = json.loads(done.stderr.splitlines()[-1])
    assert (last["type"], last["schema"], last["code"], last["error"]) == ("exit_error", 1, code, name)
    assert last["message"]
    assert last["message"].splitlines()[0] in done.stderr


@pytest.mark.parametrize(("args", "code"), [(("inspect", "none"), 4), (("lisst",), 2), (("run", "wrong.yaml"), 3)])
def test_the_error_is_the_same_for_each_form_of_machines_and_people_get_none(
    built: Saga, args: tuple[str, ...], code: int,
) -> None:
    built.file("wrong.yaml", "saga: [")
    told = [built.again(*form, *args).chatty().exits(code).stderr.splitlines() for form in ((), ("--json",), ("-o", "jsonl"))]
    assert told[1] == told[2] == [*told[0], told[1][-1]]
    assert json.loads(told[1][-1])["type"] == "exit_error"


def test_the_form_of_an_error_is_that_of_the_environment_too(built: Saga) -> None:
    said = built.again("list", "--no-such").env(SAGACTL_OUTPUT="jsonl").chatty().exits(2).stderr
    assert json.loads(said.splitlines()[-1])["error"] == "usage"


def test_one_run_is_an_object_in_json_and_several_resumes_an_array(tmp_path: Path) -> None:
    built = saga(tmp_path, FAILING.replace("undo: none", "undo: none, on_failure: pause"))
    assert built.run("--json").chatty().exits(12).json["state"] == "paused"
    built.again("run", "saga.yaml", "--id", "u").chatty().exits(12)
    assert {each["id"] for each in built.again("resume", "t", "u", "--json").chatty().exits(12).json} == {"t", "u"}
    assert [each["state"] for each in built.again("compensate", "t", "--yes", "--json").chatty().exits(0).json] == ["compensated"]
    assert built.again("resume", "--all", "--json").chatty().exits(0).json == []
    assert built.again("abandon", "u", "--reason", "x", "--json").chatty().exits(0).json["state"] == "abandoned"


def test_ids_are_read_from_stdin_a_line_each(built: Saga) -> None:
    built.again("run", "saga.yaml", "--id", "u").chatty().exits(0)
    for command in ("resume", "wait"):
        built.again(command, "-").stdin("t\n\n  u\nt\n").stdout("t completed\nu completed\n").chatty().exits(0)
        built.again(command, "-").stdin("").stderr("stdin names no sagas: there is nothing to do").exits(0)
        built.again(command, "-", "none").stdin("t\n").stdout("t completed\n").chatty().exits(4)
    built.again("inspect", "-", "-q").stdin("u\n").stdout("u\n").exits(0)
    built.again("inspect", "-").stdin("t\nu\n").stderr("one saga is wanted, and stdin names 2").exits(2)
    listed = built.again("list", "-q").chatty().exits(0).stdout
    built.again("wait", "-", "-q").stdin(listed).stdout("u\nt\n").exits(0)


@pytest.mark.parametrize(("name", "row"), COMMANDS.items(), ids=COMMANDS)
def test_each_help_has_an_example_the_forms_as_in_the_readme_and_ends_with_its_exit_codes(
    tmp_path: Path, name: str, row: Command,
) -> None:
    shown = Saga(tmp_path, "").args(name, "--help").chatty().exits(0).stdout
    flat = " ".join(shown.split())
    assert flat.endswith("Exit codes: " + ", ".join(re.findall(r"\d+ \w+", flat.rpartition("Exit codes: ")[2])))
    assert [int(code) for code in re.findall(r"(\d+) \w+", flat.rpartition("Exit codes: ")[2])] == list(row.codes)
    assert f"Example: sagactl {name}" in flat
    assert "Options of every command" in flat
    if not row.hidden:
        (told,) = re.findall(r"--output FORM((?:\s+[a-z]+,?)+) or ([a-z]+)\.", shown)
        assert [*re.findall(r"[a-z]+", told[0]), told[1]] == [*row.forms]
        (line,) = re.findall(rf"^\| `sagactl {name}[ `].*", (ROOT / "README.md").read_text(), re.MULTILINE)
        assert ("concise" in line and "github" in line) is (Form.GITHUB in row.forms)


@pytest.mark.parametrize("command", [(), ("list",)])
def test_help_is_asked_for_in_two_ways(tmp_path: Path, command: tuple[str, ...]) -> None:
    shown = [Saga(tmp_path, "").args(*command, option).chatty().exits(0).stdout for option in ("--help", "-h")]
    assert shown[0] == shown[1] != ""


@pytest.mark.parametrize("args", ["--version", "--help", "list --help", "run -h"])
def test_help_into_a_closed_pipe_is_141(tmp_path: Path, args: str) -> None:
    done = subprocess.run(["bash", "-c", f"{' '.join(SAGACTL)} {args} >&-"], cwd=tmp_path, env=environment(tmp_path),
                          capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (141, "")


def test_without_a_command_help_is_an_error(tmp_path: Path) -> None:
    done = Saga(tmp_path, "").args().chatty().exits(2)
    assert (done.stdout, "Commands:" in done.stderr) == ("", True)
    assert Saga(tmp_path, "").args("--help").chatty().exits(0).stdout.strip() == done.stderr.strip()


SLOW = ("jsonschema", "anyio", "asyncio", "rich", "yaml")
STORY = ("sagactl.model", "sagactl.core.events", "sagactl.core.tables", "sagactl.core.saga", "hashlib", "secrets", "socket", "random",
         "sagactl.cli.starting", "sagactl.cli.telling", "sagactl.cli.render.human", "sagactl.cli.render.json")
"""What only reads rows of sagas, or asks a command what it takes, needs none of what a saga is made of."""
NEVER_RUN = ("sagactl.core.decide", "sagactl.cli.starting", "sagactl.cli.telling", "secrets", "socket", "random")
ALL_WELL = ("sagactl.definition.bad_values", "sagactl.definition.explanations", "sagactl.definition.foreign", "sagactl.definition.syntax",
            "sagactl.definition.handing_over", "sagactl.journal.reading", "sagactl.journal.listing", "sagactl.journal.pruning",
            "sagactl.cli.render.json", "secrets")
"""What a run of a right definition has no use for."""
UNWANTED = {
    "--version": (*SLOW, *STORY, "sqlite3"), "--help": (*SLOW, *STORY, "sqlite3"), "list --help": (*SLOW, *STORY),
    "run --help": SLOW, "explain 11": SLOW,
    "list": (*SLOW, *STORY), "inspect t": (*SLOW, *NEVER_RUN), "wait t": (*SLOW, *NEVER_RUN),
    **{f"complete -- {name} t": (*SLOW, *STORY) for name in ("resume", "compensate", "inspect", "events", "wait", "abandon")},
    "validate saga.yaml": ("anyio", "asyncio", "rich", "sqlite3"),
    "plan saga.yaml": ("anyio", "asyncio", "rich", "sqlite3"),
    "run saga.yaml": ("rich", *ALL_WELL),
}


@pytest.mark.parametrize("args", UNWANTED)
def test_a_command_imports_nothing_that_it_has_no_use_for(built: Saga, args: str) -> None:
    found = subprocess.run(
        [SAGACTL[0], "-X", "importtime", "-m", "sagactl", *args.split()], cwd=built.folder,
        env=environment(built.folder) | {"PATH": os.environ["PATH"]}, capture_output=True, text=True, check=False,
    ).stderr
    imported = set(re.findall(r"\|\s+([\w.]+)$", found, re.MULTILINE))
    assert "typer" in imported
    assert sorted(imported & {*UNWANTED[args]}) == []
