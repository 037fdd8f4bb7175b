"""Questions as they come when people type in haste: the same question in another form, the label unchanged.

Some training questions have slips of the same kinds, and sentences around them, though none of these
(`structrag.router.variations`): a shift shows what that is worth, not how strange forms fare.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from random import Random

from structrag.router.questions import LabelledQuestion

_EVERY = 20
"""Characters for one slip: two in a sentence of ordinary length."""


def typos(text: str, seed: str) -> str:
    """Swap, leave out or double a letter now and then."""
    random, letters = Random(seed), list(text)
    for _ in range(max(1, len(text) // _EVERY)):
        place = random.randrange(len(letters) - 1)
        slip = random.choice(("swap", "drop", "double"))
        if slip == "swap":
            letters[place], letters[place + 1] = letters[place + 1], letters[place]
        else:
            letters[place] = "" if slip == "drop" else letters[place] * 2
    return "".join(letters)


def bare(text: str, _: str) -> str:
    """Lower case and no punctuation."""
    return " ".join("".join(c if c.isalnum() else " " for c in text.lower()).split())


def shouted(text: str, _: str) -> str:
    """Upper case."""
    return text.upper()


def as_a_message(text: str, _: str) -> str:
    """In the middle of a polite message."""
    return f"Dear team, I am filling in a form for the council. {text} Drop me a line if you know. Yours, Piet"


def _shift(change: Callable[[str, str], str]) -> Callable[[LabelledQuestion], LabelledQuestion]:
    def shifted(question: LabelledQuestion) -> LabelledQuestion:
        changed = change(question.request.question, question.id)
        return replace(question, request=replace(question.request, question=changed))

    return shifted


SHIFTS = {
    name: _shift(change)
    for name, change in {"typos": typos, "bare": bare, "shouted": shouted, "message": as_a_message}.items()
}
