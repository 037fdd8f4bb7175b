"""How long a route takes: the trained router beside the few-shot one in one run, and `structrag route` from its start.

python bench/router_latency.py --out bench/results/router_latency.md
"""

from __future__ import annotations

import argparse
import subprocess
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from statistics import median
from tempfile import TemporaryDirectory

import numpy as np

from structrag.config import load_settings
from structrag.models.loading import load_chat_model
from structrag.pipeline.components import load_router
from structrag.router import ChatRouter, Router, RoutingRequest
from structrag.router.questions import shipped_questions, with_mixed_documents
from structrag.usage import UsageMeter

_WARM, _CHAT, _STARTS = 200, 20, 7


def measure(router: Router, requests: Sequence[RoutingRequest]) -> list[float]:
    """Return the milliseconds of each route, after one that is not counted."""
    router.route(requests[0], UsageMeter())
    times = []
    for request in requests:
        started = time.perf_counter()
        router.route(request, UsageMeter())
        times.append(1000 * (time.perf_counter() - started))
    return times


def starts(question: str) -> list[float]:
    """Return the seconds from process start to printed route, caches being warm."""
    times = []
    with TemporaryDirectory() as elsewhere:
        for _ in range(_STARTS + 1):
            started = time.perf_counter()
            subprocess.run(
                [sys.executable, "-m", "structrag", "route", question], cwd=elsewhere, check=True, capture_output=True
            )
            times.append(time.perf_counter() - started)
    return times[1:]


def report() -> str:
    """Measure and return Markdown."""
    settings, _ = load_settings()
    requests = [q.request for q in with_mixed_documents(shipped_questions().held_out)][:_WARM]
    chat = load_chat_model(settings.models)
    policy, few_shot = load_router(settings, chat), ChatRouter(chat)
    warm = measure(policy, requests)
    slow = measure(few_shot, requests[:_CHAT])
    again = measure(policy, requests)
    both, cold = [*warm, *again], starts(requests[0].question)
    rows = [
        ("trained router, warm", len(both), f"{median(both):.1f} ms", f"{np.quantile(both, 0.95):.1f} ms"),
        ("few-shot router, warm", len(slow), f"{median(slow):.0f} ms", f"{np.quantile(slow, 0.95):.0f} ms"),
        ("`structrag route`, from process start", len(cold), f"{median(cold):.2f} s", f"{max(cold):.2f} s"),
    ]
    lines = ["| what | n | median | 95th percentile (of starts: longest) |", "|---|---|---|---|"]
    lines += [f"| {what} | {n} | {middle} | {high} |" for what, n, middle, high in rows]
    lines += ["", f"The few-shot router takes {median(slow) / median(both):.0f} times as long (ratio of medians)."]
    return "\n".join(lines) + "\n"


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--out", type=Path, required=True)
    arguments = parser.parse_args()
    text = report()
    arguments.out.parent.mkdir(parents=True, exist_ok=True)
    arguments.out.write_text(text, encoding="utf-8")
    print(text)
