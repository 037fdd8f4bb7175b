"""Sheets as CSV, Parquet and Excel workbooks."""

from __future__ import annotations

import csv
import io
import math
import re
from collections.abc import Sequence
from datetime import date
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING

from structrag.errors import MissingExtraError
from structrag.structures.exports.columns import Sheet
from structrag.structures.exports.text import guard, plain
from structrag.structures.table_set import Value

if TYPE_CHECKING:
    from openpyxl.cell import Cell
    from openpyxl.worksheet._write_only import WriteOnlyWorksheet

_PARQUET_TYPES = {str: "VARCHAR", int: "BIGINT", float: "DOUBLE", bool: "BOOLEAN", date: "DATE"}
_BATCH = 200
_LONGEST_SHEET_NAME = 31
# Excel counts days from here on, and takes 1900 for a leap year.
_FIRST_EXCEL_DATE = date(1900, 3, 1)


def to_csv(sheet: Sheet) -> bytes:
    """Return a sheet as CSV in UTF-8: dates as ISO, ``true`` and ``false``, nothing for what is missing.

    A text that a spreadsheet would take for a formula has a ``'`` before it.
    """
    out = io.StringIO(newline="")
    writer = csv.writer(out, lineterminator="\n")
    writer.writerow([guard(plain(name)) for name, _ in sheet.columns])
    writer.writerows([_csv_value(value) for value in row] for row in sheet.rows)
    return out.getvalue().encode()


def to_parquet(sheet: Sheet) -> bytes:
    """Return a sheet as a Parquet file with typed columns."""
    import duckdb

    columns = ", ".join(f"{_quoted(plain(name))} {_PARQUET_TYPES[kind]}" for name, kind in sheet.columns)
    marks = f"({', '.join('?' * len(sheet.columns))})"
    with (
        TemporaryDirectory(prefix="structrag-") as folder,
        duckdb.connect(":memory:", config={"threads": 1}) as database,
    ):
        database.execute(f"CREATE TABLE sheet ({columns})")
        for start in range(0, len(sheet.rows), _BATCH):
            batch = sheet.rows[start : start + _BATCH]
            values = [value for row in batch for value in row]
            database.execute(f"INSERT INTO sheet VALUES {', '.join([marks] * len(batch))}", values)
        path = Path(folder) / "sheet.parquet"
        database.table("sheet").write_parquet(str(path))
        return path.read_bytes()


def to_xlsx(sheets: Sequence[Sheet]) -> bytes:
    """Return an Excel workbook with one sheet for each.

    Texts are cells of text, so none is a formula; Excel's limit cuts them after 32,767 characters. Dates before March
    1900, which Excel cannot count, are texts too.

    Raises:
        MissingExtraError: openpyxl is not installed.
    """
    try:
        from openpyxl import Workbook
    except ImportError as error:
        raise MissingExtraError("openpyxl", extra="formats", purpose="Writing xlsx") from error
    workbook = Workbook(write_only=True)
    taken: set[str] = set()
    for sheet in sheets:
        page = workbook.create_sheet(_sheet_name(sheet.name, taken))
        page.freeze_panes = "A2"
        page.append([_xlsx_cell(page, plain(name), bold=True) for name, _ in sheet.columns])
        for row in sheet.rows:
            page.append([_xlsx_cell(page, value) for value in row])
    out = io.BytesIO()
    workbook.save(out)
    return out.getvalue()


def _csv_value(value: Value) -> str | float | None:
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, str):
        return guard(value)
    if isinstance(value, date):
        return value.isoformat()
    if isinstance(value, float) and value.is_integer():
        # Without ".0"; as text, since a large one would be written out in full otherwise.
        return repr(value).removesuffix(".0")
    return value


def _quoted(name: str) -> str:
    return '"' + name.replace('"', '""') + '"'


def _sheet_name(name: str, taken: set[str]) -> str:
    """Return a name that Excel accepts and no other sheet has, whatever the case."""
    wanted = re.sub(r"[\[\]:*?/\\']", " ", plain(name)).strip()[:_LONGEST_SHEET_NAME] or "Table"
    unique, count = wanted, 2
    while unique.casefold() in taken:
        ending = f" {count}"
        unique, count = wanted[: _LONGEST_SHEET_NAME - len(ending)] + ending, count + 1
    taken.add(unique.casefold())
    return unique


def _xlsx_cell(page: WriteOnlyWorksheet, value: Value, *, bold: bool = False) -> Cell:
    from openpyxl.cell import WriteOnlyCell
    from openpyxl.styles import Font

    if isinstance(value, date) and value < _FIRST_EXCEL_DATE:
        value = value.isoformat()
    if isinstance(value, float) and not math.isfinite(value):
        value = str(value)
    cell = WriteOnlyCell(page)
    cell.value = value
    if isinstance(value, str):
        # openpyxl has taken "=1" for a formula and "#N/A" for an error; the prefix keeps it a text when it is edited.
        cell.data_type = "s"
        cell.quotePrefix = True
    if bold:
        cell.font = Font(bold=True)
    return cell
