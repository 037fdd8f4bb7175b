"""Text on its way out: documents and model output are untrusted, and a terminal obeys what it is sent."""

from __future__ import annotations

import json
import re
import sys
from typing import Any

# Control sequences are taken out whole, so that no "[31m" is left over. A string sequence (window title,
# hyperlink, clipboard) must be closed within one line: an open one must not swallow the text that follows.
_SEQUENCE = re.compile(
    r"(?:\x1b\[|\x9b)[0-?]*[ -/]*[@-~]"
    r"|(?:\x1b[\]PX^_]|[\x90\x98\x9d-\x9f])[^\x07\x1b\x9c\n]*(?:\x07|\x1b\\|\x9c)"
)
_READ_AHEAD = 8
"""How many times as much text is looked at as is shown: blanks and control sequences are taken out of it."""
_BIDI_OVERRIDES = (*range(0x202A, 0x202F), *range(0x2066, 0x206A))
_SURROGATES = range(0xD800, 0xE000)
_REMOVED: dict[int, str | None] = {
    **dict.fromkeys((*range(0x20), *range(0x7F, 0xA0), *_BIDI_OVERRIDES), None),
    **dict.fromkeys(_SURROGATES, "\N{REPLACEMENT CHARACTER}"),
}
del _REMOVED[ord("\n")], _REMOVED[ord("\t")]


def clean(text: str) -> str:
    """Return the text without anything that a terminal would obey, reorder or be unable to show."""
    return _SEQUENCE.sub("", text).translate(_REMOVED)


def one_line(text: str, width: int = 0) -> str:
    """Return the cleaned text on one line, cut to ``width`` characters unless that is 0: however long, in no time."""
    read = text[: width * _READ_AHEAD] if width else text
    line = " ".join(clean(read).split())
    if width and len(line) > width:
        return f"{line[: width - 1].rstrip()}…"
    return line if len(read) == len(text) else f"{line}…"


def first_lines(text: str, count: int) -> str:
    """Return at most ``count`` lines of the cleaned text, and say how many were left out."""
    lines = clean(text).rstrip().split("\n")
    left_out = len(lines) - count
    if left_out <= 0:
        return "\n".join(lines)
    return "\n".join([*lines[:count], f"… {left_out} more line{'s' if left_out > 1 else ''}"])


def columns(rows: list[tuple[str, ...]]) -> list[str]:
    """Return the rows as lines with aligned columns; cells are cleaned."""
    cells = [[one_line(cell) for cell in row] for row in rows]
    widths = [max(map(len, column)) for column in zip(*cells, strict=True)]
    return ["  ".join(c.ljust(w) for c, w in zip(row, widths, strict=True)).rstrip() for row in cells]


def write(text: str) -> None:
    """Write untrusted text as one or more lines to stdout, at once."""
    # One call per line keeps lines whole when several threads write.
    sys.stdout.write(f"{clean(text)}\n")
    sys.stdout.flush()


def write_json(value: Any) -> None:
    """Write one JSON value as one line to stdout, at once."""
    # ASCII: every control character arrives escaped, and no console encoding can fail on it.
    sys.stdout.write(f"{json.dumps(value, ensure_ascii=True)}\n")
    sys.stdout.flush()


def narrate(text: str) -> None:
    """Write one or more lines for the person watching to stderr, at once."""
    sys.stderr.write(f"{clean(text)}\n")
    sys.stderr.flush()
