"""Completions: what the shells offer and insert, in real shells; and that no name that others chose is ever run.

The files in completions/ are written by `python -m tests.cli.test_completions`, after a command or an option changed.
"""

from __future__ import annotations

import os
import pty
import re
import shlex
import shutil
import subprocess
import sys
from collections.abc import Sequence
from contextlib import ExitStack
from pathlib import Path

import pytest
import yaml

from sagactl.cli.commands import COMMANDS
from sagactl.cli.completing import LOOKED_AT_MAX, OFFERS_MAX, complete, offers
from sagactl.cli.completions import FILES, Shell, script
from sagactl.cli.main import built
from sagactl.core import events as e
from sagactl.core.saga import evolve
from sagactl.core.states import FINAL
from sagactl.execution.evidence import Evidence
from sagactl.model import Definition
from tests.harness import ROOT, SAGACTL, TIMEOUT_S, Saga, common, environment
from tests.journal.making import Group, begun, history, make, write
from tests.world import ACTOR, step

SHIPPED = ROOT / "completions"
PROMPT = b"READY>"
HOSTILE = ("$(touch pwned)", "`touch pwned`", "a;touch pwned", "it's \"so\"", "* a", "a\\b!!", "#a&b|c>d", "é${HOME}[a-z]?", "a:b@c%n~")
"""Names that a shell could take for something to do. Each is inserted as it is."""
UNFIT = ("-rf", "~", "a\nb", "a\tb", "\x1b[31mred", "a\u202eb", "\x9b2J")
"""What a command would take for an option or a shell for a home, a line can't hold, or a terminal would obey."""


def folder_with(folder: Path, *sagas: list[Group]) -> Path:
    """A folder whose database, sagas.db, has these sagas."""
    write(folder / "sagas.db", *sagas)
    return folder / "sagas.db"


def after(saga_id: str, *events: e.Event) -> list[Group]:
    """A saga that began, and what happened then."""
    saga, told = begun(saga_id)
    groups = [(saga, told)]
    for event in events:
        saga = evolve(saga, event)
        groups.append((saga, [event]))
    return groups


