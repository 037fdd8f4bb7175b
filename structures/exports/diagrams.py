"""Graphs and procedures as nodes and edges, and these as GraphML and Mermaid."""

from __future__ import annotations

import io
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from enum import StrEnum

from structrag.structures.algorithm import Algorithm, Branch, Procedure, Step
from structrag.structures.exports.text import escape_comment, escape_mermaid, plain
from structrag.structures.graph import KnowledgeGraph
from structrag.structures.records import evidence_dict
from structrag.types import Evidence


class NodeKind(StrEnum):
    """What a node stands for."""

    NAME = "name"
    PREREQUISITE = "prerequisite"
    STEP = "step"
    DECISION = "decision"
    OUTCOME = "outcome"


@dataclass(frozen=True, slots=True)
class Node:
    """One node.

    Attributes:
        group: The procedure that it is of, or nothing.
        details: What else is known of it, as text.
        evidence: Where it stands; names have none of their own, their edges do.
    """

    id: str
    label: str
    kind: NodeKind
    group: str = ""
    details: Mapping[str, str] = field(default_factory=dict)
    evidence: Evidence | None = None


@dataclass(frozen=True, slots=True)
class Edge:
    """One edge between two nodes, by their ids."""

    source: str
    target: str
    label: str
    evidence: Evidence
    details: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Diagram:
    """Nodes and edges, in order.

    Attributes:
        is_ordered: The order of the nodes is the order of steps.
    """

    nodes: tuple[Node, ...]
    edges: tuple[Edge, ...]
    is_ordered: bool


def diagram_of(structure: KnowledgeGraph | Algorithm) -> Diagram:
    """Return what there is to draw."""
    if isinstance(structure, KnowledgeGraph):
        return _graph(structure)
    nodes: dict[str, Node] = {}
    edges: list[Edge] = []
    for number, procedure in enumerate(structure.procedures, start=1):
        for part in _procedure(procedure, str(number)):
            if isinstance(part, Edge):
                edges.append(part)
            else:
                nodes.setdefault(part.id, part)
    return Diagram(tuple(nodes.values()), tuple(edges), is_ordered=True)


def to_graphml(diagram: Diagram) -> bytes:
    """Return GraphML; evidence is in the attributes document, start, end, quote and verified of node or edge.

    The attribute edited says what a person changed, and is there only where one did.
    """
    import networkx as nx

    network: nx.MultiDiGraph[str] = nx.MultiDiGraph()
    for node in diagram.nodes:
        told = {"label": node.label, "kind": str(node.kind), "procedure": node.group, **node.details}
        network.add_node(plain(node.id), **_attributes(told, node.evidence))
    for edge in diagram.edges:
        told = {"label": edge.label, **edge.details}
        network.add_edge(plain(edge.source), plain(edge.target), **_attributes(told, edge.evidence))
    out = io.BytesIO()
    # Not `write_graphml`, whose output depends on whether lxml is installed.
    nx.readwrite.graphml.write_graphml_xml(network, out)
    return out.getvalue()


def to_mermaid(diagram: Diagram) -> bytes:
    """Return a Mermaid flowchart; the evidence follows as comments.

    In labels all but letters and digits is written as codes, in comments ``%`` and braces, so that no text of a
    document is a statement, a directive or HTML.
    """
    short = {node.id: f"n{number}" for number, node in enumerate(diagram.nodes)}
    lines = ["flowchart TD" if diagram.is_ordered else "flowchart LR"]
    lines += [f"  {short[node.id]}{_mermaid_shape(node)}" for node in diagram.nodes]
    for edge in diagram.edges:
        label = escape_mermaid(edge.label)
        arrow = f'-->|"{label}"|' if label.strip() else "-->"
        lines.append(f"  {short[edge.source]} {arrow} {short[edge.target]}")
    lines += [f"%% {short[n.id]}: {_comment(n.details, n.evidence)}" for n in diagram.nodes if n.details or n.evidence]
    lines += [f"%% {short[e.source]} to {short[e.target]}: {_comment(e.details, e.evidence)}" for e in diagram.edges]
    return ("\n".join(lines) + "\n").encode()


