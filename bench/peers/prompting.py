"""The paper's scheme by prompts of our own, and the chat model without documents.

The scheme (Li et al. 2024, arXiv 2410.08815): a structure is chosen for the question, the model writes it from whole
documents as text, the question is divided, each part is read from the text, and the answer made of these.
Nothing is parsed, checked or executed.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

from langchain_openai import ChatOpenAI
from pydantic import SecretStr

from peers.langchain_rag import LangChainRAG
from peers.protocol import FORM, Place, Said, said, titled
from peers.tokens import Encoding

if TYPE_CHECKING:
    from langchain_core.documents import Document

_KINDS = {
    "table": "a table of rows and columns, for questions that compare, count or calculate",
    "graph": "a list of relations (one thing, how it is related, another thing), for questions that follow links",
    "algorithm": "numbered steps with their conditions, for questions of what to do",
    "catalogue": "an outline of topics with what belongs to each, for questions that group or sum up",
    "chunk": "the passages as they stand, for questions of a single fact",
}
_ROUTE = "Which form of notes would best help to answer the question? Reply with one word.\n" + "\n".join(
    f"- {name}: {what}" for name, what in _KINDS.items()
)
_WRITE = (
    "Write down, as {what}, everything in the documents that bears on the question. Keep names and figures as they are "
    "written. Write nothing else, and do not answer the question yet."
)
_DIVIDE = (
    "Divide the question into the simpler questions that must be answered first, at most three, one on each line. If "
    "it is simple already, repeat it."
)
_READ = "Answer the question from the notes in one or two sentences. If they do not say, say so."
_CONCLUDE = f"Answer the question from the findings. {FORM}"
_CLOSED = f"Answer the question from what you know. {FORM.replace('the documents do not say', 'you do not know')}"
_TITLES = 20
_PARTS = 3
_WRITTEN = 800
_RESERVED = 500
_SAFETY = 1.3
"""The chat model's own tokenizer makes more tokens of figures than the encoding that counts here."""


class _Chat:
    def __init__(self, place: Place) -> None:
        key = SecretStr("none")
        self._model = ChatOpenAI(model=place.model, base_url=place.endpoint, api_key=key, temperature=0, timeout=3600)

    def reply(self, system: str, user: str, most: int) -> str:
        """Return the model's reply of at most so many tokens."""
        return self._model.invoke([("system", system), ("human", user)], max_tokens=most).text.strip()


class _PaperScheme:
    def __init__(self, place: Place) -> None:
        self._chat = _Chat(place)
        self._context = place.context
        self._ranking = LangChainRAG(place)
        self._encoding = Encoding()
        self._documents = {str(document.id): document for document in place.documents}

    def index(self, told: Callable[[int], None]) -> str:
        return self._ranking.index(told)

    def ask(self, question: str, scope: Sequence[Document] | None) -> Said:
        ranked = self._ranking.ranked(question, scope)
        kind = self._routed(question, ranked)
        notes = self._noted(question, ranked, kind)
        parts = self._chat.reply(_DIVIDE, f"Question: {question}", 120).splitlines()
        findings = []
        for part in [line.strip(" -*") for line in parts if line.strip()][:_PARTS]:
            found = self._chat.reply(_READ, f"Notes:\n{notes}\n\nQuestion: {part}", 120)
            findings.append(f"{part}\n{found}")
        told = "\n\n".join(findings)
        return said(self._chat.reply(_CONCLUDE, f"Findings:\n{told}\n\nQuestion: {question}", 200), kind)

    def _routed(self, question: str, ranked: Sequence[str]) -> str:
        titles = "\n".join(str(self._documents[i].metadata.get("title") or i) for i in ranked[:_TITLES])
        reply = self._chat.reply(_ROUTE, f"Documents:\n{titles}\n\nQuestion: {question}", 8).lower()
        named = re.search(rf"\b({'|'.join(_KINDS)})\b", reply)
        return named[1] if named else "chunk"

    def _noted(self, question: str, ranked: Sequence[str], kind: str) -> str:
        """Return the structure as the model writes it; passages are the documents themselves."""
        whole = "\n\n".join(titled(self._documents[i]) for i in ranked)
        room = self._context - _WRITTEN - _RESERVED - len(self._encoding.encode(question))
        cut = self._encoding.decode(self._encoding.encode(whole)[: int(room / _SAFETY)])
        if kind == "chunk":
            return cut
        system = _WRITE.format(what=_KINDS[kind].partition(", for")[0])
        return self._chat.reply(system, f"Documents:\n{cut}\n\nQuestion: {question}", _WRITTEN)


class _ClosedBook:
    def __init__(self, place: Place) -> None:
        self._chat = _Chat(place)
        self._documents = place.documents

    def index(self, told: Callable[[int], None]) -> str:
        told(len(self._documents))
        return ""

    def ask(self, question: str, scope: Sequence[Document] | None) -> Said:
        return said(self._chat.reply(_CLOSED, question, 150))


def make(place: Place) -> _PaperScheme:
    """Return the paper's scheme."""
    return _PaperScheme(place)


def make_closed(place: Place) -> _ClosedBook:
    """Return the chat model without documents."""
    return _ClosedBook(place)
