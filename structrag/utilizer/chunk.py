"""Reasoning on passages: a short answer, and the sentence in which it stands."""

from __future__ import annotations

from structrag.corpus.markup import split_sentences
from structrag.session import Session
from structrag.structures.chunk import ChunkSet, passage_evidence
from structrag.structures.quotes import content_words, support
from structrag.types import Evidence, Span, Structure, StructureType
from structrag.utilizer.finding import Finding
from structrag.utilizer.reading import read


class ChunkReasoner:
    """Looks one fact up."""

    type = StructureType.CHUNK

    def reason(self, question: str, structure: Structure, session: Session) -> Finding:
        """Return the answer with the sentence that says it."""
        assert isinstance(structure, ChunkSet)
        items = [(f"{p.title}: {p.text}", passage_evidence(p)) for p in structure.passages]
        finding = read(question, items, session, stage="chunk")
        if not finding.found:
            return finding
        narrowed = tuple(narrow(e, question, finding.text) for e in finding.evidence)
        return Finding(finding.text, finding.values, narrowed)


def narrow(evidence: Evidence, question: str, answer: str) -> Evidence:
    """Return the sentence of a passage that supports the answer best; on a tie the one nearest to the question."""
    asked = set(content_words(question))

    def fitness(span: tuple[int, int]) -> tuple[float, int]:
        sentence = evidence.quote[slice(*span)]
        return support(answer, sentence), len(asked & set(content_words(sentence)))

    spans = split_sentences(evidence.quote)
    if not spans:
        return evidence
    start, end = max(spans, key=fitness)
    base = evidence.span
    return Evidence(Span(base.document_id, base.start + start, base.start + end), evidence.quote[start:end])
