"""Questions over many documents at an endpoint of which one call in ten fails; the soak asks more of them."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from random import Random
from typing import Any

from faulty_endpoint import FAULTS, Fault, FaultyEndpoint, Request
from firm_reports import MOST, HashingEmbedder, firm_of, firms, reply, reports, unaccounted

from structrag import StructRAG
from structrag.config import ModelSettings
from structrag.corpus.store import CorpusStore
from structrag.errors import ModelError
from structrag.models.loading import load_chat_model
from structrag.router import FixedRouter
from structrag.types import StructureType

AT_ONCE = 10
"""Documents of a question: of more, only the nearest are read."""
_SHARE = 0.1
_MOST_ATTEMPTS = 40
FAST = frozenset(FAULTS) - {"hang", "drip", "large"}
"""Faults that cost no time."""


class FlakyFirms:
    """Asks for tables over ever further documents, again after every error, and finds what is lost or done twice.

    Args:
        questions: How many, of ten documents each.
        kinds: The faults that happen.
        seed: Which ones happen when; what threads do side by side is not repeated exactly.
        folder: Of the corpus; in memory by default.
        settings: Of the model.
    """

    def __init__(
        self, questions: int, kinds: frozenset[str], seed: int, *, folder: Path | None = None, **settings: Any
    ) -> None:
        self._folder = folder
        self.names = firms(questions * AT_ONCE)
        self.faults: Counter[str] = Counter()
        self.errors: Counter[str] = Counter()
        self.reported = self.calls = 0
        self._read: Counter[str] = Counter()
        self._random = Random(seed)
        self._kinds = sorted(kinds)
        self._settings = settings

    def run(self) -> list[str]:
        """Ask all questions, and return what went wrong."""
        wrong: list[str] = []
        with self._corpus() as (rag, endpoint):
            for start in range(0, len(self.names), AT_ONCE):
                wrong += self._ask(rag, self.names[start : start + AT_ONCE])
            self.calls = len(endpoint.requests)
        return wrong + [f"{name} was read {count} times" for name, count in self._read.items() if count > 1]

    def _ask(self, rag: StructRAG, names: list[str]) -> list[str]:
        for _ in range(_MOST_ATTEMPTS):
            try:
                answer = rag.ask(MOST, structure="table", scope=names)
            except ModelError as error:
                self.errors[type(error).__name__] += 1
                continue
            wrong = unaccounted(answer, names)
            self.reported += len(names) - len(answer.structure.covered) if not wrong else 0
            return wrong
        return [f"{names[0]} and its neighbours never ended"]

    @contextmanager
    def _corpus(self) -> Iterator[tuple[StructRAG, FaultyEndpoint]]:
        with CorpusStore.open(None) as replies, FaultyEndpoint(self._fault, lambda r: reply(r.text)) as endpoint:
            settings = ModelSettings(chat="stub", base_url=endpoint.url, **self._settings)
            parts: dict[str, Any] = {"router": FixedRouter(StructureType.TABLE), "embedder": HashingEmbedder()}
            if self._folder is None:
                rag = StructRAG.from_documents((), chat=load_chat_model(settings, cache=replies), **parts)
            else:
                own = {f"models.{name}": value for name, value in settings.model_dump(exclude_unset=True).items()}
                rag = StructRAG.open(self._folder, settings=own, **parts)
            with rag:
                rag.add_documents(reports(self.names))
                yield rag, endpoint

    def _fault(self, request: Request) -> Fault | None:
        name = firm_of(request.text)
        if self._random.random() < _SHARE:
            fault = self._random.choice(self._kinds)
            self.faults[fault] += 1
            return Fault(fault)
        if name is not None:
            self._read[name] += 1
        return None
