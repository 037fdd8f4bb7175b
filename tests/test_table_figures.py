"""Figures that a question names: the calculation is read, never run, and each figure is looked up and checked."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from structrag.corpus.store import CorpusStore
from structrag.errors import BuildError
from structrag.models.embedding import SentenceTransformerEmbedder
from structrag.session import Session
from structrag.structures.building import BuildRequest
from structrag.structures.prompt_files import load_prompt
from structrag.structures.table import TableBuilder
from structrag.structures.table_figures import Calculation, parse_calculation
from structrag.structures.table_set import TableSet
from structrag.testing import ScriptedChatModel, scripted
from structrag.types import SourceDocument
from structrag.utilizer.finding import Finding
from structrag.utilizer.reading import load_prompt as load_utilizer_prompt
from structrag.utilizer.table import TableReasoner

PLAN, FIGURE = load_prompt("table_plan"), load_prompt("table_figure")
WALLS = SourceDocument("walls", "Walls", "The north wall of the hall is 12 m long. It was built in 1901.", sha256="w")
FLOORS = SourceDocument("floors", "Floors", "The south wall of the hall is 850 cm long. Nobody counted the steps.", "f")
QUESTION = "How much longer is the north wall than the south wall?"
DIFFERENCE = 'value("length of the north wall") - value("length of the south wall")'
SCHEMA = load_prompt("table_schema")

Ask = Callable[..., tuple[Finding | None, TableSet, ScriptedChatModel]]


def figure_told(pattern: str) -> Callable[[str], dict[str, Any]]:
    """Return a model that finds the wall which is asked for, and copies its figure."""

    def told(prompt: str) -> dict[str, Any]:
        items = dict(re.findall(r"^\[(\d+)\] (.*)$", prompt, re.MULTILINE))
        wall = "north wall" if "north" in prompt[prompt.rindex("Figure: ") :] else "south wall"
        for number, text in items.items():
            if wall in text and (found := re.search(pattern, text)):
                return {"item": int(number), "figure": found[0]}
        return {"item": 0, "figure": ""}

    return told


@pytest.fixture
def ask(embedder: SentenceTransformerEmbedder) -> Ask:
    def run(
        plan: str,
        figure: Any,
        *documents: SourceDocument,
        question: str = QUESTION,
        script: dict[str, Any] | None = None,
    ) -> tuple[Finding | None, TableSet, ScriptedChatModel]:
        store = CorpusStore.open(None)
        for document in documents:
            store.put(document, [])
        chat, model = scripted({PLAN: plan, FIGURE: figure, **(script or {})})
        session = Session(chat, embedder, store)
        structure = TableBuilder().build(BuildRequest(question, documents, ()), session)
        return TableReasoner().reason(question, structure, session), structure, model

    return run


class TestLookUp:
    def test_the_database_calculates_from_figures_of_several_documents(self, ask: Ask) -> None:
        finding, structure, model = ask(DIFFERENCE, figure_told(r"\d+ c?m"), WALLS, FLOORS)
        assert finding is not None
        assert finding.values == ("3.5",)
        assert finding.text == "3.5 m"
        assert {e.quote for e in finding.evidence} == {
            "The north wall of the hall is 12 m long.",
            "The south wall of the hall is 850 cm long.",
        }
        assert len(model.prompts) == 3, "one plan, and one call for each figure; no SQL is asked for"
        assert TableSet.from_dict(structure.to_dict()) == structure

    @pytest.mark.parametrize(("length", "answer"), [("12 m", "3.5"), ("20 m", "11.5"), ("8 m", "-0.5")])
    def test_another_figure_in_the_document_is_another_answer(self, ask: Ask, length: str, answer: str) -> None:
        walls = SourceDocument("walls", "Walls", WALLS.text.replace("12 m", length), "w2")
        finding, _, _ = ask(DIFFERENCE, figure_told(r"\d+ c?m"), walls, FLOORS)
        assert finding is not None
        assert finding.values == (answer,)

    def test_the_name_with_the_largest_figure_is_the_answer(self, ask: Ask) -> None:
        plan = 'max_of(north=value("length of the north wall"), south=value("length of the south wall"))'
        question = "Which is longer, the north wall or the south wall?"
        finding, _, _ = ask(plan, figure_told(r"\d+ c?m"), WALLS, FLOORS, question=question)
        assert finding is not None
        assert finding.values == ("north",)

    def test_a_figure_that_stands_elsewhere_in_the_document_is_not_used(self, ask: Ask) -> None:
        far = SourceDocument("walls", "Walls", WALLS.text + " It rained. " * 60 + "The hall has 3 sites.", "w3")

        def told(prompt: str) -> dict[str, Any]:
            items = dict(re.findall(r"^\[(\d+)\] (.*)$", prompt, re.MULTILINE))
            number = next(n for n, text in items.items() if "wall of the hall" in text and "3 sites" not in text)
            return {"item": int(number), "figure": "3"}

        with pytest.raises(BuildError, match="states one of the figures"):
            ask(DIFFERENCE, told, far, FLOORS)

    def test_a_calculation_that_the_database_cannot_do_is_no_crash(self, ask: Ask) -> None:
        huge = SourceDocument("h", "Sales", "The north wall of the hall cost 5000000000 EUR and it stands.", "h")
        sql = load_utilizer_prompt("table_sql")
        plan = 'value("cost of the north wall") * value("price of the north wall") * 5000000000'
        copied = {"item": 1, "figure": "5000000000 EUR"}
        finding, _, _ = ask(plan, copied, huge, script={sql: {"sql": ""}})
        assert finding is not None
        assert finding.found or not finding.values

    @pytest.mark.parametrize(
        "plan",
        [DIFFERENCE, 'max_of(north=value("length of the north wall"), south=value("length of the south wall"))'],
    )
    def test_where_one_figure_is_not_stated_there_is_no_answer(self, ask: Ask, plan: str) -> None:
        finding, structure, _ = ask(plan, figure_told(r"12 m"), WALLS, FLOORS)
        assert finding is not None
        assert not finding.found
        assert "12 m" in structure.render(), "what was found is shown all the same"

    def test_an_invented_figure_is_not_used(self, embedder: SentenceTransformerEmbedder) -> None:
        store = CorpusStore.open(None)
        for document in (WALLS, FLOORS):
            store.put(document, [])
        rows = load_prompt("table_rows")
        planned = {"entity": "wall", "columns": [{"name": "length", "type": "number", "unit": "m"}]}
        script = {PLAN: DIFFERENCE, FIGURE: {"item": 1, "figure": "77 m"}, SCHEMA: planned, rows: {"rows": []}}
        chat, _ = scripted(script)
        session = Session(chat, embedder, store)
        with pytest.raises(BuildError, match="states one of the figures"):
            TableBuilder().build(BuildRequest(QUESTION, (WALLS, FLOORS), ()), session)
        assert any(step.name == "figure" and step.detail.endswith("not stated") for step in session.trace)


class TestCalculation:
    @pytest.mark.parametrize(
        ("line", "figures", "query"),
        [
            ('value("a")', ["a"], "SELECT (SELECT amount FROM figures WHERE figure = 'a')"),
            (
                'value("it\'s") / 2',
                ["it's"],
                "SELECT ((SELECT amount FROM figures WHERE figure = 'it''s') / 2)",
            ),
            (
                'sum_of(value("a"), value("b"))',
                ["a", "b"],
                "SELECT ((SELECT amount FROM figures WHERE figure = 'a') + (SELECT amount FROM figures WHERE figure = 'b'))",
            ),
            (
                "min_of(Ann=value('a'), Bo_Lee=value('b'))",
                ["Ann", "Bo Lee"],
                "SELECT figure, amount FROM figures WHERE (SELECT COUNT(*) FROM figures WHERE amount IS NULL) = 0 "
                "ORDER BY amount ASC LIMIT 1",
            ),
        ],
    )
    def test_what_is_read(self, line: str, figures: list[str], query: str) -> None:
        calculation = parse_calculation(line)
        assert calculation is not None
        assert (list(calculation.figures), calculation.query) == (figures, query)

    @pytest.mark.parametrize(
        "line",
        [
            "",
            'rows("firm", "turnover")',
            "__import__('os').system('x')",
            'value("a").real',
            'value("a", "b")',
            "value(x)",
            "max_of(3)",
            'max_of(value("b"), A=value("a"))',
            'sum_of(value("a"), b=value("b"))',
            'value("a") * 1e400',
            "1 + 1",
            'value("a") if True else value("b")',
            " + ".join(f'value("{n}")' for n in range(7)),
            "(" * 500,
        ],
    )
    def test_anything_else_is_no_calculation(self, line: str) -> None:
        assert parse_calculation(line) is None

    @given(st.text(max_size=60))
    def test_nothing_breaks_it(self, line: str) -> None:
        assert parse_calculation(line) is None or isinstance(parse_calculation(line), Calculation)
