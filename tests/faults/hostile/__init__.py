"""Hostile definitions: files that try to hang, exhaust or mislead whoever reads them, and what must be said of each.

The `.yaml` files here open with a line that names the code and what they try; what is too big or no text is in the
table below. `valid` is said of what is hostile only when it is run, or only to other readers.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Final

FOLDER: Final = Path(__file__).parent
STEP: Final = b"saga: s\nsteps:\n- {id: a, action: [x], undo: none}\n"
_MANY: Final = 100_000
_MIB: Final = 1024 * 1024


def _steps(needs: Mapping[int, str] | None = None, *, count: int = 1000, also: str = "") -> bytes:
    """A saga of so many steps, some with `needs`, each with more fields."""
    said = {place: f", needs: [{text}]" for place, text in (needs or {}).items()}
    lines = (f"- {{id: s{place}, action: [x], undo: none{said.get(place, '')}{also}}}\n" for place in range(count))
    return ("saga: s\nsteps:\n" + "".join(lines)).encode()


def _field(field: str, value: bytes) -> bytes:
    return b"saga: s\nsteps:\n- {id: a, action: [x], undo: none}\n" + field.encode() + b": " + value + b"\n"


def _word(value: str) -> bytes:
    """A step with a word in its argv."""
    return f"saga: s\nparams: {{p: {{type: string}}}}\nsteps:\n- {{id: a, undo: none, action: [x, '{value}']}}\n".encode()


BIG: Final[Mapping[str, tuple[str, bytes]]] = {
    "flow lists, nested": ("SG105", b"[" * _MANY),
    "flow mappings, nested": ("SG105", b"{a: " * _MANY),
    "block lists, nested": ("SG105", b"- " * _MANY),
    "block mappings, nested": ("SG105", b"\n".join(b" " * place + b"a:" for place in range(1400))),
    "complex keys, nested": ("SG105", b"? " * _MANY),
    "deep but closed": ("SG105", b"a: " + b"[" * 5000 + b"]" * 5000),
    "a million brackets": ("SG105", b"[" * _MIB),
    "as deep as may be, in a value": ("SG201", _field("z", b"[" * 31 + b"]" * 31)),
    "one byte too many": ("SG101", b"#" * (_MIB + 1)),
    "a megabyte of comment": ("valid", STEP + b"#" * (_MIB - len(STEP))),
    "a megabyte of line ends": ("valid", STEP + b"\n" * (_MIB - len(STEP))),
    "a megabyte of carriage returns": ("valid", STEP + b"\r" * (_MIB - len(STEP))),
    "a megabyte of spaces": ("valid", STEP + b" " * (_MIB - len(STEP))),
    "a megabyte of tabs": ("SG202", b"a:" + b"\t" * (_MIB - 3) + b"b"),
    "a megabyte in one word": ("SG107", b"a" * _MIB),
    "a megabyte in quotes": ("SG107", _field("description", b'"' + b"a" * 1_000_000 + b'"')),
    "a megabyte in a block": ("SG107", _field("description", b"|\n" + b"  a\n" * 200_000)),
    "a megabyte of escapes": ("SG107", b'"' + b"\\n" * 500_000 + b'"'),
    "an escape grown long": ("SG107", b'"' + b"\\U0001F600" * 50_000 + b'"'),
    "keys by the thousand": ("SG201", b"saga: s\n" + b"".join(b"k%d: 1\n" % place for place in range(24_000))),
    "one key by the thousand": ("SG108", b"".join(b"k: 1\n" for _ in range(24_000))),
    "long keys": ("SG201", b"".join(b"%06d%s: 1\n" % (place, b"k" * 900) for place in range(1100))),
    "a key of a megabyte": ("SG107", b"k" * 1_000_000 + b": 1"),
    "values by the thousand": ("SG106", b"[" + b"a," * _MANY + b"]"),
    "steps by the thousand": ("SG106", _steps(count=10_000)),
    "a thousand steps": ("valid", _steps()),
    "a thousand steps in a circle": ("SG303", _steps({n: f"s{(n + 1) % 1000}" for n in range(1000)})),
    "four hundred circles": ("SG303", _steps({n: f"s{n ^ 1}" for n in range(800)}, count=800)),
    "steps that need all before": ("valid", _steps({n: ",".join(f"s{m}" for m in range(n)) for n in range(240)}, count=240)),
    "steps that need all others": ("SG303", _steps({n: ",".join(f"s{m}" for m in range(150) if m != n) for n in range(150)},
                                                   count=150)),
    "a thousand pivots": ("SG305", _steps(dict.fromkeys(range(1000), ""), also=", pivot: true")),
    "needs of nobody": ("SG302", _steps({n: ",".join(f"z{m}" for m in range(50)) for n in range(300)}, count=300)),
    "a name nearly right, a thousand times": ("SG402", _word(" ${params.pp}" * 4000)),
    "references opened": ("SG401", _word("${" * 30_000)),
    "references, all of them right": ("valid", _word("${params.p}" * 5000)),
    "references to nothing": ("SG402", _word("${params." + "q" * 60 + "}").replace(b"x,", b"x," + b"'${params.q}'," * 900)),
    "dollars": ("valid", _word("$$" * 30_000)),
    "options of a shell": ("valid", _word("-c").replace(b"x,", b"sh," + b"'-c'," * 990)),
    "a script of pipes": ("valid", b"saga: s\nsteps:\n- id: a\n  outputs: [o]\n  undo: none\n  action: " + b"a | (b|" * 9000),
    "a script of quotes": ("valid", b"saga: s\nsteps:\n- id: a\n  outputs: [o]\n  undo: none\n  action: |\n    " + b"'|\\" * 20_000),
    "digits": ("valid", _word("9" * 60_000).replace(b"'", b"")),
    "digits for a count": ("SG203", STEP.replace(b"undo: none", b"undo: none, max_retries: " + b"9" * 5000)),
    "digits for a bound": ("SG203", _field("params", b"{p: {type: integer, minimum: " + b"9" * 60_000 + b"}}")),
    "a tall exponent": ("SG203", STEP.replace(b"undo: none", b"undo: none, max_retries: 1e" + b"9" * 290)),
    "a value listed often": ("SG207", _field("params", b"{p: {type: string, enum: [" + b"a," * 40_000 + b"]}}")),
    "exit codes": ("SG206", STEP.replace(b"undo: none", b"undo: none, retry_on: [" + b"999999999999," * 40_000 + b"]")),
    "UTF-16": ("SG102", "saga: s\n".encode("utf-16")),
    "UTF-32": ("SG103", "saga: s\n".encode("utf-32-be")),
    "two byte order marks": ("SG103", b"\xef\xbb\xbf\xef\xbb\xbf" + STEP),
    "a byte order mark": ("valid", b"\xef\xbb\xbf" + STEP),
    "no UTF-8 at its end": ("SG102", STEP + b"# \xf0\x9f\x98"),
    "overlong UTF-8": ("SG102", b"saga: \xc0\xaf\n"),
    "a surrogate in UTF-8": ("SG102", b"saga: \xed\xa0\x80\n"),
    "NUL": ("SG103", b"\0" * _MIB),
    "NUL in a name": ("SG103", b"saga: s\0.yaml\n"),
    "carriage returns for line ends": ("valid", STEP.replace(b"\n", b"\r")),
    "line ends of both kinds": ("valid", STEP.replace(b"\n", b"\r\n")),
    "a delete": ("SG103", STEP + b"# \x7f\n"),
    "random bytes": ("SG102", bytes(range(128, 256)) * 1000),
    "nothing": ("SG113", b""),
    "documents": ("SG111", b"---\n" * _MANY),
    "anchors": ("SG109", b"[" + b"&a 1," * 20_000 + b"]"),
    "tags": ("SG110", b"[" + b"!!python/name:x 1," * 20_000 + b"]"),
    "colons": ("SG104", b"[" + b":," * _MANY),
    "question marks": ("SG105", b"{" + b"? [" * _MANY),
}  # fmt: skip
"""By name: the code that must be said, or `valid`; and the bytes."""


def corpus() -> dict[str, tuple[str, bytes]]:
    """All hostile definitions by name, each with what must be said of it: a code, or `valid`."""
    files = {path.stem: path.read_bytes() for path in sorted(FOLDER.glob("*.yaml"))}
    return {**{name: (data[2 : data.index(b":")].decode(), data) for name, data in files.items()}, **BIG}
