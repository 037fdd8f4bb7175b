"""Disks that are full, folders that may not be written or read, clocks that jump: said, and nothing lost."""

from __future__ import annotations

import errno
import os
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from kill_operations import DOCUMENTS, QUESTION, Place, prepare, text
from killing import problems
from typer.testing import CliRunner

from structrag.cli.app import build
from structrag.errors import ConfigError, RoutingError, StoreError

NOBODY = 65534


@pytest.fixture
def place() -> Iterator[Place]:
    # Not below pytest's folder, which only its owner may enter.
    root = Path(tempfile.mkdtemp(prefix="structrag-test-"))
    root.chmod(0o755)
    place = Place(root / "place")
    told: list[list[object]] = []
    prepare(place, lambda *what: told.append(list(what)))
    place.known["told"] = told
    for path in root.rglob("*"):
        path.chmod(0o777 if path.is_dir() else 0o666)
    yield place
    shutil.rmtree(root)


@contextmanager
def permissions(folder: Path, bits: int) -> Iterator[None]:
    """Take permissions from a folder, and the superuser's rights from this process if it has them."""
    before = {path: path.stat().st_mode for path in (folder, *folder.rglob("*"))}
    for path, mode in before.items():
        path.chmod(mode & bits)
    is_root = os.geteuid() == 0
    try:
        if is_root:
            os.seteuid(NOBODY)
        yield
    finally:
        if is_root:
            os.seteuid(0)
        for path, mode in before.items():
            path.chmod(mode)


@pytest.mark.skipif(not hasattr(os, "seteuid"), reason="the system has no such users")
class TestPermissions:
    def test_a_read_only_corpus_is_named_and_left_as_it_is(self, place: Place) -> None:
        with permissions(place.corpus, 0o555):
            with pytest.raises(StoreError, match="it is read-only") as caught:
                place.open()
            assert "writable" in (caught.value.hint or "")
            assert caught.value.exit_code == 2
        assert list(problems(place, "ask", [])) == []

    def test_a_corpus_that_may_not_be_read_is_named(self, place: Place) -> None:
        with permissions(place.corpus, 0o000), pytest.raises(ConfigError, match="cannot be read: Permission denied"):
            place.open()
        with permissions(place.corpus / "corpus.sqlite", 0o000), pytest.raises(StoreError, match="it cannot be opened"):
            place.open()
        with permissions(place.corpus, 0o000):
            result = CliRunner().invoke(build(), ["ls", "--corpus", str(place.corpus)])
        assert result.exit_code == 2
        assert "cannot be read: Permission denied" in result.stderr
        assert list(problems(place, "ask", [])) == []

    def test_an_index_that_may_not_be_read_is_named_by_whatever_needs_it(self, place: Place) -> None:
        (place.documents / "new.txt").write_text(text(40), encoding="utf-8")
        with place.open() as rag, permissions(place.corpus / "chroma", 0o000):
            for use in (lambda: rag.ask(QUESTION), lambda: rag.add([place.documents])):
                with pytest.raises(StoreError, match="index .* cannot be used: Permission denied") as caught:
                    use()
                assert "readable and writable" in (caught.value.hint or "")
        (place.documents / "new.txt").unlink()
        assert list(problems(place, "ask", [])) == []

    def test_routers_that_may_not_be_written_are_named(self, place: Place) -> None:
        with permissions(place.versions.home, 0o555), pytest.raises(RoutingError, match="Permission denied"):
            place.versions.promote("v1", {})
        assert place.versions.active() == "v1"


class TestFullDisk:
    def test_of_the_corpus_file(self, place: Place) -> None:
        for number in range(DOCUMENTS, DOCUMENTS + 3):
            (place.documents / f"report-{number}.txt").write_text(text(number) * 50, encoding="utf-8")
        with place.open() as rag:
            pages = rag._store._database.row("PRAGMA page_count")
            rag._store._database.rows(f"PRAGMA max_page_count = {pages[0] if pages else 0}")
            with pytest.raises(StoreError, match="the disk is full") as caught:
                rag.add([place.documents])
            assert "what was stored before is intact" in (caught.value.hint or "")
            assert len(rag.documents()) >= DOCUMENTS
        for number in range(DOCUMENTS, DOCUMENTS + 3):
            (place.documents / f"report-{number}.txt").unlink()
        assert [each for each in problems(place, "add", []) if "is torn" not in each] == []

    def test_of_the_index(self, place: Place, monkeypatch: pytest.MonkeyPatch) -> None:
        (place.documents / "report-8.txt").write_text(text(8), encoding="utf-8")

        def full(path: Path, *_: object, **__: object) -> int:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

        with place.open() as rag, monkeypatch.context() as patch:
            rag.ask(QUESTION)
            patch.setattr(Path, "write_text", full)
            with pytest.raises(StoreError, match="No space left on device"):
                rag.add([place.documents])
        assert list(problems(place, "add", [["document", "report-0.txt"]])) == []


def test_a_clock_that_jumps_back_changes_no_order(place: Place, monkeypatch: pytest.MonkeyPatch) -> None:
    times = iter(f"{year}-01-01T00:00:00+00:00" for year in range(2039, 1970, -1))
    monkeypatch.setattr("structrag.corpus.store._now", lambda: next(times))
    with place.open() as rag:
        asked = [rag.ask(f"What revenue did firm {number} have?") for number in (1, 2, 3)]
        numbers = [rag.prefer(answer, "table") for answer in asked]
        assert [answer["id"] for answer in rag.answers(3)] == [answer.id for answer in reversed(asked)]
        assert list(rag.preferences()) == [1, *numbers]
    assert list(problems(place, "ask", [])) == []
