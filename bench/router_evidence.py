"""What the router's training is worth: other domains and sources, curriculum, controls, shifts, baselines.

    python bench/router_evidence.py --out bench/results/router --only groups,zero-source

Each experiment trains once and writes the probabilities of every test question as one JSON line; one that has a line
is not run again. The figures are computed from the lines (`router_report.py`). ``--routing`` names labelled questions
of other sources, which are not part of the project.
"""

from __future__ import annotations

import argparse
import json
import resource
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from random import Random
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
from numpy.typing import NDArray
from router_baselines import BASELINES
from router_report import render
from router_shifts import SHIFTS

from structrag.router.fitting import fit
from structrag.router.policy_router import PolicyRouter
from structrag.router.preferences import PreferencePair
from structrag.router.questions import (
    LabelledQuestion,
    label_pairs,
    read_domain,
    shipped_questions,
    with_mixed_documents,
)
from structrag.router.retraining import FULL
from structrag.router.training_settings import TrainingSettings
from structrag.types import StructureType

PREFERENCES = Path(__file__).parents[1] / "corpora" / "preferences"
_GROUPS = 6
_SMALL = 2_000
"""Questions for the experiments that are repeated over seeds: half an hour each on all of them."""

Questions = Sequence[LabelledQuestion]


@dataclass(frozen=True, slots=True)
class Experiment:
    """One training and what it is tried on."""

    name: str
    training: Questions
    tests: dict[str, Questions]
    settings: TrainingSettings = FULL
    pairs: Callable[[Questions], list[PreferencePair]] = lambda questions: label_pairs(questions, each=1)


@dataclass(frozen=True, slots=True)
class Data:
    """All questions that experiments draw on.

    Attributes:
        shipped: What the shipped router is trained on, documents mixed.
        held_out: By an author that it is not trained on, and the hand-written development questions.
        hand: Hand-written by somebody who saw none of the others: never trained or tuned on.
        variants: The same questions in other words, by manner.
        sources: Of other projects, by source; empty if they are not given.
    """

    shipped: Questions
    held_out: Questions
    hand: Questions
    variants: dict[str, Questions]
    sources: dict[str, list[LabelledQuestion]]


def load(routing: Path | None) -> Data:
    """Read everything."""
    shipped = shipped_questions()
    hand = read_domain(PREFERENCES / "handwritten_test.jsonl")
    by_id = {question.id: question for question in hand}
    variants: dict[str, list[LabelledQuestion]] = {}
    for line in (PREFERENCES / "handwritten_variants.jsonl").read_text(encoding="utf-8").splitlines():
        row = json.loads(line)
        original = by_id[row["id"]]
        request = replace(original.request, question=row["question"])
        variants.setdefault(row["variant"], []).append(replace(original, request=request))
    sources: dict[str, list[LabelledQuestion]] = {}
    for question in read_domain(routing) if routing else []:
        sources.setdefault(question.group, []).append(question)
    return Data(with_mixed_documents(shipped.training), shipped.held_out, hand, dict(variants), sources)


def experiments(data: Data) -> Iterator[Experiment]:
    """Yield every experiment, the dearest last."""
    hand = {"hand": data.hand, **{f"hand, {name}": questions for name, questions in data.variants.items()}}
    hand |= {f"hand, {name}": [shift(q) for q in data.hand] for name, shift in SHIFTS.items()}
    sources = {f"source {name}": questions for name, questions in data.sources.items()}
    yield Experiment("zero-source", data.shipped, hand | sources | {"held-out author": data.held_out})
    small = Random(1).sample(list(data.shipped), _SMALL)
    tests: dict[str, Questions] = {"hand": data.hand, "held-out author": data.held_out}
    for seed in range(3):
        base = replace(FULL, seed=seed)
        yield Experiment(f"sft:{seed}", small, tests, replace(base, dpo_epochs=0))
        yield Experiment(f"dpo:{seed}", small, tests, replace(base, sft_epochs=0, dpo_epochs=3, dpo_share=1.0))
        yield Experiment(f"sft-dpo:{seed}", small, tests, base)
    for name, pairs in {"random": _random_pairs, "inverted": _inverted_pairs}.items():
        alone = replace(FULL, sft_epochs=0, dpo_epochs=3, dpo_share=1.0)
        yield Experiment(f"control:{name}-from-scratch", small, tests, alone, pairs)
    for held in range(_GROUPS):
        out = {f"a{held + 1}", f"b{held + 1}"}
        training = [q for q in data.shipped if q.batch not in out]
        tried = [q for q in (*data.shipped, *data.held_out) if q.batch in out]
        yield Experiment(f"group:{held}", training, {"left-out domains": tried})
    for name in data.sources:
        others = [q for source, questions in data.sources.items() if source != name for q in questions]
        yield Experiment(f"source:{name}", [*data.shipped, *others], {f"source {name}": data.sources[name]})


