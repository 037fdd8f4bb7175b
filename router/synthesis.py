"""Preference pairs without labels: questions are made up, tried out in words under every structure, and judged.

The data synthesis of Li et al. 2024 (arXiv 2410.08815); the judgement is in `structrag.router.judging`.
"""

from __future__ import annotations

import json
import os
import re
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from random import Random
from typing import Any

from structrag.errors import ModelOutputError, TrainingDataError
from structrag.models.chat import ChatModel, Prompt
from structrag.router.judging import (
    MARGIN,
    Judgement,
    about_line,
    judge,
    one_line,
    shortened,
    synthesis_prompt,
)
from structrag.router.preferences import document_dict, write_preferences
from structrag.router.protocol import RoutingRequest
from structrag.router.template import MOST_DOCUMENTS
from structrag.types import DocumentProfile
from structrag.usage import UsageMeter

_SHOWN_SEEDS = 4
_NEW_QUESTION_TOKENS = 100
_NEW_QUESTION_CHARACTERS = 240
_ATTEMPTS_EACH = 3
_SAME_FROM = 0.7
"""Questions that share this part of their words are one question."""
# A question that names a structure would teach the router to look for the name.
_STRUCTURE_NAME = re.compile(r"\b(?:tables?|graphs?|algorithm\w*|catalog\w*|chunk\w*)\b", re.IGNORECASE)
_NEW_QUESTION = {
    "type": "object",
    "properties": {"question": {"type": "string", "maxLength": _NEW_QUESTION_CHARACTERS}},
    "required": ["question"],
    "additionalProperties": False,
}


@dataclass(frozen=True, slots=True)
class SynthesisStep:
    """What became of one question.

    Attributes:
        judgement: ``None`` if the model's replies were of no use.
        pairs: How many pairs were kept; none if the judge is undecided.
        error: Why there is no judgement.
    """

    request: RoutingRequest
    judgement: Judgement | None
    pairs: int = 0
    error: ModelOutputError | None = None


SynthesisListener = Callable[[SynthesisStep], None]
DropListener = Callable[[str, str], None]
"""Told what a model wrote and why it is not used."""


def _ignore_drop(text: str, reason: str) -> None:
    """Do nothing: for callers that do not ask what was dropped."""


@dataclass(frozen=True, slots=True)
class Brief:
    """What new questions are to be like.

    Attributes:
        seeds: Questions over other documents; a few at random set the manner of each new one.
        about: The documents; up to three at random for each question.
        earlier: Questions that must not be repeated, besides the seeds.
    """

    seeds: Sequence[str]
    about: Sequence[DocumentProfile]
    earlier: Sequence[str] = ()


def synthesize_questions(
    chat: ChatModel,
    meter: UsageMeter,
    brief: Brief,
    *,
    count: int,
    seed: int,
    dropped: DropListener = _ignore_drop,
) -> Iterator[str]:
    """Yield new questions over some documents, each asked for in a call of its own.

    Questions that repeat a seed or one another, or that name a structure, are dropped. It ends with fewer than
    ``count`` when three times as many calls have not brought them.

    Args:
        chat: The chat model.
        meter: Counts the usage and holds the budget.
        brief: What they are to be like.
        count: Most questions.
        seed: Of the drawing.
        dropped: Told what is not used.

    Raises:
        ValueError: There are no seeds.
        ModelError: The model does not answer.
    """
    seeds, about = brief.seeds, brief.about
    if not seeds:
        raise ValueError("There are no seed questions.")
    random, known = Random(seed), [_words(question) for question in (*seeds, *brief.earlier)]
    enough = len(known) + count
    for _ in range(_ATTEMPTS_EACH * count):
        if len(known) == enough:
            return
        manner = random.sample(seeds, min(_SHOWN_SEEDS, len(seeds)))
        prompt = _question_prompt(manner, random.sample(about, min(MOST_DOCUMENTS, len(about))))
        try:
            question = one_line(str(chat.reply(prompt, meter).data["question"]))
        except ModelOutputError as error:
            dropped(error.reply, error.message)
            continue
        reason = _unfit(question, known)
        if reason:
            dropped(question, reason)
            continue
        known.append(_words(question))
        yield question


