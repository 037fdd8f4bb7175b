"""Edits of items that look the same: the one that was meant changes, or none does, and the reason is told."""

from __future__ import annotations

import json
from dataclasses import replace

import pytest

from structrag.errors import ConfigError, StoreError
from structrag.structures.catalogue import Catalogue
from structrag.structures.catalogue_parse import parse_topics
from structrag.structures.edits import (
    Edit,
    EditedStructure,
    KeptEdit,
    apply_edits,
    cell_edit,
    edit_from_dict,
    edit_to_dict,
    fact_addition,
    fact_change,
    fact_removal,
    member_move,
    merge_edit,
    problem_of,
    topic_rename,
)
from structrag.structures.edits_records import TargetGoneError
from structrag.structures.edits_twins import anchor_among, meant_span
from structrag.structures.graph import Fact, KnowledgeGraph
from structrag.structures.graph_parse import parse_facts
from structrag.structures.table_set import Cell, Column, ColumnType, Row, Table, TableSet
from structrag.types import Evidence, SourceDocument, Span, Structure

SENTENCE = "Alder earned 50 in 2020 and 57 in 2021."


def keep(edit: Edit, number: int = 1) -> KeptEdit:
    return KeptEdit(number, "2026-11-22T10:00:00+00:00", "person", edit)


def applied(structure: Structure, edit: Edit) -> EditedStructure:
    return apply_edits(structure, [keep(edit)])


def at(start: int, quote: str, document: str = "a") -> Evidence:
    return Evidence(Span(document, start, start + len(quote)), quote)


def table(name: str, *cells: tuple[str, int, str]) -> Table:
    """A table of what Alder earned: each cell with its place and the words that it rests on."""
    columns = (Column("firm", "Firm"), Column("revenue", "Revenue", ColumnType.NUMBER))
    rows = (
        Row("a", (Cell("Alder", "Alder", at(start, quote)), Cell(raw, float(raw), at(start, quote))))
        for raw, start, quote in cells
    )
    return Table(name, name, columns, tuple(rows), "firm")


def shown(*tables: Table) -> TableSet:
    return TableSet(tables, ("a",), ("a",))


def revenues(structure: Structure) -> list[list[str]]:
    assert isinstance(structure, TableSet)
    return [[row.cells[1].raw for row in each.rows] for each in structure.tables]


def reason(structure: Structure, edit: Edit) -> str:
    (left,) = applied(structure, edit).unapplied
    return left.reason


class TestTables:
    def test_of_two_tables_of_a_document_the_one_that_was_meant_changes(self) -> None:
        both = shown(table("one", ("1", 10, "1")), table("two", ("2", 50, "2")))
        assert revenues(applied(both, cell_edit(both, "two", 0, "revenue", "9")).structure) == [["1"], ["9"]]
        equal = shown(table("one", ("1", 10, "1")), table("two", ("1", 50, "1")))
        assert revenues(applied(equal, cell_edit(equal, "two", 0, "revenue", "9")).structure) == [["1"], ["9"]]

    def test_tables_that_show_one_cell_change_together(self) -> None:
        both = shown(table("one", ("1", 10, "1")), table("two", ("1", 10, "1")))
        assert revenues(applied(both, cell_edit(both, "two", 0, "revenue", "9")).structure) == [["9"], ["9"]]

    def test_of_two_rows_on_one_sentence_the_one_with_the_value_changes(self) -> None:
        structure = shown(table("one", ("50", 10, SENTENCE), ("57", 10, SENTENCE)))
        edit = cell_edit(structure, "one", 1, "revenue", "60")
        assert revenues(applied(structure, edit).structure) == [["50", "60"]]

    def test_rows_that_nothing_tells_apart_are_refused(self) -> None:
        structure = shown(table("one", ("50", 10, SENTENCE), ("50", 10, SENTENCE)))
        with pytest.raises(ConfigError, match="it is ambiguous, as rows of the table 'one'"):
            cell_edit(structure, "one", 1, "revenue", "60")
        before = shown(table("one", ("50", 10, SENTENCE)))
        assert "ambiguous" in reason(structure, cell_edit(before, "one", 0, "revenue", "60"))

    def test_text_put_before_twins_does_not_change_which_is_meant(self) -> None:
        edit = cell_edit(shown(table("one", ("1", 10, "1"), ("1", 30, "1"))), "one", 0, "revenue", "9")
        later = shown(table("one", ("1", 28, "1"), ("1", 48, "1")))
        assert revenues(applied(later, edit).structure) == [["9", "1"]]
        further = shown(table("one", ("1", 10, "1"), ("1", 30, "1"), ("1", 50, "1")))
        assert "3 places fit it, but 2 did" in reason(further, edit)
        assert "1 places fit it, but 2 did" in reason(shown(table("one", ("1", 10, "1"))), edit)

    def test_a_cell_that_no_document_speaks_of_is_refused(self) -> None:
        columns = (Column("x", "X", ColumnType.NUMBER), Column("y", "Y", ColumnType.NUMBER))
        found = Table("figures", "Figures", columns, (Row("", (Cell("", None), Cell("", None))),))
        with pytest.raises(ConfigError, match="no document speaks of this cell"):
            cell_edit(TableSet((found,), ("a",)), "figures", 0, "x", "9")