def run(wanted: Sequence[str], out: Path, data: Data) -> None:
    """Run the experiments whose names begin with one that is wanted and that have no line yet."""
    done = {row["experiment"] for row in _lines(out)}
    out.parent.mkdir(parents=True, exist_ok=True)
    for experiment in experiments(data):
        if experiment.name in done or not any(experiment.name.startswith(each) for each in wanted):
            continue
        started = time.monotonic()
        tested = _train_and_test(experiment, data.held_out)
        record = {
            "experiment": experiment.name,
            "trained_on": len(experiment.training),
            "seconds": round(time.monotonic() - started),
            "peak_mb": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024,
            "tests": tested,
        }
        with out.open("a", encoding="utf-8") as file:
            file.write(json.dumps(record) + "\n")
        print(experiment.name, f"{record['seconds']} s", flush=True)


def _train_and_test(experiment: Experiment, held_out: Questions) -> dict[str, Any]:
    """Return the probabilities on each test, by the policy and by every baseline on the same training data."""
    asked = {q.request.question.casefold() for q in experiment.training}
    calibrate = [q for q in held_out if q.request.question.casefold() not in asked]
    with TemporaryDirectory() as folder:
        home = Path(folder)
        version = fit(experiment.pairs(experiment.training), calibrate, home, experiment.settings, _print_step)
        router = PolicyRouter(version, home / "cache")
        tested: dict[str, Any] = {"policy": {n: _kept(router.probabilities, q) for n, q in experiment.tests.items()}}
    if experiment.name.startswith(("zero-source", "group", "source")):
        for name, train in BASELINES.items():
            predict = train(experiment.training)
            tested[name] = {n: _kept(predict, q) for n, q in experiment.tests.items()}
    return tested


def _kept(predict: Callable[[Sequence[Any]], NDArray[np.floating]], questions: Questions) -> list[list[float]]:
    rows = predict([question.request for question in questions])
    return [[round(float(share), 4) for share in row] for row in rows]


def _random_pairs(questions: Questions) -> list[PreferencePair]:
    random = Random(0)
    pairs = []
    for question in questions:
        chosen, rejected = random.sample(list(StructureType), 2)
        pairs.append(PreferencePair(question.request, chosen, rejected, "label", question.id))
    return pairs


def _inverted_pairs(questions: Questions) -> list[PreferencePair]:
    return [replace(p, chosen=p.rejected, rejected=p.chosen) for p in label_pairs(questions, each=1)]


def _print_step(step: Any) -> None:
    if step.step % 50 == 0:
        print(f"  {step.stage} {step.step}/{step.steps} loss {step.loss:.3f} {step.seconds_left:.0f} s", flush=True)


def _lines(path: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()] if path.exists() else []


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--out", type=Path, required=True, help="written as OUT.jsonl and OUT.md")
    parser.add_argument("--only", default="", help="names or their beginnings, by commas; all by default")
    parser.add_argument("--routing", type=Path, help="labelled questions of other sources")
    parser.add_argument("--report-only", action="store_true")
    arguments = parser.parse_args()
    found = load(arguments.routing)
    kept = arguments.out.with_suffix(".jsonl")
    if not arguments.report_only:
        run(arguments.only.split(","), kept, found)
    report = render(_lines(kept), {e.name: e.tests for e in experiments(found)})
    arguments.out.with_suffix(".md").write_text(report, encoding="utf-8")
    print(report)
