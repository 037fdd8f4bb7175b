"""Figures of an evaluation, from its kept lines alone: accuracy, cost, and what routing is worth."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from structrag.evaluation.running import ASKED_WAYS, ORACLE, PLAIN, RANDOM, ROUTER, STRUCTURES
from structrag.router.calibration import calibration_error
from structrag.router.comparison import wilson
from structrag.types import StructureType

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from structrag.evaluation.lines import Line

_RESAMPLES = 10_000
_BINS = 5
_LEAST_DEFINED = 0.95
"""An interval of a ratio is given only where so many of the drawn samples have one."""
CHUNK = str(StructureType.CHUNK)
ALL = "all"


@dataclass(frozen=True, slots=True)
class Outcome:
    """What one way came to on one question.

    Attributes:
        correct: 1 or 0, and for chance the mean over the five structures it may take.
        line: The line it follows from; ``None`` for chance.
    """

    id: str
    label: str
    correct: float
    tokens: float
    calls: float
    seconds: float
    cached: bool
    line: Line | None = None


def outcomes(lines: Sequence[Line], asked: Mapping[str, Sequence[str]]) -> dict[str, dict[str, Outcome]]:
    """Return what each way came to, by way and then by the question's id.

    Only questions count that a way was asked for as a whole. The oracle takes the right structure that cost the
    fewest tokens, or the cheapest where none is right. Chance takes each of the five structures as often, and goes on
    to passages like the pipeline does where its structure found nothing; its outcome is the mean.

    Args:
        lines: The latest of each question and way.
        asked: For each way, the ids of its questions.
    """
    by_way = {way: set(ids) for way, ids in asked.items()}
    found: dict[str, dict[str, Outcome]] = {way: {} for way in ASKED_WAYS}
    for line in lines:
        if line.id in by_way.get(line.way, ()):
            found[line.way][line.id] = _outcome(line)
    complete = set.intersection(*(set(found[structure]) for structure in STRUCTURES))
    five = {id_: [found[structure][id_] for structure in STRUCTURES] for id_ in found[CHUNK] if id_ in complete}
    found[ORACLE] = {id_: min(each, key=lambda o: (-o.correct, o.tokens)) for id_, each in five.items()}
    found[RANDOM] = {id_: _by_chance(each) for id_, each in five.items()}
    return {way: each for way, each in found.items() if each}


def figures(lines: Sequence[Line], asked: Mapping[str, Sequence[str]], *, seed: int = 0) -> dict[str, Any]:
    """Return all figures as JSON-ready values; see `docs/evaluation.md` for what each means.

    Args:
        lines: The latest of each question and way.
        asked: For each way, the ids of its questions.
        seed: Of the bootstrap.
    """
    ways = outcomes(lines, asked)
    random = np.random.default_rng(seed)
    return {
        "questions": len({id_ for ids in asked.values() for id_ in ids}),
        "ways": {way: _way(way, list(each.values()), random) for way, each in ways.items()},
        "differences": _differences(ways, random),
        "routing": _routing([o.line for o in ways.get(ROUTER, {}).values() if o.line]),
        "worth": _worth(ways, random),
    }


def interval(
    statistic: Callable[[NDArray[np.int64]], NDArray[np.float64]], n: int, random: np.random.Generator
) -> tuple[float, float] | None:
    """Return the 95 % bootstrap interval of a statistic of n questions.

    Args:
        statistic: Of the questions whose numbers are given, shape (draws, n), the values, shape (draws,); what is not
            finite is not defined.
        n: How many questions there are.
        random: The source of chance.

    Returns:
        The interval; ``None`` where more than one drawn sample in twenty has no value.
    """
    drawn = statistic(random.integers(n, size=(_RESAMPLES, n)))
    defined = drawn[np.isfinite(drawn)]
    if len(defined) < _LEAST_DEFINED * len(drawn):
        return None
    low, high = np.quantile(defined, [0.025, 0.975])
    return float(low), float(high)


def _outcome(line: Line) -> Outcome:
    usage = line.usage
    label = line.labels[0] if line.labels else ""
    return Outcome(
        line.id,
        label,
        float(line.correct),
        line.tokens,
        usage.get("calls", 0),
        line.seconds,
        bool(usage.get("cached")),
        line,
    )


def _by_chance(five: Sequence[Outcome]) -> Outcome:
    """Return the mean over the five structures, each with the pipeline's fall back to passages."""
    chunk = five[STRUCTURES.index(CHUNK)]
    runs = [[each] if each is chunk or (each.line and each.line.grounded) else [each, chunk] for each in five]
    return Outcome(
        chunk.id,
        chunk.label,
        sum(_answering(run).correct for run in runs) / len(runs),
        sum(each.tokens for run in runs for each in run) / len(runs),
        sum(each.calls for run in runs for each in run) / len(runs),
        sum(each.seconds for run in runs for each in run) / len(runs),
        any(each.cached for each in five),
    )