def evidence_line(evidence: Evidence) -> str:
    """Return evidence in words."""
    span = evidence.span
    checked = "verified" if evidence.verified else "unverified"
    edited = f", {evidence.edited}; the document" if evidence.edits else ""
    return f"{span.document_id}, characters {span.start}–{span.end}, {checked}{edited}: “{evidence.quote}”"


def evidence_fields(evidence: Evidence) -> dict[str, str | int | bool]:
    """Return evidence as attributes; a person's edit is in words."""
    fields = evidence_dict(replace(evidence, edits=()))
    return fields | ({"edited": evidence.edited} if evidence.edits else {})


def _graph(graph: KnowledgeGraph) -> Diagram:
    names = dict.fromkeys(name for fact in graph.facts for name in (fact.head, fact.tail))
    aliases: dict[str, list[str]] = {}
    for alias, name in graph.aliases.items():
        aliases.setdefault(name, []).append(alias)
    nodes = tuple(
        Node(name, name, NodeKind.NAME, details={"aliases": "; ".join(aliases[name])} if name in aliases else {})
        for name in names
    )
    edges = tuple(Edge(f.head, f.tail, f.relation, f.evidence, {"statement": f.statement}) for f in graph.facts)
    return Diagram(nodes, edges, is_ordered=False)


def _procedure(procedure: Procedure, prefix: str) -> Iterator[Node | Edge]:
    """Yield a procedure's nodes and edges; ids start with its number, as several procedures have a step 1."""
    numbers = [step.number for step in procedure.steps]
    for position, (text, evidence) in enumerate(procedure.prerequisites, start=1):
        node = Node(f"{prefix}:before {position}", text, NodeKind.PREREQUISITE, procedure.title, evidence=evidence)
        yield node
        if numbers:
            yield Edge(node.id, f"{prefix}:{numbers[0]}", "before", evidence)
    graph = procedure.graph()
    for step, following in zip(procedure.steps, [*numbers[1:], None], strict=True):
        kind = NodeKind.DECISION if any(branch.condition for branch in step.branches) else NodeKind.STEP
        label = f"{step.number}. {' '.join(step.text.split())}"
        here = f"{prefix}:{step.number}"
        yield Node(here, label, kind, procedure.title, {"number": step.number}, step.evidence)
        for position, branch in enumerate(step.branches, start=1):
            yield from _branch(step, branch, numbers, prefix, f"{here}:{position}", procedure.title)
        leads_to = {branch.target for branch in step.branches}
        if following is not None and following not in leads_to and graph.has_edge(step.number, following):
            yield Edge(here, f"{prefix}:{following}", "", step.evidence)


def _branch(
    step: Step, branch: Branch, numbers: Sequence[str], prefix: str, node_id: str, group: str
) -> Iterator[Node | Edge]:
    here = f"{prefix}:{step.number}"
    if branch.target in numbers:
        details = {"outcome": branch.outcome} if branch.outcome else {}
        yield Edge(here, f"{prefix}:{branch.target}", branch.condition, step.evidence, details)
    elif branch.condition or branch.outcome != " ".join(step.text.split()):
        yield Node(node_id, branch.outcome or "End", NodeKind.OUTCOME, group, evidence=step.evidence)
        yield Edge(here, node_id, branch.condition, step.evidence)


def _attributes(told: Mapping[str, str], evidence: Evidence | None) -> dict[str, str | int | bool]:
    found: dict[str, str | int | bool] = {name: shown for name, text in told.items() if (shown := plain(text))}
    for name, value in (evidence_fields(evidence) if evidence else {}).items():
        found[name] = plain(value) if isinstance(value, str) else value
    return found


def _mermaid_shape(node: Node) -> str:
    label = escape_mermaid(node.label) or " "
    if node.kind is NodeKind.DECISION:
        return f'{{"{label}"}}'
    if node.kind is NodeKind.OUTCOME:
        return f'(["{label}"])'
    return f'["{label}"]'


def _comment(details: Mapping[str, str], evidence: Evidence | None) -> str:
    told = [f"{name}: {text}" for name, text in details.items()]
    return escape_comment("; ".join([*told, *([evidence_line(evidence)] if evidence else [])]))
