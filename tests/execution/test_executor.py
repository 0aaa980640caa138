"""Starting attempts, and the table of resume: what became of one that is in the journal without an outcome."""

from __future__ import annotations

import os
import signal
from pathlib import Path

import anyio
import pytest

from sagactl.core.parts import Ending, How
from sagactl.execution import processes, record
from sagactl.execution.channel import Supervisors
from sagactl.execution.evidence import FOLDED
from sagactl.execution.executor import SupervisedExecutor
from sagactl.execution.invocation import invocation
from sagactl.execution.orphans import running_steps
from sagactl.execution.survey import has_ended
from sagactl.model import Argv, Output
from sagactl.ports import Job, Look
from tests.execution.conftest import Lab, ended

OWN = {"id": "0123456789abcdef.0.action.1", "boot": processes.boot_id(), "supervisor": 1, "at": 0.0}


def claimed(lab: Lab, **changes: object) -> int:
    """A claim in the evidence, as a supervisor would have made it; the descriptor that holds its lock."""
    folder = lab.evidence.saga_folder(lab.token) / "0.action.1"
    folder.mkdir(parents=True, exist_ok=True)
    return record.claim(str(folder), {**OWN, **changes})


def recovered_while_it_ends(lab: Lab, job: Job, descriptor: int) -> How:
    """Recover a claimed attempt whose supervisor writes its outcome and lets go once the executor waits."""
    async def both(executor: SupervisedExecutor) -> How:
        async with anyio.create_task_group() as tasks:
            async def end() -> None:
                await anyio.wait_all_tasks_blocked()
                record.write_slot(descriptor, record.OUTCOME, {"how": "exited", "status": 0, "at": 1.0})
                os.close(descriptor)

            tasks.start_soon(end)
            ending = await executor.recover(job)
        return ending.how

    how: How = lab.run(both)
    return how


def test_an_attempt_that_is_claimed_already_is_not_run(lab: Lab) -> None:
    descriptor = claimed(lab)
    record.write_slot(descriptor, record.OUTCOME, {"how": "exited", "status": 4, "at": 1.0})
    os.close(descriptor)
    ending = lab.start(lab.job("touch ran"))
    assert (ending.how, ending.exit_status) == (How.EXITED, 4)
    assert not (lab.folder / "ran").exists()


def test_an_attempt_that_nobody_claimed_never_started_and_never_can(lab: Lab) -> None:
    job = lab.job("touch ran")
    assert lab.recover(job).how is How.NEVER_STARTED
    assert lab.start(job).how is How.NEVER_STARTED
    assert lab.recover(job).how is How.NEVER_STARTED
    assert not (lab.folder / "ran").exists()


def test_an_outcome_is_adopted_with_outputs_and_the_end_of_stderr(lab: Lab) -> None:
    job = lab.job("echo v > $SAGA_OUTPUT_DIR/out; echo problem >&2; exit 3", outputs={"out": Output()})
    first = lab.start(job)
    assert lab.recover(job) == first
    assert (first.outputs, first.stderr_tail, first.exit_status) == ({"out": "v"}, "problem\n", 3)


def test_a_live_supervisor_is_waited_for(lab: Lab) -> None:
    job = lab.job("true")
    descriptor = claimed(lab)

    assert recovered_while_it_ends(lab, job, descriptor) is How.EXITED


def test_a_dead_supervisor_leaves_an_attempt_in_doubt(lab: Lab) -> None:
    os.close(claimed(lab))
    assert lab.recover(lab.job("true")).how is How.LOST


def test_another_boot_means_doubt_even_without_a_record(lab: Lab) -> None:
    assert lab.recover(lab.job("true", boot="an earlier one")).how is How.LOST
    os.close(claimed(lab, boot="an earlier one"))
    ending = lab.recover(lab.job("true"))
    assert (ending.how, ending.message) == (How.LOST, "the machine was started anew since")


def test_a_damaged_record_means_doubt(lab: Lab) -> None:
    descriptor = claimed(lab)
    os.pwrite(descriptor, b"x", 20)
    os.close(descriptor)
    ending = lab.recover(lab.job("true"))
    assert ending.how is How.LOST
    assert "damaged" in ending.message


