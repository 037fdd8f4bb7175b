"""Structures as files: what is read back, where the evidence is, and that no text of a document becomes code."""

import csv
import io
import json
import re
import sys
from datetime import date, datetime
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any
from xml.etree import ElementTree as ET

import duckdb
import networkx as nx
import openpyxl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from markdown_it import MarkdownIt

from structrag.errors import ConfigError, MissingExtraError
from structrag.structures.algorithm import Algorithm
from structrag.structures.algorithm_parse import parse_procedures
from structrag.structures.catalogue import Catalogue
from structrag.structures.catalogue_parse import parse_topics
from structrag.structures.chunk import ChunkSet
from structrag.structures.exports.diagrams import diagram_of
from structrag.structures.exports.export import ExportFormat, export, formats
from structrag.structures.exports.svg import to_svg
from structrag.structures.exports.text import escape_markdown, one_line, plain
from structrag.structures.graph import Fact, KnowledgeGraph
from structrag.structures.serialization import structure_from_dict
from structrag.structures.table_set import Cell, Column, ColumnType, Conflict, Row, Table, TableSet
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


def unguarded(text: str) -> str:
    """What the guard of CSV cells was put before."""
    return text[1:] if re.match(r"'+[=+\-@\t\n＝＋－＠]", text) else text


# Which formats there are.


@pytest.mark.parametrize(
    ("structure", "expected"),
    [
        (STRUCTURES[0], "csv parquet xlsx md json"),
        (STRUCTURES[1], "graphml mermaid svg md json"),
        (STRUCTURES[2], "mermaid graphml svg md json"),
        (STRUCTURES[3], "md csv json"),
        (STRUCTURES[4], "md csv json"),
    ],
    ids=lambda value: str(getattr(value, "type", "")),
)
def test_the_formats_that_fit(structure: Structure, expected: str) -> None:
    assert formats(structure) == tuple(expected.split())


@pytest.mark.parametrize(("structure", "format_"), PAIRS, ids=PAIR_IDS)
def test_every_fitting_format_holds_every_quote_and_its_document(structure: Structure, format_: ExportFormat) -> None:
    content = export(structure, format_)
    assert export(structure, str(format_))[:4] == content[:4]
    shown = shown_text(content, format_)
    for item in structure.evidence():
        assert item.span.document_id in shown
        assert str(item.span.start) in shown
        assert str(item.span.end) in shown
        for line in item.quote.splitlines():
            assert line.strip() in shown, line
    if any(not item.verified for item in structure.evidence()):
        assert re.search(r"unverified|\bFalse\b|\bfalse\b", shown)


def shown_text(content: bytes, format_: ExportFormat) -> str:
    """What a reader of that format sees, all of it."""
    match format_:
        case ExportFormat.PARQUET:
            return str(parquet_rows(content))
        case ExportFormat.XLSX:
            pages = openpyxl.load_workbook(io.BytesIO(content)).worksheets
            return "\n".join(str(row) for page in pages for row in page.iter_rows(values_only=True))
        case ExportFormat.JSON:
            return json.dumps(json.loads(content), ensure_ascii=False).replace('\\"', '"').replace("\\n", "\n")
        case ExportFormat.GRAPHML | ExportFormat.SVG:
            root = ET.fromstring(content)
            return "\n".join(text for part in root.iter() for text in (*part.attrib.values(), part.text or ""))
        case ExportFormat.MD:
            return re.sub(r"\\(.)", r"\1", content.decode())
        case ExportFormat.MERMAID:
            return re.sub(r"#(\d+);", lambda found: chr(int(found[1])), content.decode())
        case _:
            return content.decode()


@pytest.mark.parametrize("format_", ["graphml", "docx", ""])
def test_a_format_that_does_not_fit_is_refused_with_those_that_do(format_: str) -> None:
    with pytest.raises(ConfigError, match=f"'{format_}' is no format for the structure table") as caught:
        export(table_set(), format_)
    assert caught.value.hint == "Use one of: csv, parquet, xlsx, md, json."


