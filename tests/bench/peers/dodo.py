"""Five steps for doit."""

from __future__ import annotations

import os
from collections.abc import Iterator
from typing import Any


def task_true() -> Iterator[dict[str, Any]]:
    """One after the other, as the order here is that of running."""
    for n in range(1, 6):
        yield {"name": str(n), "actions": [[os.environ["TRUE"]]]}
