"""The formats of exported structures, apart from their writers, so that the command line can name them at no cost."""

from __future__ import annotations

from collections.abc import Mapping
from enum import StrEnum

from structrag.types import StructureType


class ExportFormat(StrEnum):
    """What a structure can be written as; each fits some of the structures."""

    CSV = "csv"
    PARQUET = "parquet"
    XLSX = "xlsx"
    MD = "md"
    JSON = "json"
    GRAPHML = "graphml"
    MERMAID = "mermaid"
    SVG = "svg"
    PNG = "png"

    @property
    def is_text(self) -> bool:
        """Whether it is text in UTF-8."""
        return self not in (ExportFormat.PARQUET, ExportFormat.XLSX, ExportFormat.PNG)


_DRAWN = (ExportFormat.SVG, ExportFormat.MD, ExportFormat.JSON)
_LISTED = (ExportFormat.MD, ExportFormat.CSV, ExportFormat.JSON)
FORMATS: Mapping[StructureType, tuple[ExportFormat, ...]] = {
    StructureType.TABLE: (
        ExportFormat.CSV,
        ExportFormat.PARQUET,
        ExportFormat.XLSX,
        ExportFormat.MD,
        ExportFormat.JSON,
    ),
    StructureType.GRAPH: (ExportFormat.GRAPHML, ExportFormat.MERMAID, *_DRAWN),
    StructureType.ALGORITHM: (ExportFormat.MERMAID, ExportFormat.GRAPHML, *_DRAWN),
    StructureType.CATALOGUE: _LISTED,
    StructureType.CHUNK: _LISTED,
}
"""Those that fit a structure, the usual one first."""
