"""Read a short answer from a few verified items; the items are named by number, so the model cannot misquote."""

from __future__ import annotations

import json
import re
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

from structrag.corpus.markup import split_sentences
from structrag.models.chat import Prompt
from structrag.models.prompt_files import read_examples, read_instructions
from structrag.session import Session
from structrag.structures.quotes import content_words, follows_from, support
from structrag.types import Evidence, Span
from structrag.utilizer.finding import NOTHING_FOUND, Finding

_ANSWER_TOKENS = 120
_ANSWER_CHARACTERS = 300
_MOST_ANSWERS = 20
_CONFIRM_CHARACTERS = 800
_CONFIRMED_FROM = 0.5
_CONFIRMED_SURELY = 0.85
"""Wanted where the structure that a question asks for found nothing: passages then mostly seem to answer it and do not:
of 15 such answers to development questions, one was right. Set on these."""
_ABOUT_FROM = 0.5
_NOT_STATED = re.compile(r"\bnot (?:stated|mentioned|specified|provided|given)\b", re.IGNORECASE)
_YES_NO = re.compile(r"(?:yes|no)(?:,.*|[.!]*)$", re.IGNORECASE)
_OFFERS = re.compile(r"(?<!\bwho )\bor\b", re.IGNORECASE)  # "who or what" offers nothing
_ASKS_WHAT = re.compile(
    r"(?:what|which|who|whom|whose|when|where|why|how)\b|.*[,;:–-]\s*(?:what|which|who|when|where|how)\b", re.IGNORECASE
)
_ASKS_WHETHER = re.compile(
    r"(?:do|does|did|is|are|was|were|has|have|had|can|could|may|might|must|should|shall|will|would)\b", re.IGNORECASE
)


def load_prompt(name: str) -> str:
    """Return one of the utilizer's prompt files."""
    return read_instructions(__package__, name)


def load_examples(name: str) -> tuple[tuple[str, str], ...]:
    """Return the worked examples that stand beside a prompt file, as pairs of a turn and its reply."""
    return read_examples(__package__, name)


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


def read(
    question: str,
    items: Sequence[tuple[str, Evidence]],
    session: Session,
    *,
    stage: str,
    confirm: bool = True,
    by_itself: bool = False,
) -> Finding:
    """Return the answer that one of the items gives, or `NOTHING_FOUND`.

    Args:
        question: What is asked.
        items: What may be read: the text to show and the evidence it rests on. Unverified items are left out.
        session: The question's session.
        stage: Which structure asks, for the trace.
        confirm: Whether to ask once more if the item gives what was asked.
        by_itself: Whether the answer's sentence must give it by itself too where that was not confirmed surely.

    Raises:
        ModelError: The model does not answer, or never in the form asked for.
    """
    usable = [(text, evidence) for text, evidence in items if evidence.verified]
    if not usable:
        return NOTHING_FOUND
    answer, evidence = _read_once_or_again(question, usable, session, stage)
    if evidence is None:
        return NOTHING_FOUND
    if confirm and not _is_yes_no(answer):
        text = next(text for text, each in usable if each is evidence)
        share = _confirmed(question, answer, evidence, session)
        if share < (_CONFIRMED_SURELY if session.fell_back else _CONFIRMED_FROM):
            return NOTHING_FOUND
        is_doubtful = by_itself and share < _CONFIRMED_SURELY
        if is_doubtful and not _said_alone(question, answer, (text, evidence), session, stage):
            return NOTHING_FOUND
    return Finding(text=answer, values=(answer,), evidence=(evidence,))


def _read_once_or_again(
    question: str, usable: Sequence[tuple[str, Evidence]], session: Session, stage: str
) -> tuple[str, Evidence | None]:
    """Return the answer that the model copies from one of the items, and the item's evidence if it bears it out."""
    prompt = Prompt(
        stage=f"{stage}.read",
        system=load_prompt("read"),
        user=f"{_numbered(usable)}\n\nQuestion: {question}",
        schema=_answer_schema(len(usable)),
        max_tokens=_ANSWER_TOKENS,
    )
    number, answer = _answer(prompt, session)
    if number and answer and not _repeats(answer, question) and _supporting(answer, number, usable, question) is None:
        # Told so once, a small model that calculated or reworded goes back to copying.
        reply = json.dumps({"answer": answer, "item": number})
        again = replace(prompt, user=load_prompt("read_again"), examples=((prompt.user, reply),))
        number, answer = _answer(again, session)
    if not number or not answer:
        return "", None
    evidence = None if _repeats(answer, question) else _supporting(answer, number, usable, question)
    if evidence is None:
        session.note("verify", "the answer repeats the question or does not follow from any item, so it is not used")
    return answer, evidence


def read_passages(
    question: str, items: Sequence[tuple[str, Evidence]], session: Session, *, stage: str, about: str = ""
) -> Finding:
    """Return the answer that the model gives in words, with the sentence in which it stands, or `NOTHING_FOUND`.

    A small model answers better in words than in a form that wants an item's number first; code finds the sentence.

    Args:
        question: What is asked.
        items: What may be read, best first, as in `read`.
        session: The question's session.
        stage: Which structure asks, for the trace.
        about: The thing that is asked about: a reply in a sentence begins with it, and says the answer after it.

    Raises:
        ModelError: The model does not answer.
    """
    usable = [(text, evidence) for text, evidence in items if evidence.verified]
    if not usable:
        return NOTHING_FOUND
    listing = "\n\n".join(" ".join(text.split()) for text, _ in usable)
    answer = _in_words(question, listing, session, stage)
    if answer and _repeats(answer, question):
        # A small model repeats the name that it was asked about; told so, it often finds who stands beside it.
        answer = _in_words(f"{question} The answer is another one than {answer}.", listing, session, stage)
    if not answer or _NOT_STATED.search(answer):
        return NOTHING_FOUND
    answer = _said_of(about, answer, question)
    holding = [evidence for text, evidence in usable if follows_from(answer, text)]
    if not holding or _repeats(answer, question):
        session.note("verify", "the answer repeats the question or stands in no passage, so it is not used")
        return NOTHING_FOUND
    return Finding(answer, (answer,), (narrow(holding[0], question, answer),))


