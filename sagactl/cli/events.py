"""`sagactl events`: the journal as JSON lines."""

from __future__ import annotations

from typing import Annotated

import typer

from sagactl.cli import driving
from sagactl.cli.following import changes
from sagactl.cli.options import Database, SagaName, database_path
from sagactl.cli.output import result, stdout_closed
from sagactl.cli.render import json as render_json


def events(
    saga: SagaName,
    after: Annotated[int, typer.Option("--after", metavar="SEQ", min=0, help="Only events after this number.")] = 0,
    follow: Annotated[bool, typer.Option("--follow", "-f", help="Go on with what is recorded from now on, until the "
                                                                "saga is final, escalated or paused.")] = False,
    db: Database = None,
) -> int:
    """Print the events of a saga, one JSON object a line, each with seq, at, saga and type.

    Example: sagactl events @last --after 3
    """
    database = database_path(db)
    reader = driving.existing(database)
    name = reader.find(saga)
    for _ in changes(database):
        ended = not follow or reader.summary(name).state in driving.OUTCOMES
        for seq, event in reader.events(name, after):
            result(render_json.line(render_json.event(name, seq, event)))
            after = seq
        if ended or stdout_closed():
            break
    return 0
