"""Which step comes before which: `needs` as the author wrote them, made explicit and minimal.

Steps are numbers here, their places in the file. Knows nothing about what steps do.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from graphlib import CycleError, TopologicalSorter

from sagactl.definition.diagnostics import Problem, did_you_mean, shown
from sagactl.definition.tree import Node

NAMES_SHOWN_MAX = 6


def places(steps: Sequence[Node]) -> dict[str, int]:
    """The place of each step by its id; the first where two have the same."""
    found: dict[str, int] = {}
    for place, step in enumerate(steps):
        if name := id_of(step):
            found.setdefault(name, place)
    return found


def id_of(step: Node) -> str:
    """The id of a step; empty where it has none."""
    node = step.get("id")
    return node.string if node else ""


def needs_of(steps: Sequence[Node], place_of: Mapping[str, int]) -> list[tuple[int, ...]]:
    """What each step needs, in order of the file; ids that no step has are left out.

    A step without `needs` needs every step above it. That is written as those steps above that no other step above
    needs: all others come before these. So a file of n steps gives no more than n such entries.
    """
    found: list[tuple[int, ...]] = []
    last: dict[int, None] = {}
    needed: set[int] = set()
    for place, step in enumerate(steps):
        given = step.get("needs")
        named = {place_of[item.string] for item in given.items if item.string in place_of} if given else last
        needs = tuple(sorted(named))
        found.append(needs)
        needed.update(needs)
        for need in needs:
            last.pop(need, None)
        if place not in needed:
            last[place] = None
    return found


def before(needs: Sequence[tuple[int, ...]]) -> list[int]:
    """For each step the set of all steps that come before it, as bits.

    Raises:
        CycleError: steps need each other in a circle.
    """
    sets = [0] * len(needs)
    for place in TopologicalSorter(dict(enumerate(needs))).static_order():
        for need in needs[place]:
            sets[place] |= sets[need] | 1 << need
    return sets


def problems_of_needs(steps: Sequence[Node], place_of: Mapping[str, int]) -> Iterator[Problem]:
    """Needs of steps that do not exist, and circles."""
    for step in steps:
        given = step.get("needs")
        for item in given.items if given else ():
            if item.string and item.string not in place_of:
                yield Problem(code="SG302", span=item.span, message=f"no step has the id {shown(item.string)}",
                              help=did_you_mean(item.string, place_of))
    try:
        before(needs_of(steps, place_of))
    except CycleError as error:
        yield _circle(steps, error.args[1])


def _circle(steps: Sequence[Node], circle: Sequence[int]) -> Problem:
    """`circle` gives places, each needed by the next, and its first again at the end."""
    turned = list(reversed(circle))
    names = [f"`{id_of(steps[place]) or place + 1}`" for place in turned]
    chain = names if len(names) <= NAMES_SHOWN_MAX else [*names[: NAMES_SHOWN_MAX - 1], "…", names[-1]]
    said = min((place for place in turned if steps[place].get("needs")), default=turned[0])
    silent = [name for name, place in zip(names[1:], turned[1:], strict=True) if not steps[place].get("needs")]
    node = steps[said].get("needs") or steps[said]
    hint = f"{silent[0]} has no `needs`, so it needs every step above it" if silent else ""
    return Problem(code="SG303", span=node.head, message=f"{' needs '.join(chain)}: none of them can start", help=hint)
