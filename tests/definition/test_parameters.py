"""The parameters of a saga: all problems at once, and the JSON Schema meaning of each keyword."""

from __future__ import annotations

import signal
from concurrent.futures import ThreadPoolExecutor

import pytest

from sagactl.definition import values
from sagactl.definition.diagnostics import DefinitionError
from sagactl.definition.parameters import bind, parse_params_file
from sagactl.errors import InvalidError
from sagactl.model import Definition
from tests.definition.building import STEP, definition

ALL = "s: {type: string}, i: {type: integer}, n: {type: number}, b: {type: boolean}, l: {type: array}, o: {type: object}"
OPTIONAL = ", ".join(f"{rule[:-1]}, default: {value}}}" for rule, value in zip(
    ALL.split(", "), ['""', "0", "0", "false", "[]", "{}"], strict=True))


def saga(params: str) -> Definition:
    return definition(f"saga: s\nparams: {{{params}}}\nsteps:\n{STEP}")


FITS = [
    ("type: string", "x"), ("type: string, pattern: 'a|ab'", "ab"), ("type: string, minLength: 2, maxLength: 2", "éé"),
    ("type: integer, minimum: 1, maximum: 1", 1), ("type: number", 3), ("type: number, enum: [1]", 1.0),
    ("type: boolean", False), ("type: array, items: {type: integer}", [1, 2]), ("type: object", {"a": [None]}),
    ("enum: [a, b]", "b"), ("type: string, pattern: 'x*'", "x" * 4096),
]  # fmt: skip
FAILS = [
    ("type: string", 1, "must be a string"), ("type: string", None, "must be a string"),
    ("type: integer", 3.0, "must be a whole number"), ("type: integer", True, "must be a whole number"),
    ("type: number", float("nan"), "must be a finite number"), ("type: number, minimum: 1", float("inf"), "finite"),
    ("type: number, minimum: 1", 0.5, "must be at least 1"), ("type: integer, maximum: 1", 2, "must be at most 1"),
    ("type: string, pattern: a", "ab", "as a whole"), ("type: string, pattern: '^a$'", "a\n", "as a whole"),
    ("type: string, minLength: 2", "a", "at least 2"),
    ("type: string, maxLength: 2", "abc", "at most 2"), ("type: string, pattern: 'x*'", "x" * 4097, "4 KiB"),
    ("enum: [a, b]", "c", "must be one of `a`, `b`"), ("type: integer, enum: [1]", True, "whole number"),
    ("type: array, items: {type: integer, minimum: 2}", [2, 1], "number 2, that must be at least 2"),
    ("type: array, items: {type: array, items: {type: string}}", [[1]], "must be a string"),
    ("type: boolean", "true", "must be `true` or `false`"), ("type: object", {1: 2}, "strings as keys"),
    ("type: string", "\ud800", "must be UTF-8"), ("type: array", ["\udcff"], "must be UTF-8"),
    ("type: string", "a\0", "NUL"), ("type: string", "x" * 131072, "must be under 128 KiB"), ("type: array", [{"a": {1}}], "must be a JSON value"),
]  # fmt: skip


@pytest.mark.parametrize(("rule", "value"), FITS)
def test_a_value_that_fits_is_kept_as_it_is(rule: str, value: object) -> None:
    assert bind(saga(f"p: {{{rule}}}"), {"p": value}) == {"p": value}


@pytest.mark.parametrize(("rule", "value", "told"), FAILS)
def test_a_value_that_does_not_fit_is_named_with_what_it_must_be(rule: str, value: object, told: str) -> None:
    with pytest.raises(InvalidError, match="the parameters do not fit") as caught:
        bind(saga(f"p: {{{rule}}}"), {"p": value})
    assert told in caught.value.message
    assert "  p " in caught.value.message


