"""The trainable policy: a sentence encoder whose next-token logits sit over five label tokens.

Shaped as a causal language model, so that unmodified `trl.SFTTrainer` and `trl.DPOTrainer` train it. The encoder is
bidirectional: it would see the label that follows the prompt, so label tokens are masked out of its attention, and
the mean of what is left stands at every position. Needs torch; what serves routes does not (see `policy_router`).
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

import torch
from torch import nn
from transformers import AutoModel, AutoTokenizer, BertConfig, GenerationConfig, PreTrainedModel
from transformers.modeling_outputs import BaseModelOutput, CausalLMOutput

from structrag.router.protocol import RoutingRequest
from structrag.router.template import MAX_TOKENS, fitted
from structrag.router.trainable import TrainablePolicy, load_adapter
from structrag.types import StructureType

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray
    from transformers import PreTrainedTokenizerBase

LABEL_TOKENS = {structure: f"[unused{number}]" for number, structure in enumerate(StructureType)}
END_TOKEN = "[unused5]"
_OUTPUTS = 8
"""Size of the output vocabulary: ids 0 to 7 hold padding, the five labels and the end."""
LORA_SCALE = 2
_CERTAIN = 30.0
"""Logit that makes the end follow a label with a probability that rounds to 1."""


class _PooledEncoder(nn.Module):  # type: ignore[misc]  # torch is not followed
    """The encoder with its mean-pooled vector at every position, and a flag at the positions of labels."""

    def __init__(self, encoder: nn.Module, label_ids: list[int], end_id: int) -> None:
        super().__init__()
        self.encoder = encoder
        self.register_buffer("label_ids", torch.tensor(label_ids), persistent=False)
        self.register_buffer("completion_ids", torch.tensor([*label_ids, end_id]), persistent=False)

    def forward(self, input_ids: torch.Tensor, attention_mask: torch.Tensor | None = None, **_: Any) -> BaseModelOutput:
        mask = torch.ones_like(input_ids) if attention_mask is None else attention_mask
        is_label = torch.isin(input_ids, cast(torch.Tensor, self.label_ids))
        # Routes are asked for without a completion, so the policy must not see one in training either.
        seen = mask * ~torch.isin(input_ids, cast(torch.Tensor, self.completion_ids))
        # DPO's chosen and rejected rows differ in the completion alone, which is not seen: each prompt is read once.
        prompts, row_of = torch.unique(input_ids * seen, dim=0, return_inverse=True)
        pooled = self._pool(prompts)[row_of]
        states = torch.cat([pooled.expand(-1, input_ids.shape[1], -1), is_label.unsqueeze(-1).to(pooled.dtype)], -1)
        return BaseModelOutput(last_hidden_state=states)

    def _pool(self, prompts: torch.Tensor) -> torch.Tensor:
        """Return the mean of each prompt's vectors, shape ``(len(prompts), 1, hidden)``; 0 is padding."""
        seen = prompts.ne(0).long()
        hidden = self.encoder(input_ids=prompts, attention_mask=seen).last_hidden_state
        weights = seen.unsqueeze(-1).to(hidden.dtype)
        return (hidden * weights).sum(1, keepdim=True) / weights.sum(1, keepdim=True).clamp(min=1)


