"""Parameters of a command line: where they come from, who is asked, and that every byte of a value arrives."""

from __future__ import annotations

import contextlib
import json
import os
import pty
import re
import select
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.harness import SAGACTL, TIMEOUT_S, Saga, environment, saga

NASTY = [
    b"", b" ", b"\n", b"a\n", b"a\n\n", b"\na", b"\r\n", b"\t", b"-", b"--", b"-rf", b"--help", b"@file", b"'", b'"', b"\\", b"`id`",
    b"$(id)", b"$HOME", b"${params.v0}", b"${steps.show.outputs.o0}", b"$${", b"${", b"%s%n", b"*", b"~", b"!", b"#", b"; rm -rf /", b"\x1b[2J",
    b"\x01\x02\x7f", bytes(range(1, 256)), b"\xff\xfe", b"\xc3", b"\xed\xa0\x80", b"\xed\xb3\xbf", b"\xc0\x80", "\ufeffx".encode(),
    "\u2028\u202e".encode(), "\U0001f600\udcff".encode("utf-8", "surrogateescape"), "e\u0301 \u00e9".encode(), b"NO", b"0755", b"1e3", b"null", b"[1]",
    b'{"a": "\\u0000"}', b"x" * 9_000, b"\xff" * 9_000,
]
"""Values that something between a command line and a command could take for something else."""
DUMP = """
import json, os, sys
with open(sys.argv[1], "wb") as file:
    file.write(b"\\0".join([*map(os.fsencode, sys.argv[3:]), *(v for k, v in sorted(os.environb.items()) if k[:1] == b"V"), sys.stdin.buffer.read()]))
if len(sys.argv) > 2 and sys.argv[2] == "--outputs":
    texts = [os.fsencode(each).decode("utf-8", "replace") for each in sys.argv[3:]]
    for number, text in enumerate(texts):
        with open(os.environ["SAGA_OUTPUT_DIR"] + f"/o{number}", "wb") as file:
            file.write(text.encode() + b"\\n")
    print(json.dumps(texts))
"""


def scenario(count: int) -> dict[str, Any]:
    """A saga that hands `count` values on in every way that there is, and in its undo once more."""
    def command(name: str, mode: str, what: str) -> dict[str, Any]:
        refs = [f"${{{what}{number}}}" for number in range(count)]
        return {
            "run": [sys.executable, "dump.py", name, mode, *refs], "stdin": "|".join(refs),
            "env": {f"V{number:03}": ref for number, ref in enumerate(refs)},
        }

    files = {f"o{number}": {"empty": True} for number in range(count)}
    stdout = {f"j{number}": {"from": "stdout", "pointer": f"/{number}", "empty": True} for number in range(count)}
    return {
        "saga": "bytes",
        "params": {f"v{number}": {"type": "string"} for number in range(count)},
        "steps": [
            {"id": "show", "action": command("shown", "--outputs", "params.v"), "outputs": {**files, **stdout},
             "undo": command("undone", "--", "params.v")},
            {"id": "by_file", "action": command("by_file", "--", "steps.show.outputs.o"), "undo": "none"},
            {"id": "by_pointer", "action": command("by_pointer", "--", "steps.show.outputs.j"),
             "undo": command("by_journal", "--", "steps.show.outputs.j")},
        ],
    }  # fmt: skip


def changed(folder: Path, file: str, values: Sequence[bytes]) -> list[tuple[bytes, bytes]]:
    """What has not arrived in a command as it was: (what it should be, what it was), both cut short."""
    got = (folder / file).read_bytes().split(b"\0")
    wanted = [*values, *values, b"|".join(values)]
    assert len(got) == len(wanted), file
    return [(a[:80], b[:80]) for a, b in zip(wanted, got, strict=True) if a != b]


@settings(max_examples=1, deadline=None, suppress_health_check=list(HealthCheck))
@given(st.lists(st.binary(max_size=200).map(lambda raw: raw.replace(b"\0", b"")), min_size=60, max_size=60))
def test_any_bytes_without_nul_arrive_through_argv_env_stdin_outputs_and_the_journal(drawn: list[bytes]) -> None:
    values = [*NASTY, *drawn]  # in one run, since a run is what takes the time
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        args, in_file = [], {}
        for number, value in enumerate(values):
            if number % 3 == 0:
                args += ["-p", f"v{number}=" + os.fsdecode(value)]
            elif number % 3 == 1:
                (folder / f"value{number}").write_bytes(value)
                args += ["--param-file", f"v{number}=value{number}"]
            else:
                in_file[f"v{number}"] = os.fsdecode(value)
        (folder / "dump.py").write_text(DUMP)
        (folder / "params.json").write_text(json.dumps(in_file))
        built = Saga(folder, "").file("saga.yaml", json.dumps(scenario(len(values))))
        built.run("--params-file", "params.json", *args).chatty().exits(0)
        built.again("compensate", "t", "--yes").chatty().exits(0)
        texts = [value.decode("utf-8", "replace").encode() for value in values]
        for file, wanted in (("shown", values), ("undone", values), ("by_file", texts), ("by_pointer", texts),
                             ("by_journal", texts)):
            assert changed(folder, file, wanted) == [], file
        shown = built.inspect()["params"]
        assert [v for n, v in enumerate(values) if os.fsencode(shown[f"v{n}"]) != v] == []


