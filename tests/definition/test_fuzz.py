"""Whatever the bytes: a definition or an InvalidError, and never anything else.

Many more are tried, with little memory and time, by tests/faults/test_hostile.py.
"""

from __future__ import annotations

import json
from contextlib import suppress
from pathlib import Path

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from sagactl.definition.parameters import parse_params_file
from sagactl.errors import InvalidError
from tests.faults.hostile.trial import judged

EXAMPLE = (Path(__file__).parent / "example.yaml").read_bytes()
LINES = EXAMPLE.splitlines(keepends=True)
TOKENS = [
    b"${", b"}", b"${params.order_id}", b"${steps.a.outputs.b?}", b"[", b"]", b"{", b"}", b": ", b"- ", b"'", b'"', b"|",
    b"&a ", b"*a ", b"!t ", b"\n", b"  ", b"\t", b"\0", b"\xff", b"null", b"true", b"1", b"-1", b"1e999", b".nan", b"sh",
    b"none", b"continue", b"needs", b"undo", b"#", b"---", b"%", b"? ", b"\\", b"\xf0\x9f\x98\x80", b"\r", b",",
]  # fmt: skip
FEW = settings(max_examples=80, deadline=None, suppress_health_check=[HealthCheck.too_slow])


@FEW
@given(data=st.binary(max_size=400) | st.text(max_size=200).map(lambda text: text.encode("utf-8", "surrogatepass")))
def test_random_bytes_are_never_more_than_invalid(data: bytes) -> None:
    judged(data)
    with suppress(InvalidError):
        parse_params_file(data, "p")


@FEW
@given(edits=st.lists(st.tuples(st.integers(0, len(EXAMPLE)), st.integers(0, 12), st.sampled_from(TOKENS)), max_size=4))
def test_a_damaged_file_is_never_more_than_invalid(edits: list[tuple[int, int, bytes]]) -> None:
    data = EXAMPLE
    for at, removed, inserted in edits:
        data = data[:at] + inserted + data[at + removed :]
    judged(data)


@FEW
@given(order=st.lists(st.sampled_from(LINES), max_size=60))
def test_lines_in_any_order_are_never_more_than_invalid(order: list[bytes]) -> None:
    judged(b"".join(order))


VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.sampled_from([token.decode("latin-1") for token in TOKENS]),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(
        st.sampled_from(["id", "action", "undo", "check", "run", "env", "needs", "outputs", "manual", "from", "pointer", "secrets", "type", "enum", "items", "default", "minimum", "maximum", "pattern", "minLength", "pivot", "on_failure", "timeout", "max_retries", "retry_on", "stdin"]),
        inner, max_size=4),
    max_leaves=12,
)  # fmt: skip
FIELDS = st.sampled_from(["saga", "version", "description", "params", "secrets", "env", "cwd", "defaults", "timeout", "steps"])


@FEW
@given(fields=st.dictionaries(FIELDS, VALUES), step=VALUES, rule=VALUES)
def test_any_value_anywhere_is_never_more_than_invalid(fields: dict[str, object], step: object, rule: object) -> None:
    judged(json.dumps({"saga": "s", "steps": [step, step], "params": {"p": rule}, **fields}).encode())
