"""Public question sets, in samples made by hand in the form of each."""

import json
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner, Result

from structrag.cli.app import build
from structrag.evaluation.data import read_documents, read_questions, require_scopes

Files = dict[str, Any]

SQUAD = {"version": "2.0", "data": [{"title": "Mill_Pond", "paragraphs": [{
    "context": "The pond froze in March.",
    "qas": [
        {"id": "s1", "question": "When did the pond freeze? ", "is_impossible": False,
         "answers": [{"text": "March", "answer_start": 18}, {"text": "March", "answer_start": 18}]},
        {"id": "s2", "question": "Who owns the pond?", "is_impossible": True, "answers": []},
    ]}]}]}  # fmt: skip
HOTPOT = [
    {"_id": "h1", "type": "bridge", "question": "Who leads the firm that owns the pond?", "answer": "Ada Nilsen",
     "supporting_facts": [["Mill Pond", 0], ["Nilsen AS", 1]],
     "context": [["Mill Pond", ["It is owned by Nilsen AS.", " It froze."]], ["Elm", ["A tree."]],
                 ["Nilsen AS", ["A firm.", "Ada Nilsen leads it."]]]},
    {"_id": "h2", "type": "comparison", "question": "Are both ponds?", "answer": "yes",
     "supporting_facts": [["Mill Pond", 0]], "context": [["Mill Pond", ["It is owned by Nilsen AS.", " It froze."]]]},
]  # fmt: skip
MUSIQUE = [
    {"id": "2hop__1_2", "question": "Who leads it?", "answer": "Ada Nilsen", "answer_aliases": ["A. Nilsen"],
     "answerable": True, "paragraphs": [
         {"idx": 0, "title": "Elm", "paragraph_text": "A tree.", "is_supporting": False},
         {"idx": 1, "title": "Nilsen AS", "paragraph_text": "Ada Nilsen leads it.", "is_supporting": True}]},
    {"id": "2hop__1_3", "question": "Who left it?", "answer": "?", "answer_aliases": [], "answerable": False,
     "paragraphs": [{"idx": 0, "title": "Elm", "paragraph_text": "A tree.", "is_supporting": False}]},
]  # fmt: skip
WTQ = "id\tutterance\tcontext\ttargetValue\nnu-1\twhich pond is \\\\deep\\p?\tcsv/999-csv/7.csv\tMill|Elm\nnu-2\thow deep is mill?\tcsv/999-csv/7.csv\t3\n"
WTQ_TABLE = '"Pond","Depth (m)"\n"Mill","3"\n"The \\"Elm\\" | pond","2"\n'
TATQA = [{"table": {"uid": "0f1e2d3c4b", "table": [["", "2021", "2020"], ["Revenue", "12", "10"], ["Costs"]]},
          "paragraphs": [{"uid": "p2", "order": 2, "text": "Second."}, {"uid": "p1", "order": 1, "text": "In millions."}],
          "questions": [
              {"uid": "t1", "question": "What is the change in revenue?", "answer": 2, "answer_type": "arithmetic",
               "scale": "million", "answer_from": "table"},
              {"uid": "t2", "question": "In what unit?", "answer": ["millions"], "answer_type": "span", "scale": "",
               "answer_from": "text"},
              {"uid": "t3", "question": "Which years?", "answer": ["2021", "2020"], "answer_type": "multi-span",
               "scale": "", "answer_from": "table"}]}]  # fmt: skip
QMSUM = {"topic_list": [{"topic": "Opening ", "relevant_text_span": [["0", "1"]]}, {"topic": "Budget"}],
         "general_query_list": [{"query": "Summarise.", "answer": "They met."}], "specific_query_list": [],
         "meeting_transcripts": [{"speaker": "Chair", "content": "Welcome ."}, {"speaker": "Clerk", "content": "12 ."}]}  # fmt: skip
