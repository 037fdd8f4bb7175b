"""Figures from kept lines: accuracy per structure and mode with 95 % intervals, tokens and seconds."""

from __future__ import annotations

from collections.abc import Sequence
from statistics import median
from typing import Any

from structrag.router.comparison import wilson

_MODES = ("gold", "router", "chunk", "plain")


def render_report(rows: Sequence[dict[str, Any]]) -> str:
    """Return the report as Markdown."""
    modes = [m for m in _MODES if any(r["mode"] == m for r in rows)]
    lines = ["| gold structure | " + " | ".join(modes) + " |", "|---" * (len(modes) + 1) + "|"]
    for structure in [*sorted({r["gold"] for r in rows}), "all"]:
        cells = [_cell([r for r in rows if r["mode"] == m and structure in (r["gold"], "all")]) for m in modes]
        lines.append(f"| {structure} | " + " | ".join(cells) + " |")
    lines.append("")
    for mode in modes:
        mine = [r for r in rows if r["mode"] == mode]
        lines.append(f"- {mode}: {_cost(mine)}")
    routed = [r for r in rows if r["mode"] == "router"]
    if routed:
        agree = sum(r["route"] == r["gold"] for r in routed)
        lines.append(f"- the router chose the gold structure for {agree} of {len(routed)}")
    return "\n".join(lines) + "\n"


def _cell(rows: Sequence[dict[str, Any]]) -> str:
    right, n = sum(r["right"] for r in rows), len(rows)
    low, high = wilson(right, n)
    return f"{right}/{n} = {right / n:.0%} ({low:.0%}–{high:.0%})" if n else "–"


def _cost(rows: Sequence[dict[str, Any]]) -> str:
    """Medians over questions whose calls all reached the model: replies from a cache cost nothing and would mislead."""
    fresh = [r for r in rows if not r["usage"]["cached"]] or list(rows)
    calls = median(r["usage"]["calls"] for r in fresh)
    read = median(r["usage"]["prompt_tokens"] for r in fresh)
    written = median(r["usage"]["completion_tokens"] for r in fresh)
    seconds = median(r["seconds"] for r in fresh)
    tokens = f"{read:g} tokens read, {written:g} written"
    return f"median {calls:g} calls, {tokens}, {seconds:.1f} s (n = {len(fresh)} uncached)"
