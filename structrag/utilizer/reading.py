"""Read a short answer from a few verified items; the items are named by number, so the model cannot misquote."""

from __future__ import annotations

import json
from collections.abc import Sequence
from importlib.resources import files

from structrag.models.chat import Prompt
from structrag.session import Session
from structrag.structures.quotes import follows_from
from structrag.types import Evidence
from structrag.utilizer.finding import NOTHING_FOUND, Finding

_ANSWER_TOKENS = 120
_ANSWER_CHARACTERS = 300
_MOST_ANSWERS = 20
_CONFIRM_CHARACTERS = 800
_CONFIRMED_FROM = 0.5


def load_prompt(name: str) -> str:
    """Return one of the utilizer's prompt files."""
    return files(__package__).joinpath("prompts", f"{name}.txt").read_text(encoding="utf-8").strip()


def load_examples(name: str) -> tuple[tuple[str, str], ...]:
    """Return the worked examples that stand beside a prompt file, as pairs of a turn and its reply."""
    lines = files(__package__).joinpath("prompts", f"{name}.jsonl").read_text(encoding="utf-8").splitlines()
    return tuple((str(e["user"]), str(e["reply"])) for e in map(json.loads, lines))


def classify(question: str, name: str, words: Sequence[str], session: Session) -> str:
    """Return the word that the model finds most likely for a question: one token, so it costs little.

    Args:
        question: What is asked.
        name: The prompt file that explains the words; its examples stand beside it.
        words: What to choose from; they differ in their first token.
        session: The question's session.

    Raises:
        ModelOutputError: None of the words is likely.
        ModelError: The model does not answer.
    """
    prompt = Prompt(name, load_prompt(name), f"Question: {question}", examples=load_examples(name))
    shares = session.chat.choose(prompt, words, session.meter)
    return max(words, key=lambda word: shares[word])


def judge(case: str, name: str, session: Session) -> float:
    """Return how probable the model finds "yes" for a case.

    Args:
        case: What is judged, as the prompt file lays it out.
        name: The prompt file that says what yes and no mean; its examples stand beside it.
        session: The question's session.

    Raises:
        ModelOutputError: Neither word is likely.
        ModelError: The model does not answer.
    """
    prompt = Prompt(name, load_prompt(name), case, examples=load_examples(name))
    return session.chat.choose(prompt, ("yes", "no"), session.meter)["yes"]


def read(question: str, items: Sequence[tuple[str, Evidence]], session: Session, *, stage: str) -> Finding:
    """Return the answer that one of the items gives, or `NOTHING_FOUND`.

    Args:
        question: What is asked.
        items: What may be read: the text to show and the evidence it rests on. Unverified items are left out.
        session: The question's session.
        stage: Which structure asks, for the trace.

    Raises:
        ModelError: The model does not answer, or never in the form asked for.
    """
    usable = [(text, evidence) for text, evidence in items if evidence.verified]
    if not usable:
        return NOTHING_FOUND
    listing = "\n".join(f"[{number}] {' '.join(text.split())}" for number, (text, _) in enumerate(usable, 1))
    schema = {
        "type": "object",
        "properties": {
            "item": {"type": "integer", "minimum": 0, "maximum": len(usable)},
            "answer": {"type": "string", "maxLength": _ANSWER_CHARACTERS},
        },
        "required": ["item", "answer"],
        "additionalProperties": False,
    }
    prompt = Prompt(
        stage=f"{stage}.read",
        system=load_prompt("read"),
        user=f"{listing}\n\nQuestion: {question}",
        schema=schema,
        max_tokens=_ANSWER_TOKENS,
    )
    reply = session.ask(prompt).data
    number, answer = int(reply["item"]), str(reply["answer"]).strip()
    session.note("read", f"item {number}: {answer}")
    if not number or not answer:
        return NOTHING_FOUND
    evidence = _supporting(answer, number - 1, usable)
    if evidence is None:
        session.note("verify", "the answer does not follow from any item, so it is not used")
        return NOTHING_FOUND
    if not _confirmed(question, answer, evidence, session):
        return NOTHING_FOUND
    return Finding(text=answer, values=(answer,), evidence=(evidence,))


def _confirmed(question: str, answer: str, evidence: Evidence, session: Session) -> bool:
    """Ask whether the text gives what was asked: a number in it may be the number of something else."""
    text = " ".join(evidence.quote.split())[:_CONFIRM_CHARACTERS]
    share = judge(f"Text: {text}\nQuestion: {question}\nAnswer: {answer}", "confirm", session)
    session.note("confirm", f"{share:.0%} that the text gives what was asked")
    return share >= _CONFIRMED_FROM


def _supporting(answer: str, chosen: int, items: Sequence[tuple[str, Evidence]]) -> Evidence | None:
    """The chosen item if the answer follows from it; else another from which it does: numbers get mixed up."""
    others = [item for index, item in enumerate(items) if index != chosen]
    for text, evidence in [items[chosen], *others]:
        if follows_from(answer, text):
            return evidence
    return None


def read_all(
    question: str, items: Sequence[tuple[str, Evidence]], session: Session, *, stage: str
) -> list[tuple[str, Evidence]]:
    """Return every answer that the items give, each with its evidence; answers that do not follow are left out.

    Raises:
        ModelError: The model does not answer, or never in the form asked for.
    """
    usable = [(text, evidence) for text, evidence in items if evidence.verified]
    if not usable:
        return []
    listing = "\n".join(f"[{number}] {' '.join(text.split())}" for number, (text, _) in enumerate(usable, 1))
    one = {
        "type": "object",
        "properties": {
            "item": {"type": "integer", "minimum": 1, "maximum": len(usable)},
            "answer": {"type": "string", "maxLength": _ANSWER_CHARACTERS // 2},
        },
        "required": ["item", "answer"],
        "additionalProperties": False,
    }
    schema = {
        "type": "object",
        "properties": {"answers": {"type": "array", "items": one, "maxItems": min(len(usable), _MOST_ANSWERS)}},
        "required": ["answers"],
        "additionalProperties": False,
    }
    prompt = Prompt(
        stage=f"{stage}.read_all",
        system=load_prompt("read_all"),
        user=f"{listing}\n\nQuestion: {question}",
        schema=schema,
        max_tokens=40 * _MOST_ANSWERS,
    )
    found: dict[str, Evidence] = {}
    for entry in session.ask(prompt).data["answers"]:
        answer = str(entry["answer"]).strip()
        text, evidence = usable[int(entry["item"]) - 1]
        if not answer or not follows_from(answer, text):
            session.note("verify", f"left out, as it does not follow from item {entry['item']}: {answer}")
        elif answer not in found:
            found[answer] = evidence
    return list(found.items())
