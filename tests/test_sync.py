"""Adding files and documents: what changes, what stays, and that an interruption leaves nothing half done."""

from __future__ import annotations

import os
import shutil
from collections.abc import Collection, Iterator, Mapping, Sequence
from pathlib import Path

import pytest
from langchain_core.documents import Document

from structrag.corpus.store import CorpusStore
from structrag.corpus.sync import add_documents, add_files, recover
from structrag.corpus.walk import collect
from structrag.errors import DocumentError
from structrag.events import DocumentAdded, Event
from structrag.types import AddReport


class MemoryIndex:
    """A chunk index in a dictionary, which can be told to be interrupted."""

    def __init__(self) -> None:
        self.chunks: dict[int, tuple[str, str]] = {}
        self.added: list[str] = []
        self.interrupt_at = ""

    def add(self, chunk_ids: Sequence[int], document_ids: Sequence[str], texts: Sequence[str]) -> None:
        for chunk_id, document_id, text in zip(chunk_ids, document_ids, texts, strict=True):
            if self.interrupt_at and self.interrupt_at in text:
                raise KeyboardInterrupt
            self.chunks[chunk_id] = document_id, text
            self.added.append(document_id)

    def remove(self, document_id: str) -> None:
        self.discard([number for number, (owner, _) in self.chunks.items() if owner == document_id])

    def discard(self, chunk_ids: Collection[int]) -> None:
        for number in chunk_ids:
            self.chunks.pop(number, None)

    def entries(self) -> Mapping[int, str]:
        return {number: owner for number, (owner, _) in self.chunks.items()}


@pytest.fixture
def store() -> Iterator[CorpusStore]:
    with CorpusStore.open(None) as opened:
        yield opened


@pytest.fixture
def index() -> MemoryIndex:
    return MemoryIndex()


@pytest.fixture
def notes(tmp_path: Path) -> Path:
    folder = tmp_path / "notes"
    write(folder, "a.md", "Alpha")
    write(folder, "sub/b.md", "Beta")
    write(folder, "c.txt", "Gamma")
    return folder


def write(folder: Path, name: str, text: str) -> Path:
    path = folder / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text, encoding="utf-8")
    return path


def statuses(report: AddReport) -> dict[str, str]:
    return {document.document_id: document.status for document in report.documents}


def assert_consistent(store: CorpusStore, index: MemoryIndex) -> None:
    """The index holds the chunks of the store, with their texts, and no others."""
    assert index.chunks == {t.chunk_id: (t.document_id, t.text) for t in store.indexed_texts()}
    assert store.unindexed() == []


class TestCollect:
    def test_ids_are_paths_below_the_folder(self, notes: Path) -> None:
        assert [document_id for _, document_id in collect([notes])] == ["a.md", "c.txt", "sub/b.md"]
        assert collect([notes / "sub" / "b.md"]) == [(notes.resolve() / "sub" / "b.md", "b.md")]

    def test_hidden_files_and_corpora_are_skipped(self, notes: Path) -> None:
        write(notes, ".git/x.md", "x")
        write(notes, ".hidden.md", "x")
        CorpusStore.open(notes / "my-corpus" / "corpus.sqlite").close()
        assert [document_id for _, document_id in collect([notes])] == ["a.md", "c.txt", "sub/b.md"]

    def test_links_out_of_the_folder_are_skipped(self, notes: Path, tmp_path: Path) -> None:
        outside = write(tmp_path / "outside", "secret.md", "secret")
        (notes / "link.md").symlink_to(outside)
        (notes / "linked").symlink_to(outside.parent)
        (notes / "inside.md").symlink_to(notes / "a.md")
        (notes / "loop").symlink_to(notes)
        ids = [document_id for _, document_id in collect([notes])]
        assert ids == ["a.md", "c.txt", "inside.md", "sub/b.md"]

    def test_a_file_given_twice_is_collected_once(self, notes: Path) -> None:
        assert len(collect([notes, notes / "a.md", notes / "sub" / ".."])) == 3

    def test_missing_path_is_kept_for_the_report(self, tmp_path: Path) -> None:
        assert collect([tmp_path / "gone.md"]) == [(tmp_path.resolve() / "gone.md", "gone.md")]


