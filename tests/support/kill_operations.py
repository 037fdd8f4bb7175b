"""What `killing` kills: everything that writes to a corpus, done to a small one with a scripted chat model."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from safetensors.numpy import save

from structrag import StructRAG
from structrag.cli.corpus_checks import _reindex
from structrag.events import DocumentAdded, Event
from structrag.router import FixedRouter
from structrag.router.artefact import EncoderShape, PolicySettings, write_artefact
from structrag.router.versions import VersionStore
from structrag.structures.edits import NameMerge
from structrag.structures.edits_records import Anchor
from structrag.testing import scripted
from structrag.types import StructureType

DOCUMENTS = 8
QUESTION = "What revenue did firm 3 have?"
REVENUES = "Which firm had the highest revenue in 2024?"
Tell = Callable[..., None]


class BucketEmbedder:
    """Counts words in buckets: no weights to load."""

    name = "buckets"

    def embed(self, texts: Sequence[str]) -> NDArray[np.float32]:
        rows = np.full((len(texts), 64), 0.001, dtype=np.float32)
        for row, text in zip(rows, texts, strict=True):
            for token in set(re.findall(r"\w+", text.lower())):
                row[int(hashlib.sha256(token.encode()).hexdigest(), 16) % 64] += 1
        return np.asarray(rows / np.linalg.norm(rows, axis=1, keepdims=True), dtype=np.float32)


def read(prompt: str) -> dict[str, Any]:
    """Read a revenue as a model would: from the item that names the firm of the question."""
    firm = re.findall(r"firm (\d+)", prompt.rsplit("Question: ", 1)[-1])[0]
    for number, text in re.findall(r"^\[(\d+)\] (.*)$", prompt, re.MULTILINE)[::-1]:
        if found := re.search(rf"[Ff]irm {firm} had a revenue of (\d+ million EUR)", text):
            return {"item": int(number), "answer": found[1]}
    return {"item": 0, "answer": ""}


def rows(prompt: str) -> dict[str, Any]:
    """Extract the one row of a document as a model would."""
    firm, revenue = re.findall(r"Firm (\d+) had a revenue of (\d+ million EUR)", prompt)[-1]
    return {"rows": [{"firm": f"Firm {firm}", "revenue": revenue}]}


SCRIPT = {
    "You plan the table": {"entity": "firm", "columns": [{"name": "revenue", "type": "number", "unit": "EUR million"}]},
    "You write how the answer": "rows()",
    "CREATE TABLE": {"sql": "SELECT firm FROM firm ORDER BY revenue DESC LIMIT 1"},
    "Document: Report": rows,
    "\n[1] ": read,
    "": {"yes": 1.0},
}


@dataclass
class Place:
    """The folders of one round, and what was finished before it."""

    root: Path
    known: dict[str, Any] = field(default_factory=dict)

    @property
    def corpus(self) -> Path:
        return self.root / "corpus"

    @property
    def documents(self) -> Path:
        return self.root / "documents"

    @property
    def versions(self) -> VersionStore:
        return VersionStore(self.root / "versions")

    def open(self) -> StructRAG:
        chat, _ = scripted(SCRIPT)
        return StructRAG.open(
            self.corpus, chat=chat, router=FixedRouter(StructureType.CHUNK), embedder=BucketEmbedder()
        )


def text(number: int, edition: int = 1) -> str:
    filler = "The tide was low and the boats lay on the sand until the evening. " * 4
    said = f"Firm {number} had a revenue of {100 * edition + number} million EUR."
    return f"Report {number}\n\n{said}\n\n{filler}\n\n{filler}\n"


def write_router(folder: Path) -> None:
    weights = save({"head.bias": np.zeros(5, dtype=np.float32)})
    settings = PolicySettings(
        version=folder.name,
        base_model="embedded",
        encoder=EncoderShape(6, 12, 384, 1e-12),
        lora_scale=2.0,
        temperature=1.0,
        unsure_below=0.4,
        adapter_sha256=hashlib.sha256(weights).hexdigest(),
        data_sha256="0" * 64,
    )
    write_artefact(folder, weights, settings, f"# {folder.name}\n")


def prepare(place: Place, tell: Tell) -> None:
    """Make a corpus that has been used: documents, an answer, a preference, an edit, a router of its own."""
    place.documents.mkdir(parents=True)
    for number in range(DOCUMENTS):
        (place.documents / f"report-{number}.txt").write_text(text(number), encoding="utf-8")
    with place.open() as rag:
        rag.add([place.documents])
        answer = rag.ask(QUESTION)
        assert answer.grounded, answer.text
        tell("answer", answer.id)
        tell("preference", rag.prefer(answer, "table"))
        tell("edit", rag.edit(merge(0)))
    write_router(place.versions.home / "v1")
    place.versions.promote("v1", {})


def merge(number: int) -> NameMerge:
    return NameMerge(Anchor(f"report-{number}.txt", f"Firm {number}"), f"Firm {number}", f"Company {number}")


def add(place: Place, tell: Tell) -> None:
    """Change two documents and add as many again."""
    for number in (1, 2, *range(DOCUMENTS, 2 * DOCUMENTS)):
        (place.documents / f"report-{number}.txt").write_text(text(number, 2), encoding="utf-8")
    tell("written")

    def listen(event: Event) -> None:
        if isinstance(event, DocumentAdded):
            tell("document", event.document.document_id)

    with place.open() as rag:
        rag.add([place.documents], listener=listen)


def build(place: Place, tell: Tell) -> None:
    with place.open() as rag:
        answer = rag.ask(REVENUES, structure="table")
        assert answer.values == (f"Firm {DOCUMENTS - 1}",), (answer.text, [step.detail for step in answer.trace])
        tell("answer", answer.id)


def ask(place: Place, tell: Tell) -> None:
    with place.open() as rag:
        for number in (3, 4):
            answer = rag.ask(f"What revenue did firm {number} have?")
            assert answer.grounded, answer.text
            tell("answer", answer.id)


def edit(place: Place, tell: Tell) -> None:
    with place.open() as rag:
        for number in range(1, 4):
            tell("edit", rag.edit(merge(number)))
        last = rag.edit(merge(4))
        rag.undo_edit(last)
        tell("undone edit", last)


def prefer(place: Place, tell: Tell) -> None:
    with place.open() as rag:
        answer = rag.ask(QUESTION)
        tell("answer", answer.id)
        for structure in ("table", "graph", "catalogue"):
            tell("preference", rag.prefer(answer, structure))
        last = rag.prefer(answer, "algorithm")
        rag.undo_preference(last)
        tell("undone preference", last)


def rm(place: Place, tell: Tell) -> None:
    with place.open() as rag:
        for number in (5, 6):
            if f"report-{number}.txt" in {document.id for document in rag.documents()}:
                rag.remove([f"report-{number}.txt"])
            tell("removed", f"report-{number}.txt")


def promote(place: Place, tell: Tell) -> None:
    """What ends a training, and what follows it: a version is written, put in use and taken out of use again."""
    versions = place.versions
    if not (versions.home / "v2").exists():
        write_router(versions.home / "v2")
    tell("version", "v2")
    for name in ("v2", "v1"):
        versions.promote(name, {"forced": True})
        tell("active", name)
    tell("active", versions.rollback())


def repair(place: Place, tell: Tell) -> None:
    _reindex(place.corpus, BucketEmbedder())


OPERATIONS: dict[str, Callable[[Place, Tell], None]] = {
    each.__name__: each for each in (add, build, ask, edit, prefer, rm, promote, repair)
}
