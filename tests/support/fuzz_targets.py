"""What is fuzzed: each target takes any bytes, and raises only if something other than the errors promised comes out.

Used by `tests/test_fuzz.py` (hypothesis, and what was found before) and `bench/fuzz.py` (atheris, for hours).
"""

from __future__ import annotations

import io
import json
import tempfile
import zipfile
from collections.abc import Callable, Mapping
from functools import cache
from pathlib import Path
from typing import Any

from structrag.config import FILE_NAME, load_settings
from structrag.corpus.loaders import SUPPORTED_SUFFIXES, load_bytes
from structrag.corpus.markup import parse_headings, parse_list_items, parse_steps, parse_tables, split_sentences
from structrag.corpus.splitting import split
from structrag.errors import ConfigError, DocumentError, ModelOutputError, StoreError, TrainingDataError
from structrag.models.chat import parse_json
from structrag.router.preferences import read_preferences
from structrag.structures.edits import edit_from_dict
from structrag.structures.serialization import structure_from_dict
from structrag.types import SourceDocument
from structrag.utilizer.plans import parse_plan
from structrag.utilizer.sql_guard import RefusedSqlError, guard

CATALOG = {
    "sites": {"row_no": "BIGINT", "site": "VARCHAR", "staff": "DOUBLE", "opened": "DATE"},
    "b": {"row_no": "BIGINT", "c": "BOOLEAN"},
}
SCHEMA = {
    "type": "object",
    "properties": {"item": {"type": "integer", "minimum": 0}, "answer": {"type": "string", "maxLength": 30}},
    "required": ["item", "answer"],
    "additionalProperties": False,
}
_LONGEST_LOOKED_THROUGH = 100_000
_WORD = 'xmlns:w="http://schemas.openxmlformats.org/wordprocessingml/2006/main"'


def text_of(data: bytes) -> str:
    """Return bytes as text, whatever they are."""
    return data.decode("utf-8", "surrogateescape")


def load(suffix: str) -> Callable[[bytes], None]:
    """Return the target of one format's loader, and of all that reads what it loads."""

    def target(data: bytes) -> None:
        try:
            document = load_bytes(data, Path(f"a{suffix}"), "a")
        except DocumentError as error:
            assert error.message  # noqa: PT017
            return
        check_document(document)

    return target


def check_document(document: SourceDocument) -> None:
    """Check what is promised of every document: storable, covered by its chunks, and every span inside it."""
    text = document.text
    assert text.strip()
    assert text.encode().decode() == text
    ends = [0]
    for locator in document.locators:
        assert ends[-1] <= locator.start <= locator.end <= len(text)
        ends.append(locator.end)
    covered = [False] * len(text)
    for span in split(document):
        assert 0 <= span.start < span.end <= len(text)
        covered[span.start : span.end] = [True] * (span.end - span.start)
    assert not "".join(c for c, is_covered in zip(text, covered, strict=True) if not is_covered).strip()
    if len(text) > _LONGEST_LOOKED_THROUGH:
        return
    for start, end in split_sentences(text):
        assert 0 <= start < end <= len(text)
    for table in parse_tables(text):
        for cell in (cell for row in (table.header, *table.rows) for cell in row):
            assert text[cell.start : cell.end].replace("\\|", "|") == cell.text
    for parse in (parse_headings, parse_steps, parse_list_items):
        for item in parse(text):
            assert 0 <= item.start <= item.end <= len(text)


def archive_part(suffix: str, part: str) -> Callable[[bytes], None]:
    """Return a target that puts bytes into an archive as one of its parts."""

    def target(data: bytes) -> None:
        with zipfile.ZipFile(buffer := io.BytesIO(), "w") as archive:
            for name, content in _parts(suffix).items():
                if name != part:
                    archive.writestr(name, content)
            archive.writestr(part, data)
        load(suffix)(buffer.getvalue())

    return target


@cache
def _parts(suffix: str) -> Mapping[str, bytes]:
    if suffix == ".docx":
        import docx

        docx.Document().save(buffer := io.BytesIO())
    else:
        import openpyxl

        openpyxl.Workbook().save(buffer := io.BytesIO())
    with zipfile.ZipFile(buffer) as archive:
        return {name: archive.read(name) for name in archive.namelist()}


def reply(data: bytes) -> None:
    """A model's reply."""
    try:
        found = parse_json(text_of(data), SCHEMA)
    except ModelOutputError as error:
        assert error.message  # noqa: PT017
        return
    assert set(found) == {"item", "answer"}


def plan(data: bytes) -> None:
    """A model's plan."""
    found = parse_plan(text_of(data))
    assert found is None or str(found)


def sql(data: bytes) -> None:
    """A model's SQL: what passes the guard is one SELECT whose SQL passes it again."""
    try:
        query = guard(text_of(data), CATALOG)
    except RefusedSqlError as error:
        assert str(error)  # noqa: PT017
        return
    written = query.sql("duckdb", comments=False)
    assert written.lstrip("( ").upper().startswith(("SELECT", "WITH"))


