"""What each kind of edit does to its structure, and why it may not apply."""

from __future__ import annotations

import time
from datetime import date

import pytest

from structrag.errors import ConfigError
from structrag.structures.algorithm import Algorithm, Procedure
from structrag.structures.algorithm_parse import parse_procedures
from structrag.structures.catalogue import Catalogue, Topic
from structrag.structures.catalogue_parse import parse_topics
from structrag.structures.edits import (
    Edit,
    KeptEdit,
    apply_edits,
    branch_edit,
    cell_edit,
    fact_addition,
    fact_change,
    fact_removal,
    member_move,
    merge_edit,
    step_text_edit,
    topic_rename,
)
from structrag.structures.graph import Fact, KnowledgeGraph
from structrag.structures.graph_parse import parse_facts
from structrag.structures.table import parse_tables
from structrag.structures.table_set import Cell, Column, ColumnType, Row, Table, TableSet
from structrag.structures.table_union import find_conflicts
from structrag.types import Evidence, SourceDocument, Span, Structure

FIRMS = """# Firms

| Firm | Revenue (EUR million) | Founded | Listed |
|---|---|---|---|
| Alder | 412 | 1998-03-01 | yes |
| Birch | 97 | 2004-07-15 | no |
| Corvina | 12 | 2011-01-09 | no |
"""
PEOPLE = "# People\n\nAnn Lee runs Alder. Bo Quist runs Birch. Birch owns Corvina. K. Moor met Ann Lee.\n"
KILN = """# Kiln

1. Open the damper by 3 turns.
2. Is the gauge above 2 bar? If yes, go to step 4. If no, go to step 3.
3. Light the burner.
4. Wait until it shows 80 degrees.
"""
MINUTES = "# Minutes\n\n## Roof\n\nThe roof leaks. A quote is awaited.\n\n## Garden\n\nThe hedge is cut.\n"


def document(name: str, text: str) -> SourceDocument:
    return SourceDocument(name, name.capitalize(), text, f"hash of {text}")


def tables(*texts: str) -> TableSet:
    documents = [document(f"firms{n or ''}", text) for n, text in enumerate(texts or (FIRMS,))]
    found = parse_tables(documents)
    ids = tuple(each.id for each in documents)
    return TableSet(tuple(found), ids, ids, find_conflicts(found))


def graph(text: str = PEOPLE) -> KnowledgeGraph:
    return parse_facts([document("people", text)])


def procedure(text: str = KILN) -> Procedure:
    return parse_procedures(document("kiln", text))[0]


def minutes(text: str = MINUTES) -> Topic:
    topic = parse_topics(document("minutes", text))
    assert topic is not None
    return topic


def edit_of(column: str, row: int, value: str) -> Edit:
    return cell_edit(tables(), tables().tables[0].name, row, column, value)


def keep(edit: Edit, number: int = 1) -> KeptEdit:
    return KeptEdit(number, "2026-11-22T10:00:00+00:00", "person", edit)


def reason(structure: Structure, edit: Edit) -> str:
    (left,) = apply_edits(structure, [keep(edit)]).unapplied
    return left.reason


def edited_cell(structure: TableSet, edit: Edit, row: int, column: str) -> Cell:
    changed = apply_edits(structure, [keep(edit)])
    assert not changed.unapplied
    assert isinstance(changed.structure, TableSet)
    table = changed.structure.tables[0]
    return table.rows[row].cells[table.column_index(column)]


def facts(structure: Structure) -> list[tuple[str, str, str]]:
    assert isinstance(structure, KnowledgeGraph)
    return [(fact.head, fact.relation, fact.tail) for fact in structure.facts]


