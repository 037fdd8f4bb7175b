"""The command `export`: an answer's structure as a file or on stdout."""

import csv
import io
import json
import zipfile
import zlib
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import networkx as nx
import numpy as np
import pytest
from numpy.typing import NDArray
from typer.testing import CliRunner, Result

from structrag.cli import exporting
from structrag.cli.app import build
from structrag.corpus.store import DATABASE_NAME, CorpusStore
from structrag.models.weights import Progress
from structrag.pipeline import StructRAG
from structrag.router import RoutingRequest
from structrag.structures.algorithm import Algorithm
from structrag.structures.algorithm_parse import parse_procedures
from structrag.structures.catalogue import Catalogue
from structrag.structures.catalogue_parse import parse_topics
from structrag.structures.chunk import ChunkSet
from structrag.structures.exports.export import export
from structrag.structures.graph_parse import parse_facts
from structrag.structures.serialization import structure_from_dict
from structrag.structures.table import parse_tables
from structrag.structures.table_set import TableSet
from structrag.testing import scripted
from structrag.types import Passage, Route, SourceDocument, Span, Structure, StructureType
from structrag.usage import UsageMeter

TEXT = "# Alder\n\n1. call Katrin Moor at Alder.\n2. Wait.\n\n| Site | Staff |\n|---|---|\n| Oslo \x1b[31m\u202e | 1,540 |\n"
PLANTS = "# Birk\n\n| Plant | Output (kW) |\n|---|---|\n| Graz | 18 |\n"


class HashingEmbedder:
    """Bags of words, so that no test waits for a real model."""

    name = "hashing"

    def embed(self, texts: Sequence[str]) -> NDArray[np.float32]:
        rows = np.full((len(texts), 64), 1e-3, dtype=np.float32)
        for row, text in zip(rows, texts, strict=True):
            for word in text.lower().split():
                row[zlib.crc32(word.encode()) % 64] += 1
        return np.asarray(rows / np.linalg.norm(rows, axis=1, keepdims=True), dtype=np.float32)


class PassageRouter:
    """Finds passages most fitting."""

    name = "passages"

    def route(self, request: RoutingRequest, meter: UsageMeter) -> Route:
        shares = dict(zip(StructureType, (0.2, 0.04, 0.03, 0.03, 0.7), strict=True))
        return Route(request.question, shares, unsure=False, router=self.name)


def structures() -> dict[str, Structure]:
    document = SourceDocument("alder.md", "Alder", TEXT, "1")
    plants = SourceDocument("birk.md", "Birk", PLANTS, "2")
    outline = parse_topics(document)
    assert outline is not None
    return {
        "table": TableSet(tuple(parse_tables([document])), ("alder.md",), ("alder.md",)),
        "tables": TableSet(tuple(parse_tables([document, plants])), ("alder.md", "birk.md")),
        "graph": parse_facts([document]),
        "algorithm": Algorithm(tuple(parse_procedures(document))),
        "catalogue": Catalogue((outline,)),
        "chunk": ChunkSet((Passage(Span("alder.md", 0, 5), "Alder", "Alder", 0.5),)),
    }


