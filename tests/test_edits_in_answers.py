"""Edits in a corpus: kept, applied before reasoning and in exports, cited as a person's, undone."""

from __future__ import annotations

import csv
import io
import json
import re
import sqlite3
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from langchain_core.documents import Document
from numpy.typing import NDArray
from rich.console import Console
from typer.testing import CliRunner

from structrag import StructRAG
from structrag.cli.app import build
from structrag.cli.rendering import answer_view
from structrag.corpus.store import DATABASE_NAME, CorpusStore
from structrag.errors import StoreError
from structrag.events import Event, StepTaken, StructureBuilt
from structrag.models.weights import Progress
from structrag.pipeline.question import QuestionRun
from structrag.router import FixedRouter
from structrag.structures.edits import CellEdit, cell_edit, describe_edit, merge_edit
from structrag.structures.graph import KnowledgeGraph
from structrag.structures.table_set import TableSet
from structrag.testing import scripted
from structrag.types import Answer, EditMark, Evidence, SourceDocument, Span, Structure, StructureType, TraceStep

FIRMS = "# Firms\n\n| Firm | Revenue (EUR million) |\n|---|---|\n| Alder | 412 |\n| Birch | 97 |\n"
MOST = "Which firm has the highest revenue?"
SQL = {"Question: Which firm": {"sql": "SELECT firm FROM firms ORDER BY revenue DESC LIMIT 1"}}
SUM = "What is the total revenue of all firms?"
SCRIPT: Mapping[str, Any] = {**SQL, "Question: What is": {"sql": "SELECT SUM(revenue) FROM firms"}}


class HashingEmbedder:
    """Bags of words, so that no test waits for a real model."""

    name = "hashing"

    def embed(self, texts: Sequence[str]) -> NDArray[np.float32]:
        rows = np.full((len(texts), 64), 1e-3, dtype=np.float32)
        for row, text in zip(rows, texts, strict=True):
            for word in text.lower().split():
                row[sum(word.encode()) % 64] += 1
        return np.asarray(rows / np.linalg.norm(rows, axis=1, keepdims=True), dtype=np.float32)


Open = Callable[..., StructRAG]


@pytest.fixture
def reopen(tmp_path: Path) -> Open:
    """Open the corpus folder of the test with scripted replies and one structure."""

    def make(script: Mapping[str, Any] = SCRIPT, structure: StructureType = StructureType.TABLE) -> StructRAG:
        chat, _ = scripted(script)
        return StructRAG.open(tmp_path / "corpus", chat=chat, router=FixedRouter(structure), embedder=HashingEmbedder())

    return make


@pytest.fixture
def rag(reopen: Open) -> Iterator[StructRAG]:
    with reopen() as opened:
        opened.add_documents([Document(FIRMS, id="firms")])
        yield opened


def shown_table(answer: Answer) -> TableSet:
    assert isinstance(answer.structure, TableSet)
    return answer.structure


def birch_earns(value: str, answer: Answer) -> CellEdit:
    shown = shown_table(answer)
    return cell_edit(shown, shown.tables[0].name, 1, "revenue", value)


class BuiltError(Exception):
    """Raised to end a question once its structure stands."""


def built(rag: StructRAG, question: str, scope: Sequence[str] | None = None) -> tuple[Structure, list[TraceStep]]:
    """Return the structure that a question is reasoned on, and the steps before."""
    structures: list[Structure] = []
    steps: list[TraceStep] = []

    def listen(event: Event) -> None:
        if isinstance(event, StepTaken):
            steps.append(event.step)
        if isinstance(event, StructureBuilt):
            structures.append(event.structure)
            raise BuiltError

    with pytest.raises(BuiltError):
        rag.ask(question, scope=scope, listener=listen)
    return structures[0], steps


