"""The views of the five structures: what they show, and the way from every item to its source."""

from __future__ import annotations

import re
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest
from textual.pilot import Pilot
from textual.widgets import Input
from tui_doubles import SIZES, ScriptedCorpus, app_for, ask, painted, press, settle
from tui_structures import (
    KINDS,
    MAKERS,
    PATH,
    answer_by,
    at,
    hostile_structures,
    make_algorithm,
    make_catalogue,
    make_chunks,
    make_graph,
    make_tables,
)

from structrag.tui.dialogs import SourceDialog
from structrag.tui.grid import Grid
from structrag.tui.screen import QuestionScreen
from structrag.types import Answer

pytestmark = pytest.mark.thorough


@asynccontextmanager
async def asked(answer: Answer, size: tuple[int, int] = (140, 40)) -> AsyncIterator[Pilot[None]]:
    """Ask, and go to the structure of the answer; in a wide terminal it gets all the room."""
    corpus = ScriptedCorpus(held=[MAKERS], answer=lambda question, structure: answer)
    async with app_for(corpus).run_test(size=size) as pilot:
        await settle(pilot)
        await ask(pilot, "q")
        await pilot.press("z", "s")
        await settle(pilot)
        yield pilot


def first_cells(pilot: Pilot[None]) -> list[str]:
    rows = pilot.app.screen.query_one("#rows", Grid)
    return [rows.cell_at(row, 0).removeprefix("● ") for row in range(rows.row_count)]


async def source_of_cursor(pilot: Pilot[None]) -> str:
    """Press Enter and return what the dialog that opens quotes."""
    await pilot.press("enter")
    await pilot.pause()
    assert isinstance(pilot.app.screen, SourceDialog)
    quote = pilot.app.screen._source.quote
    await pilot.press("escape")
    await pilot.pause()
    return quote


@SIZES
async def test_a_table_is_sorted_and_filtered_and_shows_its_sql(size: tuple[int, int]) -> None:
    cited = at(" 412 |")
    answer = answer_by(make_tables(), [cited], ("sql", "SELECT revenue FROM firms"), ("rows", "412"))
    async with asked(answer, size) as pilot:
        shown = painted(pilot)
        assert "1 of 2 · Firms · 3 rows from 1 of 2 documents" in shown
        assert "SELECT revenue FROM firms" in shown
        assert "● 412" in shown  # the answer rests on it
        assert "Documents disagree" in shown
        assert first_cells(pilot) == ["Alder", "Birch", "Cedar"]
        await pilot.press("s")  # by the column of the number that the answer rests on
        await settle(pilot)
        assert first_cells(pilot) == ["Birch", "Alder", "Cedar"]  # as numbers: 99, 412, 1200
        assert "▲" in painted(pilot)
        await pilot.press("s")
        await settle(pilot)
        assert first_cells(pilot) == ["Cedar", "Alder", "Birch"]
        await pilot.press("s")
        await settle(pilot)
        assert first_cells(pilot) == ["Alder", "Birch", "Cedar"]
        await pilot.press("f", "c", "E", "d")
        await settle(pilot)
        assert first_cells(pilot) == ["Cedar"]
        assert "1 of 3 rows" in painted(pilot)
        await pilot.press("enter")
        assert await source_of_cursor(pilot) == " 1200 |"
        await pilot.press("escape")
        await settle(pilot)
        assert first_cells(pilot) == ["Alder", "Birch", "Cedar"]
        await pilot.press("t")
        await settle(pilot)
        assert first_cells(pilot) == ["0 bar"]
        assert isinstance(pilot.app.screen, QuestionScreen)


async def test_a_table_opens_at_the_number_behind_the_answer() -> None:
    tables = make_tables()
    cell = tables.tables[0].rows[2].cells[1]
    assert cell.evidence is not None
    answer = answer_by(tables, [cell.evidence])
    async with app_for(ScriptedCorpus(held=[MAKERS], answer=lambda q, s: answer)).run_test(size=(80, 24)) as pilot:
        await settle(pilot)
        await ask(pilot, "q")
        await press(pilot, "s")
        rows = pilot.app.screen.query_one(Grid)
        assert (rows.row, rows.column) == (2, 1)
        await press(pilot, "s")  # who sorts begins at the top
        assert (rows.row, rows.column) == (0, 1)


async def test_a_click_on_a_heading_sorts() -> None:
    async with asked(answer_by(make_tables(), [])) as pilot:
        assert await pilot.click("#rows", offset=(11, 0))
        await settle(pilot)
        assert first_cells(pilot) == ["Birch", "Alder", "Cedar"]


