"""A situation told as a dialogue: who was asked what, and what was answered."""

from __future__ import annotations

import re
from dataclasses import dataclass

_TURN = re.compile(r"^[ \t]*([A-Za-z][\w .'-]{0,30}):[ \t]+(?=\S)", re.MULTILINE)
_FEWEST_TURNS = 3


@dataclass(frozen=True, slots=True)
class Exchange:
    """One question of a dialogue and what the other side said to it, up to the next question.

    Attributes:
        asked: The question, as it was put.
        answered: The reply; where the other side asked back first, all that was said until it was settled.
    """

    asked: str
    answered: str


def parse_exchanges(text: str) -> tuple[Exchange, ...]:
    """Return the exchanges of a dialogue of two, in order; none if the text is no dialogue.

    A dialogue has lines that begin with who speaks (``agent: Is it on?``), two speakers, and three turns at least.
    The one who did not begin asks; a question of the other side belongs to the exchange in which it is put.
    """
    marks = list(_TURN.finditer(text))
    speakers = list(dict.fromkeys(mark[1].strip().lower() for mark in marks))
    if len(marks) < _FEWEST_TURNS or len(speakers) != 2:
        return ()
    ends = [mark.start() for mark in marks[1:]] + [len(text)]
    turns = [
        (mark[1].strip().lower(), _first_paragraph(text[mark.end() : end]))
        for mark, end in zip(marks, ends, strict=True)
    ]
    exchanges: list[Exchange] = []
    asked, answered = "", ""
    for speaker, said in turns:
        asks = speaker == speakers[1]
        if asks and "?" in said:
            exchanges += [Exchange(asked, answered)] if answered else []
            asked, answered = said, ""
        elif asked:
            # The last word counts: what was asked back and explained on the way is not the answer.
            answered = said if not asks else answered
    return (*exchanges, Exchange(asked, answered)) if answered else tuple(exchanges)


def _first_paragraph(said: str) -> str:
    """What follows the last turn after a blank line is the question about the dialogue, not part of it."""
    return " ".join(said.split("\n\n")[0].split())
