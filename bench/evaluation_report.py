"""What a run of `structrag eval` came to, without the texts that belong to others: its lines, its report, its plots.

    python bench/evaluation_report.py build/eval --lines bench/results/public --plots docs/images/evaluation

Ids become numbers; questions, answers, quotes and messages of errors are left out. The figures of the report follow
from the lines that are kept (`structrag eval --report bench/results/public`). Plots need matplotlib
(`pip install --group plots`).
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from structrag.evaluation.figures import ALL, figures
from structrag.evaluation.lines import LINES, RUN, Line, RunRecord, read_lines
from structrag.evaluation.report import render
from structrag.evaluation.running import ORACLE, PLAIN, RANDOM, ROUTER, STRUCTURES

if TYPE_CHECKING:
    from matplotlib.axes import Axes

_KEPT_OF_CITATION = ("stands", "names", "wanted")
_KEPT_OF_ROUTE = ("structure", "confidence", "unsure", "router", "probabilities")
_COLOURS = {ROUTER: "#c0392b", ORACLE: "#2c3e50", PLAIN: "#7f8c8d", RANDOM: "#bdc3c7", "gold": "#d68910"}
_OTHER = "#5dade2"


def without_texts(lines: Sequence[Line]) -> list[Line]:
    """Return the lines with numbers for ids and without what they quote."""
    numbers = _numbers(lines)
    return [
        replace(
            line,
            id=numbers[line.id],
            asked="",
            values=["…"] if line.values else [],
            answer="",
            citations=[{key: citation[key] for key in _KEPT_OF_CITATION} for citation in line.citations],
            route={key: line.route[key] for key in _KEPT_OF_ROUTE if key in line.route} if line.route else None,
            error=line.error and "error",
            trace=[],
        )
        for line in lines
    ]


def _numbers(lines: Sequence[Line]) -> dict[str, str]:
    """By id, in the order of the lines."""
    return {id_: f"q{number:03}" for number, id_ in enumerate(dict.fromkeys(line.id for line in lines), start=1)}


def keep(run: Path, out: Path) -> dict[str, Any]:
    """Write lines, record and report, and return the figures."""
    record, lines = RunRecord.read(run), read_lines(run)
    numbers = _numbers(lines)
    asked = {way: [numbers[id_] for id_ in ids if id_ in numbers] for way, ids in record.asked.items()}
    settings = {key: value for key, value in record.settings.items() if key != "models.base_url"}
    out.mkdir(parents=True, exist_ok=True)
    reduced = without_texts(lines)
    rows = [json.dumps(asdict(line), ensure_ascii=False) for line in reduced]
    (out / LINES).write_text("\n".join(rows) + "\n", encoding="utf-8")
    (out / RUN).write_text(json.dumps({"settings": settings, "asked": asked}) + "\n", encoding="utf-8")
    told = figures(reduced, asked)
    (out / "report.md").write_text(render(told, settings), encoding="utf-8")
    return told


def plot(told: Mapping[str, Any], prefix: Path) -> None:
    """Draw accuracy against tokens, reliability, confusion and accuracy by label."""
    import matplotlib

    matplotlib.use("svg")
    matplotlib.rcParams.update({"svg.hashsalt": "structrag", "font.size": 9, "svg.fonttype": "none"})
    from matplotlib import pyplot

    for name, draw in {"tokens": _tokens, "labels": _labels, "reliability": _reliability, "routes": _routes}.items():
        figure, axes = pyplot.subplots(figsize=(6.4, 3.8), layout="constrained")
        draw(axes, told)
        figure.savefig(f"{prefix}-{name}.svg", metadata={"Date": None})
        pyplot.close(figure)


def _tokens(axes: Axes, told: Mapping[str, Any]) -> None:
    for way, figure in told["ways"].items():
        accuracy, tokens = figure["accuracy"][ALL], figure["cost"]["tokens"]
        if tokens is None:
            continue
        bar = [[accuracy["value"] - accuracy["low"]], [accuracy["high"] - accuracy["value"]]]
        axes.errorbar(tokens, accuracy["value"], yerr=bar, fmt="o", capsize=3, color=_COLOURS.get(way, _OTHER))
        axes.annotate(way, (tokens, accuracy["value"]), xytext=(5, 4), textcoords="offset points")
    axes.set(xlabel="tokens a question (mean)", ylabel="right (95 % interval)", ylim=(0, 1))


def _labels(axes: Axes, told: Mapping[str, Any]) -> None:
    ways = [way for way in ("gold", ROUTER, "chunk", PLAIN) if way in told["ways"]]
    labels = [*STRUCTURES, ALL]
    for index, way in enumerate(ways):
        shares = [told["ways"][way]["accuracy"].get(label) for label in labels]
        places = [at + (index - (len(ways) - 1) / 2) / (len(ways) + 1) for at in range(len(labels))]
        heights = [share["value"] if share else 0 for share in shares]
        bars = [
            [share["value"] - share["low"] if share else 0 for share in shares],
            [share["high"] - share["value"] if share else 0 for share in shares],
        ]
        colour = _COLOURS.get(way, _OTHER)
        axes.bar(places, heights, 1 / (len(ways) + 1), yerr=bars, capsize=2, label=way, color=colour)
    axes.set_xticks(range(len(labels)), labels)
    axes.set(ylabel="right (95 % interval)", ylim=(0, 1))
    axes.legend(frameon=False)


def _reliability(axes: Axes, told: Mapping[str, Any]) -> None:
    bins = (told["routing"] or {}).get("reliability", [])
    axes.plot([0, 1], [0, 1], color="#bdc3c7", linewidth=1)
    for key, name in (("right_structure", "right structure"), ("right_answer", "right answer")):
        axes.plot([each["confidence"] for each in bins], [each[key] for each in bins], "o-", label=name)
    axes.set(xlabel="the router's confidence", ylabel="share that is right", xlim=(0, 1), ylim=(0, 1))
    axes.legend(frameon=False)


def _routes(axes: Axes, told: Mapping[str, Any]) -> None:
    confusion = (told["routing"] or {}).get("confusion", {})
    shares = [[confusion.get(label, {}).get(route, 0) for route in STRUCTURES] for label in STRUCTURES]
    axes.imshow(shares, cmap="Blues", aspect="auto")
    for row, counts in enumerate(shares):
        for column, count in enumerate(counts):
            dark = count > max(map(max, shares)) / 2
            axes.text(column, row, str(count), ha="center", va="center", color="white" if dark else "black")
    axes.set_xticks(range(len(STRUCTURES)), STRUCTURES)
    axes.set_yticks(range(len(STRUCTURES)), STRUCTURES)
    axes.set(xlabel="route", ylabel="label")


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("run", type=Path, help="the folder that `structrag eval` wrote")
    parser.add_argument("--lines", type=Path, required=True, help="where lines and report are kept")
    parser.add_argument("--plots", type=Path, help="the beginning of the plots' names")
    arguments = parser.parse_args()
    kept = keep(arguments.run, arguments.lines)
    if arguments.plots:
        plot(kept, arguments.plots)
    print((arguments.lines / "report.md").read_text(encoding="utf-8"))
