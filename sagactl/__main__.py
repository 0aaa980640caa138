"""`sagactl` and `python -m sagactl`."""

from __future__ import annotations

import sys


def main() -> None:
    """Run the command line; never returns."""
    if sys.platform == "win32":
        sys.stderr.write("sagactl: needs Linux or macOS; under Windows use it in WSL\n")
        raise SystemExit(2)
    try:
        from sagactl.cli.main import main as command_line

        command_line()
    except KeyboardInterrupt:  # before there was anything to end
        raise SystemExit(130) from None


if __name__ == "__main__":
    main()