@pytest.fixture(scope="module")
def many(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A database with a saga in most states, each named by it."""
    return folder_with(
        tmp_path_factory.mktemp("many"), history("completed"), after("abandoned", e.SagaAbandoned(at_s=2e9, by=ACTOR, reason="x")),
        history("escalated", steps=2, failing="step-1"), [begun("running")], history("running2")[:3],
    )


# --- what is shipped -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("shell", Shell)
def test_what_is_shipped_is_what_the_commands_make_and_what_is_printed(shell: Shell, tmp_path: Path) -> None:
    shipped = (SHIPPED / FILES[shell]).read_text()
    assert shipped == script(shell), "python -m tests.cli.test_completions writes it"
    assert not re.search(r"@[A-Z]+@", shipped)
    Saga(tmp_path, "").args("completions", shell).stdout(shipped).exits(0)
    shown = Saga(tmp_path, "").args("completions", shell, "--json").chatty().exits(0).json
    assert shown == {"schema": 1, "shell": shell, "script": shipped}


def test_no_other_shell_is_known(tmp_path: Path) -> None:
    Saga(tmp_path, "").args("completions", "tcsh").stderr("'tcsh'").exits(2)


def test_a_terminal_is_told_how_to_keep_them(tmp_path: Path) -> None:
    ours, theirs = pty.openpty()
    with os.fdopen(ours, "rb", buffering=0) as terminal:
        running = Saga(tmp_path, "").start("completions", "fish", stdout=theirs)
        os.close(theirs)
        while _some(terminal):
            pass
        _, said = running.communicate(timeout=TIMEOUT_S)
    assert "> ~/.config/fish/completions/sagactl.fish" in said


def _some(terminal: object) -> bytes:
    try:
        return terminal.read(65536)  # type: ignore[attr-defined, no-any-return]
    except OSError:  # EIO: the other side has closed it
        return b""


def test_the_first_line_of_the_file_for_zsh_is_what_compinit_looks_for() -> None:
    assert (SHIPPED / "_sagactl").read_text().startswith("#compdef sagactl\n")


@pytest.mark.parametrize("shell", Shell)
def test_nothing_in_a_script_evaluates_what_it_is_given(shell: Shell) -> None:
    code = re.sub(r"(?m)^\s*#.*$", "", script(shell))
    assert not re.search(r"\beval\b|compgen|\bsource\b|\(e\)|\$\{\(e", code)


# --- what the hidden command answers ---------------------------------------------------------------------------------


@pytest.mark.parametrize(("words", "wanted"), [
    (("resume", ""), {"escalated", "running", "running2"}),
    (("resolve", ""), {"escalated"}),
    (("wait", ""), {"running", "running2"}),
    (("compensate", ""), {"completed", "escalated", "running", "running2"}),
    (("abandon", ""), {"escalated", "running", "running2"}),
    (("inspect", ""), {"completed", "abandoned", "escalated", "running", "running2"}),
    (("logs", "ru"), {"running", "running2"}),
    (("resume", "running2", "run"), {"running"}),
    (("-q", "--color", "never", "events", "-f", "com"), {"completed"}),
    (("events", "--after", "3", "--", "com"), {"completed"}),
    (("inspect", "@"), {"@last"}),
    (("inspect", "completed", ""), set()),
    (("logs", "completed", ""), {f"step-{n}" for n in range(5)}),
    (("logs", "comp", "step-3"), {"step-3"}),
    (("logs", "completed", "--attempt", "1", "step-3"), {"step-3"}),
    (("logs", "none", ""), set()),
    (("resolve", "escalated", "--step", ""), {"step-0"}),
    (("resolve", "escalated", "--step=st"), {"step-0"}),
    (("resolve", "--step", ""), set()),
    (("resolve", "escalated", "--step", "step-0", "--as", ""), {"undone", "kept"}),
    (("resolve", "escalated", "--step", "step-1", "--as", ""), set()),
    (("resolve", "escalated", "--as", ""), set()),
    (("resolve", "escalated", "--reason", ""), set()),
    (("none", ""), set()),
    (("",), set()),
    ((), set()),
    (("explain", "SG50"), None),
    (("explain", "esc"), {"escalated"}),
    (("schema", "steps.undo.man"), {"steps.undo.manual"}),
    (("schema", "--of", "inspect "), {"inspect --definition"}),
    (("validate", "--ignore", "SG501,SG50"), None),
])  # fmt: skip
def test_what_fits_the_command_and_what_is_typed_is_offered(
    many: Path, words: Sequence[str], wanted: set[str] | None, capsys: pytest.CaptureFixture[str],
) -> None:
    assert complete([*words], common=common(many, "human")) == 0
    said = capsys.readouterr()
    found = said.out.splitlines()
    assert said.err == ""
    if wanted is None:
        assert len(found) > 1
        assert all(each.startswith(words[-1]) for each in found)
    else:
        assert set(found) == wanted


def test_a_warning_is_not_offered_twice_and_an_error_not_at_all(many: Path) -> None:
    found = offers(["validate", "--ignore", "SG501,"], many)
    assert {"SG501,SG501", "SG501,SG201"}.isdisjoint(found)
    assert "SG501,SG502" in found


def test_resume_leaves_out_what_a_live_process_holds(many: Path) -> None:
    with Evidence(many).lock(begun("running")[0].started.token, ACTOR, 0.0):
        assert set(offers(["resume", "run"], many)) == {"running2"}
        assert set(offers(["compensate", "run"], many)) == {"running", "running2"}


def test_the_newest_come_first_and_not_all_of_them_and_an_older_one_by_its_own_prefix(tmp_path: Path) -> None:
    count = LOOKED_AT_MAX + 100
    make(tmp_path / "sagas.db", count)
    found = list(offers(["inspect", "order-"], tmp_path / "sagas.db"))
    assert found == [f"order-{n}" for n in range(count - 1, count - 1 - OFFERS_MAX, -1)]
    assert list(offers(["inspect", "order-42"], tmp_path / "sagas.db")) == [f"order-42{n}" for n in range(9, -1, -1)]
    assert list(offers(["inspect", "order-0"], tmp_path / "sagas.db")) == ["order-0"]
    assert list(offers(["wait", "order-0"], tmp_path / "sagas.db")) == []


@pytest.mark.parametrize("before", [("--db", "{}", "resume"), ("--db={}", "resume"), ("resume", "--db", "{}"), ("resume", "--db={}")])
def test_the_database_that_the_line_names_is_looked_at(many: Path, tmp_path: Path, before: Sequence[str]) -> None:
    words = [each.format(many) for each in before]
    assert "escalated" in offers([*words, ""], tmp_path / "none.db")
    quoted = [each.format(shlex.quote(str(many))[:-1] + "'" if "'" in str(many) else f'"{many}"') for each in before]
    Saga(tmp_path, "").args("complete", "--quoted", "--", *quoted, "'esc").stdout("escalated\n").exits(0)


def test_a_home_that_is_written_short_is_found(many: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", str(many.parent))
    assert "escalated" in offers(["--db", "~/sagas.db", "resume", ""], Path("none.db"))


PARAMS = """saga: test
params:
  carrier: {type: string, enum: [ups, "two words", dhl]}
  fast: {type: boolean}
  count: {type: integer, enum: [1, 22]}
  text: {type: string}
steps: [{id: a, action: "true", undo: none}]
"""


@pytest.mark.parametrize(("words", "wanted"), [
    (("run", "saga.yaml", "-p", ""), ["carrier=", "fast=", "count=", "text="]),
    (("plan", "saga.yaml", "--param", "c"), ["carrier=", "count="]),
    (("run", "-p", "fast=true", "saga.yaml", "-pcount=1", "--param="), ["carrier=", "text="]),
    (("run", "saga.yaml", "-p", "carrier="), ["carrier=ups", "carrier=two words", "carrier=dhl"]),
    (("run", "saga.yaml", "--param=carrier=d"), ["carrier=dhl"]),
    (("run", "saga.yaml", "-pcarrier=d"), ["carrier=dhl"]),
    (("run", "saga.yaml", "-p", "fast="), ["fast=true", "fast=false"]),
    (("run", "saga.yaml", "-p", "count=2"), ["count=22"]),
    (("run", "saga.yaml", "-p", "text="), []),
    (("run", "saga.yaml", "-p", "none="), []),
    (("run", "saga.yaml", "--param-file", "te"), ["text="]),
    (("run", "none.yaml", "-p", ""), []),
    (("run", "-", "-p", ""), []),
    (("run", ".", "-p", ""), []),
    (("run", "-p", ""), []),
])  # fmt: skip
def test_the_parameters_of_the_definition_are_offered(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, words: Sequence[str], wanted: list[str],
) -> None:
    (tmp_path / "saga.yaml").write_text(PARAMS)
    monkeypatch.chdir(tmp_path)
    try:
        assert list(offers(words, tmp_path / "none.db")) == wanted
    except IndexError:  # which `complete` keeps to itself: there is no file yet
        assert wanted == []


@pytest.mark.parametrize("text", [
    "params: [", "params: {a: {enum: 3}}", "params: 3", "- a", "\0", "%", "params: {a: 3}", "&a [*a]", "[" * 5000,
])  # fmt: skip
def test_a_broken_definition_is_not_worth_a_word(tmp_path: Path, text: str, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "saga.yaml").write_text(text)
    for last in ("", "a="):
        assert complete(["run", str(tmp_path / "saga.yaml"), "-p", last], common=common(tmp_path / "none.db", "human")) == 0
        said = capsys.readouterr()
        assert said.err == ""
        assert said.out in ("", "a=\n")


def test_a_pipe_for_a_definition_is_not_waited_for(tmp_path: Path) -> None:
    Saga(tmp_path, "").fifo("saga.yaml")
    Saga(tmp_path, "").args("complete", "--", "run", "saga.yaml", "-p", "").stdout("").exits(0)


@pytest.mark.parametrize("kind", ["none", "empty", "foreign", "newer", "damaged", "cut", "folder", "symlink", "fifo", "unreadable rows"])
def test_a_database_that_is_no_good_is_not_worth_a_word(
    many: Path, tmp_path: Path, kind: str, capsys: pytest.CaptureFixture[str],
) -> None:
    data = bytearray(many.read_bytes())
    path = tmp_path / "sagas.db"
    match kind:
        case "empty":
            path.touch()
        case "foreign":
            path.write_text("something else\n" * 100)
        case "newer":
            data[60:64] = (99).to_bytes(4, "big")
            path.write_bytes(data)
        case "damaged":
            path.write_bytes(data[:100] + bytes(len(data) - 100))
        case "cut":
            path.write_bytes(data[: len(data) // 2])
        case "unreadable rows":
            path.write_bytes(data.replace(b"step-", b"\xff\xfe\xfd\xfc\xfb").replace(b"escalated", b"\xff" * 9))
        case "folder":
            path.mkdir()
        case "symlink":
            path.symlink_to(many)
        case "fifo":
            os.mkfifo(path)
    for words in (("resume", ""), ("logs", "completed", ""), ("resolve", "escalated", "--step", "")):
        assert complete([*words], common=common(path, "human")) == 0
        assert capsys.readouterr().err == "", words
    assert sorted(each.name for each in tmp_path.iterdir()) == ([] if kind == "none" else ["sagas.db"])


def test_a_reader_that_has_gone_is_no_error(many: Path) -> None:
    code = f"{shlex.join(SAGACTL)} --db sagas.db complete -- inspect '' >&-"
    done = subprocess.run(["bash", "-c", code], cwd=many.parent, env=environment(many.parent), capture_output=True, check=False)
    assert (done.returncode, done.stderr) == (141, b"")


@pytest.mark.parametrize(("args", "needs"), [
    (("complete", "--", "resume", ""), set()), (("complete", "--", "logs", "completed", ""), set()),
    (("complete", "--", "run", "saga.yaml", "-p", ""), {"yaml"}),
    *((("completions", shell), set()) for shell in Shell),
])  # fmt: skip
def test_who_presses_tab_does_not_wait_for_what_only_a_run_needs(
    many: Path, tmp_path: Path, args: Sequence[str], needs: set[str],
) -> None:
    (tmp_path / "saga.yaml").write_text(PARAMS)
    code = f"""
import sys
from sagactl.__main__ import main
sys.argv = ["sagactl", "--db", {str(many)!r}, *{[str(each) for each in args]!r}]
try:
    main()
except SystemExit:
    print(*sys.modules)
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, env=environment(tmp_path), cwd=tmp_path)
    *said, loaded = done.stdout.splitlines()
    assert said
    heavy = {"anyio", "asyncio", "jsonschema", "yaml", "rich"}
    assert {name.split(".")[0] for name in loaded.split()} & heavy == needs


