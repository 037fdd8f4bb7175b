"""Many questions at once through the async API, and many one after the other."""

from __future__ import annotations

import asyncio
import gc
from collections.abc import Iterator
from pathlib import Path

import pytest
from firm_reports import READING, HashingEmbedder, firms, reports, revenue_answer, revenue_question

from structrag import StructRAG
from structrag.router import FixedRouter
from structrag.testing import scripted
from structrag.types import StructureType

NAMES = firms(40)
AT_ONCE = 100
"""The soak asks 200."""


@pytest.fixture(scope="module")
def rag(tmp_path_factory: pytest.TempPathFactory) -> Iterator[StructRAG]:
    with StructRAG.open(
        tmp_path_factory.mktemp("many"),
        chat=scripted(READING)[0],
        router=FixedRouter(StructureType.CHUNK),
        embedder=HashingEmbedder(),
    ) as rag:
        rag.add_documents(reports(NAMES))
        yield rag


async def test_questions_at_once_are_all_answered_each_with_its_own_answer(rag: StructRAG) -> None:
    asked = [NAMES[number % len(NAMES)] for number in range(AT_ONCE)]
    answers = await asyncio.gather(*(rag.aask(revenue_question(name), scope=[name]) for name in asked))
    assert [answer.values for answer in answers] == [(revenue_answer(NAMES, name),) for name in asked]
    assert len({answer.id for answer in answers}) == AT_ONCE
    assert all(answer.usage.calls == 2 for answer in answers)
    kept = {record["id"]: record["question"] for record in rag.answers(AT_ONCE)}
    assert kept == {answer.id: answer.question for answer in answers}


async def test_the_loop_is_free_while_questions_are_under_way(rag: StructRAG) -> None:
    asking = asyncio.gather(*(rag.aask(revenue_question(name), scope=[name]) for name in NAMES[:10]))
    turns = 0
    while not asking.done():
        await asyncio.sleep(0)
        turns += 1
    assert len(asking.result()) == 10
    assert turns > 10


async def test_a_question_that_is_no_longer_waited_for_does_no_harm(rag: StructRAG) -> None:
    name = NAMES[3]
    task = asyncio.create_task(rag.aask(revenue_question(name), scope=[name]))
    await asyncio.sleep(0)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    answer = await rag.aask(revenue_question(name), scope=[name])
    assert answer.values == (revenue_answer(NAMES, name),)


def test_what_a_question_leaves_behind_is_not_in_memory(tmp_path: Path) -> None:
    """Counted in objects, which a busy machine does not change; the soak looks at bytes, over 5,000 questions."""
    with StructRAG.open(
        tmp_path, chat=scripted(READING)[0], router=FixedRouter(StructureType.CHUNK), embedder=HashingEmbedder()
    ) as rag:
        rag.add_documents(reports(NAMES))

        def objects_after(questions: int) -> int:
            for number in range(questions):
                rag.ask(revenue_question(NAMES[number % len(NAMES)]), scope=[NAMES[number % len(NAMES)]])
            gc.collect()
            return len(gc.get_objects())

        before = objects_after(40)
        # Weak references come and go by the hundred; one answer that is kept holds dozens of objects.
        assert objects_after(40) - before < 10 * 40
