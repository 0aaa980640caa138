"""A command that is a shell script. Its text is never changed: values reach it through the environment only."""

from __future__ import annotations

from sagactl.model import Script
from sagactl.template import Lookup


def words(run: Script, lookup: Lookup) -> tuple[str, ...]:  # noqa: ARG001 - the form of every kind
    """The argv to execute: the shell stops at the first failure (-e) and at an unset variable (-u)."""
    return ("/bin/sh", "-eu", "-c", run.text)
