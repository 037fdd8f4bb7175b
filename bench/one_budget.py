"""Does the structure still matter when passages may spend as much?

    python bench/one_budget.py questions.jsonl --documents documents.jsonl --endpoint URL --out build/budget

Asked by the structure that a question is labelled with, and by passages alone: once; three times at temperature 0.7
with a vote (self-consistency, Wang et al. 2023, arXiv 2203.11171); once over three times the evidence; and both
structures, of whose answers the one is taken that the model confirms more surely. Questions that are labelled chunk
are left out. Resumable: one JSON line for each question and arm, and a report computed from them.
"""

from __future__ import annotations

import argparse
import json
from collections import Counter
from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import numpy as np

from structrag import StructRAG
from structrag.errors import BudgetExceededError, ModelOutputError
from structrag.evaluation.data import KnownQuestion, in_drawn_order, read_documents, read_questions
from structrag.evaluation.figures import interval
from structrag.evaluation.scoring import is_right, normalise
from structrag.models.chat import ChatModel, Prompt
from structrag.router.comparison import wilson
from structrag.types import Answer, StructureType
from structrag.usage import UsageMeter
from structrag.utilizer.reading import load_examples, load_prompt

_SAMPLES = 3
_TEMPERATURE = 0.7
_MORE: Mapping[str, Any] = {"retrieval.passages": 24, "retrieval.documents": 48}
_QUOTES = 1500
_KINDS = ("structure", "chunk")
_Line = dict[str, Any]


class _Arms:
    """The same documents, opened with one chat model that does not vary, several that do, and for more evidence."""

    def __init__(self, stack: ExitStack, work: Path, documents: Path, endpoint: str, model: str) -> None:
        settings = {"models.base_url": endpoint, "models.chat": model}
        self._rags: dict[str, StructRAG] = {}
        chats = {
            f"sample {n}": _apart(endpoint, model, seed=n, temperature=_TEMPERATURE) for n in range(1, _SAMPLES + 1)
        }
        chats["more"] = _apart(endpoint, model, seed=0, temperature=0.0)
        for name in ("once", *chats):
            rag = StructRAG.open(
                work / "corpus",
                settings=settings | (_MORE if name == "more" else {}),
                chat=chats.get(name),
            )
            self._rags[name] = stack.enter_context(rag)
        self._rags["once"].add_documents(read_documents(documents))

    def names(self) -> list[str]:
        return list(self._rags)

    def ask(self, name: str, question: KnownQuestion, structure: str) -> _Line:
        """Return what an arm makes of a question."""
        rag = self._rags[name]
        try:
            answer = rag.ask(question.question, structure=structure, scope=question.scope)
        except (ModelOutputError, BudgetExceededError) as error:
            return {"values": [], "error": error.message, "tokens": 0, "right": False}
        right = is_right(answer.values, question.gold, question.answer_type)
        told: _Line = {"values": list(answer.values), "tokens": _tokens(answer.usage.to_dict()), "right": right}
        return told | (self._confirmed(question, answer) if name == "once" and answer.grounded else {})

    def _confirmed(self, question: KnownQuestion, answer: Answer) -> _Line:
        quotes = " … ".join(citation.evidence.words for citation in answer.citations)[:_QUOTES]
        case = f"Text: {quotes}\nQuestion: {question.question}\nAnswer: {answer.text}"
        prompt = Prompt("confirm", load_prompt("confirm"), case, examples=load_examples("confirm"))
        meter = UsageMeter()
        shares = self._rags["once"].chat.choose(prompt, ("yes", "no"), meter)
        return {"confirmed": shares["yes"], "confirm_tokens": _tokens(meter.snapshot().to_dict())}


def _apart(endpoint: str, model: str, *, seed: int, temperature: float) -> ChatModel:
    """Return a chat model with kept replies of its own: what another arm has asked would cost this one nothing."""

    def load() -> Any:
        from langchain_openai import ChatOpenAI
        from pydantic import SecretStr

        return ChatOpenAI(
            model=model, base_url=endpoint, api_key=SecretStr("none"), temperature=temperature, seed=seed, timeout=600
        )

    return ChatModel(f"{endpoint}:{model}:{seed}", load)


def _tokens(usage: Mapping[str, Any]) -> int:
    return int(usage["prompt_tokens"]) + int(usage["completion_tokens"])


