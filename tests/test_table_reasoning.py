"""Answers from tables: what the SQL of the model means for the cells, and what the answer rests on."""

from collections.abc import Callable
from typing import Any

import pytest

from structrag.corpus.store import CorpusStore
from structrag.models.embedding import SentenceTransformerEmbedder
from structrag.session import Session
from structrag.structures.table import parse_tables
from structrag.structures.table_set import TableSet
from structrag.structures.table_union import find_conflicts
from structrag.testing import ScriptedChatModel, scripted
from structrag.types import SourceDocument
from structrag.utilizer.finding import NOTHING_FOUND, Finding
from structrag.utilizer.table import TableReasoner, describe_table
from structrag.utilizer.table_matching import matching_texts

PUMPS = """# Pumps

| Pump | Maker | Output | Price (EUR) | Since | Season | Green |
|---|---|---|---|---|---|---|
| Tern 18 | Alder Thermik | 18 kW | 11,400 | 4 May 1998 | 1990/91 | yes |
| Tern 40 | Alder Thermik | 40 kW | 19,800 | 12 June 2004 | 1991/92 | no |
| Ström | Ekvall | 0.37 kW | 890 | 1 March 2010 | 1992/93 | no |
| Gannet | Böhm | 1.2 MW | 19,800 | 2 April 2010 | 1993/94 | yes |
| Plato | Grevelin | | 6th, in parts | | | |
"""

Ask = Callable[..., Finding]


@pytest.fixture
def session_for(embedder: SentenceTransformerEmbedder) -> Callable[[Any], tuple[Session, ScriptedChatModel]]:
    def make(script: Any) -> tuple[Session, ScriptedChatModel]:
        chat, model = scripted({"CREATE TABLE": script})
        return Session(chat, embedder, CorpusStore.open(None)), model

    return make


@pytest.fixture
def ask(session_for: Callable[[Any], tuple[Session, ScriptedChatModel]]) -> Ask:
    def run(question: str, *sql: str, text: str = PUMPS) -> Finding:
        session, _ = session_for([{"sql": s} for s in sql])
        return TableReasoner().reason(question, tables(text), session)

    return run


def tables(*texts: str) -> TableSet:
    documents = [SourceDocument(f"d{n}", f"Doc {n}", text, sha256=str(n)) for n, text in enumerate(texts)]
    found = parse_tables(documents)
    ids = tuple(d.id for d in documents)
    return TableSet(tuple(found), ids, ids, find_conflicts(found))


def quotes(finding: Finding) -> list[str]:
    return [evidence.quote for evidence in finding.evidence]


def test_one_value_with_its_unit(ask: Ask) -> None:
    finding = ask("How much does the Tern 40 cost?", "SELECT price FROM pumps WHERE pump = 'Tern 40'")
    assert (finding.text, finding.values) == ("EUR 19800", ("19800",))
    assert quotes(finding) == ["19,800", "Tern 40"]
    assert finding.found


def test_sums_keep_the_unit_and_rest_on_every_row(ask: Ask) -> None:
    finding = ask("What do the Terns cost together?", "SELECT SUM(price) FROM pumps WHERE pump LIKE 'Tern%'")
    assert (finding.text, finding.values) == ("EUR 31200", ("31200",))
    assert quotes(finding) == ["11,400", "19,800", "Tern 18", "Tern 40"]


def test_the_answer_is_converted_to_the_unit_that_is_asked_for(ask: Ask) -> None:
    finding = ask("What do they cost, in thousand euros?", "SELECT SUM(price) FROM pumps")
    assert (finding.text, finding.values) == ("EUR 51.89 thousand", ("51.89",))


def test_which_has_the_most_names_the_thing_and_cites_its_row(ask: Ask) -> None:
    finding = ask("Which pump has the highest output?", "SELECT pump, output FROM pumps ORDER BY output DESC LIMIT 1")
    assert (finding.text, finding.values) == ("Gannet (Output: 1200 kW)", ("Gannet",))
    assert quotes(finding) == ["Gannet", "1.2 MW"]


