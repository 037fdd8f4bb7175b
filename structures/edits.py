"""What people change in structures: kept apart from them, and applied each time one is built.

    kept = KeptEdit(1, "2026-11-22T10:00:00+00:00", "person", cell_edit(tables, "firms", 0, "revenue", "57 million"))
    edited = apply_edits(tables, [kept])
    edited.structure      # a new object; the item's evidence bears the mark of the edit
    edited.unapplied      # edits whose target is not there any more, each with the reason

A structure never changes: undoing an edit is applying the others to what was built.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass

from structrag.structures.algorithm import Algorithm
from structrag.structures.catalogue import Catalogue
from structrag.structures.edits_algorithm import branch_edit, edit_algorithm, step_text_edit
from structrag.structures.edits_catalogue import edit_catalogue, member_move, topic_rename
from structrag.structures.edits_graph import edit_graph, fact_addition, fact_change, fact_removal, merge_edit
from structrag.structures.edits_records import (
    Anchor,
    BranchTarget,
    CellEdit,
    Edit,
    FactAddition,
    FactChange,
    FactRemoval,
    KeptEdit,
    MemberMove,
    NameMerge,
    StepText,
    TargetGoneError,
    TopicRename,
    UnreadableEdit,
    describe_edit,
    edit_from_dict,
    edit_to_dict,
    folded,
)
from structrag.structures.edits_table import cell_edit, edit_tables
from structrag.structures.graph import KnowledgeGraph
from structrag.structures.table_set import TableSet
from structrag.types import SourceDocument, Structure

__all__ = (
    "Anchor",
    "BranchTarget",
    "CellEdit",
    "Edit",
    "EditedStructure",
    "FactAddition",
    "FactChange",
    "FactRemoval",
    "KeptEdit",
    "MemberMove",
    "NameMerge",
    "StepText",
    "TopicRename",
    "Unapplied",
    "UnreadableEdit",
    "apply_edits",
    "branch_edit",
    "cell_edit",
    "describe_edit",
    "edit_from_dict",
    "edit_to_dict",
    "fact_addition",
    "fact_change",
    "fact_removal",
    "member_move",
    "merge_edit",
    "problem_of",
    "step_text_edit",
    "topic_rename",
)


@dataclass(frozen=True, slots=True)
class Unapplied:
    """An edit that a structure of its document has no place for, and why."""

    kept: KeptEdit
    reason: str


@dataclass(frozen=True, slots=True)
class EditedStructure:
    """A structure after people's edits.

    Attributes:
        structure: The one that was built, the same object, where no edit applies.
        applied: The edits that changed it, or that it agrees with.
        unapplied: Edits of its documents whose target is gone; those of other documents are in neither list.
    """

    structure: Structure
    applied: tuple[KeptEdit, ...] = ()
    unapplied: tuple[Unapplied, ...] = ()


def apply_edits(structure: Structure, edits: Iterable[KeptEdit]) -> EditedStructure:
    """Return a structure with people's edits applied, oldest first; undone ones are left out.

    Args:
        structure: As it was built, without edits.
        edits: All that the corpus keeps, in any order.
    """
    edited = structure
    applied: list[KeptEdit] = []
    unapplied: list[Unapplied] = []
    for kept in sorted((each for each in edits if not each.undone), key=lambda each: each.id):
        try:
            changed = _apply(edited, kept, structure)
        except TargetGoneError as gone:
            unapplied.append(Unapplied(kept, str(gone)))
            continue
        if changed is not None:
            edited = changed
            applied.append(kept)
    return EditedStructure(edited, tuple(applied), tuple(unapplied))


def _apply(structure: Structure, kept: KeptEdit, base: Structure) -> Structure | None:
    """Return the structure with one edit applied, or ``None`` where it is about something else."""
    match structure, kept.edit:
        case TableSet(), CellEdit() as edit:
            return edit_tables(structure, kept, edit)
        case KnowledgeGraph(), (NameMerge() | FactAddition() | FactRemoval() | FactChange()) as change:
            return edit_graph(structure, kept, change, base if isinstance(base, KnowledgeGraph) else structure)
        case Algorithm(), (StepText() | BranchTarget()) as step:
            return edit_algorithm(structure, kept, step)
        case Catalogue(), (TopicRename() | MemberMove()) as topic:
            return edit_catalogue(structure, kept, topic)
    return None


def problem_of(kept: KeptEdit, documents: Iterable[SourceDocument]) -> str:
    """Return why an edit can apply to no structure of these documents any more; empty where it may."""
    texts = {document.id: document.text for document in documents}
    edit = kept.edit
    if any(_names(name, text) for name in _by_name(edit) for text in texts.values()):
        return ""
    places = [edit.place, edit.to] if isinstance(edit, BranchTarget | MemberMove) else [edit.place]
    for place in places:
        if place is None:
            continue
        if place.document not in texts:
            return f"the document {place.document!r} is no longer in the corpus"
        words = " ".join(place.quote.split())
        if words not in " ".join(texts[place.document].split()):
            return f"{place.document!r} does not say “{words}” any more"
    return ""


def _by_name(edit: Edit) -> tuple[str, ...]:
    """Return the names that an edit goes by, wherever they stand; none where it goes by words of one document."""
    match edit:
        case NameMerge():
            return (edit.name,)
        case FactAddition():
            return (edit.head, edit.tail)
    return ()


def _names(name: str, text: str) -> bool:
    return re.search(rf"(?<!\w){re.escape(folded(name))}(?!\w)", folded(text)) is not None
