"""What the tests of the terminal UI share: an open corpus whose answers a test prescribes, and looking at the screen."""

from __future__ import annotations

import html
import inspect
import re
import threading
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import pytest
from textual.pilot import Pilot
from textual.widgets import Input

from structrag.errors import StructRAGError
from structrag.events import (
    DocumentAdded,
    EventListener,
    ModelCalled,
    PassagesRetrieved,
    ReplyGrew,
    RouteChosen,
    StepTaken,
    StructureBuilt,
    ignore_event,
)
from structrag.router.occlusion import MovingWord
from structrag.structures.edits import Edit, KeptEdit, apply_edits
from structrag.tui.app import StructRAGApp
from structrag.tui.key_line import KeyLine
from structrag.tui.screen import QuestionScreen
from structrag.tui.state import State
from structrag.types import (
    AddedDocument,
    AddReport,
    Answer,
    Citation,
    Evidence,
    Route,
    SourceDocument,
    Span,
    Structure,
    StructureType,
    TraceStep,
)
from structrag.usage import ModelCall, Usage

WIDE = pytest.param((120, 40), id="120x40", marks=pytest.mark.slow)
SIZES = pytest.mark.parametrize("size", [pytest.param((80, 24), id="80x24"), WIDE])
"""The smallest size that is supported and an ordinary one, which the snapshots show in every run of the tests."""
HOSTILE = "[bold]x[/bold] [@click=app.quit]go[/]"
QUOTE = "revenue of 412 million EUR"
REPORT = SourceDocument(
    id="alder.md",
    title="Alder report",
    text="# Alder\n\nIn 2024 Alder had a revenue of 412 million EUR. It grew.\n\nThe end.\n",
    sha256="0",
)


@dataclass(frozen=True)
class TextStructure:
    """A structure that is just a text."""

    type: StructureType
    text: str = "| company | revenue |\n| Alder | 412 |"

    def render(self, limit: int | None = None) -> str:
        return self.text[:limit]

    def evidence(self) -> list[Evidence]:
        return []

    def to_dict(self) -> dict[str, Any]:
        return {"text": self.text}


def make_answer(question: str, used: StructureType | None = None, **changes: Any) -> Answer:
    shares = dict(zip(StructureType, (0.62, 0.2, 0.1, 0.05, 0.03), strict=True))
    route = Route(question, shares, unsure=False, router="chat", seconds=0.012)
    start = REPORT.text.index(QUOTE)
    built: Structure = TextStructure(used or route.structure)
    answer = Answer(
        id=f"answer-{question}",
        question=question,
        text="412 million EUR [1]",
        values=("412",),
        grounded=True,
        route=route,
        structure_type=used or route.structure,
        structure=built,
        citations=(Citation(1, Evidence(Span(REPORT.id, start, start + len(QUOTE)), QUOTE), REPORT.title, "page 3"),),
        usage=Usage(calls=2, cached=1, prompt_tokens=300, completion_tokens=20, seconds=2.3, model_seconds=2.0),
        trace=(TraceStep("sql", "SELECT revenue FROM alder"),),
    )
    return replace(answer, **changes)