class EncoderPolicy(PreTrainedModel):  # type: ignore[misc]  # transformers is not followed
    """The policy as transformers and trl know models: `base_model`, then `lm_head`."""

    config_class = BertConfig
    base_model_prefix = "pooled"
    _supports_sdpa = True

    def __init__(self, config: BertConfig, encoder: nn.Module, tokenizer: PreTrainedTokenizerBase) -> None:
        super().__init__(config)
        self.generation_config = GenerationConfig()  # trl writes the padding token into it
        self._labels = [tokenizer.convert_tokens_to_ids(LABEL_TOKENS[s]) for s in StructureType]
        end = tokenizer.convert_tokens_to_ids(END_TOKEN)
        self.pooled = _PooledEncoder(encoder, self._labels, end)
        self.lm_head = nn.Linear(config.hidden_size + 1, _OUTPUTS)
        with torch.no_grad():
            # All labels start equally likely. After a label (flag 1) the end is certain; before one it is impossible.
            self.lm_head.weight.zero_()
            self.lm_head.bias.fill_(-_CERTAIN)
            self.lm_head.bias[self._labels] = 0.0
            self.lm_head.weight[end, -1] = 3 * _CERTAIN

    def get_output_embeddings(self) -> nn.Module:
        """Return the head, as trl asks for it."""
        return self.lm_head

    def forward(self, input_ids: torch.Tensor, attention_mask: torch.Tensor | None = None, **_: Any) -> CausalLMOutput:
        """Return the next-token logits, shape ``(batch, length, 8)``."""
        states = self.pooled(input_ids=input_ids, attention_mask=attention_mask).last_hidden_state
        return CausalLMOutput(logits=self.lm_head(states))

    def head_weights(self) -> dict[str, torch.Tensor]:
        """Return the head as the five structures need it: ``head.weight`` (5, hidden) and ``head.bias`` (5)."""
        weight, bias = self.lm_head.weight.detach(), self.lm_head.bias.detach()
        return {"head.weight": weight[self._labels, :-1].clone(), "head.bias": bias[self._labels].clone()}

    def start_from(self, weights: Mapping[str, NDArray[np.floating]]) -> None:
        """Take over an artefact's adapter and head, to train on from there."""
        load_adapter(self.pooled.encoder, weights)
        with torch.no_grad():
            self.lm_head.weight[self._labels, :-1] = torch.from_numpy(weights["head.weight"])
            self.lm_head.bias[self._labels] = torch.from_numpy(weights["head.bias"])

    def label_logits(self, input_ids: torch.Tensor, attention_mask: torch.Tensor) -> torch.Tensor:
        """Return the logits of the five structures, shape ``(batch, 5)``, in the order of `StructureType`."""
        logits = self(input_ids=input_ids, attention_mask=attention_mask).logits
        return cast(torch.Tensor, logits[:, 0, self._labels])


def load_tokenizer(path: str | Path) -> PreTrainedTokenizerBase:
    """Return the encoder's tokenizer, made so that a prompt's tokens are a prefix of prompt and completion's."""
    from tokenizers.processors import TemplateProcessing

    tokenizer = AutoTokenizer.from_pretrained(str(path), local_files_only=True, trust_remote_code=False)
    tokenizer.backend_tokenizer.post_processor = TemplateProcessing(single="$A", pair="$A $B", special_tokens=[])
    tokenizer.add_special_tokens({"additional_special_tokens": list(LABEL_TOKENS.values()), "eos_token": END_TOKEN})
    tokenizer.model_max_length = MAX_TOKENS + 2
    return cast("PreTrainedTokenizerBase", tokenizer)


def load_encoder_policy(path: Path, *, rank: int) -> TrainablePolicy:
    """Return a fresh policy on the encoder at ``path`` as the trainers take it; see `load_policy`."""
    policy, tokenizer = load_policy(path, rank=rank)

    def rendered(request: RoutingRequest) -> str:
        return fitted(request, lambda prompt: len(tokenizer.tokenize(prompt)))

    return TrainablePolicy(policy, tokenizer, policy.pooled.encoder, rendered, LABEL_TOKENS, MAX_TOKENS + 2)


def load_policy(path: str | Path, *, rank: int) -> tuple[EncoderPolicy, PreTrainedTokenizerBase]:
    """Return a fresh policy on the encoder at ``path``, with LoRA layers of this rank, and its tokenizer.

    Only the LoRA layers (Hu et al. 2021, arXiv 2106.09685) and the head are trainable.
    """
    from peft import LoraConfig, inject_adapter_in_model

    tokenizer = load_tokenizer(path)
    encoder = AutoModel.from_pretrained(
        str(path), local_files_only=True, trust_remote_code=False, use_safetensors=True, add_pooling_layer=False
    )
    # No dropout of LoRA's own beside the encoder's: on a processor it is a quarter of the time.
    lora = LoraConfig(r=rank, lora_alpha=LORA_SCALE * rank, target_modules=["query", "key", "value", "dense"])
    encoder = inject_adapter_in_model(lora, encoder)
    for name, parameter in encoder.named_parameters():
        parameter.requires_grad = "lora_" in name
    return EncoderPolicy(encoder.config, encoder, tokenizer), tokenizer
