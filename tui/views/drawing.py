"""Graphs drawn with characters: the way from one name to another, and a name with all that is around it."""

from __future__ import annotations

from collections.abc import Sequence

from rich.cells import cell_len, set_cell_size

from structrag.structures.graph import Fact
from structrag.tui.views.view import label

NAME_WIDTH = 28
RELATION_WIDTH = 24
MOST_PER_SIDE = 12


def draw_path(facts: Sequence[Fact]) -> list[str]:
    """Return the lines of a path, its names in boxes below each other; an arrow points from head to tail."""
    if not facts:
        return []
    here = _start(facts)
    lines = _box(here)
    for fact in facts:
        is_forward = fact.head == here
        here = fact.tail if is_forward else fact.head
        relation = label(fact.relation, RELATION_WIDTH)
        lines += ["    │" if is_forward else "    ▲", f"    │ {relation}", "    ▼" if is_forward else "    │"]
        lines += _box(here)
    return lines


def draw_neighbourhood(name: str, facts: Sequence[Fact], path: Sequence[Fact] = ()) -> list[str]:
    """Return the lines of a name in a box, what leads to it on the left, where it leads on the right.

    Args:
        name: The name in the middle.
        facts: Those that it takes part in.
        path: Facts that are drawn in heavy lines, as the answer went that way.
    """
    into = [fact for fact in facts if fact.tail == name and fact.head != name]
    out = [fact for fact in facts if fact.head == name]
    left = _side([(label(f.head, NAME_WIDTH), label(f.relation, RELATION_WIDTH), f in path) for f in into], "in")
    right = _side([(label(f.tail, NAME_WIDTH), label(f.relation, RELATION_WIDTH), f in path) for f in out], "out")
    height = max(len(left), len(right), 1)
    left_width = max(map(cell_len, left), default=0)
    middle = label(name, NAME_WIDTH)
    edge = "─" * (cell_len(middle) + 2)
    margin = " " * left_width
    lines = [f"{margin}┌{edge}┐"]
    for row in range(height):
        before = set_cell_size(left[row], left_width) if row < len(left) else margin
        after = right[row] if row < len(right) else ""
        text = middle if row == (height - 1) // 2 else " " * cell_len(middle)
        lines.append(f"{before}│ {text} │{after}")
    return [*lines, f"{margin}└{edge}┘"]


def _side(edges: Sequence[tuple[str, str, bool]], direction: str) -> list[str]:
    """Return one line for each edge, arrows and names below each other."""
    shown = edges[:MOST_PER_SIDE]
    names = max((cell_len(name) for name, _, _ in shown), default=0)
    relations = max((cell_len(relation) for _, relation, _ in shown), default=0)
    lines = []
    for name, relation, is_heavy in shown:
        dash = "━" if is_heavy else "─"
        rest = dash * (relations - cell_len(relation))
        arrow = f"{dash}{dash} {relation} {dash}{rest}▶"
        lines.append(f"{set_cell_size(name, names)} {arrow}" if direction == "in" else f"{arrow} {name}")
    left_out = len(edges) - len(shown)
    return [*lines, f"… {left_out:,} more"] if left_out else lines


def _box(name: str) -> list[str]:
    text = label(name, NAME_WIDTH)
    edge = "─" * (cell_len(text) + 2)
    return [f"┌{edge}┐", f"│ {text} │", f"└{edge}┘"]


def _start(facts: Sequence[Fact]) -> str:
    """Return the end of the first fact that the second does not touch."""
    first = facts[0]
    if len(facts) > 1 and first.head in (facts[1].head, facts[1].tail):
        return first.tail
    return first.head
