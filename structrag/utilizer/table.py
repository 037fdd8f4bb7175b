"""Answer a question from tables: the model writes one SELECT, code runs it and says what came out."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import date
from functools import cache
from importlib.resources import files
from typing import TYPE_CHECKING, Any

from structrag.models.chat import Prompt
from structrag.session import Session
from structrag.structures.table_set import Cell, Column, ColumnType, Table, TableSet
from structrag.types import Structure, StructureType
from structrag.utilizer.finding import NOTHING_FOUND, Finding
from structrag.utilizer.sql_constants import constants, invented
from structrag.utilizer.sql_guard import RefusedSqlError, guard
from structrag.utilizer.table_answer import answer, describe_columns, is_empty, is_negative
from structrag.utilizer.table_database import FailedQueryError, Result, TableDatabase
from structrag.utilizer.table_matching import Matcher
from structrag.utilizer.table_provenance import Source, evidence_of, sources
from structrag.utilizer.table_ties import without_ties_cut

if TYPE_CHECKING:
    from sqlglot import exp

_REPLY: Mapping[str, Any] = {
    "type": "object",
    "properties": {"sql": {"type": "string", "maxLength": 600}},
    "required": ["sql"],
    "additionalProperties": False,
}
_MAX_TOKENS = 220
# Characters of schema that a small model on a CPU reads in a few seconds.
_SCHEMA_ROOM = 2600
_MOST_DISTINCT = 12
_SAMPLE_ROWS = 3
_LONGEST_SAMPLE = 40
_TRIES = 2


class TableReasoner:
    """Reasons on a `TableSet` by SQL."""

    @property
    def type(self) -> StructureType:
        """Always `StructureType.TABLE`."""
        return StructureType.TABLE

    def reason(self, question: str, structure: Structure, session: Session) -> Finding:
        """Answer the question from verified cells alone; `NOTHING_FOUND` when they do not say.

        A count of zero, or a "no", is an answer only if every name in the query's conditions occurs in its
        column; otherwise the tables do not know the thing that was asked about.

        Raises:
            TypeError: The structure is no `TableSet`.
            ModelError: The model does not answer.
        """
        if not isinstance(structure, TableSet):
            raise TypeError(f"The table reasoner needs a TableSet, not {type(structure).__name__}.")
        tables = _readable(structure.tables)
        if not tables:
            return NOTHING_FOUND
        with TableDatabase(tables) as database:
            planned = _planned(question, structure.query, database, session)
            query = planned or _write_query(question, tables, database, session)
            if query is None:
                return NOTHING_FOUND
            return _find(question, query, structure, database, session)


def _readable(tables: Sequence[Table]) -> list[Table]:
    """Return the tables that have usable rows and whose description fits the prompt; the first always does."""
    chosen: list[Table] = []
    room = _SCHEMA_ROOM
    for table in tables:
        if not any(cell.usable for row in table.data_rows for cell in row.cells):
            continue
        room -= len(describe_table(table))
        if chosen and room < 0:
            break
        chosen.append(table)
    return chosen


def _planned(question: str, sql: str, database: TableDatabase, session: Session) -> exp.Query | None:
    """Return the query that came with the tables if it passes the guard and runs, as one that the model writes must."""
    if not sql:
        return None
    session.note("sql", sql)
    try:
        return _tried(question, sql, database, session)
    except (RefusedSqlError, FailedQueryError) as error:
        session.note("sql refused", str(error))
        return None


def _tried(question: str, sql: str, database: TableDatabase, session: Session) -> exp.Query:
    """Return the query that has passed the guard, run once, and brought no answer of its own along."""
    query = guard(sql, database.catalog, lambda remark: session.note("column", remark))
    result = database.run(_text(Matcher(database).rewrite(query)))
    if reason := constants(query) or invented(question, query, result, database):
        raise RefusedSqlError(reason)
    return query


def _write_query(question: str, tables: Sequence[Table], database: TableDatabase, session: Session) -> exp.Query | None:
    """Return a query that has passed the guard and run once, or ``None`` if the model finds no column for it."""
    prompt = "\n\n".join(describe_table(table) for table in tables) + f"\n\nQuestion: {question}"
    for _ in range(_TRIES):
        sql = str(session.ask(Prompt("table.sql", _instructions(), prompt, _REPLY, _MAX_TOKENS)).data["sql"])
        session.note("sql", sql or "(no column holds what is asked)")
        if not sql.strip():
            return None
        try:
            return _tried(question, sql, database, session)
        except (RefusedSqlError, FailedQueryError) as error:
            session.note("sql refused", str(error))
            prompt += f"\n{sql}\nThis failed: {error}\nWrite a corrected query."
    return None


def _find(question: str, query: exp.Query, structure: TableSet, database: TableDatabase, session: Session) -> Finding:
    try:
        executed, result, unmatched = _execute(query, database)
    except FailedQueryError as error:  # it was in time when it was tried, and is not now
        session.note("sql refused", str(error))
        return NOTHING_FOUND
    if is_empty(result) or (is_negative(result) and unmatched):
        reason = f"no cell matches {', '.join(map(repr, unmatched))}" if unmatched else "no rows"
        session.note("rows", f"nothing: {reason}")
        return NOTHING_FOUND
    session.note("rows", _preview(result))
    found = sources(executed, database)
    answered = answer(question, result, describe_columns(executed, result, found, database))
    evidence = evidence_of(_or_all(found, executed, database), database)
    return Finding(answered.text + _disagreement(structure, found, database), answered.values, evidence)


def _execute(query: exp.Query, database: TableDatabase) -> tuple[exp.Query, Result, list[str]]:
    """Return the query as it was run at last, its result, and the names that no cell matches."""
    matcher = Matcher(database)
    executed = without_ties_cut(matcher.rewrite(query), database)
    result = database.run(_text(executed))
    strict = executed, result, matcher.unmatched
    if not is_empty(result) and not _counts_nothing(query, result):
        return strict
    # The exact name may stand in other rows than those that the further conditions leave.
    loose = Matcher(database, loosely=True)
    try:
        loosened = without_ties_cut(loose.rewrite(query), database)
        other = database.run(_text(loosened))
    except FailedQueryError:
        return strict
    return strict if is_negative(other) else (loosened, other, loose.unmatched)


def _counts_nothing(query: exp.Query, result: Result) -> bool:
    """Whether a query only counts, and counted no row; a difference of zero or a "no" is no such thing."""
    from sqlglot import exp

    return is_negative(result) and all(isinstance(item.unalias(), exp.Count) for item in query.selects)


def _or_all(found: list[Source], query: exp.Query, database: TableDatabase) -> list[Source]:
    """Return the sources; where no row fits the conditions, the rows that were looked through instead."""
    if any(source.rows for source in found):
        return found
    return [Source(s.table, tuple(range(1, len(database.rows(s.table)) + 1)), s.answering, s.deciding) for s in found]


def _disagreement(structure: TableSet, found: Sequence[Source], database: TableDatabase) -> str:
    """Return a remark on the documents that contradict each other about cells that the answer rests on."""
    read = {
        id(row.cells[database.tables[s.table].column_index(name)])
        for s in found
        for row in (database.row(s.table, number) for number in s.rows)
        for name in (*s.answering, *s.deciding)
    }
    remarks = [
        f"{conflict.column.replace('_', ' ')} of {conflict.key} is {' or '.join(c.raw for c in conflict.cells)}"
        for conflict in structure.conflicts
        if any(id(cell) in read for cell in conflict.cells)
    ]
    return f" (The documents disagree: {'; '.join(remarks)}.)" if remarks else ""


def describe_table(table: Table) -> str:
    """Return a table's schema as the model reads it, with a few rows."""
    lines = [f"CREATE TABLE {table.name} ( -- {' '.join(table.title.split())[:100]}", "  row_no BIGINT,"]
    lines += [_describe_column(table, index, column) for index, column in enumerate(table.columns)]
    lines.append(");")
    for number, row in enumerate(table.data_rows[:_SAMPLE_ROWS], start=1):
        lines.append(f"-- {number}, {', '.join(map(_sample, row.cells))}")
    return "\n".join(lines)


