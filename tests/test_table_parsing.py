"""From documents to typed tables: Markdown, records, union, pivot, totals, conflicts."""

import json

from hypothesis import given
from hypothesis import strategies as st

from structrag.structures.table import parse_tables
from structrag.structures.table_set import ColumnType, Table, TableSet
from structrag.structures.table_union import find_conflicts
from structrag.types import SourceDocument, Structure, StructureType


def document(text: str, *, name: str = "a", title: str = "") -> SourceDocument:
    return SourceDocument(name, title or name, text, sha256=name)


def values(table: Table, column: str) -> list[object]:
    at = table.column_index(column)
    return [row.cells[at].value for row in table.rows]


SITES = """# In figures

## Our sites

| Site | Staff | Energy used (MWh) | Opened |
|---|---:|---|---|
| Harnwald | 1,540 | 9.5 | 4 May 1998 |
| Port \\| Ellery | – | 1,950 kWh | 12 June 2004 |
"""


def test_a_markdown_table_becomes_typed_columns() -> None:
    (table,) = parse_tables([document(SITES)])
    assert [(c.name, c.type, c.unit) for c in table.columns] == [
        ("site", ColumnType.TEXT, ""),
        ("staff", ColumnType.NUMBER, ""),
        ("energy_used", ColumnType.NUMBER, "MWh"),
        ("opened", ColumnType.DATE, ""),
    ]
    assert values(table, "site") == ["Harnwald", "Port | Ellery"]
    assert values(table, "staff") == [1540, None]
    assert values(table, "energy_used") == [9.5, 1.95]
    assert table.rows[1].cells[2].raw == "1,950 kWh"
    assert table.title == "a: Our sites"


def test_every_cell_points_at_its_place() -> None:
    (table,) = parse_tables([document(SITES)])
    quotes = [cell.evidence.quote for row in table.rows for cell in row.cells if cell.evidence]
    assert quotes == ["Harnwald", "1,540", "9.5", "4 May 1998", "Port \\| Ellery", "–", "1,950 kWh", "12 June 2004"]
    for row in table.rows:
        for cell in row.cells:
            assert cell.evidence is not None
            assert SITES[cell.evidence.span.start : cell.evidence.span.end] == cell.evidence.quote


_WORD = st.text(alphabet="abcdefgh ", min_size=1, max_size=8).map(str.strip).filter(bool)


@given(st.lists(st.lists(_WORD, min_size=3, max_size=3), min_size=1, max_size=5), st.text("xyz.\n", max_size=30))
def test_spans_are_exact_whatever_stands_before(rows: list[list[str]], before: str) -> None:
    lines = ["| K | L | M |", "|---|---|---|", *(f"| {' | '.join(row)} |" for row in rows)]
    text = before + "\n\n" + "\n".join(lines)
    (table,) = parse_tables([document(text)])
    found = [cell.evidence.quote for row in table.rows for cell in row.cells if cell.evidence]
    assert found == [cell for row in rows for cell in row]
    assert all(text[e.span.start : e.span.end] == e.quote for e in TableSet((table,)).evidence())


def test_records_are_read_as_rows() -> None:
    text = (
        "Albums\n\nEntry 1. Year: 2003; Title: One: the start; Note: a; b.\n"
        "Entry 2. Year: 2004; Title: Two (e.g. more).\n"
    )
    (table,) = parse_tables([document(text)])
    assert values(table, "year") == [2003, 2004]
    assert values(table, "title") == ["One: the start", "Two (e.g. more)"]
    assert values(table, "note") == ["a; b", None]
    assert all(text[e.span.start : e.span.end] == e.quote for e in TableSet((table,)).evidence())


def test_prose_with_colons_is_no_table() -> None:
    text = "We asked: why? She said: because; he said: no.\nThe rule: never run.\nNote: it rains.\n"
    assert parse_tables([document(text)]) == []


def test_a_column_of_units_moves_into_the_numbers() -> None:
    text = "| Product | Output | Unit |\n|---|---|---|\n| A | 18 | kW |\n| B | 1.2 | MW |\n| C | 40 | kW |"
    (table,) = parse_tables([document(text)])
    assert [c.name for c in table.columns] == ["product", "output"]
    assert values(table, "output") == [18, 1200, 40]
    evidence = table.rows[1].cells[1].evidence
    assert evidence is not None
    assert evidence.quote == "1.2 | MW"


def test_tables_with_the_same_header_are_united_across_documents() -> None:
    first = document("| Motion | Votes (%) |\n|---|---|\n| Roof | 60 |", name="feb", title="February")
    second = document("March\n\n| motion | Votes |\n|---|---|\n| Door | 75 % |", name="mar", title="March")
    (table,) = parse_tables([first, second])
    assert [c.name for c in table.columns] == ["document", "motion", "votes"]
    assert values(table, "document") == ["February", "March"]
    assert values(table, "votes") == [60, 75]
    assert [row.document_id for row in table.rows] == ["feb", "mar"]
    # "February" stands nowhere in its text, "March" does.
    assert [row.cells[0].evidence is None for row in table.rows] == [True, False]


