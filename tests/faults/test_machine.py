"""The machine is not what it was: another boot, evidence that is gone or damaged, a database from a backup.

An outcome that is there is adopted; where nobody can know, the attempt is in doubt. It is never run again by itself.
"""

from __future__ import annotations

import functools
import os
import shutil
import subprocess
from collections.abc import Callable, Mapping
from itertools import product
from pathlib import Path

import pytest

from sagactl.execution import record
from tests.cli.test_crash import ONCE, script
from tests.conftest import Torture
from tests.faults.injection import SPAWN, Fault, inject, needs_strace
from tests.faults.steps import Found, Place, first_reset, orchestrator_steps, places, try_all, wait_until_alone
from tests.faults.test_protocol_kills import PAIRED
from tests.harness import Saga, saga

RUN = ("run", "saga.yaml", "--id", "t")
FOUND_DEAD = Fault(calls="link", when=1, main=True)
"""The orchestrator dies when it has seen its supervisor dead, before it claims the attempt for nobody."""

MOMENTS: Mapping[str, tuple[Fault | None, Fault | None, str]] = {
    "before the request": (Fault(calls="sendto", when=1, main=True), None, ""),
    "after the claim": (FOUND_DEAD, Fault(calls=SPAWN, when=1), ""),
    "after the start": (FOUND_DEAD, Fault(calls="waitid", when=1), "a\n"),
    "after the outcome": (None, None, "a\n"),
}
"""When a saga was interrupted: where the orchestrator and the supervisor died, and what took effect."""


def interrupted(folder: Path, moment: str) -> Saga:
    """A saga that was interrupted in its first step. Nothing of it runs any more."""
    ours, theirs, log = MOMENTS[moment]
    folder.mkdir(exist_ok=True)
    once = ONCE if ours is None else "true"
    built = saga(folder, f"""
steps:
  - id: a
    action: {script('echo a >> log', once)}
    undo: none
    on_interrupt: escalate
  - {{id: b, action: echo b >> log, undo: none}}
""")
    assert inject(folder, RUN, orchestrator=ours, supervisor=theirs).code == -9
    wait_until_alone(folder)
    assert (folder / "log").read_text() == log if log else not (folder / "log").exists()
    return built


def root(folder: Path) -> Path:
    return folder / "state/sagactl/sagas.db.d"


def attempt(folder: Path) -> Path:
    (found,) = root(folder).glob("*/lock")
    return found.with_name("0.action.1")


def recorded(folder: Path) -> Path:
    return Path(record.path_of(str(attempt(folder)), "record"))


def leads_out(built: Saga, took_effect: str) -> None:
    """A person who looks at the log settles the doubt; then each step has taken effect once."""
    built.again("resume", "t").stderr("can't go on while a is in doubt").exits(5)
    word = "landed" if took_effect else "not-landed"
    built.again("resolve", "t", "--step", "a", "--as", word, "--reason", "the log").chatty().exits(0)
    built.again("resume", "t").chatty().file_after("log", "a\nb\n").exits(0)


# Another boot.

BOOT = ("unshare", "--mount", *(["--map-root-user"] if os.geteuid() else []),
        "sh", "-c", 'mount --bind boot /proc/sys/kernel/random/boot_id && exec "$@"', "sh")


@functools.cache
def one_boot() -> str:
    """Why the boot id can't be made another one here; "" where it can."""
    command = [each if each != BOOT[-2] else each.replace("bind boot", "bind /etc/hostname") for each in BOOT]
    try:
        done = subprocess.run([*command, "true"], capture_output=True, text=True, check=False)
    except OSError as error:
        return str(error)
    return done.stderr.strip() if done.returncode else ""


@needs_strace
@pytest.mark.torture
@pytest.mark.skipif(bool(one_boot()), reason=f"no other boot id: {one_boot()}")
def test_on_another_boot_an_outcome_is_adopted_and_all_else_is_in_doubt(tmp_path: Path, torture: Torture) -> None:
    """Never started is said only within the boot of the intent."""
    rows = torture.some(list(MOMENTS), short=1)
    for moment in rows:
        folder = tmp_path / moment
        built = interrupted(folder, moment).file("boot", "a0b1c2d3-0000-0000-0000-000000000000\n")
        done = inject(folder, ["resume", "t"], within=BOOT)
        if moment == "after the outcome":
            assert done.code == 0, done
            assert (folder / "log").read_text() == "a\nb\n"
        else:
            assert done.code == 11, done
            assert "the machine was started anew since" in done.stderr
            leads_out(built, MOMENTS[moment][2])
    torture.report("resumed on another boot", len(rows), {})


# Evidence that is gone.

def removed(*paths: Path) -> None:
    for path in paths:
        shutil.rmtree(path) if path.is_dir() else path.unlink()


GONE: Mapping[str, Callable[[Path], None]] = {
    "the record": lambda folder: recorded(folder).unlink(missing_ok=True),
    "the files": lambda folder: removed(*attempt(folder).parent.glob("0.action.1.*")),
    "the attempt": lambda folder: removed(*attempt(folder).parent.glob("0.action.1*")),
    "the saga": lambda folder: shutil.rmtree(attempt(folder).parent),
    "all": lambda folder: shutil.rmtree(root(folder)),
}


@needs_strace
@pytest.mark.torture
def test_an_attempt_whose_evidence_is_gone_is_not_run_again(tmp_path: Path, torture: Torture) -> None:
    unclaimed = {("the record", "before the request"), ("the files", "before the request")}
    rows = torture.some([row for row in product(GONE, MOMENTS) if row not in unclaimed], short=1)
    for what, moment in rows:
        folder = tmp_path / f"{what} {moment}"
        built = interrupted(folder, moment)
        GONE[what](folder)
        built.again("resume", "t").stdout("t escalated\n").stderr("a: in doubt").exits(11)
        assert "its evidence is gone" in built.again("inspect", "t").chatty().exits(0).stdout
        leads_out(built, MOMENTS[moment][2])
    torture.report("interrupted, and evidence deleted", len(rows), {})


