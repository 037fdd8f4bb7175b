"""How good a router is: known outcomes give known numbers, and two routers are compared on the same questions."""

import json
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from structrag.router import RoutingRequest
from structrag.router.evaluation import Evaluation, accepted, compare_routers, confusion, evaluate, evaluate_router
from structrag.router.policy_router import PolicyRouter
from structrag.router.questions import LabelledQuestion
from structrag.types import StructureType

TABLE, GRAPH, ALGORITHM, CATALOGUE, CHUNK = STRUCTURES = tuple(StructureType)
WriteRouter = Callable[..., Path]
outcomes = st.lists(
    st.tuples(st.sampled_from(STRUCTURES), st.sampled_from(STRUCTURES), st.sets(st.sampled_from(STRUCTURES))),
    min_size=1,
    max_size=30,
)


def question(
    structure: StructureType, *also_ok: StructureType, hard: bool = False, text: str = "?"
) -> LabelledQuestion:
    return LabelledQuestion("q", RoutingRequest(text), structure, frozenset(also_ok), "test", hard=hard)


def routed(*choices: tuple[StructureType, float]) -> NDArray[np.float64]:
    """Routes by the structure that is chosen and how probable it is; the others share the rest."""
    rows = [[p if each is chosen else (1 - p) / 4 for each in STRUCTURES] for chosen, p in choices]
    return np.array(rows)


def surely(chosen: Sequence[StructureType]) -> NDArray[np.float64]:
    return routed(*((structure, 0.9) for structure in chosen))


FIVE = [
    question(TABLE),
    question(TABLE),
    question(GRAPH),
    question(GRAPH, CHUNK, hard=True),
    question(ALGORITHM, hard=True),
]
ROUTES = routed((TABLE, 0.9), (GRAPH, 0.3), (GRAPH, 0.8), (CHUNK, 0.7), (TABLE, 0.5))


@pytest.fixture(scope="module")
def measured() -> Evaluation:
    return evaluate(ROUTES, FIVE, unsure_below=0.5)


# evaluate


def test_a_structure_that_is_right_as_well_counts_as_right(measured: Evaluation) -> None:
    assert accepted(ROUTES, FIVE).tolist() == [True, False, True, True, False]
    assert (measured.questions, measured.accuracy) == (5, 0.6)
    assert evaluate(ROUTES, [*FIVE[:3], question(GRAPH), FIVE[4]]).accuracy == 0.4


def test_recall_is_of_the_questions_that_need_a_structure(measured: Evaluation) -> None:
    assert measured.recall == {"table": 0.5, "graph": 1.0, "algorithm": 0.0}


def test_macro_f1_is_the_mean_over_the_structures_that_occur(measured: Evaluation) -> None:
    # Table: 1 hit of 2 chosen and 2 wanted. Graph: 1 of 2 and 1. Algorithm: 0. Chunk, right as well: 1 of 1 and 1.
    assert measured.macro_f1 == pytest.approx((2 / 4 + 2 / 3 + 0 + 1) / 4)


def test_hard_questions_are_measured_apart(measured: Evaluation) -> None:
    assert measured.hard == 0.5
    assert evaluate(ROUTES[:3], FIVE[:3]).hard is None


def test_a_route_is_unsure_below_the_threshold_and_not_at_it(measured: Evaluation) -> None:
    assert measured.unsure == pytest.approx(1 / 5)
    assert evaluate(ROUTES, FIVE).unsure == 0
    assert evaluate(ROUTES, FIVE, unsure_below=0.95).unsure == 1


def test_the_surest_four_fifths_leave_out_the_least_sure(measured: Evaluation) -> None:
    assert measured.accuracy_at_80 == pytest.approx(3 / 4)


def test_confidence_that_is_kept_is_calibrated() -> None:
    half_right = [question(TABLE), question(GRAPH)] * 50
    assert evaluate(routed(*[(TABLE, 0.5)] * 100), half_right).calibration_error == pytest.approx(0)
    assert evaluate(routed(*[(TABLE, 0.9)] * 100), half_right).calibration_error == pytest.approx(0.4)


def test_without_questions_there_is_nothing_to_measure() -> None:
    with pytest.raises(ValueError, match="no questions to evaluate"):
        evaluate(np.zeros((0, 5)), [])


@pytest.mark.parametrize("rows", [4, 6])
def test_there_is_one_route_for_each_question(rows: int) -> None:
    with pytest.raises(ValueError, match="argument"):
        evaluate(surely([TABLE] * rows), FIVE)


@settings(max_examples=25)
@given(outcomes)
def test_macro_f1_is_that_of_sklearn(rows: list[tuple[StructureType, StructureType, set[StructureType]]]) -> None:
    from sklearn.metrics import f1_score

    chosen, wanted = [row[0] for row in rows], [row[1] for row in rows]
    found = evaluate(surely(chosen), [question(structure) for structure in wanted]).macro_f1
    assert found == pytest.approx(f1_score(wanted, chosen, average="macro", zero_division=0))


@settings(max_examples=25)
@given(outcomes)
def test_intervals_hold_their_point_and_shares_are_shares(
    rows: list[tuple[StructureType, StructureType, set[StructureType]]],
) -> None:
    questions = [question(wanted, *also_ok) for _, wanted, also_ok in rows]
    found = evaluate(surely([chosen for chosen, _, _ in rows]), questions)
    assert 0 <= found.low <= found.accuracy + 1e-12
    assert found.accuracy - 1e-12 <= found.high <= 1
    assert 0 <= found.macro_f1_low <= found.macro_f1 + 1e-12
    assert found.macro_f1 - 1e-12 <= found.macro_f1_high <= 1
    needed = [wanted for _, wanted, _ in rows]
    right = sum(share * needed.count(StructureType(name)) for name, share in found.recall.items())
    assert right == pytest.approx(found.accuracy * len(rows))


