"""Take the screenshots in docs/images: the real terminal UI with real answers of the embedded model.

python bench/screenshots.py --work build/bench
"""

from __future__ import annotations

import argparse
import asyncio
from pathlib import Path

from structrag import StructRAG
from structrag.corpora import shipped
from structrag.tui.app import StructRAGApp

IMAGES = Path(__file__).parent.parent / "docs" / "images"
CORPUS = "companies"
QUESTION = "How much money, in thousand euros, do the loans given by Sundmark that mature in 2026 add up to?"
SIZE = (120, 36)


async def take(folder: Path) -> None:
    """Ask in the UI, wait for the answer, and keep the screen."""
    app = StructRAGApp(folder, StructRAG.open)
    async with app.run_test(size=SIZE) as pilot:
        await app.workers.wait_for_complete()
        await pilot.pause()
        await pilot.press(*QUESTION, "enter")
        await app.workers.wait_for_complete()
        await pilot.pause()
        (IMAGES / "ask.svg").write_text(app.export_screenshot(title="structrag"), encoding="utf-8")
    app.close_corpus()


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--work", type=Path, default=Path("build/bench"))
    work = parser.parse_args().work / CORPUS
    with StructRAG.open(work) as rag:
        rag.add([corpus.folder for corpus in shipped() if corpus.name == CORPUS])
    IMAGES.mkdir(parents=True, exist_ok=True)
    asyncio.run(take(work))
