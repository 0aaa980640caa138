"""`load`: the bytes of a file to a frozen `Definition`, or all that is wrong with them at once. `check`: the latter."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from itertools import chain, islice

from sagactl.definition.diagnostics import DefinitionError, Diagnostic, Problem, Severity
from sagactl.definition.effects import problems_of_effects
from sagactl.definition.idle import problems_of_idle
from sagactl.definition.lint import problems_of_lint
from sagactl.definition.normalising import normalise
from sagactl.definition.reading import read
from sagactl.definition.references import problems_of_references
from sagactl.definition.rules import problems_of_rules
from sagactl.definition.shape import problems_of_shape
from sagactl.definition.sites import sites
from sagactl.definition.tree import Node
from sagactl.definition.variables import problems_of_variables
from sagactl.model import Definition

STEPS_MAX = 1000
"""That of schema.json."""
PROBLEMS_MAX = 200
"""Problems of shape, and as many errors and warnings of the rest: a hostile file has 50,000, which nobody reads and
which take seconds."""
REFERENCES = ("SG306", "SG401", "SG402", "SG403", "SG404")
UNUSED = ("SG506", "SG507", "SG508")
"""What seems unused may be what a reference with a slip in it meant."""
RULES = (problems_of_rules, problems_of_references, problems_of_lint, problems_of_effects, problems_of_idle,
         problems_of_variables)


@dataclass(frozen=True, slots=True, kw_only=True)
class Loaded:
    """A definition that can be run, and what its author should look at all the same, sorted by place."""

    definition: Definition
    warnings: tuple[Diagnostic, ...]


def load(data: bytes, file: str) -> Loaded:
    """The definition that a YAML file holds. `file` is its name in messages; nothing else is read.

    Raises:
        DefinitionError: something is wrong. It holds every problem up to PROBLEMS_MAX, each once, sorted by place.
            Where a value is not of the shape that it should have, nothing more is said about that value.
    """
    root, found = _judged(data, file)
    if any(each.severity is Severity.ERROR for each in found):
        raise DefinitionError(found)
    return Loaded(definition=normalise(root), warnings=found)


def check(data: bytes, file: str) -> tuple[Diagnostic, ...]:
    """All that there is to say about a file, errors and warnings, sorted by place."""
    try:
        return _judged(data, file)[1]
    except DefinitionError as error:
        return error.diagnostics


def _judged(data: bytes, file: str) -> tuple[Node, tuple[Diagnostic, ...]]:
    """The tree of a file and all that there is to say about it. Raises DefinitionError where there is no tree."""
    source, root, problems = read(data, file)
    first = (*problems, *islice(problems_of_shape(root), PROBLEMS_MAX))
    _cut(root)
    spoilt = {problem.span.start for problem in first}
    commands = sites(root)
    rest = chain.from_iterable(rules(source, root, commands) for rules in RULES)
    told = (*first, *_limited(problem for problem in rest if problem.span.start not in spoilt))
    slips = any(problem.code in REFERENCES for problem in told)
    return root, source.diagnose(problem for problem in told if not (slips and problem.code in UNUSED))


def _cut(root: Node) -> None:
    """Leave no more steps than are allowed: 40,000 have been reported as too many, and the rules would take minutes."""
    steps = root.get("steps")
    if isinstance(root.value, dict) and steps and len(steps.items) > STEPS_MAX:
        root.value["steps"] = dataclasses.replace(steps, value=steps.items[:STEPS_MAX])


def _limited(problems: Iterable[Problem]) -> Iterator[Problem]:
    """Up to PROBLEMS_MAX errors and as many warnings: no number of warnings hides an error."""
    left = dict.fromkeys(Severity, PROBLEMS_MAX)
    for problem in problems:
        if left[problem.severity]:
            left[problem.severity] -= 1
            yield problem
        if not left[Severity.ERROR]:
            return
