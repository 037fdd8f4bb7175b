"""Large things do not make the screen deaf: what they add to a step of the event loop is not felt."""

from __future__ import annotations

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


async def longest_step(structure: Structure, keys: list[str], monkeypatch: pytest.MonkeyPatch) -> float:
    """Return the longest step while a structure is shown and used."""
    answer = answer_by(structure, [])
    corpus = ScriptedCorpus(held=[MAKERS], answer=lambda question, wanted: answer)
    async with app_for(corpus).run_test(size=(120, 40)) as pilot:
        await settle(pilot)
        # What is done but once per session, such as importing the views, is no matter of size.
        await ask(pilot, "first")
        await pilot.press("s")
        with loop_steps(monkeypatch) as steps:
            await ask(pilot, "q")
            await pilot.press("s")
            await settle(pilot)
            for key in keys:
                await pilot.press(key)
                await settle(pilot)
        assert pilot.app.is_running
        return max(steps)


@pytest.mark.parametrize(
    ("small", "large", "keys"),
    [
        (large_table(10), large_table(10_000), TABLE_KEYS),
        (large_graph(10), large_graph(5_000), [*TREE_KEYS, *GRAPH_KEYS]),
        (large_catalogue(5), large_catalogue(500), TREE_KEYS),
        *((large_table(10), structure, ["down", "end", "pagedown"]) for structure in hostile_structures()),
    ],
    ids=["10,000 rows", "5,000 names", "500 documents", *(f"hostile {s.type}" for s in hostile_structures())],
)
async def test_what_is_large_is_used_in_short_steps(
    small: Structure, large: Structure, keys: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    usual = await longest_step(small, keys, monkeypatch)
    assert await longest_step(large, keys, monkeypatch) < usual + NOT_FELT
