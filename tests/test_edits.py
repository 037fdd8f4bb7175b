"""A person's edits of structures: found again by content, marked, undone by leaving them out, never dropped."""

from __future__ import annotations

import itertools
import json
import re
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from structrag.errors import ConfigError, StoreError
from structrag.structures.algorithm import Algorithm
from structrag.structures.algorithm_parse import parse_procedures
from structrag.structures.catalogue import Catalogue
from structrag.structures.catalogue_parse import parse_topics
from structrag.structures.edits import (
    Edit,
    KeptEdit,
    apply_edits,
    branch_edit,
    cell_edit,
    describe_edit,
    edit_from_dict,
    edit_to_dict,
    fact_addition,
    fact_change,
    fact_removal,
    member_move,
    merge_edit,
    problem_of,
    step_text_edit,
    topic_rename,
)
from structrag.structures.graph import KnowledgeGraph
from structrag.structures.graph_parse import parse_facts
from structrag.structures.serialization import structure_from_dict
from structrag.structures.table import parse_tables
from structrag.structures.table_set import Table, TableSet
from structrag.structures.table_union import find_conflicts
from structrag.types import SourceDocument, Structure

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
WHEN = "2026-11-22T10:00:00+00:00"


def document(name: str, text: str) -> SourceDocument:
    return SourceDocument(name, name.capitalize(), text, f"hash of {text}")


def tables(text: str = FIRMS, *others: str) -> TableSet:
    documents = [document(f"firms{n or ''}", each) for n, each in enumerate((text, *others))]
    found = parse_tables(documents)
    ids = tuple(each.id for each in documents)
    return TableSet(tuple(found), ids, ids, find_conflicts(found))


def graph(text: str = PEOPLE) -> KnowledgeGraph:
    return parse_facts([document("people", text)])


def algorithm(text: str = KILN) -> Algorithm:
    return Algorithm(tuple(parse_procedures(document("kiln", text))))


def catalogue(text: str = MINUTES) -> Catalogue:
    topic = parse_topics(document("minutes", text))
    assert topic is not None
    return Catalogue((topic,))


def keep(edit: Edit, number: int = 1, *, undone: bool = False) -> KeptEdit:
    return KeptEdit(number, WHEN, "person", edit, undone)


def edited(structure: Structure, *edits: Edit) -> Structure:
    """Apply edits that must all apply."""
    result = apply_edits(structure, [keep(edit, number) for number, edit in enumerate(edits, 1)])
    assert not result.unapplied
    assert len(result.applied) == len(edits)
    return result.structure


def cell_text(structure: Structure, row: int, column: str) -> str:
    table = the_table(structure)
    return table.rows[row].cells[table.column_index(column)].raw


def the_table(structure: Structure) -> Table:
    assert isinstance(structure, TableSet)
    return structure.tables[0]


def reason(structure: Structure, *edits: Edit) -> str:
    """Return why the last edit does not apply."""
    result = apply_edits(structure, [keep(edit, number) for number, edit in enumerate(edits, 1)])
    (left,) = result.unapplied
    return left.reason


def revenue(value: str, row: int = 0) -> Edit:
    shown = tables()
    return cell_edit(shown, shown.tables[0].name, row, "revenue", value)


def the_branch(to: str | None, outcome: str = "") -> Edit:
    procedure = algorithm().procedures[0]
    return branch_edit(procedure, procedure.step("2"), "yes", to, outcome=outcome)


def a_move() -> Edit:
    _, garden = catalogue().documents[0].children
    return member_move(catalogue().documents[0].children[0].members[0], garden)


EVERY: list[tuple[Callable[[], Structure], Callable[[], Edit]]] = [
    (tables, lambda: revenue("57")),
    (tables, lambda: revenue("", row=1)),
    (graph, lambda: merge_edit(graph(), "K. Moor", "Bo Quist")),
    (graph, lambda: fact_addition(graph(), "Bo Quist", "advises", "Corvina")),
    (graph, lambda: fact_removal(graph().facts[0])),
    (graph, lambda: fact_change(graph().facts[1], "Bo Quist", "left", "Birch")),
    (algorithm, lambda: step_text_edit(algorithm().procedures[0].step("1"), "Open the damper by 5 turns.")),
    (algorithm, lambda: the_branch("1")),
    (algorithm, lambda: the_branch(None, "Call the smith.")),
    (catalogue, lambda: topic_rename(catalogue().documents[0].children[0], "Leaks")),
    (catalogue, a_move),
]
every_edit = pytest.mark.parametrize(("build", "make"), EVERY)


