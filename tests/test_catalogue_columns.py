"""Lists that stand in tables: the different values of a column, each with the cell that says it."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from structrag.corpus.store import CorpusStore
from structrag.models.chat import Prompt
from structrag.models.embedding import SentenceTransformerEmbedder
from structrag.session import Session
from structrag.structures.catalogue import Catalogue
from structrag.structures.catalogue_parse import parse_topics
from structrag.testing import scripted
from structrag.types import SourceDocument
from structrag.utilizer.catalogue import CatalogueReasoner
from structrag.utilizer.columns import columns
from structrag.utilizer.reading import load_prompt

PLAN = load_prompt("catalogue_plan")
OUTLINE = load_prompt("catalogue_outline")
NAMES = load_prompt("catalogue_names")

REPAIRS = """# Repairs

Asked for in May.

| no | bike | cause | paid_by |
| --- | --- | --- | --- |
| 1 | Wren | puncture | club |
| 2 | Lark | brake | club |
| 3 | Rook | Puncture | owner |
| 4 | Kite | puncture | |

## Parts

| part | price |
|---|---|
| tube | 4 |
| pad | 9 |
"""


def catalogue(*texts: str) -> Catalogue:
    documents = (SourceDocument(f"d{i}", f"Papers {i}", text, "hash") for i, text in enumerate(texts))
    return Catalogue(tuple(tree for each in documents if (tree := parse_topics(each))))


def test_columns_that_sort_their_rows_are_lists_and_others_are_none() -> None:
    found = {outline.path: [name for name, _ in outline.entries] for outline in columns(catalogue(REPAIRS))}
    assert found == {
        "Papers 0 > Repairs > cause": ["puncture", "brake"],
        "Papers 0 > Repairs > paid by": ["club", "owner"],
    }


def test_two_tables_below_one_another_are_two() -> None:
    one = "| a | b |\n|--|--|\n| x | p |\n| x | q |\n| y | p |\n| y | q |\n"
    for between in ("", "Then came more of them.\n\n"):
        found = [[name for name, _ in outline.entries] for outline in columns(catalogue(f"{one}\n{between}{one}"))]
        assert found == [["x", "y"], ["p", "q"]] * 2


def test_a_last_row_is_no_header_and_escaped_pipes_divide_nothing() -> None:
    one = "| a \\| b | c |\n|--|--|\n| x | p |\n| x | q |\n| y | q |\n"
    found = {o.path: [name for name, _ in o.entries] for o in columns(catalogue(f"{one}\nText.\n\n{one}"))}
    assert found == {"Papers 0 > a | b": ["x", "y"], "Papers 0 > c": ["p", "q"]}


def test_the_outer_pipes_may_be_left_out() -> None:
    text = "Repairs of a | b kind.\n\nbike | cause\n--- | ---\nWren | brake\nLark | brake\nRook | chain\nKite | chain\n"
    found = {o.path: [name for name, _ in o.entries] for o in columns(catalogue(text))}
    assert found == {"Papers 0 > cause": ["brake", "chain"]}


@given(st.lists(st.sampled_from(["ash", "oak", r"a\|b", "10 %", "é"]), min_size=3, max_size=12))
def test_every_value_stands_where_its_evidence_says(values: list[str]) -> None:
    text = "Trees of the park.\n\n| no | tree |\n|---|---|\n" + "".join(
        f"| {n} |  {v} |\n" for n, v in enumerate(values)
    )
    found = list(columns(catalogue(text)))
    assert len(found) == (2 <= len(set(values)) <= 0.75 * len(values)), "the numbers sort nothing"
    for outline in found:
        assert [name for name, _ in outline.entries] == [v.replace("\\|", "|") for v in dict.fromkeys(values)]
        for name, evidence in outline.entries:
            assert text[evidence.span.start : evidence.span.end] == evidence.quote
            assert evidence.quote.replace("\\|", "|") == name


@pytest.mark.parametrize("call", ["kinds", "groups"])
def test_kinds_are_read_off_the_column_of_that_name_and_counted(
    embedder: SentenceTransformerEmbedder, call: str
) -> None:
    chat, model = scripted({PLAN: f'number({call}("cause of the repairs"))'})
    session = Session(chat, embedder, CorpusStore.open(None))
    finding = CatalogueReasoner().reason("How many kinds of cause do the repairs have?", catalogue(REPAIRS), session)
    assert (finding.values, finding.text) == (("2",), "2: puncture; brake")
    assert [evidence.quote for evidence in finding.evidence] == ["puncture", "brake"]
    assert len(model.prompts) == 1, "one column alone has the name"


def test_where_several_columns_or_none_have_the_name_the_model_chooses(embedder: SentenceTransformerEmbedder) -> None:
    chat, model = scripted({PLAN: 'kinds("payer")', OUTLINE: {"1": 0.9, "0": 0.1}})
    session = Session(chat, embedder, CorpusStore.open(None))
    finding = CatalogueReasoner().reason("Who pays: which payer is there?", catalogue(REPAIRS), session)
    assert finding.values == ("club", "owner")
    offered = model.prompts[-1][model.prompts[-1].rindex("[1] ") :]
    assert "Papers 0 > Repairs > cause: puncture; brake" in offered, "columns alone, as kinds were asked for"
    assert "Repairs > Parts" not in offered


def test_one_category_is_none_to_sort_by_but_what_is_sorted_by(embedder: SentenceTransformerEmbedder) -> None:
    chat, _ = scripted({PLAN: 'groups("cause")'})
    session = Session(chat, embedder, CorpusStore.open(None))
    finding = CatalogueReasoner().reason("Sort the repairs by their cause", catalogue(REPAIRS), session)
    assert finding.values == ("puncture", "brake")


def test_another_value_in_the_cell_is_another_answer(embedder: SentenceTransformerEmbedder) -> None:
    chat, _ = scripted({PLAN: 'kinds("cause")'})
    session = Session(chat, embedder, CorpusStore.open(None))
    changed = catalogue(REPAIRS.replace("brake", "chain"))
    assert CatalogueReasoner().reason("Which causes are there?", changed, session).values == ("puncture", "chain")


def test_a_title_cited_with_its_author_is_found_where_its_words_stand_apart(
    embedder: SentenceTransformerEmbedder,
) -> None:
    chat, _ = scripted({PLAN: 'mentions("Marr\'s study of rain")', NAMES: {"1": "Papers 0"}})
    session = Session(chat, embedder, CorpusStore.open(None))
    built = catalogue("Marr, I. (2009) A study of mountain rain.", "Marr was here. It rains on the study.")
    finding = CatalogueReasoner().reason("Which papers cite Marr's study of rain?", built, session)
    assert [evidence.span.document_id for evidence in finding.evidence] == ["d0"]


def test_one_long_name_fits_the_reply(embedder: SentenceTransformerEmbedder, monkeypatch: pytest.MonkeyPatch) -> None:
    chat, _ = scripted({PLAN: 'mentions("rain")', NAMES: {"1": "Papers 0"}})
    session = Session(chat, embedder, CorpusStore.open(None))
    asked: list[Prompt] = []
    ask = Session.ask
    monkeypatch.setattr(Session, "ask", lambda self, prompt: asked.append(prompt) or ask(self, prompt))
    CatalogueReasoner().reason("Which papers mention rain?", catalogue("Rain."), session)
    assert asked[-1].max_tokens >= 60, "a name of 80 characters was cut off at 40 tokens, and the question failed"
