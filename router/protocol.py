"""What every router does, and the one that always chooses the same."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol, runtime_checkable

from structrag.types import DocumentProfile, Route, StructureType
from structrag.usage import UsageMeter

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray


@dataclass(frozen=True, slots=True)
class RoutingRequest:
    """What a router sees: the question and what the retrieved documents are about, never their text."""

    question: str
    documents: tuple[DocumentProfile, ...] = ()


@runtime_checkable
class Router(Protocol):
    """Chooses a structure for a question."""

    @property
    def name(self) -> str:
        """How routes say who made them."""
        ...

    def route(self, request: RoutingRequest, meter: UsageMeter) -> Route:
        """Return the route.

        Raises:
            RoutingError: No structure could be chosen; there is no default.
        """
        ...


@runtime_checkable
class ScoringRouter(Router, Protocol):
    """A router cheap enough to be asked the same question without each of its words."""

    def probabilities(self, requests: Sequence[RoutingRequest]) -> NDArray[np.floating]:
        """Return calibrated probabilities, shape ``(len(requests), 5)``, in the order of `StructureType`."""
        ...


@dataclass(frozen=True, slots=True)
class FixedRouter:
    """Chooses the same structure for every question."""

    structure: StructureType

    @property
    def name(self) -> str:
        """``fixed:`` and the structure."""
        return f"fixed:{self.structure}"

    def route(self, request: RoutingRequest, meter: UsageMeter) -> Route:
        """Return the structure with probability 1."""
        return Route(
            question=request.question,
            probabilities={s: float(s is self.structure) for s in StructureType},
            unsure=False,
            router=self.name,
        )
