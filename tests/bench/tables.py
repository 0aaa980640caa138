"""Tables of what was measured, in Markdown."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

from tests.bench.measuring import Outcome
from tests.bench.targets import TARGETS

NONE = ""


def heading(machine: Mapping[str, str], rounds: str) -> str:
    """The line of the machine."""
    return f"{', '.join(f'{name} {value}' for name, value in machine.items())}; rounds: {rounds}"


def subject(name: str, outcome: Outcome, versions: Mapping[str, str]) -> str:
    """Who, the median, the middle half, the ratio to the floor, and the targets."""
    floor = outcome.floor
    rows = []
    for who in outcome.figures:
        low, high = outcome.quartiles(who)
        label = f"{who} {versions.get(who, NONE)}".rstrip()
        rows.append((label, figure(outcome.median(who)), f"{figure(low)} to {figure(high)}",
                     ratio(outcome.median(who), outcome.median(floor)) if floor else NONE, _aims(name, who, outcome)))
    rows += [(who, "-", why, NONE, NONE) for who, why in outcome.absent.items()]
    head = ("who", f"median, {outcome.unit}", "middle half", "x floor", "target")
    return f"### {name}: {outcome.what}\n\n{_table(head, rows)}"


def targets(outcomes: Mapping[str, Outcome]) -> str:
    """All targets, with what was reached."""
    rows = []
    for each in TARGETS:
        reached = each.reached(outcomes)
        verdict = "not measured" if reached is None else "yes" if each.met(reached) else "NO"
        rows.append((each.what, each.text(), NONE if reached is None else figure(reached), verdict))
    return f"### Targets\n\n{_table(('what', 'target', 'reached', 'met'), rows)}"


def changes(before: Mapping[str, Outcome], after: Mapping[str, Outcome]) -> str:
    """What both have measured: the medians, their ratio, and the ratio of the ratios to the floor."""
    both = ((name, who, before[name], now) for name, now in after.items() if name in before
            for who in now.figures if who in before[name].figures)
    rows = [(name, who, figure(then.median(who)), figure(now.median(who)),
             ratio(now.median(who), then.median(who)), _over_floors(then, now, who)) for name, who, then, now in both]
    head = ("subject", "who", "before", "now", "now / before", "the same, both in floors")
    return f"### Against an earlier run\n\n{_table(head, rows)}"


def figure(value: float) -> str:
    """Three digits that say something."""
    return f"{value:,.0f}" if abs(value) >= 100 else f"{value:.3g}"


def ratio(value: float, other: float) -> str:
    return figure(value / other) if other else NONE


def _aims(name: str, who: str, outcome: Outcome) -> str:
    """`target <= 1.5 x doit: reached 1.2`."""
    told = []
    for each in TARGETS:
        reached = each.reached({name: outcome})
        if each.who == who and reached is not None:
            told.append(f"target {each.text()}: {'reached' if each.met(reached) else 'MISSED,'} {figure(reached)}")
    return "; ".join(told)


def _over_floors(then: Outcome, now: Outcome, who: str) -> str:
    if then.floor is None or then.floor != now.floor:
        return NONE
    return ratio(now.median(who) * then.median(then.floor), then.median(who) * now.median(then.floor))


def _table(head: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    lines = (head, ["---"] * len(head), *rows)
    return "\n".join(f"| {' | '.join(cell.replace('|', '/') for cell in line)} |" for line in lines)
