"""Five steps for invoke."""

from __future__ import annotations

import importlib
import os
from typing import Any

invoke: Any = importlib.import_module("invoke")


def five(context: Any) -> None:
    """One after the other."""
    for _ in range(5):
        context.run(os.environ["TRUE"], echo=True)


namespace = invoke.Collection(invoke.task(five))
