"""Reasoning on a graph: split the question into links and follow them one after the other."""

from __future__ import annotations

import itertools
import re
from collections.abc import Sequence
from dataclasses import dataclass, replace

from structrag.models.chat import Prompt
from structrag.session import Session
from structrag.structures.graph import Fact, KnowledgeGraph
from structrag.structures.graph_parse import named_in
from structrag.structures.names import mentions
from structrag.structures.quotes import support
from structrag.types import Evidence, Structure, StructureType
from structrag.utilizer.finding import NOTHING_FOUND, Finding
from structrag.utilizer.reading import load_examples, load_prompt, read, read_all

_MOST_LINKS = 4
_MOST_FACTS = 6
_MOST_LISTED = 12
_BRIDGES = 2
"""From how many statements a question that could not be split is followed further."""
_STATEMENT_CHARACTERS = 240
_TOUCHES = 0.15
"""What a fact about a thing that is asked about gains over one that is only worded alike."""
_SCHEMA = {
    "type": "object",
    "properties": {
        "questions": {
            "type": "array",
            "items": {"type": "string", "maxLength": 160},
            "minItems": 1,
            "maxItems": _MOST_LINKS,
        },
        "ask": {"enum": ["name", "list", "count", "yes/no"]},
    },
    "required": ["questions", "ask"],
    "additionalProperties": False,
}


@dataclass(frozen=True, slots=True)
class _Plan:
    questions: tuple[str, ...]
    ask: str


class GraphReasoner:
    """Follows relations."""

    type = StructureType.GRAPH

    def reason(self, question: str, structure: Structure, session: Session) -> Finding:
        """Answer one link after the other from the facts at the things it names, and cite every link."""
        assert isinstance(structure, KnowledgeGraph)
        plan = _plan(question, session)
        session.note("plan", f"{plan.ask}: {' → '.join(plan.questions)}")
        asked, way = _bridge(plan, structure, session)
        if asked is None:
            return NOTHING_FOUND
        if plan.ask in ("list", "count"):
            items = _items(asked, structure, session, limit=_MOST_LISTED)
            found = read_all(asked, items, session, stage="graph")
            return _listed(found, way, count=plan.ask == "count")
        finding = _follow(asked, structure, session, is_last=True, further=len(plan.questions) == 1)
        if not finding.found:
            return NOTHING_FOUND
        path = _path(structure, named_in(question, structure), finding.text)
        session.note("path", " → ".join(f"{f.head} —{f.relation}→ {f.tail}" for f in path) or "one fact")
        evidence = dict.fromkeys([*finding.evidence, *way, *(fact.evidence for fact in path)])
        return Finding(finding.text, finding.values, tuple(evidence))


def _plan(question: str, session: Session) -> _Plan:
    prompt = Prompt(
        stage="graph.plan",
        system=load_prompt("graph_plan"),
        user=f"Question: {question}",
        schema=_SCHEMA,
        max_tokens=300,
        examples=load_examples("graph_plan"),
    )
    reply = session.ask(prompt)
    if not _is_split(question, reply.data["questions"]):
        turns = (*prompt.examples, (prompt.user, reply.text))
        reply = session.ask(replace(prompt, user=load_prompt("graph_plan_again"), examples=turns))
    links = tuple(str(link) for link in reply.data["questions"])
    return _Plan(links if _is_split(question, links) else (question,), str(reply.data["ask"]))


def _is_split(question: str, links: Sequence[str]) -> bool:
    """Whether each link after the first needs answers, and only those of links before it.

    Where the first link still asks all of the question, nothing was split, and what follows it is made up.
    """
    if support(question, links[0]) == 1:
        return False
    for before, link in enumerate(links):
        used = [int(mark) for mark in re.findall(r"#(\d)", link)]
        if bool(used) != bool(before) or any(not 1 <= number <= before for number in used):
            return False
    return True


