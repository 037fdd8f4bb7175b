"""Rows that share the extreme value with the one that ``LIMIT 1`` let through."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from structrag.utilizer.table_database import FailedQueryError, TableDatabase

if TYPE_CHECKING:
    from sqlglot import exp


def without_ties_cut(query: exp.Query, database: TableDatabase) -> exp.Query:
    """Return the query so changed that it returns every row that ties for the first place.

    A query is changed only if it ends in ``ORDER BY … LIMIT 1`` and there are ties; only what it orders by
    first counts, since a model adds a name behind it to make the order certain. A query that cannot be
    run so, as it takes too long for instance, stays as it is.
    """
    from sqlglot import exp

    order, limit = query.args.get("order"), query.args.get("limit")
    is_first = isinstance(limit, exp.Limit) and limit.expression.name == "1" and not query.args.get("offset")
    if not isinstance(query, exp.Select) or not order or not is_first or query.args.get("distinct"):
        return query
    ranked = query.copy()
    ranked.set("limit", None)
    key = order.expressions[0].this.copy()
    ranked.set("expressions", [*ranked.expressions, exp.alias_(key, "_tie", quoted=True)])
    try:
        ties = _ties(database.run(ranked.sql("duckdb", comments=False)).rows)
    except FailedQueryError:
        return query
    if ties < 2:
        return query
    tied = query.copy()
    tied.set("limit", exp.Limit(expression=exp.Literal.number(ties)))
    return tied


def _ties(rows: tuple[tuple[Any, ...], ...]) -> int:
    """Return how many of the first rows share the first one's place and say something else."""
    if not rows or rows[0][-1] is None:
        return 0
    count = 0
    for row in rows:
        if row[-1] != rows[0][-1]:
            break
        count += 1
    return count if len({row[:-1] for row in rows[:count]}) > 1 else 0
