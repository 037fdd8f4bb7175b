"""Let through one read-only SELECT over known tables and columns, and nothing else.

What is allowed is listed, by kind of syntax node, so whatever SQL we did not think of is refused. The database
that runs the query is locked as well (see `structrag.utilizer.table_database`): each of the two is enough alone.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping, Sequence
from collections.abc import Set as AbstractSet
from functools import cache
from typing import TYPE_CHECKING

from structrag.utilizer.sql_bombs import growth, oversize
from structrag.utilizer.sql_names import with_known_columns
from structrag.utilizer.table_database import ROW_NUMBER

if TYPE_CHECKING:
    from sqlglot import exp

Catalog = Mapping[str, Mapping[str, str]]
"""For each table its columns with their SQL types."""

# The parser warns of statements that it does not know, and those are refused: nothing for the terminal.
logging.getLogger("sqlglot").addHandler(logging.NullHandler())

_LONGEST = 2000
_SYNTAX = (
    "Select From Join Where Group Having Order Ordered Limit Offset Distinct With CTE Subquery Union Intersect "
    "Except Table TableAlias Column Identifier Alias Star Literal Boolean Null Paren Tuple Var DataType DataTypeParam "
    "Interval And Or Not Neg EQ NEQ GT GTE LT LTE Is In Between Like ILike Exists Case If Add Sub Mul Div IntDiv "
    "Mod DPipe Cast TryCast Window WindowSpec Filter"
)
_FUNCTIONS = (
    "Count CountIf Sum Avg Min Max Median Mode Stddev StddevPop StddevSamp Variance VariancePop PercentileCont "
    "PercentileDisc ArgMax ArgMin First Last AnyValue IgnoreNulls RowNumber Rank DenseRank Lag Lead FirstValue "
    "LastValue Lower Upper Trim Length Substring Left Right Replace Concat Contains StartsWith EndsWith "
    "StrPosition SplitPart RegexpLike RegexpExtract RegexpReplace Abs Round Floor Ceil Sqrt Pow Greatest Least "
    "Coalesce Nullif Sign Year Month Day Quarter Week DayOfWeek DayOfYear Extract DateDiff DateSub DateAdd DateTrunc "
    "TimestampTrunc DateFromParts TimeToStr StrToTime Date ToChar TsOrDsToDate"
)
_OTHER_FUNCTIONS = frozenset(("date_part", "datepart", "strip_accents", "age"))


class RefusedSqlError(ValueError):
    """The SQL is not a query that we run; the message says why, for the model to correct it."""


def guard(sql: str, catalog: Catalog, told: Callable[[str], None] = lambda remark: None) -> exp.Query:
    """Return the query with every column bound to its table, ready to run.

    ``SELECT *`` becomes the columns by name, without the numbers of the rows; a column that is written nearly like
    one of the tables' is read as that, and ``told`` is told so.

    Raises:
        RefusedSqlError: It is not exactly one SELECT over the catalog's tables and columns.
    """
    from sqlglot import exp
    from sqlglot.errors import SqlglotError
    from sqlglot.optimizer.qualify import qualify

    query = _parse(sql)
    if reason := oversize(query):
        raise RefusedSqlError(reason)
    is_star = query.is_star
    for node in query.walk():
        _refuse_unknown(node)
    _refuse_tables(query, catalog)
    for name, meant in with_known_columns(query, catalog).items():
        told(f"{name} is no column; it is read as {meant}")
    try:
        qualified = qualify(
            query,
            schema={table: dict(columns) for table, columns in catalog.items()},
            dialect="duckdb",
            quote_identifiers=True,
        )
        reason = growth(qualified)
    except SqlglotError as error:
        raise RefusedSqlError(_explain(str(error), catalog)) from error
    except AssertionError as error:  # sqlglot's, of a position within a * that it cannot resolve
        raise RefusedSqlError(_explain("ORDER BY names a position: name the column instead", catalog)) from error
    if reason:
        raise RefusedSqlError(reason)
    if is_star and isinstance(qualified, exp.Select):
        named = [item for item in qualified.selects if item.alias_or_name != ROW_NUMBER]
        qualified.set("expressions", named or qualified.selects)
    return qualified


def _parse(sql: str) -> exp.Query:
    from sqlglot import exp, parse
    from sqlglot.errors import SqlglotError

    if len(sql) > _LONGEST:
        raise RefusedSqlError(f"The SQL is longer than {_LONGEST} characters.")
    try:
        statements = [statement for statement in parse(sql, read="duckdb") if statement is not None]
    except (SqlglotError, RecursionError) as error:
        raise RefusedSqlError(f"The SQL cannot be parsed: {str(error).splitlines()[0]}") from error
    if len(statements) != 1:
        raise RefusedSqlError(f"There must be exactly one statement, not {len(statements)}.")
    query = statements[0]
    if not isinstance(query, (exp.Select, exp.SetOperation)):
        raise RefusedSqlError(f"Only SELECT is allowed, not {type(query).__name__.upper()}.")
    return query


@cache
def _allowed() -> frozenset[type[exp.Expr]]:
    from sqlglot import exp

    return frozenset(getattr(exp, name) for name in f"{_SYNTAX} {_FUNCTIONS}".split())


def _refuse_unknown(node: exp.Expr) -> None:
    from sqlglot import exp

    if isinstance(node, exp.Anonymous):
        if node.name.lower() not in _OTHER_FUNCTIONS:
            raise RefusedSqlError(f"The function {node.name} is not allowed.")
    elif type(node) not in _allowed():
        name = node.sql_name() if isinstance(node, exp.Func) else type(node).__name__.upper()
        raise RefusedSqlError(f"{name} is not allowed here.")
    if isinstance(node, exp.With) and node.recursive:
        raise RefusedSqlError("WITH RECURSIVE is not allowed.")


def _refuse_tables(query: exp.Query, catalog: Catalog) -> None:
    """Let through the catalog's tables, and the names that WITH has given before the place where they are used.

    Elsewhere such a name may be that of one of the database's own tables, which say what it is and where it runs.
    """
    from sqlglot import exp

    known = {name.lower() for name in catalog}
    clauses = list(query.find_all(exp.With))
    if any(clause.parent is not query for clause in clauses):
        raise RefusedSqlError("WITH is allowed at the beginning only.")
    ctes = [cte for clause in clauses for cte in clause.expressions]
    for cte in ctes:
        _refuse_unknown_tables(cte, known, catalog)
        known.add(_folded(cte.alias))
    _refuse_unknown_tables(query, known, catalog, apart_from=clauses)


def _refuse_unknown_tables(
    part: exp.Expr, known: AbstractSet[str], catalog: Catalog, apart_from: Sequence[exp.Expr] = ()
) -> None:
    from sqlglot import exp

    for node in part.walk(prune=lambda node: node in apart_from):
        if not isinstance(node, exp.Table):
            continue
        # A function in the place of a table is no Identifier; a name with a dot reaches outside the catalog.
        is_plain = isinstance(node.this, exp.Identifier) and not node.db and not node.catalog
        if not is_plain or _folded(node.name) not in known:
            names = ", ".join(catalog)
            raise RefusedSqlError(f"There is no table {node.sql('duckdb')!r}. The tables are: {names}.")


def _folded(name: str) -> str:
    """Return a name as the database compares it: it knows no other letters' lower case than ASCII's."""
    return name.lower() if name.isascii() else name


def _explain(error: str, catalog: Catalog) -> str:
    columns = "; ".join(f"{table}: {', '.join(columns)}" for table, columns in catalog.items())
    return f"{error.splitlines()[0].removesuffix('.')}. The columns are: {columns}."
