"""What `sagactl explain` says: complete, and its examples are what they claim to be."""

from __future__ import annotations

import re
import subprocess
from pathlib import Path

import pytest

from sagactl.definition import loading
from sagactl.definition.codes import CODES
from sagactl.definition.explanations import explanations
from sagactl.definition.loading import check

ALL = explanations()


def test_every_code_is_explained_and_nothing_else() -> None:
    assert list(ALL) == list(CODES)
    assert all(each.why.rstrip().endswith(".") and bool(each.wrong) != bool(each.makes) for each in ALL.values())


def test_every_code_that_a_rule_uses_is_known_and_every_known_one_is_used() -> None:
    room = Path(loading.__file__).parent
    used = {code for path in room.glob("*.py") if path.name != "codes.py" for code in re.findall(r'"(SG\d{3})"', path.read_text())}
    assert used == {*CODES}


@pytest.mark.parametrize("code", CODES)
def test_the_wrong_example_has_this_problem_alone(code: str) -> None:
    told = ALL[code]
    made = subprocess.run(["sh", "-c", told.makes], capture_output=True, check=True) if told.makes else None
    found = check(made.stdout if made else told.wrong.encode(), "wrong.yaml")
    assert {each.code for each in found} == {code}


@pytest.mark.parametrize("code", CODES)
def test_the_right_example_has_no_problem_at_all(code: str) -> None:
    assert check(ALL[code].right.encode(), "right.yaml") == ()
