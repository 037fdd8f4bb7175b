"""Reading text files: which encoding, which newlines."""

from __future__ import annotations

import codecs

from structrag.corpus.canonical import ParsedText
from structrag.errors import DocumentError

_UTF16_MARKS = (codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)


def read_plain(data: bytes, name: str) -> ParsedText:
    """Return Markdown or plain text as it is."""
    text, warnings = decode(data, name)
    return ParsedText(text, warnings=warnings)


def decode(data: bytes, name: str) -> tuple[str, tuple[str, ...]]:
    r"""Return the text of ``data`` with ``\n`` newlines, and a warning if its encoding had to be guessed.

    Raises:
        DocumentError: It is not text.
    """
    warnings: tuple[str, ...] = ()
    encoding = "utf-16" if data.startswith(_UTF16_MARKS) else "utf-8-sig"
    try:
        text = data.decode(encoding)
    except UnicodeDecodeError as error:
        if encoding == "utf-16":
            raise _not_text(name) from error
        text = _decode_cp1252(data, name)
        warnings = ("It is not UTF-8 and was read as Windows-1252.",)
    if "\0" in text:
        raise _not_text(name)
    return text.replace("\r\n", "\n").replace("\r", "\n"), warnings


def _decode_cp1252(data: bytes, name: str) -> str:
    try:
        return data.decode("cp1252")
    except UnicodeDecodeError as error:
        raise _not_text(name) from error


def _not_text(name: str) -> DocumentError:
    return DocumentError(
        f"{name} is not text: it holds bytes that no text has.",
        hint="Give the file the suffix of its real format, or save it as UTF-8 text.",
    )
