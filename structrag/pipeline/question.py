"""One question: retrieve, route, build, reason, cite."""

from __future__ import annotations

import uuid
from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from structrag.config import RouterSettings, Settings
from structrag.corpus.profile import profile
from structrag.corpus.records import StoredEdit
from structrag.corpus.store import CorpusStore
from structrag.errors import BuildError, ModelOutputError, StoreError
from structrag.events import Answered, PassagesRetrieved, QuestionRewritten, RouteChosen, StructureBuilt
from structrag.index.retriever import Retriever
from structrag.pipeline.components import builder_and_reasoner
from structrag.router import FixedRouter, Router, RoutingRequest
from structrag.router.occlusion import MovingWord, moving_words
from structrag.router.protocol import ScoringRouter
from structrag.router.template import MOST_DOCUMENTS
from structrag.session import Session
from structrag.structures.building import Builder, BuildRequest
from structrag.types import Answer, Citation, Evidence, Passage, Route, SourceDocument, Structure, StructureType
from structrag.utilizer.finding import NOTHING_FOUND, Finding

if TYPE_CHECKING:
    from structrag.pipeline.followups import Exchange
    from structrag.structures.edits import Edit, KeptEdit

NOT_STATED = "The documents do not say."
EDIT_TITLE = "(no document)"
"""Cited as the title where a person's edit stands in no document."""


@dataclass(frozen=True, slots=True)
class Question:
    """What was asked.

    Attributes:
        text: As it was typed.
        structure: The caller's choice of structure, which is then the only one tried; ``None`` to route.
        scope: Ids of the documents to ask over; ``None`` for all.
        after: What was asked and answered before, oldest first, where the question may refer to it.
        standalone: The question as it is understood without these; empty where that is how it was typed.
    """

    text: str
    structure: StructureType | None = None
    scope: tuple[str, ...] | None = None
    after: tuple[Exchange, ...] = ()
    standalone: str = ""

    @property
    def asked(self) -> str:
        """What is retrieved, routed and reasoned for."""
        return self.standalone or self.text


@dataclass(frozen=True, slots=True)
class Attempt:
    """What one structure gave.

    Attributes:
        structure: With people's edits; ``None`` if it could not be built.
        unedited: As it was built, where edits changed it.
    """

    type: StructureType
    structure: Structure | None
    finding: Finding
    unedited: Structure | None = None


