"""What is told in lines of a command that runs long."""

from __future__ import annotations

import pytest

from sagactl.cli.options import FORMS, settled
from sagactl.cli.telling import Teller
from tests.core.test_decide import Drive, chain


def teller(drive: Drive, total: int = 1, **given: str) -> Teller:
    common = settled({"db": "none.db", **given}, {}, FORMS)
    return Teller(common, total, None, now_s=lambda: drive.now_s)


def test_a_command_that_runs_on_is_told_of_each_minute_until_it_ends(capsys: pytest.CaptureFixture[str]) -> None:
    drive = Drive.of(*chain("charge", "ship"))
    tells = teller(drive)
    tells.publish(drive.saga, drive.saga.seq, drive.saga.started)
    for _ in range(125):
        drive.now_s += 1
        tells.tick()
    assert [line.split(" ", 1)[1] for line in capsys.readouterr().err.splitlines()] == [
        "still running: charge (60s)", "still running: charge (120s)"]
    tells.ended(drive.saga.id)
    drive.now_s += 60
    tells.tick()
    assert capsys.readouterr().err == ""


@pytest.mark.parametrize(("given", "told"), [({"progress": "none"}, 0), ({"output": "jsonl"}, 0), ({}, 1)])
def test_only_where_lines_are_wanted(given: dict[str, str], told: int, capsys: pytest.CaptureFixture[str]) -> None:
    drive = Drive.of(*chain("charge"))
    tells = teller(drive, 2, **given)
    tells.publish(drive.saga, drive.saga.seq, drive.saga.started)
    drive.now_s += 61
    tells.tick()
    said = capsys.readouterr().err.splitlines()
    assert [line.split(" ", 1)[1] for line in said] == [f"{drive.saga.id} still running: charge (60s)"] * told
