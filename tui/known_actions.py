"""The names of all actions whose keys can be changed. It imports every screen, so it is asked only if keys are."""

from __future__ import annotations

from structrag.tui.app import StructRAGApp
from structrag.tui.corpus_screen import CorpusScreen
from structrag.tui.history_screen import HistoryScreen
from structrag.tui.keys import default_keys
from structrag.tui.router_screen import RouterScreen
from structrag.tui.screen import QuestionScreen


def known_actions() -> dict[str, set[str]]:
    """Return the keys that each action has if nothing is set, by names of the form ``screen.action``."""
    owners = (StructRAGApp, QuestionScreen, CorpusScreen, RouterScreen, HistoryScreen)
    return {name: keys for owner in owners for name, keys in default_keys(owner.BINDINGS).items()}
