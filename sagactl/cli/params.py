"""The parameters of a command line: from `-p`, `--param-file` and `--params-file`, and from a person on a terminal.

A value never reads a file by itself: `-p x=@file` is `@file`. Only a terminal is asked, and only for what is missing.
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Annotated, Any, TypeAlias

import typer

from sagactl.cli.asking import can_ask, typed
from sagactl.cli.files import read_file, shown_name
from sagactl.cli.options import Common
from sagactl.cli.output import hint
from sagactl.errors import UsageError
from sagactl.model import Definition

Param: TypeAlias = Annotated[
    list[str] | None,
    typer.Option("--param", "-p", metavar="NAME=VALUE", show_default=False,
                 help="A parameter; may be given several times. Wins over --params-file."),
]
ParamFile: TypeAlias = Annotated[
    list[str] | None,
    typer.Option("--param-file", metavar="NAME=PATH", show_default=False,
                 help="A parameter whose value is the content of a file, as it is; - for stdin."),
]
ParamsFile: TypeAlias = Annotated[
    list[str] | None,
    typer.Option("--params-file", metavar="FILE", show_default=False, help="Parameters as YAML or JSON; - for stdin."),
]


@dataclass(frozen=True, slots=True, kw_only=True)
class Given:
    """What a command line says of parameters: `values` from a file of them, `pairs` as NAME=TEXT."""

    values: Mapping[str, object]
    pairs: Sequence[str]


def given(
    param: Sequence[str] | None, param_file: Sequence[str] | None, params_files: Sequence[str] | None, *, file: str,
    each: str | None = None,
) -> Given:
    """Read what the options name. `file` is the definition's, `each` that of the lines; one may be stdin.

    Raises:
        UsageError: two of them are stdin, or there are two files of parameters.
        NotFoundError, DefinitionError: a file can't be read, or is no mapping.
    """
    if params_files and len(params_files) > 1:
        raise UsageError("--params-file is given twice", hint="put all values into one file, or give some with -p")
    params_file = params_files[0] if params_files else None
    if [file, each, params_file, *(pair.partition("=")[2] for pair in param_file or ())].count("-") > 1:
        raise UsageError("only one of the definition and the parameters can be read from stdin")
    if params_file is None:
        values: Mapping[str, object] = {}
    else:
        from sagactl.definition.parameters import parse_params_file

        values = parse_params_file(read_file(params_file), shown_name(params_file))
    return Given(values=values, pairs=[*(param or ()), *map(_with_content, param_file or ())])


def bound(definition: Definition, said: Given, common: Common) -> dict[str, Any]:
    """The value of every parameter. What is missing is asked for where there is a terminal and nothing else is wrong.

    Raises:
        InvalidError: parameters are unknown, missing or invalid; the message names each.
        UsageError: a person was asked, and did not say.
    """
    from sagactl.definition.parameters import bind, check

    pairs = list(said.pairs)
    found = check(definition, said.values, pairs)
    if found.missing and not found.problems and can_ask(common):
        pairs += _asked(definition, found.missing)
    return dict(bind(definition, said.values, pairs))


def _with_content(pair: str) -> str:
    name, equals, path = pair.partition("=")
    return f"{name}={os.fsdecode(read_file(path))}" if equals else pair


def _asked(definition: Definition, names: Sequence[str]) -> Iterator[str]:
    """The answers of a person, as pairs. A wrong one is told why and asked again."""
    from sagactl.definition.parameters import check, rule_text

    for name in names:
        rule = definition.params[name]
        purpose = f" ({rule['description']})" if rule.get("description") else ""
        problems: Sequence[str] = [""]
        while problems:
            line = typed(f"{name}{purpose}, {rule_text(rule)}:\n")
            if not line:
                raise UsageError(f"{name} is missing: nothing was run", hint=f"give it with -p {name}=VALUE")
            answer = os.fsdecode(line.removesuffix(b"\n"))
            problems = check(definition, {}, [f"{name}={answer}"]).problems if answer else (
                f"{name} is needed; an empty one is given with -p {name}=",
            )
            for problem in problems:
                hint(problem)
        yield f"{name}={answer}"