class TestCells:
    @pytest.mark.parametrize(
        ("column", "value", "wanted"),
        [
            ("revenue", "57", 57.0),
            ("revenue", "EUR 57 million", 57.0),
            ("revenue", "57,000,000 EUR", 57.0),
            ("founded", "30 November 2001", date(2001, 11, 30)),
            ("listed", "no", False),
            ("firm", " Alder  Group ", "Alder Group"),
            ("revenue", "  ", None),
        ],
    )
    def test_a_value_is_read_as_its_column_is(self, column: str, value: str, wanted: object) -> None:
        cell = edited_cell(tables(), edit_of(column, 0, value), 0, column)
        assert (cell.raw, cell.value) == (value.strip(), wanted)

    @pytest.mark.parametrize(
        ("column", "value", "hint"),
        [
            ("revenue", "a lot", "numbers in EUR million"),
            ("revenue", "57 kg", "numbers in EUR million"),
            ("founded", "soon", "dates"),
            ("listed", "perhaps", "yes or no"),
        ],
    )
    def test_what_does_not_suit_the_column_is_refused(self, column: str, value: str, hint: str) -> None:
        with pytest.raises(ConfigError, match="does not suit the column") as caught:
            edit_of(column, 0, value)
        assert hint in (caught.value.hint or "")

    @pytest.mark.parametrize(("table", "row", "column"), [("firms", 9, "firm"), ("firms", -1, "firm"), ("x", 0, "firm"), ("firms", 0, "x")])  # fmt: skip
    def test_a_cell_that_is_not_there_is_refused(self, table: str, row: int, column: str) -> None:
        with pytest.raises(ConfigError, match="no cell in column"):
            cell_edit(tables(), table, row, column, "1")

    def test_its_evidence_stands_where_it_stood_and_says_who_says_so(self) -> None:
        cell = edited_cell(tables(), edit_of("revenue", 0, "57"), 0, "revenue")
        assert cell.evidence is not None
        assert FIRMS[cell.evidence.span.start : cell.evidence.span.end] == cell.evidence.quote == "412"
        assert cell.evidence.edited == "edited by a person on 2026-11-22: 57"
        assert cell.evidence.words == "412 (edited by a person on 2026-11-22: 57)"
        assert cell.evidence.edits[0].before == "412"

    def test_rows_in_another_order_are_no_matter(self) -> None:
        lines = FIRMS.splitlines(keepends=True)
        later = "".join([*lines[:4], lines[6], lines[4], lines[5]])
        assert edited_cell(tables(later), edit_of("revenue", 0, "57"), 1, "revenue").value == 57.0

    def test_a_document_that_says_something_else_now_is_not_overruled(self) -> None:
        edit = edit_of("revenue", 0, "57")
        assert reason(tables(FIRMS.replace("412", "500")), edit) == "the document now says '500' there, not '412'"
        assert "no row about 'Alder'" in reason(tables(FIRMS.replace("Alder", "Elm")), edit)

    def test_a_cell_that_failed_its_check_rests_on_its_row_then(self) -> None:
        good = Evidence(Span("a", 0, 5), "Alder")
        failed = Evidence(Span("a", 0, 0), "99", verified=False)
        columns = (Column("firm", "Firm"), Column("staff", "Staff", ColumnType.NUMBER))
        row = Row("a", (Cell("Alder", "Alder", good), Cell("99", None, failed)))
        structure = TableSet((Table("firms", "Firms", columns, (row,), "firm"),), ("a",), ("a",))
        cell = edited_cell(structure, cell_edit(structure, "firms", 0, "staff", "9"), 0, "staff")
        assert cell.usable
        assert cell.evidence is not None
        assert (cell.evidence.span, cell.evidence.quote) == (good.span, "Alder")

    def test_the_same_sentence_below_another_name_is_the_same_value(self) -> None:
        def extracted(column: str, *, twice: bool = False) -> TableSet:
            said = Evidence(Span("a", 10, 40), "Alder had a revenue of 412 million.")
            named = Evidence(Span("a", 10, 15), "Alder")
            columns = [Column("firm", "Firm"), Column(column, column, ColumnType.NUMBER)]
            cells = [Cell("Alder", "Alder", named), Cell("412 million", 412e6, said)]
            if twice:
                columns.append(Column("sales", "sales", ColumnType.NUMBER))
                cells.append(cells[1])
            return TableSet((Table("firms", "Firms", tuple(columns), (Row("a", tuple(cells)),), "firm"),), ("a",))

        edit = cell_edit(extracted("revenue"), "firms", 0, "revenue", "57 million")
        assert edited_cell(extracted("turnover"), edit, 0, "turnover").value == 57e6
        unclear = apply_edits(extracted("turnover", twice=True), [keep(edit)])
        assert (unclear.applied, unclear.unapplied) == ((), ())

    def test_many_edits_of_a_large_table_take_no_time_to_speak_of(self) -> None:
        lines = "".join(f"| Firm {n} | {n} |\n" for n in range(2000))
        structure = tables(f"# Firms\n\n| Firm | Staff |\n|---|---|\n{lines}")
        name = structure.tables[0].name
        edits = [keep(cell_edit(structure, name, n, "staff", "7"), n + 1) for n in range(100)]
        started = time.process_time()
        changed = apply_edits(structure, edits)
        assert len(changed.applied) == 100
        assert time.process_time() - started < 2

    def test_a_conflict_that_an_edit_settles_is_none_any_more(self) -> None:
        structure = tables(FIRMS, FIRMS.replace("412", "500"))
        (conflict,) = structure.conflicts
        assert [each.raw for each in conflict.cells] == ["412", "500"]
        name = structure.tables[0].name
        settled = apply_edits(structure, [keep(cell_edit(structure, name, 0, "revenue", "500"))]).structure
        other = apply_edits(structure, [keep(cell_edit(structure, name, 0, "revenue", "600"))]).structure
        assert isinstance(settled, TableSet)
        assert isinstance(other, TableSet)
        assert settled.conflicts == ()
        cells = {id(cell) for table in other.tables for row in table.rows for cell in row.cells}
        assert [each.raw for each in other.conflicts[0].cells] == ["600", "500"]
        assert {id(each) for each in other.conflicts[0].cells} <= cells

    def test_of_several_documents_the_one_that_was_meant_changes(self) -> None:
        structure = tables(FIRMS, FIRMS)
        edit = cell_edit(structure, structure.tables[0].name, 3, "revenue", "57")
        assert edit.place.document == "firms1"
        assert edited_cell(structure, edit, 0, "revenue").raw == "412"
        assert edited_cell(structure, edit, 3, "revenue").raw == "57"