def _bridge(plan: _Plan, graph: KnowledgeGraph, session: Session) -> tuple[str | None, list[Evidence]]:
    """Answer all links but the last; return the last one with their answers put in, or ``None`` if one has none."""
    answers: list[str] = []
    way: list[Evidence] = []
    for link in plan.questions[:-1]:
        asked = _filled(link, answers)
        finding = _follow(asked, graph, session, is_last=False)
        if not finding.found:
            session.note("link", f"nothing answers: {asked}")
            return None, way
        answers.append(finding.text)
        way += finding.evidence
    return _filled(plan.questions[-1], answers), way


def _filled(link: str, answers: Sequence[str]) -> str:
    """Put the answers so far in the place of #1, #2 …; a number without an answer stays as it is."""

    def answer(mark: re.Match[str]) -> str:
        number = int(mark[1])
        return answers[number - 1] if 1 <= number <= len(answers) else mark[0]

    return re.sub(r"#(\d)", answer, link)


def _follow(asked: str, graph: KnowledgeGraph, session: Session, *, is_last: bool, further: bool = False) -> Finding:
    items = _items(asked, graph, session, limit=_MOST_FACTS, further=further)
    return read(asked, items, session, stage="graph", confirm=is_last)


def _items(
    asked: str, graph: KnowledgeGraph, session: Session, *, limit: int, further: bool = False
) -> list[tuple[str, Evidence]]:
    """The statements nearest to a link; those about a thing that it names come before others worded alike.

    Args:
        asked: The link.
        graph: Where the statements stand.
        session: The question's session.
        limit: How many to return.
        further: Add statements about the things that the nearest ones name: a question that could not be split needs
            more than one link.
    """
    statements: dict[str, Fact] = {}
    for fact in graph.facts:
        statements.setdefault(fact.statement, fact)
    rows = session.embedder.embed([asked, *statements])
    nearness = dict(zip(statements, (float(n) for n in rows[1:] @ rows[0]), strict=True))
    touching = _statements_at(graph, named_in(asked, graph))
    order = sorted(statements, key=lambda s: -(nearness[s] + _TOUCHES * (s in touching)))
    chosen = order[:limit]
    if further:
        nodes = [n for s in order[:_BRIDGES] for n in (statements[s].head, statements[s].tail)]
        near = order[: limit - _BRIDGES]
        beyond = sorted(_statements_at(graph, nodes).difference(near), key=lambda s: -nearness[s])[: 2 * _BRIDGES]
        chosen = list(dict.fromkeys([*near, *beyond, *order]))[: max(limit, len(near) + len(beyond))]
    return [(statement[:_STATEMENT_CHARACTERS], statements[statement].evidence) for statement in chosen]


def _statements_at(graph: KnowledgeGraph, nodes: Sequence[str]) -> set[str]:
    return {fact.statement for node in nodes for fact in graph.facts_at(node)}


def _path(graph: KnowledgeGraph, starts: list[str], answer: str) -> list[Fact]:
    """The shortest path from a name in the question to the name in the answer, for the citations."""
    import networkx as nx

    ends = list(mentions(answer, graph.network))[:1]
    undirected = graph.network.to_undirected(as_view=True)
    for start in starts:
        for end in ends:
            if start != end and {start, end} <= set(undirected) and nx.has_path(undirected, start, end):
                nodes = nx.shortest_path(undirected, start, end)
                pairs = itertools.pairwise(nodes)
                return [next(f for f in graph.facts_at(a) if b in (f.head, f.tail)) for a, b in pairs]
    return []


def _listed(found: list[tuple[str, Evidence]], way: Sequence[Evidence], *, count: bool) -> Finding:
    if not found:
        return NOTHING_FOUND
    names = tuple(name for name, _ in found)
    values = (str(len(names)),) if count else names
    text = f"{len(names)}: {'; '.join(names)}" if count else "; ".join(names)
    return Finding(text, values, (*(evidence for _, evidence in found), *way))
