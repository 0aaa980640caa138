"""Bytes to a tree: limits, YAML 1.2, and what is refused. With both parsers of PyYAML."""

from __future__ import annotations

import time
from typing import Any

import pytest
import yaml

from sagactl.definition.diagnostics import DefinitionError
from sagactl.definition.reading import LOADER, SCALAR_BYTES_MAX, read, resolve
from tests.definition.building import HEAD, STEP, codes, definition, diagnostics, one

MANY = 100_000
BOTH = pytest.mark.parametrize("loader", [LOADER, yaml.SafeLoader])


def refused(data: bytes, loader: type[Any] = LOADER) -> list[str]:
    """The codes of what reading says, whether it could go on or not."""
    try:
        return [each.code for each in read(data, "f.yaml", loader=loader)[2]]
    except DefinitionError as error:
        return [each.code for each in error.diagnostics]


@pytest.mark.parametrize(("text", "value"), [
    ("12", 12), ("-3", -3), ("1.5", 1.5), ("1e3", 1000.0), ("0", 0),
    ("true", True), ("False", False), ("null", None), ("~", None), ("", None),
])  # fmt: skip
def test_what_can_be_read_in_one_way_only_is_a_value(text: str, value: object) -> None:
    assert resolve(text) == value
    assert type(resolve(text)) is type(value)


@pytest.mark.parametrize("text", [
    "NO", "yes", "on", "0755", "1:30", "2026-01-02", "0x1F", "0o17", "1_000", "+49", ".5", "5.", ".inf", ".nan",
    "1e999", "9" * 5000, "<<", "=",
])  # fmt: skip
def test_all_else_stays_what_was_typed(text: str) -> None:
    assert resolve(text) == text


def test_numbers_and_words_of_an_argv_and_of_env_stay_what_was_typed() -> None:
    step = definition(one("action: [sleep, 1.10, NO, 0755, true], env: {A: 1.10, B: yes, C: 1:30}")).steps[0]
    assert step.action.run.words == ("sleep", "1.10", "NO", "0755", "true")  # type: ignore[union-attr]
    assert step.action.env == {"A": "1.10", "B": "yes", "C": "1:30"}


HOSTILE = {
    "flow lists": (b"[" * MANY, "SG105"), "flow mappings": (b"{a: " * MANY, "SG105"),
    "block lists": (b"- " * MANY, "SG105"), "complex keys": (b"? " * MANY, "SG105"),
    "block mappings": (b"\n".join(b" " * i + b"a:" for i in range(1400)), "SG105"),
    "many tokens": (b"[" + b"a," * MANY + b"]", "SG106"), "a long line": (b"a" * 1_000_000, "SG107"),
    "long quotes": (b'"' + b"a" * 1_000_000 + b'"', "SG107"), "many lines": (b"a\n" * MANY, "SG107"),
    "many documents": (b"---\n" * MANY, "SG111"), "a large file": (b"#" * (1024 * 1024 + 1), "SG101"),
    "many escapes": (b'"' + b"\\n" * MANY + b'"', "SG107"), "colons": (b"[" + b":," * MANY, "SG104"),
}  # fmt: skip


@BOTH
@pytest.mark.parametrize("name", HOSTILE)
def test_a_hostile_file_is_an_error_and_not_a_wait_or_a_crash(name: str, loader: type[Any]) -> None:
    data, code = HOSTILE[name]
    start_s = time.process_time()
    assert refused(data, loader) == [code]
    assert time.process_time() - start_s < (1 if loader is LOADER else 5)


@pytest.mark.parametrize("inner", [b"{},", b"1,", b"{id: a, action: [sh, '-c', '${x}']},"])
def test_a_hostile_list_of_steps_is_reported_in_time(inner: bytes) -> None:
    start_s = time.process_time()
    assert "SG206" in codes(b"saga: x\nsteps: [" + inner * (40_000 if len(inner) < 9 else 2_000) + b"]")
    assert time.process_time() - start_s < 5


def test_what_is_just_within_the_limits_is_read() -> None:
    assert refused(b"[" * 32 + b"]" * 32) == []
    assert refused(b"[" * 33 + b"]" * 33) == ["SG105"]
    assert refused(b"[" + b"1," * 49_999 + b"]") == []
    assert refused(b"[" + b"1," * 50_000 + b"]") == ["SG106"]
    assert refused(b"a" * SCALAR_BYTES_MAX) == []
    assert refused(b"a" * (SCALAR_BYTES_MAX + 1)) == ["SG107"]


