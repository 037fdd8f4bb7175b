"""Spreadsheets whose formulas were never worked out."""

from __future__ import annotations

import io
from pathlib import Path

from workbooks import xlsx_bytes

from structrag.corpus.loaders import load_bytes


def test_formulas_without_a_stored_result_are_reported() -> None:
    sites = [["site", "staff", "twice"], ["Alder", 4, "=2*B2"], ["Birk", 5, "=2*B3"]]
    document = load_bytes(
        xlsx_bytes({"Notes": [["as text: f(x) = 2"]], "Sites": sites}), Path("sums.xlsx"), "sums.xlsx"
    )
    assert "| Alder | 4 |  |" in document.text
    [warning] = document.warnings
    assert warning.startswith("2 formulas have no stored result and are empty, the first of them Sites!C2:")


def test_a_column_of_nothing_else_is_left_out_and_reported() -> None:
    document = load_bytes(xlsx_bytes({"S": [["a", None], [1, "=A2"]]}), Path("a.xlsx"), "a.xlsx")
    assert "| a |" in document.text
    assert "S!B2" in document.warnings[0]


def test_nothing_is_reported_where_there_is_no_formula() -> None:
    document = load_bytes(xlsx_bytes({"S": [["<f>"], ["f"], [None], ["5"]]}), Path("a.xlsx"), "a.xlsx")
    assert document.warnings == ()


def test_a_stored_result_is_read() -> None:
    data = xlsx_bytes({"S": [["sum"], ["=1+1"]]})
    workbook = io.BytesIO(data)
    # As an office program stores it: the formula, and what it came to.
    worked_out = data_with(workbook, b"<f>1+1</f><v></v>", b"<f>1+1</f><v>2</v>")
    document = load_bytes(worked_out, Path("a.xlsx"), "a.xlsx")
    assert "| 2 |" in document.text
    assert document.warnings == ()


def data_with(archive: io.BytesIO, old: bytes, new: bytes) -> bytes:
    import zipfile

    with zipfile.ZipFile(archive) as before, zipfile.ZipFile(after := io.BytesIO(), "w") as written:
        for name in before.namelist():
            content = before.read(name)
            if name == "xl/worksheets/sheet1.xml":
                assert content.replace(b"<v />", b"<v></v>").count(old) == 1, content
                content = content.replace(b"<v />", b"<v></v>").replace(old, new)
            written.writestr(name, content)
    return after.getvalue()
