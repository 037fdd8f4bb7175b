"""Reading rows: csv, tsv, json, jsonl and xlsx, each as Markdown tables with a locator for every row."""

from __future__ import annotations

import csv
import io
import json
import re
import zipfile
from collections.abc import Iterable, Iterator, Sequence
from itertools import islice
from typing import Any

from structrag.corpus.canonical import CanonicalWriter, ParsedText
from structrag.corpus.office import check_archive
from structrag.corpus.plain import decode
from structrag.errors import DocumentError, MissingExtraError

_DELIMITERS = (",", ";", "\t", "|")
_SNIFFED_ROWS = 20
_FORMULA = re.compile(rb"<(?:\w+:)?f[ >/]")
_LONGEST_INDENTED = 100_000_000


def read_csv(data: bytes, name: str) -> ParsedText:
    """Return delimited rows as one table; a row's number is its place in the file, from 1."""
    return _read_delimited(data, name, _DELIMITERS)


def read_tsv(data: bytes, name: str) -> ParsedText:
    """Return tab-separated rows as one table, or what else the delimiter turns out to be."""
    return _read_delimited(data, name, ("\t", ",", ";", "|"))


def _read_delimited(data: bytes, name: str, delimiters: Sequence[str]) -> ParsedText:
    text, warnings = decode(data, name)
    try:
        rows = list(csv.reader(io.StringIO(text, newline=""), delimiter=_sniff(text, delimiters)))
    except csv.Error as error:
        raise DocumentError(
            f"{name} cannot be read as rows: {error}.",
            hint="Check its quotation marks: an open one swallows the rest of the file.",
        ) from error
    labelled = [(f"row {number}", row) for number, row in enumerate(rows, 1) if any(map(str.strip, row))]
    if labelled and (longer := [label for label, row in labelled if len(row) > len(labelled[0][1])]):
        warnings += (f"{len(longer)} rows have more cells than the header, the first of them {longer[0]}.",)
    return _table(labelled, warnings)


def _sniff(text: str, delimiters: Sequence[str]) -> str:
    """Return the delimiter that gives the most rows the width of the header, earlier ones on a tie.

    ``csv.Sniffer`` counts characters without regard to quotation marks, so a text column misleads it.
    """

    def fit(delimiter: str) -> float:
        rows = csv.reader(io.StringIO(text, newline=""), delimiter=delimiter)
        widths = [len(row) for row in islice(filter(None, rows), _SNIFFED_ROWS)]
        if not widths or widths[0] == 1:
            return 0.0
        return widths.count(widths[0]) / len(widths)

    return max(delimiters, key=fit)


def read_json(data: bytes, name: str) -> ParsedText:
    """Return a list of flat objects as a table, anything else as indented JSON."""
    text, warnings = decode(data, name)
    return _from_objects(_load_json(text, name), warnings, name)


def read_jsonl(data: bytes, name: str) -> ParsedText:
    """Return one JSON value per line as ``read_json`` does a list of them."""
    text, warnings = decode(data, name)
    lines = [(number, line) for number, line in enumerate(text.split("\n"), 1) if line.strip()]
    return _from_objects([_load_json(line, name, line=number) for number, line in lines], warnings, name)


def _load_json(text: str, name: str, *, line: int = 1) -> Any:
    try:
        return json.loads(text)
    except json.JSONDecodeError as error:
        place = f"line {line + error.lineno - 1}, column {error.colno}"
        raise DocumentError(f"{name} is not valid JSON: {error.msg} at {place}.") from error
    except (ValueError, RecursionError) as error:  # a number of thousands of digits, endless nesting
        raise DocumentError(f"{name} is JSON beyond what can be read: {error}.") from error


def _from_objects(value: Any, warnings: tuple[str, ...], name: str) -> ParsedText:
    if not _is_flat(value):
        writer = CanonicalWriter()
        writer.write(_indented(value, name) if value not in ({}, [], "", None) else "")
        return ParsedText(writer.finish()[0], warnings=warnings, is_data=True)
    header = list(dict.fromkeys(key for item in value for key in item))
    rows = [(f"row {number}", [item.get(key) for key in header]) for number, item in enumerate(value, 1)]
    return _table([("", header), *rows], warnings)