class QuestionRun:
    """Answers questions over one corpus. Holds no state of a question; safe to share."""

    def __init__(self, store: CorpusStore, retriever: Retriever, router: Router, settings: Settings) -> None:
        self._store = store
        self._retriever = retriever
        self._router = router
        self._settings = settings

    def search(self, text: str, *, k: int, scope: Sequence[str] | None) -> list[Passage]:
        """Return the ``k`` best passages for a question, best first.

        Raises:
            StoreError: The scope names a document that the corpus does not hold.
        """
        return self._retriever.search(text, k=k, scope=scope)

    def route(self, question: Question, session: Session) -> Route:
        """Return the route of a question over the documents that share most words with it.

        Raises:
            RoutingError: No structure could be chosen.
            StoreError: The scope names a document that the corpus does not hold.
        """
        if question.structure:
            return FixedRouter(question.structure).route(RoutingRequest(question.asked), session.meter)
        return self._router.route(self.routing_request(question), session.meter)

    def moving_words(self, question: Question, structure: StructureType) -> tuple[MovingWord, ...]:
        """Return the question's words, the one that spoke most for a structure first; none if the router cannot tell.

        Raises:
            RoutingError: The router is damaged.
            StoreError: The scope names a document that the corpus does not hold.
        """
        if not isinstance(self._router, ScoringRouter):
            return ()
        return moving_words(self.routing_request(question), structure, self._router.probabilities)

    def routing_request(self, question: Question) -> RoutingRequest:
        """Return what a router is shown: the question, and the documents that share most words with it.

        Raises:
            StoreError: The scope names a document that the corpus does not hold.
        """
        ids = self._retriever.documents_by_words(question.asked, limit=MOST_DOCUMENTS, scope=question.scope)
        # What a question is asked over is told even where it shares no word with it.
        ids = list(dict.fromkeys([*ids, *(question.scope or ())]))[:MOST_DOCUMENTS]
        return RoutingRequest(question.asked, tuple(profile(self._store.document(each)) for each in ids))

    def retrieve(self, question: Question) -> BuildRequest:
        """Return the passages and the documents to build from.

        Raises:
            StoreError: The scope names a document that the corpus does not hold.
        """
        settings = self._settings.retrieval
        passages = self._retriever.search(question.asked, k=settings.passages, scope=question.scope)
        ids = self._retriever.documents(question.asked, limit=settings.documents, scope=question.scope)
        scope = question.scope if question.scope is not None else self._store.ids()
        beyond = [document_id for document_id in dict.fromkeys(scope) if document_id not in ids]
        documents, further = (
            tuple(self._store.document(document_id) for document_id in each)
            for each in (ids, beyond[: max(0, settings.listed_documents - len(ids))])
        )
        return BuildRequest(
            question.asked, documents, tuple(passages), left_out=len(beyond), further=further, scope=question.scope
        )

    def document(self, document_id: str) -> SourceDocument:
        """Return a document of the corpus.

        Raises:
            StoreError: There is none of that id.
        """
        return self._store.document(document_id)

    def answer(self, question: Question, session: Session) -> Answer:
        """Answer the question; the last event is `Answered`.

        Raises:
            StructRAGError: The model fails, the budget is spent, or the scope is unknown.
        """
        question = self._standing_alone(question, session)
        request = self.retrieve(question)
        session.listener(PassagesRetrieved(request.passages))
        route = self.route(question, session)
        session.listener(RouteChosen(route, question.structure or route.structure, question.structure is not None))
        attempt = self._attempt(self.candidates(question, route), request, session)
        answer = self._compose(question, route, attempt, session)
        self._store.put_answer(answer.id, answer.to_dict(), [call.to_dict() for call in session.calls])
        session.listener(Answered(answer))
        return answer

    def _standing_alone(self, question: Question, session: Session) -> Question:
        if not question.after:
            return question
        from structrag.pipeline.followups import stand_alone

        rewritten = stand_alone(question.text, question.after, session)
        if rewritten == question.text:
            return question
        session.listener(QuestionRewritten(question.text, rewritten))
        return replace(question, standalone=rewritten)

    def candidates(self, question: Question, route: Route) -> list[StructureType]:
        """Return the structures to try, in order: a caller's choice alone, or what the route leads to."""
        return [question.structure] if question.structure else structures_to_try(route, self._settings.router)

    def _attempt(self, types: Sequence[StructureType], request: BuildRequest, session: Session) -> Attempt:
        """Try the structures in order until one answers; every further one is noted in the trace.

        Raises:
            ModelOutputError: No structure answered, and on one of them the model's reply was unusable: that the
                documents do not say cannot be claimed then.
        """
        attempts: list[Attempt] = []
        failure: ModelOutputError | None = None
        for type_ in types:
            if type_ is not types[0]:
                session.note("fallback", f"{types[0]} found nothing; trying {type_}")
                session.fell_back = True
            try:
                attempts.append(self._try(type_, request, session))
            except ModelOutputError as error:
                session.note("failed", f"{type_}: {error.message}")
                failure = failure or error
                continue
            if attempts[-1].finding.found:
                return attempts[-1]
        if failure is not None:
            raise failure
        return attempts[0]

    def _try(self, type_: StructureType, request: BuildRequest, session: Session) -> Attempt:
        builder, reasoner = builder_and_reasoner(type_, self._settings.builders)
        try:
            built = builder.build(request, session)
        except BuildError as error:
            session.note("build", f"no {type_}: {error.message}")
            return Attempt(type_, None, NOTHING_FOUND)
        structure = self.edited(built, session)
        session.listener(StructureBuilt(structure))
        session.library = _Library(request, builder, self, session)
        finding = reasoner.reason(request.question, structure, session)
        if finding.grown is not None:
            session.listener(StructureBuilt(finding.grown))
        return Attempt(type_, finding.grown or structure, finding, None if structure is built else built)

    def edited(self, built: Structure, session: Session) -> Structure:
        """Return the structure with people's edits; those that apply and those whose target is gone are noted."""
        kept_here = kept_edits(self._store)
        if not kept_here:
            return built
        from structrag.structures.edits import apply_edits, describe_edit

        edited = apply_edits(built, kept_here)
        for kept in edited.applied:
            session.note("edit", f"{kept.id}, by a {kept.who}: {describe_edit(kept.edit)}")
        for left in edited.unapplied:
            told = f"{left.kept.id}, by a {left.kept.who}, is not applied ({describe_edit(left.kept.edit)})"
            session.note("edit", f"{told}: {left.reason}")
        return edited.structure

    def _compose(self, question: Question, route: Route, attempt: Attempt, session: Session) -> Answer:
        finding = attempt.finding
        citations = tuple(self._cite(finding.evidence)) if finding.found else ()
        marks = "".join(f"[{citation.number}]" for citation in citations)
        return Answer(
            id=uuid.uuid4().hex[:12],
            question=question.text,
            text=_worded(finding.text, marks + _edit_remark(citations)) if finding.found else NOT_STATED,
            values=finding.values if finding.found else (),
            grounded=finding.found,
            route=route,
            structure_type=attempt.type,
            structure=attempt.structure,
            citations=citations,
            usage=session.meter.snapshot(),
            trace=tuple(session.trace),
            scope=question.scope,
            standalone=question.standalone,
            unedited=attempt.unedited,
        )

    def _cite(self, evidence: Sequence[Evidence]) -> Iterator[Citation]:
        """Number the verified evidence, each span once, and say on which page, sheet or row it stands."""
        seen = dict.fromkeys(e for e in evidence if e.verified)
        for number, item in enumerate(seen, 1):
            if not item.span.document_id:  # a person's edit of what no document speaks of
                yield Citation(number, item, EDIT_TITLE)
                continue
            document = self._store.document(item.span.document_id)
            yield Citation(number, item, document.title, document.locate(item.span.start))


