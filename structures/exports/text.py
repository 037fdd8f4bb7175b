"""Untrusted text on its way into a file: what a format refuses is taken out, what it would obey is escaped."""

from __future__ import annotations

import re

_LINE_END = re.compile(r"\r\n|[\r\v\f\x85]")
# XML and spreadsheets refuse the first kind, a terminal that shows the file would obey the second.
_REFUSED: dict[int, str | None] = {
    **dict.fromkeys((*range(0x20), *range(0x7F, 0xA0), 0xFFFE, 0xFFFF), None),
    **dict.fromkeys(range(0xD800, 0xE000), "\N{REPLACEMENT CHARACTER}"),
}
del _REFUSED[ord("\n")], _REFUSED[ord("\t")]

# What Excel or LibreOffice would take for a formula, full-width forms included; "'" so that the guard can be undone.
_FORMULA = re.compile(r"'*[=+\-@\t\n＝＋－＠]")
# Anywhere in a text, and at its beginning; bare addresses become links too.
_MARKDOWN = re.compile(r"[\\`*_\[\]<>|~&$@]|:(?=//)|(?<=www)\.|^(?:[#+=-]|\d+(?=[.)]))", re.IGNORECASE)


def plain(text: str) -> str:
    """Return the text without control characters, and with a line feed for every kind of line end."""
    return _LINE_END.sub("\n", text).translate(_REFUSED)


def one_line(text: str) -> str:
    """Return the text on one line, without control characters."""
    return " ".join(plain(text).split())


def guard(text: str) -> str:
    """Return a text that no spreadsheet takes for a formula when it opens a CSV file: ``'`` goes before it.

    One ``'`` before any further ``'`` and one of ``= + - @``, tab or line end is always the guard's.
    """
    return f"'{text}" if _FORMULA.match(text) else text


def escape_markdown(text: str) -> str:
    """Return the text on one line, as Markdown that shows it and nothing else."""
    return _MARKDOWN.sub(_escape_match, one_line(text))


def escape_mermaid(text: str) -> str:
    """Return the text for a quoted Mermaid label: what is no letter or digit becomes its code, such as ``#60;``."""
    return "".join(c if c.isalnum() or c in " ," else f"#{ord(c)};" for c in one_line(text))


def escape_comment(text: str) -> str:
    """Return the text for a Mermaid comment, in which only ``%`` and braces (directives) mean anything."""
    return re.sub(r"[%{}]", lambda match: f"#{ord(match[0])};", one_line(text))


def _escape_match(match: re.Match[str]) -> str:
    # A number is escaped at the dot or bracket behind it, as a backslash before a digit would be shown.
    return f"{match[0]}\\" if match[0].isdigit() else f"\\{match[0]}"
