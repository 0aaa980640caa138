"""A fluent black-box builder: runs the real command in a fresh folder, with a real database and real processes.

    saga(tmp_path, '''steps: ...''').args("run", "saga.yaml").file_after("log", "a\\nb\\n").exits(10)

Nothing happens until `exits`. What is not declared must be empty: stdout, and stderr unless `stderr` or `chatty`.
"""

from __future__ import annotations

import functools
import json
import os
import re
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Callable
from contextlib import redirect_stdout
from io import StringIO
from pathlib import Path
from typing import Any, Self

from sagactl.cli.events import events
from sagactl.cli.inspect import inspect
from sagactl.cli.options import FORMS, Common, settled
from tests.conforming import conforms

SAGACTL = (sys.executable, "-m", "sagactl")
ROOT = Path(__file__).parents[1]
TIMEOUT_S = 60


def environment(folder: Path) -> dict[str, str]:
    """What a command gets: the test's own variables, nothing of the user's settings, state below `folder`."""
    foreign = ("SAGA", "XDG_", "STATE_", "GITHUB_")
    kept = {name: value for name, value in os.environ.items() if name != "CI" and not name.startswith(foreign)}
    return {**kept, "XDG_STATE_HOME": str(folder / "state"), "PYTHONPATH": str(ROOT)}


class Result:
    """A finished command: its exit status and what it printed."""

    def __init__(self, done: subprocess.CompletedProcess[str]) -> None:
        self.code, self.stdout, self.stderr = done.returncode, done.stdout, done.stderr

    @property
    def json(self) -> Any:
        return json.loads(self.stdout)


class Saga:
    """A folder with a definition in it, and one command to run there."""

    def __init__(self, folder: Path, text: str) -> None:
        self.folder = folder
        self._args: tuple[str, ...] = ()
        self._stdin = ""
        self._env: dict[str, str] = {}
        self._stdout: str | re.Pattern[str] | None = ""
        self._stderr: str | None = ""
        self._files: dict[str, str | None] = {}
        self._umask = 0o022
        if text:
            header = "" if re.search(r"^saga:", text, re.MULTILINE) else "saga: test\n"
            self.file("saga.yaml", header + text)

    def file(self, name: str, text: str) -> Self:
        """Write a file before the command."""
        (self.folder / name).write_text(text)
        return self

    def args(self, *args: str) -> Self:
        """The command line after `sagactl`."""
        self._args = args
        return self

    def run(self, *args: str) -> Self:
        """`sagactl run saga.yaml` with an id that is known."""
        return self.args("run", "saga.yaml", "--id", "t", *args)

    def stdin(self, text: str) -> Self:
        self._stdin = text
        return self

    def env(self, **variables: str) -> Self:
        self._env |= variables
        return self

    def umask(self, umask: int) -> Self:
        self._umask = umask
        return self

    def stdout(self, wanted: str | re.Pattern[str]) -> Self:
        """All of stdout, or a pattern that all of it matches."""
        self._stdout = wanted
        return self

    def stderr(self, part: str) -> Self:
        """A part of stderr."""
        self._stderr = part
        return self

    def chatty(self) -> Self:
        """Do not look at stdout and stderr."""
        self._stdout = self._stderr = None
        return self

    def file_after(self, name: str, text: str | None) -> Self:
        """What a file holds afterwards; None for no such file."""
        self._files[name] = text
        return self

    def finished(self) -> Result:
        """Run the command, whatever it does."""
        return Result(self._run())

    def _run(self) -> subprocess.CompletedProcess[str]:
        env = {**environment(self.folder), **self._env}
        done = subprocess.run((*SAGACTL, *self._args), cwd=self.folder, env=env, input=self._stdin, text=True,
                              capture_output=True, timeout=TIMEOUT_S, check=False, umask=self._umask)
        conforms(self._args, self._env, done.returncode, done.stdout, done.stderr)
        return done

    def exits(self, code: int) -> Result:
        """Run the command and hold it to everything that was declared."""
        done = self._run()
        shown = f"{' '.join(self._args)}\nexit {done.returncode}\n{done.stdout}\n{done.stderr}"
        assert done.returncode == code, shown
        assert "Traceback" not in done.stderr, shown
        if isinstance(self._stdout, str):
            assert done.stdout == self._stdout, shown
        elif self._stdout is not None:
            assert self._stdout.fullmatch(done.stdout), shown
        if self._stderr is not None:
            assert self._stderr in done.stderr if self._stderr else not done.stderr, shown
        for name, text in self._files.items():
            path = self.folder / name
            assert (path.read_text() if path.exists() else None) == text, f"{name}\n{shown}"
        return Result(done)

    def inspect(self, saga_id: str = "t") -> Any:
        """What `inspect --json` tells of a saga."""
        return json.loads(self._told(inspect, saga_id, "json"))

    def events(self, saga_id: str = "t") -> list[dict[str, Any]]:
        """What `events` tells of a saga."""
        return [json.loads(line) for line in self._told(events, saga_id, "jsonl").splitlines()]

    def _told(self, command: Callable[..., int], saga_id: str, form: str) -> str:
        """What a command prints that only looks, called in this process: a new one takes most of its time to begin."""
        with redirect_stdout(StringIO()) as told:
            assert command(saga_id, common=common(self.folder / "state" / "sagactl" / "sagas.db", form)) == 0
        conforms((command.__name__, saga_id, "-o", form), {}, 0, told.getvalue(), "")
        return told.getvalue()

    def again(self, *args: str) -> Saga:
        """Another command in the same folder."""
        return Saga(self.folder, "").args(*args)

    def start(self, *args: str, **options: Any) -> subprocess.Popen[str]:
        """A command in the background, in a session of its own; whoever starts it ends it."""
        return subprocess.Popen(
            (*SAGACTL, *args), cwd=self.folder, env={**environment(self.folder), **self._env}, text=True,
            **{"stdin": subprocess.DEVNULL, "stdout": subprocess.PIPE, "stderr": subprocess.PIPE,
               "start_new_session": True, **options},
        )

    def fifo(self, name: str) -> Path:
        """A named pipe: `echo > name` in a step tells the test that it is there, without a sleep."""
        path = self.folder / name
        os.mkfifo(path)
        return path


