"""The report of a run, from its lines alone. It holds no text of questions, documents or answers."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from importlib.metadata import PackageNotFoundError, version
from typing import Any

import numpy as np

from peers.counting import Spent
from peers.lines import DONE, INDEX, TIME_UP, Line
from peers.tools import PLAIN, STRUCTRAG, TOOLS, Listed
from structrag.router.comparison import compare, wilson

_LABELS = ("table", "graph", "algorithm", "catalogue", "chunk")


def render(lines: Sequence[Line], record: Mapping[str, Any]) -> str:
    """Return the report as Markdown.

    Args:
        lines: The latest of each tool and question.
        record: What the run was made with, as its folder keeps it.
    """
    asked = {row.partition(" ")[0] for row in record["questions"]}
    indexes = {line.tool: line for line in lines if line.id == INDEX}
    answers = {tool: [line for line in lines if line.tool == tool and line.id in asked] for tool in TOOLS}
    answers = {tool: each for tool, each in answers.items() if each}
    limits, minutes = record["limits"], record["minutes"]
    parts = [
        "# StructRAG beside other tools",
        f"{record['sample']} Chat model: {record['model']}, for all; its endpoint takes {limits['context']:,} tokens. "
        f"Where a tool does not say, temperature is 0 and a reply has at most {limits['reply_tokens']:,} tokens. "
        f"A tool has {minutes['index']:g} minutes for its index and {minutes['question']:g} for a question. Every "
        "call went through one counting proxy. All tools were asked one question before the next. Made by "
        "`bench/side_by_side.py`; questions, documents and answers are their owners' and are not kept here.",
        "## Accuracy",
        _accuracy(answers, indexes, len(record["documents"])),
        "Right by the scorers of `structrag eval`, with Wilson's 95 % interval. *Names it*: right, or a short answer, "
        "number or list that holds the right one whatever else it says. The difference is that of being right, on the "
        "questions that both were asked, with a paired 95 % bootstrap interval. An error and a time-out are wrong, but "
        "a tool that never got to an answer is given no accuracy: see what failed. A tool that did not take up all "
        "documents in its time was asked over those it had.",
        "By the structure that a question is labelled with:",
        _by_label(answers),
        "## Cost",
        _costs(answers, indexes),
        "Tokens are what the endpoint counted, read and written; a call that was cut off when its tool's time was up "
        "has none, so a tool with time-outs cost more than is shown. Seconds are wall time, without the start of a "
        "tool's process. *Index* is all that was done before the first question, *answers* the mean of a question.",
        _shares(answers, indexes),
        "## What failed",
        _failures(answers, indexes),
        "## The tools",
        _tools(answers),
    ]
    return "\n\n".join(parts) + "\n"


def totals(answers: Sequence[Line], index: Line | None) -> Spent:
    """Return what a tool spent on its index and all its answers."""
    return sum((line.cost for line in answers), index.cost if index else Spent())


def _accuracy(answers: Mapping[str, Sequence[Line]], indexes: Mapping[str, Line], documents: int) -> str:
    rows = []
    ours = {line.id: line.correct for line in answers.get(STRUCTRAG, ())}
    for tool, each in answers.items():
        answered = sum(line.status == DONE for line in each)
        index = indexes.get(tool, Line(tool))
        part = f" (with {index.documents} of {documents} documents)" if index.documents < documents else ""
        row = [TOOLS[tool].title + part, f"{answered}/{len(each)}", "did not get to answers", "–", "–"]
        if answered:
            right = sum(line.correct for line in each)
            low, high = wilson(right, len(each))
            row[2] = f"{right}/{len(each)} = {right / len(each):.0%} ({low:.0%} to {high:.0%})"
            row[3] = str(sum(line.names for line in each))
            row[4] = _difference([line for line in each if line.id in ours] if tool != STRUCTRAG else [], ours)
        rows.append(row)
    return _table(["tool", "answered", "right of asked", "names it", "StructRAG less it, points"], rows)


def _difference(theirs: Sequence[Line], ours: Mapping[str, bool]) -> str:
    if not theirs:
        return "–"
    paired = compare(np.array([ours[line.id] for line in theirs]), np.array([line.correct for line in theirs]))
    value, low, high = (round(100 * share) for share in (paired.difference, paired.low, paired.high))
    return f"{value:+d} ({low:+d} to {high:+d}), n = {len(theirs)}"


def _by_label(answers: Mapping[str, Sequence[Line]]) -> str:
    labels = [label for label in _LABELS if any(line.label == label for each in answers.values() for line in each)]
    rows = []
    for tool, each in answers.items():
        counts = [[line.correct for line in each if line.label == label] for label in labels]
        rows.append([TOOLS[tool].title, *(f"{sum(flags)}/{len(flags)}" for flags in counts)])
    return _table(["tool", *labels], rows)


def _costs(answers: Mapping[str, Sequence[Line]], indexes: Mapping[str, Line]) -> str:
    rows = []
    for tool, each in answers.items():
        index = indexes.get(tool, Line(tool))
        spent, all_ = totals(each, None), totals(each, index)
        rows.append(
            [
                TOOLS[tool].title,
                f"{index.documents} ({index.status})",
                f"{index.cost.calls:,}",
                _tokens(index.cost),
                f"{index.seconds:,.0f}",
                f"{spent.calls / len(each):.1f}",
                f"{spent.prompt_tokens / len(each):,.0f} + {spent.completion_tokens / len(each):,.0f}",
                f"{sum(line.seconds for line in each) / len(each):,.0f}",
                f"{all_.tokens:,}",
            ]
        )
    head = [
        "tool",
        "index: documents",
        "calls",
        "tokens",
        "seconds",
        "answers: calls",
        "tokens",
        "seconds",
        "all tokens",
    ]
    return _table(head, rows)


def _tokens(spent: Spent) -> str:
    return f"{spent.prompt_tokens:,} + {spent.completion_tokens:,}"


def _shares(answers: Mapping[str, Sequence[Line]], indexes: Mapping[str, Line]) -> str:
    """Return StructRAG's tokens as a share of each other's, on the questions that both were asked."""
    told = []
    for tool, each in answers.items():
        if tool in (STRUCTRAG, PLAIN) or STRUCTRAG not in answers:
            continue
        ids = {line.id for line in each}
        ours = totals([line for line in answers[STRUCTRAG] if line.id in ids], indexes.get(STRUCTRAG)).tokens
        theirs = totals(each, indexes.get(tool)).tokens
        told.append(f"{TOOLS[tool].title}: {ours / theirs:.2f}" if theirs else f"{TOOLS[tool].title}: spent none")
    return (
        f"StructRAG's tokens, index and answers together, as a share of another's: {'; '.join(told)}." if told else ""
    )


def _failures(answers: Mapping[str, Sequence[Line]], indexes: Mapping[str, Line]) -> str:
    rows = []
    for tool, each in answers.items():
        index = indexes.get(tool, Line(tool))
        spent = totals(each, index)
        late = sum(line.status == TIME_UP for line in each)
        errors = Counter(_one_line(line.error) for line in each if line.status not in (DONE, TIME_UP))
        told = [f"index: {index.status}" * (index.status != DONE), _one_line(index.error)]
        told += [f"{n} × {error}" for error, n in errors.most_common(3)]
        rows.append(
            [
                TOOLS[tool].title,
                str(late),
                str(sum(errors.values())),
                f"{spent.failed} and {spent.cut_off}",
                "; ".join(filter(None, told)) or "–",
            ]
        )
    return _table(["tool", "answers out of time", "answers failed", "calls refused and cut off", "errors"], rows)


def _tools(answers: Mapping[str, Sequence[Line]]) -> str:
    return "\n".join(
        f"- **{TOOLS[tool].title}**{_version(TOOLS[tool])}: {'; '.join(TOOLS[tool].deviations) or 'at its defaults'}."
        for tool in answers
    )


def _version(listed: Listed) -> str:
    try:
        return f" ({listed.package} {version(listed.package)})" if listed.package else ""
    except PackageNotFoundError:
        return f" ({listed.package})"


def _one_line(text: str) -> str:
    return " ".join(text.replace("|", "/").replace("`", "'").split())[:160]


def _table(head: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    told = [head, ["---"] * len(head), *rows]
    return "\n".join(f"| {' | '.join(row)} |" for row in told)
