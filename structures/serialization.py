"""Any structure back from the JSON that its ``to_dict`` wrote."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from structrag.structures.algorithm import Algorithm
from structrag.structures.catalogue import Catalogue
from structrag.structures.chunk import ChunkSet
from structrag.structures.graph import KnowledgeGraph
from structrag.structures.records import Record
from structrag.structures.table_set import TableSet
from structrag.types import Structure, StructureType

_KINDS: Mapping[str, Callable[[Mapping[str, Any]], Structure]] = {
    StructureType.TABLE: TableSet.from_dict,
    StructureType.GRAPH: KnowledgeGraph.from_dict,
    StructureType.ALGORITHM: Algorithm.from_dict,
    StructureType.CATALOGUE: Catalogue.from_dict,
    StructureType.CHUNK: ChunkSet.from_dict,
}


def structure_from_dict(data: Mapping[str, Any]) -> Structure:
    """Return the structure that ``to_dict`` wrote, such as the ``built`` of a kept answer.

    Raises:
        StoreError: The data is damaged or of another version; the message says where.
    """
    record = Record(data)
    kind = record.text("type")
    if kind not in _KINDS:
        raise record.wrong("type", f"one of {', '.join(_KINDS)}")
    return _KINDS[kind](data)
