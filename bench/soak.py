"""The long versions of what `docs/reliability.md` promises, on a scripted model, as one table.

    python bench/soak.py --out bench/results/soak
    python bench/soak.py --short --only "budget"

Resumable: one JSON line per promise, kept with the version of the code that it was tried on; a promise that has a line
of this version is not tried again. Each module of `MODULES` that is there adds its own list `PROMISES`.
"""

from __future__ import annotations

import argparse
import importlib
import importlib.util
import json
import subprocess
import sys
import time
import traceback
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from promises import Outcome, Promise

HERE = Path(__file__).parent
MODULES = ("soak_endpoints", "soak_durability", "soak_hostile")
_SHOWN_FAILURES = 5


def promises() -> list[Promise]:
    """Return the promises of all modules that are there, in order.

    Raises:
        ValueError: Two have the same name.
    """
    found = [name for name in MODULES if importlib.util.find_spec(name)]
    listed = [promise for name in found for promise in importlib.import_module(name).PROMISES]
    if len({promise.name for promise in listed}) < len(listed):
        raise ValueError("Two promises have the same name.")
    return listed


def run(chosen: Sequence[Promise], lines: Path, *, short: bool) -> list[dict[str, Any]]:
    """Try every promise that has no line of this version yet; return the records of all, in order."""
    lines.parent.mkdir(parents=True, exist_ok=True)
    version = code_version()
    kept = {record["promise"]: record for record in read_lines(lines) if _counts(record, version, short)}
    for promise in chosen:
        if promise.name in kept:
            continue
        print(f"{promise.name} …", flush=True)
        record = {"promise": promise.name, "version": version, "short": short, **tried(promise, short=short)}
        with lines.open("a", encoding="utf-8") as file:
            # Begins with the end of a line too: the last one may be torn.
            file.write(f"\n{json.dumps(record, ensure_ascii=False)}\n")
        kept[promise.name] = record
    return [kept[promise.name] for promise in chosen]


def tried(promise: Promise, *, short: bool) -> dict[str, Any]:
    """Return what came of one promise; one that raises is broken."""
    started = time.monotonic()
    try:
        outcome = promise.run(promise.short if short else promise.rounds)
    except Exception:  # noqa: BLE001 - whatever it is: the other promises are still to be tried
        outcome = Outcome(1, [traceback.format_exc(limit=-3)])
    if not outcome.n:
        outcome.failures.append("It was never tried.")
    return {
        "n": outcome.n,
        "failures": outcome.failures,
        "measured": outcome.measured,
        "seconds": round(time.monotonic() - started, 1),
    }


def read_lines(path: Path) -> Iterator[dict[str, Any]]:
    """Yield the records of a file; a last line that was torn when a run was killed is passed over."""
    if not path.exists():
        return
    for line in path.read_text(encoding="utf-8").splitlines():
        try:
            yield json.loads(line)
        except json.JSONDecodeError:
            continue


def code_version() -> str:
    """Return the commit, marked where files other than results differ from it."""

    def git(*arguments: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(["git", *arguments], cwd=HERE.parent, capture_output=True, text=True, check=False)

    differs = git("diff", "--quiet", "HEAD", "--", ".", ":!bench/results").returncode
    return (git("rev-parse", "--short=12", "HEAD").stdout.strip() or "unknown") + ("-dirty" if differs else "")


def _counts(record: dict[str, Any], version: str, short: bool) -> bool:
    return record["version"] == version and record["short"] == short


def table(records: Sequence[dict[str, Any]]) -> str:
    """Return the records as a Markdown table, failures below it."""
    rows = [("promise", "tried", "broken", "seconds", "measured"), ("---", "---:", "---:", "---:", "---")]
    rows += [
        (r["promise"], f"{r['n']:,}", str(len(r["failures"])), f"{r['seconds']:.1f}", r["measured"]) for r in records
    ]
    widths = [max(len(row[column]) for row in rows) for column in range(len(rows[0]))]
    lines = [
        "| " + " | ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)) + " |" for row in rows
    ]
    for record in records:
        lines += [f"\nBROKEN: {record['promise']}: {each}" for each in record["failures"][:_SHOWN_FAILURES]]
    return "\n".join(lines)


def main() -> int:
    """Run what the command line asks for; 1 if a promise was broken."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--out", type=Path, default=HERE / "results" / "soak", help="without an ending")
    parser.add_argument("--short", action="store_true", help="the rounds that the tests run")
    parser.add_argument("--only", default="", help="promises whose name contains this")
    arguments = parser.parse_args()
    chosen = [promise for promise in promises() if arguments.only.lower() in promise.name.lower()]
    records = run(chosen, arguments.out.with_suffix(".jsonl"), short=arguments.short)
    seconds = sum(record["seconds"] for record in records)
    report = f"{table(records)}\n\n{len(records)} promises, {seconds:.0f} seconds, code {code_version()}.\n"
    print(report)
    if not (arguments.short or arguments.only):
        arguments.out.with_suffix(".md").write_text(f"# Soak\n\nWritten by `make soak`.\n\n{report}", encoding="utf-8")
    return int(any(record["failures"] for record in records))


if __name__ == "__main__":
    sys.exit(main())