# --- real shells -----------------------------------------------------------------------------------------------------

TOLD = {
    "bash": """sagactl() { printf '%s\\0' "$@" >> "$OUT"; printf '\\036' >> "$OUT"; }\n""",
    "zsh": """sagactl() { printf '%s\\0' "$@" >> "$OUT"; printf '\\036' >> "$OUT"; }\n""",
    "fish": """function sagactl; printf '%s\\0' $argv >> $OUT; printf '\\036' >> $OUT; end\n""",
}
"""What `sagactl` does at their prompts: it writes down its arguments. The completions ask the program in $PATH."""

SHELLS = [pytest.param(shell, marks=pytest.mark.skipif(shutil.which(shell) is None, reason=f"{shell} is not installed here"))
          for shell in Shell]


def started_shell(shell: Shell, home: Path) -> list[str]:
    """An interactive shell that has read our completions and nothing of the user's, and prompts with PROMPT."""
    file = home / FILES[shell]
    file.write_text(script(shell))
    prompt = PROMPT.decode()
    match shell:
        case Shell.BASH:
            (home / "rc").write_text(f"source {shlex.quote(str(file))}\n{TOLD[shell]}PS1='{prompt}'\nset +H\n")
            return ["bash", "--noprofile", "--rcfile", str(home / "rc"), "-i"]
        case Shell.ZSH:
            read = "" if (home / "autoloaded").exists() else f"source {shlex.quote(str(file))}\n"
            path = f"fpath=({shlex.quote(str(home))} $fpath)\n" if not read else ""
            (home / ".zshrc").write_text(f"{path}autoload -U compinit\ncompinit -u -D\n{read}{TOLD[shell]}PS1='{prompt}'\nunsetopt BANG_HIST\n")
            return ["zsh", "-d", "-i"]
        case Shell.FISH:
            start = f"source {shlex.quote(str(file))}\n{TOLD[shell]}function fish_prompt; echo -n '{prompt}'; end; function fish_greeting; end"
            return ["fish", "--no-config", "-i", "--init-command", start]


