"""How many processors this process may use: a container or `taskset` may allow fewer than the machine has."""

from __future__ import annotations

import os


def allowed_processors() -> int:
    """Return the number of processors that this process may run on; at least 1."""
    of_process = getattr(os, "sched_getaffinity", None)  # Linux has it, macOS and Windows have not
    return len(of_process(0)) if of_process else os.cpu_count() or 1
