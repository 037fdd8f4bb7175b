"""Which builder and which reasoner belong to which structure, imported when first used."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from structrag.config import BUILT_IN
from structrag.errors import ConfigError
from structrag.types import StructureType

if TYPE_CHECKING:
    from structrag.config import BuilderSettings, Settings
    from structrag.models.chat import ChatModel
    from structrag.router import Router
    from structrag.structures.building import Builder
    from structrag.utilizer.finding import Reasoner

ROUTER_GROUP = "structrag.routers"
"""Entry points of this group are called without arguments and return a `Router`."""
BUILDER_GROUP = "structrag.builders"
"""Entry points of this group are called without arguments and return a `Builder`."""


def builder_and_reasoner(structure: StructureType, settings: BuilderSettings) -> tuple[Builder, Reasoner]:
    """Return the two halves of a structure: what builds it and what reasons on it.

    Raises:
        ConfigError: The settings name a builder that is not there or builds another structure.
    """
    builder, reasoner = _built_in(structure)
    name = getattr(settings, structure.value)
    return (builder if name == BUILT_IN else _offered_builder(name, structure)), reasoner


def _built_in(structure: StructureType) -> tuple[Builder, Reasoner]:
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


def load_router(settings: Settings, chat: ChatModel) -> Router:
    """Return the configured router; the trained one reads its files when it is first asked.

    Raises:
        ConfigError: ``router.name`` names no router.
    """
    from structrag.router import ChatRouter, FixedRouter

    kind, _, which = settings.router.name.partition(":")
    if kind == "policy":
        return _policy_router(settings, which)
    if kind == "chat" and not which:
        return ChatRouter(chat, unsure_below=settings.router.unsure_below)
    if kind == "fixed":
        return FixedRouter(StructureType.parse(which))
    return _offered_router(settings.router.name)


def _policy_router(settings: Settings, version: str) -> Router:
    from structrag.router.policy_router import PolicyRouter
    from structrag.router.versions import VersionStore

    versions = VersionStore(settings.router.versions)
    return PolicyRouter(
        lambda: versions.folder(version or versions.active()),
        settings.models.cache,
        unsure_below=settings.router.unsure_below,
    )


def _offered_router(name: str) -> Router:
    from structrag.router import Router

    known = ["policy", "policy:<version>", "chat", "fixed:<structure>"]
    router = _offered("router", ROUTER_GROUP, name, "router.name", known)
    if not isinstance(router, Router):
        raise ConfigError(f"The router {name!r} has no name or no route().")
    return router


def _offered_builder(name: str, structure: StructureType) -> Builder:
    from structrag.structures.building import Builder

    builder = _offered("builder", BUILDER_GROUP, name, f"builders.{structure}", [BUILT_IN])
    if not isinstance(builder, Builder) or builder.type != structure:
        raise ConfigError(f"The builder {name!r} does not build the structure {structure}.")
    return builder


def _offered(kind: str, group: str, name: str, setting: str, known: Sequence[str]) -> object:
    """Return what an installed package offers under this name, made."""
    from importlib.metadata import entry_points

    offered = {point.name: point for point in entry_points(group=group)}
    if name not in offered:
        raise ConfigError(
            f"There is no {kind} {name!r}.", hint=f"`{setting}` is one of: {', '.join([*known, *sorted(offered)])}."
        )
    try:
        made: object = offered[name].load()()
    except (ImportError, AttributeError, TypeError) as error:
        raise ConfigError(
            f"The {kind} {name!r} of {offered[name].value} cannot be made: {error}.",
            hint="It must be importable and callable without arguments.",
        ) from error
    return made
