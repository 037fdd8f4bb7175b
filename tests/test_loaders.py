"""Every format becomes canonical text, and every broken file a DocumentError that says what to do."""

from __future__ import annotations

import datetime
import io
import os
import subprocess
import sys
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from workbooks import xlsx_bytes

from structrag.corpus import loaders, office
from structrag.corpus.loaders import SUPPORTED_SUFFIXES, load_bytes, load_file
from structrag.corpus.markup import parse_tables
from structrag.errors import DocumentError, MissingExtraError, UnsupportedDocumentError
from structrag.types import SourceDocument


def load(tmp_path: Path, name: str, data: str | bytes) -> SourceDocument:
    path = tmp_path / name
    path.write_bytes(data.encode() if isinstance(data, str) else data)
    return load_file(path, name)


def cells(document: SourceDocument) -> list[list[str]]:
    (table,) = parse_tables(document.text)
    return [[cell.text for cell in row] for row in (table.header, *table.rows)]


def located(document: SourceDocument) -> dict[str, str]:
    return {locator.label: document.text[locator.start : locator.end] for locator in document.locators}


def docx_bytes(*, title: str = "Duty roster") -> bytes:
    import docx

    document = docx.Document()
    document.add_heading(title, 0)
    document.add_paragraph("Who has snake_case * duty.")
    document.add_paragraph("Open up", style="List Number")
    table = document.add_table(2, 2)
    for row, texts in zip(table.rows, [("Name", "Shift"), ("Ann|a\nMoor", "late")], strict=True):
        for cell, text in zip(row.cells, texts, strict=True):
            cell.text = text
    document.save(buffer := io.BytesIO())
    return buffer.getvalue()


def pdf_bytes(*, text: bool = True, password: str = "") -> bytes:
    from fpdf import FPDF

    pdf = FPDF()
    pdf.add_page()
    pdf.set_font("Helvetica", "", 11)
    if text:
        pdf.multi_cell(0, 6, "Annual report\nBefore the table.", new_x="LMARGIN", new_y="NEXT")
        with pdf.table([["Name", "Value"], ["a|b", "two\nlines"]]):
            pass
        pdf.multi_cell(0, 6, "After the table.")
        pdf.add_page()
        pdf.add_page()
        pdf.multi_cell(0, 6, "Page three.")
    if password:
        pdf.set_encryption(owner_password="owner", user_password=password)
    return bytes(pdf.output())


class TestText:
    def test_text_is_kept_as_it_is(self, tmp_path: Path) -> None:
        document = load(tmp_path, "a.md", "# Ünder \r\nOne\rtwo\n| a |\n")
        assert document.text == "# Ünder \nOne\ntwo\n| a |\n"
        assert (document.id, document.title, document.warnings) == ("a.md", "Ünder", ())
        assert document.source == str(tmp_path / "a.md")

    @pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16"])
    def test_encodings(self, tmp_path: Path, encoding: str) -> None:
        document = load(tmp_path, "a.txt", "Größe 5 €\n".encode(encoding))
        assert (document.text, document.warnings) == ("Größe 5 €\n", ())

    def test_windows_1252_is_read_with_a_warning(self, tmp_path: Path) -> None:
        document = load(tmp_path, "a.txt", "Größe 5 €".encode("cp1252"))
        assert document.text == "Größe 5 €"
        assert "Windows-1252" in document.warnings[0]

    @pytest.mark.parametrize("data", [b"a\0b", b"\x89PNG\x81\x8d", b"\xff\xfea", "a\0b".encode("utf-16")])
    def test_binary_is_refused(self, tmp_path: Path, data: bytes) -> None:
        with pytest.raises(DocumentError, match=r"a\.txt is not text"):
            load(tmp_path, "a.txt", data)

    @pytest.mark.parametrize(
        ("name", "text", "title"),
        [
            ("a.md", "Intro\n\n## **The heading**\n", "The heading"),
            ("a.txt", "\n---\nA short line.\n\nMore", "A short line."),
            ("annual_report-2024.txt", "x" * 81, "Annual report 2024"),
            ("the-table.md", "| a | b |\n| - | - |\n", "The table"),
        ],
    )
    def test_title(self, tmp_path: Path, name: str, text: str, title: str) -> None:
        assert load(tmp_path, name, text).title == title