def synthesize(
    chat: ChatModel,
    requests: Iterable[RoutingRequest],
    out: Path,
    *,
    meter: UsageMeter,
    listener: SynthesisListener,
    margin: float = MARGIN,
) -> None:
    """Judge each question and append its pairs to a preference file, safely on disk before the next is asked.

    Every judgement is kept as well (see `judged_path`), and what was judged is not asked again. Take ``out`` away, and
    its pairs are made from the judgements anew: so another margin costs no call.

    Args:
        chat: The chat model.
        requests: The questions.
        out: The preference file; other pairs in it are left alone.
        meter: Counts the usage and holds the budget.
        listener: Told of every question that is asked, also of those whose judgement failed; they are left out and
            asked again next time.
        margin: See `Judgement.pairs`.

    Raises:
        ValueError: A question is blank, or the margin is not above 0.
        TrainingDataError: The file of judgements is damaged.
        ModelError: The model does not answer; finished work is kept.
    """
    judged = {_key(judgement.request) for judgement in _resumed(out, margin)}
    for request in requests:
        if _key(request) in judged:
            continue
        try:
            judgement = judge(chat, meter, request)
        except ModelOutputError as error:
            listener(SynthesisStep(request, None, error=error))
            continue
        judged.add(_key(request))
        rows = _pair_lines(judgement, margin)
        # In this order: pairs that a crash kept from being written are made from the judgement, never the reverse.
        _append(judged_path(out), [_line(judgement.to_dict())])
        _append(out, rows)
        listener(SynthesisStep(request, judgement, len(rows)))


def judged_path(out: Path) -> Path:
    """Return where the judgements are kept whose pairs are in ``out``."""
    return out.with_name(f"{out.name}.judged.jsonl")


def read_judgements(out: Path) -> list[Judgement]:
    """Return the judgements whose pairs are in ``out``, in order; a line that a crash cut short is left out.

    Raises:
        TrainingDataError: A line is wrong; it names file and row.
    """
    path, judgements = judged_path(out), []
    lines = path.read_bytes().split(b"\n")[:-1] if path.exists() else []
    for number, line in enumerate(lines, 1):
        try:
            judgements.append(Judgement.from_dict(json.loads(line)))
        except (AttributeError, KeyError, TypeError, ValueError) as error:
            raise TrainingDataError(
                f"{path}, row {number}, is no judgement: {error!r}.", hint="Take it out; its question is asked again."
            ) from error
    return judgements


def _question_prompt(manner: Sequence[str], about: Sequence[DocumentProfile]) -> Prompt:
    asked = [f"- {shortened(question)}" for question in manner]
    lines = [*about_line(about), "Asked about other documents:", *asked, "New question:"]
    return synthesis_prompt("question", "\n".join(lines), _NEW_QUESTION_TOKENS, _NEW_QUESTION)


def _unfit(question: str, known: Sequence[frozenset[str]]) -> str:
    """Why a question is of no use, or nothing."""
    words = _words(question)
    if not words:
        return "has no words"
    if _STRUCTURE_NAME.search(question):
        return "names a structure"
    if any(len(words & other) >= _SAME_FROM * len(words | other) for other in known):
        return "repeats another question"
    return ""


def _words(text: str) -> frozenset[str]:
    return frozenset(re.findall(r"\w+", text.casefold()))


def _key(request: RoutingRequest) -> str:
    return json.dumps([request.question.strip().casefold(), [document_dict(d) for d in request.documents]])


def _resumed(out: Path, margin: float) -> list[Judgement]:
    """The judgements so far, after both files are mended and pairs that a crash kept from ``out`` are written."""
    out.parent.mkdir(parents=True, exist_ok=True)
    _mend(judged_path(out))
    _mend(out)
    judgements = read_judgements(out)
    written = set(out.read_bytes().splitlines()) if out.exists() else set()
    if not written:
        write_preferences(out, (pair for judgement in judgements for pair in judgement.pairs(margin)))
    elif judgements:
        # Only the last one's pairs can be missing: others somebody has taken out.
        _append(out, [line for line in _pair_lines(judgements[-1], margin) if line not in written])
    return judgements


def _mend(path: Path) -> None:
    """Take off a last line that a crash cut short; one that lacks nothing but its end is given it."""
    last = path.read_bytes().rpartition(b"\n")[2] if path.exists() else b""
    if not last:
        return
    with path.open("r+b") as file:
        try:
            json.loads(last)
        except ValueError:
            file.truncate(file.seek(0, os.SEEK_END) - len(last))
        else:
            file.seek(0, os.SEEK_END)
            file.write(b"\n")


def _pair_lines(judgement: Judgement, margin: float) -> list[bytes]:
    return [_line(pair.to_dict()) for pair in judgement.pairs(margin)]


def _line(row: Mapping[str, Any]) -> bytes:
    return json.dumps(row, ensure_ascii=False).encode()


def _append(path: Path, lines: Sequence[bytes]) -> None:
    if not lines:
        return
    with path.open("ab") as file:
        file.write(b"".join(line + b"\n" for line in lines))
        file.flush()
        os.fsync(file.fileno())
