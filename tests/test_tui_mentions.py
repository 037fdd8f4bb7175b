"""Documents named in a question by ``@``, without a terminal."""

from __future__ import annotations

import pytest

from structrag.tui.mentions import matching, mention, resolve, unfinished
from structrag.types import SourceDocument

DOCUMENTS = {
    id_: SourceDocument(id=id_, title=title, text="", sha256="0")
    for id_, title in (("a.md", "Alder report"), ("two words.md", "Two"), ("b/c.md", ""))
}


@pytest.mark.parametrize(
    ("text", "question", "scope"),
    [
        ("What grew?", "What grew?", None),
        ("@a.md What grew?", "What grew?", ("a.md",)),
        ("What grew? @a.md", "What grew?", ("a.md",)),
        ("What grew in @a.md?", "What grew in Alder report?", ("a.md",)),
        ("Is @a.md or @b/c.md longer?", "Is Alder report or b/c.md longer?", ("a.md", "b/c.md")),
        ('@"two words.md" @a.md @a.md Who?', "Who?", ("two words.md", "a.md")),
        ("me@a.md writes @nobody", "me@a.md writes @nobody", None),
        ("@a.md", "", ("a.md",)),
        ("@", "@", None),
    ],
)
def test_mentions_become_the_scope(text: str, question: str, scope: tuple[str, ...] | None) -> None:
    found = resolve(text, DOCUMENTS)
    assert (found.question, found.scope) == (question, scope)


@pytest.mark.parametrize("id_", list(DOCUMENTS))
def test_what_is_written_for_a_document_names_it(id_: str) -> None:
    assert resolve(f"{mention(id_)} Who?", DOCUMENTS).scope == (id_,)


@pytest.mark.parametrize(
    ("text", "typed"),
    [("@", ""), ("Who is @al", "al"), ('@"two w', "two w"), ("a@b", None), ("@a.md ", None), ("", None)],
)
def test_a_mention_is_unfinished_while_it_is_typed(text: str, typed: str | None) -> None:
    found = unfinished(text)
    assert (found.typed if found else None) == typed


def test_documents_match_by_id_and_title_those_that_begin_so_first() -> None:
    assert [d.id for d in matching(DOCUMENTS.values(), "a")] == ["a.md"]
    assert [d.id for d in matching(DOCUMENTS.values(), "T")] == ["two words.md", "a.md"]
    assert [d.id for d in matching(DOCUMENTS.values(), "")] == list(DOCUMENTS)
    assert matching(DOCUMENTS.values(), "zebra") == []
