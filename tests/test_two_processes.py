"""Two processes on one corpus: each works or says who is in the way, and what is left is whole."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest
from kill_operations import DOCUMENTS, Place, prepare
from killing import problems

from structrag.errors import CorpusInUseError

SUPPORT = Path(__file__).parent / "support"
RUN = """
import sys
from pathlib import Path
sys.path.insert(0, sys.argv[1])
from kill_operations import OPERATIONS, Place
OPERATIONS[sys.argv[2]](Place(Path(sys.argv[3])), lambda *told: print(*told, flush=True))
"""


def start(operation: str, place: Place) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-c", RUN, str(SUPPORT), operation, str(place.root)],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        encoding="utf-8",
    )


@pytest.fixture
def place(tmp_path: Path) -> Place:
    place = Place(tmp_path / "place")
    told: list[list[object]] = []
    prepare(place, lambda *what: told.append(list(what)))
    place.known["told"] = told
    return place


@pytest.mark.slow
def test_questions_are_answered_while_another_process_adds_and_see_what_it_added(place: Place) -> None:
    with place.open() as rag, start("add", place) as child:
        asked = 0
        while child.poll() is None or not asked:
            assert rag.ask("What revenue did firm 3 have?").grounded
            rag.prefer(rag.ask("What revenue did firm 4 have?"), "table")
            asked += 1
        assert child.returncode == 0, child.stderr.read() if child.stderr else ""
        assert len(rag.documents()) == 2 * DOCUMENTS
        assert rag.ask(f"What revenue did firm {DOCUMENTS + 3} have?").grounded
        assert set(rag._vectors.entries().values()) == {each.id for each in rag.documents()}
        assert len(rag.preferences()) == 1 + asked
    assert list(problems(place, "add", [])) == []


@pytest.mark.slow
def test_of_two_that_add_at_once_both_work_or_one_is_told_to_wait(place: Place) -> None:
    children = [start("add", place), start("add", place)]
    ended = [(child.communicate(), child.returncode) for child in children]
    failed = [stderr for (_, stderr), code in ended if code]
    assert len(failed) < 2
    assert all("CorpusInUseError" in stderr and "in use by process" in stderr for stderr in failed), failed
    assert list(problems(place, "add", [])) == []


@pytest.mark.slow
def test_removing_while_another_process_adds_works_or_says_who_is_in_the_way(place: Place) -> None:
    with place.open() as rag, start("add", place) as child:
        assert child.stdout
        child.stdout.readline()
        try:
            rag.remove(["report-6.txt"])
        except CorpusInUseError as error:
            refused = error.message
        else:
            refused = ""
        assert refused == "" or f"process {child.pid}" in refused
        _, said = child.communicate()
        assert child.returncode == 0 or "CorpusInUseError" in said, said
    assert [each for each in problems(place, "add", []) if each != "report-6.txt is lost"] == []
