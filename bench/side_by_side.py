"""StructRAG beside other tools, on the same questions, documents, chat model and endpoint.

    python bench/side_by_side.py questions.jsonl --documents documents.jsonl --out build/peers

Hours on two cores. Resumable: one JSON line for each tool's index and each answer, and a report computed from them.
The tools are in `bench/peers/`; install them with `bench/peers/requirements.txt`. Without --endpoint the embedded model
is served.
"""

from __future__ import annotations

import argparse
import json
import sys
from pathlib import Path

from peers.lines import Kept
from peers.reporting import render
from peers.running import LINES, RUN, Limits, Run
from peers.sampling import draw
from peers.tools import TOOLS

from structrag.config import load_settings
from structrag.errors import StructRAGError
from structrag.evaluation.data import read_documents, read_questions
from structrag.models.server import serve
from structrag.models.weights import ensure_weights


def run(arguments: argparse.Namespace) -> None:
    """Ask what has no line yet."""
    sample = draw(
        read_questions(arguments.questions),
        read_documents(arguments.documents),
        limit=arguments.limit,
        most_documents=arguments.most_documents,
        seed=arguments.seed,
    )
    limits = Limits(
        60 * arguments.index_minutes, 60 * arguments.question_minutes, arguments.context, arguments.reply_tokens
    )
    endpoint = arguments.endpoint or _embedded()
    Run(arguments.out, sample, endpoint, arguments.model, limits, tell=_tell).run(arguments.tools.split(","))


def report(folder: Path) -> str:
    """Write the report of a run and return it."""
    record = json.loads((folder / RUN).read_text(encoding="utf-8"))
    text = render(Kept(folder / LINES).lines(), record)
    (folder / "report.md").write_text(text, encoding="utf-8")
    return text


def _embedded() -> str:
    settings, _ = load_settings()
    return serve(ensure_weights(settings.models.cache, source=settings.models.weights))


def _tell(text: str) -> None:
    print(text, file=sys.stderr, flush=True)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("questions", type=Path, nargs="?", help="as for `structrag eval`")
    parser.add_argument("--documents", type=Path)
    parser.add_argument("--out", type=Path, required=True, help="a folder for lines, indexes, logs and the report")
    parser.add_argument("--tools", default=",".join(TOOLS))
    parser.add_argument("--limit", type=int, default=25, help="questions at most")
    parser.add_argument("--most-documents", type=int, default=60)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--endpoint", help="OpenAI-compatible base URL")
    parser.add_argument("--model", default="embedded")
    parser.add_argument("--context", type=int, default=4096, help="tokens that the endpoint takes in one request")
    parser.add_argument("--reply-tokens", type=int, default=1024, help="of replies whose tool sets no limit")
    parser.add_argument("--index-minutes", type=float, default=20)
    parser.add_argument("--question-minutes", type=float, default=3)
    parser.add_argument("--report-only", action="store_true")
    arguments = parser.parse_args()
    try:
        if not arguments.report_only:
            run(arguments)
        print(report(arguments.out))
    except StructRAGError as error:
        sys.exit(f"{error.message} {error.hint}".strip())
