"""The corpora that StructRAG ships: fictional documents and questions about them, for the demo and for trying out."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True, slots=True)
class ShippedCorpus:
    """One of the corpora.

    Attributes:
        folder: The folder of its documents, to be given to ``StructRAG.add``.
        questions: Questions with known answers, one JSON object per line.
    """

    name: str
    title: str
    description: str
    folder: Path
    questions: Path


def shipped() -> list[ShippedCorpus]:
    """Return the shipped corpora in the order of their names."""
    manifests = sorted(Path(__file__).parent.glob("*/manifest.json"))
    return [_from_manifest(manifest) for manifest in manifests]


def _from_manifest(path: Path) -> ShippedCorpus:
    manifest = json.loads(path.read_text(encoding="utf-8"))
    return ShippedCorpus(
        name=manifest["name"],
        title=manifest["title"],
        description=manifest["description"],
        folder=path.parent / "documents",
        questions=path.parent / "questions.jsonl",
    )
