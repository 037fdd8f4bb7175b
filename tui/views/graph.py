"""The graph as a tree of names and what they are related to, and drawn."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import ClassVar

from textual import on, work
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import ScrollableContainer
from textual.message import Message
from textual.widgets import Input, Static

from structrag.errors import ConfigError
from structrag.structures.edits import Edit, fact_addition, fact_change, fact_removal, merge_edit
from structrag.structures.graph import Fact, KnowledgeGraph
from structrag.tui.views.drawing import draw_neighbourhood, draw_path
from structrag.tui.views.outline import Item, Items, Outline
from structrag.tui.views.view import Editable, EditWanted, StructureView, Use, label

_ALIASES_SHOWN = 3


class GraphIndex:
    """Finds the facts of a name at once, without the library that traces paths."""

    def __init__(self, graph: KnowledgeGraph) -> None:
        at: dict[str, list[Fact]] = defaultdict(list)
        for fact in graph.facts:
            at[fact.head].append(fact)
            if fact.tail != fact.head:
                at[fact.tail].append(fact)
        self.at: Mapping[str, Sequence[Fact]] = at
        self.graph = graph
        aliases: dict[str, list[str]] = defaultdict(list)
        for alias, name in graph.aliases.items():
            if alias != name:
                aliases[name].append(alias)
        self.aliases: Mapping[str, Sequence[str]] = aliases

    def names(self, path: Sequence[Fact], wanted: str = "") -> list[str]:
        """Return the names that hold a text: those on the path first, then those with most facts."""
        on_path = {name for fact in path for name in (fact.head, fact.tail)}
        folded = wanted.casefold()
        found = (name for name in self.at if folded in name.casefold()) if folded else self.at
        return sorted(found, key=lambda name: (name not in on_path, -len(self.at[name]), name))


def find_path(graph: KnowledgeGraph, use: Use) -> list[Fact]:
    """Return the facts of the path that the answer took, in its order, as the reasoner noted it."""
    noted = use.details("path")
    if not noted:
        return []
    places: dict[str, tuple[int, Fact]] = {}
    for fact in graph.facts:
        text = f"{fact.head} —{fact.relation}→ {fact.tail}"
        place = noted[-1].find(text)
        if place >= 0 and text not in places:
            places[text] = (place, fact)
    return [fact for _, fact in sorted(places.values(), key=lambda found: found[0])]


@dataclass(eq=False, repr=False)
class GraphRead(Message):
    """The facts of each name and the path of the answer are found."""

    index: GraphIndex
    path: list[Fact]
    use: Use


class GraphView(StructureView):
    """Shows a graph as a tree, or drawn around the name under the cursor."""

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("v", "switch_drawing", "Draw or list", show=False),
        Binding("f", "filter", "Filter names", show=False),
        Binding("a", "add_fact", "Add a fact", show=False),
        Binding("escape", "leave_filter", "Back to the names", show=False),
    ]

    def __init__(self, graph: KnowledgeGraph, use: Use) -> None:
        super().__init__(use)
        self._graph = graph
        self._index: GraphIndex | None = None
        self._path: list[Fact] = []

    def compose(self) -> ComposeResult:
        """Lay out the filter, the tree and the drawing."""
        yield Static(classes="summary", markup=False)
        yield Input(placeholder="Names that hold …", classes="filter", max_length=200)
        yield Outline("names")
        with ScrollableContainer(id="drawing-scroll"):
            yield Static(id="drawing", markup=False)
        yield Static("Enter source · v draw · f filter · i edit · a add", classes="hint", markup=False)

    def redraw(self) -> None:
        """Draw the tree, the answer's path first."""
        self.query_one(".summary", Static).update("Reading the graph …")
        self._read(self.use)

    @work(thread=True, exclusive=True, group="graph", description="reads a graph")
    def _read(self, use: Use) -> None:
        self.post_message(GraphRead(self._index or GraphIndex(self._graph), find_path(self._graph, use), use))

    @on(GraphRead)
    def _show(self, message: GraphRead) -> None:
        if message.use is not self.use:
            return
        self._index, self._path = message.index, message.path
        counts = f"{len(self._index.at):,} names · {len(self._graph.facts):,} facts"
        self.query_one(".summary", Static).update(f"{counts} · path of {len(self._path)}" if self._path else counts)
        self._list_names("")

    def focus_content(self) -> None:
        """Go to the tree or the drawing, whichever is shown."""
        drawing = self.query_one("#drawing-scroll")
        (drawing if drawing.display else self.query_one(Outline)).focus()

    def editable(self) -> Editable | None:
        """Return the name or the fact under the cursor."""
        item = self.query_one(Outline).item
        return item.edit if item is not None else None

    def action_add_fact(self) -> None:
        """Ask for a fact to add."""
        item = self.query_one(Outline).item
        text = f"{item.subject} | … | …" if item is not None and item.subject else ""
        title = "A new fact: name | relation | name"
        self.post_message(
            EditWanted(Editable(title, text, lambda written: fact_addition(self._graph, *_parts(written))))
        )

    def action_switch_drawing(self) -> None:
        """Draw what is around the name under the cursor, or go back to the tree."""
        drawing, names = self.query_one("#drawing-scroll"), self.query_one(Outline)
        is_drawn = not drawing.display
        if is_drawn:
            subject = names.item.subject if names.item else ""
            self.query_one("#drawing", Static).update("\n".join(self._drawing(subject)))
        drawing.display, names.display = is_drawn, not is_drawn
        self.focus_content()

    def action_filter(self) -> None:
        """Go to the filter."""
        if self.query_one("#drawing-scroll").display:
            self.action_switch_drawing()
        field = self.query_one(".filter", Input)
        field.display = True
        field.focus()

    def action_leave_filter(self) -> None:
        """Take the filter away."""
        field = self.query_one(".filter", Input)
        field.value = ""
        field.display = False
        self.focus_content()

    def check_action(self, action: str, parameters: tuple[object, ...]) -> bool | None:
        """Leave Escape to the screen while there is no filter to leave, and letters to the filter."""
        is_filtering = isinstance(self.screen.focused, Input)
        if action == "leave_filter":
            return self.query_one(".filter").display
        return not is_filtering if action in ("switch_drawing", "filter", "add_fact", "edit") else True

    @on(Input.Changed, ".filter")
    def _filter(self, event: Input.Changed) -> None:
        event.stop()
        self._list_names(event.value.strip())

    @on(Input.Submitted, ".filter")
    def _go_to_names(self, event: Input.Submitted) -> None:
        event.stop()
        self.query_one(Outline).focus()

    def _list_names(self, wanted: str) -> None:
        if self._index is None:
            return
        self.query_one(Outline).show(graph_items(self._index, self._path, wanted))

    def _drawing(self, subject: str) -> list[str]:
        if self._index is None:
            return []
        name = subject or next(iter(self._index.names(self._path)), "")
        lines: list[str] = []
        if name:
            lines += [f"Around {label(name)}", "", *draw_neighbourhood(name, self._index.at[name], self._path), ""]
        return [*lines, "The way of the answer", "", *draw_path(self._path)] if self._path else lines


