"""Snapshots of every screen in every state, at the smallest size that is supported and at an ordinary one.

They are kept as SVG in tests/snapshots. After a change that is meant: `make snapshots`, and look at what git shows.
"""

from __future__ import annotations

import re
from collections.abc import Awaitable, Callable
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from textual.pilot import Pilot
from textual.widgets import Input
from tui_doubles import REPORT, ScriptedCorpus, app_for, ask, make_answer, press, settle, start_asking
from tui_snapshots import check_snapshot
from tui_structures import (
    KINDS,
    MAKERS,
    PATH,
    answer_by,
    at,
    make_algorithm,
    make_catalogue,
    make_chunks,
    make_graph,
    make_tables,
)

from structrag.errors import ModelError
from structrag.router.occlusion import MovingWord
from structrag.tui.app import StructRAGApp
from structrag.tui.panes import Panes, Place
from structrag.types import Answer, Structure, StructureType
from structrag.usage import ModelCall

Compare = Callable[[StructRAGApp, tuple[int, int], "Steps"], Awaitable[None]]
Steps = Callable[[Pilot[None]], Awaitable[None]]
SIZES = pytest.mark.parametrize("size", [(80, 24), (120, 40)], ids=["80x24", "120x40"])
QUESTION = "What revenue did Alder have in 2024?"
CALL = ModelCall(
    "table.sql",
    (("system", "Write SQL."), ("human", QUESTION)),
    "SELECT 412",
    max_tokens=220,
    prompt_tokens=300,
    completion_tokens=20,
    seconds=2.0,
)
BUILT: dict[StructureType, Callable[[], Structure]] = {
    StructureType.TABLE: make_tables,
    StructureType.GRAPH: make_graph,
    StructureType.ALGORITHM: make_algorithm,
    StructureType.CATALOGUE: make_catalogue,
    StructureType.CHUNK: make_chunks,
}
TRACES = {StructureType.TABLE: ("sql", "SELECT revenue FROM makers"), StructureType.GRAPH: ("path", PATH)}


@pytest.fixture(autouse=True)
def still(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let no clock run on the screen, and no cursor blink."""
    monkeypatch.setattr("structrag.tui.status.time", SimpleNamespace(monotonic=lambda: 0.0))
    monkeypatch.setattr(Input, "cursor_blink", False)


@pytest.fixture
def snapped(request: pytest.FixtureRequest, tmp_path: Path) -> Compare:
    """Compare what an application shows after some steps with the snapshot that is kept under the test's name."""

    async def compare(app: StructRAGApp, size: tuple[int, int], steps: Steps) -> None:
        name = re.sub(r"[^a-z0-9]+", "-", request.node.name.removeprefix("test_")).strip("-")
        await check_snapshot(name, app, size, steps, tmp_path)

    return compare


def answered_by(kind: StructureType) -> ScriptedCorpus:
    trace = [TRACES[kind]] if kind in TRACES else []

    def answer(question: str, structure: StructureType | None) -> Answer:
        return replace(answer_by(BUILT[kind](), [at("Alder buys compressors from Birch.")], *trace), question=question)

    return ScriptedCorpus(held=[MAKERS], answer=answer)


def corpus(**changes: Any) -> ScriptedCorpus:
    def answer(question: str, structure: StructureType | None) -> Answer:
        return make_answer(question, structure, **changes)

    words = (MovingWord("revenue", 5, 0.21), MovingWord("2024", 31, 0.04))
    return ScriptedCorpus(answer=answer, words=words, model_calls=(CALL,))


def keys(*pressed: str) -> Steps:
    """Ask, and press these keys then."""

    async def steps(pilot: Pilot[None]) -> None:
        await ask(pilot, QUESTION)
        await pilot.press("escape")
        for key in pressed:
            await press(pilot, key)

    return steps


async def nothing(pilot: Pilot[None]) -> None:
    """Leave it as it opens."""


@SIZES
class TestAskScreen:
    async def test_an_empty_corpus(self, snapped: Compare, size: tuple[int, int]) -> None:
        await snapped(app_for(ScriptedCorpus(held=[])), size, nothing)

    async def test_ready(self, snapped: Compare, size: tuple[int, int]) -> None:
        await snapped(app_for(ScriptedCorpus()), size, nothing)

    async def test_answered(self, snapped: Compare, size: tuple[int, int]) -> None:
        await snapped(app_for(corpus()), size, keys())

    async def test_not_grounded(self, snapped: Compare, size: tuple[int, int]) -> None:
        none = corpus(text="The documents do not say.", values=(), grounded=False, citations=())
        await snapped(app_for(none), size, keys())

    async def test_unsure(self, snapped: Compare, size: tuple[int, int]) -> None:
        shares = dict(zip(StructureType, (0.31, 0.29, 0.2, 0.1, 0.1), strict=True))
        route = replace(make_answer(QUESTION).route, probabilities=shares, unsure=True)
        await snapped(app_for(corpus(route=route)), size, keys("r"))

    async def test_an_error(self, snapped: Compare, size: tuple[int, int]) -> None:
        def fail(question: str, structure: StructureType | None) -> Answer:
            raise ModelError("The model does not answer.", hint="Is it running?")

        await snapped(app_for(ScriptedCorpus(answer=fail)), size, keys())

    async def test_while_a_question_is_answered(self, snapped: Compare, size: tuple[int, int]) -> None:
        held = ScriptedCorpus()
        gate = held.hold(QUESTION)
        try:
            await snapped(app_for(held), size, lambda pilot: start_asking(pilot, QUESTION))
        finally:
            gate.set()

    @pytest.mark.parametrize("kind", KINDS, ids=str)
    async def test_structures(self, snapped: Compare, size: tuple[int, int], kind: StructureType) -> None:
        async def steps(pilot: Pilot[None]) -> None:
            await keys()(pilot)
            pilot.app.screen.query_one(Panes).see(Place.STRUCTURE)
            await settle(pilot)

        await snapped(app_for(answered_by(kind)), size, steps)

    @pytest.mark.parametrize("key", ["m", "c", "e", "f1", "ctrl+o", "f5"])
    async def test_what_opens_on_top(self, snapped: Compare, size: tuple[int, int], key: str) -> None:
        await snapped(app_for(corpus()), size, keys(key))


@SIZES
class TestOtherScreens:
    async def test_corpus(self, snapped: Compare, size: tuple[int, int]) -> None:
        held = ScriptedCorpus(held=[REPORT, MAKERS])
        await snapped(app_for(held), size, lambda pilot: press(pilot, "f2"))

    async def test_history(self, snapped: Compare, size: tuple[int, int]) -> None:
        earlier = [make_answer(f"Question {n}?", StructureType.CHUNK).to_dict() for n in range(3)]
        await snapped(app_for(ScriptedCorpus(earlier=earlier)), size, lambda pilot: press(pilot, "f4"))
