"""Walks that code takes over a graph: no text is read on the way, and every edge that is taken is cited.

A plan asks for one by name: ``path("A", "B")``, ``common("reports to", "A", "B")``, ``chain("cites", "A")`` and
``reach("feeds", "A")``, with ``number(…)`` around it where a count is asked for.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from itertools import pairwise
from typing import TYPE_CHECKING

from structrag.session import Session
from structrag.structures.graph import Fact, KnowledgeGraph
from structrag.structures.graph_parse import named_in
from structrag.structures.quotes import support
from structrag.types import Evidence
from structrag.utilizer.finding import NOTHING_FOUND, Finding
from structrag.utilizer.plans import RELATION_FIRST, Call

if TYPE_CHECKING:
    import networkx as nx

WALKS = RELATION_FIRST | {"path"}
_SAID_FROM = 0.5
"""Share of a relation's words that must stand in an edge's."""
_ALIKE_FROM = 0.5
"""Cosine similarity from which on an edge that says it in other words is meant."""
_RELATION_CHARACTERS = 40


def walk(call: Call, graph: KnowledgeGraph, session: Session, *, count: bool = False) -> Finding:
    """Return what a walk finds, or `NOTHING_FOUND` where a thing, a relation or a way is not in the graph.

    Args:
        call: One of `WALKS`; all its arguments are names.
        graph: Where it is taken.
        session: The question's session.
        count: Whether the number of what is found is asked for: for a path, of what lies between its ends.
    """
    words = [argument for argument in call.arguments if isinstance(argument, str)]
    relation = None if call.name == "path" else words[0]
    things = [named_in(each, graph) for each in (words if relation is None else words[1:])]
    wanted = 2 if call.name in ("path", "common") else 1
    if len(things) < wanted or not all(things):
        session.note("walk", f"the graph holds not all of what {call} starts from")
        return NOTHING_FOUND
    starts = [names[0] for names in things[:wanted]]
    if relation is None:
        return _path(graph, starts, session, count=count)
    followed = _followed(graph, relation, session)
    if followed is None:
        return NOTHING_FOUND
    nodes, edges = {"common": _common, "chain": _chain, "reach": _reach}[call.name](followed, starts)
    if not nodes:
        session.note("walk", f"{call} leads nowhere")
        return NOTHING_FOUND
    facts = [followed.edges[edge]["fact"] for edge in edges]
    shown = " → ".join(nodes) if call.name == "chain" else "; ".join(nodes)
    session.note("walk", f"{call}: {shown}")
    values = (str(len(nodes)),) if count else tuple(nodes)
    return Finding(f"{len(nodes)}: {shown}" if count else shown, values, _evidence(facts))


def _path(graph: KnowledgeGraph, ends: Sequence[str], session: Session, *, count: bool) -> Finding:
    """The way between two things, whatever the relations: a way through what everything is linked with says little."""
    import networkx as nx

    network = graph.network.to_undirected(as_view=True)
    start, end = ends
    if start == end or not nx.has_path(network, start, end):
        session.note("walk", f"no way leads from {start} to {end}")
        return NOTHING_FOUND
    nodes = nx.dijkstra_path(network, start, end, weight=lambda _, to, __: 1 + math.log1p(network.degree(to)))
    facts = [next(f for f in graph.facts_at(a) if b in (f.head, f.tail)) for a, b in pairwise(nodes)]
    shown = nodes[0] + "".join(
        f" —{fact.relation[:_RELATION_CHARACTERS]}{'→' if fact.head == a else '←'} {b}"
        for fact, (a, b) in zip(facts, pairwise(nodes), strict=True)
    )
    session.note("walk", shown)
    between = tuple(nodes[1:-1])
    if count:
        return Finding(f"{len(between)}: {shown}", (str(len(between)),), _evidence(facts))
    return Finding(shown, between or (facts[0].relation,), _evidence(facts))


def _followed(graph: KnowledgeGraph, relation: str, session: Session) -> nx.DiGraph[str] | None:
    """The part of the graph whose edges say a relation, by its words or else by their meaning."""
    import networkx as nx

    said = list(dict.fromkeys(fact.relation for fact in graph.facts))
    meant = [each for each in said if support(relation, each) >= _SAID_FROM]
    if not meant and said:
        rows = session.embedder.embed([relation, *said])
        nearness = rows[1:] @ rows[0]
        nearest = int(nearness.argmax())
        meant = [said[nearest]] if nearness[nearest] >= _ALIKE_FROM else []
    if not meant:
        session.note("walk", f"no edge says {relation!r}")
        return None
    session.note("follow", "; ".join(each[:_RELATION_CHARACTERS] for each in meant[:3]))
    chosen = set(meant)
    followed: nx.DiGraph[str] = nx.DiGraph()
    for fact in graph.facts:
        if fact.relation in chosen and not followed.has_edge(fact.head, fact.tail):
            followed.add_edge(fact.head, fact.tail, fact=fact)
    return followed


_Found = tuple[list[str], list[tuple[str, str]]]


def _common(followed: nx.DiGraph[str], starts: Sequence[str]) -> _Found:
    """The nearest thing that both lead to, and the ways there; neither of them is its own."""
    import networkx as nx

    if not all(start in followed for start in starts):
        return [], []
    ways = [nx.single_source_shortest_path(followed, start) for start in starts]
    shared = [node for node in ways[0] if node in ways[1] and node not in starts]
    if not shared:
        return [], []
    nearest = min(shared, key=lambda node: len(ways[0][node]) + len(ways[1][node]))
    return [nearest], [edge for way in ways for edge in pairwise(way[nearest])]


def _reach(followed: nx.DiGraph[str], starts: Sequence[str]) -> _Found:
    """All that a thing leads to, near ones first; where it leads to nothing, all that lead to it."""
    import networkx as nx

    if starts[0] not in followed:
        return [], []
    forward = list(nx.bfs_edges(followed, starts[0]))
    if forward:
        return [node for _, node in forward], forward
    backward = list(nx.bfs_edges(followed.reverse(copy=False), starts[0]))
    return [node for _, node in backward], [(node, before) for before, node in backward]


def _chain(followed: nx.DiGraph[str], starts: Sequence[str]) -> _Found:
    """The longest chain from a thing on; an edge that closes a circle is not taken."""
    import networkx as nx

    if starts[0] not in followed:
        return [], []
    onward: nx.DiGraph[str] = nx.DiGraph()
    onward.add_edges_from(_without_circles(followed, starts[0]))
    if not onward:
        return [], []
    longest: dict[str, list[str]] = {}
    for node in reversed(list(nx.topological_sort(onward))):
        longest[node] = [node, *max((longest[after] for after in onward.successors(node)), key=len, default=[])]
    chain = longest[starts[0]]
    return chain, list(pairwise(chain))


def _without_circles(followed: nx.DiGraph[str], start: str) -> Iterator[tuple[str, str]]:
    """The edges that can be reached, but for those that lead back to where a depth-first walk came from."""
    import networkx as nx

    under_way: set[str] = set()
    for before, node, kind in nx.dfs_labeled_edges(followed, start):
        if kind == "forward":
            under_way.add(node)
        elif kind == "reverse":
            under_way.discard(node)
        if before != node and (kind == "forward" or (kind == "nontree" and node not in under_way)):
            yield before, node


def _evidence(facts: Sequence[Fact]) -> tuple[Evidence, ...]:
    return tuple(dict.fromkeys(fact.evidence for fact in facts))
