"""Questions that refer to earlier ones, rewritten so that they stand alone.

Retrieval, routing and reasoning see one question and nothing before it. A question that needs what was said before is
rewritten by one short call of the model; code checks that the rewritten form has lost no name or number and made none
up, and where it has, the question goes on as it was.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from structrag.errors import ModelOutputError
from structrag.models.chat import Prompt
from structrag.models.prompt_files import read_examples, read_instructions
from structrag.session import Session
from structrag.structures.names import find_names
from structrag.structures.quotes import content_words

_MOST_EXCHANGES = 3
_ANSWER_CHARACTERS = 300
_LONGEST_QUESTION = 300
_MAX_TOKENS = 120
_FEW_WORDS = 3
"""A question of no more words leaves something out: "And in 2021?", "Why?"."""
# Not "the firm that makes pumps", "more than one site", "both Alder and Birch": these refer to nothing before them, and
# a call for each of them would be wasted.
_REFERS = re.compile(
    r"\b(?:it|its|itself|they|them|their|theirs|he|him|his|she|her|hers|this|these|those|then|former|latter|again"
    r"|another|else|instead|also|next|same|previous)\b"
    r"|(?:^|\b(?:is|was|do|does|did|has|had|of|in|on|at|for|to|from|with|by|about|than|after|before|since|and|or)\s+)that\b"
    r"|\b(?:that|too)\W*$"
    r"|\b(?:which|this|that|the|last|first|second|other) ones?\b(?! of)"
    r"|\bothers?\b(?! than)|\bsuch\b(?! as)|\bboth\b(?!.*\band\b)|\bn?either\b(?!.*\bn?or\b)"
    r"|(?<!\bis )(?<!\bare )(?<!\bwas )(?<!\bwere )\bthere\b"
    r"|^\W*(?:and|but|or|so|why|(?:what|how) about|what if)\b",
    re.IGNORECASE,
)
# Capitalised only because questions begin with them.
_BEGINNINGS = frozenset(
    "can could should would may might must shall name list tell give show count compare explain describe find "
    "please state".split()
)
_REPLY: Mapping[str, Any] = {
    "type": "object",
    "properties": {"question": {"type": "string", "minLength": 3, "maxLength": _LONGEST_QUESTION}},
    "required": ["question"],
    "additionalProperties": False,
}


@dataclass(frozen=True, slots=True)
class Exchange:
    """An earlier question, as it was understood, and what it was answered."""

    question: str
    answer: str

    @classmethod
    def of(cls, record: Mapping[str, Any]) -> Exchange:
        """Return the exchange of an answer in the form of `Answer.to_dict`."""
        answer = "; ".join(record["values"]) if record["grounded"] else str(record["text"])
        return cls(str(record.get("standalone") or record["question"]), answer)


def stand_alone(question: str, after: Sequence[Exchange], session: Session) -> str:
    """Return a question so that it can be understood without what was asked before; itself where it already can.

    Args:
        question: As it was typed.
        after: What was asked and answered before it, oldest first.
        session: The question's session.

    Raises:
        ModelError: The model is needed and does not answer; a reply in the wrong form only leaves the question alone.
    """
    if not after or not refers_back(question):
        return question
    if len(" ".join(question.split())) > _LONGEST_QUESTION:  # cut, it would be another question
        session.note("follow-up", f"asked as it is: it is longer than {_LONGEST_QUESTION} characters")
        return question
    recent = after[-_MOST_EXCHANGES:]
    told = [f"Earlier question: {_line(each.question)}\nAnswer: {_line(each.answer)}" for each in recent]
    user = "\n".join([*told, f"Question: {_line(question)}"])
    system, examples = read_instructions(__package__, "standalone"), read_examples(__package__, "standalone")
    try:
        reply = session.ask(
            Prompt("standalone", system, user, schema=_REPLY, max_tokens=_MAX_TOKENS, examples=examples)
        )
    except ModelOutputError as error:
        session.note("follow-up", f"asked as it is: {error.message}")
        return question
    rewritten = " ".join(str(reply.data["question"]).split())
    problem = problem_of(rewritten, question, recent)
    if problem:
        session.note("follow-up", f"asked as it is: the rewritten form {problem}: {rewritten}")
        return question
    if rewritten.casefold() == " ".join(question.split()).casefold():
        return question
    session.note("follow-up", f"understood as: {rewritten}")
    return rewritten


def refers_back(question: str) -> bool:
    """Whether a question may need what was said before: it has a word that stands for something, or leaves one out."""
    return bool(_REFERS.search(question)) or len(question.split()) <= _FEW_WORDS


def problem_of(rewritten: str, question: str, after: Sequence[Exchange]) -> str:
    """Return what is wrong with a rewritten question, as the end of a sentence; empty where nothing is."""
    said = " ".join([question, *(f"{each.question} {each.answer}" for each in after)])
    invented = _names_and_numbers(rewritten) - set(content_words(said))
    if invented:
        return f"names {_quoted(invented)}, of which nobody has spoken"
    lost = _names_and_numbers(question) - set(content_words(rewritten))
    return f"has lost {_quoted(lost)}" if lost else ""


def _names_and_numbers(text: str) -> set[str]:
    """Return the folded words of a text's names, and its numbers and codes."""
    named = {word for _, _, name in find_names(text) for word in content_words(name)} - _BEGINNINGS
    numbers = {word for word in content_words(text) if any(sign.isdigit() for sign in word)}
    return {word for word in named | numbers if len(word) > 1 or word.isdigit()}


def _quoted(words: set[str]) -> str:
    return ", ".join(repr(word) for word in sorted(words))


def _line(text: str) -> str:
    return " ".join(text.split())[:_ANSWER_CHARACTERS]