def typed(shell: Shell, folder: Path, *lines: str, program: bool = True, **env: str) -> list[list[str]]:
    """Type these lines in that folder, each with a TAB and a return at its end unless it has its own. The arguments that
    each came to.
    """
    with ExitStack() as stack:
        home = folder.parent / f"{folder.name}-home"
        (home / "bin").mkdir(parents=True, exist_ok=True)
        ours = home / "bin" / "sagactl"
        if program:
            ours.write_text(f'#!/bin/sh\nexec {shlex.join(SAGACTL)} "$@"\n')
            ours.chmod(0o755)
        out = home / "out"
        out.write_bytes(b"")
        every = environment(folder) | {"PATH": f"{home / 'bin'}:/usr/bin:/bin:{os.environ['PATH']}", "HOME": str(home), "ZDOTDIR": str(home),
                                       "OUT": str(out), "TERM": "xterm", "XDG_CONFIG_HOME": str(home), "XDG_DATA_HOME": str(home)} | env
        pid, terminal = pty.fork()
        if pid == 0:
            os.chdir(folder)
            os.execvpe((argv := started_shell(shell, home))[0], argv, every)  # noqa: S606 - in the terminal that was just made
        stack.callback(os.close, terminal)
        for line in (*(each if "\t" in each else f"{each}\t\r" for each in lines), "exit\r"):
            _read_until(terminal, PROMPT)
            os.write(terminal, line.encode())
        _read_until(terminal, b"")
        os.waitpid(pid, 0)
    return [record.decode().split("\0")[:-1] for record in out.read_bytes().split(b"\x1e")[:-1]]


