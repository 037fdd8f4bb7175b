"""What the router's training is worth: other domains and sources, curriculum, controls, shifts, baselines.

    python bench/router_evidence.py --out bench/results/router --only shipped,group

Each experiment trains, in a process of its own, and writes the probabilities of every test question as one JSON line;
one that has a line is not run again, and a training that was interrupted goes on. The figures are computed from the
lines (`router_report.py`). ``--routing`` names labelled questions of other sources, which are not part of the project.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import resource
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass, replace
from multiprocessing import get_context
from pathlib import Path
from random import Random
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
from structrag.router.variations import varied
from structrag.router.versions import shipped_folder
from structrag.types import StructureType

PREFERENCES = Path(__file__).parents[1] / "corpora" / "preferences"
_GROUPS = 6
_LATER_AUTHORS = frozenset({"d1", "d2", "d3", "d4", "d5", "d6", "d7", "d8"})
"""Who wrote after the studies were made."""
_LEFT_OUT = 2_000
"""Most questions of ours to train on where some are left out: eleven trainings on all would take five hours."""
_REPEATED = 1_000
"""Questions for the experiments that are repeated over seeds."""

Questions = Sequence[LabelledQuestion]


@dataclass(frozen=True, slots=True)
class Stage:
    """One training: how, and on which kind of pairs (a key of `PAIRS`)."""

    settings: TrainingSettings
    pairs: str = "labels"


@dataclass(frozen=True, slots=True)
class Experiment:
    """Stages of training, one after the other, and what the outcome is tried on; without stages, the shipped router."""

    name: str
    training: Questions
    tests: dict[str, Questions]
    stages: tuple[Stage, ...] = (Stage(FULL),)
    with_baselines: bool = False

    @property
    def identity(self) -> str:
        """Changes with the questions, their labels and the stages: lines of another identity are out of date."""
        rows = [[q.request.question, str(q.structure), sorted(q.also_ok)] for q in self.training]
        tests = [[n, [[q.request.question, str(q.structure)] for q in t]] for n, t in self.tests.items()]
        stages = [[stage.settings.to_dict(), stage.pairs] for stage in self.stages]
        return hashlib.sha256(json.dumps([rows, tests, stages]).encode()).hexdigest()[:16]


@dataclass(frozen=True, slots=True)
class Data:
    """All questions that experiments draw on.

    Attributes:
        shipped: What the shipped router is trained on, documents mixed, some in other forms.
        studied: Those of them that were written before the studies: domains and sources left out, curriculum, controls.
        author: By two authors that it is not trained on, with the documents that belong to each; they calibrate it.
        dev: Hand-written development questions by another.
        hand: Hand-written by somebody who saw none of the others; looked at once before the last training, whose
            recipe that changed (docs/decisions/0009), and never trained on.
        second: Hand-written by another who saw none of the others, after that; looked at when the router was done.
        third: By a third, looked at when the version after that was done.
        variants: Some of them in other words, by manner.
        sources: Of other projects, by source; empty if they are not given.
    """

    shipped: Questions
    studied: Questions
    author: Questions
    dev: Questions
    hand: Questions
    second: Questions
    third: Questions
    variants: dict[str, Questions]
    sources: dict[str, list[LabelledQuestion]]


def load(routing: Path | None) -> Data:
    """Read everything."""
    shipped = shipped_questions()
    hand = read_domain(PREFERENCES / "handwritten_test.jsonl")
    second, third = (read_domain(PREFERENCES / f"handwritten_test_{number}.jsonl") for number in (2, 3))
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
    author = [question for question in shipped.held_out if question.batch]
    dev = [question for question in shipped.held_out if not question.batch]
    before = [question for question in shipped.training if question.batch not in _LATER_AUTHORS]
    training, studied = (varied(with_mixed_documents(each)) for each in (shipped.training, before))
    return Data(training, studied, author, dev, hand, second, third, dict(variants), sources)


def experiments(data: Data) -> Iterator[Experiment]:
    """Yield every experiment, the one that is reported first at the front."""
    hand: dict[str, Questions] = {"hand": data.hand, "second hand": data.second, "third hand": data.third}
    hand["all hand"] = [*data.hand, *data.second, *data.third]
    hand |= {f"hand, {name}": questions for name, questions in data.variants.items()}
    hand |= {f"hand, {name}": [shift(q) for q in data.hand] for name, shift in SHIFTS.items()}
    described: dict[str, Questions] = {
        "author, own documents": data.author,
        "author, mixed documents": with_mixed_documents(data.author),
        "author, no documents": [replace(q, request=replace(q.request, documents=())) for q in data.author],
    }
    # The shipped router was trained on the questions of other projects too: they are no test of it.
    trained = [*data.shipped, *varied([q for questions in data.sources.values() for q in questions], seed=1)]
    yield Experiment("shipped", trained, hand | described, stages=(), with_baselines=True)
    if data.sources:
        foreign = {**data.sources, "all sources": [q for questions in data.sources.values() for q in questions]}
        yield Experiment("our own questions alone", data.shipped, foreign, with_baselines=True)
    yield from _curriculum(data)
    for held in range(1, _GROUPS + 1):
        out = {f"a{held}", f"b{held}"}
        training = _sample([q for q in data.studied if q.batch not in out], _LEFT_OUT)
        tried = [q for q in (*data.studied, *data.author) if q.batch in out]
        yield Experiment(f"group:{held}", training, {"left-out domains": tried}, with_baselines=True)
    for name in data.sources:
        others = [q for source, questions in data.sources.items() if source != name for q in questions]
        tests = {f"source {name}": data.sources[name]}
        training = [*_sample(data.studied, _LEFT_OUT), *varied(others, seed=1)]
        yield Experiment(f"source:{name}", training, tests, with_baselines=True)


def _sample(questions: Questions, most: int) -> list[LabelledQuestion]:
    return Random(1).sample(list(questions), min(most, len(questions)))


def _curriculum(data: Data) -> Iterator[Experiment]:
    """SFT, DPO and both, at equal passes over the data; and DPO on random and inverted preferences."""
    few = _sample(data.studied, _REPEATED)
    tests: dict[str, Questions] = {"hand": data.hand, "author": data.author}
    for seed in range(3):
        supervised = replace(FULL, seed=seed, sft_epochs=3, dpo_epochs=0)
        alone = replace(FULL, seed=seed, sft_epochs=0, dpo_epochs=4, dpo_share=1.0)
        after = replace(FULL, seed=seed, sft_epochs=0, dpo_epochs=1)
        start = Stage(supervised)
        plans = {
            "SFT 3": (start,),
            "SFT 4": (Stage(replace(supervised, sft_epochs=4)),),
            "DPO 4": (Stage(alone),),
            "SFT 3, DPO 1": (start, Stage(after)),
            "SFT 3, DPO 1 on random": (start, Stage(after, "random")),
            "SFT 3, DPO 1 on inverted": (start, Stage(after, "inverted")),
            "DPO 4 on random": (Stage(alone, "random"),),
            "DPO 4 on inverted": (Stage(alone, "inverted"),),
        }
        for name, stages in plans.items():
            yield Experiment(f"curriculum:{name}:{seed}", few, tests, stages)


def run(wanted: Sequence[str], out: Path, work: Path, data: Data) -> None:
    """Run the experiments whose names begin with one that is wanted and that have no line yet.

    Raises:
        ValueError: No experiment begins so.
    """
    chosen = [e for e in experiments(data) if any(e.name.startswith(each) for each in wanted)]
    if not chosen:
        raise ValueError(f"No experiment begins with {' or '.join(wanted)}.")
    done = {(row["experiment"], row["identity"]) for row in read_lines(out)}
    out.parent.mkdir(parents=True, exist_ok=True)
    for experiment in chosen:
        if (experiment.name, experiment.identity) in done:
            continue
        with ProcessPoolExecutor(1, mp_context=get_context("spawn")) as alone:
            record = alone.submit(train_and_test, experiment, [*data.author, *data.dev], work).result()
        with out.open("a", encoding="utf-8") as file:
            file.write(json.dumps(record) + "\n")
        print(experiment.name, f"{record['seconds']} s", flush=True)


def train_and_test(experiment: Experiment, calibration: Questions, work: Path) -> dict[str, Any]:
    """Return the line of an experiment: probabilities on each test by the policy and by every baseline."""
    asked = {q.request.question.casefold() for q in experiment.training}
    asked |= {q.request.question.casefold() for tests in experiment.tests.values() for q in tests}
    free = [q for q in calibration if q.request.question.casefold() not in asked]
    version, seconds = _trained(experiment, free, work)
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024
    router = PolicyRouter(version, work / "cache")
    tested: dict[str, Any] = {"policy": {n: _kept(router.probabilities, q) for n, q in experiment.tests.items()}}
    for name, train in BASELINES.items() if experiment.with_baselines else ():
        predict = train(experiment.training)
        tested[name] = {n: _kept(predict, q) for n, q in experiment.tests.items()}
    return {
        "experiment": experiment.name,
        "identity": experiment.identity,
        "trained_on": len(experiment.training),
        "calibrated_on": router.settings.metrics["held_out"],
        "seconds": seconds,
        "peak_mb": peak,
        "tests": tested,
    }


def _trained(experiment: Experiment, calibration: Questions, work: Path) -> tuple[Path, int]:
    """Return the trained version and its seconds of training; stages that were run for another are not run again."""
    version, seconds = shipped_folder(), 0
    for count, stage in enumerate(experiment.stages, start=1):
        known = work / "stages" / replace(experiment, tests={}, stages=experiment.stages[:count]).identity
        if not known.exists():
            pairs, start = PAIRS[stage.pairs](experiment.training), version if count > 1 else None
            trained = fit(pairs, with_mixed_documents(calibration), work, stage.settings, _print_step, start=start)
            known.parent.mkdir(parents=True, exist_ok=True)
            known.write_text(trained.name, encoding="utf-8")
        version = work / known.read_text(encoding="utf-8")
        seconds += int(PolicyRouter(version, work / "cache").settings.training["seconds"])
    return version, seconds


def _kept(predict: Callable[[Sequence[Any]], NDArray[np.floating]], questions: Questions) -> list[list[float]]:
    rows = predict([question.request for question in questions])
    return [[round(float(share), 4) for share in row] for row in rows]


def _labels(questions: Questions) -> list[PreferencePair]:
    return label_pairs(questions, each=1)


def _random_pairs(questions: Questions) -> list[PreferencePair]:
    random = Random(0)
    drawn = ((question, random.sample(list(StructureType), 2)) for question in questions)
    return [PreferencePair(q.request, chosen, rejected, "label", q.id) for q, (chosen, rejected) in drawn]


def _inverted_pairs(questions: Questions) -> list[PreferencePair]:
    return [replace(pair, chosen=pair.rejected, rejected=pair.chosen) for pair in _labels(questions)]


PAIRS: dict[str, Callable[[Questions], list[PreferencePair]]] = {
    "labels": _labels,
    "random": _random_pairs,
    "inverted": _inverted_pairs,
}


def _print_step(step: Any) -> None:
    if step.step % 50 == 0:
        print(f"  {step.stage} {step.step}/{step.steps} loss {step.loss:.3f} {step.seconds_left:.0f} s", flush=True)


def read_lines(path: Path) -> list[dict[str, Any]]:
    """Return the JSON lines of a file; none if it does not exist."""
    return [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()] if path.exists() else []


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--out", type=Path, required=True, help="written as OUT.jsonl and OUT.md")
    parser.add_argument("--work", type=Path, default=Path("build/router"), help="versions and checkpoints")
    parser.add_argument("--only", default="", help="names or their beginnings, by commas; all by default")
    parser.add_argument("--routing", type=Path, help="labelled questions of other sources")
    parser.add_argument("--report-only", action="store_true")
    arguments = parser.parse_args()
    found = load(arguments.routing)
    kept = arguments.out.with_suffix(".jsonl")
    if not arguments.report_only:
        run(arguments.only.split(","), kept, arguments.work, found)
    current = {e.name: e for e in experiments(found)}
    rows = [r for r in read_lines(kept) if r["experiment"] in current]
    fresh = [r for r in rows if r["identity"] == current[r["experiment"]].identity]
    report = render(fresh, {name: experiment.tests for name, experiment in current.items()})
    if len(fresh) < len(rows):
        report += f"\n{len(rows) - len(fresh)} lines are left out: their questions or settings have changed since.\n"
    arguments.out.with_suffix(".md").write_text(report, encoding="utf-8")
    print(report)
