"""Does the rule of a parameter make sense by itself? Patterns are compiled here and never run."""

from __future__ import annotations

from collections.abc import Iterator

from sagactl.definition.diagnostics import Problem
from sagactl.definition.tree import Node
from sagactl.definition.values import TYPES, compiled, complaint

_ONLY_FOR = {
    "pattern": ("string",), "minLength": ("string",), "maxLength": ("string",),
    "minimum": ("integer", "number"), "maximum": ("integer", "number"), "items": ("array",),
}  # fmt: skip
_PAIRS = (("minimum", "maximum"), ("minLength", "maxLength"))


def problems_of_params(root: Node) -> Iterator[Problem]:
    """Contradictions within the rules of the parameters."""
    for rule in root.under("params").values():
        yield from _problems(rule)


def type_of(rule: Node) -> str:
    """The type of a parameter: its own word, or `string` where `enum` holds only strings; else empty."""
    if node := rule.get("type"):
        return node.string
    values = rule.under_items("enum")
    return "string" if values and all(isinstance(each.value, str) for each in values) else ""


def _problems(rule: Node) -> Iterator[Problem]:
    kind = type_of(rule)
    if not kind and rule.get("enum"):
        yield Problem(code="SG202", span=rule.head, message="the parameter has no `type`",
                      help="only where `enum` holds nothing but strings may `type` be left out")
    for name, kinds in _ONLY_FOR.items():
        node = rule.get(name)
        if node and kind in TYPES and kind not in kinds:
            yield Problem(code="SG208", span=node.head, message=f"`{name}` has no effect on a value of type `{kind}`")
    for least, most in _PAIRS:
        low, high = rule.get(least), rule.get(most)
        if low and high and _number(low) > _number(high):
            yield Problem(code="SG307", span=high.span, message=f"`{most}` is less than `{least}`: no value fits")
    if pattern := rule.get("pattern"):
        try:
            compiled(pattern.string)
        except ValueError as error:
            yield Problem(code="SG307", span=pattern.span, message=f"this is no regular expression: {error}")
    plain = {**rule.plain(), "type": kind} if rule.fields else {}
    yield from _values(rule, plain)
    if items := rule.get("items"):
        yield from _problems(items)


def _values(rule: Node, plain: dict[str, object]) -> Iterator[Problem]:
    """The default and the values of `enum` must fit the rest of the rule, as far as that can be told without a
    pattern. A rule that is itself wrong is not asked.
    """
    judge = {name: value for name, value in plain.items() if name not in ("pattern", "default")}
    checked = [(each, {**judge, "enum": None}) for each in rule.under_items("enum")]
    if default := rule.get("default"):
        checked.append((default, judge))
    for node, by in checked:
        told = complaint(node.plain(), {name: value for name, value in by.items() if value is not None})
        if told:
            yield Problem(code="SG307", span=node.span, message=f"this value does not fit its own rule: it {told}")


def _number(node: Node) -> float:
    return node.value if isinstance(node.value, (int, float)) else 0.0
