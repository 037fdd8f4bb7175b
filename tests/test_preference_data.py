"""The shipped questions that train the router: enough, balanced, each once, and none that names its label."""

import json
import runpy
from collections import Counter
from pathlib import Path

import pytest

from structrag.errors import TrainingDataError
from structrag.router.questions import LabelledQuestion, read_domain
from structrag.types import StructureType

ROOT = Path(__file__).parents[1]
PREFERENCES = ROOT / "corpora" / "preferences"
AUTHORS = json.loads((PREFERENCES / "authors.json").read_text(encoding="utf-8"))
CHECKS = runpy.run_path(str(ROOT / "bench" / "router_data.py"))
near_duplicates, normal, LABEL_WORD = CHECKS["near_duplicates"], CHECKS["normal"], CHECKS["LABEL_WORD"]

CONTRASTS = {"contrast-work", "contrast-life"}


@pytest.fixture(scope="module")
def by_domain() -> dict[str, list[LabelledQuestion]]:
    paths = sorted((PREFERENCES / "questions").glob("*.jsonl"))
    return {path.stem: read_domain(path, PREFERENCES / "documents" / path.name) for path in paths}


@pytest.fixture(scope="module")
def questions(by_domain: dict[str, list[LabelledQuestion]]) -> list[LabelledQuestion]:
    return [question for domain in by_domain.values() for question in domain]


@pytest.fixture(scope="module")
def handwritten() -> list[LabelledQuestion]:
    return [
        q
        for name in ("dev", "test", "test_2", "test_3")
        for q in read_domain(PREFERENCES / f"handwritten_{name}.jsonl")
    ]


def texts(questions: list[LabelledQuestion]) -> dict[str, str]:
    return {question.id: question.request.question for question in questions}


class TestShipped:
    def test_there_are_enough_over_many_domains(self, by_domain: dict[str, list[LabelledQuestion]]) -> None:
        assert len(by_domain) >= 30
        assert min(map(len, by_domain.values())) >= 50
        assert sum(map(len, by_domain.values())) >= 3000

    def test_all_labels_are_as_frequent_within_two_points(self, questions: list[LabelledQuestion]) -> None:
        counts = Counter(question.structure for question in questions)
        assert set(counts) == set(StructureType)
        assert (max(counts.values()) - min(counts.values())) / len(questions) <= 0.02

    def test_a_quarter_is_hard_under_every_label(self, questions: list[LabelledQuestion]) -> None:
        for structure in StructureType:
            mine = [question.hard for question in questions if question.structure == structure]
            assert sum(mine) >= len(mine) / 4, structure

    def test_documents_are_described_for_a_good_part_under_every_label(self, questions: list[LabelledQuestion]) -> None:
        for structure in StructureType:
            mine = [bool(question.request.documents) for question in questions if question.structure == structure]
            assert 0.25 <= sum(mine) / len(mine) <= 0.6, structure

    def test_no_label_is_also_accepted_twice(self, questions: list[LabelledQuestion]) -> None:
        assert [question.id for question in questions if question.structure in question.also_ok] == []

    def test_no_question_and_no_title_names_a_label(
        self, questions: list[LabelledQuestion], handwritten: list[LabelledQuestion]
    ) -> None:
        for question in [*questions, *handwritten]:
            seen = [question.request.question, *(document.title for document in question.request.documents)]
            assert not LABEL_WORD.search("\n".join(seen)), question.id

    def test_ids_and_questions_are_unique_everywhere(
        self, questions: list[LabelledQuestion], handwritten: list[LabelledQuestion]
    ) -> None:
        everything = [*questions, *handwritten]
        assert len(texts(everything)) == len(everything)
        counts = Counter(map(normal, texts(everything).values()))
        # Ids only, so that a failure does not print what the test questions ask.
        assert [q.id for q in everything if counts[normal(q.request.question)] > 1] == []

    def test_no_two_questions_are_nearly_the_same(
        self, questions: list[LabelledQuestion], handwritten: list[LabelledQuestion]
    ) -> None:
        everything = [*questions, *handwritten]
        structure = {question.id: question.structure for question in everything}
        # Of different labels they are no duplicates but contrasts, written to be told apart by what is to be done.
        alike = [pair for pair in near_duplicates(texts(everything)) if structure[pair[1]] == structure[pair[2]]]
        assert alike == []

    def test_only_contrast_sets_are_nearly_the_same_under_different_labels(
        self, questions: list[LabelledQuestion], handwritten: list[LabelledQuestion]
    ) -> None:
        found = near_duplicates(texts([*questions, *handwritten]))
        assert {name.rpartition("-")[0] for _, one, other in found for name in (one, other)} <= CONTRASTS

    def test_every_domain_has_one_author(self, by_domain: dict[str, list[LabelledQuestion]]) -> None:
        listed = [domain for domains in AUTHORS["authors"].values() for domain in domains]
        assert sorted(listed) == sorted(by_domain)
        assert sorted(path.stem for path in (PREFERENCES / "documents").glob("*.jsonl")) == sorted(by_domain)
        assert set(AUTHORS["held_out"]) < set(AUTHORS["authors"])

    @pytest.mark.parametrize("author", AUTHORS["held_out"])
    def test_an_author_held_out_wrote_under_every_label(
        self, author: str, by_domain: dict[str, list[LabelledQuestion]]
    ) -> None:
        held_out = [question for domain in AUTHORS["authors"][author] for question in by_domain[domain]]
        assert len(held_out) >= 290
        assert {question.structure for question in held_out} == set(StructureType)


