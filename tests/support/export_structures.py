"""One structure of each kind to write as a file, and reading rows back."""

import csv
import io
import re
from datetime import date
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import duckdb

from structrag.structures.algorithm import Algorithm
from structrag.structures.algorithm_parse import parse_procedures
from structrag.structures.catalogue import Catalogue
from structrag.structures.catalogue_parse import parse_topics
from structrag.structures.chunk import ChunkSet
from structrag.structures.exports.export import formats
from structrag.structures.graph import Fact, KnowledgeGraph
from structrag.structures.table_set import Cell, Column, ColumnType, Row, Table, TableSet
from structrag.types import Evidence, Passage, SourceDocument, Span, Structure

HOSTILE = (
    '=HYPERLINK("http://evil.example") | <script>x</script> [a](b) `c` "]; click n0 %%{init: {}}%% **d**\x1b[31m\nend'
)
EVIL = '=cmd|"/C calc"!A0'


def evidence(quote: str, start: int = 3, *, document: str = "notes/a.md", verified: bool = True) -> Evidence:
    return Evidence(Span(document, start, start + len(quote)), quote, verified)


def table(name: str = "sites", *, site: str = "Oslo") -> Table:
    columns = (
        Column("site", "Site"),
        Column("energy", "Energy used", ColumnType.NUMBER, "MWh"),
        Column("opened", "Opened", ColumnType.DATE),
        Column("listed", "Listed", ColumnType.BOOLEAN),
    )
    first = (
        Cell(site, site, evidence(site)),
        Cell("1,950 kWh", 1.95, evidence("1,950 kWh", 20)),
        Cell("4 May 1998", date(1998, 5, 4), evidence("4 May 1998", 40)),
        Cell("yes", True, evidence("yes", 60)),
    )
    total = (
        Cell("Total", "Total", evidence("Total", 80)),
        Cell("-40", -40.0, evidence("-40", 90, verified=False)),
        Cell("", None),
        Cell("", None),
    )
    return Table(
        name, "Our sites", columns, (Row("notes/a.md", first), Row("notes/a.md", total, is_total=True)), "site"
    )


def table_set(*tables: Table) -> TableSet:
    return TableSet(tables or (table(),), ("notes/a.md", "b"), ("notes/a.md",))


def graph(head: str = "Katrin Moor", tail: str = "Alder", relation: str = "leads") -> KnowledgeGraph:
    facts = (
        Fact(head, relation, tail, f"Notes: {head} {relation} {tail}.", evidence(f"{head} {relation} {tail}.")),
        Fact(tail, "owns", "Birk", f"Notes: {tail} owns Birk.", evidence(f"{tail} owns Birk.", 50, verified=False)),
        Fact(head, "founded", tail, "Notes: again.", evidence("again.", 90)),
    )
    return KnowledgeGraph(facts, {"K. Moor": head})


MANUAL = """# Manual

- Be calm.
- Wear gloves.

1. Is it hot? If yes, go to 3. If no, stop and call Ann.
2. Wait.
3. Open the lid. If it smokes, run.
"""


def algorithm(text: str = MANUAL) -> Algorithm:
    return Algorithm(tuple(parse_procedures(SourceDocument("manual.md", "Manual", text, "1"))), ("silent.md",))


def catalogue(text: str = "# Pumps\n\nThey hum.\n\n## Large ones\n\n- Fjord 80\n- Fjord 600\n") -> Catalogue:
    found = parse_topics(SourceDocument("pumps.md", "Pumps", text, "1"))
    assert found is not None
    return Catalogue((found,), ("silent.md",))


def chunks(text: str = "The pump hums.\n\nIt is in the hall.") -> ChunkSet:
    return ChunkSet((Passage(Span("pumps.md", 9, 40), text, "Pumps", 0.03279), Passage(Span("b", 0, 1), "x", "B", 0.5)))


STRUCTURES: list[Structure] = [table_set(), graph(), algorithm(), catalogue(), chunks()]
PAIRS = [(structure, each) for structure in STRUCTURES for each in formats(structure)]
PAIR_IDS = [f"{structure.type}-{each}" for structure, each in PAIRS]


def rows_of(content: bytes) -> list[dict[str, str]]:
    return list(csv.DictReader(io.StringIO(content.decode(), newline="")))


def parquet_rows(content: bytes) -> list[dict[str, Any]]:
    with TemporaryDirectory() as folder, duckdb.connect() as database:
        path = Path(folder) / "sheet.parquet"
        path.write_bytes(content)
        found = database.read_parquet(str(path))
        return [dict(zip(found.columns, row, strict=True)) for row in found.fetchall()]


def unguarded(text: str) -> str:
    """What the guard of CSV cells was put before."""
    return text[1:] if re.match(r"'+[=+\-@\t\n＝＋－＠]", text) else text