def preferences(data: bytes) -> None:
    """A preference file."""
    _in_file("pairs.jsonl", data, read_preferences, TrainingDataError)


def config(data: bytes) -> None:
    """A configuration file."""
    _in_file(FILE_NAME, data, lambda path: load_settings(path.parent), ConfigError)


def _in_file(name: str, data: bytes, read: Callable[[Path], object], error: type[Exception]) -> None:
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / name
        path.write_bytes(data)
        try:
            read(path)
        except error as refused:
            assert str(refused)  # noqa: PT017


def structure(data: bytes) -> None:
    """A kept structure: read back from JSON, it writes the same JSON."""
    value = _json(data)
    if not isinstance(value, dict):
        return
    try:
        found = structure_from_dict(value)
    except StoreError as error:
        assert error.message  # noqa: PT017
        return
    written = json.loads(json.dumps(found.to_dict()))
    assert structure_from_dict(written).to_dict() == found.to_dict()
    found.render(200)


def edit(data: bytes) -> None:
    """A kept edit of a structure."""
    value = _json(data)
    if not isinstance(value, dict):
        return
    try:
        edit_from_dict(value, number=1)
    except StoreError as error:
        assert error.message  # noqa: PT017


def _json(data: bytes) -> Any:
    try:
        return json.loads(data)
    except (ValueError, RecursionError):
        return None


TARGETS: Mapping[str, Callable[[bytes], None]] = {
    **{f"load{suffix}": load(suffix) for suffix in SUPPORTED_SUFFIXES},
    "docx-document": archive_part(".docx", "word/document.xml"),
    "xlsx-sheet": archive_part(".xlsx", "xl/worksheets/sheet1.xml"),
    "reply": reply,
    "plan": plan,
    "sql": sql,
    "preferences": preferences,
    "config": config,
    "structure": structure,
    "edit": edit,
}
SEEDS: Mapping[str, tuple[bytes, ...]] = {
    "load.md": (
        b"# A\n\n1. Open\n2. If red, go to 4\n\n| a | b |\n|---|---|\n| 1 | 2 |\n\n```\nx\n```\n- b. c? D! e.g. F\n",
    ),
    "load.csv": (b'a,b\n1,"x\ny"\n',),
    "load.tsv": (b"a\tb\n1\t2\n",),
    "load.json": (b'[{"a": 1, "b": "x"}, {"a": 2.5}]', b'{"a": [1, {"b": null}]}'),
    "load.jsonl": (b'{"a": 1}\n{"a": 2}\n',),
    "load.html": (
        b"<h1>A</h1><table><tr><td rowspan=2>1</td><td>2|</td></tr><tr><td>3</td></tr></table><ol><li>x</ol>",
    ),
    "docx-document": (
        f"<w:document {_WORD}><w:body><w:p><w:r><w:t>x</w:t></w:r></w:p></w:body></w:document>".encode(),
    ),
    "xlsx-sheet": (
        b'<worksheet xmlns="http://schemas.openxmlformats.org/spreadsheetml/2006/main"><sheetData><row r="1">'
        b'<c r="A1" t="inlineStr"><is><t>a</t></is></c><c r="B1"><v>1</v></c></row></sheetData></worksheet>',
    ),
    "reply": (b'```json\n{"item": 1, "answer": "x"}\n```', b'{"item": 0, "answer": ""}'),
    "plan": (b'number(headings("a b", of(x)))', b'a_b(c("d"), e'),
    "sql": (
        b"SELECT site FROM sites WHERE staff > 5 AND opened < DATE '1998-01-01' ORDER BY staff DESC LIMIT 1",
        b"WITH a AS (SELECT AVG(staff) AS m FROM sites) SELECT COUNT(*), MAX(m) FROM a, b WHERE EXISTS(SELECT 1 FROM b)",
        b"SELECT CASE WHEN c THEN 'yes' ELSE NULL END, site || 'x', CAST(staff AS INT) FROM sites, b UNION SELECT 1, 'a', 2",
    ),
    "preferences": (b'{"prompt": "a", "chosen": "table", "rejected": "chunk", "documents": [{"title": "t"}]}',),
    "config": (b'[models]\nchat = "embedded"\n[budget]\ncalls = 3\n[tui.keys]\n"corpus.add" = "n"\n',),
    "structure": (
        b'{"type": "chunk", "passages": [{"span": {"document_id": "a", "start": 0, "end": 1}, "text": "x", "title": "t",'
        b' "score": 0.5}]}',
        b'{"type": "graph", "facts": []}',
        b'{"type": "table", "tables": []}',
    ),
    "edit": (b'{"kind": "rename", "target": {"document_id": "a"}}',),
}
"""What a target begins from; bytes of the real formats are built by the tests."""
