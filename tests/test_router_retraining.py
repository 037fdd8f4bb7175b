"""From corrections to a version: what is kept back, what is refused, and one small training of the real policy."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from structrag.errors import RoutingError, TrainingDataError
from structrag.router import RoutingRequest
from structrag.router.policy_router import PolicyRouter
from structrag.router.preferences import PreferencePair, question_hash
from structrag.router.questions import LabelledQuestion, ShippedQuestions
from structrag.router.retraining import _split, agreement, retrain
from structrag.router.training_settings import TrainingSettings, TrainingStep
from structrag.router.versions import VersionStore
from structrag.types import StructureType
from structrag.usage import UsageMeter

TABLE, GRAPH, ALGORITHM, CATALOGUE, CHUNK = STRUCTURES = tuple(StructureType)
WriteRouter = Callable[..., Path]
SMALL = TrainingSettings(rank=2, sft_epochs=1, dpo_epochs=1, batch=8)
WORDINGS = {
    TABLE: "Which of the {} pumps is the cheapest?",
    GRAPH: "Who supplies the supplier of mill {}?",
    ALGORITHM: "How do I reset alarm {}?",
    CATALOGUE: "What are the main topics of report {}?",
    CHUNK: "What does note {} say about rain?",
}


def correction(text: str, chosen: StructureType = TABLE, rejected: StructureType = GRAPH) -> PreferencePair:
    return PreferencePair(RoutingRequest(text), chosen, rejected, "human")


def corrections(n: int) -> list[PreferencePair]:
    return [correction(f"Which valve of line {number} is the widest?") for number in range(n)]


def labelled(first: int, n: int) -> tuple[LabelledQuestion, ...]:
    """Questions of all five kinds in turn; those of other numbers have other words."""
    return tuple(
        LabelledQuestion(f"q{i}", RoutingRequest(WORDINGS[s].format(i)), s, frozenset(), "test")
        for i, s in ((number, STRUCTURES[number % 5]) for number in range(first, first + n))
    )


@pytest.fixture
def store(tmp_path: Path, write_router: WriteRouter) -> VersionStore:
    """Versions of which the one in use finds a graph in everything."""
    made = VersionStore(tmp_path / "routers")
    write_router(made.home / "v1", GRAPH)
    made.promote("v1", {})
    return made


# agreement


def test_a_router_agrees_where_it_finds_what_was_preferred_the_likelier_one(
    write_router: WriteRouter, router_cache: Path, tmp_path: Path
) -> None:
    router = PolicyRouter(write_router(tmp_path / "v1", GRAPH), router_cache)
    agreed = [correction("Who?", GRAPH, CHUNK), correction("Why?", GRAPH, TABLE), correction("How?", GRAPH, CHUNK)]
    opposed = [correction("What?", TABLE, GRAPH), correction("When?", CHUNK, GRAPH)]
    assert agreement(router, [*agreed, *opposed]) == 3
    assert agreement(router, opposed) == 0
    assert agreement(router, []) == 0


def test_agreement_is_about_the_two_structures_of_the_pair_and_not_about_the_route(
    write_router: WriteRouter, router_cache: Path, tmp_path: Path
) -> None:
    router = PolicyRouter(write_router(tmp_path / "v1", GRAPH), router_cache)
    request = RoutingRequest("How do I reset the pump?")
    shares = router.probabilities([request])[0]
    table, chunk = shares[STRUCTURES.index(TABLE)], shares[STRUCTURES.index(CHUNK)]
    assert table != chunk
    likelier, other = (TABLE, CHUNK) if table > chunk else (CHUNK, TABLE)
    assert agreement(router, [PreferencePair(request, likelier, other, "human")]) == 1
    assert agreement(router, [PreferencePair(request, other, likelier, "human")]) == 0


# What is kept back


def test_of_few_corrections_none_is_kept_back() -> None:
    few = corrections(49)
    assert _split(few, frozenset()) == (few, [])


def test_about_a_fifth_of_many_is_kept_back_and_the_others_are_trained_on() -> None:
    many = corrections(1000)
    trained, kept_back = _split(many, frozenset())
    assert 160 <= len(kept_back) <= 240
    assert sorted([*trained, *kept_back], key=many.index) == many


@given(st.permutations(corrections(60)), st.lists(st.integers(0, 59), max_size=20))
def test_the_same_questions_are_kept_back_whatever_their_order_and_number(
    shuffled: list[PreferencePair], repeated: Sequence[int]
) -> None:
    _, wanted = _split(corrections(60), frozenset())
    again = [correction(shuffled[place].request.question.upper(), CHUNK, ALGORITHM) for place in repeated]
    trained, kept_back = _split([*shuffled, *again], frozenset())
    assert wanted
    assert {pair.request.question.casefold() for pair in kept_back} == {
        pair.request.question.casefold() for pair in wanted
    }
    assert not {p.request.question.casefold() for p in trained} & {p.request.question.casefold() for p in kept_back}


# What is refused before anything is trained


def test_without_anything_to_train_on_there_is_no_training(store: VersionStore, router_cache: Path) -> None:
    with pytest.raises(TrainingDataError, match="no preference pairs to train on"):
        retrain(store, router_cache, [], questions=ShippedQuestions((), labelled(0, 110)))


def test_what_is_trained_on_is_not_compared_on(store: VersionStore, router_cache: Path) -> None:
    held = labelled(0, 110)
    asked = [correction(question.request.question.upper(), CHUNK, ALGORITHM) for question in held[:11]]
    with pytest.raises(TrainingDataError, match="99 held-out questions are too few"):
        retrain(store, router_cache, asked, questions=ShippedQuestions(labelled(200, 5), held))


def test_there_is_no_going_on_from_a_version_that_is_damaged(store: VersionStore, router_cache: Path) -> None:
    (store.home / "v1" / "adapter.safetensors").write_bytes(b"other")
    with pytest.raises(RoutingError, match="adapter.safetensors"):
        retrain(store, router_cache, corrections(5), questions=ShippedQuestions((), labelled(0, 110)))
    visible = [path.name for path in store.home.iterdir() if not path.name.startswith(".")]
    assert sorted(visible) == ["active", "promotions.jsonl", "v1"]


# One small training


@pytest.mark.training
@pytest.mark.thorough
def test_a_version_is_trained_compared_and_not_put_in_use(
    store: VersionStore, router_cache: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    given = corrections(60)
    shipped = ShippedQuestions(labelled(200, 40), labelled(0, 110))
    steps: list[TrainingStep] = []
    done = retrain(store, router_cache, given, steps.append, base_model="embedded", settings=SMALL, questions=shipped)

    assert capfd.readouterr() == ("", "")  # bars of the libraries' own would run into ours
    assert store.active() == "v1"
    assert [(v.name, v.is_active, v.problem) for v in store.versions()[1:]] == sorted(
        [("v1", True, ""), (done.folder.name, False, "")]
    )
    assert not [path for path in store.home.iterdir() if path.is_dir() and path.name.startswith(".")]
    assert {step.stage for step in steps} == {"sft", "dpo"}

    # One held-out question in five needs a graph, which is all that the version in use finds.
    assert (done.comparison.questions, done.comparison.active) == (110, 0.2)
    assert not done.comparison.passes
    assert done.comparison.verdict.startswith("Only 110 held-out questions")

    trained, kept_back = _split(given, frozenset())
    assert done.corrections == len(kept_back)
    assert 6 <= len(kept_back) <= 18
    assert done.agreed_before == 0
    new = PolicyRouter(done.folder, router_cache)
    assert done.agreed_after == agreement(new, kept_back)
    assert new.settings.metrics["held_out"] == 110
    assert new.settings.training["pairs"] == 40 + len(trained)
    assert "started_from" not in new.settings.training
    route = new.route(given[0].request, UsageMeter())
    assert sum(route.probabilities.values()) == pytest.approx(1.0)
    assert route.unsure == (route.confidence < new.settings.unsure_below)
    assert route.router == f"policy:{done.folder.name}"

    told = json.loads(json.dumps(done.to_dict()))
    assert (told["version"], told["folder"]) == (done.folder.name, str(done.folder))
    assert told["kept_back"] == {"n": len(kept_back), "agreed_before": 0, "agreed_after": done.agreed_after}
    assert told["comparison"]["passes"] is False


def test_what_the_version_in_use_has_learnt_is_not_kept_back() -> None:
    many = corrections(200)
    _, kept_back = _split(many, frozenset())
    known = frozenset(question_hash(pair.request.question) for pair in kept_back[:5])
    trained, still = _split(many, known)
    assert [*kept_back[:5]] == [pair for pair in trained if question_hash(pair.request.question) in known]
    assert still == kept_back[5:]
