"""Single figures that a question names, each looked up by itself, and how the answer is computed from them.

"By how much does A exceed B?" needs two figures, not a table of all that there is; the model writes the calculation
(Chen et al. 2022, arXiv 2211.12588), it becomes SQL over the figures, and the database calculates.
"""

from __future__ import annotations

import ast
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, TypeGuard

from structrag.errors import ModelOutputError
from structrag.models.chat import Prompt
from structrag.session import Session
from structrag.structures.prompt_files import load_examples, load_prompt
from structrag.structures.table_columns import commonest_unit
from structrag.structures.table_excerpts import nearest_passages
from structrag.structures.table_set import EMPTY_CELL, Cell, Column, ColumnType, Row, Table
from structrag.structures.table_units import PLAIN, Unit
from structrag.structures.table_values import Quantity
from structrag.structures.table_verification import Checked, check, words
from structrag.types import Evidence, SourceDocument, Span

NAME = "figures"
_MOST_FIGURES = 6
_READ = 4
_PLAN_TOKENS = 120
_FIGURE_TOKENS = 60
_OPERATORS: Mapping[type[ast.AST], str] = {
    ast.Add: "+",
    ast.Sub: "-",
    ast.Mult: "*",
    ast.Div: "/",
    ast.Gt: ">",
    ast.Lt: "<",
    ast.GtE: ">=",
    ast.LtE: "<=",
    ast.Eq: "=",
}
_CHOICES = {"max_of": "DESC", "min_of": "ASC"}


@dataclass(frozen=True, slots=True)
class Calculation:
    """A calculation from single figures.

    Attributes:
        figures: What to look up, by the name that the query knows it by.
        query: The calculation in SQL over a table of these names and their values.
    """

    figures: Mapping[str, str]
    query: str


def plan_calculation(question: str, session: Session) -> Calculation | None:
    """Return the calculation that the model writes, or ``None`` if the question needs a table, or none can be read.

    Raises:
        ModelError: The model does not answer.
    """
    prompt = Prompt(
        stage="table.plan",
        system=load_prompt("table_plan"),
        user=f"Question: {question}",
        max_tokens=_PLAN_TOKENS,
        examples=load_examples("table_plan"),
    )
    text = session.ask(prompt).text.strip()
    line = text.splitlines()[0] if text else ""
    session.note("calculation", line)
    return parse_calculation(line)


def parse_calculation(line: str) -> Calculation | None:
    """Return what a line of Python calculates from figures; nothing of it is ever run as Python.

    Returns:
        ``None`` for anything but ``value("…")``, ``max_of(name=value("…"), …)``, ``min_of``, ``sum_of(…)`` and
        + - * / < > = of them.
    """
    try:
        tree = ast.parse(line.strip(), mode="eval").body
        figures: dict[str, str] = {}
        chosen = _choice(tree, figures)
        query = chosen or f"SELECT {_sql(tree, figures)}"
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        return None
    return Calculation(figures, query) if 0 < len(figures) <= _MOST_FIGURES else None


def _choice(tree: ast.expr, figures: dict[str, str]) -> str:
    """Return the query that picks a name by its figure; empty if the expression is something else."""
    if not isinstance(tree, ast.Call) or not isinstance(tree.func, ast.Name) or tree.func.id not in _CHOICES:
        return ""
    if tree.args:
        raise ValueError("a figure without its name")
    for keyword in tree.keywords:
        figures[str(keyword.arg).replace("_", " ")] = _wanted(keyword.value)
    direction = _CHOICES[tree.func.id]
    # Where one is not known, nobody knows which is the largest.
    missing = f"(SELECT COUNT(*) FROM {NAME} WHERE amount IS NULL)"
    return f"SELECT figure, amount FROM {NAME} WHERE {missing} = 0 ORDER BY amount {direction} LIMIT 1"


def _sql(tree: ast.expr, figures: dict[str, str]) -> str:
    if isinstance(tree, ast.BinOp) and type(tree.op) in _OPERATORS:
        return f"({_sql(tree.left, figures)} {_OPERATORS[type(tree.op)]} {_sql(tree.right, figures)})"
    if isinstance(tree, ast.Compare) and len(tree.ops) == 1 and type(tree.ops[0]) in _OPERATORS:
        return f"({_sql(tree.left, figures)} {_OPERATORS[type(tree.ops[0])]} {_sql(tree.comparators[0], figures)})"
    if _is_call(tree, "sum_of"):
        return f"({' + '.join(_sql(part, figures) for part in tree.args)})"
    if isinstance(tree, ast.Constant) and isinstance(tree.value, int | float) and not isinstance(tree.value, bool):
        if not math.isfinite(tree.value):
            raise ValueError("not a number that a database knows")
        return repr(tree.value)
    wanted = _wanted(tree)
    figures[wanted] = wanted
    quoted = wanted.replace("'", "''")
    return f"(SELECT amount FROM {NAME} WHERE figure = '{quoted}')"


