"""Render the binary documents of the sample corpora from their text sources.

    python corpora/render.py [NAME ...]      (default: every corpus beside this script)

corpora/NAME/sources/X.pdf.md, X.docx.md and X.xlsx.csv become corpora/NAME/documents/X.pdf, X.docx and X.xlsx.
Markdown understood: # to #### headings, paragraphs, "1." and "-" lists, pipe tables, and a line
"---pagebreak---" alone. A csv starts a new sheet at each line "# sheet: NAME". Dates are fixed, so a re-render is
byte-identical with the same library versions.
"""

import argparse
import csv
import io
import re
import zipfile
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path

HERE = Path(__file__).resolve().parent
WHEN = datetime(2025, 1, 1)
PAGE_BREAK = "---pagebreak---"
ASCII = {
    "€": "EUR",
    "‘": "'",
    "’": "'",
    "“": '"',
    "”": '"',
    "–": "-",
    "—": "-",
    "−": "-",
    "…": "...",
    "•": "-",
    "\u2009": " ",
    "\u202f": " ",
    "≥": ">=",
    "≤": "<=",
    "→": "->",
    "Ω": "ohm",
}
ITEM = re.compile(r"^\s*(?:(\d+)[.)]|[-*])\s+(.*)$")


@dataclass
class Block:
    """One piece of a document."""

    kind: str  # heading, paragraph, number, bullet, table or break
    text: str = ""
    level: int = 0  # heading level, or the number of a numbered item
    rows: list[list[str]] = field(default_factory=list)


def parse(markdown: str) -> Iterator[Block]:
    """Split the small Markdown subset into blocks; a document starts with its title as a # heading."""
    pending: Block | None = None
    for raw in [*markdown.splitlines(), ""]:
        line = raw.strip()
        item = ITEM.match(line)
        is_row, heading = line.startswith("|"), re.match(r"^(#{1,4})\s+(.*)$", line)
        if pending and (not line or item or heading or line == PAGE_BREAK or is_row != (pending.kind == "table")):
            yield pending
            pending = None
        if line == PAGE_BREAK:
            yield Block("break")
        elif heading:
            yield Block("heading", heading[2], len(heading[1]))
        elif is_row:
            cells = [cell.strip() for cell in line.strip("|").split("|")]
            pending = pending or Block("table")
            if not all(re.fullmatch(r":?-{2,}:?", cell) for cell in cells):
                pending.rows.append(cells)
        elif item:
            pending = Block("number", item[2], int(item[1])) if item[1] else Block("bullet", item[2])
        elif pending:
            pending.text += " " + line
        elif line:
            pending = Block("paragraph", line)


def latin(text: str) -> str:
    """Text that the core PDF fonts can show: typographic characters mapped, bold marks dropped."""
    text = "".join(ASCII.get(char, char) for char in text.replace("**", ""))
    return re.sub(r"EUR(?=\d)", "EUR ", text).encode("latin-1", "replace").decode("latin-1")


def render_pdf(source: Path, target: Path) -> None:
    """Markdown to an A4 PDF with real text."""
    from fpdf import FPDF

    blocks = list(parse(source.read_text(encoding="utf-8")))
    pdf = FPDF()
    pdf.set_creation_date(WHEN.replace(tzinfo=UTC))
    pdf.set_title(latin(blocks[0].text))
    pdf.set_margin(22)
    pdf.add_page()

    def write(text: str, size: int, style: str = "", indent: float = 0, after: float = 2) -> None:
        pdf.set_font("Helvetica", style, size)
        pdf.set_x(pdf.l_margin + indent)
        pdf.multi_cell(0, size * 0.5, latin(text), align="L", new_x="LMARGIN", new_y="NEXT")
        pdf.ln(after)

    for block in blocks:
        if block.kind == "break":
            pdf.add_page()
        elif block.kind == "heading":
            write(block.text, 20 - 3 * block.level, "B")
        elif block.kind == "paragraph":
            write(block.text, 11)
        elif block.kind != "table":
            write(f"{f'{block.level}.' if block.level else '-'} {block.text}", 11, indent=5, after=1)
        else:
            pdf.set_font("Helvetica", "", 10)
            with pdf.table([list(map(latin, row)) for row in block.rows], line_height=6, text_align="LEFT"):
                pass
            pdf.ln(3)
    pdf.output(str(target))


