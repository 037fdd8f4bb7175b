"""Reasoning on a catalogue: choose what to list, walk the tree, count by code."""

from __future__ import annotations

from dataclasses import dataclass

from structrag.models.chat import Prompt
from structrag.session import Session
from structrag.structures.catalogue import Catalogue, Member, Topic
from structrag.types import Evidence, Structure, StructureType
from structrag.utilizer.finding import NOTHING_FOUND, Finding
from structrag.utilizer.reading import load_prompt, read_all

_SHOWN_DOCUMENTS = 20
_SHOWN_SECTIONS = 8
_SHOWN_MEMBERS = 16
_SENTENCES_PER_DOCUMENT = 2
_CANDIDATE_DOCUMENTS = 10


@dataclass(frozen=True, slots=True)
class _Plan:
    """What to list: ``sections``, ``documents`` or ``statements``, of one document or of all."""

    lists: str
    document: Topic | None
    section: str
    count: bool


class CatalogueReasoner:
    """Lists and counts over the tree."""

    type = StructureType.CATALOGUE

    def reason(self, question: str, structure: Structure, session: Session) -> Finding:
        """Plan with one call, collect by walking, and let a second call pick what fits where judgement is needed."""
        assert isinstance(structure, Catalogue)
        plan = _plan(question, structure, session)
        where = plan.document.title if plan.document else f"all {len(structure.documents)} documents"
        session.note("plan", f"{'count' if plan.count else 'list'} the {plan.lists} of {where}")
        if plan.lists == "sections" and plan.document is not None and len(plan.document.children) > 1:
            found = [(topic.title, topic.evidence) for topic in _sections(plan.document)]
        elif plan.lists == "documents":
            found = read_all(question, _about(question, structure, session), session, stage="catalogue")
        else:
            found = read_all(question, _statements(question, structure, plan, session), session, stage="catalogue")
        return _finding(found, count=plan.count)


def _finding(found: list[tuple[str, Evidence]], *, count: bool) -> Finding:
    if not found:
        return NOTHING_FOUND
    values = tuple(answer for answer, _ in found)
    evidence = tuple(item for _, item in found)
    if count:
        number = str(len(values))
        return Finding(f"{number}: {'; '.join(values)}", (number,), evidence)
    return Finding("; ".join(values), values, evidence)


def _plan(question: str, catalogue: Catalogue, session: Session) -> _Plan:
    documents = catalogue.documents[:_SHOWN_DOCUMENTS]
    lines = []
    for number, document in enumerate(documents, 1):
        sections = "; ".join(topic.title for topic in _sections(document)[:_SHOWN_SECTIONS])
        lines.append(f"{number}. {document.title}" + (f" [{sections}]" if sections else ""))
    schema = {
        "type": "object",
        "properties": {
            "list": {"enum": ["sections", "documents", "statements"]},
            "document": {"type": "integer", "minimum": 0, "maximum": len(documents)},
            "section": {"type": "string", "maxLength": 80},
            "count": {"type": "boolean"},
        },
        "required": ["list", "document", "section", "count"],
        "additionalProperties": False,
    }
    prompt = Prompt(
        stage="catalogue.operation",
        system=load_prompt("catalogue_operation"),
        user="\n".join(lines) + f"\n\nQuestion: {question}",
        schema=schema,
        max_tokens=60,
    )
    reply = session.ask(prompt).data
    number = int(reply["document"])
    return _Plan(reply["list"], documents[number - 1] if number else None, reply["section"], reply["count"])


def _sections(document: Topic) -> tuple[Topic, ...]:
    """The topics of a document: its sections, or those of its only section, which is then a title in disguise."""
    return document.children[0].children if len(document.children) == 1 else document.children


def _statements(question: str, catalogue: Catalogue, plan: _Plan, session: Session) -> list[tuple[str, Evidence]]:
    """The members nearest to the question, in the order of the text, each below its heading."""
    topics = [plan.document] if plan.document else list(catalogue.documents)
    placed = [(topic, member) for document in topics for topic in document.walk() for member in topic.members]
    wanted = f"{question} {plan.section}".strip()
    nearest = _nearest(wanted, [f"{topic.title}: {member.text}" for topic, member in placed], session)[:_SHOWN_MEMBERS]
    return [(f"{placed[i][0].title}: {placed[i][1].text}", placed[i][1].evidence) for i in sorted(nearest)]


def _about(question: str, catalogue: Catalogue, session: Session) -> list[tuple[str, Evidence]]:
    """One item per document: its title and the sentences nearest to the question, nearest documents only."""
    placed: list[tuple[int, Member]] = [
        (index, member) for index, document in enumerate(catalogue.documents) for member in document.all_members()
    ]
    order = _nearest(question, [member.text for _, member in placed], session)
    best: dict[int, list[Member]] = {}
    for index, member in (placed[i] for i in order):
        if len(best.setdefault(index, [])) < _SENTENCES_PER_DOCUMENT:
            best[index].append(member)
    session.note("coverage", f"looked at {len(best)} of {len(catalogue.documents)} documents")
    items = []
    for index in list(best)[:_CANDIDATE_DOCUMENTS]:
        said = " ".join(member.text for member in best[index])
        items.append((f"{catalogue.documents[index].title}: {said}", best[index][0].evidence))
    return items


def _nearest(wanted: str, texts: list[str], session: Session) -> list[int]:
    """Indices of the texts, nearest first."""
    if not texts:
        return []
    rows = session.embedder.embed([wanted, *texts])
    similarity = rows[1:] @ rows[0]
    return sorted(range(len(texts)), key=lambda i: -float(similarity[i]))
