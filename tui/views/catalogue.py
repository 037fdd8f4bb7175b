"""The catalogue as a tree: documents, their sections, and what stands under each."""

from __future__ import annotations

from dataclasses import dataclass

from textual.app import ComposeResult
from textual.widgets import Static

from structrag.errors import ConfigError
from structrag.structures.catalogue import Catalogue, Topic
from structrag.structures.edits import member_move, topic_rename
from structrag.tui.views.outline import Item, Items, Outline
from structrag.tui.views.view import Editable, StructureView, Use, label


class CatalogueView(StructureView):
    """Shows a catalogue."""

    def __init__(self, catalogue: Catalogue, use: Use) -> None:
        super().__init__(use)
        self._catalogue = catalogue

    def compose(self) -> ComposeResult:
        """Lay out what was listed and the tree."""
        yield Static(classes="summary", markup=False)
        yield Outline("topics")
        yield Static("Enter source · Space open · i edit", classes="hint", markup=False)

    def redraw(self) -> None:
        """Draw the tree, open where the answer comes from."""
        parts = [f"{len(self._catalogue.documents):,} documents"]
        if self._catalogue.unplaced:
            parts.append(f"{len(self._catalogue.unplaced):,} not placed")
        parts += [f"list {label(path)}" for path in self.use.details("outline")[-1:]]
        self.query_one(".summary", Static).update(" · ".join(parts))
        self.query_one(Outline).show(catalogue_items(self._catalogue, self.use))

    def focus_content(self) -> None:
        """Go to the tree."""
        self.query_one(Outline).focus()

    def editable(self) -> Editable | None:
        """Return the topic or the member under the cursor."""
        item = self.query_one(Outline).item
        return item.edit if item is not None else None


def catalogue_items(catalogue: Catalogue, use: Use) -> Items:
    """Return the documents as entries, what the answer rests on first found by its document."""
    cited = {span.document_id for span in use.spans}

    def document(index: int) -> Item:
        topic = catalogue.documents[index]
        return _topic(topic, _Place(catalogue, topic, use), may_be_cited=topic.document_id in cited)

    return Items(len(catalogue.documents), document)


@dataclass(frozen=True, slots=True)
class _Place:
    """Where the entries of one document are: the catalogue, the document in it, and what was made of both."""

    catalogue: Catalogue
    document: Topic
    use: Use


def _topic(topic: Topic, place: _Place, *, may_be_cited: bool) -> Item:
    members = topic.all_members()
    # The document's other sections need not be searched where the answer rests on none of the document.
    use = place.use
    is_cited = may_be_cited and any(
        use.cites(each.evidence) or any(use.cites(member.evidence) for member in each.members) for each in topic.walk()
    )
    return Item(
        topic.title,
        note=f"({len(members):,})" if members else "",
        evidence=topic.evidence,
        is_cited=is_cited,
        is_open=is_cited,
        below=(lambda: _below(topic, place, may_be_cited=is_cited)) if members or topic.children else None,
        edit=Editable(
            "Another title for this topic", topic.title, lambda text: topic_rename(topic, text, place.catalogue)
        ),
    )


def _below(topic: Topic, place: _Place, *, may_be_cited: bool) -> Items:
    """What the text says directly under a heading, then the sections below it."""
    own = len(topic.members)

    def make(index: int) -> Item:
        if index >= own:
            return _topic(topic.children[index - own], place, may_be_cited=may_be_cited)
        member = topic.members[index]
        return Item(
            member.text,
            evidence=member.evidence,
            is_cited=may_be_cited and place.use.cites(member.evidence),
            edit=Editable(
                "The title of the topic, in the same document, that this belongs under",
                topic.title,
                lambda text: member_move(member, _titled(text, place.document), place.catalogue),
            ),
        )

    return Items(own + len(topic.children), make)


def _titled(title: str, document: Topic) -> Topic:
    """Return the topic of that title.

    Raises:
        ConfigError: The document has none.
    """
    wanted = " ".join(title.split()).casefold()
    for topic in document.walk():
        if " ".join(topic.title.split()).casefold() == wanted:
            return topic
    raise ConfigError(f"{document.title!r} has no topic {title!r}.", hint="Write its title as the tree shows it.")
