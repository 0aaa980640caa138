"""`sagactl schema`: the language as a JSON Schema, or what one field of it means."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Annotated, Any

import typer

from sagactl.cli.options import Common, Form
from sagactl.cli.output import result
from sagactl.cli.render.text import safe
from sagactl.errors import NotFoundError, UsageError

NAME = "NAME"
"""Stands in a path for what authors name: `params.NAME.pattern`. It may be left out."""
Rule = Mapping[str, Any]
NOTHING: Rule = {}


def schema(
    field: Annotated[str | None, typer.Argument(metavar="[FIELD]", show_default=False,
                                                help="One field, as steps.undo or params.pattern.")] = None,
    of: Annotated[str | None, typer.Option("--of", metavar="COMMAND", show_default=False, help=(
        "Instead, of what a command prints with -o json, or with -o jsonl: `run`, `compensate --dry-run`, exit_error."
    ))] = None,
    *, common: Common,
) -> int:
    """Print the JSON Schema of definitions, for editors, or explain one field.

    Example: sagactl schema steps.undo
    """
    from json import dumps

    from sagactl.definition.shape import schema as whole

    indent = None if common.form is Form.JSONL else 2
    if of is not None:
        if field is not None:
            raise UsageError("--of is a command's output, and FIELD a part of a definition", hint="say one of them")
        if common.quiet:
            raise UsageError("-q lists the fields of definitions, and --of has none of them", hint="say one of them")
        result(dumps(_output_of(of, common.form), indent=indent, ensure_ascii=False))
        return 0
    if common.quiet:
        for path, _, _ in every_field():
            if field is None or path.startswith(f"{find(field)[0]}."):
                result(path)
        return 0
    if field is None:
        result(dumps(whole(), indent=indent, ensure_ascii=False))
        return 0
    path, rule, required = find(field)
    if not common.human:
        parts = {"$defs": whole()["$defs"]} if "$ref" in dumps(rule) else {}
        result(dumps({**rule, **parts}, indent=indent, ensure_ascii=False))
    else:
        for line in _explained(path, rule, required=required):
            result(line)
    return 0


def _output_of(command: str, form: Form) -> Rule:
    """Raises NotFoundError."""
    from sagactl.cli import shapes

    if command == "exit_error":
        return shapes.shape(command)
    return shapes.shape_of(command, Form.JSON if form is Form.HUMAN else form)


def find(field: str) -> tuple[str, Rule, bool]:
    """The path of a field in full, its rule, and whether it has to be there.

    Raises:
        NotFoundError: there is no such field.
    """
    known = {path: (rule, required) for path, rule, required in every_field()}
    bare = {path.replace(f".{NAME}", ""): path for path in reversed(known)}
    path = field if field in known else bare.get(field.replace(f".{NAME}", ""))
    if path is None:
        raise NotFoundError(f"no field {safe(field)}", hint=_meant(field, known))
    return path, *known[path]


def every_field() -> Iterator[tuple[str, Rule, bool]]:
    """(path, rule, required) of every field of the language, in the order of schema.json. A rule that holds itself
    (`items`) is gone into once.
    """
    from sagactl.definition.shape import schema as whole

    yield from _below("", whole(), ())


def takes(rule: Rule) -> dict[str, tuple[Rule, bool]]:
    """The fields right below one, each with its rule and whether it has to be there."""
    if rule is NOTHING:
        return {}
    rule = _resolved(rule)
    found = {name: (each, name in rule.get("required", ())) for name, each in rule.get("properties", {}).items()}
    for branch in (*rule.get("allOf", ()), rule.get("then"), rule.get("else")):
        found |= {name: (each, False) for name, (each, _) in takes(branch or NOTHING).items() if name not in found}
    if isinstance(rule.get("additionalProperties"), Mapping):
        found[NAME] = rule["additionalProperties"], False
    return found or takes(rule.get("items", NOTHING))


def words_for(rule: Rule) -> str:
    """What a value there has to be."""
    return str(_resolved(rule).get("title", "any value"))


def _resolved(rule: Rule) -> Rule:
    """The rule with what it refers to; its own words win."""
    from sagactl.definition.shape import schema as whole

    if "$ref" not in rule:
        return rule
    target = _resolved(whole()["$defs"][rule["$ref"].rpartition("/")[2]])
    return {**target, **{key: value for key, value in rule.items() if key != "$ref"}}


def _below(above: str, rule: Rule, through: tuple[Any, ...]) -> Iterator[tuple[str, Rule, bool]]:
    for name, (each, required) in takes(rule).items():
        path = f"{above}.{name}" if above else name
        if "description" in each:
            yield path, each, required
        if each.get("$ref") not in through:
            yield from _below(path, each, (*through, each["$ref"]) if "$ref" in each else through)


def _meant(field: str, known: Mapping[str, object]) -> str:
    from sagactl.definition.diagnostics import did_you_mean

    last = field.rpartition(".")[2]
    same = [path for path in known if path.rpartition(".")[2] == last]
    if same:
        return f"did you mean `{same[0]}`?"
    short = {path.replace(f".{NAME}", ""): path for path in known}
    return did_you_mean(field, short) or f"the fields: {', '.join(path for path in known if '.' not in path)}"


def _explained(path: str, rule: Rule, *, required: bool) -> Iterator[str]:
    import yaml

    name = path.rpartition(".")[2]
    yield path
    yield f"  {rule['description']}"
    yield ""
    yield f"  is        {words_for(rule)}"
    if required:
        yield "  required"
    elif "default" in rule:
        yield f"  default   {yaml.safe_dump(rule['default'], default_flow_style=True).splitlines()[0]}"
    for number, example in enumerate(rule.get("examples", ())):
        flow = None if isinstance(example, (dict, list)) else False
        text = yaml.safe_dump({name: example}, default_flow_style=flow, sort_keys=False, width=100).rstrip()
        for place, line in enumerate(text.splitlines()):
            yield f"  {'example ' if number == place == 0 else '        '}  {line}"
    below = [each for each in takes(rule) if each != NAME]
    if NAME in takes(rule):
        below += [f"{NAME}.{each}" for each in takes(takes(rule)[NAME][0])] or [NAME]
    if below:
        yield f"  takes     {', '.join(below)}"
