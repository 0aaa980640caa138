"""What a saga must come to, whatever was done to the disk under it: each effect once, nothing secret left, all told.

The saga has an output, a stdin, a secret that it prints, and a last step that fails: so it goes forward and back.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

from tests.harness import Result, Saga, saga

SECRET = "correct-horse-battery"
WANTED = ["do-a", "do-b", "last", "undo-b", "undo-a"]
RUN = ("run", "saga.yaml", "--id", "t")
TEXT = """
saga: disk
secrets: {key: {file: key}}
steps:
  - id: a
    secrets: [key]
    action: {run: 'cat; echo "$key"; echo do-a >> log; echo out > $SAGA_OUTPUT_DIR/x', stdin: hello}
    outputs: [x]
    undo: echo undo-a >> log
  - {id: b, action: [sh, -c, "echo do-b >> log", sh, "x=${steps.a.outputs.x}"], undo: echo undo-b >> log}
  - {id: last, action: echo last >> log; exit 1, undo: none}
"""


def a_saga(folder: Path) -> Saga:
    """The saga in a folder that is made."""
    folder.mkdir(parents=True)
    return saga(folder, TEXT).file("key", SECRET)


def told(code: int, stderr: str, *, may: tuple[int, ...] = (7, 10)) -> Iterator[tuple[str, str]]:
    """What is wrong with how a command under a fault has ended: (a kind of conftest.FAULTS, what)."""
    if "Traceback" in stderr or "a bug in sagactl" in stderr:
        yield "tracebacks", stderr
    if code not in may:
        yield "wrong", f"exit {code}: {stderr}"
    lines = stderr.splitlines()
    what = re.compile("sagactl: .*(can't|could not|is damaged)")
    at = next((i for i, line in enumerate(lines) if what.match(line)), -1)
    if code == 7 and not (at >= 0 and any(line.startswith("  ") for line in lines[at + 1 :])):
        yield "wrong", f"does not say what is wrong and what to do: {stderr}"


def survived(built: Saga, before: str) -> Iterator[tuple[str, str]]:
    """What is wrong once there is room again and it goes on. `before` is the stderr of the command that failed."""
    listed = built.again("list").finished()
    if listed.code != 0:
        yield "wrong", f"list exits {listed.code}: {listed.stderr}"
    shown = built.again("inspect", "t", "--json").finished()
    log = built.folder / "log"
    if shown.code not in (0, 4) or (shown.code == 4 and log.exists()):
        yield "wrong", f"inspect exits {shown.code}: {shown.stderr}"
    after = built.again(*(("resume", "t") if shown.code == 0 else RUN)).finished()
    yield from effects(after, log)
    yield from left(built.folder / "state" / "sagactl" / "sagas.db.d", before + after.stderr)


def effects(after: Result, log: Path) -> Iterator[tuple[str, str]]:
    """A saga that has gone on to its end has compensated, and its log says so once."""
    if after.code != 10:
        yield "wrong", f"in the end exit {after.code}: {after.stderr}"
    lines = log.read_text().split() if log.exists() else []
    found = Counter(lines)
    if max(found.values(), default=0) > 1:
        yield "double", str(lines)
    if set(WANTED) - set(found):
        yield "lost", str(lines)
    elif lines != WANTED:
        yield "wrong", str(lines)


def left(evidence: Path, said: str) -> Iterator[tuple[str, str]]:
    """Of a final saga its lock and one file stay, without a secret, or somebody was told.

    Of one that never came into being there may be a lock and an empty folder.
    """
    for path in (each for each in evidence.glob("*/**/*") if each.is_file()):
        if path.name not in ("lock", "folded"):
            yield "wrong", f"{path} is left: {said}"
        elif SECRET.encode() in path.read_bytes() and "secrets could not be masked" not in said:
            yield "wrong", f"a secret in {path}: {said}"
