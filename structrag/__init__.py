"""Answer questions over documents by way of the knowledge structure that fits the question.

The names below are imported when they are first used, so that ``import structrag`` stays light.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from structrag.errors import StructRAGError
    from structrag.pipeline import StructRAG
    from structrag.types import Answer, Citation, Evidence, Route, Span, StructureType
    from structrag.usage import Usage

__version__ = "0.1.0"

_HOMES = {
    "Answer": "structrag.types",
    "Citation": "structrag.types",
    "Evidence": "structrag.types",
    "Route": "structrag.types",
    "Span": "structrag.types",
    "StructRAG": "structrag.pipeline",
    "StructRAGError": "structrag.errors",
    "StructureType": "structrag.types",
    "Usage": "structrag.usage",
}

__all__ = [
    "Answer",
    "Citation",
    "Evidence",
    "Route",
    "Span",
    "StructRAG",
    "StructRAGError",
    "StructureType",
    "Usage",
    "__version__",
]


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(_HOMES[name]), name)


def __dir__() -> list[str]:
    return sorted(__all__)
