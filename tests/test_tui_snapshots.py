"""Snapshots of every screen in every state, at the smallest size that is supported and at an ordinary one.

They are kept as SVG in tests/snapshots. After a change that is meant: `make snapshots`, and look at what git shows.
"""

from __future__ import annotations

import asyncio
import re
import threading
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from textual.pilot import Pilot
from textual.widgets import Input
from tui_doubles import REPORT, ScriptedCorpus, app_for, ask, make_answer, painted, press, settle, start_asking
from tui_routers import PreferringCorpus, ScriptedRouters, pair
from tui_routers import steps as training_steps
from tui_snapshots import check_screen
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
from structrag.events import DocumentAdded, EventListener, ignore_event
from structrag.router.occlusion import MovingWord
from structrag.tui.app import StructRAGApp
from structrag.tui.corpus_screen import CorpusScreen
from structrag.tui.panes import Panes, Place
from structrag.types import AddedDocument, AddReport, Answer, Structure, StructureType
from structrag.usage import ModelCall

Compare = Callable[[StructRAGApp, tuple[int, int], "Steps"], Awaitable[None]]
Snap = Callable[[Pilot[None], str], Awaitable[None]]
Steps = Callable[[Pilot[None]], Awaitable[None]]
SIZES = pytest.mark.parametrize(
    "size", [pytest.param((80, 24), id="80x24"), pytest.param((120, 40), id="120x40", marks=pytest.mark.thorough)]
)
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


async def at_rest(pilot: Pilot[None]) -> None:
    """Wait until nothing moves: on a busy machine the line below a tab is still on its way to it."""
    await pilot.wait_for_scheduled_animations()
    await pilot.pause()


@pytest.fixture
def snapped(request: pytest.FixtureRequest, tmp_path: Path) -> Compare:
    """Compare what an application shows after some steps with the snapshot that is kept under the test's name."""

    async def compare(app: StructRAGApp, size: tuple[int, int], steps: Steps) -> None:
        async with app.run_test(size=size) as pilot:
            await settle(pilot)
            await steps(pilot)
            await at_rest(pilot)
            check_screen(_name_of(request), app, tmp_path)

    return compare


@pytest.fixture
def snap(request: pytest.FixtureRequest, tmp_path: Path) -> Snap:
    """Compare what the terminal shows now with the snapshot under the test's name and another one."""

    async def compare(pilot: Pilot[None], state: str) -> None:
        await at_rest(pilot)
        check_screen(f"{state}-{request.node.callspec.id}", pilot.app, tmp_path)

    return compare


def _name_of(request: pytest.FixtureRequest) -> str:
    return re.sub(r"[^a-z0-9]+", "-", request.node.name.removeprefix("test_")).strip("-")


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

    async def test_low_confidence(self, snapped: Compare, size: tuple[int, int]) -> None:
        shares = dict(zip(StructureType, (0.44, 0.21, 0.15, 0.1, 0.1), strict=True))
        route = replace(make_answer(QUESTION).route, probabilities=shares)
        await snapped(app_for(corpus(route=route)), size, keys("r"))

    async def test_while_the_corpus_is_opened(self, snap: Snap, size: tuple[int, int]) -> None:
        gate = threading.Event()

        def open_late(folder: Path) -> ScriptedCorpus:
            assert gate.wait(30)
            return ScriptedCorpus()

        async with StructRAGApp(Path("my-corpus"), open_late).run_test(size=size) as pilot:
            await snap(pilot, "opening")
            gate.set()
            await settle(pilot)

    async def test_a_cancelled_question(self, snap: Snap, size: tuple[int, int]) -> None:
        held = corpus()
        gate = held.hold(QUESTION, after_events=True)
        async with app_for(held).run_test(size=size) as pilot:
            await settle(pilot)
            await start_asking(pilot, QUESTION)
            await until(pilot, lambda: "320 tokens" in painted(pilot))
            await snap(pilot, "work-done")
            await pilot.press("escape")
            gate.set()
            await settle(pilot)
            await snap(pilot, "cancelled")

    async def test_while_a_reply_is_written(self, snap: Snap, size: tuple[int, int]) -> None:
        for state, mark, *reply in (
            ("draft", "not checked yet: In", "chunk.read", '{"item": 3, "answer": "In 2024 Alder had a reve'),
            ("writing", "writing: ", "table.sql", '{"sql": "SELECT revenue FROM makers WHERE comp'),
        ):
            held = corpus()
            held.written = [(reply[0], reply[1])]
            gate = held.hold(QUESTION, after_events=True)
            async with app_for(held).run_test(size=size) as pilot:
                await settle(pilot)
                await start_asking(pilot, QUESTION)
                # The keys follow a little later than what they are about.
                await until(pilot, lambda shown={mark, "m Model"}, pilot=pilot: all(t in painted(pilot) for t in shown))
                await snap(pilot, state)
                gate.set()
                await settle(pilot)

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

    async def test_what_an_item_opens(self, snap: Snap, size: tuple[int, int]) -> None:
        async with app_for(answered_by(StructureType.TABLE)).run_test(size=size) as pilot:
            await settle(pilot)
            await keys("s", "enter")(pilot)
            await snap(pilot, "source")
            await press(pilot, "escape", "i")
            await snap(pilot, "edit")