class TestChecks:
    """What the assertions above rest on."""

    def test_near_duplicates_are_found_in_any_order_and_nothing_else(self) -> None:
        asked = {
            "a": "wifi password cabin 3",
            "b": "Which depot spent most on diesel?",
            "c": "Wifi password,  cabin 4?",
            "d": "a",
            "e": "b",
        }
        ((share, *pair),) = near_duplicates(asked)
        assert set(pair) == {"a", "c"}
        assert 0.5 < share < 1
        assert [share for share, *_ in near_duplicates({"a": "Is it open?", "b": "is it OPEN"})] == [1.0]

    def test_likeness_is_the_jaccard_index(self) -> None:
        # " abcdef " and " abcdex ": four sets of five each, of which " abcd" and "abcde" are in both.
        assert near_duplicates({"a": "abcdef", "b": "abcdex"}, 0.3) == [(pytest.approx(2 / 6), "a", "b")]
        assert near_duplicates({"a": "abcdef", "b": "abcdex"}, 0.34) == []

    def test_pairs_far_apart_in_the_file_are_found(self) -> None:
        asked = {f"q{i}": f"{i * 7919:x} {i * 104729:x} {i * 1299709:x}" for i in range(1, 2500)}
        asked["last"] = asked["q1"]
        assert ("q1", "last") in {pair for _, *ids in near_duplicates(asked, 0.9) for pair in [tuple(ids)]}

    @pytest.mark.parametrize("text", ["Which table?", "two GRAPHS, please", "the catalog", "catalogues", "a chunk"])
    def test_label_words_are_seen(self, text: str) -> None:
        assert LABEL_WORD.search(text)

    @pytest.mark.parametrize("text", ["the photograph", "a stable", "timetables", "chunky", "tablet"])
    def test_words_that_only_hold_one_are_not(self, text: str) -> None:
        assert not LABEL_WORD.search(text)

    def test_a_document_that_is_not_there_is_refused(self, tmp_path: Path) -> None:
        row = {"id": "x", "question": "Why?", "structure": "chunk", "documents": [0]}
        (tmp_path / "questions.jsonl").write_text(json.dumps(row), encoding="utf-8")
        (tmp_path / "documents.jsonl").write_text("", encoding="utf-8")
        with pytest.raises(TrainingDataError, match="row 1"):
            read_domain(tmp_path / "questions.jsonl", tmp_path / "documents.jsonl")
