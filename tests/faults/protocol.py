"""A model of the supervision protocol (`crash.md`: Order, and what a resume reads), explored through every interleaving.

Two processes would drive one saga of one step; each begins again after a crash. Supervisors die where they are, their
commands live on; a lock can be lost under its holder; somebody asks for compensation. A Flaw leaves one rule out. A wait
is a step that is not possible yet, so a state without a next step waits for ever; no step leads back to an earlier state.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator
from dataclasses import dataclass
from enum import StrEnum
from typing import Any, Final, NamedTuple

ALIVE: Final = ("runs", "acted")
ENDED: Final = ("released", "refused", "dead")
HOLDING: Final = ("claimed", "spawned", "noted", "exited", "stopped", "written")
"""Where a supervisor holds the lock of a record that it has linked."""

ATTEMPTS_MAX: Final = 2
"""Of the action, and of the undo."""


class Flaw(StrEnum):
    """A rule that is left out, by what is done instead."""

    PID_FILE = "a pid file instead of a claim"
    LINK_FIRST = "a claim before its lock"
    RUN_AGAIN = "a resume runs again what was executing"
    INTENT_LATER = "the request before its intent is durable"
    NO_FENCE = "an append that expects no sequence number"
    NO_CLAIM_FOR_NOBODY = "never started, without claiming it for nobody"
    RELEASE_FIRST = "the lock released before the outcome is written"
    READ_FIRST = "the record read before its lock is tried"
    NO_LOOK_AT_THE_FOLD = "a claim of what was folded away is run"


class Broken(StrEnum):
    """What must never be."""

    TWICE = "the effect of an attempt happened twice"
    BESIDE = "an attempt ran beside a later one of its command, or after it"
    UNDO_BESIDE = "an action ran beside its undo, or after it"
    WRONG = "a known outcome is wrong"
    DOUBT = "in doubt although no supervisor died"
    NO_INTENT = "a command ran that is not in the journal"
    FOR_EVER = "somebody waits for ever"


class Driver(NamedTuple):
    """An orchestrator: where it is, whether it holds the saga's lock, and the journal as far as it knows."""

    at: str = "lock"
    holds: bool = False
    known: tuple[str, ...] = ()
    attempt: str = ""
    learned: str = ""


class Request(NamedTuple):
    """A request for an attempt, where its supervisor is with it, and the command: "", runs, acted, over or killed."""

    attempt: str
    at: str = "sent"
    command: str = ""


class State(NamedTuple):
    """The world. A record is there once it is linked; its outcome is "" until that is written."""

    drivers: tuple[Driver, ...] = (Driver(), Driver())
    requests: tuple[Request, ...] = ()
    journal: tuple[str, ...] = ()
    records: tuple[tuple[str, str], ...] = ()
    folded: frozenset[str] = frozenset()
    asked: bool = False
    stops: frozenset[str] = frozenset()
    driver_crashes: int = 0
    supervisor_crashes: int = 0
    locks_lost: int = 0

    def outcome(self, attempt: str) -> str | None:
        return next((outcome for name, outcome in self.records if name == attempt), None)

    def written(self, attempt: str, outcome: str) -> tuple[tuple[str, str], ...]:
        """The records with that outcome; linked, if need be."""
        return tuple(sorted({**dict(self.records), attempt: outcome}.items()))

    def held(self, attempt: str) -> bool:
        return any(each.attempt == attempt and each.at in HOLDING for each in self.requests)

    def sent(self, attempt: str) -> tuple[Request, ...]:
        return tuple(sorted((*self.requests, Request(attempt))))


class Explored(NamedTuple):
    """How many states there are; what is broken in the last one, and the steps that lead to it."""

    states: int
    broken: set[Broken]
    path: tuple[str, ...]


