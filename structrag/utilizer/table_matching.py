"""Make a query's comparisons fit the cells: names are matched as people write them, dates and numbers read.

A model that has seen a few rows writes ``country = 'usa'`` where the cell says "USA", or compares a season
"1990/91" with 1992. Each comparison of a column with a literal is rewritten to what it means for that column's
values, so that code, not the model, decides whether a name occurs.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

from structrag.structures.table_set import ColumnType
from structrag.structures.table_units import parse_unit
from structrag.structures.table_values import find_quantities, parse_boolean, parse_date, parse_quantity
from structrag.utilizer.table_database import ROW_NUMBER, TableDatabase
from structrag.utilizer.table_scopes import BaseColumn, QueryColumns

if TYPE_CHECKING:
    from sqlglot import exp

_YEAR = re.compile(r"(?:1[5-9]|20|21)\d{2}")
_FIRST_YEAR, _LAST_YEAR = 1000, 2200
_SHORTEST_INNER = 3


class Matcher:
    """Rewrites the comparisons of one query.

    Args:
        loosely: Names match any cell that contains them, even where a cell is exactly the name.
    """

    def __init__(self, database: TableDatabase, *, loosely: bool = False) -> None:
        self._database = database
        self._loosely = loosely
        self.unmatched: list[str] = []
        """The literals that no cell of their column matches."""

    def rewrite(self, query: exp.Query) -> exp.Query:
        """Return a copy of a guarded query with its comparisons rewritten."""
        from sqlglot import exp

        query = query.copy()
        columns = QueryColumns(query)
        for year in list(query.find_all(exp.Year)):
            column = columns.base(year.this)
            if column and self._holds_years(column):
                year.replace(year.this)
        comparisons = (exp.EQ, exp.NEQ, exp.GT, exp.GTE, exp.LT, exp.LTE, exp.Like, exp.ILike, exp.In)
        for node in list(query.find_all(*comparisons)):
            column = columns.base(_bare(node.this))
            if column is None or column.name == ROW_NUMBER:
                continue
            replacement = self._rewritten(node, column)
            if replacement is not None:
                node.replace(replacement)
        return query

    def _rewritten(self, node: exp.Expr, column: BaseColumn) -> exp.Expr | None:
        from sqlglot import exp

        literals = [_literal(item) for item in (node.expressions or [node.expression])]
        if not literals or any(item is None for item in literals):
            return None
        texts = [item.name for item in literals if item is not None]
        type_ = self._type(column)
        if type_ is ColumnType.TEXT:
            return self._on_text(node, column, texts)
        if isinstance(node, exp.In):
            return None
        if type_ is ColumnType.DATE:
            return _on_date(node, texts[0])
        if type_ is ColumnType.BOOLEAN:
            truth = {"1": True, "0": False}.get(texts[0], parse_boolean(texts[0]))
            return None if truth is None else _with_literal(node, exp.Boolean(this=truth))
        return self._on_number(node, column, literals[0])

    def _type(self, column: BaseColumn) -> ColumnType:
        if column.name == ROW_NUMBER:
            return ColumnType.NUMBER
        return self._database.column(column.table, column.name).type

    def _holds_years(self, column: BaseColumn) -> bool:
        """Whether a column is of numbers that are years already."""
        if self._type(column) is not ColumnType.NUMBER or column.name == ROW_NUMBER:
            return False
        at = self._database.tables[column.table].column_index(column.name)
        values = [row.cells[at].value for row in self._database.rows(column.table) if row.cells[at].usable]
        return all(isinstance(value, float) and _FIRST_YEAR <= value <= _LAST_YEAR for value in values)

    def _on_text(self, node: exp.Expr, column: BaseColumn, texts: Sequence[str]) -> exp.Expr | None:
        from sqlglot import exp

        operand = _bare(node.this)
        if isinstance(node, (exp.GT, exp.GTE, exp.LT, exp.LTE)):
            number = next(find_quantities(texts[0]), None)
            return (
                _with_literal(_with_operand(node, _leading_number(operand)), _number(number.number)) if number else None
            )
        matching: list[str] = []
        for text in texts:
            found = self._matching(column, text, is_pattern=isinstance(node, (exp.Like, exp.ILike)))
            if not found and not isinstance(node, exp.NEQ):
                self.unmatched.append(text)
            matching += found
        if not matching:
            return None
        chosen = exp.In(this=operand.copy(), expressions=[exp.Literal.string(value) for value in matching])
        return exp.Not(this=chosen) if isinstance(node, exp.NEQ) else chosen

    def _matching(self, column: BaseColumn, text: str, *, is_pattern: bool) -> list[str]:
        values = self._database.texts(column.table, column.name)
        if is_pattern:
            like = _like(fold(text))
            found = [value for value in values if like.fullmatch(fold(value))]
            text = text.strip("%")
            if found or not fold(text):
                return found
        return matching_texts(values, text, loosely=self._loosely)

    def _on_number(self, node: exp.Expr, column: BaseColumn, literal: exp.Literal | None) -> exp.Expr | None:
        from sqlglot import exp

        if literal is None or not literal.is_string:
            return None
        if isinstance(node, (exp.Like, exp.ILike)):
            return _with_operand(node, exp.cast(_bare(node.this).copy(), "VARCHAR"))
        quantity = parse_quantity(literal.name)
        if quantity is None:
            self.unmatched.append(literal.name)
            # Left as it is, the database would fail on the word; no number equals it.
            return _with_literal(node, exp.Null())
        unit = parse_unit(self._database.column(column.table, column.name).unit)
        number = quantity.in_unit(unit) if unit and not quantity.bare else quantity.number
        return None if number is None else _with_literal(node, _number(number))


def fold(text: str) -> str:
    """Return a text for comparing: without case, accents, typographic quotes and doubled spaces."""
    plain = unicodedata.normalize("NFKD", text.translate(str.maketrans("‘’“”–—−", "''\"\"---")))
    return " ".join("".join(c for c in plain if not unicodedata.combining(c)).casefold().split())


def matching_texts(values: Sequence[str], wanted: str, *, loosely: bool = False) -> list[str]:
    """Return the values that a name means: those equal to it, else containing it, else contained in it.

    Loosely, values that contain the name count even where others are equal to it.
    """
    name = fold(wanted)
    tests: list[Callable[[str], bool]] = [
        lambda value: value.strip("\"'") == name.strip("\"'"),
        lambda value: _contains(value, name),
        lambda value: _begins_with_number(value, name),
        lambda value: len(value) >= _SHORTEST_INNER and _contains(name, value),
    ]
    if loosely:
        del tests[0]
    for test in tests:
        if name and (found := [value for value in values if test(fold(value))]):
            return found
    return []


def _contains(text: str, part: str) -> bool:
    return re.search(rf"(?<!\w){re.escape(part)}(?!\w)", text) is not None


def _begins_with_number(value: str, name: str) -> bool:
    """Whether "6" means "6th, Western"."""
    number = parse_quantity(name)
    first = next(find_quantities(value), None) if number else None
    return number is not None and first is not None and first.start == 0 and first.number == number.number


def _like(pattern: str) -> re.Pattern[str]:
    """Return what a pattern of LIKE matches, without going back: each part is found where it stands first."""
    first, *rest = ("".join("." if c == "_" else re.escape(c) for c in part) for part in pattern.split("%"))
    if not rest:
        return re.compile(first, re.DOTALL)
    return re.compile(first + "".join(f"(?>.*?{part})" for part in rest[:-1]) + f".*{rest[-1]}", re.DOTALL)


def _bare(node: exp.Expr) -> exp.Expr:
    """Return what stands inside LOWER, UPPER, TRIM and brackets."""
    from sqlglot import exp

    while isinstance(node, (exp.Lower, exp.Upper, exp.Trim, exp.Paren)):
        node = node.this
    return node


def _literal(node: exp.Expr) -> exp.Literal | None:
    from sqlglot import exp

    node = _bare(node)
    if isinstance(node, exp.Cast):
        node = node.this
    if isinstance(node, exp.Neg) and isinstance(node.this, exp.Literal):
        return exp.Literal(this=f"-{node.this.name}", is_string=False)
    return node if isinstance(node, exp.Literal) else None


def _with_literal(node: exp.Expr, literal: exp.Expr) -> exp.Expr:
    changed = node.copy()
    changed.set("this", _bare(changed.this))
    changed.set("expression", literal)
    return changed


def _with_operand(node: exp.Expr, operand: exp.Expr) -> exp.Expr:
    changed = node.copy()
    changed.set("this", operand)
    return changed


def _number(value: float) -> exp.Expr:
    from sqlglot import exp

    return exp.Literal.number(int(value) if value == int(value) else value)


def _leading_number(operand: exp.Expr) -> exp.Expr:
    """Return SQL for the first number in a text: 1990 for the season "1990/91"."""
    from sqlglot import exp

    digits = exp.RegexpExtract(this=operand.copy(), expression=exp.Literal.string(r"\d+(?:\.\d+)?"))
    return exp.TryCast(this=digits, to=exp.DataType.build("DOUBLE"))


def _on_date(node: exp.Expr, text: str) -> exp.Expr | None:
    from sqlglot import exp

    year = _YEAR.fullmatch(text.strip("%- "))
    if year and not isinstance(node, exp.In):
        kind = exp.EQ if isinstance(node, (exp.Like, exp.ILike)) else type(node)
        return kind(this=exp.Year(this=_bare(node.this).copy()), expression=exp.Literal.number(int(year[0])))
    if isinstance(node, (exp.Like, exp.ILike)):
        return _with_operand(node, exp.cast(_bare(node.this).copy(), "VARCHAR"))
    day = parse_date(text) or parse_date(f"{text}-01")
    return _with_literal(node, exp.cast(exp.Literal.string(day.isoformat()), "DATE")) if day else None
