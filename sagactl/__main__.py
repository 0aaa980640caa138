"""`sagactl` and `python -m sagactl`."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable


def main() -> None:
    """Run the command line; never returns."""
    if sys.platform == "win32":
        sys.stderr.write("sagactl: needs Linux or macOS; under Windows use it in WSL\n")
        raise SystemExit(2)
    try:
        import signal

        if signal.getsignal(signal.SIGINT) is signal.default_int_handler:  # else it is ignored, and stays so
            signal.signal(signal.SIGINT, _end)
    except KeyboardInterrupt:
        raise SystemExit(130) from None

    from sagactl.cli.main import main as command_line

    command_line()


def _end(number: int, _: object, end: Callable[[int], object] = os._exit) -> None:
    """Ctrl-C where nobody listens to it (signals.py): over at once, with what SIGKILL would leave.

    An exception would be raised anywhere: within an import, a destructor, asyncio, where not all of them let it pass.
    """
    end(128 + number)


if __name__ == "__main__":
    main()