@pytest.mark.torture
def test_evidence_that_goes_while_the_command_runs_repeats_nothing(tmp_path: Path, torture: Torture) -> None:
    """Its supervisor puts the record back, and tells the outcome: the run goes on."""
    rows = torture.some(list(GONE), short=1)
    for what in rows:
        folder = tmp_path / what
        folder.mkdir()
        built = saga(folder, """
steps:
  - {id: a, action: 'echo ready > ready; read go < go; echo a >> log', undo: none, on_interrupt: escalate}
  - {id: b, action: echo b >> log, undo: none}
""")
        built.fifo("ready")
        built.fifo("go")
        process = built.start(*RUN)
        assert (folder / "ready").read_text() == "ready\n"
        GONE[what](folder)
        (folder / "go").write_text("go\n")
        process.communicate(timeout=30)
        assert process.returncode == 0
        assert (folder / "log").read_text() == "a\nb\n"
    torture.report("evidence deleted under a live run", len(rows), {})


# Evidence that is damaged.

def changed(change: Callable[[bytes], bytes]) -> Callable[[Path], None]:
    def damage(path: Path) -> None:
        path.write_bytes(change(path.read_bytes()))

    return damage


def flipped(at: int) -> Callable[[Path], None]:
    return changed(lambda raw: raw[:at] + bytes([raw[at] ^ 4]) + raw[at + 1:])


def zeroed(slot: int, to: int) -> Callable[[Path], None]:
    first, last = slot * record.SLOT_BYTES, to * record.SLOT_BYTES
    return changed(lambda raw: raw[:first] + bytes(last - first) + raw[last:])


def a_folder(path: Path) -> None:
    path.unlink()
    path.mkdir()


DAMAGED: Mapping[str, Callable[[Path], None]] = {
    "a bit of the claim": flipped(40),
    "a bit of the start": flipped(512 + 40),
    "a bit of the outcome": flipped(1024 + 40),
    "cut off within the claim": changed(lambda raw: raw[:100]),
    "cut off within the start": changed(lambda raw: raw[:600]),
    "cut off before the outcome": changed(lambda raw: raw[:1024]),
    "empty": changed(lambda raw: b""),
    "the claim zeroed": zeroed(0, 1),
    "the outcome zeroed": zeroed(2, 3),
    "the start and the outcome zeroed": zeroed(1, 3),
    "all zeroed": zeroed(0, 3),
    "a folder": a_folder,
}


@needs_strace
@pytest.mark.torture
def test_a_damaged_record_leaves_the_attempt_in_doubt(tmp_path: Path, torture: Torture) -> None:
    rows = torture.some(list(product(DAMAGED, ["after the start", "after the outcome"])), short=1)
    for what, moment in rows:
        folder = tmp_path / f"{what} {moment}"
        built = interrupted(folder, moment)
        DAMAGED[what](recorded(folder))
        built.again("resume", "t").stdout("t escalated\n").stderr("a: in doubt").exits(11)
        leads_out(built, "a\n")
    torture.report("interrupted, and the record damaged", len(rows), {})


@needs_strace
def test_an_outcome_is_adopted_where_only_the_start_is_not_known(tmp_path: Path) -> None:
    built = interrupted(tmp_path, "after the outcome")
    zeroed(1, 2)(recorded(tmp_path))
    built.again("resume", "t").chatty().file_after("log", "a\nb\n").exits(0)


@needs_strace
def test_a_record_that_cannot_be_read_stops_the_resume_until_it_can(tmp_path: Path) -> None:
    built = interrupted(tmp_path, "after the outcome")
    unreadable = Fault(calls="openat", when=1, onwards=True, effect="error=EIO", paths=(recorded(tmp_path),))
    done = inject(tmp_path, ["resume", "t"], orchestrator=unreadable)
    assert done.code == 7
    assert "Input/output error" in done.stderr
    built.again("resume", "t").chatty().file_after("log", "a\nb\n").exits(0)


# A database from a backup.

@needs_strace
@pytest.mark.torture
def test_a_database_older_than_its_evidence_repeats_nothing(tmp_path: Path, torture: Torture) -> None:
    """A copy is taken where a run was killed, and put back when the saga has ended, its evidence folded or just not."""
    found = Found()
    unfolded = Fault(calls="rename", when=1, main=True)

    def trial(place: Place, row: tuple[Fault, Fault | None]) -> None:
        first, second = row
        state, backup = place.folder / "state/sagactl", place.folder / "backup"
        place.killed(first, place.story.args)
        wait_until_alone(place.folder)
        shown = place.look()
        if shown is None:
            return  # it had not begun
        database = [path for path in state.glob("sagas.db*") if path.is_file()]
        backup.mkdir()
        for path in database:
            shutil.copy(path, backup)
        if second is None:
            place.end()
        else:
            place.killed(second, place.story.then(shown))
        wait_until_alone(place.folder)
        for path in state.glob("sagas.db*"):
            path.unlink() if path.is_file() else None
        for path in backup.iterdir():
            shutil.copy(path, state)
        found.hits += 1
        found.compare(place, *place.end(), row)

    for story in torture.some(PAIRED, short=1):
        with places(tmp_path, story, most=9 if torture.long else 1) as queue:
            rows = orchestrator_steps(first_reset(queue), story.args, ("sendto", "flock"))
            try_all(queue, torture.some([(row, then) for row in rows for then in (None, unfolded)], short=1), trial)
    torture.report("database put back from a backup", found.hits, found.faults())
