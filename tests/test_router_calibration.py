"""Calibration and comparison: known temperatures are found again, known intervals come out."""

import json
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from structrag.router.calibration import (
    calibration_error,
    fit_temperature,
    selective_accuracy,
    softmax,
    unsure_threshold,
)
from structrag.router.comparison import FEWEST_QUESTIONS, Comparison, compare, wilson

Floats = NDArray[np.float64]
Bools = NDArray[np.bool_]

GRID_STEP = (8 / 0.25) ** (1 / 199)
"""The ratio of two neighbouring temperatures that are tried."""
rows = st.lists(st.lists(st.floats(-50, 50), min_size=5, max_size=5), min_size=1, max_size=20)
outcomes = st.lists(st.tuples(st.floats(0, 1), st.booleans()), min_size=1, max_size=200)
paired = st.lists(st.tuples(st.booleans(), st.booleans()), min_size=1, max_size=60)


def drawn(logits: Floats, temperature: float, seed: int = 0) -> Bools:
    """Labels, one a row, drawn with the probabilities that the logits give at this temperature."""
    sums = softmax(logits / temperature).cumsum(axis=1)
    chosen = (np.random.default_rng(seed).random((len(logits), 1)) > sums[:, :-1]).sum(axis=1)
    return np.asarray(np.eye(5)[chosen], dtype=np.bool_)


def random_logits(n: int, scale: float = 2.0) -> Floats:
    return scale * np.random.default_rng(1).normal(size=(n, 5))


def split(pairs: list[tuple[Any, bool]]) -> tuple[NDArray[Any], Bools]:
    return np.array([first for first, _ in pairs]), np.array([second for _, second in pairs])


# softmax


@given(rows, st.floats(-1000, 1000))
def test_probabilities_sum_to_one_and_a_shift_changes_nothing(logits: list[list[float]], shift: float) -> None:
    array = np.array(logits)
    assert softmax(array).sum(axis=1) == pytest.approx(1)
    assert softmax(array + shift) == pytest.approx(softmax(array), abs=1e-9)


def test_softmax_is_the_known_function_and_does_not_overflow() -> None:
    assert softmax(np.log([[1.0, 2, 3, 4, 10]]))[0] == pytest.approx([0.05, 0.1, 0.15, 0.2, 0.5])
    assert softmax(np.array([[1e5, 0, 0, 0, -1e5]]))[0] == pytest.approx([1, 0, 0, 0, 0])


# fit_temperature


@pytest.mark.parametrize("temperature", [0.5, 1.0, 2.0, 4.0])
def test_a_known_temperature_is_found_again(temperature: float) -> None:
    logits = random_logits(6000, scale=2 * temperature)
    assert fit_temperature(logits, drawn(logits, temperature)) == pytest.approx(temperature, rel=0.06)


@settings(max_examples=10)
@given(st.floats(0.5, 3))
def test_logits_that_are_larger_by_a_factor_need_a_temperature_larger_by_it(factor: float) -> None:
    logits = random_logits(500)
    accepted = drawn(logits, 1.0)
    found, scaled = fit_temperature(logits, accepted), fit_temperature(factor * logits, accepted)
    assert scaled / found == pytest.approx(factor, rel=GRID_STEP**2 - 1)


def test_questions_that_every_structure_fits_say_nothing() -> None:
    logits = random_logits(400)
    accepted = drawn(logits, 2.0)
    free = np.ones_like(accepted)
    assert fit_temperature(np.vstack([logits, logits]), np.vstack([accepted, free])) == fit_temperature(
        logits, accepted
    )


def test_a_structure_that_is_right_as_well_counts_as_right() -> None:
    logits = np.tile([3.0, 0.0, 0.0, 0.0, 0.0], (50, 1))
    one = np.eye(5, dtype=bool)[[0, 1] * 25]
    both = np.tile([True, True, False, False, False], (50, 1))
    assert fit_temperature(logits, both) < 1 < fit_temperature(logits, one)


def test_the_temperature_stays_within_bounds() -> None:
    logits = np.tile([3.0, 0.0, 0.0, 0.0, 0.0], (50, 1))
    right, wrong = np.eye(5, dtype=bool)[[0] * 50], np.eye(5, dtype=bool)[[1] * 50]
    assert fit_temperature(logits, right) == pytest.approx(0.25)
    assert fit_temperature(logits, wrong) == pytest.approx(8)


def test_calibration_lowers_the_calibration_error() -> None:
    logits = random_logits(3000, scale=6)
    accepted = drawn(logits, 3.0)

    def error(temperature: float) -> float:
        confidence = softmax(logits / temperature).max(axis=1)
        return calibration_error(confidence, accepted[np.arange(3000), logits.argmax(axis=1)])

    assert error(fit_temperature(logits, accepted)) < 0.03 < 0.1 < error(1.0)


