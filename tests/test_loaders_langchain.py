"""LangChain documents become source documents."""

from __future__ import annotations

from typing import Any

import pytest
from langchain_core.documents import Document

from structrag.corpus.loaders import document_from_langchain
from structrag.errors import DocumentError


def test_fields() -> None:
    document = document_from_langchain(
        Document("Body\r\ntext", id="d7", metadata={"title": "Given", "source": "http://x"}), 3
    )
    assert (document.id, document.title, document.text) == ("d7", "Given", "Body\ntext")
    assert document.source == ""


@pytest.mark.parametrize(("metadata", "wanted"), [({"id": 12}, "12"), ({}, "document-3")])
def test_id(metadata: dict[str, Any], wanted: str) -> None:
    assert document_from_langchain(Document("Some text", metadata=metadata), 3).id == wanted


def test_title_of_the_text_or_the_id() -> None:
    assert document_from_langchain(Document("# Head\n\nx"), 1).title == "Head"
    assert document_from_langchain(Document("x" * 100, id="notes/my-day.md"), 1).title == "My day"


def test_hash_is_of_the_text() -> None:
    hashes = [document_from_langchain(Document(text), 1).sha256 for text in ("a", "a", "b")]
    assert hashes[0] == hashes[1] != hashes[2]


def test_empty() -> None:
    with pytest.raises(DocumentError, match="'document-2' holds no text"):
        document_from_langchain(Document(" \n"), 2)
