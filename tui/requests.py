"""What a screen asks of the application, because it concerns the other screens too."""

from __future__ import annotations

from dataclasses import dataclass, field

from textual.message import Message

from structrag.errors import StructRAGError
from structrag.types import Answer, SourceDocument
from structrag.usage import Prices


@dataclass(eq=False, repr=False)
class DocumentsChanged(Message):
    """The corpus holds these documents now."""

    documents: tuple[SourceDocument, ...]


@dataclass(eq=False, repr=False)
class ScopeWanted(Message):
    """The user wants to ask over these documents, named by their ids."""

    ids: tuple[str, ...]


@dataclass(eq=False, repr=False)
class AnswerReopened(Message):
    """The user wants to see an earlier answer as it was given."""

    answer: Answer


@dataclass(eq=False, repr=False)
class QuestionRepeated(Message):
    """The user wants a question asked again, over the documents of ``scope`` where that is given."""

    question: str
    scope: tuple[str, ...] | None = None


@dataclass(eq=False, repr=False)
class AskingWanted(Message):
    """The user wants to go back to asking."""


@dataclass(eq=False, repr=False)
class RouterReplaced(Message):
    """Another router version is in use, which an open corpus learns only when it is opened again."""

    version: str


@dataclass(eq=False, repr=False)
class CorpusReopened(Message):
    """The corpus was opened again with other settings, or could not be."""

    told: str
    error: StructRAGError | None = None


@dataclass(frozen=True, slots=True)
class SettingsInForce:
    """What a person wants to know of the settings while asking.

    Attributes:
        model: The chat model.
        budget: What one question may cost, in words.
        prices: What tokens cost.
    """

    model: str = ""
    budget: str = ""
    prices: Prices = field(default_factory=Prices)

    def __str__(self) -> str:
        return " · ".join(part for part in (self.model, self.budget) if part)


@dataclass(eq=False, repr=False)
class SettingsRead(Message):
    """The settings of the corpus are known."""

    in_force: SettingsInForce = field(default_factory=SettingsInForce)