ONE = """
params: {{x: {{type: string{rule}}}}}
steps: [{{id: a, env: {{X: "${{params.x}}"}}, action: printf %s "$X" > got, undo: none}}]
"""


def test_a_value_never_reads_a_file_by_itself(tmp_path: Path) -> None:
    values = ["@saga.yaml", "-", "<saga.yaml", "file://saga.yaml", "${env.HOME}"]
    params = [part for number, value in enumerate(values) for part in ("-p", f"v{number}={value}")]
    built = Saga(tmp_path, "").file("dump.py", DUMP).file("saga.yaml", json.dumps(scenario(len(values))))
    built.run(*params).stdin("typed").chatty().exits(0)
    assert changed(tmp_path, "shown", [value.encode() for value in values]) == []


def test_a_parameter_file_is_the_value_as_it_is_and_may_be_stdin(tmp_path: Path) -> None:
    built = saga(tmp_path, ONE.format(rule=""))
    built.file("value", " a\n\n").run("--param-file", "x=value").chatty().file_after("got", " a\n\n").exits(0)
    built.args("run", "saga.yaml", "--param-file", "x=-").stdin("b\n").chatty().file_after("got", "b\n").exits(0)


@pytest.mark.parametrize(("args", "code", "told"), [
    (("--param-file", "x=none"), 4, "can't read none"),
    (("--param-file", "x"), 3, "`x` has no `=`: write `-p NAME=VALUE`, or `--param-file NAME=PATH`"),
    (("-p", "x=a", "--param-file", "x=saga.yaml"), 3, "x is given twice"),
    (("-p", "x=a", "-p", "x=a"), 3, "x is given twice"),
    (("--param-file", "x=-", "--params-file", "-"), 2, "only one of the definition and the parameters"),
    (("--params-file", "saga.yaml"), 3, "saga is unknown: the parameters are x"),
    (("-p", "y=1"), 3, "x is missing: it has to be a string"),
])  # fmt: skip
def test_what_is_wrong_with_the_parameters_is_said_and_nothing_is_recorded(
    tmp_path: Path, args: tuple[str, ...], code: int, told: str,
) -> None:
    saga(tmp_path, ONE.format(rule="")).run(*args).stderr(told).file_after("got", None).exits(code)
    assert not (tmp_path / "state").exists()


def test_the_command_line_wins_over_a_file_that_comes_from_stdin(tmp_path: Path) -> None:
    built = saga(tmp_path, ONE.format(rule="")).file("value", "line")
    built.run("--params-file", "-", "--param-file", "x=value").stdin("x: file\n").chatty().file_after("got", "line").exits(0)


class Terminal:
    """A person at a terminal: `sagactl run saga.yaml` with a pseudo-terminal for stdin and stderr."""

    def __init__(self, folder: Path, *args: str, **variables: str) -> None:
        self.ours, theirs = pty.openpty()
        self.said, self.seen = "", 0
        self.process = subprocess.Popen(
            (*SAGACTL, "run", "saga.yaml", "--id", "t", *args), cwd=folder, env={**environment(folder), **variables},
            stdin=theirs, stdout=subprocess.DEVNULL, stderr=theirs, start_new_session=True,
            preexec_fn=self._take,  # noqa: PLW1509 - this test has no threads
        )
        os.close(theirs)

    @staticmethod
    def _take() -> None:
        """Make it the controlling terminal, so that its Ctrl-C is a signal."""
        os.close(os.open(os.ttyname(0), os.O_RDWR))

    def until(self, part: str) -> Terminal:
        """Read until that is said, after what was waited for before."""
        while (found := self.said.find(part, self.seen)) < 0:
            self.read()
        self.seen = found + len(part)
        return self

    def read(self) -> None:
        """What is said next. Raises EOFError with all that was said when the command has ended."""
        if not select.select([self.ours], [], [], TIMEOUT_S)[0]:
            self.process.kill()
        try:
            self.said += os.read(self.ours, 4096).decode()
        except OSError:  # it is how a pseudo-terminal ends
            self.process.wait()
            raise EOFError(self.said) from None

    def type(self, keys: bytes) -> Terminal:
        os.write(self.ours, keys)
        return self

    def exits(self, code: int) -> str:
        with contextlib.suppress(EOFError):
            while True:
                self.read()
        os.close(self.ours)
        assert self.process.wait() == code, self.said
        assert "Traceback" not in self.said
        return self.said


