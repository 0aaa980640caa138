"""What attempts have printed, read on from look to look: from their files, or from what was folded of them.

Nothing is written or claimed here. A stream may be of any size and without a line's end: it is read in pieces.
"""

from __future__ import annotations

import io
import os
from collections.abc import Callable, Iterator, Mapping
from typing import Any, Final

from sagactl.execution import record

PIECE_BYTES: Final = 64 * 1024
"""A longer line is given in pieces of this size."""

_OPEN: Final = os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC | os.O_NONBLOCK


class Stream:
    """stdout or stderr of one attempt, of that path."""

    def __init__(self, attempt: str, name: str) -> None:
        self._path, self.name = record.path_of(attempt, name), name
        self._read_bytes = 0
        self.not_kept_bytes = 0
        """Of a stream that was folded, so many were left out."""

    def stamp(self) -> int:
        """What changes when there is more."""
        try:
            return os.lstat(self._path).st_size
        except OSError:
            return -1

    def lines(self, folded: Callable[[], Mapping[str, Any]], *, whole: bool) -> Iterator[str]:
        """The lines that came since the last call, without their ends; the last one only once it is `whole`.

        `folded` gives what was kept of the attempt when its saga was final, {} before. It is there before a file goes.
        """
        try:
            descriptor = os.open(self._path, _OPEN)
        except OSError:
            pieces = self._kept(folded())
        else:
            pieces = self._file(descriptor, whole=whole)
        for piece in pieces:
            yield piece.decode("utf-8", "replace").removesuffix("\n")

    def _kept(self, folded: Mapping[str, Any]) -> Iterator[bytes]:
        kept = str(folded.get(self.name, "")).encode("utf-8", "surrogateescape")
        missing = folded.get(f"{self.name}_bytes", len(kept)) - self._read_bytes
        self._read_bytes += missing
        self.not_kept_bytes = max(0, missing - len(kept))
        return io.BytesIO(kept[max(0, len(kept) - missing):])

    def _file(self, descriptor: int, *, whole: bool) -> Iterator[bytes]:
        with os.fdopen(descriptor, "rb") as file:
            file.seek(self._read_bytes)
            while piece := file.readline(PIECE_BYTES):
                if not (whole or piece.endswith(b"\n") or len(piece) == PIECE_BYTES):
                    return
                self._read_bytes += len(piece)
                yield piece
