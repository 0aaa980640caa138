"""What a saga needs of the world when it starts and when it goes on: variables, secrets, its folder, its file."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from sagactl.cli.output import warn
from sagactl.core import events as e
from sagactl.core.parts import Actor
from sagactl.digest import sha256, sha256_of
from sagactl.errors import InvalidError
from sagactl.execution.invocation import OURS
from sagactl.model import Command, Definition, SecretSource
from sagactl.ports import Surroundings
from sagactl.template import references

FROZEN = ("PATH", "HOME")
ID_LETTERS = "0123456789abcdefghjkmnpqrstvwxyz"
"""Crockford's base32: no letter is taken for another. So many that each is as likely as the others in a byte."""

OF_THE_TERMINAL = frozenset({
    "_", "COLORTERM", "COLUMNS", "DISPLAY", "INVOCATION_ID", "JOURNAL_STREAM", "LINES", "LS_COLORS", "MAIL", "OLDPWD",
    "PS1", "PWD", "SHLVL", "STY", "TERM", "WAYLAND_DISPLAY", "WINDOWID",
})
OF_THE_TERMINAL_TOO = ("SSH_", "TERM_", "TMUX", "VTE_", "XDG_SESSION_")
"""Variables of a shell, a terminal or a session: nobody is told that another one has others."""
NAMES_MAX = 8


def new_id(name: str) -> str:
    return f"{name}-{''.join(ID_LETTERS[byte % len(ID_LETTERS)] for byte in os.urandom(6))}"


def new_token() -> str:
    """What names the evidence of a saga: random, in hex."""
    return os.urandom(8).hex()


def started(
    definition: Definition, params: Mapping[str, Any], *, saga_id: str, file: str, data: bytes, at_s: float,
    holder: Actor,
) -> e.SagaStarted:
    """The first event of a saga. Raises InvalidError where a variable that it reads is missing."""
    return e.SagaStarted(
        at_s=at_s,
        id=saga_id,
        token=new_token(),
        definition=definition,
        params=params,
        cwd=os.path.dirname(os.path.abspath(file)) if file else os.getcwd(),  # noqa: PTH120, PTH100, PTH109
        env=_frozen(definition),
        env_names=tuple(sorted(name for name in os.environ if not name.startswith((OURS, "SAGACTL_")))),
        holder=holder,
        file=os.path.abspath(file) if file else "",  # noqa: PTH100
        file_hash=sha256(data),
    )


def surroundings(first: e.SagaStarted) -> Surroundings:
    """What the commands get from this process.

    Raises:
        InvalidError: a secret is missing or empty, or the folder that the saga works in is gone.
    """
    if not os.path.isdir(first.cwd):  # noqa: PTH112
        raise InvalidError(f"the working folder of {first.id} is gone: {first.cwd}", hint="make it again, then resume")
    sources = first.definition.secrets
    found, missing = {}, []
    for name, source in sources.items():
        try:
            found[name] = _secret(source, first.cwd)
        except ValueError as error:
            missing.append(f"secret {name} {error}")
    if missing:
        raise InvalidError("\n".join(missing))
    hidden = {source.env for source in sources.values()}
    env = {name: value for name, value in os.environ.items() if not name.startswith(OURS) and name not in hidden}
    return Surroundings(env={**env, **{name: first.env[name] for name in FROZEN if name in first.env}}, secrets=found)


def known_secrets(first: e.SagaStarted) -> Mapping[str, str] | None:
    """The secrets of a saga, to mask them; None where they can't be read any more."""
    try:
        return surroundings(first).secrets
    except InvalidError:
        return None


def warn_of_changes(first: e.SagaStarted) -> None:
    """Say what is not as it was when the saga started; it goes on with what it was started with."""
    if first.file:
        try:
            if not Path(first.file).is_file():
                raise FileNotFoundError  # a pipe would be waited for
            with Path(first.file).open("rb") as file:
                same = sha256_of(file) == first.file_hash
            changed = "" if same else "has changed"
        except OSError:
            changed = "is gone"
        if changed:
            warn(f"{first.file} {changed} since {first.id} started; the saga goes on with the definition of its start")
    hidden = {source.env for source in first.definition.secrets.values()}
    missing = [name for name in first.env_names if name not in os.environ and name not in hidden]
    told = [name for name in missing if name not in OF_THE_TERMINAL and not name.startswith(OF_THE_TERMINAL_TOO)]
    if told:
        more = f" and {len(told) - NAMES_MAX} more" if len(told) > NAMES_MAX else ""
        warn(f"variables that were set when {first.id} started are missing now: {', '.join(told[:NAMES_MAX])}{more}")


def _frozen(definition: Definition) -> dict[str, str]:
    frozen = {name: os.environ[name] for name in FROZEN if name in os.environ}
    missing = []
    hidden = {source.env for source in definition.secrets.values()}
    for command in _commands(definition):
        for reference in (each for value in command.env.values() for each in references(value) if each.env):
            if reference.env in hidden:
                missing.append(f"{reference} reads a secret; list it under `secrets:` of the step instead")
            elif reference.env in os.environ:
                frozen[reference.env] = os.environ[reference.env]
            elif not reference.optional:
                missing.append(f"${reference.env} is not set, and the definition reads {reference}")
    if missing:
        raise InvalidError("\n".join(dict.fromkeys(missing)))
    return dict(sorted(frozen.items()))  # as it will be read again


def _commands(definition: Definition) -> Iterator[Command]:
    for step in definition.steps:
        yield from (each for each in (step.action, step.undo, step.check) if isinstance(each, Command))


def _secret(source: SecretSource, cwd: str) -> str:
    """The value of a secret. Raises ValueError, which says what is wrong with it."""
    if source.env:
        where, value = f"${source.env}", os.environ.get(source.env)
        if value is None:
            raise ValueError(f"is missing: {where} is not set")
    else:
        where = str(Path(cwd, source.file))
        try:
            value = Path(where).read_text().removesuffix("\n")
        except OSError as error:
            raise ValueError(f"is missing: can't read {where}: {error.strerror}") from error
        except UnicodeDecodeError as error:
            raise ValueError(f"is missing: can't read {where}: it is no {error.encoding.upper()} text") from error
    if not value:  # it could not be masked, and nearly always it is a mistake
        raise ValueError(f"is empty: {where}")
    if "\0" in value:
        raise ValueError("contains a NUL byte, which no process can be given")
    return value
