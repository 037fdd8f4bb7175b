"""A chat model's judgement of which structure a question needs, after trying all five in words.

Simulated solutions and judge of Li et al. 2024 (arXiv 2410.08815). No structure is built, so a judgement costs five
short replies and one word.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, fields
from typing import Any

from structrag.errors import ModelOutputError
from structrag.models.chat import ChatModel, Prompt
from structrag.models.prompt_files import read_examples, read_instructions
from structrag.router.preferences import PreferencePair, document_dict, document_profile
from structrag.router.protocol import RoutingRequest
from structrag.router.template import MOST_DOCUMENTS, described
from structrag.types import DocumentProfile, StructureType
from structrag.usage import Usage, UsageMeter

MARGIN = 0.3
"""By how much less probable a structure must be than the chosen one to be rejected."""
_SKETCH_TOKENS = 50
_SKETCH_CHARACTERS = 300
_QUESTION_CHARACTERS = 600
"""Longer questions are cut in the middle: what is asked stands at the start or at the end."""


@dataclass(frozen=True, slots=True)
class Judgement:
    """Which structure a chat model finds best for a question, having sketched all five.

    Attributes:
        probabilities: One for each of the five structures; they sum to 1.
        sketches: How the question would be solved with each.
        judge: The chat model's name.
        usage: What sketches and judgement cost together.
    """

    request: RoutingRequest
    probabilities: Mapping[StructureType, float]
    sketches: Mapping[StructureType, str]
    judge: str
    usage: Usage = field(default_factory=Usage)

    @property
    def structure(self) -> StructureType:
        """The most probable structure."""
        return max(self.probabilities, key=lambda s: self.probabilities[s])

    @property
    def lead(self) -> float:
        """By how much the chosen structure is more probable than the next."""
        first, second, *_ = sorted(self.probabilities.values(), reverse=True)
        return first - second

    def pairs(self, margin: float = MARGIN) -> tuple[PreferencePair, ...]:
        """Return the chosen structure preferred to each that is less probable by at least ``margin``.

        A structure nearly as probable may be right as well and is not rejected; if that goes for all, there is none.

        Raises:
            ValueError: The margin is not above 0: a structure would be preferred to itself.
        """
        if margin <= 0:
            raise ValueError(f"A margin is above 0, not {margin}.")
        chosen, first = self.structure, self.probabilities[self.structure]
        rejected = [s for s in StructureType if first - self.probabilities[s] >= margin]
        return tuple(PreferencePair(self.request, chosen, s, "synthetic", self.judge) for s in rejected)

    def to_dict(self) -> dict[str, Any]:
        """Return the judgement as one line of the file that `judged_path` names."""
        return {
            "question": self.request.question,
            "documents": [document_dict(d) for d in self.request.documents],
            "structure": str(self.structure),
            "probabilities": {str(s): p for s, p in self.probabilities.items()},
            "sketches": {str(s): sketch for s, sketch in self.sketches.items()},
            "judge": self.judge,
            "usage": self.usage.to_dict(),
        }

    @classmethod
    def from_dict(cls, row: Mapping[str, Any]) -> Judgement:
        """Return the judgement that `to_dict` wrote.

        Raises:
            AttributeError, KeyError, TypeError or ValueError: The row is no judgement.
        """
        question = row["question"]
        if not isinstance(question, str):
            raise ValueError("the question is no text")
        return cls(
            RoutingRequest(question, tuple(map(document_profile, row["documents"]))),
            {s: float(row["probabilities"][s]) for s in StructureType},
            {s: str(row["sketches"][s]) for s in StructureType},
            str(row["judge"]),
            Usage(**row["usage"]),
        )


def judge(chat: ChatModel, meter: UsageMeter, request: RoutingRequest) -> Judgement:
    """Sketch how a question would be solved with each structure, and read from log-likelihoods which is best.

    Raises:
        ValueError: The question is blank.
        ModelOutputError: A sketch is empty, none of the five names is likely, or the model offers no log-likelihoods.
        ModelError: The model does not answer.
    """
    if not request.question.strip():
        raise ValueError("There is no question to judge.")
    before = meter.snapshot()
    shown, order = _shown(request), _order(request.question)
    # One after the other, with the structure last: each reuses what the model has read for the one before.
    sketches = {s: _sketch(chat, meter, shown, s) for s in StructureType}
    lines = [f"{s}: {sketches[s]}" for s in order]
    prompt = synthesis_prompt("judge", "\n".join([shown, *lines]))
    shares = chat.choose(prompt, [str(s) for s in StructureType], meter)
    probabilities = {s: shares[s] for s in StructureType}
    return Judgement(request, probabilities, sketches, chat.name, _spent(before, meter.snapshot()))


def synthesis_prompt(name: str, user: str, max_tokens: int = 1, schema: Mapping[str, Any] | None = None) -> Prompt:
    """Return a prompt with the instructions and examples of a prompt file; what changes comes last."""
    system, examples = (read_instructions(__package__, f"synth_{name}"), read_examples(__package__, f"synth_{name}"))
    return Prompt(f"synthesis.{name}", system, user, schema=schema, max_tokens=max_tokens, examples=examples)


def about_line(documents: Sequence[DocumentProfile]) -> list[str]:
    """Return a line that says what documents are about, or none if there are no documents."""
    line = "; ".join(one_line(described(d)) for d in documents[:MOST_DOCUMENTS])
    return [f"Documents: {line}"] if line else []


def shortened(question: str) -> str:
    """Return a question on one line, cut in the middle if it is long."""
    text, half = one_line(question), _QUESTION_CHARACTERS // 2
    return text if len(text) <= _QUESTION_CHARACTERS else f"{text[:half]} … {text[-half:]}"


def one_line(text: str) -> str:
    """Return text on one line, so that it cannot pass for a line of the prompt.

    Half a surrogate pair, which a model may write in JSON, is no text and is left out.
    """
    return " ".join(text.encode("utf-8", "ignore").decode().split())


def _sketch(chat: ChatModel, meter: UsageMeter, shown: str, structure: StructureType) -> str:
    prompt = synthesis_prompt("solution", f"{shown}\nStructure: {structure}", _SKETCH_TOKENS)
    text = one_line(chat.reply(prompt, meter).text)[:_SKETCH_CHARACTERS].strip()
    # The reply is cut at so many tokens; half a sentence reads as if the structure came to nothing.
    whole = re.match(r".*[.!?](?=\s|$)", text)
    sketch = whole[0] if whole else text
    if not sketch:
        raise ModelOutputError(f"The model wrote no sketch for {structure}.", reply=text)
    return sketch


def _order(question: str) -> list[StructureType]:
    """The structures as they are shown for a question: models favour places, so no structure may keep its own."""
    return sorted(StructureType, key=lambda s: hashlib.sha256(f"{s}\n{question}".encode()).digest())


def _shown(request: RoutingRequest) -> str:
    return "\n".join([f"Question: {shortened(request.question)}", *about_line(request.documents)])


def _spent(before: Usage, after: Usage) -> Usage:
    return Usage(**{f.name: getattr(after, f.name) - getattr(before, f.name) for f in fields(Usage)})
