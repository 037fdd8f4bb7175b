"""Promises about hostile files, SQL, artefacts and parsers: made up at random by a seed, many times."""

from __future__ import annotations

import hashlib
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from random import Random
from typing import Any

from promises import Outcome, Promise

sys.path.insert(0, str(Path(__file__).parent.parent / "tests" / "support"))

from fuzz_targets import SEEDS, TARGETS

from structrag.errors import RoutingError
from structrag.router.artefact import ADAPTER, SETTINGS, read_settings, read_weights
from structrag.router.versions import shipped_folder
from structrag.structures.table_set import Cell, Column, ColumnType, Row, Table
from structrag.utilizer.sql_guard import RefusedSqlError, guard
from structrag.utilizer.table_database import FailedQueryError, TableDatabase

_MARKS = [
    "|",
    "-",
    "#",
    "*",
    ".",
    ":",
    ";",
    ",",
    '"',
    "'",
    "(",
    ")",
    "[",
    "]",
    "{",
    "}",
    "<",
    ">",
    "/",
    "\\",
    "\n",
    "\t",
]
_MARKS += [
    "\0",
    " ",
    "=",
    "0",
    "9",
    "a",
    "Z",
    "é",
    "。",
    "\u2028",
    "\ufeff",
    "SELECT ",
    "FROM ",
    "&",
    "e.g. ",
    "Step 3",
]
_LONGEST_QUERY = 20.0
"""Processor seconds; the database is told to stop after a tenth of a second."""


def parsers_refuse_or_read(rounds: int) -> Outcome:
    """Give every parser so many inputs: seeds changed at random, and runs of one mark, which find what is quadratic."""
    failures = []
    tried = 0
    for name, target in TARGETS.items():
        for seed in range(rounds):
            data = _input(name, Random(f"{name} {seed}"))
            tried += 1
            started = time.process_time()
            try:
                target(data)
            except Exception as error:  # noqa: BLE001 - whatever it is, it is what is looked for
                failures.append(f"{name}, seed {seed}: {error!r}")
            if (took := time.process_time() - started) > _LONGEST_QUERY:
                failures.append(f"{name}, seed {seed}: took {took:.0f} seconds")
    return Outcome(tried, failures, f"{len(TARGETS)} parsers")


def _input(name: str, random: Random) -> bytes:
    data = bytearray(random.choice(SEEDS.get(name, (b"",))))
    for _ in range(random.randint(1, 6)):
        start = random.randint(0, len(data))
        piece = random.choice(_MARKS).encode() * random.choice([1, 1, 1, 2, 5, 40])
        data[start : start + random.randint(0, 10)] = random.choice(
            [piece, piece, random.randbytes(4), bytes(data[:start])]
        )
    return bytes(data[:20_000])


def queries_stay_inside(rounds: int) -> Outcome:
    """Run so many queries put together at random from pieces of attacks: refused, stopped, or 200 rows at most."""
    failures: list[str] = []
    passed = 0
    columns = (Column("site", "Site"), Column("staff", "Staff", ColumnType.NUMBER))
    rows = tuple(Row("a", (Cell(f"Site {n}", f"Site {n}"), Cell(str(n), float(n)))) for n in range(150))
    with TableDatabase([Table("sites", "Sites", columns, rows)]) as database:
        for seed in range(rounds):
            sql = _query(Random(seed), 3)
            started = time.process_time()
            try:
                result = database.run(guard(sql, database.catalog).sql("duckdb", comments=False), seconds=0.1)
                passed += 1
                if len(result.rows) > 200:
                    failures.append(f"seed {seed}: {len(result.rows)} rows")
            except (RefusedSqlError, FailedQueryError):
                pass
            except Exception as error:  # noqa: BLE001 - as above
                failures.append(f"seed {seed}: {error!r}: {sql}")
            if (took := time.process_time() - started) > _LONGEST_QUERY:
                failures.append(f"seed {seed}: took {took:.0f} seconds: {sql}")
        if database.run("SELECT COUNT(*), SUM(staff) FROM sites").rows != ((150, 11175),):
            failures.append("The tables are not what they were.")
    return Outcome(rounds, failures, f"{passed:,} were run")