def test_what_a_gone_leader_left_is_named_and_not_ended(lab: Lab) -> None:
    """The supervisor is killed, the command ends, and a child of its in a session of its own lives on."""
    job = lab.job("while ! grep -q ticks $SAGA_OUTPUT_DIR.record; do :; done; kill -9 $PPID; "
                  "setsid sh -c 'echo $$ > pid; read x < hold' & while ! test -s pid; do :; done")
    os.mkfifo(lab.folder / "hold")
    ending = lab.start(job)
    pid = int((lab.folder / "pid").read_text())
    try:
        assert ending.how is How.LOST
        assert pid in ending.processes_left
        assert running_steps(lab.evidence, job.saga) == ["a"]
    finally:
        os.kill(pid, signal.SIGKILL)


def test_a_descendant_in_a_session_of_its_own_is_swept_after_a_failure(lab: Lab) -> None:
    job = lab.job("setsid sh -c 'echo $$ > pid; read x < hold' & while ! test -s pid; do :; done; exit 1")
    os.mkfifo(lab.folder / "hold")
    assert lab.start(job).exit_status == 1
    assert processes.start_ticks(int((lab.folder / "pid").read_text())) is None


def test_a_daemon_left_by_a_success_is_left_alone(lab: Lab) -> None:
    os.mkfifo(lab.folder / "hold")
    job = lab.job("setsid sh -c 'echo $$ > pid; read x < hold' & while ! test -s pid; do :; done")
    assert lab.start(job).exit_status == 0
    pid = int((lab.folder / "pid").read_text())
    assert processes.start_ticks(pid) is not None
    os.kill(pid, signal.SIGKILL)


def test_a_command_that_stops_itself_is_ended_at_its_timeout(lab: Lab) -> None:
    ending = lab.start(lab.job("kill -STOP $$", timeout_s=0.2, kill_after_s=5.0))
    assert (ending.how, ending.signal) == (How.TIMED_OUT, signal.SIGTERM)


def test_signals_are_as_a_fresh_login_has_them(lab: Lab) -> None:
    """Python ignores SIGPIPE and SIGXFSZ and the supervisor catches some: none of it may reach a command.

    Signals 32 and 33 are the C library's own, which its posix_spawn leaves ignored in whatever it starts.
    """
    lab.start(lab.job("grep -E 'Sig(Ign|Blk)' /proc/self/status > signals"))
    blocked, ignored = (int(line.split()[1], 16) for line in (lab.folder / "signals").read_text().splitlines())
    assert (blocked, ignored & ~(0b11 << 31)) == (0, 0)


def test_a_command_has_three_descriptors_and_no_more(lab: Lab) -> None:
    lab.start(lab.job("ls /proc/$$/fd > fds"))
    assert set((lab.folder / "fds").read_text().split()) <= {"0", "1", "2", "10"}


def test_a_command_that_cannot_start_says_what_was_not_found(lab: Lab) -> None:
    missing = lab.job("x")
    words = missing.command.__class__(run=Argv(words=("./no-such-program",)), cwd=str(lab.folder))
    ending = lab.start(missing.__class__(saga=missing.saga, attempt=missing.attempt, command=words, env={}))
    assert (ending.how, ending.message) == (How.NOT_STARTED, "./no-such-program: No such file or directory")


def test_a_missing_working_folder_is_named(lab: Lab) -> None:
    job = lab.job("true")
    gone = job.command.__class__(run=job.command.run, cwd="nowhere")
    ending = lab.start(job.__class__(saga=job.saga, attempt=job.attempt, command=gone, env={}))
    assert (ending.how, ending.message) == (How.NOT_STARTED, "its working folder nowhere: No such file or directory")


def test_a_file_named_stop_ends_an_attempt_whose_orchestrator_is_gone(lab: Lab) -> None:
    job = lab.job("echo ready > ready; sleep 300", kill_after_s=5.0)
    os.mkfifo(lab.folder / "ready")

    async def leave(executor: SupervisedExecutor) -> None:
        executor.start(job, lambda _: None)
        ready = await anyio.to_thread.run_sync(Path(lab.folder, "ready").read_text)
        assert ready == "ready\n"

    async def stop(executor: SupervisedExecutor) -> How:
        executor.stop(job.saga, job.attempt, How.STOPPED)
        return (await executor.recover(job)).how

    lab.run(leave)
    assert lab.run(stop) is How.STOPPED


