"""Build the table structure: parse the tables that are there, extract from prose only where they do not fit.

How it is decided. All tables of the documents are parsed, without a model. Each is compared with the
question: by the embedder (title, column labels and a few cells), and by how many of the question's words stand
in it, as names in cells are what an embedder sees least. The tables about as near as the nearest are kept.

That is all if the nearest is near enough, or nearly so and the model finds that it holds what is asked, or if no
document has more than tables. Otherwise, or if the
nearest is a table of attributes that speaks for less than half of the documents, the figures are thought to stand
in prose: the model is asked how the answer is computed. A question that names its figures has them looked up one by
one (see `table_figures`). For any other the model is asked for a schema once, and then for the rows of each document
that has prose; the parsed tables stay beside the extracted one unless they are far from the question.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass, replace
from importlib.resources import files

from structrag.errors import BuildError
from structrag.models.chat import Prompt
from structrag.session import Session
from structrag.structures.building import BuildRequest
from structrag.structures.table_excerpts import nearest_documents
from structrag.structures.table_extraction import extract_table, plan_schema
from structrag.structures.table_figures import look_up, plan_calculation
from structrag.structures.table_grids import parse_grids
from structrag.structures.table_pivot import pivot_attributes
from structrag.structures.table_set import Table, TableSet
from structrag.structures.table_union import DOCUMENT, find_conflicts, unite
from structrag.types import SourceDocument, StructureType

# Set on the development questions; see `rank_tables` for the scale.
_NEAR_ENOUGH = 0.35
_WORTH_ASKING = 0.15
"""Between this and `_NEAR_ENOUGH` the model is asked."""
_FITS_FROM = 0.3
"""Low: the model sees only a few rows, and extracting what a table holds already costs minutes."""
_ASKED_CHARACTERS = 500
_AS_NEAR = 0.2
_WORDS_WEIGHT = 0.5
_MOST_TABLES = 4
# A document that retrieval put first is a little more likely to hold the table.
_PER_RANK = 0.01
_SAMPLE_ROWS = 3
_MOST_EXTRACTED = 10
"""Documents that rows are extracted from, best first: each costs a call of some seconds."""
# Shorter than this, what stands around the tables of a document is captions and headings.
_PROSE = 400
_FILLERS = frozenset(
    "about after among and are before did does for from had has have how into its many more most much number "
    "than that the their them then there these they this those was were what when where which while who whom "
    "whose why will with you".split()
)


@dataclass(frozen=True, slots=True)
class RankedTable:
    """A parsed table and how near it is to the question."""

    table: Table
    nearness: float


class TableBuilder:
    """Builds a `TableSet`."""

    @property
    def type(self) -> StructureType:
        """Always `StructureType.TABLE`."""
        return StructureType.TABLE

    def build(self, request: BuildRequest, session: Session) -> TableSet:
        """Build the tables that the question needs.

        Raises:
            BuildError: The documents hold no table, and no rows can be extracted from them.
            ModelError: The model is needed and does not answer.
        """
        ranked = rank_tables(request.question, parse_tables(request.documents), request.documents, session)
        near = [r for r in ranked if r.nearness >= ranked[0].nearness - _AS_NEAR][:_MOST_TABLES]
        tables = [r.table for r in near]
        prose = [d for d in request.documents if _has_prose(d, [r.table for r in ranked])]
        if not prose or self._fits(request, near, session):
            session.note("parse", f"{len(tables)} of {len(ranked)} parsed tables fit the question.")
        elif (figures := self._figures(request, session)) is not None:
            return figures
        else:
            schema = plan_schema(request.question, session)
            wanted = f"{request.question} {schema.describe()}"
            read = nearest_documents(prose, wanted, session.embedder)[:_MOST_EXTRACTED]
            session.note("extract", f"from the nearest {len(read)} of {len(prose)} documents in prose")
            extracted = extract_table(request.question, schema, read, session)
            fitting = [r.table for r in near if r.nearness >= _NEAR_ENOUGH]
            tables = [extracted, *fitting] if extracted.rows else tables
        if not tables:
            raise BuildError(
                f"None of the {len(request.documents)} documents holds a table or figures that the question asks for.",
                hint="Ask with another structure, or widen the scope.",
            )
        return _table_set(tables, request.documents)

    def _figures(self, request: BuildRequest, session: Session) -> TableSet | None:
        """Return the single figures that a question names, with the calculation; ``None`` where it needs a table."""
        calculation = plan_calculation(request.question, session)
        if calculation is None:
            return None
        table = look_up(request.question, calculation, request.documents, session)
        if table is None:
            raise BuildError("None of the documents states one of the figures that the question names.")
        return replace(_table_set([table], request.documents), query=calculation.query)

    def _fits(self, request: BuildRequest, near: Sequence[RankedTable], session: Session) -> bool:
        """Whether the nearest tables hold what is asked, so that prose need not be read."""
        if not near or _speaks_for_few(near[0], request.documents) or near[0].nearness < _WORTH_ASKING:
            return False
        if near[0].nearness >= _NEAR_ENOUGH:
            return True
        return _holds_what_is_asked(request.question, near[0].table, session)


def parse_tables(documents: Sequence[SourceDocument]) -> list[Table]:
    """Return all tables that the documents show, those with the same header united; no model is asked."""
    return unite(pivot_attributes([grid for document in documents for grid in parse_grids(document)]))


def rank_tables(
    question: str, tables: Sequence[Table], documents: Sequence[SourceDocument], session: Session
) -> list[RankedTable]:
    """Return the tables, the nearest to the question first.

    Nearness is the cosine similarity of the embeddings plus half the share of the question's words that
    stand in the table.
    """
    if not tables:
        return []
    vectors = session.embedder.embed([question, *map(_about, tables)])
    rank = {document.id: place for place, document in enumerate(documents)}
    ranked = [
        RankedTable(
            table,
            float(vector @ vectors[0])
            + _WORDS_WEIGHT * _share_of_words(question, table)
            - _PER_RANK * min(rank[row.document_id] for row in table.rows),
        )
        for table, vector in zip(tables, vectors[1:], strict=True)
    ]
    return sorted(ranked, key=lambda item: -item.nearness)


def _about(table: Table) -> str:
    labels = ", ".join(column.label for column in table.columns)
    cells = "; ".join(", ".join(cell.raw[:40] for cell in row.cells) for row in table.rows[:_SAMPLE_ROWS])
    return f"{table.title}. {labels}. {cells}"


def _share_of_words(question: str, table: Table) -> float:
    cells = (cell.raw for row in table.rows for cell in row.cells)
    there = _stems(" ".join((table.title, *(column.label for column in table.columns), *cells)))
    asked = _stems(question)
    return len(asked & there) / max(len(asked), 1)


def _stems(text: str) -> set[str]:
    """Return the words that mean something, cut to where endings no longer part them."""
    words = re.findall(r"\w+", text.casefold())
    return {word[:5] for word in words if word not in _FILLERS and (len(word) > 2 or word.isdigit())}


def _has_prose(document: SourceDocument, tables: Sequence[Table]) -> bool:
    """Whether more stands in a document than its tables."""
    tabular = 0
    for table in tables:
        cells = (cell for row in table.rows if row.document_id == document.id for cell in row.cells)
        # The title of a document stands outside the rows that it is put into.
        spans = [cell.evidence.span for cell in cells if cell.evidence and cell.raw != document.title]
        if spans:
            tabular += max(span.end for span in spans) - min(span.start for span in spans)
    return not tabular or len(document.text) - tabular > _PROSE


def _speaks_for_few(nearest: RankedTable, documents: Sequence[SourceDocument]) -> bool:
    """Whether a table with one row for each document has one for less than half of them."""
    covered = {row.document_id for row in nearest.table.rows}
    return nearest.table.key == DOCUMENT.name and 2 * len(covered) < len(documents)


def _holds_what_is_asked(question: str, table: Table, session: Session) -> bool:
    """Ask the model, in one token: extracting rows from prose costs a hundred times as much."""
    prompt = Prompt(
        stage="table.fits",
        system=files("structrag.structures").joinpath("prompts/table_fits.txt").read_text(encoding="utf-8").strip(),
        user=f"Table: {_about(table)[:_ASKED_CHARACTERS]}\nQuestion: {question}",
    )
    share = session.chat.choose(prompt, ("yes", "no"), session.meter)["yes"]
    session.note("fits", f"{share:.0%} that the table {table.title!r} holds what is asked")
    return share >= _FITS_FROM


def _table_set(tables: Sequence[Table], documents: Sequence[SourceDocument]) -> TableSet:
    named: list[Table] = []
    for table in tables:
        taken = {other.name for other in named}
        name = table.name if table.name not in taken else f"{table.name}_{len(named) + 1}"
        named.append(replace(table, name=name))
    covered = {row.document_id for table in named for row in table.rows}
    asked = tuple(document.id for document in documents)
    return TableSet(tuple(named), asked, tuple(id_ for id_ in asked if id_ in covered), find_conflicts(named))
