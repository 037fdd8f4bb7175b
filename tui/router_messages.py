"""What worker threads tell the router screen."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from textual.message import Message

from structrag.errors import StructRAGError

if TYPE_CHECKING:
    from structrag.router.comparison import Comparison
    from structrag.router.preferences import PreferencePair
    from structrag.router.retraining import Retraining
    from structrag.router.training_settings import TrainingStep
    from structrag.router.versions import RouterVersion
    from structrag.tui.routers import Measurement


@dataclass(eq=False, repr=False)
class VersionsRead(Message):
    """There are these versions."""

    versions: Sequence[RouterVersion]


@dataclass(eq=False, repr=False)
class PreferencesRead(Message):
    """The corpus keeps these preferences, by number."""

    preferences: Mapping[int, PreferencePair]


@dataclass(eq=False, repr=False)
class RouterFailed(Message):
    """Something could not be done with the router."""

    error: StructRAGError


@dataclass(eq=False, repr=False)
class MeasuringProgressed(Message):
    """So many of the held-out questions are routed."""

    done: int
    total: int


@dataclass(eq=False, repr=False)
class Measured(Message):
    """A version was measured."""

    measurement: Measurement


@dataclass(eq=False, repr=False)
class TrainingBegun(Message):
    """A training on so many preferences begins."""

    pairs: int


@dataclass(eq=False, repr=False)
class TrainingProgressed(Message):
    """A training got further."""

    step: TrainingStep


@dataclass(eq=False, repr=False)
class TrainingEnded(Message):
    """A training came to its end: with a result, stopped, or by an error."""

    result: Retraining | None = None
    error: StructRAGError | None = None


@dataclass(eq=False, repr=False)
class Compared(Message):
    """A version was compared with the active one; ``comparison`` is ``None`` where that was not possible."""

    version: str
    comparison: Comparison | None
    told: str


@dataclass(eq=False, repr=False)
class RouterChanged(Message):
    """Another version is in use."""

    version: str
