"""Only one read-only SELECT over known tables and columns gets through, and the database is locked besides."""

import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from structrag.structures.table_set import Cell, Column, ColumnType, Row, Table
from structrag.utilizer.sql_guard import RefusedSqlError, guard
from structrag.utilizer.table_database import FailedQueryError, TableDatabase

CATALOG = {"sites": {"row_no": "BIGINT", "site": "VARCHAR", "staff": "BIGINT", "opened": "DATE"}}


@pytest.fixture
def database() -> Iterator[TableDatabase]:
    columns = (Column("site", "Site"), Column("staff", "Staff", ColumnType.NUMBER))
    rows = tuple(Row("a", (Cell(name, name), Cell(str(n), float(n)))) for name, n in (("North", 10), ("South", 30)))
    with TableDatabase([Table("sites", "Sites", columns, rows)]) as database:
        yield database


@pytest.mark.parametrize(
    "sql",
    [
        "SELECT site FROM sites WHERE staff > 5 ORDER BY staff DESC LIMIT 1",
        "SELECT * FROM sites",
        "SELECT COUNT(*), AVG(staff) FROM sites GROUP BY site HAVING COUNT(*) > 1",
        "WITH big AS (SELECT site FROM sites WHERE staff > 5) SELECT COUNT(*) FROM big",
        "SELECT (SELECT MAX(staff) FROM sites) - (SELECT MIN(staff) FROM sites)",
        "SELECT site FROM sites WHERE YEAR(opened) = 1998 OR opened < DATE '1998-01-01'",
        "SELECT CASE WHEN staff > 5 THEN 'many' ELSE 'few' END FROM sites AS s",
        "SELECT site FROM sites UNION SELECT site FROM sites WHERE site ILIKE '%x%'",
        "SELECT site, RANK() OVER (ORDER BY staff) FROM sites -- the largest",
        "SELECT DATE_DIFF('day', MIN(opened), MAX(opened)) FROM SITES;",
    ],
)
def test_questions_get_through(sql: str) -> None:
    guard(sql, CATALOG)


@pytest.mark.parametrize(
    ("sql", "read_as"),
    [
        ("SELECT site FROM sites WHERE opening > DATE '1998-01-01'", "opened"),
        ("SELECT s.stafff FROM sites AS s", "staff"),
        ("SELECT SUM(staffing) FROM sites", "staff"),
    ],
)
def test_a_column_that_is_written_nearly_so_is_read(sql: str, read_as: str) -> None:
    told: list[str] = []
    assert f'"{read_as}"' in guard(sql, CATALOG, told.append).sql("duckdb")
    assert len(told) == 1
    assert told[0].endswith(f"is read as {read_as}")


@pytest.mark.parametrize("name", ["revenue", "sit", "opx", "price"])
def test_a_column_that_may_be_two_or_none_is_refused(name: str) -> None:
    catalog = {"sites": {**CATALOG["sites"], "revenue_2023": "DOUBLE", "revenue_2024": "DOUBLE"}}
    with pytest.raises(RefusedSqlError, match=name):
        guard(f"SELECT {name} FROM sites", catalog)


