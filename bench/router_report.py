"""The router's evidence as tables, from the kept probabilities: accuracy with intervals, calibration, differences."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from structrag.router.comparison import compare
from structrag.router.evaluation import accepted, evaluate
from structrag.router.questions import LabelledQuestion

Tests = Mapping[str, Mapping[str, Sequence[LabelledQuestion]]]
Rows = Sequence[Mapping[str, Any]]

_HEAD = "| test | n | accuracy (95 %) | macro F1 (95 %) | lowest recall | hard | calibration error | surest 80 % |"


_ABOUT = """Computed by `bench/router_evidence.py`. A structure that is right as well counts as right.

The tests called hand were looked at once before later trainings, whose recipe that changed (docs/decisions/0009).
The one called second hand is by another author and was looked at when the version before this one was done; the one
called third hand is by a third, and nothing was changed after it was looked at (docs/decisions/0014).
Those called author are of authors who are not trained on, but they calibrate, and versions were chosen on them: a
little too good. Baselines get the same questions, three in ten in other forms."""


def render(rows: Rows, tests: Tests) -> str:
    """Return the report as Markdown; ``tests`` are the questions by experiment and test."""
    parts = [
        "# The router, measured",
        _ABOUT,
    ]
    parts += [_one(row, tests[row["experiment"]]) for row in rows if ":" not in row["experiment"]]
    pooled = {"group": "Leave-domains-out, six groups of whole authors", "source": "Leave-one-source-out"}
    for prefix, title in pooled.items():
        mine = [row for row in rows if row["experiment"].startswith(f"{prefix}:")]
        if mine:
            parts.append(_pooled(title, mine, tests))
    seeds = [row for row in rows if row["experiment"].startswith("curriculum:")]
    if seeds:
        parts.append(_curriculum(seeds, tests))
    return "\n\n".join(parts) + "\n"


def _one(row: Mapping[str, Any], tests: Mapping[str, Sequence[LabelledQuestion]]) -> str:
    cost = f"trained on {row['trained_on']:,} questions"
    cost += f" in {row['seconds']} s, peak {row['peak_mb']:,} MB" if row["seconds"] else ""
    lines = [f"## {row['experiment']}: {cost}, calibrated on {row['calibrated_on']} not trained on", ""]
    lines += [_HEAD, "|---" * 8 + "|"]
    lines += [_line(name, np.array(row["tests"]["policy"][name]), questions) for name, questions in tests.items()]
    lines += ["", "Baselines on the same data; the difference is the policy's accuracy less theirs.", ""]
    lines += ["| test | baseline | accuracy | difference (95 %) |", "|---|---|---|---|"]
    for name, questions in tests.items():
        lines += _baselines(name, row, questions, name)
    return "\n".join(lines)


def _pooled(title: str, rows: Rows, tests: Tests) -> str:
    sizes = sorted({row["trained_on"] for row in rows})
    trained = f"each trained on {' to '.join(f'{size:,}' for size in sorted({sizes[0], sizes[-1]}))} questions"
    lines = [f"## {title}; {trained}", "", _HEAD, "|---" * 8 + "|"]
    shares, asked, others = [], [], {}
    for row in rows:
        for name, questions in tests[row["experiment"]].items():
            mine = np.array(row["tests"]["policy"][name])
            lines.append(_line(f"{row['experiment']}", mine, questions))
            shares.append(mine)
            asked += list(questions)
            for baseline, kept in row["tests"].items():
                others.setdefault(baseline, []).append(np.array(kept[name]))
    lines.append(_line("all", np.concatenate(shares), asked))
    pooled = {"tests": {baseline: {"all": np.concatenate(kept)} for baseline, kept in others.items()}}
    lines += ["", "| test | baseline | accuracy | difference (95 %) |", "|---|---|---|---|"]
    return "\n".join([*lines, *_baselines("all", pooled, asked, "all")])


def _baselines(test: str, row: Mapping[str, Any], questions: Sequence[LabelledQuestion], key: str) -> list[str]:
    ours = accepted(np.array(row["tests"]["policy"][key]), questions)
    lines = []
    for baseline, kept in row["tests"].items():
        if baseline == "policy":
            continue
        compared = compare(ours, accepted(np.array(kept[key]), questions))
        difference = f"{compared.difference:+.1%} ({compared.low:+.1%} to {compared.high:+.1%})"
        lines.append(f"| {test} | {baseline} | {compared.active:.1%} | {difference} |")
    return lines


def _curriculum(rows: Rows, tests: Tests) -> str:
    """One line for each plan: its seeds' accuracies, and all its seeds against the start they share."""
    plans: dict[str, dict[int, Mapping[str, Any]]] = {}
    for row in rows:
        _, plan, seed = row["experiment"].split(":")
        plans.setdefault(plan, {})[int(seed)] = row
    names = list(tests[rows[0]["experiment"]])
    trained = rows[0]["trained_on"]
    lines = [f"## Curriculum and controls, on the same {trained:,} questions; numbers are passes over them", ""]
    lines += [f"| training | {' | '.join(f'{n}, by seed | less SFT 3 (95 %)' for n in names)} | seconds |"]
    lines += ["|---" * (2 * len(names) + 2) + "|"]
    for plan, by_seed in plans.items():
        cells = [cell for name in names for cell in _cells(name, by_seed, plans.get("SFT 3", {}), tests)]
        seconds = max(row["seconds"] for row in by_seed.values())
        lines.append(f"| {plan} | {' | '.join(cells)} | {seconds} |")
    return "\n".join(lines)


def _cells(
    name: str, by_seed: Mapping[int, Mapping[str, Any]], start: Mapping[int, Mapping[str, Any]], tests: Tests
) -> tuple[str, str]:
    def right(row: Mapping[str, Any]) -> NDArray[np.bool_]:
        return accepted(np.array(row["tests"]["policy"][name]), tests[row["experiment"]][name])

    by_run = " ".join(f"{right(row).mean():.1%}" for _, row in sorted(by_seed.items()))
    shared = sorted(by_seed.keys() & start.keys())
    if not shared:
        return by_run, "–"
    compared = compare(*(np.concatenate([right(plan[seed]) for seed in shared]) for plan in (by_seed, start)))
    return by_run, f"{compared.difference:+.1%} ({compared.low:+.1%} to {compared.high:+.1%})"


def _line(name: str, shares: NDArray[np.floating], questions: Sequence[LabelledQuestion]) -> str:
    found = evaluate(shares, questions)
    worst = min(found.recall, key=lambda structure: found.recall[structure])
    hard = f"{found.hard:.1%}" if found.hard is not None else "–"
    return (
        f"| {name} | {found.questions} | {found.accuracy:.1%} ({found.low:.1%}–{found.high:.1%}) "
        f"| {found.macro_f1:.1%} ({found.macro_f1_low:.1%}–{found.macro_f1_high:.1%}) "
        f"| {worst} {found.recall[worst]:.0%} | {hard} | {found.calibration_error:.3f} | {found.accuracy_at_80:.1%} |"
    )
