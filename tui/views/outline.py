"""A tree whose branches are made when they are opened, so that it opens at once however large it is."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import ClassVar

from rich.text import Text
from textual.binding import Binding, BindingType
from textual.widgets import Tree
from textual.widgets.tree import TreeNode

from structrag.tui.views.view import CITED, EDITED, Editable, SourceWanted, label
from structrag.types import Evidence

PAGE = 100
"""Entries of a branch that are shown at first, and with each Enter on "more"."""

_OPENED_AT_ONCE = 200
"""Entries that branches which are open from the start may hold together."""


@dataclass(frozen=True, slots=True)
class Items:
    """Entries of a branch, each made when it is shown.

    Attributes:
        count: How many there are.
        make: Returns the one at an index.
    """

    count: int
    make: Callable[[int], Item]


@dataclass(frozen=True, slots=True)
class Item:
    """One entry.

    Attributes:
        text: What it says; untrusted.
        note: What is said of it, such as how much it holds.
        evidence: Where it stands; Enter goes there. Enter opens the branch of an entry without.
        is_cited: The answer rests on it, or on what it holds.
        is_open: Its branch is open from the start.
        below: Returns the entries below; called when the branch is opened first. ``None`` where there are none.
        subject: What it is about, for views that follow the cursor.
        edit: What a person may change about it.
    """

    text: str
    note: str = ""
    evidence: Evidence | None = None
    is_cited: bool = False
    is_open: bool = False
    below: Callable[[], Items] | None = None
    subject: str = ""
    edit: Editable | None = None


@dataclass(frozen=True, slots=True)
class _More:
    """Stands for the entries of a branch from ``start`` on."""

    items: Items
    start: int


class Outline(Tree[Item | _More | None]):
    """Shows entries as a tree. Enter on one that has a source asks for it; Space opens and closes branches."""

    HELP = "Arrow keys go from entry to entry, Space opens and closes one, Enter shows where it stands in its document."
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("right", "open_branch", "", show=False),
        Binding("left", "close_branch", "", show=False),
    ]

    def __init__(self, id: str) -> None:  # noqa: A002 (Textual's own name for it)
        super().__init__(Text(""), id=id)
        self.show_root = False
        self.auto_expand = False
        self.guide_depth = 2
        self._room = _OPENED_AT_ONCE

    def show(self, items: Items) -> None:
        """Show these entries in place of all others."""
        self.clear()
        self._room = _OPENED_AT_ONCE
        self.root.expand()
        self._fill(self.root, items, 0)
        self.cursor_line = 0 if items.count else -1
        self.scroll_home(animate=False)

    @property
    def item(self) -> Item | None:
        """The entry under the cursor."""
        node = self.cursor_node
        return node.data if node is not None and isinstance(node.data, Item) else None

    def get_label_width(self, node: TreeNode[Item | _More | None]) -> int:
        """Return the width of an entry in cells, without rendering it."""
        text = node.label
        return (text.cell_len if isinstance(text, Text) else len(text)) + 2

    def action_open_branch(self) -> None:
        """Open the branch under the cursor."""
        node = self.cursor_node
        if node is not None and node.allow_expand and not node.is_expanded:
            node.expand()

    def action_close_branch(self) -> None:
        """Close the branch under the cursor; on a closed one go up to its parent."""
        node = self.cursor_node
        if node is None:
            return
        if node.allow_expand and node.is_expanded:
            node.collapse()
        elif node.parent is not None and not node.parent.is_root:
            self.move_cursor(node.parent)

    def on_tree_node_expanded(self, event: Tree.NodeExpanded[Item | _More | None]) -> None:
        """Make the entries below when they are seen first."""
        node = event.node
        if isinstance(node.data, Item) and node.data.below is not None and not node.children:
            self._fill(node, node.data.below(), 0)

    def on_tree_node_selected(self, event: Tree.NodeSelected[Item | _More | None]) -> None:
        """Show the source of an entry, or more of a branch."""
        event.stop()
        node = event.node
        match node.data:
            case _More(items=items, start=start) if node.parent is not None:
                branch, line = node.parent, self.cursor_line
                node.remove()
                self._fill(branch, items, start)
                self.cursor_line = line
            case Item(evidence=Evidence() as evidence):
                self.post_message(SourceWanted(evidence))
            case Item():
                node.toggle()

    def _fill(self, branch: TreeNode[Item | _More | None], items: Items, start: int) -> None:
        stop = min(items.count, start + PAGE)
        for index in range(start, stop):
            self._add(branch, items.make(index))
        if stop < items.count:
            text = Text(f"… {items.count - stop:,} more: Enter shows them", style="italic")
            branch.add_leaf(text, _More(items, stop))

    def _add(self, branch: TreeNode[Item | _More | None], item: Item) -> None:
        text = _entry(item)
        if item.below is None:
            branch.add_leaf(text, item)
            return
        node = branch.add(text, item)
        if item.is_open and self._room > 0:
            below = item.below()
            self._room -= min(below.count, PAGE)
            self._fill(node, below, 0)
            node.expand()


def _entry(item: Item) -> Text:
    text = Text(f"{CITED} " if item.is_cited else "", style="bold" if item.is_cited else "", no_wrap=True, end="")
    text.append(label(item.text) or "(no text)")
    if item.note:
        text.append(f"  {label(item.note)}", style="dim")
    if item.evidence is not None and not item.evidence.verified:
        text.append("  not verified", style="italic")
    if item.evidence is not None and item.evidence.edits:
        text.append(f"  {EDITED} edited", style="italic")
    return text
