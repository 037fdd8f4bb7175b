"""Labelled questions: which structure each needs, and the preference pairs that follow from that."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from importlib.resources import files
from pathlib import Path
from random import Random
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


@dataclass(frozen=True, slots=True)
class ShippedQuestions:
    """The labelled questions that come with the package.

    Attributes:
        training: By all authors but those who are held out.
        held_out: By those, and hand-written ones by another: to calibrate on and to compare versions on.
    """

    training: tuple[LabelledQuestion, ...]
    held_out: tuple[LabelledQuestion, ...]


def shipped_questions() -> ShippedQuestions:
    """Return the labelled questions that come with the package, split by author and thereby by domain."""
    folder = Path(str(files("structrag.corpora").joinpath("preferences")))
    index = json.loads((folder / "authors.json").read_text(encoding="utf-8"))
    by_author = {
        author: [
            replace(question, batch=author)
            for domain in domains
            for question in read_domain(folder / f"questions/{domain}.jsonl", folder / f"documents/{domain}.jsonl")
        ]
        for author, domains in index["authors"].items()
    }
    held_out = [question for author in index["held_out"] for question in by_author.pop(author)]
    held_out += read_domain(folder / "handwritten_dev.jsonl")
    return ShippedQuestions(tuple(q for questions in by_author.values() for q in questions), tuple(held_out))


def with_mixed_documents(questions: Sequence[LabelledQuestion], *, seed: int = 0) -> list[LabelledQuestion]:
    """Return the questions, half of the described ones with documents of another question of their group.

    Retrieval does not always find the right documents; and where a kind of document goes with a label, a policy would
    read the documents and not the question.

    Args:
        questions: The questions.
        seed: Of the drawing.
    """
    random = Random(seed)
    described: dict[str, list[tuple[DocumentProfile, ...]]] = {}
    for question in questions:
        if question.request.documents:
            described.setdefault(question.group, []).append(question.request.documents)
    return [
        replace(q, request=replace(q.request, documents=random.choice(described[q.group])))
        if q.request.documents and random.random() < 0.5
        else q
        for q in questions
    ]


def label_pairs(
    questions: Sequence[LabelledQuestion], *, each: int = len(StructureType), seed: int = 0
) -> list[PreferencePair]:
    """Return, for each question, its structure preferred to others that are not right as well.

    Args:
        questions: The questions.
        each: Most pairs for a question; which ones is drawn at random.
        seed: Of the drawing.
    """
    random = Random(seed)
    pairs = []
    for question in questions:
        wrong = [structure for structure in StructureType if not question.accepts(structure)]
        for rejected in wrong if each >= len(wrong) else random.sample(wrong, each):
            pairs.append(PreferencePair(question.request, question.structure, rejected, "label", question.id))
    return pairs


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