def _answering(run: Sequence[Outcome]) -> Outcome:
    last = run[-1]
    return last if last.line and last.line.grounded else run[0]


def _way(way: str, each: Sequence[Outcome], random: np.random.Generator) -> dict[str, Any]:
    labels = [str(structure) for structure in StructureType if any(o.label == structure for o in each)]
    told: dict[str, Any] = {
        "accuracy": {
            label: _accuracy(way, [o for o in each if label in (o.label, ALL)], random) for label in [*labels, ALL]
        },
        "cost": _cost(each),
    }
    lines = [outcome.line for outcome in each if outcome.line]
    if not lines:
        return told
    told["errors"] = sum(bool(line.error) for line in lines)
    if way != PLAIN:
        told |= {"grounded": _share([bool(line.grounded) for line in lines]), "citations": _citations(lines)}
        told["right_of_grounded"] = _share([line.correct for line in lines if line.grounded])
    return told


def _accuracy(way: str, each: Sequence[Outcome], random: np.random.Generator) -> dict[str, Any]:
    correct = np.array([o.correct for o in each])
    if way == RANDOM:  # an expectation, not a count: Wilson's interval does not suit it
        bounds = interval(lambda drawn: correct[drawn].mean(axis=1), len(each), random)
        low, high = bounds or (float("nan"), float("nan"))
    else:
        low, high = wilson(int(correct.sum()), len(each))
    return {"n": len(each), "right": _rounded(correct.sum()), **_estimate(correct.mean(), (low, high))}


def _cost(each: Sequence[Outcome]) -> dict[str, Any]:
    """Means over questions whose calls all reached the model: a reply from the cache costs nothing, and misleads."""
    fresh = [o for o in each if not o.cached]
    told: dict[str, Any] = {"n": len(fresh)}
    for name in ("tokens", "calls", "seconds"):
        told[name] = _rounded(np.mean([getattr(o, name) for o in fresh])) if fresh else None
    return told


def _citations(lines: Sequence[Line]) -> dict[str, Any]:
    """Of the citations of grounded answers: how many stand where they say, name a value, and both (the precision)."""
    cited = [citation for line in lines if line.grounded for citation in line.citations]
    wanted = [bool(c["wanted"]) for c in cited if c["wanted"] is not None]
    return {
        "n": len(cited),
        "stand": _share([bool(c["stands"]) for c in cited]),
        "precision": _share([bool(c["stands"] and c["names"]) for c in cited]),
        "in_wanted_document": _share(wanted),
    }


def _share(flags: Sequence[bool]) -> float | None:
    return _rounded(sum(flags) / len(flags)) if flags else None


def _paired(ways: Mapping[str, Mapping[str, Outcome]], names: Sequence[str]) -> list[list[Outcome]] | None:
    """Return the outcomes of several ways on the questions that all have; ``None`` where there is none."""
    if not all(name in ways for name in names):
        return None
    common = [id_ for id_ in ways[names[0]] if all(id_ in ways[name] for name in names)]
    return [[ways[name][id_] for id_ in common] for name in names] if common else None


