"""Rows out of prose: what the model copied is checked against the document, and nothing else is used."""

import json
from collections.abc import Callable
from typing import Any

import pytest

from structrag.corpus.store import CorpusStore
from structrag.errors import BuildError
from structrag.models.embedding import SentenceTransformerEmbedder
from structrag.session import Session
from structrag.structures.building import BuildRequest
from structrag.structures.table import TableBuilder
from structrag.structures.table_excerpts import excerpt
from structrag.structures.table_set import ColumnType, Table, TableSet
from structrag.structures.table_values import Quantity
from structrag.structures.table_verification import check, locate, words
from structrag.testing import ScriptedChatModel, scripted
from structrag.types import SourceDocument
from structrag.utilizer.table import TableReasoner

QUESTION = "Which company had the highest revenue in 2024?"
SCHEMA = {"entity": "company", "columns": [{"name": "revenue", "type": "number", "unit": "EUR million"}]}
ALDER = SourceDocument(
    "alder.txt",
    "Letter of Alder Thermik",
    "Letter of Alder Thermik\n\nDear friends, our revenue climbed to\nEUR 412.6 million in 2024. We have 40 staff.",
    sha256="1",
)
BIRK = SourceDocument(
    "birk.txt",
    "Press note",
    "Press note\n\nBirk Pumps closed 2024 with revenue of 73,900 thousand EUR, a little more than before.",
    sha256="2",
)

# How a prompt about the document begins; the example in the instructions is about another letter.
OF_ALDER, OF_BIRK = "Document: Letter of Alder", "Document: Press"

MakeSession = Callable[[dict[str, Any]], tuple[Session, ScriptedChatModel]]


def row(company: str, revenue: str) -> dict[str, Any]:
    return {"company": company, "revenue": revenue}


@pytest.fixture
def make_session(embedder: SentenceTransformerEmbedder) -> MakeSession:
    store = CorpusStore.open(None)
    for document in (ALDER, BIRK):
        store.put(document, [])

    def make(script: dict[str, Any]) -> tuple[Session, ScriptedChatModel]:
        chat, model = scripted({"You write how the answer": "rows()", "You plan the table": SCHEMA, **script})
        return Session(chat, embedder, store), model

    return make


def build(session: Session, *documents: SourceDocument) -> TableSet:
    return TableBuilder().build(BuildRequest(QUESTION, documents, ()), session)


def only(structure: TableSet) -> Table:
    (table,) = structure.tables
    return table


GOOD_ALDER = row("Alder Thermik", "EUR 412.6 million")
GOOD_BIRK = row("Birk Pumps", "73,900 thousand EUR")


def test_rows_of_several_documents_in_one_unit(make_session: MakeSession) -> None:
    session, _ = make_session({OF_ALDER: {"rows": [GOOD_ALDER]}, OF_BIRK: {"rows": [GOOD_BIRK]}})
    structure = build(session, ALDER, BIRK)
    table = only(structure)
    assert [(c.name, c.type, c.unit) for c in table.columns] == [
        ("company", ColumnType.TEXT, ""),
        ("revenue", ColumnType.NUMBER, "EUR million"),
    ]
    assert [row.cells[1].value for row in table.rows] == [412.6, 73.9]
    assert structure.coverage == "2 of 2 documents"
    for found in structure.evidence():
        text = {"alder.txt": ALDER.text, "birk.txt": BIRK.text}[found.span.document_id]
        assert text[found.span.start : found.span.end] == found.quote
        assert found.verified
    first = table.rows[0].cells[1]
    assert first.raw == "EUR 412.6 million"
    assert first.evidence is not None
    # The sentence that states it, as it stands in the document, line break included.
    assert first.evidence.quote == "Dear friends, our revenue climbed to\nEUR 412.6 million in 2024."


