"""A structure as a file, its evidence included.

A table is for spreadsheets and data frames, a graph and procedures for graph viewers and as pictures; all are there as
Markdown for people and as the JSON that `structrag.structures.serialization.structure_from_dict` reads back.
"""

from __future__ import annotations

import json
from dataclasses import replace

from structrag.errors import ConfigError
from structrag.structures.algorithm import Algorithm
from structrag.structures.catalogue import Catalogue
from structrag.structures.chunk import ChunkSet
from structrag.structures.exports.columns import Sheet, catalogue_sheet, chunk_sheet, table_sheet
from structrag.structures.exports.diagrams import diagram_of, to_graphml, to_mermaid
from structrag.structures.exports.formats import FORMATS, ExportFormat
from structrag.structures.exports.markdown import to_markdown
from structrag.structures.exports.sheets import to_csv, to_parquet, to_xlsx
from structrag.structures.exports.svg import to_svg
from structrag.structures.graph import KnowledgeGraph
from structrag.structures.table_set import Table, TableSet
from structrag.types import Structure

__all__ = ("ExportFormat", "export", "formats")


def formats(structure: Structure) -> tuple[ExportFormat, ...]:
    """Return the formats that fit a structure, the usual one first."""
    return FORMATS[structure.type]


def export(structure: Structure, format_: ExportFormat | str, *, table: str | None = None) -> bytes:
    """Return a structure as the content of a file.

    Args:
        structure: Any of the five.
        format_: One of `formats`.
        table: The name of the only table to write; CSV and Parquet need it where there are several.

    Raises:
        ConfigError: The format does not fit, or there is no such table; what fits is named.
        MissingExtraError: The format needs a package that is not installed.
    """
    chosen = _fitting(structure, format_)
    if table is not None:
        structure = _with_only(structure, table)
    match chosen:
        case ExportFormat.JSON:
            # ASCII, so that control characters of a document arrive escaped wherever the file is shown.
            return (json.dumps(structure.to_dict(), indent=2) + "\n").encode()
        case ExportFormat.MD:
            return to_markdown(structure)
        case ExportFormat.CSV:
            return to_csv(_one_sheet(structure))
        case ExportFormat.PARQUET:
            return to_parquet(_one_sheet(structure))
        case ExportFormat.XLSX:
            return to_xlsx([table_sheet(each) for each in _tables(structure)])
        case _:
            return _drawing(structure, chosen)


def _fitting(structure: Structure, format_: ExportFormat | str) -> ExportFormat:
    fitting = formats(structure)
    if format_ in fitting:
        return ExportFormat(format_)
    if format_ == ExportFormat.PNG and ExportFormat.SVG in fitting:
        raise ConfigError(
            "StructRAG draws pictures as svg only, not as png.",
            hint="Export svg and convert it, for example: rsvg-convert -o picture.png picture.svg",
        )
    raise ConfigError(
        f"{str(format_)!r} is no format for the structure {structure.type}.", hint=f"Use one of: {', '.join(fitting)}."
    )


def _drawing(structure: Structure, format_: ExportFormat) -> bytes:
    writers = {ExportFormat.GRAPHML: to_graphml, ExportFormat.MERMAID: to_mermaid, ExportFormat.SVG: to_svg}
    if not isinstance(structure, KnowledgeGraph | Algorithm):
        raise TypeError(f"{type(structure).__name__} cannot be drawn.")
    return writers[format_](diagram_of(structure))


def _tables(structure: Structure) -> tuple[Table, ...]:
    if not isinstance(structure, TableSet):
        raise TypeError(f"{type(structure).__name__} has no tables.")
    if not structure.tables:
        raise ConfigError("There is no table to export.")
    return structure.tables


def _one_sheet(structure: Structure) -> Sheet:
    match structure:
        case Catalogue():
            return catalogue_sheet(structure)
        case ChunkSet():
            return chunk_sheet(structure)
    first, *others = _tables(structure)
    if others:
        names = ", ".join(each.name for each in (first, *others))
        raise ConfigError(
            f"There are {len(others) + 1} tables, and this format holds one.",
            hint=f"Choose one by its name ({names}), or export xlsx, which holds all.",
        )
    return table_sheet(first)


def _with_only(structure: Structure, name: str) -> TableSet:
    if not isinstance(structure, TableSet):
        raise ConfigError(f"The structure {structure.type} has no tables to choose from.")
    found = tuple(table for table in structure.tables if table.name == name)
    if not found:
        names = ", ".join(table.name for table in structure.tables)
        raise ConfigError(f"There is no table {name!r}.", hint=f"Use one of: {names}.")
    conflicts = tuple(conflict for conflict in structure.conflicts if conflict.table == name)
    return replace(structure, tables=found, conflicts=conflicts)
