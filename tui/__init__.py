"""The terminal UI. Importing it is free: Textual is loaded when `run` is called."""

from __future__ import annotations

import gc
from pathlib import Path


def run(corpus: Path) -> None:
    """Show the terminal UI for the corpus folder until the user quits.

    The command line calls it, by name.

    Raises:
        ConfigError: The settings name an action or a theme that there is not.
    """
    # What is made until the corpus is open stays: looking through it for garbage is a twentieth of the way to the
    # first paint. `open_corpus` lets it begin.
    gc.disable()

    from structrag.tui.app import StructRAGApp
    from structrag.tui.corpus import open_corpus
    from structrag.tui.settings_in_force import read_appearance

    app = StructRAGApp(corpus, open_corpus, appearance=read_appearance(corpus))
    try:
        app.run()
    finally:
        app.close_corpus()


__all__ = ["run"]
