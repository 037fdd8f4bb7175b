"""Brings back answers of earlier sessions from the form in which the corpus keeps them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from structrag.errors import StoreError
from structrag.types import Answer, Citation, EditMark, Evidence, Route, Span, Structure, StructureType, TraceStep
from structrag.usage import Usage


def recall(record: Mapping[str, Any], *, with_structure: bool = True) -> Answer:
    """Return the answer that `Answer.to_dict` wrote.

    Args:
        record: What was written, perhaps by an older version.
        with_structure: Whether to read back what was built, which takes longer; the answer has no structure else.
    """
    scope = record.get("scope")
    return Answer(
        id=record["id"],
        question=record["question"],
        text=record["text"],
        values=tuple(record["values"]),
        grounded=record["grounded"],
        route=_recall_route(record["route"]),
        structure_type=StructureType(record["structure"]),
        structure=_recall_structure(record.get("built")) if with_structure else None,
        citations=tuple(_recall_citation(citation) for citation in record["citations"]),
        usage=Usage(**record["usage"]),
        trace=tuple(TraceStep(step["name"], step["detail"]) for step in record["trace"]),
        scope=None if scope is None else tuple(scope),
        standalone=record.get("standalone", ""),
        unedited=_recall_structure(record.get("unedited")) if with_structure else None,
    )


def _recall_structure(built: Mapping[str, Any] | None) -> Structure | None:
    """Return what was built; ``None`` where nothing was, or where it is damaged, as the answer stands without it."""
    if not built:
        return None
    # Reading structures back loads the libraries they are made with.
    from structrag.structures.serialization import structure_from_dict

    try:
        return structure_from_dict(built)
    except StoreError:
        return None


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
    edits = tuple(EditMark(**mark) for mark in record.get("edits", ()))
    return Citation(
        number=record["number"],
        evidence=Evidence(span, record["quote"], edits=edits),
        title=record["title"],
        locator=record["locator"],
    )
