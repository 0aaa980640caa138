"""What the README says is what the code does."""

from __future__ import annotations

from tests.diagram import README, drawn, with_diagrams


def test_the_diagrams_in_the_readme_are_drawn_from_the_tables() -> None:
    text = README.read_text()
    assert all(diagram in text for diagram in drawn().values())
    assert with_diagrams(text) == text
