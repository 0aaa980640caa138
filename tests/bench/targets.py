"""What sagactl is meant to reach. Each is a ratio of medians of one run, or a figure that stands for itself."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from tests.bench import costs, floors, looking, ours, peers
from tests.bench.measuring import Outcome


@dataclass(frozen=True, slots=True, kw_only=True)
class Target:
    """At most `times` the cost of `against`; or at most `times` of `unit`, the subject's, where there is no `against`.

    `rate`: at least `times` the rate of `against` instead, which is the same turned round. `below`: less than `times`.
    """

    what: str
    subject: str
    times: float
    who: str = ours.NAME
    against: str = ""
    unit: str = ""
    rate: bool = False
    below: bool = False

    def reached(self, outcomes: Mapping[str, Outcome]) -> float | None:
        """What it came to; None where one of both was not measured."""
        outcome = outcomes.get(self.subject)
        if outcome is None or not {self.who, self.against or self.who} <= set(outcome.figures):
            return None
        cost = outcome.median(self.who)
        if not self.against:
            return cost
        other = outcome.median(self.against)
        dividend, divisor = (other, cost) if self.rate else (cost, other)
        return dividend / divisor if divisor > 0 else None

    def met(self, reached: float) -> bool:
        if self.below:
            return reached < self.times
        return reached >= self.times if self.rate else reached <= self.times

    def text(self) -> str:
        """`<= 1.5 x doit`."""
        sign = "<" if self.below else ">=" if self.rate else "<="
        if not self.against:
            return f"{sign} {self.times:,} {self.unit}"
        return f"{sign} {self.times:g} x {'the rate of ' if self.rate else ''}{self.against.removeprefix('floor: ')}"


AT_MOST, LEAST = looking.name(looking.SIZES[-1]), looking.name(looking.SIZES[0])

TARGETS: Final = (
    Target(what="cold `run` of five steps", subject="run", times=1.5, against="doit"),
    Target(what="the same, the goal", subject="run", times=1, against="doit"),
    Target(what="`--version`", subject="version", times=7, against=floors.PYTHON),
    Target(what="`--help`", subject="help", times=7, against=floors.PYTHON),
    Target(what="completion of an id", subject="complete", times=7, against=floors.PYTHON),
    Target(what="each further step", subject="slope", times=0.40, against=floors.C_LOOP, rate=True),
    Target(what="each further step", subject="slope", times=2.5, against=peers.DBOS, rate=True),
    Target(what="each step, 64 sagas at once", subject="each-64", times=0.70, against=floors.C_LOOP, rate=True),
    Target(what="each step, 64 sagas at once", subject="each-64", times=4, against=peers.DBOS, rate=True),
    Target(what="fsyncs on the way, each step", subject="fsyncs", times=1, unit="call"),
    Target(what="the same, 64 sagas at once", subject="fsyncs-64", times=0.1, unit="calls", below=True),
    Target(what="resume of 100 sagas", subject="resume", times=0.1, against=peers.DBOS),
    Target(what="database, each finished saga", subject="room", times=4096, unit="bytes"),
    Target(what="list of the escalated of 1 M", subject="list-escalated", times=1.2, who=AT_MOST, against=LEAST),
    Target(what="the same", subject="list-escalated", times=8, who=AT_MOST, against=floors.PYTHON),
    Target(what="memory of one saga", subject="memory", times=50 * 1024, unit="KB", who=costs.WITH_SUPERVISORS),
    Target(what="memory of each further saga at once", subject="memory-more", times=4, unit="KB"),
    Target(what="validate of 200 steps", subject="validate-200", times=150, unit="ms"),
)
