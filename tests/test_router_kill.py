"""A training that is killed loses nothing: the version in use stays, and the next one goes on from the checkpoint.

Run as a script, this file is what gets killed.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from importlib.resources import files
from pathlib import Path

import pytest
from tiny_causal import make_tiny_model, tiny_questions

from structrag.router.base_model import EMBEDDED
from structrag.router.policy_router import PolicyRouter
from structrag.router.protocol import RoutingRequest
from structrag.router.questions import LabelledQuestion, label_pairs, read_domain
from structrag.router.training_settings import StepListener, TrainingSettings, TrainingStep
from structrag.router.versions import SHIPPED, VersionStore

pytestmark = [pytest.mark.thorough, pytest.mark.training]
SETTINGS = TrainingSettings(rank=2, sft_epochs=2, dpo_epochs=1, batch=1)
SAVED = 100
"""Steps between two checkpoints."""


def train(home: Path, base_model: str, listener: StepListener) -> None:
    from structrag.router.fitting import fit

    questions = shipped_questions() if base_model == EMBEDDED else tiny_questions(180)
    fit(label_pairs(questions[:60], each=1), questions[60:180], home, SETTINGS, listener, base_model=base_model)


def shipped_questions() -> list[LabelledQuestion]:
    folder = Path(str(files("structrag.corpora"))) / "preferences"
    domains = sorted((folder / "questions").glob("*.jsonl"))[:2]
    return [question for path in domains for question in read_domain(path, folder / "documents" / path.name)]


def train_and_wait(home: str, base_model: str, kill_at: str) -> None:
    """Train, telling each step, and wait at ``stage:step`` to be killed."""

    def listen(step: TrainingStep) -> None:
        print(json.dumps([step.stage, step.step]), flush=True)  # noqa: T201 - the test reads it
        if f"{step.stage}:{step.step}" == kill_at:
            sys.stdin.read()

    train(Path(home), base_model, listen)


def kill_at(point: str, home: Path, base_model: str) -> None:
    """Run a training in a process of its own, and kill it at ``stage:step``."""
    child = subprocess.Popen(
        [sys.executable, __file__, str(home), base_model, point],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        encoding="utf-8",
        env={**os.environ, "OMP_NUM_THREADS": "1", "PYTHONPATH": str(Path(__file__).with_name("support"))},
    )
    with child:
        assert child.stdout is not None
        reached = any(":".join(map(str, json.loads(line))) == point for line in child.stdout)
        child.kill()
    assert reached
    assert child.returncode != 0


@pytest.mark.parametrize(
    ("killed", "goes_on_after", "real"),
    [
        # The checkpoints are the trainer's, whatever the model; the shipped one takes a minute for these steps.
        ("sft:110", ("sft", SAVED), False),
        pytest.param("sft:10", ("sft", 0), True, marks=pytest.mark.slow),
        pytest.param("sft:110", ("sft", SAVED), True, marks=pytest.mark.slow),
        pytest.param("dpo:10", ("dpo", 0), True, marks=pytest.mark.slow),
    ],
)
def test_a_training_that_was_killed_goes_on(
    killed: str, goes_on_after: tuple[str, int], real: bool, tmp_path: Path, router_cache: Path
) -> None:
    home = tmp_path / "versions"
    base_model = EMBEDDED if real else str(make_tiny_model(tmp_path / "tiny"))
    kill_at(killed, home, base_model)
    store = VersionStore(home)
    assert store.active() == SHIPPED
    assert [version.name for version in store.versions()] == [SHIPPED], "there is no version that is half done"
    told: list[TrainingStep] = []
    train(home, base_model, told.append)
    stage, saved = goes_on_after
    assert told[0].stage == stage
    assert saved < told[0].step <= saved + 5
    assert told[-1].stage == "dpo"
    made = [version.name for version in store.versions() if version.name != SHIPPED]
    assert len(made) == 1
    assert store.active() == SHIPPED
    router = PolicyRouter(store.folder(made[0]), router_cache)
    assert router.probabilities([RoutingRequest("Who supplies whom?")]).shape == (1, 5)


if __name__ == "__main__":
    train_and_wait(*sys.argv[1:])
