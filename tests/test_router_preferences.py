"""Preference files and labelled questions: what is wrong with one is said, with file and row."""

import json
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from structrag.errors import TrainingDataError
from structrag.router import preferences
from structrag.router.preferences import (
    PreferencePair,
    data_hash,
    document_dict,
    document_profile,
    read_preferences,
    write_preferences,
)
from structrag.router.protocol import RoutingRequest
from structrag.router.questions import LabelledQuestion, label_pairs, read_domain
from structrag.types import DocumentProfile, StructureType

GRAPH, CHUNK, TABLE = StructureType.GRAPH, StructureType.CHUNK, StructureType.TABLE
REPORT = {"title": "Report", "words": 200, "table_share": 0.5, "heading_share": 0.1, "step_share": 0.0}
PAIR = PreferencePair(RoutingRequest("Who supplies whom?"), GRAPH, CHUNK, "human", "a1")

texts = st.text(max_size=30).map(str.strip).filter(bool)
shares = st.integers(0, 1000).map(lambda n: n / 1000)
profiles = st.builds(DocumentProfile, texts, st.integers(0, 10**6), shares, shares, shares)
requests = st.builds(RoutingRequest, texts, st.lists(profiles, max_size=3).map(tuple))
labels = st.permutations(list(StructureType)).map(lambda order: order[:2])
kinds = st.sampled_from(["label", "synthetic", "outcome", "human"])
pairs_of_files = st.lists(
    st.builds(lambda request, two, *rest: PreferencePair(request, *two, *rest), requests, labels, kinds, st.text()),
    min_size=1,
    max_size=6,
    unique_by=lambda pair: pair.request.question.casefold(),
)


def row(**changes: Any) -> dict[str, Any]:
    return {"prompt": "Who supplies whom?", "chosen": "graph", "rejected": "chunk"} | changes


def without(*columns: str) -> dict[str, Any]:
    return {name: value for name, value in row().items() if name not in columns}


def file_of(folder: Path, *lines: Any, name: str = "pairs.jsonl") -> Path:
    path = folder / name
    text = [line if isinstance(line, str) else json.dumps(line) for line in lines]
    path.write_bytes("".join(f"{line}\n" for line in text).encode())
    return path


def refusal(path: Path) -> TrainingDataError:
    with pytest.raises(TrainingDataError) as caught:
        read_preferences(path)
    assert str(path) in caught.value.message
    assert caught.value.hint
    return caught.value


# One row that is wrong

WRONG_ROWS = [
    ("[1, 2]", "is not a JSON object"),
    ("null", "is not a JSON object"),
    ('"Who supplies whom?"', "is not a JSON object"),
    ('{"prompt": ', "is not JSON: Expecting value"),
    ("prompt,chosen,rejected", "is not JSON"),
    ({}, "has no prompt and no chosen and no rejected"),
    (without("prompt"), "has no prompt"),
    (without("chosen"), "has no chosen"),
    (without("chosen", "rejected"), "has no chosen and no rejected"),
    (row(prompt=" \t"), "has no prompt"),
    (row(chosen=None), "has no chosen"),
    (row(chosen="tree"), "names 'tree', which is none of table, graph, algorithm, catalogue, chunk"),
    (row(rejected="[unused1]"), "names '[unused1]', which is none of"),
    (row(chosen=["graph"]), "names \"['graph']\", which is none of"),
    (row(rejected="graph"), "prefers graph to itself"),
    (row(rejected=" graph "), "prefers graph to itself"),
    (row(provenance={"kind": "guess"}), "has a provenance that is none of label, synthetic, outcome, human"),
    (row(provenance={"kind": None}), "has a provenance that is none of"),
    (row(provenance="human"), "has a provenance that is none of"),
    (row(documents=["Report"]), "describes a document wrongly"),
    (row(documents=[None]), "describes a document wrongly"),
    (row(documents="Report"), "describes a document wrongly"),
    (row(documents=5), "describes a document wrongly"),
    (row(documents=[{}]), "describes a document wrongly: a document needs a title"),
    (row(documents=[REPORT, {"title": " "}]), "describes a document wrongly: a document needs a title"),
    (row(documents=[{"title": 5}]), "describes a document wrongly: a document needs a title"),
    (row(documents=[{"title": "Report", "words": "many"}]), "describes a document wrongly"),
    (row(documents=[{"title": "Report", "table_share": None}]), "describes a document wrongly"),
    (row(documents=[{"title": "Report", "words": float("nan")}]), "describes a document wrongly"),
    (row(documents=[REPORT | {"table_share": float("nan")}]), "describes a document wrongly"),
    (row(documents=[REPORT | {"step_share": float("inf")}]), "describes a document wrongly"),
    (row(documents=[REPORT | {"table_share": 7}]), "describes a document wrongly"),
    (row(documents=[REPORT | {"words": -5}]), "describes a document wrongly"),
    (row(documents=[REPORT | {"words": float("inf")}]), "describes a document wrongly"),
    (row(prompt=[{"role": "user", "content": "Q"}]), "prompt"),
    (row(prompt="\ud800"), "prompt"),
    ("1" * 5000, "is not"),
    ("[" * 200_000, "is not"),
]


