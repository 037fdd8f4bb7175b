"""Questions that refer to earlier ones: rewritten where they need it, never with names or numbers made up or lost."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping
from importlib.resources import files
from typing import Any

import pytest
from hashing_embedder import HashingEmbedder
from hypothesis import given
from hypothesis import strategies as st
from langchain_core.documents import Document

from structrag import StructRAG
from structrag.cli.narration import describe, event_to_dict
from structrag.errors import ModelError, StoreError
from structrag.events import Event, PassagesRetrieved, QuestionRewritten
from structrag.pipeline.followups import Exchange, problem_of, refers_back
from structrag.router import FixedRouter
from structrag.testing import ScriptedChatModel, scripted
from structrag.types import Answer, StructureType

INSTRUCTIONS = files("structrag.pipeline").joinpath("prompts", "standalone.txt").read_text(encoding="utf-8").strip()
FIRMS = "# Firms\n\n| Firm | Revenue (EUR million) |\n|---|---|\n| Alder | 412 |\n| Birch | 97 |\n"
FIRST = "Which firm has the highest revenue?"
SQL = {
    "Question: Which firm": {"sql": "SELECT firm FROM firms ORDER BY revenue DESC LIMIT 1"},
    "": {"sql": "SELECT revenue FROM firms WHERE firm = 'Alder'"},
}


MakeRag = Callable[[Mapping[str, Any]], tuple[StructRAG, ScriptedChatModel]]


@pytest.fixture
def corpus() -> Iterator[MakeRag]:
    made: list[StructRAG] = []

    def make(script: Mapping[str, Any]) -> tuple[StructRAG, ScriptedChatModel]:
        chat, model = scripted({**script, **SQL})
        router = FixedRouter(StructureType.TABLE)
        documents = [Document(FIRMS, id="firms")]
        made.append(StructRAG.from_documents(documents, chat=chat, router=router, embedder=HashingEmbedder()))
        return made[-1], model

    yield make
    for rag in made:
        rag.close()


def rewriting(model: ScriptedChatModel) -> list[str]:
    """Return the prompts that asked for a rewritten question."""
    return [prompt for prompt in model.prompts if prompt.startswith(INSTRUCTIONS)]


def notes(answer: Answer) -> list[str]:
    return [step.detail for step in answer.trace if step.name == "follow-up"]


class TestAsking:
    def test_a_question_that_refers_back_is_asked_as_one_that_stands_alone(self, corpus: MakeRag) -> None:
        rag, model = corpus({INSTRUCTIONS: {"question": "What revenue did Alder have?"}})
        first = rag.ask(FIRST)
        events: list[Event] = []
        answer = rag.ask("What revenue did it have?", after=[first], listener=events.append)
        assert (answer.question, answer.standalone) == ("What revenue did it have?", "What revenue did Alder have?")
        assert answer.values == ("412",)
        assert answer.route.question == answer.standalone
        assert "Question: What revenue did Alder have?" in model.prompts[-1]
        (rewritten,) = [event for event in events if isinstance(event, QuestionRewritten)]
        assert rewritten == QuestionRewritten(answer.question, answer.standalone)
        assert events.index(rewritten) < next(n for n, e in enumerate(events) if isinstance(e, PassagesRetrieved))
        assert notes(answer) == ["understood as: What revenue did Alder have?"]
        (prompt,) = rewriting(model)
        assert prompt.endswith(f"Earlier question: {FIRST}\nAnswer: Alder\nQuestion: What revenue did it have?")
        assert answer.to_dict()["standalone"] == answer.standalone

    def test_the_next_one_refers_to_what_was_understood(self, corpus: MakeRag) -> None:
        rag, model = corpus({INSTRUCTIONS: {"question": "What revenue did Alder have?"}})
        first = rag.ask(FIRST)
        second = rag.ask("What revenue did it have?", after=[first])
        rag.ask("And in 2024?", after=[first.id, second.id])
        last = rewriting(model)[-1]
        assert "Earlier question: What revenue did Alder have?\nAnswer: 412\nQuestion: And in 2024?" in last

    def test_one_that_is_too_long_is_asked_as_it_is(self, corpus: MakeRag) -> None:
        rag, model = corpus({INSTRUCTIONS: {"question": "What revenue did Alder have?"}})
        first = rag.ask(FIRST)
        question = f"What revenue did it have, {'so that all of us know, ' * 15}please?"
        answer = rag.ask(question, after=[first])
        assert (answer.standalone, rewriting(model)) == ("", [])
        assert notes(answer) == ["asked as it is: it is longer than 300 characters"]

    def test_one_that_stands_alone_costs_no_call(self, corpus: MakeRag) -> None:
        rag, model = corpus({})
        first = rag.ask(FIRST)
        answer = rag.ask("What revenue did Alder have in 2024?", after=[first])
        assert (answer.standalone, rewriting(model), notes(answer)) == ("", [], [])

    def test_without_earlier_answers_nothing_is_rewritten(self, corpus: MakeRag) -> None:
        rag, model = corpus({})
        assert rag.ask("What revenue did it have?").standalone == ""
        assert rewriting(model) == []

    def test_a_question_repeated_as_it_is_was_not_rewritten(self, corpus: MakeRag) -> None:
        rag, _ = corpus({INSTRUCTIONS: {"question": "which firm has that revenue?"}})
        first = rag.ask(FIRST)
        answer = rag.ask("Which firm has that revenue?", after=[first])
        assert (answer.standalone, notes(answer)) == ("", [])

    @pytest.mark.parametrize(
        ("rewritten", "problem"),
        [
            ("What revenue did Corvina have in 2024?", "names 'corvina', of which nobody has spoken"),
            ("What revenue did Alder have in 2023?", "names '2023', of which nobody has spoken"),
            ("What revenue did Alder have?", "has lost '2024'"),
        ],
    )
    def test_a_form_with_other_names_or_numbers_is_not_used(
        self, corpus: MakeRag, rewritten: str, problem: str
    ) -> None:
        rag, model = corpus({INSTRUCTIONS: {"question": rewritten}})
        answer = rag.ask("What revenue did it have in 2024?", after=[rag.ask(FIRST)])
        assert answer.standalone == ""
        assert notes(answer) == [f"asked as it is: the rewritten form {problem}: {rewritten}"]
        assert "Question: What revenue did it have in 2024?" in model.prompts[-1]

    def test_an_unusable_reply_leaves_the_question_as_it_is(self, corpus: MakeRag) -> None:
        rag, _ = corpus({INSTRUCTIONS: "no idea"})
        answer = rag.ask("What revenue did it have?", after=[rag.ask(FIRST)])
        assert answer.standalone == ""
        assert "asked as it is" in notes(answer)[0]

    def test_a_model_that_fails_is_an_error(self, corpus: MakeRag) -> None:
        rag, _ = corpus({INSTRUCTIONS: ModelError("no such model")})
        first = rag.ask(FIRST)
        with pytest.raises(ModelError, match="no such model"):
            rag.ask("And it?", after=[first])

    def test_an_earlier_answer_must_be_there(self, corpus: MakeRag) -> None:
        rag, _ = corpus({})
        with pytest.raises(StoreError, match="no answer 'nobody'"):
            rag.ask("And it?", after=["nobody"])

    async def test_the_other_ways_of_asking_take_earlier_answers_too(self, corpus: MakeRag) -> None:
        rag, _ = corpus({INSTRUCTIONS: {"question": "What revenue did Alder have?"}})
        first = rag.ask(FIRST)
        assert (await rag.aask("Its revenue?", after=[first])).standalone == "What revenue did Alder have?"
        streamed = [event async for event in rag.astream("Its revenue?", after=[first])]
        assert [type(event) for event in streamed].count(QuestionRewritten) == 1

    def test_a_preference_is_about_the_question_as_it_was_understood(self, corpus: MakeRag) -> None:
        rag, _ = corpus({INSTRUCTIONS: {"question": "What revenue did Alder have?"}})
        answer = rag.ask("What revenue did it have?", after=[rag.ask(FIRST)])
        number = rag.prefer(answer, "chunk")
        assert rag.preferences()[number].request.question == "What revenue did Alder have?"


@pytest.mark.parametrize(
    "question",
    [
        "Who built it?",
        "And in 2021?",
        "What about Birch?",
        "why?",
        "Where do they live?",
        "Is there another lighthouse?",
        "How many of those are new?",
        "Who lives there?",
        "When did they decide that?",
        "What revenue did that firm have in 2024?",
        "How long after that was the roof mended?",
        "Which one is taller?",
        "Do the others have a museum?",
        "How many sites do both have in Norway?",
    ],
)
def test_questions_that_refer_back_are_seen(question: str) -> None:
    assert refers_back(question)


@pytest.mark.parametrize(
    "question",
    [
        "Which firm has the highest revenue?",
        "How many lighthouses are there on Skerry?",
        "What revenue did Alder have in 2024?",
        "Who owns the firm that makes the compressors?",
        "Which companies have more than one site?",
        "Which sites do both Alder and Birch have?",
        "Which firms other than Alder make pumps?",
        "Which one of the lighthouses is taller?",
        "Is the damper above or below the burner?",
    ],
)
def test_questions_that_stand_alone_are_left_alone(question: str) -> None:
    assert not refers_back(question)


def test_names_may_come_from_the_conversation_whatever_their_form() -> None:
    after = [Exchange("Who leads Alder's lab?", "Dr. Ann Lee"), Exchange("where is birch?", "in Graz")]
    for rewritten in ("Did Ann Lee found Alder?", "Can Birch leave Graz?", "List Ann Lee's papers."):
        assert problem_of(rewritten, "did she?", after) == ""
    assert "'quist'" in problem_of("Did Bo Quist found Alder?", "did she?", after)


@given(question=st.text(min_size=1, max_size=80))
def test_a_question_is_always_a_fair_form_of_itself(question: str) -> None:
    assert problem_of(question, question, [Exchange("Who?", "Ann")]) == ""


def test_the_examples_keep_the_rules_that_they_teach() -> None:
    lines = files("structrag.pipeline").joinpath("prompts", "standalone.jsonl").read_text(encoding="utf-8").splitlines()
    assert len(lines) >= 3
    for line in lines:
        example = json.loads(line)
        *told, last = example["user"].splitlines()
        question = last.removeprefix("Question: ")
        said = [line.partition(": ")[2] for line in told]
        after = [Exchange(asked, answer) for asked, answer in zip(said[::2], said[1::2], strict=True)]
        rewritten = json.loads(example["reply"])["question"]
        assert problem_of(rewritten, question, after) == ""
        assert refers_back(question)


def test_it_is_told_in_words_and_as_json() -> None:
    event = QuestionRewritten("And it?", "What revenue did Alder have?")
    assert describe(event) == "Understood as: What revenue did Alder have?"
    assert event_to_dict(event) == {
        "event": "question_rewritten",
        "question": "And it?",
        "standalone": "What revenue did Alder have?",
    }
