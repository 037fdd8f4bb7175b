"""Lists that documents already hold: the headings below a heading, or the items under one."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from structrag.models.chat import Prompt
from structrag.session import Session
from structrag.structures.catalogue import Catalogue, Member, Topic
from structrag.structures.quotes import content_words, support
from structrag.types import Evidence
from structrag.utilizer.reading import load_examples, load_prompt

_OFFERED = 6
_SHOWN_ENTRIES = 3
_SHOWN_CHARACTERS = 50
FEWEST_ENTRIES = 2
_LIST_SHARE = 0.7
"""Of a section's sentences must begin with a name, if it has no bullets: running text has a colon here and there."""
_DIFFERENT_SHARE = 0.5
"""Of a list's entries must differ by more than a number."""
_NONE = "0"
BELOW = " > "
_NUMBER = re.compile(r"\d+|[\[\]{}]")
# "Kerb space: several people ..." and "Kerb space – several people ...": what stands before is the entry's name.
_MARK = re.compile(r"^\s*(?:[-+*•]|\d{1,3}[.)])\s+")
# "**Kerb space.** Several people ...": a heading that runs into its paragraph.
_BOLD = re.compile(r"^\s*(?:[-+*•]\s+)?(?:\*\*|__)(?=\S)(.{2,60}?)[.:]?\s*(?:\*\*|__)")
_LEAD = re.compile(r"^(.{2,60}?)(?::| [-–—]) \S")


@dataclass(frozen=True, slots=True)
class Outline:
    """A list that a document holds.

    Attributes:
        path: The titles from the document's down to the heading.
        entries: The titles or items, in order, each with its evidence.
    """

    path: str
    entries: tuple[tuple[str, Evidence], ...]

    def render(self) -> str:
        """Return the path and the first entries, as the model reads them."""
        shown = "; ".join(title[:_SHOWN_CHARACTERS] for title, _ in self.entries[:_SHOWN_ENTRIES])
        return f"{self.path}: {shown}{' …' if len(self.entries) > _SHOWN_ENTRIES else ''}"


def outlines(catalogue: Catalogue) -> Iterator[Outline]:
    """Yield every list of two or more entries, of the documents nearest to the question, top down."""
    for document in catalogue.near:
        yield from _below(document, ())


def _below(topic: Topic, above: tuple[str, ...]) -> Iterator[Outline]:
    # A document's first heading often repeats its title.
    path = above if above and above[-1] == topic.title else (*above, topic.title)
    headed, items = _headed(topic.members), _items(topic.members)
    for entries in ([(child.title, child.evidence) for child in topic.children], headed, items):
        if len(entries) >= FEWEST_ENTRIES and not (entries is items and items == headed):
            yield Outline(BELOW.join(path), tuple(entries))
    for child in topic.children:
        yield from _below(child, path)


def _items(members: Sequence[Member]) -> list[tuple[str, Evidence]]:
    """The items of a list, each by its name if it has one; sentences of running text are none."""
    marked = [member for member in members if _MARK.match(member.evidence.quote)]
    named = [member for member in members if _LEAD.match(member.text)]
    if len(marked) < FEWEST_ENTRIES and len(named) < _LIST_SHARE * len(members):
        return []
    items = []
    for member in marked if len(marked) >= FEWEST_ENTRIES else named:
        text = _MARK.sub("", member.text)
        lead = _LEAD.match(text)
        items.append((lead[1] if lead else text, member.evidence))
    return items if _differ(items) else []


def _headed(members: Sequence[Member]) -> list[tuple[str, Evidence]]:
    """The headings that run into their paragraphs."""
    found = [(_BOLD.match(member.evidence.quote), member.evidence) for member in members]
    headed = [(match[1], evidence) for match, evidence in found if match and re.search(r"[^\W\d_]{2}", match[1])]
    return headed if _differ(headed) else []


def _differ(items: Sequence[tuple[str, Evidence]]) -> bool:
    """Whether items are a list: a transcript's lines begin with who speaks, the same few names again and again."""
    different = {_NUMBER.sub("", title).strip().lower() for title, _ in items}
    return len(different) >= _DIFFERENT_SHARE * len(items)


def _named(thing: str, found: Sequence[Outline]) -> list[Outline]:
    """Return the lists that stand directly below a heading with all the words of a thing's name."""
    named = [outline for outline in found if content_words(thing) and support(thing, outline.path) == 1]
    highest = min((outline.path.count(BELOW) for outline in named), default=0)
    return [outline for outline in named if outline.path.count(BELOW) == highest]


def choose_outline(question: str, found: Sequence[Outline], session: Session, thing: str = "") -> Outline | None:
    """Return the list that a question asks for, or ``None`` if the model finds none among the nearest.

    Args:
        question: What is asked.
        found: The lists.
        session: The question's session.
        thing: What is to be divided, by its name in the question: where one heading alone has that, nothing is left
            to choose.

    Raises:
        ModelOutputError: The model's reply is no number that was offered.
        ModelError: The model does not answer.
    """
    named = _named(thing, found)
    if len(named) == 1 or not found:
        return next(iter(named), None)
    found = named or found
    rows = session.embedder.embed([question, *(outline.render() for outline in found)])
    similarity = rows[1:] @ rows[0]
    nearest = [found[i] for i in sorted(range(len(found)), key=lambda i: -float(similarity[i]))[:_OFFERED]]
    lines = [f"[{number}] {outline.render()}" for number, outline in enumerate(nearest, 1)]
    numbers = [str(number) for number in range(1, len(nearest) + 1)]
    prompt = Prompt(
        stage="catalogue.outline",
        system=load_prompt("catalogue_outline"),
        user="\n".join([*lines, f"Question: {question}"]),
        examples=load_examples("catalogue_outline"),
    )
    shares = session.chat.choose(prompt, [*numbers, _NONE], session.meter)
    best = max(shares, key=lambda number: shares[number])
    return None if best == _NONE else nearest[int(best) - 1]
