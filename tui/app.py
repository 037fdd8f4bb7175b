"""The terminal application: it owns the corpus and shows four screens, one at a time."""

from __future__ import annotations

import signal
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, ClassVar

from textual import on, work
from textual.app import App, ComposeResult
from textual.binding import BindingType
from textual.command import Provider
from textual.reactive import reactive
from textual.screen import Screen
from textual.widget import Widget

from structrag.errors import StructRAGError
from structrag.tui.corpus import CorpusOpener, ModelOpener, OpenCorpus, demo_folders, open_corpus_with
from structrag.tui.corpus_in_use import CorpusInUse, counted
from structrag.tui.keys import action
from structrag.tui.messages import Asking
from structrag.tui.requests import (
    AnswerReopened,
    AskingWanted,
    CorpusReopened,
    DocumentsChanged,
    QuestionRepeated,
    RouterReplaced,
    ScopeWanted,
    SettingsInForce,
    SettingsRead,
)
from structrag.tui.screen import QuestionScreen
from structrag.tui.settings_in_force import Appearance, read_in_force
from structrag.tui.themes import HIGH_CONTRAST
from structrag.tui.top_line import TopLine

if TYPE_CHECKING:
    from structrag.tui.routers import Routers

ASK = "ask"
WIDE = 100
"""Columns from which on the panes of the ask screen stand side by side."""
_LOOKS_FOR_TERMINAL = 2.0
"""Seconds between two looks whether the terminal is still there."""


def _has_terminal() -> bool:
    return sys.__stdin__ is not None and sys.__stdin__.isatty()


def _action_commands() -> type[Provider]:
    from structrag.tui.commands import ActionCommands

    return ActionCommands


class AskScreen(QuestionScreen):
    """The ask screen below the line that names the other screens, the model and the budget."""

    def compose(self) -> ComposeResult:
        """Lay out the line and what asks and answers."""
        # As the breakpoints will have it at the first resize: so not all is styled twice before the first paint.
        self.add_class("-wide" if self.app.size.width >= WIDE else "-narrow", update=False)
        yield TopLine(ASK)
        yield from super().compose()


