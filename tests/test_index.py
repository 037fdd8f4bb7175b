"""Retrieval with the real embedder: the right document must come back."""

from __future__ import annotations

import gc
import sqlite3
import time
from collections.abc import Iterator, Sequence
from contextlib import closing
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from langchain_core.documents import Document

from structrag.corpus.store import CorpusStore
from structrag.corpus.sync import add_documents, recover
from structrag.errors import IndexMismatchError, StoreError
from structrag.index.chroma import VectorIndex
from structrag.index.keywords import KeywordIndex, tokens
from structrag.index.retriever import Retriever
from structrag.models.embedding import Embedder, load_embedder

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

_TEXTS = {
    "boiler.md": "# Boiler\n\nThe heating plant is fired with wood chips. Part BX-41 is the ignition electrode.",
    "choir.md": "# Choir\n\nOn Mondays forty singers rehearse in the large hall upstairs.",
    "accounts.md": "# Accounts\n\nTurnover rose by nine percent, and the dividend stays as it was.",
    "garden.md": "# Garden\n\nVolunteers water the tomatoes and cut back the hedges in spring.",
    "parking.md": "# Parking\n\nDelivery vans block the two bays for disabled drivers beside the gate.",
}


class TinyEmbedder:
    """Another embedder, of two dimensions."""

    name = "tiny"

    def embed(self, texts: Sequence[str]) -> NDArray[np.float32]:
        import numpy as np

        return np.array([[1.0, 0.0]] * len(texts), dtype=np.float32)


@pytest.fixture(scope="module")
def embedder() -> Embedder:
    return load_embedder("embedded")


@pytest.fixture
def store() -> Iterator[CorpusStore]:
    with CorpusStore.open(None) as opened:
        yield opened


@pytest.fixture
def vectors(embedder: Embedder) -> Iterator[VectorIndex]:
    with VectorIndex(None, embedder) as opened:
        yield opened


@pytest.fixture
def retriever(store: CorpusStore, vectors: VectorIndex) -> Retriever:
    add(store, vectors, _TEXTS)
    return Retriever(store, vectors, KeywordIndex(store))


def add(
    store: CorpusStore, vectors: VectorIndex, texts: dict[str, str], *, chunk_size: int = 700, overlap: int = 80
) -> None:
    documents = [Document(text, id=name) for name, text in texts.items()]
    add_documents(store, vectors, documents, chunk_size=chunk_size, overlap=overlap)


def found_in(store: CorpusStore, found: list[tuple[int, float]]) -> list[str]:
    passages = store.passages([chunk_id for chunk_id, _ in found])
    return [passages[chunk_id].span.document_id for chunk_id, _ in found]


def overwrite_table(path: Path, table: str) -> None:
    with closing(sqlite3.connect(path)) as database:
        ((root,),) = database.execute("SELECT rootpage FROM sqlite_master WHERE name = ?", [table])
        ((size,),) = database.execute("PRAGMA page_size")
    with path.open("r+b") as file:
        file.seek((root - 1) * size)
        file.write(b"\xff" * size)


