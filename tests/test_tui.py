"""The terminal UI, driven by keys and read as it is painted, in a small and in a large terminal."""

from __future__ import annotations

import asyncio
import re
import threading
from dataclasses import replace
from pathlib import Path

import pytest
from textual.pilot import Pilot
from textual.widgets import Input
from tui_doubles import (
    HOSTILE,
    QUOTE,
    REPORT,
    SIZES,
    ScriptedCorpus,
    TextStructure,
    app_for,
    ask,
    footer_keys,
    make_answer,
    painted,
    settle,
    start_asking,
    state,
    told,
)

from structrag.errors import ModelError, StoreError
from structrag.tui.app import StructRAGApp
from structrag.tui.dialogs import HelpDialog
from structrag.tui.screen import QuestionScreen
from structrag.tui.state import State
from structrag.types import Answer, Citation, Evidence, Span, StructureType, TraceStep


@SIZES
async def test_paints_the_input_before_the_corpus_is_open(size: tuple[int, int]) -> None:
    corpus, gate = ScriptedCorpus(), threading.Event()

    def open_slowly(folder: Path) -> ScriptedCorpus:
        assert gate.wait(30)
        return corpus

    async with StructRAGApp(Path("my-corpus"), open_slowly).run_test(size=size) as pilot:
        await pilot.pause()
        assert isinstance(pilot.app.focused, Input)
        assert "Ask a question about the documents" in painted(pilot)
        assert "Opening my-corpus" in painted(pilot)
        await start_asking(pilot, "Who is first?")
        assert corpus.asked == []
        gate.set()
        await settle(pilot)
        assert corpus.asked == [("Who is first?", None)]
        assert state(pilot) is State.ANSWERED


@SIZES
async def test_asks_and_shows_answer_and_route(size: tuple[int, int]) -> None:
    corpus = ScriptedCorpus()
    async with app_for(corpus).run_test(size=size) as pilot:
        await settle(pilot)
        await ask(pilot, "What is the revenue of Alder?")
        assert corpus.asked == [("What is the revenue of Alder?", None)]
        assert "412 million EUR [1]" in painted(pilot)
        assert "Answered by table in 2.3 s" in painted(pilot)
        assert "No verified evidence" not in painted(pilot)
        await pilot.press("r")
        await pilot.pause()
        shown = painted(pilot)
        assert re.search(r"● 1 table +█{6}░{4} +62%", shown)
        assert re.search(r"○ 2 graph +█{2}░{8} +20%", shown)
        assert re.search(r"5 chunk +░{10} +3%", shown)
        assert "Runner-up  graph (20%)" in shown
        assert "unsure" not in shown


async def test_shows_doubt() -> None:
    unsure = replace(make_answer("q").route, unsure=True)
    corpus = ScriptedCorpus(answer=lambda q, s: make_answer(q, s, grounded=False, citations=(), route=unsure))
    async with app_for(corpus).run_test(size=(160, 40)) as pilot:
        await settle(pilot)
        await ask(pilot, "q")
        assert "No verified evidence supports this answer." in painted(pilot)
        assert "The router is unsure." in painted(pilot)


@SIZES
async def test_shows_structure_evidence_and_usage(size: tuple[int, int]) -> None:
    async with app_for(ScriptedCorpus()).run_test(size=size) as pilot:
        await settle(pilot)
        await ask(pilot, "q")
        await pilot.press("r")
        tabs = "#places" if size[0] < 100 else "Details ContentTabs"
        pilot.app.screen.query_one(tabs).focus()
        expected = ("| Alder | 412 |", f"“{QUOTE}”", "300 read, 20 written")
        for text in expected:
            await pilot.press("right")
            await pilot.pause()
            assert text in painted(pilot)
        assert "sql: SELECT revenue FROM alder" in painted(pilot)
        assert "Cached   1" in painted(pilot)


