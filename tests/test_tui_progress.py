"""What is seen of a question while it is answered, and what is left of one that is cancelled."""

from __future__ import annotations

import re
import threading
from dataclasses import replace
from pathlib import Path

import pytest
from textual.pilot import Pilot
from textual.widgets import Input
from tui_doubles import REPORT, ScriptedCorpus, app_for, make_answer, painted, press, settle, start_asking, state

from structrag.cli.demo import QUESTIONS
from structrag.events import BuildProgressed, EventListener, RouteChosen
from structrag.tui.examples import Examples
from structrag.tui.requests import SettingsInForce
from structrag.tui.settings_in_force import read_in_force
from structrag.tui.state import State
from structrag.tui.work_done import WorkDone
from structrag.types import StructureType
from structrag.usage import ModelCall, Prices

pytestmark = pytest.mark.thorough

CALL = ModelCall("table.sql", (("human", "q"),), "SELECT 412", prompt_tokens=1500, completion_tokens=500)


def work(pilot: Pilot[None]) -> str:
    shown = pilot.app.screen.query_one(WorkDone)
    return str(shown.content) if shown.display else ""


async def test_what_was_done_is_listed_as_it_happens_and_gives_way_to_the_answer() -> None:
    corpus = ScriptedCorpus()
    gate = corpus.hold("q", after_events=True)
    async with app_for(corpus).run_test(size=(80, 24)) as pilot:
        await settle(pilot)
        await start_asking(pilot, "q")
        while "sql" not in work(pilot):
            await pilot.pause()
        lines = work(pilot).split("\n")
        assert lines == [
            "✓ Retrieved 0 passages from 0 documents",
            "✓ Route table (62%), runner-up graph",
            "✓ Built the table",
            "✓ sql: SELECT revenue FROM alder",
            "◐ working",
        ]
        gate.set()
        await settle(pilot)
        assert work(pilot) == ""
        assert "412 million EUR [1]" in painted(pilot)


async def test_what_was_done_stays_when_the_question_is_cancelled() -> None:
    corpus = ScriptedCorpus(model_calls=(CALL,))
    gate = corpus.hold("q", after_events=True)
    async with app_for(corpus).run_test(size=(80, 24)) as pilot:
        await settle(pilot)
        await start_asking(pilot, "q")
        while "2,000 tokens" not in painted(pilot):
            await pilot.pause()
        await cancel(pilot, gate)
        assert state(pilot) is State.CANCELLED
        assert "Route table (62%)" in work(pilot)
        assert "working" not in work(pilot)
        assert "What was done until then stays" in painted(pilot)
        assert re.search(r"Cancelled · (\d+ s · )?1 call · 2,000 tokens", painted(pilot))
        await press(pilot, "m")  # what the model was asked
        assert "SELECT 412" in painted(pilot)
        await press(pilot, "escape", "s")  # and what was built
        assert "| Alder | 412 |" in painted(pilot)


async def cancel(pilot: Pilot[None], gate: threading.Event) -> None:
    """Cancel while the question waits, and let its thread end."""
    await pilot.press("escape")
    await pilot.pause()
    gate.set()
    await settle(pilot)


async def test_how_far_a_structure_is_built_stands_in_one_line() -> None:
    class BuildingCorpus(ScriptedCorpus):
        def ask(self, question: str, *, listener: EventListener, **given: object) -> object:  # type: ignore[override]
            for done in (1, 2, 3):
                listener(BuildProgressed(StructureType.TABLE, done, 3))
            return super().ask(question, listener=listener, **given)  # type: ignore[arg-type]

    corpus = BuildingCorpus()
    gate = corpus.hold("q")
    async with app_for(corpus).run_test(size=(80, 24)) as pilot:
        await settle(pilot)
        await start_asking(pilot, "q")
        while "Retrieved" not in work(pilot):
            await pilot.pause()
        assert work(pilot).split("\n")[0] == "✓ Building the table: 3 of 3 documents"
        gate.set()
        await settle(pilot)


async def test_the_cost_runs_along_where_prices_are_known() -> None:
    corpus = ScriptedCorpus(model_calls=(CALL,))
    gate = corpus.hold("q", after_events=True)
    app = app_for(corpus)
    async with app.run_test(size=(80, 24)) as pilot:
        await settle(pilot)
        app.in_force = SettingsInForce("openai:x", prices=Prices(2.0, 8.0))
        await start_asking(pilot, "q")
        while "tokens" not in painted(pilot):
            await pilot.pause()
        assert "1 call · 2,000 tokens · cost 0.0070 · " in painted(pilot)
        gate.set()
        await settle(pilot)


async def test_the_newest_step_is_in_view() -> None:
    class StepwiseCorpus(ScriptedCorpus):
        def ask(self, question: str, *, listener: EventListener, **given: object) -> object:  # type: ignore[override]
            for kind in (StructureType.TABLE, StructureType.GRAPH) * 30:
                route = make_answer(question, kind).route
                listener(RouteChosen(route, kind, overridden=True))
            return super().ask(question, listener=listener, **given)  # type: ignore[arg-type]

    corpus = StepwiseCorpus()
    gate = corpus.hold("q", after_events=True)
    async with app_for(corpus).run_test(size=(80, 24)) as pilot:
        await settle(pilot)
        await start_asking(pilot, "q")
        while "sql" not in work(pilot):
            await pilot.pause()
        await pilot.pause()
        assert "sql: SELECT revenue FROM alder" in "\n".join(painted(pilot).split("\n")[8:])
        gate.set()
        await settle(pilot)


def test_prices_and_a_limit_of_cost_are_read_from_the_settings(tmp_path: Path) -> None:
    toml = "[budget]\ncost = 0.5\n[models]\nprompt_price = 2\ncompletion_price = 8\n"
    (tmp_path / "structrag.toml").write_text(toml, encoding="utf-8")
    in_force = read_in_force(tmp_path, None)
    assert in_force.prices == Prices(2, 8)
    assert "budget 0.5 cost" in str(in_force)


async def test_the_demo_comes_with_questions_to_begin_with() -> None:
    document = replace(REPORT, source="demo/alder.md")
    corpus = ScriptedCorpus(held=[document])
    async with app_for(corpus).run_test(size=(80, 24)) as pilot:
        await settle(pilot)
        assert "Or press ↓ for one of these" in painted(pilot)
        await press(pilot, "down", "down", "enter")
        assert corpus.asked == [(QUESTIONS[1].question, None)]
        assert pilot.app.screen.query_one("#question", Input).value == QUESTIONS[1].question
        assert not pilot.app.screen.query_one(Examples).display
        await press(pilot, "slash", "down")
        assert isinstance(pilot.app.focused, Input)


async def test_other_documents_come_with_a_hint_only() -> None:
    async with app_for(ScriptedCorpus()).run_test(size=(80, 24)) as pilot:
        await settle(pilot)
        assert "Type a question and press Enter." in painted(pilot)
        assert not pilot.app.screen.query_one(Examples).display