def _wanted(tree: ast.expr) -> str:
    """Return what a ``value("…")`` looks up.

    Raises:
        ValueError: The expression is something else.
    """
    if _is_call(tree, "value") and len(tree.args) == 1 and isinstance(tree.args[0], ast.Constant):
        wanted = tree.args[0].value
        if isinstance(wanted, str) and wanted.strip():
            return wanted.strip()
    raise ValueError("no figure")


def _is_call(tree: ast.expr, name: str) -> TypeGuard[ast.Call]:
    is_call = isinstance(tree, ast.Call) and isinstance(tree.func, ast.Name) and tree.func.id == name
    return is_call and isinstance(tree, ast.Call) and bool(tree.args) and not tree.keywords


def look_up(
    question: str, calculation: Calculation, documents: Sequence[SourceDocument], session: Session
) -> Table | None:
    """Return the table of the figures, empty cells for those that are stated nowhere; ``None`` where none is.

    Raises:
        ModelError: The model does not answer. A reply in the wrong form only loses its own figure.
    """
    by_id = {document.id: document for document in documents}
    offered = [nearest_passages(documents, wanted, session.embedder, _READ) for wanted in calculation.figures.values()]
    prompts = [
        _figure_prompt(question, wanted, [text for text, _ in items])
        for wanted, items in zip(calculation.figures.values(), offered, strict=True)
    ]
    replies = session.chat.reply_many(prompts, session.meter)
    found: list[tuple[str, Checked | None]] = []
    for name, wanted, items, reply in zip(
        calculation.figures, calculation.figures.values(), offered, replies, strict=True
    ):
        checked = None if isinstance(reply, ModelOutputError) else _checked(wanted, reply.data, items, by_id)
        session.note("figure", f"{wanted}: {checked.copied if checked else 'not stated'}")
        found.append((name, checked))
    return _table(found) if any(checked for _, checked in found) else None


def _figure_prompt(question: str, wanted: str, texts: Sequence[str]) -> Prompt:
    items = "\n".join(f"[{number}] {' '.join(text.split())}" for number, text in enumerate(texts, 1))
    schema = {
        "type": "object",
        "properties": {
            "item": {"type": "integer", "minimum": 0, "maximum": len(texts)},
            "figure": {"type": "string", "maxLength": 60},
        },
        "required": ["item", "figure"],
        "additionalProperties": False,
    }
    user = f"{items}\n\nQuestion: {question}\nFigure: {wanted}"
    return Prompt("table.figure", load_prompt("table_figure"), user, schema, _FIGURE_TOKENS)


def _checked(
    wanted: str, reply: Any, items: Sequence[tuple[str, Span]], documents: Mapping[str, SourceDocument]
) -> Checked | None:
    """Return the figure if the item that was named states it."""
    number = int(reply["item"])
    if not 1 <= number <= len(items):
        return None
    span = items[number - 1][1]
    whole = documents[span.document_id]
    # What stands outside of the item is blanked out, so that offsets stay what they are.
    alone = replace(whole, text=" " * span.start + whole.text[span.start : span.end])
    checked = check(alone, str(reply["figure"]), ColumnType.NUMBER, words(f"{wanted} {items[number - 1][0]}"))
    return checked if isinstance(checked.value, Quantity) else None


def _table(found: Sequence[tuple[str, Checked | None]]) -> Table:
    quantities = [checked.value for _, checked in found if checked and isinstance(checked.value, Quantity)]
    unit = commonest_unit([quantity.unit for quantity in quantities]) or PLAIN
    columns = (Column("figure", "figure"), Column("amount", "amount", ColumnType.NUMBER, unit.label))
    rows = [_row(name, checked, unit) for name, checked in found]
    return Table(NAME, "Figures that the question names", columns, tuple(rows), "figure")


def _row(name: str, checked: Checked | None, unit: Unit) -> Row:
    if checked is None:
        return Row("", (Cell(name, name), EMPTY_CELL))
    amount = checked.value.in_unit(unit) if isinstance(checked.value, Quantity) else None
    span = checked.evidence.span
    # A value that does not convert to the others' unit supports nothing.
    evidence = Evidence(span, checked.evidence.quote, verified=amount is not None)
    return Row(span.document_id, (Cell(name, name, checked.evidence), Cell(checked.copied, amount, evidence)))