_Moves = Iterator[tuple[Driver, dict[str, Any]]]
"""What becomes of a driver, and of the world."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Protocol:
    """The steps of everybody; how much may go wrong; which rule is left out."""

    driver_crashes: int = 0
    supervisor_crashes: int = 0
    locks_lost: int = 0
    flaw: Flaw | None = None

    def explore(self) -> Explored:
        """Breadth first, every state once; ends at the first that is broken."""
        seen: set[State] = {State()}
        todo: deque[tuple[State, tuple[str, ...]]] = deque([(State(), ())])
        while todo:
            state, path = todo.popleft()
            steps = list(self.steps(state))
            broken = set(wrong(state, stuck=not steps))
            if broken:
                return Explored(len(seen), broken, path)
            for name, after in steps:
                if after not in seen:
                    seen.add(after)
                    todo.append((after, (*path, name)))
        return Explored(len(seen), set(), ())

    def steps(self, state: State) -> Iterator[tuple[str, State]]:
        for place, driver in enumerate(state.drivers):
            for moved, changes in (*self.driver(state, driver), *self.anywhere(state, driver)):
                drivers = sorted((*state.drivers[:place], moved, *state.drivers[place + 1 :]))
                yield f"driver {place}: {driver.at} to {moved.at}", state._replace(drivers=tuple(drivers), **changes)
        for place, request in enumerate(state.requests):
            for at, command, outcome in (*self.supervisor(state, request), *self.meanwhile(state, request)):
                moved_request = Request(request.attempt, at, command)
                requests = sorted((*state.requests[:place], moved_request, *state.requests[place + 1 :]))
                records = state.records if outcome is None else state.written(request.attempt, outcome)
                crashes = state.supervisor_crashes + (at == "dead" != request.at)
                yield f"{request.attempt}: {at} {command}", state._replace(
                    requests=tuple(requests), records=records, supervisor_crashes=crashes)
        if not state.asked and state.journal[-1:] != ("rests",):
            yield "a person asks for compensation", state._replace(asked=True)

    def driver(self, state: State, driver: Driver) -> _Moves:
        """The orchestrator: rows 1 to 3 and 8 of Order, and what a resume reads."""
        attempt, go = driver.attempt, driver._replace
        outcome = state.outcome(attempt)
        match driver.at:
            case "lock":  # row 1: then the journal is read
                if not any(each.holds for each in state.drivers):
                    ended = state.journal[-1:] == ("rests",)
                    yield go(at="rests" if ended else "taken", holds=True, known=state.journal), {}
            case "taken":
                yield from self.append(state, driver, "held")
            case "intends" if attempt in state.stops:  # the saga has turned round, and nobody was asked
                yield go(at="learns", learned="never"), {}
            case "intends":  # row 3
                yield go(at="waits"), {"requests": state.sent(attempt)}
            case "waits":  # row 8: a notice, or the supervisor is gone
                if any(each.attempt == attempt and each.at in ENDED for each in state.requests):
                    yield go(at="reads"), {}
            case "reads" if outcome is None and self.flaw in (Flaw.NO_CLAIM_FOR_NOBODY, Flaw.PID_FILE):
                yield go(at="learns", learned="never"), {}
            case "reads" if not outcome and self.flaw is Flaw.RUN_AGAIN:
                yield go(at="learns", learned="never"), {}
            case "reads" if outcome is None:  # resume 1: claimed, with its outcome
                yield go(at="learns", learned="never"), {"records": state.written(attempt, "never")}
            case "reads" if self.flaw is Flaw.READ_FIRST and not outcome:
                yield go(at="read"), {}
            case "read":
                yield go(at="found held" if state.held(attempt) else "outlives"), {}
            case "reads":  # resume 2: the lock is tried before the record is read, since an outcome comes before its release
                yield go(at="found held" if state.held(attempt) else "found free"), {}
            case "found held" | "found free" if outcome:  # resume 3
                yield go(at="learns", learned=outcome), {}
            case "found held":  # resume 2: until it is free
                if not state.held(attempt):
                    yield go(at="reads"), {}
            case "found free":
                yield go(at="outlives"), {}
            case "outlives":  # resume 4: the command ends, or is ended at its timeout
                requests = sorted(killed(each) if each.attempt == attempt else each for each in state.requests)
                yield go(at="learns", learned="doubt"), {"requests": tuple(requests)}
            case "learns":
                yield from self.append(state, driver, f"{driver.learned} {attempt}")
            case "rests" if driver.known[-2].startswith("exited"):  # folded: whole before the first record goes
                yield go(at="folds"), {"folded": state.folded.union(dict(state.records))}
            case "rests" | "folds":
                yield Driver(at="gone"), {"records": tuple(each for each in state.records if each[0] not in state.folded)}

    def append(self, state: State, driver: Driver, event: str) -> _Moves:
        """Rows 1 and 2: the event, the decision on it and the next intent at once, behind the fence."""
        decided = decide((*driver.known, event))
        events = (event, decided) if decided else (event,)
        attempt, intent = live(driver.known + events), decided.startswith("start")
        if self.flaw is Flaw.INTENT_LATER and intent and driver.attempt != attempt:
            yield driver._replace(attempt=attempt), {"requests": state.sent(attempt)}
            return
        if driver.known != state.journal and self.flaw is not Flaw.NO_FENCE:
            yield Driver(), {}  # it ends with an error, and somebody resumes
            return
        at = "rests" if not attempt else driver.at if attempt == driver.attempt else "reads"
        if intent:
            at = "waits" if self.flaw is Flaw.INTENT_LATER else "intends"
        known, learned = driver.known + events, driver.learned if at == driver.at else ""
        yield Driver(at, driver.holds, known, attempt, learned), {"journal": state.journal + events}

    def anywhere(self, state: State, driver: Driver) -> _Moves:
        """What happens to an orchestrator wherever it is: a crash, its lock is lost, it is asked to turn round."""
        if driver.at in ("lock", "gone"):
            return
        if state.driver_crashes < self.driver_crashes:
            yield Driver(), {"driver_crashes": state.driver_crashes + 1}
        if driver.holds and state.locks_lost < self.locks_lost:
            yield driver._replace(holds=False), {"locks_lost": state.locks_lost + 1}
        if state.asked and "asked" not in driver.known and live(driver.known):
            yield from self.append(state, driver, "asked")
        if "asked" in driver.known and driver.attempt.startswith("a") and driver.attempt not in state.stops:
            yield driver, {"stops": state.stops | {driver.attempt}}

    def supervisor(self, state: State, request: Request) -> Iterator[tuple[str, str, str | None]]:
        """Rows 4 to 7: where it is then, what its command does, and what is then in the record, None for no change."""
        attempt, at, command = request
        outcome = state.outcome(attempt)
        match at:
            case "sent" if self.flaw is Flaw.PID_FILE:
                yield "spawned", "runs", None
            case "sent" if self.flaw is not Flaw.LINK_FIRST:  # row 4: a whole file under a temporary name, locked
                yield "locked", command, None
            case "sent" | "locked" if outcome is not None:  # row 4: the link fails
                yield "refused", command, None
            case "sent":
                yield "linked", command, ""
            case "linked" | "locked":
                yield "claimed", command, ""
            case "claimed" if attempt in state.folded and self.flaw is not Flaw.NO_LOOK_AT_THE_FOLD:
                yield "written", command, "never"
            case "claimed":  # row 5: the command starts
                yield "spawned", "runs", None
            case "spawned":  # row 5: the slot `started`
                yield "noted", command, "" if self.flaw is Flaw.PID_FILE else None
            case "noted" if command == "over":  # row 6: it waits
                yield "exited", command, None
            case "noted" if attempt in state.stops:  # row 6: it ends the command
                yield "stopped", killed(request).command, None
            case "exited" | "stopped" if self.flaw is Flaw.RELEASE_FIRST:
                yield f"let go {at}", command, None
            case "exited" | "stopped":  # row 7: the slot of the outcome
                yield "written", command, at
            case "let go exited" | "let go stopped":
                yield "released", command, at.removeprefix("let go ")
            case "written":  # row 7
                yield "released", command, None

    def meanwhile(self, state: State, request: Request) -> Iterator[tuple[str, str, str | None]]:
        """A command goes on whatever becomes of its supervisor, which may die anywhere."""
        if request.command in ALIVE:
            yield request.at, "acted" if request.command == "runs" else "over", None
        if request.at not in ENDED and state.supervisor_crashes < self.supervisor_crashes:
            yield "dead", request.command, None


def live(journal: tuple[str, ...]) -> str:
    """The attempt that has no outcome in the journal."""
    started = ""
    for event in journal:
        word, _, attempt = event.partition(" ")
        started = attempt if word == "start" else "" if attempt == started else started
    return started


def decide(journal: tuple[str, ...]) -> str:
    """The next intent, that the saga rests, or nothing while an attempt is live.

    Never started and in doubt are tried again, as by `on_interrupt: retry`; going back there is the undo alone.
    """
    if live(journal):
        return ""
    command = "u" if "asked" in journal else "a"
    ended = [event.split(" ") for event in journal if f" {command}" in event and not event.startswith("start")]
    if len(ended) == ATTEMPTS_MAX or (ended and ended[-1][0] == "exited"):
        return "rests"
    return f"start {command}{len(ended) + 1}"


def killed(request: Request) -> Request:
    """Its command is ended: before its effect, or after it."""
    return request._replace(command={"runs": "killed", "acted": "over"}.get(request.command, request.command))


def wrong(state: State, *, stuck: bool) -> Iterator[Broken]:
    """What is broken in a state; `stuck` where no step leads on."""
    if stuck and (state.journal[-1:] != ("rests",) or any(each.at != "gone" for each in state.drivers)):
        yield Broken.FOR_EVER
    ran = [each for each in state.requests if each.command]
    for each in ran:
        if f"start {each.attempt}" not in state.journal:
            yield Broken.NO_INTENT
        for later in ran:
            if each.attempt < later.attempt and each.command in ALIVE:
                yield Broken.BESIDE if each.attempt[0] == later.attempt[0] else Broken.UNDO_BESIDE
    effects = [each.attempt for each in ran if each.command in ("acted", "over")]
    if len(effects) > len(set(effects)):
        yield Broken.TWICE
    for event in state.journal:
        word, _, attempt = event.partition(" ")
        known = {"never": not any(each.attempt == attempt for each in ran), "exited": attempt in effects}
        if not known.get(word, True):
            yield Broken.WRONG
        if word == "doubt" and (attempt, "dead") not in {each[:2] for each in state.requests}:
            yield Broken.DOUBT
