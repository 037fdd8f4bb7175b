"""A list of things to open."""

from __future__ import annotations

from collections.abc import Iterable

from textual.content import Content
from textual.widgets import OptionList


class Entries(OptionList):
    """Lists entries as they read. The first is marked, so that Enter opens something at once."""

    def __init__(self, id: str) -> None:  # noqa: A002 (Textual's own name for it)
        super().__init__(id=id, markup=False, compact=True)

    def show(self, entries: Iterable[str | Content]) -> None:
        """List these entries."""
        self.set_options(entries)
        self.highlighted = 0 if self.option_count else None
