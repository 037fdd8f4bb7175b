"""Many calls to an endpoint of which one in ten fails: every document ends in the table or in the report, once."""

from __future__ import annotations

import time

import pytest
from faulty_many import FAST, FlakyFirms
from firm_reports import MOST, HashingEmbedder, reply, reports, unaccounted

from structrag import StructRAG
from structrag.router import FixedRouter
from structrag.testing import scripted
from structrag.types import StructureType


@pytest.fixture(autouse=True)
def _no_waiting(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(time, "sleep", lambda seconds: None)


def test_nothing_is_lost_and_nothing_done_twice() -> None:
    firms = FlakyFirms(questions=12, kinds=FAST, seed=7)
    assert firms.run() == []
    assert firms.calls > 120
    assert len(firms.faults) > 5


def test_what_is_lost_or_done_twice_would_be_seen() -> None:
    """The check itself: one report is read as another firm's, which counts as missing."""
    names = ["Bado", "Kamo", "Lora"]
    lying = {"Document: Kamo": '{"rows": []}', "": reply}
    with StructRAG.from_documents(
        reports(names),
        chat=scripted(lying)[0],
        router=FixedRouter(StructureType.TABLE),
        embedder=HashingEmbedder(),
    ) as rag:
        answer = rag.ask(MOST)
    assert unaccounted(answer, names) == ["Kamo is missing and not reported"]