class TestEdges:
    def test_a_merged_name_takes_its_edges_along(self) -> None:
        merged = apply_edits(graph(), [keep(merge_edit(graph(), "K. Moor", "Bo Quist"))]).structure
        assert isinstance(merged, KnowledgeGraph)
        assert "K. Moor" not in merged.network
        assert ("Bo Quist", "met", "Ann Lee") in facts(merged)
        assert merged.aliases["K. Moor"] == "Bo Quist"
        touched = [fact for fact in merged.facts if fact.evidence.edits]
        assert [fact.evidence.edited for fact in touched] == ["edited by a person on 2026-11-22: K. Moor is Bo Quist"]

    def test_merging_goes_on_through_merged_names_and_leaves_no_loop(self) -> None:
        first = merge_edit(graph(), "K. Moor", "Bo Quist")
        second = merge_edit(graph(), "Bo Quist", "Ann Lee")
        merged = apply_edits(graph(), [keep(first, 1), keep(second, 2)]).structure
        assert isinstance(merged, KnowledgeGraph)
        assert set(merged.aliases.values()) == {"Ann Lee"}
        assert all(head != tail for head, _, tail in facts(merged))
        again = apply_edits(graph(), [keep(second, 1), keep(first, 2)]).structure
        assert isinstance(again, KnowledgeGraph)
        assert (facts(again), again.aliases) == (facts(merged), merged.aliases)

    def test_an_added_edge_can_be_followed_and_cited(self) -> None:
        edit = fact_addition(graph(), "Bo Quist", "advises", "Corvina")
        grown = apply_edits(graph(), [keep(edit)]).structure
        assert isinstance(grown, KnowledgeGraph)
        added = grown.facts[-1]
        assert grown.network.has_edge("Bo Quist", "Corvina")
        assert (added.evidence.verified, added.evidence.quote) == (True, "Bo Quist runs Birch.")
        assert added.evidence.edited.endswith("added: Bo Quist —advises→ Corvina")

    def test_a_changed_edge_says_what_the_person_says(self) -> None:
        fact = next(fact for fact in graph().facts if fact.relation == "owns")
        changed = apply_edits(graph(), [keep(fact_change(fact, "Birch", "sold", "Corvina"))]).structure
        assert ("Birch", "owns", "Corvina") not in facts(changed)
        assert ("Birch", "sold", "Corvina") in facts(changed)
        assert isinstance(changed, KnowledgeGraph)
        new = next(fact for fact in changed.facts if fact.relation == "sold")
        assert (new.statement, new.evidence.quote) == ("Birch sold Corvina", "Birch owns Corvina.")

    def test_an_edge_that_is_not_there_any_more_is_reported(self) -> None:
        fact = next(fact for fact in graph().facts if fact.relation == "owns")
        later = graph(PEOPLE.replace("Birch owns Corvina. ", ""))
        assert "holds no edge Birch —owns→ Corvina any more" in reason(later, fact_removal(fact))
        assert "'K. Moor' is in no sentence" in reason(
            graph(PEOPLE.replace("K. Moor met", "Bo Quist met")), merge_edit(graph(), "K. Moor", "Bo Quist")
        )
        gone = fact_addition(graph(), "K. Moor", "advises", "Elm")
        assert "neither 'K. Moor' nor 'Elm'" in reason(graph(PEOPLE.replace("K. Moor met", "Bo Quist met")), gone)

    def test_an_edge_is_found_by_its_words_where_a_merge_was_undone(self) -> None:
        merged = apply_edits(graph(), [keep(merge_edit(graph(), "K. Moor", "Bo Quist"))]).structure
        assert isinstance(merged, KnowledgeGraph)
        met = next(fact for fact in merged.facts if fact.relation == "met")
        assert met.head == "Bo Quist"
        without = apply_edits(graph(), [keep(fact_removal(met))])
        assert not without.unapplied
        assert "met" not in [relation for _, relation, _ in facts(without.structure)]

    def test_unverified_edges_stay_so_when_a_name_is_merged(self) -> None:
        made_up = Fact("K. Moor", "owns", "Elm", "K. Moor owns Elm", Evidence(Span("people", 0, 0), "", verified=False))
        base = KnowledgeGraph((*graph().facts, made_up))
        merged = apply_edits(base, [keep(merge_edit(base, "K. Moor", "Bo Quist"))]).structure
        assert isinstance(merged, KnowledgeGraph)
        assert [fact.evidence.verified for fact in merged.facts if fact.tail == "Elm"] == [False]

    def test_what_makes_no_sense_is_refused(self) -> None:
        with pytest.raises(ConfigError, match="one name already"):
            merge_edit(graph(), "Alder", "Alder")
        with pytest.raises(ConfigError, match="'Elm' is no name of this graph"):
            merge_edit(graph(), "Elm", "Alder")
        with pytest.raises(ConfigError, match="Neither 'Elm' nor 'Oak'"):
            fact_addition(graph(), "Elm", "owns", "Oak")
        with pytest.raises(ConfigError, match="related to itself"):
            fact_change(graph().facts[0], "Alder", "owns", "Alder")


