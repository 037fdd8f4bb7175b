"""Structures to JSON and back: nothing is lost, and damaged data is an error that says where."""

import json
from collections.abc import Iterator
from datetime import date
from typing import Any

import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from structrag.errors import StoreError
from structrag.structures.algorithm import Algorithm, Branch, Procedure, Step
from structrag.structures.algorithm_parse import parse_procedures
from structrag.structures.catalogue import Catalogue, Member, Topic
from structrag.structures.catalogue_parse import parse_topics
from structrag.structures.chunk import ChunkSet
from structrag.structures.graph import Fact, KnowledgeGraph
from structrag.structures.graph_parse import parse_facts
from structrag.structures.serialization import structure_from_dict
from structrag.structures.table import parse_tables
from structrag.structures.table_set import Cell, Column, ColumnType, Conflict, Row, Table, TableSet
from structrag.structures.table_union import find_conflicts
from structrag.types import Evidence, Passage, SourceDocument, Span, Structure

TEXT = st.text(max_size=8)
OFFSETS = st.integers(0, 10**6)
EVIDENCE = st.builds(Evidence, st.builds(Span, TEXT, OFFSETS, OFFSETS), TEXT, st.booleans())
VALUES: dict[ColumnType, st.SearchStrategy[Any]] = {
    ColumnType.NUMBER: st.integers(-(10**9), 10**9) | st.floats(allow_nan=False),
    ColumnType.TEXT: TEXT,
    ColumnType.DATE: st.dates(),
    ColumnType.BOOLEAN: st.booleans(),
}


def up_to(strategy: st.SearchStrategy[Any], count: int) -> st.SearchStrategy[tuple[Any, ...]]:
    return st.lists(strategy, max_size=count).map(tuple)


def cells(column: Column) -> st.SearchStrategy[Cell]:
    return st.builds(Cell, TEXT, st.none() | VALUES[column.type], st.none() | EVIDENCE)


@st.composite
def tables(draw: st.DrawFn) -> Table:
    names = draw(st.lists(st.sampled_from(["a", "b", "c", "d"]), max_size=3, unique=True))
    columns = [Column(name, draw(TEXT), draw(st.sampled_from(ColumnType)), draw(TEXT)) for name in names]
    rows = st.builds(Row, TEXT, st.tuples(*(cells(column) for column in columns)), st.booleans())
    key = draw(st.sampled_from(["", *names]))
    return Table(draw(TEXT), draw(TEXT), tuple(columns), draw(up_to(rows, 3)), key)


@st.composite
def table_sets(draw: st.DrawFn) -> TableSet:
    found: list[Table] = draw(st.lists(tables(), max_size=2, unique_by=lambda table: table.name))
    conflicts = [
        Conflict(table.name, draw(TEXT), column.name, draw(up_to(cells(column), 2)))
        for table in found
        for column in table.columns[:1]
    ]
    return TableSet(tuple(found), draw(up_to(TEXT, 2)), draw(up_to(TEXT, 2)), tuple(conflicts))


GRAPHS = st.builds(
    KnowledgeGraph, up_to(st.builds(Fact, TEXT, TEXT, TEXT, TEXT, EVIDENCE), 3), st.dictionaries(TEXT, TEXT, max_size=3)
)
BRANCHES = st.builds(Branch, TEXT, st.none() | TEXT, TEXT)
STEPS = st.builds(Step, TEXT, TEXT, EVIDENCE, up_to(BRANCHES, 2))
PROCEDURES = st.builds(Procedure, TEXT, TEXT, up_to(STEPS, 3), up_to(st.tuples(TEXT, EVIDENCE), 2))
ALGORITHMS = st.builds(Algorithm, up_to(PROCEDURES, 2), up_to(TEXT, 2))


def topic(title: str, evidence: Evidence, members: tuple[Member, ...], children: tuple[Topic, ...] = ()) -> Topic:
    return Topic(title, evidence.span.document_id, evidence, members, children)


