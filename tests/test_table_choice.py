"""Whether the parsed tables hold what is asked, and which documents rows are extracted from where they do not."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from importlib.resources import files
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from structrag.corpus.store import CorpusStore
from structrag.models.embedding import SentenceTransformerEmbedder
from structrag.session import Session
from structrag.structures.building import BuildRequest
from structrag.structures.table import TableBuilder
from structrag.structures.table_excerpts import nearest_documents
from structrag.structures.table_set import TableSet
from structrag.testing import ScriptedChatModel, scripted
from structrag.types import SourceDocument


def load_prompt(name: str) -> str:
    return files("structrag.structures").joinpath(f"prompts/{name}.txt").read_text(encoding="utf-8").strip()


FITS = load_prompt("table_fits")
PLAN = load_prompt("table_plan")
FIGURE = load_prompt("table_figure")
SCHEMA = load_prompt("table_schema")
ROWS = load_prompt("table_rows")
# None of its words stands in the table, so that the embedder alone says how near that is.
QUESTION = "Who sold most?"
HEAD = "| Company | Revenue |\n|---|---|\n| Alder | EUR 5 million |\n"
PROSE = "The year began with snow and nobody went out for a long while. " * 10
REPORT = SourceDocument("report.md", "Report", f"# Figures\n\n{HEAD}\n{PROSE}", sha256="1")
LETTER = "Birk earned EUR 9 million."
PLANNED = {"entity": "company", "columns": [{"name": "revenue", "type": "number", "unit": "EUR million"}]}
EXTRACTED = {"rows": [{"company": "Birk", "revenue": "EUR 9 million"}]}


def rows_told(prompt: str) -> dict[str, Any]:
    return EXTRACTED if LETTER in prompt[prompt.rindex("Document: ") :] else {"rows": []}


class Placing:
    """An embedder that puts texts with a certain word at a given nearness to all that have none."""

    name = "placing"

    def __init__(self, nearness: Mapping[str, float]) -> None:
        self.nearness = nearness

    def embed(self, texts: Sequence[str]) -> NDArray[np.float32]:
        near = [next((n for word, n in self.nearness.items() if word in text), 1.0) for text in texts]
        return np.array([[n, math.sqrt(1 - n * n)] for n in near], dtype=np.float32)


def build(
    nearness: Mapping[str, float], fits: Mapping[str, float] | None, *documents: SourceDocument
) -> tuple[TableSet, ScriptedChatModel, Session]:
    store = CorpusStore.open(None)
    for document in documents:
        store.put(document, [])
    script: dict[str, Any] = {PLAN: 'rows("company", "revenue")', SCHEMA: PLANNED, ROWS: rows_told}
    chat, model = scripted({FITS: fits, **script} if fits else script)
    session = Session(chat, Placing(nearness), store)
    return TableBuilder().build(BuildRequest(QUESTION, documents, ()), session), model, session


def companies(structure: TableSet) -> set[str]:
    rows = [row for table in structure.tables for row in table.rows]
    assert all(cell.usable for row in rows for cell in row.cells)
    return {row.cells[0].raw for row in rows}


def noted(session: Session, name: str) -> list[str]:
    return [step.detail for step in session.trace if step.name == name]


BOTH = (REPORT, SourceDocument("letter.txt", "Letter", LETTER, sha256="2"))


class TestFits:
    @pytest.mark.parametrize("nearness", [0.17, 0.33])
    @pytest.mark.parametrize(("yes", "kept"), [(0.9, {"Alder"}), (0.1, {"Birk"})])
    def test_of_a_table_that_may_be_near_enough_the_model_is_asked(
        self, nearness: float, yes: float, kept: set[str]
    ) -> None:
        structure, model, session = build({"Alder": nearness}, {"yes": yes, "no": 1 - yes}, *BOTH)
        assert companies(structure) == kept
        first, *others = model.prompts
        shown = "Table: Report: Figures. Company, Revenue. Alder, EUR 5 million"
        assert first == f"{FITS}\n{shown}\nQuestion: {QUESTION}"
        assert bool(others) == (kept == {"Birk"})
        assert noted(session, "fits") == [f"{yes:.0%} that the table 'Report: Figures' holds what is asked"]

    @pytest.mark.parametrize(("nearness", "kept"), [(0.13, {"Birk"}), (0.37, {"Alder"})])
    def test_of_a_table_that_is_far_or_near_nobody_is_asked(self, nearness: float, kept: set[str]) -> None:
        structure, _, session = build({"Alder": nearness}, None, *BOTH)
        assert companies(structure) == kept
        assert noted(session, "fits") == []

    def test_where_there_is_no_prose_nobody_is_asked(self) -> None:
        only_table = SourceDocument("t.md", "T", f"# Figures\n\n{HEAD}", sha256="3")
        structure, model, _ = build({"Alder": 0.2}, None, only_table)
        assert companies(structure) == {"Alder"}
        assert model.prompts == []

    def test_a_large_table_is_shown_in_part(self) -> None:
        row = "| " + " | ".join(f"{c * 30}" for c in "defghijklm") + " |\n"
        head = "| " + " | ".join(c * 20 for c in "nopqrstuvw") + " |\n" + "|---" * 10 + "|\n"
        wide = SourceDocument("w.md", "W", f"# Alder\n\n{head}{row * 9}\n{PROSE}", sha256="4")
        _, model, _ = build({"Alder": 0.2}, {"yes": 1.0}, wide)
        (prompt,) = model.prompts
        shown = prompt.removeprefix(f"{FITS}\nTable: ").removesuffix(f"\nQuestion: {QUESTION}")
        assert len(shown) == 500
        assert shown.startswith("W: Alder. nnnn")

    def test_attributes_of_few_documents_are_not_asked_about(self) -> None:
        # One row for one of three documents: whatever the columns hold, the others' figures stand in prose.
        attributes = "| Field | Value |\n|---|---|\n| Founder | Alder |\n| Seat | Graz |\n"
        documents = [SourceDocument("a.md", "A", f"# Profile\n\n{attributes}\n{PROSE}", sha256="5")]
        documents += [SourceDocument(f"{n}.txt", f"Letter {n}", f"{LETTER} {n}", sha256=str(n)) for n in (6, 7)]
        structure, _, session = build({"Alder": 0.2}, None, *documents)
        assert "Birk" in companies(structure)
        assert noted(session, "fits") == []


def text_document(name: str, *paragraphs: str) -> SourceDocument:
    return SourceDocument(name, name, "\n\n".join(paragraphs), sha256=name)


NEARNESS = {"best": 0.9, "good": 0.7, "fair": 0.56, "poor": 0.54, "bad": 0.1}


class TestNearestDocuments:
    def test_the_best_are_kept_best_first(self) -> None:
        documents = [text_document(name, name) for name in ("bad", "fair", "best", "poor", "good")]
        found = nearest_documents(documents, "wanted", Placing(NEARNESS))
        assert [document.id for document in found] == ["best", "good", "fair"]

    def test_a_document_is_as_near_as_its_nearest_paragraph(self) -> None:
        long = text_document("long", *(["bad"] * 9), "best", *(["bad"] * 9))
        short = text_document("short", "good", "good")
        found = nearest_documents([short, long], "wanted", Placing(NEARNESS))
        assert [document.id for document in found] == ["long", "short"]

    def test_a_document_without_text_is_near_to_nothing(self) -> None:
        empty = text_document("empty", " ")
        assert nearest_documents([empty, text_document("b", "bad")], "wanted", Placing(NEARNESS))[0].id == "b"
        assert nearest_documents([empty, text_document("g", "good")], "wanted", Placing(NEARNESS))[1:] == []
        assert nearest_documents([], "wanted", Placing(NEARNESS)) == []

    def test_equally_near_ones_stay_in_order(self) -> None:
        documents = [text_document(name, "good") for name in "cab"]
        assert nearest_documents(documents, "wanted", Placing(NEARNESS)) == documents

    def test_what_is_about_something_else_is_left_out(self, embedder: SentenceTransformerEmbedder) -> None:
        documents = [
            text_document("recipe", "Knead the dough, let it rise, and bake it at 220 degrees until it is brown."),
            text_document("notes", "It rained all day.", "The revenue of Alder in 2024 was EUR 412 million."),
            text_document("birk", "Birk's revenue grew to EUR 73 million in 2024."),
        ]
        found = nearest_documents(documents, "Which company had the highest revenue in 2024?", embedder)
        assert {document.id for document in found} == {"notes", "birk"}

    def test_rows_are_extracted_from_the_nearest_few(self) -> None:
        # Retrieval put the only one that tells anything last.
        rest = [SourceDocument(f"{n}.txt", f"Note {n}", f"It snowed on day {n}.", sha256=f"n{n}") for n in range(11)]
        documents = [*rest, SourceDocument("letter.txt", "Letter", LETTER, sha256="2")]
        structure, model, session = build({"snowed": 0.8, "Birk": 0.9}, None, *documents)
        assert companies(structure) == {"Birk"}
        assert noted(session, "extract")[0] == "from the nearest 10 of 12 documents in prose"
        assert sum(ROWS in prompt for prompt in model.prompts) == 10