class TestEveryKind:
    @every_edit
    def test_it_changes_the_structure_and_leaves_the_built_one_alone(
        self, build: Callable[[], Structure], make: Callable[[], Edit]
    ) -> None:
        built, before = build(), build().to_dict()
        changed = edited(built, make())
        assert changed.to_dict() != before
        assert built.to_dict() == before
        assert apply_edits(built, []).structure is built

    @every_edit
    def test_undoing_it_gives_what_was_built(self, build: Callable[[], Structure], make: Callable[[], Edit]) -> None:
        built = build()
        result = apply_edits(built, [keep(make(), undone=True)])
        assert result.structure is built
        assert (result.applied, result.unapplied) == ((), ())

    @every_edit
    def test_it_survives_json_and_a_rebuild(self, build: Callable[[], Structure], make: Callable[[], Edit]) -> None:
        edit = make()
        back = edit_from_dict(json.loads(json.dumps(edit_to_dict(edit))))
        assert back == edit
        assert edited(build(), back).to_dict() == edited(build(), edit).to_dict()

    @every_edit
    def test_the_edited_structure_comes_back_from_json_with_its_marks(
        self, build: Callable[[], Structure], make: Callable[[], Edit]
    ) -> None:
        changed = edited(build(), make())
        assert structure_from_dict(json.loads(json.dumps(changed.to_dict()))).to_dict() == changed.to_dict()

    @every_edit
    def test_text_put_before_its_target_does_not_lose_it(
        self, build: Callable[[str], Structure], make: Callable[[], Edit]
    ) -> None:
        text = {tables: FIRMS, graph: PEOPLE, algorithm: KILN, catalogue: MINUTES}[build]
        head, _, rest = text.partition("\n")
        later = build(f"{head}\n\nThis line is new here. It rains.\n{rest}")
        assert edited(later, make()).to_dict() != later.to_dict()

    @every_edit
    def test_every_quote_stays_the_documents_own(
        self, build: Callable[[], Structure], make: Callable[[], Edit]
    ) -> None:
        texts = {"firms": FIRMS, "people": PEOPLE, "kiln": KILN, "minutes": MINUTES}
        changed = edited(build(), make())
        for evidence in changed.evidence():
            span = evidence.span
            assert texts[span.document_id][span.start : span.end] == evidence.quote
            assert evidence.verified

    @every_edit
    def test_it_is_shown_as_a_persons_but_for_what_is_taken_out(
        self, build: Callable[[], Structure], make: Callable[[], Edit]
    ) -> None:
        marks = [mark for evidence in edited(build(), make()).evidence() for mark in evidence.edits]
        if "removed" in describe_edit(make()):
            assert marks == []
        else:
            assert {(mark.edit_id, mark.who, mark.when) for mark in marks} == {(1, "person", WHEN)}

    @every_edit
    def test_it_does_not_concern_structures_of_other_documents(
        self, build: Callable[[], Structure], make: Callable[[], Edit]
    ) -> None:
        edit = make()
        elsewhere = replace(edit, place=replace(edit.place, document="another"))
        if edit.kind in ("merge", "add fact"):  # these go by names, wherever they stand
            return
        result = apply_edits(build(), [keep(elsewhere)])
        assert (result.applied, result.unapplied) == ((), ())

    @every_edit
    def test_a_document_that_has_lost_its_target_is_reported(
        self, build: Callable[[], Structure], make: Callable[[], Edit]
    ) -> None:
        edit = make()
        texts = {"firms": FIRMS, "people": PEOPLE, "kiln": KILN, "minutes": MINUTES}
        documents = [document(name, text) for name, text in texts.items()]
        assert problem_of(keep(edit), documents) == ""
        assert "no longer in the corpus" in problem_of(keep(edit), [])
        others = [document(name, "Nothing.") for name in texts]
        assert "any more" in problem_of(keep(edit), others)


