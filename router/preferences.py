"""Preference pairs: the file format, and everything that can be wrong with such a file.

One JSON object a line, in TRL's columns ``prompt``, ``chosen`` and ``rejected``, with where it comes from::

    {"prompt": "Who supplies the supplier of X?", "chosen": "graph", "rejected": "chunk", "documents": [],
     "provenance": {"kind": "human", "id": "…"}}
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from structrag.errors import TrainingDataError
from structrag.router.protocol import RoutingRequest
from structrag.types import DocumentProfile, StructureType

MOST_ROWS = 200_000
"""Longer files are refused: training on this machine would take days, and it is more likely the wrong file."""
_KINDS = ("label", "synthetic", "outcome", "human")
_SHOWN_WARNINGS = 20


@dataclass(frozen=True, slots=True)
class PreferencePair:
    """One structure preferred to another for one question.

    Attributes:
        request: The question and its documents.
        kind: Where the preference comes from: ``label`` (a question labelled by hand), ``synthetic``, ``outcome`` or
            ``human``.
        source: Which set, corpus or answer it comes from.
    """

    request: RoutingRequest
    chosen: StructureType
    rejected: StructureType
    kind: str
    source: str = ""

    def to_dict(self) -> dict[str, Any]:
        """Return the pair as one line of a preference file."""
        return {
            "prompt": self.request.question,
            "chosen": str(self.chosen),
            "rejected": str(self.rejected),
            "documents": [document_dict(d) for d in self.request.documents],
            "provenance": {"kind": self.kind, "id": self.source},
        }


@dataclass(frozen=True, slots=True)
class PreferenceFile:
    """What a file holds.

    Attributes:
        pairs: Each pair once, in order.
        warnings: What was left out or looks wrong, with its row.
    """

    pairs: tuple[PreferencePair, ...]
    warnings: tuple[str, ...] = field(default=())


def document_dict(document: DocumentProfile) -> dict[str, Any]:
    """Return a profile as JSON."""
    return {
        "title": document.title,
        "words": document.words,
        "table_share": round(document.table_share, 3),
        "heading_share": round(document.heading_share, 3),
        "step_share": round(document.step_share, 3),
    }


def document_profile(data: Mapping[str, Any]) -> DocumentProfile:
    """Return the profile that JSON describes; shares that are missing are 0.

    Raises:
        ValueError: There is no title, or a number is none.
    """
    title = data.get("title")
    if not _is_text(title) or not str(title).strip():
        raise ValueError("a document needs a title")
    try:
        shares = [float(data.get(name, 0.0)) for name in ("table_share", "heading_share", "step_share")]
    except OverflowError as error:
        raise ValueError("a share is a number from 0 to 1") from error
    if not all(0 <= share <= 1 for share in shares):
        raise ValueError("a share is a number from 0 to 1")
    words = data.get("words", 0)
    if not isinstance(words, int) or words < 0:
        raise ValueError("words is a number from 0")
    return DocumentProfile(str(title), words, *shares)


def read_preferences(path: Path) -> PreferenceFile:
    """Read a preference file.

    Duplicates are left out and pairs that contradict each other are reported, both as warnings that name the row.

    Raises:
        TrainingDataError: The file cannot be read, is empty, is too long, or a row is wrong; it names file and row.
    """
    found = merge_preferences((f"{path.name}, row {number}", _pair(path, number, row)) for number, row in _rows(path))
    if not found.pairs:
        raise TrainingDataError(
            f"{path} holds no preference pairs.", hint="Each line is one JSON object; see the docs."
        )
    return found


def merge_preferences(placed: Iterable[tuple[str, PreferencePair]]) -> PreferenceFile:
    """Return pairs from several places without duplicates, and warnings of those and of contradictions.

    Args:
        placed: Each pair with where it stands, as it is named in warnings.
    """
    pairs: dict[tuple[str, StructureType, StructureType], tuple[PreferencePair, str]] = {}
    warnings: list[str] = []
    for place, pair in placed:
        key = (_key(pair.request), pair.chosen, pair.rejected)
        opposite = pairs.get((key[0], pair.rejected, pair.chosen))
        if key in pairs:
            warnings.append(f"{place}: the same pair as {pairs[key][1]}; left out.")
            continue
        if opposite:
            warnings.append(f"{place}: contradicts {opposite[1]}; both are kept.")
        pairs[key] = (pair, place)
    return PreferenceFile(tuple(pair for pair, _ in pairs.values()), tuple(_cut(warnings)))


def write_preferences(path: Path, pairs: Iterable[PreferencePair]) -> None:
    """Write a preference file, whole or not at all.

    Raises:
        TrainingDataError: It cannot be written.
    """
    temporary = path.with_name(f".{path.name}.part")
    try:
        with temporary.open("w", encoding="utf-8") as file:
            for pair in pairs:
                file.write(json.dumps(pair.to_dict(), ensure_ascii=False) + "\n")
        temporary.replace(path)
    except OSError as error:
        raise TrainingDataError(f"{path} cannot be written: {error.strerror}.", hint="Give another path.") from error


def question_hash(question: str) -> str:
    """Return by what a question is known again, whatever its case and white space."""
    return hashlib.sha256(" ".join(question.casefold().split()).encode()).hexdigest()[:16]


def data_hash(pairs: Sequence[PreferencePair]) -> str:
    """Return the SHA-256 of the pairs, whatever their order."""
    lines = sorted(json.dumps(pair.to_dict(), sort_keys=True, ensure_ascii=False) for pair in pairs)
    return hashlib.sha256("\n".join(lines).encode()).hexdigest()


def _rows(path: Path) -> Iterator[tuple[int, Any]]:
    rows = 0
    try:
        with path.open("rb") as file:
            for number, raw in enumerate(file, 1):
                line = _decoded(path, number, raw)
                if not line.strip():
                    continue
                rows += 1
                if rows > MOST_ROWS:
                    raise TrainingDataError(
                        f"{path} has more than {MOST_ROWS:,} rows.", hint="Train on a sample of it."
                    )
                yield number, _parsed(path, number, line)
    except OSError as error:
        raise TrainingDataError(f"{path} cannot be read: {error.strerror}.", hint="Check the path.") from error


def _decoded(path: Path, number: int, raw: bytes) -> str:
    try:
        return raw.decode("utf-8-sig" if number == 1 else "utf-8")
    except UnicodeDecodeError as error:
        raise TrainingDataError(
            f"{path} is not UTF-8 (row {number}, byte {error.start}).", hint="Save it as UTF-8 and try again."
        ) from error


def _parsed(path: Path, number: int, line: str) -> Any:
    try:
        return json.loads(line)
    except json.JSONDecodeError as error:
        raise _wrong(path, number, f"is not JSON: {error.msg} at character {error.pos}") from error
    except (ValueError, RecursionError) as error:
        raise _wrong(path, number, f"is not a row: {error}") from error


def preference_pair(row: Any) -> PreferencePair:
    """Return the pair that one line of a preference file describes.

    Raises:
        ValueError: It describes none; the message goes on a sentence that begins with the row.
    """
    if not isinstance(row, dict):
        raise ValueError("is not a JSON object")
    columns = {column: row.get(column) for column in ("prompt", "chosen", "rejected")}
    missing = [column for column, value in columns.items() if not str(value or "").strip()]
    if missing:
        raise ValueError(f"has no {' and no '.join(missing)}")
    if not _is_text(row["prompt"]):
        raise ValueError("has a prompt that is no text")
    labels = [str(row[column]).strip() for column in ("chosen", "rejected")]
    unknown = [label for label in labels if label not in set(StructureType)]
    if unknown:
        raise ValueError(f"names {unknown[0]!r}, which is none of {', '.join(StructureType)}")
    if labels[0] == labels[1]:
        raise ValueError(f"prefers {labels[0]} to itself")
    provenance = row.get("provenance") or {}
    kind = str(provenance.get("kind", "human")) if isinstance(provenance, dict) else ""
    if kind not in _KINDS or not _is_text(str(provenance.get("id", ""))):
        raise ValueError(f"has a provenance that is none of {', '.join(_KINDS)}")
    try:
        documents = tuple(document_profile(d) for d in row.get("documents") or [])
    except (AttributeError, TypeError, ValueError) as error:
        raise ValueError(f"describes a document wrongly: {error}") from error
    request = RoutingRequest(str(row["prompt"]).strip(), documents)
    return PreferencePair(
        request, StructureType(labels[0]), StructureType(labels[1]), kind, str(provenance.get("id", ""))
    )


def _pair(path: Path, number: int, row: Any) -> PreferencePair:
    try:
        return preference_pair(row)
    except ValueError as error:
        raise _wrong(path, number, str(error)) from error


def _is_text(value: Any) -> bool:
    """Whether a value is text that can be written again: half of a surrogate pair cannot."""
    if not isinstance(value, str):
        return False
    try:
        value.encode()
    except UnicodeEncodeError:
        return False
    return True


def _key(request: RoutingRequest) -> str:
    return json.dumps([request.question.casefold(), [document_dict(d) for d in request.documents]])


def _wrong(path: Path, number: int, what: str) -> TrainingDataError:
    return TrainingDataError(f"{path}, row {number}, {what}.", hint="Correct the row, or take it out.")


def _cut(warnings: list[str]) -> list[str]:
    more = len(warnings) - _SHOWN_WARNINGS
    return [*warnings[:_SHOWN_WARNINGS], *([f"… and {more} more warnings."] if more > 0 else [])]
