"""Reading numbers, units, dates and truth values; typing columns."""

from datetime import date

import pytest
from hypothesis import given
from hypothesis import strategies as st

from structrag.structures.table_columns import ColumnPart, read_column, sql_name
from structrag.structures.table_set import ColumnType
from structrag.structures.table_units import asked_unit, parse_unit, split_header
from structrag.structures.table_values import (
    find_quantities,
    format_number,
    parse_boolean,
    parse_date,
    parse_number,
    parse_quantity,
)


@pytest.mark.parametrize(
    ("text", "number", "unit"),
    [
        ("1,204", 1204, ""),
        ("1 204", 1204, ""),
        ("1\u202f204,5", 1204.5, ""),
        ("1.234.567,89 €", 1234567.89, "EUR"),
        ("EUR 4.2 million", 4.2, "EUR million"),
        ("€ 4,2 m", 4.2, "EUR million"),
        ("EUR412m", 412, "EUR million"),
        ("22,150 thousand EUR (2023: 19,300 thousand EUR)", 22150, "EUR thousand"),
        ("$1.2bn", 1.2, "USD billion"),
        ("4.2M", 4.2, "million"),
        ("4.2 m", 4.2, "m"),
        ("12 %", 12, "%"),
        ("11.5 % of revenue", 11.5, "%"),
        ("3.5 kW", 3.5, "kW"),
        ("61 dB(A)", 61, "dB"),
        ("75 °C", 75, "°C"),
        ("6 years", 6, "years"),
        ("12 pieces", 12, "pieces"),
        ("(120)", -120, ""),
        ("–3", -3, ""),
        ("+1", 1, ""),
        ("-£5", -5, "GBP"),
        ("£-5", -5, "GBP"),
        ("5th", 5, ""),
        ("*7*", 7, ""),
        ("66,243[2]", 66243, ""),
        ("about 41,000", 41000, ""),
        (".5", 0.5, ""),
    ],
)
def test_quantities(text: str, number: float, unit: str) -> None:
    quantity = parse_quantity(text)
    assert quantity is not None
    assert quantity.number == pytest.approx(number)
    assert quantity.unit.label == unit


@pytest.mark.parametrize(
    "text",
    ["", "E", "24/7", "1988/89", "1:48:31.3", "2–6, 6–4", "68-70-69=207", "10-20", "0 to 5", "T2", "4 March",
     "COVID-19", "2ªB", "C$ 5", "176, of whom 68 write software", "1.2.3", "12,34,5", "6X Platinum"],
)  # fmt: skip
def test_what_is_no_quantity(text: str) -> None:
    assert parse_quantity(text) is None


def test_a_dot_is_a_decimal_point_unless_the_column_says_otherwise() -> None:
    assert parse_number("1.204") == 1.204
    assert parse_number("1.204", decimal_comma=True) == 1204
    assert parse_number("0,250") == 0.25


@pytest.mark.parametrize("digits", ["9" * 400, "1" + ",000" * 120, "9" * 400 + ".5"])
def test_digits_beyond_any_number_are_no_number_to_calculate_with(digits: str) -> None:
    assert parse_number(digits) is None


def test_quantities_in_prose_keep_their_own_units() -> None:
    text = "Revenue was EUR 188.0 million, down from EUR 192.3 million in 2023; R&D took 6.4 percent."
    found = [(q.number, q.unit.label, text[q.start : q.end]) for q in find_quantities(text)]
    assert found == [
        (188.0, "EUR million", "EUR 188.0 million"),
        (192.3, "EUR million", "EUR 192.3 million"),
        (2023.0, "", "2023"),
        (6.4, "%", "6.4 percent"),
    ]


def _grouped(number: float, decimals: int, group: str, point: str) -> str:
    return f"{number:,.{decimals}f}".translate(str.maketrans(",.", group + point))


@given(
    st.integers(-(10**9), 10**9),
    # Three decimals behind a lone separator are thousands to a reader as well.
    st.sampled_from([0, 1, 2, 4]),
    st.sampled_from([(",", "."), (" ", "."), (" ", ","), ("\u202f", ","), (".", ",")]),
    st.sampled_from(["{}", "EUR {}", "{} €", "€{} million", "{} %", "{} kWh"]),
    st.booleans(),
)
def test_formatted_numbers_are_read_back(
    digits: int, decimals: int, style: tuple[str, str], frame: str, brackets: bool
) -> None:
    number = digits / 10**decimals
    body = frame.format(_grouped(abs(number), decimals, *style))
    text = body if number >= 0 else f"({body})" if brackets else f"-{body}"
    quantity = parse_quantity(text, decimal_comma=style[1] == ",")
    assert quantity is not None, text
    assert quantity.number == pytest.approx(number)


