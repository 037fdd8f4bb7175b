"""Replies of the model are seen while it writes them, as drafts, until what code has checked takes their place."""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from langchain_core.documents import Document
from loop_steps import loop_steps
from textual.pilot import Pilot
from tui_doubles import HOSTILE, ScriptedCorpus, app_for, painted, settle, start_asking, state

from structrag import StructRAG
from structrag.cli.text import clean
from structrag.errors import ModelError
from structrag.events import Event, EventListener, ModelCalled, ReplyGrew
from structrag.models import streaming
from structrag.models.embedding import Embedder, SentenceTransformerEmbedder
from structrag.router import FixedRouter
from structrag.testing import scripted
from structrag.tui.app import StructRAGApp
from structrag.tui.draft import Draft, draft_of
from structrag.tui.state import State
from structrag.types import Answer, StructureType
from structrag.usage import ModelCall

CALL = ModelCall("chunk.read", (("human", "q"),), "{}", prompt_tokens=100, completion_tokens=10)
SENTENCE = "In 2024 Alder had a revenue of 412 million EUR."
QUESTION = "What was the revenue of Alder in 2024?"


def shown(pilot: Pilot[None]) -> str:
    draft = pilot.app.screen.query_one(Draft)
    return str(draft.content) if draft.display else ""