def test_two_tables_of_one_document_stay_apart() -> None:
    text = "# A\n\n| X | Y |\n|---|---|\n| a | 1 |\n\n# B\n\n| X | Y |\n|---|---|\n| b | 2 |\n"
    assert len(parse_tables([document(text)])) == 2


def test_tables_of_attributes_are_pivoted_to_one_row_per_document() -> None:
    first = document(
        "| Key figure | Value |\n|---|---|\n| Revenue | EUR 412 million |\n| Staff | 1,200 |", name="a", title="Alder"
    )
    second = document(
        "| Key figure | Value |\n|---|---|\n| Revenue | 73,900 thousand EUR |\n| Listed | no |", name="b", title="Birk"
    )
    (table,) = parse_tables([first, second])
    assert [(c.name, c.unit) for c in table.columns] == [
        ("document", ""),
        ("revenue", "EUR million"),
        ("staff", ""),
        ("listed", ""),
    ]
    assert values(table, "revenue") == [412, 73.9]
    assert values(table, "staff") == [1200, None]
    assert values(table, "listed") == [None, False]
    assert table.key == "document"


def test_a_header_that_is_itself_a_pair_is_a_row() -> None:
    (table,) = parse_tables([document("| Revenue | EUR 412 million |\n|---|---|\n| Staff | 1,200 |")])
    assert values(table, "revenue") == [412]
    evidence = table.rows[0].cells[1].evidence
    assert evidence is not None
    assert evidence.quote == "EUR 412 million"


def test_attributes_by_year_give_one_row_per_year() -> None:
    text = (
        "## Accounts (EUR thousand)\n\n| | 2024 | 2023 |\n|---|---|---|\n| Revenue | 1,204 | 990 |\n| EBIT | (12) | 8 |"
    )
    (table,) = parse_tables([document(text)])
    assert [(c.name, c.unit) for c in table.columns][1:] == [
        ("period", ""),
        ("revenue", "EUR thousand"),
        ("ebit", "EUR thousand"),
    ]
    assert values(table, "period") == [2024, 2023]
    assert values(table, "ebit") == [-12, 8]


def test_a_table_of_two_columns_with_a_subject_is_not_pivoted() -> None:
    (table,) = parse_tables([document("| Product | Price |\n|---|---|\n| Pump | 5 |\n| Pipe | 7 |")])
    assert [c.name for c in table.columns] == ["product", "price"]


def test_totals_are_marked_and_left_out_of_the_data() -> None:
    rows = "| North | 10 |\n| South | 30 |\n"
    by_name = parse_tables([document(f"| Site | Staff |\n|---|---|\n{rows}| Total | 40 |")])[0]
    by_sum = parse_tables([document(f"| Site | Staff |\n|---|---|\n{rows}| Group | 40 |")])[0]
    only_a_name = parse_tables([document(f"| Site | Staff |\n|---|---|\n{rows}| Group | 41 |")])[0]
    assert [len(table.data_rows) for table in (by_name, by_sum, only_a_name)] == [2, 2, 3]


def test_documents_that_disagree_are_a_conflict() -> None:
    first = document("| Site | Staff |\n|---|---|\n| North | 10 |\n| South | 5 |", name="a")
    second = document("| Site | Staff |\n|---|---|\n| north | 12 |", name="b")
    (conflict,) = find_conflicts(parse_tables([first, second]))
    assert (conflict.key, conflict.column, [c.raw for c in conflict.cells]) == ("North", "staff", ["10", "12"])


def test_the_set_is_a_structure() -> None:
    tables = parse_tables([document(SITES)])
    structure: Structure = TableSet(tuple(tables), ("a", "b"), ("a",))
    assert structure.type is StructureType.TABLE
    assert "Rows from 1 of 2 documents." in structure.render()
    assert "| Harnwald | 1,540 | 9.5 | 4 May 1998 |" in structure.render()
    assert "Harnwald" not in structure.render(100)
    assert "(2 more rows)" in structure.render(100)
    data = json.loads(json.dumps(structure.to_dict()))
    assert data["tables"][0]["rows"][0]["cells"][3]["value"] == "1998-05-04"
    assert data["tables"][0]["rows"][0]["cells"][0]["evidence"]["quote"] == "Harnwald"


def test_attributes_that_another_document_lists_too_are_pivoted() -> None:
    first = document("| Alder | Profile |\n|---|---|\n| Revenue | EUR 4 million |\n| Seat | Ostrava |", name="a")
    second = document("| Birk | Profile |\n|---|---|\n| Revenue | EUR 5 million |\n| Seat | Lund |", name="b")
    (table,) = parse_tables([first, second])
    assert values(table, "revenue") == [4, 5]
