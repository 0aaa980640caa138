"""Whether what a command printed for machines has the shape that the package publishes for it.

Readers have to pass over fields that they do not know; here each is an error, so that no shape falls behind.
"""

from __future__ import annotations

import functools
import json
from collections.abc import Mapping, Sequence
from itertools import pairwise
from typing import Any, Final

from jsonschema import Draft202012Validator

from sagactl.cli.commands import COMMANDS
from sagactl.cli.options import Form
from sagactl.cli.shapes import PRINTED, shape, shape_of

NOT_JSON: Final = frozenset({"-q", "--quiet", "-h", "--help", "--version"})
ENDED: Final = frozenset({0, 10, 11, 12, 13})
"""Exit codes of a command that did its job; else stdout may be empty."""


def strict(rule: Any) -> Any:
    """A schema that allows no field which it does not name."""
    if isinstance(rule, list):
        return [strict(each) for each in rule]
    if not isinstance(rule, dict):
        return rule
    closed = {"additionalProperties": False} if isinstance(rule.get("properties"), dict) and "type" in rule else {}
    return {**closed, **{key: strict(value) for key, value in rule.items()}}


@functools.cache
def _validator(printed: str, form: Form) -> Draft202012Validator:
    return Draft202012Validator(strict(shape_of(printed, form)))


@functools.cache
def _error_validator() -> Draft202012Validator:
    return Draft202012Validator(strict(shape("exit_error")))


def asked(args: Sequence[str], env: Mapping[str, str]) -> tuple[str, Form] | None:
    """The key of PRINTED and the form that a command line asks for; None where nobody has promised anything."""
    command = next((word for word in args if word in COMMANDS), "")
    if command not in PRINTED or NOT_JSON & set(args):
        return None
    words = {word.partition("=")[0] for word in args}
    printed = next((key for key in PRINTED if key.startswith(f"{command} ") and key.split()[1] in words), command)
    text = _form(args, env)
    text = {"events": "jsonl", "inspect --definition": "json"}.get(printed, text) if text in ("", "human") else text
    return (printed, Form(text)) if text in ("json", "jsonl") else None


def _form(args: Sequence[str], env: Mapping[str, str]) -> str:
    """The form that is asked for in so many words."""
    found = env.get("SAGACTL_OUTPUT", "")
    for before, word in pairwise(["", *args]):
        if before in ("-o", "--output"):
            found = word
        elif word == "--json":
            found = "json"
        elif word.startswith("--output="):
            found = word.removeprefix("--output=")
        elif word.startswith("-o") and word != "-o":
            found = word.removeprefix("-o")
    return found


def conforms(args: Sequence[str], env: Mapping[str, str], code: int, stdout: str, stderr: str) -> None:
    """Hold what a command printed to its shape, where it was asked for JSON. One that was killed promised nothing."""
    found = asked(args, env)
    if found is None or code < 0:
        return
    shown = f"{' '.join(args)}\nexit {code}\n{stdout}\n{stderr}"
    *_, last = ["", *stderr.splitlines()]
    complained = last.startswith('{"type": "exit_error"')
    if complained:
        _hold(_error_validator(), last, shown)
    if not stdout and code not in ENDED:
        for_people = _form(args, env) not in ("json", "jsonl")  # `events` alone
        assert complained or for_people or code > 128, f"an error, and not for machines: {shown}"
        return
    printed, form = found
    if form is Form.JSON:
        _hold(_validator(printed, form), stdout, shown)
        return
    *lines, rest = stdout.split("\n")
    assert not rest, f"the last line has no end: {shown}"
    for line in lines:
        _hold(_validator(printed, form), line, shown)


def _hold(validator: Draft202012Validator, text: str, shown: str) -> None:
    value = json.loads(text)
    if not validator.is_valid(value):
        wrong = "\n".join(f"{error.json_path}: {error.message}" for error in _leaves(validator.iter_errors(value)))
        raise AssertionError(f"not of its shape:\n{wrong}\n{text}\n{shown}")


def _leaves(errors: Any) -> Any:
    """The errors without those that only say that no choice fits."""
    for error in errors:
        yield from _leaves(error.context) if error.context else [error]
