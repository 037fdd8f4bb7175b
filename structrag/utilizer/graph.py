"""Reasoning on a graph: plan the hops, walk them by code, read the answer from the facts on the way."""

from __future__ import annotations

import itertools
from dataclasses import dataclass
from typing import TYPE_CHECKING

from structrag.models.chat import Prompt
from structrag.session import Session
from structrag.structures.graph import Fact, KnowledgeGraph
from structrag.structures.graph_parse import named_in
from structrag.structures.names import mentions
from structrag.types import Evidence, Structure, StructureType
from structrag.utilizer.finding import NOTHING_FOUND, Finding
from structrag.utilizer.reading import load_prompt, read, read_all

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

_BEAM = 6
_MOST_FACTS = 10
_STATEMENT_CHARACTERS = 240
_DIRECT_FACTS = 4
"""Facts that are near to the question as a whole, beside those on the way: the plan may be wrong."""


@dataclass(frozen=True, slots=True)
class _Path:
    node: str
    facts: tuple[Fact, ...]
    score: float


class GraphReasoner:
    """Follows relations."""

    type = StructureType.GRAPH

    def reason(self, question: str, structure: Structure, session: Session) -> Finding:
        """Walk from the names in the question along the planned hops, and read the answer from what was passed."""
        assert isinstance(structure, KnowledgeGraph)
        hops, ask = _plan(question, session)
        session.note("plan", f"{ask}: {' → '.join(hops)}")
        similarity = _Similarity(structure, [question, *hops], session)
        starts = named_in(question, structure)
        session.note("start", ", ".join(starts) or "no name of the graph is in the question")
        facts = _facts(structure, starts, hops, similarity)
        items = [(fact.statement[:_STATEMENT_CHARACTERS], fact.evidence) for fact in facts]
        if ask in ("list", "count"):
            found = read_all(question, items, session, stage="graph")
            return _listed(found, count=ask == "count")
        finding = read(question, items, session, stage="graph")
        if not finding.found:
            return finding
        way = _way(structure, starts, finding)
        session.note("path", " → ".join(f"{f.head} —{f.relation}→ {f.tail}" for f in way) or "one fact")
        evidence = dict.fromkeys([*finding.evidence, *(fact.evidence for fact in way)])
        return Finding(finding.text, finding.values, tuple(evidence))


def _plan(question: str, session: Session) -> tuple[list[str], str]:
    schema = {
        "type": "object",
        "properties": {
            "hops": {"type": "array", "items": {"type": "string", "maxLength": 60}, "minItems": 1, "maxItems": 4},
            "ask": {"enum": ["name", "list", "count", "yes/no"]},
        },
        "required": ["hops", "ask"],
        "additionalProperties": False,
    }
    prompt = Prompt(
        stage="graph.plan",
        system=load_prompt("graph_plan"),
        user=f"Question: {question}",
        schema=schema,
        max_tokens=100,
        examples=(
            (
                "Question: Where was the founder of the firm that built the Sorrel bridge born?",
                '{"hops": ["built by", "founded by", "born in"], "ask": "name"}',
            ),
            (
                "Question: how many of the trainers hired by Mara Linde's club left again?",
                '{"hops": ["club of", "hired trainer", "left"], "ask": "count"}',
            ),
        ),
    )
    reply = session.ask(prompt).data
    return [str(hop) for hop in reply["hops"]], str(reply["ask"])


class _Similarity:
    """How near each statement of the graph is to the question and to each hop, embedded once."""

    def __init__(self, graph: KnowledgeGraph, wanted: list[str], session: Session) -> None:
        statements = list(dict.fromkeys(fact.statement for fact in graph.facts))
        rows = session.embedder.embed([*wanted, *statements])
        self._table: NDArray[np.float32] = rows[len(wanted) :] @ rows[: len(wanted)].T
        self._index = {statement: i for i, statement in enumerate(statements)}

    def to_question(self, fact: Fact) -> float:
        """Nearness to the whole question."""
        return float(self._table[self._index[fact.statement], 0])

    def to_hop(self, fact: Fact, hop: int) -> float:
        """Nearness to a hop, from 0, with a little of the question, which tells hops of the same words apart."""
        return float(self._table[self._index[fact.statement], hop + 1]) + 0.5 * self.to_question(fact)


def _facts(graph: KnowledgeGraph, starts: list[str], hops: list[str], similarity: _Similarity) -> list[Fact]:
    """The facts on the best paths in the order of walking, then those nearest to the question as a whole."""
    paths = _walk(graph, starts, hops, similarity)
    on_way = [fact for path in paths for fact in path.facts]
    direct = sorted(graph.facts, key=lambda fact: -similarity.to_question(fact))
    chosen: dict[str, Fact] = {}
    for fact in on_way:
        if len(chosen) < _MOST_FACTS - _DIRECT_FACTS:
            chosen.setdefault(fact.statement, fact)
    for fact in direct:
        if len(chosen) < _MOST_FACTS:
            chosen.setdefault(fact.statement, fact)
    return list(chosen.values())


def _walk(graph: KnowledgeGraph, starts: list[str], hops: list[str], similarity: _Similarity) -> list[_Path]:
    """Beam search along the hops, in both directions of an edge, never through the same node twice."""
    beam = [_Path(node, (), 0.0) for node in starts]
    reached: list[_Path] = []
    for hop in range(len(hops)):
        further: dict[tuple[str, str], _Path] = {}
        for path in beam:
            visited = {path.node, *(n for f in path.facts for n in (f.head, f.tail))}
            for fact in graph.facts_at(path.node):
                node = fact.tail if fact.head == path.node else fact.head
                if node in visited:
                    continue
                score = path.score + similarity.to_hop(fact, hop)
                key = (node, fact.statement)
                if key not in further or further[key].score < score:
                    further[key] = _Path(node, (*path.facts, fact), score)
        beam = sorted(further.values(), key=lambda p: -p.score)[:_BEAM]
        reached = beam or reached
    return reached


def _way(graph: KnowledgeGraph, starts: list[str], finding: Finding) -> list[Fact]:
    """The shortest path from a name in the question to the name in the answer, for the citations."""
    import networkx as nx

    ends = list(mentions(finding.text, graph.network))[:1]
    undirected = graph.network.to_undirected(as_view=True)
    for start in starts:
        for end in ends:
            if start != end and nx.has_path(undirected, start, end):
                nodes = nx.shortest_path(undirected, start, end)
                pairs = itertools.pairwise(nodes)
                return [next(f for f in graph.facts_at(a) if b in (f.head, f.tail)) for a, b in pairs]
    return []


def _listed(found: list[tuple[str, Evidence]], *, count: bool) -> Finding:
    if not found:
        return NOTHING_FOUND
    names = tuple(name for name, _ in found)
    values = (str(len(names)),) if count else names
    text = f"{len(names)}: {'; '.join(names)}" if count else "; ".join(names)
    return Finding(text, values, tuple(evidence for _, evidence in found))