class TestDelimited:
    def test_csv_becomes_a_table_with_rows(self, tmp_path: Path) -> None:
        document = load(tmp_path, "spare-parts.csv", 'part,note\nA1,"two\nlines, a|b"\n\nA2,\n')
        assert cells(document) == [["part", "note"], ["A1", "two lines, a|b"], ["A2", ""]]
        assert located(document)["row 2"] == "| A1 | two lines, a\\|b |"
        assert [locator.label for locator in document.locators] == ["row 1", "row 2", "row 4"]
        assert document.title == "Spare parts"

    @pytest.mark.parametrize(
        ("text", "row"),
        [
            ("a;b\n1,5;2,5\n", ["1,5", "2,5"]),
            ("a\tb\n1\t2, 3\n", ["1", "2, 3"]),
            ("a|b\n1|2\n", ["1", "2"]),
            ('a,b\nx,"y; z; w; v"\n', ["x", "y; z; w; v"]),
            ("name\nAlder\n", ["Alder"]),
        ],
    )
    def test_delimiter_is_found(self, tmp_path: Path, text: str, row: list[str]) -> None:
        assert cells(load(tmp_path, "a.csv", text))[1] == row

    def test_tsv_prefers_tabs(self, tmp_path: Path) -> None:
        assert cells(load(tmp_path, "a.tsv", "a,b\tc,d\n1,2\t3,4\n"))[1] == ["1,2", "3,4"]

    def test_longer_rows_lose_nothing_and_are_reported(self, tmp_path: Path) -> None:
        document = load(tmp_path, "a.csv", "a,b\n1,2\n1,2,3\n1\n")
        assert cells(document)[2:] == [["1", "2", "3"], ["1", "", ""]]
        assert document.warnings == ("1 rows have more cells than the header, the first of them row 3.",)

    def test_broken_quotes_are_reported(self, tmp_path: Path) -> None:
        with pytest.raises(DocumentError, match=r"a\.csv cannot be read as rows"):
            load(tmp_path, "a.csv", 'a,b\n"' + "x" * 200_000)


class TestJson:
    def test_flat_objects_become_a_table(self, tmp_path: Path) -> None:
        document = load(tmp_path, "a.json", '[{"a": 1, "b": null}, {"b": "x\\u0000", "c": true, "a": 2.50}]')
        assert cells(document) == [["a", "b", "c"], ["1", "", ""], ["2.5", "x\ufffd", "true"]]
        assert located(document)["row 2"].startswith("| 2.5 |")
        assert set(located(document)) == {"row 1", "row 2"}

    def test_lines_become_a_table(self, tmp_path: Path) -> None:
        document = load(tmp_path, "a.jsonl", '{"a": 1}\n\n{"a": 2}\n')
        assert cells(document) == [["a"], ["1"], ["2"]]

    def test_anything_else_is_indented(self, tmp_path: Path) -> None:
        document = load(tmp_path, "deep-data.json", '{"ü": [1, {"b": 2}]}')
        assert document.text.startswith('{\n  "ü": [\n    1,')
        assert document.title == "Deep data"

    def test_lone_surrogates_can_be_stored(self, tmp_path: Path) -> None:
        assert "\ufffd" in load(tmp_path, "a.json", '{"a": ["\\ud800"]}').text

    @pytest.mark.parametrize(
        ("name", "text", "place"),
        [
            ("a.json", '{\n  "a": ,\n}', "line 2, column 8"),
            ("a.jsonl", '{"a": 1}\n\n{"a" 2}', "line 3, column 6"),
        ],
    )
    def test_broken_json_is_located(self, tmp_path: Path, name: str, text: str, place: str) -> None:
        with pytest.raises(DocumentError, match=place):
            load(tmp_path, name, text)

    @pytest.mark.parametrize("text", ["[" * 200_000, "[" + "9" * 10_000 + "]"], ids=["nesting", "digits"])
    def test_json_bombs_are_refused(self, tmp_path: Path, text: str) -> None:
        with pytest.raises(DocumentError, match="beyond what can be read"):
            load(tmp_path, "a.json", text)


