"""`python -m tests.bench [NAME...]`: sagactl beside floors and peers, in interleaved rounds. Prints Markdown."""

from __future__ import annotations

import argparse
import json
import random
import sys
import tempfile
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict
from functools import partial
from pathlib import Path
from typing import Any, Final, TypeAlias

from tests.bench import costs, floors, looking, many, peers, starting, stepping, tables
from tests.bench.machine import machine
from tests.bench.measuring import FailedError, Outcome, Setting, Subject, compete
from tests.bench.targets import TARGETS

SCHEMA: Final = 1
ROUNDS: Final = 15
Made: TypeAlias = Callable[[Setting], Subject]

SUBJECTS: Final[Mapping[str, Made]] = {
    "version": starting.version, "help": starting.help_, "complete": starting.complete, "run": starting.run,
    "list-one": starting.list_, "validate-5": starting.validate_few, "validate-200": starting.validate_many,
    "slope": stepping.slope, "parallel": stepping.parallel, "chain": stepping.chain, "back": stepping.back,
    **{f"each-{jobs}": partial(many.each, jobs) for jobs in (1, 8, 64, 256)},
    "resume": many.resume,
    "list": looking.list_, "list-escalated": looking.list_escalated, "list-interrupted": looking.list_interrupted,
    "inspect": looking.inspect, "wait": looking.wait,
    "memory": costs.memory, "memory-more": costs.memory_more,
    "fsyncs": costs.fsyncs, "fsyncs-64": costs.fsyncs_each, "room": costs.room,
}


def main(words: Sequence[str] | None = None, subjects: Mapping[str, Made] = SUBJECTS) -> int:
    """Run what is asked for; 1 where something failed that should have been measured."""
    given = _arguments(words, subjects)
    with tempfile.TemporaryDirectory(dir=given.folder, prefix="bench-") as folder:
        scratch = Path(folder)
        there, versions = machine(scratch), peers.versions()
        print(tables.heading(there, f"{given.rounds}{', quick: these are no figures' if given.quick else ''}"))
        setting = Setting(scratch=scratch, kept=given.folder or scratch, quick=given.quick,
                          c_floor=floors.compiled(scratch))
        outcomes = {}
        for name in given.name or subjects:
            print(f"{name} ...", file=sys.stderr, flush=True)
            outcomes[name] = _measured(name, subjects[name], setting, given)
            print(f"\n{tables.subject(name, outcomes[name], versions)}", flush=True)
    if given.json:
        told = {"schema": SCHEMA, "machine": there, "peers": versions, "rounds": given.rounds, "seed": given.seed,
                "quick": given.quick, "subjects": {name: asdict(outcome) for name, outcome in outcomes.items()},
                "targets": _targets(outcomes)}
        given.json.write_text(json.dumps(told, indent=1) + "\n")
    print(f"\n{tables.targets(outcomes)}")
    if given.against is not None:
        print(f"\n{tables.changes(given.against, outcomes)}")
    return int(any(why.startswith("failed") for outcome in outcomes.values() for why in outcome.absent.values()))


def _measured(name: str, made: Made, setting: Setting, given: argparse.Namespace) -> Outcome:
    try:
        return compete(made(setting), setting, given.rounds, random.Random(f"{given.seed} {name}"))
    except FailedError as error:  # before there was anything to measure
        return Outcome(what=name, unit=tables.NONE, figures={}, absent={name: f"failed: {error}"})


def _targets(outcomes: Mapping[str, Outcome]) -> list[dict[str, Any]]:
    told = []
    for each in TARGETS:
        reached = each.reached(outcomes)
        told.append({**asdict(each), "reached": reached, "met": None if reached is None else each.met(reached)})
    return told


def _arguments(words: Sequence[str] | None, subjects: Mapping[str, Made]) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m tests.bench", description="sagactl beside floors and peers.")
    parser.add_argument("name", nargs="*", metavar="NAME", help=f"subjects; all without: {', '.join(subjects)}")
    parser.add_argument("--rounds", type=int, help=f"each runs every contestant once ({ROUNDS}; 1 with --quick; of counts, not times, a few are enough)")
    parser.add_argument("--quick", action="store_true", help="small sizes: shows that it works, no figures of worth")
    parser.add_argument("--json", type=_to_write, metavar="PATH", help="write all figures there")
    parser.add_argument("--against", type=_earlier, metavar="PATH", help="compare with what an earlier run wrote there")
    parser.add_argument("--seed", type=int, default=2, help="of the order within the rounds")
    parser.add_argument("--folder", type=_folder, metavar="PATH", help="where to work; large databases stay there for "
                        "the next run (default: a temporary folder)")
    given = parser.parse_args(words)
    given.rounds = given.rounds if given.rounds is not None else 1 if given.quick else ROUNDS
    unknown = [name for name in given.name if name not in subjects]
    if unknown:
        parser.error(f"no subject {', '.join(unknown)}; there are {', '.join(subjects)}")
    if given.rounds < 1:
        parser.error("--rounds is at least 1")
    return given


def _to_write(text: str) -> Path:
    return _folder(str(Path(text).parent)) / Path(text).name


def _folder(text: str) -> Path:
    path = Path(text).resolve()
    if not path.is_dir():
        raise argparse.ArgumentTypeError(f"{path} is not a folder")
    return path


def _earlier(text: str) -> dict[str, Outcome]:
    try:
        told = json.loads(Path(text).read_text())
        return {name: Outcome(**outcome) for name, outcome in told["subjects"].items()}
    except (OSError, ValueError, TypeError, KeyError, AttributeError) as error:
        raise argparse.ArgumentTypeError(f"{text} was not written by --json: {error}") from None


if __name__ == "__main__":
    sys.exit(main())
