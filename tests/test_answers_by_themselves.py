"""An answer from passages that was not confirmed surely must be given by its sentence alone."""

from __future__ import annotations

from typing import Any

import pytest

from structrag.corpus.store import CorpusStore
from structrag.models.embedding import SentenceTransformerEmbedder
from structrag.session import Session
from structrag.structures.chunk import ChunkSet
from structrag.testing import ScriptedChatModel, scripted
from structrag.types import Passage, Span
from structrag.utilizer.chunk import ChunkReasoner
from structrag.utilizer.finding import Finding
from structrag.utilizer.reading import load_prompt

READ, CONFIRM, ALONE = load_prompt("read"), load_prompt("confirm"), load_prompt("read_passages")
TEXT = "Alder paid 3 million for the paint shop. The burst pipe was mended in May."
SENTENCE = "The burst pipe was mended in May."
QUESTION = "When was the burst pipe mended?"


def asked(
    embedder: SentenceTransformerEmbedder, share: float, alone: Any, *, fell_back: bool = False, answer: str = "May"
) -> tuple[Finding, ScriptedChatModel]:
    script = {READ: {"answer": answer, "item": 1}, CONFIRM: {"yes": share, "no": 1 - share}, ALONE: alone}
    chat, model = scripted(script)
    session = Session(chat, embedder, CorpusStore.open(None))
    session.fell_back = fell_back
    structure = ChunkSet((Passage(Span("alder", 0, len(TEXT)), TEXT, "Alder 2024"),))
    return ChunkReasoner().reason(QUESTION, structure, session), model


@pytest.mark.parametrize("said", ["May", "in May", "It was mended in May."])
def test_the_same_answer_in_other_words_is_used(embedder: SentenceTransformerEmbedder, said: str) -> None:
    finding, model = asked(embedder, 0.7, said)
    assert finding.values == ("May",)
    shown = model.prompts[-1]
    assert f"Alder 2024: {SENTENCE}" in shown
    assert "paint shop" not in shown


@pytest.mark.parametrize("said", ["not stated", "Not stated.", "June"])
def test_another_answer_or_none_withdraws_it(embedder: SentenceTransformerEmbedder, said: str) -> None:
    assert not asked(embedder, 0.7, said)[0].found


def test_what_is_confirmed_surely_is_not_asked_again(embedder: SentenceTransformerEmbedder) -> None:
    finding, model = asked(embedder, 0.9, "not stated")
    assert finding.found
    assert len(model.prompts) == 2


def test_what_is_not_confirmed_is_not_asked_again(embedder: SentenceTransformerEmbedder) -> None:
    finding, model = asked(embedder, 0.3, "May")
    assert not finding.found
    assert len(model.prompts) == 2


def test_after_a_miss_no_sentence_makes_up_for_a_doubtful_confirmation(embedder: SentenceTransformerEmbedder) -> None:
    finding, model = asked(embedder, 0.7, "May", fell_back=True)
    assert not finding.found
    assert len(model.prompts) == 2


def test_the_trace_says_why(embedder: SentenceTransformerEmbedder) -> None:
    script = {READ: {"answer": "May", "item": 1}, CONFIRM: {"yes": 0.7, "no": 0.3}, ALONE: "June"}
    session = Session(scripted(script)[0], embedder, CorpusStore.open(None))
    structure = ChunkSet((Passage(Span("alder", 0, len(TEXT)), TEXT, "Alder 2024"),))
    ChunkReasoner().reason(QUESTION, structure, session)
    assert any("its sentence alone does not give this answer" in step.detail for step in session.trace)
