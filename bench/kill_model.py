"""Kill StructRAG while the real embedded models work, and look at what is left: one JSON line for each kill.

    python bench/kill_model.py --kills 24 --out bench/results/kill_model

Minutes a kill on two cores. Resumable. Each kill is one process of the command line, over a shipped corpus, killed at a
random moment of what it takes undisturbed; then the same command is given again and has to end as it does undisturbed.
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import signal
import sqlite3
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import closing
from pathlib import Path
from random import Random
from typing import Any

from structrag.corpora import ShippedCorpus, shipped

CORPUS = "interviews"
QUESTIONS = {
    "table": "café takings 2024 v 2023, up or down and by how much?",
    "catalogue": "In how many of the nine interviews does parking come up in some form?",
    "algorithm": "neighbour rang the desk 9.40pm about the noise, ring back by what time at the latest",
}
OPERATIONS = ("add", *QUESTIONS)
_LONGEST = 900
_MOMENT_TO_END = 20


def command(operation: str, corpus: ShippedCorpus, folder: Path) -> list[str]:
    """Return the command line of an operation."""
    what = (
        ["add", str(corpus.folder)]
        if operation == "add"
        else ["ask", QUESTIONS[operation], "--structure", operation, "--json"]
    )
    return [sys.executable, "-m", "structrag", *what, "--corpus", str(folder)]


def whole(operation: str, corpus: ShippedCorpus, folder: Path) -> dict[str, Any]:
    """Run an operation to its end; return what came of it."""
    started = time.monotonic()
    child = subprocess.run(
        command(operation, corpus, folder), capture_output=True, encoding="utf-8", timeout=_LONGEST, check=False
    )
    told = json.loads(child.stdout) if operation != "add" and child.stdout else {}
    return {
        "code": child.returncode,
        "seconds": time.monotonic() - started,
        "values": told.get("values"),
        "usage": told.get("usage", {}),
        "said": child.stderr[-300:],
    } | counted(folder)


def counted(folder: Path) -> dict[str, int]:
    """Return how much the corpus holds."""
    tables = ("documents", "chunks", "replies", "answers")
    with closing(sqlite3.connect(f"file:{folder / 'corpus.sqlite'}?mode=ro", uri=True)) as database:
        return {name: database.execute(f"SELECT count(*) FROM {name}").fetchone()[0] for name in tables}


def killed(operation: str, corpus: ShippedCorpus, folder: Path, after: float) -> tuple[bool, list[int]]:
    """Kill an operation after some seconds; return whether it was at work then, and its processes that live on."""
    process = subprocess.Popen(command(operation, corpus, folder), stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        process.wait(after)
    except subprocess.TimeoutExpired:
        pass
    else:
        return False, []
    children = list(descendants(process.pid))
    os.kill(process.pid, signal.SIGKILL)
    process.wait()
    until = time.monotonic() + _MOMENT_TO_END
    while (left := [pid for pid in children if is_alive(pid)]) and time.monotonic() < until:
        time.sleep(0.2)
    return True, left


def descendants(pid: int) -> Iterator[int]:
    """Yield the processes that a process has started, and those that they have."""
    for task in Path(f"/proc/{pid}/task").iterdir():
        for child in map(int, (task / "children").read_text(encoding="ascii").split()):
            yield child
            yield from descendants(child)


def is_alive(pid: int) -> bool:
    """Say whether a process is there and no zombie."""
    try:
        return Path(f"/proc/{pid}/stat").read_text(encoding="ascii").rpartition(")")[2].split()[0] != "Z"
    except FileNotFoundError:
        return False


def one(
    number: int, operation: str, corpus: ShippedCorpus, prepared: Path, undisturbed: dict[str, Any]
) -> dict[str, Any]:
    """Kill once, give the command again, and return what was found."""
    folder = prepared.with_name("killed")
    shutil.rmtree(folder, ignore_errors=True)
    if operation != "add":
        shutil.copytree(prepared, folder)
    after = Random(f"kill {number}").uniform(0.05, 1) * undisturbed["seconds"]
    was_at_work, left = killed(operation, corpus, folder, after)
    kept = counted(folder) if (folder / "corpus.sqlite").exists() else {"documents": 0, "replies": 0}
    doctor = subprocess.run(
        [sys.executable, "-m", "structrag", "doctor", "--corpus", str(folder)],
        capture_output=True,
        text=True,
        check=False,
    )
    again = whole(operation, corpus, folder)
    problems = [f"process {pid} lives on" for pid in left]
    problems += [
        f"{name} is {again[name]} and not {undisturbed[name]}"
        for name in ("code", "values", "documents", "chunks")
        if again[name] != undisturbed[name]
    ]
    if operation != "add":
        made = kept["replies"] - counted(prepared)["replies"]
        if kept["documents"] != undisturbed["documents"]:
            problems.append("a document is lost")
        if again["usage"]["calls"] + made > undisturbed["usage"]["calls"]:
            problems.append(f"{made} finished calls were kept, and {again['usage']['calls']} made again")
    if doctor.returncode and kept["documents"]:
        problems.append(f"doctor: {doctor.returncode}: {doctor.stdout[-300:]}")
    return {
        "number": number,
        "operation": operation,
        "after": round(after, 1),
        "at_work": was_at_work,
        "kept": kept,
        "calls_again": again["usage"].get("calls"),
        "problems": problems,
    }


def run(kills: int, only: Sequence[str], out: Path, work: Path) -> None:
    """Make the kills that have no line yet, of these operations in turn, and write the report."""
    out.parent.mkdir(parents=True, exist_ok=True)
    work.mkdir(parents=True, exist_ok=True)
    lines, corpus = out.with_suffix(".jsonl"), next(each for each in shipped() if each.name == CORPUS)
    prepared, undisturbed_file = work / "prepared", work / "undisturbed.json"
    undisturbed = json.loads(undisturbed_file.read_text(encoding="utf-8")) if undisturbed_file.exists() else {}
    if "add" not in undisturbed:
        shutil.rmtree(prepared, ignore_errors=True)
    for operation in OPERATIONS:
        if operation not in undisturbed:
            folder = prepared
            if operation != "add":
                folder = work / "undisturbed"
                shutil.rmtree(folder, ignore_errors=True)
                shutil.copytree(prepared, folder)
            undisturbed[operation] = whole(operation, corpus, folder)
            undisturbed_file.write_text(json.dumps(undisturbed), encoding="utf-8")
    done = read_lines(lines)
    for number in range(len(done), kills):
        operation = only[number % len(only)]
        line = one(number, operation, corpus, prepared, undisturbed[operation])
        with lines.open("a", encoding="utf-8") as file:
            file.write(json.dumps(line) + "\n")
        print(f"{number} {operation} after {line['after']} s: {line['problems'] or 'nothing lost'}", flush=True)
    out.with_suffix(".md").write_text(report(read_lines(lines)), encoding="utf-8")


def read_lines(path: Path) -> list[dict[str, Any]]:
    """Return the lines written so far."""
    return [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()] if path.exists() else []


def report(lines: list[dict[str, Any]]) -> str:
    """Return the figures as Markdown."""
    rows = ["| operation | killed at work | ended before | with a problem |", "|---|---|---|---|"]
    for operation in OPERATIONS:
        ours = [line for line in lines if line["operation"] == operation]
        at_work, broken = sum(line["at_work"] for line in ours), sum(bool(line["problems"]) for line in ours)
        rows.append(f"| {operation} | {at_work} | {len(ours) - at_work} | {broken} |")
    problems = [f"- kill {line['number']}, {line['operation']}: {each}" for line in lines for each in line["problems"]]
    table, found = "\n".join(rows), "\n".join(problems) or "No problem was found."
    return f"# Kills with the embedded models\n\nMade by `bench/kill_model.py`.\n\n{table}\n\n{found}\n"


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--kills", type=int, default=24)
    parser.add_argument("--only", nargs="*", default=OPERATIONS, choices=OPERATIONS, help="operations to kill, in turn")
    parser.add_argument("--out", type=Path, default=Path(__file__).parent / "results" / "kill_model")
    parser.add_argument("--work", type=Path, default=Path("build/kill-model"))
    arguments = parser.parse_args()
    run(arguments.kills, arguments.only, arguments.out, arguments.work.resolve())