# calibration_error


@given(st.sets(st.integers(0, 20), min_size=15, max_size=15), st.randoms(use_true_random=False))
def test_what_is_perfectly_calibrated_has_no_error(counts: set[int], random: Any) -> None:
    pairs = [(count / 20, number < count) for count in counts for number in range(20)]
    random.shuffle(pairs)
    assert calibration_error(*split(pairs)) == pytest.approx(0, abs=1e-12)


@given(outcomes)
def test_the_error_of_one_bin_is_the_gap_of_the_means_and_bins_only_add_to_it(pairs: list[tuple[float, bool]]) -> None:
    confidence, right = split(pairs)
    gap = abs(confidence.mean() - right.mean())
    assert calibration_error(confidence, right, bins=1) == pytest.approx(gap)
    assert gap - 1e-9 <= calibration_error(confidence, right) <= 1


@given(outcomes)
def test_what_is_always_wrong_errs_by_its_confidence(pairs: list[tuple[float, bool]]) -> None:
    confidence, _ = split(pairs)
    assert calibration_error(confidence, np.zeros(len(pairs), dtype=bool)) == pytest.approx(confidence.mean())


def test_no_routes_have_no_error() -> None:
    assert calibration_error(np.array([]), np.array([], dtype=bool)) == 0


def test_the_order_of_equally_confident_routes_makes_no_difference() -> None:
    right = np.arange(300) < 240
    assert calibration_error(np.full(300, 0.8), right) == pytest.approx(0)


# selective_accuracy


@pytest.mark.parametrize(
    ("coverage", "accuracy"), [(0.0, 1), (0.2, 1), (0.4, 1), (0.6, 2 / 3), (0.8, 3 / 4), (1.0, 3 / 5)]
)
def test_the_most_confident_routes_are_kept(coverage: float, accuracy: float) -> None:
    confidence = np.array([0.1, 0.9, 0.5, 0.7, 0.3])
    right = np.array([False, True, False, True, True])
    assert selective_accuracy(confidence, right, coverage) == pytest.approx(accuracy)


@given(outcomes)
def test_at_full_coverage_it_is_the_accuracy(pairs: list[tuple[float, bool]]) -> None:
    confidence, right = split(pairs)
    assert selective_accuracy(confidence, right, 1.0) == pytest.approx(right.mean())


# unsure_threshold


def test_the_threshold_stands_where_routes_begin_to_be_right() -> None:
    confidence = np.linspace(0, 1, 1000)
    order = np.random.default_rng(0).permutation(1000)
    found = unsure_threshold(confidence[order], (confidence >= 0.6)[order])
    assert 0.57 <= found <= 0.6


def test_where_all_are_right_none_is_unsure_and_where_all_are_wrong_every_one_is() -> None:
    confidence = np.linspace(0.2, 0.9, 100)
    assert unsure_threshold(confidence, np.ones(100, dtype=bool)) == pytest.approx(0.2)
    assert unsure_threshold(confidence, np.zeros(100, dtype=bool)) == 1.0


def test_few_routes_are_one_window() -> None:
    confidence, right = np.linspace(0.4, 0.9, 8), np.array([False, False] + [True] * 6)
    assert unsure_threshold(confidence, right) == pytest.approx(0.4)
    assert unsure_threshold(confidence, right, wanted=0.76) == 1.0


@given(outcomes, st.floats(0, 1), st.floats(0, 1))
def test_who_wants_more_has_no_lower_threshold(pairs: list[tuple[float, bool]], one: float, other: float) -> None:
    low, high = (unsure_threshold(*split(pairs), wanted=wanted) for wanted in sorted((one, other)))
    assert low <= high


def test_the_most_confident_routes_are_looked_at() -> None:
    confidence = np.linspace(0, 1, 40)
    assert unsure_threshold(confidence, np.arange(40) >= 20, wanted=0.9) < 0.6


# compare


@settings(max_examples=40)
@given(paired, st.integers(0, 5))
def test_a_comparison_the_other_way_round_is_its_mirror_image(pairs: list[tuple[bool, bool]], seed: int) -> None:
    candidate, active = split(pairs)
    there, back = compare(candidate, active, seed=seed), compare(active, candidate, seed=seed)
    assert (there.questions, there.candidate, there.active) == (back.questions, back.active, back.candidate)
    assert there.difference == pytest.approx(-back.difference)
    assert (there.low, there.high) == pytest.approx((-back.high, -back.low), abs=1e-12)