LOONG = [
    {"id": "l1", "set": 1, "type": "paper", "level": 1, "question": "", "instruction": "Which paper is first?",
     "doc": ["a.md"], "answer": "A Study", "shuffle_doc": True, "prompt_template": "{docs}"},
    {"id": "l2", "set": 1, "type": "financial", "level": 2, "question": "Which earns more?", "instruction": "Compare.",
     "doc": ["Elm Co", "Mill Co"], "answer": "Mill Co", "prompt_template": "{docs}"},
    {"id": "l3", "set": 1, "type": "legal", "level": 4, "question": "Which?", "instruction": "", "doc": ["c1"],
     "answer": ["fined", "freed"], "prompt_template": "{docs}"},
    {"id": "l4", "set": 1, "type": "paper", "level": 3, "question": "", "instruction": "Group.", "doc": ["a.md"],
     "answer": {"new": ["A Study"]}, "prompt_template": "{docs}"},
]  # fmt: skip
LOONG_FILES = {
    "doc/paper/a.md": "# A Study\n\nWe studied.",
    "doc/financial/2024-Elm Co-j.txt": "Elm Co earned 3.",
    "doc/financial/2023-Mill Co-j.txt": "Mill Co earned 1.",
    "doc/financial/2024-Mill Co-j.txt": "Mill Co earned 4.",
    "doc/legal/legal.json": {"c1": {"content": "A theft.", "result": " Fined."}},
}


def lines(rows: list[Any]) -> str:
    return "\n".join(map(json.dumps, rows)) + "\n"


def converted(folder: Path, name: str, file: str, files: Files) -> tuple[list[Any], list[Any], Result]:
    for path, content in files.items():
        (folder / path).parent.mkdir(parents=True, exist_ok=True)
        text = content if isinstance(content, str) else json.dumps(content)
        (folder / path).write_text(text, encoding="utf-8")
    out = folder / "out"
    result = CliRunner().invoke(build(), ["eval-convert", name, str(folder / file), "--out", str(out)])
    assert result.exit_code == 0, result.stderr
    questions, documents = read_questions(out / "questions.jsonl"), read_documents(out / "documents.jsonl")
    require_scopes(questions, [str(document.id) for document in documents], out)
    assert all(set(q.documents) <= {d.id for d in documents} for q in questions)
    assert {q.source for q in questions} == {name}
    return questions, documents, result


def told(question: Any) -> tuple[Any, ...]:
    return (question.id, question.answer_type, list(question.gold), list(map(str, question.labels)), question.documents)


def test_squad(tmp_path: Path) -> None:
    questions, documents, _ = converted(tmp_path, "squad", "dev.json", {"dev.json": SQUAD})
    assert [told(q) for q in questions] == [
        ("s1", "span", ["March"], ["chunk"], ("Mill_Pond-0",)),
        ("s2", "none", [], ["chunk"], ("Mill_Pond-0",)),
    ]
    assert questions[0].question == "When did the pond freeze?"
    assert (documents[0].metadata["title"], documents[0].page_content) == ("Mill Pond", "The pond froze in March.")


@pytest.mark.parametrize("name", ["hotpotqa", "2wikimultihopqa"])
def test_hotpotqa_and_2wiki(tmp_path: Path, name: str) -> None:
    questions, documents, _ = converted(tmp_path, name, "dev.json", {"dev.json": HOTPOT})
    assert [told(q) for q in questions] == [
        ("h1", "short", ["Ada Nilsen"], ["graph"], ("h1#0", "h1#2")),
        ("h2", "yes/no", ["yes"], ["graph", "table"], ("h1#0",)),
    ]
    assert len(documents) == 3, "the same passage of two questions is kept once"
    assert documents[0].page_content == "It is owned by Nilsen AS. It froze."
    assert documents[2].page_content == "A firm. Ada Nilsen leads it."


def test_musique(tmp_path: Path) -> None:
    questions, documents, _ = converted(tmp_path, "musique", "dev.jsonl", {"dev.jsonl": lines(MUSIQUE)})
    assert [told(q) for q in questions] == [
        ("2hop__1_2", "short", ["Ada Nilsen", "A. Nilsen"], ["graph"], ("2hop__1_2#1",)),
        ("2hop__1_3", "none", [], ["graph"], ()),
    ]
    assert len(documents) == 2


