"""Training questions in other forms: as part of a message, typed in haste, without capitals and marks.

People ramble and mistype; most questions that we write do not. What is put around a question says nothing of what it
asks for, so that its label stays.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from random import Random

from structrag.router.questions import LabelledQuestion

_BEFORE = (
    "Hi everyone.",
    "Hello there, hope you are having a good week.",
    "Good morning!",
    "Sorry to bother you again.",
    "Sorry if this has been asked before, I looked and could not find it.",
    "I am new here and still finding my way around.",
    "I have been handed this by a colleague who left on Friday.",
    "My boss wants it before lunch and I have not even had a coffee.",
    "I am putting something together for the board meeting on Thursday.",
    "We were talking about it over dinner last night and nobody could agree.",
    "It came up on the phone just now and I had no reply ready.",
    "I have read through the whole folder twice and my eyes are going.",
    "Normally I would ask Janet but she is on leave until the fourteenth.",
    "I used to know this kind of thing by heart, but it has been years.",
    "A customer rang this morning and was rather cross.",
    "My daughter is doing a project for school and I promised to help.",
    "I only have my phone with me, so please excuse the typing.",
    "This may be a silly question.",
    "There was an argument in the office about it, a friendly one.",
    "I thought that I had it written down somewhere, but the note is gone.",
    "Last time somebody sent me the wrong file, so I want to be sure now.",
    "I am writing this from the train.",
    "The auditors come on Monday and everybody is nervous.",
    "Our old system used to show it on the first screen, the new one does not.",
    "I have a bet with my brother about this one.",
    "Before I say anything to the others I want to have it right.",
    "You helped me so well the last time that I thought I would try again.",
    "I am not sure that I am putting this well.",
    "We have three people out sick, so it fell to me.",
    "It is probably in there somewhere, but I cannot face another hundred pages.",
    "I tried the search box and got nothing useful.",
    "The meeting starts in ten minutes.",
    "Mum would like to know, and she does not use computers.",
    "I have been going round in circles with this.",
    "Quick one from me.",
    "So here goes.",
    "What I would like to know is this.",
    "Anyway, my question.",
)
_AFTER = (
    "Thanks in advance!",
    "Thank you so much, this has been bugging me.",
    "Many thanks and have a good weekend.",
    "No hurry at all, whenever you get round to it.",
    "Today would be lovely if you can manage it.",
    "I would be really grateful.",
    "I have to pass it on to somebody else afterwards.",
    "Please keep it between us for now.",
    "If the documents do not say, just tell me so.",
    "I hope that makes sense.",
    "Ask me if something is unclear.",
    "It is raining again here, by the way.",
    "Then I can finally go home.",
    "Sorry for the long message.",
    "Cheers, Sam",
    "Best wishes from all of us.",
    "That is all I need.",
    "I will be at my desk until five.",
    "Somebody told me something else last week, so I wonder.",
    "And no, I have not been able to reach anyone who was there.",
)
_EVERY = 25
"""Characters for one slip."""


def varied(questions: Sequence[LabelledQuestion], *, share: float = 0.3, seed: int = 0) -> list[LabelledQuestion]:
    """Return the questions, some of them in another form.

    Args:
        questions: The questions.
        share: Of them that are changed; half of these become part of a message.
        seed: Of the drawing.
    """
    random = Random(seed)
    forms: tuple[Callable[[str, Random], str], ...] = (_in_a_message, _in_a_message, _mistyped, _bare)
    return [_changed(q, random.choice(forms), random) if random.random() < share else q for q in questions]


def _changed(question: LabelledQuestion, form: Callable[[str, Random], str], random: Random) -> LabelledQuestion:
    text = form(question.request.question, random)
    return replace(question, request=replace(question.request, question=text))


def _in_a_message(text: str, random: Random) -> str:
    before = random.sample(_BEFORE, random.choice((1, 2, 3, 5, 6)))
    after = random.sample(_AFTER, random.choice((0, 0, 1, 2, 3)))
    return " ".join([*before, text, *after])


def _mistyped(text: str, random: Random) -> str:
    """Letters change places, are left out, typed twice, or are others."""
    letters = list(text)
    for _ in range(1 + len(text) // _EVERY):
        place = random.randrange(max(1, len(letters) - 1))
        slip = random.choice(("swap", "drop", "double", "other"))
        if slip == "swap":
            letters[place : place + 2] = reversed(letters[place : place + 2])
        elif slip == "double":
            letters[place] *= 2
        else:
            letters[place] = "" if slip == "drop" else random.choice("aeiourtnsl")
    return "".join(letters) if "".join(letters).strip() else text


def _bare(text: str, random: Random) -> str:
    """Lower case and, in half of the cases, no marks."""
    if random.random() < 0.5:
        return text.lower()
    return " ".join("".join(c if c.isalnum() else " " for c in text.lower()).split()) or text
