"""Is an answer right? Normalised as the sources of the questions do."""

from __future__ import annotations

import re
import string
from collections import Counter
from collections.abc import Mapping, Sequence
from itertools import combinations

ANSWER_TYPES = ("short", "span", "number", "list", "set", "clusters", "node", "yes/no", "none")

Gold = Sequence[str] | Mapping[str, Sequence[int]]
"""Gold answers, or for ``clusters`` the numbers of the messages under each label."""

_ARTICLES = re.compile(r"\b(a|an|the)\b")
_NUMBER = re.compile(r"-?\d[\d,]*(?:\.\d+)?")
_BARE_NUMBER = re.compile(r"[-−]?(?:\d{1,3}(?:,\d{3})+|\d+)(?:\.\d+)?")
_COMMA = re.compile(r",\s+(?:and\s+)?|\s+and\s+")
_MEMBER = r"(?:messages?\s*)?(?:no\.?\s*|#\s*)?\d+"
_GROUP = re.compile(rf"[:=]\s*[\[(]?\s*({_MEMBER}(?:\s*(?:,\s*and\b|,|&|\band\b)\s*{_MEMBER})*)", re.IGNORECASE)
_SPAN_F1 = 0.6
_SET_F1 = 0.5
_PAIR_F1 = 0.5
_TOPIC_OVERLAP = 0.5
_SURPLUS_WORDS = 4
"""A list's item may say a little more than its name: a legal form, a title, a role."""
_FEWEST_NODE_WORDS = 4
_NODE_SHARE = 1 / 3
"""A part of an advice is that advice from so many of its words on: "this should fix the problem" ends many of them."""
_NODE_SURPLUS = 8
"""An answer may put so many words around an advice ("Step 4 (final advice): …"); the whole guide is no answer."""


def normalise(text: str) -> str:
    """Lower case, without articles, punctuation and surplus white space (as SQuAD does)."""
    kept = "".join(" " if c in string.punctuation + "’“”–" else c for c in text.lower())
    return " ".join(_ARTICLES.sub(" ", kept).split())


def token_f1(answer: str, gold: str) -> float:
    """F1 of the words of two normalised texts, from 0 to 1."""
    ours, theirs = Counter(normalise(answer).split()), Counter(normalise(gold).split())
    common = sum((ours & theirs).values())
    return 2 * common / (sum(ours.values()) + sum(theirs.values())) if common else 0.0


def is_right(values: Sequence[str], gold: Gold, answer_type: str) -> bool:
    """Return whether the values answer a question whose gold answers are given.

    ``short`` wants a normalised match with one gold answer; where that is nothing but a number, an answer that is
    nothing but a number is compared by value ("1,600" is "1600"; "10 nations" is not "10"). ``span`` wants a word F1
    of 0.6, ``number`` the same first number, ``list`` the same items and no other, each by name, ``set`` an F1 of 0.5
    after topics are matched by words, ``clusters`` an F1 of 0.5 over the pairs of messages that stand together,
    whatever their label, ``node`` one of the wordings of an advice, or a good part of one, ``yes/no`` the same word,
    ``none`` no answer.

    Args:
        values: The answer's values; none where nothing was found.
        gold: What would be right.
        answer_type: One of `ANSWER_TYPES`.

    Raises:
        ValueError: There is no such answer type, or the gold answers do not suit it.
    """
    if answer_type not in ANSWER_TYPES:
        raise ValueError(f"{answer_type!r} is no answer type")
    if isinstance(gold, Mapping) != (answer_type == "clusters"):
        raise ValueError(f"these gold answers do not suit the answer type {answer_type!r}")
    if answer_type == "none":
        return not values
    if not values:
        return False
    if isinstance(gold, Mapping):
        return pair_f1(clusters(values), list(gold.values())) >= _PAIR_F1
    if answer_type in ("list", "set"):
        fits = _same_items if answer_type == "list" else _same_topics
        # A list that a model wrote into one line, with commas, is a list all the same.
        return fits(values, gold) or (len(values) == 1 and fits(_COMMA.split(values[0]), gold))
    return _says("; ".join(values), gold, answer_type)


def _says(answer: str, gold: Sequence[str], answer_type: str) -> bool:
    match answer_type:
        case "number":
            return any(_number(answer) == _number(g) is not None for g in gold)
        case "yes/no":
            return normalise(answer).split()[:1] == normalise(gold[0]).split()
        case "span":
            return any(token_f1(answer, g) >= _SPAN_F1 for g in gold)
        case "node":
            return any(_is_advice(answer, g) for g in gold)
        case _:
            return any(_same_short(answer, g) for g in gold)


def _same_short(answer: str, gold: str) -> bool:
    wanted = _bare_number(gold)
    if wanted is not None:
        return _bare_number(answer) == wanted
    return normalise(answer) == normalise(gold)


def _bare_number(text: str) -> float | None:
    """Return the number that a text is, if it is nothing else."""
    kept = text.strip().removesuffix(".")
    return float(kept.replace(",", "").replace("−", "-")) if _BARE_NUMBER.fullmatch(kept) else None


def _number(text: str) -> float | None:
    found = _NUMBER.search(text)
    return float(found[0].replace(",", "")) if found else None


def _is_advice(answer: str, advice: str) -> bool:
    """One holds the other, word by word: an answer with little around the advice, or a good part of the advice."""
    said, wanted = normalise(answer).split(), normalise(advice).split()
    if said == wanted:
        return bool(said)
    if len(said) >= len(wanted):
        return len(wanted) >= _FEWEST_NODE_WORDS and len(said) <= len(wanted) + _NODE_SURPLUS and _holds(said, wanted)
    return len(said) >= max(_FEWEST_NODE_WORDS, _NODE_SHARE * len(wanted)) and _holds(wanted, said)


def _holds(words: Sequence[str], part: Sequence[str]) -> bool:
    return f" {' '.join(part)} " in f" {' '.join(words)} "


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


def clusters(values: Sequence[str]) -> list[list[int]]:
    """Return the groups of message numbers that an answer names, without their labels.

    A group is what stands after a colon: ``"card swallowed: 1, 5 and 8"``, one or several in a value, or an object of
    lists. Numbers that stand after none are no group: which messages belong together is then not said.
    """
    groups = _GROUP.finditer("\n".join(values).replace('"', ""))
    return [[int(number) for number in re.findall(r"\d+", group[1])] for group in groups]


def pair_f1(found: Sequence[Sequence[int]], gold: Sequence[Sequence[int]]) -> float:
    """Return the F1, from 0 to 1, of the pairs that stand in one group; where no group has two, 1 for the same groups.

    Args:
        found: Groups of numbers.
        gold: Groups as they should be.
    """
    ours, theirs = _pairs(found), _pairs(gold)
    if not theirs:
        return float(not ours and {n for group in found for n in group} == {n for group in gold for n in group})
    return 2 * len(ours & theirs) / (len(ours) + len(theirs))


def _pairs(groups: Sequence[Sequence[int]]) -> set[tuple[int, int]]:
    return {pair for group in groups for pair in combinations(sorted(set(group)), 2)}
