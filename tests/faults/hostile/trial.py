"""What any bytes may do to whoever reads them as a definition: nothing but be valid or be refused, soon and in bounds.

Run as a process of its own, which has so little memory that a bomb would end it, with what to try as its arguments:
`corpus`, or `mutated SEED COUNT`. It prints one JSON object.
"""

from __future__ import annotations

import json
import random
import resource
import sys
import time

from sagactl.cli.render.text import safe
from sagactl.core import codec
from sagactl.core.events import SagaStarted
from sagactl.core.parts import Actor
from sagactl.core.saga import replay
from sagactl.definition.diagnostics import DefinitionError, Severity
from sagactl.definition.loading import load
from sagactl.model import Definition
from tests.faults.hostile import corpus
from tests.faults.hostile.mutating import mutants

SECONDS_MAX = 1.0
"""Of the processor, so that a busy machine is no fault."""

MEMORY_BYTES_MAX = 256 * 1024 * 1024
VALID = ("valid",)


def judged(data: bytes) -> tuple[str, ...]:
    """The codes of what is wrong with a definition, or VALID. Raises anything else that happens, and AssertionError."""
    try:
        loaded = load(data, "f.yaml")
    except DefinitionError as error:
        return refused(error)
    assert all(safe(warning.render(), lines=True) for warning in loaded.warnings)
    first = SagaStarted(
        at_s=1.0, id="t", token="0", definition=loaded.definition, params={}, cwd="/", env={}, env_names=(),
        holder=Actor(user="u", host="h", pid=1, boot_id="b"),
    )
    kept = Definition.from_json(json.loads(loaded.definition.to_json()))
    again = codec.decode(*codec.encode(first), lambda _: kept)
    assert again == first
    assert replay([again]).definition == loaded.definition
    return VALID


def refused(error: DefinitionError) -> tuple[str, ...]:
    """The codes of a refusal, which is one that can be shown."""
    assert error.exit_code == 3
    assert safe(error.message, lines=True)
    assert any(each.severity is Severity.ERROR for each in error.diagnostics)
    return tuple(sorted({each.code for each in error.diagnostics}))


def timed(data: bytes) -> tuple[tuple[str, ...], float, str]:
    """What was said, the seconds that it took, and what went wrong: "" if nothing did."""
    start_s = time.process_time()
    said: tuple[str, ...] = ()
    wrong = ""
    try:
        said = judged(data)
    except BaseException as error:  # noqa: BLE001 - whatever it is, it is what we are looking for
        wrong = f"{type(error).__name__}: {error}"[:300]
    took_s = time.process_time() - start_s
    return said, took_s, wrong or ("" if took_s <= SECONDS_MAX else f"took {took_s:.2f}s")


def of_corpus() -> dict[str, object]:
    """Each hostile definition: what was said of it."""
    found: dict[str, object] = {}
    for name, (_, data) in corpus().items():
        said, took_s, wrong = timed(data)
        found[name] = {"said": said, "took_s": took_s, "wrong": wrong}
    return found


def of_mutants(seed: int, count: int) -> dict[str, object]:
    """So many mutated definitions: how many were valid, and those that did what none may."""
    valid, faults = 0, []
    made = mutants(random.Random(seed))
    for _ in range(count):
        data = next(made)
        said, _, wrong = timed(data)
        valid += said == VALID
        if wrong:
            faults.append({"wrong": wrong, "data": data.decode("latin-1")})
    return {"valid": valid, "faults": faults[:20]}


if __name__ == "__main__":
    judged(b"saga: s\nsteps: [{id: a, action: x, undo: none}]\n")  # the first one pays for the imports
    resource.setrlimit(resource.RLIMIT_AS, (MEMORY_BYTES_MAX, MEMORY_BYTES_MAX))
    what, *numbers = sys.argv[1:]
    sys.stdout.write(json.dumps(of_corpus() if what == "corpus" else of_mutants(*map(int, numbers))))
