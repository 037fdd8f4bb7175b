"""Editing structures in place, taking edits back, and follow-up questions; by keys, and over the real pipeline."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
from textual.pilot import Pilot
from textual.widgets import Input
from tui_doubles import SIZES, ScriptedCorpus, app_for, ask, make_answer, painted, press, settle, start_asking, told
from tui_structures import MAKERS, answer_by, make_algorithm, make_catalogue, make_graph, make_tables

from structrag import StructRAG
from structrag.errors import StoreError
from structrag.models.embedding import Embedder
from structrag.router import FixedRouter
from structrag.structures.edits import describe_edit
from structrag.testing import scripted
from structrag.tui.app import StructRAGApp
from structrag.tui.edit_dialog import EditDialog
from structrag.tui.grid import Grid
from structrag.tui.screen import QuestionScreen
from structrag.types import Structure, StructureType

pytestmark = pytest.mark.thorough


async def write(pilot: Pilot[None], text: str, *, key: str = "i") -> None:
    """Open the dialog on what is under the cursor and write another text."""
    await press(pilot, key)
    assert isinstance(pilot.app.screen, EditDialog)
    pilot.app.screen.query_one("#edited", Input).value = text
    await press(pilot, "enter")


@SIZES
async def test_a_cell_is_edited_in_place_and_the_edit_taken_back(size: tuple[int, int]) -> None:
    answer = answer_by(make_tables(), [])
    corpus = ScriptedCorpus(held=[MAKERS], answer=lambda q, s: answer)
    async with app_for(corpus).run_test(size=size) as pilot:
        await settle(pilot)
        await ask(pilot, "q")
        await press(pilot, "z", "s", "right", "down", "i")
        assert isinstance(pilot.app.screen, EditDialog)
        assert "revenue of Birch" in painted(pilot)
        assert pilot.app.screen.query_one("#edited", Input).value == "99"
        await press(pilot, "escape")
        assert corpus.edits == {}
        await write(pilot, "many")
        assert isinstance(pilot.app.screen, EditDialog)  # it says what is wrong
        assert corpus.edits == {}
        pilot.app.screen.query_one("#edited", Input).value = "57"
        await press(pilot, "enter")
        assert isinstance(pilot.app.screen, QuestionScreen)
        assert [describe_edit(edit) for edit in corpus.edits.values()] == ["revenue of Birch: 99 → 57"]
        assert "✎ 57" in painted(pilot)
        assert isinstance(pilot.app.focused, Grid)
        await press(pilot, "right", "down", "enter")
        assert "edited by a person on 2026-11-22" in painted(pilot)  # the document says something else
        await press(pilot, "escape", "u")
        assert corpus.edits == {}
        assert "✎" not in painted(pilot)
        assert "Taken back: revenue of Birch" in told(pilot)


@pytest.mark.parametrize(
    ("structure", "keys", "text", "said"),
    [
        (make_graph(), [], "Cedar", "is Cedar"),
        (make_graph(), ["right", "down"], "Alder | sells to | Birch", "is now Alder —sells to→ Birch"),
        (make_graph(), ["right", "down"], "", "removed: Alder —buys compressors from→ Birch"),
        (make_algorithm(), ["down", "down"], "Look at the gauge.", "step 1: Look at the gauge."),
        (make_algorithm(), ["down", "down", "right", "down"], "2", "step 1, it shows 0 bar: leads to"),
        (make_algorithm(), ["down", "down", "right", "down"], "Stop.", "step 1, it shows 0 bar: leads to the end"),
        (make_catalogue(), [], "Firms", "topic Makers is called Firms"),
        (make_catalogue(), ["right", "down"], "start-UP", "belongs under Start-up"),
    ],
    ids=["alias", "edge", "edge removed", "step", "way out", "end", "topic", "member"],
)
async def test_items_are_edited_in_place(structure: Structure, keys: list[str], text: str, said: str) -> None:
    answer = answer_by(structure, [])
    corpus = ScriptedCorpus(held=[MAKERS], answer=lambda q, s: answer)
    async with app_for(corpus).run_test(size=(120, 40)) as pilot:
        await settle(pilot)
        await ask(pilot, "q")
        await press(pilot, "s", *keys)
        await write(pilot, text)
        [edit] = corpus.edits.values()
        assert said in describe_edit(edit)
        assert "It counts from the next question on" in told(pilot)


async def test_a_fact_is_added_and_what_is_written_wrongly_is_not() -> None:
    answer = answer_by(make_graph(), [])
    corpus = ScriptedCorpus(held=[MAKERS], answer=lambda q, s: answer)
    async with app_for(corpus).run_test(size=(120, 40)) as pilot:
        await settle(pilot)
        await ask(pilot, "q")
        await press(pilot, "s")
        await write(pilot, "Alder knows Cedar", key="a")
        assert "A fact is written in three parts." in painted(pilot)
        pilot.app.screen.query_one("#edited", Input).value = "Alder | knows | Cedar"
        await press(pilot, "enter")
        [edit] = corpus.edits.values()
        assert describe_edit(edit) == "added: Alder —knows→ Cedar"
        corpus.broken = StoreError("The corpus cannot be written.", hint="Free some space.")
        await write(pilot, "Alder | heads | Cedar", key="a")
        assert "The corpus cannot be written. Free some space." in told(pilot)


async def test_the_structure_of_an_earlier_answer_is_read_and_can_be_edited() -> None:
    earlier = make_answer("What was it?")
    corpus = ScriptedCorpus(held=[MAKERS], earlier=[earlier.to_dict()], kept={earlier.id: make_tables()})
    async with app_for(corpus).run_test(size=(120, 40)) as pilot:
        await settle(pilot)
        pilot.app.screen.query_one("#history").focus()
        await press(pilot, "enter")
        await press(pilot, "s", "right")
        assert "Cedar" in painted(pilot)
        await write(pilot, "57")
        assert "✎ 57" in painted(pilot)


async def test_nothing_is_edited_while_a_question_is_under_way() -> None:
    answer = answer_by(make_tables(), [])
    corpus = ScriptedCorpus(held=[MAKERS], answer=lambda q, s: answer)
    gate = corpus.hold("slow", after_events=True)
    async with app_for(corpus).run_test(size=(120, 40)) as pilot:
        await settle(pilot)
        await start_asking(pilot, "slow")
        for _ in range(20):
            await pilot.pause(0.02)
        await pilot.press("s")
        await pilot.pause()
        await pilot.press("i")
        await pilot.pause()
        assert isinstance(pilot.app.screen, QuestionScreen)
        assert "once the question is answered" in told(pilot)
        gate.set()
        await settle(pilot)


async def test_a_question_may_refer_to_those_before_and_is_shown_as_it_was_understood() -> None:
    corpus = ScriptedCorpus(
        answer=lambda q, s: replace(make_answer(q, s), standalone="Who owns Birch?" if q == "And it?" else "")
    )
    async with app_for(corpus).run_test(size=(120, 40)) as pilot:
        await settle(pilot)
        await ask(pilot, "one")
        await ask(pilot, "And it?")
        assert "understood as: Who owns Birch?" in painted(pilot)
        # Another structure for the same question: it does not follow itself.
        await press(pilot, "2")
        await ask(pilot, "three")
        await ask(pilot, "four")
        await ask(pilot, "five")
        await press(pilot, "x")
        await ask(pilot, "six")
        expected = [
            [],
            ["one"],
            ["one"],
            ["one", "And it?"],
            ["one", "And it?", "three"],
            ["And it?", "three", "four"],
            [],
        ]
        assert corpus.after == expected


async def test_an_edit_counts_for_the_next_question(tmp_path: Path, embedder: Embedder) -> None:
    folder = tmp_path / "demo"
    folder.mkdir()
    (folder / "firms.md").write_text(
        "# Firms\n\n| firm | revenue |\n|---|---|\n| Alder | 412 |\n| Birch | 99 |\n", "utf-8"
    )

    def open_scripted(corpus: Path) -> StructRAG:
        chat, _ = scripted({"Question": {"sql": "SELECT revenue FROM firms WHERE firm = 'Birch'"}})
        return StructRAG.open(corpus, chat=chat, router=FixedRouter(StructureType.TABLE), embedder=embedder)

    app = StructRAGApp(tmp_path / "corpus", open_scripted, demo=lambda: [folder])
    async with app.run_test(size=(120, 40)) as pilot:
        await settle(pilot)
        await press(pilot, "d")
        await ask(pilot, "What is the revenue of Birch?")
        assert "99" in painted(pilot)
        await press(pilot, "s")
        rows = app.screen.query_one(Grid)
        assert [rows.cell_at(row, 0).removeprefix("● ") for row in range(2)] == ["Alder", "Birch"]
        await press(pilot, "right", "down")
        await write(pilot, "57")
        assert "✎ 57" in painted(pilot)
        await press(pilot, "x")
        await ask(pilot, "What is the revenue of Birch?")
        answer = app.screen.inquiry.answer  # type: ignore[attr-defined]
        assert answer.values == ("57",)
        assert "Edited by a person" in answer.text
        await press(pilot, "u", "x")
        await ask(pilot, "What is the revenue of Birch?")
        assert app.screen.inquiry.answer.values == ("99",)  # type: ignore[attr-defined]
    app.close_corpus()
