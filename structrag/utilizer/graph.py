"""Reasoning on a graph: write the question as nested links and follow them from the inside out."""

from __future__ import annotations

import itertools
import re
from collections.abc import Sequence
from dataclasses import dataclass, field

from structrag.session import Session
from structrag.structures.graph import Fact, KnowledgeGraph
from structrag.structures.graph_parse import NAMED_WITH, named_in
from structrag.structures.names import mentions
from structrag.structures.quotes import support
from structrag.types import Evidence, Passage, Structure, StructureType
from structrag.utilizer.finding import NOTHING_FOUND, Finding
from structrag.utilizer.graph_walks import WALKS
from structrag.utilizer.graph_walks import walk as take_walk
from structrag.utilizer.phrases import find_phrase
from structrag.utilizer.plans import Call, plan
from structrag.utilizer.reading import read, read_all, read_passages

_MOST_FACTS = 6
_MOST_LISTED = 12
_LINK_PASSAGES = 4
_LINK_FACTS = 2
_MOST_SUBJECTS = 4
"""Things that one link is followed from, where the link before it gave several."""
_TRIES = 2
_BRIDGES = 2
"""From how many statements a question that could not be split is followed further."""
_STATEMENT_CHARACTERS = 240
_TOUCHES = 0.15
"""What a fact about a thing that is asked about gains over one that is only worded alike."""
_SEVERAL = frozenset({"list", "both", "number", "count"})
_TRUTH = frozenset({"is", "are", "was", "were", "does", "do", "did", "has", "have", "had"})
_NAMING = frozenset({"name", "name of", "person", "identity of"})
"""What a plan sometimes wraps around the link that is wanted: "name the deputy of" asks for the deputy."""
_LINKING = re.compile(
    r"(?:\b(?:of|by|in|for|to|at|with|on|from|after|before|that|which|who|as|than)|(?:that|which|who) \w+|\w{2,}ing)$",
    re.IGNORECASE,
)
_DESCRIPTION = re.compile(r"\w+ (?:who|that|which|whose|where)\b.* \w+", re.IGNORECASE)
_PLURAL = re.compile(r"(?:people|those|all|everybody|everyone)\b|\w+(?<![su])s\b", re.IGNORECASE)


class GraphReasoner:
    """Follows relations."""

    type = StructureType.GRAPH

    def reason(self, question: str, structure: Structure, session: Session) -> Finding:
        """Answer one link after the other from the facts at the things it names, and cite every link."""
        assert isinstance(structure, KnowledgeGraph)
        call = plan(question, "graph_plan", session)
        while call is not None and call.name in _NAMING and isinstance(call.arguments[0], Call):
            call = call.arguments[0]
        walked = _walked(call, structure, session)
        if walked.found:
            return walked
        walk = _Walk(structure, session, question)
        finding = NOTHING_FOUND
        if call is not None and call.name in _TRUTH and len(call.arguments) > 1:
            finding = walk.whether(call)
        elif call is not None and call.name in _SEVERAL:
            finding = walk.several(call)
        elif call is not None and (isinstance(call.arguments[0], Call) or _is_described(call.arguments[0])):
            finding = walk.one(call)
        else:
            items = _items(question, structure, session, limit=_MOST_FACTS, further=True)
            finding = read(question, items, session, stage="graph")
        if not finding.found:
            return NOTHING_FOUND
        told = [question, *walk.known.values(), *(e.words for e in (*finding.evidence, *walk.way))]
        path = _path(walk.graph, told, finding.text)
        session.note("path", " → ".join(f"{f.head} —{f.relation}→ {f.tail}" for f in path) or "one fact")
        telling = (fact.evidence for fact in path if fact.relation != NAMED_WITH)
        evidence = dict.fromkeys([*finding.evidence, *walk.way, *telling])
        return Finding(
            finding.text, finding.values, tuple(evidence), walk.graph if walk.graph is not structure else None
        )