class TestSteps:
    def algorithm(self, text: str = KILN) -> Algorithm:
        return Algorithm((procedure(text),))

    def test_another_text(self) -> None:
        edit = step_text_edit(procedure().step("1"), " Open it by 5 turns. ")
        changed = apply_edits(self.algorithm(), [keep(edit)]).structure
        assert isinstance(changed, Algorithm)
        step = changed.procedures[0].step("1")
        assert (step.text, step.evidence.edits[0].before) == ("Open it by 5 turns.", procedure().step("1").text)

    def test_a_branch_that_leads_elsewhere_is_followed(self) -> None:
        edit = branch_edit(procedure(), procedure().step("2"), "yes", "1")
        changed = apply_edits(self.algorithm(), [keep(edit)]).structure
        assert isinstance(changed, Algorithm)
        ways = changed.procedures[0].graph()
        assert ways.has_edge("2", "1")
        assert not ways.has_edge("2", "4")
        assert procedure().graph().has_edge("2", "4")

    def test_steps_are_found_by_their_words_when_their_numbers_change(self) -> None:
        lines = KILN.replace("step 4", "step 5").replace("step 3", "step 4")
        for number in (4, 3, 2, 1):
            lines = lines.replace(f"\n{number}. ", f"\n{number + 1}. ")
        later = self.algorithm(lines.replace("# Kiln\n", "# Kiln\n\n1. Put on gloves."))
        assert [step.number for step in later.procedures[0].steps] == list("12345")
        wait = step_text_edit(procedure().step("4"), "Wait an hour.")
        result = apply_edits(later, [keep(wait)])
        assert isinstance(result.structure, Algorithm)
        assert result.structure.procedures[0].step("5").text == "Wait an hour."

    def test_a_step_that_is_gone_is_reported(self) -> None:
        edit = step_text_edit(procedure().step("3"), "Light it.")
        assert "step 3 now says something else" in reason(self.algorithm(KILN.replace("burner", "fire")), edit)
        leads = branch_edit(procedure(), procedure().step("2"), "yes", "4")
        assert "the step that it leads to is gone" in reason(self.algorithm(KILN.replace("80", "90")), leads)
        unread = Algorithm((), ("kiln",))
        assert "no steps can be read from 'kiln'" in reason(unread, edit)

    def test_what_makes_no_sense_is_refused(self) -> None:
        asked = procedure().step("2")
        with pytest.raises(ConfigError, match="no way out 'perhaps'") as caught:
            branch_edit(procedure(), asked, "perhaps", "1")
        assert caught.value.hint == "Its ways out: yes, no."
        with pytest.raises(ConfigError, match="no step 9"):
            branch_edit(procedure(), asked, "yes", "9")
        with pytest.raises(ConfigError, match="needs an outcome"):
            branch_edit(procedure(), asked, "yes", None)
        with pytest.raises(ConfigError, match="needs a text"):
            step_text_edit(asked, " ")