def _read_until(terminal: int, wanted: bytes) -> None:
    """Read what the shell shows until it shows this, with nothing to its end."""
    shown = b""
    while not wanted or wanted not in shown:
        try:
            more = os.read(terminal, 65536)
        except OSError:  # EIO: the shell has ended
            more = b""
        if not more:
            assert not wanted, shown
            return
        shown += more


@pytest.mark.parametrize("shell", SHELLS)
def test_fixed_words_are_completed_without_the_program(shell: Shell, tmp_path: Path) -> None:
    rows = {
        "sagactl resu": ["resume"],
        "sagactl resume --al": ["resume", "--all"],
        "sagactl --color alw": ["--color", "always"],
        "sagactl list --progress=pl": ["list", "--progress=plain"],
        "sagactl --db x -o jsonl comple": ["--db", "x", "-o", "jsonl", "completions"],
        "sagactl list -o jsonl --stat": ["list", "-o", "jsonl", "--state"],
        "sagactl logs x --phase un": ["logs", "x", "--phase", "undo"],
        "sagactl validate -o git": ["validate", "-o", "github"],
        "sagactl list -o git": ["list", "-o", "git"],
        "sagactl list --state int": ["list", "--state", "interrupted"],
        "sagactl list --state running,pau": ["list", "--state", "running,paused"],
        "sagactl completions z": ["completions", "zsh"],
    }
    found = typed(shell, tmp_path, *rows, program=False)
    assert [[word.removesuffix(",") for word in words] for words in found] == list(rows.values())