@pytest.mark.parametrize(("line", "said"), WRONG_ROWS)
def test_a_wrong_row_is_named_with_its_file(tmp_path: Path, line: Any, said: str) -> None:
    path = file_of(tmp_path, row(prompt="First"), "", line, row(prompt="Last"))
    error = refusal(path)
    assert f"{path}, row 3, " in error.message
    assert said in error.message


# A file that is wrong


@pytest.mark.parametrize("content", [b"", b"\n", b" \n\t\r\n", b"\xef\xbb\xbf", b"\xef\xbb\xbf\n"])
def test_an_empty_file_is_named(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "pairs.jsonl"
    path.write_bytes(content)
    assert "holds no preference pairs" in refusal(path).message


@pytest.mark.parametrize("encoding", ["latin-1", "cp1252", "utf-16"])
def test_another_encoding_is_named(tmp_path: Path, encoding: str) -> None:
    path = tmp_path / "pairs.jsonl"
    path.write_text(json.dumps(row(prompt="Wer fährt?"), ensure_ascii=False), encoding=encoding)
    error = refusal(path)
    assert "is not UTF-8" in error.message
    assert "UTF-8" in str(error.hint)


def test_the_place_of_a_wrong_byte_is_its_place_in_the_file(tmp_path: Path) -> None:
    before = "".join(f"{json.dumps(row(prompt=f'Question {number}'))}\n" for number in range(500)).encode()
    path = tmp_path / "pairs.jsonl"
    path.write_bytes(before + b"\xe4")
    message = refusal(path).message
    assert f"byte {len(before)}" in message or "row 501" in message


def test_a_file_that_is_not_there_and_a_folder_are_named(tmp_path: Path) -> None:
    assert "cannot be read" in refusal(tmp_path / "none.jsonl").message
    assert "cannot be read" in refusal(tmp_path).message


def test_a_file_with_too_many_rows_is_refused_before_it_is_read_to_its_end(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert preferences.MOST_ROWS < 1_000_000
    monkeypatch.setattr(preferences, "MOST_ROWS", 1200)
    rows = [row(prompt=f"Question {number}") for number in range(1200)]
    assert len(read_preferences(file_of(tmp_path, *rows)).pairs) == 1200
    error = refusal(file_of(tmp_path, *rows, row(prompt="One more"), "no JSON"))
    assert "has more than 1,200 rows" in error.message


# What is read all the same


def test_a_byte_order_mark_and_blank_lines_do_not_matter_but_count_as_rows(tmp_path: Path) -> None:
    path = tmp_path / "pairs.jsonl"
    lines = ["", json.dumps(row(prompt="One")), "  ", json.dumps(row(prompt="Two")), "", json.dumps(row(prompt="One"))]
    path.write_bytes(b"\xef\xbb\xbf" + "\r\n".join(lines).encode())
    found = read_preferences(path)
    assert [pair.request.question for pair in found.pairs] == ["One", "Two"]
    assert found.warnings == ("pairs.jsonl, row 6: the same pair as pairs.jsonl, row 2; left out.",)


def test_what_is_not_said_is_assumed(tmp_path: Path) -> None:
    (pair,) = read_preferences(file_of(tmp_path, row(prompt=" Who? ", documents=[{"title": "Report"}]))).pairs
    assert pair.request == RoutingRequest("Who?", (DocumentProfile("Report", 0, 0.0, 0.0, 0.0),))
    assert (pair.chosen, pair.rejected, pair.kind, pair.source) == (GRAPH, CHUNK, "human", "")


@pytest.mark.parametrize("documents", [None, []])
@pytest.mark.parametrize("provenance", [None, {}])
def test_empty_columns_are_as_good_as_none(tmp_path: Path, documents: Any, provenance: Any) -> None:
    found = read_preferences(file_of(tmp_path, row(documents=documents, provenance=provenance)))
    assert found == read_preferences(file_of(tmp_path, row()))


@pytest.mark.parametrize(
    "again", [row(), row(prompt="who SUPPLIES whom?"), row(chosen=" graph"), row(provenance={"kind": "outcome"})]
)
def test_a_duplicate_is_left_out_with_a_warning(tmp_path: Path, again: dict[str, Any]) -> None:
    found = read_preferences(file_of(tmp_path, row(), row(prompt="Other"), again))
    assert [pair.request.question for pair in found.pairs] == ["Who supplies whom?", "Other"]
    assert found.warnings == ("pairs.jsonl, row 3: the same pair as pairs.jsonl, row 1; left out.",)


@pytest.mark.parametrize("other", [row(documents=[REPORT]), row(rejected="table"), row(prompt="Who supplies them?")])
def test_what_differs_in_question_documents_or_label_is_no_duplicate(tmp_path: Path, other: dict[str, Any]) -> None:
    found = read_preferences(file_of(tmp_path, row(), other))
    assert (len(found.pairs), found.warnings) == (2, ())


def test_pairs_that_contradict_each_other_are_kept_with_a_warning(tmp_path: Path) -> None:
    opposite = row(prompt="WHO supplies whom?", chosen="chunk", rejected="graph")
    found = read_preferences(file_of(tmp_path, row(), "", opposite))
    assert [(pair.chosen, pair.rejected) for pair in found.pairs] == [(GRAPH, CHUNK), (CHUNK, GRAPH)]
    assert found.warnings == ("pairs.jsonl, row 3: contradicts pairs.jsonl, row 1; both are kept.",)


def test_with_other_documents_the_opposite_is_no_contradiction(tmp_path: Path) -> None:
    found = read_preferences(file_of(tmp_path, row(), row(chosen="chunk", rejected="graph", documents=[REPORT])))
    assert found.warnings == ()


@pytest.mark.parametrize(
    ("duplicates", "last"), [(20, "row 21: the same pair as pairs.jsonl, row 1"), (25, "… and 5 more warnings.")]
)
def test_of_many_warnings_the_first_twenty_are_shown(tmp_path: Path, duplicates: int, last: str) -> None:
    warnings = read_preferences(file_of(tmp_path, *[row()] * (duplicates + 1))).warnings
    assert len(warnings) == min(duplicates, 21)
    assert "row 2:" in warnings[0]
    assert last in warnings[-1]


# Writing


@given(pairs_of_files)
def test_pairs_are_read_as_they_were_written(
    tmp_path_factory: pytest.TempPathFactory, pairs: list[PreferencePair]
) -> None:
    path = tmp_path_factory.mktemp("written") / "pairs.jsonl"
    write_preferences(path, pairs)
    found = read_preferences(path)
    assert (list(found.pairs), found.warnings) == (pairs, ())
    assert data_hash(found.pairs) == data_hash(pairs)
    assert [entry.name for entry in path.parent.iterdir()] == ["pairs.jsonl"]


def test_a_line_has_the_columns_of_trl_and_its_text_can_be_read(tmp_path: Path) -> None:
    path = tmp_path / "pairs.jsonl"
    write_preferences(path, [replace(PAIR, request=RoutingRequest("Wer fährt?", (document_profile(REPORT),)))])
    line = path.read_text(encoding="utf-8")
    assert "Wer fährt?" in line
    assert json.loads(line) == {
        "prompt": "Wer fährt?",
        "chosen": "graph",
        "rejected": "chunk",
        "documents": [REPORT],
        "provenance": {"kind": "human", "id": "a1"},
    }


def test_a_writing_that_breaks_off_leaves_the_file_as_it_was(tmp_path: Path) -> None:
    def broken() -> Iterator[PreferencePair]:
        yield replace(PAIR, source="new")
        raise RuntimeError("broken off")

    path = tmp_path / "pairs.jsonl"
    write_preferences(path, [PAIR])
    with pytest.raises(RuntimeError, match="broken off"):
        write_preferences(path, broken())
    assert read_preferences(path).pairs == (PAIR,)


def test_a_profile_is_rounded_when_it_is_written() -> None:
    written = document_dict(DocumentProfile("Report", 10, 1 / 3, 2 / 3, 0.0004))
    assert written == {"title": "Report", "words": 10, "table_share": 0.333, "heading_share": 0.667, "step_share": 0.0}
    assert document_dict(document_profile(written)) == written


@given(pairs_of_files, st.randoms(use_true_random=False))
def test_the_order_of_pairs_does_not_change_their_hash(pairs: list[PreferencePair], random: Any) -> None:
    shuffled = list(pairs)
    random.shuffle(shuffled)
    assert data_hash(shuffled) == data_hash(pairs)
    assert len(data_hash(pairs)) == 64


def test_any_change_of_a_pair_changes_the_hash() -> None:
    others = [
        [],
        [PAIR, PAIR],
        [replace(PAIR, request=RoutingRequest("Who?"))],
        [replace(PAIR, request=replace(PAIR.request, documents=(document_profile(REPORT),)))],
        [replace(PAIR, chosen=TABLE)],
        [replace(PAIR, rejected=TABLE)],
        [replace(PAIR, chosen=CHUNK, rejected=GRAPH)],
        [replace(PAIR, kind="label")],
        [replace(PAIR, source="a2")],
    ]
    assert len({data_hash([PAIR]), *map(data_hash, others)}) == 1 + len(others)


# Labelled questions


def question(**changes: Any) -> dict[str, Any]:
    return {"id": "q1", "question": "Who supplies whom?", "structure": "graph"} | changes


def test_a_domain_is_read_with_its_documents(tmp_path: Path) -> None:
    documents = file_of(tmp_path, {"title": "A"}, REPORT, name="documents.jsonl")
    full = question(also_ok=["table"], hard=True, documents=[1, 0], batch="b2")
    path = file_of(tmp_path, full, "", question(id=2), name="pumps.jsonl")
    first, second = read_domain(path, documents)
    described = (document_profile(REPORT), document_profile({"title": "A"}))
    request = RoutingRequest("Who supplies whom?", described)
    assert first == LabelledQuestion("q1", request, GRAPH, frozenset({TABLE}), "pumps", batch="b2", hard=True)
    assert second == LabelledQuestion("2", RoutingRequest("Who supplies whom?"), GRAPH, frozenset(), "pumps")
    assert [first.accepts(structure) for structure in StructureType] == [True, True, False, False, False]


def test_a_questions_source_goes_before_its_domain_and_the_files_name(tmp_path: Path) -> None:
    path = file_of(tmp_path, question(source="wtq", domain="sport"), question(domain="sport"), question(source=""))
    assert [each.group for each in read_domain(path)] == ["wtq", "sport", "pairs"]


def test_a_label_is_preferred_to_all_that_is_not_right_as_well(tmp_path: Path) -> None:
    questions = read_domain(file_of(tmp_path, question(also_ok=["table"]), question(id="q2", question="How many?")))
    pairs = label_pairs(questions)
    assert [str(pair.rejected) for pair in pairs if pair.source == "q1"] == ["algorithm", "catalogue", "chunk"]
    assert [str(p.rejected) for p in pairs if p.source == "q2"] == ["table", "algorithm", "catalogue", "chunk"]
    assert {(pair.chosen, pair.kind) for pair in pairs} == {(GRAPH, "label")}
    path = tmp_path / "labels.jsonl"
    write_preferences(path, pairs)
    assert read_preferences(path) == preferences.PreferenceFile(tuple(pairs))


@pytest.mark.parametrize(
    "line",
    [
        "[]",
        "null",
        "{",
        {"question": "Q", "structure": "graph"},
        {"id": "q1", "structure": "graph"},
        {"id": "q1", "question": "Q"},
        question(structure="tree"),
        question(structure=None),
        question(also_ok=["tree"]),
        question(also_ok="graph"),
        question(documents=[2]),
        question(documents=["Report"]),
        question(documents=[-1]),
        question(question=None),
        question(question=" "),
    ],
)
def test_a_wrong_question_is_named_with_its_file(tmp_path: Path, line: Any) -> None:
    documents = file_of(tmp_path, REPORT, REPORT, name="documents.jsonl")
    path = file_of(tmp_path, question(), "", line, name="pumps.jsonl")
    with pytest.raises(TrainingDataError) as caught:
        read_domain(path, documents)
    assert f"{path}, row 3, is " in caught.value.message


def test_a_domain_that_cannot_be_read_is_named(tmp_path: Path) -> None:
    path = tmp_path / "pumps.jsonl"
    with pytest.raises(TrainingDataError, match="pumps.jsonl cannot be read"):
        read_domain(path)
    path.write_bytes(b"\xff")
    with pytest.raises(TrainingDataError, match="pumps.jsonl cannot be read"):
        read_domain(path)


@pytest.mark.parametrize("line", [{}, "[]", {"title": "Report", "words": "many"}])
def test_a_wrong_document_is_named_with_its_file(tmp_path: Path, line: Any) -> None:
    documents = file_of(tmp_path, REPORT, line, name="documents.jsonl")
    with pytest.raises(TrainingDataError, match=r"documents\.jsonl, row 2"):
        read_domain(file_of(tmp_path, question()), documents)


def test_documents_are_found_by_the_number_of_their_line(tmp_path: Path) -> None:
    documents = file_of(tmp_path, {"title": "A"}, "", {"title": "B"}, {"title": "C"}, name="documents.jsonl")
    (found,) = read_domain(file_of(tmp_path, question(documents=[2])), documents)
    assert [document.title for document in found.request.documents] == ["B"]


@pytest.mark.parametrize("separator", ["\u2028", "\u0085", "\u2029"])
def test_a_line_separator_within_a_question_ends_no_row(tmp_path: Path, separator: str) -> None:
    line = json.dumps(question(question=f"Who{separator}supplies?"), ensure_ascii=False)
    (found,) = read_domain(file_of(tmp_path, line))
    assert found.request.question == f"Who{separator}supplies?"