def test_png_says_what_to_do_instead() -> None:
    with pytest.raises(ConfigError, match="svg only") as caught:
        export(graph(), ExportFormat.PNG)
    assert "svg" in (caught.value.hint or "")
    with pytest.raises(ConfigError, match="no format for the structure chunk"):
        export(chunks(), ExportFormat.PNG)


@pytest.mark.parametrize("structure", STRUCTURES, ids=lambda structure: str(structure.type))
def test_json_is_read_back_as_the_same_structure(structure: Structure) -> None:
    content = export(structure, "json")
    assert content.isascii()
    assert structure_from_dict(json.loads(content)) == structure


# Tables.


def test_csv_has_the_values_first_and_the_evidence_of_each_behind() -> None:
    content = export(table_set(), "csv")
    header = content.decode().split("\n", 1)[0].split(",")
    assert header[:7] == ["site", "energy", "energy.unit", "opened", "listed", "row.document", "row.is_total"]
    assert header[7:13] == ["site.raw", "site.document", "site.start", "site.end", "site.quote", "site.verified"]
    first, total = rows_of(content)
    assert [first[name] for name in header[:7]] == ["Oslo", "1.95", "MWh", "1998-05-04", "true", "notes/a.md", "false"]
    assert [total[name] for name in header[:7]] == ["Total", "-40", "MWh", "", "", "notes/a.md", "true"]
    assert [first[f"energy.{part}"] for part in ("raw", "quote", "document", "start", "end", "verified")] == [
        *("1,950 kWh", "1,950 kWh", "notes/a.md", "20", "29", "true"),
    ]
    assert total["energy.verified"] == "false"
    assert total["opened.verified"] == ""
    assert total["energy.raw"] == "'-40"


@pytest.mark.parametrize("text", [EVIL, "+1", "-1+2", "@SUM(A1)", "\t=1", "\r\n=1", "'=1", "＝1", "=1\x00"])
def test_no_text_is_a_formula_in_csv(text: str) -> None:
    (row, _) = rows_of(export(table_set(table(site=text)), "csv"))
    for name in ("site", "site.raw", "site.quote"):
        assert row[name].startswith("'")
        assert unguarded(row[name]) == plain(text)


@settings(max_examples=60)
@given(st.text(max_size=20) | st.text(alphabet="'=+-@\t\r\n,\"; 1", max_size=8))
def test_texts_are_read_back_from_csv(text: str) -> None:
    (row, _) = rows_of(export(table_set(table(site=text)), "csv"))
    assert unguarded(row["site"]) == plain(text)
    assert row["site"][:1] not in tuple("=+-@\t\r\n＝＋－＠")


@settings(max_examples=60)
@given(st.floats(allow_nan=False, allow_infinity=False) | st.integers(-(10**15), 10**15))
def test_numbers_are_read_back_from_csv(number: float) -> None:
    column = Column("n", "N", ColumnType.NUMBER)
    only = Table("t", "T", (column,), (Row("a", (Cell("", number),)),))
    (row,) = rows_of(export(table_set(only), "csv"))
    assert float(row["n"]) == number
    assert not row["n"].endswith(".0")


def parquet_rows(content: bytes) -> list[dict[str, Any]]:
    with TemporaryDirectory() as folder, duckdb.connect() as database:
        path = Path(folder) / "sheet.parquet"
        path.write_bytes(content)
        found = database.read_parquet(str(path))
        return [dict(zip(found.columns, row, strict=True)) for row in found.fetchall()]


def test_parquet_keeps_types() -> None:
    first, total = parquet_rows(export(table_set(table(site=EVIL)), "parquet"))
    assert [first[name] for name in ("site", "energy", "energy.unit", "opened", "listed")] == [
        *(EVIL, 1.95, "MWh", date(1998, 5, 4), True),
    ]
    assert (first["opened.start"], first["opened.end"], first["opened.verified"]) == (40, 50, True)
    assert (total["energy"], total["energy.verified"], total["opened"], total["opened.start"]) == (
        -40,
        False,
        None,
        None,
    )
    assert total["row.is_total"] is True


