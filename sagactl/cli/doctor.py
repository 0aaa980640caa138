"""`sagactl doctor`: whether the state of sagactl can be trusted, who holds it, and what in it waits for a person.

Rule: it looks and says; it repairs nothing and makes nothing. Each check has a name that stays, and is one line.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from sagactl.cli import examining
from sagactl.cli.examining import Check, Status
from sagactl.cli.options import Database, Json, database_path
from sagactl.cli.output import result
from sagactl.cli.render import json as render_json
from sagactl.cli.render.human import safe, table
from sagactl.errors import StoreError


def doctor(db: Database = None, json: Json = False) -> int:
    """Check the state folder, the database, locks and evidence. Repairs nothing.

    Exit 0 where nothing is wrong: what waits for a person, or was left behind by a kill, is a note.

    Example: sagactl doctor --json
    """
    database = database_path(db)
    checks = list(examining.all_checks(db, database))
    wrong = [check.name for check in checks if check.status is Status.WRONG]
    if json:
        result(render_json.line({
            "schema": 1, "database": str(database), "ok": not wrong,
            "checks": [{"name": each.name, "status": each.status, "text": each.text, "hint": each.hint,
                        **({"sagas": each.sagas} if each.sagas else {})} for each in checks],
        }))
    else:
        for line in _lines(checks):
            result(line)
        result("")
        notes = sum(check.status is Status.NOTE for check in checks)
        said = f"wrong: {', '.join(wrong)}" if wrong else "nothing is wrong"
        result(said + (f"; {notes} {'notes' if notes > 1 else 'note'}" if notes else ""))
    return StoreError.exit_code if wrong else 0


def _lines(checks: Sequence[Check]) -> Iterator[str]:
    """A line for each check, with what to do below those that are not ok."""
    rows = table([(each.status, each.name, safe(each.text)) for each in checks]).splitlines()
    for check, row in zip(checks, rows, strict=True):
        yield row
        if check.hint:
            yield f"       {safe(check.hint)}"