def _indented(value: Any, name: str) -> str:
    parts: list[str] = []
    length = 0
    try:
        for part in json.JSONEncoder(indent=2, ensure_ascii=False).iterencode(value):
            parts.append(part)
            length += len(part)
            # Deep inside, each short value comes with a line of white space.
            if length > _LONGEST_INDENTED:
                raise DocumentError(f"{name} is JSON that is nested too deeply: indented, it would be too long.")
    except RecursionError as error:
        raise DocumentError(f"{name} is JSON beyond what can be read: it is nested too deeply.") from error
    return "".join(parts)


def _is_flat(value: Any) -> bool:
    return (
        isinstance(value, list)
        and any(value)
        and all(isinstance(item, dict) for item in value)
        and not any(isinstance(cell, list | dict) for item in value for cell in item.values())
    )


def _table(rows: Iterable[tuple[str, Sequence[object]]], warnings: tuple[str, ...]) -> ParsedText:
    writer = CanonicalWriter()
    writer.write_table(rows)
    text, locators = writer.finish()
    return ParsedText(text, locators, warnings=warnings, is_data=True)


def read_xlsx(data: bytes, name: str) -> ParsedText:
    """Return each sheet that is not empty as a heading and a table; formulas as their last results.

    A program that writes formulas without working them out stores none; such cells are empty, and reported.
    """
    try:
        import openpyxl
    except ImportError as error:
        raise MissingExtraError("openpyxl", extra="formats", purpose=f"Reading {name}") from error
    check_archive(data, name)
    workbook = openpyxl.load_workbook(io.BytesIO(data), read_only=True, data_only=True)
    writer = CanonicalWriter()
    try:
        for sheet in workbook.worksheets:
            if rows := list(_sheet_rows(sheet)):
                writer.write(f"## {sheet.title}\n\n")
                writer.write_table(rows)
                writer.write("\n")
    finally:
        workbook.close()
    text, locators = writer.finish()
    return ParsedText(text, locators, warnings=_without_results(data), is_data=True)


def _without_results(data: bytes) -> tuple[str, ...]:
    """Return a warning if formulas have no stored result; a book without formulas is not read again for it."""
    with zipfile.ZipFile(io.BytesIO(data)) as archive:
        sheets = [name for name in archive.namelist() if name.startswith("xl/worksheets/") and name.endswith(".xml")]
        if not any(_FORMULA.search(archive.read(name)) for name in sheets):
            return ()
    import openpyxl

    books = [openpyxl.load_workbook(io.BytesIO(data), read_only=True, data_only=only) for only in (False, True)]
    missing: list[str] = []
    for written, worked_out in zip(*(book.worksheets for book in books), strict=True):
        for sheet in (written, worked_out):
            sheet.reset_dimensions()
        for formulas, results in zip(written.iter_rows(), worked_out.iter_rows(values_only=True), strict=False):
            missing += [
                f"{written.title}!{formula.coordinate}"
                for formula, result in zip(formulas, results, strict=False)
                if formula.data_type == "f" and result is None
            ]
    for book in books:
        book.close()
    if not missing:
        return ()
    return (
        f"{len(missing)} formulas have no stored result and are empty, the first of them {missing[0]}: "
        "open the book in an office program and save it.",
    )


def _sheet_rows(sheet: Any) -> Iterator[tuple[str, list[object]]]:
    """Yield label and cells of the rows that are not empty, without the columns that are.

    The sheet is openpyxl's ``ReadOnlyWorksheet``, whose stubs do not fit it.
    """
    # Some programs store a wrong size of the sheet, and openpyxl would believe it.
    sheet.reset_dimensions()
    rows = [
        (number, list(row))
        for number, row in enumerate(sheet.iter_rows(values_only=True), 1)
        if any(cell is not None for cell in row)
    ]
    used = sorted({i for _, row in rows for i, cell in enumerate(row) if cell is not None})
    for number, row in rows:
        yield f"sheet {sheet.title}, row {number}", [row[i] if i < len(row) else None for i in used]
