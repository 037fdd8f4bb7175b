"""StructRAG as it is used, and its plain passages."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from peers.protocol import Place, Said
from structrag import StructRAG
from structrag.errors import BudgetExceededError, ModelOutputError
from structrag.evaluation.plain import PLAIN_SETTINGS, answer_plainly
from structrag.usage import UsageMeter

if TYPE_CHECKING:
    from langchain_core.documents import Document


class _Ours:
    def __init__(self, place: Place, settings: Mapping[str, Any]) -> None:
        endpoint = {"models.base_url": place.endpoint, "models.chat": place.model}
        self._documents = place.documents
        self.rag = StructRAG.open(place.folder, settings={**endpoint, **settings})

    def index(self, told: Callable[[int], None]) -> str:
        report = self.rag.add_documents(self._documents)
        told(len(self._documents) - len(report.failed))
        return "; ".join(line.document_id for line in report.failed)


class _Routed(_Ours):
    def ask(self, question: str, scope: Sequence[Document] | None) -> Said:
        try:
            answer = self.rag.ask(question, scope=_ids(scope))
        except (ModelOutputError, BudgetExceededError) as error:
            raise RuntimeError(error.message) from error
        notes = (str(answer.route.structure), str(answer.structure_type), "grounded" if answer.grounded else "")
        return Said(answer.text, list(answer.values), notes)


class _Plain(_Ours):
    def ask(self, question: str, scope: Sequence[Document] | None) -> Said:
        values = answer_plainly(self.rag, question, UsageMeter(), scope=_ids(scope))
        return Said("; ".join(values), values)


def routed(place: Place) -> _Routed:
    """Return StructRAG at its defaults."""
    return _Routed(place, {})


def plain(place: Place) -> _Plain:
    """Return the way `plain` of `structrag eval`."""
    return _Plain(place, PLAIN_SETTINGS)


def _ids(scope: Sequence[Document] | None) -> list[str] | None:
    return None if scope is None else [str(document.id) for document in scope]
