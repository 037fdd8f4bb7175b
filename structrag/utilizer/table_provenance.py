"""Which rows and cells the result of a query rests on."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from structrag.structures.table_set import Cell
from structrag.types import Evidence
from structrag.utilizer.table_database import ROW_NUMBER, FailedQueryError, TableDatabase
from structrag.utilizer.table_scopes import BaseColumn, QueryColumns, tables_of

if TYPE_CHECKING:
    from sqlglot import exp
    from sqlglot.optimizer.scope import Scope

_MOST_EVIDENCE = 12


@dataclass(frozen=True, slots=True)
class Source:
    """The rows that one SELECT of a query read from one table, and the columns it read there.

    Attributes:
        rows: Their ``row_no``, the most telling first.
        answering: The columns that it selects.
        deciding: The columns by which it chose the rows.
    """

    table: str
    rows: tuple[int, ...]
    answering: tuple[str, ...]
    deciding: tuple[str, ...]


def sources(query: exp.Query, database: TableDatabase) -> list[Source]:
    """Return what a query read, its outermost SELECT first.

    The query is run again with the row numbers: rows as selected where it selects rows, those of the resulting
    groups where it groups, and all that match its conditions where it aggregates, with the row that holds a
    minimum or maximum first.
    """
    from sqlglot import exp

    columns = QueryColumns(query)
    found = []
    for scope in columns.scopes:
        # A subquery that depends on the query around it cannot be run alone.
        if not isinstance(scope.expression, exp.Select) or scope.external_columns:
            continue
        tables = tables_of(scope)
        try:
            numbers = _row_numbers(scope.expression, list(tables), query, database)
        except FailedQueryError:
            continue
        for alias, table in tables.items():
            answering, deciding = _columns_read(scope, columns, table)
            rows = tuple(dict.fromkeys(row[alias] for row in numbers if row[alias] is not None))
            found.append(Source(table, rows, answering, deciding))
    return found


def evidence_of(found: Sequence[Source], database: TableDatabase) -> tuple[Evidence, ...]:
    """Return the verified evidence of the cells that were read: answers first, then what decided."""
    cells = [
        *(cell for source in found for cell in _cells(source, source.answering, database)),
        *(cell for source in found for cell in _cells(source, source.deciding, database)),
    ]
    if not any(cell.evidence for cell in cells):
        cells = [cell for source in found for cell in _cells(source, _telling(source, database), database)]
    evidence = dict.fromkeys(c.evidence for c in cells if c.usable and c.evidence)
    return tuple(evidence)[:_MOST_EVIDENCE]


def _telling(source: Source, database: TableDatabase) -> tuple[str, ...]:
    """Return the columns that show a row when none of them was asked for, as with ``COUNT(*)``."""
    table = database.tables[source.table]
    return tuple(dict.fromkeys((*((table.key,) if table.key else ()), *(c.name for c in table.columns))))


def _cells(source: Source, names: Sequence[str], database: TableDatabase) -> Iterator[Cell]:
    indexes = [database.tables[source.table].column_index(name) for name in names]
    for number in source.rows:
        row = database.row(source.table, number)
        yield from (row.cells[index] for index in indexes)


def _columns_read(scope: Scope, columns: QueryColumns, table: str) -> tuple[tuple[str, ...], tuple[str, ...]]:
    select = scope.expression
    answering = _names((base for item in select.expressions for base in columns.bases_in(item)), table)
    clauses = (select.args.get(key) for key in ("where", "having", "order", "group"))
    deciding = _names((base for part in clauses if part for base in columns.bases_in(part)), table)
    return answering, tuple(name for name in deciding if name not in answering)


def _names(bases: Iterator[BaseColumn], table: str) -> tuple[str, ...]:
    return tuple(dict.fromkeys(b.name for b in bases if b.table == table and b.name != ROW_NUMBER))


def _row_numbers(
    select: exp.Select, aliases: Sequence[str], query: exp.Query, database: TableDatabase
) -> list[dict[str, Any]]:
    """Return the row numbers behind a SELECT, by the alias of their table."""
    from sqlglot import exp

    if not aliases:
        return []
    keys = _group_keys(select)
    if keys is not None:
        kept = {row[: len(keys)] for row in _run(select, keys, [], query, database)}
        every = _run(_plain(select), keys, aliases, query, database)
        return [_by_alias(aliases, row) for row in every if row[: len(keys)] in kept]
    if not any(item.find(exp.AggFunc) for item in select.selects):
        return [_by_alias(aliases, row) for row in _run(select, [], aliases, query, database)]
    extremum = _extremum(select)
    rows = _run(_plain(select), [extremum.this] if extremum else [], aliases, query, database)
    if extremum is not None and rows:
        rows = _extremes_first(rows, largest=isinstance(extremum, (exp.Max, exp.ArgMax)))
    return [_by_alias(aliases, row) for row in rows]


def _by_alias(aliases: Sequence[str], row: tuple[Any, ...]) -> dict[str, Any]:
    return dict(zip(aliases, row[len(row) - len(aliases) :], strict=True))


def _group_keys(select: exp.Select) -> list[exp.Expr] | None:
    """Return what tells the groups apart, or ``None`` if the SELECT makes no groups."""
    if group := select.args.get("group"):
        return [key.copy() for key in group.expressions]
    if select.args.get("distinct"):
        return [item.unalias().copy() for item in select.selects]
    return None


def _extremum(select: exp.Select) -> exp.Expr | None:
    """Return the minimum or maximum that decides which row is told of, as an expression on that row."""
    from sqlglot import exp

    for item in select.selects:
        value = item.unalias()
        if isinstance(value, (exp.Min, exp.Max)):
            return value
        if isinstance(value, (exp.ArgMin, exp.ArgMax)):
            kind = type(value)
            return kind(this=value.expression.copy())
    return None


def _extremes_first(rows: list[tuple[Any, ...]], *, largest: bool) -> list[tuple[Any, ...]]:
    values = [row[0] for row in rows if row[0] is not None]
    if not values:
        return rows
    extreme = max(values) if largest else min(values)
    return [row for row in rows if row[0] == extreme]


def _plain(select: exp.Select) -> exp.Select:
    """Return the SELECT without all that works on groups: only what it reads, and the conditions on rows."""
    plain = select.copy()
    for clause in ("group", "having", "order", "limit", "offset", "distinct"):
        plain.set(clause, None)
    plain.set("expressions", [])
    return plain


def _run(
    select: exp.Select,
    keys: Sequence[exp.Expr],
    aliases: Sequence[str],
    query: exp.Query,
    database: TableDatabase,
) -> list[tuple[Any, ...]]:
    """Run a SELECT for some keys and the row numbers of its tables."""
    from sqlglot import exp

    changed = select.copy()
    # What it selected stays in the middle, as ORDER BY may name it.
    numbers = [exp.column(ROW_NUMBER, table=alias, quoted=True) for alias in aliases]
    changed.set("expressions", [*(key.copy() for key in keys), *changed.expressions, *numbers])
    ctes = query.args.get("with_")
    if ctes is not None and not changed.args.get("with_"):
        changed.set("with_", ctes.copy())
    return list(database.run(changed.sql("duckdb", comments=False)).rows)
