"""From the texts of a column to its type, its unit and its values."""

from __future__ import annotations

import re
import unicodedata
from collections import Counter
from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass
from datetime import date

from structrag.structures.table_set import ColumnType, Value
from structrag.structures.table_units import PLAIN, Unit
from structrag.structures.table_values import (
    Quantity,
    is_missing,
    parse_boolean,
    parse_date,
    parse_quantity,
    reads_day_first,
    uses_decimal_comma,
)

# A column of numbers may hold a few words ("Bye", "DNS"); they lose their value but keep their raw text.
_ENOUGH = 2 / 3
# Rejected as bare column names by DuckDB or by sqlglot's parser.
_RESERVED = frozenset(
    "all analyse analyze and anti any array as asc asof asymmetric at both by case cast check collate column "
    "columns constraint create cross current_date default deferrable desc describe distinct do else end except "
    "exists false fetch filter for foreign from full glob grant group having ilike in initially inner intersect "
    "interval into is isnull join lambda lateral leading left like limit map natural not notnull null of offset "
    "on only or order outer over overlaps placing positional pivot pivot_longer pivot_wider primary qualify "
    "references returning right row row_no rows select semi set show similar some struct summarize symmetric "
    "table tablesample then to trailing true try_cast union unique unpivot using values variadic verbose when "
    "where window with within".split()
)
_LONGEST_NAME = 32


@dataclass(frozen=True, slots=True)
class ColumnPart:
    """The part of a column that one document gave.

    Attributes:
        texts: The cells, as the document has them.
        unit: The unit that the header names.
    """

    texts: tuple[str, ...]
    unit: Unit | None = None


@dataclass(frozen=True, slots=True)
class ColumnReading:
    """What a column was read as.

    Attributes:
        values: One for each text of each part, in order.
    """

    type: ColumnType
    unit: str
    values: tuple[Value, ...]


def sql_name(label: str, taken: Collection[str] = ()) -> str:
    """Return a name for SQL: snake case, ASCII, no reserved word, different from those taken."""
    plain = unicodedata.normalize(
        "NFKD", label.replace("&", " and ").replace("%", " percent ").replace("#", " number ")
    )
    words = re.findall(r"[a-z0-9]+", plain.encode("ascii", "ignore").decode().lower())
    name = ""
    for word in words:
        if name and len(name) + len(word) >= _LONGEST_NAME:
            break
        name = f"{name}_{word}" if name else word[:_LONGEST_NAME]
    name = {"": "col", "no": "number"}.get(name, name)
    if name[0].isdigit() or name in _RESERVED:
        name = f"col_{name}"
    unique, count = name, 2
    while unique in taken:
        unique, count = f"{name}_{count}", count + 1
    return unique


def table_name(title: str, taken: Collection[str] = ()) -> str:
    """Return a short name for SQL made of the first words of a title."""
    words = [word for word in re.findall(r"[^\W\d_][\w']*", title) if len(word) > 2]
    return sql_name(" ".join(words[:3]) or "data", taken)


def read_column(parts: Sequence[ColumnPart]) -> ColumnReading:
    """Return the type, the unit and the values of a column that may come from several documents.

    A cell without a unit has the unit of its header, else the one that most cells of *its own document* have;
    values in different units of one kind are then brought to one.
    """
    texts = [text for part in parts for text in part.texts]
    filled = [text for text in texts if not is_missing(text)]
    if not filled:
        return ColumnReading(ColumnType.TEXT, "", (None,) * len(texts))
    for type_, parse in ((ColumnType.BOOLEAN, parse_boolean), (ColumnType.DATE, _date_parser(filled))):
        values = [None if is_missing(text) else parse(text) for text in texts]
        found = sum(value is not None for value in values)
        needed = len(filled) if type_ is ColumnType.BOOLEAN else _ENOUGH * len(filled)
        if found >= needed:
            return ColumnReading(type_, "", tuple(values))
    quantities = [quantity for part in parts for quantity in _quantities(part)]
    if sum(q is not None for q in quantities) >= _ENOUGH * len(filled):
        reading = _in_one_unit(quantities, [part.unit for part in parts if part.unit])
        if sum(value is not None for value in reading.values) >= _ENOUGH * len(filled):
            return reading
    return ColumnReading(
        ColumnType.TEXT, "", tuple(None if is_missing(text) else " ".join(text.split()) for text in texts)
    )


def _date_parser(texts: Sequence[str]) -> Callable[[str], date | None]:
    readings = {reads_day_first(text) for text in texts} - {None}
    day_first = readings.pop() if len(readings) == 1 else None
    return lambda text: parse_date(text, day_first=day_first)


def _quantities(part: ColumnPart) -> list[Quantity | None]:
    comma = any(uses_decimal_comma(text) for text in part.texts)
    read = [None if is_missing(text) else parse_quantity(text, decimal_comma=comma) for text in part.texts]
    unit = part.unit or commonest_unit([q.unit for q in read if q and not q.bare])
    # "million" alone scales the cells that say it and no others.
    if unit is None or not unit.kind:
        unit = part.unit or PLAIN
    return [Quantity(q.number, unit) if q and q.bare else q for q in read]


def _in_one_unit(quantities: Sequence[Quantity | None], headers: Sequence[Unit]) -> ColumnReading:
    units = [q.unit for q in quantities if q]
    target = commonest_unit(headers) or commonest_unit(units) or PLAIN
    if not target.kind and target.factor != 1 and not headers and len(set(units)) > 1:
        target = PLAIN
    values = tuple(q.in_unit(target) if q else None for q in quantities)
    return ColumnReading(ColumnType.NUMBER, target.label, values)


def commonest_unit(units: Sequence[Unit]) -> Unit | None:
    """Return the unit that occurs most often, the first of them on a tie."""
    return Counter(units).most_common(1)[0][0] if units else None