def test_xlsx_has_a_sheet_for_each_table_and_real_values() -> None:
    both = table_set(table(), table("s" * 40), table("S" * 40), table("[a]:b*"))
    workbook = openpyxl.load_workbook(io.BytesIO(export(both, "xlsx")))
    assert workbook.sheetnames == ["sites", "s" * 31, "S" * 29 + " 2", "a  b"]
    head, first, total = workbook["sites"].iter_rows(values_only=True)
    row = dict(zip(head, first, strict=True))
    assert [row[name] for name in ("site", "energy", "opened", "listed")] == ["Oslo", 1.95, datetime(1998, 5, 4), True]
    assert (row["energy.raw"], row["energy.start"], row["energy.verified"]) == ("1,950 kWh", 20, True)
    assert dict(zip(head, total, strict=True))["opened"] is None


@pytest.mark.parametrize("text", [EVIL, "=1+1", "#N/A", "-2+3", "@x", "\x0b=1\x1f"])
def test_no_text_is_a_formula_in_xlsx(text: str) -> None:
    workbook = openpyxl.load_workbook(io.BytesIO(export(table_set(table(site=text)), "xlsx")))
    cells = [cell for row in workbook["sites"].iter_rows() for cell in row]
    assert {cell.data_type for cell in cells} <= {"s", "inlineStr", "n", "d", "b"}
    assert workbook["sites"]["A2"].value == plain(text)
    assert workbook["sites"]["A2"].data_type == "s"


def test_xlsx_writes_as_text_what_excel_cannot_count() -> None:
    columns = (Column("opened", "Opened", ColumnType.DATE), Column("n", "N", ColumnType.NUMBER))
    cells = (Cell("1848", date(1848, 3, 1)), Cell("9" * 400, float("inf")))
    workbook = openpyxl.load_workbook(
        io.BytesIO(export(table_set(Table("t", "T", columns, (Row("a", cells),))), "xlsx"))
    )
    assert [workbook["t"]["A2"].value, workbook["t"]["B2"].value] == ["1848-03-01", "inf"]


def test_xlsx_without_its_package_names_the_extra(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "openpyxl", None)
    with pytest.raises(MissingExtraError, match="openpyxl") as caught:
        export(table_set(), "xlsx")
    assert "structrag[formats]" in (caught.value.hint or "")


@pytest.mark.parametrize("format_", ["csv", "parquet"])
def test_one_of_several_tables_has_to_be_chosen(format_: str) -> None:
    both = table_set(table(), table("plants", site="Graz"))
    with pytest.raises(ConfigError, match="2 tables") as caught:
        export(both, format_)
    assert "sites, plants" in (caught.value.hint or "")
    content = export(both, format_, table="plants")
    rows = parquet_rows(content) if format_ == "parquet" else rows_of(content)
    assert [row["site"] for row in rows] == ["Graz", "Total"]


def test_only_the_chosen_table_is_written_whatever_the_format() -> None:
    conflict = Conflict("sites", "Oslo", "energy", (Cell("1", 1.0), Cell("2", 2.0)))
    both = TableSet((table(), table("plants")), ("a",), ("a",), (conflict,))
    assert structure_from_dict(json.loads(export(both, "json", table="plants"))) == TableSet(
        (table("plants"),), ("a",), ("a",)
    )
    with pytest.raises(ConfigError, match="no table 'mills'") as caught:
        export(both, "json", table="mills")
    assert "sites, plants" in (caught.value.hint or "")
    with pytest.raises(ConfigError, match="graph has no tables"):
        export(graph(), "json", table="sites")
    with pytest.raises(ConfigError, match="no table"):
        export(TableSet(()), "csv")


# Lists.