@BOTH
@pytest.mark.parametrize(("data", "code"), [
    (b"a: \xff", "SG102"), (b"\xff\xfea\0", "SG102"), (b"a: \x07", "SG103"), (b"a: \xc2\x85b", "SG103"),
    (b"a: b\xef\xbb\xbf", "SG103"), (b'a: "\\0"', "SG103"), (b"a: [", "SG104"), (b"a: 'b", "SG104"),
    (b"\ta: b", "SG104"), (b"a: 1\nb: 2\na: 3", "SG108"), (b"a: &x 1", "SG109"), (b"a: *x", "SG109"),
    (b"*x : 1", "SG109"), (b"a: !!str 1", "SG110"), (b"a: !x {}", "SG110"), (b"a: !!python/name:os.system x", "SG110"),
    (b"a: 1\n---\nb: 2", "SG111"), (b"? [a]\n: 1", "SG112"), (b"1: a", "SG112"), (b"null: a", "SG112"),
    (b"<<: {a: 1}", "SG112"), (b"", "SG113"), (b"# nothing\n", "SG113"), (b"---\n...\n", "SG113"),
    (b"%YAML 1.1\n---\na: 1", "SG114"), (b"%TAG ! tag:x,2000:\n---\na: 1", "SG114"),
])  # fmt: skip
def test_what_the_language_does_not_accept_is_refused(data: bytes, code: str, loader: type[Any]) -> None:
    assert refused(data, loader) == [code]


@BOTH
@pytest.mark.parametrize(("text", "value"), [
    ("{a:b}", {"a": "b"}), ("{a:1, c: d}", {"a": 1, "c": "d"}), ("{a:'1'}", {"a": "1"}), ('{a:"x y"}', {"a": "x y"}),
    ("[{a-b:c}]", [{"a-b": "c"}]),
])  # fmt: skip
def test_a_colon_without_a_space_is_told_and_read_as_it_is_meant(text: str, value: object, loader: type[Any]) -> None:
    _, root, problems = read(text.encode(), "f.yaml", loader=loader)
    assert root.plain() == value
    assert [each.code for each in problems] == ["SG104"]


@BOTH
@pytest.mark.parametrize(("text", "value"), [
    ("{http://x, a: b}", {"http://x": None, "a": "b"}), ("{a:b: c}", {"a:b": "c"}), ("{a:b: }", {"a:b": None}),
    ("a:b:", {"a:b": None}), ("{'a:b'}", {"a:b": None}), ("{1:b}", {"1:b": None}), ('{"a":b}', {"a": "b"}),
    ("a:\n- b", {"a": ["b"]}), ("{a:\n b}", {"a": "b"}), ("{a: , b: }", {"a": None, "b": None}),
])  # fmt: skip
def test_what_may_be_meant_as_it_stands_is_let_pass(text: str, value: object, loader: type[Any]) -> None:
    _, root, problems = read(text.encode(), "f.yaml", loader=loader)
    assert (root.plain(), problems) == (value, ())


def test_a_byte_order_mark_and_the_directive_of_yaml_1_2_are_accepted() -> None:
    assert refused(b"\xef\xbb\xbfa: 1") == []
    assert refused(b"%YAML 1.2\n---\na: 1") == []


def test_a_duplicate_key_names_both_places() -> None:
    (found,) = diagnostics("saga: s\nsteps: [{id: a, action: [x], undo: none}]\nsaga: t\n")
    assert (found.line, found.column) == (3, 1)
    assert [(note.line, note.column) for note in found.notes] == [(1, 1)]


def test_places_count_characters_whatever_their_bytes_and_line_ends() -> None:
    text = "# 😀 é\r\nsaga: s\r\n" + HEAD.split("\n", 1)[1] + "description: '😀', \n"
    (found,) = diagnostics(text)
    assert (found.code, found.line) == ("SG104", 4)
    (found,) = diagnostics(f"saga: s\r\nsteps:\r\n{STEP}- {{id: 'b', description: '😀é', udno: 1, action: x, undo: none}}")
    assert (found.code, found.line, found.place.source[found.column - 1 :][:4]) == ("SG201", 4, "udno")