@st.composite
def two_edits(draw: st.DrawFn) -> tuple[Structure, Edit, Edit]:
    """Two edits with different targets in one structure."""
    builders: list[Callable[..., Structure]] = [tables, graph, algorithm, catalogue]
    build = draw(st.sampled_from(builders))
    cells = [cell_edit(tables(), tables().tables[0].name, row, "revenue", str(70 + row)) for row in range(3)]
    cells += [cell_edit(tables(), tables().tables[0].name, row, "listed", "yes") for row in range(1, 3)]
    cells += [cell_edit(tables(), tables().tables[0].name, row, "firm", f"Firm {row}") for row in range(3)]
    facts = graph().facts
    steps = algorithm().procedures[0].steps
    topics = [topic for topic in catalogue().documents[0].walk() if topic.members]
    possible: dict[Callable[..., Structure], list[Edit]] = {
        tables: [*cells],
        graph: [
            fact_removal(facts[0]),
            fact_change(facts[1], "Bo Quist", "left", "Birch"),
            *(fact_addition(graph(), "Ann Lee", "knows", name) for name in ("Alder", "Corvina")),
        ],
        algorithm: [*(step_text_edit(step, f"Do {step.number}.") for step in steps if step.number != "2"), the_branch("1")],
        catalogue: [*(topic_rename(topic, f"About {n}") for n, topic in enumerate(topics)), a_move()],
    }  # fmt: skip
    first, second = draw(st.permutations(possible[build]))[:2]
    return build(), first, second


def told(structure: Structure) -> dict[str, Any]:
    """Return what a structure says, whatever the numbers of its edits; added edges stand in the order of these."""
    data: dict[str, Any] = json.loads(re.sub(r'"edit_id": \d+', '"edit_id": 0', json.dumps(structure.to_dict())))
    if "facts" in data:
        data["facts"].sort(key=json.dumps)
    return data


class TestTogether:
    @settings(max_examples=60)
    @given(case=two_edits())
    def test_the_order_of_edits_with_different_targets_does_not_matter(
        self, case: tuple[Structure, Edit, Edit]
    ) -> None:
        built, first, second = case
        there = apply_edits(built, [keep(first, 1), keep(second, 2)])
        back = apply_edits(built, [keep(second, 1), keep(first, 2)])
        assert not there.unapplied
        assert not back.unapplied
        assert told(there.structure) == told(back.structure)
        listed = [keep(second, 2), keep(first, 1)]
        assert apply_edits(built, listed).structure.to_dict() == there.structure.to_dict()

    @settings(max_examples=40)
    @given(case=two_edits())
    def test_undoing_one_leaves_the_other(self, case: tuple[Structure, Edit, Edit]) -> None:
        built, first, second = case
        alone = apply_edits(built, [keep(second, 2)]).structure
        both = [keep(first, 1, undone=True), keep(second, 2)]
        assert apply_edits(built, both).structure.to_dict() == alone.to_dict()

    def test_the_later_of_two_edits_of_one_cell_holds(self) -> None:
        first = revenue("57")
        shown = edited(tables(), first)
        assert isinstance(shown, TableSet)
        second = cell_edit(shown, shown.tables[0].name, 0, "revenue", "60")
        assert cell_text(edited(tables(), first, second), 0, "revenue") == "60"
        # Without the first, the second still says what is there.
        assert cell_text(apply_edits(tables(), [keep(second, 2)]).structure, 0, "revenue") == "60"

    def test_a_cell_of_a_row_whose_subject_was_renamed_is_found(self) -> None:
        rename = cell_edit(tables(), tables().tables[0].name, 0, "firm", "Alder Group")
        shown = edited(tables(), rename)
        assert isinstance(shown, TableSet)
        second = cell_edit(shown, shown.tables[0].name, 0, "revenue", "60")
        for order in itertools.permutations((rename, revenue("60"))):
            assert cell_text(edited(tables(), *order), 0, "revenue") == "60"
        assert cell_text(edited(tables(), rename, second), 0, "revenue") == "60"


def test_whatever_is_no_edit_is_a_store_error() -> None:
    for data in ({}, {"kind": "cell"}, {"kind": "spell"}, {**edit_to_dict(revenue("1")), "more": 1}):
        with pytest.raises(StoreError, match="edit 7 cannot be read"):
            edit_from_dict(data, number=7)


def test_a_structure_of_ones_own_is_left_alone() -> None:
    class Own:
        """Only has to be there."""

    own = Own()
    assert apply_edits(own, [keep(revenue("1"))]).structure is own  # type: ignore[arg-type,comparison-overlap]


def test_an_edge_needs_words() -> None:
    with pytest.raises(ConfigError, match="two names and a relation"):
        fact_addition(graph(), "Alder", " ", "Birch")