def test_a_catalogue_as_csv_has_its_tree_as_paths() -> None:
    rows = rows_of(export(catalogue(), "csv"))
    assert [(row["kind"], row["level"], row["path"], row["text"]) for row in rows] == [
        ("topic", "0", "Pumps", "Pumps"),
        ("member", "0", "Pumps", "They hum."),
        ("topic", "1", "Pumps > Large ones", "Large ones"),
        ("member", "1", "Pumps > Large ones", "Fjord 80"),
        ("member", "1", "Pumps > Large ones", "Fjord 600"),
        ("unplaced", "", "", ""),
    ]
    assert (rows[1]["document"], rows[1]["quote"], rows[1]["verified"]) == ("pumps.md", "They hum.", "true")
    assert rows[5]["document"] == "silent.md"


def test_chunks_as_csv_are_ranked() -> None:
    rows = rows_of(export(chunks("=1\nx"), "csv"))
    assert [(row["rank"], row["score"], row["title"], row["quote"]) for row in rows] == [
        ("1", "0.03279", "Pumps", "'=1\nx"),
        ("2", "0.5", "B", "x"),
    ]


# Markdown.


def rendered(markdown: str) -> str:
    return str(MarkdownIt("commonmark").enable(["table", "strikethrough"]).render(markdown))


def test_markdown_of_a_table() -> None:
    conflict = Conflict("sites", "Oslo", "energy", (Cell("1", 1.0, evidence("1")), Cell("2|3", 2.0)))
    text = export(TableSet((table(),), ("a", "b"), ("a",), (conflict,)), "md").decode()
    assert text.splitlines()[:5] == [
        "## Our sites",
        "",
        r"| Site | Energy used \[MWh\] | Opened | Listed |",
        "| --- | --- | --- | --- |",
        "| Oslo[^1] | 1,950 kWh[^2] | 4 May 1998[^3] | yes[^4] |",
    ]
    assert r"| Total[^5] | \-40[^6] (unverified) |  |  |" in text
    assert r"Conflict: energy of Oslo is 1[^7] or 2\|3." in text
    assert "Rows from 1 of 2 documents." in text
    assert "[^2]: notes/a.md, characters 20–29: “1,950 kWh”\n" in text
    assert text.endswith("“1”\n")
    assert "(unverified)" in next(line for line in text.splitlines() if line.startswith("[^6]:"))


def test_markdown_of_the_others() -> None:
    assert export(graph(), "md").decode().splitlines()[2:5] == [
        "- **Katrin Moor** —leads→ **Alder**[^1]",
        "- **Alder** —owns→ **Birk**[^2] (unverified)",
        "- **Katrin Moor** —founded→ **Alder**[^3]",
    ]
    assert "- K. Moor: Katrin Moor" in export(graph(), "md").decode()
    assert export(algorithm(), "md").decode().splitlines()[:13] == [
        *("## Manual", "", "Before:", "", "- Be calm.[^1]", "- Wear gloves.[^2]", ""),
        "- **1** Is it hot? If yes, go to 3. If no, stop and call Ann.[^3]",
        "  - yes: step 3 (go to 3.)",
        "  - no: stop and call Ann.",
        "- **2** Wait.[^4]",
        "- **3** Open the lid. If it smokes, run.[^5]",
        "  - it smokes: run.",
    ]
    assert "## Documents without steps\n\n- silent.md\n" in export(algorithm(), "md").decode()
    assert export(catalogue(), "md").decode().splitlines()[:5] == [
        *(
            "- **Pumps**[^1]",
            "  - They hum.[^2]",
            "  - **Large ones**[^3]",
            "    - Fjord 80[^4]",
            "    - Fjord 600[^5]",
        ),
    ]
    assert export(chunks(), "md").decode().splitlines()[:5] == [
        *("## 1. Pumps[^1] (score 0.03279)", "", "> The pump hums.", ">", "> It is in the hall."),
    ]


