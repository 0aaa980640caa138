"""What tests and benchmarks start has the Python that a user's shell has.

Containers set these two: then each command would compile all that it imports, and write each line by itself.
"""

import os
import sys

for name in ("PYTHONDONTWRITEBYTECODE", "PYTHONUNBUFFERED"):
    os.environ.pop(name, None)
sys.dont_write_bytecode = False