MEMBERS = up_to(st.builds(Member, TEXT, EVIDENCE), 2)
TOPICS = st.recursive(
    st.builds(topic, TEXT, EVIDENCE, MEMBERS),
    lambda below: st.builds(topic, TEXT, EVIDENCE, MEMBERS, up_to(below, 2)),
    max_leaves=4,
)
CATALOGUES = st.builds(Catalogue, up_to(TOPICS, 2), up_to(TEXT, 2))
PASSAGES = st.builds(Passage, st.builds(Span, TEXT, OFFSETS, OFFSETS), TEXT, TEXT, st.floats(0, 1))
CHUNKS = st.builds(ChunkSet, up_to(PASSAGES, 3))
STRUCTURES: st.SearchStrategy[Structure] = table_sets() | GRAPHS | ALGORITHMS | CATALOGUES | CHUNKS


def kept(structure: Structure) -> Any:
    """What a corpus gives back of a structure."""
    return json.loads(json.dumps(structure.to_dict()))


@pytest.mark.parametrize("strategy", [table_sets(), GRAPHS, ALGORITHMS, CATALOGUES, CHUNKS])
@settings(max_examples=40)
@given(data=st.data())
def test_what_was_written_is_read_back_whole(strategy: st.SearchStrategy[Structure], data: st.DataObject) -> None:
    structure = data.draw(strategy)
    found = structure_from_dict(kept(structure))
    assert found == structure
    assert type(found) is type(structure)
    assert found.evidence() == structure.evidence()
    assert found.render() == structure.render()
    assert kept(found) == kept(structure)


TEXT_OF_ALL = """# Katrin Moor at Alder

- The tank is full.

1. Is it hot? If yes, go to 2. If no, stop.
2. Call Birk Group.

| Site | Staff | Opened | Listed |
|---|---|---|---|
| Oslo | 1,540 | 4 May 1998 | yes |
| Graz | – | 12 June 2004 | no |
"""


def parsed() -> Iterator[Structure]:
    first = SourceDocument("a.md", "Alder", TEXT_OF_ALL, "1")
    other = SourceDocument("b.md", "Alder", TEXT_OF_ALL.replace("1,540", "1,700"), "2")
    found = tuple(parse_tables([first, other]))
    yield TableSet(found, ("a.md", "b.md"), ("a.md",), find_conflicts(found))
    yield parse_facts([first, other])
    yield Algorithm(tuple(parse_procedures(first)), ("c.md",))
    outline = parse_topics(first)
    assert outline is not None
    yield Catalogue((outline,), ("c.md",))
    yield ChunkSet((Passage(Span("a.md", 2, 13), "Katrin Moor", "Alder", 1 / 61),))


@pytest.mark.parametrize("structure", list(parsed()), ids=lambda structure: str(structure.type))
def test_what_the_parsers_build_is_read_back_whole(structure: Structure) -> None:
    assert structure.evidence()
    assert structure_from_dict(kept(structure)) == structure


def test_values_keep_their_types() -> None:
    table_set = next(parsed())
    assert isinstance(table_set, TableSet)
    assert table_set.conflicts
    found = structure_from_dict(kept(table_set))
    assert isinstance(found, TableSet)
    values = [cell.value for cell in found.tables[0].rows[0].cells]
    assert values == ["Alder", "Oslo", 1540.0, date(1998, 5, 4), True]
    assert [type(value) for value in values] == [str, str, float, date, bool]
    assert found.tables[0].key == table_set.tables[0].key == "site"


def fields(data: Any) -> Iterator[dict[str, Any]]:
    """All objects of the data whose keys we chose."""
    if isinstance(data, list):
        for item in data:
            yield from fields(item)
    elif isinstance(data, dict):
        yield data
        for name, item in data.items():
            if name != "aliases":
                yield from fields(item)


LATER = frozenset({"query", "left_out", "edits", "further"})
"""What answers of earlier versions lack."""


@given(st.data())
def test_a_structure_of_an_earlier_version_is_read(data: st.DataObject) -> None:
    structure = data.draw(STRUCTURES)
    written = kept(structure)
    for holder in fields(written):
        for name in LATER & set(holder):
            del holder[name]
    assert structure_from_dict(written).type is structure.type


