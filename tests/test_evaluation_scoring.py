"""What counts as right."""

import string
from collections.abc import Sequence

import pytest
from hypothesis import given
from hypothesis import strategies as st

from structrag.evaluation.scoring import ANSWER_TYPES, clusters, is_right, normalise, pair_f1, token_f1

ADVICE = "Your fan belt is worn. Replace the fan belt, and check the tensioner before you start the engine again."
GROUPS = {"late parcel": [1, 4, 5], "wrong size": [2, 3]}
words = st.text(string.ascii_lowercase, min_size=1, max_size=8).filter(lambda w: w not in ("a", "an", "the"))
phrases = st.lists(words, min_size=1, max_size=6).map(" ".join)
# Each number in one group, as a partition has it.
partitions = st.lists(st.integers(0, 4), min_size=2, max_size=12).map(
    lambda places: [[n for n, p in enumerate(places, 1) if p == place] for place in sorted(set(places))]
)


@pytest.mark.parametrize(
    ("values", "gold", "answer_type", "right"),
    [
        (["The 61 dB(A)."], ["61 db a"], "short", True),
        (["Lacey"], ["Lacey Chabert"], "short", False),
        (["1,600"], ["1600"], "short", True),
        (["10.0"], ["10"], "short", True),
        (["10 nations"], ["10"], "short", False),
        (["1000"], ["10"], "short", False),
        (["−3"], ["-3"], "short", True),
        (["3"], ["-3"], "short", False),
        (["1,6"], ["16"], "short", False),
        (["Oslo", "Bergen"], ["Oslo"], "short", False),
        (["the old town hall"], ["old town hall of Brenn"], "span", True),
        (["a hall"], ["old town hall of Brenn"], "span", False),
        (["412 million EUR"], ["412"], "number", True),
        (["about 41.2"], ["412"], "number", False),
        (["none"], ["412"], "number", False),
        (["Bergen", "Oslo"], ["Oslo", "Bergen"], "list", True),
        (["Oslo and Bergen"], ["Oslo", "Bergen"], "list", True),
        (["Oslo", "Bergen", "Bodø"], ["Oslo", "Bergen"], "list", False),
        (["Oslo"], ["Oslo", "Bergen"], "list", False),
        (["The budget", "Staff changes"], ["budget", "staff", "roof repairs"], "set", True),
        (["Weather"], ["budget", "staff", "roof repairs"], "set", False),
        (["Yes, it may."], ["yes"], "yes/no", True),
        (["No"], ["yes"], "yes/no", False),
        (["..."], ["yes"], "yes/no", False),
        ([], [], "none", True),
        (["something"], [], "none", False),
        ([], ["x"], "short", False),
    ],
)
def test_right_and_wrong(values: Sequence[str], gold: Sequence[str], answer_type: str, right: bool) -> None:
    assert is_right(values, gold, answer_type) is right


@pytest.mark.parametrize(
    ("answer", "right"),
    [
        (ADVICE, True),
        (ADVICE.upper().replace(".", " !"), True),
        (f"Step 4 (final advice): {ADVICE}", True),
        ("Replace the fan belt, and check the tensioner", True),
        ("worn belt: fit another", True),
        ("Replace the fan belt", False),  # two many a guide's advices could begin like that
        ("before you start the engine again", False),
        ("check the tensioner and replace the fan belt", False),
        (f"{ADVICE} Step 5: Is the battery flat? If yes, charge it. If no, go to step 6 of the guide.", False),
        ("", False),
    ],
)
def test_an_advice_is_known_by_its_words_or_a_good_part_of_them(answer: str, right: bool) -> None:
    assert is_right([answer], [ADVICE, "Worn belt, fit another."], "node") is right


def test_clusters_are_right_by_which_messages_stand_together() -> None:
    assert is_right(["late parcel: 1, 4 and 5", "wrong size: 2, 3"], GROUPS, "clusters")
    assert is_right(["x: 1, 4, 5; y: 2, 3"], GROUPS, "clusters"), "labels do not count"
    assert is_right(['{"late parcel": [1, 4, 5], "wrong size": [2, 3]}'], GROUPS, "clusters")
    assert is_right(["late: Message 1, Message 4", "size: Messages 2 and 3"], GROUPS, "clusters")
    assert not is_right(["all: 1, 2, 3, 4, 5"], {"a": [1, 2], "b": [3, 4], "c": [5]}, "clusters")
    assert not is_right(["1, 4, 5", "2, 3"], GROUPS, "clusters"), "numbers without a label are no groups"
    assert not is_right(["late parcel: 1, 2", "wrong size: 3, 4"], GROUPS, "clusters")


def test_groups_are_read_from_any_usual_form() -> None:
    assert clusters(["late parcel: 1, 4 and 5", "wrong size: #2, & 3"]) == [[1, 4, 5], [2]]
    assert clusters(["A: 1, 2, B: 3"]) == [[1, 2], [3]]
    assert clusters(["no groups 1, 2"]) == []


def test_groups_of_one_are_compared_as_they_are() -> None:
    assert pair_f1([[1], [2]], [[1], [2]]) == 1
    assert pair_f1([[1, 2]], [[1], [2]]) == 0
    assert pair_f1([[1]], [[1], [2]]) == 0


def test_what_does_not_suit_is_refused() -> None:
    with pytest.raises(ValueError, match="no answer type"):
        is_right(["x"], ["x"], "essay")
    for gold, answer_type in ((["x"], "clusters"), ({"a": [1]}, "short")):
        with pytest.raises(ValueError, match="do not suit"):
            is_right(["x"], gold, answer_type)  # type: ignore[arg-type]


@given(phrases, st.sampled_from(["short", "span", "node", "list", "set"]))
def test_the_gold_answer_is_right(phrase: str, answer_type: str) -> None:
    assert is_right([phrase], [phrase], answer_type)
    assert is_right([f" The {phrase.title()}."], [phrase], answer_type)


@given(st.text(), st.text())
def test_normalising_twice_changes_nothing_and_f1_is_symmetric(one: str, other: str) -> None:
    assert normalise(normalise(one)) == normalise(one)
    assert 0 <= token_f1(one, other) <= 1
    assert token_f1(one, other) == token_f1(other, one)


@given(st.lists(st.text(), max_size=4), st.lists(st.text(), min_size=1, max_size=4), st.sampled_from(ANSWER_TYPES))
def test_no_answer_breaks_a_scorer(values: list[str], gold: list[str], answer_type: str) -> None:
    wanted = {"a": [1, 2], "b": [3]} if answer_type == "clusters" else gold
    assert is_right(values, wanted, answer_type) in (True, False)


@given(st.integers(-(10**12), 10**12))
def test_a_number_is_the_same_however_it_is_written(number: int) -> None:
    assert is_right([f"{number:,}"], [str(number)], "short")
    assert not is_right([str(number + 1)], [str(number)], "short")


@given(partitions, partitions)
def test_pairs_are_compared_both_ways_alike(one: list[list[int]], other: list[list[int]]) -> None:
    assert pair_f1(one, one) == 1
    assert 0 <= pair_f1(one, other) <= 1
    if any(len(g) > 1 for g in one) and any(len(g) > 1 for g in other):
        assert pair_f1(one, other) == pytest.approx(pair_f1(other, one))


@given(partitions)
def test_groups_survive_being_written(groups: list[list[int]]) -> None:
    written = [f"label {'abcde'[i]}: {', '.join(map(str, group))}" for i, group in enumerate(groups)]
    assert clusters(written) == groups
    assert clusters(["; ".join(written)]) == groups
