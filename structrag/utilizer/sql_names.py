"""Read a column's name that no table has as the one it must mean: a small model writes "maturity" for "matures"."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from difflib import SequenceMatcher
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from sqlglot import exp

_SAME_LETTERS = 4
"""With which both names begin."""
_ALIKE = 0.6
_AHEAD = 0.1
"""By which the likest name must be ahead of the next, as a share of letters: "revenue" may be that of two years."""


def with_known_columns(query: exp.Query, catalog: Mapping[str, Mapping[str, str]]) -> dict[str, str]:
    """Rename, within a query, columns that none of its tables has to the one that is written nearly so, if one is.

    Args:
        query: Changed in place.
        catalog: For each table its columns with their SQL types.

    Returns:
        The names that were changed, with those that they were changed to.
    """
    from sqlglot import exp

    tables = {table.name.lower() for table in query.find_all(exp.Table)}
    columns = [name for table, its in catalog.items() if table.lower() in tables for name in its]
    given = {each.alias.lower() for each in query.find_all(exp.Alias, exp.TableAlias)}
    known = {name.lower() for name in columns} | given
    changed: dict[str, str] = {}
    for column in query.find_all(exp.Column):
        is_known = not isinstance(column.this, exp.Identifier) or column.name.lower() in known
        if not is_known and (meant := _nearest(column.name.lower(), columns)):
            changed[column.name] = meant
            column.set("this", exp.to_identifier(meant))
    return changed


def _nearest(name: str, columns: Sequence[str]) -> str | None:
    alike = {
        column: SequenceMatcher(None, name, column.lower()).ratio()
        for column in columns
        if len(name) >= _SAME_LETTERS and column.lower().startswith(name[:_SAME_LETTERS])
    }
    first, *others = sorted(alike, key=lambda column: -alike[column]) or [""]
    if not first or alike[first] < _ALIKE or (others and alike[others[0]] > alike[first] - _AHEAD):
        return None
    return first
