"""A person's edits of graphs: names merged, edges added, removed and changed."""

from __future__ import annotations

from dataclasses import replace

from structrag.errors import ConfigError
from structrag.structures.edits_records import (
    Anchor,
    FactAddition,
    FactChange,
    FactRemoval,
    KeptEdit,
    NameMerge,
    TargetGoneError,
    describe_edit,
    folded,
    marked,
)
from structrag.structures.edits_twins import anchor_among, meant_span
from structrag.structures.graph import Fact, KnowledgeGraph
from structrag.types import EditMark, Evidence

GraphEdit = NameMerge | FactAddition | FactRemoval | FactChange


def merge_edit(graph: KnowledgeGraph, name: str, into: str) -> NameMerge:
    """Return the edit that merges two names of a graph.

    Raises:
        ConfigError: They are the same, or one of them is no name of the graph.
    """
    name, into = (_known(graph, each) for each in (name, into))
    if name == into:
        raise ConfigError(f"{name!r} and {into!r} are one name already.")
    return NameMerge(Anchor.at(_at_name(graph, name).evidence), name, into)


def fact_addition(graph: KnowledgeGraph, head: str, relation: str, tail: str) -> FactAddition:
    """Return the edit that adds an edge; one of its ends must be in the graph.

    Raises:
        ConfigError: Something is empty, the ends are the same, or neither is in the graph.
    """
    head, relation, tail = _words(head, relation, tail)
    ends = [name for name in (head, tail) if any(name in (fact.head, fact.tail) for fact in graph.facts)]
    if not ends:
        raise ConfigError(f"Neither {head!r} nor {tail!r} is in the graph.", hint="Begin at a name that is there.")
    at = _at_name(graph, ends[0]).evidence
    edit = FactAddition(Anchor.at(at), head, relation, tail)
    return replace(edit, place=anchor_among(at, _quoted(graph, edit)))


def fact_removal(fact: Fact, graph: KnowledgeGraph | None = None) -> FactRemoval:
    """Return the edit that takes an edge out.

    Args:
        fact: The edge.
        graph: Where it is shown: then it is told apart from equal edges also when their places move.
    """
    edit = FactRemoval(Anchor.at(fact.evidence), fact.head, fact.relation, fact.tail)
    return edit if graph is None else replace(edit, place=_anchor(fact, graph, edit))


def fact_change(fact: Fact, head: str, relation: str, tail: str, graph: KnowledgeGraph | None = None) -> FactChange:
    """Return the edit that changes an edge.

    Args:
        fact: The edge.
        head: The name that it is to begin at.
        relation: What it is to say.
        tail: The name that it is to lead to.
        graph: Where it is shown: then it is told apart from equal edges also when their places move.

    Raises:
        ConfigError: Something is empty, or the ends are the same.
    """
    words = _words(head, relation, tail)
    edit = FactChange(Anchor.at(fact.evidence), fact.head, fact.relation, fact.tail, *words)
    return edit if graph is None else replace(edit, place=_anchor(fact, graph, edit))


def edit_graph(graph: KnowledgeGraph, kept: KeptEdit, edit: GraphEdit, base: KnowledgeGraph) -> KnowledgeGraph | None:
    """Return the graph with an edit applied; ``None`` if it holds nothing of the edit's document and names.

    Args:
        graph: With the edits before this one.
        kept: The edit as it is kept.
        edit: What to change.
        base: The graph as it was built.

    Raises:
        TargetGoneError: The document is there, but not what the edit is about.
    """
    match edit:
        case NameMerge():
            return _merged(graph, kept, edit)
        case FactAddition():
            return _added(graph, kept, edit, base)
        case FactRemoval():
            at = _find(graph, edit)
            return at if at is None else replace(graph, facts=(*graph.facts[:at], *graph.facts[at + 1 :]))
        case FactChange():
            return _changed(graph, kept, edit)


def _merged(graph: KnowledgeGraph, kept: KeptEdit, edit: NameMerge) -> KnowledgeGraph | None:
    name, into = _node(graph, edit.name), _node(graph, edit.into)
    if name == into:
        return graph
    if not any(name in (fact.head, fact.tail) for fact in graph.facts):
        _require_elsewhere(graph, edit, f"{edit.name!r} is in no sentence of it any more")
        return None
    mark = kept.mark(describe_edit(edit), name)
    renamed = (_renamed(fact, name, into, mark) if name in (fact.head, fact.tail) else fact for fact in graph.facts)
    # As where the graph is read off the documents: nothing is related to itself.
    facts = tuple(fact for fact in renamed if fact.head != fact.tail)
    aliases = {form: into if node == name else node for form, node in graph.aliases.items()}
    return replace(graph, facts=facts, aliases={**aliases, name: into})


def _renamed(fact: Fact, name: str, into: str, mark: EditMark) -> Fact:
    head, tail = (into if end == name else end for end in (fact.head, fact.tail))
    return replace(fact, head=head, tail=tail, evidence=marked(fact.evidence, mark))


def _added(graph: KnowledgeGraph, kept: KeptEdit, edit: FactAddition, base: KnowledgeGraph) -> KnowledgeGraph | None:
    ground = _ground(base, edit)
    if ground is None:
        _require_elsewhere(graph, edit, f"it names neither {edit.head!r} nor {edit.tail!r} any more")
        return None
    head, tail = _node(graph, edit.head), _node(graph, edit.tail)
    evidence = marked(Evidence(ground.span, ground.quote), kept.mark(describe_edit(edit), ""))
    fact = Fact(head, edit.relation, tail, f"{head} {edit.relation} {tail}", evidence)
    return replace(graph, facts=tuple(sorted((*graph.facts, fact), key=_addition)))