def test_on_a_terminal_what_is_missing_is_asked_for_and_a_wrong_answer_again(tmp_path: Path) -> None:
    saga(tmp_path, """
params:
  n: {type: integer, maximum: 9, description: how many}
  x: {type: string, pattern: "[a-z]+"}
  y: {type: string, default: d}
steps: [{id: a, env: {X: "${params.x}", N: "${params.n}", Y: "${params.y}"}, action: echo "$N $X $Y" > got, undo: none}]
""")
    said = (
        Terminal(tmp_path).until("n (how many), a whole number, at most 9:").type(b"many\n")
        .until("must be a whole number, and is `many`").until("at most 9:").type(b"10\n")
        .until("must be at most 9").until("at most 9:").type(b"7\n")
        .until("x, a string, matching `[a-z]+` as a whole:").type(b"\n")
        .until("an empty one is given with -p x=").until("as a whole:").type(b"abc\n").exits(0)
    )  # fmt: skip
    assert (tmp_path / "got").read_text() == "7 abc d\n"
    assert "t completed" in said


@pytest.mark.parametrize(("key", "code"), [(b"\x03", 130), (b"\x04", 2)])
def test_ctrl_c_and_ctrl_d_end_the_question_and_nothing_is_recorded(tmp_path: Path, key: bytes, code: int) -> None:
    saga(tmp_path, ONE.format(rule=""))
    Terminal(tmp_path).until("x, a string:").type(key).exits(code)
    assert not (tmp_path / "state").exists()


@pytest.mark.parametrize(("args", "variables"), [
    (("--no-input",), {}), ((), {"SAGACTL_NO_INPUT": "1"}), (("-p", "bogus=1"), {}),
])  # fmt: skip
def test_nobody_is_asked_who_does_not_want_to_be_or_whose_other_parameters_are_wrong(
    tmp_path: Path, args: tuple[str, ...], variables: dict[str, str],
) -> None:
    saga(tmp_path, ONE.format(rule=""))
    assert "x is missing" in Terminal(tmp_path, *args, **variables).exits(3)


def test_without_a_terminal_nobody_is_asked(tmp_path: Path) -> None:
    built = saga(tmp_path, ONE.format(rule="")).run().stdin("typed\n").stderr("x is missing")
    assert not re.search("a string:", built.exits(3).stderr)


def test_a_file_of_parameters_that_is_empty_is_told_what_it_may_hold(tmp_path: Path) -> None:
    saga(tmp_path, ONE.format(rule="")).run("--params-file", "-").stderr("parameters are lines `NAME: VALUE`").exits(3)


@pytest.mark.parametrize(("args", "said"), [
    (("list", "--since"), "Option '--since' requires an argument.\n  python -m sagactl list --help shows what it takes"),
    (("resolve", "t", "--step", "a", "--reason", "x"), "Choose from: undone, landed, not-landed, kept\n  python -m sagactl resolve --help"),
])
def test_an_option_without_its_value_is_told_with_the_help_of_its_command(tmp_path: Path, args: tuple[str, ...], said: str) -> None:
    saga(tmp_path, "").args(*args).stderr(said).exits(2)


@pytest.mark.parametrize(("args", "said"), [
    (("run", "saga.yaml", "x=1"), "unexpected argument: x=1\n  a parameter is given with -p x=1\n"),
    (("plan", "saga.yaml", "x=a b", "more"), "unexpected arguments: x=a b more\n  a parameter is given with -p 'x=a b'\n"),
    (("run", "saga.yaml", "more"), "unexpected argument: more\n  "),
    (("list", "x=1"), "unexpected argument: x=1\n  "),
])  # fmt: skip
def test_an_argument_too_many_is_told_and_what_it_may_have_been_meant_for(tmp_path: Path, args: tuple[str, ...], said: str) -> None:
    done = saga(tmp_path, ONE.format(rule="")).args(*args).stderr(said).exits(2)
    assert ("-p " in done.stderr) is ("-p " in said)
    assert ("--help shows what it takes" in done.stderr) is ("-p " not in said)
    assert not (tmp_path / "state").exists()
