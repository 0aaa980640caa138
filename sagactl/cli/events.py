"""`sagactl events`: the journal as JSON lines."""

from __future__ import annotations

from typing import Annotated

import typer

from sagactl.cli import driving
from sagactl.cli.options import Database, SagaName, database_path
from sagactl.cli.output import result
from sagactl.cli.render import json as render_json


def events(
    saga: SagaName,
    after: Annotated[int, typer.Option("--after", metavar="SEQ", min=0, help="Only events after this number.")] = 0,
    db: Database = None,
) -> int:
    """Print the events of a saga, one JSON object a line, each with seq, at, saga and type.

    Example: sagactl events @last --after 3
    """
    reader = driving.existing(database_path(db))
    name = reader.find(saga)
    for seq, event in reader.events(name):
        if seq > after:
            result(render_json.line(render_json.event(name, seq, event)))
    return 0
