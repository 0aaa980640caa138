"""The record of an attempt: one claim, a lock that tells who lives, slots that can't be torn unnoticed."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from sagactl.execution import record

OWN = {"id": "x.0.action.1", "boot": "b", "supervisor": 1, "at": 1.0}


def test_an_attempt_is_claimed_once(tmp_path: Path) -> None:
    descriptor = record.claim(str(tmp_path), OWN)
    with pytest.raises(FileExistsError):
        record.claim(str(tmp_path), OWN)
    os.close(descriptor)
    with pytest.raises(FileExistsError):
        record.claim(str(tmp_path), OWN)
    assert sorted(os.listdir(tmp_path)) == ["record"]


def test_the_lock_comes_with_the_claim_and_goes_with_its_holder(tmp_path: Path) -> None:
    descriptor = record.claim(str(tmp_path), OWN)
    assert record.is_held(str(tmp_path / "record"), retry_s=0.0)
    os.close(descriptor)
    assert not record.is_held(str(tmp_path / "record"), retry_s=0.0)
    assert not record.is_held(str(tmp_path / "nowhere"))


def test_slots_are_read_as_they_were_written(tmp_path: Path) -> None:
    assert record.read(str(tmp_path)) is None
    descriptor = record.claim(str(tmp_path), OWN)
    assert record.read(str(tmp_path)) == (OWN, None, None)
    record.write_slot(descriptor, record.OUTCOME, {"how": "exited", "status": 0})
    record.write_slot(descriptor, record.STARTED, {"pid": 1})
    os.close(descriptor)
    assert record.read(str(tmp_path)) == (OWN, {"pid": 1}, {"how": "exited", "status": 0})


@pytest.mark.parametrize("at", [0, 3, 20, 512 + 5, 1024, 1024 + 30])
def test_a_changed_byte_is_noticed(tmp_path: Path, at: int) -> None:
    descriptor = record.claim(str(tmp_path), OWN, {"how": "never_started"})
    record.write_slot(descriptor, record.STARTED, {"pid": 1})
    byte = os.pread(descriptor, 1, at)
    os.pwrite(descriptor, bytes([byte[0] ^ 1]), at)
    os.close(descriptor)
    with pytest.raises(record.DamagedRecordError):
        record.read(str(tmp_path))


def test_a_record_that_is_cut_short_or_a_link_is_damaged(tmp_path: Path) -> None:
    os.close(record.claim(str(tmp_path), OWN))
    os.truncate(tmp_path / "record", 1000)
    with pytest.raises(record.DamagedRecordError, match="1000 bytes"):
        record.read(str(tmp_path))
    (tmp_path / "record").rename(tmp_path / "other")
    (tmp_path / "record").symlink_to("other")
    with pytest.raises(record.DamagedRecordError):
        record.read(str(tmp_path))