@pytest.mark.parametrize(
    ("sql", "reason"),
    [
        ("INSERT INTO sites VALUES (1, 'x', 2, NULL)", "Only SELECT"),
        ("UPDATE sites SET staff = 0", "Only SELECT"),
        ("DELETE FROM sites", "Only SELECT"),
        ("DROP TABLE sites", "Only SELECT"),
        ("CREATE TABLE x AS SELECT * FROM sites", "Only SELECT"),
        ("SELECT site INTO x FROM sites", "INTO"),
        ("ATTACH 'other.db'", "Only SELECT"),
        ("PRAGMA database_list", "Only SELECT"),
        ("COPY sites TO 'out.csv'", "Only SELECT"),
        ("INSTALL httpfs", "Only SELECT"),
        ("SET threads = 8", "Only SELECT"),
        ("CALL pragma_version()", "Only SELECT"),
        ("EXPLAIN SELECT site FROM sites", "Only SELECT"),
        ("SELECT site FROM sites; DROP TABLE sites", "exactly one"),
        ("SELECT site FROM sites /* ; */; SELECT 1", "exactly one"),
        ("SELECT 1 -- \n; DELETE FROM sites", "exactly one"),
        ("", "exactly one"),
        ("SELECT * FROM read_csv('/etc/passwd')", "not allowed"),
        ("SELECT * FROM read_text('/etc/passwd')", "not allowed"),
        ("SELECT * FROM '/etc/passwd'", "no table"),
        ("SELECT * FROM 'data.parquet'", "no table"),
        ("SELECT * FROM glob('*')", "not allowed"),
        ("SELECT * FROM duckdb_settings()", "not allowed"),
        ("SELECT * FROM information_schema.tables", "no table"),
        ("SELECT * FROM main.sites", "no table"),
        ("SELECT * FROM sqlite_master", "no table"),
        ("SELECT getenv('HOME')", "not allowed"),
        ("SELECT current_setting('threads') FROM sites", "not allowed"),
        ("SELECT query('SELECT 1') FROM sites", "not allowed"),
        ("SELECT nextval('s') FROM sites", "not allowed"),
        ("SELECT pg_sleep(5)", "not allowed"),
        ("SELECT repeat(site, 1000000000) FROM sites", "not allowed"),
        ("SELECT lpad(site, 1000000000, 'x') FROM sites", "not allowed"),
        ("SELECT * FROM range(1000000000)", "not allowed"),
        ("SELECT unnest(generate_series(1, 1000000000))", "not allowed"),
        ("WITH RECURSIVE r(n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM r) SELECT n FROM r", "RECURSIVE"),
        ("SELECT secret FROM sites", "secret"),
        ("SELECT site FROM sites WHERE password = 'x'", "password"),
        ("SELECT t.site FROM sites AS s", "could not be resolved"),
        ("SELECT site FROM sites WHERE staff = $1", "not allowed"),
        ("SELECT COLUMNS('.*') FROM sites", "not allowed"),
        ("SELECT sites FROM nowhere", "no table"),
        ("SELECT * FROM (SELECT *, site FROM sites) AS q ORDER BY 1", "name the column"),
        ("SELECT (", "cannot be parsed"),
        ("SELECT '" + "x" * 3000 + "'", "longer"),
        ("SELECT " + "(" * 900 + "1" + ")" * 900, "cannot be parsed"),
    ],
)
def test_attacks_and_mistakes_are_refused(sql: str, reason: str) -> None:
    with pytest.raises(RefusedSqlError, match=reason):
        guard(sql, CATALOG)


def test_a_star_leaves_the_row_numbers_out() -> None:
    query = guard("SELECT * FROM sites", CATALOG)
    assert [item.alias_or_name for item in query.selects] == ["site", "staff", "opened"]
    asked = guard("SELECT row_no FROM sites", CATALOG)
    assert [item.alias_or_name for item in asked.selects] == ["row_no"]


def test_the_reason_names_the_columns_that_there_are() -> None:
    with pytest.raises(RefusedSqlError, match="row_no, site, staff, opened"):
        guard("SELECT secret FROM sites", CATALOG)


@pytest.mark.parametrize(
    "sql",
    [
        "WITH RECURSIVE r(n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM r) SELECT COUNT(*) FROM r",
        "SELECT COUNT(*) FROM range(1000000) a, range(1000000) b, range(1000) c WHERE a.range + b.range = c.range",
    ],
)
def test_a_bomb_is_stopped_and_the_database_goes_on(database: TableDatabase, sql: str) -> None:
    started = time.monotonic()
    with pytest.raises(FailedQueryError, match=r"longer than 0\.2 seconds"):
        database.run(sql, seconds=0.2)
    assert time.monotonic() - started < 10
    assert database.run("SELECT SUM(staff) FROM sites").rows == ((40,),)


def test_a_result_too_large_for_memory_is_an_error(database: TableDatabase) -> None:
    with pytest.raises(FailedQueryError):
        database.run("SELECT list(repeat('x', 1000000)) FROM range(5000)")


def test_without_the_guard_files_and_settings_are_out_of_reach(database: TableDatabase, tmp_path: Path) -> None:
    secret = tmp_path / "secret.csv"
    secret.write_text("a\n1\n", encoding="utf-8")
    target = tmp_path / "out.csv"
    for sql in (
        f"SELECT * FROM read_csv('{secret.as_posix()}')",
        f"SELECT * FROM '{secret.as_posix()}'",
        f"COPY sites TO '{target.as_posix()}'",
        f"ATTACH '{(tmp_path / 'x.db').as_posix()}'",
        "SET enable_external_access = true",
        "SET lock_configuration = false",
        "INSTALL httpfs",
        "LOAD httpfs",
    ):
        with pytest.raises(FailedQueryError):
            database.run(sql)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["secret.csv"]


def test_results_are_capped(database: TableDatabase) -> None:
    result = database.run("SELECT * FROM range(1000)")
    assert (len(result.rows), result.is_cut) == (200, True)
    assert not database.run("SELECT site FROM sites").is_cut
