"""Documents are put under the categories that a question names, all of them, by nearness in meaning."""

from __future__ import annotations

import pytest

from structrag.corpus.store import CorpusStore
from structrag.models.embedding import SentenceTransformerEmbedder
from structrag.session import Session
from structrag.structures.catalogue import Catalogue
from structrag.structures.catalogue_parse import parse_topics
from structrag.testing import scripted
from structrag.types import SourceDocument
from structrag.utilizer.catalogue import CatalogueReasoner
from structrag.utilizer.finding import NOTHING_FOUND
from structrag.utilizer.grouping import are_listed, group, listed_in
from structrag.utilizer.reading import load_prompt

PLAN = load_prompt("catalogue_plan")
JUDGE = load_prompt("catalogue_mentions")
NAMES = load_prompt("catalogue_names")
CATEGORIES = ["late delivery", "wrong colour", "refund of money"]
LETTERS = {
    "Letter 12": "My parcel should have come last week and is still on its way.",
    "Letter 2": "I ordered the blue scarf and got a green one.",
    "Letter 3": "When do you pay my money back?",
    "Letter 9": "Three weeks of waiting for the parcel to be delivered!",
}


@pytest.fixture
def session(embedder: SentenceTransformerEmbedder) -> Session:
    chat, _ = scripted({PLAN: f"groups({', '.join(repr(c) for c in CATEGORIES)})".replace("'", '"')})
    return Session(chat, embedder, CorpusStore.open(None))


def letters(told: dict[str, str]) -> Catalogue:
    trees = [parse_topics(SourceDocument(title, title, text, "hash")) for title, text in told.items()]
    return Catalogue(tuple(tree for tree in trees if tree))


def test_every_document_is_placed_once_and_cited(session: Session) -> None:
    question = f"Group the letters by what they are about: {', '.join(CATEGORIES)}. Give their numbers."
    finding = CatalogueReasoner().reason(question, letters(LETTERS), session)
    assert finding.values == ("late delivery: 9, 12", "wrong colour: 2", "refund of money: 3")
    assert {evidence.quote for evidence in finding.evidence} == set(LETTERS.values())


def test_a_changed_document_changes_its_group(session: Session) -> None:
    changed = LETTERS | {"Letter 2": "Please return the money that I paid."}
    finding = group(CATEGORIES, letters(changed), session)
    assert "refund of money: 2, 3" in finding.values


def test_names_without_numbers_are_given_whole(session: Session) -> None:
    named = dict(zip(("Ann", "Bo", "Cy", "Di"), LETTERS.values(), strict=True))
    assert "late delivery: Ann, Di" in group(CATEGORIES, letters(named), session).values


def test_the_statements_of_one_document_are_grouped(session: Session) -> None:
    text = "\n".join(f"- {said}" for said in LETTERS.values())
    finding = group(CATEGORIES, letters({"Letters": text}), session)
    assert len(finding.evidence) == len(LETTERS)
    assert finding.values[1] == "wrong colour: I ordered the blue scarf and got a green one."


def test_one_category_is_no_grouping(session: Session) -> None:
    assert group(["late delivery"], letters(LETTERS), session) is NOTHING_FOUND


@pytest.mark.parametrize(
    ("question", "categories"),
    [
        ("Sort the letters: late delivery, wrong colour or refund of money?", CATEGORIES),
        ("group them\n- Late delivery\n- wrong  colour", ["late delivery", "wrong colour"]),
        (
            "Sort: wrong exchange rate, card, exchange rate, wrong card",
            ["wrong exchange rate", "exchange rate", "card"],
        ),
        ("Sort by: 1. late delivery 2. wrong colour", ["late delivery", "wrong colour"]),
        ("Put each under late_delivery; wrong colour", ["late_delivery", "wrong colour"]),
        ("Which are about price and which about quality?", ["price", "quality"]),
    ],
)
def test_categories_that_a_question_lists(question: str, categories: list[str]) -> None:
    assert are_listed(categories, question)


@pytest.mark.parametrize(
    ("question", "categories"),
    [
        ("Which of the five shops are looking for a baker this year? Just the shop names", ["shop names", "a baker"]),
        ("who paid for the four bridges since 1990, names of the payers only", ["the payers", "four bridges"]),
        ("Which shops are closed", ["shops", "closed"]),
        ("Which shops are closed", ["shops"]),
        ("Which shops are closed", ["shops", "banks"]),
        ("Which shops are closed", ["shops", "?"]),
    ],
)
def test_two_parts_of_a_question_are_no_categories(question: str, categories: list[str]) -> None:
    assert not are_listed(categories, question)


@pytest.mark.parametrize(
    ("question", "categories"),
    [
        (
            "Group the letters by subject. Use these: wrong card rate, card, rate. Answer with their numbers.",
            ["wrong card rate", "card", "rate"],
        ),
        ("Sort under:\n- late delivery\n- wrong colour\n- refund", ["late delivery", "wrong colour", "refund"]),
        ("sort them: 'late', \"wrong\" and refund", ["late", "wrong", "refund"]),
        ("Which is it: late or early?", []),
        ("One thing: which shops, of all those that we have seen in the last ten years, sell bread, or cake", []),
        ("Which shops are closed", []),
    ],
)
def test_categories_that_stand_after_a_colon(question: str, categories: list[str]) -> None:
    assert listed_in(question) == categories


def test_a_plan_that_divides_the_list_wrongly_is_corrected_by_the_question(
    embedder: SentenceTransformerEmbedder,
) -> None:
    plan = 'groups("late delivery", "wrong", "colour or refund of money")'
    chat, _ = scripted({PLAN: plan})
    question = "Sort the letters. Use these categories: late delivery, wrong colour, refund of money."
    finding = CatalogueReasoner().reason(question, letters(LETTERS), Session(chat, embedder, CorpusStore.open(None)))
    assert [line.partition(":")[0] for line in finding.values] == CATEGORIES


def test_without_categories_the_documents_that_fit_are_looked_for(embedder: SentenceTransformerEmbedder) -> None:
    def judge(prompt: str) -> dict[str, float]:
        fits = "Document: Letter 12" in prompt or "Document: Letter 9" in prompt
        return {"yes": 0.95 if fits else 0.1, "no": 0.05 if fits else 0.9}

    plan = 'groups("letters", "the parcel")'
    chat, model = scripted({PLAN: plan, JUDGE: judge, NAMES: {"1": "Letter 12", "2": "Letter 9"}})
    session = Session(chat, embedder, CorpusStore.open(None))
    finding = CatalogueReasoner().reason("Which letters are about the parcel?", letters(LETTERS), session)
    assert set(finding.values) == {"Letter 12", "Letter 9"}
    assert sum(prompt.startswith(PLAN) for prompt in model.prompts) == 1
