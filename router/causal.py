"""The policy on a causal language model, the kind that the paper trains: LoRA layers, the names as completions.

Larger and slower than the sentence encoder; for people with a GPU. Needs torch, also to serve.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from transformers import AutoModelForCausalLM, AutoTokenizer

from structrag.router import template
from structrag.router.policy import LORA_SCALE
from structrag.router.protocol import RoutingRequest
from structrag.router.trainable import TrainablePolicy, adapter_rank, load_adapter
from structrag.types import StructureType

if TYPE_CHECKING:
    from numpy.typing import NDArray
    from transformers import PreTrainedModel, PreTrainedTokenizerBase

# A completion begins with its space: with most tokenizers each name is one token then.
COMPLETIONS = {structure: f" {structure}" for structure in StructureType}
_MAX_LENGTH = 1024


def is_causal(folder: Path) -> bool:
    """Return whether a model's folder holds a causal language model, by its ``config.json``."""
    config = json.loads((folder / "config.json").read_text(encoding="utf-8"))
    return any(str(name).endswith("ForCausalLM") for name in config.get("architectures") or [])


def load_causal_policy(folder: Path, *, rank: int) -> TrainablePolicy:
    """Return a fresh policy on the causal language model in a folder, of which only LoRA layers are trainable."""
    model, tokenizer = _load(folder, rank)
    return TrainablePolicy(model, tokenizer, model, template.render_plain, COMPLETIONS, _MAX_LENGTH)


class CausalScorer:
    """Scores the five structures by how likely the trained model finds their names."""

    def __init__(self, folder: Path, adapter: Mapping[str, NDArray[np.floating]]) -> None:
        self._model, self._tokenizer = _load(folder, adapter_rank(adapter))
        load_adapter(self._model, adapter)
        self._model.eval()

    def __call__(self, request: RoutingRequest) -> NDArray[np.float32]:
        """Return the log-likelihoods of the five structures' names."""
        prompt = template.render_plain(request)
        # Tokenised as trl does for training: prompt and completion in one, the prompt's tokens being their start.
        start = len(self._tokenizer(prompt)["input_ids"])
        rows = [self._tokenizer(prompt + name)["input_ids"] for name in COMPLETIONS.values()]
        longest = max(map(len, rows))
        padded = torch.tensor([row + [0] * (longest - len(row)) for row in rows])
        with torch.no_grad():
            likely = self._model(input_ids=padded).logits[:, :-1].log_softmax(-1)
        totals = [
            sum(float(likely[i, place - 1, row[place]]) for place in range(start, len(row)))
            for i, row in enumerate(rows)
        ]
        return np.array(totals, dtype=np.float32)


def _load(folder: Path, rank: int) -> tuple[PreTrainedModel, PreTrainedTokenizerBase]:
    from peft import LoraConfig, inject_adapter_in_model

    tokenizer: Any = AutoTokenizer.from_pretrained(str(folder), local_files_only=True, trust_remote_code=False)
    if tokenizer.pad_token is None:
        tokenizer.pad_token = tokenizer.eos_token
    model = AutoModelForCausalLM.from_pretrained(
        str(folder), local_files_only=True, trust_remote_code=False, use_safetensors=True, dtype=torch.float32
    )
    lora = LoraConfig(r=rank, lora_alpha=LORA_SCALE * rank, lora_dropout=0.1, target_modules="all-linear")
    model = inject_adapter_in_model(lora, model)
    for name, parameter in model.named_parameters():
        parameter.requires_grad = "lora_" in name
    return model, tokenizer
