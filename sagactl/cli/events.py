"""`sagactl events`: the journal as JSON lines."""

from __future__ import annotations

from typing import Annotated

import typer

from sagactl.cli import driving
from sagactl.cli.following import changes
from sagactl.cli.options import Common, Form, SagaName, name_of
from sagactl.cli.output import json_rows, result, stdout_closed
from sagactl.cli.render import json as render_json
from sagactl.errors import UsageError


def events(
    saga: SagaName,
    after: Annotated[int, typer.Option("--after", metavar="SEQ", min=0, help="Only events after this number.")] = 0,
    follow: Annotated[bool, typer.Option("--follow", "-f", help="Go on with what is recorded from now on, until the "
                                                                "saga is final, escalated or paused.")] = False,
    *, common: Common,
) -> int:
    """Print the events of a saga, one JSON object a line, each with seq, at, saga and type.

    Example: sagactl events @last --after 3
    """
    if follow and common.form is Form.JSON:
        raise UsageError("-f has no end, and an array needs one", hint="-o jsonl is a line for each event")
    reader = driving.existing(common.database)
    name = reader.find(name_of(saga))
    with json_rows(common.form) as show:
        for _ in changes(common.database):
            ended = not follow or reader.summary(name).state in driving.OUTCOMES
            for seq, event in reader.events(name, after):
                if common.quiet:
                    result(str(seq))
                else:
                    show(render_json.event(name, seq, event))
                after = seq
            if ended or stdout_closed():
                break
    return 0