def _query(random: Random, depth: int) -> str:
    sources = ["sites", "sites a, sites b", "sites a, sites b, sites c", "duckdb_tables", "read_csv('/etc/passwd')"]
    if depth:
        sources += [f"({_query(random, depth - 1)}) q"] * 4
    items = ["*", "site", "staff", "COUNT(*)", _text(random, depth), _text(random, depth), "a.site || b.site AS s"]
    sql = f"SELECT {', '.join(random.sample(items, random.randint(1, 2)))} FROM {random.choice(sources)}"
    if random.random() < 0.3:
        sql += f" WHERE site LIKE '{'%a' * random.randint(1, 30)}b' OR staff > {random.randint(0, 99)}"
    if random.random() < 0.2:
        sql += f" ORDER BY {random.randint(1, 3)} LIMIT {random.choice(['1', '10', '999999999'])}"
    if random.random() < 0.15:
        sql = f"WITH sites AS ({sql}) {sql}"
    if random.random() < 0.05:
        sql += random.choice(["; DROP TABLE sites", " UNION ALL SELECT * FROM sites", " -- ;", "\0"])
    return sql


def _text(random: Random, depth: int) -> str:
    inner = "site" if depth <= 0 else _text(random, depth - 1)
    forms = [
        "UPPER({0})",
        "{0} || {0}",
        "REPLACE({0}, 'a', 'aaaaaaaaaaaa')",
        "CAST({0} AS BLOB)",
        "repeat({0}, 99999999)",
    ]
    forms += [
        "CONCAT({0}, {0}, 'x')",
        "REGEXP_REPLACE({0}, 'S', '', 'g')",
        "SUBSTRING({0}, 1, 3)",
        "getenv({0})",
        "{0}",
    ]
    return random.choice(forms).format(inner)


def tampered_routers_are_refused(rounds: int) -> Outcome:
    """Change the shipped router so many times at a random place, in its settings or its weights.

    What is changed in the figures of the settings themselves cannot be told: they are not signed.
    """
    failures = []
    whole = {name: (shipped_folder() / name).read_bytes() for name in (ADAPTER, SETTINGS)}
    with tempfile.TemporaryDirectory() as scratch:
        folder = Path(scratch)
        for seed in range(rounds):
            random = Random(seed)
            name = random.choice(list(whole))
            data = bytearray(whole[name])
            place = random.randrange(len(data))
            changed: Callable[[], Any] = random.choice(
                [
                    lambda data=data, place=place: data.__delitem__(slice(place, place + 1)),
                    lambda data=data, place=place: data.__setitem__(place, data[place] ^ 0x15),
                    lambda data=data, place=place: data.__delitem__(slice(place, None)),
                ]
            )
            changed()
            for each, content in whole.items():
                (folder / each).write_bytes(bytes(data) if each == name else content)
            failures += [f"seed {seed}: {wrong}" for wrong in _wrongly_read(folder)]
    return Outcome(rounds, failures)


def _wrongly_read(folder: Path) -> list[str]:
    try:
        settings = read_settings(folder)
        read_weights(folder, settings)
    except RoutingError:
        return []
    except Exception as error:  # noqa: BLE001 - as above
        return [repr(error)]
    weights_hash = hashlib.sha256((folder / ADAPTER).read_bytes()).hexdigest()
    if weights_hash != settings.adapter_sha256:
        return ["weights were read that are not those of the settings"]
    return []


PROMISES = [
    Promise("Any bytes are read or refused by every parser", parsers_refuse_or_read, rounds=400, short=1),
    Promise(
        "SQL at random is refused, stopped, or a SELECT over the tables", queries_stay_inside, rounds=5_000, short=30
    ),
    Promise("A router whose files were changed is refused", tampered_routers_are_refused, rounds=500, short=5),
]
