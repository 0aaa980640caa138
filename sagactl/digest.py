"""SHA-256 in hex, by hashlib."""

from __future__ import annotations

import contextlib
import io

with contextlib.redirect_stderr(io.StringIO()):  # it logs a traceback for each algorithm that it can't open
    import hashlib

if not hasattr(hashlib, "sha256"):
    raise OSError("Python has no SHA-256: its library can't be opened")


def sha256(data: bytes) -> str:
    """Of these bytes."""
    return hashlib.sha256(data).hexdigest()


def sha256_of(file: io.BufferedReader) -> str:
    """Of the rest of an open file. Raises OSError."""
    return hashlib.file_digest(file, "sha256").hexdigest()