@pytest.mark.parametrize("pattern", ["(a+)+$", "(a|a)*b", "(a*)*b", "a*a*a*a*a*a*a*b"])
def test_a_pattern_that_takes_for_ever_is_ended(pattern: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(values, "PATTERN_CPU_S", 0.1)
    before = signal.getsignal(signal.SIGVTALRM)
    with pytest.raises(InvalidError) as caught:
        bind(saga(f"p: {{type: string, pattern: '{pattern}'}}"), {"p": "a" * 4000 + "!"})
    told = "write that without repeats within repeats; `(a+)+` is such a one"
    assert f"p takes too long to put to `{pattern}`: {told}" in caught.value.message
    assert signal.getsignal(signal.SIGVTALRM) is before
    assert signal.getitimer(signal.ITIMER_VIRTUAL) == (0, 0)


def test_in_a_thread_a_pattern_is_put_to_a_value_without_a_limit() -> None:
    with ThreadPoolExecutor() as pool:
        assert pool.submit(bind, saga("p: {type: string, pattern: 'x+'}"), {"p": "xx"}).result() == {"p": "xx"}


def test_a_value_nested_without_end_is_refused() -> None:
    value: list[object] = []
    value.append(value)
    with pytest.raises(InvalidError, match="nested"):
        bind(saga("p: {type: array}"), {"p": value})


def test_defaults_stand_in_and_are_put_to_their_pattern() -> None:
    assert bind(saga("a: {type: integer, default: 3}, b: {type: string}"), {"b": "x"}) == {"a": 3, "b": "x"}
    with pytest.raises(InvalidError, match="a must match"):
        bind(saga("a: {type: string, pattern: x, default: y}"), {})


def test_unknown_missing_and_invalid_parameters_are_told_at_once() -> None:
    with pytest.raises(InvalidError) as caught:
        bind(saga("order_id: {type: string}, amount: {type: integer}"), {"ordr_id": "x", "amount": "many"})
    assert caught.value.message.splitlines()[1:] == [
        "  ordr_id is unknown: did you mean `order_id`?", "  amount must be a whole number, and is `many`",
        "  order_id is missing: it has to be a string",
    ]  # fmt: skip


def test_a_pair_is_read_as_the_type_of_its_parameter() -> None:
    pairs = ["s=1=2 ", "i=-3", "n=1.5", "b=true", 'l=[1, "a"]', 'o={"a": null}']
    assert bind(saga(ALL), {}, pairs) == {
        "s": "1=2 ", "i": -3, "n": 1.5, "b": True, "l": [1, "a"], "o": {"a": None},
    }  # fmt: skip


@pytest.mark.parametrize("pair", [
    "s", "q=1", "i=1.0", "i=true", "i=", "i=0x1", "n=NaN", "n=1e999", "n=x", "b=yes", "b=1", "l={}", "l=[", "o=[]",
    'o={"a": 1, "a": 2}', "l=" + "[" * 100_000, "i=" + "9" * 5000,
])  # fmt: skip
def test_a_pair_that_is_none_is_refused(pair: str) -> None:
    with pytest.raises(InvalidError, match="do not fit"):
        bind(saga(OPTIONAL), {}, [pair])


def test_all_wrong_pairs_are_told_at_once() -> None:
    with pytest.raises(InvalidError) as caught:
        bind(saga(ALL), {"y": 1}, ["i=x", "nothing", "s=a", "s=b", "z=1", "b=1", "o={}", "l=[]"])
    assert caught.value.message.splitlines()[1:] == [
        "  `nothing` has no `=`: write `-p NAME=VALUE`, or `--param-file NAME=PATH`", "  s is given twice",
        "  y is unknown: the parameters are s, i, n, b, l, o", "  z is unknown: the parameters are s, i, n, b, l, o",
        "  i must be a whole number, and is `x`", "  b must be `true` or `false`, and is `1`",
        "  n is missing: it has to be a number",
    ]  # fmt: skip


def test_a_missing_parameter_is_told_with_its_rule_and_a_wrong_one_of_an_enum_with_the_nearest() -> None:
    rules = "a: {type: string, pattern: x+, maxLength: 9}, b: {type: integer, minimum: 1, maximum: 5}, c: {enum: [dhl, ups]}"
    with pytest.raises(InvalidError) as caught:
        bind(saga(rules), {}, ["c=dlh"])
    assert caught.value.message.splitlines()[1:] == [
        "  c must be one of `dhl`, `ups`, and is `dlh`: did you mean `dhl`?",
        "  a is missing: it has to be a string, at most 9 characters, matching `x+` as a whole",
        "  b is missing: it has to be a whole number, at least 1, at most 5",
    ]  # fmt: skip


def test_a_pair_wins_over_the_value_of_a_file() -> None:
    assert bind(saga("a: {type: integer}"), {"a": "none"}, ["a=2"]) == {"a": 2}


def test_a_file_of_parameters_is_yaml_or_json() -> None:
    assert parse_params_file(b"a: 1\nb: NO\nc: [x]\n", "p.yaml") == {"a": 1, "b": "NO", "c": ["x"]}
    assert parse_params_file(b'{"a": 1, "b": "x\\u00e9", "c": {"d": null}}', "p") == {"a": 1, "b": "xé", "c": {"d": None}}


@pytest.mark.parametrize("data", [b"[1]", b"", b"a: 1\na: 2", b"a: &x 1", b"a: [", b"\xff"])
def test_a_file_of_parameters_is_read_as_strictly_as_a_definition(data: bytes) -> None:
    with pytest.raises(DefinitionError, match=r"p\.yaml"):
        parse_params_file(data, "p.yaml")
