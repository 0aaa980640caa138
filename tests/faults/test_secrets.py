"""A secret is nowhere: not in the state folder, not in what is printed, not in an argument of a process of ours.

However a saga ends, each of its commands has said every secret in every way it can. While a command runs, and after a
crash until somebody goes on, what it said lies on disk as it said it; so every row ends with somebody who goes on.
"""

from __future__ import annotations

import json
import signal
import string
from collections.abc import Iterable, Sequence
from pathlib import Path
from random import Random
from typing import Final, NamedTuple

import pytest

from sagactl.execution import capture
from tests.cli.test_crash import KILL_ORCHESTRATOR
from tests.harness import Saga, saga

LONG: Final = "".join(Random(1).choices(string.ascii_letters, k=4096))
SECRETS: Final = {
    "PLAIN": "p@$$.*(w\"o'rd\\é世[\nzweite_Zeile", "INNER": "hunter2-inner", "OUTER": "qzfore-hunter2-inner-qzaft",
    "SHORT": "☠", "CHAIN": "inner-qzaft-qzall",
}
"""With what regular expressions, JSON and shells mean something by; one within another, one that overlaps another."""

LEAK: Final = r"""
for value in "$PLAIN" "$INNER" "$OUTER" "$LONG" "$SHORT" "$CHAIN" "qzfore-hunter2-inner-qzaft-qzall"; do
  printf '%s\n' "$value"
  printf 'error: %s\n' "$value" >&2
  printf '\0\377%s\0' "$value" >&2
  printf '%s' "$value" >> "$SAGA_OUTPUT_DIR/.reply"
  mkdir -p "$SAGA_OUTPUT_DIR/deep/er"
  printf '%s' "$value" > "$SAGA_OUTPUT_DIR/deep/er/file"
done
touch "$SAGA_OUTPUT_DIR/named-$SHORT"
tr '\0' ' ' < "/proc/$PPID/cmdline" >> args
for process in $(sed 's/.*"pid": \([0-9]*\).*/\1/' state/sagactl/sagas.db.d/*/lock); do
  tr '\0' ' ' < "/proc/$process/cmdline" >> args || true
done
"""

SAGA: Final = """
secrets: {PLAIN: {env: S_PLAIN}, INNER: {env: S_INNER}, OUTER: {env: S_OUTER}, SHORT: {env: S_SHORT}, CHAIN: {env: S_CHAIN},
          LONG: {file: long}}
defaults: {max_retries: 0}
steps:
  - id: a
    secrets: [PLAIN, INNER, OUTER, SHORT, CHAIN, LONG]
    action: . ./leak.sh; echo fine > "$SAGA_OUTPUT_DIR/fine"
    outputs: [fine]
    undo: . ./leak.sh
  - id: b
    secrets: [OUTER, PLAIN, INNER, SHORT, CHAIN, LONG]
    action: . ./leak.sh; . ./end.sh
    undo: . ./leak.sh; exit 1
    check: . ./leak.sh; exit 2
    undo_if_failed: true
    timeout: TIMEOUT
    kill_after: 100ms
    outputs: [LEAKED]
  - id: c
    action: test ! -e fails
    undo: none
"""


class Way(NamedTuple):
    """How a saga ends: what the second step does at its end, the exit code of `run`, and what somebody does then."""

    end: str
    code: int
    then: Sequence[tuple[int, Sequence[str]]] = ()
    timeout: str = "60s"


ONCE: Final = "test -e once || { touch once; %s; }"
RESOLVED: Final = ("resolve", "t", "--step", "b", "--as", "landed", "--reason", "looked")
WAYS: Final = {
    "completed": Way("true", 0),
    "failed": Way("exit 3", 11),
    "timed out": Way("exec sleep 60", 11, timeout="1s"),
    "its orchestrator killed": Way(ONCE % KILL_ORCHESTRATOR, -signal.SIGKILL, [(0, ["resume", "t"])]),
    "its supervisor killed": Way(ONCE % "kill -9 $PPID; exit 1", 11, [(0, RESOLVED), (0, ["resume", "t"])]),
    "both killed": Way(ONCE % (KILL_ORCHESTRATOR + "; kill -9 $PPID; exit 1"), -signal.SIGKILL,
                       [(11, ["resume", "t"]), (0, ["abandon", "t", "--reason", "enough"])]),
    "interrupted": Way("trap '' TERM; while :; do " + KILL_ORCHESTRATOR.replace("-9", "-INT") + "; sleep 0.2; done", 130,
                       [(11, ["compensate", "t", "--yes"])]),
    "killed and abandoned": Way(ONCE % (KILL_ORCHESTRATOR + "; kill -9 $PPID; exit 1"), -signal.SIGKILL,
                                [(0, ["abandon", "t", "--reason", "enough"])]),
    "an output": Way('printf "x%s" "$CHAIN" > "$SAGA_OUTPUT_DIR/leaked"', 11),
}


def built(folder: Path, way: Way) -> Saga:
    text = SAGA.replace("TIMEOUT", way.timeout)
    text = text.replace("LEAKED", "leaked" * ("leaked" in way.end))
    (folder / "leak.sh").write_text(LEAK)
    (folder / "end.sh").write_text(way.end)
    (folder / "long").write_text(LONG + "\n")
    return saga(folder, text).env(**{f"S_{name}": value for name, value in SECRETS.items()})


