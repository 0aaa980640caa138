"""How problems are shown: as language.md shows them, all at once, each once, in order, safe for a terminal."""

from __future__ import annotations

import itertools
import re

import pytest

from sagactl.definition.codes import CODES
from sagactl.definition.diagnostics import SHOWN_MAX, DefinitionError, Severity, closest
from sagactl.definition.loading import PROBLEMS_MAX, load
from sagactl.errors import InvalidError
from tests.definition.building import codes, diagnostics, one

UNKNOWN = "saga: order\n\n\n\n\n\nsteps:\n  - id: reserve\n    action: [x]\n    udno: [inventory, release]\n    undo: none\n"
SHOWN = """\
error[SG201]: unknown field `udno`
  --> order.yaml:10:5
   |
10 |     udno: [inventory, release]
   |     ^^^^
   = help: did you mean `undo`?"""


def test_an_unknown_field_is_shown_as_the_language_shows_it() -> None:
    with pytest.raises(InvalidError) as caught:
        load(UNKNOWN.encode(), "order.yaml")
    assert caught.value.message == SHOWN
    assert caught.value.exit_code == 3


def test_all_problems_come_at_once_sorted_and_each_once() -> None:
    text = (
        "saga: S\ntimeout: 30\nsteps:\n"
        "- {id: a, udno: 1, action: [x, '${params.q}'], needs: [zz]}\n"
        "- {id: a, action: 'echo ${params.q}', undo: }\n"
    )
    found = diagnostics(text)
    places = [(each.line, each.column) for each in found]
    assert places == sorted(places)
    assert len(set(found)) == len(found)
    assert [each.code for each in found if each.severity is Severity.ERROR] == [
        "SG205", "SG203", "SG201", "SG203", "SG402", "SG302", "SG301", "SG407", "SG203",
    ]  # fmt: skip


@pytest.mark.parametrize(("text", "line", "column", "width"), [
    (one("action: [x], xyz: 1"), 4, 36, 3),  # the key of an unknown field
    (one("action: [x], timeout: 5"), 4, 45, 1),  # a bad value
    ("saga: s\nsteps:\n- id: a\n  undo: none\n", 3, 3, 2),  # the parent of a missing field
    ("saga: s\n", 1, 1, 4),
    (one("action: [x, 'a ${params.q}']"), 4, 38, 11),  # a reference within a value
    ("saga: s\nsteps:\n- id: a\n  undo: none\n  action:\n  - x\n  - |\n    one\n    two ${params.q}\n", 9, 9, 11),
])  # fmt: skip
def test_the_caret_stands_under_what_is_wrong(text: str, line: int, column: int, width: int) -> None:
    (found,) = diagnostics(text)
    assert (found.line, found.column, found.place.width) == (line, column, width)


@pytest.mark.parametrize(("header", "before", "place"), [
    ("|", [], (5, 13)), ("|", ['echo "a | b"'], (6, 13)), ("|-  # a | b", [], (5, 13)), (">", ["a || b;"], (6, 13)),
    ("|2", ["# |", "", "echo '|'"], (8, 13)),
])
def test_the_header_of_a_block_is_no_part_of_it(header: str, before: list[str], place: tuple[int, int]) -> None:
    lines = [*before, './pay | tail > "$SAGA_OUTPUT_DIR/bill"']
    block = "".join(f"      {line}\n" if line else "\n" for line in lines)
    text = f"saga: s\nsteps:\n  - id: a\n    action: {header}\n{block}    outputs: [bill]\n    undo: none\n"
    (found,) = diagnostics(text)
    assert (found.code, (found.line, found.column)) == ("SG503", place)