class TestVectorIndex:
    @pytest.mark.parametrize(
        ("question", "document"),
        [
            ("What fuel do we burn?", "boiler.md"),
            ("When does the vocal ensemble practise?", "choir.md"),
            ("How much did sales grow?", "accounts.md"),
            ("Who looks after the vegetables?", "garden.md"),
            ("Why can wheelchair users not leave their cars?", "parking.md"),
        ],
    )
    def test_finds_by_meaning(self, store: CorpusStore, vectors: VectorIndex, question: str, document: str) -> None:
        add(store, vectors, _TEXTS)
        found = vectors.search(question, 3)
        assert found_in(store, found)[0] == document
        cosines = [cosine for _, cosine in found]
        assert cosines == sorted(cosines, reverse=True)
        assert 0 < cosines[0] <= 1

    def test_scope_restricts_and_still_ranks(self, store: CorpusStore, vectors: VectorIndex) -> None:
        add(store, vectors, _TEXTS)
        found = vectors.search("What fuel do we burn?", 5, ["garden.md", "accounts.md"])
        assert sorted(found_in(store, found)) == ["accounts.md", "garden.md"]
        assert vectors.search("What fuel do we burn?", 5, []) == []

    def test_removed_chunks_are_gone(self, store: CorpusStore, vectors: VectorIndex) -> None:
        add(store, vectors, _TEXTS)
        vectors.remove("boiler.md")
        vectors.remove("never.md")
        garden = [chunk_id for chunk_id, owner in vectors.entries().items() if owner == "garden.md"]
        vectors.discard([*garden, 12345])
        assert sorted(vectors.entries().values()) == ["accounts.md", "choir.md", "parking.md"]

    def test_empty_index_finds_nothing(self, vectors: VectorIndex) -> None:
        assert vectors.search("anything", 5) == []
        assert vectors.entries() == {}

    def test_survives_reopening(self, tmp_path: Path, embedder: Embedder) -> None:
        with VectorIndex(tmp_path / "chroma", embedder) as index:
            index.add([7], ["a"], ["Some text"])
        with VectorIndex(tmp_path / "chroma", embedder) as index:
            assert index.entries() == {7: "a"}
            assert index.search("some text", 1)[0][0] == 7

    def test_same_number_again_replaces(self, vectors: VectorIndex) -> None:
        vectors.add([1, 2], ["a", "a"], ["The choir sings", "The boiler burns"])
        vectors.add([1], ["b"], ["The pump leaks"])
        assert vectors.entries() == {1: "b", 2: "a"}
        assert vectors.search("leaking pump", 1)[0][0] == 1

    def test_more_chunks_than_one_batch(self, tmp_path: Path) -> None:
        with VectorIndex(tmp_path, TinyEmbedder()) as index:
            index.add(range(1300), ["a"] * 1300, ["x"] * 1300)
            assert len(index.entries()) == 1300
            index.discard(range(1, 1300))
            assert index.entries() == {0: "a"}

    def test_indexes_in_memory_do_not_share(self, embedder: Embedder) -> None:
        with VectorIndex(None, embedder) as one, VectorIndex(None, embedder) as other:
            one.add([1], ["a"], ["text"])
            assert other.entries() == {}

    def test_does_not_clash_with_a_client_of_the_application(self, embedder: Embedder) -> None:
        import chromadb

        theirs = chromadb.EphemeralClient()
        with VectorIndex(None, embedder) as index:
            index.add([1], ["a"], ["text"])
            assert chromadb.EphemeralClient().list_collections() == theirs.list_collections() == []

    def test_another_dimension_is_refused(self, tmp_path: Path, embedder: Embedder) -> None:
        with VectorIndex(tmp_path, TinyEmbedder()) as index:
            index.add([1], ["a"], ["text"])
        with VectorIndex(tmp_path, embedder) as index, pytest.raises(IndexMismatchError, match="MiniLM"):
            index.add([2], ["a"], ["text"])

    @pytest.mark.parametrize("table", ["embedding_metadata", "collections", "migrations"])
    def test_damaged_index(self, tmp_path: Path, table: str) -> None:
        folder = tmp_path / "chroma"
        with VectorIndex(folder, TinyEmbedder()) as index:
            index.add([1, 2], ["a", "b"], ["one", "two"])
        while (folder / "chroma.sqlite3-wal").exists():  # it is closed in the background
            time.sleep(0.01)
        overwrite_table(folder / "chroma.sqlite3", table)
        for _ in range(2):  # Chroma keeps a client that it could not open, and would hand it out the second time
            with VectorIndex(folder, TinyEmbedder()) as index, pytest.raises(StoreError) as caught:
                index.entries()
            assert "doctor --repair" in (caught.value.hint or "")
        with VectorIndex(folder, TinyEmbedder()) as index:
            assert index.set_aside()
            assert index.entries() == {}

    def test_closes_cleanly_and_removes_what_was_temporary(self) -> None:
        index = VectorIndex(None, TinyEmbedder())
        index.add([1], ["a"], ["text"])
        folder = index._path
        assert folder.exists()
        index.close()
        index.close()
        assert not folder.exists()
        with pytest.raises(StoreError, match="is closed"):
            index.entries()

    def test_forgotten_index_in_memory_leaves_nothing(self) -> None:
        index = VectorIndex(None, TinyEmbedder())
        folder = index._path
        del index
        gc.collect()
        assert not folder.exists()


class TestKeywordIndex:
    def test_finds_rare_words_numbers_and_plurals(self, store: CorpusStore, vectors: VectorIndex) -> None:
        add(store, vectors, _TEXTS)
        keywords = KeywordIndex(store)
        assert found_in(store, keywords.search("BX-41", 5)) == ["boiler.md"]
        assert found_in(store, keywords.search("dividends", 5)) == ["accounts.md"]
        assert keywords.search("the of and", 5) == keywords.search("zebra", 5) == keywords.search("?", 5) == []

    def test_ranks_within_the_scope(self, store: CorpusStore, vectors: VectorIndex) -> None:
        many = {f"{n}.md": f"valve valve valve number {n}" for n in range(20)}
        add(store, vectors, {**many, "one.md": "a valve and some other words", "two.md": "nothing of the kind"})
        keywords = KeywordIndex(store)
        assert "one.md" not in found_in(store, keywords.search("valve", 5))
        assert found_in(store, keywords.search("valve", 5, ["one.md", "two.md"])) == ["one.md"]
        assert keywords.search("valve", 5, []) == []

    def test_follows_the_corpus(self, store: CorpusStore, vectors: VectorIndex) -> None:
        keywords = KeywordIndex(store)
        assert keywords.search("choir", 5) == []
        add(store, vectors, _TEXTS)
        assert found_in(store, keywords.search("choir", 5)) == ["choir.md"]
        store.remove("choir.md")
        assert keywords.search("choir", 5) == []

    def test_corpus_without_words(self, store: CorpusStore, vectors: VectorIndex) -> None:
        add(store, vectors, {"?": "!!! ???"})
        assert KeywordIndex(store).search("choir", 5) == []

    @pytest.mark.parametrize(
        ("word", "singular"),
        [
            *(("pumps", "pump"), ("companies", "company"), ("valves", "valve"), ("gas", "gas"), ("pass", "pass")),
            *(("status", "status"), ("shoes", "shoe"), ("Größen", "größen")),
        ],
    )
    def test_light_stemming(self, word: str, singular: str) -> None:
        assert tokens(f"the {word}") == tokens(singular)