class TestAnswers:
    def test_an_edit_changes_the_next_answer_and_undoing_it_changes_it_back(self, rag: StructRAG) -> None:
        first = rag.ask(MOST)
        assert first.values == ("Alder",)
        number = rag.edit(birch_earns("970", first))
        assert rag.ask(MOST).values == ("Birch",)
        assert rag.ask(SUM).values == ("1382",)
        rag.undo_edit(number)
        assert rag.ask(MOST).values == ("Alder",)

    def test_the_answer_says_that_a_person_says_so_and_where_the_document_stands(self, rag: StructRAG) -> None:
        rag.edit(birch_earns("970", rag.ask(MOST)))
        answer = rag.ask(SUM)
        edited = [citation for citation in answer.citations if citation.evidence.edits]
        (citation,) = edited
        assert f"(Edited by a person: [{citation.number}].)" in answer.text
        span = citation.evidence.span
        assert FIRMS[span.start : span.end] == citation.evidence.quote == "97"
        assert answer.grounded
        assert "970" in citation.evidence.edited
        told = next(c for c in answer.to_dict()["citations"] if c["number"] == citation.number)
        assert told["edits"] == [asdict(mark) for mark in citation.evidence.edits]
        assert [step.detail for step in answer.trace if step.name == "edit"] == [
            "1, by a person: revenue of Birch: 97 → 970"
        ]

    def test_the_command_line_shows_it_beside_the_quote(self, rag: StructRAG) -> None:
        rag.edit(birch_earns("970", rag.ask(MOST)))
        console = Console(width=200, file=io.StringIO())
        console.print(answer_view(rag.ask(SUM)))
        assert isinstance(console.file, io.StringIO)
        assert re.search(r"Firms.*: “97” \(edited by a person on \d{4}-\d\d-\d\d: 970\)", console.file.getvalue())

    def test_the_edited_structure_is_shown_and_the_built_one_is_kept_beside_it(self, rag: StructRAG) -> None:
        before = rag.ask(MOST)
        assert before.unedited is None
        rag.edit(birch_earns("970", before))
        events: list[Event] = []
        answer = rag.ask(MOST, listener=events.append)
        (shown,) = [event.structure for event in events if isinstance(event, StructureBuilt)]
        assert shown is answer.structure
        assert "970" in shown.render()
        assert answer.unedited is not None
        assert before.structure is not None
        assert answer.unedited.to_dict() == before.structure.to_dict()

    def test_it_survives_a_rebuild_from_a_changed_document(self, rag: StructRAG) -> None:
        rag.edit(birch_earns("970", rag.ask(MOST)))
        longer = FIRMS.replace("# Firms\n", "# Firms\n\nAll figures are of 2024.\n") + "| Corvina | 12 |\n"
        rag.add_documents([Document(longer, id="firms")])
        assert rag.ask(MOST).values == ("Birch",)
        assert rag.edit_problems() == {}

    def test_an_edit_whose_target_is_gone_is_kept_and_reported(self, rag: StructRAG) -> None:
        number = rag.edit(birch_earns("970", rag.ask(MOST)))
        rag.add_documents([Document(FIRMS.replace("| 97 |", "| 98 |"), id="firms")])
        answer = rag.ask(MOST)
        assert answer.values == ("Alder",)
        (step,) = [step for step in answer.trace if step.name == "edit"]
        assert "is not applied" in step.detail
        assert "the document now says '98' there, not '97'" in step.detail
        assert [kept.id for kept in rag.edits()] == [number]
        rag.add_documents([Document("# Firms\n\nNothing.", id="firms")])
        assert "any more" in rag.edit_problems()[number]
        rag.remove(["firms"])
        assert "no longer in the corpus" in rag.edit_problems()[number]
        rag.add_documents([Document(FIRMS, id="firms")])
        assert rag.ask(MOST).values == ("Birch",)

    def test_another_structure_is_not_concerned(self, rag: StructRAG) -> None:
        rag.edit(birch_earns("970", rag.ask(MOST)))
        rag.add_documents([Document("# Trees\n\n| Tree | Height (m) |\n|---|---|\n| Oak | 20 |\n", id="trees")])
        _, steps = built(rag, "Which tree is the highest?", scope=["trees"])
        assert [step for step in steps if step.name == "edit"] == []


class TestLooking:
    def test_a_kept_answer_is_shown_and_exported_as_edited_now(self, rag: StructRAG) -> None:
        answer = rag.ask(MOST)
        number = rag.edit(birch_earns("970", answer))
        later = rag.ask(MOST)
        for each in (answer, answer.id, later, later.id):
            structure = rag.structure(each)
            assert structure is not None
            assert "970" in structure.render()
            (row,) = [r for r in csv.DictReader(io.StringIO(rag.export(each, "csv").decode())) if r["firm"] == "Birch"]
            assert (row["revenue"], row["revenue.quote"]) == ("970", "97")
            assert row["revenue.edited"].startswith("edited by a person on ")
        rag.undo_edit(number)
        for each in (answer, answer.id, later, later.id):
            structure = rag.structure(each)
            assert structure is not None
            assert "970" not in structure.render()

    def test_edits_are_listed_and_the_undone_on_demand(self, rag: StructRAG) -> None:
        answer = rag.ask(MOST)
        first, second = rag.edit(birch_earns("970", answer)), rag.edit(birch_earns("980", answer))
        rag.undo_edit(first)
        assert [kept.id for kept in rag.edits()] == [second]
        assert [(kept.id, kept.undone) for kept in rag.edits(with_undone=True)] == [(first, True), (second, False)]
        assert {kept.who for kept in rag.edits()} == {"person"}
        for number in (first, 99):
            with pytest.raises(StoreError, match=f"no edit {number} that counts"):
                rag.undo_edit(number)

    def test_they_are_there_after_reopening(self, reopen: Open) -> None:
        with reopen() as rag:
            rag.add_documents([Document(FIRMS, id="firms")])
            rag.edit(birch_earns("970", rag.ask(MOST)))
        with reopen() as rag:
            assert rag.ask(MOST).values == ("Birch",)

    @pytest.mark.parametrize("payload", ["{}", "[]", "3", "{", '"x"', '{"kind": "cell", "place": []}'])
    def test_a_damaged_edit_is_named_and_can_be_taken_back(self, reopen: Open, tmp_path: Path, payload: str) -> None:
        with reopen() as rag:
            rag.add_documents([Document(FIRMS, id="firms")])
            rag.edit(birch_earns("970", rag.ask(MOST)))
            connection = sqlite3.connect(tmp_path / "corpus" / DATABASE_NAME)
            with connection:
                connection.execute("UPDATE edits SET payload = ?", [payload])
            connection.close()
            with pytest.raises(StoreError, match="edit 1 cannot be read"):
                rag.ask(MOST)
            rag.undo_edit(1)
            assert rag.ask(MOST).values == ("Alder",)
            (listed,) = rag.edits(with_undone=True)
            assert (listed.undone, describe_edit(listed.edit), rag.edit_problems()) == (True, "cannot be read", {})

    def test_an_edit_in_no_document_is_cited_without_one(self, rag: StructRAG) -> None:
        mark = EditMark(1, "person", "2026-11-22T10:00:00+00:00", "9")
        (cited,) = QuestionRun._cite(rag._run, [Evidence(Span("", 0, 0), "", edits=(mark,))])
        assert (cited.number, cited.title, cited.locator) == (1, "(no document)", "")


