"""Which tables and columns the parts of a query read."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from sqlglot import exp
    from sqlglot.optimizer.scope import Scope


@dataclass(frozen=True, slots=True)
class BaseColumn:
    """A column of a loaded table."""

    table: str
    name: str


class QueryColumns:
    """The base column behind every column of a guarded query, also through subqueries and CTEs."""

    def __init__(self, query: exp.Query) -> None:
        from sqlglot.optimizer.scope import traverse_scope

        self.scopes: list[Scope] = list(reversed(traverse_scope(query)))
        """The outermost first."""
        self._scope_of = {id(column): scope for scope in self.scopes for column in scope.columns}

    def base(self, node: exp.Expr | None) -> BaseColumn | None:
        """Return the base column that an expression is, or ``None`` if it is anything else."""
        from sqlglot import exp

        if isinstance(node, (exp.Alias, exp.Paren)):
            return self.base(node.this)
        if isinstance(node, exp.Subquery) and isinstance(node.this, exp.Select) and len(node.this.selects) == 1:
            return self.base(node.this.selects[0])
        scope = self._scope_of.get(id(node))
        if not isinstance(node, exp.Column) or scope is None:
            return None
        source = scope.sources.get(node.table)
        if isinstance(source, exp.Table):
            return BaseColumn(source.name, node.name)
        inner = source.expression if source is not None else None
        if not isinstance(inner, exp.Select):
            return None
        return self.base(next((s for s in inner.selects if s.alias_or_name == node.name), None))

    def bases_in(self, node: exp.Expr) -> Iterator[BaseColumn]:
        """Yield the base columns that an expression reads, in the order in which they are written."""
        from sqlglot import exp

        for column in node.find_all(exp.Column, bfs=False):
            if found := self.base(column):
                yield found


def tables_of(scope: Scope) -> dict[str, str]:
    """Return the loaded tables that a scope reads itself, by the alias that it gives them."""
    from sqlglot import exp

    return {
        alias: source.name for alias, (_, source) in scope.selected_sources.items() if isinstance(source, exp.Table)
    }
