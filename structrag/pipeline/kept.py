"""What a corpus keeps about its questions: answers, the model's calls, preferences, and people's edits."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from structrag.corpus.store import CorpusStore
from structrag.errors import ConfigError, StoreError
from structrag.pipeline.question import Question, QuestionRun, kept_edits
from structrag.router.preferences import PreferencePair, preference_pair
from structrag.types import Answer, Structure, StructureType
from structrag.usage import ModelCall, Usage

if TYPE_CHECKING:
    from structrag.structures.edits import Edit, KeptEdit


class KeptRecords:
    """The part of `StructRAG` that looks back: on answers, on what led to them, and on what people made of them."""

    _store: CorpusStore
    _run: QuestionRun

    def prefer(self, answer: Answer, structure: StructureType | str) -> int:
        """Record that another structure would have suited an answer's question better; return the record's id.

        It is preferred to what the router chose; where that was right and another one answered, to that one.

        Raises:
            ConfigError: The structure is unknown, or is the one that was chosen and answered.
        """
        chosen = StructureType.parse(str(structure))
        rejected = answer.structure_type if chosen is answer.route.structure else answer.route.structure
        if chosen is rejected:
            raise ConfigError(f"{chosen} was chosen and answered; there is nothing to prefer.")
        request = self._run.routing_request(Question(answer.standalone or answer.question, scope=answer.scope))
        pair = PreferencePair(request, chosen, rejected, "human", answer.id)
        return self._store.add_preference(pair.to_dict())

    def undo_preference(self, preference_id: int) -> None:
        """Take a preference back; it stays on record but is not trained on.

        Raises:
            StoreError: There is none of that number.
        """
        self._store.undo_preference(preference_id)

    def preferences(self) -> dict[int, PreferencePair]:
        """Return the preferences that were not taken back, by number, oldest first: what the router can learn from."""
        return {kept.id: preference_pair(kept.payload) for kept in self._store.preferences()}

    def answer(self, answer_id: str) -> dict[str, Any]:
        """Return a kept answer in the form of `Answer.to_dict`.

        Raises:
            StoreError: There is no such answer.
        """
        return self._store.answer(answer_id)

    def export(self, answer: Answer | str, format_: str | None = None, *, table: str | None = None) -> bytes:
        """Return the structure of an answer, or of a kept answer by its id, as a file's content.

        Args:
            answer: The answer, or the id of a kept one.
            format_: One of `structrag.structures.exports.export.formats`; the usual one of the structure by default.
            table: Which table, for formats that hold one.

        Raises:
            ConfigError: There is no structure, or the format does not suit it.
            MissingExtraError: The format needs a package that is not installed.
            StoreError: There is no such answer, or it is damaged.
        """
        from structrag.structures.exports.export import export, formats

        structure = self.structure(answer)
        if structure is None:
            raise ConfigError("Nothing was built for this answer, so there is nothing to export.")
        return export(structure, format_ or formats(structure)[0], table=table)

    def structure(self, answer: Answer | str) -> Structure | None:
        """Return the structure of an answer as people's edits have it now; ``None`` where nothing was built.

        Unlike the answer's own, it holds edits made since, and none that were undone since.

        Args:
            answer: The answer, or the id of a kept one.

        Raises:
            StoreError: There is no such answer, or it or an edit is damaged.
        """
        from structrag.structures.edits import apply_edits
        from structrag.structures.serialization import structure_from_dict

        built: Structure | None
        if isinstance(answer, Answer):
            built = answer.unedited or answer.structure
        else:
            record = self._store.answer(answer)
            data = record.get("unedited") or record.get("built")
            built = structure_from_dict(data) if data else None
        return None if built is None else apply_edits(built, self.edits()).structure

    def edit(self, edit: Edit) -> int:
        """Keep a person's edit and return the number by which it can be undone.

        From now on it is applied to every structure that holds its target. Make it with `cell_edit` and the others
        of `structrag.structures.edits`, which check that it suits what is shown.

        Raises:
            StoreError: The corpus cannot be written.
        """
        from structrag.structures.edits import edit_to_dict

        return self._store.add_edit(edit_to_dict(edit), who="person")

    def edits(self, *, with_undone: bool = False) -> list[KeptEdit]:
        """Return the edits that count, oldest first; on demand those that were undone too.

        Damaged ones that were undone are listed as `UnreadableEdit`.

        Raises:
            StoreError: One that counts is damaged.
        """
        return kept_edits(self._store, with_undone=with_undone)

    def edit_problems(self) -> dict[int, str]:
        """Return for each edit that counts, but whose target is no longer in the documents, why; by its number.

        Such edits are kept: they apply again when the documents say again what they were about.
        """
        from structrag.structures.edits import problem_of

        documents = self._store.documents()
        problems = {kept.id: problem_of(kept, documents) for kept in self.edits()}
        return {number: problem for number, problem in problems.items() if problem}

    def undo_edit(self, edit_id: int) -> None:
        """Take an edit back; it stays on record but no longer counts.

        Raises:
            StoreError: There is none of that number that counts.
        """
        self._store.undo_edit(edit_id)

    def answers(self, limit: int = 50) -> list[dict[str, Any]]:
        """Return the kept answers in the form of `Answer.to_dict`, newest first."""
        return self._store.answers(limit)

    def calls(self, answer: Answer | str) -> list[ModelCall]:
        """Return every call of the chat model that led to an answer, in order: what it was sent and what it replied.

        Empty for answers of older versions, and for those that many newer ones have followed.

        Args:
            answer: The answer, or the id of a kept one.

        Raises:
            StoreError: There is no such answer, or its record is damaged.
        """
        answer_id = answer.id if isinstance(answer, Answer) else answer
        try:
            return [ModelCall.from_dict(call) for call in self._store.calls(answer_id) or ()]
        except (KeyError, TypeError) as error:
            raise StoreError(f"The record of the calls of the answer {answer_id!r} is damaged: {error}.") from error

    def spent(self) -> Usage:
        """Return what all questions of this corpus have cost so far; ``seconds`` are those that the model took."""
        return self._store.spending.total()