class TestTopics:
    def test_a_renamed_topic_keeps_its_members(self) -> None:
        edit = topic_rename(minutes().children[0], "Leaks")
        changed = apply_edits(Catalogue((minutes(),)), [keep(edit)]).structure
        assert isinstance(changed, Catalogue)
        roof = changed.documents[0].children[0]
        assert (roof.title, roof.evidence.quote) == ("Leaks", minutes().children[0].evidence.quote)
        assert roof.members == minutes().children[0].members

    def test_a_moved_member_is_counted_where_it_is_now(self) -> None:
        roof, garden = minutes().children
        base = Catalogue((minutes(),))
        changed = apply_edits(base, [keep(member_move(roof.members[0], garden))]).structure
        assert isinstance(changed, Catalogue)
        roof, garden = changed.documents[0].children
        assert [member.text for member in roof.members] == ["A quote is awaited."]
        assert [member.text for member in garden.members] == ["The hedge is cut.", "The roof leaks."]
        assert len(changed.documents[0].all_members()) == len(minutes().all_members())
        assert garden.members[1].evidence.edits[0].before == "Roof"

    def test_a_document_is_renamed_by_its_own_topic_not_by_a_heading_of_the_same_words(self) -> None:
        edit = topic_rename(minutes(), "Minutes of May")
        changed = apply_edits(Catalogue((minutes(),)), [keep(edit)]).structure
        assert isinstance(changed, Catalogue)
        assert changed.documents[0].title == "Minutes of May"

    def test_what_is_gone_is_reported(self) -> None:
        roof, garden = minutes().children
        later = Catalogue((minutes(MINUTES.replace("Garden", "Grounds")),))
        assert "does not say “## Garden” any more" in reason(later, member_move(roof.members[0], garden))
        fixed = Catalogue((minutes(MINUTES.replace("leaks", "holds")),))
        assert "does not say “The roof leaks.”" in reason(fixed, member_move(roof.members[0], garden))
        unplaced = Catalogue((), ("minutes",))
        assert "shows no text to place" in reason(unplaced, topic_rename(roof, "Leaks"))

    def test_what_makes_no_sense_is_refused(self) -> None:
        roof, _ = minutes().children
        with pytest.raises(ConfigError, match="needs a title"):
            topic_rename(roof, "")
        with pytest.raises(ConfigError, match="under 'Roof' already"):
            member_move(roof.members[0], roof)
