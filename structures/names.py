"""Names in text, and which of them mean the same thing."""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Iterable, Iterator

_WORD = r"(?:(?:Dr|Prof|Mr|Mrs|Ms|St|Cllr|[A-Z])\.|[A-Z][\w'’&-]*)"
_NAME = re.compile(
    rf"\b[A-Z]+-\d+\b|\b[A-Z]\w+ of (?:the )?{_WORD}(?:[ \t]+{_WORD})*"
    rf"|\b{_WORD}(?:[ \t]+(?:(?:van|von|de|der|la|le|&)[ \t]+)?{_WORD})*(?:[ \t]+\d+[A-Za-z]?\b)?"
)
_LONG_NAME = 6
"""Characters from which a name with an ``s`` after it is hardly another word, as "Ha" and "has" are."""
_TITLES = frozenset({"dr", "prof", "professor", "mr", "mrs", "ms", "sir", "dame", "councillor", "cllr"})
_COMMON = frozenset(
    "a an and as at after all also any because before both but by during each for from he her here his how i if "
    "in it its many most my no not of on once one or our she since so some such that the their then there these "
    "they this those three to two under until we what when where which while who why with you your yes january "
    "february march april may june july august september october november december monday tuesday wednesday "
    "thursday friday saturday sunday".split()
)


def find_names(text: str) -> list[tuple[int, int, str]]:
    """Return the names in a text: runs of capitalised words, and codes such as ``T-11``.

    Words that are capitalised only because a sentence begins with them are left out.

    Returns:
        Start, end and the name, in order.
    """
    found = []
    for match in _NAME.finditer(text):
        start, end = match.span()
        name = match[0]
        while True:
            first, *rest = name.split(maxsplit=1)
            if first.lower().strip(".,'’") not in _COMMON:
                break
            if not rest:
                name = ""
                break
            start += len(name) - len(rest[0])
            name = rest[0]
        name = name.rstrip(".,'’-&")
        if name.endswith(("'s", "’s")):
            name = name[:-2]
        if len(name) > 1 and name[0].isupper():
            found.append((start, min(end, start + len(name)), name))
    return found


def merge_names(names: Iterable[str]) -> dict[str, str]:
    """Map each name to the fullest form of it: ``K. Moor``, ``Prof. Moor`` and ``Moor`` to ``Katrin Moor``.

    A short form that fits several full names is left alone.
    """
    distinct = sorted(set(names), key=lambda n: (-len(_words(n)), -len(n), n))
    by_last: dict[str, list[str]] = defaultdict(list)
    by_word: dict[str, list[str]] = defaultdict(list)
    merged: dict[str, str] = {}
    for name in distinct:
        words = _words(name)
        if not words:
            merged[name] = name
            continue
        fitting = [full for full in by_last[words[-1]] if _fits(words, _words(full))]
        if not fitting and len(words) == 1:
            fitting = [full for full in by_word[words[0]] if _words(full)[0] == words[0]]
        exact = [full for full in fitting if _words(full) == words]
        target = exact[0] if exact else fitting[0] if len(fitting) == 1 else name
        merged[name] = target
        if target == name:
            by_last[words[-1]].append(name)
            for word in words:
                by_word[word].append(name)
    return merged


def mentions(text: str, names: Iterable[str]) -> Iterator[str]:
    """Yield the names that a text mentions, whatever the case, longest first."""
    folded = f" {' '.join(_words(text))} "
    for name in sorted(names, key=len, reverse=True):
        words = " ".join(_words(name))
        # "signe aurdals lab": people leave the apostrophe of a possessive out.
        is_long = len(words) >= _LONG_NAME
        if words and (f" {words} " in folded or (is_long and f" {words}s " in folded)):
            yield name


def _words(name: str) -> list[str]:
    words = [w.strip(".,:;?!…'’‘\"“”()[]*_") for w in re.sub(r"(['’])s\b", "", name).lower().replace("-", " ").split()]
    return [w for w in words if w and w not in _TITLES and w != "the"]


def _fits(short: list[str], full: list[str]) -> bool:
    """Whether a name can be short for another with the same last word: initials and missing words are allowed."""
    if len(short) > len(full):
        return False
    given, fulls = short[:-1], full[:-1]
    return all(any(f == g or (len(g) == 1 and f.startswith(g)) for f in fulls) for g in given)
