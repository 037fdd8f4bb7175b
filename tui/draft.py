"""The reply that the model is writing, shown before anything has checked it."""

from __future__ import annotations

import re

from textual.content import Content
from textual.widgets import Static

from structrag.cli.text import one_line
from structrag.events import ReplyGrew

_ANSWERS = (".read", ".link")
"""What the stages end with whose reply is the answer to the question, or to a part of it."""
_SHOWN = 300
_LONGEST_PARSED = 1000
"""Characters; broken JSON is tried again for each of them."""
_HALF_ESCAPE = re.compile(r"\\u[0-9a-fA-F]{0,3}$")


def draft_of(event: ReplyGrew) -> str:
    """Return what to show of a reply so far, on one line: of an answer its words, of anything else the text as it is.

    Not for the screen's own thread: it may parse JSON and import LangChain.
    """
    if not event.stage.endswith(_ANSWERS):
        return _labelled("writing", event.text)
    return _labelled("draft, not checked yet", _answer_in(event.text))


def _labelled(label: str, text: str) -> str:
    # What is far before the end is not shown, so it need not be cleaned either.
    line = one_line(text[-4 * _SHOWN :])
    shown = line if len(line) <= _SHOWN else f"…{line[1 - _SHOWN :]}"
    return f"{label}: {shown}" if shown else ""


def _answer_in(text: str) -> str:
    """Return the answer that a reply holds so far: in JSON it stands under a name, else it is all of it."""
    from langchain_core.utils.json import parse_partial_json

    if not text.lstrip().startswith("{"):
        return text
    try:
        told = parse_partial_json(_HALF_ESCAPE.sub("", text[:_LONGEST_PARSED]))
    except (ValueError, RecursionError):
        return ""
    answer = told.get("answer") if isinstance(told, dict) else None
    return answer if isinstance(answer, str) else ""


class Draft(Static):
    """Shows a reply while it is written; nothing while none is."""

    def __init__(self) -> None:
        super().__init__(id="draft", markup=False)
        self._text = ""

    def show(self, text: str) -> None:
        """Show what is written so far, in place of what was shown before; nothing for an empty text."""
        if text != self._text:
            self._text = text
            self.update(Content(text))
            self.display = bool(text)
