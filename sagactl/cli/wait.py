"""`sagactl wait`: until sagas need nobody's waiting any more."""

from __future__ import annotations

import time
from typing import Annotated, Final

import typer

from sagactl.cli import driving, wiring
from sagactl.cli.following import changes
from sagactl.cli.options import Common, SagaNames
from sagactl.cli.output import complain, json_rows, result, say
from sagactl.errors import SagactlError, TimedOutError, UsageError
from sagactl.journal.listing import Summary

NAMED_MAX: Final = 5
"""So many that had not ended are named."""


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
    waiting, reader, evidence = set(open_ids), driving.existing(common.database), wiring.evidence(common.database)
    first = True
    with json_rows(common.form) as show:
        for _ in changes(common.database, until_s):
            for name, row in reader.summaries_of(each for each in open_ids if each in waiting).items():
                if isinstance(row, SagactlError):
                    waiting.remove(name)
                    codes.append(complain(row))
                elif row.state in driving.OUTCOMES:
                    waiting.remove(name)
                    codes.append(driving.OUTCOMES[row.state])
                    _tell(common, row, show)
                elif first and not evidence.is_held(row.token):
                    say(f"{name} is interrupted: it goes on when somebody says: sagactl resume {name}")
            first = False
            if not waiting:
                return driving.exit_code(codes)
    left = [each for each in open_ids if each in waiting]
    more = f" and {len(left) - NAMED_MAX} more" if len(left) > NAMED_MAX else ""
    raise TimedOutError(f"after {timeout} {', '.join(left[:NAMED_MAX])}{more} had not ended",
                        hint=f"sagactl inspect {left[0]} shows how far it is")


def _tell(common: Common, row: Summary, show: driving.Show) -> None:
    if common.human:
        result(f"{row.id} {row.state}")
    elif common.quiet:
        result(row.id)
    else:
        from sagactl.cli.render import json as render_json

        show(render_json.summary(row, interrupted=False))


def _until_s(timeout: str | None) -> float:
    """When to give up, on the monotonic clock. Raises UsageError."""
    from sagactl.definition.durations import seconds

    if timeout is None:
        return float("inf")
    try:
        return time.monotonic() + seconds(timeout)
    except ValueError as error:
        raise UsageError(f"--timeout {timeout}: {error}") from None
