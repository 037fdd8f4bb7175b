"""Compares what the terminal shows with a snapshot that is kept: an SVG, written by Textual itself."""

from __future__ import annotations

import os
import re
from collections.abc import Awaitable, Callable
from pathlib import Path

from textual.pilot import Pilot
from tui_doubles import settle

from structrag.tui.app import StructRAGApp

SNAPSHOTS = Path(__file__).parents[1] / "snapshots"
UPDATE = "UPDATE_SNAPSHOTS"
"""Set in the environment by `make snapshots`: keep what is shown instead of comparing it."""


async def check_snapshot(
    name: str, app: StructRAGApp, size: tuple[int, int], steps: Callable[[Pilot[None]], Awaitable[None]], actual: Path
) -> None:
    """Take the steps, and compare the screen with its kept snapshot.

    Args:
        name: The snapshot's file, without ending.
        app: The application.
        size: Columns and rows.
        steps: What to do before it is taken.
        actual: A folder for what differs.
    """
    async with app.run_test(size=size) as pilot:
        await settle(pilot)
        await steps(pilot)
        await pilot.pause()
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
