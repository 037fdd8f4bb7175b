"""What is said to somebody who has not asked yet, and the demo's questions to begin with."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

from textual import on
from textual.message import Message
from textual.widgets import OptionList

from structrag.tui.entries import Entries
from structrag.types import SourceDocument

EMPTY_CORPUS = (
    "There are no documents yet.\n\nPress d to load the demo corpus, or F2 to add your own files and folders."
)
LOADING = (
    "The demo is four small corpora of made-up documents: companies, a field of research, the handbook of a juice "
    "plant and interviews. They are read and indexed once, on this machine."
)
_HOW_TO_ASK = "Type a question and press Enter. @ names a document to ask over."
_HOW_TO_CHOOSE = "Or press ↓ for one of these, each for another structure:"


def invitation(documents: Iterable[SourceDocument], demo: Sequence[Path]) -> tuple[str, list[str]]:
    """Return what to say to somebody who has not asked yet, and questions to begin with: those of the demo, if any.

    Args:
        documents: What the corpus holds.
        demo: The folders of the demo.
    """
    folders = tuple(f"{folder}/" for folder in demo)
    if not any(document.source.startswith(folders) for document in documents):
        return _HOW_TO_ASK, []
    from structrag.cli.demo import QUESTIONS

    return f"{_HOW_TO_ASK}\n\n{_HOW_TO_CHOOSE}", [each.question for each in QUESTIONS]


class Examples(Entries):
    """Lists questions; Enter asks the marked one."""

    HELP = "Questions over the demo, each for another structure. Enter asks the marked one."

    @dataclass(eq=False, repr=False)
    class Chosen(Message):
        """The user wants to ask this question."""

        question: str

    def __init__(self) -> None:
        super().__init__("examples")
        self._questions: Sequence[str] = ()

    def offer(self, questions: Sequence[str]) -> None:
        """List these questions; nothing is shown where there is none."""
        self._questions = questions
        self.show(questions)
        self.display = bool(questions)

    @on(OptionList.OptionSelected)
    def _choose(self, event: OptionList.OptionSelected) -> None:
        event.stop()
        self.post_message(self.Chosen(self._questions[event.option_index]))
