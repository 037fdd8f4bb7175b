"""Accuracy on the shipped corpora's own questions: gold routing, the router, chunks alone, and plain RAG, on one model.

    python bench/corpora_accuracy.py --split test --modes gold,router,plain --out bench/results/corpora

Interleaved per question and resumable: one JSON line per question and mode; figures are computed from the lines.
The corpora, with their reply caches, are kept in ``--work``, so a second run costs no model call for equal prompts.
"""

from __future__ import annotations

import argparse
import json
import time
from collections.abc import Sequence
from contextlib import ExitStack
from pathlib import Path
from random import Random
from typing import Any

from report import render_report

from structrag import StructRAG
from structrag.corpora import ShippedCorpus, shipped
from structrag.evaluation.plain import PLAIN_SETTINGS, answer_plainly
from structrag.evaluation.scoring import is_right
from structrag.router import FixedRouter
from structrag.types import StructureType
from structrag.usage import UsageMeter

_SEED = 2026
DEVELOPMENT = "development.jsonl"
"""More questions of the split ``dev``, written later; they do not go into the package."""


def run(split: str, modes: Sequence[str], structures: Sequence[str], out: Path, work: Path) -> None:
    """Answer every question that has no line yet, all modes of one question after the other.

    The order is random with a fixed seed, so that the lines of a run that was stopped are a sample of all questions.
    """
    out.parent.mkdir(parents=True, exist_ok=True)
    done = {(r["id"], r["mode"]) for r in read_lines(out)}
    asked = [
        (corpus, question)
        for corpus in shipped()
        for path in (corpus.questions, corpus.questions.with_name(DEVELOPMENT))
        for question in read_lines(path)
    ]
    asked = [(c, q) for c, q in asked if q["split"] == split and q["structure"] in structures]
    Random(_SEED).shuffle(asked)
    with ExitStack() as stack, out.open("a", encoding="utf-8") as file:
        answerers: dict[str, _Answerers] = {}
        for corpus, question in asked:
            for mode in modes:
                if (question["id"], mode) in done:
                    continue
                if corpus.name not in answerers:
                    answerers[corpus.name] = stack.enter_context(_Answerers(corpus, work))
                record = {"id": question["id"], "mode": mode, "gold": question["structure"]}
                record |= answerers[corpus.name].answer(question, mode)
                right = is_right(record["values"], question["answers"], question["answer_type"])
                file.write(json.dumps(record | {"right": right}, ensure_ascii=False) + "\n")
                file.flush()
                print(f"{question['id']} {mode:6} {'right' if right else 'wrong'} {record['values']}", flush=True)


class _Answerers:
    """One corpus, opened once for each way of answering, on one chat model."""

    def __init__(self, corpus: ShippedCorpus, work: Path) -> None:
        self._folder = work / corpus.name
        self._rag = StructRAG.open(self._folder)
        self._rag.add([corpus.folder])
        self._fixed: dict[str, StructRAG] = {}
        self._plain: StructRAG | None = None
        self._documents = corpus.folder

    def __enter__(self) -> _Answerers:
        return self

    def __exit__(self, *_: object) -> None:
        for rag in [self._rag, *self._fixed.values()]:
            rag.close()
        if self._plain:
            self._plain.close()

    def answer(self, question: dict[str, Any], mode: str) -> dict[str, Any]:
        started = time.monotonic()
        if mode == "plain":
            if self._plain is None:
                folder = self._folder.with_name(f"{self._folder.name}-plain")
                self._plain = StructRAG.open(folder, settings=PLAIN_SETTINGS)
                self._plain.add([self._documents])
            meter = UsageMeter()
            values = answer_plainly(self._plain, question["question"], meter, scope=question["scope"])
            seconds = round(time.monotonic() - started, 2)
            return {"values": values, "usage": meter.snapshot().to_dict(), "seconds": seconds}
        rag = self._rag if mode == "router" else self._fixed_to("chunk" if mode == "chunk" else question["structure"])
        answer = rag.ask(question["question"], scope=question["scope"])
        return {
            "values": list(answer.values),
            "route": str(answer.route.structure),
            "structure": str(answer.structure_type),
            "citations": len(answer.citations),
            "usage": answer.usage.to_dict(),
            "seconds": round(time.monotonic() - started, 2),
            "trace": [f"{t.name}: {t.detail}" for t in answer.trace],
        }

    def _fixed_to(self, structure: str) -> StructRAG:
        if structure not in self._fixed:
            router = FixedRouter(StructureType(structure))
            self._fixed[structure] = StructRAG.open(self._folder, router=router)
        return self._fixed[structure]


def read_lines(path: Path) -> list[dict[str, Any]]:
    """Return the JSON lines of a file; none if it does not exist."""
    return [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()] if path.exists() else []


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--split", choices=["dev", "test"], default="dev")
    parser.add_argument("--modes", default="gold,router,plain")
    parser.add_argument("--structures", default=",".join(StructureType))
    parser.add_argument("--out", type=Path, required=True, help="written as OUT.jsonl and OUT.md")
    parser.add_argument("--work", type=Path, default=Path("build/bench"))
    parser.add_argument("--report-only", action="store_true")
    arguments = parser.parse_args()
    lines = arguments.out.with_suffix(".jsonl")
    if not arguments.report_only:
        run(arguments.split, arguments.modes.split(","), arguments.structures.split(","), lines, arguments.work)
    report = render_report(read_lines(lines))
    arguments.out.with_suffix(".md").write_text(report, encoding="utf-8")
    print(report)
