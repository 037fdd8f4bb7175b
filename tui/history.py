"""Brings back answers of earlier sessions from the form in which the corpus keeps them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from structrag.types import Answer, Citation, Evidence, Route, Span, StructureType, TraceStep
from structrag.usage import Usage


def recall(record: Mapping[str, Any]) -> Answer:
    """Return the answer that `Answer.to_dict` wrote, but for its structure, which is not read back."""
    return Answer(
        id=record["id"],
        question=record["question"],
        text=record["text"],
        values=tuple(record["values"]),
        grounded=record["grounded"],
        route=_recall_route(record["route"]),
        structure_type=StructureType(record["structure"]),
        structure=None,
        citations=tuple(_recall_citation(citation) for citation in record["citations"]),
        usage=Usage(**record["usage"]),
        trace=tuple(TraceStep(step["name"], step["detail"]) for step in record["trace"]),
    )


def _recall_route(record: Mapping[str, Any]) -> Route:
    return Route(
        question=record["question"],
        probabilities={StructureType(name): share for name, share in record["probabilities"].items()},
        unsure=record["unsure"],
        router=record["router"],
        seconds=record["ms"] / 1000,
    )


def _recall_citation(record: Mapping[str, Any]) -> Citation:
    span = Span(record["document"], record["start"], record["end"])
    return Citation(
        number=record["number"],
        evidence=Evidence(span, record["quote"]),
        title=record["title"],
        locator=record["locator"],
    )