@dataclass
class _Walk:
    """Follows a plan from the inside out.

    Attributes:
        graph: Grows by the documents that are fetched on the way.
        question: What is asked; what a link gave stands in it in place of the words that asked for it.
        way: The evidence of every link that was followed.
        known: The links that were answered, as questions, with their answers.
    """

    graph: KnowledgeGraph
    session: Session
    question: str
    way: list[Evidence] = field(default_factory=list)
    known: dict[str, str] = field(default_factory=dict)

    def one(self, call: Call) -> Finding:
        """Answer the outermost link from what the links inside it give.

        The whole question says more than the last link's words, so it is read first, with what is known by then in it.
        """
        question = self.question
        subjects = self.values(call.arguments[0], many=False)
        if not subjects:
            return NOTHING_FOUND
        asked = _wording(call, subjects[0])
        if self.question == question:
            told = self._told(asked)
            whole = f"{question} ({' '.join(f'{link} {answer}.' for link, answer in self.known.items())})"
        else:
            told, whole = self._told(self.question), self.question
        finding = read_passages(whole, told, self.session, stage="graph")
        if finding.found and not any(self._same(finding.text, each) for each in [subjects[0], *self.known.values()]):
            return finding
        return self._other_than(subjects[0], asked, told if self.question == question else self._told(asked))

    def several(self, call: Call) -> Finding:
        """List what the plan gives, or count it."""
        found = self.values(call, many=True)
        if not found:
            return NOTHING_FOUND
        is_count = call.name in ("number", "count")
        values = (str(len(found)),) if is_count else tuple(found)
        text = f"{len(found)}: {'; '.join(found)}" if is_count else "; ".join(found)
        return Finding(text, values, tuple(self.way))

    def whether(self, call: Call) -> Finding:
        """Answer by yes or no if what the first links give is what the question names."""
        found = self.values(call.arguments[0], many=True)
        named = self.values(call.arguments[1], many=False)
        if not found or not named or not self.way:
            return NOTHING_FOUND
        answer = "Yes" if any(self._same(each, named[0]) for each in found) else "No"
        return Finding(f"{answer}: {'; '.join(found)}", (answer,), tuple(self.way))

    def values(self, step: Call | str, *, many: bool) -> list[str]:
        """Return what a step of the plan gives; nothing as soon as one link inside it has no answer."""
        if isinstance(step, str):
            return (self._link_in_question("", step) if _is_described(step) else None) or [step]
        if step.name == "both" and len(step.arguments) > 1:
            left, right = (self.values(each, many=True) for each in step.arguments[:2])
            return [each for each in left if any(self._same(each, other) for other in right)]
        if step.name in _SEVERAL:
            return self.values(step.arguments[0], many=True)
        inner = step.arguments[0]
        several_inside = many and isinstance(inner, Call) and bool(_PLURAL.match(inner.name))
        answers: dict[str, None] = {}
        subjects = self.values(inner, many=several_inside)[:_MOST_SUBJECTS]
        for subject in subjects:
            if many or len(subjects) > 1:
                answers |= dict.fromkeys(self._link(subject, _wording(step, subject), many=many))
            else:
                found = self._link_in_question(step.in_words, subject)
                if found is None:
                    found = self._link(subject, _wording(step, subject), many=False)
                answers |= dict.fromkeys(found)
        return list(answers)

    def _link_in_question(self, relation: str, subject: str) -> list[str] | None:
        """Answer a link in the question's own words, and put the answer into it; ``None`` if it has none."""
        phrase = find_phrase(relation, subject, self.question)
        if phrase is None:
            return None
        start, end = phrase
        question = self.question
        answers = self._link(subject, f"Who or what is {question[start:end]}?", many=False)
        if answers:
            self.question = question[:start] + answers[0] + question[end:]
        return answers

    def _link(self, subject: str, asked: str, *, many: bool) -> list[str]:
        if many:
            items = _items(asked, self.graph, self.session, limit=_MOST_LISTED)
            found = read_all(asked, items, self.session, stage="graph")
            self.way += [evidence for _, evidence in found]
            return [answer for answer, _ in found]
        finding = self._other_than(subject, asked, self._told(asked), itself=True)
        if not finding.found:
            self.session.note("link", f"nothing answers: {asked}")
            return []
        self.way += finding.evidence
        self.known[asked] = finding.text
        return [finding.text]

    def _other_than(
        self, subject: str, asked: str, items: list[tuple[str, Evidence]], *, itself: bool = False
    ) -> Finding:
        """Read the answer to a link; what it starts from is none, and what said so is left out then.

        Args:
            subject: What the link starts from.
            asked: The link, as a question.
            items: What may be read.
            itself: Whether the thing itself will do where nothing else answers: asked for a pump, a small model names
                its maker, and who makes that is the maker.
        """
        first = NOTHING_FOUND
        for _ in range(_TRIES):
            finding = read_passages(asked, items, self.session, stage="graph", about=subject)
            if not finding.found or not self._same(finding.text, subject):
                return finding if finding.found else first
            first = finding if itself else NOTHING_FOUND
            items = [item for item in items if not any(e.span.overlaps(item[1].span) for e in finding.evidence)]
        return first

    def _told(self, asked: str) -> list[tuple[str, Evidence]]:
        """What is told about a link: the passages nearest to it, and the graph's statements that stand in none of them.

        The thing that a link is about is often known only once the link before it is answered, so its documents are
        fetched then, and the graph grows by what they say.
        """
        library = self.session.library
        passages = list(library.passages(asked, _LINK_PASSAGES)) if library else []
        grown = library.grown([passage.span.document_id for passage in passages]) if library else None
        if isinstance(grown, KnowledgeGraph):
            self.graph = grown
        told = [(f"{p.title}: {_as_edited(p, self.graph)}", Evidence(p.span, p.text)) for p in passages]
        facts = _items(asked, self.graph, self.session, limit=_LINK_FACTS if told else _MOST_FACTS)
        # What a person says comes first: the passage that it was said of still says otherwise.
        return [
            *_said_by_people(passages, self.graph),
            *told,
            *(item for item in facts if not any(e.span.overlaps(item[1].span) for _, e in told)),
        ]

    def _same(self, one: str, other: str) -> bool:
        """Whether two names mean the same thing: by the graph's merged names, or by the words of the shorter one."""
        nodes = [set(named_in(name, self.graph)) for name in (one, other)]
        return bool(nodes[0] & nodes[1]) or support(one, other) == 1 or support(other, one) == 1


