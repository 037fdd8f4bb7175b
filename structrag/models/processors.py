"""How many processors this process may use: a container or `taskset` may allow fewer than the machine has."""

from __future__ import annotations

import os
import sys


def allowed_processors() -> int:
    """Return the number of processors that this process may run on; at least 1."""
    if sys.platform == "linux":
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1