class TestAddFiles:
    def test_first_time(self, store: CorpusStore, index: MemoryIndex, notes: Path) -> None:
        events: list[Event] = []
        report = add_files(store, index, [notes], listener=events.append)
        assert statuses(report) == {"a.md": "added", "c.txt": "added", "sub/b.md": "added"}
        assert store.document("sub/b.md").source == str(notes.resolve() / "sub" / "b.md")
        assert events == [DocumentAdded(document, done, 3) for done, document in enumerate(report.documents, 1)]
        assert_consistent(store, index)

    def test_again_brings_only_what_changed(self, store: CorpusStore, index: MemoryIndex, notes: Path) -> None:
        add_files(store, index, [notes])
        write(notes, "a.md", "Alpha two")
        write(notes, "d.md", "Delta")
        (notes / "c.txt").unlink()
        index.added.clear()
        report = add_files(store, index, [notes])
        assert statuses(report) == {"c.txt": "removed", "a.md": "changed", "d.md": "added", "sub/b.md": "unchanged"}
        assert index.added == ["a.md", "d.md"]
        assert store.ids() == ["a.md", "d.md", "sub/b.md"]
        assert_consistent(store, index)

    def test_unchanged_files_are_not_parsed(
        self, store: CorpusStore, index: MemoryIndex, notes: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        add_files(store, index, [notes])
        monkeypatch.setattr("structrag.corpus.bounded.load_bytes", None)
        assert add_files(store, index, [notes]).count("unchanged") == 3

    def test_only_documents_below_the_folder_are_removed(
        self, store: CorpusStore, index: MemoryIndex, notes: Path, tmp_path: Path
    ) -> None:
        other = write(tmp_path / "notes-2", "z.md", "Zeta")
        add_files(store, index, [notes, other])
        add_documents(store, index, [Document("In memory", id="memory")])
        other.unlink()
        (notes / "sub" / "b.md").unlink()
        assert statuses(add_files(store, index, [notes / "sub"])) == {"sub/b.md": "removed"}
        assert store.ids() == ["a.md", "c.txt", "memory", "z.md"]

    def test_what_cannot_be_read_is_reported_and_the_rest_goes_on(
        self, store: CorpusStore, index: MemoryIndex, notes: Path
    ) -> None:
        add_files(store, index, [notes])
        (notes / "a.md").write_bytes(b"bin\0ary")
        write(notes, "photo.png", "x")
        write(notes, "new.md", "New")
        report = add_files(store, index, [notes, notes / "gone.md"])
        assert {d.document_id for d in report.failed} == {"a.md", "photo.png", "gone.md"}
        reasons = {d.document_id: d.reason for d in report.failed}
        assert "is not text" in reasons["a.md"]
        assert "Supported are" in reasons["photo.png"]
        assert "No such file" in reasons["gone.md"]
        assert store.document("a.md").text == "Alpha"
        assert store.document("new.md").text == "New"
        assert_consistent(store, index)

    def test_warnings_are_in_the_report(self, store: CorpusStore, index: MemoryIndex, notes: Path) -> None:
        (notes / "a.md").write_bytes("Größe".encode("cp1252"))
        report = add_files(store, index, [notes / "a.md"])
        assert "Windows-1252" in report.documents[0].reason

    def test_same_names_in_two_folders_get_ids_of_their_own(
        self, store: CorpusStore, index: MemoryIndex, tmp_path: Path
    ) -> None:
        paths = [write(tmp_path / name, "minutes.md", f"Minutes of {name}") for name in ("may", "june", "x/june")]
        folders = [path.parent for path in paths]
        expected = ["minutes.md", "june/minutes.md", "minutes.md-2"]
        assert list(statuses(add_files(store, index, folders))) == expected
        assert statuses(add_files(store, index, folders[::-1])) == dict.fromkeys(expected, "unchanged")
        assert store.document("minutes.md-2").text == "Minutes of x/june"

    def test_a_copy_in_another_folder_is_kept_once(
        self, store: CorpusStore, index: MemoryIndex, notes: Path, tmp_path: Path
    ) -> None:
        copy = write(tmp_path / "backup", "a-copy.md", "Alpha")
        report = add_files(store, index, [notes, copy])
        assert statuses(report)["a-copy.md"] == "duplicate"
        assert report.documents[-1].reason == "The same as a.md, so it is kept once."
        assert store.ids() == ["a.md", "c.txt", "sub/b.md"]
        assert statuses(add_files(store, index, [copy])) == {"a-copy.md": "duplicate"}
        assert_consistent(store, index)

    @pytest.mark.parametrize("change", ["changed", "removed"])
    def test_a_copy_takes_the_place_of_a_file_that_is_no_longer_the_same(
        self, store: CorpusStore, index: MemoryIndex, notes: Path, tmp_path: Path, change: str
    ) -> None:
        add_files(store, index, [notes])
        copy = write(tmp_path / "backup", "a-copy.md", "Alpha")
        if change == "changed":
            write(notes, "a.md", "Alpha two")
        else:
            (notes / "a.md").unlink()
        report = statuses(add_files(store, index, [copy, notes]))
        assert report == {"a-copy.md": "added", "a.md": change, "c.txt": "unchanged", "sub/b.md": "unchanged"}
        assert store.document("a-copy.md").text == "Alpha"

    def test_a_file_keeps_its_id_however_it_is_added(self, store: CorpusStore, index: MemoryIndex, notes: Path) -> None:
        add_files(store, index, [notes / "sub"])
        assert statuses(add_files(store, index, [notes]))["b.md"] == "unchanged"
        assert "sub/b.md" not in store.ids()

    def test_a_moved_folder_keeps_its_ids(
        self, store: CorpusStore, index: MemoryIndex, notes: Path, tmp_path: Path
    ) -> None:
        add_files(store, index, [notes])
        shutil.move(notes, tmp_path / "moved")
        report = add_files(store, index, [tmp_path / "moved"])
        assert statuses(report) == dict.fromkeys(["a.md", "c.txt", "sub/b.md"], "changed")
        assert store.document("a.md").source == str(tmp_path.resolve() / "moved" / "a.md")
        assert_consistent(store, index)

    def test_a_folder_that_cannot_be_listed_loses_nothing(
        self, store: CorpusStore, index: MemoryIndex, notes: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        add_files(store, index, [notes])
        listing = Path.iterdir

        def denied(folder: Path) -> Iterator[Path]:
            # A real lock would not hold for the superuser, as whom containers run tests.
            if folder.name == "sub":
                raise PermissionError(13, "Permission denied")
            return listing(folder)

        monkeypatch.setattr(Path, "iterdir", denied)
        report = add_files(store, index, [notes])
        assert [d.document_id for d in report.failed] == ["sub"]
        assert "cannot be listed" in report.failed[0].reason
        assert "sub/b.md" in store.ids()

    @pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="the system has no named pipes")
    def test_a_pipe_does_not_block(self, store: CorpusStore, index: MemoryIndex, notes: Path) -> None:
        os.mkfifo(notes / "pipe.md")
        assert [d.document_id for d in add_files(store, index, [notes]).failed] == ["pipe.md"]


class TestAddDocuments:
    def test_same_id_is_the_same_document(self, store: CorpusStore, index: MemoryIndex) -> None:
        first = [Document("One", id="d"), Document("Two")]
        assert statuses(add_documents(store, index, first)) == {"d": "added", "document-2": "added"}
        second = [Document("One", id="d"), Document("Two changed")]
        assert statuses(add_documents(store, index, second)) == {"d": "unchanged", "document-2": "changed"}
        assert_consistent(store, index)

    def test_same_id_twice_in_one_call_is_two_documents(self, store: CorpusStore, index: MemoryIndex) -> None:
        documents = [Document("One", id="d"), Document("Two", id="d")]
        assert statuses(add_documents(store, index, documents)) == {"d": "added", "d-2": "added"}
        assert statuses(add_documents(store, index, documents)) == {"d": "unchanged", "d-2": "unchanged"}

    def test_files_and_documents_do_not_replace_each_other(
        self, store: CorpusStore, index: MemoryIndex, notes: Path
    ) -> None:
        add_documents(store, index, [Document("Memory", id="a.md")])
        add_files(store, index, [notes / "a.md"])
        add_documents(store, index, [Document("Memory 2", id="notes/a.md")])
        texts = {document.id: document.text for document in store.documents()}
        assert texts == {"a.md": "Memory", "notes/a.md": "Alpha", "notes/a.md-2": "Memory 2"}

    def test_an_empty_document_adds_none(self, store: CorpusStore, index: MemoryIndex) -> None:
        with pytest.raises(DocumentError, match="document-2"):
            add_documents(store, index, [Document("One"), Document(" ")])
        assert store.ids() == []


class TestInterruption:
    def test_interrupted_adding_is_completed_on_recovery(
        self, store: CorpusStore, index: MemoryIndex, notes: Path
    ) -> None:
        add_files(store, index, [notes])
        write(notes, "a.md", "Alpha new")
        write(notes, "d.md", "Delta")
        index.interrupt_at = "Delta"
        with pytest.raises(KeyboardInterrupt):
            add_files(store, index, [notes])
        assert store.unindexed() == ["a.md", "d.md"]
        index.interrupt_at = ""
        recover(store, index)
        assert store.document("a.md").text == "Alpha new"
        assert_consistent(store, index)

    def test_interruption_while_listening_keeps_what_was_done(
        self, store: CorpusStore, index: MemoryIndex, notes: Path
    ) -> None:
        def stop(event: Event) -> None:
            raise KeyboardInterrupt

        with pytest.raises(KeyboardInterrupt):
            add_files(store, index, [notes], listener=stop)
        assert_consistent(store, index)

    def test_interrupted_removal_is_completed_on_recovery(
        self, store: CorpusStore, index: MemoryIndex, notes: Path
    ) -> None:
        add_files(store, index, [notes])
        store.remove("a.md")
        recover(store, index)
        assert_consistent(store, index)

    def test_lost_index_is_made_anew(self, store: CorpusStore, index: MemoryIndex, notes: Path) -> None:
        add_files(store, index, [notes])
        fresh = MemoryIndex()
        recover(store, fresh)
        assert fresh.chunks == index.chunks

    def test_recovery_of_a_sound_corpus_embeds_nothing(
        self, store: CorpusStore, index: MemoryIndex, notes: Path
    ) -> None:
        add_files(store, index, [notes])
        index.added.clear()
        recover(store, index)
        assert index.added == []

    def test_adding_again_makes_up_for_a_failed_embedder(
        self, store: CorpusStore, index: MemoryIndex, notes: Path
    ) -> None:
        index.interrupt_at = "Gamma"
        with pytest.raises(KeyboardInterrupt):
            add_files(store, index, [notes])
        index.interrupt_at = ""
        assert add_files(store, index, [notes]).count("unchanged") == 3
        assert_consistent(store, index)

    def test_many_documents_are_indexed_in_batches(
        self, store: CorpusStore, index: MemoryIndex, tmp_path: Path
    ) -> None:
        for number in range(150):
            write(tmp_path / "many", f"{number:03}.md", f"Text {number}")
        index.interrupt_at = "Text 140"
        with pytest.raises(KeyboardInterrupt):
            add_files(store, index, [tmp_path / "many"])
        assert len(store.ids()) - len(store.unindexed()) == 128
        index.interrupt_at = ""
        recover(store, index)
        assert len(store.ids()) == 150
        assert_consistent(store, index)