@settings(max_examples=150)
@given(st.text(max_size=30) | st.text(alphabet="\\`*_{}[]<>()#|~&$!@:;/=+-.1aw \n\x1b", max_size=14))
def test_escaped_markdown_shows_the_text_and_nothing_else(text: str) -> None:
    parser = MarkdownIt("commonmark").enable(["table", "strikethrough"])
    tokens = parser.parse(f"- {escape_markdown(text)}")
    names = ["bullet_list_open", "list_item_open", "paragraph_open", "inline"] if one_line(text) else []
    assert [token.type for token in tokens][:4][: len(names)] == names
    assert sum(token.type.endswith("_open") for token in tokens) == (3 if names else 2)
    children = [child for token in tokens for child in token.children or ()]
    assert {child.type for child in children} <= {"text"}
    assert "".join(child.content for child in children) == one_line(text)


@pytest.mark.parametrize("address", ["http://evil.example/x", "https://evil.example", "www.evil.example", "a@evil.com"])
def test_an_address_becomes_no_link(address: str) -> None:
    parser = MarkdownIt("commonmark", {"linkify": True}).enable("linkify")
    assert parser.linkify is not None
    parser.linkify.set({"fuzzy_link": False})
    assert "<a" in parser.render(f"see {address.replace('www.', 'http://')}")
    assert "<a" not in parser.render(f"see {escape_markdown(address)}")


@pytest.mark.parametrize("structure", [table_set(table(site=HOSTILE)), graph(HOSTILE), chunks(HOSTILE)])
def test_hostile_text_stays_text_in_markdown(structure: Structure) -> None:
    page = rendered(export(structure, "md").decode())
    assert "<script" not in page
    assert "<a" not in page
    assert "<code" not in page
    assert "<strong>d</strong>" not in page
    assert "\x1b" not in page


# Graphs and procedures.


def read_graphml(content: bytes) -> "nx.MultiDiGraph[str]":
    found = nx.read_graphml(io.BytesIO(content), force_multigraph=True)
    assert isinstance(found, nx.MultiDiGraph)
    return found


NAMES = st.text(max_size=6)
FACTS = st.builds(
    lambda head, relation, tail, start, verified: Fact(
        head, relation, tail, f"{head} {tail}", evidence(relation, start, verified=verified)
    ),
    *(NAMES, NAMES, NAMES, st.integers(0, 99), st.booleans()),
)


@settings(max_examples=50)
@given(st.lists(FACTS, max_size=4))
def test_graphml_is_read_back_by_networkx(facts: list[Fact]) -> None:
    network = read_graphml(export(KnowledgeGraph(tuple(facts)), "graphml"))
    assert set(network) == {plain(name) for fact in facts for name in (fact.head, fact.tail)}
    found = [(head, tail, *told.items()) for head, tail, told in network.edges(data=True)]
    expected = [
        (
            *(plain(fact.head), plain(fact.tail)),
            *[("label", plain(fact.relation))] * bool(plain(fact.relation)),
            ("statement", plain(fact.statement)),
            *(("document", "notes/a.md"), ("start", fact.evidence.span.start), ("end", fact.evidence.span.end)),
            *(("quote", plain(fact.relation)), ("verified", fact.evidence.verified)),
        )
        for fact in facts
    ]
    assert sorted(map(sorted_told, found)) == sorted(map(sorted_told, expected))


def sorted_told(edge: tuple[Any, ...]) -> tuple[Any, ...]:
    return edge[0], edge[1], sorted((name, str(value)) for name, value in edge[2:])


def test_graphml_of_a_graph_has_its_other_names() -> None:
    network = read_graphml(export(graph(), "graphml"))
    assert network.nodes["Katrin Moor"] == {"label": "Katrin Moor", "kind": "name", "aliases": "K. Moor"}
    assert network.number_of_edges("Katrin Moor", "Alder") == 2


