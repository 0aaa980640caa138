"""A command that is a list of words: each word stays one word, whatever its values hold."""

from __future__ import annotations

from sagactl.model import Argv
from sagactl.template import Lookup, fill


def words(run: Argv, lookup: Lookup) -> tuple[str, ...]:
    """The argv to execute. Raises MissingValueError."""
    return tuple(fill(word, lookup) for word in run.words)
