"""Comparing all five structures: rows that fill one by one, cancelling, and choosing."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import replace

import pytest
from textual.pilot import Pilot
from textual.widgets import DataTable, OptionList
from tui_doubles import HOSTILE, SIZES, ScriptedCorpus, app_for, ask, footer_keys, make_answer, painted, settle, state

from structrag.errors import ModelError
from structrag.tui.compare import CompareScreen
from structrag.tui.screen import QuestionScreen
from structrag.tui.state import State
from structrag.types import Answer, StructureType, TraceStep

pytestmark = pytest.mark.thorough


def answered(question: str, structure: StructureType | None) -> Answer:
    used = structure or StructureType.TABLE
    grounded = used is not StructureType.CHUNK
    return make_answer(question, used, text=f"By {used} [1]", grounded=grounded, id=f"by-{used}")


def row(pilot: Pilot[None], structure: StructureType) -> list[str]:
    return [str(cell) for cell in pilot.app.screen.query_one(DataTable).get_row(structure)]


async def until(pilot: Pilot[None], holds: Callable[[], bool]) -> None:
    for _ in range(400):
        await pilot.pause()
        if holds():
            return
        await asyncio.sleep(0.02)
    raise AssertionError(f"never came to hold:\n{painted(pilot)}")


@SIZES
async def test_all_five_are_shown_and_the_known_answer_is_not_asked_again(size: tuple[int, int]) -> None:
    corpus = ScriptedCorpus(answer=answered)
    async with app_for(corpus).run_test(size=size) as pilot:
        await settle(pilot)
        await ask(pilot, "q")
        await pilot.press("c")
        await settle(pilot)
        assert corpus.asked[1:] == [("q", structure) for structure in list(StructureType)[1:]]
        for number, structure in enumerate(StructureType, 1):
            grounded = "no" if structure is StructureType.CHUNK else "yes"
            expected = [str(number), str(structure), grounded, "320", "2.3", "1", f"By {structure} [1]"]
            assert row(pilot, structure) == expected
        assert "Compared: 5 of 5 answers" in painted(pilot)
        assert corpus.preferred == []  # looking is not correcting
        assert len(footer_keys(pilot)) <= 6
        await pilot.press("down", "enter")
        await settle(pilot)
        assert isinstance(pilot.app.screen, QuestionScreen)
        assert state(pilot) is State.ANSWERED
        assert "By graph [1]" in painted(pilot)
        assert pilot.app.screen.query_one("#history", OptionList).option_count == 5
        # Another digit corrects the route of what is shown.
        await pilot.press("3")
        await settle(pilot)
        assert corpus.preferred == [("by-graph", StructureType.ALGORITHM)]


async def test_a_failing_structure_is_a_row_and_the_others_go_on() -> None:
    def fail(question: str, structure: StructureType | None) -> Answer:
        if structure is StructureType.GRAPH:
            raise ModelError(f"The model {HOSTILE} has gone.", hint="Look.")
        return answered(question, structure)

    async with app_for(ScriptedCorpus(answer=fail)).run_test(size=(140, 40)) as pilot:
        await settle(pilot)
        await ask(pilot, "q")
        await pilot.press("c")
        await settle(pilot)
        assert row(pilot, StructureType.GRAPH)[-1].startswith(f"failed: The model {HOSTILE}")
        assert row(pilot, StructureType.CHUNK)[-1] == "By chunk [1]"
        await pilot.press("down")
        await pilot.pause()
        assert "Look." in painted(pilot)
        await pilot.press("enter")
        await pilot.pause()
        assert isinstance(pilot.app.screen, CompareScreen)
        assert pilot.app.screen.query_one(DataTable).cursor_row == 1


@pytest.mark.parametrize("after_events", [False, True], ids=["with events to come", "only the answer to come"])
async def test_escape_cancels_and_keeps_what_is_done(after_events: bool) -> None:
    corpus = ScriptedCorpus()
    gate = corpus.hold("held", after_events=after_events)

    def hold_the_third(question: str, structure: StructureType | None) -> Answer:
        return answered(question, structure)

    corpus.answer = hold_the_third
    gate.set()
    async with app_for(corpus).run_test(size=(140, 40)) as pilot:
        await settle(pilot)
        await ask(pilot, "held")
        gate.clear()
        corpus.ended["held"].clear()
        await pilot.press("c")
        await until(pilot, lambda: row(pilot, StructureType.GRAPH)[-1] == "asking …")
        assert "Cancel" in footer_keys(pilot)
        await pilot.press("enter")  # not while it is under way
        await pilot.press("escape")
        await pilot.pause()
        assert "Cancelled: 1 of 5 answers" in painted(pilot)
        assert row(pilot, StructureType.ALGORITHM)[-1] == "not asked"
        gate.set()
        assert await asyncio.to_thread(corpus.ended["held"].wait, 30)
        await settle(pilot)
        # What had but to be handed over is kept; nothing more is asked.
        assert row(pilot, StructureType.GRAPH)[-1] == ("By graph [1]" if after_events else "not asked")
        assert len(corpus.asked) == 2
        await pilot.press("escape")
        await settle(pilot)
        assert isinstance(pilot.app.screen, QuestionScreen)
        assert "By table [1]" in painted(pilot)


async def test_an_answer_that_another_structure_gave_in_the_end_is_asked_for_anew() -> None:
    fell_back = make_answer(
        "q", StructureType.CHUNK, trace=(TraceStep("fallback", "table found nothing; trying chunk"),)
    )
    corpus = ScriptedCorpus(answer=lambda q, s: replace(answered(q, s)) if s else fell_back)
    async with app_for(corpus).run_test(size=(140, 40)) as pilot:
        await settle(pilot)
        await ask(pilot, "q")
        await pilot.press("c")
        await settle(pilot)
        assert [structure for _, structure in corpus.asked[1:]] == list(StructureType)
        await pilot.press("y")
        assert pilot.app.clipboard == "By table [1]"