def _walked(call: Call | None, graph: KnowledgeGraph, session: Session) -> Finding:
    """Return what a walk that needs no reading finds, where the plan asks for one."""
    inner = call.arguments[0] if call is not None and call.name in _SEVERAL else call
    if not isinstance(inner, Call) or inner.name not in WALKS or not isinstance(inner.arguments[0], str):
        return NOTHING_FOUND
    return take_walk(inner, graph, session, count=call is not None and call.name in ("number", "count"))


def _is_described(thing: str) -> bool:
    """Whether a plan names a thing by what is said of it: "machine that fills tank 11" is a link of its own."""
    return bool(_DESCRIPTION.search(thing))


def _wording(call: Call, subject: str) -> str:
    """Return a link as a question about one thing."""
    extra = call.extra
    relation = call.name if _LINKING.search(call.name) else f"{call.name} of"
    return f"What is the {relation} {subject}{f' ({extra})' if extra else ''}?"


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


def _said_by_people(passages: Sequence[Passage], graph: KnowledgeGraph) -> list[tuple[str, Evidence]]:
    """The edges that people changed or added at these passages, but not those that had a name merged alone."""
    there = [
        (fact.statement, fact.evidence)
        for fact in graph.facts
        if fact.evidence.edits and any(fact.evidence.span.overlaps(passage.span) for passage in passages)
    ]
    own = [(said, evidence) for said, evidence in there if " ".join(evidence.quote.split()) not in said]
    return list(dict.fromkeys(own))[-_MOST_FACTS:]


def _as_edited(passage: Passage, graph: KnowledgeGraph) -> str:
    """Return a passage's text with what people say of its edges beside the document's words."""
    text = passage.text
    for evidence in {fact.evidence for fact in graph.facts if fact.evidence.edits}:
        if evidence.span.overlaps(passage.span):
            text = text.replace(evidence.quote, evidence.words)
    return text


def _statements_at(graph: KnowledgeGraph, nodes: Sequence[str]) -> set[str]:
    return {fact.statement for node in nodes for fact in graph.facts_at(node)}


def _path(graph: KnowledgeGraph, told: Sequence[str], answer: str) -> list[Fact]:
    """The shortest path from a name in the question to the name in the answer, for the citations.

    It leads over nothing but what the question, the links' answers and their evidence name: in a large graph there is
    always some way from one name to another, and most of them say nothing of the answer.

    Args:
        graph: Where the path is looked for.
        told: The question, then the links' answers and the texts that they were found in.
        answer: The answer.
    """
    import networkx as nx

    ends = list(mentions(answer, graph.network))[:1]
    among = {node for text in told for node in named_in(text, graph)} | set(ends)
    undirected = graph.network.to_undirected(as_view=True).subgraph(among)
    for start in named_in(told[0], graph):
        for end in ends:
            if start != end and {start, end} <= set(undirected) and nx.has_path(undirected, start, end):
                nodes = nx.shortest_path(undirected, start, end)
                pairs = itertools.pairwise(nodes)
                return [next(f for f in graph.facts_at(a) if b in (f.head, f.tail)) for a, b in pairs]
    return []