def _describe_column(table: Table, index: int, column: Column) -> str:
    types = {ColumnType.NUMBER: "DOUBLE", ColumnType.DATE: "DATE", ColumnType.BOOLEAN: "BOOLEAN"}
    about = [column.unit] if column.unit else []
    if column.name != column.label.casefold().replace(" ", "_"):
        about.insert(0, column.label)
    if column.type is ColumnType.TEXT:
        cells = (row.cells[index] for row in table.data_rows)
        distinct = list(dict.fromkeys(_sample(cell) for cell in cells if cell.usable))
        if len(distinct) <= _MOST_DISTINCT:
            about.append(", ".join(distinct))
    note = f" -- {'; '.join(about)}" if about else ""
    return f"  {column.name} {types.get(column.type, 'VARCHAR')},{note}"


def _sample(cell: Cell) -> str:
    value = cell.value if cell.usable else None
    if value is None:
        return "NULL"
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, date):
        return value.isoformat()
    if isinstance(value, float):
        return f"{value:.12g}"
    text = value if len(value) <= _LONGEST_SAMPLE else value[: _LONGEST_SAMPLE - 1] + "…"
    return "'" + text.replace("'", "''") + "'"


def _preview(result: Result) -> str:
    rows = "; ".join(", ".join("NULL" if v is None else str(v) for v in row) for row in result.rows[:5])
    more = f" (and {len(result.rows) - 5} more)" if len(result.rows) > 5 else ""
    return f"{rows}{more}"


def _text(query: exp.Query) -> str:
    return str(query.sql("duckdb", comments=False))


@cache
def _instructions() -> str:
    path = files("structrag.utilizer").joinpath("prompts/table_sql.txt")
    return path.read_text(encoding="utf-8").strip()
