"""The one stream of events that the API, the command line and the terminal UI listen to.

Names are in the past tense: an event says what has happened.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from structrag.types import AddedDocument, Answer, Passage, Route, Structure, StructureType, TraceStep
from structrag.usage import ModelCall


@dataclass(frozen=True, slots=True)
class DocumentAdded:
    """One document of an ``add`` was dealt with; ``done`` of ``total`` are."""

    document: AddedDocument
    done: int
    total: int


@dataclass(frozen=True, slots=True)
class QuestionRewritten:
    """The question referred to earlier ones; from here on it is asked as ``standalone``."""

    question: str
    standalone: str


@dataclass(frozen=True, slots=True)
class PassagesRetrieved:
    """Retrieval found these passages, best first."""

    passages: tuple[Passage, ...]


@dataclass(frozen=True, slots=True)
class RouteChosen:
    """The router decided, or the caller chose ``structure_type`` over it (``overridden``)."""

    route: Route
    structure_type: StructureType
    overridden: bool


@dataclass(frozen=True, slots=True)
class BuildProgressed:
    """The builder dealt with ``done`` of ``total`` documents; ``note`` says what happened to the last."""

    structure_type: StructureType
    done: int
    total: int
    note: str = ""


@dataclass(frozen=True, slots=True)
class StructureBuilt:
    """The structure stands."""

    structure: Structure


@dataclass(frozen=True, slots=True)
class StepTaken:
    """The utilizer did something on the structure."""

    step: TraceStep


@dataclass(frozen=True, slots=True)
class ReplyGrew:
    """The chat model is writing a reply; told only where it was asked for, at most ten times a second.

    Attributes:
        stage: Which part of the pipeline asks, such as ``table.sql``.
        text: All that is written so far, which nothing has checked; empty where it broke off and is asked for again.
    """

    stage: str
    text: str


@dataclass(frozen=True, slots=True)
class ModelCalled:
    """The chat model replied, or its reply was found in the cache; what it was sent is in ``call``.

    Calls that run side by side are told one after the other, each as soon as its reply is there.
    """

    call: ModelCall


@dataclass(frozen=True, slots=True)
class Answered:
    """The answer is there; always the last event of a question."""

    answer: Answer


Event = (
    DocumentAdded
    | QuestionRewritten
    | PassagesRetrieved
    | RouteChosen
    | BuildProgressed
    | StructureBuilt
    | StepTaken
    | ReplyGrew
    | ModelCalled
    | Answered
)
EventListener = Callable[[Event], None]


def ignore_event(event: Event) -> None:
    """Do nothing: the listener of callers that want no events."""