def test_ties_are_all_named(ask: Ask) -> None:
    finding = ask("Which pump costs the most?", "SELECT pump FROM pumps ORDER BY price DESC LIMIT 1")
    assert finding.values == ("Tern 40", "Gannet")
    assert finding.text == "Tern 40, Gannet"
    assert quotes(finding) == ["Tern 40", "Gannet", "19,800"] or len(finding.evidence) == 4


def test_groups_that_tie_are_all_named_and_rest_on_their_rows(ask: Ask) -> None:
    text = "| Who | Motion |\n|---|---|\n| Ann | a |\n| Bo | b |\n| Ann | c |\n| Bo | d |\n| Cy | e |"
    sql = "SELECT who FROM doc GROUP BY who ORDER BY COUNT(*) DESC LIMIT 1"
    finding = ask("Who proposed the most motions?", sql, text=text)
    assert set(finding.values) == {"Ann", "Bo"}
    assert sorted(quotes(finding)) == ["Ann", "Ann", "Bo", "Bo"]


def test_a_winning_group_rests_on_its_own_rows(ask: Ask) -> None:
    sql = "SELECT maker FROM pumps GROUP BY maker ORDER BY COUNT(*) DESC LIMIT 1"
    finding = ask("Which maker has the most pumps?", sql)
    assert finding.values == ("Alder Thermik",)
    assert len(finding.evidence) == 2


def test_a_maximum_rests_on_the_row_that_holds_it(ask: Ask) -> None:
    finding = ask("What is the highest output?", "SELECT MAX(output) FROM pumps WHERE green = TRUE")
    assert (finding.text, finding.values) == ("1200 kW", ("1200",))
    assert quotes(finding)[0] == "1.2 MW"
    assert "18 kW" not in quotes(finding)


def test_a_difference_rests_on_both_rows(ask: Ask) -> None:
    sql = "SELECT (SELECT price FROM pumps WHERE pump = 'Tern 40') - (SELECT price FROM pumps WHERE pump = 'Tern 18')"
    finding = ask("How much more does the Tern 40 cost than the Tern 18?", sql)
    assert (finding.text, finding.values) == ("EUR 8400", ("8400",))
    assert set(quotes(finding)) == {"19,800", "11,400", "Tern 40", "Tern 18"}


def test_yes_and_no(ask: Ask) -> None:
    assert ask("Is the Ström green?", "SELECT green FROM pumps WHERE pump = 'Ström'").values == ("No",)
    assert ask("Is it so?", "SELECT COUNT(*) > 3 FROM pumps").values == ("Yes",)


def test_dates_are_told_as_the_document_writes_them(ask: Ask) -> None:
    assert ask("Since when?", "SELECT since FROM pumps WHERE pump = 'Tern 18'").values == ("4 May 1998",)
    assert ask("Since when?", "SELECT MAX(since) FROM pumps").values == ("2 April 2010",)


def test_lists_come_in_order_and_without_repeats(ask: Ask) -> None:
    finding = ask("Which makers are there?", "SELECT maker FROM pumps ORDER BY row_no")
    assert finding.values == ("Alder Thermik", "Ekvall", "Böhm", "Grevelin")


@pytest.mark.parametrize(
    ("condition", "count"),
    [
        ("pump = 'TERN 40 '", "1"),
        ("pump = 'tern'", "2"),
        ("pump = 'Strom'", "1"),
        ("maker IN ('alder', 'bohm')", "3"),
        ("lower(maker) = 'alder thermik'", "2"),
        ("maker = 'the company Grevelin'", "1"),
        ("maker LIKE '%ALDER%'", "2"),
        ("maker <> 'ekvall'", "4"),
        ("since = '2004'", "1"),
        ("since < 2005", "2"),
        ("since = '12 June 2004'", "1"),
        ("since LIKE '%2010%'", "2"),
        ("season < 1992", "2"),
        ("output > '1 MW'", "1"),
        ("green = 'yes'", "2"),
    ],
)
def test_conditions_mean_what_people_mean(ask: Ask, condition: str, count: str) -> None:
    assert ask("How many?", f"SELECT COUNT(*) FROM pumps WHERE {condition}").values == (count,)