def test_names_that_a_person_merged_are_one_in_the_graph(reopen: Open) -> None:
    with reopen({}, StructureType.GRAPH) as rag:
        rag.add_documents([Document("Ann Lee runs Alder. Bo Quist met Annie.", id="people")])
        before, _ = built(rag, "Who?")
        assert isinstance(before, KnowledgeGraph)
        rag.edit(merge_edit(before, "Annie", "Ann Lee"))
        merged, steps = built(rag, "Who?")
        assert isinstance(merged, KnowledgeGraph)
        assert "Annie" in before.network
        assert "Annie" not in merged.network
        assert merged.aliases["Annie"] == "Ann Lee"
        assert "Annie is Ann Lee" in steps[-1].detail


class TestOlderCorpora:
    def older(self, path: Path) -> None:
        """Make the corpus file as version 1 had it."""
        with CorpusStore.open(path) as store:
            store.put(SourceDocument("a.md", "A", "Text", "1"), [])
            store.put_answer("old", {"id": "old", "built": None})
            store.add_preference({"chosen": "table"})
        connection = sqlite3.connect(path)
        with connection:
            connection.execute("DROP TABLE edits")
            connection.execute("DROP TABLE calls")
            connection.execute("UPDATE meta SET value = '1' WHERE key = 'schema'")
        connection.close()

    def test_a_corpus_of_version_1_opens_with_all_that_it_held(self, tmp_path: Path) -> None:
        self.older(tmp_path / "c.sqlite")
        for _ in range(2):
            with CorpusStore.open(tmp_path / "c.sqlite") as store:
                assert store.document("a.md").text == "Text"
                assert store.answers() == [{"id": "old", "built": None}]
                assert len(store.preferences()) == 1
                assert store.calls("old") is None
                assert [edit.id for edit in store.edits()] in ([], [1])
                store.add_edit({"kind": "cell"}, who="person")
        connection = sqlite3.connect(tmp_path / "c.sqlite")
        assert connection.execute("SELECT value FROM meta WHERE key = 'schema'").fetchone() == ("2",)
        connection.close()

    def test_one_of_a_later_version_is_left_as_it_is(self, tmp_path: Path) -> None:
        self.older(tmp_path / "c.sqlite")
        connection = sqlite3.connect(tmp_path / "c.sqlite")
        with connection:
            connection.execute("UPDATE meta SET value = '3' WHERE key = 'schema'")
        with pytest.raises(StoreError, match="has version 3 of the schema, not 2"):
            CorpusStore.open(tmp_path / "c.sqlite")
        names = {name for (name,) in connection.execute("SELECT name FROM sqlite_master")}
        connection.close()
        assert "edits" not in names


class TestCommand:
    def run(self, reopen: Open, folder: Path, *arguments: str) -> Any:
        def open_corpus(folder: Path, *, settings: Mapping[str, Any], progress: Progress) -> StructRAG:
            return reopen()

        return CliRunner().invoke(build(open_corpus), ["--corpus", str(folder), "edits", *arguments])

    def test_edits_are_listed_and_undone(self, reopen: Open, tmp_path: Path) -> None:
        folder = tmp_path / "corpus"
        with reopen() as rag:
            rag.add_documents([Document(FIRMS, id="firms")])
        assert "Nobody has changed" in self.run(reopen, folder).stderr
        with reopen() as rag:
            rag.edit(birch_earns("970", rag.ask(MOST)))
        listed = self.run(reopen, folder)
        assert listed.exit_code == 0
        assert "1  20" in listed.stdout
        assert "person  revenue of Birch: 97 → 970" in listed.stdout
        told = json.loads(self.run(reopen, folder, "--json").stdout)
        assert (told["id"], told["undone"], told["problem"], told["edit"]["kind"]) == (1, False, "", "cell")
        assert "The edit 1 no longer counts." in self.run(reopen, folder, "undo", "1").stderr
        assert self.run(reopen, folder).stdout == ""
        assert "undone" in self.run(reopen, folder, "--all").stdout
        again = self.run(reopen, folder, "undo", "1")
        assert (again.exit_code, "no edit 1 that counts" in again.stderr) == (2, True)
