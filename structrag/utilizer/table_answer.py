"""From the result of a query to an answer: code writes it, so no number passes through a model again."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from typing import TYPE_CHECKING, Any

from structrag.structures.table_set import ColumnType
from structrag.structures.table_units import asked_unit, parse_unit
from structrag.structures.table_values import Quantity, format_number
from structrag.utilizer.table_database import ROW_NUMBER, Result, TableDatabase
from structrag.utilizer.table_provenance import Source
from structrag.utilizer.table_scopes import QueryColumns

if TYPE_CHECKING:
    from sqlglot import exp

_ASKS_NAME = re.compile(r"\b(?:which|who|whose|whom|name of|what is the name)\b", re.IGNORECASE)
_ASKS_NUMBER = re.compile(r"\b(?:how (?:many|much|long|old|far|high|large|often)|number of)\b", re.IGNORECASE)
_ASKS_TRUTH = re.compile(r"^(?:is|are|was|were|do|does|did|has|have|had|can|could|will|would)\b", re.IGNORECASE)
_IN_TEXT = 10


@dataclass(frozen=True, slots=True)
class ResultColumn:
    """One column of a result.

    Attributes:
        label: What to call it.
        unit: What its numbers are in; empty for none.
        raw: For values that stand in the tables as such: how the document writes them.
    """

    label: str
    unit: str
    raw: Mapping[Any, str]


@dataclass(frozen=True, slots=True)
class Answered:
    """The answer in words, and as bare values."""

    text: str
    values: tuple[str, ...]


def describe_columns(
    query: exp.Query, result: Result, found: Sequence[Source], database: TableDatabase
) -> list[ResultColumn]:
    """Return label, unit and raw forms of each column of a result."""
    columns = QueryColumns(query)
    described = []
    for name, item in zip(result.names, query.selects, strict=True):
        base = columns.base(_held(item))
        if base is None or base.name == ROW_NUMBER:
            label = "" if name.startswith("_") or "(" in name else name.replace("_", " ")
            described.append(ResultColumn(label, _unit(item, columns, database), {}))
            continue
        column = database.column(base.table, base.name)
        raw: dict[Any, str] = {}
        if column.type is ColumnType.DATE:
            at = database.tables[base.table].column_index(base.name)
            cells = [database.row(s.table, n).cells[at] for s in found if s.table == base.table for n in s.rows]
            raw = {cell.value: cell.raw for cell in cells}
        described.append(ResultColumn(column.label, column.unit, raw))
    return described


def _held(node: exp.Expr) -> exp.Expr:
    """Return the value that a minimum or maximum picks: it stands in a cell, as a sum does not."""
    from sqlglot import exp

    value = node.unalias()
    return value.this if isinstance(value, (exp.Min, exp.Max)) else value


def is_empty(result: Result) -> bool:
    """Whether a result says nothing at all: no rows, or NULL only."""
    return all(value is None for row in result.rows for value in row)


def is_negative(result: Result) -> bool:
    """Whether a result says "none": nothing but zero, false and NULL."""
    return all(value is None or value is False or value == 0 for row in result.rows for value in row)


def answer(question: str, result: Result, columns: Sequence[ResultColumn]) -> Answered:
    """Return the answer that a result gives; it must not be empty."""
    rows = [row for row in result.rows if any(value is not None for value in row)]
    shown = [[_show(question, value, c) for value, c in zip(row, columns, strict=True)] for row in rows]
    picked = _picked(question, rows)
    values = [row[i] for row in shown for i in picked if row[i].bare]
    if len(columns) == 1:
        texts = [row[0].worded for row in shown if row[0].bare]
    else:
        texts = [_row_text(row, columns) for row in shown]
    text = ", ".join(texts[:_IN_TEXT])
    if len(texts) > _IN_TEXT or result.is_cut:
        text += f" and {'at least ' if result.is_cut else ''}{len(texts) - _IN_TEXT} more"
    return Answered(text, tuple(dict.fromkeys(v.bare for v in values)))


@dataclass(frozen=True, slots=True)
class _Shown:
    bare: str
    worded: str


def _picked(question: str, rows: Sequence[tuple[Any, ...]]) -> list[int]:
    """Return which columns of a result the question asks for; the others only explain them."""
    width = len(rows[0])
    numbers = [i for i in range(width) if isinstance(rows[0][i], (int, float)) and not isinstance(rows[0][i], bool)]
    if _ASKS_NUMBER.search(question) and len(numbers) == 1:
        return numbers
    if _ASKS_NAME.search(question) or len(rows) > 1:
        return [0]
    return list(range(width))


def _row_text(row: Sequence[_Shown], columns: Sequence[ResultColumn]) -> str:
    rest = [
        f"{column.label}: {shown.worded}" if column.label else shown.worded
        for shown, column in zip(row[1:], columns[1:], strict=True)
        if shown.bare
    ]
    return f"{row[0].worded} ({', '.join(rest)})" if rest else row[0].worded


def _show(question: str, value: Any, column: ResultColumn) -> _Shown:
    if value is None:
        return _Shown("", "")
    if isinstance(value, bool) or (value in (0, 1) and _ASKS_TRUTH.match(question) and not column.unit):
        word = "Yes" if value else "No"
        return _Shown(word, word)
    if isinstance(value, (int, float)):
        return _show_number(question, float(value), column.unit)
    text = column.raw.get(value) or (value.isoformat() if isinstance(value, date) else str(value))
    return _Shown(text, text)


def _show_number(question: str, number: float, label: str) -> _Shown:
    unit, wanted = parse_unit(label), asked_unit(question)
    converted = Quantity(number, unit).in_unit(wanted) if unit and wanted else None
    if converted is not None and wanted is not None:
        number, label = converted, wanted.label
    bare = format_number(number)
    if not label:
        return _Shown(bare, bare)
    return _Shown(bare, f"{bare} {label}".replace(" %", "%") if label == "%" else _with_unit(bare, label))


def _with_unit(bare: str, label: str) -> str:
    """Write money with its currency in front: ``EUR 4.2 million``."""
    currency, _, scale = label.partition(" ")
    if len(currency) == 3 and currency.isupper():
        return f"{currency} {bare} {scale}".strip()
    return f"{bare} {label}"


def _unit(node: exp.Expr, columns: QueryColumns, database: TableDatabase) -> str:
    """Return the unit of a computed value, where computing keeps it."""
    from sqlglot import exp

    base = columns.base(node)
    if base is not None:
        return "" if base.name == ROW_NUMBER else database.column(base.table, base.name).unit
    keeping = (exp.Alias, exp.Paren, exp.Sum, exp.Avg, exp.Min, exp.Max, exp.Median, exp.Round, exp.Abs, exp.Neg)
    if isinstance(node, (*keeping, exp.Coalesce, exp.ArgMax, exp.ArgMin)):
        return _unit(node.this, columns, database)
    if isinstance(node, exp.Subquery) and isinstance(node.this, exp.Select) and len(node.this.selects) == 1:
        return _unit(node.this.selects[0], columns, database)
    if isinstance(node, (exp.Add, exp.Sub)):
        left, right = (_unit(side, columns, database) for side in (node.this, node.expression))
        return left if left == right else ""
    return ""