@given(st.floats(-1e12, 1e12).filter(lambda x: x == 0 or abs(x) > 1e-9))
def test_format_number_keeps_the_value_and_uses_no_exponent(number: float) -> None:
    text = format_number(number)
    assert "e" not in text
    assert not text.endswith(".0")
    assert float(text) == pytest.approx(number, rel=1e-3, abs=1e-12)


@given(st.text(max_size=40))
def test_any_text_is_read_without_an_error(text: str) -> None:
    for quantity in find_quantities(text):
        assert 0 <= quantity.start < quantity.end <= len(text)
    parse_quantity(text)
    parse_date(text)
    parse_unit(text)
    assert sql_name(text).isidentifier()


@given(st.dates(date(1000, 1, 1)), st.sampled_from(["%Y-%m-%d", "%d %B %Y", "%B %d, %Y", "%d %b %Y", "%d.%m.%Y"]))
def test_formatted_dates_are_read_back(day: date, style: str) -> None:
    assert parse_date(day.strftime(style)) == day


def test_slashed_dates_are_not_guessed_at() -> None:
    assert parse_date("13/2/2024") == date(2024, 2, 13)
    assert parse_date("3/2/2024") is None
    assert read_column([ColumnPart(("3/2/2024", "13/2/2024"))]).values == (date(2024, 2, 3), date(2024, 2, 13))
    assert read_column([ColumnPart(("3/2/2024", "4/2/2024"))]).type is ColumnType.TEXT


def test_impossible_dates_are_none() -> None:
    assert parse_date("31 February 2024") is None
    assert parse_date("December 2007") == date(2007, 12, 1)


def test_booleans() -> None:
    assert [parse_boolean(text) for text in ("Yes", "✗", "maybe")] == [True, False, None]
    assert read_column([ColumnPart(("yes", "", "no"))]).values == (True, None, False)


@pytest.mark.parametrize(
    ("header", "label", "unit"),
    [
        ("Energy used (MWh)", "Energy used", "MWh"),
        ("Revenue, EUR million", "Revenue", "EUR million"),
        ("Revenue in EUR m", "Revenue", "EUR million"),
        ("amount_eur_thousand", "amount", "EUR thousand"),
        ("share_percent", "share", "%"),
        ("lead_time_days", "lead time", "days"),
        ("Class 1 (e.g. Motorbike)", "Class 1 (e.g. Motorbike)", ""),
        ("visits_per_month", "visits_per_month", ""),
        ("Group W", "Group W", ""),
        ("Year", "Year", ""),
        ("EUR thousand", "EUR thousand", "EUR thousand"),
    ],
)
def test_units_in_headers(header: str, label: str, unit: str) -> None:
    found, parsed = split_header(header)
    assert (found, parsed.label if parsed else "") == (label, unit)


def test_the_unit_that_a_question_asks_for() -> None:
    asked = asked_unit("How much money, in thousand euros, do the loans add up to?")
    assert asked is not None
    assert asked.label == "EUR thousand"
    assert asked_unit("Which were built in 2024?") is None


def test_cells_of_one_column_are_brought_to_one_unit() -> None:
    reading = read_column([ColumnPart(("40 kW", "1.2 MW", "600 kW", "-"))])
    assert (reading.type, reading.unit, reading.values) == (ColumnType.NUMBER, "kW", (40, 1200, 600, None))


def test_a_bare_number_takes_the_unit_of_its_own_document_only() -> None:
    reading = read_column([ColumnPart(("EUR 4.2 million", "5")), ColumnPart(("7",)), ColumnPart(("900 thousand EUR",))])
    assert reading.unit == "EUR million"
    assert reading.values == (4.2, 5, None, 0.9)


def test_headers_scale_their_own_cells() -> None:
    parts = [
        ColumnPart(("1,500",), parse_unit("EUR thousand")),
        ColumnPart(("2.5",), parse_unit("EUR million")),
        ColumnPart(("0.75",), parse_unit("EUR million")),
    ]
    assert read_column(parts).values == (1.5, 2.5, 0.75)


def test_two_currencies_are_not_added_up() -> None:
    reading = read_column([ColumnPart(("EUR 5", "USD 6"))])
    assert reading.type is ColumnType.TEXT
    assert reading.values == ("EUR 5", "USD 6")


def test_a_few_words_do_not_make_numbers_text() -> None:
    reading = read_column([ColumnPart(("66,243", "67,536", "Bye"))])
    assert (reading.type, reading.values) == (ColumnType.NUMBER, (66243, 67536, None))


def test_names_are_safe_and_distinct() -> None:
    assert sql_name("For") == "col_for"
    assert sql_name("2024") == "col_2024"
    assert sql_name("row_no") == "col_row_no"
    assert sql_name("Name", ["name"]) == "name_2"
