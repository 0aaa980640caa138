"""No room: a limit on the size of files (RLIMIT_FSIZE), and a small file system that is really full.

A run that meets the limit ends with exit 7 and a hint, never by SIGXFSZ; without the limit it goes on to its end.
"""

from __future__ import annotations

import shutil
import subprocess
from collections import Counter
from pathlib import Path

import pytest

from tests.conftest import Torture
from tests.faults.surviving import RUN, a_saga, survived, told
from tests.harness import SAGACTL, TIMEOUT_S, environment, saga

BLOCKS_STEP = 8
"""4 KiB where a block of `ulimit -f` is 512 bytes."""

SMALL = 'mount -t tmpfs -o size="$0" tmpfs state && . ./script'
UNSHARED = ("unshare", "--mount", "--propagation", "private", "sh", "-c")


def limited(folder: Path, blocks: int, *args: str) -> subprocess.CompletedProcess[str]:
    """A command of ours under a limit for the size of files, which its supervisors and commands inherit."""
    return subprocess.run(["sh", "-c", 'ulimit -f "$0"; exec "$@"', str(blocks), *SAGACTL, *args], cwd=folder,
                          env=environment(folder), capture_output=True, text=True, timeout=TIMEOUT_S, check=False)


@pytest.mark.torture
def test_a_limit_on_the_size_of_files_ends_no_saga_for_good(tmp_path: Path, torture: Torture) -> None:
    tried, untouched, found = 0, 0, Counter[str]()
    for blocks in torture.some(range(0, 2000, BLOCKS_STEP), short=1):
        built = a_saga(tmp_path / str(blocks))
        done = limited(built.folder, blocks, *RUN)
        for kind, text in (*told(done.returncode, done.stderr), *survived(built, done.stderr)):
            found[kind] += 1
            print(f"{blocks} blocks: {text}")
        tried += done.returncode == 7
        untouched += done.returncode == 10
        if torture.long and untouched:
            break
    torture.report("limits on the size of files", tried + untouched, found)


@pytest.mark.parametrize("blocks", [0, 2, 64])
def test_a_low_limit_is_told_and_what_to_do(tmp_path: Path, blocks: int) -> None:
    built = a_saga(tmp_path / "saga")
    done = limited(built.folder, blocks, *RUN)
    assert done.returncode == 7, done.stderr
    assert not list(told(done.returncode, done.stderr))
    assert not list(survived(built, done.stderr))


def test_a_command_over_its_own_limit_is_ended_by_the_signal(tmp_path: Path) -> None:
    built = saga(tmp_path, """
steps:
  - id: a
    action: [sh, -c, "ulimit -f 1; exec head -c 100000 /dev/zero"]
    undo: none
    max_retries: 0
""")
    built.run().chatty().exits(10)
    attempt = built.inspect()["steps"][0]["attempts"][0]
    assert (attempt["signal"], attempt["exit_status"]) == (25, None)


def unshared() -> str:
    """Why no file system can be mounted here; "" where it can."""
    if shutil.which("unshare") is None:
        return "there is no unshare"
    done = subprocess.run([*UNSHARED, "mount -t tmpfs tmpfs /mnt"], capture_output=True, text=True, check=False)
    return done.stderr.strip() if done.returncode else ""


@pytest.mark.skipif(bool(unshared()), reason=f"no file system of our own: {unshared()}")
@pytest.mark.parametrize("size", ["384k", "2m"])
def test_a_file_system_that_a_step_has_filled_is_told_and_once_there_is_room_it_goes_on(
    tmp_path: Path, size: str,
) -> None:
    built = saga(tmp_path, """
steps:
  - {id: a, action: "echo do-a >> log; head -c 4M /dev/zero > state/fill || true", undo: echo undo-a >> log}
  - {id: b, action: echo do-b >> log, undo: echo undo-b >> log}
  - {id: last, needs: [b], action: echo last >> log; exit 1, undo: none}
""")
    (tmp_path / "state").mkdir()
    ours = " ".join(SAGACTL)
    built.file("script", f"""
{ours} run saga.yaml --id t 2> first; echo $? >> codes
{ours} list > /dev/null 2> list; echo $? >> codes
{ours} inspect t > /dev/null 2> inspect; echo $? >> codes
{ours} resume t 2> still; echo $? >> codes
rm state/fill
{ours} resume t 2> last; echo $? >> codes
""")
    done = subprocess.run([*UNSHARED, SMALL, size], cwd=tmp_path, env=environment(tmp_path), capture_output=True,
                          text=True, timeout=TIMEOUT_S, check=False)
    said = {name: (tmp_path / name).read_text() for name in ("first", "list", "inspect", "still", "last")}
    assert (tmp_path / "codes").read_text().split() == ["7", "0", "0", "7", "10"], (done.stderr, said)
    assert "sagactl: can't" in said["first"]
    assert "make room" in said["first"]
    log = (tmp_path / "log").read_text().split()
    assert log == ["do-a", "do-b", "last", "undo-b", "undo-a"], said
