"""Starting a command: what it inherits is ours for that instant only."""

from __future__ import annotations

import os
import signal
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from sagactl.execution import processes, record
from sagactl.execution.children import EvidenceError, end_of, reap, spawn


@pytest.fixture
def request_(tmp_path: Path) -> Iterator[dict[str, Any]]:
    """What asks for a command that says where it is, in a folder of its own; ours is as before afterwards."""
    (tmp_path / "at").mkdir()
    (tmp_path / "bin").mkdir()
    (tmp_path / "bin/tell").write_text("#!/bin/sh\npwd; umask; echo $0\n")
    (tmp_path / "bin/tell").chmod(0o755)
    record.make_folder(str(tmp_path / "attempt"))
    folder, path, ours = Path.cwd(), os.environ["PATH"], os.umask(0o077)
    yield {"folder": str(tmp_path / "attempt"), "argv": ["tell"], "stdin": "", "cwd": str(tmp_path / "at"),
           "env": {"PATH": f"{tmp_path}/bin:/usr/bin:/bin"}, "umask": 0o027}
    os.chdir(folder)
    os.environ["PATH"] = path
    os.umask(ours)


def told(request: dict[str, Any]) -> list[str]:
    pid = spawn(request)
    os.waitid(os.P_PID, pid, os.WEXITED | os.WNOWAIT)
    assert end_of(pid) == {"status": 0}
    reap(pid)
    return Path(request["folder"] + ".stdout").read_text().split()


def test_folder_umask_and_path_are_the_commands(request_: dict[str, Any], tmp_path: Path) -> None:
    assert told(request_) == [str(tmp_path / "at"), "0027", str(tmp_path / "bin/tell")]


def test_without_a_path_a_command_is_found_where_the_system_keeps_them(request_: dict[str, Any]) -> None:
    assert told(request_ | {"argv": ["pwd"], "env": {}}) == [request_["cwd"]]


def ours_again() -> bool:
    """A folder that a process is in can't be unmounted, and evidence is nobody else's."""
    return Path.cwd() == Path("/") and os.umask(0o077) == 0o077


def test_folder_and_umask_are_ours_again(request_: dict[str, Any]) -> None:
    told(request_)
    assert ours_again()


@pytest.mark.parametrize(("changes", "named"), [
    ({"argv": ["no-such-command"]}, "no-such-command"), ({"cwd": "/no/such/folder"}, "/no/such/folder"),
])
def test_they_are_after_a_command_that_can_not_start(
    request_: dict[str, Any], changes: dict[str, Any], named: str,
) -> None:
    os.chdir("/")
    with pytest.raises(FileNotFoundError) as raised:
        spawn(request_ | changes)
    assert (raised.value.filename, isinstance(raised.value, EvidenceError)) == (named, False)
    assert ours_again()


@pytest.mark.skipif(not processes.PROC, reason="no /proc")
def test_when_a_child_started_is_known_to_the_tick_without_a_look(request_: dict[str, Any]) -> None:
    at_once = 0
    for n in range(50):
        folder = f"{request_['folder']}{n}"
        record.make_folder(folder)
        since = processes.now_ticks()
        pid = spawn(request_ | {"argv": ["sleep", "60"], "folder": folder})
        at_once += processes.now_ticks() == since
        told = processes.child_ticks(pid, since)
        assert told == processes.start_ticks(pid)
        os.kill(pid, signal.SIGKILL)
        reap(pid)
    assert at_once
