"""How often the judge that makes synthetic preference pairs agrees with our labels; resumable.

    python bench/synthesis_agreement.py --questions 100 --out bench/results/synthesis.jsonl

The questions are a random sample, balanced over the labels, with a fixed seed: a longer run contains a shorter one.
The figures are computed from the judgements beside ``--out``, one JSON line a question; the model sees no label.
"""

from __future__ import annotations

import argparse
import sys
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from random import Random
from statistics import median

from structrag.config import load_settings
from structrag.models.chat import ChatModel
from structrag.models.loading import load_chat_model
from structrag.router.comparison import wilson
from structrag.router.judging import Judgement
from structrag.router.questions import LabelledQuestion, read_domain
from structrag.router.synthesis import SynthesisStep, read_judgements, synthesize
from structrag.types import StructureType
from structrag.usage import UsageMeter

_FOLDER = Path(__file__).parents[1] / "corpora" / "preferences"
_MARGINS = (0.1, 0.2, 0.3, 0.5, 0.7, 0.9)

Judged = tuple[LabelledQuestion, Judgement]


def sample(folder: Path, n: int, seed: int) -> list[LabelledQuestion]:
    """Draw questions, the labels by turns."""
    paths = sorted((folder / "questions").glob("*.jsonl"))
    questions = [q for path in paths for q in read_domain(path, folder / "documents" / path.name)]
    Random(seed).shuffle(questions)
    by_label = [[q for q in questions if q.structure == structure] for structure in StructureType]
    return [question for turn in zip(*by_label, strict=False) for question in turn][:n]


def run(chat: ChatModel, questions: Sequence[LabelledQuestion], out: Path) -> None:
    """Judge every question that was not judged yet; the pairs go to ``out``, the judgements beside it."""
    labels = {q.request: q.structure for q in questions}

    def tell(step: SynthesisStep) -> None:
        judgement = step.judgement
        said = f"judged {judgement.structure} {judgement.lead:+.2f}" if judgement else f"failed: {step.error}"
        print(f"{labels[step.request]:9} {said}", file=sys.stderr, flush=True)

    synthesize(chat, [q.request for q in questions], out, meter=UsageMeter(), listener=tell)


def judged(questions: Sequence[LabelledQuestion], out: Path) -> list[Judged]:
    """Return the questions that were judged, in their order."""
    kept = {judgement.request.question: judgement for judgement in read_judgements(out)}
    return [(q, kept[q.request.question]) for q in questions if q.request.question in kept]


def report(rows: Sequence[Judged], asked: int) -> str:
    """Return the report as Markdown."""
    hard = [row for row in rows if row[0].hard]
    calibrated = _calibrated([judgement for _, judgement in rows])
    right = sum(q.accepts(s) for (q, _), s in zip(rows, calibrated, strict=True))
    text = [
        f"n = {len(rows)} of {asked} drawn (the others have no judgement); judge: {', '.join(_judges(rows))}",
        "",
        f"- agreement, counting also_ok: {_agreement(rows)}",
        f"- exact label: {_share(sum(q.structure == j.structure for q, j in rows), len(rows))}",
        f"- wording points elsewhere (hard): {_agreement(hard)}",
        f"- divided by the mean over these questions, as for a router's prior: {_share(right, len(rows))}",
        f"- {_cost([judgement for _, judgement in rows])}",
        "",
        *_confusion(rows),
        "",
        *_by_margin(rows),
    ]
    return "\n".join(text) + "\n"


def _judges(rows: Sequence[Judged]) -> list[str]:
    return sorted({judgement.judge for _, judgement in rows})


def _share(right: int, n: int) -> str:
    low, high = wilson(right, n)
    return f"{right}/{n} = {right / n:.1%} ({low:.1%}–{high:.1%})" if n else "–"


def _agreement(rows: Sequence[Judged]) -> str:
    return _share(sum(q.accepts(j.structure) for q, j in rows), len(rows))


def _calibrated(judgements: Sequence[Judgement]) -> list[StructureType]:
    """The choices after batch calibration (Zhou et al. 2023, arXiv 2309.17249), which needs no label."""
    prior = {s: sum(j.probabilities[s] for j in judgements) for s in StructureType}
    return [max(StructureType, key=lambda s: j.probabilities[s] / (prior[s] or 1)) for j in judgements]


def _cost(judgements: Sequence[Judgement]) -> str:
    """Medians over questions whose calls all reached the model: replies from a cache cost nothing and would mislead."""
    fresh = [j.usage for j in judgements if not j.usage.cached]
    if not fresh:
        return "cost: unknown, as every question had replies from a cache"
    read, written = median(u.prompt_tokens for u in fresh), median(u.completion_tokens for u in fresh)
    calls, seconds = median(u.calls for u in fresh), median(u.seconds for u in fresh)
    return (
        f"cost a question, median: {calls:g} calls, {read:g} tokens read, {written:g} written, {seconds:.1f} s "
        f"(n = {len(fresh)} uncached)"
    )


def _confusion(rows: Sequence[Judged]) -> list[str]:
    lines = [f"| label | agreement | {' | '.join(f'judged {s}' for s in StructureType)} |", "|---" * 7 + "|"]
    for structure in StructureType:
        mine = [row for row in rows if row[0].structure == structure]
        counted = Counter(judgement.structure for _, judgement in mine)
        cells = " | ".join(str(counted[s]) for s in StructureType)
        lines.append(f"| {structure} | {_agreement(mine)} | {cells} |")
    return lines


def _by_margin(rows: Sequence[Judged]) -> list[str]:
    """What a margin keeps: questions with that lead over the runner-up, and pairs with that difference."""
    lines = ["| margin | leads by it | of these, agreement | pairs | right pairs |", "|---|---|---|---|---|"]
    for margin in _MARGINS:
        leading = [(q, j) for q, j in rows if j.lead >= margin]
        pairs = [(q, pair) for q, j in rows for pair in j.pairs(margin)]
        right = sum(q.accepts(pair.chosen) and not q.accepts(pair.rejected) for q, pair in pairs)
        lines.append(
            f"| {margin} | {len(leading)} | {_agreement(leading)} | {len(pairs)} | {_ratio(right, len(pairs))} |"
        )
    return lines


def _ratio(right: int, n: int) -> str:
    # Pairs of one question are right or wrong together, so an interval over pairs would be too narrow.
    return f"{right / n:.1%}" if n else "–"


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--questions", type=int, default=100)
    parser.add_argument("--seed", type=int, default=2026)
    parser.add_argument("--out", type=Path, required=True, help="the preference file; judgements are kept beside it")
    parser.add_argument("--report-only", action="store_true")
    arguments = parser.parse_args()
    drawn = sample(_FOLDER, arguments.questions, arguments.seed)
    if not arguments.report_only:
        settings, _ = load_settings()
        run(load_chat_model(settings.models), drawn, arguments.out)
    print(report(judged(drawn, arguments.out), len(drawn)))