def render_docx(source: Path, target: Path) -> None:
    """Markdown to a Word document with heading styles, lists that restart, and real tables."""
    from docx import Document
    from docx.enum.text import WD_BREAK

    document, blocks = Document(), list(parse(source.read_text(encoding="utf-8")))
    properties = document.core_properties
    properties.title, properties.author, properties.comments = blocks[0].text, "", ""
    properties.created = properties.modified = WHEN

    numbering = document.part.numbering_part.element
    num_id, previous = document.styles["List Number"].element.pPr.numPr.numId.val, ""
    abstract = numbering.num_having_numId(num_id).abstractNumId.val
    for block in blocks:
        if block.kind == "heading":
            document.add_heading(block.text, level=block.level)
        elif block.kind == "break":
            document.add_paragraph().add_run().add_break(WD_BREAK.PAGE)
        elif block.kind == "table":
            table = document.add_table(0, max(map(len, block.rows)), "Table Grid")
            for row in block.rows:
                for cell, text in zip(table.add_row().cells, row, strict=False):
                    cell.text = text
        else:
            style = {"number": "List Number", "bullet": "List Bullet"}.get(block.kind)
            paragraph = document.add_paragraph(block.text.replace("**", ""), style)
            if block.kind == "number":
                if previous != "number" or block.level == 1:  # a new list: restart the numbering
                    num = numbering.add_num(abstract)
                    num.add_lvlOverride(ilvl=0).add_startOverride(block.level)
                    num_id = num.numId
                number = paragraph._p.get_or_add_pPr().get_or_add_numPr()
                number.get_or_add_ilvl().val, number.get_or_add_numId().val = 0, num_id
        previous = block.kind
    document.save(buffer := io.BytesIO())
    write_zip(buffer, target)


def render_xlsx(source: Path, target: Path) -> None:
    """CSV to a workbook; numbers become numeric cells."""
    from openpyxl import Workbook

    sheets: dict[str, list[list[str]]] = {}
    name = "Sheet1"
    for row in csv.reader(io.StringIO(source.read_text(encoding="utf-8"))):
        if row and row[0].startswith("# sheet:"):
            name = ",".join(row).removeprefix("# sheet:").strip()
        elif row:
            sheets.setdefault(name, []).append(row)
    workbook = Workbook()
    for name, rows in sheets.items():
        sheet = workbook.create_sheet(name)
        for row in rows:
            sheet.append([number_or_text(cell.strip()) for cell in row])
    del workbook["Sheet"]
    workbook.properties.creator, workbook.properties.created = "", WHEN
    workbook.save(buffer := io.BytesIO())
    write_zip(buffer, target)


def number_or_text(cell: str) -> int | float | str | None:
    """A cell's value; codes with a leading zero stay text."""
    is_number = re.fullmatch(r"-?(0|[1-9]\d*)(\.\d+)?", cell)
    return (float(cell) if "." in cell else int(cell)) if is_number else cell or None


def write_zip(data: io.BytesIO, target: Path) -> None:
    """Write an Office file again with fixed dates, in its entries and in its core properties."""
    with zipfile.ZipFile(data) as old, zipfile.ZipFile(target, "w") as new:
        for name in old.namelist():
            body = old.read(name)
            if name == "docProps/core.xml":
                body = re.sub(rb"(<dcterms:modified[^>]*>)[^<]*", rb"\g<1>" + b"2025-01-01T00:00:00Z", body)
            new.writestr(zipfile.ZipInfo(name, (2025, 1, 1, 0, 0, 0)), body, zipfile.ZIP_DEFLATED)


RENDERERS = {".pdf.md": render_pdf, ".docx.md": render_docx, ".xlsx.csv": render_xlsx}


def main(argv: list[str] | None = None) -> None:
    """Render the named corpora, or all of them."""
    parser = argparse.ArgumentParser(description="Render sources/*.pdf.md, *.docx.md and *.xlsx.csv into documents/.")
    parser.add_argument("names", nargs="*", metavar="NAME", help="corpus folders (default: all)")
    for name in parser.parse_args(argv).names or sorted(path.parent.name for path in HERE.glob("*/sources")):
        (HERE / name / "documents").mkdir(exist_ok=True)
        for source in sorted((HERE / name / "sources").iterdir()):
            for ending, render in RENDERERS.items():
                if source.name.endswith(ending):
                    render(source, HERE / name / "documents" / source.stem)
                    print(f"{name}: {source.stem}")


if __name__ == "__main__":
    main()
