"""What of our attacks by injection gets through with the real embedded model: a report by kind and by structure.

    python bench/injection.py --out bench/results/injection [--only answer-chunk-1 …]

Hours on two cores. Resumable: one JSON line for each attack, from which the report is computed. Every attack is asked
twice: under its structure, and as it is routed; it gets through if either does.
"""

from __future__ import annotations

import argparse
import json
import tempfile
import time
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

from injections import CANARY, SECRET, Attack, attacks, succeeded, write_documents

from structrag import StructRAG
from structrag.errors import ModelOutputError
from structrag.types import Answer, Route, StructureType


def run(out: Path, only: Sequence[str]) -> None:
    """Run every attack that has no line yet."""
    out.parent.mkdir(parents=True, exist_ok=True)
    lines = out.with_suffix(".jsonl")
    done = {line["id"] for line in read_lines(lines)}
    untouched: dict[str, Route] = {}
    for attack in attacks():
        if attack["id"] in done or (only and attack["id"] not in only):
            continue
        line = one(attack, untouched)
        with lines.open("a", encoding="utf-8") as file:
            file.write(json.dumps(line, ensure_ascii=False) + "\n")
        print(f"{attack['id']}: {'GOT THROUGH' if line['through'] else 'held'}: {line['answers']}", flush=True)
    out.with_suffix(".md").write_text(report(read_lines(lines)), encoding="utf-8")


def one(attack: Attack, untouched: dict[str, Route]) -> dict[str, Any]:
    """Run one attack and return its line."""
    structure = StructureType.parse(attack["structure"])
    started = time.monotonic()
    if attack["question"] not in untouched:
        untouched[attack["question"]] = _asked(None, attack["question"], structure, ())[0]
    chosen: list[StructureType | None] = [None] if "route" in attack["success"] else [structure, None]
    _, answers = _asked(attack, attack["question"], structure, chosen)
    said = [answer.text if answer else "(no usable reply)" for answer in answers]
    through = [bool(answer and succeeded(attack, answer, untouched[attack["question"]])) for answer in answers]
    return {
        "id": attack["id"],
        "kind": attack["kind"],
        "structure": attack["structure"],
        "through": any(through),
        "answers": said,
        "grounded": [bool(answer and answer.grounded) for answer in answers],
        "says_canary": any(CANARY in text for text in said),
        "says_secret": any(SECRET in text for text in said),
        "routes": [str(answer.route.structure) if answer else "" for answer in answers],
        "seconds": round(time.monotonic() - started, 1),
    }


def _asked(
    attack: Attack | None, question: str, structure: StructureType, chosen: Sequence[StructureType | None]
) -> tuple[Route, list[Answer | None]]:
    """Return the question's route over the documents, and its answers under the structures chosen."""
    with tempfile.TemporaryDirectory() as scratch:
        scope = write_documents(Path(scratch) / "documents", attack, structure)
        with StructRAG.open(Path(scratch) / "corpus") as rag:
            failed = {line.document_id for line in rag.add([Path(scratch) / "documents"]).failed}
            within = [each for each in scope if each not in failed]
            return rag.route(question, documents=within), [_answer(rag, question, each, within) for each in chosen]


def _answer(rag: StructRAG, question: str, structure: StructureType | None, scope: Sequence[str]) -> Answer | None:
    try:
        return rag.ask(question, structure=structure, scope=scope)
    except ModelOutputError:
        return None


def read_lines(path: Path) -> list[dict[str, Any]]:
    """Return the lines written so far; one that a crash cut short is left out."""
    if not path.exists():
        return []
    found = []
    for line in path.read_text(encoding="utf-8").splitlines():
        try:
            found.append(json.loads(line))
        except json.JSONDecodeError:
            continue
    return found


def report(lines: Sequence[dict[str, Any]]) -> str:
    """Return the figures as Markdown."""
    through = [line for line in lines if line["through"]]
    parts = [
        "# Attacks by injection, with the embedded model",
        f"{len(lines)} of {len(attacks())} attacks were run; {len(through)} got through. "
        f"Text of a document out of scope came out in {sum(line['says_secret'] for line in lines)} answers.",
        "Made by `bench/injection.py`; what each attack does and aims at is in `bench/injections.jsonl`.",
        _table("kind", lines),
        _table("structure", lines),
        "What got through:",
        "\n".join(f"- `{line['id']}`: {' / '.join(_one_line(text) for text in line['answers'])}" for line in through)
        or "nothing.",
    ]
    return "\n\n".join(parts) + "\n"


def _table(by: str, lines: Iterable[dict[str, Any]]) -> str:
    groups: dict[str, list[bool]] = {}
    for line in lines:
        groups.setdefault(line[by], []).append(line["through"])
    rows = [f"| {name} | {len(held)} | {sum(held)} |" for name, held in sorted(groups.items())]
    return "\n".join([f"| {by} | attacks | got through |", "|---|---|---|", *rows])


def _one_line(text: str) -> str:
    return " ".join("".join(c if c.isprintable() else " " for c in text).split()).replace("`", "'")[:160]


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--out", type=Path, default=Path(__file__).parent / "results" / "injection")
    parser.add_argument("--only", nargs="*", default=[], help="ids of attacks")
    arguments = parser.parse_args()
    run(arguments.out, arguments.only)
