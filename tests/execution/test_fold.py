"""The fold of a final saga: attempts go with all that is of them, and nothing else does."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from itertools import count

import pytest

from sagactl.execution import processes
from sagactl.execution.evidence import FOLDED
from sagactl.execution.invocation import invocation
from sagactl.execution.orphans import running_steps
from tests.execution.conftest import Lab
from tests.faults.injection import Fault, needs_strace
from tests.harness import ROOT

OWN = "own=$SAGA_OUTPUT_DIR"
NAME = "0.action.1"
FILES = {f"{NAME}.{name}" for name in ("record", "stdout", "stderr")}


@pytest.mark.parametrize("left", [
    "true",
    'echo 1 > "$own/id"',
    'mkdir -p "$own/deep/er"; touch "$own/deep/er/file"',
    'rm "$own.stderr"',
    'rmdir "$own"; ln -s ../../other "$own"',
    'rmdir "$own"; touch "$own"',
    'rmdir "$own"',
    'rm "$own.stdout"; ln -s ../../other/file "$own.stdout"',
    'rm "$own.stdout"; mkdir "$own.stdout"; touch "$own.stdout/file"',
    'mkfifo "$own.stop"',
    'mkdir "$own/../.claim-1-1"; touch "$own/../.claim-1-1/file"',
    'mkfifo "$own/../.folded-new"',
    'ln other/file "$own/../.folded-new"',
])
def test_an_attempt_goes_whatever_its_command_put_there(lab: Lab, left: str) -> None:
    (lab.folder / "other").mkdir()
    (lab.folder / "other/file").write_text("theirs")
    assert lab.start(lab.job(f"{OWN}; {left}")).exit_status == 0
    lab.evidence.fold(lab.token)
    assert names(lab) == {FOLDED}
    assert lab.evidence.folded(lab.token)[NAME]["outcome"]["status"] == 0
    assert (lab.folder / "other/file").read_text() == "theirs"
    assert os.listdir(lab.folder / "other") == ["file"]


def test_what_is_not_of_an_attempt_stays(lab: Lab) -> None:
    left = {f"{NAME}.more", f"x{NAME}", "0.action", "0.action.x", "notes"}
    lab.start(lab.job("true"))
    for name in left:
        (lab.evidence.saga_folder(lab.token) / name).mkdir()
    lab.evidence.fold(lab.token)
    assert names(lab) == {FOLDED, *left}


@pytest.mark.parametrize("gone", [{NAME}, FILES, {NAME, f"{NAME}.record"}, {*FILES, NAME} - {f"{NAME}.stdout"}])
def test_what_a_kill_left_of_a_fold_is_tidied_up_and_takes_nothing_from_what_was_kept(lab: Lab, gone: set[str]) -> None:
    lab.start(lab.job("echo hello"))
    before = names(lab)
    kept = {name: (lab.evidence.saga_folder(lab.token) / name).read_bytes() for name in FILES}
    lab.evidence.fold(lab.token)
    folded = lab.evidence.folded(lab.token)
    assert folded[NAME]["stdout"] == "hello\n"
    for name in before - gone:
        path = lab.evidence.saga_folder(lab.token) / name
        path.write_bytes(kept[name]) if name in kept else path.mkdir()
    assert not lab.evidence.is_folded(lab.token)
    lab.evidence.fold(lab.token)
    assert names(lab) == {FOLDED}
    assert lab.evidence.folded(lab.token) == folded


REMOVING = """
import sys
from pathlib import Path
from sagactl.execution.evidence import Evidence
getattr(Evidence(Path(sys.argv[1])), sys.argv[2])(sys.argv[3])
"""


@needs_strace
@pytest.mark.parametrize(("call", "times"), [("rmdir", 1), ("unlink", len(FILES))])
@pytest.mark.parametrize("remove", ["fold", "clear"])
def test_killed_at_each_removal_an_attempt_has_no_folder_where_it_has_no_record(
    lab: Lab, remove: str, call: str, times: int,
) -> None:
    """So who claims it just then finds no folder, and does not run it. The next one goes on."""
    for when in count(1):
        lab.token = f"{when:016x}"
        lab.start(lab.job("echo hello"))
        fault = Fault(calls=call, when=when).options()
        done = subprocess.run(
            ["strace", "-o", os.devnull, *fault, sys.executable, "-c", REMOVING, str(lab.folder / "sagas.db"), remove, lab.token],
            env={**os.environ, "PYTHONPATH": str(ROOT)}, check=False, capture_output=True)
        left = names(lab)
        assert f"{NAME}.record" in left or NAME not in left
        getattr(lab.evidence, remove)(lab.token)
        assert names(lab) == ({FOLDED} if remove == "fold" else set())
        if remove == "fold":
            assert lab.evidence.folded(lab.token)[NAME]["stdout"] == "hello\n"
        if done.returncode == 0:
            break
    assert when > times


ASKED = """
import json, os, socket, sys
from sagactl.execution.supervisor import Supervisor
ends = socket.socketpair()
supervisor = Supervisor(ends[0])
supervisor.start(json.loads(sys.argv[1]))
for attempt in supervisor.attempts.values():
    os.waitpid(attempt.pid, 0)
"""


@needs_strace
@pytest.mark.parametrize("remove", ["fold", "clear"])
def test_what_goes_while_a_supervisor_is_about_to_claim_it_is_not_run(lab: Lab, remove: str) -> None:
    """It has seen the folder, and is stopped. Somebody claims the attempt for nobody, and its evidence goes."""
    job, trace = lab.job("touch ran"), lab.folder / "trace"
    attempt = lab.attempt_folder(job)
    who = {"id": f"{lab.token}.{NAME}", "boot": processes.boot_id(), "umask": 0o022, "kept": []}
    seen = Fault(calls="?stat,?newfstatat,?statx", when=1, effect="signal=STOP", paths=(attempt,)).options()
    command = ["strace", "-f", "-o", str(trace), *seen, sys.executable, "-c", ASKED,
               json.dumps({**invocation(job, str(attempt), str(attempt)), **who})]
    with subprocess.Popen(command, env={**os.environ, "PYTHONPATH": str(ROOT)}) as traced:
        while "--- stopped by SIGSTOP ---" not in (text := trace.read_text() if trace.exists() else ""):
            assert traced.poll() is None
        try:
            assert running_steps(lab.evidence, job.saga) == []
            getattr(lab.evidence, remove)(lab.token)
        finally:
            os.kill(int(text.split()[0]), signal.SIGCONT)
    assert traced.returncode == 0
    assert not (lab.folder / "ran").exists()


def names(lab: Lab) -> set[str]:
    return set(os.listdir(lab.evidence.saga_folder(lab.token)))
