"""Definitions that were valid, or hostile, before somebody changed some bytes, words, lines or indentation in them."""

from __future__ import annotations

import random
import re
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Final

from tests.faults.hostile import corpus

ROOT: Final = Path(__file__).parents[3]
SEED_BYTES_MAX: Final = 8192
LARGE_EVERY: Final = 500
"""One in so many is a mutation of one of the large files, which take a hundred times as long."""

_WORD: Final = re.compile(rb"\$\{[^}\s]*\}|[A-Za-z0-9_.-]+|[^\sA-Za-z0-9_.-]")
TOKENS: Final = (
    b"${", b"}", b"${params.order_id}", b"${steps.a.outputs.b?}", b"[", b"]", b"{", b"}", b": ", b"- ", b"'", b'"', b"|", b">-",
    b"&a ", b"*a ", b"!t ", b"!!python/name:x ", b"<<: ", b"\n", b"  ", b"\t", b"\0", b"\x1b", b"\x7f", b"\xff", b"\xc2\x85",
    b"\xe2\x80\xae", b"\xef\xbb\xbf", b"\xf0\x9f\x98\x80", b"null", b"~", b"true", b"1", b"-1", b"1e999", b"9" * 400, b".nan",
    b"sh", b"-c", b"none", b"continue", b"#", b"---", b"...", b"%YAML 1.1\n", b"? ", b"\\", b"\r", b",", b"needs: []", b"undo: none",
    b"pivot: true", b"timeout: 1s", b"secrets", b"outputs", b"env", b"from: stdout, pointer: /a", b"manual", b"pattern: '(a+)+$'",
    b"\\uD800", b"\\x1b", b"$${",
)


def seeds() -> tuple[list[bytes], list[bytes]]:
    """What mutants are made of: small definitions, and large ones."""
    good = [ROOT / "tests/definition/example.yaml", *sorted((ROOT / "sagas").glob("*.yaml"))]
    hostile = [data for _, data in corpus().values()]
    small = [path.read_bytes() for path in good] * 6 + [data for data in hostile if len(data) <= SEED_BYTES_MAX]
    return small, [data for data in hostile if len(data) > SEED_BYTES_MAX]


def mutants(rng: random.Random) -> Iterator[bytes]:
    """Mutated definitions without end."""
    small, large = seeds()
    while True:
        data = rng.choice(small if rng.randrange(LARGE_EVERY) else large)
        for _ in range(min(rng.randint(1, 5), rng.randint(1, 5))):
            data = rng.choice(MUTATIONS)(data, rng, small)
        yield data


def _some(data: bytes, rng: random.Random) -> tuple[int, int]:
    """A short piece of the data."""
    start = rng.randint(0, len(data))
    return start, min(len(data), start + rng.randint(0, 12))


def _bytes(data: bytes, rng: random.Random, _: list[bytes]) -> bytes:
    start, end = _some(data, rng)
    return data[:start] + rng.randbytes(rng.randint(0, 4)) + data[end:]


def _letter(data: bytes, rng: random.Random, _: list[bytes]) -> bytes:
    start, _end = _some(data, rng)
    return data[:start] + bytes([rng.randint(32, 126)]) + data[start + 1 :]


def _token(data: bytes, rng: random.Random, _: list[bytes]) -> bytes:
    start, end = _some(data, rng)
    return data[:start] + rng.choice(TOKENS) + data[rng.choice((start, end)) :]


def _word(data: bytes, rng: random.Random, small: list[bytes]) -> bytes:
    """A word in place of another: of a list, of another definition, or of this one."""
    words = list(_WORD.finditer(data[: 2 * SEED_BYTES_MAX]))
    if not words:
        return data
    source: list[bytes] = _WORD.findall(rng.choice((data[: 2 * SEED_BYTES_MAX], rng.choice(small))))
    old, new = rng.choice(words), rng.choice([*source, *TOKENS])
    return data[: old.start()] + new + data[old.end() :]


def _lines(data: bytes, rng: random.Random, _: list[bytes]) -> bytes:
    """A line twice, not at all, or somewhere else."""
    lines = data.splitlines(keepends=True) or [b""]
    at, to = rng.randrange(len(lines)), rng.randrange(len(lines))
    line = lines[at]
    if rng.random() < 0.7:
        del lines[at]
    if rng.random() < 0.7:
        lines.insert(to, line)
    return b"".join(lines)


def _indentation(data: bytes, rng: random.Random, _: list[bytes]) -> bytes:
    lines = data.splitlines(keepends=True) or [b""]
    at = rng.randrange(len(lines))
    for place in range(at, min(len(lines), at + rng.randint(1, 6))):
        line = lines[place]
        lines[place] = line[2:] if rng.random() < 0.5 and line.startswith(b"  ") else b"  " + line
    return b"".join(lines)


def _splice(data: bytes, rng: random.Random, small: list[bytes]) -> bytes:
    other = rng.choice(small)
    start, end = sorted(rng.randint(0, len(other)) for _ in range(2))
    at = rng.randint(0, len(data))
    return data[:at] + other[start:end] + data[rng.choice((at, min(len(data), at + end - start))) :]


def _again(data: bytes, rng: random.Random, _: list[bytes]) -> bytes:
    """A piece many times over."""
    start, end = _some(data, rng)
    return data[:start] + data[start:end] * rng.choice((2, 40, 2000)) + data[end:]


MUTATIONS: Final[tuple[Callable[[bytes, random.Random, list[bytes]], bytes], ...]] = (
    _bytes, _letter, _letter, _token, _token, _word, _word, _word, _word, _lines, _lines, _indentation, _splice, _again,
)
