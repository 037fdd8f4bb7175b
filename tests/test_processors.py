"""A process that may use fewer processors than there are takes no more threads for computing."""

from __future__ import annotations

import os
import subprocess
import sys

import pytest

from structrag.models.processors import allowed_processors


def test_there_is_at_least_one() -> None:
    assert 1 <= allowed_processors() <= (os.cpu_count() or 1)


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux binds processes to processors")
def test_those_of_the_machine_that_are_not_allowed_do_not_count() -> None:
    code = (
        "import os; os.sched_setaffinity(0, [min(os.sched_getaffinity(0))]);"
        "from structrag.models.processors import allowed_processors; print(allowed_processors())"
    )
    child = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert child.stdout.strip() == "1"
