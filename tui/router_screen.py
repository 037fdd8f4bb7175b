"""The router screen: its versions, the preferences it can learn from, how good it is, and training it."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, ClassVar

from textual import on, work
from textual.app import ComposeResult
from textual.binding import BindingType
from textual.containers import VerticalScroll
from textual.reactive import reactive
from textual.screen import Screen
from textual.widgets import Static, TabbedContent, TabPane
from textual.worker import Worker, WorkerState, get_current_worker

from structrag.cli.text import clean
from structrag.errors import RoutingError, StructRAGError
from structrag.tui.cancelling import WorkCancelled, until_cancelled
from structrag.tui.confirmation import Confirmation
from structrag.tui.corpus import OpenCorpus
from structrag.tui.key_line import KeyLine
from structrag.tui.keys import action
from structrag.tui.requests import AskingWanted, RouterReplaced
from structrag.tui.router_messages import (
    Compared,
    Measured,
    MeasuringProgressed,
    PreferencesRead,
    RouterChanged,
    RouterFailed,
    TrainingBegun,
    TrainingEnded,
    TrainingProgressed,
    VersionsRead,
)
from structrag.tui.router_text import (
    NO_PREFERENCES,
    PREFERENCE_COLUMNS,
    VERSION_COLUMNS,
    measured_text,
    preference_row,
    training_outcome,
    version_row,
    version_told,
)
from structrag.tui.routers import Measurement, Routers
from structrag.tui.rows import Rows
from structrag.tui.top_line import TopLine
from structrag.tui.training_view import TrainingView

if TYPE_CHECKING:
    from structrag.router.comparison import Comparison
    from structrag.router.preferences import PreferencePair
    from structrag.router.training_settings import TrainingStep
    from structrag.router.versions import RouterVersion

TABS = ("versions", "preferences", "quality", "training")


class RouterScreen(Screen[None]):
    """Shows and changes the router.

    Args:
        open_corpus: Returns the open corpus; slow when first called, so only worker threads call it.
        open_routers: Returns the versions; only worker threads call it.
    """

    CSS_PATH = "router_screen.tcss"
    AUTO_FOCUS = "#version-rows"
    BINDINGS: ClassVar[list[BindingType]] = [
        action("router", "t", "train", "Train", tooltip="Train a new version on the preferences"),
        action("router", "p", "promote", "Promote", tooltip="Put the marked version in use, unless it is worse"),
        action("router", "b", "roll_back", "Roll back", tooltip="Go back to the version that was in use before"),
        action("router", "u", "undo_preference", "Undo", tooltip="Take the marked preference back"),
        action("router", "m", "measure", "Measure", tooltip="Measure the version in use again"),
        *(
            action("router", str(number), f"show_tab('{tab}')", tab.title(), show=False, tooltip=f"Show {tab}")
            for number, tab in enumerate(TABS, start=1)
        ),
        action("router", "escape", "stop", "Stop", tooltip="Stop the training at its next step"),
        action("router", "escape", "leave", "Back"),
    ]

    is_training: reactive[bool] = reactive(False, init=False, bindings=True)

    def __init__(self, open_corpus: Callable[[], OpenCorpus], open_routers: Callable[[], Routers]) -> None:
        super().__init__()
        self._open_corpus = open_corpus
        self._open_routers = open_routers
        self.tab = TABS[0]
        self._versions: Sequence[RouterVersion] = ()
        self._preferences: Mapping[int, PreferencePair] = {}
        self._measurements: dict[str, Measurement] = {}
        self._comparisons: dict[tuple[str, str], Comparison] = {}

    def compose(self) -> ComposeResult:
        """Lay out the four tabs."""
        yield TopLine("router")
        yield Static("", id="failure", markup=False)
        with TabbedContent(initial="versions"):
            with TabPane("1 Versions", id="versions"):
                yield Rows("version-rows", VERSION_COLUMNS)
                yield Static("", id="version-told", markup=False)
            with TabPane("2 Preferences", id="preferences"):
                yield Rows("preference-rows", PREFERENCE_COLUMNS, empty=NO_PREFERENCES)
            with TabPane("3 Quality", id="quality"), VerticalScroll(id="quality-scroll"):
                yield Static("", id="measured")
            with TabPane("4 Training", id="training"), VerticalScroll(id="training-scroll"):
                yield TrainingView()
        yield KeyLine()

    def on_screen_resume(self) -> None:
        """Read versions and preferences whenever the screen is shown: others may have been added."""
        self.call_after_refresh(self._read_versions)
        self.call_after_refresh(self._read_preferences)

    @property
    def training(self) -> TrainingView:
        """How the training goes."""
        return self.query_one(TrainingView)

    @property
    def active(self) -> str:
        """The name of the version in use; empty before it is known."""
        return next((version.name for version in self._versions if version.is_active), "")

    def _show_error(self, error: StructRAGError | None) -> None:
        shown = self.query_one("#failure", Static)
        shown.update(clean(str(error)) if error else "")
        shown.display = error is not None

    # Versions and preferences

    @work(thread=True, exclusive=True, group="versions")
    def _read_versions(self) -> None:
        try:
            self.post_message(VersionsRead(self._open_routers().versions()))
        except StructRAGError as error:
            self.post_message(RouterFailed(error))

    @work(thread=True, exclusive=True, group="preferences")
    def _read_preferences(self) -> None:
        try:
            self.post_message(PreferencesRead(self._open_corpus().preferences()))
        except StructRAGError as error:
            self.post_message(RouterFailed(error))

    @on(VersionsRead)
    def _show_versions(self, message: VersionsRead) -> None:
        self._versions = message.versions
        self._fill()

    @on(PreferencesRead)
    def _show_preferences(self, message: PreferencesRead) -> None:
        self._preferences = message.preferences
        self._fill()

    def _fill(self) -> None:
        """Show what was read; on a slow machine that may be before the tabs are there, which call this too."""
        for rows in self.query("#version-rows").results(Rows):
            rows.show([version_row(version) for version in self._versions], highlight=rows.highlighted or 0)
        for rows in self.query("#preference-rows").results(Rows):
            kept = [preference_row(number, pair) for number, pair in self._preferences.items()]
            rows.show(kept, highlight=rows.highlighted or 0)

    @on(RouterFailed)
    def _show_failure(self, message: RouterFailed) -> None:
        self._show_error(message.error)
        if self.tab == "quality" and self.active not in self._measurements:
            self.query_one("#measured", Static).update("Not measured.")

    @on(Rows.Highlighted, "#version-rows")
    def _show_version(self) -> None:
        version = self._marked()
        self.query_one("#version-told", Static).update(version_told(version) if version else "")

    def _marked(self) -> RouterVersion | None:
        index = self.query_one("#version-rows", Rows).highlighted
        return self._versions[index] if index is not None and index < len(self._versions) else None

    def action_undo_preference(self) -> None:
        """Take the marked preference back."""
        index = self.query_one("#preference-rows", Rows).highlighted
        numbers = list(self._preferences)
        if index is not None and index < len(numbers):
            self._undo(numbers[index])

    @work(thread=True, exclusive=True, group="preferring")
    def _undo(self, number: int) -> None:
        try:
            self._open_corpus().undo_preference(number)
        except StructRAGError as error:
            self.post_message(RouterFailed(error))
        else:
            self.app.call_from_thread(self._read_preferences)

    # Quality

    @on(TabbedContent.TabActivated)
    def _take_tab(self, event: TabbedContent.TabActivated) -> None:
        self.tab = event.pane.id or self.tab
        self.refresh_bindings()
        if self.tab == "quality":
            self._show_measurement()
        else:
            self._fill()

    def _show_measurement(self) -> None:
        known = self._measurements.get(self.active)
        if known is None:
            self.action_measure()
        else:
            self.query_one("#measured", Static).update(measured_text(known))

    def action_measure(self) -> None:
        """Measure the version in use on the shipped held-out questions."""
        if self.active:
            self._show_error(None)
            self.query_one("#measured", Static).update("Measuring on the shipped held-out questions …")
            self._measure(self.active)

    @work(thread=True, exclusive=True, group="measuring")
    def _measure(self, version: str) -> None:
        def tell(progress: tuple[int, int]) -> None:
            self.post_message(MeasuringProgressed(*progress))

        try:
            routers = self._open_routers()
            self.post_message(Measured(routers.measure(version, until_cancelled(get_current_worker(), tell))))
        except WorkCancelled:
            return
        except StructRAGError as error:
            self.post_message(RouterFailed(error))

    @on(MeasuringProgressed)
    def _show_measuring(self, message: MeasuringProgressed) -> None:
        told = f"Measuring on the shipped held-out questions: {message.done:,} of {message.total:,}"
        self.query_one("#measured", Static).update(told)

    @on(Measured)
    def _show_measured(self, message: Measured) -> None:
        self._measurements[message.measurement.version] = message.measurement
        self._show_measurement()

    # Training

    def action_train(self) -> None:
        """Train a new version on the corpus's preferences; the one in use stays in use."""
        self._show_error(None)
        self.is_training = True
        self.action_show_tab("training")
        self._train()

    # What goes wrong in the libraries that train must not take the application down with it.
    @work(thread=True, exclusive=True, group="training", exit_on_error=False)
    def _train(self) -> None:
        def tell(step: TrainingStep) -> None:
            self.post_message(TrainingProgressed(step))

        listen = until_cancelled(get_current_worker(), tell)
        try:
            pairs = list(self._open_corpus().preferences().values())
            self.post_message(TrainingBegun(len(pairs)))
            self.post_message(TrainingEnded(self._open_routers().train(pairs, listen)))
        except WorkCancelled:
            self.post_message(TrainingEnded())
        except StructRAGError as error:
            self.post_message(TrainingEnded(error=error))

    @on(Worker.StateChanged)
    def _see_failed_training(self, event: Worker.StateChanged) -> None:
        if event.worker.group == "training" and event.state is WorkerState.ERROR:
            self._end_training(TrainingEnded(error=RoutingError(f"The training failed: {event.worker.error!r}")))

    @on(TrainingBegun)
    def _show_begun(self, message: TrainingBegun) -> None:
        self.training.begin(message.pairs)

    @on(TrainingProgressed)
    def _show_progress(self, message: TrainingProgressed) -> None:
        if self.is_training:
            self.training.note(message.step)

    @on(TrainingEnded)
    def _end_training(self, message: TrainingEnded) -> None:
        self.is_training = False
        if message.error is not None:
            self.training.end("No version was trained.")
            self._show_error(message.error)
        elif message.result is None:
            self.training.end("Stopped. The same training goes on from its last checkpoint when t starts it again.")
        else:
            result = message.result
            self._comparisons[result.folder.name, self.active] = result.comparison
            self.training.end(f"Trained {result.folder.name}; it is not in use yet.", training_outcome(result))
            self._read_versions()

    # Which version is in use

    def action_promote(self) -> None:
        """Put the marked version in use if it is not worse; ask what to do if it may be."""
        version = self._marked()
        if version is None or version.is_active:
            self.notify("Mark a version that is not in use yet.", markup=False)
            return
        self._show_error(None)
        known = self._comparisons.get((version.name, self.active))
        if known is not None:
            self._take_comparison(Compared(version.name, known, known.verdict))
            return
        self.notify(f"Comparing {version.name} with the version in use.", markup=False)
        self._compare(version.name)

    @work(thread=True, exclusive=True, group="measuring")
    def _compare(self, version: str) -> None:
        worker = get_current_worker()
        told: Compared | RouterFailed
        try:
            comparison = self._open_routers().compare(version)
            told = Compared(version, comparison, comparison.verdict)
        except RoutingError as error:
            # The one in use may be what is damaged; if it is the new one, promoting it fails.
            told = Compared(version, None, f"Not compared: {error.message}")
        except StructRAGError as error:
            told = RouterFailed(error)
        # A comparison cannot be stopped; if the user has gone away meanwhile, nobody wants to be asked.
        if not worker.is_cancelled:
            self.post_message(told)

    @on(Compared)
    def _take_comparison(self, message: Compared) -> None:
        comparison = message.comparison
        if comparison is not None:
            self._comparisons[message.version, self.active] = comparison
        if not self.is_active:
            return  # The user looks at something else by now; p asks again, at once.
        if comparison is not None and comparison.passes:
            self.notify(message.told, title=message.version, markup=False)
            self._promote(message.version, comparison, forced=False)
            return

        def proceed(is_wanted: bool | None) -> None:
            if is_wanted:
                self._promote(message.version, comparison, forced=True)

        question = f"{message.told}\n\nPut {message.version} in use all the same? That is recorded as forced."
        self.app.push_screen(Confirmation(question, yes="Put in use"), proceed)

    @work(thread=True, exclusive=True, group="promoting")
    def _promote(self, version: str, comparison: Comparison | None, *, forced: bool) -> None:
        record = {"comparison": comparison.to_dict() if comparison else None, "forced": forced}
        try:
            self._open_routers().promote(version, record)
        except StructRAGError as error:
            self.post_message(RouterFailed(error))
        else:
            self.post_message(RouterChanged(version))

    @work(thread=True, exclusive=True, group="promoting")
    def action_roll_back(self) -> None:
        """Go back to the version that was in use before."""
        try:
            self.post_message(RouterChanged(self._open_routers().rollback()))
        except StructRAGError as error:
            self.post_message(RouterFailed(error))

    @on(RouterChanged)
    def _tell_changed(self, message: RouterChanged) -> None:
        self._show_error(None)
        self._read_versions()
        self.post_message(RouterReplaced(message.version))

    def action_show_tab(self, tab: str) -> None:
        """Bring a tab to the front."""
        self.query_one(TabbedContent).active = tab
        focus = {"versions": "#version-rows", "preferences": "#preference-rows", "quality": "#quality-scroll"}
        self.set_focus(self.query_one(focus.get(tab, "#training-scroll")))

    def action_stop(self) -> None:
        """Stop the training at its next step."""
        self.workers.cancel_group(self, "training")
        self.training.say("Stopping at the next step")

    def action_leave(self) -> None:
        """Stop measuring and go back to asking."""
        self.workers.cancel_group(self, "measuring")
        self.post_message(AskingWanted())

    def check_action(self, action: str, parameters: tuple[object, ...]) -> bool | None:
        """Say which keys mean something now; the footer shows only those."""
        is_possible = {
            **dict.fromkeys(("train", "leave"), not self.is_training),
            **dict.fromkeys(("promote", "roll_back"), self.tab == "versions" and not self.is_training),
            "stop": self.is_training,
            "undo_preference": self.tab == "preferences",
            "measure": self.tab == "quality",
        }
        return is_possible.get(action, True)
