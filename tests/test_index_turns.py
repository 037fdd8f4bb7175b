"""An index that several processes use, and what a kill left of its files."""

from __future__ import annotations

import shutil
import time
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from structrag.errors import StoreError
from structrag.index.chroma import VectorIndex
from structrag.index.turns import SEAL, Turns


class Axes:
    """Gives each text its own axis."""

    name = "axes"

    def embed(self, texts: Sequence[str]) -> NDArray[np.float32]:
        return np.eye(8, dtype=np.float32)[[int(text) for text in texts]]


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    folder = tmp_path / "chroma"
    with VectorIndex(folder, Axes()) as index:
        index.add([1, 2], ["a", "b"], ["1", "2"])
    # Chroma closes its database in the background, and would mend what a test tears before that from its log.
    while (folder / "chroma.sqlite3-wal").exists():
        time.sleep(0.01)
    return folder


def graph_file(folder: Path) -> Path:
    return next(folder.glob("*/data_level0.bin"))


def test_files_are_as_they_were_sealed_also_in_a_copy(folder: Path, tmp_path: Path) -> None:
    assert Turns(folder).problem() == ""
    copy = tmp_path / "copy" / "chroma"
    shutil.copytree(folder, copy, copy_function=shutil.copyfile)
    assert Turns(copy).problem() == ""
    with VectorIndex(copy, Axes()) as index:
        assert index.entries() == {1: "a", 2: "b"}
    assert list(copy.parent.glob("*.damaged-*")) == []


@pytest.mark.parametrize("damage", ["cut", "changed", "missing", "seal", "new", "database"])
def test_torn_files_are_noticed_set_aside_and_the_index_completed(folder: Path, damage: str) -> None:
    file = graph_file(folder)
    data = file.read_bytes()
    match damage:
        case "cut":
            file.write_bytes(data[:100])
        case "changed":
            file.write_bytes(data[:200] + bytes([data[200] ^ 1]) + data[201:])
        case "missing":
            file.unlink()
        case "seal":
            (folder / SEAL).write_bytes((folder / SEAL).read_bytes()[:30])
        case "new":
            (file.parent / "half-written.bin").touch()
        case "database":
            (folder / "chroma.sqlite3").write_bytes(b"no database" * 1000)
    with VectorIndex(folder, Axes()) as index:
        assert index.problem()
        assert list(folder.parent.glob("*.damaged-*")) == [], "looking changes nothing"
    opened: list[int] = []
    with VectorIndex(folder, Axes(), when_opened=lambda each: opened.append(len(each.entries()))) as index:
        assert index.search("1", 1) == []
        assert opened == [0]
        index.add([1], ["a"], ["1"])
        assert index.search("1", 1) == [(1, 1.0)]
        assert index.problem() == ""
    (aside,) = folder.parent.glob("chroma.damaged-*")
    assert (aside / SEAL).exists()


def test_an_index_of_an_older_version_has_no_seal_and_gets_one(folder: Path) -> None:
    (folder / SEAL).unlink()
    with VectorIndex(folder, Axes()) as index:
        assert index.entries() == {1: "a", 2: "b"}
    assert (folder / SEAL).exists()


def test_what_another_process_wrote_makes_the_folder_be_opened_anew(folder: Path) -> None:
    with VectorIndex(folder, Axes()) as index:
        index.open()
        before = index._collection
        index.entries()
        assert index._collection is before
        theirs = Turns(folder)
        with theirs.take():
            theirs.announce()
        assert index.entries() == {1: "a", 2: "b"}
        assert index._collection is not before


def test_torn_while_open_is_noticed_before_the_next_use(folder: Path) -> None:
    with VectorIndex(folder, Axes()) as index:
        index.open()
        graph_file(folder).write_bytes(b"torn by a process that was killed")
        assert index.entries() == {}
    assert len(list(folder.parent.glob("chroma.damaged-*"))) == 1


def test_a_failed_operation_leaves_the_files_sealed(folder: Path) -> None:
    class Longer(Axes):
        def embed(self, texts: Sequence[str]) -> NDArray[np.float32]:
            return np.ones((len(texts), 9), dtype=np.float32)

    with VectorIndex(folder, Longer()) as index, pytest.raises(StoreError, match="dimension"):
        index.add([3], ["c"], ["3"])
    assert Turns(folder).problem() == ""


def test_a_turn_that_does_not_end_is_an_error(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("structrag.index.turns._SECONDS_TO_WAIT", 0.05)
    with Turns(folder).take(), pytest.raises(StoreError, match="in use by another process"), Turns(folder).take():
        pass
