"""What the views of all structures share."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, ClassVar

from textual.binding import Binding, BindingType
from textual.containers import Vertical
from textual.message import Message

from structrag.cli.text import one_line
from structrag.types import Citation, Evidence, Span, TraceStep

if TYPE_CHECKING:
    from structrag.structures.edits import Edit

LABEL_WIDTH = 160
"""Characters of a text that one line shows; the rest is one Enter away."""

CITED = "●"
"""The mark of what the answer rests on; it says so without colours too."""


def label(text: str, width: int = LABEL_WIDTH) -> str:
    """Return untrusted text as one line of at most ``width`` characters, in no time however long it is."""
    return one_line(text, width)


@dataclass(frozen=True, slots=True)
class Use:
    """What a question made of a structure: the steps that were taken on it, and what the answer rests on."""

    trace: Sequence[TraceStep] = ()
    citations: Sequence[Citation] = ()
    spans: frozenset[Span] = field(init=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "spans", frozenset(citation.evidence.span for citation in self.citations))

    def cites(self, evidence: Evidence | None) -> bool:
        """Whether the answer rests on this evidence."""
        return evidence is not None and evidence.span in self.spans

    def details(self, name: str) -> list[str]:
        """Return what the steps of that name say, in order."""
        return [step.detail for step in self.trace if step.name == name]


EDITED = "✎"
"""The mark of what a person has changed."""


@dataclass(frozen=True, slots=True)
class Editable:
    """Something that a person may change in place.

    Attributes:
        title: What it is, and how to write it.
        text: What it says now.
        make: Returns the edit for another text; raises `ConfigError` where that does not suit.
    """

    title: str
    text: str
    make: Callable[[str], Edit]


@dataclass(eq=False, repr=False)
class EditWanted(Message):
    """The user wants to change something."""

    editable: Editable


@dataclass(eq=False, repr=False)
class SourceWanted(Message):
    """The user wants to see where something stands."""

    evidence: Evidence


class StructureView(Vertical):
    """Shows one structure. A subclass is given the structure, and redraws when its use is known."""

    BINDINGS: ClassVar[list[BindingType]] = [Binding("i", "edit", "Edit in place", show=False)]

    def __init__(self, use: Use) -> None:
        super().__init__()
        self.use = use
        self.is_laid_out = False
        self.takes_focus = False

    def show_use(self, use: Use) -> None:
        """Mark what was done on the structure."""
        self.use = use
        if self.is_laid_out:
            self.redraw()

    def on_mount(self) -> None:
        """Draw for the first time."""
        self.is_laid_out = True
        self.redraw()
        if self.takes_focus:
            self.focus_content()

    def redraw(self) -> None:
        """Draw the structure and its use."""
        raise NotImplementedError

    def focus_content(self) -> None:
        """Put the focus where the structure is."""
        raise NotImplementedError

    def editable(self) -> Editable | None:
        """Return what is under the cursor, if a person may change it."""
        return None

    def action_edit(self) -> None:
        """Ask to change what is under the cursor."""
        if (editable := self.editable()) is not None:
            self.post_message(EditWanted(editable))
        else:
            self.notify("There is nothing to edit here.", markup=False)
