"""A causal language model so small that training it takes no time, and questions that it can learn to tell apart."""

from __future__ import annotations

from pathlib import Path

from structrag.router import RoutingRequest
from structrag.router.questions import LabelledQuestion
from structrag.types import StructureType

WORDS = ["sum", "owner", "repair", "overview", "date"]
"""One for each structure, in order: enough for a model that knows nothing."""


def make_tiny_model(folder: Path) -> Path:
    """Write a causal language model of two layers that was never trained, and a tokenizer of a few words."""
    import torch
    from tokenizers import Tokenizer
    from tokenizers.models import WordLevel
    from tokenizers.pre_tokenizers import WhitespaceSplit
    from transformers import LlamaConfig, LlamaForCausalLM, PreTrainedTokenizerFast

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


def tiny_questions(count: int, start: int = 0) -> list[LabelledQuestion]:
    found = []
    for number in range(start, start + count):
        structure = list(StructureType)[number % 5]
        text = f"w{number % 30} {WORDS[number % 5]} w{number // 30 % 30}"
        found.append(LabelledQuestion(str(number), RoutingRequest(text), structure, frozenset(), "tiny"))
    return found
