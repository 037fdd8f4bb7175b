"""The five structures over one small document, and large and hostile ones, for the tests of their views."""

from __future__ import annotations

from dataclasses import replace

from tui_doubles import HOSTILE, make_answer

from structrag.structures.algorithm import Algorithm, Branch, Procedure, Step
from structrag.structures.catalogue import Catalogue, Member, Topic
from structrag.structures.chunk import ChunkSet
from structrag.structures.graph import Fact, KnowledgeGraph
from structrag.structures.table_set import Cell, Column, ColumnType, Conflict, Row, Table, TableSet
from structrag.types import (
    Answer,
    Citation,
    Evidence,
    Passage,
    SourceDocument,
    Span,
    Structure,
    StructureType,
    TraceStep,
)

TEXT = """# Makers

Alder buys compressors from Birch. Birch belongs to Cedar.

| firm | revenue | founded |
| Alder | 412 | 1990 |
| Birch | 99 | 2001 |
| Cedar | 1200 | 1950 |

## Start-up

1. Check the gauge. If it shows 0 bar, go to step 3.
2. Open the valve.
3. Call the firm.
"""
MAKERS = SourceDocument(id="makers.md", title="Makers", text=TEXT, sha256="0")
HOSTILE_LINES = (
    HOSTILE,
    "\x1b[2J\x1b]0;title\x07",
    "\u202eabc\u202c",
    "a\u200bb\u200d",
    "👩‍👩‍👧 漢字 عربى",
    "[/]",
    "x" * 1_000_000,
)


def at(quote: str, document: SourceDocument = MAKERS, *, verified: bool = True) -> Evidence:
    start = document.text.index(quote)
    return Evidence(Span(document.id, start, start + len(quote)), quote, verified)


def answer_by(structure: Structure, cited: list[Evidence], *trace: tuple[str, str]) -> Answer:
    citations = tuple(Citation(n, evidence, "Makers") for n, evidence in enumerate(cited, 1))
    steps = tuple(TraceStep(name, detail) for name, detail in trace)
    return make_answer("q", structure.type, structure=structure, citations=citations, trace=steps)


def cell(raw: str, value: float | str | None, evidence: Evidence | None) -> Cell:
    return Cell(raw, value, evidence)


def make_tables() -> TableSet:
    rows = []
    for name, revenue, founded in (("Alder", "412", "1990"), ("Birch", "99", "2001"), ("Cedar", "1200", "1950")):
        line = at(f"| {name} |")
        rows.append(
            Row(
                MAKERS.id,
                (
                    cell(name, name, line),
                    cell(revenue, float(revenue), at(f" {revenue} |")),
                    cell(founded, float(founded), at(f" {founded} |")),
                ),
            )
        )
    columns = (
        Column("firm", "firm"),
        Column("revenue", "revenue", ColumnType.NUMBER, "EUR million"),
        Column("founded", "founded", ColumnType.NUMBER),
    )
    firms = Table("firms", "Firms", columns, tuple(rows), "firm")
    other = Table(
        "gauges", "Gauges", (Column("bar", "bar"),), (Row(MAKERS.id, (cell("0 bar", "0 bar", at("0 bar")),)),)
    )
    conflict = Conflict("firms", "Alder", "revenue", (rows[0].cells[1], rows[1].cells[1]))
    return TableSet((firms, other), (MAKERS.id, "b.md"), (MAKERS.id,), (conflict,))


def make_graph() -> KnowledgeGraph:
    first = "Alder buys compressors from Birch."
    second = "Birch belongs to Cedar."
    return KnowledgeGraph(
        (
            Fact("Alder", "buys compressors from", "Birch", first, at(first)),
            Fact("Birch", "belongs to", "Cedar", second, at(second)),
            Fact("Dora", "heads", "Cedar", "Dora heads Cedar.", at("Cedar")),
        ),
        {"Alder Ltd": "Alder", "Alder": "Alder"},
    )


PATH = "Alder —buys compressors from→ Birch → Birch —belongs to→ Cedar"


