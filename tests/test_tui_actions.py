"""What can be done with an answer: its words, calls, citations, export, preference, scope; all by keys."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from pathlib import Path

import pytest
from textual.command import CommandPalette
from tui_doubles import (
    HOSTILE,
    SIZES,
    ScriptedCorpus,
    app_for,
    ask,
    footer_keys,
    make_answer,
    painted,
    press,
    settle,
    start_asking,
    state,
    told,
)
from tui_structures import MAKERS, answer_by, make_graph, make_tables

from structrag.errors import RoutingError, StoreError
from structrag.router.occlusion import MovingWord
from structrag.tui.calls import SHOWN, CallsDialog
from structrag.tui.dialogs import HelpDialog
from structrag.tui.export_dialog import ExportDialog, write_new
from structrag.tui.screen import QuestionScreen
from structrag.tui.state import State
from structrag.types import StructureType, TraceStep
from structrag.usage import ModelCall

CALL = ModelCall(
    stage="table.sql",
    messages=(("system", "Write one SELECT."), ("human", "CREATE TABLE alder"), ("ai", "{}"), ("human", "Again.")),
    reply='{"sql": "SELECT 1"}',
    schema={"type": "object"},
    prompt_tokens=1200,
    completion_tokens=34,
    seconds=2.25,
)
CHOICE = ModelCall("confirm", (("human", HOSTILE),), "yes 93.0%, no 7.0%", options=("yes", "no"), cached=True)


# The route


@SIZES
async def test_the_words_that_moved_the_route_are_shown_after_the_answer(size: tuple[int, int]) -> None:
    words = (MovingWord("fastest", 0, 0.31), MovingWord(HOSTILE[:11], 8, 0.12), MovingWord("step", 20, -0.08))
    async with app_for(ScriptedCorpus(words=words)).run_test(size=size) as pilot:
        await settle(pilot)
        await ask(pilot, "q")
        await press(pilot, "r")
        shown = painted(pilot)
        assert "+31%  fastest" in shown
        assert "+12%  [bold]x[/bo" in shown
        assert "-8%  step" in shown


async def test_a_router_that_cannot_tell_its_words_says_so_and_so_does_one_that_fails() -> None:
    corpus = ScriptedCorpus()
    async with app_for(corpus).run_test(size=(120, 40)) as pilot:
        await settle(pilot)
        await ask(pilot, "q")
        assert "This router cannot tell." in painted(pilot)
        corpus.broken = RoutingError("The router is damaged.")
        await ask(pilot, "q2")
        assert "The router is damaged." in painted(pilot)
        assert state(pilot) is State.ANSWERED


async def test_an_unsure_weak_route_and_a_fallback_are_said_with_what_to_do() -> None:
    shares = dict(zip(StructureType, (0.34, 0.3, 0.2, 0.1, 0.06), strict=True))
    route = replace(make_answer("q").route, unsure=True, probabilities=shares)
    corpus = ScriptedCorpus(answer=lambda q, s: replace(make_answer(q, StructureType.CHUNK), route=route))
    async with app_for(corpus).run_test(size=(190, 40)) as pilot:
        await settle(pilot)
        await ask(pilot, "q")
        shown = painted(pilot)
        assert "The router was unsure: table (34%) or graph (30%)." in shown
        assert "The table gave no answer, so it is by way of the passages." in shown
        assert "1 to 5 ask again by another structure" in shown
        assert "Low confidence; 2 tries graph." in shown
        assert "▶ Used       chunk" in shown


async def test_a_structure_that_the_user_chose_is_shown_as_that() -> None:
    shares = {structure: float(structure is StructureType.GRAPH) for structure in StructureType}
    route = replace(make_answer("q").route, probabilities=shares, router="fixed:graph")
    corpus = ScriptedCorpus(answer=lambda q, s: make_answer(q, s, route=route))
    async with app_for(corpus).run_test(size=(120, 40)) as pilot:
        await settle(pilot)
        await ask(pilot, "q")
        assert "You chose  graph" in painted(pilot)
        assert "Runner-up" not in painted(pilot)
        assert "Words that moved it" not in painted(pilot)


# The calls of the model


@SIZES
async def test_m_shows_exactly_what_the_model_received(size: tuple[int, int]) -> None:
    corpus = ScriptedCorpus(model_calls=(CALL, CHOICE))
    async with app_for(corpus).run_test(size=size) as pilot:
        await settle(pilot)
        await ask(pilot, "q")
        await press(pilot, "m")
        assert isinstance(pilot.app.screen, CallsDialog)
        shown = painted(pilot)
        assert "table.sql" in shown
        assert "1,200 + 34 tokens, 2.2 s" in shown
        assert "from the cache" in shown
        assert "Write one SELECT." in shown
        await pilot.press("y")
        for text in ("--- System", "CREATE TABLE alder", "--- Assistant", "Again.", '"type": "object"', '"SELECT 1"'):
            assert text in pilot.app.clipboard
        await press(pilot, "down")
        assert HOSTILE in painted(pilot)
        assert "yes 93.0%, no 7.0%" in painted(pilot)
        await press(pilot, "escape")
        assert isinstance(pilot.app.screen, QuestionScreen)


async def test_the_calls_of_an_earlier_answer_are_read_from_the_corpus() -> None:
    corpus = ScriptedCorpus(earlier=[make_answer("What was it?").to_dict()], model_calls=(CALL,))
    async with app_for(corpus).run_test(size=(120, 40)) as pilot:
        await settle(pilot)
        pilot.app.screen.query_one("#history").focus()
        await press(pilot, "enter")
        await press(pilot, "m")
        assert "Write one SELECT." in painted(pilot)
        await press(pilot, "m")
        corpus.broken = StoreError("There is no such answer.")
        await press(pilot, "m")
        assert "There is no such answer." in painted(pilot)
        await press(pilot, "escape")
        corpus.broken, corpus.model_calls = None, ()
        await press(pilot, "m")
        assert "its calls are not kept" in painted(pilot)


async def test_a_long_call_is_cut_on_the_screen_and_whole_in_the_clipboard() -> None:
    long = replace(CALL, messages=(("human", "a" * SHOWN + "THE END"),))
    async with app_for(ScriptedCorpus(model_calls=(long,))).run_test(size=(80, 24)) as pilot:
        await settle(pilot)
        await ask(pilot, "q")
        await press(pilot, "m", "enter", "end")
        assert "… 7 more characters; y copies all." in painted(pilot)
        await pilot.press("y")
        assert "THE END" in pilot.app.clipboard


async def test_the_status_counts_calls_and_tokens_while_a_question_runs() -> None:
    corpus = ScriptedCorpus(model_calls=(CALL, CALL, CHOICE))
    gate = corpus.hold("slow", after_events=True)
    async with app_for(corpus).run_test(size=(120, 40)) as pilot:
        await settle(pilot)
        await start_asking(pilot, "slow")
        for _ in range(200):
            await pilot.pause()
            if "2 calls · 2,468 tokens" in painted(pilot):
                break
            await asyncio.sleep(0.02)
        assert "2 calls · 2,468 tokens" in painted(pilot)
        await pilot.press("m")  # also while it runs
        await pilot.pause()
        assert "table.sql" in painted(pilot)
        await pilot.press("escape")
        gate.set()
        await settle(pilot)
        assert "tokens" not in painted(pilot).split("Answered by")[0]


# Export


@SIZES
async def test_e_writes_the_structure_to_a_new_file(
    size: tuple[int, int], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    corpus = ScriptedCorpus(held=[MAKERS], answer=lambda q, s: replace(answer_by(make_graph(), []), question=q))
    async with app_for(corpus).run_test(size=size) as pilot:
        await settle(pilot)
        await ask(pilot, "Who/owns ../Birch?")
        for _ in range(2):
            await press(pilot, "e")
            assert isinstance(pilot.app.screen, ExportDialog)
            assert "graphml" in painted(pilot)
            await press(pilot, "down", "enter")
            assert isinstance(pilot.app.screen, QuestionScreen)
        assert sorted(path.name for path in tmp_path.iterdir()) == [
            "graph-who-owns-birch-2.mmd",
            "graph-who-owns-birch.mmd",
        ]
        assert [format_ for _, format_ in corpus.exported] == ["mermaid", "mermaid"]
        assert str(tmp_path / "graph-who-owns-birch-2.mmd") in told(pilot)
        corpus.broken = StoreError("There are 2 tables.", hint="Export xlsx.")
        await press(pilot, "e", "enter")
        assert "There are 2 tables." in painted(pilot)
        assert "Export xlsx." in painted(pilot)


async def test_the_structure_of_an_earlier_answer_is_exported_by_its_id(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    kept = replace(make_answer("What was it?"), structure=None)
    corpus = ScriptedCorpus(answer=lambda q, s: kept)
    async with app_for(corpus).run_test(size=(120, 40)) as pilot:
        await settle(pilot)
        await ask(pilot, "What was it?")
        await press(pilot, "e", "enter")
        assert corpus.exported == [(kept.id, "csv")]
        assert (tmp_path / "table-what-was-it.csv").read_bytes() == b"exported"


def test_a_file_that_cannot_be_written_is_an_error_that_says_so(tmp_path: Path) -> None:
    with pytest.raises(Exception, match=r"nowhere.*cannot be written"):
        write_new(tmp_path / "nowhere", "a", "csv", b"")


# Preferences


async def test_u_takes_the_last_preference_back() -> None:
    corpus = ScriptedCorpus()
    async with app_for(corpus).run_test(size=(120, 40)) as pilot:
        await settle(pilot)
        await ask(pilot, "q")
        await press(pilot, "u")
        assert corpus.undone == []
        await press(pilot, "2")
        await press(pilot, "3")
        await press(pilot, "u")
        await press(pilot, "u")
        await press(pilot, "u")
        assert corpus.undone == [2, 1]
        assert "Taken back: your preference for algorithm." in told(pilot)
        await press(pilot, "4")
        corpus.broken = StoreError("There is no preference 3.", hint="Look.")
        await press(pilot, "u")
        assert "There is no preference 3. Look." in told(pilot)


# Help, palette, footer, extremes


@SIZES
async def test_f1_says_what_the_focused_part_is_for_and_what_its_keys_do(size: tuple[int, int]) -> None:
    corpus = ScriptedCorpus(held=[MAKERS], answer=lambda q, s: answer_by(make_tables(), []))
    async with app_for(corpus).run_test(size=size) as pilot:
        await settle(pilot)
        await press(pilot, "f1")
        assert "@ names a document to ask over" in " ".join(painted(pilot).split())
        await press(pilot, "escape")
        await ask(pilot, "q")
        await press(pilot, "s", "f1")
        assert isinstance(pilot.app.screen, HelpDialog)
        shown = " ".join(painted(pilot).split())
        assert "Enter shows where a cell stands" in shown
        assert "Sort by this column" in shown


async def test_the_palette_offers_every_action() -> None:
    corpus = ScriptedCorpus(model_calls=(CALL,))
    async with app_for(corpus).run_test(size=(120, 40)) as pilot:
        await settle(pilot)
        await ask(pilot, "q")
        await pilot.press("ctrl+p")
        await settle(pilot)
        assert isinstance(pilot.app.screen, CommandPalette)
        await pilot.press(*"model received")
        for _ in range(100):
            await pilot.pause(0.02)
            if "received and replied" in painted(pilot):
                break
        await pilot.press("enter")
        await settle(pilot)
        assert isinstance(pilot.app.screen, CallsDialog)


async def test_no_state_shows_more_than_six_keys() -> None:
    corpus = ScriptedCorpus(held=[MAKERS], answer=lambda q, s: answer_by(make_graph(), []), model_calls=(CALL,))
    async with app_for(corpus).run_test(size=(120, 40)) as pilot:
        await settle(pilot)
        await ask(pilot, "q")
        await press(pilot, "2")
        for key in ("r", "s", "f", "escape", "v", "tab", "slash", "escape"):
            await press(pilot, key)
            assert len(footer_keys(pilot)) <= 6, (key, footer_keys(pilot))


async def test_an_answer_and_a_question_of_a_megabyte_are_shown_cut_and_copied_whole() -> None:
    long = "x" * 1_000_000
    corpus = ScriptedCorpus(answer=lambda q, s: make_answer(q, s, text=long, trace=(TraceStep("note", long),) * 200))
    async with app_for(corpus).run_test(size=(80, 24)) as pilot:
        await settle(pilot)
        await ask(pilot, long[:5000])
        assert state(pilot) is State.ANSWERED
        await pilot.press("y")
        assert pilot.app.clipboard == long
        await press(pilot, "r")
        assert pilot.app.is_running
