"""Writes the structure of an answer to a file in the working folder."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from textual import on, work
from textual.app import ComposeResult
from textual.containers import Vertical
from textual.message import Message
from textual.widgets import OptionList, Static

from structrag.cli.text import clean
from structrag.errors import ConfigError, StructRAGError
from structrag.structures.exports.formats import FORMATS, ExportFormat
from structrag.tui.dialogs import Dialog
from structrag.tui.entries import Entries
from structrag.tui.jobs import Opener
from structrag.types import Answer

_SAID = {
    ExportFormat.CSV: "for spreadsheets, one table",
    ExportFormat.PARQUET: "for data frames, one table",
    ExportFormat.XLSX: "for spreadsheets, all tables",
    ExportFormat.MD: "Markdown, for people",
    ExportFormat.JSON: "everything, evidence included",
    ExportFormat.GRAPHML: "for graph viewers",
    ExportFormat.MERMAID: "a diagram as text",
    ExportFormat.SVG: "a picture",
}
_ENDINGS = {ExportFormat.MERMAID: "mmd"}
_STEM_WIDTH = 40
_MOST_FILES = 1000


@dataclass(eq=False, repr=False)
class StructureWritten(Message):
    """The file is there."""

    path: Path


@dataclass(eq=False, repr=False)
class WritingFailed(Message):
    """The file could not be written."""

    error: StructRAGError


class Formats(Entries):
    """The formats that fit."""

    HELP = "The formats that fit this structure. Enter writes a new file into the folder that StructRAG was started in."


class ExportDialog(Dialog):
    """Asks for a format and writes the file; one that is there is never replaced.

    Args:
        opener: Returns the open corpus; called in a worker thread.
        answer: Whose structure to write.
    """

    AUTO_FOCUS = "#formats"

    def __init__(self, opener: Opener, answer: Answer) -> None:
        super().__init__()
        self._opener = opener
        self._answer = answer
        self._formats = FORMATS[answer.structure_type]

    def compose(self) -> ComposeResult:
        """Lay out the formats."""
        with Vertical(id="dialog", classes="-small"):
            yield Static(f"Write the {self._answer.structure_type} to a file", id="heading", markup=False)
            yield Formats("formats")
            yield Static(id="written", markup=False)

    def on_mount(self) -> None:
        """List the formats, the usual one first."""
        super().on_mount()
        self.query_one(Formats).show(f"{each:<8}  {_SAID.get(each, '')}" for each in self._formats)

    @on(OptionList.OptionSelected, "#formats")
    def _choose(self, event: OptionList.OptionSelected) -> None:
        event.stop()
        # A second Enter would write a second file.
        self.query_one(Formats).disabled = True
        self._say("Writing …")
        self._write(self._formats[event.option_index])

    @work(thread=True, exclusive=True, description="writes a file")
    def _write(self, format_: ExportFormat) -> None:
        # A structure that this session has built need not be read again.
        of = self._answer if self._answer.structure is not None else self._answer.id
        try:
            content = self._opener().export(of, format_)
            path = write_new(Path.cwd(), file_stem(self._answer), _ENDINGS.get(format_, format_), content)
        except StructRAGError as error:
            self.post_message(WritingFailed(error))
        else:
            self.post_message(StructureWritten(path))

    @on(StructureWritten)
    def _show_written(self, message: StructureWritten) -> None:
        self.app.notify(f"Written to {clean(str(message.path))}", markup=False)
        self.dismiss()

    @on(WritingFailed)
    def _show_failed(self, message: WritingFailed) -> None:
        formats = self.query_one(Formats)
        formats.disabled = False
        formats.focus()
        self._say("\n".join(part for part in (message.error.message, message.error.hint) if part))

    def _say(self, text: str) -> None:
        self.query_one("#written", Static).update(clean(text))


def file_stem(answer: Answer) -> str:
    """Return a file's name for an answer: its structure and the words of its question, in harmless characters."""
    words = "-".join(re.findall(r"[a-z0-9]+", answer.question.lower()))
    return f"{answer.structure_type}-{words[:_STEM_WIDTH].strip('-') or answer.id}"


def write_new(folder: Path, stem: str, ending: str, content: bytes) -> Path:
    """Write a file under a name that is free, and return its path.

    Raises:
        ConfigError: The folder cannot be written to.
    """
    for name in _names(stem):
        path = folder / f"{name}.{ending}"
        try:
            with path.open("xb") as file:
                file.write(content)
        except FileExistsError:
            continue
        except OSError as error:
            raise ConfigError(
                f"{path} cannot be written: {error.strerror}.",
                hint="Start StructRAG in a folder that you may write to.",
            ) from error
        return path
    raise ConfigError(f"{folder} holds {_MOST_FILES} files named {stem} already.", hint="Move them elsewhere.")


def _names(stem: str) -> Iterator[str]:
    yield stem
    for number in range(2, _MOST_FILES + 1):
        yield f"{stem}-{number}"
