"""The screens over a real corpus folder: files are read, indexed, asked, removed; only model and embedder are doubles."""

from __future__ import annotations

import asyncio
import zlib
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray
from textual.pilot import Pilot
from textual.widgets import DirectoryTree, Input
from tui_doubles import painted

from structrag import StructRAG
from structrag.router import FixedRouter
from structrag.testing import scripted
from structrag.tui.app import StructRAGApp
from structrag.tui.rows import Rows
from structrag.tui.screen import QuestionScreen
from structrag.types import StructureType

SENTENCE = "In 2024 the company had a revenue of 412 million EUR."
SCRIPT = {
    "You check an answer": {"yes": 0.95, "no": 0.05},
    "from numbered items": {"item": 1, "answer": "412 million EUR"},
}
MakeFolder = Callable[[dict[str, str]], Path]


class HashingEmbedder:
    """Bags of words, so that no test waits for a real model."""

    name = "hashing"

    def embed(self, texts: Sequence[str]) -> NDArray[np.float32]:
        rows = np.full((len(texts), 64), 1e-3, dtype=np.float32)
        for row, text in zip(rows, texts, strict=True):
            for word in text.lower().split():
                row[zlib.crc32(word.encode()) % 64] += 1
        return np.asarray(rows / np.linalg.norm(rows, axis=1, keepdims=True), dtype=np.float32)


@pytest.fixture
def app(tmp_path: Path) -> Iterator[StructRAGApp]:
    def open_scripted(folder: Path) -> StructRAG:
        chat, _ = scripted(SCRIPT)
        return StructRAG.open(folder, chat=chat, router=FixedRouter(StructureType.CHUNK), embedder=HashingEmbedder())

    app = StructRAGApp(tmp_path / "corpus", open_scripted)
    yield app
    app.close_corpus()


async def settle(pilot: Pilot[None]) -> None:
    """Wait until no worker is left but those that keep the tree of a dialog up to date."""
    await pilot.pause()
    while under_way := [w for w in pilot.app.workers if not isinstance(w.node, DirectoryTree)]:
        await pilot.app.workers.wait_for_complete(under_way)
        await pilot.pause()
    await pilot.pause()


def listed(pilot: Pilot[None]) -> list[str]:
    rows = pilot.app.screen.query_one(Rows)
    return [" ".join(rows.row_at(index).cells[:2]) for index in range(rows.row_count)]


async def test_from_files_to_an_answer_to_its_history(app: StructRAGApp, make_folder: MakeFolder) -> None:
    folder = make_folder({"alder.md": f"# Alder report\n\nAlder makes ladders. {SENTENCE}\n", "sub/empty.md": " \n"})
    async with app.run_test(size=(120, 40)) as pilot:
        await settle(pilot)
        await pilot.press("f2")
        await settle(pilot)
        await pilot.press("a")
        await pilot.pause()
        pilot.app.screen.query_one("#path", Input).value = str(folder)
        await pilot.press("enter")
        await settle(pilot)
        assert listed(pilot) == ["✗ sub/empty.md", "● Alder report"]
        assert "no text" in painted(pilot)

        await pilot.press("escape")
        await settle(pilot)
        assert isinstance(pilot.app.screen, QuestionScreen)
        pilot.app.screen.query_one("#question", Input).value = "What was the revenue of Alder in 2024?"
        await pilot.press("enter")
        await settle(pilot)
        assert "412 million EUR" in painted(pilot)

        await pilot.press("f4")
        await settle(pilot)
        assert listed(pilot) == ["● What was the revenue of Alder in 2024?"]
        await pilot.press("enter")
        await settle(pilot)
        await pilot.press("s")
        await settle(pilot)
        assert "Alder makes ladders." in " ".join(painted(pilot).split())

        await pilot.press("f2")
        await settle(pilot)
        await pilot.press("end", "x", "y")
        await settle(pilot)
        assert [line for line in listed(pilot) if "●" in line] == []
        await pilot.press("escape")
        await settle(pilot)
        assert pilot.app.screen.query_one("#question").disabled


async def test_a_folder_that_is_added_again_is_brought_up_to_date(app: StructRAGApp, make_folder: MakeFolder) -> None:
    folder = make_folder({f"{name}.md": f"About {name}." for name in ("alder", "birch", "cedar")})
    async with app.run_test(size=(120, 40)) as pilot:
        await settle(pilot)
        await pilot.press("f2")
        await settle(pilot)
        for change in (lambda: None, (folder / "birch.md").unlink):
            await asyncio.to_thread(change)
            await pilot.press("a")
            await pilot.pause()
            pilot.app.screen.query_one("#path", Input).value = str(folder)
            await pilot.press("enter")
            await settle(pilot)
        assert listed(pilot) == ["● About alder.", "● About cedar."]
