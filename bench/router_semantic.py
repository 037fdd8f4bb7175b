"""The shipped router beside `semantic-router` (Aurelio), with the same encoder and the same training questions.

    python bench/router_semantic.py --out bench/results/semantic_router.md [--routing routing.jsonl]

Minutes on two cores. `semantic-router` has no part in the project: install it as bench/README.md says.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable, Sequence
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from router_evidence import Questions, load
from semantic_router import IndexedRouter, Route
from semantic_router.encoders import DenseEncoder

from structrag.models.embedding import SentenceTransformerEmbedder
from structrag.router.comparison import compare, wilson
from structrag.router.policy_router import PolicyRouter
from structrag.router.versions import shipped_folder
from structrag.types import StructureType

Chooses = Callable[[Questions], Sequence[StructureType]]

_EMBEDDER = SentenceTransformerEmbedder()


class SameEncoder(DenseEncoder):
    """The encoder that our router starts from."""

    name: str = _EMBEDDER.name
    type: str = "structrag"

    def __call__(self, docs: list[Any]) -> list[list[float]]:
        """Return a vector for each text."""
        return [[float(x) for x in row] for row in _EMBEDDER.embed(docs)]


def semantic_router(training: Questions, aggregation: str) -> Chooses:
    """Return `semantic-router` with the training questions as its utterances.

    Args:
        training: Labelled questions; it takes their texts alone.
        aggregation: How it adds up the similarities of the five nearest utterances: ``mean``, its default, or ``sum``.
    """
    routes = [
        Route(name=str(structure), utterances=[q.request.question for q in training if q.structure == structure])
        for structure in StructureType
    ]
    router = IndexedRouter(SameEncoder(), routes, aggregation=aggregation)
    return lambda questions: [StructureType(router(q.request.question).name) for q in questions]


def shipped(cache: Path) -> Chooses:
    """Return the router that the package ships."""
    router, structures = PolicyRouter(shipped_folder(), cache), list(StructureType)
    return lambda questions: [structures[n] for n in router.probabilities([q.request for q in questions]).argmax(1)]


def report(routing: Path | None, cache: Path) -> str:
    """Measure and return Markdown."""
    data = load(routing)
    others = [q for questions in data.sources.values() for q in questions]
    training = list({q.request.question: q for q in [*data.shipped, *others]}.values())
    tests: dict[str, Questions] = {"hand-written test": data.hand}
    tests |= {f"the same, {manner}": questions for manner, questions in data.variants.items()}
    tests["second hand-written test"] = data.second
    tests["third hand-written test"] = data.third
    tests["two authors' questions"] = data.author
    ours = shipped(cache)
    right = {name: _right(ours, questions) for name, questions in tests.items()}
    rows = []
    for aggregation in ("mean", "sum"):
        theirs = semantic_router(training, aggregation)
        for name, questions in tests.items():
            rows.append([name, aggregation, *_compared(right[name], _right(theirs, questions))])
    head = ["test", "aggregation", "n", "our router", "semantic-router", "ours less theirs, points"]
    table = "\n".join(f"| {' | '.join(row)} |" for row in [head, ["---"] * len(head), *rows])
    return f"""# The router beside semantic-router

`semantic-router` {version("semantic-router")} (`IndexedRouter`: the five most similar utterances decide), with our
encoder, {_EMBEDDER.name}, and the {len(training):,} questions that the shipped router was trained on as
utterances. Its default aggregation is `mean`; `sum` lets the five vote. No threshold: both always choose. Its `fit`
calibrates the confidence and changes no choice. It reads the question alone; our router is also told what the documents
are about, where questions come with documents (only those of the two authors do). A structure that is right as well
counts as right.

{table}

Accuracy with Wilson's 95 % interval, difference with a paired 95 % bootstrap interval. The first hand-written test was
looked at once before the last training of our router, whose recipe that changed (docs/decisions/0009), and the
two authors' questions calibrate it: both a little too good for ours. What a linear classifier gets from the same
frozen encoder stands in [router.md](router.md). Made by `bench/router_semantic.py`.
"""


def _right(chooses: Chooses, questions: Questions) -> NDArray[np.bool_]:
    return np.array([q.accepts(chosen) for q, chosen in zip(questions, chooses(questions), strict=True)])


def _compared(ours: NDArray[np.bool_], theirs: NDArray[np.bool_]) -> list[str]:
    gap = compare(ours, theirs)
    return [
        str(len(ours)),
        _share(ours),
        _share(theirs),
        f"{100 * gap.difference:+.1f} ({100 * gap.low:+.1f} to {100 * gap.high:+.1f})",
    ]


def _share(right: NDArray[np.bool_]) -> str:
    low, high = wilson(int(right.sum()), len(right))
    return f"{right.mean():.1%} ({low:.1%} to {high:.1%})"


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--routing", type=Path, help="labelled questions of other sources, which it was trained on too")
    parser.add_argument("--cache", type=Path, default=Path("build/router/cache"))
    arguments = parser.parse_args()
    text = report(arguments.routing, arguments.cache)
    arguments.out.write_text(text, encoding="utf-8")
    print(text)