class TestHtml:
    def test_page_becomes_markdown(self, tmp_path: Path) -> None:
        page = """<html><head><title>The\n page</title><script>evil()</script></head><body><h1>Head</h1>
            <p>Some snake_case * text.</p><ol><li>one</li><li>two</li></ol>
            <table><caption>Staff</caption><tr><th>n</th><th>v</th></tr>
            <tr><td rowspan=2>a|b</td><td>1</td></tr><tr><td><p>2</p><p>3</p></td></tr></table>After"""
        document = load(tmp_path, "a.html", page)
        assert document.title == "The page"
        assert "snake_case * text" in document.text
        assert "1. one\n2. two" in document.text
        assert "evil" not in document.text
        assert cells(document) == [["n", "v"], ["a|b", "1"], ["a|b", "2  3"]]
        assert parse_tables(document.text)[0].caption == "Staff"

    def test_spanning_cells_keep_the_columns_straight(self, tmp_path: Path) -> None:
        rows = (
            "<tr><td>k</td><td colspan=2>wide</td><td>z</td></tr>"
            "<tr><td>1</td><td rowspan=2 colspan=2>block</td><td rowspan=99>tall</td></tr>"
            "<tr><td>2</td></tr><tr><td>3</td><td>x</td><td>y</td></tr>"
        )
        assert cells(load(tmp_path, "a.html", f"<table>{rows}</table>")) == [
            ["k", "wide", "", "z"],
            ["1", "block", "", "tall"],
            ["2", "block", "", "tall"],
            ["3", "x", "y", "tall"],
        ]

    def test_layout_table_is_dissolved(self, tmp_path: Path) -> None:
        inner = "<table><tr><th>a</th><th>b</th></tr><tr><td>1</td><td>2</td></tr></table>"
        page = f"<table><tr><td>Menu</td><td><p>Text</p>{inner}</td></tr></table>"
        document = load(tmp_path, "a.html", page)
        assert cells(document) == [["a", "b"], ["1", "2"]]
        assert "Menu" in document.text

    def test_declared_encoding_counts(self, tmp_path: Path) -> None:
        page = '<meta charset="iso-8859-2"><p>Łódź</p>'.encode("iso-8859-2")
        assert load(tmp_path, "a.htm", page).text == "Łódź"

    def test_wrong_declared_encoding_is_ignored(self, tmp_path: Path) -> None:
        assert load(tmp_path, "a.htm", '<meta charset="klingon"><p>Łódź</p>').text == "Łódź"

    def test_what_only_pretends_to_be_html_is_not_opened(self, tmp_path: Path) -> None:
        with zipfile.ZipFile(buffer := io.BytesIO(), "w") as archive:
            archive.writestr("secret.txt", "inside")
        with pytest.raises(DocumentError):
            load(tmp_path, "a.html", buffer.getvalue())

    @pytest.mark.parametrize(("name", "make"), [("a.html", lambda: b"<p>Text</p>"), ("a.docx", docx_bytes)])
    def test_reading_makes_no_telemetry(self, tmp_path: Path, name: str, make: Callable[[], bytes]) -> None:
        (tmp_path / name).write_bytes(make())
        home = tmp_path / "home"
        home.mkdir()
        code = "import sys, pathlib; from structrag.corpus.loaders import load_file; "
        code += "load_file(pathlib.Path(sys.argv[1]), 'a')"
        # Without CI in the environment, in which ONNX Runtime would keep quiet by itself.
        quiet = {"CI", "GITHUB_ACTIONS", "TF_BUILD", "ORT_DISABLE_TELEMETRY", "XDG_CACHE_HOME"}
        environment = {key: value for key, value in os.environ.items() if key not in quiet} | {"HOME": str(home)}
        subprocess.run([sys.executable, "-c", code, str(tmp_path / name)], check=True, env=environment, cwd=home)
        assert [path.name for path in home.rglob("*") if "onnx" in path.name] == []

    def test_endless_nesting_is_refused(self, tmp_path: Path) -> None:
        with pytest.raises(DocumentError, match=r"a\.html cannot be read as html"):
            load(tmp_path, "a.html", "<div>" * 3000 + "x")


class TestDocx:
    def test_document_becomes_markdown(self, tmp_path: Path) -> None:
        document = load(tmp_path, "a.docx", docx_bytes())
        assert document.title == "Duty roster"
        assert document.text.startswith("# Duty roster\n")
        assert "Who has snake_case * duty." in document.text
        assert "1. Open up" in document.text
        assert cells(document) == [["Name", "Shift"], ["Ann|a Moor", "late"]]


class TestXlsx:
    def test_sheets_become_tables(self, tmp_path: Path) -> None:
        rows: list[list[Any]] = [
            [],
            [None, "name", "value", None],
            [None, "a", 12.0],
            [],
            [None, "b", 0.1 + 0.2, None, True],
        ]
        dates: list[list[Any]] = [["day", "at"], [datetime.date(2024, 3, 1), datetime.datetime(2024, 3, 1, 9, 30)]]
        data = xlsx_bytes({"First": rows, "Empty": [], "Dates": dates})
        document = load(tmp_path, "my-book.xlsx", data)
        first, second = parse_tables(document.text)
        assert (first.caption, second.caption) == ("First", "Dates")
        assert [[cell.text for cell in row] for row in (first.header, *first.rows)] == [
            ["name", "value", ""],
            ["a", "12", ""],
            ["b", "0.3", "true"],
        ]
        assert [cell.text for cell in second.rows[0]] == ["2024-03-01", "2024-03-01 09:30:00"]
        assert located(document)["sheet First, row 5"] == "| b | 0.3 | true |"
        assert "sheet Dates, row 2" in located(document)
        assert document.title == "My book"

    def test_empty_workbook_is_refused(self, tmp_path: Path) -> None:
        with pytest.raises(DocumentError, match="holds no text"):
            load(tmp_path, "a.xlsx", xlsx_bytes({"Empty": []}))


