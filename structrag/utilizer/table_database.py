"""Tables in DuckDB: in memory, without files or network, with limits on memory, time and rows."""

from __future__ import annotations

import threading
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from types import TracebackType
from typing import Any, Self

from structrag.structures.table_set import Column, ColumnType, Row, Table

ROW_NUMBER = "row_no"
_SECONDS = 5.0
_MOST_ROWS = 200
_BATCH = 200
_TYPES = {ColumnType.TEXT: "VARCHAR", ColumnType.DATE: "DATE", ColumnType.BOOLEAN: "BOOLEAN"}
# Without a folder for it, nothing is written to disk when the memory does not do; and no variable of ours is a table.
_LIMITS: dict[str, Any] = {
    "threads": 1,
    "memory_limit": "256MB",
    "temp_directory": "",
    "python_enable_replacements": "false",
}
# Beyond this, a double no longer holds every whole number.
_EXACT_INTEGERS = 2**53


class FailedQueryError(Exception):
    """The database refused or stopped a query; the message is the database's own."""


@dataclass(frozen=True, slots=True)
class Result:
    """What a query returned.

    Attributes:
        names: One for each column.
        is_cut: There were more rows than are ever fetched.
    """

    names: tuple[str, ...]
    rows: tuple[tuple[Any, ...], ...]
    is_cut: bool = False


class TableDatabase:
    """The usable cells of some tables, as a database that can only be read.

    Every table has the extra column ``row_no``, 1 for the first row that was loaded.
    """

    def __init__(self, tables: Sequence[Table]) -> None:
        import duckdb

        self.tables = {table.name: table for table in tables}
        self._rows = {table.name: _loadable(table) for table in tables}
        self._connection = duckdb.connect(":memory:", config=_LIMITS)
        self.catalog: dict[str, dict[str, str]] = {}
        for table in tables:
            self._load(table)
        for setting in (
            "enable_external_access = false",
            "autoinstall_known_extensions = false",
            "autoload_known_extensions = false",
            "lock_configuration = true",
        ):
            self._connection.execute(f"SET {setting}")

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._connection.close()

    def column(self, table: str, name: str) -> Column:
        """Return a column by its table's name and its own."""
        found = self.tables[table]
        return found.columns[found.column_index(name)]

    def row(self, table: str, number: int) -> Row:
        """Return the row that was loaded under a ``row_no``."""
        return self._rows[table][number - 1]

    def rows(self, table: str) -> list[Row]:
        """Return all rows that were loaded, in order."""
        return self._rows[table]

    def texts(self, table: str, name: str) -> list[str]:
        """Return the distinct values of a text column, in order."""
        index = self.tables[table].column_index(name)
        values = (row.cells[index] for row in self._rows[table])
        return list(dict.fromkeys(str(cell.value) for cell in values if cell.usable))

    def run(self, sql: str, *, seconds: float = _SECONDS) -> Result:
        """Run a query that has passed the guard.

        Raises:
            FailedQueryError: The database refuses it, or it took longer than ``seconds``.
        """
        import duckdb

        timer = threading.Timer(seconds, self._connection.interrupt)
        timer.start()
        try:
            cursor = self._connection.execute(sql)
            names = tuple(item[0] for item in cursor.description or ())
            rows = cursor.fetchmany(_MOST_ROWS + 1)
        except duckdb.InterruptException as error:
            raise FailedQueryError(f"The query took longer than {seconds:g} seconds.") from error
        except duckdb.Error as error:
            raise FailedQueryError(str(error).splitlines()[0]) from error
        finally:
            timer.cancel()
            # A timer that has fired must be over before the next query, or it would interrupt that one.
            timer.join()
        return Result(names, tuple(rows[:_MOST_ROWS]), len(rows) > _MOST_ROWS)

    def _load(self, table: Table) -> None:
        types = {ROW_NUMBER: "BIGINT"}
        for index, column in enumerate(table.columns):
            values = [row.cells[index].value for row in self._rows[table.name] if row.cells[index].usable]
            types[column.name] = _TYPES.get(column.type) or _number_type(values)
        self.catalog[table.name] = types
        columns = ", ".join(f'"{name}" {type_}' for name, type_ in types.items())
        self._connection.execute(f'CREATE TABLE "{table.name}" ({columns})')
        marks = f"({', '.join('?' * len(types))})"
        rows = [
            [number, *(cell.value if cell.usable else None for cell in row.cells)]
            for number, row in enumerate(self._rows[table.name], start=1)
        ]
        for start in range(0, len(rows), _BATCH):
            batch = rows[start : start + _BATCH]
            values = [value for row in batch for value in row]
            self._connection.execute(f'INSERT INTO "{table.name}" VALUES {", ".join([marks] * len(batch))}', values)


def _number_type(values: Iterable[Any]) -> str:
    whole = all(value == int(value) and abs(value) < _EXACT_INTEGERS for value in values)
    return "BIGINT" if whole else "DOUBLE"


def _loadable(table: Table) -> list[Row]:
    """Return the rows to compute with; one whose subject failed its check is about nothing we know."""
    rows = table.data_rows
    if not table.key:
        return rows
    at = table.column_index(table.key)
    return [row for row in rows if (found := row.cells[at].evidence) is None or found.verified]
