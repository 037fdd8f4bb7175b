"""Asks questions with known answers in several ways; what is kept already is not asked again."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor, as_completed
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

from structrag.errors import BudgetExceededError, ConfigError, ModelOutputError
from structrag.evaluation.lines import Line
from structrag.evaluation.plain import answer_plainly
from structrag.evaluation.scoring import is_right
from structrag.evaluation.spending import PaidCalls, Tally
from structrag.events import Event, ModelCalled
from structrag.pipeline.question import structures_to_try
from structrag.structures.quotes import follows_from
from structrag.types import StructureType
from structrag.usage import UsageMeter

if TYPE_CHECKING:
    from structrag.config import Settings
    from structrag.evaluation.data import KnownQuestion
    from structrag.evaluation.lines import KeptLines
    from structrag.pipeline import StructRAG
    from structrag.types import Answer, Citation, Route

ROUTER, GOLD, PLAIN, ORACLE, RANDOM = "router", "gold", "plain", "oracle", "random"
STRUCTURES = tuple(map(str, StructureType))
ASKED_WAYS = (*STRUCTURES, ROUTER, GOLD, PLAIN)
"""The ways that have lines. The oracle's and chance's answers follow from the lines of all five structures."""
DEFAULT_WAYS = "router,oracle,all,chunk"

LineListener = Callable[[Line], None]


def parse_ways(names: str) -> list[str]:
    """Return which ways must be asked for names with commas between them.

    ``all`` stands for the five structures; ``oracle`` and ``random`` need these.

    Raises:
        ConfigError: A name is unknown, or there is none.
    """
    ways: list[str] = []
    for name in filter(None, (part.strip().lower() for part in names.split(","))):
        if name in ("all", ORACLE, RANDOM):
            ways += STRUCTURES
        elif name in ASKED_WAYS:
            ways.append(name)
        else:
            known = ", ".join([*ASKED_WAYS, ORACLE, RANDOM, "all"])
            raise ConfigError(f"{name!r} is no way to answer.", hint=f"Use some of: {known}.")
    if not ways:
        raise ConfigError("No way to answer is given.", hint=f"For example: --structures {DEFAULT_WAYS}.")
    return list(dict.fromkeys(ways))


def settings_of_run(settings: Settings) -> dict[str, Any]:
    """Return the settings that the answers of a structure depend on, by dotted key; the router's choice is none."""
    models = {f"models.{key}": getattr(settings.models, key) for key in ("chat", "base_url", "weights", "embedder")}
    sections = {
        f"{name}.{key}": value
        for name in ("retrieval", "builders", "budget")
        for key, value in getattr(settings, name).model_dump().items()
    }
    return {**models, **sections, "router.when_unsure": settings.router.when_unsure}


class _Stopped(BaseException):
    """Unwinds what is under way once the run is to end; like a cancellation no `Exception`, so nothing catches it."""


