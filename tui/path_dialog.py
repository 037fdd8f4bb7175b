"""Asks for a file or a folder: typed, or picked in a tree."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import ClassVar

from rich.text import Text, TextType
from textual import on
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Vertical
from textual.widgets import DirectoryTree, Input, Static

from structrag.cli.text import one_line
from structrag.tui.closing import Popup
from structrag.tui.paths import PathSuggester


class FolderTree(DirectoryTree):
    """Files and folders by their names as they read; hidden ones are left out, as adding leaves them out."""

    BINDINGS: ClassVar[list[BindingType]] = [Binding("a", "screen.take_marked", "Add the marked one")]

    def process_label(self, label: TextType) -> Text:
        """Take a name as text: it may look like markup or hold control characters."""
        return Text(one_line(label if isinstance(label, str) else label.plain))

    def filter_paths(self, paths: Iterable[Path]) -> Iterable[Path]:
        """Leave out what is hidden."""
        return [path for path in paths if not path.name.startswith(".")]


class PathDialog(Popup[Path | None]):
    """Returns a path, or ``None`` if the user thinks better of it.

    Args:
        title: What the path is wanted for.
        folder: Where the tree begins.
    """

    CSS_PATH = "popups.tcss"
    AUTO_FOCUS = "#path"
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("escape", "dismiss(None)", "Cancel"),
        Binding("ctrl+up", "go_up", "Folder above", show=False),
    ]

    def __init__(self, title: str, folder: Path) -> None:
        super().__init__()
        self._title = title
        self._folder = folder

    def compose(self) -> ComposeResult:
        """Lay out the typed path above the tree."""
        with Vertical(classes="popup -tall"):
            yield Static(self._title, id="asked", markup=False)
            yield Input(placeholder="A path; → completes it, Enter adds it", id="path", suggester=PathSuggester())
            yield Static("", id="wrong", markup=False)
            yield FolderTree(self._folder, id="tree")
            yield Static(
                "Tab goes to the tree: Enter opens a folder, a adds the marked file or folder, Ctrl+↑ shows the "
                "folder above. Escape closes.",
                id="hint",
                markup=False,
            )

    @on(Input.Submitted, "#path")
    def _take_typed(self, event: Input.Submitted) -> None:
        typed = event.value.strip()
        if not typed:
            return
        path = _path(typed)
        if path is None:
            self.query_one("#wrong", Static).update(f"There is no {one_line(typed)}.")
        else:
            self.dismiss(path)

    @on(Input.Changed, "#path")
    def _forget_wrong(self) -> None:
        self.query_one("#wrong", Static).update("")

    @on(DirectoryTree.FileSelected)
    def _take_file(self, event: DirectoryTree.FileSelected) -> None:
        self.dismiss(event.path)

    def action_take_marked(self) -> None:
        """Return the file or folder that is marked in the tree."""
        node = self.query_one(FolderTree).cursor_node
        if node is not None and node.data is not None:
            self.dismiss(node.data.path)

    def action_go_up(self) -> None:
        """Let the tree begin one folder further up."""
        tree = self.query_one(FolderTree)
        tree.path = Path(tree.path).absolute().parent


def _path(typed: str) -> Path | None:
    """Return the path if there is such a file or folder."""
    try:
        path = Path(typed).expanduser()
        return path if path.exists() else None
    except (OSError, ValueError, RuntimeError):  # too long, a null character, or the home of nobody
        return None