@pytest.mark.skipif(not processes.PROC, reason="looks into /proc")
@pytest.mark.parametrize("status", [0, 4])
def test_what_had_ended_by_itself_before_it_was_to_be_ended_keeps_its_end(lab: Lab, status: int) -> None:
    """The word is read before the supervisor has seen the end, as when it has much to do."""
    job = lab.job(f"echo $$ $PPID > pids; exec 3< go; exit {status}")
    os.mkfifo(lab.folder / "pids")
    os.mkfifo(lab.folder / "go")

    async def stop(executor: SupervisedExecutor) -> Ending:
        looks, over = list[Look](), anyio.Event()

        def take(look: Look) -> None:
            looks.append(look)
            over.set()

        executor.start(job, take)
        command, supervisor = map(int, (lab.folder / "pids").read_text().split())
        os.kill(supervisor, signal.SIGSTOP)
        (lab.folder / "go").write_text("")
        while processes.start_ticks(command) is not None:
            pass
        executor.stop(job.saga, job.attempt, How.INTERRUPTED)
        os.kill(supervisor, signal.SIGCONT)
        await over.wait()
        ending = looks[0]()
        assert ending is not None
        return ending

    ending = lab.run(stop)
    assert (ending.how, ending.exit_status) == (How.EXITED, status)


def test_folded_evidence_is_never_run_again(lab: Lab) -> None:
    job = lab.job("echo x >> log; exit 2")
    lab.start(job)
    lab.run(lambda executor: executor.fold(job.saga, {}))
    assert os.listdir(lab.evidence.saga_folder(lab.token)) == [FOLDED]
    assert lab.start(job).exit_status == 2
    assert (lab.folder / "log").read_text() == "x\n"
    lab.run(lambda executor: executor.fold(job.saga, {}))


def test_no_place_is_made_again_for_an_attempt_that_was_folded(lab: Lab) -> None:
    """As after a database was put back: a supervisor that was stopped since then would run it there."""
    job = lab.job("exit 2")
    lab.start(job)
    lab.run(lambda executor: executor.fold(job.saga, {}))

    async def expect(executor: SupervisedExecutor) -> None:
        executor.expect(job.saga, job.attempt)

    lab.run(expect)
    assert os.listdir(lab.evidence.saga_folder(lab.token)) == [FOLDED]


@pytest.mark.parametrize(("more", "ended"), [({}, True), ({"left": [1]}, False)])
def test_an_attempt_has_ended_once_its_outcome_says_so_and_names_nothing_left(
    lab: Lab, more: dict[str, object], ended: bool,  # noqa: FBT001
) -> None:
    folder = lab.evidence.saga_folder(lab.token)
    folder.mkdir(parents=True)
    assert not has_ended(folder, "0.action.1")
    descriptor = claimed(lab)
    assert not has_ended(folder, "0.action.1")
    record.write_slot(descriptor, record.OUTCOME, {"how": "timed_out", "at": 1.0, **more})
    os.close(descriptor)
    assert has_ended(folder, "0.action.1") is ended


def test_an_attempt_that_is_stopped_before_it_was_asked_for_does_not_start(lab: Lab) -> None:
    job = lab.job("touch ran")

    async def stop_and_start(executor: SupervisedExecutor) -> How:
        executor.stop(job.saga, job.attempt, How.STOPPED)
        return (await ended(executor, job)).how

    assert lab.run(stop_and_start) is How.NEVER_STARTED
    assert not (lab.folder / "ran").exists()


def test_looking_whether_an_attempt_runs_keeps_it_from_ever_starting(lab: Lab) -> None:
    """So a request that is still in a dead orchestrator's socket can't run after an `abandon`."""
    job = lab.job("touch ran")
    assert running_steps(lab.evidence, job.saga) == []
    assert lab.start(job).how is How.NEVER_STARTED
    assert not (lab.folder / "ran").exists()


