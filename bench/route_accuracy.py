"""Accuracy of the few-shot ChatRouter on labelled questions; resumable, one JSON line per question.

python bench/route_accuracy.py ../shared/data/routing.jsonl --out bench/results/route_chat.jsonl
"""

from __future__ import annotations

import argparse
import json
from collections import Counter
from pathlib import Path
from statistics import median

from structrag.config import load_settings
from structrag.models.loading import load_chat_model
from structrag.router import ChatRouter, RoutingRequest
from structrag.usage import UsageMeter


def run(questions: Path, out: Path) -> None:
    """Route every question that ``out`` has no line for yet; the lines hold ids, never the questions."""
    settings, _ = load_settings()
    router = ChatRouter(load_chat_model(settings.models))
    done = {json.loads(line)["id"] for line in _lines(out)}
    out.parent.mkdir(parents=True, exist_ok=True)
    with out.open("a", encoding="utf-8") as file:
        for line in _lines(questions):
            item = json.loads(line)
            if item["id"] in done:
                continue
            route = router.route(RoutingRequest(item["question"]), UsageMeter())
            record = {k: item.get(k) for k in ("id", "structure", "also_ok", "source")}
            record |= {k: v for k, v in route.to_dict().items() if k in ("probabilities", "confidence", "ms", "unsure")}
            record["route"] = str(route.structure)
            file.write(json.dumps(record) + "\n")
            file.flush()


def report(out: Path) -> str:
    """Return a Markdown report computed from the kept lines."""
    rows = [json.loads(line) for line in _lines(out)]
    right = [r["route"] in (r["structure"], *r["also_ok"]) for r in rows]
    n = len(rows)
    share = sum(right) / n
    half = 1.96 * (share * (1 - share) / n) ** 0.5
    text = [f"n = {n}; accuracy counting also_ok {share:.3f} (95 % ± {half:.3f});"]
    text.append(f"exact label {sum(r['route'] == r['structure'] for r in rows) / n:.3f};")
    text.append(f"median {median(r['ms'] for r in rows):.0f} ms a question.\n")
    text.append("| structure | n | recall | routed to |\n|---|---|---|---|")
    for structure in sorted({r["structure"] for r in rows}):
        mine = [r for r in rows if r["structure"] == structure]
        hits = sum(r["route"] in (structure, *r["also_ok"]) for r in mine)
        routed = ", ".join(f"{k} {v}" for k, v in Counter(r["route"] for r in mine).most_common())
        text.append(f"| {structure} | {len(mine)} | {hits / len(mine):.2f} | {routed} |")
    for low in (0.3, 0.4, 0.5, 0.6, 0.7, 0.8):
        kept = [ok for r, ok in zip(rows, right, strict=True) if r["confidence"] >= low]
        if kept:
            text.append(f"\nconfidence ≥ {low}: {len(kept) / n:.2f} of questions, {sum(kept) / len(kept):.3f} right")
    return "\n".join(text)


def _lines(path: Path) -> list[str]:
    return path.read_text(encoding="utf-8").splitlines() if path.exists() else []


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("questions", type=Path)
    parser.add_argument("--out", type=Path, required=True)
    arguments = parser.parse_args()
    run(arguments.questions, arguments.out)
    print(report(arguments.out))
