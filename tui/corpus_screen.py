"""The corpus screen: its documents, adding files and folders, removing, searching."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import ClassVar

from textual import on, work
from textual.app import ComposeResult
from textual.binding import BindingType
from textual.reactive import reactive
from textual.screen import Screen
from textual.widgets import Footer, Input, Static
from textual.worker import get_current_worker

from structrag.cli.text import clean, one_line
from structrag.errors import StructRAGError
from structrag.events import DocumentAdded, Event
from structrag.tui.cancelling import WorkCancelled, until_cancelled
from structrag.tui.confirmation import Confirmation
from structrag.tui.corpus import OpenCorpus
from structrag.tui.corpus_messages import FilesFound, Listed, ListingFailed, ReadingEnded, Searched
from structrag.tui.dialogs import SourceDialog
from structrag.tui.excerpt import excerpt, opening
from structrag.tui.keys import action
from structrag.tui.path_dialog import PathDialog
from structrag.tui.paths import near
from structrag.tui.requests import AskingWanted, DocumentsChanged, ScopeWanted
from structrag.tui.rows import Column, MadeRows, Row, Rows
from structrag.tui.shelf import DOTS, Entry, Match, ReadingState, Shelf, find
from structrag.tui.top_line import TopLine
from structrag.types import Evidence, SourceDocument, Span

BATCH = 100
"""Documents whose news are taken in at once: few enough that a key press in between is answered at once."""
_SECONDS_BETWEEN = 0.1
_TONES = {ReadingState.WAITING: "muted", ReadingState.WORKING: "warning", ReadingState.FAILED: "error"}
_COLUMNS = (Column("", 1), Column("Document"), Column("State", 15), Column("Where", 0, wide_only=True))
_SHOWN_PATH = 48
"""Characters of a path in the list; its end says more than its beginning."""


def _where(source: str) -> str:
    path = near(source)
    return path if len(path) <= _SHOWN_PATH else f"…{path[1 - _SHOWN_PATH :]}"


class CorpusScreen(Screen[None]):
    """Lists the documents and brings others in.

    Args:
        open_corpus: Returns the open corpus; slow when first called, so only worker threads call it.
        demo: Returns the folders of the demo corpus.
    """

    CSS_PATH = "corpus_screen.tcss"
    AUTO_FOCUS = "#shelf"
    BINDINGS: ClassVar[list[BindingType]] = [
        action("corpus", "a", "add", "Add"),
        action("corpus", "x,delete", "remove", "Remove"),
        action("corpus", "slash", "search", "Search", key_display="/"),
        action("corpus", "s", "ask_over", "Ask over it", show=False, tooltip="Ask the next questions over this one"),
        action("corpus", "d", "load_demo", "Load demo", show=False),
        action("corpus", "escape", "stop", "Stop", tooltip="Stop adding and keep what is done"),
        action("corpus", "escape", "leave", "Back"),
    ]

    is_adding: reactive[bool] = reactive(False, init=False, bindings=True)

    def __init__(self, open_corpus: Callable[[], OpenCorpus], demo: Callable[[], Sequence[Path]]) -> None:
        super().__init__()
        self._open_corpus = open_corpus
        self._demo = demo
        self._shelf = Shelf()
        self._shown: list[Entry] = []
        self._heard: deque[DocumentAdded | FilesFound] = deque()
        self._matches: Mapping[str, Match] | None = None
        self._wanted = ""
        self._followed = 0
        self._folder = Path.cwd()

    def compose(self) -> ComposeResult:
        """Lay out search, list and what is known of the highlighted document."""
        yield TopLine("corpus")
        yield Input(placeholder="Search titles and texts", id="search", compact=True)
        yield Static("Opening the corpus", id="doing", markup=False)
        yield Static("", id="failure", markup=False)
        yield Rows("shelf", _COLUMNS, empty="There are no documents yet: a adds files or a folder, d the demo.")
        yield Static("", id="about", markup=False)
        yield Footer(show_command_palette=False)

    def on_mount(self) -> None:
        """Prepare to take in news of documents."""
        self._ticks = self.set_interval(_SECONDS_BETWEEN, self._take_heard, pause=True)

    def on_screen_resume(self) -> None:
        """List the documents whenever the screen is shown: another one may have added some."""
        if not self.is_adding:
            self.call_after_refresh(self._list)

    @property
    def rows(self) -> Rows:
        """The list."""
        return self.query_one("#shelf", Rows)

    def _say(self, text: str) -> None:
        self.query_one("#doing", Static).update(one_line(text, 200))

    # Listing

    @work(thread=True, exclusive=True, group="listing")
    def _list(self) -> None:
        try:
            self.post_message(Listed(tuple(self._open_corpus().documents())))
        except StructRAGError as error:
            self.post_message(ListingFailed(error))

    @on(Listed)
    def _show_listed(self, message: Listed) -> None:
        if not self.is_adding:
            self._put(message.documents)
            # Another program may have added some.
            self.post_message(DocumentsChanged(message.documents))

    @on(ListingFailed)
    def _show_failure(self, message: ListingFailed) -> None:
        self._say("Not done")
        self._show_error(message.error)

    def _show_error(self, error: StructRAGError | None) -> None:
        """Show what went wrong and what to do about it, until something else is begun."""
        shown = self.query_one("#failure", Static)
        shown.update(clean(str(error)) if error else "")
        shown.display = error is not None

    def _put(self, documents: Sequence[SourceDocument]) -> None:
        self._shelf.put(documents)
        failed = len(self._shelf.failed)
        told = f"{len(documents):,} document{'' if len(documents) == 1 else 's'}"
        self._say(f"{told}, {failed} could not be read" if failed else told)
        if self._wanted:
            self._search(self._wanted, tuple(documents))
        self._arrange()

    def _arrange(self) -> None:
        entries = self._shelf.entries
        matches = self._matches
        if matches is not None:
            wanted = self._wanted.casefold()
            entries = [e for e in entries if e.id in matches or wanted in f"{e.title} {e.id} {e.source}".casefold()]
        self._shown = entries
        self.rows.show(MadeRows(entries, self._row), highlight=self.rows.highlighted or 0)

    def _row(self, entry: Entry) -> Row:
        match = self._matches.get(entry.id) if self._matches else None
        where = match.snippet if match and match.snippet else _where(entry.source)
        state = str(entry.state)
        if entry.state is ReadingState.DONE:
            state = f"{len(entry.document.text):,} chars" if entry.document else entry.note
        return Row((DOTS[entry.state], entry.title, state, where), _TONES.get(entry.state, ""))

    @on(Rows.Highlighted, "#shelf")
    def _show_about(self, message: Rows.Highlighted) -> None:
        about = self.query_one("#about", Static)
        entry = self._marked()
        if entry is None:
            about.update("")
            return
        told = [f"{entry.id} · {near(entry.source)}" if entry.source else entry.id, entry.note]
        about.update("\n".join(one_line(line, 500) for line in told if line))
        about.set_class(entry.state is ReadingState.FAILED, "-failed")

    def _marked(self) -> Entry | None:
        index = self.rows.highlighted
        return self._shown[index] if index is not None and index < len(self._shown) else None

    @on(Rows.Chosen, "#shelf")
    def _open_document(self) -> None:
        entry = self._marked()
        if entry is None or entry.document is None:
            return
        document, match = entry.document, (self._matches or {}).get(entry.id)
        if match and match.start >= 0:
            span = Span(document.id, match.start, match.end)
            source = excerpt(Evidence(span, document.text[match.start : match.end]), document)
        else:
            source = opening(document)
        self.app.push_screen(SourceDialog(entry.title, source))

    # Adding

    def action_add(self) -> None:
        """Ask for a file or folder and add it."""
        self.app.push_screen(PathDialog("Add a file, or a folder with all that is in it", self._folder), self._begin)

    def action_load_demo(self) -> None:
        """Add the demo corpus."""
        self._start(self._demo())

    def _begin(self, path: Path | None) -> None:
        if path is not None:
            self._folder = path.absolute().parent
            self._start([path])

    def _start(self, paths: Sequence[Path]) -> None:
        self.is_adding = True
        self._followed = 0
        self.rows.highlighted = 0 if self._shown else None
        self._show_error(None)
        self._heard.clear()
        self._say("Looking for files")
        self._ticks.resume()
        self._add(paths)

    @work(thread=True, exclusive=True, group="adding")
    def _add(self, paths: Sequence[Path]) -> None:
        listen = until_cancelled(get_current_worker(), self._hear)
        documents: tuple[SourceDocument, ...] | None = None
        was_stopped = False
        failure: StructRAGError | None = None
        try:
            from structrag.corpus.walk import collect

            self._heard.append(FilesFound(collect(paths)))
            corpus = self._open_corpus()
            try:
                corpus.add(paths, listener=listen)
            except WorkCancelled:
                was_stopped = True
            except StructRAGError as error:
                failure = error
            documents = tuple(corpus.documents())
        except StructRAGError as error:
            failure = failure or error
        self.post_message(ReadingEnded(documents, was_stopped, failure))

    def _hear(self, event: Event) -> None:
        # In the worker's thread: a deque may be filled there and emptied here.
        if isinstance(event, DocumentAdded):
            self._heard.append(event)

    def _take_heard(self) -> None:
        last: DocumentAdded | FilesFound | None = None
        for _ in range(min(BATCH, len(self._heard))):
            last = self._heard.popleft()
            self._note(last)
        if last is None:
            return
        self._arrange()
        self._follow()
        if isinstance(last, FilesFound):
            self._say(f"0 of {len(last.files):,} · Escape stops and keeps what is done")
            return
        failed = len(self._shelf.failed)
        told = f" · {failed} could not be read" if failed else ""
        self._say(f"{last.done:,} of {last.total:,}{told} · {last.document.document_id}")

    def _follow(self) -> None:
        """Keep the document that is being read in view, unless the user looks at another one."""
        at = self._shelf.working
        if self._matches is None and self.rows.highlighted == self._followed and at < len(self._shown):
            self.rows.highlighted = at
            self._followed = at

    def _note(self, heard: DocumentAdded | FilesFound) -> None:
        if isinstance(heard, FilesFound):
            self._shelf.expect(heard.files)
        else:
            self._shelf.note(heard)

    @on(ReadingEnded)
    def _finish(self, message: ReadingEnded) -> None:
        self._ticks.pause()
        while self._heard:
            self._note(self._heard.popleft())
        self.is_adding = False
        is_following = self.rows.highlighted == self._followed
        documents = message.documents
        self._put(self._shelf.documents if documents is None else documents)
        if is_following and self._shown:
            # What could not be read stands first.
            self.rows.highlighted = 0
        if documents is not None:
            self.post_message(DocumentsChanged(documents))
        if message.was_stopped:
            self._say(f"Stopped; what was read is kept: {len(self._shelf.documents):,} documents")
        if message.error is not None:
            self._show_failure(ListingFailed(message.error))

    # Removing and searching

    def action_remove(self) -> None:
        """Remove the highlighted document, if the user really means it."""
        entry = self._marked()
        if entry is None:
            return
        if entry.document is None:
            self._shelf.forget(entry)
            self._arrange()
            return
        document_id = entry.id
        question = f"Remove “{one_line(entry.title, 80)}”?\n\nWhat was built from it goes too. The file itself stays."

        def proceed(is_wanted: bool | None) -> None:
            if is_wanted:
                self._show_error(None)
                self._remove(document_id)

        self.app.push_screen(Confirmation(question, yes="Remove"), proceed)

    @work(thread=True, exclusive=True, group="removing")
    def _remove(self, document_id: str) -> None:
        try:
            corpus = self._open_corpus()
            corpus.remove([document_id])
            documents = tuple(corpus.documents())
        except StructRAGError as error:
            self.post_message(ListingFailed(error))
            return
        self.post_message(Listed(documents))

    def action_ask_over(self) -> None:
        """Ask the next questions over the highlighted document."""
        entry = self._marked()
        if entry is not None and entry.document is not None:
            self.post_message(ScopeWanted((entry.id,)))

    def action_search(self) -> None:
        """Go to the search."""
        self.set_focus(self.query_one("#search", Input))

    @on(Input.Changed, "#search")
    def _search_typed(self, event: Input.Changed) -> None:
        self._wanted = event.value.strip()
        self.refresh_bindings()
        if self._wanted:
            self._search(self._wanted, tuple(self._shelf.documents))
        else:
            self.workers.cancel_group(self, "search")
            self._matches = None
            self._arrange()

    @on(Input.Submitted, "#search")
    def _go_to_found(self) -> None:
        self.set_focus(self.rows)

    @work(thread=True, exclusive=True, group="search", description="searches the documents")
    def _search(self, wanted: str, documents: Sequence[SourceDocument]) -> None:
        worker = get_current_worker()
        matches: dict[str, Match] = {}
        for document in documents:
            if worker.is_cancelled:
                return
            match = find(wanted, document)
            if match is not None:
                matches[document.id] = match
        self.post_message(Searched(wanted, matches))

    @on(Searched)
    def _show_matches(self, message: Searched) -> None:
        if message.wanted == self._wanted:
            self._matches = message.matches
            self.rows.say(f"Nothing holds “{message.wanted}”; Escape shows all documents.")
            self._arrange()

    def action_stop(self) -> None:
        """Stop adding; what is done is kept."""
        self.workers.cancel_group(self, "adding")
        self._say("Stopping after the documents that are being read")

    @property
    def _is_searching(self) -> bool:
        search = self.query_one("#search", Input)
        return bool(search.value) or self.focused is search

    def action_leave(self) -> None:
        """Leave the search, else go back to asking."""
        if self._is_searching:
            self.query_one("#search", Input).value = ""
            self.set_focus(self.rows)
        else:
            self.post_message(AskingWanted())

    def check_action(self, action: str, parameters: tuple[object, ...]) -> bool | None:
        """Say which keys mean something now; the footer shows only those."""
        if action in ("add", "load_demo", "remove"):
            return not self.is_adding
        if action in ("stop", "leave") and self.is_mounted:
            # Escape leaves the search first; only then does it stop the adding.
            is_stopping = self.is_adding and not self._is_searching
            return is_stopping is (action == "stop")
        return True
