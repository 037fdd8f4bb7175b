"""Find what a query brings along instead of reading it: text in a document may have told the model what to answer."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

from structrag.structures.quotes import content_words
from structrag.utilizer.table_database import Result, TableDatabase

if TYPE_CHECKING:
    from sqlglot import exp

_YES_NO = ("yes", "no", "true", "false")


def constants(query: exp.Query) -> str:
    """Return why a query answers by itself: it selects a value that neither reads a column nor counts; else empty."""
    from sqlglot import exp

    for item in _selected(query):
        says = item.unalias()
        if isinstance(says, exp.Literal) and says.name.lower() in _YES_NO:
            continue
        if item.find(exp.Column, exp.Count, exp.RowNumber) is None:
            return f"{says.sql('duckdb')} reads no column. Select what stands in the tables."
    return ""


def invented(question: str, query: exp.Query, result: Result, database: TableDatabase) -> str:
    """Return a text of the result with words that neither the tables nor the question hold; else empty."""
    from sqlglot import exp

    if not any(literal.is_string for item in _selected(query) for literal in item.find_all(exp.Literal)):
        return ""
    known = set(content_words(question)).union(_YES_NO, *map(content_words, _texts(database)))
    values = (value for row in result.rows for value in row if isinstance(value, str))
    strange = next((value for value in values if not known.issuperset(content_words(value))), "")
    return f"{strange[:80]!r} stands in no table. Select what stands in the tables." if strange else ""


def _selected(query: exp.Query) -> Iterator[exp.Expr]:
    """Yield what is selected anywhere in a query; EXISTS asks only whether there is a row."""
    from sqlglot import exp

    for select in query.find_all(exp.Select):
        if not isinstance(select.parent, exp.Exists):
            yield from select.selects


def _texts(database: TableDatabase) -> Iterator[str]:
    for name, table in database.tables.items():
        for index, column in enumerate(table.columns):
            yield column.label
            for row in database.rows(name):
                if row.cells[index].usable:
                    yield row.cells[index].raw
                    yield str(row.cells[index].value)
