"""The policy on a causal language model: the same training and artefact, tried on a tiny random one."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from tokenizers import Tokenizer
from tokenizers.models import WordLevel
from tokenizers.pre_tokenizers import WhitespaceSplit
from transformers import LlamaConfig, LlamaForCausalLM, PreTrainedTokenizerFast

from structrag.router import RoutingRequest
from structrag.router.artefact import read_settings
from structrag.router.base_model import model_folder
from structrag.router.causal import is_causal
from structrag.router.fitting import fit
from structrag.router.policy_router import PolicyRouter
from structrag.router.questions import LabelledQuestion, label_pairs
from structrag.router.training_settings import TrainingSettings
from structrag.types import StructureType
from structrag.usage import UsageMeter

WORDS = ["sum", "owner", "repair", "overview", "date"]
"""One for each structure, in order: enough for a model that knows nothing."""


@pytest.fixture(scope="module")
def tiny(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A causal language model of two layers that was never trained, and a tokenizer of a few words."""
    folder = tmp_path_factory.mktemp("tiny")
    names = ["<pad>", "<eos>", "<unk>", "Question:", "Structure:", *map(str, StructureType), *WORDS]
    vocabulary = {word: number for number, word in enumerate([*names, *(f"w{n}" for n in range(30))])}
    words = Tokenizer(WordLevel(vocabulary, unk_token="<unk>"))
    words.pre_tokenizer = WhitespaceSplit()
    PreTrainedTokenizerFast(
        tokenizer_object=words, pad_token="<pad>", eos_token="<eos>", unk_token="<unk>"
    ).save_pretrained(folder)
    shape = LlamaConfig(
        vocab_size=len(vocabulary),
        hidden_size=32,
        intermediate_size=64,
        num_hidden_layers=2,
        num_attention_heads=2,
        pad_token_id=0,
        bos_token_id=1,
        eos_token_id=1,
    )
    torch.manual_seed(0)  # some random starts are learnt from much more slowly than others
    LlamaForCausalLM(shape).save_pretrained(folder)
    return folder


def questions(count: int, start: int = 0) -> list[LabelledQuestion]:
    found = []
    for number in range(start, start + count):
        structure = list(StructureType)[number % 5]
        text = f"w{number % 30} {WORDS[number % 5]} w{number // 30 % 30}"
        found.append(LabelledQuestion(str(number), RoutingRequest(text), structure, frozenset(), "tiny"))
    return found


def test_a_causal_model_is_trained_and_served_by_the_same_means(tiny: Path, tmp_path: Path) -> None:
    settings = TrainingSettings(rank=8, sft_epochs=16, dpo_epochs=1, batch=10, body_rate=5e-3)
    pairs = label_pairs(questions(150), each=1)
    held = questions(150, start=600)
    folder = fit(pairs, held, tmp_path / "home", settings, base_model=str(tiny))
    assert read_settings(folder).encoder is None
    router = PolicyRouter(folder, tmp_path / "cache")
    route = router.route(RoutingRequest("w3 repair w4"), UsageMeter())
    assert route.structure is StructureType.ALGORITHM
    assert sum(route.probabilities.values()) == pytest.approx(1.0)
    assert router.settings.metrics["accuracy"] > 0.9
    assert not (tmp_path / "cache").exists(), "there is no graph to derive"

    further = TrainingSettings(sft_epochs=0, dpo_epochs=1, batch=10)
    again = fit(
        label_pairs(questions(50, start=150), each=1),
        held,
        tmp_path / "home",
        further,
        start=folder,
        base_model=str(tiny),
    )
    assert read_settings(again).training["started_from"] == folder.name
    assert read_settings(again).training["rank"] == 8
    before, after = (PolicyRouter(f, tmp_path / "cache").logits([RoutingRequest("w3 sum w4")]) for f in (folder, again))
    assert 0 < np.abs(before - after).max() < 5


def test_which_models_are_causal(tiny: Path) -> None:
    assert is_causal(tiny)
    assert not is_causal(model_folder("embedded"))
