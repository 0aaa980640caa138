"""The fold of a final saga: folders of attempts go with all that is in them, and nothing else does."""

from __future__ import annotations

from pathlib import Path

import pytest

from sagactl.errors import StoreError
from sagactl.execution import record
from tests.execution.conftest import Lab

HERE = 'cd "$SAGA_OUTPUT_DIR/.."'
NAMES = {record.NAME, "stdout", "stderr", "outputs"}


@pytest.mark.parametrize("left", [
    "true",
    'echo 1 > "$SAGA_OUTPUT_DIR/id"',
    f"{HERE}; touch more",
    f"{HERE}; mkdir -p deep/er",
    f"{HERE}; rm stderr",
    f"{HERE}; rmdir outputs; ln -s ../../../other outputs",
    f"{HERE}; rm stdout; ln -s ../../../other/stdout stdout",
    f"{HERE}; rm stdout; mkdir stdout",
])
def test_the_folder_of_an_attempt_goes_whatever_its_command_put_there(lab: Lab, left: str) -> None:
    other = others(lab)
    job = lab.job(left)
    assert lab.start(job).exit_status == 0
    lab.evidence.fold(lab.token)
    assert [path.name for path in lab.evidence.saga_folder(lab.token).iterdir()] == [record.FOLDED]
    assert {path.name for path in other.iterdir()} == NAMES


def test_nothing_goes_that_a_link_in_the_place_of_an_attempt_leads_to(lab: Lab) -> None:
    other, job = others(lab), lab.job("true")
    lab.start(job)
    folder = lab.attempt_folder(job)
    folder.rename(lab.folder / "away")
    folder.symlink_to(other)
    with pytest.raises(StoreError, match="can't tidy up"):
        lab.evidence.fold(lab.token)
    assert {path.name for path in other.iterdir()} == NAMES


def others(lab: Lab) -> Path:
    """A folder that looks like that of an attempt."""
    other = lab.folder / "other"
    other.mkdir()
    for name in NAMES - {"outputs"}:
        (other / name).touch()
    (other / "outputs").mkdir()
    return other