def graph(*starts: int) -> KnowledgeGraph:
    return KnowledgeGraph(
        tuple(Fact("Birch", "owns", "Elm", "Birch owns Elm", at(start, "Birch owns Elm.")) for start in starts)
    )


class TestEdges:
    def test_text_put_before_twins_does_not_change_which_is_meant(self) -> None:
        now, later = graph(0, 100), graph(90, 190)
        for edit in (fact_removal(now.facts[0], now), fact_change(now.facts[0], "Birch", "sold", "Elm", now)):
            structure = applied(later, edit).structure
            assert isinstance(structure, KnowledgeGraph)
            assert [fact.evidence.span.start for fact in structure.facts if fact.relation == "owns"] == [190]
            assert "1 places fit it, but 2 did" in reason(graph(0), edit)

    def test_an_added_edge_stays_where_it_was_added(self) -> None:
        edit = fact_addition(graph(0, 100), "Birch", "sold", "Oak")
        structure = applied(graph(90, 190), edit).structure
        assert isinstance(structure, KnowledgeGraph)
        assert structure.facts[-1].evidence.span.start == 90
        assert "3 places fit it, but 2 did" in reason(graph(0, 9, 100), edit)


MINUTES = "# Minutes\n\n## Roof\n\nDone.\n\n## Garden\n\nDone.\n\n## Cellar\n\nIt is dry.\n"


def catalogue(*texts: str) -> Catalogue:
    found = (parse_topics(SourceDocument(f"m{n}", "Minutes", text, "hash")) for n, text in enumerate(texts))
    return Catalogue(tuple(topic for topic in found if topic is not None))


class TestTopics:
    def test_text_put_before_twins_does_not_change_which_is_meant(self) -> None:
        now = catalogue(MINUTES)
        _, garden, cellar = now.documents[0].children
        edit = member_move(garden.members[0], cellar, now)
        assert (edit.place.nth, edit.place.of) == (2, 2)
        later = catalogue(MINUTES.replace("## Roof", "## Roof of the house, which leaks all the time"))
        far = replace(edit, place=replace(edit.place, start=0))  # the first one is the nearest
        for each in (edit, far):
            structure = applied(later, each).structure
            assert isinstance(structure, Catalogue)
            assert [len(topic.members) for topic in structure.documents[0].children] == [1, 0, 2]
        assert "1 places fit it, but 2 did" in reason(catalogue(MINUTES.replace("Done.", "Begun.", 1)), edit)

    def test_topics_of_the_same_words_are_counted_too(self) -> None:
        text = "# Minutes\n\n## Roof\n\nIt leaks.\n\n## Roof\n\nIt is dry.\n"
        now = catalogue(text)
        edit = replace(topic_rename(now.documents[0].children[1], "Loft", now))
        far = replace(edit, place=replace(edit.place, start=0))
        structure = applied(now, far).structure
        assert isinstance(structure, Catalogue)
        assert [topic.title for topic in structure.documents[0].children] == ["Roof", "Loft"]

    def test_a_topic_of_a_document_that_is_not_there_is_not_said_to_be_gone(self) -> None:
        now = catalogue(MINUTES, MINUTES.replace("Cellar", "Attic"))
        edit = member_move(now.documents[0].children[0].members[0], now.documents[1].children[2], now)
        alone = applied(Catalogue(now.documents[:1]), edit)
        assert (alone.applied, alone.unapplied) == ((), ())
        assert len(applied(now, edit).applied) == 1


class TestAnchors:
    def test_edits_of_before_are_read_and_mean_the_nearest(self) -> None:
        now = graph(0, 100)
        data = json.loads(json.dumps(edit_to_dict(fact_removal(now.facts[1], now))))
        assert (data["place"].pop("nth"), data["place"].pop("of")) == (2, 2)
        structure = applied(now, edit_from_dict(data)).structure
        assert isinstance(structure, KnowledgeGraph)
        assert [fact.evidence.span.start for fact in structure.facts] == [0]

    def test_of_two_equally_near_neither_is_taken(self) -> None:
        anchor = replace(anchor_among(at(20, "x"), []), nth=0, of=0)
        with pytest.raises(TargetGoneError, match="several places fit it equally well"):
            meant_span(anchor, [at(10, "x"), at(30, "x")])


def test_edits_by_name_live_while_a_document_has_the_name() -> None:
    text = "Ann Lee runs Alder. K. Moor met Ann Lee."
    people = parse_facts([SourceDocument("people", "People", text, "hash")])
    others = [SourceDocument("others", "Others", "K. Moor left.", "hash")]
    merge = keep(merge_edit(people, "K. Moor", "Ann Lee"))
    assert problem_of(merge, others) == ""
    assert problem_of(keep(fact_addition(people, "K. Moor", "knows", "Oak")), others) == ""
    nobody = [SourceDocument("others", "Others", "K. Moorland left.", "hash")]
    assert "no longer in the corpus" in problem_of(merge, nobody)


@pytest.mark.parametrize("data", [[], "x", None, 3, {"kind": "cell", "place": "x"}, {"kind": []}])
def test_what_is_no_record_is_a_store_error(data: object) -> None:
    with pytest.raises(StoreError, match="edit 7 cannot be read"):
        edit_from_dict(data, number=7)  # type: ignore[arg-type]
