"""Routers: probabilities out of log-likelihoods, and no route rather than a default one."""

import math
from collections.abc import Mapping
from itertools import cycle
from typing import Any

import pytest

from structrag.config import Settings
from structrag.errors import ModelError, RoutingError
from structrag.models.loading import load_chat_model
from structrag.models.weights import QWEN_CODER
from structrag.router import ChatRouter, FixedRouter, RoutingRequest
from structrag.router.chat import measure_prior, shipped_prior
from structrag.testing import ScriptedChatModel, scripted
from structrag.types import DocumentProfile, Route, StructureType
from structrag.usage import UsageMeter

EMBEDDED = load_chat_model(Settings().models).name
QUESTION = "Which pump is the loudest?"
LIKELY = {"table": 0.5, "graph": 0.2, "algorithm": 0.1, "cat": 0.1, "chunk": 0.1}


def router(
    reply: Any, *, name: str = "scripted", prior: Mapping[StructureType, float] | None = None
) -> tuple[ChatRouter, ScriptedChatModel]:
    chat, model = scripted({"": reply}, name=name)
    return ChatRouter(chat, prior=prior), model


def route(reply: Any, **options: Any) -> Route:
    return router(reply, **options)[0].route(RoutingRequest(QUESTION), UsageMeter())


def profile(title: str, *, table_share: float = 0.0, step_share: float = 0.0) -> DocumentProfile:
    return DocumentProfile(title, words=100, table_share=table_share, heading_share=0.0, step_share=step_share)


# The chat router


def test_a_route_has_five_probabilities_in_order_and_says_who_made_it() -> None:
    chosen = route(LIKELY)
    assert chosen.probabilities == pytest.approx(dict(zip(StructureType, (0.5, 0.2, 0.1, 0.1, 0.1), strict=True)))
    assert math.fsum(chosen.probabilities.values()) == pytest.approx(1)
    assert (chosen.structure, chosen.runner_up) == (StructureType.TABLE, StructureType.GRAPH)
    assert (chosen.question, chosen.router) == (QUESTION, "chat:scripted")
    assert chosen.confidence == pytest.approx(0.5)
    assert chosen.seconds > 0


def test_what_a_model_likes_anyway_is_taken_out() -> None:
    prior = dict(zip(StructureType, (0.6, 0.1, 0.1, 0.1, 0.1), strict=True))
    chosen = route(LIKELY, prior=prior)
    assert chosen.structure is StructureType.GRAPH
    weights = [0.5 / 0.6, 2, 1, 1, 1]
    assert list(chosen.probabilities.values()) == pytest.approx([w / sum(weights) for w in weights])


def test_the_embedded_models_prior_is_shipped_and_used() -> None:
    prior = shipped_prior(EMBEDDED)
    assert prior is not None, f"There is no prior for {EMBEDDED}."
    assert QWEN_CODER.sha256.startswith(EMBEDDED.partition(":")[2])
    assert list(prior) == list(StructureType)
    assert math.fsum(prior.values()) == pytest.approx(1, abs=1e-3)
    assert route(LIKELY, name=EMBEDDED).probabilities == pytest.approx(route(LIKELY, prior=prior).probabilities)
    assert route(LIKELY, name=EMBEDDED).probabilities != pytest.approx(route(LIKELY).probabilities)


def test_other_models_have_no_prior() -> None:
    assert shipped_prior("openai:gpt-4.1-mini") is None


def test_a_measured_prior_is_the_mean_over_the_mixed_questions_before_any_prior() -> None:
    replies = cycle([LIKELY, {"chunk": 1.0}])
    chat_router, model = router(
        lambda _: next(replies), prior=dict.fromkeys(StructureType, 0.9) | {StructureType.TABLE: 0.1}
    )
    prior = measure_prior(chat_router)
    assert len(model.prompts) == 30
    assert prior[StructureType.CHUNK] == pytest.approx((0.1 + 1) / 2)
    assert math.fsum(prior.values()) == pytest.approx(1)


@pytest.mark.parametrize(("share", "is_unsure"), [(0.39, True), (0.41, False)])
def test_a_route_with_little_confidence_is_unsure(share: float, is_unsure: bool) -> None:
    rest = (1 - share) / 4
    likely = {"table": share, "graph": rest, "algorithm": rest, "catalogue": rest, "chunk": rest}
    assert route(likely).unsure is is_unsure


def test_the_threshold_can_be_set() -> None:
    chat, _ = scripted({"": LIKELY})
    assert ChatRouter(chat, unsure_below=0.6).route(RoutingRequest(QUESTION), UsageMeter()).unsure


@pytest.mark.parametrize(
    "reply",
    [
        "The most suitable structure is a graph",
        "table",
        {"The": 0.97, "This": 0.02, "A": 0.01},
        {"The": 0.96, "table": 0.04},
        {"c": 0.9, "t": 0.1},
        {"": 1.0},
    ],
    ids=["a sentence", "no log-likelihoods", "a sentence's start", "hardly likely", "ambiguous", "empty"],
)
def test_there_is_no_route_rather_than_a_default_one(reply: Any) -> None:
    with pytest.raises(RoutingError, match="No route for this question") as caught:
        route(reply)
    assert caught.value.hint is not None
    assert "--structure" in caught.value.hint


def test_faults_of_the_model_are_not_disguised() -> None:
    with pytest.raises(ModelError, match="out of memory"):
        route(RuntimeError("out of memory"))


def test_the_model_sees_the_question_alone_in_the_form_of_the_examples() -> None:
    chat_router, model = router(LIKELY)
    documents = (profile("Price list", table_share=0.8), profile("Letter"))
    chat_router.route(RoutingRequest(QUESTION, documents), UsageMeter())
    [prompt] = model.prompts
    assert prompt.endswith(f"\nQuestion: {QUESTION}")
    assert "Price list" not in prompt
    for structure in StructureType:
        assert f"\n{structure}: " in prompt  # explained
        assert f"\n{structure}\n" in prompt  # shown in an example


def test_a_long_question_is_cut_in_the_middle() -> None:
    chat_router, model = router(LIKELY)
    question = "Begin. " + "context " * 1000 + "What now?"
    assert chat_router.route(RoutingRequest(question), UsageMeter()).question == question
    shown = model.prompts[0].rpartition("Question: ")[2]
    assert shown.startswith("Begin. ")
    assert shown.endswith("What now?")
    assert len(shown) < 1300


# The fixed router


@pytest.mark.parametrize("structure", StructureType)
def test_the_fixed_router_is_certain_and_asks_nobody(structure: StructureType) -> None:
    meter = UsageMeter()
    chosen = FixedRouter(structure).route(RoutingRequest(QUESTION), meter)
    assert (chosen.structure, chosen.confidence, chosen.unsure) == (structure, 1.0, False)
    assert math.fsum(chosen.probabilities.values()) == 1
    assert chosen.router == f"fixed:{structure}"
    assert meter.snapshot().calls == 0
