"""Which words moved a route: those and no others are found, where they stand, and without them it is another one."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from structrag.router import RoutingRequest
from structrag.router.occlusion import MovingWord, moving_words, without_words
from structrag.router.policy_router import PolicyRouter
from structrag.types import DocumentProfile, StructureType

STRUCTURES = tuple(StructureType)
TABLE, GRAPH, CHUNK = StructureType.TABLE, StructureType.GRAPH, StructureType.CHUNK
DECISIVE = "supplier"
SEPARATORS = st.sampled_from([" ", "  ", ", ", "; ", "\n", " (", ") ", "? ", " – ", "/"])
LETTERS = st.characters(categories=["Ll", "Lu", "Lo"])
WORDS = st.text(LETTERS, min_size=1, max_size=8).filter(lambda word: word != DECISIVE)


class Reader:
    """Stands in for the policy: each word that it knows says something for one structure, however often it occurs."""

    def __init__(self, weights: Mapping[str, tuple[StructureType, float]], otherwise: StructureType = CHUNK) -> None:
        self._weights = weights
        self._otherwise = otherwise
        self.requests: list[RoutingRequest] = []

    def __call__(self, requests: Sequence[RoutingRequest]) -> NDArray[np.float64]:
        self.requests += requests
        return np.stack([self._row(set(re.findall(r"\w+", request.question))) for request in requests])

    def _row(self, words: set[str]) -> NDArray[np.float64]:
        logits = np.array([0.5 * (each is self._otherwise) for each in STRUCTURES])
        for word in sorted(words & set(self._weights)):
            structure, weight = self._weights[word]
            logits[STRUCTURES.index(structure)] += weight
        powers = np.exp(logits)
        return np.asarray(powers / powers.sum())

    def choose(self, question: str) -> StructureType:
        return STRUCTURES[int(self([RoutingRequest(question)])[0].argmax())]


def found(question: str, reader: Reader, structure: StructureType = GRAPH) -> tuple[MovingWord, ...]:
    return moving_words(RoutingRequest(question), structure, reader)


def spans(words: Sequence[MovingWord]) -> list[tuple[int, int]]:
    return [(word.start, word.end) for word in words]


# What is found


def test_the_word_that_moves_the_route_comes_first_and_by_how_much_is_said() -> None:
    reader = Reader({"supplies": (GRAPH, 3.0)})
    question = "Who supplies the mill?"
    first, *others = found(question, reader)
    assert (first.word, first.start, first.end) == ("supplies", 4, 12)
    likely, unlikely = reader([RoutingRequest(question), RoutingRequest("Who the mill?")])[:, STRUCTURES.index(GRAPH)]
    assert first.influence == pytest.approx(likely - unlikely)
    assert first.influence > 0.5
    assert {(word.word, word.influence) for word in others} == {("Who", 0.0), ("the", 0.0), ("mill", 0.0)}


def test_what_moves_it_more_stands_before_what_moves_it_less_and_what_speaks_against_it_last() -> None:
    reader = Reader({"supplies": (GRAPH, 2.0), "whom": (GRAPH, 1.0), "average": (TABLE, 2.0)})
    words = found("average price: who supplies whom?", reader)
    assert [word.word for word in words] == ["supplies", "whom", "price", "who", "average"]
    influence = [word.influence for word in words]
    assert influence[0] > influence[1] > influence[2] == influence[3] == 0 > influence[4]


def test_another_structure_has_other_words() -> None:
    reader = Reader({"supplies": (GRAPH, 2.0), "average": (TABLE, 2.0)})
    question = "average of who supplies whom"
    assert found(question, reader, GRAPH)[0].word == "supplies"
    assert found(question, reader, TABLE)[0].word == "average"


def test_a_repeated_word_is_asked_about_at_each_of_its_places() -> None:
    words = found("supplier of the supplier", Reader({DECISIVE: (GRAPH, 3.0)}))
    assert sorted(spans(words)) == [(0, 8), (9, 11), (12, 15), (16, 24)]
    # Each alone changes nothing, as the other is still there.
    assert [word.influence for word in words] == [0.0] * 4


def test_the_documents_are_kept_while_words_are_left_out() -> None:
    documents = (DocumentProfile("Mills", 120, 0.5, 0.1, 0.0),)
    reader = Reader({})
    moving_words(RoutingRequest("Who  supplies it?", documents), GRAPH, reader)
    assert [request.question for request in reader.requests] == [
        "Who  supplies it?",
        "supplies it?",
        "Who it?",
        "Who supplies ?",
    ]
    assert {request.documents for request in reader.requests} == {documents}


# What is a word


@pytest.mark.parametrize(
    ("question", "words"),
    [
        ("What's Ann's share?", ["What's", "Ann's", "share"]),
        ("What’s the supplier’s", ["What’s", "the", "supplier’s"]),
        ("state-of-the-art, 3.5 mg – or 12?", ["state-of-the-art", "3.5", "mg", "or", "12"]),
        ("'quoted' (and) \"so\"… on.", ["quoted", "and", "so", "on"]),
        ("who-- what...", ["who", "what"]),
        ("Größe für Ærøskøbing?", ["Größe", "für", "Ærøskøbing"]),
        ("Кто поставляет «Заре»?", ["Кто", "поставляет", "Заре"]),
        ("ποιος προμηθεύει;", ["ποιος", "προμηθεύει"]),
        ("どの 会社が、売れた？", ["どの", "会社が", "売れた"]),
    ],
)
def test_punctuation_is_no_word_and_none_of_a_words_ends(question: str, words: list[str]) -> None:
    heard = sorted(found(question, Reader({})), key=lambda word: word.start)
    assert [word.word for word in heard] == words
    assert [question[start:end] for start, end in spans(heard)] == words


@pytest.mark.parametrize("question", ["cafe\u0301 prices", "किताब कौन", "مَن باع"])
def test_marks_on_letters_are_part_of_the_word(question: str) -> None:
    heard = sorted(found(question, Reader({})), key=lambda word: word.start)
    assert [word.word for word in heard] == question.split()


@pytest.mark.parametrize("question", ["", "  \n", "?!… – ()"])
def test_where_there_are_no_words_none_moved_it(question: str) -> None:
    reader = Reader({})
    assert found(question, reader) == ()
    assert len(reader.requests) == 1


@pytest.mark.parametrize(("place", "is_found"), [(0, True), (79, True), (80, False), (99, False)])
def test_of_a_long_question_the_first_eighty_words_are_tried(place: int, is_found: bool) -> None:
    words = [f"w{number}" for number in range(100)]
    words[place] = DECISIVE
    reader = Reader({DECISIVE: (GRAPH, 3.0)})
    moved = found(" ".join(words), reader)
    assert len(moved) == 80
    assert len(reader.requests) == 81
    assert [word.word for word in moved if word.influence > 0] == [DECISIVE] * is_found


# Without them


@given(st.lists(WORDS, max_size=12), st.data())
def test_the_one_word_that_decides_is_found_and_without_it_the_decision_is_another(
    others: list[str], data: st.DataObject
) -> None:
    words = list(others)
    words.insert(data.draw(st.integers(0, len(words))), DECISIVE)
    question = "".join(part for word in words for part in (word, data.draw(SEPARATORS)))
    reader = Reader({DECISIVE: (GRAPH, 3.0)})
    assert reader.choose(question) is GRAPH
    moved = [word for word in found(question, reader) if word.influence > 0]
    assert [word.word for word in moved] == [DECISIVE]
    assert question[moved[0].start : moved[0].end] == DECISIVE
    assert reader.choose(without_words(question, spans(moved))) is CHUNK


@given(st.lists(WORDS, min_size=2, max_size=8, unique=True), st.data())
def test_without_all_that_speak_for_it_nothing_speaks_for_it(words: list[str], data: st.DataObject) -> None:
    speaking = data.draw(st.lists(st.sampled_from(words), min_size=1, unique=True))
    reader = Reader(dict.fromkeys(speaking, (GRAPH, 2.0)))
    question = " ".join(words)
    moved = [word for word in found(question, reader) if word.influence > 0]
    assert {word.word for word in moved} == set(speaking)
    assert reader.choose(without_words(question, spans(moved))) is CHUNK
    left = [word for word in words if word not in speaking]
    assert without_words(question, spans(moved)) == " ".join(left)


@given(st.text(), st.lists(st.tuples(st.integers(0, 60), st.integers(0, 60)), max_size=4))
def test_only_the_spans_and_double_spaces_go(question: str, drawn: list[tuple[int, int]]) -> None:
    cut = [(min(pair), max(pair)) for pair in drawn if max(pair) <= len(question)]
    left = without_words(question, cut)
    gone = {place for start, end in cut for place in range(start, end)}
    expected = [letter for place, letter in enumerate(question) if place not in gone and not letter.isspace()]
    assert [letter for letter in left if not letter.isspace()] == expected
    assert left == " ".join(left.split())


# The real policy


def test_the_real_policys_probabilities_are_what_is_compared(
    write_router: Callable[..., Path], router_cache: Path, tmp_path: Path
) -> None:
    router = PolicyRouter(write_router(tmp_path / "v1", GRAPH), router_cache)
    question = "Who taught the teacher of Ann Lee?"
    words = moving_words(RoutingRequest(question), GRAPH, router.probabilities)
    assert len({word.influence for word in words}) == 7
    in_order = sorted(spans(words))
    without = [RoutingRequest(without_words(question, [span])) for span in in_order]
    before, *after = router.probabilities([RoutingRequest(question), *without])[:, STRUCTURES.index(GRAPH)]
    influence = {(word.start, word.end): word.influence for word in words}
    assert [influence[span] for span in in_order] == pytest.approx([before - share for share in after], abs=1e-6)
