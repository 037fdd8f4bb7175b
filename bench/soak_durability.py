"""What is promised of kills, for `soak.py`: each kill is one process of `tests/support/killing.py`."""

from __future__ import annotations

import json
import subprocess
import sys
from collections import Counter
from pathlib import Path
from random import Random
from tempfile import TemporaryDirectory

from promises import Outcome, Promise

TESTS = Path(__file__).parent.parent / "tests"


def survive_kills(kills: int) -> Outcome:
    """Kill what writes to a corpus, at steps, at system calls and at random times, and look at what is left."""
    command = [sys.executable, str(TESTS / "support" / "killing.py"), "--kills", str(kills), "--seed", "11"]
    child = subprocess.run(command, capture_output=True, encoding="utf-8", check=False)
    lines = [json.loads(line) for line in child.stdout.splitlines()]
    failures = [
        f"{line['operation']}, try {line['try']} of seed 11, {line['where']}: {each}"
        for line in lines
        for each in line["problems"]
    ]
    if child.returncode:
        failures.append(f"The harness ended with {child.returncode}: {child.stderr[-500:]}")
    trainings = kills // 70
    failures += resume_trainings(trainings)
    counted = Counter(line["operation"] for line in lines)
    remade = sum(line["index remade"] for line in lines)
    told = ", ".join(f"{name} {count}" for name, count in counted.items())
    measured = f"{told}, train {trainings}; the index was torn and made anew {remade} times"
    return Outcome(len(lines) + trainings, failures, measured)


def resume_trainings(kills: int) -> list[str]:
    """Kill trainings at random steps, and return which of them the next one did not bring to a whole version."""
    if not kills:
        return []
    sys.path[:0] = [str(TESTS), str(TESTS / "support")]
    from test_router_kill import kill_at, train

    from structrag.router.base_model import EMBEDDED
    from structrag.router.versions import SHIPPED, VersionStore

    failures: list[str] = []
    for number in range(kills):
        step = 10 * Random(number).randint(1, 12)
        with TemporaryDirectory() as scratch:
            home = Path(scratch) / "versions"
            kill_at(f"sft:{step}", home, EMBEDDED)
            store = VersionStore(home)
            if store.active() != SHIPPED or len(store.versions()) != 1:
                failures.append(f"Killed at step {step}, it left {[version.name for version in store.versions()]}.")
            train(home, EMBEDDED, lambda step: None)
            if len(store.versions()) != 2 or any(version.problem for version in store.versions()):
                failures.append(f"Killed at step {step}, it did not end with a whole version.")
    return failures


PROMISES = [
    Promise("A kill at any point loses nothing that was finished", survive_kills, rounds=208, short=2),
]
