"""`sagactl wait`: until sagas need nobody's waiting any more."""

from __future__ import annotations

import time
from typing import Annotated

import typer

from sagactl.cli import driving, wiring
from sagactl.cli.following import changes
from sagactl.cli.options import Common, SagaNames
from sagactl.cli.output import json_rows, result, say
from sagactl.cli.render import json as render_json
from sagactl.errors import TimedOutError, UsageError


def wait(
    sagas: SagaNames = None,
    timeout: Annotated[str | None, typer.Option("--timeout", metavar="DURATION", show_default=False,
                                                help="Give up after this time: 90s, 10m.")] = None,
    *, common: Common,
) -> int:
    """Wait until sagas are final, escalated or paused, and end as they did: of several, with the worst exit code.

    An interrupted saga is waited for: somebody may resume it. Prints each saga as it ends.

    Example: sagactl wait @last --timeout 10m
    """
    until_s = _until_s(timeout)
    open_ids, codes = driving.named(common, sagas)
    if not open_ids:
        with json_rows(common.form):
            return driving.exit_code(codes)
    reader = driving.existing(common.database)
    for name in open_ids:
        row = reader.summary(name)
        if row.state not in driving.OUTCOMES and not wiring.evidence(common.database).is_held(row.token):
            say(f"{name} is interrupted: it goes on when somebody says: sagactl resume {name}")
    with json_rows(common.form) as show:
        for _ in changes(common.database, until_s):
            for name in tuple(open_ids):
                row = reader.summary(name)
                if row.state not in driving.OUTCOMES:
                    continue
                open_ids.remove(name)
                codes.append(driving.OUTCOMES[row.state])
                if common.human:
                    result(f"{row.id} {row.state}")
                elif common.quiet:
                    result(row.id)
                else:
                    show(render_json.summary(row, interrupted=False))
            if not open_ids:
                return driving.exit_code(codes)
    raise TimedOutError(f"after {timeout} {', '.join(open_ids)} had not ended",
                        hint=f"sagactl inspect {open_ids[0]} shows how far it is")


def _until_s(timeout: str | None) -> float:
    """When to give up, on the monotonic clock. Raises UsageError."""
    from sagactl.definition.durations import seconds

    if timeout is None:
        return float("inf")
    try:
        return time.monotonic() + seconds(timeout)
    except ValueError as error:
        raise UsageError(f"--timeout {timeout}: {error}") from None
