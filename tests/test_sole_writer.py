"""One writer at a time: who comes second is told who writes, and what a kill leaves is known."""

from __future__ import annotations

import os
import re
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from typer.testing import CliRunner

from structrag.cli.app import build
from structrag.corpus.sole_writer import SoleWriter
from structrag.errors import CorpusInUseError, StoreError

HOLD = """
import sys
from pathlib import Path
from structrag.corpus.sole_writer import SoleWriter

with SoleWriter(Path(sys.argv[1])).hold("adding documents"):
    print("held", flush=True)
    sys.stdin.read()
"""


@contextmanager
def held_by_another_process(folder: Path) -> Iterator[subprocess.Popen[str]]:
    pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE}
    with subprocess.Popen([sys.executable, "-c", HOLD, str(folder)], encoding="utf-8", **pipes) as child:  # type: ignore[call-overload]
        assert child.stdout.readline() == "held\n"
        yield child
        child.kill()


def test_the_second_process_is_told_who_writes_and_a_kill_gives_the_corpus_back(tmp_path: Path) -> None:
    writer = SoleWriter(tmp_path)
    with held_by_another_process(tmp_path) as child:
        with pytest.raises(CorpusInUseError) as caught, writer.hold("removing documents", seconds=0):
            pytest.fail("both hold it")
        started = rf"process {child.pid} \(adding documents, started \d\d:\d\d:\d\d\)"
        assert re.search(rf"is in use by {started}\.", caught.value.message)
        assert caught.value.exit_code == 2
        with pytest.raises(CorpusInUseError):
            writer.interrupted()
        with writer.try_to_hold("completing the index") as is_held:
            assert not is_held
    assert re.fullmatch(started, str(writer.interrupted()))
    with writer.hold("adding documents"):
        pass
    assert writer.interrupted() is None


def test_the_command_line_says_so_and_ends_with_2(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(SoleWriter.hold, "__kwdefaults__", {"seconds": 0}, raising=False)
    (tmp_path / "note.md").write_text("A note.", encoding="utf-8")
    corpus = tmp_path / "corpus"
    corpus.mkdir()
    with held_by_another_process(corpus) as child:
        result = CliRunner().invoke(build(), ["add", str(tmp_path / "note.md"), "--corpus", str(corpus)])
    assert result.exit_code == 2
    assert f"in use by process {child.pid} (adding documents, started" in result.stderr


def test_threads_wait_for_each_other(tmp_path: Path) -> None:
    writer = SoleWriter(tmp_path)
    order: list[str] = []

    def second() -> None:
        with writer.hold("removing documents"):
            order.append("second")

    thread = threading.Thread(target=second)
    with writer.hold("adding documents"), writer.hold("completing the index"):
        thread.start()
        with SoleWriter(tmp_path).try_to_hold("adding documents") as is_held:
            assert not is_held
        order.append("first")
    thread.join()
    assert order == ["first", "second"]


def test_work_that_fails_counts_as_interrupted_until_the_next(tmp_path: Path) -> None:
    writer = SoleWriter(tmp_path)
    with pytest.raises(KeyboardInterrupt), writer.hold("adding documents"):
        raise KeyboardInterrupt
    interrupted = writer.interrupted()
    assert interrupted is not None
    assert (interrupted.process, interrupted.doing) == (os.getpid(), "adding documents")
    with writer.try_to_hold("completing the index") as is_held:
        assert is_held
    assert writer.interrupted() is None


def test_a_note_that_was_torn_says_nothing(tmp_path: Path) -> None:
    (tmp_path / "corpus.writer").write_text('{"process": 1', encoding="utf-8")
    assert SoleWriter(tmp_path).interrupted() is None


def test_a_folder_that_cannot_be_written(tmp_path: Path) -> None:
    (tmp_path / "corpus.lock").mkdir()
    with pytest.raises(StoreError, match="cannot be used"), SoleWriter(tmp_path).hold("adding documents"):
        pass


def test_in_memory_there_is_nothing_to_lock() -> None:
    with SoleWriter(None).hold("adding documents"), SoleWriter(None).try_to_hold("adding documents") as is_held:
        assert is_held
