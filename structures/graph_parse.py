"""Facts from sentences that name two things, and from the lines of tables."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

from structrag.corpus.markup import MarkupTable, parse_tables, split_sentences
from structrag.structures.graph import Fact, KnowledgeGraph
from structrag.structures.names import find_names, mentions, merge_names
from structrag.types import Evidence, SourceDocument, Span

_PRONOUN = re.compile(
    r"^(?:he|she|it|they|his|her|its|their|this|the (?:company|firm|lab|group|paper))\b", re.IGNORECASE
)
_MOST_NAMES = 6
NAMED_WITH = "is named with"
"""The relation of neighbours in a list: it says nothing of them but that."""
_RELATION_CHARACTERS = 80


@dataclass(frozen=True, slots=True)
class _Statement:
    """A sentence and the names in it, as written."""

    names: tuple[str, ...]
    text: str
    evidence: Evidence


def parse_facts(documents: Sequence[SourceDocument]) -> KnowledgeGraph:
    """Return the graph of the documents, with different forms of one name merged."""
    statements = [s for document in documents for s in _statements(document)]
    rows = [fact for document in documents for table in parse_tables(document.text) for fact in _rows(document, table)]
    written = [name for s in statements for name in s.names]
    merged = merge_names([*written, *(f.head for f in rows), *(f.tail for f in rows if find_names(f.tail))])
    facts = [replace(f, head=merged.get(f.head, f.head), tail=merged.get(f.tail, f.tail)) for f in rows]
    for statement in statements:
        facts += _related(statement, merged)
    aliases = {name: node for name, node in merged.items() if name != node}
    return KnowledgeGraph(tuple(dict.fromkeys(facts)), aliases)


def _statements(document: SourceDocument) -> Iterator[_Statement]:
    """Each sentence with its names; a sentence that begins with a pronoun takes the first name of the one before.

    A sentence with fewer than two names is about the document's subject too, which the title names.
    """
    tables = [(t.start, t.end) for t in parse_tables(document.text)]
    subject = tuple(name for _, _, name in find_names(document.title))[:1] or (document.title,)
    before: tuple[str, ...] = ()
    for start, end in split_sentences(document.text):
        if any(first <= start < last for first, last in tables):
            continue
        text = document.text[start:end]
        names = tuple(dict.fromkeys(name for _, _, name in find_names(text)))
        if _PRONOUN.match(text.strip()) and before:
            names = tuple(dict.fromkeys([before[0], *names]))
        if len(names) < 2:
            names = tuple(dict.fromkeys([*subject, *names]))
        before = names or before
        evidence = Evidence(Span(document.id, start, end), text)
        yield _Statement(names[:_MOST_NAMES], f"{document.title}: {' '.join(text.split())}", evidence)


def _related(statement: _Statement, merged: dict[str, str]) -> Iterator[Fact]:
    """Relate the first name with every other, and neighbours with each other."""
    names = [merged.get(name, name) for name in statement.names]
    pairs = [(0, i) for i in range(1, len(names))] + [(i, i + 1) for i in range(1, len(names) - 1)]
    for first, second in pairs:
        if names[first] != names[second]:
            relation = _between(statement.evidence.quote, statement.names[first], statement.names[second])
            yield Fact(names[first], relation, names[second], statement.text, statement.evidence)


def _between(text: str, head: str, tail: str) -> str:
    first, last = text.find(head), text.find(tail)
    words = text[first + len(head) : last] if 0 <= first < last else text
    return " ".join(words.split()).strip(" ,.;:*")[:_RELATION_CHARACTERS] or NAMED_WITH


def _rows(document: SourceDocument, table: MarkupTable) -> Iterator[Fact]:
    """Relate each line's first cell with its others, under the heading of their column."""
    heads = [cell.text for cell in table.header]
    for row in table.rows:
        key = row[0].text.strip()
        if not key:
            continue
        told = "; ".join(f"{head}: {cell.text}" for head, cell in zip(heads, row, strict=False) if cell.text.strip())
        for head, cell in list(zip(heads, row, strict=False))[1:]:
            if cell.text.strip():
                span = Span(document.id, row[0].start, row[-1].end)
                evidence = Evidence(span, document.text[span.start : span.end])
                yield Fact(key, head or "has", cell.text.strip(), f"{document.title}: {told}", evidence)


def named_in(question: str, graph: KnowledgeGraph) -> list[str]:
    """Return the nodes that a question names, by any of their forms, longest first."""
    forms = {**{node: node for node in graph.network}, **graph.aliases}
    found: dict[str, None] = {}
    covered = ""
    for form in mentions(question, forms):
        if form.lower() not in covered:
            found[forms[form]] = None
            covered += f" {form.lower()} "
    return list(found)
