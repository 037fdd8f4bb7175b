"""A corpus survives ``kill -9`` at any point of an ``add``. Run as a script, this file is what gets killed."""

from __future__ import annotations

import hashlib
import re
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from structrag import StructRAG
from structrag.corpus.store import CorpusStore
from structrag.events import DocumentAdded, Event
from structrag.index.chroma import VectorIndex
from structrag.index.keywords import KeywordIndex
from structrag.index.retriever import Retriever
from structrag.router import FixedRouter
from structrag.testing import scripted
from structrag.types import StructureType

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

pytestmark = pytest.mark.thorough

FILES = 30
# Enough for several batches of chunks, so that a kill between them finds some files indexed and some not begun.
PARAGRAPHS = 7
BUCKETS = 1009


class WordEmbedder:
    """Counts words in buckets: no weights to load, and a text is nearest to its own words.

    Args:
        blocked_at: The number of the call at which it says so and waits for ever.
    """

    name = "words"

    def __init__(self, blocked_at: int = 0) -> None:
        self._left = blocked_at

    def embed(self, texts: Sequence[str]) -> NDArray[np.float32]:
        import numpy as np

        self._left -= 1
        if self._left == 0:
            wait_to_be_killed()
        rows = np.full((len(texts), BUCKETS), 0.001, dtype=np.float32)
        for row, text in zip(rows, texts, strict=True):
            for token in set(re.findall(r"\w+", text.lower())):
                row[int(hashlib.sha256(token.encode()).hexdigest(), 16) % BUCKETS] += 1
        return np.asarray(rows / np.linalg.norm(rows, axis=1, keepdims=True), dtype=np.float32)


def wait_to_be_killed() -> None:
    print("ready", flush=True)  # noqa: T201 - this is how the child speaks to the test
    sys.stdin.read()


def open_corpus(folder: Path, embedder: WordEmbedder) -> StructRAG:
    chat, _ = scripted({})
    return StructRAG.open(folder, chat=chat, router=FixedRouter(StructureType.CHUNK), embedder=embedder)


def add_until(point: str, corpus: str, documents: str) -> None:
    """Add a folder and wait at ``embedding:<call>`` or ``told:<document>``, with the work half done."""
    kind, number = point.split(":")
    seen = 0

    def listen(event: Event) -> None:
        nonlocal seen
        seen += isinstance(event, DocumentAdded)
        if kind == "told" and seen == int(number):
            wait_to_be_killed()

    open_corpus(Path(corpus), WordEmbedder(int(number) if kind == "embedding" else 0)).add([documents], listener=listen)


def word(number: int) -> str:
    return f"zircon{number:03}"


@pytest.fixture
def documents(tmp_path: Path) -> Path:
    folder = tmp_path / "documents"
    folder.mkdir()
    filler = "The tide was low and the boats lay on the sand until the evening, as they had all week. " * 7
    for number in range(FILES):
        text = "\n\n".join([f"Report {number}", f"It is about {word(number)}.", *[filler] * PARAGRAPHS])
        (folder / f"report-{number:02}.txt").write_text(text, encoding="utf-8")
    return folder


def kill_at(point: str, corpus: Path, documents: Path) -> None:
    child = subprocess.Popen(
        [sys.executable, __file__, point, str(corpus), str(documents)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        encoding="utf-8",
    )
    with child:
        assert child.stdout is not None
        said = child.stdout.readline()
        child.kill()
    assert said == "ready\n"
    assert child.returncode != 0


@pytest.mark.parametrize(
    "point",
    # Each takes two seconds, most of them for the imports of the process that is killed.
    [
        "embedding:3",
        "told:11",
        *(pytest.param(p, marks=pytest.mark.slow) for p in ("embedding:1", "told:1", f"told:{FILES}")),
    ],
)
def test_an_add_that_was_killed_is_completed_by_the_next(point: str, tmp_path: Path, documents: Path) -> None:
    corpus = tmp_path / "corpus"
    kill_at(point, corpus, documents)
    if point == "embedding:3":
        with CorpusStore.open(corpus / "corpus.sqlite") as store:
            assert 0 < len(store.unindexed()) < len(store.ids()) < FILES
    with open_corpus(corpus, WordEmbedder()) as rag:
        survived = {document.id for document in rag.documents()}
        rag.add([])  # the index is opened, and completed, when it is first needed
    assert_whole(corpus, survived)
    with open_corpus(corpus, WordEmbedder()) as rag:
        report = rag.add([documents])
    assert (report.count("unchanged"), report.count("added")) == (len(survived), FILES - len(survived))
    assert_whole(corpus, {f"report-{number:02}.txt" for number in range(FILES)})


def assert_whole(corpus: Path, ids: set[str]) -> None:
    """The corpus holds these documents, its index each of their chunks once, and search finds every document."""
    with CorpusStore.open(corpus / "corpus.sqlite") as store, VectorIndex(corpus / "chroma", WordEmbedder()) as index:
        assert set(store.ids()) == ids
        assert store.unindexed() == []
        chunks = store.chunks()
        assert len({span for _, span in chunks}) == len(chunks) >= 6 * len(ids)
        assert index.entries() == {chunk_id: span.document_id for chunk_id, span in chunks}
        keywords = KeywordIndex(store)
        retriever = Retriever(store, index, keywords)
        for number in range(FILES):
            if (document_id := f"report-{number:02}.txt") in ids:
                spans = [passage.span for passage in retriever.search(f"What about {word(number)}?")]
                # BM25 is exact, so there it must come first; Chroma's neighbours are approximate among near ties.
                assert index.entries()[keywords.search(f"What about {word(number)}?", 1)[0][0]] == document_id
                assert document_id in {span.document_id for span in spans}
                assert len(set(spans)) == len(spans)


if __name__ == "__main__":
    add_until(*sys.argv[1:])