@pytest.fixture
def drafts(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """All that was shown of replies, in order, each piece of which is told."""
    seen: list[str] = []
    show = Draft.show

    def watch(self: Draft, text: str) -> None:
        seen.append(text)
        show(self, text)

    monkeypatch.setattr(Draft, "show", watch)
    monkeypatch.setattr(streaming, "TOLD_EVERY", 0.0)
    return seen


class TestWhatIsShown:
    @pytest.mark.parametrize(
        ("stage", "text", "draft"),
        [
            ("chunk.read", '{"item": 3, "answer": "412 mill', "draft, not checked yet: 412 mill"),
            ("chunk.read", '{"item": 3, "answer": "caf\\u00', "draft, not checked yet: caf"),
            ("chunk.read", '{"answer": "say \\"yes\\" and', 'draft, not checked yet: say "yes" and'),
            ("chunk.read", '{"item": 3, "ans', ""),
            ("chunk.read", "", ""),
            ("chunk.read", '{"answer": 4', ""),
            ("chunk.read", '{"item": 1]', ""),
            ("chunk.read", '{"a": ' + "[" * 5000, ""),
            ("chunk.read", '{"item": ' + "9" * 900, ""),
            ("graph.link", "Jonas Bra", "draft, not checked yet: Jonas Bra"),
            ("table.sql", '{"sql": "SELECT', 'writing: {"sql": "SELECT'),
            ("graph.plan", "who(\n leads(", "writing: who( leads("),
        ],
    )
    def test_answers_without_the_json_around_them_and_the_rest_as_it_is(
        self, stage: str, text: str, draft: str
    ) -> None:
        assert draft_of(ReplyGrew(stage, text)) == draft

    def test_of_a_long_one_the_end(self) -> None:
        draft = draft_of(ReplyGrew("table.sql", "x" * 1_000_000 + " the end"))
        assert len(draft) < 320
        assert draft.startswith("writing: …x")
        assert draft.endswith(" the end")

    @given(st.sampled_from(["chunk.read", "graph.link", "table.sql"]), st.text(max_size=400), st.booleans())
    def test_any_text_is_cleaned_bounded_and_on_one_line(self, stage: str, text: str, is_answer: bool) -> None:
        written = json.dumps({"answer": text})[: len(text) + 9] if is_answer else text
        draft = draft_of(ReplyGrew(stage, written))
        assert len(draft) < 330
        assert "\n" not in draft
        assert clean(draft) == draft


async def test_a_draft_grows_below_the_steps_until_the_call_has_ended() -> None:
    gates = [threading.Event(), threading.Event()]

    class WritingCorpus(ScriptedCorpus):
        def ask(self, question: str, *, listener: EventListener, **given: object) -> Answer:  # type: ignore[override]
            assert given["drafts"] is True
            answer = super().ask(question, listener=listener, **given)  # type: ignore[arg-type]
            listener(ReplyGrew("chunk.read", '{"item": 1, "answer": "412 '))
            assert gates[0].wait(30)
            listener(ReplyGrew("chunk.read", '{"item": 1, "answer": "412 million EUR'))
            listener(ModelCalled(CALL))
            assert gates[1].wait(30)
            return answer

    async with app_for(WritingCorpus()).run_test(size=(80, 24)) as pilot:
        await settle(pilot)
        await start_asking(pilot, "q")
        while not shown(pilot):
            await pilot.pause()
        assert shown(pilot) == "draft, not checked yet: 412"
        lines = painted(pilot).split("\n")
        (working,) = [number for number, line in enumerate(lines) if "◐ working" in line]
        assert any("draft, not checked yet: 412" in line for line in lines[working + 1 :])
        gates[0].set()
        while shown(pilot):
            await pilot.pause()
        assert "not checked yet" not in painted(pilot)
        assert "110 tokens" in painted(pilot)
        gates[1].set()
        await settle(pilot)
        assert state(pilot) is State.ANSWERED
        assert "412 million EUR [1]" in painted(pilot)


async def test_a_draft_that_broke_off_and_one_of_a_failed_question_are_gone() -> None:
    told: list[str] = []
    written = threading.Event()

    class BreakingCorpus(ScriptedCorpus):
        def ask(self, question: str, *, listener: EventListener, **given: object) -> Answer:  # type: ignore[override]
            for text in ("half a re", "", "half"):
                listener(ReplyGrew("graph.link", text))
            assert written.wait(30)
            raise ModelError("The model has gone.")

    async with app_for(BreakingCorpus()).run_test(size=(80, 24)) as pilot:
        await settle(pilot)
        show = pilot.app.screen.query_one(Draft).show
        pilot.app.screen.query_one(Draft).show = lambda text: (told.append(text), show(text))[1]  # type: ignore[method-assign]
        await start_asking(pilot, "q")
        while "draft, not checked yet: half" not in told:
            await pilot.pause()
        assert told[-3:] == ["draft, not checked yet: half a re", "", "draft, not checked yet: half"]
        written.set()
        await settle(pilot)
        assert state(pilot) is State.FAILED
        assert shown(pilot) == ""


async def test_escape_ends_a_reply_that_is_being_written() -> None:
    ended = threading.Event()
    pieces: list[int] = []

    class EndlessCorpus(ScriptedCorpus):
        def ask(self, question: str, *, listener: EventListener, **given: object) -> Answer:  # type: ignore[override]
            try:
                while len(pieces) < 3000:  # half a minute
                    pieces.append(1)
                    listener(ReplyGrew("graph.link", f"word {len(pieces)}"))
                    time.sleep(0.01)
                raise AssertionError("it was never stopped")
            finally:
                ended.set()

    async with app_for(EndlessCorpus()).run_test(size=(80, 24)) as pilot:
        await settle(pilot)
        await start_asking(pilot, "q")
        while not shown(pilot):
            await pilot.pause()
        await pilot.press("escape")
        await settle(pilot)
        assert ended.is_set()
        assert len(pieces) < 3000
        assert state(pilot) is State.CANCELLED
        assert shown(pilot) == ""


async def test_hostile_drafts_are_text_and_not_felt(monkeypatch: pytest.MonkeyPatch) -> None:
    texts = [
        HOSTILE,
        "\x1b]0;owned\x07\x1b[31mred",
        "\u202eright to left\u2066",
        "e\u0301\u200b" * 5000,
        "x" * 1_000_000,
    ]
    hostile = ScriptedCorpus(written=[("graph.link", text) for text in texts * 4] + [("graph.link", HOSTILE)])
    usual = ScriptedCorpus(written=[("graph.link", "word")] * 21)
    longest = []
    for corpus in (usual, hostile):
        gate = corpus.hold("q", after_events=True)
        async with app_for(corpus).run_test(size=(80, 24)) as pilot:
            await settle(pilot)
            with loop_steps(monkeypatch) as steps:
                await start_asking(pilot, "q")
                while not shown(pilot).endswith(corpus.written[-1][1]):
                    await pilot.pause()
            longest.append(max(steps))
            text = painted(pilot)
            gate.set()
            await settle(pilot)
    assert HOSTILE in text
    assert longest[1] < longest[0] + 0.05


class TestPipeline:
    """Over the real pipeline, with replies that are scripted, and with those of the embedded model."""

    @pytest.fixture
    def opened(self, tmp_path: Path) -> Iterator[list[StructRAG]]:
        rags: list[StructRAG] = []
        yield rags
        for rag in rags:
            rag.close()

    async def ask(self, rag: StructRAG, tmp_path: Path) -> str:
        app = StructRAGApp(tmp_path, lambda folder: rag)
        async with app.run_test(size=(120, 40)) as pilot:
            await settle(pilot)
            await start_asking(pilot, QUESTION)
            await settle(pilot)
            assert shown(pilot) == ""
            assert state(pilot) is State.ANSWERED
            return painted(pilot)

    async def test_each_call_for_words_is_shown_and_none_for_likelihoods(
        self, opened: list[StructRAG], drafts: list[str], tmp_path: Path, embedder: Embedder
    ) -> None:
        script = {"You check an answer": {"yes": 0.95, "no": 0.05}, "": {"item": 1, "answer": "412 million EUR"}}
        chat, _ = scripted(script)
        rag = StructRAG.from_documents(
            [Document(f"# Alder\n\n{SENTENCE}\n", id="alder.md")],
            chat=chat,
            router=FixedRouter(StructureType.CHUNK),
            embedder=embedder,
        )
        opened.append(rag)
        assert "412 million EUR [1]" in await self.ask(rag, tmp_path)
        told = [text.removeprefix("draft, not checked yet: ") for text in drafts if text]
        assert told[:3] == ["412", "412 million", "412 million EUR"]
        assert set(told) == set(told[:3])

    def test_events_of_drafts_come_on_demand(
        self, opened: list[StructRAG], drafts: list[str], embedder: Embedder
    ) -> None:
        chat, _ = scripted({"You check an answer": {"yes": 0.95, "no": 0.05}, "": {"item": 1, "answer": "412 million"}})
        rag = StructRAG.from_documents(
            [Document(SENTENCE, id="a.md")], chat=chat, router=FixedRouter(StructureType.CHUNK), embedder=embedder
        )
        opened.append(rag)
        on_demand = list(rag.stream(QUESTION, drafts=True))
        assert [event.text for event in on_demand if isinstance(event, ReplyGrew)][
            -1
        ] == '{"item": 1, "answer": "412 million"}'
        unasked: list[Event] = list(rag.stream(QUESTION))
        assert not [event for event in unasked if isinstance(event, ReplyGrew)]

    @pytest.mark.model
    @pytest.mark.slow
    async def test_the_embedded_model_is_seen_writing(
        self, opened: list[StructRAG], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
    ) -> None:
        seen: list[str] = []
        show = Draft.show
        monkeypatch.setattr(Draft, "show", lambda self, text: (seen.append(text), show(self, text))[1])
        rag = StructRAG.from_documents(
            [Document(f"# Alder\n\nAlder makes ladders in Ostrey. {SENTENCE}\n", id="alder.md")],
            router=FixedRouter(StructureType.CHUNK),
            embedder=SentenceTransformerEmbedder(),
        )
        opened.append(rag)
        assert "412 million EUR" in await self.ask(rag, tmp_path)
        growing = [text for text in seen if text]
        assert len(set(growing)) >= 2
        first = growing[: growing.index(max(growing, key=len)) + 1]
        assert all(later.startswith(earlier) for earlier, later in zip(first, first[1:], strict=False))
