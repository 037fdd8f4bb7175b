"""A training that is killed loses nothing: the version in use stays, and the next one goes on from the checkpoint."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from importlib.resources import files
from pathlib import Path

import pytest

from structrag.router.fitting import fit
from structrag.router.policy_router import PolicyRouter
from structrag.router.protocol import RoutingRequest
from structrag.router.questions import label_pairs, read_domain
from structrag.router.training_settings import TrainingSettings, TrainingStep
from structrag.router.versions import SHIPPED, VersionStore

SETTINGS = TrainingSettings(rank=2, sft_epochs=2, dpo_epochs=1, batch=1)
SAVED = 100
"""Steps between two checkpoints."""


def train(home: Path, kill_at: str) -> None:
    """Train, telling each step, and wait at ``stage:step`` to be killed."""
    folder = Path(str(files("structrag.corpora"))) / "preferences"
    domains = sorted((folder / "questions").glob("*.jsonl"))[:2]
    questions = [question for path in domains for question in read_domain(path, folder / "documents" / path.name)]

    def listen(step: TrainingStep) -> None:
        print(json.dumps([step.stage, step.step]), flush=True)  # noqa: T201 - the test reads it
        if f"{step.stage}:{step.step}" == kill_at:
            sys.stdin.read()

    fit(label_pairs(questions[:60], each=1), questions[60:180], home, SETTINGS, listen)


def run_until(kill_at: str, home: Path) -> list[tuple[str, int]]:
    """Run a training in a process of its own, kill it there, and return the steps that it told."""
    child = subprocess.Popen(
        [sys.executable, __file__, str(home), kill_at],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        encoding="utf-8",
        env={**os.environ, "OMP_NUM_THREADS": "1"},
    )
    told: list[tuple[str, int]] = []
    with child:
        assert child.stdout is not None
        for line in child.stdout:
            stage, step = json.loads(line)
            told.append((stage, step))
            if f"{stage}:{step}" == kill_at:
                child.kill()
    assert (child.returncode != 0) == bool(kill_at)
    return told


@pytest.mark.parametrize(
    ("killed", "goes_on_after"),
    [
        pytest.param("sft:10", ("sft", 0), marks=pytest.mark.slow),
        ("sft:110", ("sft", SAVED)),
        pytest.param("dpo:10", ("dpo", 0), marks=pytest.mark.slow),
    ],
)
def test_a_training_that_was_killed_goes_on(
    killed: str, goes_on_after: tuple[str, int], tmp_path: Path, router_cache: Path
) -> None:
    home = tmp_path / "versions"
    assert f"{killed.split(':')[0]}" == run_until(killed, home)[-1][0]
    store = VersionStore(home)
    assert store.active() == SHIPPED
    assert [version.name for version in store.versions()] == [SHIPPED], "there is no version that is half done"
    told = run_until("", home)
    stage, saved = goes_on_after
    assert told[0][0] == stage
    assert saved < told[0][1] <= saved + 5
    assert told[-1][0] == "dpo"
    made = [version.name for version in store.versions() if version.name != SHIPPED]
    assert len(made) == 1
    assert store.active() == SHIPPED
    router = PolicyRouter(store.folder(made[0]), router_cache)
    assert router.probabilities([RoutingRequest("Who supplies whom?")]).shape == (1, 5)


if __name__ == "__main__":
    train(Path(sys.argv[1]), sys.argv[2])
