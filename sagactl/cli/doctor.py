"""`sagactl doctor`: whether the state of sagactl can be trusted, who holds it, and what in it waits for a person.

Rule: it looks and says; it repairs nothing and makes nothing. Each check has a name that stays, and is one line.
"""

from __future__ import annotations

from collections.abc import Sequence

from sagactl.cli import examining
from sagactl.cli.checks import Check, Status
from sagactl.cli.options import Common
from sagactl.cli.output import json_line, result
from sagactl.cli.render.text import safe, table
from sagactl.errors import StoreError

_STYLES = {Status.OK: "", Status.NOTE: "warn", Status.WRONG: "bad"}


def doctor(*, common: Common) -> int:
    """Check the state folder, the database, locks and evidence. Repairs nothing.

    Exit 0 where nothing is wrong: what waits for a person, or was left behind by a kill, is a note.

    Example: sagactl doctor --json
    """
    checks = list(examining.all_checks(common))
    wrong = [check.name for check in checks if check.status is Status.WRONG]
    if common.quiet:
        for name in wrong:
            result(name)
    elif not common.human:
        json_line({
            "schema": 1, "database": str(common.database), "ok": not wrong,
            "checks": [{"name": each.name, "status": each.status, "text": each.text, "hint": each.hint,
                        **({"sagas": each.sagas} if each.sagas else {})} for each in checks],
        })
    else:
        _show(checks)
        result("")
        notes = sum(check.status is Status.NOTE for check in checks)
        said = f"wrong: {', '.join(wrong)}" if wrong else "nothing is wrong"
        result(said + (f"; {notes} {'notes' if notes > 1 else 'note'}" if notes else ""))
    return StoreError.exit_code if wrong else 0


def _show(checks: Sequence[Check]) -> None:
    """A line for each check, with what to do below those that are not ok."""
    rows = table([(each.status, each.name, safe(each.text)) for each in checks])
    for check, row in zip(checks, rows, strict=True):
        result(row, _STYLES[check.status])
        if check.hint:
            result(f"       {safe(check.hint)}")