@SIZES
async def test_a_graph_is_a_tree_and_a_drawing(size: tuple[int, int]) -> None:
    answer = answer_by(make_graph(), [at("Birch belongs to Cedar.")], ("path", PATH))
    async with asked(answer, size) as pilot:
        shown = painted(pilot)
        assert "4 names · 3 facts · path of 2" in shown
        assert "● The way of the answer" in shown
        assert "Alder —buys compressors from→ Birch" in shown
        assert "also Alder Ltd" in shown
        await pilot.press("down")
        assert await source_of_cursor(pilot) == "Alder buys compressors from Birch."
        # The first name is one of the path; opened it shows its neighbours, and these theirs.
        await pilot.press("down", "down", "right", "down", "down")
        await pilot.pause()
        assert "—belongs to→ Cedar" in painted(pilot)
        await pilot.press("right")
        await pilot.pause()
        assert "heads" in painted(pilot)
        await pilot.press("v")
        await pilot.pause()
        drawn = painted(pilot)
        assert "The way of the answer" in drawn
        assert "│ Alder │" in drawn
        assert "▼" in drawn
        await pilot.press("v", "f", "d", "o", "r")
        await settle(pilot)
        assert re.search(r"Dora +\(1\)", painted(pilot))
        assert "Alder" not in "".join(re.findall(r"▶ (\w+)", painted(pilot)))
        await pilot.press("enter", "v")
        await pilot.pause()
        assert "Around Dora" in painted(pilot)
        await pilot.press("v", "escape")
        await pilot.pause()
        assert not pilot.app.screen.query_one(".filter", Input).display


@SIZES
async def test_an_algorithm_shows_the_way_that_was_taken(size: tuple[int, int]) -> None:
    way = at("Check the gauge. If it shows 0 bar, go to step 3.")
    trace = (("operation", "situation at step 1 of Start-up"), ("step", "1: it shows 0 bar → 3"))
    async with asked(answer_by(make_algorithm(), [way, at("Call the firm.")], *trace), size) as pilot:
        shown = painted(pilot)
        assert "Before: Read this first." in shown
        assert "● 1. Check the gauge." in shown
        assert "▶ it shows 0 bar → step 3" in shown
        assert "▶ otherwise" not in shown
        assert "● 3. Call the firm." in shown
        assert re.search(r"Other +\(1 steps?\)", shown)
        await pilot.press("down", "down", "down")
        assert await source_of_cursor(pilot) == way.quote


@SIZES
async def test_a_catalogue_is_open_where_the_answer_comes_from(size: tuple[int, int]) -> None:
    answer = answer_by(make_catalogue(), [at("Open the valve.")], ("outline", "Makers > Start-up"))
    async with asked(answer, size) as pilot:
        shown = painted(pilot)
        assert "2 documents · 1 not placed · list Makers > Start-up" in shown
        assert re.search(r"● Makers +\(2\)", shown)
        assert re.search(r"● Start-up +\(1\)", shown)
        assert "● Open the valve." in shown
        await pilot.press("down", "down", "down")
        assert await source_of_cursor(pilot) == "Open the valve."
        await pilot.press("left", "left")
        await pilot.pause()
        assert "● Open the valve." not in painted(pilot)


@SIZES
async def test_chunks_are_ranked_passages_with_highlighted_quotes(size: tuple[int, int]) -> None:
    cited = at("Birch belongs to Cedar.")
    async with asked(answer_by(make_chunks(), [cited]), size) as pilot:
        shown = painted(pilot)
        assert "2 passages · 1 cited" in shown
        assert "● 1. Makers" in shown
        assert "0.031" in shown
        assert await source_of_cursor(pilot) == cited.quote
        await pilot.press("down")
        assert await source_of_cursor(pilot) == "2. Open the valve."


@SIZES
@pytest.mark.parametrize("place", range(5), ids=[str(kind) for kind in KINDS])
async def test_hostile_texts_are_shown_as_texts(place: int, size: tuple[int, int]) -> None:
    structure = hostile_structures()[place]
    async with asked(answer_by(structure, []), size) as pilot:
        shown = painted(pilot)
        assert "[bold]x[/bold]" in shown
        assert "\x1b" not in shown
        assert "\u202e" not in shown
        await pilot.press("end", "down", "enter")
        await pilot.pause()
        assert pilot.app.is_running