def test_a_number_of_years_needs_no_date(ask: Ask) -> None:
    text = "| Film | Year |\n|---|---|\n| A | 2003 |\n| B | 2011 |"
    assert ask("how many before 2010?", "SELECT COUNT(*) FROM doc WHERE YEAR(year) < 2010", text=text).values == ("1",)


def test_an_exact_name_gives_way_where_the_other_conditions_leave_nothing(ask: Ask) -> None:
    text = "| Song | Chart |\n|---|---|\n| Gentle | US |\n| Gentle (live) | UK |"
    sql = "SELECT song FROM doc WHERE song = 'gentle' AND chart = 'UK'"
    assert ask("Which?", sql, text=text).values == ("Gentle (live)",)


def test_zero_is_an_answer_only_if_the_names_are_known(ask: Ask) -> None:
    known = ask("How many green Ekvalls?", "SELECT COUNT(*) FROM pumps WHERE maker = 'Ekvall' AND green = TRUE")
    assert known.values == ("0",)
    assert known.found
    assert ask("How many Zetas?", "SELECT COUNT(*) FROM pumps WHERE maker = 'Zeta'") == NOTHING_FOUND
    assert ask("Any Zeta?", "SELECT COUNT(*) > 0 FROM pumps WHERE maker = 'Zeta'") == NOTHING_FOUND


def test_nothing_and_null_are_nothing_found(ask: Ask) -> None:
    assert ask("Who?", "SELECT pump FROM pumps WHERE maker = 'Zeta'") == NOTHING_FOUND
    assert ask("Output?", "SELECT output FROM pumps WHERE pump = 'Plato'") == NOTHING_FOUND
    assert ask("Sum?", "SELECT SUM(output) FROM pumps WHERE pump = 'Plato'") == NOTHING_FOUND
    assert ask("Difference?", "SELECT (SELECT price FROM pumps WHERE pump = 'Zeta') - 5") == NOTHING_FOUND
    assert ask("Captain?", "") == NOTHING_FOUND


def test_null_is_no_tie_and_never_first(ask: Ask) -> None:
    assert ask("Which is the smallest?", "SELECT pump FROM pumps ORDER BY output LIMIT 1").values == ("Ström",)


def test_totals_are_not_counted(ask: Ask) -> None:
    text = "| Site | Staff |\n|---|---|\n| North | 10 |\n| South | 30 |\n| Total | 40 |"
    assert ask("How many staff?", "SELECT SUM(staff) FROM doc", text=text).values == ("40",)
    assert ask("Which?", "SELECT site FROM doc ORDER BY staff DESC LIMIT 1", text=text).values == ("South",)


def test_long_fractions_are_rounded_and_whole_numbers_are_whole(ask: Ask) -> None:
    assert ask("Average?", "SELECT AVG(price) FROM pumps WHERE pump = 'Tern'").values == ("15600",)
    assert ask("Ratio?", "SELECT row_no / 3 FROM pumps LIMIT 1").values == ("0.3333",)


def test_an_error_is_told_to_the_model_once(
    session_for: Callable[[Any], tuple[Session, ScriptedChatModel]],
) -> None:
    session, model = session_for(
        [{"sql": "SELECT cost FROM pumps"}, {"sql": "SELECT price FROM pumps WHERE row_no = 1"}]
    )
    finding = TableReasoner().reason("How much?", tables(PUMPS), session)
    assert finding.values == ("11400",)
    assert "cost" in model.prompts[1]
    assert "This failed" in model.prompts[1]
    assert [step.name for step in session.trace] == ["sql", "sql refused", "sql", "rows"]


def test_two_errors_are_nothing_found_and_nothing_is_run(ask: Ask) -> None:
    assert ask("How much?", "DROP TABLE pumps", "SELECT * FROM read_csv('/etc/passwd')") == NOTHING_FOUND


