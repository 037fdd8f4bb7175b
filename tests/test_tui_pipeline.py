"""The terminal UI over the real pipeline: only the model's replies are scripted."""

from __future__ import annotations

import asyncio
import gc
import sys
from collections.abc import Iterator
from pathlib import Path
from subprocess import PIPE

import pytest
from textual.content import Content
from textual.widgets import DataTable, Input, OptionList, Static
from tui_doubles import settle

from structrag import StructRAG
from structrag.corpus.store import CorpusStore
from structrag.errors import ModelError
from structrag.models.embedding import Embedder
from structrag.router import FixedRouter
from structrag.testing import scripted
from structrag.tui.answer_text import AnswerText
from structrag.tui.app import StructRAGApp
from structrag.tui.calls import CallsDialog
from structrag.tui.compare import CompareScreen
from structrag.tui.corpus import open_corpus
from structrag.tui.panes import Panes, Place
from structrag.tui.views.chunks import ChunkView
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


async def test_from_an_empty_corpus_to_the_source_of_an_answer(app: StructRAGApp, tmp_path: Path) -> None:
    async with app.run_test(size=(120, 40)) as pilot:
        await settle(pilot)
        await pilot.press("d")
        await settle(pilot)
        assert app.screen.query_one("#documents", OptionList).option_count == 2

        app.screen.query_one("#question", Input).value = "What was the revenue of Alder in 2024?"
        await pilot.press("enter")
        await settle(pilot)
        assert "412 million EUR" in app.screen.query_one(AnswerText).text
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


async def test_looking_behind_an_answer(app: StructRAGApp, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    async with app.run_test(size=(120, 40)) as pilot:
        await settle(pilot)
        await pilot.press("d")
        await settle(pilot)
        app.screen.query_one("#question", Input).value = "@alder.md What was the revenue of Alder in 2024?"
        await pilot.press("enter")
        await settle(pilot)

        # The view of the structure: only passages of the document that was named, and Enter opens the sentence.
        await pilot.press("s")
        await settle(pilot)
        view = app.screen.query_one(ChunkView)
        assert {citation.evidence.quote for citation in view.use.citations} == {SENTENCE}
        assert app.screen.query_one("#passages", OptionList).option_count == 1
        await pilot.press("enter")
        await settle(pilot)
        quoted = app.screen.query_one("#quoted", Static).content
        assert isinstance(quoted, Content)
        assert SENTENCE in quoted.plain
        await pilot.press("escape")

        # What the model received, as it went out.
        await pilot.press("m")
        await settle(pilot)
        assert isinstance(app.screen, CallsDialog)
        await pilot.press("y")
        assert SENTENCE in app.clipboard
        await pilot.press("escape")

        await pilot.press("e", "enter")
        await settle(pilot)
        [written] = [path for path in tmp_path.iterdir() if path.is_file()]
        assert SENTENCE in written.read_text("utf-8")

        # All five: the chunk's answer is there, and what fails says so; Enter shows a marked answer.
        await pilot.press("c")
        await settle(pilot)
        assert isinstance(app.screen, CompareScreen)
        rows = [[str(cell) for cell in app.screen.query_one(DataTable).get_row_at(n)] for n in range(5)]
        assert rows[4][1:3] == ["chunk", "yes"]
        assert any("The model has gone." in row[-1] for row in rows)
        await pilot.press("end", "ctrl+end", "enter")
        await settle(pilot)
        assert "412 million EUR" in app.screen.query_one(AnswerText).text

        # The override is recorded, and taken back.
        await pilot.press("3")
        await settle(pilot)
        await pilot.press("u")
        await settle(pilot)
        with CorpusStore.open(tmp_path / "corpus" / "corpus.sqlite") as store:
            assert list(store.preferences()) == []


def test_garbage_is_collected_once_the_corpus_is_open(tmp_path: Path) -> None:
    gc.disable()
    try:
        open_corpus(tmp_path / "corpus").close()
        assert gc.isenabled()
        assert gc.get_freeze_count() > 0
    finally:
        gc.enable()
        gc.unfreeze()
        gc.set_threshold(700, 10, 10)


@pytest.mark.thorough
async def test_what_another_process_adds_meanwhile_is_answered_from(
    app: StructRAGApp, tmp_path: Path, demo: Path
) -> None:
    corpus = tmp_path / "corpus"
    with StructRAG.open(corpus) as rag:
        rag.add([demo / "birch.md"])
    async with app.run_test(size=(120, 40)) as pilot:
        await settle(pilot)
        assert app.screen.query_one("#documents", OptionList).option_count == 1
        command = [sys.executable, "-m", "structrag", "--corpus", str(corpus), "add", str(demo / "alder.md")]
        child = await asyncio.create_subprocess_exec(*command, stdout=PIPE, stderr=PIPE)
        while child.returncode is None:
            await pilot.press("h", "i", "backspace", "backspace")
            await asyncio.sleep(0.05)
        told, said = await child.communicate()
        assert child.returncode == 0, (told, said)
        app.screen.query_one("#question", Input).value = "What was the revenue of Alder in 2024?"
        await pilot.press("enter")
        await settle(pilot)
        assert "412 million EUR" in app.screen.query_one(AnswerText).text
        await pilot.press("f2")
        await settle(pilot)
        await pilot.press("f2")
        await settle(pilot)
        assert app.screen.query_one("#documents", OptionList).option_count == 2