def _differences(ways: Mapping[str, Mapping[str, Outcome]], random: np.random.Generator) -> dict[str, Any]:
    """The router's accuracy less every other way's, on the questions that both have."""
    told = {}
    for way in ways:
        pair = _paired(ways, [ROUTER, way]) if way != ROUTER else None
        if pair:
            ours, theirs = (np.array([o.correct for o in each]) for each in pair)
            gap = ours - theirs
            told[f"{ROUTER} - {way}"] = {"n": len(gap), **_mean(gap, random)}
    return told


def _worth(ways: Mapping[str, Mapping[str, Outcome]], random: np.random.Generator) -> dict[str, Any] | None:
    """The router's regret, and which share it recovers of what always choosing right gains over passages alone."""
    triple = _paired(ways, [ROUTER, ORACLE, CHUNK])
    if not triple:
        return None
    router, oracle, chunk = (np.array([o.correct for o in each]) for each in triple)

    def recovered(drawn: NDArray[np.int64]) -> NDArray[np.float64]:
        gain = (oracle - chunk)[drawn].sum(axis=1)
        with np.errstate(divide="ignore", invalid="ignore"):
            return np.asarray((router - chunk)[drawn].sum(axis=1) / gain, dtype=np.float64)

    share = float(recovered(np.arange(len(router))[None])[0])
    bounds = interval(recovered, len(router), random)
    tokens = [_rounded(np.mean([o.tokens for o in each])) for each in triple]
    return {
        "n": len(router),
        "gain": _mean(oracle - chunk, random),
        "regret": _mean(oracle - router, random),
        "recovered": _estimate(share, bounds) if np.isfinite(share) else None,
        "tokens": dict(zip((ROUTER, ORACLE, CHUNK), tokens, strict=True)),
    }


def _routing(lines: Sequence[Line]) -> dict[str, Any] | None:
    """How the router chose, against the labels."""
    labelled = [line for line in lines if line.labels and line.route]
    if not labelled:
        return None
    routes = [line.route or {} for line in labelled]
    confidence = np.array([route["confidence"] for route in routes])
    right = np.array([r["structure"] in line.labels for r, line in zip(routes, labelled, strict=True)], dtype=bool)
    low, high = wilson(int(right.sum()), len(right))
    chosen = {label: dict.fromkeys(STRUCTURES, 0) for label in STRUCTURES}
    for line, route in zip(labelled, routes, strict=True):
        chosen[line.labels[0]][route["structure"]] += 1
    return {
        "routers": sorted({route["router"] for route in routes}),
        "n": len(right),
        **_estimate(right.mean(), (low, high)),
        "unsure": _share([bool(route["unsure"]) for route in routes]),
        "calibration_error": _rounded(calibration_error(confidence, right)),
        "reliability": _reliability(confidence, right, np.array([line.correct for line in labelled])),
        "confusion": chosen,
    }


def _reliability(
    confidence: NDArray[np.floating], right: NDArray[np.bool_], answered: NDArray[np.bool_]
) -> list[dict[str, Any]]:
    """Bins of equal mass, least confident first: how sure, how often the label, how often the right answer."""
    parts = np.array_split(np.argsort(confidence, kind="stable"), min(_BINS, len(confidence)))
    return [
        {
            "n": len(part),
            "confidence": _rounded(confidence[part].mean()),
            "right_structure": _rounded(right[part].mean()),
            "right_answer": _rounded(answered[part].mean()),
        }
        for part in parts
    ]


def _mean(values: NDArray[np.float64], random: np.random.Generator) -> dict[str, Any]:
    return _estimate(values.mean(), interval(lambda drawn: values[drawn].mean(axis=1), len(values), random))


def _estimate(value: Any, bounds: tuple[float, float] | None) -> dict[str, Any]:
    low, high = bounds or (None, None)
    return {"value": _rounded(value), "low": _rounded(low), "high": _rounded(high)}


def _rounded(value: Any) -> float | None:
    return None if value is None else round(float(value), 4)
