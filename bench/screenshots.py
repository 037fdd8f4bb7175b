"""Take the screenshots in docs/images: the real terminal UI with real answers of the embedded model.

python bench/screenshots.py --work build/bench
"""

from __future__ import annotations

import argparse
import asyncio
import os
from pathlib import Path

from textual.pilot import Pilot

from structrag import StructRAG
from structrag.corpora import shipped
from structrag.tui.app import StructRAGApp

IMAGES = Path(__file__).resolve().parent.parent / "docs" / "images"
CORPUS = "companies"
QUESTION = "How much money, in thousand euros, do the loans given by Sundmark that mature in 2026 add up to?"
SIZE = (120, 32)


async def press(pilot: Pilot[None], *keys: str) -> None:
    """Press keys, and wait until nothing is under way and no message covers the screen."""
    await pilot.press(*keys)
    await pilot.pause()
    while list(pilot.app.workers):
        await asyncio.sleep(0.1)
    pilot.app.clear_notifications()
    await pilot.pause()


def keep(pilot: Pilot[None], name: str) -> None:
    """Keep what the terminal shows."""
    (IMAGES / f"{name}.svg").write_text(pilot.app.export_screenshot(title="structrag"), encoding="utf-8")


async def take(folder: Path) -> None:
    """Ask in the UI and keep its screens."""
    app = StructRAGApp(folder, StructRAG.open)
    async with app.run_test(size=SIZE) as pilot:
        await press(pilot)
        await press(pilot, *QUESTION, "enter")
        keep(pilot, "ask")
        await press(pilot, "s")
        keep(pilot, "structure")
        await press(pilot, "n", "enter")
        keep(pilot, "source")
        await press(pilot, "escape", "f2")
        keep(pilot, "corpus")
        await press(pilot, "f3", "3")
        keep(pilot, "router")
    app.close_corpus()


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--work", type=Path, default=Path("build/bench"))
    work = (parser.parse_args().work / CORPUS).resolve()
    with StructRAG.open(work) as rag:
        rag.add([corpus.folder for corpus in shipped() if corpus.name == CORPUS])
    # Paths are shown as they are called from here.
    os.chdir(IMAGES.parent.parent)
    IMAGES.mkdir(parents=True, exist_ok=True)
    asyncio.run(take(work))