class StructRAGApp(App[None]):
    """The terminal UI for one corpus folder.

    Args:
        corpus: The corpus folder.
        open_corpus: Opens it; called in a worker thread after the first paint.
        demo: Returns the folders that the demo corpus consists of.
        open_with: Opens the corpus with a certain chat model.
        routers: Returns the router versions that this corpus can use; those that are installed by default.
        appearance: Theme and keys.
    """

    TITLE = "StructRAG"
    CSS_PATH = "app.tcss"
    # Textual declares these in a way that type checkers do not take for class variables.
    HORIZONTAL_BREAKPOINTS = [(0, "-narrow"), (WIDE, "-wide")]  # noqa: RUF012
    DEFAULT_MODE = ASK
    COMMANDS = App.COMMANDS | {_action_commands}
    BINDINGS: ClassVar[list[BindingType]] = [
        action("app", "f1", "help", "Help", tooltip="Show what the keys do here"),
        action("app", "f2", "show('corpus')", "Corpus", show=False, tooltip="Add, search and remove documents"),
        action("app", "f3", "show('router')", "Router", show=False, tooltip="See, teach and change the router"),
        action("app", "f4", "show('history')", "History", show=False, tooltip="See earlier questions and answers"),
        action("app", "f5", "choose_model", "Model", show=False, tooltip="Choose the model that answers"),
        action("app", "ctrl+o", "jump", "Jump", show=False, priority=True, tooltip="Go anywhere by one letter"),
        action("app", "ctrl+q", "quit", "Quit", priority=True),
    ]

    in_force: reactive[SettingsInForce] = reactive(SettingsInForce(), init=False)

    def __init__(
        self,
        corpus: Path,
        open_corpus: CorpusOpener,
        *,
        demo: Callable[[], Sequence[Path]] = demo_folders,
        open_with: ModelOpener = open_corpus_with,
        routers: Callable[[Path], Routers] | None = None,
        appearance: Appearance | None = None,
    ) -> None:
        super().__init__()
        self._read_with = self.get_css_variables()
        self._folder = corpus
        self._open_corpus = open_corpus
        self._open_with = open_with
        self._routers = routers
        self._demo = demo
        self._appearance = appearance or Appearance()
        self._model: str | None = None
        self._corpus = CorpusInUse()
        self._ask = AskScreen(corpus.name, self._open_once, demo)
        for name, make in (
            (ASK, lambda: self._ask),
            ("corpus", self._corpus_screen),
            ("router", self._router_screen),
            ("history", self._history_screen),
        ):
            self.add_mode(name, make)

    def on_mount(self) -> None:
        """Put theme and keys in force."""
        self.register_theme(HIGH_CONTRAST)
        if self._appearance.theme:
            self.theme = self._appearance.theme
        if self._appearance.keys:
            self.set_keymap(dict(self._appearance.keys))
        if _has_terminal() and sys.platform != "win32":
            self.set_interval(_LOOKS_FOR_TERMINAL, self._end_without_terminal)

    def _end_without_terminal(self) -> None:
        """End as by a hang-up where none was heard (`nohup`): else the end of the terminal is read on and on.

        An orderly end would write to the terminal and wait for ever; what is kept is on the disk already.
        """
        if not _has_terminal():
            signal.signal(signal.SIGHUP, signal.SIG_DFL)
            signal.raise_signal(signal.SIGHUP)

    def refresh_css(self, animate: bool = True) -> None:
        """Style everything anew.

        Before the first paint, with the theme that the styles were read with, they are not read again: Textual would
        do so twice.
        """
        variables = self.get_css_variables()
        if self._is_shown or variables != self._read_with:
            self._read_with = variables
            super().refresh_css(animate)
        else:
            self.stylesheet.update(self, animate=animate)

    @property
    def _is_shown(self) -> bool:
        return bool(self.screen_stack) and self.screen.is_mounted

    # The screens. Like all that is not there at the first paint, they are imported when they are first wanted.

    def _corpus_screen(self) -> Screen[None]:
        from structrag.tui.corpus_screen import CorpusScreen

        return CorpusScreen(self._open_once, self._demo)

    def _router_screen(self) -> Screen[None]:
        from structrag.tui.router_screen import RouterScreen
        from structrag.tui.routers import installed_routers

        return RouterScreen(self._open_once, lambda: (self._routers or installed_routers)(self._folder))

    def _history_screen(self) -> Screen[None]:
        from structrag.tui.history_screen import HistoryScreen

        return HistoryScreen(self._open_once)

    def action_show(self, name: str) -> None:
        """Show a screen, or go back to asking from it; a comparison on top of the ask screen closes first."""
        from structrag.tui.compare import CompareScreen

        if isinstance(self.screen, CompareScreen):
            if self.screen.is_asking:
                self.notify("The comparison is under way; Escape cancels it.", severity="warning", markup=False)
                return
            self.screen.action_close()
        self.switch_mode(ASK if self.current_mode == name else name)

    @on(AskingWanted)
    def _go_back_to_asking(self) -> None:
        self.switch_mode(ASK)

    @on(AnswerReopened)
    def _show_answer_again(self, message: AnswerReopened) -> None:
        self.switch_mode(ASK)
        self._ask.reopen(message.answer)

    @on(QuestionRepeated)
    def _ask_again(self, message: QuestionRepeated) -> None:
        if self._ask.inquiry.under_way is not None:
            self.notify("A question is under way; Escape cancels it there.", severity="warning", markup=False)
            return
        self.switch_mode(ASK)
        self._ask.inquiry.ask(Asking(message.question, scope=message.scope))

    @on(ScopeWanted)
    def _ask_over(self, message: ScopeWanted) -> None:
        self.switch_mode(ASK)
        self._ask.scope_to(message.ids)
        self._ask.action_type_question()

    @on(DocumentsChanged)
    def _tell_documents(self, message: DocumentsChanged) -> None:
        self._ask.hear_of(message.documents)

    # Help and jumping

    def action_help(self) -> None:
        """Show the keys."""
        if isinstance(self.screen, QuestionScreen):
            from structrag.tui.dialogs import HelpDialog

            self.push_screen(HelpDialog())
            return
        from structrag.tui.key_help import KeyHelp, meanings

        self.push_screen(KeyHelp(self.current_mode.title(), meanings(self.screen)))

    def action_jump(self) -> None:
        """Show a letter on everything that can have the focus."""
        from structrag.tui.jump import JumpOverlay, jump_targets

        screen = self.screen
        if isinstance(screen, JumpOverlay):
            screen.dismiss(None)
            return

        def jump(widget: Widget | None) -> None:
            if widget is not None:
                screen.set_focus(widget)

        self.push_screen(JumpOverlay(jump_targets(screen)), jump)

    # The corpus, and the model that answers

    def _open_once(self) -> OpenCorpus:
        # Runs in worker threads, of several screens.
        return counted(self._corpus, self._opened)

    def _opened(self) -> OpenCorpus:
        corpus = self._open_with(self._folder, self._model) if self._model else self._open_corpus(self._folder)
        try:
            self.post_message(SettingsRead(read_in_force(self._folder, self._model)))
        except StructRAGError:
            # A corpus that opens has no wrong settings; one that a caller opened with others keeps them to itself.
            self.post_message(SettingsRead(SettingsInForce(self._model or "")))
        return corpus

    @on(SettingsRead)
    def _show_settings(self, message: SettingsRead) -> None:
        self.in_force = message.in_force

    def action_choose_model(self) -> None:
        """Ask which model shall answer from now on."""
        from structrag.tui.model_picker import ModelPicker

        self.push_screen(ModelPicker(self.in_force.model), self._use_model)

    @on(RouterReplaced)
    def _use_router(self, message: RouterReplaced) -> None:
        told = f"The router {message.version} is in use now."
        if self._corpus.is_used:
            self.notify(f"The router {message.version} is in use when the corpus is opened again.", markup=False)
        else:
            self._reopen(self._model, told)

    def _use_model(self, model: str | None) -> None:
        if model and self._corpus.is_used:
            self.notify("Something is under way. Try again when it is done.", severity="warning", markup=False)
        elif model:
            self._reopen(model, f"{model} answers from now on.")

    @work(thread=True, exclusive=True, group="reopening")
    def _reopen(self, model: str | None, told: str) -> None:
        def opened() -> OpenCorpus:
            self._model = model
            return self._opened()

        before = self._model
        try:
            self._corpus.replace(opened)
        except StructRAGError as error:
            # The next use opens it as it was before.
            self._model = before
            self.post_message(CorpusReopened(told, error))
        else:
            self.post_message(CorpusReopened(told))

    @on(CorpusReopened)
    def _tell_reopened(self, message: CorpusReopened) -> None:
        if message.error is None:
            self.notify(message.told, markup=False)
        else:
            self.notify(str(message.error), severity="error", markup=False, timeout=15)

    def close_corpus(self) -> None:
        """Release the corpus. Call it when `run` has returned: then no worker thread is left that uses it."""
        self._corpus.close()

    async def action_quit(self) -> None:
        """Quit. A call to the model cannot be broken off, so say what the shell prompt is waiting for."""
        groups = {worker.group for worker in self.workers if worker.is_running}
        waiting = "Waiting for the model call that is under way." if groups or self._corpus.is_used else None
        self.exit(message="Waiting for the training to end its step." if "training" in groups else waiting)
