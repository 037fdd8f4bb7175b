"""Files and LangChain documents in, ``SourceDocument`` out."""

from __future__ import annotations

import hashlib
import re
import stat
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING

from structrag.corpus.canonical import ParsedText, storable
from structrag.corpus.headings import parse_headings
from structrag.corpus.hypertext import read_docx, read_html
from structrag.corpus.pdf import read_pdf
from structrag.corpus.plain import read_plain
from structrag.corpus.tabular import read_csv, read_json, read_jsonl, read_tsv, read_xlsx
from structrag.errors import DocumentError, StructRAGError, UnsupportedDocumentError
from structrag.types import SourceDocument

if TYPE_CHECKING:
    from langchain_core.documents import Document

LARGEST_FILE = 50 * 1024 * 1024
LONGEST_TEXT = 100_000_000
_LONGEST_TITLE_LINE = 80
_MARKS_AROUND_TITLE = "*_` "


@dataclass(frozen=True, slots=True)
class _Format:
    """How a format is read.

    Attributes:
        is_foreign: A third-party parser reads it, which may raise anything on hostile bytes.
    """

    read: Callable[[bytes, str], ParsedText]
    is_foreign: bool = False


_FORMATS = {
    ".md": _Format(read_plain),
    ".markdown": _Format(read_plain),
    ".txt": _Format(read_plain),
    ".csv": _Format(read_csv),
    ".tsv": _Format(read_tsv),
    ".json": _Format(read_json),
    ".jsonl": _Format(read_jsonl),
    ".html": _Format(read_html, is_foreign=True),
    ".htm": _Format(read_html, is_foreign=True),
    ".docx": _Format(read_docx, is_foreign=True),
    ".xlsx": _Format(read_xlsx, is_foreign=True),
    ".pdf": _Format(read_pdf, is_foreign=True),
}
SUPPORTED_SUFFIXES = tuple(_FORMATS)


def load_file(path: Path, document_id: str) -> SourceDocument:
    """Read one file.

    Raises:
        UnsupportedDocumentError: No loader reads this kind of file.
        DocumentError: It cannot be read, is damaged or encrypted, too large, or holds no text.
        MissingExtraError: The package for its format is not installed.
    """
    return load_bytes(read_source(path), path, document_id)


def read_source(path: Path) -> bytes:
    """Return the bytes of a file that a loader is there for.

    Raises:
        UnsupportedDocumentError: No loader reads this kind of file.
        DocumentError: It cannot be read, or it is too large.
    """
    try:
        status = path.stat()
        if stat.S_ISDIR(status.st_mode):
            raise DocumentError(f"{path} is a folder, and the files in it cannot be listed.")
        if not stat.S_ISREG(status.st_mode):
            raise DocumentError(f"{path} is no file, but a pipe or a device.")
        _format_of(path)
        if status.st_size > LARGEST_FILE:
            raise DocumentError(
                f"{path} has {status.st_size / 2**20:.0f} MB; at most {LARGEST_FILE // 2**20} MB are read.",
                hint="Divide it into smaller documents.",
            )
        return path.read_bytes()
    except OSError as error:
        raise DocumentError(f"{path} cannot be read: {error.strerror or error}.") from error


def load_bytes(data: bytes, path: Path, document_id: str) -> SourceDocument:
    """Make a document of bytes that were read from ``path``.

    Raises:
        UnsupportedDocumentError: No loader reads this kind of file.
        DocumentError: It is damaged or encrypted, or holds no text.
        MissingExtraError: The package for its format is not installed.
    """
    parsed = _parse(data, path)
    if not parsed.text.strip():
        raise DocumentError(f"{path} holds no text.")
    if len(parsed.text) > LONGEST_TEXT:
        raise DocumentError(
            f"{path} holds {len(parsed.text):,} characters; at most {LONGEST_TEXT:,} are read.",
            hint="Divide it into smaller documents.",
        )
    title = parsed.title or ("" if parsed.is_data else _title_in(parsed.text)) or _humanised(path.stem)
    return SourceDocument(
        id=document_id,
        title=storable(" ".join(title.split())),
        text=storable(parsed.text),
        sha256=content_hash(data),
        source=str(path.absolute()),
        locators=parsed.locators,
        warnings=parsed.warnings,
    )


def is_foreign(path: Path) -> bool:
    """Return whether a parser of others reads this kind of file.

    Raises:
        UnsupportedDocumentError: No loader reads it.
    """
    return _format_of(path).is_foreign


def content_hash(data: bytes) -> str:
    """Return the hash by which a changed source is known."""
    return hashlib.sha256(data).hexdigest()


def document_from_langchain(document: Document, position: int) -> SourceDocument:
    """Make a document of one that was given in memory.

    Its id is the document's own, or ``metadata["id"]``, or ``document-<position>``.

    Raises:
        DocumentError: It holds no text.
    """
    document_id = str(document.id or document.metadata.get("id") or f"document-{position}")
    if not document.page_content.strip():
        raise DocumentError(f"The document {document_id!r} holds no text.")
    text = storable(document.page_content.replace("\r\n", "\n").replace("\r", "\n"))
    title = str(document.metadata.get("title") or _title_in(text) or _humanised(PurePosixPath(document_id).stem))
    return SourceDocument(
        id=document_id,
        title=storable(" ".join(title.split())),
        text=text,
        sha256=content_hash(text.encode()),
    )


def _format_of(path: Path) -> _Format:
    try:
        return _FORMATS[path.suffix.lower()]
    except KeyError:
        kind = f"{path.suffix!r} files" if path.suffix else "files without a suffix"
        raise UnsupportedDocumentError(
            f"{path} cannot be read: there is no loader for {kind}.",
            hint=f"Supported are {', '.join(SUPPORTED_SUFFIXES)}.",
        ) from None


def _parse(data: bytes, path: Path) -> ParsedText:
    source_format = _format_of(path)
    if not source_format.is_foreign:
        return source_format.read(data, path.name)
    # The one blind except of the loaders: a third-party parser may raise anything on hostile bytes.
    try:
        return source_format.read(data, path.name)
    except StructRAGError:
        raise
    except MemoryError as error:
        raise DocumentError(
            f"{path.name} takes too much memory to read.", hint="Divide it into smaller documents."
        ) from error
    except Exception as error:
        raise DocumentError(
            f"{path.name} cannot be read as {path.suffix.lower()[1:]}: {str(error) or type(error).__name__}",
            hint="It may be damaged; try to open it and save it anew.",
        ) from error


def _title_in(text: str) -> str:
    """Return the first Markdown heading, else the first line that says something if it is short."""
    if title := next((h.title for h in parse_headings(text) if h.is_markdown), ""):
        return title.strip(_MARKS_AROUND_TITLE)
    line = next((line.strip() for line in text.split("\n") if any(map(str.isalnum, line))), "")
    is_title = len(line) <= _LONGEST_TITLE_LINE and not line.startswith(("|", "<"))
    return line.strip(_MARKS_AROUND_TITLE) if is_title else ""


def _humanised(stem: str) -> str:
    words = re.sub(r"[-_\s]+", " ", stem).strip()
    return words[:1].upper() + words[1:] or "Untitled"
