"""Compares what the terminal shows with a snapshot that is kept: an SVG, written by Textual itself."""

from __future__ import annotations

import os
import re
from pathlib import Path

from textual.app import App

SNAPSHOTS = Path(__file__).parents[1] / "snapshots"
UPDATE = "UPDATE_SNAPSHOTS"
"""Set in the environment by `make snapshots`: keep what is shown instead of comparing it."""


def check_screen(name: str, app: App[None], actual: Path) -> None:
    """Compare what the terminal shows now with a kept snapshot.

    Args:
        name: The snapshot's file, without ending.
        app: The application, running.
        actual: A folder for what differs.
    """
    shown = _plain(app.export_screenshot(title="structrag"))
    kept = SNAPSHOTS / f"{name}.svg"
    if os.environ.get(UPDATE):
        SNAPSHOTS.mkdir(exist_ok=True)
        kept.write_text(shown, encoding="utf-8")
    if not kept.exists() or kept.read_text(encoding="utf-8") != shown:
        differing = actual / f"{name}.svg"
        differing.write_text(shown, encoding="utf-8")
        raise AssertionError(f"The screen differs from {kept}; it is now {differing}. If that is meant: make snapshots")


def _plain(svg: str) -> str:
    """Take the number out that Textual draws anew every time."""
    return re.sub(r"\bterminal-\d+", "terminal", svg)