@dataclass
class _Library:
    """More of the scope for a reasoner; documents that were fetched stay in."""

    request: BuildRequest
    builder: Builder
    run: QuestionRun
    session: Session

    def passages(self, query: str, k: int) -> list[Passage]:
        return self.run.search(query, k=k, scope=self.request.scope)

    def grown(self, document_ids: Collection[str]) -> Structure | None:
        known = {document.id for document in self.request.documents}
        added = tuple(self.run.document(each) for each in dict.fromkeys(document_ids) if each not in known)
        if not added:
            return None
        left_out = self.request.left_out - len(added)
        self.request = replace(self.request, documents=self.request.documents + added, left_out=left_out)
        return self.run.edited(self.builder.build(self.request, self.session), self.session)


def _worded(text: str, marks: str) -> str:
    """Put the citations' marks behind a sentence, and on a line of their own below a list."""
    return f"{text}\n\n{marks}" if "\n" in text else f"{text} {marks}"


def structures_to_try(route: Route, settings: RouterSettings) -> list[StructureType]:
    """Return the structures that a route leads to, in the order in which they are tried until one answers.

    The route's structure comes first; an unsure route adds its runner-up, unless the settings say otherwise; and
    passages come last, since reading them costs one call and what one structure misses they may hold. Which of them
    answered is in the answer and in its trace.
    """
    second = [route.runner_up] if route.unsure and settings.when_unsure == "runner_up" else []
    return list(dict.fromkeys([route.structure, *second, StructureType.CHUNK]))


def kept_edits(store: CorpusStore, *, with_undone: bool = False) -> list[KeptEdit]:
    """Return the edits that a corpus keeps, oldest first; damaged ones that were undone as `UnreadableEdit`.

    Raises:
        StoreError: One that counts is damaged.
    """
    stored = store.edits(with_undone=with_undone)
    if not stored:
        return []
    # Edits are of all structures, so this loads the code of all; most corpora have none.
    from structrag.structures.edits import KeptEdit

    return [KeptEdit(kept.id, kept.created, kept.who, _read_edit(kept), kept.undone) for kept in stored]


def _read_edit(kept: StoredEdit) -> Edit:
    from structrag.structures.edits import UnreadableEdit, edit_from_dict

    try:
        return edit_from_dict(kept.payload, number=kept.id)
    except StoreError:
        if not kept.undone:
            raise
        return UnreadableEdit()


def _edit_remark(citations: Sequence[Citation]) -> str:
    """Say which citations rest on a person's edit: their documents may say something else."""
    numbers = "".join(f"[{citation.number}]" for citation in citations if citation.evidence.edits)
    return f" (Edited by a person: {numbers}.)" if numbers else ""
