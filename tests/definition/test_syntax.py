"""What is no YAML is told in our own words, whichever parser of PyYAML finds it; and in time."""

from __future__ import annotations

import random
import re
from pathlib import Path
from typing import Any

import pytest
import yaml

from sagactl.definition.diagnostics import DefinitionError, Diagnostic
from sagactl.definition.faults import SEEN_MAX
from sagactl.definition.reading import LOADER, read

EXAMPLE = (Path(__file__).parent / "example.yaml").read_text()
BOTH = pytest.mark.parametrize("loader", [LOADER, yaml.SafeLoader])
UNKNOWN = "what stands here is no YAML"
THEIRS = re.compile(
    r"find expected|but (found|got)|could not find|<block|<stream|<scalar|while (scanning|parsing)|cannot start|not allowed|"
    r"in this context|simple key|token|Error",
)
PIECES = ["\t", ":", ": ", "- ", "-", "[", "]", "{", "}", '"', "'", "|", ">", "&", "*", "!", "%", "@", "`", "?", ",",
          "#", "\\", "\n", "  ", "---\n", "...\n", "&a ", "!t ", "%YAML 1.2\n", "${x}", "{{x}}", '"\\q"', "'a'b"]


def told(text: str, loader: type[Any] = LOADER) -> Diagnostic | None:
    """What is said of a text that is no YAML; None of one that is."""
    try:
        source, _, problems = read(text.encode(), "f.yaml", loader=loader)
        found = source.diagnose(problems)
    except DefinitionError as error:
        found = error.diagnostics
    return next((each for each in found if each.code == "SG104"), None)


def damaged(draw: random.Random) -> str:
    text = EXAMPLE
    for _ in range(draw.randint(1, 2)):
        at = draw.randint(0, len(text))
        text = text[:at] + draw.choice(PIECES) + text[at + draw.choice((0, 0, 1, 5)) :]
    return text


@BOTH
def test_no_word_of_a_parser_is_shown_and_few_faults_are_not_understood(loader: type[Any]) -> None:
    draw = random.Random(4)
    found = [each for _ in range(400 if loader is LOADER else 60) if (each := told(damaged(draw), loader))]
    assert len(found) > 20
    for each in found:
        assert not THEIRS.search(each.message + each.help), each.render()
        assert each.help
    assert sum(each.message == UNKNOWN for each in found) < len(found) / 10


@BOTH
@pytest.mark.parametrize(("text", "message"), [
    ("a: [x, ${y}]", "within brackets, a value with a brace needs quotes"),
    ("{a:b}", "a space is missing after the colon"),
    ("{a:[b]}", "a space is missing after the colon"), ("[{a: x, b:{c: d}}]", "a space is missing after the colon"),
    ('a: "b\nc: "d"', "the text in quotes that begins here ends lines below"),
    ("[a, 'b]\n, 'c']", "the text in quotes that begins here ends lines below"),
    ("a: 'don't'", "a quoted text ends before this, so the value is over"),
    ("a:b\nc: d", "a space is missing after the colon"),
    ("a: b: c", "a second `: ` in one line"),
    ("a:\n\t- b", "a tab is no indentation in YAML"),
    ("a: @b", "a value can't begin with `@`"),
    ("a: 'b", "this quote is never closed"),
    ("a: [b", "`[` is never closed"),
    ("a: *", "a value can't begin with `*`"),
    ("- a\nb: c", "a key stands where the next item of a list is expected"),
])  # fmt: skip
def test_both_parsers_lead_to_the_same_sentence(text: str, message: str, loader: type[Any]) -> None:
    found = told(text, loader)
    assert found is not None
    assert found.message == message


@pytest.mark.parametrize("text", [
    " " * 900_000 + "a: b\n c", "a: " + "b " * 30_000 + ": c", "a: [x ${" + "{a" * 200_000, "a: '" + "b'' " * 200_000,
    "#\n" * 400_000 + "a: b: c", "saga: s\n" + (" " * 100 + "\n") * 9_000 + "  steps: x", "a: b: " + " #" * 400_000,
    "a: [x, " + "(" * 60_000 + "${", "a:\n" + "  - x\n" * 40_000 + " - y", "k" * 60_000 + ": b\nc",
])  # fmt: skip
def test_a_long_line_is_looked_at_in_part_only(text: str) -> None:
    found = told(text)
    assert found is not None
    assert len(found.help) < 3 * SEEN_MAX
