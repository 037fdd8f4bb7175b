"""A text without headings is cut where its subject changes; the model names the parts, and the names must stand there."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from structrag.corpus.store import CorpusStore
from structrag.models.embedding import SentenceTransformerEmbedder
from structrag.session import Session
from structrag.structures.catalogue import Catalogue, Topic
from structrag.structures.catalogue_parse import parse_topics
from structrag.structures.catalogue_topics import divide
from structrag.structures.prompt_files import load_prompt
from structrag.testing import ScriptedChatModel, scripted
from structrag.types import SourceDocument
from structrag.utilizer.catalogue import CatalogueReasoner
from structrag.utilizer.outlines import outlines
from structrag.utilizer.reading import load_prompt as load_reading_prompt

NAME = load_prompt("catalogue_topic")
PLAN = load_reading_prompt("catalogue_plan")
SUBJECTS = {
    "battery": [
        "The battery lasts a day.",
        "We want a battery that charges faster.",
        "A new battery costs four euros.",
    ],
    "garden": ["The roses need water.", "Somebody must mow the lawn.", "The apple tree lost its leaves in the garden."],
    "ticket": ["The train ticket was refunded.", "We missed the train to Bonn.", "A ticket for the ferry is cheaper."],
}
TALK = "\n".join(
    f"[{number}] {'Ann' if number % 2 else 'Bo'}: {sentence}"
    for number, sentence in enumerate(s for told in SUBJECTS.values() for s in told * 20)
)

MakeSession = Callable[[dict[str, Any]], tuple[Session, ScriptedChatModel]]


@pytest.fixture
def make_session(embedder: SentenceTransformerEmbedder) -> MakeSession:
    def make(script: dict[str, Any]) -> tuple[Session, ScriptedChatModel]:
        chat, model = scripted(script)
        return Session(chat, embedder, CorpusStore.open(None)), model

    return make


def subject_of(prompt: str) -> str:
    text = prompt.removeprefix(NAME)
    return max(SUBJECTS, key=text.count).capitalize() + " talk"


def tree(text: str, title: str = "Meeting 7") -> Topic:
    found = parse_topics(SourceDocument("m7", title, text, "hash"))
    assert found
    return found


def test_a_talk_is_cut_where_its_subject_changes(make_session: MakeSession) -> None:
    session, model = make_session({NAME: subject_of})
    divided = divide(tree(TALK), session)
    assert [topic.title for topic in divided.children] == ["Battery talk", "Garden talk", "Ticket talk"]
    assert len(model.prompts) == 3
    assert divided.all_members() == tree(TALK).all_members()
    for topic, subject in zip(divided.children, SUBJECTS, strict=True):
        assert any(sentence in topic.evidence.quote for sentence in SUBJECTS[subject])
        assert TALK[topic.evidence.span.start : topic.evidence.span.end] == topic.evidence.quote


def test_the_model_is_not_shown_who_speaks(make_session: MakeSession) -> None:
    talk = TALK.replace("Ann:", "Project Manager:").replace("Bo:", "Marketing:")
    talk = talk.replace("The roses need water.", "{laughs} Remember: the roses need water")
    session, model = make_session({NAME: subject_of})
    divide(tree(talk), session)
    shown = " ".join(prompt.removeprefix(NAME) for prompt in model.prompts)
    assert "Remember: the roses need water" in shown
    assert not [said for said in ("Manager", "Marketing", "laughs", "[1") if said in shown]


def test_a_name_that_is_not_in_the_text_is_not_used(make_session: MakeSession) -> None:
    session, _ = make_session({NAME: "Quarterly nuclear submarines"})
    divided = divide(tree(TALK), session)
    assert len(divided.children) == 3
    assert all(topic.title in TALK for topic in divided.children)


@pytest.mark.parametrize("text", ["One sentence. And another.", "# A\n\nText.\n\n# B\n\nText.\n"])
def test_what_is_short_or_has_headings_stays_as_it_is(make_session: MakeSession, text: str) -> None:
    session, model = make_session({})
    assert divide(tree(text), session) == tree(text)
    assert not model.prompts


def test_topics_that_are_asked_for_join_the_structure(make_session: MakeSession) -> None:
    session, _ = make_session({PLAN: 'headings("Meeting 7")', NAME: subject_of})
    catalogue = Catalogue((tree("# Other\n\nText.\n", "Other"), tree(TALK)))
    finding = CatalogueReasoner().reason("What topics came up in Meeting 7?", catalogue, session)
    assert finding.values == ("Battery talk", "Garden talk", "Ticket talk")
    assert isinstance(finding.grown, Catalogue)
    assert [topic.title for topic in finding.grown.documents[1].children] == list(finding.values)
    assert Catalogue.from_dict(finding.grown.to_dict()) == finding.grown


def test_who_speaks_is_no_list() -> None:
    assert not list(outlines(Catalogue((tree(TALK),))))
