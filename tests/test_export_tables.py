"""Structures as rows: csv, Parquet and xlsx, with nothing in them that a spreadsheet would run."""

import io
import json
import sys
from datetime import date, datetime

import openpyxl
import pytest
from export_structures import (
    EVIL,
    catalogue,
    chunks,
    graph,
    parquet_rows,
    rows_of,
    table,
    table_set,
    unguarded,
)
from hypothesis import given, settings
from hypothesis import strategies as st

from structrag.errors import ConfigError, MissingExtraError
from structrag.structures.exports.export import export
from structrag.structures.exports.text import plain
from structrag.structures.serialization import structure_from_dict
from structrag.structures.table_set import Cell, Column, ColumnType, Conflict, Row, Table, TableSet

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
