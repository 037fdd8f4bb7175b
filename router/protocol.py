"""What every router does, and the one that always chooses the same."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

from structrag.types import DocumentProfile, Route, StructureType
from structrag.usage import UsageMeter


@dataclass(frozen=True, slots=True)
class RoutingRequest:
    """What a router sees: the question and what the retrieved documents are about, never their text."""

    question: str
    documents: tuple[DocumentProfile, ...] = ()


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