@pytest.mark.parametrize("shell", SHELLS)
def test_ids_and_steps_are_completed_from_the_database_of_the_line(shell: Shell, many: Path, tmp_path: Path) -> None:
    spaced = tmp_path / "with a space.db"
    shutil.copy(many, spaced)
    shutil.copytree(f"{many}.d", f"{spaced}.d")
    rows = {
        f"sagactl --db {many} resume esc": ["--db", str(many), "resume", "escalated"],
        f"sagactl resume --db={many} esc": ["resume", f"--db={many}", "escalated"],
        f"sagactl resume --db '{spaced}' esc": ["resume", "--db", str(spaced), "escalated"],
        f"sagactl resume --db {many} com": ["resume", "--db", str(many), "com"],
        "sagactl inspect com": ["inspect", "completed"],
        "sagactl inspect @la": ["inspect", "@last"],
        "sagactl inspect 'com": ["inspect", "completed"],
        "sagactl logs completed step-3": ["logs", "completed", "step-3"],
        "sagactl resolve escalated --step ": ["resolve", "escalated", "--step", "step-0"],
        "sagactl resolve escalated --step=": ["resolve", "escalated", "--step=step-0"],
        "sagactl resolve escalated --step step-0 --as u": ["resolve", "escalated", "--step", "step-0", "--as", "undone"],
        "sagactl resolve escalated --step step-0 --as lan": ["resolve", "escalated", "--step", "step-0", "--as", "lan"],
    }
    assert typed(shell, tmp_path, *rows, SAGACTL_DB=str(many), SAGACTL_OUTPUT="xml", SAGACTL_COLOR="pink") == list(rows.values())


@pytest.mark.parametrize("shell", [shell for shell in SHELLS if shell.values != (Shell.BASH,)])
def test_a_database_that_is_set_before_the_command_is_the_one(shell: Shell, many: Path, tmp_path: Path) -> None:
    lines = (f"SAGACTL_DB={many} sagactl resume esc", f"SAGACTL_DB={many} true; sagactl resume esc")
    assert typed(shell, tmp_path, *lines) == [["resume", "escalated"], ["resume", "esc"]]


@pytest.mark.parametrize("shell", SHELLS)
def test_parameters_and_their_values_are_completed_from_the_definition(shell: Shell, tmp_path: Path) -> None:
    (tmp_path / "saga.yaml").write_text(PARAMS)
    (tmp_path / "text.txt").write_text("x")
    rows = {
        "sagactl run saga.yaml -p carr": ["run", "saga.yaml", "-p", "carrier="],
        "sagactl run saga.yaml -p carrier=u": ["run", "saga.yaml", "-p", "carrier=ups"],
        "sagactl run saga.yaml --param=carrier=u": ["run", "saga.yaml", "--param=carrier=ups"],
        "sagactl run saga.yaml -p carrier=t": ["run", "saga.yaml", "-p", "carrier=two words"],
        "sagactl run saga.yaml --param-file tex": ["run", "saga.yaml", "--param-file", "text="],
        "sagactl run saga.yaml --param-file text=tex": ["run", "saga.yaml", "--param-file", "text=text.txt"],
        "sagactl run sag": ["run", "saga.yaml"],
    }
    assert typed(shell, tmp_path, *rows) == list(rows.values())


@pytest.mark.parametrize("shell", SHELLS)
def test_a_hostile_name_is_inserted_as_it_is_and_never_run(shell: Shell, tmp_path: Path) -> None:
    folder = tmp_path / "folder"
    folder.mkdir()
    lines, wanted = [], []
    for number, name in enumerate(HOSTILE):
        definition = Definition(saga="hostile", steps=(step(name),))
        folder_with(tmp_path, [begun(f"s{number}", definition=definition)])
        (folder / f"{number}.yaml").write_text(yaml.safe_dump({"params": {name: {}, "x": {"enum": [name]}}}))
        (folder / f"{number}").mkdir()
        (folder / f"{number}" / name).touch()
        lines += [f"sagactl logs s{number} ", f"sagactl run {number}.yaml -p x=v -p ", f"sagactl run {number}.yaml -p x=",
                  f"sagactl run {number}/"]
        wanted += [["logs", f"s{number}", name], ["run", f"{number}.yaml", "-p", "x=v", "-p", f"{name}="],
                   ["run", f"{number}.yaml", "-p", f"x={name}"], ["run", f"{number}/{name}"]]
    assert typed(shell, folder, *lines, SAGACTL_DB=str(tmp_path / "sagas.db")) == wanted
    assert not [*tmp_path.rglob("pwned")]