def test_a_procedure_as_nodes_and_edges() -> None:
    network = read_graphml(export(algorithm(), "graphml"))
    kinds = {name: told["kind"] for name, told in network.nodes(data=True)}
    assert kinds == {
        "1:before 1": "prerequisite",
        "1:before 2": "prerequisite",
        "1:1": "decision",
        "1:1:2": "outcome",
        "1:2": "step",
        "1:3": "decision",
        "1:3:1": "outcome",
    }
    edges = {(source, target): told.get("label", "") for source, target, told in network.edges(data=True)}
    assert edges == {
        ("1:before 1", "1:1"): "before",
        ("1:before 2", "1:1"): "before",
        ("1:1", "1:3"): "yes",
        ("1:1", "1:1:2"): "no",
        ("1:1", "1:2"): "",
        ("1:2", "1:3"): "",
        ("1:3", "1:3:1"): "it smokes",
    }
    assert network.nodes["1:1:2"]["label"] == "stop and call Ann."
    assert network.nodes["1:2"]["number"] == "2"
    assert network.nodes["1:2"]["procedure"] == "Manual"
    assert MANUAL[network.nodes["1:2"]["start"] : network.nodes["1:2"]["end"]] == network.nodes["1:2"]["quote"]


def test_steps_of_several_procedures_stay_apart() -> None:
    one = parse_procedures(SourceDocument("a", "A", "1. Fill.\n2. Boil.\n", "1"))
    other = parse_procedures(SourceDocument("b", "B", "1. Dig.\n2. Sow.\n", "2"))
    network = read_graphml(export(Algorithm((*one, *other)), "graphml"))
    assert set(network.edges()) == {("1:1", "1:2"), ("2:1", "2:2")}


LABEL = r'"(?:[^\W_]|[ ,]|#\d+;)*"'
NODE_LINE = re.compile(rf"  n\d+(?:\[{LABEL}\]|\{{{LABEL}\}}|\(\[{LABEL}\]\))")
EDGE_LINE = re.compile(rf"  n\d+ -->(?:\|{LABEL}\|)? n\d+")
COMMENT_LINE = re.compile(r"%% n\d+(?: to n\d+)?: [^%{}\n]*")


@settings(max_examples=80)
@given(st.text(max_size=20) | st.text(alphabet='"]}|>-;%{}#&<`\n\u2028 endclick:', max_size=16))
def test_every_line_of_mermaid_is_ours(text: str) -> None:
    facts = (Fact(text, text, f"{text}x", text, evidence(text, document=text)),)
    head, *lines = export(KnowledgeGraph(facts, {text: text}), "mermaid").decode().splitlines()
    assert head == "flowchart LR"
    for line in lines:
        assert NODE_LINE.fullmatch(line) or EDGE_LINE.fullmatch(line) or COMMENT_LINE.fullmatch(line), line
    label = lines[0].removeprefix('  n0["').removesuffix('"]')
    assert re.sub(r"#(\d+);", lambda found: chr(int(found[1])), label).strip() == one_line(text)


def test_mermaid_of_a_procedure() -> None:
    assert export(algorithm("1. Hot? If yes, go to 1. If no, run.\n2. Wait.\n"), "mermaid").decode().splitlines() == [
        "flowchart TD",
        '  n0{"1#46; Hot#63; If yes, go to 1#46; If no, run#46;"}',
        '  n1(["run#46;"])',
        '  n2["2#46; Wait#46;"]',
        '  n0 -->|"yes"| n0',
        '  n0 -->|"no"| n1',
        "%% n0: number: 1; manual.md, characters 0–36, verified: “1. Hot? If yes, go to 1. If no, run.”",
        "%% n1: manual.md, characters 0–36, verified: “1. Hot? If yes, go to 1. If no, run.”",
        "%% n2: number: 2; manual.md, characters 37–45, verified: “2. Wait.”",
        "%% n0 to n0: outcome: go to 1.; manual.md, characters 0–36, verified: “1. Hot? If yes, go to 1. If no, run.”",
        "%% n0 to n1: manual.md, characters 0–36, verified: “1. Hot? If yes, go to 1. If no, run.”",
    ]