@pytest.mark.parametrize(("name", "known", "expected"), [
    ("di", ["id"], "id"), ("udno", ["undo"], "undo"), ("ation", ["action"], "action"), ("step", ["steps"], "steps"),
    ("oid", ["void"], "void"), ("AMT", ["amt"], "amt"), ("teimout", ["action", "timeout"], "timeout"), ("abd", ["abc"], "abc"),
    ("kind", ["id"], ""), ("no", ["undo"], ""), ("port", ["pivot"], ""), ("x", ["p"], ""), ("mx", ["max"], "max"),
    ("ceghikna", [*map(str, range(1000)), "anghicke"], "anghicke"),
])  # fmt: skip
def test_only_what_is_close_is_suggested(name: str, known: list[str], expected: str) -> None:
    assert closest(name, known) == expected


def test_the_third_of_three_equal_references_is_found_after_a_literal_one() -> None:
    text = one("action: [x], stdin: '$${params.q} ${params.p} ${params.q} ${params.q}'")
    line = text.splitlines()[3]
    places = [each.column - 1 for each in diagnostics(text)]
    assert places == [found.start() for found in re.finditer(r"(?<!\$)\$\{params\.q", line)]


def test_what_a_terminal_would_obey_is_not_shown() -> None:
    (found,) = diagnostics(one('action: [x], "k\u202e\\u001b[31m": 1'))
    assert found.render().replace("\n", "").isprintable()


def test_a_long_line_is_cut_around_the_caret() -> None:
    (found,) = diagnostics(one(f"description: '{'x' * 5000}', action: [x], xyz: 1"))
    lines = found.render().splitlines()
    assert max(map(len, lines)) < 200
    assert lines[3][lines[4].index("^") :].startswith("xyz")


def test_a_long_line_with_two_places_is_cut_for_each() -> None:
    text = one(f"action: [x], undo_if_failed: true, description: '{'x' * 200}'").replace("undo: none, ", "")
    (found,) = diagnostics(text.replace("'}", "', undo: none}"))
    lines = [line.partition("| ")[2] for line in found.render().splitlines()]
    marked = [(above[mark.start(1) :], mark[1]) for above, line in itertools.pairwise(lines)
              if (mark := re.match(r" *(\^{2,}|-{2,})", line))]
    assert [(text.startswith(name), len(sign)) for (text, sign), name in zip(marked, ("undo_if_failed", "none"), strict=True)] == \
        [(True, len("undo_if_failed")), (True, len("none"))]


@pytest.mark.parametrize(("before", "cells"), [("e\u0301", 1), ("\u0e01\u0e49", 1), ("\u4e16", 2), ("a\u20dd", 1), ("a\u200d", 2), ("é", 1)])
def test_a_caret_counts_the_cells_of_a_terminal(before: str, cells: int) -> None:
    plain, other = (diagnostics(one(f"description: '{text}', action: [x], xyz: 1"))[0].render() for text in ("", before))
    carets = [lines.splitlines()[4].index("^") for lines in (plain, other)]
    assert carets[1] - carets[0] == cells, "what is not printed as itself is shown as one `�`"


def test_a_message_shows_no_more_than_anyone_reads() -> None:
    with pytest.raises(DefinitionError) as caught:
        load("".join(f"k{i}: 1\n" for i in range(150)).encode(), "f")
    assert len(caught.value.diagnostics) == 152
    assert caught.value.message.count("error[") == SHOWN_MAX
    assert caught.value.message.endswith("and 52 more")


def test_no_number_of_warnings_hides_an_error() -> None:
    words = ", ".join(["'${params.p}'"] * 500)
    found = codes(one(f"action: [x, {words}, sh, '-c', '${{params.p}}']"))
    assert found.count("SG408") == 1
    assert found.count("SG502") == PROBLEMS_MAX


def test_every_code_that_is_used_has_a_meaning() -> None:
    assert all(re.fullmatch(r"SG[1-5]\d\d", code) and meaning for code, meaning in CODES.items())
    assert codes("saga: s\n") == ["SG202"]


def test_a_line_end_in_the_name_of_a_file_starts_no_line() -> None:
    with pytest.raises(DefinitionError) as caught:
        load(b"steps: 3\n", "a\nerror[SG000]: forged")
    assert "a\\nerror[SG000]: forged:1:1" in caught.value.message
