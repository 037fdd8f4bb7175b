"""Plain RAG as LangChain's own parts make it: split, embed into Chroma, stuff the best chunks into one prompt."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

from langchain_chroma import Chroma
from langchain_core.documents import Document
from langchain_core.embeddings import Embeddings
from langchain_core.prompts import ChatPromptTemplate
from langchain_openai import ChatOpenAI
from langchain_text_splitters import RecursiveCharacterTextSplitter
from pydantic import SecretStr

from peers.protocol import FORM, Place, Said, said, titled
from structrag.models.embedding import SentenceTransformerEmbedder

if TYPE_CHECKING:
    from structrag.models.embedding import Embedder

_PROMPT = ChatPromptTemplate.from_messages(
    [("system", f"Use the context to answer the question. {FORM}\n\nContext:\n{{context}}"), ("human", "{question}")]
)


class EmbedderForLangChain(Embeddings):
    """Our embedder as LangChain's."""

    def __init__(self, embedder: Embedder) -> None:
        self._embedder = embedder

    def embed_documents(self, texts: list[str]) -> list[list[float]]:
        """Return a vector for each text."""
        return [[float(x) for x in row] for row in self._embedder.embed(texts)]

    def embed_query(self, text: str) -> list[float]:
        """Return the vector of a question."""
        return self.embed_documents([text])[0]


class LangChainRAG:
    """The tool."""

    def __init__(self, place: Place) -> None:
        self._documents = place.documents
        embeddings = EmbedderForLangChain(SentenceTransformerEmbedder())
        self._store = Chroma("documents", embeddings, persist_directory=str(place.folder))
        key = SecretStr("none")
        self._model = ChatOpenAI(model=place.model, base_url=place.endpoint, api_key=key, temperature=0, timeout=3600)

    def index(self, told: Callable[[int], None]) -> str:
        """Embed the documents' chunks."""
        splitter = RecursiveCharacterTextSplitter(chunk_size=1000, chunk_overlap=200)
        for number, document in enumerate(self._documents, start=1):
            chunks = splitter.split_text(titled(document))
            ids = [f"{document.id}/{n}" for n in range(len(chunks))]
            self._store.add_texts(chunks, [{"document": str(document.id)} for _ in chunks], ids)
            told(number)
        return ""

    def ask(self, question: str, scope: Sequence[Document] | None) -> Said:
        """Answer from the four best chunks."""
        found = self._store.similarity_search(question, filter=_only(scope))
        context = "\n\n".join(chunk.page_content for chunk in found)
        return said((_PROMPT | self._model).invoke({"context": context, "question": question}).text)

    def ranked(self, question: str, scope: Sequence[Document] | None) -> list[str]:
        """Return the documents' ids, that with the most similar chunk first."""
        found = self._store.similarity_search(question, k=self._store._collection.count(), filter=_only(scope))
        return list(dict.fromkeys(chunk.metadata["document"] for chunk in found))


def _only(scope: Sequence[Document] | None) -> dict[str, Any] | None:
    return None if scope is None else {"document": {"$in": [str(document.id) for document in scope]}}


def make(place: Place) -> LangChainRAG:
    """Return it."""
    return LangChainRAG(place)