SVG = "{http://www.w3.org/2000/svg}"


def svg_of(structure: Structure) -> ET.Element:
    return ET.fromstring(export(structure, "svg"))


def groups(picture: ET.Element, kind: str) -> list[ET.Element]:
    return [group for group in picture.iter(f"{SVG}g") if kind in group.attrib["class"].split()]


def test_svg_draws_every_node_and_edge_with_its_evidence() -> None:
    picture = svg_of(graph())
    assert len(groups(picture, "name")) == 3
    first, owns, _ = groups(picture, "edge")
    assert first.attrib["data-quote"] == "Katrin Moor leads Alder."
    assert [first.attrib[f"data-{part}"] for part in ("document", "start", "end", "verified")] == [
        *("notes/a.md", "3", "27", "true"),
    ]
    assert "unverified" in owns.attrib["class"].split()
    assert owns.findtext(f"{SVG}title", "").endswith("unverified: “Alder owns Birk.”")
    paths = [group.find(f"{SVG}path") for group in groups(picture, "edge")]
    assert len({path.attrib["d"] for path in paths if path is not None}) == 3


def test_svg_of_procedures_has_a_title_for_each() -> None:
    two = Algorithm((*algorithm().procedures, *algorithm("1. Dig.\n2. Sow.\n").procedures))
    picture = svg_of(two)
    assert [group.findtext(f"{SVG}text") for group in groups(picture, "title")] == ["Manual", "Manual"]
    assert len(groups(picture, "outcome")) == 2
    assert len(groups(picture, "edge")) == len(diagram_of(two).edges) == 8


def test_the_same_graph_gives_the_same_picture() -> None:
    assert export(graph(), "svg") == export(graph(), "svg")


@pytest.mark.parametrize("structure", [graph(HOSTILE, relation=HOSTILE), algorithm(f"1. {HOSTILE}"), graph("A", "A")])
def test_hostile_text_stays_text_in_svg(structure: Structure) -> None:
    content = export(structure, "svg")
    assert b"\x1b" not in content
    tags = {part.tag.removeprefix(SVG) for part in ET.fromstring(content).iter()}
    assert tags <= {"svg", "style", "defs", "marker", "path", "rect", "g", "title", "text"}


def boxes(picture: ET.Element) -> list[tuple[float, float, float, float]]:
    found = [rect for group in picture.iter(f"{SVG}g") for rect in group.iter(f"{SVG}rect")]
    return [
        (float(r.attrib["x"]), float(r.attrib["y"]), float(r.attrib["width"]), float(r.attrib["height"])) for r in found
    ]


@settings(max_examples=20)
@given(st.lists(st.tuples(st.integers(0, 9), st.integers(0, 9)), min_size=1, max_size=14))
def test_no_two_boxes_of_a_picture_overlap_and_all_are_on_it(pairs: list[tuple[int, int]]) -> None:
    facts = [Fact(f"name {a}", "to", f"name {b}", "", evidence("x")) for a, b in pairs]
    picture = svg_of(KnowledgeGraph(tuple(facts)))
    left, top, width, height = map(float, picture.attrib["viewBox"].split())
    found = boxes(picture)
    assert len(found) == len({name for fact in facts for name in (fact.head, fact.tail)})
    for number, (x, y, w, h) in enumerate(found):
        assert left < x
        assert x + w < left + width
        assert top < y
        assert y + h < top + height
        for x2, y2, w2, h2 in found[:number]:
            assert x + w <= x2 or x2 + w2 <= x or y + h <= y2 or y2 + h2 <= y


def test_a_graph_too_large_to_be_read_is_not_drawn() -> None:
    facts = tuple(Fact("hub", "to", f"name {number}", "", evidence("x")) for number in range(400))
    with pytest.raises(ConfigError, match="401 nodes are too many") as caught:
        to_svg(diagram_of(KnowledgeGraph(facts)))
    assert "graphml" in (caught.value.hint or "")
