"""What the terminal UI does without a terminal: excerpts, earlier answers, edits, and importing next to nothing."""

from __future__ import annotations

import json
import subprocess
import sys
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from structrag.cli.text import clean
from structrag.structures.catalogue import Catalogue
from structrag.structures.catalogue_parse import parse_topics
from structrag.structures.edits_records import FactChange, FactRemoval, MemberMove, TopicRename
from structrag.structures.graph import Fact, KnowledgeGraph
from structrag.tui.excerpt import CONTEXT, excerpt, opening
from structrag.tui.history import recall
from structrag.tui.views.catalogue import catalogue_items
from structrag.tui.views.graph import GraphIndex, graph_items
from structrag.tui.views.outline import Item, Items
from structrag.tui.views.view import Use
from structrag.types import Answer, Citation, Evidence, Route, SourceDocument, Span, StructureType, TraceStep
from structrag.usage import Usage

TEXTS = st.text(alphabet=st.characters(codec="utf-8"), min_size=1, max_size=200)


def document(text: str) -> SourceDocument:
    return SourceDocument(id="a.md", title="A", text=text, sha256="0")


def quoted(source: SourceDocument, start: int, end: int) -> Evidence:
    return Evidence(Span(source.id, start, end), source.text[start:end])


@given(text=TEXTS, data=st.data())
def test_an_excerpt_is_the_document_around_the_quote(text: str, data: st.DataObject) -> None:
    start = data.draw(st.integers(0, len(text) - 1))
    end = data.draw(st.integers(start + 1, len(text)))
    source = document(text)
    cut = excerpt(quoted(source, start, end), source)
    assert cut.quote == clean(text[start:end])
    assert cut.before + cut.lead == clean(text[:start])
    assert cut.tail + cut.after == clean(text[end:])
    assert "\n" not in cut.lead + cut.tail
    assert cut.note == ""


def test_an_excerpt_of_a_long_document_is_cut_and_says_so() -> None:
    source = document("a" * 5000 + "QUOTE" + "b" * 5000)
    cut = excerpt(quoted(source, 5000, 5005), source)
    assert cut.before == "…"
    assert cut.lead == "a" * CONTEXT
    assert cut.tail == "b" * CONTEXT
    assert cut.after == "…"


def test_a_quote_without_its_document_stands_alone() -> None:
    source = document("It was 412.")
    cut = excerpt(quoted(source, 7, 10), None)
    assert (cut.quote, cut.before + cut.lead + cut.tail + cut.after) == ("412", "")
    assert "no longer in the corpus" in cut.note


def test_a_quote_that_its_document_no_longer_holds_is_not_shown_in_place() -> None:
    source = document("It was 412.")
    cut = excerpt(quoted(source, 7, 10), replace(source, text="It is now 500."))
    assert (cut.quote, cut.before + cut.lead + cut.tail + cut.after) == ("412", "")
    assert "has changed" in cut.note


def test_the_opening_of_a_document_is_bounded_and_harmless() -> None:
    assert opening(document("short \x1b[2Jtext")).after == "short text"
    long = opening(document("a" * 10_000)).after
    assert long == "a" * (2 * CONTEXT) + "…"


@pytest.mark.parametrize("unsure", [False, True])
def test_an_answer_comes_back_from_how_it_is_kept(unsure: bool) -> None:
    shares = dict(zip(StructureType, (0.5, 0.25, 0.125, 0.0625, 0.0625), strict=True))
    answer = Answer(
        id="a1",
        question="What?",
        text="412 [1]",
        values=("412",),
        grounded=True,
        route=Route("What?", shares, unsure=unsure, router="chat", seconds=0.25),
        structure_type=StructureType.GRAPH,
        structure=None,
        citations=(Citation(1, Evidence(Span("a.md", 7, 10), "412"), "A", "page 2"),),
        usage=Usage(calls=2, cached=1, prompt_tokens=30, completion_tokens=4, seconds=1.5, model_seconds=1.25),
        trace=(TraceStep("sql", "SELECT 1"),),
    )
    assert recall(json.loads(json.dumps(answer.to_dict()))) == answer


@pytest.mark.parametrize(
    ("module", "must_not_be_loaded"),
    [
        ("structrag.tui", ["textual", "structrag.pipeline", "torch", "chromadb", "langchain", "langchain_core"]),
        ("structrag.tui.app", ["structrag.pipeline", "torch", "chromadb", "langchain", "langchain_core"]),
    ],
)
def test_importing_the_ui_loads_no_pipeline(module: str, must_not_be_loaded: list[str]) -> None:
    # A process of its own, as this one has loaded them all.
    script = f"import sys, {module}; print([m for m in {must_not_be_loaded!r} if m in sys.modules])"
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


class TestTwins:
    """Of items that say the same, an edit made on one must not meet another when their places move."""

    def test_an_edge(self) -> None:
        spans = (Span("a", start, start + 15) for start in (0, 100))
        facts = [Fact("Birch", "owns", "Elm", "Birch owns Elm", Evidence(span, "Birch owns Elm.")) for span in spans]
        name = graph_items(GraphIndex(KnowledgeGraph(tuple(facts))), ()).make(0)
        assert name.below is not None
        edit = name.below().make(1).edit
        assert edit is not None
        for text in ("", "Birch | sold | Elm"):
            made = edit.make(text)
            assert isinstance(made, FactRemoval | FactChange)
            assert (made.place.nth, made.place.of) == (2, 2)

    def test_a_topic_and_what_is_under_it(self) -> None:
        text = "# Minutes\n\n## Roof\n\nDone.\n\n## Roof\n\nDone.\n"
        document = parse_topics(SourceDocument("m", "Minutes", text, "hash"))
        assert document is not None
        [top] = _items_of(catalogue_items(Catalogue((document,)), Use()))
        assert top.below is not None
        _, second = _items_of(top.below())
        assert second.edit is not None
        assert second.below is not None
        renamed = second.edit.make("Loft")
        [member] = _items_of(second.below())
        assert member.edit is not None
        moved = member.edit.make("Minutes")
        assert isinstance(renamed, TopicRename)
        assert isinstance(moved, MemberMove)
        assert (renamed.place.nth, renamed.place.of) == (2, 2)
        assert (moved.place.nth, moved.place.of) == (2, 2)


def _items_of(items: Items) -> list[Item]:
    return [items.make(index) for index in range(items.count)]