@SIZES
async def test_a_digit_asks_again_and_records_a_preference(size: tuple[int, int]) -> None:
    corpus = ScriptedCorpus()
    async with app_for(corpus).run_test(size=size) as pilot:
        await settle(pilot)
        await ask(pilot, "q")
        await pilot.press("2")
        await settle(pilot)
        assert corpus.asked == [("q", None), ("q", StructureType.GRAPH)]
        assert corpus.preferred == [("answer-q", StructureType.GRAPH)]
        assert "Answered by graph" in painted(pilot)
        assert "Kept as your preference: graph, not table." in told(pilot)


async def test_the_structure_that_answered_is_not_preferred_to_itself() -> None:
    corpus = ScriptedCorpus()
    async with app_for(corpus).run_test() as pilot:
        await settle(pilot)
        await ask(pilot, "q")
        await pilot.press("1")
        await settle(pilot)
        assert corpus.asked == [("q", None)]
        assert corpus.preferred == []


async def test_digits_and_letters_typed_into_the_question_are_text() -> None:
    corpus = ScriptedCorpus()
    async with app_for(corpus).run_test() as pilot:
        await settle(pilot)
        await ask(pilot, "q")
        await pilot.press("slash", "2", "d", "y", "r", "slash")
        assert pilot.app.screen.query_one("#question", Input).value == "2dyr/"
        assert corpus.asked == [("q", None)]
        assert corpus.added == []


@SIZES
async def test_markup_of_others_is_shown_as_it_reads(size: tuple[int, int]) -> None:
    def hostile(question: str, structure: StructureType | None) -> Answer:
        start = REPORT.text.index(QUOTE)
        evidence = Evidence(Span(REPORT.id, start, start + len(QUOTE)), HOSTILE)
        return make_answer(
            question,
            structure,
            text=f"{HOSTILE}\n# head *star* [l](http://x.example) \x1b[2J\x1b]0;title\x07end",
            structure=TextStructure(StructureType.TABLE, HOSTILE),
            citations=(Citation(1, evidence, HOSTILE),),
            trace=(TraceStep(HOSTILE, HOSTILE),),
        )

    corpus = ScriptedCorpus(held=[replace(REPORT, title=HOSTILE)], answer=hostile)
    async with app_for(corpus).run_test(size=size) as pilot:
        await settle(pilot)
        await ask(pilot, HOSTILE)
        shown = painted(pilot)
        assert shown.count(HOSTILE) >= 2  # the question and the answer
        assert "# head *star* [l](http://x.example) end" in shown
        await pilot.click("#answer", offset=(20, 0))
        await pilot.press("r")
        pilot.app.screen.query_one("#places" if size[0] < 100 else "Details ContentTabs").focus()
        for _ in ("structure", "evidence", "usage"):
            await pilot.press("right")
            await pilot.pause()
            assert "[bold]x[/bold]" in painted(pilot)
        assert pilot.app.is_running


@SIZES
async def test_an_error_is_shown_with_its_hint_and_the_app_goes_on(size: tuple[int, int]) -> None:
    corpus = ScriptedCorpus()

    def fail(question: str, structure: StructureType | None) -> Answer:
        raise ModelError("The model [bold]x[/bold] does not answer.", hint="Run `structrag doctor`.")

    corpus.answer = fail
    async with app_for(corpus).run_test(size=size) as pilot:
        await settle(pilot)
        await ask(pilot, "q")
        assert state(pilot) is State.FAILED
        assert "The model [bold]x[/bold] does not answer." in painted(pilot)
        assert "Run `structrag doctor`." in painted(pilot)
        corpus.answer = make_answer
        await pilot.press("2")
        await settle(pilot)
        assert state(pilot) is State.ANSWERED
        assert "does not answer" not in painted(pilot)
        assert corpus.preferred == []  # nothing had answered that graph could be preferred to


