"""The history screen: earlier answers, offline; reopened, asked again, written to files."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from textual.pilot import Pilot
from textual.widgets import Input
from tui_doubles import (
    HOSTILE,
    SIZES,
    ScriptedCorpus,
    TextStructure,
    footer_keys,
    make_answer,
    painted,
    settle,
)

from structrag.errors import ConfigError, StoreError
from structrag.structures.chunk import ChunkSet
from structrag.tui.answer_files import answer_markdown, usual_name, write_answer
from structrag.tui.app import StructRAGApp
from structrag.tui.history import recall
from structrag.tui.history_screen import HistoryScreen
from structrag.tui.rows import Rows
from structrag.tui.screen import QuestionScreen
from structrag.tui.text_prompt import TextPrompt
from structrag.types import Answer, Passage, Span, Structure, StructureType

pytestmark = pytest.mark.thorough

ODD = f"{HOSTILE} \x1b[2J\x1b]0;t\x07\u202eright\u202c a\u200bb 👩‍👩‍👧 [/"
PASSAGES = ChunkSet((Passage(Span("alder.md", 9, 20), "In 2024 Alder", "Alder report", 0.5),))


class KeepingCorpus:
    """A scripted corpus that also finds a kept answer by its id."""

    def __init__(self, **given: Any) -> None:
        self.scripted = ScriptedCorpus(**given)
        self.read: list[str] = []

    def answer(self, answer_id: str) -> Mapping[str, Any]:
        for record in self.scripted.earlier:
            if record["id"] == answer_id:
                return record
        raise StoreError(f"There is no answer {answer_id}.")

    def structure(self, answer: Answer | str) -> Structure | None:
        self.read.append(answer if isinstance(answer, str) else answer.id)
        return recall(self.answer(self.read[-1])).structure

    def __getattr__(self, name: str) -> Any:
        return getattr(self.scripted, name)


def app_for(corpus: KeepingCorpus) -> StructRAGApp:
    return StructRAGApp(Path("my-corpus"), lambda folder: corpus)  # type: ignore[arg-type,return-value]


def kept(question: str, **changes: object) -> dict[str, object]:
    """Return a record as the corpus keeps it, its structure included."""
    answer = make_answer(question, StructureType.CHUNK, **{"structure": PASSAGES, **changes})
    return json.loads(json.dumps(answer.to_dict()))  # type: ignore[no-any-return]


async def open_screen(pilot: Pilot[None]) -> None:
    await settle(pilot)
    await pilot.press("f4")
    await settle(pilot)
    assert isinstance(pilot.app.screen, HistoryScreen)


def questions(pilot: Pilot[None]) -> list[str]:
    rows = pilot.app.screen.query_one(Rows)
    return [rows.row_at(index).cells[1] for index in range(rows.row_count)]


@SIZES
async def test_lists_questions_with_route_answer_and_usage(size: tuple[int, int]) -> None:
    corpus = KeepingCorpus(earlier=[kept("First?"), kept("Second?", grounded=False, text="It is not known.")])
    async with app_for(corpus).run_test(size=size) as pilot:
        await open_screen(pilot)
        assert questions(pilot) == ["First?", "Second?"]
        shown = painted(pilot)
        assert "412 million EUR [1]" in shown
        assert "Route table (62%), runner-up graph; answered by the chunk." in " ".join(shown.split())
        assert "320 tokens, 2.3 s" in " ".join(shown.split())
        await pilot.press("down")
        await pilot.pause()
        assert "It is not known." in painted(pilot)
        assert "No verified evidence supports this answer." in painted(pilot)
        assert footer_keys(pilot) == ["Ask again", "Export", "Filter", "Back", "Quit", "Help"]
        await pilot.press("escape")
        await pilot.pause()
        assert isinstance(pilot.app.screen, QuestionScreen)


@SIZES
async def test_an_empty_history_says_so(size: tuple[int, int]) -> None:
    async with app_for(KeepingCorpus()).run_test(size=size) as pilot:
        await open_screen(pilot)
        assert "No question has been asked yet." in painted(pilot)
        await pilot.press("enter", "a", "e", "y")
        await settle(pilot)
        assert isinstance(pilot.app.screen, HistoryScreen)


@SIZES
async def test_words_filter_question_answer_structure_and_router(size: tuple[int, int]) -> None:
    corpus = KeepingCorpus(earlier=[kept("Who is ALDER?"), kept("Who is Birch?", text="A tree in the north.")])
    async with app_for(corpus).run_test(size=size) as pilot:
        await open_screen(pilot)
        for typed, expected in {
            "alder who": ["Who is ALDER?"],
            "NORTH": ["Who is Birch?"],
            "chunk": ["Who is ALDER?", "Who is Birch?"],
            "zebra": [],
        }.items():
            await pilot.press("slash")
            pilot.app.screen.query_one("#filter", Input).value = typed
            await pilot.pause()
            assert questions(pilot) == expected
        assert "No question fits; Escape shows all." in painted(pilot)
        await pilot.press("escape")
        await pilot.pause()
        assert len(questions(pilot)) == 2
        await pilot.press("slash", *"birch", "enter", "enter")
        await settle(pilot)
        assert isinstance(pilot.app.screen, QuestionScreen)
        assert "A tree in the north." in painted(pilot)


@SIZES
async def test_an_answer_is_reopened_with_its_structure_and_without_asking(size: tuple[int, int]) -> None:
    corpus = KeepingCorpus(earlier=[kept("First?")])
    async with app_for(corpus).run_test(size=size) as pilot:
        await open_screen(pilot)
        await pilot.press("enter")
        await settle(pilot)
        screen = pilot.app.screen
        assert isinstance(screen, QuestionScreen)
        assert "412 million EUR [1]" in painted(pilot)
        assert corpus.asked == []
        assert corpus.read == ["answer-First?"]  # with the edits that count now
        await pilot.press("s")
        await settle(pilot)
        assert "In 2024 Alder" in painted(pilot)


async def test_a_question_is_asked_again_over_the_same_documents() -> None:
    corpus = KeepingCorpus(earlier=[kept("And there?", standalone="And in Oslo?", scope=("alder.md",))])
    async with app_for(corpus).run_test(size=(120, 40)) as pilot:
        await open_screen(pilot)
        assert "Understood as: And in Oslo?" in painted(pilot)
        await pilot.press("a")
        await settle(pilot)
        assert isinstance(pilot.app.screen, QuestionScreen)
        assert corpus.asked == [("And in Oslo?", None)]
        assert corpus.scopes == [("alder.md",)]


async def test_y_copies_the_answer() -> None:
    corpus = KeepingCorpus(earlier=[kept("First?", text="412\x1b[31m million")])
    async with app_for(corpus).run_test() as pilot:
        await open_screen(pilot)
        await pilot.press("y")
        assert pilot.app.clipboard == "412 million"


@SIZES
async def test_an_answer_is_written_and_nothing_is_overwritten(
    size: tuple[int, int], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    corpus = KeepingCorpus(earlier=[kept("What is it, in EUR?")])
    async with app_for(corpus).run_test(size=size) as pilot:
        await open_screen(pilot)
        await pilot.press("e")
        await pilot.pause()
        assert isinstance(pilot.app.screen, TextPrompt)
        await pilot.press("enter")
        await settle(pilot)
        text = Path("what-is-it-in-eur.md").read_text(encoding="utf-8")
        assert text.startswith("# What is it, in EUR?\n\n412 million EUR")
        assert Path("what-is-it-in-eur-chunk.md").is_file()
        await pilot.press("e", "enter")
        await settle(pilot)
        assert "is there already, so nothing was written" in " ".join(
            notification.message for notification in pilot.app._notifications
        )
        assert Path("what-is-it-in-eur.md").read_text(encoding="utf-8") == text
        await pilot.press("e", "escape")
        await pilot.pause()
        assert len(list(tmp_path.iterdir())) == 2


@SIZES
async def test_hostile_questions_and_answers_are_shown_as_text(size: tuple[int, int]) -> None:
    corpus = KeepingCorpus(earlier=[kept(ODD, text=f"{ODD} {'long ' * 200_000}", standalone=ODD)])
    async with app_for(corpus).run_test(size=size) as pilot:
        await open_screen(pilot)
        shown = painted(pilot)
        assert shown.count("[bold]x[/bold]") >= 3
        assert "\x1b" not in shown
        assert "\u202e" not in shown
        assert pilot.app.is_running


async def test_an_answer_that_is_gone_is_said() -> None:
    corpus = KeepingCorpus(earlier=[kept("First?")])
    async with app_for(corpus).run_test() as pilot:
        await open_screen(pilot)
        corpus.scripted.earlier.clear()
        await pilot.press("enter")
        await settle(pilot)
        assert isinstance(pilot.app.screen, HistoryScreen)
        assert "There is no answer answer-First?." in [n.message for n in pilot.app._notifications]


async def test_a_history_that_cannot_be_read_is_said() -> None:
    corpus = KeepingCorpus()
    async with app_for(corpus).run_test() as pilot:
        await settle(pilot)

        def fail(limit: int = 50) -> list[dict[str, object]]:
            raise StoreError("corpus.sqlite [b]is[/b] damaged.", hint="Restore it.")

        corpus.answers = fail
        await pilot.press("f4")
        await settle(pilot)
        assert "corpus.sqlite [b]is[/b] damaged.\nRestore it." in [n.message for n in pilot.app._notifications]


# Without a screen


def test_an_answer_comes_back_with_its_structure_and_scope() -> None:
    answer = make_answer(
        "q", StructureType.CHUNK, structure=PASSAGES, unedited=PASSAGES, scope=("a", "b"), standalone="Q?"
    )
    record = json.loads(json.dumps(answer.to_dict()))
    assert recall(record) == answer
    assert recall(record, with_structure=False) == replace(answer, structure=None, unedited=None)


def test_an_answer_of_an_older_version_comes_back_without_what_it_lacks() -> None:
    record = {name: value for name, value in kept("q").items() if name not in ("scope", "standalone", "built")}
    answer = recall(record)
    assert (answer.scope, answer.standalone, answer.structure) == (None, "", None)


def test_a_damaged_structure_does_not_take_its_answer_with_it() -> None:
    assert recall(kept("q", structure=TextStructure(StructureType.TABLE))).structure is None
    assert recall(kept("q") | {"built": {"type": "zebra"}}).structure is None


def test_markdown_of_an_answer_shows_everything_and_obeys_nothing() -> None:
    answer = make_answer(ODD, StructureType.CHUNK, structure=PASSAGES, text="<b>No</b> *one*\n# two")
    text = answer_markdown(replace(answer, grounded=False))
    assert "\x1b" not in text
    assert "<b>" not in text.replace("\\<b", "")
    assert "\\# two" in text
    assert "No verified evidence supports this answer." in text
    assert "- table: 62%" in text
    assert "2 calls, 320 tokens, 2.3 s." in text
    assert "## Structure" in text
    assert "In 2024 Alder" in text


def test_names_of_files_are_harmless() -> None:
    assert usual_name(make_answer("../../etc/passwd: \x1b[31mwho?")) == "etc-passwd-who.md"
    assert usual_name(make_answer("???", id="a1")) == "a1.md"


def test_what_cannot_be_written_is_an_error(tmp_path: Path) -> None:
    answer = make_answer("q", StructureType.CHUNK, structure=PASSAGES)
    with pytest.raises(ConfigError, match="cannot be written"):
        write_answer(answer, tmp_path / "no" / "such.md")
    (tmp_path / "a-chunk.md").write_text("mine", encoding="utf-8")
    with pytest.raises(ConfigError, match=r"a-chunk\.md is there already"):
        write_answer(answer, tmp_path / "a.md")
    assert not (tmp_path / "a.md").exists()
    written = write_answer(replace(answer, structure=None), tmp_path / "b.md")
    assert [path.name for path in written] == ["b.md"]
