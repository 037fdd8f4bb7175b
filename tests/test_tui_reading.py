"""Asking over some documents, and following the citations of an answer; by keys and mouse."""

from __future__ import annotations

from dataclasses import replace

import pytest
from textual.widgets import Input, OptionList
from tui_doubles import HOSTILE, REPORT, SIZES, ScriptedCorpus, app_for, ask, painted, press, settle, told
from tui_structures import MAKERS, answer_by, at, make_tables

from structrag.tui.dialogs import SourceDialog
from structrag.tui.screen import QuestionScreen

pytestmark = pytest.mark.thorough

# Citations


@SIZES
async def test_citations_in_the_answer_are_followed_by_keys(size: tuple[int, int]) -> None:
    answer = replace(
        answer_by(make_tables(), [at("| Alder |"), at("| Birch |")]), text="Alder [1] and Birch [2], not [7]"
    )
    corpus = ScriptedCorpus(held=[MAKERS], answer=lambda q, s: answer)
    async with app_for(corpus).run_test(size=size) as pilot:
        await settle(pilot)
        await ask(pilot, "q")
        for keys, quote in (
            (["enter"], "| Alder |"),
            (["n", "n", "enter"], "| Birch |"),
            (["p", "enter"], "| Alder |"),
        ):
            await press(pilot, *keys)
            assert isinstance(pilot.app.screen, SourceDialog)
            assert pilot.app.screen._source.quote == quote
            await press(pilot, "escape")
        await press(pilot, "n")
        assert pilot.app.screen.query_one("#citations", OptionList).highlighted == 1


async def test_citations_in_the_answer_are_followed_by_mouse() -> None:
    answer = replace(
        answer_by(make_tables(), [at("| Alder |"), at("| Birch |")]), text="Alder [1] and Birch [2], not [7]"
    )
    corpus = ScriptedCorpus(held=[MAKERS], answer=lambda q, s: answer)
    async with app_for(corpus).run_test(size=(120, 40)) as pilot:
        await settle(pilot)
        await ask(pilot, "q")
        await pilot.click("#answer", offset=(29, 0))  # [7] is none
        await pilot.click("#answer", offset=(2, 0))
        await pilot.pause()
        assert isinstance(pilot.app.screen, QuestionScreen)
        await pilot.click("#answer", offset=(21, 0))
        await pilot.pause()
        assert isinstance(pilot.app.screen, SourceDialog)
        assert pilot.app.screen._source.quote == "| Birch |"


# Scope


@SIZES
async def test_at_completes_document_names_and_asks_over_them(size: tuple[int, int]) -> None:
    held = [REPORT, replace(REPORT, id="two words.md", title=HOSTILE), replace(REPORT, id="birch.md", title="Birch")]
    corpus = ScriptedCorpus(held=held)
    async with app_for(corpus).run_test(size=size) as pilot:
        await settle(pilot)
        field = pilot.app.screen.query_one("#question", Input)
        await press(pilot, "at")
        assert "alder.md · Alder report" in painted(pilot)
        assert f"two words.md · {HOSTILE}" in painted(pilot)
        await press(pilot, "b", "i", "tab")
        assert field.value == "@birch.md "
        assert pilot.app.focused is field
        await press(pilot, *"Who @w", "enter")
        assert field.value == '@birch.md Who @"two words.md" '
        await press(pilot, "backspace", "question_mark", "enter")
        assert corpus.asked == [(f"Who {HOSTILE}?", None)]
        assert corpus.scopes == [("birch.md", "two words.md")]
        assert "over Birch, [bold]x" in painted(pilot)
        # The same documents for another structure, and all for the next question.
        await press(pilot, "2")
        assert corpus.scopes[1] == ("birch.md", "two words.md")
        await ask(pilot, "mail@alder.md?")
        assert corpus.scopes[2] is None


async def test_escape_refuses_an_offer_and_the_arrows_choose_another() -> None:
    corpus = ScriptedCorpus(held=[REPORT, replace(REPORT, id="beta.md", title="B")])
    async with app_for(corpus).run_test(size=(80, 24)) as pilot:
        await settle(pilot)
        field = pilot.app.screen.query_one("#question", Input)
        await press(pilot, "at", "down", "down", "up", "enter")
        assert field.value == "@beta.md "
        await press(pilot, "enter")
        assert corpus.asked == []
        assert "now type what you want to know" in told(pilot)
        await press(pilot, "at", "escape")
        assert not pilot.app.screen.query_one("#offered").display
        assert pilot.app.focused is field


async def test_a_standing_scope_is_shown_and_taken_back() -> None:
    corpus = ScriptedCorpus()
    async with app_for(corpus).run_test(size=(120, 40)) as pilot:
        await settle(pilot)
        screen = pilot.app.screen
        assert isinstance(screen, QuestionScreen)
        screen.scope_to([REPORT.id])
        await ask(pilot, "q")
        assert corpus.scopes == [(REPORT.id,)]
        assert "Asked over Alder report" in painted(pilot)
        await press(pilot, "w")
        await ask(pilot, "q")
        assert corpus.scopes[1] is None
        assert "Asked over" not in painted(pilot)
