"""What the settings that users vary are worth: one run of `structrag eval` for each, compared with the defaults.

    python bench/settings_worth.py questions.jsonl --documents documents.jsonl --work build/settings --out s.md

An hour. Resumable, as every run is. Further variants by `--with`: `--with "reranker=--reranker build/cross-encoder"`.
"""

from __future__ import annotations

import argparse
import shlex
import subprocess
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np

from structrag.evaluation.figures import interval
from structrag.evaluation.lines import Line, read_lines
from structrag.router.comparison import wilson

_DEFAULTS = "defaults"
_VARIANTS: Mapping[str, Sequence[str]] = {
    _DEFAULTS: (),
    "4 passages, not 8": ("--passages", "4"),
    "16 passages": ("--passages", "16"),
    "chunks of 350 characters, not 700": ("--chunk-size", "350"),
    "chunks of 1,400 characters": ("--chunk-size", "1400"),
}


def ask(arguments: argparse.Namespace, variants: Mapping[str, Sequence[str]]) -> None:
    """Ask what has no line yet, one variant after the other.

    Raises:
        subprocess.CalledProcessError: A run failed.
    """
    for number, options in enumerate(variants.values()):
        command = [sys.executable, "-m", "structrag", "eval", str(arguments.questions)]
        command += ["--documents", str(arguments.documents), "--out", str(arguments.work / str(number))]
        command += ["--structures", ",".join(arguments.ways), "--seed", str(arguments.seed)]
        command += ["--limit", str(arguments.limit), "--parallel", "2", *options]
        subprocess.run(command, check=True)


def table(work: Path, variants: Mapping[str, Sequence[str]], ways: Sequence[str]) -> str:
    """Return one row for each way and variant."""
    head = ["| way | setting | right | against the defaults, points | tokens, median |", "|---|---|---|---|---|"]
    runs = [{(line.way, line.id): line for line in read_lines(work / str(n))} for n in range(len(variants))]
    for way in ways:
        for name, run in zip(variants, runs, strict=True):
            lines = [line for (each, _), line in sorted(run.items()) if each == way]
            low, high = wilson(sum(line.correct for line in lines), len(lines))
            right = f"{sum(line.correct for line in lines)}/{len(lines)} ({low:.0%}-{high:.0%})"
            tokens = float(np.median([line.tokens for line in lines]))
            head.append(f"| {way} | {name} | {right} | {_difference(lines, runs[0])} | {tokens:,.0f} |")
    return "\n".join(head) + "\n"


def _difference(lines: Sequence[Line], defaults: Mapping[tuple[str, str], Line]) -> str:
    gained = np.array([float(line.correct) - float(defaults[line.way, line.id].correct) for line in lines])
    if not gained.any():
        return "0"
    bounds = interval(lambda drawn: gained[drawn].mean(axis=1), len(gained), np.random.default_rng(0))
    told = f" ({100 * bounds[0]:+.0f} to {100 * bounds[1]:+.0f})" if bounds else ""
    return f"{100 * gained.mean():+.0f}{told}"


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("questions", type=Path)
    parser.add_argument("--documents", type=Path, required=True)
    parser.add_argument("--ways", type=lambda text: text.split(","), default=["gold", "chunk"])
    parser.add_argument("--limit", type=int, default=25)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--with", dest="more", action="append", default=[], metavar="NAME=OPTIONS")
    parser.add_argument("--work", type=Path, default=Path("build/settings"))
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--report-only", action="store_true")
    arguments = parser.parse_args()
    more = {name: shlex.split(options) for name, _, options in (each.partition("=") for each in arguments.more)}
    if not arguments.report_only:
        ask(arguments, {**_VARIANTS, **more})
    report = table(arguments.work, {**_VARIANTS, **more}, arguments.ways)
    arguments.out.write_text(f"# What settings are worth\n\n{report}", encoding="utf-8")
    print(report)
