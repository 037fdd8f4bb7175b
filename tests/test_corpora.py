"""The shipped corpora: complete, readable, and their questions as they were frozen."""

import hashlib
import json
import re
from collections import Counter
from pathlib import Path
from typing import Any

import pytest

from structrag.corpora import ShippedCorpus, shipped
from structrag.corpus.loaders import load_file
from structrag.types import StructureType

CORPORA = shipped()
FROZEN = json.loads(Path(__file__).with_name("frozen_questions.json").read_text(encoding="utf-8"))
FIELDS = {"id", "split", "question", "structure", "also_ok", "answers", "answer_type", "documents", "scope"}
FORMATS = {"md", "txt", "html", "csv", "pdf", "docx"}
ANSWER_TYPES = {"short", "number", "span", "list", "set", "yes/no", "none"}

each_corpus = pytest.mark.parametrize("corpus", CORPORA, ids=lambda corpus: corpus.name)


def questions(corpus: ShippedCorpus) -> list[dict[str, Any]]:
    return [json.loads(line) for line in corpus.questions.read_text(encoding="utf-8").splitlines()]


def manifest(corpus: ShippedCorpus) -> dict[str, Any]:
    data: dict[str, Any] = json.loads(corpus.folder.with_name("manifest.json").read_text(encoding="utf-8"))
    return data


def all_questions() -> list[dict[str, Any]]:
    return [question for corpus in CORPORA for question in questions(corpus)]


def test_the_corpora_are_offered_by_name_and_described() -> None:
    assert [corpus.name for corpus in CORPORA] == ["companies", "handbook", "interviews", "research"]
    assert all(corpus.title and len(corpus.description) > 40 for corpus in CORPORA)


def words(question: dict[str, Any]) -> set[str]:
    return set(re.findall(r"\w+", question["question"].casefold()))


@each_corpus
def test_what_is_developed_on_is_not_what_is_reported_on(corpus: ShippedCorpus) -> None:
    path = corpus.questions.with_name("development.jsonl")
    developed = [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]
    tests = [question for question in questions(corpus) if question["split"] == "test"]
    assert len(developed) >= 25
    for question in developed:
        assert (set(question), question["split"]) == (FIELDS, "dev")
        assert question["answer_type"] in ANSWER_TYPES
        assert set(question["documents"]) <= {file.name for file in corpus.folder.iterdir()}
        for test in tests:
            shared = len(words(question) & words(test)) / len(words(question) | words(test))
            assert shared < 0.42, (question["id"], test["id"])


@each_corpus
def test_the_manifest_lists_exactly_the_files(corpus: ShippedCorpus) -> None:
    listed = [document["path"] for document in manifest(corpus)["documents"]]
    assert sorted(listed) == sorted(path.name for path in corpus.folder.iterdir())
    assert len(listed) >= 12
    for document in manifest(corpus)["documents"]:
        assert Path(document["path"]).suffix == f".{document['format']}"
        assert document["title"]


@each_corpus
def test_every_format_is_there(corpus: ShippedCorpus) -> None:
    assert {path.suffix[1:] for path in corpus.folder.iterdir()} >= FORMATS


@each_corpus
def test_every_document_loads(corpus: ShippedCorpus) -> None:
    for path in sorted(corpus.folder.iterdir()):
        document = load_file(path, path.name)
        assert document.title, path.name
        assert len(document.text.split()) > 30, path.name
        assert document.warnings == (), path.name


@each_corpus
def test_questions_have_all_fields_and_their_documents_exist(corpus: ShippedCorpus) -> None:
    names = {path.name for path in corpus.folder.iterdir()}
    asked = questions(corpus)
    assert len(asked) >= 25
    for question in asked:
        assert set(question) == FIELDS, question["id"]
        assert question["split"] in {"dev", "test"}
        assert question["answer_type"] in ANSWER_TYPES
        assert {question["structure"], *question["also_ok"]} <= set(StructureType)
        assert question["structure"] not in question["also_ok"]
        assert names >= {*question["documents"], *(question["scope"] or [])}, question["id"]
        assert bool(question["answers"]) == (question["answer_type"] != "none"), question["id"]
        assert question["documents"] or question["answer_type"] == "none", question["id"]


@each_corpus
def test_some_questions_have_no_answer_and_every_structure_is_asked_for(corpus: ShippedCorpus) -> None:
    asked = questions(corpus)
    assert any(question["answer_type"] == "none" for question in asked)
    assert {question["structure"] for question in asked} == set(StructureType)
    assert {question["split"] for question in asked} == {"dev", "test"}


def test_over_all_corpora_no_structure_is_rare() -> None:
    counted = Counter(question["structure"] for question in all_questions())
    assert min(counted[structure] for structure in StructureType) >= 20


def test_ids_and_questions_are_unique() -> None:
    asked = all_questions()
    assert len({question["id"] for question in asked}) == len(asked)
    assert len({question["question"].casefold() for question in asked}) == len(asked)


def test_no_question_gives_its_structure_away() -> None:
    names = re.compile("|".join([*StructureType, "catalog"]), re.IGNORECASE)
    assert [question["id"] for question in all_questions() if names.search(question["question"])] == []


@each_corpus
def test_the_questions_are_as_they_were_frozen(corpus: ShippedCorpus) -> None:
    # Measured numbers refer to these very questions: changed ones need new measurements before a new hash.
    assert hashlib.sha256(corpus.questions.read_bytes()).hexdigest() == FROZEN[corpus.name]
