"""Where a question speaks of what one link of a plan asks for: a small model reads the question's own words best.

``founder_of("Orrin mill")`` is "the founder of the Orrin mill" in "Where was the founder of the Orrin mill born?", and
once that is known to be Ada Quist, the question is "Where was Ada Quist born?".
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass

from structrag.structures.quotes import content_words, support

_WORD = re.compile(r"[^\W_]+(?:['’][^\W_]+)*")
_POSSESSIVE = re.compile(r"['’]s\b")
_SENTENCE_END = re.compile(r"[?!;]|\.\s")
_INTERROGATIVE = frozenset("what which who whom whose when where why how".split())
_RELATIVE = frozenset("that which who whom where whose".split())
_DETERMINERS = frozenset("the a an his her its their".split())
_PREPOSITIONS = frozenset("in to of on at for with by from about".split())
_AUXILIARIES = frozenset("is are was were be been has have had do does did can could will would".split())
_IN_CLAUSES = _AUXILIARIES | _PREPOSITIONS | _DETERMINERS | _RELATIVE
"""What follows a thing in "the mill supplies a bakery", and not in "the mill's owner"."""
_MOST_BEFORE_CLAUSE = 3
"""Words of the noun before a relative clause: "the retired engineer who built"."""
_FARTHEST = 8
"""Words between a thing and what the question says of it."""
_MOST_BETWEEN = 6
"""Other words among those of a thing's name."""


@dataclass(frozen=True, slots=True)
class _Word:
    start: int
    end: int
    text: str

    @property
    def lower(self) -> str:
        return self.text.lower()


def find_phrase(relation: str, subject: str, question: str) -> tuple[int, int] | None:
    """Return where a question speaks of a subject's relation, or ``None`` where it does so in no one place.

    Args:
        relation: What the link asks of the subject, in words.
        subject: The thing that the link starts from.
        question: The question that the link was taken from.

    Returns:
        Start and end; what stands between is a noun phrase, as far as can be told by its first word.
    """
    words = [_Word(found.start(), found.end(), found[0]) for found in _WORD.finditer(question)]
    thing = _thing(words, subject)
    if thing is None:
        return None
    said = _said_of(words, relation, thing)
    if said is None:
        return None
    first, last = min(thing[0], *said, thing[0]), max(thing[1], *(at + 1 for at in said), thing[1])
    last = _with_verb(words, first, last, thing, question)
    has_subject_first = first == thing[0]
    if has_subject_first and any(word.lower in _IN_CLAUSES for word in words[thing[1] : last]):
        return None
    first = _with_noun(words, first)
    is_noun = has_subject_first or words[first].lower in _DETERMINERS
    start, end = words[first].start, words[last - 1].end
    end -= 2 * question[start:end].endswith(("'s", "’s"))
    if not is_noun or _SENTENCE_END.search(question[start:end]) or _asks(words, first, last, question):
        return None
    rest = f"{question[:start]} {question[end:]}"
    return (start, end) if _WORD.search(_POSSESSIVE.sub("", rest)) else None


def _thing(words: Sequence[_Word], subject: str) -> tuple[int, int] | None:
    """Return from which word to which a thing is named: the shortest run that holds all words of its name."""
    name = content_words(_POSSESSIVE.sub("", subject))
    runs = []
    for first in range(len(words) if name else 0):
        left, at = list(name), first
        while left and at < len(words) and at - first <= len(name) + _MOST_BETWEEN:
            here = next((each for each in left if _same(words[at], each)), None)
            if here is None and at == first:
                break
            if here is not None:
                left.remove(here)
            at += 1
        if not left:
            runs.append((first, at))
    return min(runs, key=lambda run: run[1] - run[0], default=None)


def _said_of(words: Sequence[_Word], relation: str, thing: tuple[int, int]) -> list[int] | None:
    """Return which words near a thing say the relation, ``None`` where less than half of it is said."""
    found, said = 0, []
    wanted = content_words(relation)
    for each in wanted:
        places = [at for at, word in enumerate(words) if _same(word, each)]
        nearest = min(places, key=lambda at: _distance(at, thing), default=None)
        if nearest is not None and _distance(nearest, thing) <= _FARTHEST:
            found += 1
            said += [nearest] if _distance(nearest, thing) else []
    return said if 2 * found >= len(wanted) else None


def _distance(at: int, thing: tuple[int, int]) -> int:
    first, last = thing
    return max(first - at, at - last + 1, 0)


def _with_verb(words: Sequence[_Word], first: int, last: int, thing: tuple[int, int], question: str) -> int:
    """Return the end of a phrase with the verb of its clause: "the town in which the mill" stands on one."""
    before = thing[0] - 1
    while before >= first and words[before].lower in _DETERMINERS:
        before -= 1
    if before >= first and words[before].lower in _RELATIVE and last == thing[1]:
        last = min(last + 1, len(words))
    if last < len(words) and words[last].lower in _PREPOSITIONS:
        rest = question[words[last].end :].lstrip()
        return last if rest and rest[0] not in "?,.;" else last + 1
    return last


def _with_noun(words: Sequence[_Word], first: int) -> int:
    """Return where a phrase begins with its article, and with the noun that it is the relative clause of."""
    while first > 0 and words[first - 1].lower in _DETERMINERS and words[first - 1].end + 1 == words[first].start:
        first -= 1
    clause = first
    while clause > 0 and words[clause - 1].lower in _AUXILIARIES:
        clause -= 1
    if clause == 0 or words[clause - 1].lower not in _RELATIVE:
        return first
    nouns = range(clause - 2, max(-1, clause - 3 - _MOST_BEFORE_CLAUSE), -1)
    return next((at for at in nouns if words[at].lower in _DETERMINERS), first)


def _asks(words: Sequence[_Word], first: int, last: int, question: str) -> bool:
    """Whether a word that asks stands in a phrase: at the start of the question or of a clause, a preposition aside."""
    for at in range(first, last):
        if words[at].lower in _INTERROGATIVE:
            opens = at - 1 if at and words[at - 1].lower in _PREPOSITIONS else at
            if any(question[: words[each].start].rstrip()[-1:] in ("", *",;:.?!") for each in (opens, at)):
                return True
    return False


def _same(word: _Word, other: str) -> bool:
    own = content_words(_POSSESSIVE.sub("", word.text))
    return bool(own) and (support(own[0], other) == 1 or (len(other) > 3 and own[0][:4] == other[:4]))
