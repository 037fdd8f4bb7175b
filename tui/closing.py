"""Screens that are closed once, however often the user asks for it."""

from __future__ import annotations

from typing import TypeVar

from textual.await_complete import AwaitComplete
from textual.screen import ModalScreen, Screen

Result = TypeVar("Result")


class ClosesOnce(Screen[Result]):
    """A screen that returns a result and is closed at most once.

    Textual closes whatever is on top. A second key or click, queued before the first one is done, would close the
    screen below, or end the application where that is the last one.
    """

    def dismiss(self, result: Result | None = None) -> AwaitComplete:
        """Close the screen with a result, unless it is closed or another one is on top of it."""
        return super().dismiss(result) if self.is_active else AwaitComplete()


# Textual takes the styles from the first base; only the second one has its own way to close.
class Popup(ModalScreen[Result], ClosesOnce[Result]):
    """A box on top of a screen that is closed at most once."""