class SlowCorpus(ScriptedCorpus):
    """Reads documents until one fails and the next is on its way."""

    gate: threading.Event

    def add(self, paths: Sequence[str | Path], *, listener: EventListener = ignore_event) -> AddReport:
        read = (
            AddedDocument("a.md", "added", source="firms/a.md"),
            AddedDocument("b.pdf", "failed", "It has no text."),
        )
        for done, document in enumerate(read, 1):
            listener(DocumentAdded(document, done, 4))
        assert self.gate.wait(30)
        return AddReport(read)


@SIZES
class TestOtherScreens:
    async def test_corpus(
        self, snap: Snap, size: tuple[int, int], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        for name in ("a.md", "b.pdf", "c.md", "d.md"):
            (tmp_path / "here" / "firms").mkdir(parents=True, exist_ok=True)
            (tmp_path / "here" / "firms" / name).write_text("text", encoding="utf-8")
        monkeypatch.chdir(tmp_path / "here")
        held = SlowCorpus(held=[REPORT, MAKERS])
        held.gate = threading.Event()
        async with app_for(held).run_test(size=size) as pilot:
            await settle(pilot)
            await press(pilot, "f2")
            await snap(pilot, "corpus")
            await press(pilot, "x")
            await snap(pilot, "corpus-removing")
            await press(pilot, "escape", "slash", *"valve")
            await snap(pilot, "corpus-found")
            await press(pilot, "escape")
            screen = pilot.app.screen
            assert isinstance(screen, CorpusScreen)
            screen._folder = Path("firms")
            await pilot.press("a")
            await until(pilot, lambda: "d.md" in painted(pilot))
            await snap(pilot, "corpus-path")
            await pilot.press(*"firms", "enter")
            await until(pilot, lambda: "1 could not be read" in painted(pilot))
            await snap(pilot, "corpus-reading")
            held.gate.set()
            await settle(pilot)

    async def test_router(self, snap: Snap, size: tuple[int, int]) -> None:
        routers = ScriptedRouters(steps=training_steps(), gate=threading.Event(), gate_before=3)
        held = PreferringCorpus({1: pair(), 2: pair("How many firms make pumps, and where?")})
        async with StructRAGApp(
            Path("my-corpus"),
            lambda folder: held,
            routers=lambda folder: routers,  # type: ignore[arg-type,return-value]
        ).run_test(size=size) as pilot:
            await settle(pilot)
            await press(pilot, "f3")
            await snap(pilot, "router-versions")
            await press(pilot, "2")
            await snap(pilot, "router-preferences")
            await press(pilot, "3")
            await snap(pilot, "router-quality")
            await pilot.press("t")
            await until(pilot, lambda: "step 15 of 20" in painted(pilot))
            await snap(pilot, "router-training")
            assert routers.gate is not None
            routers.gate.set()
            await settle(pilot)
            await snap(pilot, "router-trained")

    async def test_router_without_versions(self, snap: Snap, size: tuple[int, int]) -> None:
        routers = ScriptedRouters(names=["shipped"])
        held = PreferringCorpus()
        async with StructRAGApp(
            Path("my-corpus"),
            lambda folder: held,
            routers=lambda folder: routers,  # type: ignore[arg-type,return-value]
        ).run_test(size=size) as pilot:
            await settle(pilot)
            await press(pilot, "f3")
            await snap(pilot, "router-shipped-only")
            await press(pilot, "2")
            await snap(pilot, "router-no-preferences")

    async def test_history(self, snap: Snap, size: tuple[int, int]) -> None:
        held = ScriptedCorpus(earlier=[make_answer(f"Question {n}?", StructureType.CHUNK).to_dict() for n in range(3)])
        async with app_for(held).run_test(size=size) as pilot:
            await settle(pilot)
            await press(pilot, "f4")
            await snap(pilot, "history")

    async def test_empty_history(self, snap: Snap, size: tuple[int, int]) -> None:
        async with app_for(ScriptedCorpus()).run_test(size=size) as pilot:
            await settle(pilot)
            await press(pilot, "f4")
            await snap(pilot, "history-empty")


async def until(pilot: Pilot[None], holds: Callable[[], bool]) -> None:
    """Wait until the screen shows what is expected."""
    for _ in range(400):
        await pilot.pause()
        if holds():
            return
        await asyncio.sleep(0.02)
    raise AssertionError(f"never came to hold:\n{painted(pilot)}")