def _in_words(question: str, listing: str, session: Session, stage: str) -> str:
    prompt = Prompt(f"{stage}.link", load_prompt("read_passages"), f"{listing}\n\nQuestion: {question}", max_tokens=40)
    answer = session.ask(prompt).text.strip().split("\n")[0].strip().rstrip(".")
    session.note("read", f"{question} {answer}")
    return answer


def _said_of(thing: str, answer: str, question: str) -> str:
    """Return what a sentence says of a thing, without the words that the question said before; else the answer."""
    if not thing or not answer.casefold().startswith(f"{thing.casefold()} "):
        return answer
    words = answer[len(thing) :].split()
    said = set(content_words(question))
    kept = next((at for at, word in enumerate(words) if not said.issuperset(content_words(word))), len(words))
    return " ".join(words[kept:]) if 0 < kept < len(words) else answer


def narrow(evidence: Evidence, question: str, answer: str) -> Evidence:
    """Return the sentence of a passage that supports the answer best; on a tie the one nearest to the question.

    What a person changed is left whole: it is the person's word for it, and not the sentence's.
    """
    asked = set(content_words(question))

    def fitness(span: tuple[int, int]) -> tuple[float, int]:
        sentence = evidence.quote[slice(*span)]
        return support(answer, sentence), len(asked & set(content_words(sentence)))

    spans = split_sentences(evidence.quote)
    if not spans or evidence.edits:
        return evidence
    start, end = max(spans, key=fitness)
    base = evidence.span
    return Evidence(Span(base.document_id, base.start + start, base.start + end), evidence.quote[start:end])


def _numbered(items: Sequence[tuple[str, Evidence]]) -> str:
    return "\n".join(f"[{number}] {' '.join(text.split())}" for number, (text, _) in enumerate(items, 1))


def _answer_schema(items: int) -> dict[str, Any]:
    # The answer first: where the number comes first, a small model chooses an item before it knows what it looks for.
    return {
        "type": "object",
        "properties": {
            "answer": {"type": "string", "maxLength": _ANSWER_CHARACTERS},
            "item": {"type": "integer", "minimum": 0, "maximum": items},
        },
        "required": ["answer", "item"],
        "additionalProperties": False,
    }


def _answer(prompt: Prompt, session: Session) -> tuple[int, str]:
    reply = session.ask(prompt).data
    number, answer = int(reply["item"]), str(reply["answer"]).strip()
    session.note("read", f"item {number}: {answer}")
    return number, answer


def _repeats(answer: str, question: str) -> bool:
    """Whether an answer says nothing that the question has not said, unless the question offers it to choose from."""
    offered = _is_yes_no(answer) or _OFFERS.search(question)
    return not offered and support(answer, question) == 1


def _is_yes_no(answer: str) -> bool:
    return bool(_YES_NO.match(answer.strip()))


def _confirmed(question: str, answer: str, evidence: Evidence, session: Session) -> float:
    """Ask how probably the text gives what was asked: a number in it may be the number of something else.

    A yes or a no is not asked about: there the embedded model is as often wrong as right.
    """
    text = " ".join(evidence.words.split())[:_CONFIRM_CHARACTERS]
    share = judge(f"Text: {text}\nQuestion: {question}\nAnswer: {answer}", "confirm", session)
    session.note("confirm", f"{share:.0%} that the text gives what was asked")
    return share


def _said_alone(question: str, answer: str, item: tuple[str, Evidence], session: Session, stage: str) -> bool:
    """Whether the model gives the same answer, in words, from nothing but the sentence in which it stands.

    Beside others a small model takes the nearest figure for the one that is asked for. Of 27 answers to development
    questions this withdrew two of five wrong ones and none of the right ones.
    """
    text, evidence = item
    alone = text.replace(evidence.words, narrow(evidence, question, answer).words)
    said = _in_words(question, " ".join(alone.split()), session, stage)
    if not _NOT_STATED.search(said) and (follows_from(said, answer) or follows_from(answer, said)):
        return True
    session.note("verify", "its sentence alone does not give this answer, so it is not used")
    return False


def _supporting(answer: str, number: int, items: Sequence[tuple[str, Evidence]], question: str) -> Evidence | None:
    """The item of that number if the answer follows from it; else another from which it does: numbers get mixed up."""
    is_yes_no = _is_yes_no(answer)
    if is_yes_no and _ASKS_WHAT.match(question) and not _ASKS_WHETHER.match(question):
        return None
    others = [item for other, item in enumerate(items, 1) if other != number]
    for text, evidence in [items[number - 1], *others]:
        # A yes or a no has no words to be found again, so the text must be about what is asked.
        if support(question, text) >= _ABOUT_FROM if is_yes_no else follows_from(answer, text):
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
        user=f"{_numbered(usable)}\n\nQuestion: {question}",
        schema=schema,
        max_tokens=40 * _MOST_ANSWERS,
    )
    found: dict[str, Evidence] = {}
    for entry in session.ask(prompt).data["answers"]:
        answer = str(entry["answer"]).strip()
        evidence = None if _is_yes_no(answer) else _supporting(answer, int(entry["item"]), usable, question)
        if not answer or evidence is None:
            session.note("verify", f"left out, as it does not follow from any item: {answer}")
        elif answer not in found:
            found[answer] = evidence
    return list(found.items())
