"""The graph structure: named things and the sentences or table lines that relate them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import TYPE_CHECKING, Any

from structrag.errors import BuildError
from structrag.session import Session
from structrag.structures.building import BuildRequest
from structrag.structures.records import Record, evidence_dict
from structrag.types import Evidence, StructureType

if TYPE_CHECKING:
    import networkx as nx


@dataclass(frozen=True, slots=True)
class Fact:
    """One edge: ``head`` —``relation``→ ``tail``.

    Attributes:
        relation: A column's heading, or the words that stand between the two names.
        statement: The whole sentence or line in words, with the title of its document.
    """

    head: str
    relation: str
    tail: str
    statement: str
    evidence: Evidence


@dataclass(frozen=True)
class KnowledgeGraph:
    """Facts over merged names.

    Attributes:
        aliases: For each name as written the node that it was merged into.
    """

    facts: tuple[Fact, ...]
    aliases: Mapping[str, str] = field(default_factory=dict)

    @property
    def type(self) -> StructureType:
        """Always `StructureType.GRAPH`."""
        return StructureType.GRAPH

    @cached_property
    def network(self) -> nx.MultiDiGraph[str]:
        """The facts as a networkx graph; each edge carries its `Fact` as ``fact``."""
        import networkx as nx

        network: nx.MultiDiGraph[str] = nx.MultiDiGraph()
        for fact in self.facts:
            network.add_edge(fact.head, fact.tail, fact=fact)
        return network

    def facts_at(self, node: str) -> list[Fact]:
        """Return the facts that a node takes part in, as head or as tail."""
        if node not in self.network:
            return []
        out = [data["fact"] for _, _, data in self.network.out_edges(node, data=True)]
        return out + [data["fact"] for _, _, data in self.network.in_edges(node, data=True)]

    def render(self, limit: int | None = None) -> str:
        """Return one line per fact, cut at about ``limit`` characters."""
        text = "\n".join(f"{f.head} —{f.relation}→ {f.tail}" for f in self.facts)
        return text if limit is None or len(text) <= limit else text[:limit] + " …"

    def evidence(self) -> list[Evidence]:
        """Return the evidence of every fact."""
        return [fact.evidence for fact in self.facts]

    def to_dict(self) -> dict[str, Any]:
        """Return a JSON-ready form."""
        return {
            "type": str(self.type),
            "aliases": dict(self.aliases),
            "facts": [
                {
                    "head": f.head,
                    "relation": f.relation,
                    "tail": f.tail,
                    "statement": f.statement,
                    **evidence_dict(f.evidence),
                }
                for f in self.facts
            ],
        }

    @classmethod
    def from_dict(cls, data: Mapping[str, Any]) -> KnowledgeGraph:
        """Return the graph that `to_dict` wrote.

        Raises:
            StoreError: The data is damaged or of another version.
        """
        record = Record(data)
        facts = tuple(
            Fact(f.text("head"), f.text("relation"), f.text("tail"), f.text("statement"), f.evidence())
            for f in record.records("facts")
        )
        return cls(facts, record.text_map("aliases"))


class GraphBuilder:
    """Builds the graph from names that stand in the same sentence or table line; calls no model.

    Extracting triples with a small model costs 5 to 20 seconds a sentence and gets about one in four wrong, so edges
    are read off the text and keep its words as their relation; see docs/decisions/0003-graph-without-extraction.md.
    """

    type = StructureType.GRAPH

    def build(self, request: BuildRequest, session: Session) -> KnowledgeGraph:
        """Return the graph of the documents.

        Raises:
            BuildError: No two names stand together anywhere.
        """
        from structrag.structures.graph_parse import parse_facts

        graph = parse_facts(request.documents)
        if not graph.facts:
            raise BuildError("The documents name no two things together, so there is nothing to connect.")
        return graph