async def test_a_corpus_that_does_not_open_is_tried_again_by_asking() -> None:
    corpus = ScriptedCorpus()
    attempts = iter([StoreError("corpus.sqlite is locked.", hint="Close the other program.")])

    def open_at_second_try(folder: Path) -> ScriptedCorpus:
        for error in attempts:
            raise error
        return corpus

    async with StructRAGApp(Path("my-corpus"), open_at_second_try).run_test() as pilot:
        await settle(pilot)
        assert state(pilot) is State.FAILED
        assert "corpus.sqlite is locked." in painted(pilot)
        assert "Close the other program." in painted(pilot)
        await ask(pilot, "q")
        assert state(pilot) is State.ANSWERED
        assert corpus.asked == [("q", None)]


@SIZES
async def test_an_empty_corpus_offers_the_demo(size: tuple[int, int]) -> None:
    corpus = ScriptedCorpus(held=[])
    async with app_for(corpus).run_test(size=size) as pilot:
        await settle(pilot)
        assert state(pilot) is State.EMPTY
        assert "Press d to load the demo corpus" in painted(pilot)
        assert "Load demo" in footer_keys(pilot)
        await pilot.press("d")
        await settle(pilot)
        assert corpus.added == [Path("demo")]
        assert state(pilot) is State.READY
        assert isinstance(pilot.app.focused, Input)
        assert "Press d" not in painted(pilot)
        assert "Load demo" not in footer_keys(pilot)
        await ask(pilot, "q")
        assert state(pilot) is State.ANSWERED


@SIZES
@pytest.mark.parametrize("after_events", [False, True], ids=["with events to come", "only the answer to come"])
async def test_escape_cancels_and_what_comes_late_is_dropped(size: tuple[int, int], after_events: bool) -> None:
    corpus = ScriptedCorpus()
    gate = corpus.hold("slow", after_events=after_events)
    async with app_for(corpus).run_test(size=size) as pilot:
        await settle(pilot)
        await start_asking(pilot, "slow")
        assert state(pilot) is State.ASKING
        assert "Cancel" in footer_keys(pilot)
        await pilot.press("escape")
        assert state(pilot) is State.CANCELLED
        assert "Cancelled" in painted(pilot)
        gate.set()
        assert await asyncio.to_thread(corpus.ended["slow"].wait, 30)
        await settle(pilot)
        # The pipeline is stopped at its next event; if none comes, its answer goes nowhere.
        assert corpus.completed == (["slow"] if after_events else [])
        assert state(pilot) is State.CANCELLED
        assert "412 million EUR [1]" not in painted(pilot)
        await ask(pilot, "quick")
        assert state(pilot) is State.ANSWERED


async def test_a_new_question_takes_the_place_of_the_one_under_way() -> None:
    corpus = ScriptedCorpus(answer=lambda q, s: make_answer(q, s, text=f"About {q}"))
    gate = corpus.hold("first")
    async with app_for(corpus).run_test() as pilot:
        await settle(pilot)
        await start_asking(pilot, "first")
        await ask(pilot, "second")
        gate.set()
        assert await asyncio.to_thread(corpus.ended["first"].wait, 30)
        await settle(pilot)
        assert "About second" in painted(pilot)
        assert "About first" not in painted(pilot)


@SIZES
async def test_enter_on_a_citation_shows_where_it_stands(size: tuple[int, int]) -> None:
    async with app_for(ScriptedCorpus()).run_test(size=size) as pilot:
        await settle(pilot)
        await ask(pilot, "q")
        await pilot.press("r")
        pilot.app.screen.query_one("#places" if size[0] < 100 else "Details ContentTabs").focus()
        await pilot.press("right", "right")
        pilot.app.screen.query_one("#citations").focus()
        await pilot.press("enter")
        await pilot.pause()
        assert "Alder report, page 3" in painted(pilot)
        assert f"In 2024 Alder had a {QUOTE}. It grew." in painted(pilot)
        assert "The end." in painted(pilot)
        await pilot.press("escape")
        await pilot.pause()
        assert isinstance(pilot.app.screen, QuestionScreen)