def _changed(graph: KnowledgeGraph, kept: KeptEdit, edit: FactChange) -> KnowledgeGraph | None:
    at = _find(graph, edit)
    if at is None:
        return None
    old = graph.facts[at]
    head, tail = _node(graph, edit.to_head), _node(graph, edit.to_tail)
    mark = kept.mark(f"{head} —{edit.to_relation}→ {tail}", f"{old.head} —{old.relation}→ {old.tail}")
    evidence = marked(old.evidence, mark, vouched=True)
    new = replace(
        old,
        head=head,
        relation=edit.to_relation,
        tail=tail,
        statement=f"{head} {edit.to_relation} {tail}",
        evidence=evidence,
    )
    return replace(graph, facts=(*graph.facts[:at], new, *graph.facts[at + 1 :]))


def _find(graph: KnowledgeGraph, edit: FactRemoval | FactChange) -> int | None:
    """Return the place of the edge that an edit means: its names and relation, else the same words of the document."""
    there = _exact(graph, edit)
    if there:
        span = meant_span(edit.place, (fact.evidence for _, fact in there))
        return next(at for at, fact in there if fact.evidence.span == span)
    head, tail = _node(graph, edit.head), _node(graph, edit.tail)
    in_document = _in_document(graph, edit)
    alike = [(at, fact) for at, fact in in_document if folded(fact.relation) == folded(edit.relation)]
    # A name may be written otherwise now: where an earlier edit merged it and was undone, say.
    quoted = [
        (at, fact)
        for at, fact in alike
        if fact.evidence.quote == edit.place.quote and (fact.head == head or fact.tail == tail)
    ]
    if len(quoted) == 1:
        return quoted[0][0]
    if in_document:
        raise TargetGoneError(f"it holds no edge {edit.head} —{edit.relation}→ {edit.tail} any more")
    return None


def _in_document(graph: KnowledgeGraph, edit: GraphEdit) -> list[tuple[int, Fact]]:
    facts = enumerate(graph.facts)
    return [(at, fact) for at, fact in facts if fact.evidence.span.document_id == edit.place.document]


def _exact(graph: KnowledgeGraph, edit: FactRemoval | FactChange) -> list[tuple[int, Fact]]:
    """Return the edges with an edit's names and relation; those that rest on its words, where there are some."""
    wanted = (_node(graph, edit.head), folded(edit.relation), _node(graph, edit.tail))
    named = [
        (at, fact) for at, fact in _in_document(graph, edit) if (fact.head, folded(fact.relation), fact.tail) == wanted
    ]
    return [(at, fact) for at, fact in named if fact.evidence.quote == edit.place.quote] or named


def _anchor(fact: Fact, graph: KnowledgeGraph, edit: FactRemoval | FactChange) -> Anchor:
    return anchor_among(fact.evidence, (each.evidence for _, each in _exact(graph, edit)))


def _quoted(graph: KnowledgeGraph, edit: FactAddition) -> list[Evidence]:
    """Return where the documents speak of an added edge's ends with just the words that it was added at."""
    ends = {_node(graph, edit.head), _node(graph, edit.tail)}
    told = (fact.evidence for _, fact in _in_document(graph, edit) if ends & {fact.head, fact.tail})
    return [each for each in told if each.quote == edit.place.quote and each.verified]


def _ground(base: KnowledgeGraph, edit: FactAddition) -> Evidence | None:
    """Return where the documents speak of an added edge: where it was added, else at one of its ends."""
    quoted = _quoted(base, edit)
    if quoted:
        span = meant_span(edit.place, quoted)
        return next(each for each in quoted if each.span == span)
    ends = {_node(base, edit.head), _node(base, edit.tail)}
    at_ends = [fact.evidence for fact in base.facts if ends & {fact.head, fact.tail} and fact.evidence.verified]
    in_document = (each for each in at_ends if each.span.document_id == edit.place.document)
    return next(in_document, None) or next(iter(at_ends), None)


def _addition(fact: Fact) -> int:
    """Return by what edges are sorted: those of the documents stay as they are, added ones follow by their edit."""
    added = [mark.edit_id for mark in fact.evidence.edits if not mark.before]
    return added[0] if added else 0


def _require_elsewhere(graph: KnowledgeGraph, edit: GraphEdit, reason: str) -> None:
    """Make sure that the graph is of other documents than the edit."""
    if any(fact.evidence.span.document_id == edit.place.document for fact in graph.facts):
        raise TargetGoneError(reason)


def _node(graph: KnowledgeGraph, name: str) -> str:
    return graph.aliases.get(name, name)


def _known(graph: KnowledgeGraph, name: str) -> str:
    node = _node(graph, name)
    if not any(node in (fact.head, fact.tail) for fact in graph.facts):
        raise ConfigError(f"{name!r} is no name of this graph.")
    return node


def _at_name(graph: KnowledgeGraph, name: str) -> Fact:
    return next(fact for fact in graph.facts if name in (fact.head, fact.tail))


def _words(head: str, relation: str, tail: str) -> tuple[str, str, str]:
    head, relation, tail = (" ".join(each.split()) for each in (head, relation, tail))
    if not (head and relation and tail):
        raise ConfigError("An edge needs two names and a relation between them.")
    if head == tail:
        raise ConfigError(f"{head!r} cannot be related to itself.")
    return head, relation, tail
