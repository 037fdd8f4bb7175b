"""What the corpus file keeps, that it keeps it whole, and what its errors say."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from structrag.corpus.store import CorpusStore
from structrag.errors import IndexMismatchError, StoreError
from structrag.types import Locator, SourceDocument, Span


@pytest.fixture
def store() -> Iterator[CorpusStore]:
    with CorpusStore.open(None) as opened:
        yield opened


def document(document_id: str = "a.md", text: str = "Größe 🙂 of the hall") -> SourceDocument:
    return SourceDocument(
        document_id,
        f"Title of {document_id}",
        text,
        f"hash of {text}",
        source=f"/notes/{document_id}",
        locators=(Locator(0, 5, "page 1"),),
        warnings=("blurred",),
    )


def put(store: CorpusStore, *ids: str, text: str = "Größe 🙂 of the hall") -> None:
    for document_id in ids:
        store.put(document(document_id, text), [Span(document_id, 0, 7), Span(document_id, 6, len(text))])


class TestDocuments:
    def test_come_back_as_they_were_also_from_another_connection(self, tmp_path: Path) -> None:
        path = tmp_path / "new" / "corpus.sqlite"
        with CorpusStore.open(path) as store:
            put(store, "b.md", "a.md")
        with CorpusStore.open(path) as store:
            assert store.ids() == ["a.md", "b.md"]
            assert store.document("a.md") == document("a.md")
            assert store.documents() == [document("a.md"), document("b.md")]
            assert store.sources()["a.md"] == ("/notes/a.md", "hash of Größe 🙂 of the hall")

    def test_unknown_id_names_the_nearest(self, store: CorpusStore) -> None:
        put(store, "minutes-may.md", "handbook.md")
        with pytest.raises(StoreError, match=r"'minutes_may\.md'") as caught:
            store.document("minutes_may.md")
        assert caught.value.hint == "The nearest is 'minutes-may.md'."
        with pytest.raises(StoreError, match=r"'handbok\.md'"):
            store.require(["handbook.md", "handbok.md"])
        with pytest.raises(StoreError, match="no document 'x'"):
            store.remove("x")

    def test_put_replaces_with_chunks_and_what_was_built(self, store: CorpusStore) -> None:
        put(store, "a.md", "b.md")
        old = {chunk_id for chunk_id, _ in store.chunks(["a.md"])}
        store.mark_indexed("a.md")
        store.put_built("a.md", "table:1", "[]")
        put(store, "a.md", text="Another text")
        assert store.document("a.md").text == "Another text"
        assert store.built("a.md", "table:1") is None
        assert store.unindexed() == ["a.md", "b.md"]
        assert len(store.chunks()) == 4
        assert old.isdisjoint(chunk_id for chunk_id, _ in store.chunks())

    def test_numbers_of_chunks_are_never_given_again(self, store: CorpusStore) -> None:
        put(store, "a.md")
        last = max(chunk_id for chunk_id, _ in store.chunks())
        store.remove("a.md")
        put(store, "b.md")
        assert min(chunk_id for chunk_id, _ in store.chunks()) > last

    def test_put_is_all_or_nothing(self, store: CorpusStore) -> None:
        put(store, "a.md")
        before, revision = store.chunks(), store.revision()
        with pytest.raises(StoreError):
            store.put(document(text="New text"), [Span("a.md", 0, 3), Span("a.md", None, 3)])  # type: ignore[arg-type]
        assert (store.chunks(), store.revision()) == (before, revision)
        assert store.document("a.md") == document()

    def test_remove_takes_all_with_it(self, store: CorpusStore) -> None:
        put(store, "a.md", "b.md")
        store.put_built("a.md", "table:1", "[]")
        store.remove("a.md")
        assert store.ids() == ["b.md"]
        assert {span.document_id for _, span in store.chunks()} == {"b.md"}
        put(store, "a.md")
        assert store.built("a.md", "table:1") is None

    def test_indexed_is_remembered(self, store: CorpusStore) -> None:
        put(store, "a.md", "b.md")
        store.mark_indexed("b.md")
        assert store.unindexed() == ["a.md"]

    def test_revision_grows_with_every_change(self, store: CorpusStore) -> None:
        revisions = [store.revision()]
        put(store, "a.md")
        revisions.append(store.revision())
        put(store, "a.md")
        revisions.append(store.revision())
        store.remove("a.md")
        revisions.append(store.revision())
        assert revisions == sorted(set(revisions))


class TestChunks:
    def test_passages_carry_the_exact_text(self, store: CorpusStore) -> None:
        put(store, "a.md", "b.md")
        numbers = dict(store.chunks(["b.md"]))
        passages = store.passages([*numbers, 999])
        assert {chunk_id: passage.span for chunk_id, passage in passages.items()} == numbers
        text = document().text
        assert [p.text for p in passages.values()] == [text[0:7], text[6:]]
        assert {p.title for p in passages.values()} == {"Title of b.md"}

    def test_indexed_texts_carry_the_title(self, store: CorpusStore) -> None:
        put(store, "a.md", "b.md")
        texts = store.indexed_texts(["a.md"])
        assert [t.text for t in texts] == ["Title of a.md\nGröße 🙂", "Title of a.md\n🙂 of the hall"]
        assert len(store.indexed_texts()) == 4
        assert store.indexed_texts([]) == []


class TestCaches:
    def test_built_is_kept_per_document_and_key(self, store: CorpusStore) -> None:
        put(store, "a.md", "b.md")
        store.put_built("a.md", "table:1", '["x"]')
        store.put_built("a.md", "table:1", '["y"]')
        assert store.built("a.md", "table:1") == '["y"]'
        assert store.built("a.md", "table:2") is None
        assert store.built("b.md", "table:1") is None

    def test_built_needs_its_document(self, store: CorpusStore) -> None:
        with pytest.raises(StoreError, match=r"no document 'gone\.md'"):
            store.put_built("gone.md", "table:1", "[]")

    def test_replies(self, store: CorpusStore) -> None:
        assert store.reply("k") is None
        store.put_reply("k", "first")
        store.put_reply("k", "second")
        assert store.reply("k") == "second"


class TestAnswers:
    def test_newest_first(self, store: CorpusStore) -> None:
        for number in range(4):
            store.put_answer(f"id-{number}", {"id": f"id-{number}", "text": "\ud800 é"})
        assert [answer["id"] for answer in store.answers(2)] == ["id-3", "id-2"]
        assert store.answer("id-1")["text"] == "\ud800 é"

    def test_unknown_answer_names_the_nearest(self, store: CorpusStore) -> None:
        store.put_answer("abc123", {})
        with pytest.raises(StoreError, match="no answer 'abc124'") as caught:
            store.answer("abc124")
        assert "'abc123'" in (caught.value.hint or "")


class TestPreferences:
    def test_undone_ones_no_longer_count(self, store: CorpusStore) -> None:
        first, second = (store.add_preference({"chosen": name}) for name in ("table", "graph"))
        store.undo_preference(first)
        assert [(kept.id, kept.payload) for kept in store.preferences()] == [(second, {"chosen": "graph"})]
        assert store.preferences()[0].created.endswith("+00:00")

    def test_unknown_preference(self, store: CorpusStore) -> None:
        with pytest.raises(StoreError, match="no preference 7"):
            store.undo_preference(7)


def test_what_people_say_is_synced_and_the_rest_is_not(store: CorpusStore) -> None:
    said: list[str] = []
    store._database._connection.set_trace_callback(said.append)
    store.add_preference({})
    store.add_edit({}, who="person")
    store.put_reply("k", "v")
    synced = [said[: said.index(each)].count("PRAGMA synchronous = FULL") for each in said if each.startswith("INSERT")]
    unsynced = [
        said[: said.index(each)].count("PRAGMA synchronous = NORMAL") for each in said if each.startswith("INSERT")
    ]
    assert (synced, unsynced) == ([1, 2, 2], [0, 1, 2])


class TestEmbedder:
    def test_another_embedder_is_refused(self, tmp_path: Path) -> None:
        with CorpusStore.open(tmp_path / "c.sqlite") as store:
            store.check_embedder("small")
        with CorpusStore.open(tmp_path / "c.sqlite") as store:
            store.check_embedder("small")
            with pytest.raises(IndexMismatchError, match="'small', not by 'large'"):
                store.check_embedder("large")


class TestErrors:
    def test_not_a_database(self, tmp_path: Path) -> None:
        (tmp_path / "c.sqlite").write_bytes(b"no database at all" * 100)
        with pytest.raises(StoreError, match="the file is not a database") as caught:
            CorpusStore.open(tmp_path / "c.sqlite")
        assert "backup" in (caught.value.hint or "")

    def test_folder_that_is_a_file(self, tmp_path: Path) -> None:
        (tmp_path / "file").write_text("x", encoding="utf-8")
        with pytest.raises(StoreError, match="cannot be made"):
            CorpusStore.open(tmp_path / "file" / "c.sqlite")

    def test_file_that_is_a_folder(self, tmp_path: Path) -> None:
        with pytest.raises(StoreError, match="it cannot be opened"):
            CorpusStore.open(tmp_path)

    def test_another_schema(self, tmp_path: Path) -> None:
        path = tmp_path / "c.sqlite"
        CorpusStore.open(path).close()
        connection = sqlite3.connect(path)
        with connection:
            connection.execute("UPDATE meta SET value = '99' WHERE key = 'schema'")
        connection.close()
        with pytest.raises(StoreError, match="has version 99"):
            CorpusStore.open(path)

    def test_disk_full(self, tmp_path: Path) -> None:
        with CorpusStore.open(tmp_path / "c.sqlite") as store:
            put(store, "a.md")
            store._database.rows("PRAGMA max_page_count = 1")
            with pytest.raises(StoreError, match="the disk is full"):
                store.put(document("b.md", "x" * 1_000_000), [])
            assert store.ids() == ["a.md"]

    def test_read_only(self, tmp_path: Path) -> None:
        with CorpusStore.open(tmp_path / "c.sqlite") as store:
            store._database.rows("PRAGMA query_only = ON")
            with pytest.raises(StoreError, match="it is read-only"):
                put(store, "a.md")

    def test_closed(self, tmp_path: Path) -> None:
        store = CorpusStore.open(tmp_path / "c.sqlite")
        store.close()
        store.close()
        with pytest.raises(StoreError, match="closed"):
            store.ids()


class TestThreads:
    @pytest.mark.parametrize("in_memory", [True, False])
    def test_many_threads_may_write(self, tmp_path: Path, *, in_memory: bool) -> None:
        with CorpusStore.open(None if in_memory else tmp_path / "c.sqlite") as store:
            with ThreadPoolExecutor(8) as pool:
                list(pool.map(lambda n: put(store, f"{n}.md"), range(40)))
            assert len(store.ids()) == 40
            assert len(store.chunks()) == 80

    def test_two_stores_share_a_file(self, tmp_path: Path) -> None:
        path = tmp_path / "c.sqlite"
        with CorpusStore.open(path) as one, CorpusStore.open(path) as other:
            with ThreadPoolExecutor(2) as pool:
                for number, shared in enumerate([one, other]):
                    pool.submit(put, shared, *(f"{number}-{i}.md" for i in range(10)))
            assert len(one.ids()) == len(other.ids()) == 20
            assert one.revision() == other.revision()