def saga(folder: Path, text: str) -> Saga:
    """A definition in a folder; `saga: test` is put before it unless it names itself."""
    return Saga(folder, text)


def copied(folder: Path, build: Callable[..., object], *args: str) -> Saga:
    """A folder with what `build` makes in one: each worker makes it once, and every test has a copy of its own.

    The sagas in it work in the first folder. So it is for tests that look, or speak, or run other sagas.
    """
    shutil.copytree(_made(folder.parent, build, *args), folder, dirs_exist_ok=True)
    return Saga(folder, "")


@functools.cache
def _made(below: Path, build: Callable[..., object], *args: str) -> Path:
    folder = Path(tempfile.mkdtemp(dir=below))
    build(folder, *args)
    return folder


def completed(folder: Path) -> Saga:
    """A folder with one completed saga, `t`, of which there is nothing to undo."""
    built = saga(folder, 'steps: [{id: a, action: ["true"], undo: none}]\n')
    built.run().chatty().exits(0)
    return built


def asked(built: Saga, *args: str, question: bytes) -> tuple[subprocess.Popen[str], int, bytes]:
    """A command that has asked on a terminal: its process, our end of the terminal, all that it shows."""
    ours, theirs = os.openpty()
    process = built.start(*args, stdin=theirs, stderr=theirs)
    os.close(theirs)
    shown = b""
    while question not in shown:
        shown += os.read(ours, 4096)
    return process, ours, shown


def common(database: Path, output: str = "json") -> Common:
    """What a command gets that is called in this process."""
    return settled({"db": database, "output": output}, {}, FORMS)


def states(shown: Any) -> dict[str, str]:
    """Step states of what `inspect --json` gave."""
    return {step["id"]: step["state"] for step in shown["steps"]}
