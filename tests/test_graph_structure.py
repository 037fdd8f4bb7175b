"""Names and which of them mean the same thing; facts from sentences and table lines; hostile graphs."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from structrag.corpus.store import CorpusStore
from structrag.errors import BuildError
from structrag.models.embedding import SentenceTransformerEmbedder
from structrag.session import Session
from structrag.structures.building import BuildRequest
from structrag.structures.graph import Fact, GraphBuilder, KnowledgeGraph
from structrag.structures.graph_parse import named_in, parse_facts
from structrag.structures.names import find_names, mentions, merge_names
from structrag.testing import scripted
from structrag.types import Evidence, SourceDocument, Span


def document(text: str, title: str = "Notes", document_id: str = "notes") -> SourceDocument:
    return SourceDocument(document_id, title, text, "hash")


def names(text: str) -> list[str]:
    return [name for _, _, name in find_names(text)]


def pairs(graph: KnowledgeGraph) -> set[tuple[str, str]]:
    return {(fact.head, fact.tail) for fact in graph.facts}


class TestFindNames:
    @pytest.mark.parametrize(
        ("text", "found"),
        [
            ("The firm Alder Thermik AG bought Birk & Sons.", ["Alder Thermik AG", "Birk & Sons"]),
            ("In May Dr. Katrin Moor met K. Moor.", ["Dr. Katrin Moor", "K. Moor"]),
            ("Then Ludwig van Dorn left.", ["Ludwig van Dorn"]),
            ("She works at the University of Lindrey.", ["University of Lindrey"]),
            ("Pump T-11 feeds Harrow 500.", ["Pump T-11", "Harrow 500"]),
            ("Alder's pumps, Ann’s tank", ["Alder", "Ann"]),
            ("However it rains. The end. I saw it.", ["However"]),
            ("nothing here, 12 pumps", []),
            ("", []),
        ],
    )
    def test_names(self, text: str, found: list[str]) -> None:
        assert names(text) == found

    @given(st.text(alphabet="The IK. Moor\tand-1'’\n&", max_size=60))
    def test_spans_are_exact(self, text: str) -> None:
        for start, end, name in find_names(text):
            assert text[start:end] == name
            assert name[0].isupper()


FORMS = ["Katrin Moor", "K. Moor", "Prof. Moor", "Moor", "Katrin", "Prof. Katrin Moor"]
POOL = [
    *FORMS,
    "Karl Moor",
    "Alder",
    "Alder Thermik AG",
    "ALDER",
    "Thermik",
    "T-11",
    "Birk & Sons",
    "Harrow 500",
    "Dr.",
]


class TestMergeNames:
    def test_every_form_leads_to_the_full_name(self) -> None:
        merged = merge_names(FORMS)
        assert {merged[form] for form in FORMS} == {"Prof. Katrin Moor"}

    @pytest.mark.parametrize("short", ["K. Moor", "Moor", "Prof. Moor"])
    def test_a_short_form_of_two_full_names_is_left_alone(self, short: str) -> None:
        merged = merge_names(["Katrin Moor", "Karl Moor", short])
        assert merged == {"Katrin Moor": "Katrin Moor", "Karl Moor": "Karl Moor", short: short}

    def test_an_initial_decides_between_two(self) -> None:
        merged = merge_names(["Katrin Moor", "Stefan Moor", "K. Moor", "S. Moor", "Moor"])
        assert (merged["K. Moor"], merged["S. Moor"], merged["Moor"]) == ("Katrin Moor", "Stefan Moor", "Moor")

    @pytest.mark.parametrize(
        ("one", "other"),
        [("Katrin Moor", "Katrin Birk"), ("Harrow 500", "Harrow 300"), ("T-11", "T-12"), ("Ann Lee", "Joanna Lee")],
    )
    def test_different_things_stay_apart(self, one: str, other: str) -> None:
        assert merge_names([one, other]) == {one: one, other: other}

    def test_a_first_word_stands_for_the_only_name_that_begins_so(self) -> None:
        assert merge_names(["Alder Thermik AG", "Alder"])["Alder"] == "Alder Thermik AG"
        assert merge_names(["Alder Thermik AG", "Alder Pumps", "Alder"])["Alder"] == "Alder"

    @given(st.lists(st.sampled_from(POOL), max_size=12), st.randoms())
    def test_order_and_repetition_do_not_matter(self, some: list[str], random: object) -> None:
        shuffled = [*some, *some[:3]]
        random.shuffle(shuffled)  # type: ignore[attr-defined]
        assert merge_names(shuffled) == merge_names(some)

    @given(st.lists(st.sampled_from(POOL) | st.text(max_size=12), max_size=12))
    def test_a_merged_name_is_one_of_them_and_its_own_target(self, some: list[str]) -> None:
        merged = merge_names(some)
        assert merged.keys() == set(some)
        assert all(merged[target] == target for target in merged.values())


def test_mentions_are_whole_words_longest_first() -> None:
    found = list(mentions("who leads ALDER thermik ag, and the alderman?", ["Alder", "Alder Thermik AG", "Birk", "Al"]))
    assert found == ["Alder Thermik AG", "Alder"]


@pytest.mark.parametrize(
    ("text", "is_named"),
    [
        ("who pays signe aurdals lab?", True),
        ("who pays Signe Aurdal's lab?", True),
        ("who pays the lab of signe aurdals?", True),
        ("who pays signe aurdalson?", False),
        ("who pays aurdals lab?", False),
        ("who pays signes aurdal?", False),
    ],
)
def test_a_possessive_may_lack_its_apostrophe(text: str, *, is_named: bool) -> None:
    assert list(mentions(text, ["Signe Aurdal", "Birk"])) == ["Signe Aurdal"] * is_named
    assert named_in(text, parse_facts([document("Signe Aurdal left Birk.")])) == ["Signe Aurdal"] * is_named


class TestFacts:
    def test_two_names_in_a_sentence(self) -> None:
        graph = parse_facts([document("Alder supplies pumps to Birk.")])
        (fact,) = graph.facts
        assert (fact.head, fact.relation, fact.tail) == ("Alder", "supplies pumps to", "Birk")
        assert fact.statement == "Notes: Alder supplies pumps to Birk."
        assert fact.evidence.quote == "Alder supplies pumps to Birk."

    def test_a_pronoun_carries_the_first_name_on(self) -> None:
        graph = parse_facts([document("Ann Lee left Alder. She founded Corvina. Its seat is in Oslo.")])
        assert ("Ann Lee", "Corvina") in pairs(graph)
        assert ("Ann Lee", "Oslo") in pairs(graph)

    def test_a_sentence_with_one_name_is_about_the_title(self) -> None:
        graph = parse_facts([document("The pumps go to Birk.", title="Alder report")])
        assert pairs(graph) == {("Alder", "Birk")}

    def test_forms_of_a_name_are_merged_across_documents(self) -> None:
        one = document("Katrin Moor taught Pim Dahl.", "Notes", "one")
        other = document("Prof. Moor works with K. Moor in Oslo.", "Notes", "two")
        graph = parse_facts([one, other])
        assert pairs(graph) == {("Katrin Moor", "Pim Dahl"), ("Katrin Moor", "Oslo")}
        assert graph.aliases == {"Prof. Moor": "Katrin Moor", "K. Moor": "Katrin Moor"}

    def test_table_lines_are_facts_and_not_sentences(self) -> None:
        text = "| Firm | Owner | Seat |\n|---|---|---|\n| Alder | Birk Group | Oslo |\n| Corvina | | Graz |\n| | Nobody | |\n"
        graph = parse_facts([document(text)])
        assert [(f.head, f.relation, f.tail) for f in graph.facts] == [
            ("Alder", "Owner", "Birk Group"),
            ("Alder", "Seat", "Oslo"),
            ("Corvina", "Seat", "Graz"),
        ]
        assert graph.facts[0].statement == "Notes: Firm: Alder; Owner: Birk Group; Seat: Oslo"
        assert graph.facts[0].evidence.quote == "Alder | Birk Group | Oslo"

    def test_one_statement_is_not_told_twice(self) -> None:
        graph = parse_facts([document("Alder owns Birk and Alder sells Birk.")])
        assert len(graph.facts) == len(set(graph.facts)) == 1

    @given(
        st.lists(
            st.sampled_from(
                [
                    *("Alder owns Birk.", "She left K. Moor.", "# Katrin Moor", "| Firm | Seat |", "| --- | --- |"),
                    *(
                        "| Alder | Oslo |",
                        "",
                        "It is in Graz!",
                        "Dr. Moor, Ann, Bo, Cy, Di, Ed and Flo met.",
                        "x \\| y",
                    ),
                ]
            ),
            max_size=10,
        ).map("\n".join)
        | st.text(max_size=80)
    )
    def test_every_quote_stands_at_its_span(self, text: str) -> None:
        graph = parse_facts([document(text)])
        for fact in graph.facts:
            span = fact.evidence.span
            assert text[span.start : span.end] == fact.evidence.quote
            assert fact.head
            assert fact.tail
        assert set(graph.network) == {n for f in graph.facts for n in (f.head, f.tail)}


class TestGraph:
    def fact(self, head: str, tail: str, number: int = 0) -> Fact:
        return Fact(head, "is beside", tail, f"{head} is beside {tail}", Evidence(Span("d", number, number + 1), "x"))

    def test_facts_at_a_node_in_both_directions(self) -> None:
        graph = KnowledgeGraph((self.fact("A", "B"), self.fact("C", "A"), self.fact("B", "C")))
        assert {(f.head, f.tail) for f in graph.facts_at("A")} == {("A", "B"), ("C", "A")}
        assert graph.facts_at("nobody") == []

    def test_names_in_a_question_by_any_of_their_forms(self) -> None:
        graph = KnowledgeGraph((self.fact("Katrin Moor", "Alder Pumps"),), {"K. Moor": "Katrin Moor"})
        assert named_in("where does k. moor work?", graph) == ["Katrin Moor"]
        assert named_in("Does alder pumps pay Katrin Moor?", graph) == ["Katrin Moor", "Alder Pumps"]
        assert named_in("who?", graph) == []

    def test_forms(self) -> None:
        graph = KnowledgeGraph((self.fact("A", "B"),), {"a": "A"})
        assert graph.render() == "A —is beside→ B"
        assert graph.render(limit=1) == "A …"
        assert graph.to_dict()["facts"][0]["quote"] == "x"
        assert graph.to_dict()["aliases"] == {"a": "A"}
        assert len(graph.evidence()) == 1


def test_documents_without_two_names(embedder: SentenceTransformerEmbedder) -> None:
    session = Session(scripted({})[0], embedder, CorpusStore.open(None))
    with pytest.raises(BuildError, match="nothing to connect"):
        GraphBuilder().build(BuildRequest("Who?", (document("it rains", title="rain"),), ()), session)
