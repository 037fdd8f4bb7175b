"""Labelled questions: which structure each needs, and the preference pairs that follow from that."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from structrag.errors import TrainingDataError
from structrag.router.preferences import PreferencePair, document_profile
from structrag.router.protocol import RoutingRequest
from structrag.types import DocumentProfile, StructureType


@dataclass(frozen=True, slots=True)
class LabelledQuestion:
    """A question and the structure that it needs.

    Attributes:
        also_ok: Structures that are right as well.
        group: What it must not be split apart from: its domain or its source.
        batch: Who wrote it.
        hard: Its wording points to another structure.
    """

    id: str
    request: RoutingRequest
    structure: StructureType
    also_ok: frozenset[StructureType]
    group: str
    batch: str = ""
    hard: bool = False

    def accepts(self, structure: StructureType) -> bool:
        """Return whether a route to this structure is right."""
        return structure == self.structure or structure in self.also_ok


def read_domain(questions: Path, documents: Path | None = None) -> list[LabelledQuestion]:
    """Read the questions of one domain; the file's name is its group.

    Args:
        questions: JSON Lines of ``id, question, structure, also_ok, hard, documents``, where ``documents`` are line
            numbers, from 0, in the other file.
        documents: JSON Lines of document profiles.

    Raises:
        TrainingDataError: A line is wrong; it names file and row.
    """
    described = {number - 1: _document(row, documents, number) for number, row in _rows(documents)} if documents else {}
    return [_question(row, questions, number, described) for number, row in _rows(questions)]


def label_pairs(questions: Sequence[LabelledQuestion]) -> list[PreferencePair]:
    """Return, for each question, its structure preferred to every other that is not right as well."""
    return [
        PreferencePair(question.request, question.structure, rejected, "label", question.id)
        for question in questions
        for rejected in StructureType
        if not question.accepts(rejected)
    ]


def _question(row: Any, path: Path, number: int, described: Mapping[int, DocumentProfile]) -> LabelledQuestion:
    try:
        text = row["question"]
        if not isinstance(text, str) or not text.strip():
            raise ValueError("there is no question")
        documents = tuple(described[i] for i in row.get("documents", []))
        return LabelledQuestion(
            id=str(row["id"]),
            request=RoutingRequest(text, documents),
            structure=StructureType(row["structure"]),
            also_ok=frozenset(map(StructureType, row.get("also_ok", []))),
            group=str(row.get("source") or row.get("domain") or path.stem),
            batch=str(row.get("batch", "")),
            hard=bool(row.get("hard", False)),
        )
    except (KeyError, ValueError, TypeError, IndexError, AttributeError) as error:
        raise TrainingDataError(f"{path}, row {number}, is wrong: {error!r}.", hint="Correct the row.") from error


def _document(row: Any, path: Path, number: int) -> DocumentProfile:
    try:
        return document_profile(row)
    except (AttributeError, TypeError, ValueError) as error:
        raise TrainingDataError(f"{path}, row {number}, is wrong: {error}.", hint="Correct the row.") from error


def _rows(path: Path) -> Iterator[tuple[int, Any]]:
    try:
        for number, line in enumerate(path.read_text(encoding="utf-8").split("\n"), 1):
            if line.strip():
                yield number, json.loads(line)
    except json.JSONDecodeError as error:
        raise TrainingDataError(f"{path}, row {number}, is not JSON: {error.msg}.", hint="Correct the row.") from error
    except (OSError, UnicodeDecodeError) as error:
        raise TrainingDataError(f"{path} cannot be read: {error}.", hint="Check the path.") from error