def test_more_questions_narrow_the_intervals() -> None:
    few, many = evaluate(ROUTES, FIVE), evaluate(np.tile(ROUTES, (40, 1)), FIVE * 40)
    assert many.accuracy == pytest.approx(few.accuracy)
    assert many.high - many.low < (few.high - few.low) / 3
    assert 0 < many.macro_f1_high - many.macro_f1_low < (few.macro_f1_high - few.macro_f1_low) / 3


def test_the_same_routes_give_the_same_numbers_again() -> None:
    assert evaluate(ROUTES, FIVE) == evaluate(ROUTES.copy(), list(FIVE))


def test_the_json_form_is_rounded_and_complete() -> None:
    thirds = [question(TABLE), question(TABLE), question(TABLE)]
    data = evaluate(surely([TABLE, TABLE, GRAPH]), thirds, milliseconds=1.23456).to_dict()
    assert data == json.loads(json.dumps(data))
    assert set(data) == set(Evaluation.__dataclass_fields__)
    assert (data["questions"], data["accuracy"], data["hard"]) == (3, 0.6667, None)
    assert (data["recall"], data["milliseconds"]) == ({"table": 0.6667}, 1.2346)


# confusion


def test_the_confusion_counts_routes_by_label_and_choice() -> None:
    counts = confusion(ROUTES, FIVE)
    wanted = np.zeros((5, 5), dtype=int)
    # Table was once taken for a graph, a graph for passages (which were right as well), an algorithm for a table.
    for label, chosen in [(0, 0), (0, 1), (1, 1), (1, 4), (2, 0)]:
        wanted[label, chosen] += 1
    assert [list(row.values()) for row in counts.values()] == wanted.tolist()
    assert list(counts) == list(counts["table"]) == list(STRUCTURES)


@given(outcomes)
def test_the_confusions_rows_are_the_labels_and_its_columns_the_choices(
    rows: list[tuple[StructureType, StructureType, set[StructureType]]],
) -> None:
    chosen, wanted = [row[0] for row in rows], [row[1] for row in rows]
    counts = confusion(surely(chosen), [question(structure) for structure in wanted])
    assert [sum(counts[s].values()) for s in STRUCTURES] == [wanted.count(s) for s in STRUCTURES]
    assert [sum(row[s] for row in counts.values()) for s in STRUCTURES] == [chosen.count(s) for s in STRUCTURES]
    assert sum(counts[s][s] for s in STRUCTURES) == sum(a is b for a, b in zip(chosen, wanted, strict=True))


# Trained routers


class KnownRouter(PolicyRouter):
    """Routes that are known beforehand, and how many requests were asked for at once."""

    def __init__(self, folder: Path, chosen: StructureType) -> None:
        super().__init__(folder, folder)
        self._row = routed((chosen, 0.7))
        self.asked: list[int] = []

    def probabilities(self, requests: Sequence[RoutingRequest]) -> NDArray[np.float32]:
        self.asked.append(len(requests))
        return np.repeat(self._row, len(requests), axis=0).astype(np.float32)


def test_a_router_is_measured_with_its_own_threshold_and_timed_one_route_at_a_time(
    write_router: WriteRouter, tmp_path: Path
) -> None:
    router = KnownRouter(write_router(tmp_path / "v1", TABLE, unsure_below=0.71), TABLE)
    found = evaluate_router(router, [question(TABLE), question(CHUNK)] * 80)
    assert (found.questions, found.accuracy, found.unsure) == (160, 0.5, 1.0)
    assert router.asked == [160] + [1] * 100
    assert found.milliseconds is not None
    assert 0 < found.milliseconds < 1000


def test_a_real_router_is_measured_as_it_routes(write_router: WriteRouter, router_cache: Path, tmp_path: Path) -> None:
    router = PolicyRouter(write_router(tmp_path / "v1", GRAPH), router_cache)
    texts = ["Who taught her teacher?", "Which is the loudest pump of all?", "How do I reset it?"]
    asked = [question(s, text=text) for s, text in zip((GRAPH, TABLE, ALGORITHM), texts, strict=True)]
    found = evaluate_router(router, asked)
    assert found.accuracy == pytest.approx(1 / 3)
    assert found.recall == {"table": 0.0, "graph": 1.0, "algorithm": 0.0}
    confidence = router.probabilities([q.request for q in asked]).max(axis=1)
    assert found.calibration_error == pytest.approx(abs(confidence - [1, 0, 0]).mean(), abs=1e-6)
    assert found.milliseconds


def test_two_routers_are_compared_on_the_same_questions(
    write_router: WriteRouter, router_cache: Path, tmp_path: Path
) -> None:
    graph = PolicyRouter(write_router(tmp_path / "graph", GRAPH), router_cache)
    chunk = PolicyRouter(write_router(tmp_path / "chunk", CHUNK), router_cache)
    asked = [question(GRAPH)] * 12 + [question(CHUNK)] * 6 + [question(TABLE, GRAPH, CHUNK)] * 2
    found = compare_routers(graph, chunk, asked)
    assert (found.questions, found.candidate, found.active) == (20, 0.7, 0.4)
    assert found.difference == pytest.approx(0.3)
    assert found.low < 0.3 < found.high
    assert compare_routers(chunk, graph, asked).difference == pytest.approx(-0.3)
    with pytest.raises(ValueError, match="no questions to compare"):
        compare_routers(graph, chunk, [])