@pytest.mark.parametrize("shell", SHELLS)
def test_a_hostile_name_that_is_offered_among_others_or_within_quotes_is_never_run(shell: Shell, tmp_path: Path) -> None:
    folder = tmp_path / "folder"
    folder.mkdir()
    definition = Definition(saga="hostile", steps=tuple(step(name) for name in (*HOSTILE, *UNFIT)))
    folder_with(tmp_path, *([begun(each, definition=definition)] for each in ("s", "$(touch pwned)", "a`touch pwned`")))
    (folder / "saga.yaml").write_text(yaml.safe_dump({"params": {name: {"enum": [*HOSTILE]} for name in (*HOSTILE, *UNFIT)}}))
    quote = '"' if shell is Shell.BASH else "'"
    lines = ["sagactl logs s ", "sagactl inspect ", "sagactl inspect \\$", f"sagactl logs s {quote}$(t", "sagactl run saga.yaml -p ",
             f"sagactl run saga.yaml -p {quote}a=`t"]
    kill_line = "\x15"
    found = typed(shell, folder, *(f"{line}\t\t{kill_line}\r" for line in lines), "sagactl inspect s",
                  SAGACTL_DB=str(tmp_path / "sagas.db"))
    assert found == [["inspect", "s"]]
    assert not [*tmp_path.rglob("pwned")]


@pytest.mark.parametrize("name", UNFIT)
def test_what_no_shell_can_be_given_is_not_offered(name: str, tmp_path: Path) -> None:
    database = folder_with(tmp_path, [begun("s", definition=Definition(saga="x", steps=(step(name), step("good"))))])
    (tmp_path / "saga.yaml").write_text(yaml.safe_dump({"params": {name: {}, "x": {"enum": [name, "good"]}}}))
    assert list(offers(["logs", "s", ""], database)) == ["good"]
    assert list(offers(["run", str(tmp_path / "saga.yaml"), "-p", ""], database)) == ["x="]
    assert set(offers(["run", str(tmp_path / "saga.yaml"), "-p", "x="], database)) == {"x=good", f"x={name}"} - {
        f"x={name}" for name in UNFIT if name not in ("-rf", "~")}


@pytest.mark.skipif(shutil.which("zsh") is None, reason="zsh is not installed here")
def test_zsh_finds_them_in_its_path_of_functions_too(tmp_path: Path, many: Path) -> None:
    home = tmp_path.parent / f"{tmp_path.name}-home"
    home.mkdir()
    (home / "autoloaded").touch()
    lines = ("sagactl resume esc", "sagactl resume esc", "sagactl resu")
    assert typed(Shell.ZSH, tmp_path, *lines, SAGACTL_DB=str(many)) == [["resume", "escalated"], ["resume", "escalated"], ["resume"]]


def test_bash_offers_every_option_of_every_command(tmp_path: Path) -> None:
    names = [name for name, row in COMMANDS.items() if not row.hidden]
    calls = "\n".join(
        f"COMP_LINE='sagactl {name} -' COMP_WORDS=(sagactl {name} -) COMP_CWORD=2 COMP_POINT={len(name) + 10}; _sagactl; echo ${{COMPREPLY[@]}}"
        for name in names)
    done = subprocess.run([shutil.which("bash") or "", "--norc", "-c", f"{script(Shell.BASH)}\n{calls}"], capture_output=True, text=True, check=True,
                          env={"PATH": "/nowhere"}, cwd=tmp_path)
    assert done.stderr == ""
    offered = dict(zip(names, done.stdout.splitlines(), strict=True))
    for name in names:
        known = {word for each in built(name).params if each.param_type_name == "option" for word in each.opts}
        assert set(offered[name].split()) == known, name


def test_final_states_have_nothing_to_resume_or_to_wait_for(many: Path) -> None:
    for command in ("resume", "wait", "resolve", "abandon"):
        assert not set(offers([command, ""], many)) & {str(state) for state in FINAL}


if __name__ == "__main__":
    for each in Shell:
        (SHIPPED / FILES[each]).write_text(script(each))
