"""The algorithm structure: procedures whose steps branch, as directed graphs."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from structrag.errors import BuildError
from structrag.session import Session
from structrag.structures.building import BuildRequest
from structrag.structures.quotes import content_words
from structrag.structures.records import Record, evidence_dict
from structrag.types import Evidence, StructureType

if TYPE_CHECKING:
    import networkx as nx

_MOST_COMPARED = 48
"""Procedures of which every step is compared with the question; a vector takes about 20 ms."""


@dataclass(frozen=True, slots=True)
class Branch:
    """One way out of a step.

    Attributes:
        condition: When it is taken: ``yes``, ``no``, or a phrase; empty for the way taken otherwise.
        target: The number of the step it leads to, or ``None`` where the procedure ends with ``outcome``.
        outcome: What to do when it is taken; may be empty where ``target`` is given.
    """

    condition: str
    target: str | None
    outcome: str = ""


@dataclass(frozen=True, slots=True)
class Step:
    """One step.

    Attributes:
        number: As the document has it: ``"3"`` or ``"3.2"``.
        text: The whole step, branches included.
        branches: The ways out that the text names; the step after it is the way out where none is taken.
    """

    number: str
    text: str
    evidence: Evidence
    branches: tuple[Branch, ...] = ()

    @property
    def decides(self) -> bool:
        """Whether the step asks something on which the way depends."""
        return bool(self.branches)


@dataclass(frozen=True, slots=True)
class Procedure:
    """Steps in order, and what must hold before the first."""

    document_id: str
    title: str
    steps: tuple[Step, ...]
    prerequisites: tuple[tuple[str, Evidence], ...] = ()

    def step(self, number: str) -> Step:
        """Return the step of that number.

        Raises:
            KeyError: There is none.
        """
        for step in self.steps:
            if step.number == number:
                return step
        raise KeyError(number)

    @property
    def is_decision_tree(self) -> bool:
        """Whether most steps ask something, so that the way through depends on the answers."""
        return sum(bool({"yes", "no"} & {b.condition for b in s.branches}) for s in self.steps) * 2 >= len(self.steps)

    def graph(self) -> nx.DiGraph[str]:
        """Return the steps as nodes; an edge's ``condition`` says when it is followed, empty for always."""
        import networkx as nx

        graph: nx.DiGraph[str] = nx.DiGraph()
        numbers = [step.number for step in self.steps]
        is_decision_tree = self.is_decision_tree
        graph.add_nodes_from(numbers)
        for step, following in zip(self.steps, [*numbers[1:], None], strict=True):
            for branch in step.branches:
                if branch.target in numbers:
                    graph.add_edge(step.number, branch.target, condition=branch.condition)
            leaves = _always_leaves(step, is_decision_tree=is_decision_tree)
            if following is not None and not leaves and not graph.has_edge(step.number, following):
                graph.add_edge(step.number, following, condition="")
        return graph

    def render(self) -> str:
        """Return the procedure as numbered lines."""
        head = [f"# {self.title}"]
        head += [f"Before: {' '.join(text.split())}" for text, _ in self.prerequisites]
        return "\n".join([*head, *(f"{step.number}. {' '.join(step.text.split())}" for step in self.steps)])


def _always_leaves(step: Step, *, is_decision_tree: bool) -> bool:
    """Whether one of the step's branches is always taken, so that the next line is not the next step."""
    conditions = {branch.condition for branch in step.branches}
    if not ({"yes", "no"} <= conditions or "" in conditions):
        return False
    # In a plain procedure the next step follows what is done under a condition, unless that leads elsewhere.
    return is_decision_tree or len(step.branches) == 1 or all(branch.target for branch in step.branches)