def run(arguments: argparse.Namespace) -> None:
    """Ask what has no line yet."""
    drawn = in_drawn_order(read_questions(arguments.questions), arguments.seed)
    asked = [q for q in drawn if q.labels and q.labels[0] != StructureType.CHUNK][: arguments.limit]
    path = arguments.out / "lines.jsonl"
    arguments.out.mkdir(parents=True, exist_ok=True)
    done = {(line["id"], line["arm"], line["kind"]) for line in read_lines(path)}
    with ExitStack() as stack, path.open("a", encoding="utf-8") as file:
        arms = _Arms(stack, arguments.out, arguments.documents, arguments.endpoint, arguments.model)
        for question in asked:
            for arm in arms.names():
                for kind in _KINDS:
                    if (question.id, arm, kind) in done:
                        continue
                    label = str(question.labels[0])
                    line = arms.ask(arm, question, label if kind == "structure" else kind)
                    gold = {"gold": question.gold, "answer_type": question.answer_type}
                    file.write(
                        json.dumps({"id": question.id, "label": label, "arm": arm, "kind": kind, **gold, **line})
                    )
                    file.write("\n")
                    file.flush()
                    print(question.id, arm, kind, line["right"], line["values"], flush=True)


def report(lines: Sequence[_Line]) -> str:
    """Return the table; only questions that every arm has answered count."""
    by_id: dict[str, dict[tuple[str, str], _Line]] = {}
    for line in lines:
        by_id.setdefault(line["id"], {})[line["kind"], line["arm"]] = line
    whole = 2 * (_SAMPLES + 2)
    each = [answers for answers in by_id.values() if len(answers) == whole]
    ways = {name: [way(answers) for answers in each] for name, way in _ways().items()}
    first = ways["passages, once"]
    rows = [f"n = {len(each)}\n", "| way | right (95 %) | tokens | less passages once (95 %) |", "|---|---|---|---|"]
    for name, told in ways.items():
        right = [r for r, _ in told]
        low, high = wilson(sum(right), len(right))
        gap = np.array(right, dtype=float) - np.array([r for r, _ in first], dtype=float)
        bounds = interval(lambda drawn, gap=gap: gap[drawn].mean(axis=1), len(gap), np.random.default_rng(0))
        margin = f"{100 * gap.mean():+.1f} ({100 * bounds[0]:+.1f} to {100 * bounds[1]:+.1f})" if bounds else ""
        share = f"{sum(right)}: {np.mean(right):.0%} ({low:.0%} to {high:.0%})"
        rows.append(f"| {name} | {share} | {np.mean([t for _, t in told]):,.0f} | {margin} |")
    return "\n".join(rows) + "\n"


def _ways() -> dict[str, Any]:
    names = {"structure": "the labelled structure", "chunk": "passages"}
    ways: dict[str, Any] = {}
    for kind, name in names.items():
        for arm, told in (("once", "once"), ("more", "three times the evidence")):
            ways[f"{name}, {told}"] = lambda a, kind=kind, arm=arm: (a[kind, arm]["right"], a[kind, arm]["tokens"])
        ways[f"{name}, best of {_SAMPLES}"] = lambda a, kind=kind: _voted(
            [a[kind, f"sample {n}"] for n in range(1, _SAMPLES + 1)]
        )
    return ways | {"both, the more surely confirmed one": _surer}


def _voted(samples: Sequence[_Line]) -> tuple[bool, int]:
    """Return if the commonest answer is right, the first of several, and what all cost; no answer has no vote."""
    votes = Counter(key for line in samples if (key := _key(line)))
    winner = votes.most_common(1)[0][0] if votes else ()
    right = any(line["right"] for line in samples if _key(line) == winner)
    return right, sum(line["tokens"] for line in samples)


def _key(line: _Line) -> tuple[str, ...]:
    return tuple(sorted(normalise(value) for value in line["values"]))


def _surer(answers: Mapping[tuple[str, str], _Line]) -> tuple[bool, int]:
    both = [answers[kind, "once"] for kind in _KINDS]
    chosen = max(both, key=lambda line: line.get("confirmed", 0.0))
    return chosen["right"], sum(line["tokens"] + line.get("confirm_tokens", 0) for line in both)


def read_lines(path: Path) -> list[_Line]:
    """Return the JSON lines of a file; none if it does not exist."""
    return [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()] if path.exists() else []


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("questions", type=Path, nargs="?", help="as for `structrag eval`")
    parser.add_argument("--documents", type=Path)
    parser.add_argument("--endpoint", help="OpenAI-compatible base URL")
    parser.add_argument("--model", default="embedded")
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--limit", type=int, default=32)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--report-only", action="store_true")
    arguments = parser.parse_args()
    if not arguments.report_only:
        run(arguments)
    text = report(read_lines(arguments.out / "lines.jsonl"))
    (arguments.out / "report.md").write_text(text, encoding="utf-8")
    print(text)
