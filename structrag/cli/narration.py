"""What is under way, for the person watching and for programs: events as lines, as JSON, as a live line."""

from __future__ import annotations

import sys
import threading
from collections.abc import Callable
from types import TracebackType
from typing import TYPE_CHECKING, Any, assert_never

from structrag.cli.text import narrate, one_line, write_json
from structrag.events import (
    Answered,
    BuildProgressed,
    DocumentAdded,
    Event,
    ModelCalled,
    PassagesRetrieved,
    QuestionRewritten,
    ReplyGrew,
    RouteChosen,
    StepTaken,
    StructureBuilt,
)

if TYPE_CHECKING:
    from rich.progress import Progress, TaskID

_LIVE_WIDTH = 50
_LINE_WIDTH = 160


def describe(event: Event) -> str:
    """Return the event as one line for a person."""
    return one_line(_sentence(event), _LINE_WIDTH)


def _sentence(event: Event) -> str:
    match event:
        case DocumentAdded(document=document):
            reason = f": {document.reason}" if document.reason else ""
            return f"{document.status.capitalize()} {document.document_id}{reason}"
        case QuestionRewritten(standalone=standalone):
            return f"Understood as: {standalone}"
        case PassagesRetrieved(passages=passages):
            documents = {passage.span.document_id for passage in passages}
            return f"Retrieved {len(passages)} passages from {len(documents)} documents"
        case RouteChosen(structure_type=chosen, overridden=True):
            return f"Structure {chosen}, as asked"
        case RouteChosen(route=route, structure_type=chosen):
            unsure = ", unsure" if route.unsure else ""
            return f"Route {chosen} ({route.confidence:.0%}{unsure}), runner-up {route.runner_up}"
        case BuildProgressed(structure_type=structure_type, done=done, total=total, note=note):
            return f"Building the {structure_type}: {done} of {total} documents{f', {note}' if note else ''}"
        case StructureBuilt(structure=structure):
            return f"Built the {structure.type}"
        case StepTaken(step=step):
            return f"{step.name}: {step.detail}"
        case ReplyGrew(stage=stage, text=text):
            return f"Writing {stage}: {text}"
        case ModelCalled(call=call):
            cost = "from the cache" if call.cached else f"{call.prompt_tokens} + {call.completion_tokens} tokens"
            return f"Model call {call.stage}, {cost}" + ("" if call.cached else f", {call.seconds:.1f} s")
        case Answered(answer=answer):
            grounded = f"grounded in {len(answer.citations)} citations" if answer.grounded else "not grounded"
            return f"Answered after {answer.usage.seconds:.1f} s, {grounded}"
        case _:
            assert_never(event)


def event_to_dict(event: Event) -> dict[str, Any]:
    """Return the JSON form of an event that ``ask --stream --json`` prints; ``event`` says which it is."""
    match event:
        case DocumentAdded(document=document, done=done, total=total):
            name = "document_added"
            data: dict[str, Any] = {
                "document": document.document_id,
                "status": document.status,
                "reason": document.reason,
                "done": done,
                "total": total,
            }
        case QuestionRewritten(question=question, standalone=standalone):
            name, data = "question_rewritten", {"question": question, "standalone": standalone}
        case PassagesRetrieved(passages=passages):
            name = "passages_retrieved"
            data = {
                "passages": [
                    {
                        "document": p.span.document_id,
                        "title": p.title,
                        "start": p.span.start,
                        "end": p.span.end,
                        "score": p.score,
                    }
                    for p in passages
                ]
            }
        case RouteChosen(route=route, structure_type=chosen, overridden=overridden):
            name = "route_chosen"
            data = {"structure": str(chosen), "overridden": overridden, "route": route.to_dict()}
        case BuildProgressed(structure_type=structure_type, done=done, total=total, note=note):
            name = "build_progressed"
            data = {"structure": str(structure_type), "done": done, "total": total, "note": note}
        case StructureBuilt(structure=structure):
            name, data = "structure_built", {"structure": str(structure.type), "built": structure.to_dict()}
        case StepTaken(step=step):
            name, data = "step_taken", {"name": step.name, "detail": step.detail}
        case ReplyGrew(stage=stage, text=text):
            name, data = "reply_grew", {"stage": stage, "text": text}
        case ModelCalled(call=call):
            name, data = "model_called", {"call": call.to_dict()}
        case Answered(answer=answer):
            name, data = "answered", {"answer": answer.to_dict()}
        case _:
            assert_never(event)
    return {"event": name, **data}


def narrate_event(event: Event) -> None:
    """Write the event as one line to stderr."""
    narrate(describe(event))


def write_event(event: Event) -> None:
    """Write the event as one JSON line to stdout."""
    write_json(event_to_dict(event))


class Activity:
    """Shows on stderr what is under way.

    On a terminal that is one live line, gone when the work is done. Elsewhere (a log, a pipe) only what takes
    long without having been asked for, the preparation of a model, is said, once. It can be entered again.

    Args:
        label: What is shown until the first event.
        live: Whether to draw a live line; by default, whether stderr is a terminal.
        also: Told every event too, such as `narrate_event`; lines and a live line do not go together.
    """

    def __init__(self, label: str, *, live: bool | None = None, also: Callable[[Event], None] | None = None) -> None:
        self._label = label
        self._also = also
        self._live = (sys.stderr.isatty() if live is None else live) and also is None
        self._lock = threading.Lock()
        self._announced: set[str] = set()
        self._shown: tuple[str, int | None] | None = None
        self._task: TaskID | None = None
        self._progress: Progress | None = None

    def __enter__(self) -> Activity:
        if self._live:
            self._progress = _live_line()
            self._progress.start()
            self.say(self._label)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._progress is not None:
            self._progress.stop()
        self._progress, self._task, self._shown = None, None, None

    def say(self, text: str) -> None:
        """Show what is under way when it is not an event."""
        self._show(text, 0, None)

    def listen(self, event: Event) -> None:
        """Show an event: the listener of ``add`` and ``ask``."""
        if self._also is not None:
            self._also(event)
        match event:
            case DocumentAdded(document=document, done=done, total=total):
                self._show(document.document_id, done, total)
            case BuildProgressed(structure_type=structure_type, done=done, total=total):
                self._show(f"Building the {structure_type}", done, total)
            case _:
                self._show(describe(event), 0, None)

    def prepare(self, label: str, done: int, total: int) -> None:
        """Show how far the preparation of a model is, in bytes: the ``progress`` of ``StructRAG.open``."""
        if self._live:
            self._show(label, done, total)
            return
        with self._lock:
            first = label not in self._announced
            self._announced.add(label)
        if first:
            narrate(f"{label} ({total / 1e9:.1f} GB); this is done once.")

    def _show(self, label: str, done: int, total: int | None) -> None:
        label = one_line(label, _LIVE_WIDTH)
        # Builders report from several threads.
        with self._lock:
            progress = self._progress
            if progress is None:
                return
            if self._shown != (label, total) or self._task is None:
                if self._task is not None:
                    progress.remove_task(self._task)
                self._task = progress.add_task(label, total=total)
                self._shown = (label, total)
            progress.update(self._task, completed=done)


def _live_line() -> Progress:
    from rich.console import Console
    from rich.progress import BarColumn, Progress, SpinnerColumn, TaskProgressColumn, TextColumn

    return Progress(
        SpinnerColumn(),
        TextColumn("{task.description}", markup=False),
        BarColumn(bar_width=20),
        TaskProgressColumn(),
        console=Console(stderr=True),
        transient=True,
        # Data written to stdout while the line is up must not be diverted to stderr.
        redirect_stdout=False,
        redirect_stderr=False,
    )