@dataclass(slots=True)
class EvaluationRun:
    """One run.

    Attributes:
        rag: Holds the documents; its router is the one that is measured.
        plain: Holds them as well, opened for plain RAG; ``None`` unless that is asked.
        kept: Where the lines go.
        listener: Told of every line, by one thread at a time.
    """

    rag: StructRAG
    kept: KeptLines
    plain: StructRAG | None = None
    listener: LineListener = lambda line: None
    _stop: threading.Event = field(default_factory=threading.Event)
    _telling: threading.Lock = field(default_factory=threading.Lock)
    _paid: PaidCalls = field(default_factory=PaidCalls)
    _texts: dict[str, str] = field(default_factory=dict)

    def run(self, questions: Sequence[KnownQuestion], ways: Sequence[str], *, parallel: int = 1) -> None:
        """Ask every question in every way, all ways of one question after the other.

        Args:
            questions: In the order in which they are asked.
            ways: Some of `ASKED_WAYS`.
            parallel: How many questions at once.

        Raises:
            ModelError: The model does not answer; lines so far are kept.
            KeyboardInterrupt: It was interrupted; lines so far are kept, and no thread is left at work.
            RoutingError: The router cannot choose.
        """
        self.kept.record.ask(ways, [q.id for q in questions])
        self.kept.record.write(self.kept.folder)
        self._texts = {document.id: document.text for document in self.rag.documents()}
        self._stop.clear()
        if parallel == 1:
            for question in questions:
                self._ask_all(question, ways)
            return
        with ThreadPoolExecutor(parallel, thread_name_prefix="structrag-eval") as pool:
            try:
                for done in as_completed([pool.submit(self._ask_all, q, ways) for q in questions]):
                    done.result()
            except BaseException:
                # What is under way ends at its next event: after the call to the model that it waits for.
                self._stop.set()
                pool.shutdown(wait=False, cancel_futures=True)
                raise

    def _ask_all(self, question: KnownQuestion, ways: Sequence[str]) -> None:
        # Structures first: the router's answer is one of theirs.
        for way in sorted(ways, key=ASKED_WAYS.index):
            self._line(question, way)

    def _line(self, question: KnownQuestion, way: str) -> Line:
        if self._stop.is_set():
            raise _Stopped
        kept = self.kept.get(question.id, question.digest, way)
        if kept is not None and not (way == ROUTER and kept.route and kept.route["router"] != self.rag.router.name):
            return kept
        made = self.kept.keep(self._made(question, way))
        with self._telling:
            self.listener(made)
        return made

    def _made(self, question: KnownQuestion, way: str) -> Line:
        match way:
            case "router":
                route = self.rag.route(question.question, documents=question.scope)
                line = self._routed(question, way, structures_to_try(route, self.rag.settings.router))
                return replace(line, route=_shown(route), seconds=round(line.seconds + route.seconds, 3))
            case "gold":
                return self._routed(question, way, list(dict.fromkeys([question.labels[0], StructureType.CHUNK])))
            case "plain":
                return self._plain_line(question)
            case _:
                return self._structure_line(question, StructureType(way))

    def _routed(self, question: KnownQuestion, way: str, types: Sequence[StructureType]) -> Line:
        """Return what the pipeline answers that tries these structures in turn, from the lines of each."""
        tried: list[Line] = []
        for type_ in types:
            tried.append(self._line(question, str(type_)))
            if tried[-1].grounded:
                break
        failed = [line for line in tried if line.error]
        answering = tried[-1] if tried[-1].grounded else failed[0] if failed else tried[0]
        return replace(
            answering,
            way=way,
            tried=[line.way for line in tried],
            usage=_sum([line.usage for line in tried]),
            seconds=round(sum(line.seconds for line in tried), 3),
        )

    def _structure_line(self, question: KnownQuestion, structure: StructureType) -> Line:
        tally = Tally(self._paid)
        started = time.monotonic()
        blank = _blank(question, str(structure), [str(structure)])
        try:
            answer = self.rag.ask(
                question.question, structure=structure, scope=question.scope, listener=self._listener(tally)
            )
        except (ModelOutputError, BudgetExceededError) as error:
            return replace(blank, error=error.message, grounded=False, **_spent(tally, started))
        return replace(
            blank,
            **_spent(tally, started),
            values=list(answer.values),
            answer=answer.text,
            grounded=answer.grounded,
            citations=[self._citation(c, answer, question) for c in answer.citations],
            correct=is_right(answer.values, question.gold, question.answer_type),
            trace=[f"{step.name}: {step.detail}" for step in answer.trace],
        )

    def _plain_line(self, question: KnownQuestion) -> Line:
        if self.plain is None:
            raise ValueError("The way `plain` needs a corpus for plain RAG.")
        tally, meter = Tally(self._paid), UsageMeter()
        meter.listener = tally.tell
        started = time.monotonic()
        values = answer_plainly(self.plain, question.question, meter, scope=question.scope)
        return replace(
            _blank(question, PLAIN, []),
            **_spent(tally, started),
            values=values,
            answer="; ".join(values),
            correct=is_right(values, question.gold, question.answer_type),
        )

    def _listener(self, tally: Tally) -> Callable[[Event], None]:
        def listen(event: Event) -> None:
            if self._stop.is_set():
                raise _Stopped
            if isinstance(event, ModelCalled):
                tally.tell(event.call)

        return listen

    def _citation(self, citation: Citation, answer: Answer, question: KnownQuestion) -> dict[str, Any]:
        span, quote = citation.evidence.span, citation.evidence.quote
        return {
            "document": span.document_id,
            "start": span.start,
            "end": span.end,
            "quote": quote,
            "stands": self._texts.get(span.document_id, "")[span.start : span.end] == quote,
            "names": any(follows_from(value, citation.evidence.words) for value in answer.values),
            "wanted": span.document_id in question.documents if question.documents else None,
        }


def _blank(question: KnownQuestion, way: str, tried: Sequence[str]) -> Line:
    labels = [str(label) for label in question.labels]
    return Line(question.id, question.digest, way, labels, structure=tried[0] if tried else "", tried=tried)


def _spent(tally: Tally, started: float) -> dict[str, Any]:
    seconds = time.monotonic() - started + tally.saved_seconds
    return {"usage": tally.usage(), "seconds": round(seconds, 3)}


def _shown(route: Route) -> dict[str, Any]:
    """Return a route without the question: the id says which one it is."""
    return {key: value for key, value in route.to_dict().items() if key != "question"}


def _sum(usages: Iterable[Mapping[str, Any]]) -> dict[str, Any]:
    total: dict[str, Any] = {}
    for usage in usages:
        for key, value in usage.items():
            total[key] = round(total.get(key, 0) + value, 6)
    return total
