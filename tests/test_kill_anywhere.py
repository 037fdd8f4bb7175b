"""Whatever writes to a corpus may be killed at any point; see `killing` for what is done and looked at.

``make soak`` kills more than 200 times; its short version, which `test_soak` runs, twice.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

pytestmark = [pytest.mark.thorough, pytest.mark.skipif(not hasattr(os, "fork"), reason="the system cannot fork")]
HARNESS = Path(__file__).parent / "support" / "killing.py"


def broken(*arguments: str) -> list[str]:
    child = subprocess.run(
        [sys.executable, str(HARNESS), *arguments], capture_output=True, encoding="utf-8", check=False
    )
    assert child.returncode == 0, child.stderr
    lines = [json.loads(line) for line in child.stdout.splitlines()]
    assert len(lines) == int(arguments[1])
    return [f"{line['operation']}, {line['where']}: {each}" for line in lines for each in line["problems"]]


@pytest.mark.slow
def test_a_kill_loses_nothing_that_was_finished() -> None:
    assert broken("--kills", "16", "--seed", "5") == []


def test_the_harness_sees_what_is_lost() -> None:
    told, *_ = broken("--kills", "1", "--only", "prefer", "--seed", "5", "--forget", "1")
    assert told.startswith("prefer, ")
    assert "preferences: lost {1}" in told
