"""The three panes: side by side where there is room, else one at a time below tabs."""

from __future__ import annotations

from enum import StrEnum

from textual import on
from textual.app import ComposeResult
from textual.containers import Horizontal, Vertical
from textual.lazy import Lazy
from textual.widgets import Tab, Tabs

from structrag.tui.conversation import Conversation
from structrag.tui.details import Details
from structrag.tui.library import Library
from structrag.tui.views.pane import StructurePane


class Place(StrEnum):
    """What a narrow terminal shows one at a time. All but the first two are tabs of the right pane."""

    DOCUMENTS = "documents"
    ANSWER = "answer"
    ROUTE = "route"
    STRUCTURE = "structure"
    EVIDENCE = "evidence"
    USAGE = "usage"


_FOCUS = {
    Place.DOCUMENTS: "#documents",
    Place.ANSWER: "#reading",
    Place.ROUTE: "#route-scroll",
    # Where there is no structure to go to.
    Place.STRUCTURE: "#details ContentTabs",
    Place.EVIDENCE: "#citations",
    Place.USAGE: "#usage-scroll",
}


class Panes(Vertical):
    """Holds the panes and knows which of them a narrow terminal shows; the stylesheet does the rest."""

    def __init__(self) -> None:
        super().__init__(id="panes")

    def compose(self) -> ComposeResult:
        """Lay out tabs and panes."""
        tabs = (Tab(place.title(), id=f"see-{place}") for place in Place)
        places = Tabs(*tabs, id="places", active=f"see-{Place.ANSWER}")
        # Side by side, they are not shown, so the first paint does not wait for them.
        yield Lazy(places) if self.screen.has_class("-wide") else places
        with Horizontal(id="side-by-side"):
            yield Library()
            # What the first paint shows; `see` changes it.
            yield Conversation(classes="-current")
            yield Details()

    def see(self, place: Place) -> None:
        """Bring a place to the front and put the focus there."""
        tabs = self.query_one("#places", Tabs)
        with tabs.prevent(Tabs.TabActivated):
            tabs.active = f"see-{place}"
        self._arrange(place)
        if place is Place.STRUCTURE and self.query_one(StructurePane).view is not None:
            # A tab that has just come to the front can take the focus only once it is laid out.
            self.call_after_refresh(self.query_one(StructurePane).focus_content)
        else:
            self.screen.set_focus(self.query_one(_FOCUS[place]))

    def keep_focus_in_view(self) -> None:
        """Make the pane that has the focus the one that a narrow terminal shows."""
        focused = self.screen.focused
        if focused is None or self.query_one(".-current") in focused.ancestors:
            return
        for pane, place in (
            (self.query_one(Library), Place.DOCUMENTS),
            (self.query_one(Conversation), Place.ANSWER),
            (self.query_one(Details), Place(self.query_one(Details).tab)),
        ):
            if pane in focused.ancestors:
                self._arrange(place)

    @on(Tabs.TabActivated, "#places")
    def _see_tab(self, event: Tabs.TabActivated) -> None:
        # The focus stays on the tabs, so that the arrow keys go on to the next.
        self._arrange(Place((event.tab.id or "").removeprefix("see-")))

    def _arrange(self, place: Place) -> None:
        if place is Place.DOCUMENTS:
            current = self.query_one("Library")
        elif place is Place.ANSWER:
            current = self.query_one("Conversation")
        else:
            details = self.query_one(Details)
            details.open(place)
            current = details
        for pane in self.query("#side-by-side > *"):
            pane.set_class(pane is current, "-current")
