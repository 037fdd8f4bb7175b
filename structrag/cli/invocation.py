"""What every command shares: its options, which corpus it works on, and how that is opened."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Protocol

import typer

from structrag.cli.start import CORPUS_VARIABLE, DEFAULT_CORPUS, usual_folder
from structrag.errors import StoreError

if TYPE_CHECKING:
    from collections.abc import Mapping

    from structrag.models.weights import Progress
    from structrag.pipeline import StructRAG

CorpusOption = Annotated[
    Path | None,
    typer.Option(
        "--corpus",
        "-c",
        metavar="DIR",
        file_okay=False,
        show_default=False,
        help=f"The corpus folder [env var: {CORPUS_VARIABLE}; default: {DEFAULT_CORPUS}].",
    ),
]
ModelOption = Annotated[
    str | None,
    typer.Option(
        "--model",
        metavar="NAME",
        show_default=False,
        help="The chat model, instead of the setting models.chat: embedded, or provider:model.",
    ),
]
JsonOption = Annotated[bool, typer.Option("--json", help="Print one JSON document.")]
JsonLinesOption = Annotated[bool, typer.Option("--json", help="Print JSON Lines.")]


class OpenCorpus(Protocol):
    """Opens a corpus folder; ``StructRAG.open`` is one."""

    def __call__(self, folder: Path, *, settings: Mapping[str, Any], progress: Progress) -> StructRAG:
        """Return the open corpus."""
        ...


def open_folder(folder: Path, *, settings: Mapping[str, Any], progress: Progress) -> StructRAG:
    """Open a corpus folder, importing the pipeline only now."""
    from structrag.pipeline import StructRAG

    return StructRAG.open(folder, settings=settings, progress=progress)


@dataclass(frozen=True, slots=True)
class Invocation:
    """One run of the command line.

    Attributes:
        open_corpus: How corpora are opened.
        corpus: What ``--corpus`` before the command's name said.
    """

    open_corpus: OpenCorpus
    corpus: Path | None

    @classmethod
    def of(cls, context: typer.Context) -> Invocation:
        """Return the invocation that a command belongs to."""
        found = context.find_object(cls)
        if found is None:
            raise RuntimeError("The command was not started through structrag.cli.build().")
        return found

    def folder(self, option: Path | None) -> Path:
        """Return the corpus folder: the command's option, the one before its name, environment, default."""
        return option or self.corpus or usual_folder()

    def existing_folder(self, option: Path | None) -> Path:
        """Return the corpus folder, for commands that have nothing to do in a new one.

        Raises:
            StoreError: It holds no corpus; opening it would make one, under a misspelt name.
        """
        folder = self.folder(option)
        if not is_corpus(folder):
            raise StoreError(
                f"There is no corpus at {folder}.",
                hint=f"Make one with `structrag add PATH --corpus {folder}`, or try `structrag demo`.",
            )
        return folder


def is_corpus(folder: Path) -> bool:
    """Return whether the folder holds a corpus.

    Raises:
        StoreError: The folder may not be read.
    """
    from structrag.corpus.store import DATABASE_NAME

    try:
        return (folder.expanduser() / DATABASE_NAME).is_file()
    except OSError as error:
        raise StoreError(
            f"The corpus folder {folder} cannot be read: {error.strerror}.", hint="Make it readable for this user."
        ) from error


def model_settings(model: str | None) -> dict[str, Any]:
    """Return the settings that ``--model`` stands for."""
    return {"models.chat": model} if model else {}