class TestPdf:
    def test_pages_and_tables(self, tmp_path: Path) -> None:
        document = load(tmp_path, "a.pdf", pdf_bytes())
        assert document.title == "Annual report"
        assert cells(document) == [["Name", "Value"], ["a|b", "two lines"]]
        assert document.text.count("Value") == 1
        assert list(located(document)) == ["page 1", "page 3"]
        assert located(document)["page 3"] == "Page three."
        assert "After the table.\n\n| Name" in located(document)["page 1"]
        assert document.warnings == ("Page 2 has no text layer.",)

    def test_scan_is_refused_with_advice(self, tmp_path: Path) -> None:
        with pytest.raises(DocumentError, match="no text layer") as caught:
            load(tmp_path, "a.pdf", pdf_bytes(text=False))
        assert "OCR" in (caught.value.hint or "")

    def test_encrypted_pdf_is_refused(self, tmp_path: Path) -> None:
        with pytest.raises(DocumentError, match=r"a\.pdf is encrypted"):
            load(tmp_path, "a.pdf", pdf_bytes(password="secret"))


class TestRefusals:
    def test_unknown_suffix_lists_the_known_ones(self, tmp_path: Path) -> None:
        with pytest.raises(UnsupportedDocumentError, match=r"'\.png' files") as caught:
            load(tmp_path, "a.png", b"x")
        assert all(suffix in (caught.value.hint or "") for suffix in SUPPORTED_SUFFIXES)

    def test_no_suffix(self, tmp_path: Path) -> None:
        with pytest.raises(UnsupportedDocumentError, match="without a suffix"):
            load(tmp_path, "Makefile", b"x")

    @pytest.mark.parametrize(("name", "data"), [("a.txt", " \n"), ("a.csv", ""), ("a.json", "[]"), ("a.html", "<p>")])
    def test_no_text(self, tmp_path: Path, name: str, data: str) -> None:
        with pytest.raises(DocumentError, match=rf"{name} (holds no text|is not valid)"):
            load(tmp_path, name, data)

    def test_missing_file(self, tmp_path: Path) -> None:
        with pytest.raises(DocumentError, match=r"gone\.md cannot be read: No such file"):
            load_file(tmp_path / "gone.md", "gone.md")

    def test_folder(self, tmp_path: Path) -> None:
        with pytest.raises(DocumentError, match="is a folder"):
            load_file(tmp_path, "x")

    def test_too_large(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(loaders, "LARGEST_FILE", 2)
        with pytest.raises(DocumentError, match="at most"):
            load(tmp_path, "a.txt", "abc")

    @pytest.mark.parametrize("name", ["a.docx", "a.xlsx"])
    def test_encrypted_office_file(self, tmp_path: Path, name: str) -> None:
        with pytest.raises(DocumentError, match=f"{name} is encrypted"):
            load(tmp_path, name, bytes.fromhex("d0cf11e0a1b11ae1") + b"rest")

    @pytest.mark.parametrize("name", ["a.docx", "a.xlsx", "a.pdf"])
    @pytest.mark.parametrize("cut", [0, 10, 600])
    def test_damaged_file(self, tmp_path: Path, name: str, cut: int) -> None:
        whole = {"a.docx": docx_bytes(), "a.xlsx": xlsx_bytes({"S": [["a"]]}), "a.pdf": pdf_bytes()}[name]
        with pytest.raises(DocumentError, match=name):
            load(tmp_path, name, whole[:cut])

    @pytest.mark.parametrize("name", ["a.docx", "a.xlsx"])
    def test_zip_of_something_else(self, tmp_path: Path, name: str) -> None:
        with zipfile.ZipFile(buffer := io.BytesIO(), "w") as archive:
            archive.writestr("x", "y")
        with pytest.raises(DocumentError, match=name):
            load(tmp_path, name, buffer.getvalue())

    def test_zip_bomb(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(office, "LARGEST_UNPACKED", 100)
        with pytest.raises(DocumentError, match="unpacks to"):
            load(tmp_path, "a.docx", docx_bytes())

    @pytest.mark.parametrize(
        ("package", "name"),
        [("pdfplumber", "a.pdf"), ("openpyxl", "a.xlsx"), ("mammoth", "a.docx"), ("markitdown", "a.html")],
    )
    def test_missing_package_names_the_extra(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, package: str, name: str
    ) -> None:
        monkeypatch.setitem(sys.modules, package, None)
        with pytest.raises(MissingExtraError, match=r"structrag\[formats\]"):
            load(tmp_path, name, b"<p>x</p>")

    @settings(max_examples=30)
    @given(st.sampled_from(SUPPORTED_SUFFIXES), st.binary(max_size=200))
    def test_hostile_bytes_raise_nothing_else(self, suffix: str, data: bytes) -> None:
        try:
            text = load_bytes(data, Path(f"a{suffix}"), "a").text
        except DocumentError:
            return
        assert text.strip()
        assert text.encode().decode() == text
