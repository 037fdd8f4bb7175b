"""Plain RAG, for comparison: the five best chunks of 1,000 characters and one prompt, on the same chat model."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from structrag.models.chat import Prompt

if TYPE_CHECKING:
    from structrag.pipeline import StructRAG
    from structrag.usage import UsageMeter

PLAIN_SETTINGS: Mapping[str, Any] = {"retrieval.chunk_size": 1000, "retrieval.overlap": 100}
"""With which a corpus for plain RAG is opened."""
_PASSAGES = 5
_SYSTEM = (
    "Answer the question from the passages. Reply with the answer alone, as short as possible; give a list as items "
    "separated by semicolons. If the passages do not say, reply: not stated."
)


def answer_plainly(
    rag: StructRAG, question: str, meter: UsageMeter, *, scope: Sequence[str] | None = None
) -> list[str]:
    """Return the values of plain RAG's answer: no route, no structure, no verification.

    Args:
        rag: A corpus opened with `PLAIN_SETTINGS`.
        question: In words.
        meter: Counts the call.
        scope: Ids of the documents to ask over; all by default.

    Returns:
        The values; none where the model says that it is not stated.

    Raises:
        ModelError: The model does not answer.
        StoreError: The scope names a document that the corpus does not hold.
    """
    listing = "\n\n".join(f"{p.title}\n{p.text}" for p in rag.search(question, k=_PASSAGES, scope=scope))
    prompt = Prompt("plain", _SYSTEM, f"{listing}\n\nQuestion: {question}", max_tokens=150)
    text = rag.chat.reply(prompt, meter).text
    if "not stated" in text.lower():
        return []
    return [item.strip(" -.\n") for item in re.split(r";|\n", text) if item.strip(" -.\n")]