@pytest.mark.parametrize(
    "reply",
    [
        pytest.param(row("Alder Thermik", "EUR 999 million"), id="value"),
        pytest.param(row("Alder Thermik", "EUR 412.6 billion"), id="scale"),
        pytest.param(row("Alder Thermik", "CHF 412.6 million"), id="currency"),
        pytest.param(row("Alder Thermik", "73,900 thousand EUR"), id="other-document"),
        pytest.param(row("Alder Thermik", "40"), id="other-unit"),
        pytest.param(row("Alder Thermik", "climbed"), id="no-number"),
    ],
)
def test_what_the_document_does_not_support_is_marked_and_never_used(
    make_session: MakeSession, reply: dict[str, Any]
) -> None:
    session, _ = make_session(
        {
            OF_ALDER: {"rows": [reply]},
            OF_BIRK: {"rows": [GOOD_BIRK]},
            "CREATE TABLE": {"sql": "SELECT company, revenue FROM company ORDER BY revenue DESC LIMIT 1"},
        }
    )
    structure = build(session, ALDER, BIRK)
    bad = only(structure).rows[0].cells[1]
    assert bad.evidence is not None
    assert not bad.evidence.verified
    assert not bad.usable
    assert "(unverified)" in structure.render()
    finding = TableReasoner().reason(QUESTION, structure, session)
    assert finding.values == ("Birk Pumps",)
    assert {e.span.document_id for e in finding.evidence} == {"birk.txt"}
    assert all(e.verified for e in finding.evidence)


def test_a_row_about_an_invented_thing_is_not_loaded(make_session: MakeSession) -> None:
    invented = row("Zeta Corp", "EUR 412.6 million")
    session, _ = make_session(
        {
            OF_ALDER: {"rows": [invented]},
            OF_BIRK: {"rows": [GOOD_BIRK]},
            "CREATE TABLE": {"sql": "SELECT company FROM company"},
        }
    )
    structure = build(session, ALDER, BIRK)
    assert TableReasoner().reason(QUESTION, structure, session).values == ("Birk Pumps",)


def test_the_title_is_evidence_for_what_the_document_is_about(make_session: MakeSession) -> None:
    nameless = SourceDocument("x.txt", "Alder annual letter", "Our revenue was EUR 5 million.", sha256="3")
    session, _ = make_session({"Document: Alder": {"rows": [row("Alder", "EUR 5 million")]}})
    session.cache = CorpusStore.open(None)
    session.cache.put(nameless, [])
    entity = only(build(session, nameless)).rows[0].cells[0]
    assert (entity.value, entity.evidence, entity.usable) == ("Alder", None, True)


def test_extraction_is_kept_per_document(make_session: MakeSession) -> None:
    script = {OF_ALDER: {"rows": [GOOD_ALDER]}, OF_BIRK: {"rows": [GOOD_BIRK]}}
    first, _ = make_session(dict(script))
    build(first, ALDER)
    second, model = make_session(dict(script))
    assert len(only(build(second, ALDER, BIRK)).rows) == 2
    assert sum(OF_ALDER in prompt for prompt in model.prompts) == 0
    assert sum(OF_BIRK in prompt for prompt in model.prompts) == 1


def test_one_unusable_reply_loses_its_own_document_only(make_session: MakeSession) -> None:
    session, _ = make_session({OF_ALDER: ["no JSON", "still none"], OF_BIRK: {"rows": [GOOD_BIRK]}})
    structure = build(session, ALDER, BIRK)
    assert structure.coverage == "1 of 2 documents"
    assert any(step.name == "extract" and "Alder" in step.detail for step in session.trace)


def test_nothing_to_build_from_is_an_error(make_session: MakeSession) -> None:
    session, _ = make_session({"Document:": {"rows": []}})
    long = SourceDocument("l.txt", "Walk", "We walked through the wood and saw a bird. " * 20, sha256="4")
    session.cache = CorpusStore.open(None)
    session.cache.put(long, [])
    with pytest.raises(BuildError, match="None of the 1 documents"):
        build(session, long)


