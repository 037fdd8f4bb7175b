"""Of a Word document, what its reader cannot see is left out, and nothing else."""

from __future__ import annotations

import io
from collections.abc import Callable
from pathlib import Path

import pytest

from structrag.corpus.loaders import load_bytes

docx = pytest.importorskip("docx")
from docx.enum.text import WD_COLOR_INDEX  # noqa: E402
from docx.oxml import OxmlElement  # noqa: E402
from docx.oxml.ns import qn  # noqa: E402
from docx.shared import Pt, RGBColor  # noqa: E402
from docx.text.run import Run  # noqa: E402

Change = Callable[[Run], None]


def shade(parent: object, fill: str) -> None:
    shading = OxmlElement("w:shd")
    shading.set(qn("w:val"), "clear")
    shading.set(qn("w:fill"), fill)
    parent.append(shading)  # type: ignore[attr-defined]


def white(run: Run) -> None:
    run.font.color.rgb = RGBColor(255, 255, 255)


def white_on_blue(run: Run) -> None:
    white(run)
    shade(run._r.get_or_add_rPr(), "1F3864")


def white_in_a_dark_paragraph(run: Run) -> None:
    white(run)
    shade(run._parent._p.get_or_add_pPr(), "000000")


def white_but_highlighted(run: Run) -> None:
    white(run)
    run.font.highlight_color = WD_COLOR_INDEX.RED


def text_of(document: object, folder: Path) -> tuple[str, str]:
    document.save(buffer := io.BytesIO())  # type: ignore[attr-defined]
    loaded = load_bytes(buffer.getvalue(), folder / "letter.docx", "letter.docx")
    return loaded.text, " ".join(loaded.warnings)


def letter(change: Change, folder: Path) -> tuple[str, str]:
    document = docx.Document()
    paragraph = document.add_paragraph("The fee is ")
    change(paragraph.add_run("nine"))
    paragraph.add_run(" marks.")
    return text_of(document, folder)


@pytest.mark.parametrize(
    "change",
    [
        white,
        lambda run: setattr(run.font, "hidden", True),
        lambda run: setattr(run.font, "size", Pt(1)),
    ],
    ids=["white", "hidden", "tiny"],
)
def test_what_is_not_seen_is_left_out_and_said(change: Change, tmp_path: Path) -> None:
    text, warnings = letter(change, tmp_path)
    assert "nine" not in text
    assert "The fee is" in text
    assert "marks." in text
    assert "left out" in warnings


@pytest.mark.parametrize(
    "change",
    [
        lambda run: None,
        lambda run: setattr(run.font, "hidden", False),
        lambda run: setattr(run.font, "size", Pt(4)),
        lambda run: setattr(run.font.color, "rgb", RGBColor(200, 200, 200)),
        white_on_blue,
        white_in_a_dark_paragraph,
        white_but_highlighted,
    ],
    ids=["plain", "not hidden", "small", "grey", "on blue", "dark paragraph", "highlighted"],
)
def test_what_is_seen_stays(change: Change, tmp_path: Path) -> None:
    text, warnings = letter(change, tmp_path)
    assert "The fee is nine marks." in text
    assert warnings == ""


def test_white_headings_of_a_table_stay(tmp_path: Path) -> None:
    document = docx.Document()
    table = document.add_table(rows=2, cols=2)
    for cell, said in zip(table.rows[0].cells, ("Pump", "Price"), strict=True):
        white(cell.paragraphs[0].add_run(said))
    for cell, said in zip(table.rows[1].cells, ("Gannet", "12"), strict=True):
        cell.text = said
    text, warnings = text_of(document, tmp_path)
    assert "| Pump | Price |" in text
    assert warnings == ""
