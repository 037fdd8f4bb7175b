"""Is a router better for having seen what the structures came to? Measured end to end, on questions it has not seen.

    structrag eval questions.jsonl --documents documents.jsonl --structures all --out build/eval
    python bench/outcome_labels.py build/eval --questions questions.jsonl --work build/outcomes --out report.md

No model is asked: the answers of every structure are in the run's lines. The questions are halved; the outcomes of one
half become preference pairs (the cheapest structure that was right before each that was not), the shipped router goes
on with them as `structrag router train` does, and the other half is answered by the structure that it chooses then. The
halves are halved anew with each seed. A structure that found nothing is not followed by another here.
"""

from __future__ import annotations

import argparse
from collections.abc import Mapping, Sequence
from pathlib import Path
from random import Random

import numpy as np

from structrag import StructRAG
from structrag.evaluation.data import KnownQuestion, read_questions
from structrag.evaluation.figures import interval
from structrag.evaluation.labelling import outcome_pairs
from structrag.evaluation.lines import Line, read_lines
from structrag.router.policy_router import PolicyRouter
from structrag.router.protocol import RoutingRequest
from structrag.router.retraining import retrain
from structrag.router.versions import VersionStore, shipped_folder
from structrag.types import StructureType

_STRUCTURES = tuple(StructureType)


def measured(run: Path, questions: Sequence[KnownQuestion], work: Path, seeds: Sequence[int]) -> str:
    """Return the report."""
    lines = read_lines(run)
    by_way = {(line.id, line.way): line for line in lines}
    asked = _asked_everywhere(questions, lines)
    with StructRAG.open(run / "corpus") as rag:
        requests = {q.id: rag.routing_request(q.question, documents=q.scope) for q in asked}
    before = _chosen(PolicyRouter(shipped_folder(), work / "cache"), asked, requests)
    rows, after_right = [], []
    for seed in seeds:
        after, pairs = _crossed(asked, lines, requests, work / f"seed-{seed}", seed)
        right = np.array([by_way[q.id, after[q.id]].correct for q in asked], dtype=float)
        after_right.append(right)
        rows.append(_row(f"after, halves {seed} ({pairs} pairs)", asked, after, by_way))
    was = np.array([by_way[q.id, before[q.id]].correct for q in asked], dtype=float)
    best = {q.id: _best(q, by_way) for q in asked}
    gained = np.mean(after_right, axis=0) - was
    low, high = (
        interval(lambda drawn: gained[drawn].mean(axis=1), len(asked), np.random.default_rng(0)) or (float("nan"),) * 2
    )
    head = ["| route by | right | the label's structure | median tokens |", "|---|---|---|---|"]
    rows = [_row("before: the router that ships", asked, before, by_way), *rows]
    rows.append(_row("the cheapest right structure, else the label's", asked, best, by_way))
    told = (
        f"After minus before: {100 * gained.mean():+.1f} points ({100 * low:+.0f} to {100 * high:+.0f}), "
        f"n = {len(asked)} questions, each answered after a training on the other half, {len(seeds)} halvings."
    )
    return "\n".join([*head, *rows, "", told]) + "\n"


def _asked_everywhere(questions: Sequence[KnownQuestion], lines: Sequence[Line]) -> list[KnownQuestion]:
    """Return what has a line for every structure; a question that was changed since was not asked."""
    kept = {(line.id, line.way, line.asked) for line in lines}
    return [q for q in questions if all((q.id, way, q.digest) in kept for way in _STRUCTURES)]


def _crossed(
    asked: Sequence[KnownQuestion], lines: Sequence[Line], requests: Mapping[str, RoutingRequest], work: Path, seed: int
) -> tuple[dict[str, StructureType], int]:
    """Return what is chosen for each half after a training on the other one, and how many pairs these were."""
    order = sorted(asked, key=lambda q: q.id)
    Random(seed).shuffle(order)
    order.sort(key=lambda q: q.labels[0])  # every kind on both sides
    halves = (order[::2], order[1::2])
    chosen: dict[str, StructureType] = {}
    count = 0
    for number, (learned, answered) in enumerate((halves, halves[::-1])):
        pairs = outcome_pairs(learned, lines, lambda q: requests[q.id])
        count += len(pairs)
        made = retrain(VersionStore(work / str(number)), work / "cache", pairs)
        chosen |= _chosen(PolicyRouter(made.folder, work / "cache"), answered, requests)
    return chosen, count


def _chosen(
    router: PolicyRouter, asked: Sequence[KnownQuestion], requests: Mapping[str, RoutingRequest]
) -> dict[str, StructureType]:
    shares = np.asarray(router.probabilities([requests[q.id] for q in asked]))
    return {q.id: _STRUCTURES[int(best)] for q, best in zip(asked, shares.argmax(axis=1), strict=True)}


def _best(question: KnownQuestion, by_way: Mapping[tuple[str, str], Line]) -> StructureType:
    right = [s for s in _STRUCTURES if by_way[question.id, s].correct]
    return min(right, key=lambda s: by_way[question.id, s].tokens, default=question.labels[0])


def _row(
    name: str,
    asked: Sequence[KnownQuestion],
    chosen: Mapping[str, StructureType],
    by_way: Mapping[tuple[str, str], Line],
) -> str:
    lines = [by_way[q.id, chosen[q.id]] for q in asked]
    labelled = sum(chosen[q.id] in q.labels for q in asked)
    tokens = float(np.median([line.tokens for line in lines]))
    return f"| {name} | {sum(line.correct for line in lines)} of {len(lines)} | {labelled} | {tokens:,.0f} |"


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("run", type=Path, help="a folder of `structrag eval` with every structure")
    parser.add_argument("--questions", type=Path, required=True)
    parser.add_argument("--work", type=Path, default=Path("build/outcomes"))
    parser.add_argument("--seeds", default="1,2")
    parser.add_argument("--out", type=Path, required=True)
    arguments = parser.parse_args()
    report = measured(
        arguments.run,
        read_questions(arguments.questions),
        arguments.work,
        [int(seed) for seed in arguments.seeds.split(",")],
    )
    arguments.out.write_text(f"# Routers that learned from outcomes\n\n{report}", encoding="utf-8")
    print(report)
