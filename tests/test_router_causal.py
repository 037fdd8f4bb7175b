"""The policy on a causal language model: the same training and artefact, tried on a tiny random one."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from tiny_causal import make_tiny_model, tiny_questions

from structrag.router import RoutingRequest
from structrag.router.artefact import read_settings
from structrag.router.base_model import model_folder
from structrag.router.causal import is_causal
from structrag.router.policy_router import PolicyRouter
from structrag.router.questions import label_pairs
from structrag.router.training_settings import TrainingSettings
from structrag.types import StructureType
from structrag.usage import UsageMeter

pytestmark = [pytest.mark.thorough, pytest.mark.training]


@pytest.fixture(scope="module")
def tiny(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_tiny_model(tmp_path_factory.mktemp("tiny"))


def test_a_causal_model_is_trained_and_served_by_the_same_means(tiny: Path, tmp_path: Path) -> None:
    from structrag.router.fitting import fit

    settings = TrainingSettings(rank=8, sft_epochs=16, dpo_epochs=1, batch=10, body_rate=5e-3)
    pairs = label_pairs(tiny_questions(150), each=1)
    held = tiny_questions(150, start=600)
    folder = fit(pairs, held, tmp_path / "home", settings, base_model=str(tiny))
    assert read_settings(folder).encoder is None
    router = PolicyRouter(folder, tmp_path / "cache")
    route = router.route(RoutingRequest("w3 repair w4"), UsageMeter())
    assert route.structure is StructureType.ALGORITHM
    assert sum(route.probabilities.values()) == pytest.approx(1.0)
    assert router.settings.metrics["accuracy"] > 0.9
    assert not (tmp_path / "cache").exists(), "there is no graph to derive"

    further = TrainingSettings(sft_epochs=0, dpo_epochs=1, batch=10)
    more = label_pairs(tiny_questions(50, start=150), each=1)
    again = fit(more, held, tmp_path / "home", further, start=folder, base_model=str(tiny))
    assert read_settings(again).training["started_from"] == folder.name
    assert read_settings(again).training["rank"] == 8
    before, after = (PolicyRouter(f, tmp_path / "cache").logits([RoutingRequest("w3 sum w4")]) for f in (folder, again))
    assert 0 < np.abs(before - after).max() < 5


def test_which_models_are_causal(tiny: Path) -> None:
    assert is_causal(tiny)
    assert not is_causal(model_folder("embedded"))