@dataclass
class ScriptedCorpus:
    """An open corpus whose answers the test prescribes, and which keeps what it was told."""

    held: list[SourceDocument] = field(default_factory=lambda: [REPORT])
    earlier: list[Mapping[str, Any]] = field(default_factory=list)
    answer: Callable[[str, StructureType | None], Answer] = make_answer
    gates: dict[str, threading.Event] = field(default_factory=dict)
    last_gates: dict[str, threading.Event] = field(default_factory=dict)
    asked: list[tuple[str, StructureType | None]] = field(default_factory=list)
    scopes: list[Sequence[str] | None] = field(default_factory=list)
    after: list[list[str]] = field(default_factory=list)
    edits: dict[int, Edit] = field(default_factory=dict)
    kept: dict[str, Structure] = field(default_factory=dict)
    words: Sequence[MovingWord] = ()
    model_calls: Sequence[ModelCall] = ()
    written: Sequence[tuple[str, str]] = ()
    undone: list[int] = field(default_factory=list)
    exported: list[tuple[Answer | str, str | None]] = field(default_factory=list)
    broken: StructRAGError | None = None
    preferred: list[tuple[str, StructureType]] = field(default_factory=list)
    added: list[Path] = field(default_factory=list)
    ended: dict[str, threading.Event] = field(default_factory=dict)
    completed: list[str] = field(default_factory=list)
    closed: int = 0

    def documents(self) -> Sequence[SourceDocument]:
        return list(self.held)

    def answers(self, limit: int = 50) -> Sequence[Mapping[str, Any]]:
        return self.earlier[:limit]

    def hold(self, question: str, *, after_events: bool = False) -> threading.Event:
        """Let the question wait, after its first event or after its last, until the returned event is set."""
        self.ended[question] = threading.Event()
        gates = self.last_gates if after_events else self.gates
        return gates.setdefault(question, threading.Event())

    def ask(
        self,
        question: str,
        *,
        structure: StructureType | None = None,
        scope: Sequence[str] | None = None,
        after: Sequence[Answer | str] = (),
        listener: EventListener = ignore_event,
        drafts: bool = False,
    ) -> Answer:
        self.asked.append((question, structure))
        self.after.append([each if isinstance(each, str) else each.question for each in after])
        self.scopes.append(scope)
        try:
            listener(PassagesRetrieved(()))
            if question in self.gates:
                assert self.gates[question].wait(30)
            answer = replace(self.answer(question, structure), scope=None if scope is None else tuple(scope))
            listener(RouteChosen(answer.route, answer.structure_type, structure is not None))
            if answer.structure is not None:
                listener(StructureBuilt(answer.structure))
            for step in answer.trace:
                listener(StepTaken(step))
            for call in self.model_calls:
                listener(ModelCalled(call))
            for stage, text in self.written if drafts else ():
                listener(ReplyGrew(stage, text))
            if question in self.last_gates:
                assert self.last_gates[question].wait(30)
            self.completed.append(question)
            return answer
        finally:
            if question in self.ended:
                self.ended[question].set()

    def prefer(self, answer: Answer, structure: StructureType) -> int:
        self.preferred.append((answer.id, structure))
        return len(self.preferred)

    def moving_words(self, route: Route, *, documents: Sequence[str] | None = None) -> Sequence[MovingWord]:
        self._check()
        return self.words

    def calls(self, answer: Answer | str) -> Sequence[ModelCall]:
        self._check()
        return self.model_calls

    def undo_preference(self, preference_id: int) -> None:
        self._check()
        self.undone.append(preference_id)

    def edit(self, edit: Edit) -> int:
        self._check()
        number = len(self.edits) + 1
        self.edits[number] = edit
        return number

    def undo_edit(self, edit_id: int) -> None:
        self._check()
        del self.edits[edit_id]

    def structure(self, answer: Answer | str) -> Structure | None:
        built = self.kept.get(answer) if isinstance(answer, str) else answer.structure
        if built is None:
            return None
        kept = [KeptEdit(number, "2026-11-22T10:00:00+00:00", "person", edit) for number, edit in self.edits.items()]
        return apply_edits(built, kept).structure

    def export(self, answer: Answer | str, format_: str | None = None) -> bytes:
        self._check()
        self.exported.append((answer, format_))
        return b"exported"

    def _check(self) -> None:
        if self.broken is not None:
            raise self.broken

    def add(self, paths: Sequence[str | Path], *, listener: EventListener = ignore_event) -> AddReport:
        self.added = [Path(path) for path in paths]
        documents = (AddedDocument(REPORT.id, "added"), AddedDocument("bad.pdf", "failed", "no text"))
        for done, document in enumerate(documents, 1):
            listener(DocumentAdded(document, done, len(documents)))
        self.held.append(REPORT)
        return AddReport(documents)

    def close(self) -> None:
        self.closed += 1


class RecordingApp(StructRAGApp):
    """Keeps what the user is told: a notification is gone after seconds, which a busy machine may take for a key."""

    # Beside the module of the application, not beside this one.
    CSS_PATH = str(Path(inspect.getfile(StructRAGApp)).with_name("app.tcss"))

    def notify(self, message: str, **options: Any) -> None:
        self.told = [*getattr(self, "told", []), message]
        super().notify(message, **options)


def app_for(corpus: ScriptedCorpus) -> StructRAGApp:
    return RecordingApp(Path("my-corpus"), lambda folder: corpus, demo=lambda: [Path("demo")])


def told(pilot: Pilot[None]) -> str:
    """Return all notifications so far."""
    assert isinstance(pilot.app, RecordingApp)
    return " ".join(getattr(pilot.app, "told", []))


async def press(pilot: Pilot[None], *keys: str) -> None:
    """Press keys, and wait until all that follows is on the screen."""
    await pilot.press(*keys)
    await settle(pilot)


async def settle(pilot: Pilot[None]) -> None:
    """Wait until no worker is left and all that they reported is on the screen."""
    await pilot.pause()
    while list(pilot.app.workers):
        await pilot.app.workers.wait_for_complete()
        await pilot.pause()


async def ask(pilot: Pilot[None], question: str) -> None:
    await start_asking(pilot, question)
    await settle(pilot)


async def start_asking(pilot: Pilot[None], question: str) -> None:
    await pilot.press("slash") if not isinstance(pilot.app.focused, Input) else None
    pilot.app.screen.query_one("#question", Input).value = question
    await pilot.press("enter")
    await pilot.pause()


def state(pilot: Pilot[None]) -> State:
    screen = pilot.app.screen
    assert isinstance(screen, QuestionScreen)
    return screen.state


def painted(pilot: Pilot[None]) -> str:
    """Return what the terminal shows, line by line."""
    picture = pilot.app.export_screenshot()
    texts = re.findall(r'<text class="[^"]*" x="([\d.]+)" y="([\d.]+)"[^>]*>(.*?)</text>', picture)
    lines: dict[float, str] = {}
    for x, y, text in sorted(texts, key=lambda place: (float(place[1]), float(place[0]))):
        # The picture leaves out blanks between texts; a character is 12.2 wide.
        before = lines.get(float(y), "").ljust(round(float(x) / 12.2))
        lines[float(y)] = before + html.unescape(text).replace("\xa0", " ")
    return "\n".join(lines.values())


def footer_keys(pilot: Pilot[None]) -> list[str]:
    return list(pilot.app.screen.query_one(KeyLine).told)
