"""Large things do not make the screen deaf: what they add to a step of the event loop is not felt."""

from __future__ import annotations

from collections.abc import Sequence

import pytest
from loop_steps import loop_steps
from tui_doubles import ScriptedCorpus, app_for, ask, settle
from tui_structures import MAKERS, answer_by, hostile_structures, large_catalogue, large_graph, large_table

from structrag.types import Structure

NOT_FELT = 0.05
"""Seconds of processor time that a step may take longer than with a small structure: drawing takes as long for both."""

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
    usual, *longest = await longest_steps([small, *large], keys, monkeypatch)
    felt = [str(structure.type) for structure, step in zip(large, longest, strict=True) if step >= usual + NOT_FELT]
    assert felt == []
