"""`structrag eval` end to end on four questions, with a scripted chat model, and what happens when it is stopped."""

import json
import zlib
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from typer.testing import CliRunner, Result

from structrag.cli import build
from structrag.evaluation.lines import Line, read_lines
from structrag.pipeline import StructRAG
from structrag.router import RoutingRequest
from structrag.testing import ScriptedChatModel, scripted
from structrag.types import Route, StructureType
from structrag.usage import UsageMeter

DOCUMENTS = [
    {"id": "pump", "title": "Pump", "text": "The pump hums at 61 dB(A) in the hall."},
    {"id": "boiler", "title": "Boiler", "text": "The boiler was made in Tarnwick by Orla Vance."},
    {"id": "fan", "text": "The fan turns 900 times a minute."},
]
QUESTIONS = [
    {"id": "q1", "question": "How loud is the pump?", "answers": ["61 dB(A)"], "answer_type": "short",
     "structure": "chunk", "documents": ["pump"], "source": "made up"},
    {"id": "q2", "question": "Where was the boiler made?", "answers": ["Tarnwick"], "answer_type": "short",
     "structure": "graph", "also_ok": ["chunk"], "scope": ["boiler"]},
    {"id": "q3", "question": "How often does the fan turn?", "answers": ["900"], "answer_type": "number",
     "structure": "table"},
    {"id": "q4", "question": "What colour is the fan?", "answers": [], "answer_type": "none", "structure": "chunk"},
]  # fmt: skip
READ = {"How loud is the pump?": "61 dB(A)", "Where was the boiler made?": "Tarnwick", "How often does": "900 times"}


def read(prompt: str) -> dict[str, Any]:
    """Reply as a model that reads passages well."""
    asked = prompt.rpartition("Question: ")[2]
    return next(({"item": 1, "answer": READ[q]} for q in READ if asked.startswith(q)), {"item": 0, "answer": ""})


SCRIPT: dict[str, Any] = {
    "You check an answer": {"yes": 0.95, "no": 0.05},
    "Reply with the answer alone, as short as possible": "61 dB(A)",
    "You answer a question from numbered items": read,
    # What other structures ask gets no usable reply, and a no where only that is wanted.
    "": {"yes": 0.05, "no": 0.95},
}


class HashingEmbedder:
    """Bags of words, so that no test waits for a real model."""

    name = "hashing"

    def embed(self, texts: Sequence[str]) -> NDArray[np.float32]:
        rows = np.full((len(texts), 64), 1e-3, dtype=np.float32)
        for row, text in zip(rows, texts, strict=True):
            for word in text.lower().split():
                row[zlib.crc32(word.encode()) % 64] += 1
        return np.asarray(rows / np.linalg.norm(rows, axis=1, keepdims=True), dtype=np.float32)


class WordRouter:
    """Sends questions with a given word to a structure, all others to passages."""

    def __init__(self, name: str = "words", **structures: StructureType) -> None:
        self.name = name
        self._structures = structures

    def route(self, request: RoutingRequest, meter: UsageMeter) -> Route:
        chosen = next((s for word, s in self._structures.items() if word in request.question), StructureType.CHUNK)
        shares = {s: 0.8 if s is chosen else 0.05 for s in StructureType}
        return Route(request.question, shares, unsure=False, router=self.name)


class Bench:
    """Runs ``structrag eval`` on the four questions."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.out = folder / "out"
        self.script: dict[str, Any] = dict(SCRIPT)
        self.router = WordRouter(boiler=StructureType.GRAPH)
        self.settings: list[Mapping[str, Any]] = []
        self.models: list[ScriptedChatModel] = []
        self.questions = self.write("questions.jsonl", QUESTIONS)
        self.documents = self.write("documents.jsonl", DOCUMENTS)

    def write(self, name: str, rows: Sequence[Any]) -> Path:
        path = self.folder / name
        path.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
        return path

    def eval(self, *extra: str) -> Result:
        paths = [str(self.questions), "--documents", str(self.documents), "--out", str(self.out)]
        return self.run("eval", *paths, *extra)

    def run(self, *arguments: str) -> Result:
        return CliRunner().invoke(build(self.open), arguments)

    def open(self, folder: Path, *, settings: Mapping[str, Any], **_: Any) -> StructRAG:
        self.settings.append(settings)
        chat, model = scripted(self.script)
        self.models.append(model)
        return StructRAG.open(folder, settings=settings, chat=chat, router=self.router, embedder=HashingEmbedder())

    @property
    def asked(self) -> int:
        return sum(len(model.prompts) for model in self.models)

    def lines(self) -> dict[tuple[str, str], Line]:
        return {(line.id, line.way): line for line in read_lines(self.out)}


@pytest.fixture
def bench(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Bench:
    monkeypatch.delenv("STRUCTRAG_CORPUS", raising=False)
    return Bench(tmp_path)


def test_four_questions_in_every_way(bench: Bench) -> None:
    result = bench.eval("--structures", "router,gold,all,plain", "--json")
    assert result.exit_code == 0, result.stderr
    lines = bench.lines()
    assert len(lines) == 4 * 8
    chunk = lines["q1", "chunk"]
    assert (chunk.values, chunk.grounded, chunk.correct, chunk.structure) == (["61 dB(A)"], True, True, "chunk")
    assert chunk.usage["calls"] == 2
    assert chunk.tokens > 20
    (citation,) = chunk.citations
    assert citation == {
        "document": "pump",
        "start": 0,
        "end": 38,
        "quote": "The pump hums at 61 dB(A) in the hall.",
        "stands": True,
        "names": True,
        "wanted": True,
    }
    assert [lines[f"q{n}", "chunk"].correct for n in (1, 2, 3, 4)] == [True, True, True, True]
    assert [lines[f"q{n}", "plain"].correct for n in (1, 2, 3, 4)] == [True, False, False, False]
    assert lines["q1", "plain"].grounded is None
    report = json.loads(result.stdout)
    assert report["ways"]["chunk"]["accuracy"]["all"] == {
        "n": 4, "right": 4.0, "value": 1.0, "low": 0.5101, "high": 1.0,
    }  # fmt: skip
    assert report["ways"]["oracle"]["accuracy"]["all"]["right"] == 4
    assert report["ways"]["chunk"]["citations"] == {"n": 3, "stand": 1.0, "precision": 1.0, "in_wanted_document": 1.0}
    assert "| plain RAG |" in (bench.out / "report.md").read_text(encoding="utf-8")