def graph_items(index: GraphIndex, path: Sequence[Fact], wanted: str = "") -> Items:
    """Return the answer's path and the names that hold a text, as entries."""
    names = index.names(path, wanted)
    way = 1 if path and not wanted else 0

    def make(number: int) -> Item:
        if number < way:
            return _path_item(path, index)
        return _name_item(names[number - way], index, path)

    return Items(way + len(names), make)


def _path_item(path: Sequence[Fact], index: GraphIndex) -> Item:
    def make(number: int) -> Item:
        fact = path[number]
        text = f"{fact.head} —{label(fact.relation, 40)}→ {fact.tail}"
        return Item(
            text, evidence=fact.evidence, is_cited=True, subject=fact.tail, edit=_editable_fact(fact, index.graph)
        )

    return Item("The way of the answer", is_cited=True, is_open=True, below=lambda: Items(len(path), make))


def _name_item(name: str, index: GraphIndex, path: Sequence[Fact]) -> Item:
    facts = index.at[name]
    aliases = index.aliases.get(name, ())
    also = f"also {', '.join(label(each, 40) for each in aliases[:_ALIASES_SHOWN])}" if aliases else ""
    return Item(
        name,
        note=" ".join(part for part in (f"({len(facts):,})", also) if part),
        is_cited=any(name in (fact.head, fact.tail) for fact in path),
        below=lambda: _facts_below(name, index, path),
        subject=name,
        edit=Editable(f"{name} is the same as", name, lambda text: merge_edit(index.graph, name, text)),
    )


def _facts_below(name: str, index: GraphIndex, path: Sequence[Fact]) -> Items:
    facts = index.at[name]

    def make(number: int) -> Item:
        fact = facts[number]
        is_out = fact.head == name
        other = fact.tail if is_out else fact.head
        relation = label(fact.relation, 40)
        return Item(
            f"—{relation}→ {other}" if is_out else f"←{relation}— {other}",
            evidence=fact.evidence,
            is_cited=fact in path,
            below=lambda: _facts_below(other, index, path),
            subject=other,
            edit=_editable_fact(fact, index.graph),
        )

    return Items(len(facts), make)


def _editable_fact(fact: Fact, graph: KnowledgeGraph) -> Editable:
    def make(text: str) -> Edit:
        return fact_change(fact, *_parts(text), graph) if text.strip() else fact_removal(fact, graph)

    return Editable(
        "name | relation | name; nothing takes the fact out", f"{fact.head} | {fact.relation} | {fact.tail}", make
    )


def _parts(text: str) -> tuple[str, str, str]:
    """Return head, relation and tail as they were written.

    Raises:
        ConfigError: They were not written so.
    """
    parts = [part.strip() for part in text.split("|")]
    if len(parts) != 3:
        raise ConfigError("A fact is written in three parts.", hint="For example: Alder | buys from | Birch")
    return parts[0], parts[1], parts[2]
