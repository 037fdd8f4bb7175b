"""Questions with known answers and the documents that they are asked over, read from JSON Lines."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from itertools import chain, zip_longest
from pathlib import Path
from random import Random
from typing import TYPE_CHECKING, Any, TypeVar

from structrag.errors import ConfigError
from structrag.evaluation.scoring import ANSWER_TYPES, Gold
from structrag.types import StructureType

if TYPE_CHECKING:
    from langchain_core.documents import Document

Row = TypeVar("Row")


@dataclass(frozen=True, slots=True)
class KnownQuestion:
    """A question whose answer is known.

    Attributes:
        gold: What is right, in the form that the answer type wants.
        answer_type: One of `ANSWER_TYPES`.
        labels: The structure that it needs, and then those that are right as well; empty where nobody said.
        documents: Ids of the documents that the answer stands in; empty where nobody said.
        scope: Ids of the documents that it is asked over; ``None`` for all.
        source: Which set it comes from.
    """

    id: str
    question: str
    gold: Gold
    answer_type: str
    labels: tuple[StructureType, ...] = ()
    documents: tuple[str, ...] = ()
    scope: tuple[str, ...] | None = None
    source: str = ""

    @property
    def digest(self) -> str:
        """By what it is known again that the same was asked over the same documents."""
        return hashlib.sha256(json.dumps([self.question, self.scope]).encode()).hexdigest()[:16]


def read_questions(path: Path) -> list[KnownQuestion]:
    """Read questions.

    Each line is ``{id, question, answers, answer_type}`` with, if known, ``structure``, ``also_ok``, ``documents``,
    ``scope`` and ``source``.

    Raises:
        ConfigError: The file cannot be read, holds none, or a line is wrong or has the id of an earlier one.
    """
    return _unique(path, [_read(path, number, row, _question) for number, row in _rows(path)], lambda q: q.id)


def read_documents(path: Path) -> list[Document]:
    """Read documents as LangChain's: each line is ``{id, title, text}``, the title being optional.

    Raises:
        ConfigError: The file cannot be read, holds none, or a line is wrong or has the id of an earlier one.
    """
    return _unique(path, [_read(path, number, row, _document) for number, row in _rows(path)], lambda d: str(d.id))


def in_drawn_order(questions: Sequence[KnownQuestion], seed: int) -> list[KnownQuestion]:
    """Return the questions in random order, taking turns between the structures that they need.

    So the first n are a sample of all in which each structure has its share, also where a run was stopped, and
    the first n are among the first n + 1.

    Args:
        questions: In any order.
        seed: Of the drawing.
    """
    shuffled = sorted(questions, key=lambda q: q.id)
    Random(seed).shuffle(shuffled)
    groups: dict[tuple[StructureType, ...], list[KnownQuestion]] = {}
    for question in shuffled:
        groups.setdefault(question.labels[:1], []).append(question)
    turns = zip_longest(*(groups[label] for label in sorted(groups)))
    return [question for question in chain.from_iterable(turns) if question is not None]


def documents_hash(documents: Sequence[Document]) -> str:
    """Return by what documents are known again, whatever their order."""
    told = sorted([str(d.id), str(d.metadata.get("title", "")), d.page_content] for d in documents)
    return hashlib.sha256(json.dumps(told).encode()).hexdigest()[:16]


def require_labels(questions: Sequence[KnownQuestion], path: Path) -> None:
    """Check that it is known which structure each question needs.

    Raises:
        ConfigError: A question has no label.
    """
    for question in questions:
        if not question.labels:
            raise ConfigError(
                f"{path}: the question {question.id!r} has no structure, so the way `gold` cannot be asked.",
                hint="Leave that way out, or label the questions.",
            )


def require_scopes(questions: Sequence[KnownQuestion], known: Sequence[str], path: Path) -> None:
    """Check that the corpus holds what the questions are asked over.

    Raises:
        ConfigError: It lacks a document of a scope.
    """
    held = set(known)
    for question in questions:
        for document in question.scope or ():
            if document not in held:
                raise ConfigError(
                    f"{path}: the question {question.id!r} is to be asked over {document!r}, which is not there.",
                    hint="Give the file that holds it as --documents.",
                )


def _question(row: dict[str, Any]) -> KnownQuestion:
    answer_type = row["answer_type"]
    if answer_type not in ANSWER_TYPES:
        raise ValueError(f"the answer_type {answer_type!r} is none of {', '.join(ANSWER_TYPES)}")
    structure, scope = row.get("structure"), row.get("scope")
    also_ok = _texts(row.get("also_ok") or [], "also_ok")
    return KnownQuestion(
        id=_text(row, "id"),
        question=_text(row, "question"),
        gold=_clusters(row["answers"]) if answer_type == "clusters" else _answers(row, answer_type),
        answer_type=answer_type,
        labels=tuple(StructureType(name) for name in [structure, *also_ok]) if structure else (),
        documents=_texts(row.get("documents") or [], "documents"),
        scope=None if scope is None else _texts(scope, "scope"),
        source=str(row.get("source") or ""),
    )


def _document(row: dict[str, Any]) -> Document:
    from langchain_core.documents import Document

    title = row.get("title") or ""
    if not isinstance(title, str):
        raise ValueError("title is a text")
    return Document(_text(row, "text"), id=_text(row, "id"), metadata={"title": title} if title.strip() else {})


def _answers(row: dict[str, Any], answer_type: str) -> tuple[str, ...]:
    answers = _texts(row.get("answers") or [], "answers")
    if not answers and answer_type != "none":
        raise ValueError("there are no answers")
    return answers


def _clusters(answers: Any) -> dict[str, list[int]]:
    if not isinstance(answers, dict) or not answers:
        raise ValueError("answers is an object of message numbers by label")
    if not all(isinstance(n, list) and all(isinstance(each, int) for each in n) for n in answers.values()):
        raise ValueError("answers holds lists of message numbers")
    return answers


def _text(row: dict[str, Any], key: str) -> str:
    value = row[key]
    if not isinstance(value, str) or not value.strip():
        raise ValueError(f"{key} is a text")
    return value


def _texts(value: Any, key: str) -> tuple[str, ...]:
    if not isinstance(value, list) or not all(isinstance(each, str) for each in value):
        raise ValueError(f"{key} is a list of texts")
    return tuple(value)


def _rows(path: Path) -> Iterator[tuple[int, Any]]:
    try:
        text = path.read_text(encoding="utf-8-sig")
    except OSError as error:
        raise ConfigError(f"{path} cannot be read: {error.strerror}.", hint="Check the path.") from error
    except UnicodeDecodeError as error:
        raise ConfigError(f"{path} is not UTF-8 text: {error.reason} at byte {error.start}.") from error
    # Not splitlines(): JSON strings may hold the other characters that it takes for line ends.
    for number, line in enumerate(text.split("\n"), start=1):
        if not line.strip():
            continue
        try:
            yield number, json.loads(line)
        except (ValueError, RecursionError) as error:
            raise ConfigError(f"{path}, line {number}: this is not JSON: {error}.") from error


def _read(path: Path, number: int, row: Any, reader: Callable[[dict[str, Any]], Row]) -> Row:
    try:
        if not isinstance(row, dict):
            raise ValueError("it is not an object")
        return reader(row)
    except KeyError as error:
        raise ConfigError(f"{path}, line {number}: there is no {error.args[0]}.", hint="Correct the line.") from error
    except ValueError as error:
        raise ConfigError(f"{path}, line {number}: {error}.", hint="Correct the line.") from error


def _unique(path: Path, rows: list[Row], identity: Callable[[Row], str]) -> list[Row]:
    if not rows:
        raise ConfigError(f"{path} holds nothing.", hint="Give a file of JSON Lines.")
    seen: set[str] = set()
    for row in rows:
        if identity(row) in seen:
            raise ConfigError(f"{path} has the id {identity(row)!r} twice.", hint="Give each line its own id.")
        seen.add(identity(row))
    return rows