@given(st.data())
def test_a_field_that_is_missing_is_named(data: st.DataObject) -> None:
    written = kept(data.draw(STRUCTURES))
    holder = data.draw(st.sampled_from(list(fields(written))))
    name = data.draw(st.sampled_from(sorted(set(holder) - LATER) or ["type"]))
    assume(name in holder)
    del holder[name]
    with pytest.raises(StoreError, match=f"has no '{name}'") as caught:
        structure_from_dict(written)
    assert caught.value.exit_code == 2
    assert "again" in (caught.value.hint or "")


@given(st.data(), st.sampled_from([None, 1.5, 3, True, "x", [], [1], {}, {"x": 1}]))
def test_a_wrong_value_is_no_other_error(data: st.DataObject, wrong: object) -> None:
    written = kept(data.draw(STRUCTURES))
    holder = data.draw(st.sampled_from(list(fields(written))))
    holder[data.draw(st.sampled_from(sorted(holder)))] = wrong
    before = json.dumps(written)
    try:
        found = structure_from_dict(written)
    except StoreError:
        return
    # The field may hold this too; then that is what is read.
    assert json.dumps(kept(found)) == before


def damaged_table(**changes: Any) -> dict[str, Any]:
    column = {"name": "opened", "label": "Opened", "type": "date", "unit": ""}
    cell = {"raw": "x", "value": "2024-01-31", "evidence": None}
    table = {"name": "t", "title": "T", "key": "", "columns": [column], "rows": []}
    table["rows"] = [{"document": "a", "is_total": False, "cells": [cell]}]
    return {"type": "table", "tables": [table | changes], "asked": [], "covered": [], "conflicts": []}


@pytest.mark.parametrize(
    ("data", "message"),
    [
        ([], "the structure is no object"),
        ({}, "the structure has no 'type'"),
        ({"type": "tree"}, "'type' of the structure is not one of table, graph"),
        ({"type": ["table"]}, "'type' of the structure is not text"),
        ({"type": "chunk", "passages": {}}, "'passages' of the structure is not a list"),
        ({"type": "chunk", "passages": ["x"]}, "the structure, passages 1 is no object"),
        ({"type": "graph", "facts": [], "aliases": {"A": 1}}, "'aliases' of the structure is not an object of texts"),
        ({"type": "catalogue", "documents": [], "unplaced": [1]}, "'unplaced' of the structure is not a list of texts"),
        (damaged_table(key="closed"), "'key' of the structure, tables 1 is not one of its columns"),
        (damaged_table(columns=[]), "'cells' of the structure, tables 1, rows 1 is not a list of 0"),
        (
            damaged_table(
                rows=[{"document": "a", "is_total": False, "cells": [{"raw": "x", "value": "soon", "evidence": None}]}]
            ),
            "'value' of the structure, tables 1, rows 1, cells 1 is not a date",
        ),
        (
            damaged_table(columns=[{"name": "opened", "label": "", "type": "time", "unit": ""}]),
            "'type' of the structure, tables 1, columns 1 is not one of number, text, date, boolean",
        ),
        (
            damaged_table(columns=[{"name": "n", "label": "", "type": "text", "unit": ""}] * 2),
            "'columns' of the structure, tables 1 is not a list of different names",
        ),
        (
            damaged_table() | {"conflicts": [{"table": "t", "key": "", "column": "closed", "cells": []}]},
            "'column' of the structure, conflicts 1 is not a column of its table",
        ),
    ],
)
def test_damage_is_placed(data: Any, message: str) -> None:
    with pytest.raises(StoreError) as caught:
        structure_from_dict(data)
    assert message in caught.value.message


def test_the_undamaged_table_of_these_tests_is_read() -> None:
    found = structure_from_dict(damaged_table())
    assert isinstance(found, TableSet)
    assert found.tables[0].rows[0].cells[0].value == date(2024, 1, 31)
