"""What a person can change in a structure, as records that name their target by its content.

A structure is built anew for every question, so an edit cannot say "row 3": it says which document, which words there,
and which column, names, step or heading.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any, ClassVar

from structrag.errors import StoreError
from structrag.types import EditMark, Evidence


@dataclass(frozen=True, slots=True)
class Anchor:
    """Words of a document by which an item is found again.

    Attributes:
        quote: The document's words; empty where the item has none.
        start: Where they stood when the edit was made.
        nth: Which of several equal places is meant, from 1; 0 where that is not known: then the nearest is.
        of: How many equal places there were; 0 where that is not known.
    """

    document: str
    quote: str = ""
    start: int = 0
    nth: int = 0
    of: int = 0

    @classmethod
    def at(cls, evidence: Evidence) -> Anchor:
        """Return the anchor of an item with this evidence."""
        return cls(evidence.span.document_id, evidence.quote, evidence.span.start)

    def is_at(self, evidence: Evidence) -> bool:
        """Whether evidence stands just where the anchor did, with the same words."""
        told = (evidence.span.document_id, evidence.quote, evidence.span.start)
        return told == (self.document, self.quote, self.start)


@dataclass(frozen=True, slots=True)
class CellEdit:
    """Put another value into a cell of a table.

    Attributes:
        column: The column's name.
        subject: What the row is about.
        raw: What the cell held.
        value: What it is to hold, as a person writes it; empty for nothing.
    """

    kind: ClassVar[str] = "cell"
    place: Anchor
    column: str
    subject: str
    raw: str
    value: str


@dataclass(frozen=True, slots=True)
class NameMerge:
    """Say that two names of a graph mean the same thing; ``into`` is the one that stays."""

    kind: ClassVar[str] = "merge"
    place: Anchor
    name: str
    into: str


@dataclass(frozen=True, slots=True)
class FactAddition:
    """Add an edge to a graph; ``place`` is where the document speaks of one of its ends."""

    kind: ClassVar[str] = "add fact"
    place: Anchor
    head: str
    relation: str
    tail: str


@dataclass(frozen=True, slots=True)
class FactRemoval:
    """Take an edge out of a graph."""

    kind: ClassVar[str] = "remove fact"
    place: Anchor
    head: str
    relation: str
    tail: str


@dataclass(frozen=True, slots=True)
class FactChange:
    """Change the ends or the relation of an edge."""

    kind: ClassVar[str] = "change fact"
    place: Anchor
    head: str
    relation: str
    tail: str
    to_head: str
    to_relation: str
    to_tail: str


@dataclass(frozen=True, slots=True)
class StepText:
    """Put another text into a step; ``number`` is what the step had then."""

    kind: ClassVar[str] = "step"
    place: Anchor
    number: str
    text: str


@dataclass(frozen=True, slots=True)
class BranchTarget:
    """Let a way out of a step lead elsewhere.

    Attributes:
        number: The number that the step had then.
        condition: Which way out.
        to: The step that it leads to; ``None`` where the procedure ends.
        outcome: What to do when it is taken; needed where it leads to no step.
    """

    kind: ClassVar[str] = "branch"
    place: Anchor
    number: str
    condition: str
    to: Anchor | None
    outcome: str = ""


@dataclass(frozen=True, slots=True)
class TopicRename:
    """Give a topic of a catalogue another title."""

    kind: ClassVar[str] = "topic"
    place: Anchor
    title: str
    to_title: str


@dataclass(frozen=True, slots=True)
class MemberMove:
    """Put a member of a catalogue under another topic, which ``to`` and ``to_title`` name."""

    kind: ClassVar[str] = "member"
    place: Anchor
    to: Anchor
    to_title: str


@dataclass(frozen=True, slots=True)
class UnreadableEdit:
    """What is left of an edit that was taken back and is damaged: it is listed, and changes nothing."""

    kind: ClassVar[str] = "unreadable"
    place: Anchor = Anchor("")


Edit = (
    CellEdit
    | NameMerge
    | FactAddition
    | FactRemoval
    | FactChange
    | StepText
    | BranchTarget
    | TopicRename
    | MemberMove
    | UnreadableEdit
)
_KINDS: Mapping[str, type[Edit]] = {
    kind.kind: kind
    for kind in (
        CellEdit,
        NameMerge,
        FactAddition,
        FactRemoval,
        FactChange,
        StepText,
        BranchTarget,
        TopicRename,
        MemberMove,
    )
}


@dataclass(frozen=True, slots=True)
class KeptEdit:
    """An edit as the corpus keeps it.

    Attributes:
        created: An ISO time in UTC.
        who: ``person``.
        undone: It was taken back, and no longer counts.
    """

    id: int
    created: str
    who: str
    edit: Edit
    undone: bool = False

    def mark(self, said: str, before: str) -> EditMark:
        """Return the mark that an item bears which this edit changed."""
        return EditMark(self.id, self.who, self.created, said, before)


class TargetGoneError(Exception):
    """The structure was built of the edit's document, but what the edit changes is not in it any more.

    It never leaves `structrag.structures.edits`: there it becomes the reason why an edit is not applied.
    """


def edit_to_dict(edit: Edit) -> dict[str, Any]:
    """Return a JSON-ready form."""
    return {"kind": edit.kind, **asdict(edit)}


def edit_from_dict(data: Mapping[str, Any], *, number: int = 0) -> Edit:
    """Return the edit that `edit_to_dict` wrote.

    Args:
        data: What was written.
        number: Under which the corpus keeps it, for the error.

    Raises:
        StoreError: The data is damaged, or of a later version.
    """
    try:
        fields = {name: value for name, value in data.items() if name != "kind"}
        for name in ("place", "to"):
            if fields.get(name) is not None:
                fields[name] = Anchor(**fields[name])
        return _KINDS[data["kind"]](**fields)
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        raise StoreError(
            f"The edit {number} cannot be read, as it is damaged or of a later version: {error}.",
            hint=f"Take it back, and the others apply: structrag edits undo {number}",
        ) from error


def describe_edit(edit: Edit) -> str:
    """Return an edit in one line, for lists and the trace."""
    match edit:
        case CellEdit():
            return f"{edit.column} of {edit.subject}: {edit.raw or '(empty)'} → {edit.value or '(empty)'}"
        case NameMerge():
            return f"{edit.name} is {edit.into}"
        case FactAddition():
            return f"added: {edit.head} —{edit.relation}→ {edit.tail}"
        case FactRemoval():
            return f"removed: {edit.head} —{edit.relation}→ {edit.tail}"
        case FactChange():
            before = f"{edit.head} —{edit.relation}→ {edit.tail}"
            return f"{before} is now {edit.to_head} —{edit.to_relation}→ {edit.to_tail}"
        case StepText():
            return f"step {edit.number}: {edit.text}"
        case BranchTarget():
            leads = f"“{' '.join(edit.to.quote.split())}”" if edit.to else "the end"
            return f"step {edit.number}, {edit.condition or 'otherwise'}: leads to {leads}"
        case TopicRename():
            return f"topic {edit.title} is called {edit.to_title}"
        case MemberMove():
            return f"“{' '.join(edit.place.quote.split())}” belongs under {edit.to_title}"
        case UnreadableEdit():
            return "cannot be read"


def marked(evidence: Evidence, mark: EditMark, *, vouched: bool = False) -> Evidence:
    """Return an item's evidence after an edit: the same words of the document, and what a person says of the item.

    Args:
        evidence: What the item had.
        mark: Who says what.
        vouched: The edit says the item itself, so that it may be used also where its check had failed.
    """
    marks = sorted((*evidence.edits, mark), key=lambda each: each.edit_id)
    return Evidence(evidence.span, evidence.quote, evidence.verified or vouched, tuple(marks))


def folded(text: str) -> str:
    """Return a text by which items are compared: neither case nor white space counts."""
    return " ".join(text.split()).casefold()
