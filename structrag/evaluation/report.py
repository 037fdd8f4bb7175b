"""The figures of an evaluation as Markdown."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from structrag.evaluation.figures import ALL
from structrag.evaluation.running import ORACLE, PLAIN, RANDOM, ROUTER, STRUCTURES

_DASH = "–"
_NAMES = {
    ROUTER: "router",
    ORACLE: "oracle (right and cheapest of the five)",
    RANDOM: "random (expected)",
    PLAIN: "plain RAG",
}


def render(figures: Mapping[str, Any], settings: Mapping[str, Any]) -> str:
    """Return the report.

    Args:
        figures: As `structrag.evaluation.figures.figures` returns them.
        settings: Of the run, by dotted key.
    """
    parts = ["# Evaluation", _made_with(figures, settings)]
    if figures["ways"]:
        parts += ["## Accuracy", *_accuracy(figures["ways"]), "## Grounding and cost", *_cost(figures["ways"])]
    if figures["worth"]:
        parts += ["## What routing is worth", *_worth(figures["worth"])]
    if figures["differences"]:
        parts += ["## Paired differences in accuracy", *_differences(figures["differences"])]
    if figures["routing"]:
        parts += ["## Routes against labels", *_routing(figures["routing"])]
    return "\n\n".join(parts) + "\n"


def _made_with(figures: Mapping[str, Any], settings: Mapping[str, Any]) -> str:
    told = ", ".join(f"`{key}` = {value}" for key, value in settings.items() if value not in ("", 0, "built-in"))
    return f"{figures['questions']} questions. {told}."


def _accuracy(ways: Mapping[str, Any]) -> Iterator[str]:
    labels = [label for label in [*STRUCTURES, ALL] if any(label in way["accuracy"] for way in ways.values())]
    rows = [[_name(way), *(_share(told["accuracy"].get(label)) for label in labels)] for way, told in ways.items()]
    yield table(["way", *labels], rows)
    yield (
        "By the structure that a question is labelled with: right of asked, in per cent, with Wilson's 95 % interval "
        "(for `random`, an expectation, by bootstrap)."
    )


def _cost(ways: Mapping[str, Any]) -> Iterator[str]:
    rows = []
    for way, told in ways.items():
        cost, citations = told["cost"], told.get("citations", {})
        rows.append(
            [
                _name(way),
                _percent(told.get("grounded")),
                _percent(told.get("right_of_grounded")),
                _percent(citations.get("precision")),
                _percent(citations.get("stand")),
                _percent(citations.get("in_wanted_document")),
                str(told.get("errors", _DASH)),
                *(_number(cost[name]) for name in ("tokens", "calls", "seconds")),
                str(cost["n"]),
            ]
        )
    yield table(
        [
            "way",
            "grounded",
            "right of grounded",
            "citation precision",
            "quote stands",
            "wanted document",
            "errors",
            "tokens",
            "calls",
            "seconds",
            "n of costs",
        ],
        rows,
    )
    yield (
        "Citation precision: of the citations of grounded answers, those whose quote stands in its document at its "
        "span and names a value of the answer; a count or a sum is named by none of its rows. Costs are means a "
        "question, over those with no reply from the cache."
    )


def _worth(worth: Mapping[str, Any]) -> Iterator[str]:
    tokens = worth["tokens"]
    rows = [
        ["oracle's gain over chunks alone, points", _points(worth["gain"])],
        ["router's regret, points", _points(worth["regret"])],
        ["share of the gain that the router recovers", _ratio(worth["recovered"])],
        *([f"tokens a question, {_NAMES.get(way, way)}", _number(tokens[way])] for way in tokens),
    ]
    yield table([f"n = {worth['n']}", "value (95 % bootstrap interval)"], rows)


def _differences(differences: Mapping[str, Any]) -> Iterator[str]:
    rows = [[name, str(told["n"]), _points(told)] for name, told in differences.items()]
    yield table(["", "n", "points (95 % bootstrap interval)"], rows)


def _routing(routing: Mapping[str, Any]) -> Iterator[str]:
    yield (
        f"Router {', '.join(routing['routers'])}: the structure of the label, or one that is right as well, for "
        f"{_interval(routing, _percent)} of {routing['n']} questions; unsure of {_percent(routing['unsure'])}; "
        f"calibration error {routing['calibration_error']:.3f}."
    )
    confusion = routing["confusion"]
    yield table(
        ["label \\ route", *STRUCTURES],
        [[label, *(str(n) for n in chosen.values())] for label, chosen in confusion.items() if any(chosen.values())],
    )
    yield table(
        ["confidence", "n", "right structure", "right answer"],
        [
            [_percent(b["confidence"]), str(b["n"]), _percent(b["right_structure"]), _percent(b["right_answer"])]
            for b in routing["reliability"]
        ],
    )


def table(head: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """Return a Markdown table."""
    lines = [head, ["---"] * len(head), *rows]
    return "\n".join("| " + " | ".join(line) + " |" for line in lines)


def _name(way: str) -> str:
    return _NAMES.get(way, way)


def _share(told: Mapping[str, Any] | None) -> str:
    return f"{told['right']:g}/{told['n']} = {_interval(told, _percent)}" if told else _DASH


def _points(told: Mapping[str, Any]) -> str:
    return _interval(told, lambda value: _DASH if value is None else f"{100 * value:+.1f}")


def _ratio(told: Mapping[str, Any] | None) -> str:
    return _interval(told, _percent) if told else "not defined: the oracle gains nothing"


def _interval(told: Mapping[str, Any], shown: Any) -> str:
    if told["low"] is None:
        return f"{shown(told['value'])} (interval not defined)"
    return f"{shown(told['value'])} ({shown(told['low'])} to {shown(told['high'])})"


def _percent(value: float | None) -> str:
    return _DASH if value is None else f"{value:.0%}"


def _number(value: float | None) -> str:
    return _DASH if value is None else f"{value:,.0f}" if value >= 100 else f"{value:.1f}"
