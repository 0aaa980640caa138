"""Wrong definitions, and what is said about each, word for word: the files in wrong/.

A file is a definition, a line of dashes, and all diagnostics of it as people see them. Run as a module, this writes what
is said now into the files, to be read before it is kept: `python -m tests.definition.test_wrong`.

    yaml_     what is no YAML
    dsl_      shapes: what every schema of sagas has to refuse
    actions_, dagu_, task_, argo_    what people bring along from other tools
    others    the rules of the language, and warnings
"""

from __future__ import annotations

from pathlib import Path

import pytest

from sagactl.definition.codes import CODES
from sagactl.definition.loading import check
from tests.definition.building import definition

FILES = sorted((Path(__file__).parent / "wrong").glob("*.txt"))
LINE = "\n-----\n"
FOREIGN = ("actions_", "dagu_", "task_", "argo_")


def parts(path: Path) -> tuple[str, str]:
    """The definition, and what is expected to be said about it."""
    text, _, expected = path.read_text().partition(LINE)
    return text + "\n", expected


def said(text: str) -> str:
    return "\n\n".join(each.render() for each in check(text.encode(), "saga.yaml")) + "\n"


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.stem)
def test_a_wrong_definition_is_answered_word_for_word(path: Path) -> None:
    text, expected = parts(path)
    assert expected.strip()
    assert said(text) == expected


def test_there_are_enough_of_them() -> None:
    assert len(FILES) >= 120
    assert sum(path.name.startswith(FOREIGN) for path in FILES) >= 60
    assert sum(path.name.startswith("dsl_") for path in FILES) >= 41


def test_every_code_from_sg104_is_among_them() -> None:
    expected = "".join(parts(path)[1] for path in FILES)
    assert {code for code in CODES if f"[{code}]" not in expected} <= {"SG101", "SG102", "SG103", "SG105", "SG106", "SG107"}


def test_what_they_begin_from_is_right() -> None:
    definition("saga: order\nsteps:\n  - {id: pay, action: [./pay], undo: none}\n")


if __name__ == "__main__":
    for each in FILES:
        each.write_text(parts(each)[0].rstrip("\n") + LINE + said(parts(each)[0]))
