"""A damaged corpus file: what can be read of it is saved, and the file itself is kept."""

from __future__ import annotations

import sqlite3
from pathlib import Path

import pytest

from structrag.corpus.damaged_records import damaged_records, move_aside
from structrag.corpus.database import Database
from structrag.corpus.salvage import damage, salvage
from structrag.corpus.store import CorpusStore
from structrag.errors import CorpusInUseError, StoreError
from structrag.router.preferences import preference_pair
from structrag.types import SourceDocument, Span

pytestmark = pytest.mark.thorough

PAGE = 4096
PAIR = {"prompt": "Who?", "chosen": "graph", "rejected": "chunk", "documents": []}


@pytest.fixture
def path(tmp_path: Path) -> Path:
    path = tmp_path / "corpus.sqlite"
    with CorpusStore.open(path) as store:
        for number in range(20):
            text = f"Document {number}. " + "All is well in the north. " * 400
            document = SourceDocument(f"{number:02}.md", f"Title {number}", text, str(number))
            store.put(document, [Span(document.id, 0, 100), Span(document.id, 100, len(text))])
            store.mark_indexed(document.id)
        for number in range(30):
            store.add_preference({**PAIR, "prompt": f"Who is {number}?"})
        store.put_answer("one", {"id": "one", "text": "Alder"}, [])
        store.put_reply("key", "reply")
    return path


def overwrite(path: Path, place: int, data: bytes) -> None:
    with path.open("r+b") as file:
        file.seek(place)
        file.write(data)


def saved(path: Path) -> str:
    assert damage(path)
    found = salvage(path, chunk_size=1000, overlap=100)
    assert damage(path) == ""
    return str(found)


def test_a_sound_file_has_no_damage_and_is_not_touched(path: Path) -> None:
    before = path.read_bytes()
    assert damage(path) == ""
    assert path.read_bytes() == before


def test_what_is_on_whole_pages_is_saved(path: Path) -> None:
    before = path.read_bytes()
    torn = before.index(b"Document 7.") // PAGE * PAGE
    overwrite(path, torn, b"\xff" * PAGE)
    told = saved(path)
    assert "30 preferences" in told
    (aside,) = path.parent.glob("corpus.sqlite.damaged-*")
    assert aside.name in told
    assert aside.read_bytes()[torn : torn + PAGE] == b"\xff" * PAGE
    with CorpusStore.open(path) as store:
        ids = set(store.ids())
        lost = {f"{number:02}.md" for number in range(20)} - ids
        assert "07.md" in lost
        assert len(lost) < 20
        assert all(document_id in told for document_id in lost), "what is lost is named"
        assert store.unindexed() == sorted(ids)
        chunked = {span.document_id for _, span in store.chunks()}
        assert chunked == ids
        assert [kept.payload["prompt"] for kept in store.preferences()] == [f"Who is {n}?" for n in range(30)]
        assert store.answer("one")["text"] == "Alder"
        assert store.reply("key") == "reply"


@pytest.mark.parametrize("seed", range(8))
def test_wherever_a_page_is_torn_the_result_is_whole_and_the_file_kept(path: Path, seed: int) -> None:
    pages = path.stat().st_size // PAGE
    overwrite(path, (1 + seed * (pages - 1) // 8) * PAGE, bytes([seed * 31 % 256]) * PAGE)
    if not damage(path):
        return  # a page that is not in use
    saved(path)
    assert len(list(path.parent.glob("corpus.sqlite.damaged-*"))) == 1
    with CorpusStore.open(path) as store:
        for document in store.documents():
            assert document.text.startswith(f"Document {int(document.id[:2])}. All is well")
        assert {kept.payload["chosen"] for kept in store.preferences()} <= {"graph"}


def test_no_database_at_all_is_kept_aside_and_an_empty_one_made(path: Path) -> None:
    path.write_bytes(b"no database" * 1000)
    assert "saved 0 documents" in saved(path)
    (aside,) = path.parent.glob("corpus.sqlite.damaged-*")
    assert aside.read_bytes() == b"no database" * 1000
    with CorpusStore.open(path) as store:
        assert store.ids() == []


def test_a_file_that_somebody_has_open_is_left_alone(path: Path) -> None:
    overwrite(path, path.read_bytes().index(b"Document 7.") // PAGE * PAGE, b"\xff" * PAGE)
    with CorpusStore.open(path) as store:
        store.ids()
        with pytest.raises(CorpusInUseError, match="open in another process"):
            salvage(path, chunk_size=1000, overlap=100)
        assert store.add_preference(PAIR) == 31
    assert list(path.parent.glob("*.damaged-*")) == []
    assert damage(path)


def test_an_empty_file_is_no_damage_and_a_later_version_is_refused(path: Path, tmp_path: Path) -> None:
    empty = tmp_path / "empty.sqlite"
    empty.touch()
    assert damage(empty) == ""
    connection = sqlite3.connect(path)
    with connection:
        connection.execute("UPDATE meta SET value = '99' WHERE key = 'schema'")
    connection.close()
    with pytest.raises(StoreError, match="version 99"):
        damage(path)


class TestRecords:
    def test_torn_ones_are_written_to_a_file_and_no_longer_count(self, path: Path) -> None:
        database = Database(path)
        database.change('UPDATE preferences SET payload = \'{"prompt": "Who\' WHERE id = 3')
        database.change('UPDATE preferences SET payload = \'{"prompt": "No labels"}\' WHERE id = 4')
        database.change("UPDATE answers SET payload = '' WHERE id = 'one'")
        with CorpusStore.open(path) as store:
            with pytest.raises(StoreError, match="preference 3 is damaged") as caught:
                store.preferences()
            assert "doctor --repair" in (caught.value.hint or "")
            with pytest.raises(StoreError, match="the answer 'one' is damaged"):
                store.answers()
        readers = {"preferences": preference_pair}
        found = damaged_records(database, readers)
        assert [str(record) for record in found] == ["answers one", "preferences 3", "preferences 4"]
        file = move_aside(database, found, path.parent)
        assert damaged_records(database, readers) == []
        assert [line.count("Who") for line in file.read_text(encoding="utf-8").splitlines()] == [0, 1, 0]
        with CorpusStore.open(path) as store:
            assert len(store.preferences()) == 28
            assert store.answers() == []
        assert database.row("SELECT COUNT(*) FROM preferences") == (30,), "what a person said is never deleted"
        database.close()

    def test_nothing_is_taken_away_where_it_cannot_be_written_first(self, path: Path) -> None:
        database = Database(path)
        database.change("UPDATE answers SET payload = '' WHERE id = 'one'")
        found = damaged_records(database, {})
        with pytest.raises(StoreError, match="cannot be written"):
            move_aside(database, found, path.parent / "gone")
        assert damaged_records(database, {}) == found
        database.close()
