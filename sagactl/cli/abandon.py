"""`sagactl abandon`: leave a saga as it is, for good."""

from __future__ import annotations

from typing import TYPE_CHECKING

from sagactl.cli import driving, saying, wiring
from sagactl.cli.options import Common, Form, Reason, SagaName, name_of, reason_text
from sagactl.cli.output import json_line, result, say
from sagactl.errors import ConflictError

if TYPE_CHECKING:
    from sagactl.core import events as e
    from sagactl.core.saga import Saga


def abandon(saga: SagaName, reason: Reason, *, common: Common) -> int:
    """End an unfinished saga as it is. Nothing is run, nothing is undone.

    Example: sagactl abandon @last --reason "cleaned up by hand"
    """
    from sagactl.cli.starting import known_secrets
    from sagactl.core import operate

    reason_text(reason, required=True)
    database = common.database

    def word(now: Saga, at_s: float) -> e.Event | None:
        alive = wiring.alive(database, now)
        if alive:
            raise ConflictError(f"{now.id} has a command that is still running: {', '.join(alive)}",
                                hint=f"sagactl resume {now.id} waits for it, and ends it on Ctrl-C twice")
        event = operate.abandon(now, wiring.me(), reason, at_s)
        if event is not None:
            wiring.mask_left(database, now, known_secrets(now.started))  # nothing looks at them afterwards
        return event

    after, changed = saying.record(database, name_of(saga), word)
    wiring.fold(database, after, without_secrets=True)
    if not changed:
        say(f"{after.id} was abandoned already")
    driving.tell(common, after, json_line)
    if common.form is Form.JSONL:
        json_line(driving.shown(driving.existing(database), after.id, interrupted=False))
    elif common.quiet:
        result(after.id)
    return 0
