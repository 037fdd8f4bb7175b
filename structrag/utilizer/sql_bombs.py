"""Find what makes a query small to write and without bounds to run.

The database stops a query that takes too long or too much memory, but it looks up only between its steps: within one
call of a function nothing stops it. So a text may not grow from step to step, and columns may not multiply.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from structrag.utilizer.table_scopes import QueryColumns

if TYPE_CHECKING:
    from sqlglot import exp

_DEEPEST = 80
_MOST_TABLES = 12
_MOST_STARS = 3
_TYPES = frozenset(
    "TEXT VARCHAR CHAR BOOLEAN DATE TIME TIMESTAMP TIMESTAMPTZ INTERVAL TINYINT SMALLINT INT BIGINT HUGEINT INT128 "
    "UTINYINT USMALLINT UINT UBIGINT FLOAT DOUBLE DECIMAL".split()
)


def oversize(query: exp.Query) -> str:
    """Return why it would take too long to bind a query already: deep nesting, or stars that multiply the columns.

    Empty where it would not.
    """
    from sqlglot import exp

    if _is_deeper(query, _DEEPEST):
        return "The SQL is nested too deeply."
    if sum(1 for _ in query.find_all(exp.Table)) > _MOST_TABLES:
        return f"At most {_MOST_TABLES} tables may be named."
    stars = [star for star in query.find_all(exp.Star) if not isinstance(star.parent, exp.Count)]
    if len(stars) > _MOST_STARS:
        return f"At most {_MOST_STARS} times may a star stand for columns; name them."
    return ""


def growth(query: exp.Query) -> str:
    """Return how a text can grow from step to step in a bound query; empty where it cannot."""
    from sqlglot import exp

    # A cast to bits or bytes and back makes a text longer, and an array is as large as its type says.
    for type_ in query.find_all(exp.DataType):
        if type_.this.name not in _TYPES:
            return f"The type {type_.sql('duckdb')} is not allowed."
    if not all(map(_cannot_lengthen, query.find_all(exp.Replace, exp.RegexpReplace))):
        return "REPLACE may only put a text in the place of one that is not shorter, and REGEXP_REPLACE none."
    for written in query.find_all(exp.TimeToStr, exp.ToChar):
        if not isinstance(written.args.get("format"), exp.Literal):
            return "The format of a date must be written out."
    columns = QueryColumns(query)
    for joined in query.find_all(exp.DPipe, exp.Concat):
        computed = [column for column in joined.find_all(exp.Column) if columns.base(column) is None]
        if len(computed) > 1:
            names = ", ".join(dict.fromkeys(column.name for column in computed))
            return f"Only columns of the tables may be put together, not computed ones ({names})."
    return ""


def _cannot_lengthen(call: exp.Expr) -> bool:
    from sqlglot import exp

    old, new = call.args.get("expression"), call.args.get("replacement")
    if new is None:
        return True
    if not (isinstance(old, exp.Literal) and isinstance(new, exp.Literal)):
        return False
    # A pattern may match nothing, anywhere; what is put there would make the text longer.
    return len(new.name.encode()) <= (0 if isinstance(call, exp.RegexpReplace) else len(old.name.encode()))


def _is_deeper(query: exp.Expr, most: int) -> bool:
    """Whether nodes are nested deeper than ``most``; without recursion, which would be what is to be prevented."""
    level: list[exp.Expr] = [query]
    for _ in range(most):
        level = [child for node in level for child in node.iter_expressions()]
    return bool(level)
