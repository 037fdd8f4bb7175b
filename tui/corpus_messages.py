"""What worker threads tell the corpus screen."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from textual.message import Message

from structrag.errors import StructRAGError
from structrag.tui.shelf import Match
from structrag.types import SourceDocument


@dataclass(eq=False, repr=False)
class Listed(Message):
    """These documents are in the corpus."""

    documents: tuple[SourceDocument, ...]


@dataclass(frozen=True, slots=True)
class FilesFound:
    """These files are about to be read, each with the id that it may get."""

    files: list[tuple[Path, str]]


@dataclass(eq=False, repr=False)
class ReadingEnded(Message):
    """Adding came to its end, was stopped, or failed; ``documents`` are ``None`` if the corpus cannot be read."""

    documents: tuple[SourceDocument, ...] | None
    was_stopped: bool = False
    error: StructRAGError | None = None


@dataclass(eq=False, repr=False)
class Searched(Message):
    """These documents, by id, have what was searched for."""

    wanted: str
    matches: Mapping[str, Match]


@dataclass(eq=False, repr=False)
class ListingFailed(Message):
    """The corpus could not be opened, or a document not be removed."""

    error: StructRAGError
