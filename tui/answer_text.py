"""The answer as it reads, with its citations to follow."""

from __future__ import annotations

import re
from collections.abc import Collection
from dataclasses import dataclass

from textual import events
from textual.content import Content
from textual.message import Message
from textual.style import Style
from textual.widgets import Static

from structrag.cli.text import clean

SHOWN = 20_000
"""Characters of an answer that are shown; all of it can be copied."""

_MARK = re.compile(r"\[(\d{1,4})\]")
_CITATION = "citation"


class AnswerText(Static):
    """Shows a text: nothing in it is interpreted but the numbers of its citations, which can be followed."""

    @dataclass(eq=False, repr=False)
    class CitationFollowed(Message):
        """The user wants to see what a citation quotes."""

        number: int

    def __init__(self) -> None:
        super().__init__(id="answer", markup=False)
        self._text = ""
        self._numbers: list[int] = []
        self._current: int | None = None

    def show(self, text: str, numbers: Collection[int]) -> None:
        """Show the text, in which these numbers are those of citations."""
        cut = len(text) > SHOWN
        self._text = clean(text[:SHOWN]) + ("\n… cut here; y copies all of it." if cut else "")
        found = dict.fromkeys(int(mark[1]) for mark in _MARK.finditer(self._text))
        # Citations whose number does not stand in the text can be followed too, after the others.
        self._numbers = list(dict.fromkeys([*(n for n in found if n in numbers), *numbers]))
        self._current = None
        self._draw()

    @property
    def text(self) -> str:
        """What is shown."""
        return self._text

    @property
    def current(self) -> int | None:
        """The number of the marked citation; the first where none is marked; ``None`` where there is none."""
        if self._current is None and self._numbers:
            return self._numbers[0]
        return self._current

    def mark_next(self, step: int) -> int | None:
        """Mark the citation that is ``step`` further, round the end; return its number."""
        if not self._numbers:
            return None
        if self._current is None:
            place = 0 if step > 0 else -1
        else:
            place = (self._numbers.index(self._current) + step) % len(self._numbers)
        self._current = self._numbers[place]
        self._draw()
        return self._current

    def on_click(self, event: events.Click) -> None:
        """Follow the citation that was clicked on."""
        number = event.style.meta.get(_CITATION)
        if isinstance(number, int):
            event.stop()
            self.post_message(self.CitationFollowed(number))

    def _draw(self) -> None:
        content = Content(self._text)
        for mark in _MARK.finditer(self._text):
            number = int(mark[1])
            if number in self._numbers:
                look = "bold reverse" if number == self._current else "bold underline"
                style = Style.parse(look) + Style.from_meta({_CITATION: number})
                content = content.stylize(style, mark.start(), mark.end())
        self.update(content)