class Shell:
    """Runs commands on one corpus that holds an answer for each structure."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.structures = structures()
        with CorpusStore.open(folder / DATABASE_NAME) as store:
            for name, structure in self.structures.items():
                store.put_answer(f"a-{name}", {"id": f"a-{name}", "built": structure.to_dict()})
            store.put_answer("nothing", {"id": "nothing", "built": None})
            store.put_answer("older", {"id": "older", "built": {"type": "table", "tables": [{"name": "t"}]}})

    def __call__(self, *arguments: str | Path) -> Result:
        command, *rest = map(str, arguments)
        app = build(self._open)
        app.command("export")(exporting.export)
        return CliRunner().invoke(app, [command, "--corpus", str(self.folder), *rest])

    def _open(self, folder: Path, *, settings: Mapping[str, Any], progress: Progress) -> StructRAG:
        found = {"item": 1, "answer": "61 dB(A)"}
        chat, _ = scripted({"You check an answer": {"yes": 0.95, "no": 0.05}, "Question: How loud": found})
        return StructRAG.open(
            folder,
            settings=settings,
            progress=progress,
            chat=chat,
            router=PassageRouter(),
            embedder=HashingEmbedder(),
        )


@pytest.fixture
def shell(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Shell:
    monkeypatch.delenv("STRUCTRAG_CORPUS", raising=False)
    monkeypatch.chdir(tmp_path)
    return Shell(tmp_path / "corpus")


@pytest.mark.parametrize(
    ("name", "format_"),
    [("table", "csv"), ("graph", "graphml"), ("algorithm", "mermaid"), ("catalogue", "md"), ("chunk", "md")],
)
def test_without_a_format_the_usual_one_is_written_to_stdout(shell: Shell, name: str, format_: str) -> None:
    result = shell("export", f"a-{name}")
    assert result.exit_code == 0, result.stderr
    # A terminal would obey what turns the direction of text; a file may hold it.
    assert result.stdout_bytes.decode() == export(shell.structures[name], format_).decode().replace("\u202e", "")
    assert result.stderr == ""
    assert "\x1b" not in result.stdout


def test_what_is_written_can_be_read(shell: Shell) -> None:
    (row,) = csv.DictReader(io.StringIO(shell("export", "a-table").stdout))
    assert (row["staff"], row["staff.quote"], row["staff.verified"]) == ("1540", "1,540", "true")
    network = nx.read_graphml(io.BytesIO(shell("export", "a-graph").stdout_bytes))
    assert ("Katrin Moor", "Alder") in network.edges()
    data = json.loads(shell("export", "a-tables", "--format", "json").stdout)
    assert structure_from_dict(data) == shell.structures["tables"]


@pytest.mark.parametrize(
    ("arguments", "format_"),
    [
        (["a-table", "--out", "answer.xlsx"], "xlsx"),
        (["a-table", "--out", "answer.parquet"], "parquet"),
        (["a-algorithm", "--out", "answer.MMD"], "mermaid"),
        (["a-graph", "--out", "answer.svg", "--format", "GraphML"], "graphml"),
        (["a-chunk", "-o", "answer.unheard-of"], "md"),
        (["a-table", "-o", "answer.csv", "-f", "csv"], "csv"),
    ],
)
def test_a_file_is_written_whole_in_the_format_of_its_ending(
    shell: Shell, tmp_path: Path, arguments: list[str], format_: str
) -> None:
    out = tmp_path / arguments[2]
    out.write_bytes(b"older")
    result = shell("export", *arguments)
    assert result.exit_code == 0, result.stderr
    assert result.stdout == ""
    content = out.read_bytes()
    assert f"{out.name}: {arguments[0].removeprefix('a-')} as {format_}, {len(content):,} bytes" in result.stderr
    if format_ == "xlsx":
        assert "xl/worksheets/sheet1.xml" in zipfile.ZipFile(out).namelist()
    elif format_ == "parquet":
        assert content[:4] == content[-4:] == b"PAR1"
    else:
        assert content == export(shell.structures[arguments[0].removeprefix("a-")], format_)
    assert sorted(path.name for path in tmp_path.iterdir()) == sorted(["corpus", out.name])


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (["a-tabel"], "There is no answer 'a-tabel'.\nThe nearest is 'a-table'."),
        (["a-table", "--format", "svg"], "Use one of: csv, parquet, xlsx, md, json."),
        (["a-chunk", "--format", "xlsx"], "Use one of: md, csv, json."),
        (["a-table", "--format", "docx"], "'csv', 'parquet', 'xlsx'"),
        (["a-graph", "--format", "png"], "Export svg and convert it"),
        (["a-table", "--format", "xlsx"], "Name a file: --out answer.xlsx"),
        (["a-table", "--format", "parquet"], "parquet is not text"),
        (["a-tables"], "There are 2 tables"),
        (["a-tables", "--table", "mills"], "There is no table 'mills'."),
        (["a-table", "--out", "nowhere/answer.csv"], "cannot be written: No such file or directory."),
        (["a-table", "--out", "corpus"], "is a directory"),
        (["nothing"], "Nothing was built for the answer 'nothing'"),
        (["older"], "has no 'columns'"),
        (["a-table", "--corpus", "elsewhere"], "There is no corpus at elsewhere."),
    ],
)
def test_what_cannot_be_done_is_said_with_what_can(shell: Shell, arguments: list[str], told: str) -> None:
    result = shell("export", *arguments)
    assert result.exit_code == 2
    assert result.stdout == ""
    assert told in result.stderr


def test_one_of_several_tables(shell: Shell) -> None:
    tables = shell.structures["tables"]
    assert isinstance(tables, TableSet)
    for table, shown in zip(tables.tables, ("1540", "18"), strict=True):
        (row,) = csv.DictReader(io.StringIO(shell("export", "a-tables", "--table", table.name).stdout))
        assert shown in row.values()


def test_a_file_stays_as_it_was_when_the_new_one_cannot_be_completed(shell: Shell, tmp_path: Path) -> None:
    out = tmp_path / "answer.csv"
    out.write_text("older", encoding="utf-8")
    (tmp_path / ".answer.csv.part").mkdir()
    result = shell("export", "a-table", "--out", out)
    assert result.exit_code == 2
    assert "cannot be written" in result.stderr
    assert out.read_text(encoding="utf-8") == "older"


def test_the_answer_of_a_question_is_exported(shell: Shell, tmp_path: Path) -> None:
    note = tmp_path / "pump.md"
    note.write_text("# Pump\n\nThe pump hums at 61 dB(A) in the hall.\n", encoding="utf-8")
    assert shell("add", note).exit_code == 0
    asked = shell("ask", "How loud is the pump?", "--json")
    answer = json.loads(asked.stdout)
    assert answer["grounded"], asked.stdout
    result = shell("export", answer["id"], "--format", "csv")
    assert result.exit_code == 0, result.stderr
    (row,) = csv.DictReader(io.StringIO(result.stdout))
    assert row["document"] == "pump.md"
    assert "61 dB(A)" in row["quote"]
