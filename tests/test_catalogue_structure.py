"""The tree of topics: nesting, members, exact spans, and that nothing is lost."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from structrag.corpus.markup import parse_headings, split_sentences
from structrag.corpus.store import CorpusStore
from structrag.errors import BuildError
from structrag.models.embedding import SentenceTransformerEmbedder
from structrag.session import Session
from structrag.structures.building import BuildRequest
from structrag.structures.catalogue import CatalogueBuilder, Topic
from structrag.structures.catalogue_parse import clean_title, parse_topics
from structrag.testing import scripted
from structrag.types import SourceDocument

MINUTES = """Draft of 4 May.

# Minutes

Present: Ann and Bo.

## 1. Roof

- Ann asks for **three** offers.
- Bo climbs up.

### 1.1 Gutter

It leaks. It is old.

## 2. Money

| Post | EUR |
| --- | --- |
| Roof | 900 |
"""


def document(text: str, title: str = "Minutes", document_id: str = "minutes") -> SourceDocument:
    return SourceDocument(document_id, title, text, "hash")


def tree(text: str, title: str = "Minutes") -> Topic:
    found = parse_topics(document(text, title))
    assert found is not None
    return found


def texts_of(topic: Topic) -> list[str]:
    return [member.text for member in topic.members]


def outline(topic: Topic) -> list[tuple[str, int]]:
    return [(each.title, len(each.members)) for each in topic.walk()]


def test_headings_nest_and_hold_their_own_members() -> None:
    found = tree(MINUTES)
    assert outline(found) == [("Minutes", 2), ("Roof", 2), ("Gutter", 2), ("Money", 2)]
    roof, money = found.children
    assert [child.title for child in roof.children] == ["Gutter"]
    assert texts_of(found) == ["Draft of 4 May.", "Present: Ann and Bo."]
    assert texts_of(roof) == ["Ann asks for three offers.", "Bo climbs up."]
    assert texts_of(money) == ["Post, EUR", "Roof, 900"]
    assert [m.text for m in roof.all_members()][-1] == "It is old."


def test_the_title_is_evidence_of_the_document() -> None:
    assert tree(MINUTES).evidence.quote == "# Minutes"
    assert tree("Just a line. Another.", title="Elsewhere").evidence.quote == "Just a line."


def test_a_title_of_its_own_keeps_all_headings_below() -> None:
    assert [t.title for t in tree("# One\n\nA.\n\n# Two\n\nB.\n", title="Given").walk()] == ["Given", "One", "Two"]


def test_headings_without_any_text_are_a_tree_too() -> None:
    assert outline(tree("# Minutes\n\n## Roof\n\n## Money\n")) == [("Minutes", 0), ("Roof", 0), ("Money", 0)]


def test_a_heading_skipping_levels_is_below_the_one_before() -> None:
    found = tree("# Minutes\n\n#### Deep\n\nA.\n\n## Flat\n\nB.\n")
    assert [child.title for child in found.children] == ["Deep", "Flat"]


def test_no_text_is_no_tree() -> None:
    assert parse_topics(document(" \n")) is None


@pytest.mark.parametrize(
    ("title", "clean"),
    [
        ("2. Scope", "Scope"),
        ("2.1 Scope", "Scope"),
        ("2.1. Scope:", "Scope"),
        ("B) **Scope**", "Scope"),
        ("2024 in brief", "2024 in brief"),
        ("3 reasons to leave", "3 reasons to leave"),
        ("11 February 2025", "11 February 2025"),
        ("1.5 million pumps", "1.5 million pumps"),
    ],
)
def test_numbering_goes_and_numbers_stay(title: str, clean: str) -> None:
    assert clean_title(title) == clean


PIECES = st.sampled_from(
    [
        *("# Title", "## 2. Money", "### Deep", "# Other", "Title\n===", "Sub\n---", "- dot", "1. one", "| a | b |"),
        *(
            "| --- | --- |",
            "",
            "",
            "Dr. Moor left. He ran.",
            "CAPITALS",
            "   wrapped",
            "你好。再见。",
            "**Bold**",
            "```",
        ),
    ]
)
texts = st.one_of(st.lists(PIECES, max_size=14).map("\n".join), st.text(max_size=80))


@given(texts, st.sampled_from(["Title", "Given"]))
def test_every_sentence_is_placed_once_at_its_span(text: str, title: str) -> None:
    found = parse_topics(document(text, title))
    headings = parse_headings(text)
    said = [
        span
        for span in split_sentences(text)
        if text[slice(*span)].strip(" \t\r\f\v|:-") and not any(h.start <= span[0] and span[1] <= h.end for h in headings)
    ]  # fmt: skip
    placed = [] if found is None else [m.evidence for m in found.all_members()]
    spans = [(e.span.start, e.span.end) for e in placed]
    assert sorted(spans) == sorted(set(spans))
    assert set(said) <= set(spans)
    if found is None:
        return
    assert spans == sorted(spans)
    evidence = [*placed, *(topic.evidence for topic in found.walk())]
    assert all(text[e.span.start : e.span.end] == e.quote for e in evidence)
    below = [h for h in headings if not (h is headings[0] and h.title == title)]
    assert len(list(found.walk())) == 1 + len(below)


class TestBuilding:
    @pytest.fixture
    def session(self, embedder: SentenceTransformerEmbedder) -> Session:
        return Session(scripted({})[0], embedder, CorpusStore.open(None))

    def test_every_document_is_placed_or_said_to_be_unplaced(self, session: Session) -> None:
        documents = (document(MINUTES), document(" ", "Empty", "empty"))
        built = CatalogueBuilder().build(BuildRequest("What?", documents, ()), session)
        assert [topic.document_id for topic in built.documents] == ["minutes"]
        assert built.unplaced == ("empty",)
        assert built.render().splitlines() == [
            "- Minutes (2)",
            "  - Roof (2)",
            "    - Gutter (2)",
            "  - Money (2)",
            "(not placed: empty)",
        ]
        assert built.render(limit=5) == "- Min …"
        assert len(built.evidence()) == 4 + 8
        assert built.to_dict()["documents"][0]["children"][0]["children"][0]["members"][1]["text"] == "It is old."

    def test_nothing_to_place(self, session: Session) -> None:
        with pytest.raises(BuildError, match="anything to list"):
            CatalogueBuilder().build(BuildRequest("What?", (document(" "),), ()), session)