def test_documents_that_disagree_are_told_of(
    session_for: Callable[[Any], tuple[Session, ScriptedChatModel]],
) -> None:
    structure = tables(
        "| Site | Staff |\n|---|---|\n| North | 10 |\n| South | 5 |", "| Site | Staff |\n|---|---|\n| North | 12 |"
    )
    session, _ = session_for({"sql": f"SELECT staff FROM {structure.tables[0].name} WHERE site = 'North'"})
    finding = TableReasoner().reason("How many staff has North?", structure, session)
    assert finding.values == ("10", "12")
    assert "disagree: staff of North is 10 or 12" in finding.text
    assert {e.span.document_id for e in finding.evidence} == {"d0", "d1"}


def test_evidence_is_bounded_and_answers_come_first(ask: Ask) -> None:
    rows = "".join(f"| p{n} | {n} |\n" for n in range(40))
    finding = ask("Sum?", "SELECT SUM(n) FROM doc WHERE name LIKE 'p%'", text=f"| Name | N |\n|---|---|\n{rows}")
    assert len(finding.evidence) == 12
    assert quotes(finding) == [str(n) for n in range(12)]


def test_a_join_and_a_cte_have_sources(ask: Ask) -> None:
    cte = "WITH big AS (SELECT pump, price FROM pumps WHERE price > 15000) SELECT COUNT(*) FROM big"
    finding = ask("How many?", cte)
    assert finding.values == ("2",)
    assert {"Tern 40", "Gannet"} <= set(quotes(finding))
    join = "SELECT a.pump FROM pumps AS a JOIN pumps AS b ON a.price = b.price AND a.row_no < b.row_no"
    assert ask("Which?", join).values == ("Tern 40",)


def test_the_model_reads_types_units_and_samples() -> None:
    text = describe_table(tables(PUMPS).tables[0])
    assert "output DOUBLE, -- kW" in text
    assert "price" in text
    assert "-- 'Alder Thermik', 'Ekvall', 'Böhm', 'Grevelin'" in text
    assert "-- 1, 'Tern 18', 'Alder Thermik', 18," in text
    assert text.count("\n-- ") == 3


def test_another_structure_is_a_type_error(session_for: Callable[[Any], tuple[Session, ScriptedChatModel]]) -> None:
    session, _ = session_for({"sql": ""})

    class Other:
        """A structure of another kind."""

    with pytest.raises(TypeError, match="Other"):
        TableReasoner().reason("?", Other(), session)  # type: ignore[arg-type]


def test_names_match_in_steps() -> None:
    values = ["Alder", "Alder Thermik", "6th, Western", "USA"]
    assert matching_texts(values, "alder") == ["Alder"]
    assert matching_texts(values, "alder", loosely=True) == ["Alder", "Alder Thermik"]
    assert matching_texts(values, "Thermik") == ["Alder Thermik"]
    assert matching_texts(values, "6") == ["6th, Western"]
    assert matching_texts(values, "team USA") == ["USA"]
    assert matching_texts(values, "zeta") == []
    assert matching_texts(values, "") == []


def test_a_difference_of_zero_and_a_no_are_not_loosened(ask: Ask) -> None:
    text = "| Driver | Points |\n|---|---|\n| Ann | 4 |\n| Ann Lee | 9 |\n| Bo | 4 |"
    points = "(SELECT MAX(points) FROM doc WHERE driver = '{}')"
    difference = f"SELECT {points.format('Ann')} - {points.format('Bo')}"
    assert ask("How many more?", difference, text=text).values == ("0",)
    more = f"SELECT {points.format('Ann')} > {points.format('Bo')}"
    assert ask("Has Ann more?", more, text=text).values == ("No",)


def test_the_year_of_a_number_that_is_no_year_is_an_error(ask: Ask) -> None:
    text = "| Site | Staff |\n|---|---|\n| North | 10 |"
    sql = "SELECT AVG(staff) FROM doc WHERE YEAR(staff) = 2024"
    assert ask("Average age in 2024?", sql, sql, text=text) == NOTHING_FOUND