@dataclass(frozen=True, slots=True)
class Algorithm:
    """All procedures that were found, the one nearest to the question first."""

    procedures: tuple[Procedure, ...]
    unread: tuple[str, ...] = field(default=())
    """Ids of documents from which no steps could be read, for the report."""

    @property
    def type(self) -> StructureType:
        """Always `StructureType.ALGORITHM`."""
        return StructureType.ALGORITHM

    def render(self, limit: int | None = None) -> str:
        """Return the procedures as numbered lines, cut at about ``limit`` characters."""
        text = "\n\n".join(procedure.render() for procedure in self.procedures)
        return text if limit is None or len(text) <= limit else text[:limit] + " …"

    def evidence(self) -> list[Evidence]:
        """Return the evidence of every step and prerequisite."""
        return [
            evidence
            for procedure in self.procedures
            for evidence in [*(e for _, e in procedure.prerequisites), *(s.evidence for s in procedure.steps)]
        ]

    def to_dict(self) -> dict[str, Any]:
        """Return a JSON-ready form."""
        return {
            "type": str(self.type),
            "unread": list(self.unread),
            "procedures": [_procedure_dict(procedure) for procedure in self.procedures],
        }

    @classmethod
    def from_dict(cls, data: Mapping[str, Any]) -> Algorithm:
        """Return the procedures that `to_dict` wrote.

        Raises:
            StoreError: The data is damaged or of another version.
        """
        record = Record(data)
        return cls(tuple(_read_procedure(item) for item in record.records("procedures")), record.texts("unread"))


class AlgorithmBuilder:
    """Parses the procedures of the documents and ranks them by nearness to the question; calls no model."""

    type = StructureType.ALGORITHM

    def build(self, request: BuildRequest, session: Session) -> Algorithm:
        """Return the procedures.

        Raises:
            BuildError: No document has any text that can be taken as steps.
        """
        from structrag.structures.algorithm_parse import parse_procedures

        found: list[Procedure] = []
        unread: list[str] = []
        for document in request.documents:
            procedures = parse_procedures(document)
            found += procedures
            unread += [] if procedures else [document.id]
        if not found:
            raise BuildError("None of the documents holds steps to follow.")
        return Algorithm(tuple(_ranked(found, request.question, session)), tuple(unread))


def _ranked(procedures: list[Procedure], question: str, session: Session) -> list[Procedure]:
    """Order by the similarity of the title and of the nearest step: a question names either.

    Of a long manual the steps are compared only of procedures whose title is near or which share words with the
    question; the others follow in the order of their titles.
    """
    by_title = _similarities(question, [procedure.title for procedure in procedures], session)
    order = sorted(range(len(procedures)), key=lambda i: -by_title[i])
    if len(procedures) > _MOST_COMPARED:
        asked = set(content_words(question))
        shared = [len(asked & set(content_words(procedure.render()))) for procedure in procedures]
        near = sorted(order, key=lambda i: -shared[i])[: _MOST_COMPARED // 2]
        compared = list(dict.fromkeys([*order[: _MOST_COMPARED // 2], *near]))
    else:
        compared = list(range(len(procedures)))
    steps = [step.text for i in compared for step in procedures[i].steps]
    similarity = iter(_similarities(question, steps, session))
    scores = {i: by_title[i] + max(next(similarity) for _ in procedures[i].steps) for i in compared}
    ranked = sorted(compared, key=lambda i: -scores[i])
    return [procedures[i] for i in dict.fromkeys([*ranked, *order])]


def _similarities(question: str, texts: list[str], session: Session) -> list[float]:
    rows = session.embedder.embed([question, *texts])
    return [float(similarity) for similarity in rows[1:] @ rows[0]]


def _procedure_dict(procedure: Procedure) -> dict[str, Any]:
    return {
        "document": procedure.document_id,
        "title": procedure.title,
        "prerequisites": [{"text": text, **evidence_dict(evidence)} for text, evidence in procedure.prerequisites],
        "steps": [
            {
                "number": step.number,
                "text": step.text,
                **evidence_dict(step.evidence),
                "branches": [
                    {"condition": b.condition, "target": b.target, "outcome": b.outcome} for b in step.branches
                ],
            }
            for step in procedure.steps
        ],
    }


def _read_procedure(record: Record) -> Procedure:
    return Procedure(
        document_id=record.text("document"),
        title=record.text("title"),
        steps=tuple(_read_step(item) for item in record.records("steps")),
        prerequisites=tuple((item.text("text"), item.evidence()) for item in record.records("prerequisites")),
    )


def _read_step(record: Record) -> Step:
    branches = tuple(
        Branch(item.text("condition"), item.text_or_none("target"), item.text("outcome"))
        for item in record.records("branches")
    )
    return Step(record.text("number"), record.text("text"), record.evidence(), branches)