class TestRetriever:
    @pytest.mark.parametrize(
        ("question", "document"),
        [
            ("What is part BX-41?", "boiler.md"),
            ("When do the singers practise?", "choir.md"),
            ("How did the business do?", "accounts.md"),
        ],
    )
    def test_the_right_document_comes_first(self, retriever: Retriever, question: str, document: str) -> None:
        best = retriever.search(question, k=2)[0]
        assert best.span.document_id == document
        assert best.text == _TEXTS[document][best.span.start : best.span.end]
        assert retriever.documents(question, limit=1) == [document]

    def test_scores_are_fused_ranks(self, retriever: Retriever) -> None:
        passages = retriever.search("boiler BX-41", k=5)
        assert passages[0].score == pytest.approx(2 / 61)
        scores = [passage.score for passage in passages]
        assert scores == sorted(scores, reverse=True)

    def test_scope(self, retriever: Retriever) -> None:
        scope = ["garden.md", "choir.md"]
        assert {p.span.document_id for p in retriever.search("boiler", k=5, scope=scope)} == set(scope)
        assert set(retriever.documents("boiler", limit=9, scope=scope)) == set(scope)
        assert retriever.search("boiler", scope=[]) == []

    def test_unknown_scope_names_the_nearest(self, retriever: Retriever) -> None:
        with pytest.raises(StoreError, match=r"'gardn\.md'") as caught:
            retriever.search("tomatoes", scope=["gardn.md"])
        assert "'garden.md'" in (caught.value.hint or "")

    def test_equal_texts_come_once(self, store: CorpusStore, vectors: VectorIndex) -> None:
        add(store, vectors, {"one.md": "The same text.", "two.md": "The same text.", "three.md": "Another text."})
        retriever = Retriever(store, vectors, KeywordIndex(store))
        assert [p.text for p in retriever.search("same text", k=3)] == ["The same text.", "Another text."]

    def test_title_finds_the_chunk_that_does_not_name_its_subject(
        self, store: CorpusStore, vectors: VectorIndex
    ) -> None:
        names = ("Alder", "Birkdal", "Corvina", "Ekvall", "Grevelin")
        body = "Intro. " * 20 + "\n\nIn the past year revenue rose again, by {} percent, and nobody was dismissed."
        add(
            store,
            vectors,
            {f"{name}.md": f"# {name} annual report\n\n" + body.format(n) for n, name in enumerate(names)},
            chunk_size=160,
            overlap=20,
        )
        retriever = Retriever(store, vectors, KeywordIndex(store))
        best = retriever.search("How much did the revenue of Ekvall rise?", k=1)[0]
        assert best.text.startswith("In the past year")
        assert best.span.document_id == "Ekvall.md"

    def test_documents_looks_deeper_until_there_are_enough(self, store: CorpusStore, vectors: VectorIndex) -> None:
        long = "\n\n".join(f"The pump has fault number {n} today." for n in range(40))
        add(store, vectors, {"long.md": long, "short.md": "Roses bloom."}, chunk_size=45, overlap=0)
        retriever = Retriever(store, vectors, KeywordIndex(store))
        assert retriever.documents("Which fault has the pump?", limit=2) == ["long.md", "short.md"]
        assert retriever.documents("Which fault has the pump?", limit=9) == ["long.md", "short.md"]

    def test_chunks_that_the_store_has_lost_are_left_out(
        self, store: CorpusStore, vectors: VectorIndex, retriever: Retriever
    ) -> None:
        store.remove("choir.md")
        assert "choir.md" not in retriever.documents("singers", limit=5)
        recover(store, vectors)
        assert "choir.md" not in vectors.entries().values()

    def test_asking_for_nothing_is_misuse(self, retriever: Retriever) -> None:
        with pytest.raises(ValueError, match="At least 1"):
            retriever.search("x", k=0)

    def test_empty_corpus(self, store: CorpusStore, vectors: VectorIndex) -> None:
        retriever = Retriever(store, vectors, KeywordIndex(store))
        assert retriever.search("anything") == []
        assert retriever.documents("anything", limit=3) == []