def test_wikitablequestions(tmp_path: Path) -> None:
    files = {"data/test.tsv": WTQ, "csv/999-csv/7.csv": WTQ_TABLE}
    questions, documents, _ = converted(tmp_path, "wikitablequestions", "data/test.tsv", files)
    assert [told(q) for q in questions] == [
        ("nu-1", "list", ["Mill", "Elm"], ["table"], ("wtq-999-7",)),
        ("nu-2", "short", ["3"], ["table"], ("wtq-999-7",)),
    ]
    assert questions[0].question == "which pond is \\deep|?"
    assert questions[1].scope == ("wtq-999-7",)
    assert documents[0].page_content.split("\n") == [
        "| Pond | Depth (m) |",
        "| --- | --- |",
        "| Mill | 3 |",
        '| The "Elm" \\| pond | 2 |',
    ]


def test_tatqa(tmp_path: Path) -> None:
    questions, documents, _ = converted(tmp_path, "tatqa", "dev.json", {"dev.json": TATQA})
    assert [told(q)[1:4] for q in questions] == [
        ("number", ["2 million"], ["table"]),
        ("span", ["millions"], ["table", "chunk"]),
        ("list", ["2021", "2020"], ["table"]),
    ]
    text = documents[0].page_content
    assert "| Costs |  |  |\n\nIn millions.\n\nSecond." in text


@pytest.mark.parametrize("file", ["M1.json", "dev.jsonl"])
def test_qmsum(tmp_path: Path, file: str) -> None:
    name = "M1" if file == "M1.json" else "dev-0"
    questions, documents, result = converted(tmp_path, "qmsum", file, {file: lines([QMSUM])})
    document = f"qmsum-{name}"
    assert [told(q) for q in questions] == [
        (f"{name}:topics", "set", ["Opening", "Budget"], ["catalogue"], (document,))
    ]
    assert documents[0].page_content == "[0] Chair: Welcome .\n[1] Clerk: 12 ."
    assert "1 questions were left out" in result.stderr


def test_loong(tmp_path: Path) -> None:
    files = {"loong.jsonl": lines(LOONG), **LOONG_FILES}
    questions, documents, result = converted(tmp_path, "loong", "loong.jsonl", files)
    assert [told(q) for q in questions] == [
        ("l1", "span", ["A Study"], ["chunk"], ("paper/a.md",)),
        ("l2", "span", ["Mill Co"], ["table"], ("financial/2024-Elm Co-j.txt", "financial/2024-Mill Co-j.txt")),
        ("l3", "list", ["fined", "freed"], ["graph"], ("legal/c1",)),
    ]
    assert questions[1].question == "Compare.\n\nWhich earns more?"
    assert questions[1].scope == questions[1].documents
    assert documents[3].page_content == "A theft. Fined."
    assert "1 questions were left out" in result.stderr


@pytest.mark.parametrize(
    ("name", "text", "complaint"),
    [
        ("essays", "{}", "'essays' is no set that can be converted"),
        ("squad", "{}", "is not a file of squad: KeyError('data')"),
        ("musique", "no JSON", "is not a file of musique"),
        ("hotpotqa", "[1]", "is not a file of hotpotqa"),
        ("wikitablequestions", "a\tb\n1\t2\n", "is not a file of wikitablequestions"),
        ("squad", '{"data": []}', "holds no question that can be scored"),
    ],
)
def test_what_is_no_such_file_is_said(tmp_path: Path, name: str, text: str, complaint: str) -> None:
    path = tmp_path / "file"
    path.write_text(text, encoding="utf-8")
    result = CliRunner().invoke(build(), ["eval-convert", name, str(path), "--out", str(tmp_path / "out")])
    assert result.exit_code == 2
    assert complaint in result.stderr
    assert not (tmp_path / "out").exists()


def test_a_missing_file_is_said(tmp_path: Path) -> None:
    result = CliRunner().invoke(build(), ["eval-convert", "squad", str(tmp_path / "gone"), "--out", str(tmp_path)])
    assert result.exit_code == 2
    assert "gone cannot be read" in result.stderr
