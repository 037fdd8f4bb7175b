"""What once ended the application, or did something else than what the user wanted; driven by keys."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
from textual.pilot import Pilot
from textual.widgets import Input
from tui_doubles import (
    REPORT,
    ScriptedCorpus,
    app_for,
    ask,
    make_answer,
    painted,
    press,
    settle,
    start_asking,
    state,
    told,
)
from tui_structures import MAKERS, answer_by, make_tables

from structrag.errors import ConfigError, StoreError
from structrag.events import DocumentAdded, EventListener, ignore_event
from structrag.structures.edits import Edit
from structrag.tui.answer_files import write_answer
from structrag.tui.compare import CompareScreen
from structrag.tui.confirmation import Confirmation
from structrag.tui.dialogs import HelpDialog
from structrag.tui.edit_dialog import EditDialog
from structrag.tui.history import recall
from structrag.tui.key_help import further_meanings, meanings
from structrag.tui.requests import QuestionRepeated, ScopeWanted
from structrag.tui.screen import QuestionScreen
from structrag.tui.state import State
from structrag.tui.views.table import TableView
from structrag.tui.views.view import Editable
from structrag.types import AddedDocument, AddReport, EditMark, SourceDocument, StructureType

pytestmark = pytest.mark.thorough

OTHER = SourceDocument(id="birch.md", title="Birch report", text="Birch grew.", sha256="1")


class SlowDemo(ScriptedCorpus):
    """A corpus that adds its first document only once it may."""

    def __init__(self) -> None:
        super().__init__(held=[])
        self.gate = threading.Event()
        self.did_go_on = False

    def add(self, paths: object, *, listener: EventListener = ignore_event) -> AddReport:
        assert self.gate.wait(30)
        self.held.append(REPORT)
        document = AddedDocument(REPORT.id, "added")
        listener(DocumentAdded(document, 1, 2))
        self.did_go_on = True
        return AddReport((document,))


async def until(pilot: Pilot[None], holds: Callable[[], bool]) -> None:
    for _ in range(400):
        await pilot.pause()
        if holds():
            return
        await asyncio.sleep(0.02)
    raise AssertionError(f"never came to hold:\n{painted(pilot)}")


# Files


@pytest.mark.parametrize("typed", ["~nobody-of-that-name/x.md", ".", "/", "a\0b.md", f"{'x' * 300}.md"])
def test_a_path_that_cannot_be_one_is_an_error(typed: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    with pytest.raises(ConfigError):
        write_answer(answer_by(make_tables(), []), typed)
    assert list(tmp_path.iterdir()) == []


# Documents that the ask screen has not heard of


async def test_a_document_of_another_program_can_be_asked_over() -> None:
    corpus = ScriptedCorpus()
    async with app_for(corpus).run_test(size=(120, 40)) as pilot:
        await settle(pilot)
        pilot.app.post_message(ScopeWanted(("unheard.md",)))
        await settle(pilot)
        assert "Asked over unheard.md" in painted(pilot)
        corpus.held.append(OTHER)
        await press(pilot, "escape", "f2")
        await press(pilot, "down", "s")
        assert isinstance(pilot.app.screen, QuestionScreen)
        assert "Asked over Birch report" in painted(pilot)


# Closing


async def test_a_dialog_is_closed_once() -> None:
    answers: list[bool | None] = []
    async with app_for(ScriptedCorpus()).run_test() as pilot:
        await settle(pilot)
        dialog = Confirmation("Really?", yes="Yes")
        pilot.app.push_screen(dialog, answers.append)
        await pilot.pause()
        for _ in range(3):
            dialog.action_answer(True)
        await settle(pilot)
        assert answers == [True]
        assert isinstance(pilot.app.screen, QuestionScreen)
        help_dialog = HelpDialog()
        pilot.app.push_screen(help_dialog)
        await pilot.pause()
        pilot.app.push_screen(Confirmation("On top?", yes="Yes"))
        await pilot.pause()
        help_dialog.dismiss()
        assert isinstance(pilot.app.screen, Confirmation)


# The corpus in use


async def test_the_model_is_not_changed_under_a_cancelled_question_that_goes_on() -> None:
    corpus = ScriptedCorpus()
    gate = corpus.hold("q")
    async with app_for(corpus).run_test() as pilot:
        await settle(pilot)
        await start_asking(pilot, "q")
        await until(pilot, lambda: corpus.asked == [("q", None)])
        await pilot.press("escape", "f5")
        await pilot.pause()
        pilot.app.screen.query_one("#model", Input).focus()
        await pilot.press(*"other", "enter")
        await pilot.pause()
        assert corpus.closed == 0
        assert "Something is under way." in told(pilot)
        gate.set()
        assert await asyncio.to_thread(corpus.ended["q"].wait, 30)


# Views and edits


async def test_a_key_after_the_next_table_means_the_table_that_is_shown() -> None:
    answer = answer_by(make_tables(), [])
    async with app_for(ScriptedCorpus(held=[MAKERS], answer=lambda q, s: answer)).run_test(size=(120, 40)) as pilot:
        await settle(pilot)
        await ask(pilot, "q")
        await press(pilot, "s")
        view = pilot.app.screen.query_one(TableView)
        before = view.editable()
        smaller = replace(view._tables.tables[0], columns=view._tables.tables[0].columns[:1], rows=())
        view._tables = replace(view._tables, tables=(view._tables.tables[0], smaller))
        view.action_next_table()
        view.action_sort()
        after = view.editable()
        assert before is not None
        assert after is not None
        assert (after.title, after.text) == (before.title, before.text)
        await settle(pilot)
        assert view.editable() is None


async def test_an_unchanged_or_too_long_text_is_no_edit() -> None:
    def make(text: str) -> Edit:
        raise AssertionError(text)

    kept: list[Edit | None] = []
    async with app_for(ScriptedCorpus()).run_test() as pilot:
        await settle(pilot)
        pilot.app.push_screen(EditDialog(Editable("A cell", "99", make)), kept.append)
        await press(pilot, "enter")
        pilot.app.push_screen(EditDialog(Editable("A cell", "x" * 2001, make)), kept.append)
        await press(pilot, "enter")
        assert isinstance(pilot.app.screen, EditDialog)
        assert "This text has 2,001 characters" in painted(pilot)
        await press(pilot, "escape")
        assert kept == [None, None]


# Preferences and citations


async def test_who_thinks_better_of_a_structure_prefers_the_last_one_only() -> None:
    corpus = ScriptedCorpus()
    async with app_for(corpus).run_test(size=(120, 40)) as pilot:
        await settle(pilot)
        await ask(pilot, "q")
        gate = corpus.hold("q")
        await pilot.press("2")
        await until(pilot, lambda: len(corpus.asked) == 2)
        await pilot.press("3")
        gate.set()
        await settle(pilot)
        assert corpus.preferred == [("answer-q", StructureType.ALGORITHM)]
        gate.clear()
        await pilot.press("4")
        await until(pilot, lambda: len(corpus.asked) == 4)
        await pilot.press("3")  # back to what there was
        gate.set()
        await settle(pilot)
        assert state(pilot) is State.ANSWERED
        assert len(corpus.preferred) == 1


async def test_what_could_not_be_taken_back_can_be_tried_again() -> None:
    corpus = ScriptedCorpus()
    async with app_for(corpus).run_test(size=(120, 40)) as pilot:
        await settle(pilot)
        await ask(pilot, "q")
        await press(pilot, "2")
        corpus.broken = StoreError("corpus.sqlite is locked.")
        await press(pilot, "u")
        corpus.broken = None
        await press(pilot, "u")
        assert corpus.undone == [1]


async def test_enter_opens_no_citation_of_the_answer_before() -> None:
    corpus = ScriptedCorpus()
    async with app_for(corpus).run_test(size=(120, 40)) as pilot:
        await settle(pilot)
        await ask(pilot, "q")
        gate = corpus.hold("another")
        await start_asking(pilot, "another")
        await pilot.press("enter")
        await pilot.pause()
        assert isinstance(pilot.app.screen, QuestionScreen)
        gate.set()
        await settle(pilot)


# Adding and searching


async def test_the_loading_of_the_demo_is_stopped() -> None:
    corpus = SlowDemo()
    async with app_for(corpus).run_test(size=(120, 40)) as pilot:
        await settle(pilot)
        await pilot.press("d", "escape")
        await pilot.pause()
        assert "Stopping" in painted(pilot)
        corpus.gate.set()
        await until(pilot, lambda: state(pilot) is State.READY)
        assert not corpus.did_go_on


async def test_escape_leaves_the_search_before_it_stops_the_adding() -> None:
    corpus = SlowDemo()
    async with app_for(corpus).run_test(size=(120, 40)) as pilot:
        await settle(pilot)
        await press(pilot, "f2")
        await pilot.press("d", "slash", *"alder", "escape")
        await pilot.pause()
        assert pilot.app.screen.query_one("#search", Input).value == ""
        corpus.gate.set()
        await settle(pilot)
        assert corpus.did_go_on


# Comparing


async def test_another_screen_closes_the_comparison_first() -> None:
    corpus = ScriptedCorpus(answer=lambda q, s: make_answer(q, s, standalone="" if s else "q in full"))
    async with app_for(corpus).run_test(size=(120, 40)) as pilot:
        await settle(pilot)
        await ask(pilot, "q")
        await press(pilot, "c")
        assert isinstance(pilot.app.screen, CompareScreen)
        assert {question for question, _ in corpus.asked[1:]} == {"q in full"}
        await press(pilot, "f2")
        await press(pilot, "f2")
        assert isinstance(pilot.app.screen, QuestionScreen)


async def test_a_question_is_not_repeated_over_one_that_is_under_way() -> None:
    corpus = ScriptedCorpus()
    gate = corpus.hold("q")
    async with app_for(corpus).run_test() as pilot:
        await settle(pilot)
        await start_asking(pilot, "q")
        pilot.app.post_message(QuestionRepeated("another", None))
        await pilot.pause()
        gate.set()
        await settle(pilot)
        assert corpus.asked == [("q", None)]


# What is known


def test_the_marks_of_edits_come_back_with_a_citation() -> None:
    answer = make_answer("q", structure=None)
    mark = EditMark(3, "person", "2026-11-22T10:00:00+00:00", "57", "99")
    citation = replace(answer.citations[0], evidence=replace(answer.citations[0].evidence, edits=(mark,)))
    assert recall(replace(answer, citations=(citation,)).to_dict()).citations == (citation,)


async def test_help_and_palette_name_what_is_inherited_and_what_typing_hides() -> None:
    answer = answer_by(make_tables(), [])
    async with app_for(ScriptedCorpus(held=[MAKERS], answer=lambda q, s: answer)).run_test(size=(120, 40)) as pilot:
        await settle(pilot)
        await ask(pilot, "q")
        await press(pilot, "s")
        keys = {each.keys for each in meanings(pilot.app.screen)}
        assert {"i", "f2", "f3", "f4", "f5", "^o"} <= {key.lower() for key in keys}
        assert further_meanings(pilot.app.screen) == []
        await press(pilot, "slash")
        focused = pilot.app.focused
        actions = {each.action for each in further_meanings(pilot.app.screen)}
        assert {"compare", "show_route"} <= actions
        assert pilot.app.focused is focused