def test_a_record_that_is_just_being_written_is_read_again(lab: Lab) -> None:
    job = lab.job("true")
    descriptor = claimed(lab)
    os.pwrite(descriptor, b"torn", record.OUTCOME * record.SLOT_BYTES)

    assert recovered_while_it_ends(lab, job, descriptor) is How.EXITED


def test_what_no_process_can_be_given_is_an_error_of_that_attempt_alone(lab: Lab) -> None:
    job = lab.job("true")
    bad = job.__class__(saga=job.saga, attempt=job.attempt, command=job.command, env={"X": "a\0b"})

    async def two(executor: SupervisedExecutor) -> list[How]:
        first = await ended(executor, bad)
        lab.token = "f" * 16
        return [first.how, (await ended(executor, lab.job("true"))).how]

    assert lab.run(two) == [How.NOT_STARTED, How.EXITED]


def test_masking_touches_nothing_that_is_not_the_attempts_own(lab: Lab) -> None:
    (lab.folder / "mine").write_text("my hunter2")
    (lab.folder / "other").mkdir()
    (lab.folder / "other/file").write_text("other hunter2")
    linked = lab.job('ln mine "$SAGA_OUTPUT_DIR/.copy"; echo hunter2 > "$SAGA_OUTPUT_DIR/.reply"', secrets={"T": "hunter2"})
    lab.start(linked)
    assert (lab.folder / "mine").read_text() == "my hunter2"
    assert (lab.attempt_folder(linked) / ".reply").read_text() == "*******\n"
    lab.token = "f" * 16
    lab.start(lab.job('rmdir "$SAGA_OUTPUT_DIR"; ln -s "$PWD/other" "$SAGA_OUTPUT_DIR"', secrets={"T": "hunter2"}))
    assert (lab.folder / "other/file").read_text() == "other hunter2"


def test_a_stderr_that_was_made_read_only_is_masked_all_the_same(lab: Lab) -> None:
    ending = lab.start(lab.job("echo hunter2 >&2; chmod 400 /proc/self/fd/2; exit 1", secrets={"T": "hunter2"}))
    assert ending.stderr_tail == "*******\n"


def test_an_output_is_not_read_through_a_link(lab: Lab) -> None:
    outputs = {"out": Output()}
    ending = lab.start(lab.job('ln -s /etc/passwd "$SAGA_OUTPUT_DIR/out"', outputs=outputs))
    assert (dict(ending.outputs), "output out can't be read" in ending.outputs_error) == ({}, True)


def test_a_request_that_outlived_its_saga_is_not_run(lab: Lab) -> None:
    """A stopped supervisor goes on after somebody else has claimed the attempt for nobody, and folded it away."""
    job = lab.job("touch ran")
    request = {**invocation(job, str(lab.attempt_folder(job)), str(lab.folder)), "id": OWN["id"], "boot": OWN["boot"],
               "umask": 0o022}
    assert running_steps(lab.evidence, job.saga) == []
    lab.evidence.fold(lab.token)

    async def late() -> None:
        async with Supervisors() as supervisors:
            over = anyio.Event()
            supervisors.with_room().run(request, lambda _: over.set())
            await over.wait()

    anyio.run(late)
    assert not (lab.folder / "ran").exists()
    assert os.listdir(lab.evidence.saga_folder(lab.token)) == [FOLDED]


def test_outputs_have_limits_and_are_text(lab: Lab) -> None:
    outputs = {"big": Output(), "raw": Output(), "none": Output(), "void": Output(empty_allowed=True), "dir": Output()}
    script = """
cd "$SAGA_OUTPUT_DIR"; mkdir dir; : > void; : > none; printf '\\377' > raw; head -c 70000 /dev/zero | tr '\\0' x > big
"""
    ending = lab.start(lab.job(script, outputs=outputs))
    assert dict(ending.outputs) == {"void": ""}
    for said in ("big can't be read: it is over 64 KiB", "raw is not UTF-8", "none is empty", "dir is no regular file"):
        assert said in ending.outputs_error
