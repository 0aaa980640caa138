"""The record of an attempt: one claim, a lock that tells who lives, slots that can't be torn unnoticed."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from sagactl.execution import record

OWN = {"id": "x.0.action.1", "boot": "b", "supervisor": 1, "at": 1.0}


@pytest.fixture
def attempt(tmp_path: Path) -> str:
    return str(tmp_path / "0.action.1")


def test_an_attempt_is_claimed_once(attempt: str) -> None:
    descriptor = record.claim(attempt, OWN)
    with pytest.raises(FileExistsError):
        record.claim(attempt, OWN)
    os.close(descriptor)
    with pytest.raises(FileExistsError):
        record.claim(attempt, OWN)
    assert os.listdir(Path(attempt).parent) == ["0.action.1.record"]


def test_the_lock_comes_with_the_claim_and_goes_with_its_holder(attempt: str) -> None:
    descriptor = record.claim(attempt, OWN)
    assert record.is_held(record.path_of(attempt, "record"), retry_s=0.0)
    os.close(descriptor)
    assert not record.is_held(record.path_of(attempt, "record"), retry_s=0.0)
    assert not record.is_held(f"{attempt}.nowhere")


def test_slots_are_read_as_they_were_written(attempt: str) -> None:
    assert record.read(attempt) is None
    descriptor = record.claim(attempt, OWN)
    assert record.read(attempt) == (OWN, None, None)
    record.write_slot(descriptor, record.OUTCOME, {"how": "exited", "status": 0})
    record.write_slot(descriptor, record.STARTED, {"pid": 1})
    os.close(descriptor)
    assert record.read(attempt) == (OWN, {"pid": 1}, {"how": "exited", "status": 0})


@pytest.mark.parametrize("at", [0, 3, 20, 512 + 5, 1024, 1024 + 30])
def test_a_changed_byte_is_noticed(attempt: str, at: int) -> None:
    descriptor = record.claim(attempt, OWN, {"how": "never_started"})
    record.write_slot(descriptor, record.STARTED, {"pid": 1})
    byte = os.pread(descriptor, 1, at)
    os.pwrite(descriptor, bytes([byte[0] ^ 1]), at)
    os.close(descriptor)
    with pytest.raises(record.DamagedRecordError):
        record.read(attempt)


def test_a_record_that_is_cut_short_or_a_link_is_damaged(attempt: str) -> None:
    os.close(record.claim(attempt, OWN))
    path = Path(record.path_of(attempt, "record"))
    os.truncate(path, 1000)
    with pytest.raises(record.DamagedRecordError, match="1000 bytes"):
        record.read(attempt)
    path.rename(path.with_name("other"))
    path.symlink_to("other")
    with pytest.raises(record.DamagedRecordError):
        record.read(attempt)
