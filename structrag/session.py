"""What one question may use: the chat model, the embedder, the per-document cache, and whom to tell."""

from __future__ import annotations

from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Protocol

from structrag.events import Event, ModelCalled, ReplyGrew, StepTaken, ignore_event
from structrag.types import Passage, Structure, TraceStep
from structrag.usage import ModelCall, UsageMeter

if TYPE_CHECKING:
    from structrag.models.chat import ChatModel, Prompt, Reply
    from structrag.models.embedding import Embedder


class BuiltCache(Protocol):
    """Where what was built from one document is kept; the corpus store is one.

    An entry goes when its document changes, so the key needs the builder and its version only.
    """

    def built(self, document_id: str, key: str) -> str | None:
        """Return what was kept for this document under this key, or ``None``."""
        ...

    def put_built(self, document_id: str, key: str, payload: str) -> None:
        """Keep the payload for this document under this key."""
        ...


class Library(Protocol):
    """What a reasoner may fetch while it works: more of the documents that the question is asked over."""

    def passages(self, query: str, k: int) -> Sequence[Passage]:
        """Return the ``k`` passages nearest to a query, best first."""
        ...

    def grown(self, document_ids: Collection[str]) -> Structure | None:
        """Return the structure built from these documents as well, ``None`` if they were all in it."""
        ...


@dataclass
class Session:
    """One question's access to models, cache and events, and the trace of what was done.

    Attributes:
        meter: Counts this question's usage and holds its budget.
        listener: Told every event.
        drafts: Whether the listener is told of replies that are being written too, which streams them.
        trace: What has been done so far, in order.
        calls: Every call of the chat model so far, those answered from the cache included.
        library: Where more can be fetched; ``None`` where the structure is all there is.
        fell_back: Whether a structure that was tried before this one found nothing, or failed.
    """

    chat: ChatModel
    embedder: Embedder
    cache: BuiltCache
    meter: UsageMeter = field(default_factory=UsageMeter)
    listener: Callable[[Event], None] = ignore_event
    trace: list[TraceStep] = field(default_factory=list)
    calls: list[ModelCall] = field(default_factory=list)
    library: Library | None = None
    fell_back: bool = False
    drafts: bool = False

    def __post_init__(self) -> None:
        self.meter.listener = self._hear

    def ask(self, prompt: Prompt) -> Reply:
        """Ask the chat model; see `ChatModel.reply`."""
        if not self.drafts:
            return self.chat.reply(prompt, self.meter)
        return self.chat.reply(prompt, self.meter, lambda text: self.listener(ReplyGrew(prompt.stage, text)))

    def note(self, name: str, detail: str) -> None:
        """Record one step in the trace and tell the listener."""
        step = TraceStep(name, detail)
        self.trace.append(step)
        self.listener(StepTaken(step))

    def _hear(self, call: ModelCall) -> None:
        self.calls.append(call)
        self.listener(ModelCalled(call))
