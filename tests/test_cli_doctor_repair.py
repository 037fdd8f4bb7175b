"""`structrag doctor --repair`: what is damaged is moved aside, what can be saved is there, files and feedback stay."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import numpy as np
import pytest
from kill_operations import QUESTION, BucketEmbedder, Place, prepare, write_router
from numpy.typing import NDArray
from typer.testing import CliRunner, Result

from structrag.cli.app import build
from structrag.config import load_settings
from structrag.corpus.database import Database
from structrag.corpus.sole_writer import SoleWriter
from structrag.corpus.store import CorpusStore
from structrag.errors import IndexMismatchError
from structrag.index.chroma import VectorIndex


@pytest.fixture(scope="module")
def sound(tmp_path_factory: pytest.TempPathFactory) -> Place:
    place = Place(tmp_path_factory.mktemp("sound") / "place")
    prepare(place, lambda *_: None)
    return place


@pytest.fixture
def place(sound: Place, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Place]:
    """A used corpus, which the command line opens with the embedder that made it; its files are never touched."""
    place = Place(tmp_path / "place")
    shutil.copytree(sound.root, place.root)
    monkeypatch.setenv("STRUCTRAG_ROUTER__VERSIONS", str(place.versions.home))
    monkeypatch.setenv("STRUCTRAG_MODELS__CACHE", str(tmp_path / "cache"))
    monkeypatch.setenv("STRUCTRAG_MODELS__CHAT", "openai:none")
    monkeypatch.setattr("structrag.models.embedding.load_embedder", lambda name: BucketEmbedder())
    before = {path.name: path.read_bytes() for path in place.documents.iterdir()}
    yield place
    assert {path.name: path.read_bytes() for path in place.documents.iterdir()} == before


def doctor(place: Place, *arguments: str) -> tuple[Result, dict[str, dict[str, str]]]:
    result = CliRunner().invoke(build(), ["doctor", "--offline", "--json", "-c", str(place.corpus), *arguments])
    return result, {check["name"]: check for check in json.loads(result.stdout)["checks"]}


def tear_database(place: Place) -> None:
    path = place.corpus / "corpus.sqlite"
    with CorpusStore.open(path):
        pass
    data = path.read_bytes()
    # The index of chunks by document, which no answer or preference stands on.
    database = Database(path)
    page = database.row("SELECT rootpage FROM sqlite_master WHERE name = 'chunks_by_document'")
    database.close()
    assert page
    start = (page[0] - 1) * 4096
    path.write_bytes(data[:start] + b"\xff" * 4096 + data[start + 4096 :])


def tear_index(place: Place) -> None:
    next((place.corpus / "chroma").glob("*/data_level0.bin")).write_bytes(b"torn")


def tear_chroma(place: Place) -> None:
    (place.corpus / "chroma" / "chroma.sqlite3").write_bytes(b"no database" * 1000)


def lose_index(place: Place) -> None:
    shutil.rmtree(place.corpus / "chroma")


def tear_record(place: Place) -> None:
    database = Database(place.corpus / "corpus.sqlite")
    database.change("UPDATE answers SET payload = '{\"id\": ' WHERE rowid = 1")
    database.close()


def other_embedder(place: Place) -> None:
    with CorpusStore.open(place.corpus / "corpus.sqlite") as store:
        store.set_embedder("another")


def other_dimension(place: Place) -> None:
    class Short(BucketEmbedder):
        def embed(self, texts: Sequence[str]) -> NDArray[np.float32]:
            return np.ones((len(texts), 3), dtype=np.float32)

    shutil.rmtree(place.corpus / "chroma")
    with VectorIndex(place.corpus / "chroma", Short()) as index:
        index.add([1], ["report-0.txt"], ["x"])


def interrupt(place: Place) -> None:
    with pytest.raises(KeyboardInterrupt), SoleWriter(place.corpus).hold("adding documents"):
        raise KeyboardInterrupt


def lose_version(place: Place) -> None:
    shutil.rmtree(place.versions.home / "v1")


def tear_active(place: Place) -> None:
    (place.versions.home / "active").write_bytes(b"\xff\xfe")


def leave_half(place: Place) -> None:
    (place.versions.home / ".v9.part").mkdir()


@pytest.mark.parametrize(
    ("damage", "check", "status", "says", "does"),
    [
        (tear_database, "database", "fail", "is damaged", "moved the damaged file to corpus.sqlite.damaged-"),
        (tear_record, "records", "fail", "1 cannot be read: answers", "moved 1 records aside, into records.damaged-"),
        (tear_index, "documents", "fail", "data_level0.bin is not as it was written", "chroma.damaged-"),
        (tear_chroma, "documents", "fail", "not a database", "chroma.damaged-"),
        (lose_index, "documents", "warn", "chunks are not in the index", "made the index hold the chunks"),
        (other_embedder, "documents", "fail", "made by the embedder 'another'", "made it anew from 8 documents"),
        (other_dimension, "documents", "fail", "3 dimensions, those of buckets 64", "made it anew from 8 documents"),
        (interrupt, "documents", "warn", "Interrupted: process", "made the index hold"),
        (lose_version, "router", "fail", "no router version 'v1'", "put shipped in use"),
        (tear_active, "router", "fail", "cannot be read", "moved active to active.damaged-"),
        (leave_half, "router", "warn", "1 half-written files", "removed .v9.part"),
    ],
)
def test_it_is_found_explained_and_repaired(
    place: Place, damage: Callable[[Place], None], check: str, status: str, says: str, does: str
) -> None:
    damage(place)
    result, found = doctor(place)
    assert (found[check]["status"], result.exit_code) == (status, 2 if status == "fail" else 0), result.stdout
    assert says in found[check]["message"]
    assert "doctor --repair" in found[check]["remedy"]
    assert list(place.root.rglob("*.damaged-*")) == [], "without --repair, nothing is moved"
    result, found = doctor(place, "--repair")
    assert result.exit_code == 0, result.stdout
    assert does in found[check]["repaired"]
    result, found = doctor(place)
    assert {found[name]["status"] for name in ("database", "records", "documents", "router")} == {"ok"}
    with place.open() as rag:
        assert len(rag.documents()) == 8
        assert list(rag.preferences()) == [1]
        assert [each.id for each in rag.edits()] == [1]
        assert rag.ask(QUESTION).grounded


def test_a_sound_place_is_left_as_it_is(place: Place) -> None:
    result, found = doctor(place, "--repair")
    assert result.exit_code == 0, result.stdout
    assert {found[name]["status"] for name in ("database", "records", "documents", "router")} == {"ok"}
    assert not any("repaired" in check for check in found.values())


def test_what_another_process_holds_is_not_repaired(place: Place, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("structrag.corpus.sole_writer.SECONDS_TO_WAIT", 0)
    tear_index(place)
    with SoleWriter(place.corpus).hold("adding documents"):
        _, found = doctor(place, "--repair")
    assert found["documents"]["status"] == "warn"
    assert "in use by process" in found["documents"]["message"]
    assert list(place.corpus.glob("*.damaged-*")) == []


def test_asking_with_another_embedder_says_what_to_do(place: Place) -> None:
    other_embedder(place)
    with pytest.raises(IndexMismatchError) as caught:
        place.open()
    assert "doctor --repair" in (caught.value.hint or "")


def test_a_version_that_is_whole_is_gone_back_to(place: Place) -> None:
    write_router(place.versions.home / "v2")
    place.versions.promote("v2", {})
    (place.versions.home / "v2" / "adapter.safetensors").write_bytes(b"torn")
    doctor(place, "--repair")
    assert place.versions.active() == "v1"
    assert place.versions.promotions()[-1]["repair"] is True
    assert (place.versions.home / "v2").exists()
    assert load_settings(place.corpus)[0].router.versions == place.versions.home
