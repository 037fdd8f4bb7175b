"""Which builder and which reasoner belong to which structure, imported when first used."""

from __future__ import annotations

from typing import TYPE_CHECKING

from structrag.errors import ConfigError
from structrag.types import StructureType

if TYPE_CHECKING:
    from structrag.config import RouterSettings
    from structrag.models.chat import ChatModel
    from structrag.router import Router
    from structrag.structures.building import Builder
    from structrag.utilizer.finding import Reasoner


def builder_and_reasoner(structure: StructureType) -> tuple[Builder, Reasoner]:
    """Return the two halves of a structure: what builds it and what reasons on it."""
    match structure:
        case StructureType.TABLE:
            from structrag.structures.table import TableBuilder
            from structrag.utilizer.table import TableReasoner

            return TableBuilder(), TableReasoner()
        case StructureType.GRAPH:
            from structrag.structures.graph import GraphBuilder
            from structrag.utilizer.graph import GraphReasoner

            return GraphBuilder(), GraphReasoner()
        case StructureType.ALGORITHM:
            from structrag.structures.algorithm import AlgorithmBuilder
            from structrag.utilizer.algorithm import AlgorithmReasoner

            return AlgorithmBuilder(), AlgorithmReasoner()
        case StructureType.CATALOGUE:
            from structrag.structures.catalogue import CatalogueBuilder
            from structrag.utilizer.catalogue import CatalogueReasoner

            return CatalogueBuilder(), CatalogueReasoner()
        case StructureType.CHUNK:
            from structrag.structures.chunk import ChunkBuilder
            from structrag.utilizer.chunk import ChunkReasoner

            return ChunkBuilder(), ChunkReasoner()


def load_router(settings: RouterSettings, chat: ChatModel) -> Router:
    """Return the configured router.

    Raises:
        ConfigError: ``router.name`` is neither ``chat`` nor ``fixed:<structure>``.
    """
    from structrag.router import ChatRouter, FixedRouter

    if settings.name == "chat":
        return ChatRouter(chat, unsure_below=settings.unsure_below)
    kind, _, structure = settings.name.partition(":")
    if kind == "fixed":
        return FixedRouter(StructureType.parse(structure))
    raise ConfigError(f"There is no router {settings.name!r}.", hint="Use `chat`, or `fixed:<structure>`.")
