"""Is an answer right? Normalised as the sources of the questions do."""

from __future__ import annotations

import re
import string
from collections import Counter
from collections.abc import Sequence

_ARTICLES = re.compile(r"\b(a|an|the)\b")
_NUMBER = re.compile(r"-?\d[\d,]*(?:\.\d+)?")
_COMMA = re.compile(r",\s+(?:and\s+)?|\s+and\s+")
_SPAN_F1 = 0.6
_SET_F1 = 0.5
_TOPIC_OVERLAP = 0.5
_SURPLUS_WORDS = 4
"""A list's item may say a little more than its name: a legal form, a title, a role."""


def normalise(text: str) -> str:
    """Lower case, without articles, punctuation and surplus white space (as SQuAD does)."""
    kept = "".join(" " if c in string.punctuation + "’“”–" else c for c in text.lower())
    return " ".join(_ARTICLES.sub(" ", kept).split())


def token_f1(answer: str, gold: str) -> float:
    """F1 of the words of two normalised texts."""
    ours, theirs = Counter(normalise(answer).split()), Counter(normalise(gold).split())
    common = sum((ours & theirs).values())
    return 2 * common / (sum(ours.values()) + sum(theirs.values())) if common else 0.0


def is_right(values: Sequence[str], gold: Sequence[str], answer_type: str) -> bool:
    """Return whether the values answer a question whose gold answers are given.

    ``short`` wants a normalised match with one gold answer, ``span`` a word F1 of 0.6, ``number`` the same number,
    ``list`` the same items and no other, each by name, ``set`` an F1 of 0.5 after topics are matched by words,
    ``yes/no`` the same word, ``none`` no answer.
    """
    if answer_type == "none":
        return not values
    if not values:
        return False
    if answer_type in ("list", "set"):
        fits = _same_items if answer_type == "list" else _same_topics
        # A list that a model wrote into one line, with commas, is a list all the same.
        return fits(values, gold) or (len(values) == 1 and fits(_COMMA.split(values[0]), gold))
    answer = "; ".join(values)
    if answer_type == "number":
        return any(_number(answer) == _number(g) is not None for g in gold)
    if answer_type == "yes/no":
        return normalise(answer).split()[:1] == normalise(gold[0]).split()
    if answer_type == "span":
        return any(token_f1(answer, g) >= _SPAN_F1 for g in gold)
    return any(normalise(answer) == normalise(g) for g in gold)


def _same_items(values: Sequence[str], gold: Sequence[str]) -> bool:
    """Each item of one list matches one of the other: all its words stand in the answer's, with few more."""
    left = list(values)
    for item in gold:
        match = next((value for value in left if _names(value, item)), None)
        if match is None:
            return False
        left.remove(match)
    return not left


def _names(value: str, item: str) -> bool:
    said, wanted = normalise(value).split(), normalise(item).split()
    return set(wanted) <= set(said) and len(said) <= len(wanted) + _SURPLUS_WORDS


def _same_topics(values: Sequence[str], gold: Sequence[str]) -> bool:
    return _topic_f1(values, gold) >= _SET_F1


def _topic_f1(values: Sequence[str], gold: Sequence[str]) -> float:
    left = list(values)
    matched = 0
    for topic in gold:
        variants = topic.split(" / ")
        best = max(left, key=lambda v: max(token_f1(v, g) for g in variants), default=None)
        if best is not None and max(token_f1(best, g) for g in variants) >= _TOPIC_OVERLAP:
            matched += 1
            left.remove(best)
    return 2 * matched / (len(values) + len(gold)) if matched else 0.0


def _number(text: str) -> float | None:
    found = _NUMBER.search(text)
    return float(found[0].replace(",", "")) if found else None