async def test_earlier_answers_are_shown_and_can_be_asked_again() -> None:
    earlier = make_answer("What was it?", text="It was blue. [1]").to_dict()
    corpus = ScriptedCorpus(earlier=[earlier])
    async with app_for(corpus).run_test(size=(120, 40)) as pilot:
        await settle(pilot)
        pilot.app.screen.query_one("#history").focus()
        await pilot.press("enter")
        await settle(pilot)
        assert "It was blue. [1]" in painted(pilot)
        assert "62%" in painted(pilot)
        await pilot.press("3")
        await settle(pilot)
        assert corpus.asked == [("What was it?", StructureType.ALGORITHM)]
        assert corpus.preferred == [("answer-What was it?", StructureType.ALGORITHM)]


async def test_y_copies_the_answer_without_control_characters() -> None:
    corpus = ScriptedCorpus(answer=lambda q, s: make_answer(q, s, text="412\x1b[31m million\nEUR\x07"))
    async with app_for(corpus).run_test() as pilot:
        await settle(pilot)
        await ask(pilot, "q")
        await pilot.press("y")
        assert pilot.app.clipboard == "412 million\nEUR"


@SIZES
async def test_the_footer_shows_at_most_six_keys(size: tuple[int, int]) -> None:
    corpus = ScriptedCorpus(held=[])
    gate = corpus.hold("slow")
    shown: list[list[str]] = []
    async with app_for(corpus).run_test(size=size) as pilot:
        await settle(pilot)
        shown.append(footer_keys(pilot))
        await pilot.press("d")
        await settle(pilot)
        shown.append(footer_keys(pilot))
        await ask(pilot, "q")
        shown.append(footer_keys(pilot))
        await start_asking(pilot, "slow")
        shown.append(footer_keys(pilot))
        gate.set()
        await settle(pilot)
    assert all({"Help", "Quit"} <= set(keys) and len(keys) <= 6 for keys in shown), shown


async def test_f1_shows_the_keys() -> None:
    async with app_for(ScriptedCorpus()).run_test(size=(80, 24)) as pilot:
        await settle(pilot)
        await pilot.press("f1")
        await pilot.pause()
        assert isinstance(pilot.app.screen, HelpDialog)
        assert "hold Shift" in painted(pilot)
        await pilot.press("f1")
        await pilot.pause()
        assert isinstance(pilot.app.screen, QuestionScreen)


async def test_a_narrow_terminal_shows_one_pane_and_a_wide_one_all() -> None:
    async with app_for(ScriptedCorpus()).run_test(size=(120, 40)) as pilot:
        await settle(pilot)
        panes = pilot.app.screen.query("#side-by-side > *")
        assert [pane.display for pane in panes] == [True, True, True]
        assert not pilot.app.screen.query_one("#places").display
        pilot.app.screen.query_one("#documents").focus()
        await pilot.pause()
        await pilot.resize_terminal(99, 24)
        await pilot.pause()
        assert [pane.display for pane in panes] == [True, False, False]  # the one that has the focus
        assert pilot.app.screen.query_one("#places").display
        await pilot.press("slash")
        await pilot.pause()
        assert [pane.display for pane in panes] == [False, True, False]
        assert isinstance(pilot.app.focused, Input)


def test_quitting_says_what_it_waits_for_and_closes_the_corpus(capsys: pytest.CaptureFixture[str]) -> None:
    corpus = ScriptedCorpus()
    gate = corpus.hold("slow")
    app = app_for(corpus)

    async def quit_while_asking(pilot: Pilot[None]) -> None:
        await settle(pilot)
        await start_asking(pilot, "slow")
        await pilot.press("ctrl+q")
        gate.set()

    app.run(headless=True, auto_pilot=quit_while_asking)  # type: ignore[arg-type]
    app.close_corpus()
    assert "Waiting for the model call that is under way." in capsys.readouterr().err
    assert corpus.completed == []
    assert corpus.closed == 1
