"""Our validator and jsonschema are of one mind on what schema.json allows: definitions are mutated and put to both."""

from __future__ import annotations

import copy
import json
import math
import random
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import jsonschema
import pytest

from sagactl.definition.applying import differences, schema
from sagactl.definition.reading import read
from sagactl.definition.shape import problems_of_shape

EXAMPLE = read((Path(__file__).parent / "example.yaml").read_bytes(), "example.yaml")[1].plain()
COUNT = 600
ODD: tuple[Any, ...] = (
    None, True, False, 0, 1, -1, 2.5, 3.0, 101, 1e300, "", " ", "none", "x", "X y", "5m", "0s", "full", "stdout", "a\n",
    "SAGA_X", "${params.p}", "/a/b", "~", [], {}, [[]], ["a", "a"], [1, 1.0], [True, 1], [1, "1"], [{}, {}], ["a", 5],
    {"manual": "x"}, {"manual": " "}, {"run": "x"}, {"run": ["x"], "manual": "y"}, {"from": "stdout"}, {"pointer": "/a"},
    {"env": "A", "file": "b"}, {"enum": [1, 1.0]}, {"enum": ["a"]}, {"type": "text"}, {"a": 1}, "x" * 64, "x" * 256, "x" * 1025,
    {f"v{i}": "x" for i in range(257)}, ["x"] * 1001, {f"o{i}": {} for i in range(300)}, list(range(1, 257)),
)
"""Values of every kind, and some at which the two could part: equal numbers of two kinds, bounds, names."""


def oracle() -> Any:
    """Its validator with what differs on purpose: numbers, and patterns that match the whole string."""
    def whole(_: Any, pattern: str, value: object, __: object) -> Iterator[jsonschema.ValidationError]:
        if isinstance(value, str) and not re.fullmatch(pattern, value):
            yield jsonschema.ValidationError("no match")

    base = jsonschema.Draft202012Validator
    types = base.TYPE_CHECKER.redefine("integer", lambda _, value: type(value) is int).redefine(
        "number", lambda _, value: type(value) is int or (isinstance(value, float) and math.isfinite(value)))
    extend: Any = jsonschema.validators.extend
    return extend(base, {"pattern": whole}, type_checker=types)(schema())


def places(value: Any) -> list[tuple[Any, Any]]:
    """Each (list or mapping, key or place) within a value."""
    keys: list[Any] = list(value) if isinstance(value, dict) else list(range(len(value))) if isinstance(value, list) else []
    return [(value, key) for key in keys] + [place for key in keys for place in places(value[key])]


def mutated(draw: random.Random) -> Any:
    """The example with one to three places changed: a value of another kind, a field too many or too few."""
    value = copy.deepcopy(EXAMPLE)
    for _ in range(draw.randint(1, 3)):
        if not value:
            break
        holder, key = draw.choice(places(value))
        match draw.randint(0, 5):
            case 0:
                del holder[key]
            case 1 if isinstance(holder, dict):
                holder[draw.choice(sorted(NAMES))] = copy.deepcopy(draw.choice(ODD))
            case 2 if isinstance(holder, list):
                holder.append(copy.deepcopy(holder[key]))
            case 3:
                other, place = draw.choice(places(EXAMPLE))
                holder[key] = copy.deepcopy(other[place])
            case _:
                holder[key] = copy.deepcopy(draw.choice(ODD))
    return value


NAMES = {name for part in (schema(), *schema()["$defs"].values()) for name in part.get("properties", ())} | {"udno", "A-b"}


def test_a_definition_is_refused_where_jsonschema_refuses_it_and_only_there() -> None:
    judge, draw = oracle(), random.Random(9)
    accepted, keywords = 0, set()
    for _ in range(COUNT):
        data = json.dumps(mutated(draw))
        _, root, problems = read(data.encode(), "f")
        assert not problems
        plain = root.plain()
        fits = judge.is_valid(plain)
        keywords |= {each.keyword for each in differences(plain)}
        assert fits == (next(problems_of_shape(root), None) is None), data
        accepted += fits
    assert COUNT / 10 < accepted < COUNT * 9 / 10
    assert keywords == used(schema()) - {"const"}, "each keyword has refused something, but for one that only asks"


def used(part: Any) -> set[str]:
    """The keywords of the schema that can refuse a value by themselves."""
    if isinstance(part, list):
        return set().union(*map(used, part))
    if not isinstance(part, dict):
        return set()
    own = {"type", "enum", "const", "not", "pattern", "minLength", "maxLength", "minimum", "maximum", "minItems", "maxItems",
           "uniqueItems", "minProperties", "maxProperties", "required"} & {*part}
    within = [each for name, each in part.items() if name not in ("properties", "$defs", "examples", "default", "const")]
    return own.union(*map(used, within), *(used(list(part[name].values())) for name in ("properties", "$defs") if name in part))


@pytest.mark.parametrize(("text", "told"), [
    ("[1, 1.0]", True), ("[1, true]", False), ("[[1], [1.0]]", True), ("[{a: 1}, {a: 1.0}]", True), ("[a, A]", False),
])
def test_values_are_equal_as_json_schema_counts(text: str, told: object) -> None:
    _, root, _ = read(f"saga: s\nsteps: [{{id: a, action: x}}]\nparams: {{p: {{type: array, enum: {text}}}}}".encode(), "f")
    assert any(each.keyword == "uniqueItems" for each in differences(root.plain())) == told
    assert oracle().is_valid(root.plain()) != told
