"""Large things, and much news, do not make the screen deaf: what they add to a step of the event loop is not felt."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import pytest
from loop_steps import loop_steps
from textual.widgets import Input
from tui_doubles import ScriptedCorpus, app_for, ask, settle, start_asking
from tui_structures import MAKERS, answer_by, hostile_structures, large_catalogue, large_graph, large_table

from structrag.events import DocumentAdded, EventListener, ignore_event
from structrag.types import AddedDocument, AddReport, Structure

pytestmark = pytest.mark.thorough

NOT_FELT = 0.05
"""Seconds of processor time that a step may take longer than with a small structure: drawing takes as long for both."""

TRIES = 4
"""A busy machine can only make a step longer, so what is short in one of a few tries is short."""

TABLE_KEYS = ["s", "s", "f", "7", "escape", "pagedown", "pagedown", "ctrl+end", "end", "up"]
TREE_KEYS = ["right", "down", "down", "right", "pagedown", "end", "enter"]
GRAPH_KEYS = ["v", "v", "f", "4", "escape"]


async def longest_steps(
    structures: Sequence[Structure], keys: list[str], monkeypatch: pytest.MonkeyPatch
) -> list[float]:
    """Return the longest step while each structure is shown and used, one after the other."""
    answers = {f"question {number}": answer_by(structure, []) for number, structure in enumerate(structures)}
    corpus = ScriptedCorpus(held=[MAKERS], answer=lambda question, wanted: answers[question])
    longest: list[float] = []
    async with app_for(corpus).run_test(size=(120, 40)) as pilot:
        await settle(pilot)
        # What is done but once per session, such as importing the views, is no matter of size.
        await ask(pilot, "question 0")
        await pilot.press("s")
        for question in answers:
            with loop_steps(monkeypatch) as steps:
                await ask(pilot, question)
                await pilot.press("s")
                await settle(pilot)
                for key in keys:
                    await pilot.press(key)
                    await settle(pilot)
            longest.append(max(steps))
            while len(pilot.app.screen_stack) > 1:
                await pilot.press("escape")
                await settle(pilot)
        assert pilot.app.is_running
    return longest


@pytest.mark.parametrize(
    ("small", "large", "keys"),
    [
        pytest.param(large_table(10), [large_table(10_000)], TABLE_KEYS, id="10,000 rows"),
        pytest.param(large_graph(10), [large_graph(5_000)], [*TREE_KEYS, *GRAPH_KEYS], id="5,000 names"),
        pytest.param(large_catalogue(5), [large_catalogue(500)], TREE_KEYS, id="500 documents"),
        pytest.param(large_table(10), hostile_structures(), ["down", "end", "pagedown"], id="hostile"),
    ],
)
async def test_what_is_large_is_used_in_short_steps(
    small: Structure, large: Sequence[Structure], keys: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    felt = list(large)
    for _ in range(TRIES):
        usual, *longest = await longest_steps([small, *felt], keys, monkeypatch)
        felt = [structure for structure, step in zip(felt, longest, strict=True) if step >= usual + NOT_FELT]
        if not felt:
            break
    assert [str(structure.type) for structure in felt] == []


class ManyDocuments(ScriptedCorpus):
    """A corpus to which documents are added as fast as nothing real can read them."""

    count = 0

    def add(self, paths: Sequence[str | Path], *, listener: EventListener = ignore_event) -> AddReport:
        read = [AddedDocument(f"{number}.md", "added", source=f"firms/{number}.md") for number in range(self.count)]
        for done, document in enumerate(read, 1):
            listener(DocumentAdded(document, done, len(read)))
            self.held.append(replace(MAKERS, id=document.document_id, source=document.source))
        return AddReport(tuple(read))


async def longest_step_of_adding(count: int, keys: list[str], monkeypatch: pytest.MonkeyPatch) -> float:
    """Return the longest step while documents are added and keys are pressed."""
    corpus = ManyDocuments(held=[])
    corpus.count = count
    async with app_for(corpus).run_test(size=(120, 40)) as pilot:
        await settle(pilot)
        if keys[0] == "f2":
            await pilot.press("f2", "escape")
            await settle(pilot)
        with loop_steps(monkeypatch) as steps:
            for key in keys:
                await pilot.press(key)
            await settle(pilot)
            await pilot.press("down", "up")
            await settle(pilot)
        assert len(corpus.held) == count
        return max(steps)


@pytest.mark.parametrize("keys", [["d"], ["f2", "d", "down", "pagedown", "up"]], ids=["ask screen", "corpus screen"])
async def test_five_hundred_documents_are_added_in_short_steps(
    keys: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    longer: list[float] = []
    for _ in range(TRIES):
        usual = await longest_step_of_adding(5, keys, monkeypatch)
        longer.append(await longest_step_of_adding(500, keys, monkeypatch) - usual)
        if longer[-1] < NOT_FELT:
            break
    assert min(longer) < NOT_FELT


async def test_a_key_is_heard_at_once_while_the_model_takes_its_time(monkeypatch: pytest.MonkeyPatch) -> None:
    corpus = ScriptedCorpus()
    gate = corpus.hold("q")
    async with app_for(corpus).run_test(size=(120, 40)) as pilot:
        await settle(pilot)
        await start_asking(pilot, "q")
        await pilot.press("slash", "a")
        longest: list[float] = []
        for letters in ("bcde", "fghi", "klmn", "opqr"):
            with loop_steps(monkeypatch) as steps:
                await pilot.press(*letters)
            longest.append(max(steps))
        field = pilot.app.screen.query_one("#question", Input)
        assert field.value == "abcdefghiklmnopqr"
        assert min(longest) < NOT_FELT
        gate.set()
        await settle(pilot)
