"""What the trainers and the artefact need of a policy, whatever model it is on."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import torch

from structrag.errors import RoutingError
from structrag.router.protocol import RoutingRequest
from structrag.types import StructureType

if TYPE_CHECKING:
    from numpy.typing import NDArray
    from torch import nn
    from transformers import PreTrainedModel, PreTrainedTokenizerBase

_PARTS = ("lora_A", "lora_B")


@dataclass(frozen=True, slots=True)
class TrainablePolicy:
    """A policy as the trainers take it.

    Attributes:
        model: What trl trains.
        tokenizer: Its tokenizer; a prompt's tokens are a prefix of prompt and completion's.
        adapted: The part of the model that has LoRA layers.
        render: A request as prompt.
        completions: What stands for each structure after a prompt.
        max_length: In tokens, of prompt and completion.
    """

    model: PreTrainedModel
    tokenizer: PreTrainedTokenizerBase
    adapted: nn.Module
    render: Callable[[RoutingRequest], str]
    completions: Mapping[StructureType, str]
    max_length: int


def adapter_weights(adapted: nn.Module) -> dict[str, NDArray[Any]]:
    """Return the LoRA matrices by the name of their layer, in 16 bits."""
    return {
        f"{name}.{part}": getattr(module, part)["default"].weight.detach().numpy().astype(np.float16)
        for name, module in adapted.named_modules()
        if hasattr(module, "lora_A")
        for part in _PARTS
    }


def load_adapter(adapted: nn.Module, weights: Mapping[str, NDArray[np.floating]]) -> None:
    """Put LoRA matrices in, by the name of their layer."""
    with torch.no_grad():
        for name, module in adapted.named_modules():
            if hasattr(module, "lora_A"):
                for part in _PARTS:
                    getattr(module, part)["default"].weight.copy_(torch.from_numpy(weights[f"{name}.{part}"]))


def adapter_rank(weights: Mapping[str, NDArray[Any]]) -> int:
    """Return the rank of an artefact's LoRA matrices.

    Raises:
        RoutingError: It has none.
    """
    ranks = {int(matrix.shape[0]) for name, matrix in weights.items() if name.endswith(".lora_A")}
    if len(ranks) != 1:
        raise RoutingError("The router has no LoRA matrices to train on.", hint="Train anew with --fresh.")
    return ranks.pop()