@settings(max_examples=40)
@given(paired)
def test_the_difference_lies_in_its_interval_and_is_that_of_the_accuracies(pairs: list[tuple[bool, bool]]) -> None:
    found = compare(*split(pairs))
    assert found.difference == pytest.approx(found.candidate - found.active)
    assert -1 <= found.low <= found.difference + 1e-12
    assert found.difference - 1e-12 <= found.high <= 1


def test_the_interval_is_about_that_of_normal_theory() -> None:
    draw = np.random.default_rng(3).random(2000)
    found = compare(draw < 0.85, (draw < 0.75) | (draw > 0.95))
    paired_differences = (draw < 0.85).astype(float) - ((draw < 0.75) | (draw > 0.95)).astype(float)
    half = 1.96 * paired_differences.std() / np.sqrt(2000)
    assert found.difference - found.low == pytest.approx(half, rel=0.1)
    assert found.high - found.difference == pytest.approx(half, rel=0.1)


def test_questions_are_compared_in_pairs() -> None:
    right = np.arange(400) % 4 > 0
    same, other = compare(right, right), compare(right, np.roll(right, 1))
    assert (same.candidate, same.active) == (other.candidate, other.active) == (0.75, 0.75)
    assert (same.low, same.high) == (0, 0)
    assert other.low < -0.05 < 0.05 < other.high


def test_a_seed_gives_the_same_interval_again() -> None:
    draw = np.random.default_rng(4).random((2, 300)) < 0.8
    assert compare(*draw, seed=1) == compare(*draw, seed=1)
    assert compare(*draw, seed=1) != compare(*draw, seed=2)


@pytest.mark.parametrize(
    ("questions", "low", "passes"),
    [(300, -0.02, True), (300, -0.0201, False), (299, 0.5, False), (5000, 0.01, True), (0, 0.0, False)],
)
def test_few_questions_or_too_much_doubt_do_not_pass(questions: int, low: float, passes: bool) -> None:
    assert FEWEST_QUESTIONS == 300
    assert Comparison(questions, 0.9, 0.9, 0.0, low, 0.6).passes is passes


@pytest.mark.parametrize(
    ("comparison", "verdict"),
    [
        (Comparison(120, 0.9, 0.8, 0.1, 0.05, 0.15), "Only 120 held-out questions; 300 are needed to judge."),
        (
            Comparison(400, 0.85, 0.9, -0.05, -0.08, -0.02),
            "May be worse: -5.0% (-8.0% to -2.0%) on 400 held-out questions.",
        ),
        (
            Comparison(400, 0.9, 0.9, 0.0, -0.015, 0.015),
            "Not worse: +0.0% (-1.5% to +1.5%) on 400 held-out questions.",
        ),
        (Comparison(400, 0.9, 0.8, 0.1, 0.06, 0.14), "Better: +10.0% (+6.0% to +14.0%) on 400 held-out questions."),
    ],
)
def test_a_verdict_says_what_was_found(comparison: Comparison, verdict: str) -> None:
    assert comparison.verdict == verdict


def test_a_comparison_can_be_written_as_json() -> None:
    draw = np.random.default_rng(4).random((2, 300)) < 0.8
    found = compare(*draw)
    data = json.loads(json.dumps(found.to_dict()))
    assert list(data) == ["questions", "candidate", "active", "difference", "low", "high", "passes", "verdict"]
    assert (data["questions"], data["passes"], data["verdict"]) == (300, found.passes, found.verdict)
    assert data["candidate"] == pytest.approx(found.candidate, abs=5e-5)


# wilson


@pytest.mark.parametrize(
    ("right", "n", "low", "high"),
    # Newcombe 1998, "Two-sided confidence intervals for the single proportion", table I, method 3.
    [(81, 263, 0.2553, 0.3662), (15, 148, 0.0624, 0.1605), (0, 20, 0, 0.1611), (1, 29, 0.0061, 0.1718)],
)
def test_the_interval_of_a_share_is_the_published_one(right: int, n: int, low: float, high: float) -> None:
    assert wilson(right, n) == pytest.approx((low, high), abs=5e-5)


def test_nothing_is_known_of_no_questions() -> None:
    assert wilson(0, 0) == (0.0, 1.0)


@given(st.integers(1, 2000), st.data())
def test_an_interval_holds_its_share_and_narrows_with_more_questions(n: int, data: st.DataObject) -> None:
    right = data.draw(st.integers(0, n))
    low, high = wilson(right, n)
    assert 0 <= low <= right / n + 1e-12
    assert right / n - 1e-12 <= high <= 1
    assert wilson(n - right, n) == pytest.approx((1 - high, 1 - low), abs=1e-9)
    narrow_low, narrow_high = wilson(10 * right, 10 * n)
    assert narrow_high - narrow_low < high - low