def test_a_fitting_parsed_table_costs_no_call(embedder: SentenceTransformerEmbedder) -> None:
    text = (
        "# Revenue by company\n\n| Company | Revenue 2024 |\n|---|---|\n| Alder | EUR 5 million |\n\n" + ALDER.text * 9
    )
    chat, model = scripted({})
    structure = build(Session(chat, embedder, CorpusStore.open(None)), SourceDocument("t.md", "T", text, sha256="5"))
    assert only(structure).rows[0].cells[1].value == 5
    assert model.prompts == []


def test_the_excerpt_is_the_part_that_the_question_is_about(embedder: SentenceTransformerEmbedder) -> None:
    filler = "\n\n".join(
        f"Paragraph {n} speaks at length about gardens, birds and trees in the spring." for n in range(60)
    )
    document = SourceDocument(
        "d", "D", f"{filler}\n\nRevenue of the company was EUR 7 million.\n\n{filler}", sha256="6"
    )
    chosen = excerpt(document, QUESTION, embedder)
    assert "EUR 7 million" in chosen
    assert len(chosen.replace("\n\n", "")) <= 800


def test_a_quote_is_found_through_white_space_and_typography() -> None:
    document = SourceDocument("d", "D", "They said:\n“we  don’t\nsell”, and 2011–12 was the year.", sha256="7")
    found = locate(document, '"We don\'t sell"')
    assert found is not None
    assert document.text[found.span.start : found.span.end] == found.quote == "“we  don’t\nsell”"
    assert locate(document, "2011-1") is None
    assert locate(document, " ") is None


def test_the_nearest_of_several_places_is_taken() -> None:
    document = SourceDocument("d", "D", "Alder. " * 10, sha256="8")
    found = locate(document, "Alder", near=43)
    assert found is not None
    assert found.span.start == 42


def test_a_sentence_must_state_the_value() -> None:
    text = "Founded on 4 May 1998 by Radka Nova in Lund.\n\n1987\n\nIt has 12 rooms."
    document = SourceDocument("d", "D", text, sha256="9")

    def value(copied: str, type_: ColumnType) -> object:
        return check(document, copied, type_, frozenset()).value

    assert value("Radka Nova", ColumnType.TEXT) == "Radka Nova"
    assert value("Nova  in\nLund", ColumnType.TEXT) == "Nova in Lund"
    assert value("Rad", ColumnType.TEXT) is None
    assert value("Lund. It", ColumnType.TEXT) is None, "no sentence says this"
    assert str(value("4 May 1998", ColumnType.DATE)) == "1998-05-04"
    assert value("5 May 1998", ColumnType.DATE) is None
    assert value("1987", ColumnType.NUMBER) is None, "digits alone say nothing"
    assert value("12", ColumnType.NUMBER) is not None


def test_of_several_sentences_the_one_about_the_column_is_taken() -> None:
    text = "Costs came to EUR 5 million. Revenues came to EUR 5 million. Debt came to EUR 5 million."
    document = SourceDocument("d", "D", text, sha256="9")
    checked = check(document, "EUR 5 million", ColumnType.NUMBER, words("Which company had most revenue?"))
    assert checked.evidence.quote == "Revenues came to EUR 5 million."
    assert text[checked.evidence.span.start : checked.evidence.span.end] == checked.evidence.quote


def test_the_unit_comes_from_the_document_even_if_the_model_drops_it() -> None:
    value = check(ALDER, "412.6", ColumnType.NUMBER, frozenset()).value
    assert isinstance(value, Quantity)
    assert (value.number, value.unit.label) == (412.6, "EUR million")


def test_instructions_inside_a_document_stay_quoted_material(make_session: MakeSession) -> None:
    session, model = make_session({OF_ALDER: {"rows": [GOOD_ALDER]}})
    build(session, ALDER)
    prompt = next(p for p in model.prompts if OF_ALDER in p)
    assert prompt.index("<excerpt>\nLetter of Alder") < prompt.index("</excerpt>", prompt.index("Letter of Alder"))
    assert json.dumps(SCHEMA["entity"]).strip('"') in prompt