def pieces() -> Iterable[bytes]:
    """Every secret, and the parts of it that masking another one could leave, as text and as JSON writes them."""
    whole = [*SECRETS.values(), LONG]
    parts = [text[at : at + 7] for text in SECRETS.values() if len(text) > 7 for at in range(len(text) - 6)]
    parts += [LONG[at : at + 40] for at in range(0, len(LONG), 40)]
    for text in {*whole, *parts}:
        yield from {text.encode(), json.dumps(text)[1:-1].encode(), json.dumps(text, ensure_ascii=False)[1:-1].encode()}


def held_to(folder: Path, said: str) -> None:
    """No secret is in any file below the state, in what was said, nor in the arguments of our processes."""
    files = {path: path.read_bytes() for path in (folder / "state").rglob("*") if path.is_file()}
    assert any(path.name == "sagas.db" for path in files)
    texts = {str(path): data for path, data in files.items()}
    texts |= {"said": said.encode("utf-8", "surrogateescape"), "args": (folder / "args").read_bytes()}
    for piece in pieces():
        for name, text in texts.items():
            assert piece not in text, f"{piece!r} is in {name}"


@pytest.mark.parametrize("name", WAYS)
def test_no_secret_is_anywhere(tmp_path: Path, name: str) -> None:
    way = WAYS[name]
    started = built(tmp_path, way)
    process = started.start("run", "saga.yaml", "--id", "t")
    said = "".join(process.communicate(timeout=60))
    assert process.returncode == way.code, said
    for code, args in way.then:
        done = started.args(*args).chatty().exits(code)
        said += done.stdout + done.stderr
    assert b"supervisor.py" in (tmp_path / "args").read_bytes()
    held_to(tmp_path, said)
    if name in ("failed", "an output"):
        shown = [started.again(*args).chatty().exits(0).stdout for args in (
            ["inspect", "t"], ["inspect", "t", "--json"], ["events", "t"], ["list"], ["list", "--json"],
        )]
        held_to(tmp_path, "".join(shown))
        assert "*" * len(SECRETS["INNER"]) in shown[0]
        assert ("output leaked contains the secret" in shown[0]) == (name == "an output")
        assert f"leaked = x{'*' * 8}" not in shown[0]  # a later step would take that for its value


@pytest.mark.parametrize(("texts", "raw", "masked"), [
    (["ab", "abcd"], "xabcdx", "x***x"), (["abcd", "ab"], "xabcdxab", "x***x***"), (["abc", "cde"], "xabcdex", "x***x"),
    (["aa"], "xaaax", "x***x"), (["a.c", "$"], "abc a.c $", "abc *** ***"), ([""], "x", "x"), (["ab"], "abab", "******"),
])
def test_secrets_that_overlap_or_hold_each_other_are_masked_whole(
    tmp_path: Path, texts: list[str], raw: str, masked: str,
) -> None:
    assert capture.masked(raw, texts) == masked
    stdout = tmp_path / "0.action.1.stdout"
    stdout.write_text(raw)
    assert capture.mask(str(tmp_path / "0.action.1"), texts) == ()
    assert len(stdout.read_text()) == len(raw)
    assert not any(text and text in stdout.read_text() for text in texts)


@pytest.mark.parametrize("name", ["0.action.1", "0.action.1.stdout"])
def test_a_link_in_the_place_of_what_an_attempt_left_is_named_and_not_followed(tmp_path: Path, name: str) -> None:
    other = tmp_path / "other"
    other.write_text("secret")
    (tmp_path / name).symlink_to(other)
    assert len(capture.mask(str(tmp_path / "0.action.1"), ["secret"])) == 1
    assert other.read_text() == "secret"


def test_secrets_that_overlap_where_a_piece_of_a_large_file_ends_are_masked_whole(tmp_path: Path) -> None:
    piece, stdout = 1024 * 1024, tmp_path / "0.action.1.stdout"
    for shift in range(-16, 16):
        stdout.write_text("x" * (piece + shift) + "before-inner-after" + "x" * 100)
        capture.mask(str(tmp_path / "0.action.1"), ["before-inner", "inner-after", "r-i"])
        assert stdout.read_text() == "x" * (piece + shift) + "*" * 18 + "x" * 100


def test_what_a_process_prints_that_was_left_running_is_kept_without_secrets(tmp_path: Path) -> None:
    built = saga(tmp_path, """
secrets: {TOKEN: {env: TOKEN}}
steps:
  - {id: a, secrets: [TOKEN], action: '(cat go; echo "late $TOKEN"; echo > printed) & echo early', undo: none}
  - {id: b, action: 'echo > go; cat printed', undo: none}
""")
    built.fifo("go")
    built.fifo("printed")
    built.env(TOKEN="hush-hush").run().chatty().exits(0)
    built.again("logs", "t").stdout("a | early\na | \na | late *********\nb | \n").exits(0)
    assert b"hush-hush" not in b"".join(path.read_bytes() for path in tmp_path.rglob("*") if path.is_file())
