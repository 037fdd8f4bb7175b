"""Structures as files: which formats there are, where the evidence is, and that no text of a document becomes markup."""

import io
import json
import re
from xml.etree import ElementTree as ET

import openpyxl
import pytest
from export_structures import (
    HOSTILE,
    PAIR_IDS,
    PAIRS,
    STRUCTURES,
    algorithm,
    catalogue,
    chunks,
    evidence,
    graph,
    parquet_rows,
    table,
    table_set,
)
from hypothesis import given, settings
from hypothesis import strategies as st
from markdown_it import MarkdownIt

from structrag.errors import ConfigError
from structrag.structures.exports.export import ExportFormat, export, formats
from structrag.structures.exports.text import escape_markdown, one_line
from structrag.structures.serialization import structure_from_dict
from structrag.structures.table_set import Cell, Conflict, TableSet
from structrag.types import Structure

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
