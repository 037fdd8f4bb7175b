"""Walks over a graph that need no reading: paths, what two things lead to, what can be reached, the longest chain."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from itertools import pairwise

import networkx as nx
import pytest
from hypothesis import given
from hypothesis import strategies as st

from structrag.corpus.store import CorpusStore
from structrag.models.embedding import SentenceTransformerEmbedder
from structrag.session import Session
from structrag.structures.graph import Fact, KnowledgeGraph
from structrag.structures.graph_parse import parse_facts
from structrag.testing import scripted
from structrag.types import Evidence, SourceDocument, Span
from structrag.utilizer.finding import Finding
from structrag.utilizer.graph import GraphReasoner
from structrag.utilizer.graph_walks import walk
from structrag.utilizer.plans import Call
from structrag.utilizer.reading import load_prompt

PLAN, READ = load_prompt("graph_plan"), load_prompt("read")
STAFF = """| Person | Reports to | Room |
|---|---|---|
| Dana Frost | Ola Berg | 12 |
| Milo Kent | Ola Berg | 12 |
| Ola Berg | Rita Falk | 3 |
| Sven Holt | Rita Falk | 4 |
| Rita Falk | Uma Lind | 1 |
"""
Ask = Callable[..., Finding]


def graph(text: str = STAFF) -> KnowledgeGraph:
    return parse_facts([SourceDocument("staff", "Staff", text, "hash")])


@pytest.fixture
def ask(embedder: SentenceTransformerEmbedder) -> Ask:
    """Return what a plan finds over a graph, by way of the reasoner; reading finds nothing."""

    def asked(plan: str, question: str, over: KnowledgeGraph | None = None) -> Finding:
        chat, _ = scripted({PLAN: plan, READ: {"item": 0, "answer": ""}})
        return GraphReasoner().reason(question, over or graph(), Session(chat, embedder, CorpusStore.open(None)))

    return asked


def quotes(finding: Finding) -> list[str]:
    return [" ".join(e.quote.strip("| ").split(" | ")[:2]) for e in finding.evidence]


def test_the_nearest_that_both_lead_to(ask: Ask) -> None:
    found = ask('common("reports to", "Dana Frost", "Sven Holt")', "Whose boss do Dana Frost and Sven Holt share?")
    assert found.values == ("Rita Falk",)
    assert quotes(found) == ["Dana Frost Ola Berg", "Ola Berg Rita Falk", "Sven Holt Rita Falk"]
    moved = STAFF.replace("| Sven Holt | Rita Falk", "| Sven Holt | Ola Berg")
    found = ask('common("reports to", "Dana Frost", "Sven Holt")', "Dana Frost and Sven Holt?", graph(moved))
    assert found.values == ("Ola Berg",), "it follows the document"


def test_a_boss_is_not_shared_with_oneself(ask: Ask) -> None:
    assert ask('common("reports to", "Dana Frost", "Ola Berg")', "Dana Frost, Ola Berg").values == ("Rita Falk",)


def test_all_that_are_below_or_above(ask: Ask) -> None:
    above = ask('list(reach("reports to", "Dana Frost"))', "Who is above Dana Frost?")
    assert above.values == ("Ola Berg", "Rita Falk", "Uma Lind")
    below = ask('list(reach("reports to", "Uma Lind"))', "Who is below Uma Lind?")
    assert set(below.values) == {"Rita Falk", "Ola Berg", "Sven Holt", "Dana Frost", "Milo Kent"}
    assert len(below.evidence) == 5
    assert ask('number(reach("reports to", "Uma Lind"))', "How many are below Uma Lind?").values == ("5",)


def test_how_many_stand_between(ask: Ask) -> None:
    found = ask('number(path("Dana Frost", "Uma Lind"))', "How many are between Dana Frost and Uma Lind?")
    assert found.values == ("2",)
    assert "Dana Frost —Reports to→ Ola Berg —Reports to→ Rita Falk —Reports to→ Uma Lind" in found.text


def test_a_path_does_not_lead_through_what_everybody_has(ask: Ask) -> None:
    rows = "".join(f"| Guest {name} | Hall | Desk {name} |\n" for name in "ABCDEFGHIJKLMNOP")
    text = f"| Guest | Met in | Seated at |\n|---|---|---|\n{rows}"
    text += "| Guest A | Cellar | Desk A |\n| Guest B | Cellar | Desk B |\n"
    found = ask('path("Guest A", "Guest B")', "How are Guest A and Guest B connected?", graph(text))
    assert found.values == ("Cellar",)


def test_the_longest_chain_and_a_circle_in_it(ask: Ask) -> None:
    text = "| Paper | Cites |\n|---|---|\n| Alder Study | Birch Study |\n| Alder Study | Cedar Study |\n"
    text += "| Birch Study | Cedar Study |\n| Cedar Study | Alder Study |\n| Elm Study | Alder Study |\n"
    found = ask('chain("cites", "Alder Study")', "The longest chain of papers from Alder Study?", graph(text))
    assert found.values == ("Alder Study", "Birch Study", "Cedar Study")
    assert len(found.evidence) == 2
    found = ask('number(chain("cites", "Elm Study"))', "How long is the chain from Elm Study?", graph(text))
    assert found.values == ("4",)


@pytest.mark.parametrize(
    ("plan", "question"),
    [
        ('path("Dana Frost", "Zoe Quill")', "How are Dana Frost and Zoe Quill connected?"),
        ('path("Dana Frost", "Dana Frost")', "How are Dana Frost and Dana Frost connected?"),
        ('reach("composed the opera", "Dana Frost")', "What did Dana Frost compose?"),
        ('common("reports to", "Dana Frost")', "Whose boss is that of Dana Frost?"),
        ('chain("reports to", "Uma Lind")', "The chain of bosses from Uma Lind?"),
        ("reach(reach)", "What is it?"),
    ],
)
def test_what_is_not_in_the_graph_is_not_made_up(ask: Ask, plan: str, question: str) -> None:
    assert not ask(plan, question).found


def test_two_parts_that_nothing_connects(ask: Ask) -> None:
    apart = STAFF + "| Nils Oak | Vera Pine | 9 |\n"
    assert not ask('path("Dana Frost", "Nils Oak")', "Dana Frost and Nils Oak?", graph(apart)).found


NAMES = [f"Node {letter}" for letter in "ABCDEFG"]
edges = st.lists(st.tuples(st.sampled_from(NAMES), st.sampled_from(NAMES)), max_size=14, unique=True)


@given(edges)
def test_walks_agree_with_networkx(drawn: Sequence[tuple[str, str]]) -> None:
    facts = tuple(
        Fact(head, "feeds", tail, f"{head} feeds {tail}", Evidence(Span("d", n, n + 1), f"{head} {tail}"))
        for n, (head, tail) in enumerate(drawn)
    )
    known = KnowledgeGraph(facts)
    plain = nx.DiGraph(drawn)
    session = Session(scripted({})[0], SentenceTransformerEmbedder(), CorpusStore.open(None))
    start = NAMES[0]
    reached = walk(Call("reach", ("feeds", start)), known, session)
    below = nx.descendants(plain, start) if start in plain else set()
    above = nx.ancestors(plain, start) if start in plain else set()
    assert set(reached.values) == (below or above)
    chain = walk(Call("chain", ("feeds", start)), known, session)
    assert all(plain.has_edge(*pair) for pair in pairwise(chain.values))
    assert len(set(chain.values)) == len(chain.values)
    if start in plain and below and nx.is_directed_acyclic_graph(plain.subgraph(below | {start})):
        longest = nx.dag_longest_path_length(plain.subgraph(below | {start}))
        best = max((len(p) for node in below for p in nx.all_simple_paths(plain, start, node)), default=0)
        assert len(chain.values) == best <= longest + 1