def make_algorithm() -> Algorithm:
    first = "Check the gauge. If it shows 0 bar, go to step 3."
    steps = (
        Step("1", first, at(first), (Branch("it shows 0 bar", "3"), Branch("", "2", "go on"))),
        Step("2", "Open the valve.", at("Open the valve.")),
        Step("3", "Call the firm.", at("Call the firm.")),
    )
    other = Procedure(MAKERS.id, "Other", (Step("1", "Open the valve.", at("Open the valve.")),))
    return Algorithm((Procedure(MAKERS.id, "Start-up", steps, (("Read this first.", at("# Makers")),)), other))


def make_catalogue() -> Catalogue:
    members = (Member("Alder buys compressors from Birch.", at("Alder buys compressors from Birch.")),)
    steps = Topic("Start-up", MAKERS.id, at("## Start-up"), (Member("Open the valve.", at("Open the valve.")),))
    makers = Topic("Makers", MAKERS.id, at("# Makers"), members, (steps,))
    other = Topic("Other", "other.md", Evidence(Span("other.md", 0, 5), "Other"), ())
    return Catalogue((makers, other), ("scan.pdf",))


def make_chunks() -> ChunkSet:
    first = "Alder buys compressors from Birch. Birch belongs to Cedar."
    start = TEXT.index(first)
    second = TEXT.index("2. Open")
    return ChunkSet(
        (
            Passage(Span(MAKERS.id, start, start + len(first)), first, "Makers", 0.031),
            Passage(Span(MAKERS.id, second, second + 18), TEXT[second : second + 18], "Makers", 0.016),
        )
    )


def large_table(rows: int) -> TableSet:
    evidence = at("412")
    columns = tuple(Column(f"c{n}", f"Column {n}", ColumnType.NUMBER) for n in range(6))
    made = tuple(
        Row(MAKERS.id, tuple(Cell(f"{n * 7919 % rows}", float(n * 7919 % rows), evidence) for _ in columns))
        for n in range(rows)
    )
    return TableSet((Table("large", "Large", columns, made),), (MAKERS.id,), (MAKERS.id,))


def large_graph(names: int) -> KnowledgeGraph:
    evidence = at("Cedar")
    facts = []
    for n in range(names):
        facts.append(Fact(f"Name {n}", "leads to", f"Name {(n + 1) % names}", "", evidence))
        facts.append(Fact(f"Name {n}", "knows", f"Name {n * 31 % names}", "", evidence))
    return KnowledgeGraph(tuple(facts))


def large_catalogue(documents: int) -> Catalogue:
    members = tuple(Member(f"Member {n}", at("Cedar")) for n in range(40))
    sections = tuple(Topic(f"Section {n}", MAKERS.id, at("Cedar"), members) for n in range(10))
    return Catalogue(tuple(Topic(f"Document {n}", MAKERS.id, at("Cedar"), (), sections) for n in range(documents)))


def hostile_structures() -> list[Structure]:
    """One of each kind in which every text is hostile."""
    evidence = replace(at("Cedar"), quote=HOSTILE)
    lines = HOSTILE_LINES
    rows = tuple(Row(MAKERS.id, (Cell(line, line, evidence), Cell(line, line, evidence))) for line in lines)
    table = Table("t", HOSTILE, (Column("a", HOSTILE), Column("b", lines[-1])), rows)
    facts = tuple(Fact(line, line, f"{line}!", line, evidence) for line in lines)
    steps = tuple(Step(str(n), line, evidence, (Branch(line, None, line),)) for n, line in enumerate(lines))
    members = tuple(Member(line, evidence) for line in lines)
    topic = Topic(HOSTILE, MAKERS.id, evidence, members)
    passages = tuple(Passage(Span(MAKERS.id, 0, len(line)), line, HOSTILE) for line in lines)
    return [
        TableSet((table,), (), (), (Conflict("t", HOSTILE, HOSTILE, rows[0].cells),)),
        KnowledgeGraph(facts, {lines[-1]: HOSTILE}),
        Algorithm((Procedure(MAKERS.id, HOSTILE, steps, ((HOSTILE, evidence),)),)),
        Catalogue((topic,), (HOSTILE,)),
        ChunkSet(passages),
    ]


KINDS = [
    StructureType.TABLE,
    StructureType.GRAPH,
    StructureType.ALGORITHM,
    StructureType.CATALOGUE,
    StructureType.CHUNK,
]
