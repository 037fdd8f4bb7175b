"""The terminal UI over the real pipeline: only the model's replies are scripted."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from textual.content import Content
from textual.pilot import Pilot
from textual.widgets import Input, Markdown, OptionList, Static

from structrag import StructRAG
from structrag.corpus.store import CorpusStore
from structrag.errors import ModelError
from structrag.models.embedding import Embedder
from structrag.router import FixedRouter
from structrag.testing import scripted
from structrag.tui.app import StructRAGApp
from structrag.tui.panes import Panes, Place
from structrag.types import StructureType

SENTENCE = "In 2024 the company had a revenue of 412 million EUR."
SCRIPT = {
    "You check an answer": {"yes": 0.95, "no": 0.05},
    "from numbered items": {"item": 1, "answer": "412 million EUR"},
    # Whatever else a structure asks for: it gets no answer, and the app goes on.
    "": lambda prompt: ModelError("The model has gone."),
}


@pytest.fixture
def demo(tmp_path: Path) -> Path:
    folder = tmp_path / "demo"
    folder.mkdir()
    (folder / "alder.md").write_text(f"# Alder report\n\nAlder makes ladders. {SENTENCE}\n", encoding="utf-8")
    (folder / "birch.md").write_text("# Birch report\n\nBirch grows trees in the north.\n", encoding="utf-8")
    return folder


@pytest.fixture
def app(tmp_path: Path, demo: Path, embedder: Embedder) -> Iterator[StructRAGApp]:
    def open_scripted(folder: Path) -> StructRAG:
        chat, _ = scripted(SCRIPT)
        return StructRAG.open(folder, chat=chat, router=FixedRouter(StructureType.CHUNK), embedder=embedder)

    app = StructRAGApp(tmp_path / "corpus", open_scripted, demo=lambda: [demo])
    yield app
    app.close_corpus()


async def settle(pilot: Pilot[None]) -> None:
    """Wait until no worker is left and all that they reported has been dealt with."""
    await pilot.pause()
    while list(pilot.app.workers):
        await pilot.app.workers.wait_for_complete()
        await pilot.pause()
    await pilot.pause()


async def test_from_an_empty_corpus_to_the_source_of_an_answer(app: StructRAGApp, tmp_path: Path) -> None:
    async with app.run_test(size=(120, 40)) as pilot:
        await settle(pilot)
        await pilot.press("d")
        await settle(pilot)
        assert app.screen.query_one("#documents", OptionList).option_count == 2

        app.screen.query_one("#question", Input).value = "What was the revenue of Alder in 2024?"
        await pilot.press("enter")
        await settle(pilot)
        assert "412 million EUR" in app.screen.query_one("#answer", Markdown).source
        citations = app.screen.query_one("#citations", OptionList)
        assert citations.option_count == 1

        # An override over the same corpus: another structure is tried, and the preference is in the store.
        await pilot.press("3")
        await settle(pilot)
        with CorpusStore.open(tmp_path / "corpus" / "corpus.sqlite") as store:
            kept = [preference.payload for preference in store.preferences()]
        assert [(pair["chosen"], pair["rejected"]) for pair in kept] == [("algorithm", "chunk")]

        # The first answer is still there, from which the citation leads to its sentence.
        app.screen.query_one("#history").focus()
        await pilot.press("end", "enter")
        await settle(pilot)
        app.screen.query_one(Panes).see(Place.EVIDENCE)
        await pilot.press("enter")
        await pilot.pause()
        quoted = app.screen.query_one("#quoted", Static).content
        assert isinstance(quoted, Content)
        assert [quoted.plain[span.start : span.end] for span in quoted.spans] == [SENTENCE]
        assert quoted.plain == f"Alder makes ladders. {SENTENCE}"
