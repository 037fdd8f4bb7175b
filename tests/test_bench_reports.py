"""The benchmark scripts' own arithmetic: what is kept, changed, voted and added up."""

from __future__ import annotations

import json
import runpy
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import pytest

from structrag.evaluation.data import KnownQuestion, read_documents, read_questions
from structrag.evaluation.figures import figures
from structrag.evaluation.lines import KeptLines, Line
from structrag.types import StructureType

BENCH = Path(__file__).parents[1] / "bench"


def script(name: str) -> dict[str, Any]:
    return runpy.run_path(str(BENCH / f"{name}.py"))


class TestKeptWithoutTexts:
    LINE = Line(
        "their-id-7",
        "digest",
        "gold",
        ["table"],
        route={"structure": "table", "confidence": 0.9, "unsure": False, "router": "r", "words": ["their word"]},
        structure="table",
        tried=["table"],
        values=["their value"],
        answer="their answer",
        grounded=True,
        citations=[
            {"document": "their-document", "start": 0, "end": 3, "quote": "their quote"}
            | {"stands": True, "names": False, "wanted": None}
        ],
        usage={"calls": 1, "prompt_tokens": 5, "completion_tokens": 2},
        correct=True,
        error="their error",
        trace=["their trace"],
    )

    def test_nothing_of_theirs_is_left_and_the_figures_are_the_same(self) -> None:
        lines = [self.LINE]
        kept = script("evaluation_report")["without_texts"](lines)
        written = json.dumps([asdict(line) for line in kept])
        assert "their" not in written
        assert "digest" not in written
        assert figures(kept, {"gold": ["q001"]}) == figures(lines, {"gold": ["their-id-7"]})

    def test_a_kept_run_can_be_reported(self, tmp_path: Path) -> None:
        run = tmp_path / "run"
        with KeptLines(run, {"models.chat": "m", "models.base_url": "http://127.0.0.1:1/v1"}) as kept:
            kept.record.ask(["gold"], ["their-id-7"])
            kept.record.write(run)
            kept.keep(self.LINE)
        told = script("evaluation_report")["keep"](run, tmp_path / "out")
        assert told["ways"]["gold"]["accuracy"]["all"]["right"] == 1
        assert "127.0.0.1" not in "".join(path.read_text("utf-8") for path in (tmp_path / "out").iterdir())


class TestChangedFacts:
    @pytest.fixture
    def files(self, tmp_path: Path) -> tuple[Path, Path]:
        questions = [
            {"question": "Who built the mill?", "answers": ["Ada Quist"], "documents": ["mill"]},
            {"question": "Who sold the bell?", "answers": ["Bo Lund"], "documents": ["bell"]},
            {"question": "When was the fair opened?", "answers": ["1931"], "documents": ["fair"]},
            {"question": "Who owns the barn?", "answers": ["Cy Marr"], "documents": ["barn"]},
        ]
        documents = {
            "mill": "Ada Quist built the mill. ADA QUIST died rich; Ada Quister did not.",
            "bell": "Bo Lund sold the bell.",
            "fair": "The fair was opened in 1931, not in 19311.",
            "barn": "Nobody knows who owns the barn.",
        }
        rows = [{"id": f"q{n}", "answer_type": "span", "structure": "chunk", **row} for n, row in enumerate(questions)]
        texts = [{"id": id_, "title": id_, "text": text} for id_, text in documents.items()]
        paths = tmp_path / "questions.jsonl", tmp_path / "documents.jsonl"
        for path, content in zip(paths, (rows, texts), strict=True):
            path.write_text("".join(json.dumps(row) + "\n" for row in content), encoding="utf-8")
        return paths

    def test_an_answer_is_changed_wherever_it_stands_and_nothing_else_is(
        self, files: tuple[Path, Path], tmp_path: Path
    ) -> None:
        out = tmp_path / "out"
        assert script("contamination")["changed"](read_questions(files[0]), files[1], out) == 3
        asked = {q.id: list(q.gold) for q in read_questions(out / "questions.jsonl")}
        texts = {str(d.id): d.page_content for d in read_documents(out / "documents.jsonl")}
        assert asked["q2"] == ["1941"]
        assert texts["fair"] == "The fair was opened in 1941, not in 19311."
        [name] = asked["q0"]
        assert name in ("Bo Lund", "Cy Marr")
        assert texts["mill"] == f"{name} built the mill. {name} died rich; Ada Quister did not."
        assert "q3" not in asked
        assert texts["barn"] == "Nobody knows who owns the barn."

    def test_what_is_said_is_told_apart(self, tmp_path: Path) -> None:
        row = {"id": "a", "question": "Who?", "answers": ["new"], "answer_type": "span", "before": ["old"]}
        questions = tmp_path / "questions.jsonl"
        questions.write_text("".join(json.dumps(row | {"id": id_}) + "\n" for id_ in "abc"), encoding="utf-8")
        with KeptLines(tmp_path / "run", {}) as kept:
            kept.record.write(tmp_path / "run")
            for id_, values, right in (("a", ["new"], True), ("b", ["old"], False), ("c", [], False)):
                kept.keep(Line(id_, "", "plain", values=values, correct=right))
        told = script("contamination")["followed"](tmp_path / "run", questions)
        [shares] = [line for line in told.splitlines() if line.startswith("| plain")]
        assert [share.strip()[:6] for share in shares.split("|")[3:6]] == ["1: 33%"] * 3


class TestOneBudget:
    def test_the_commonest_answer_is_taken_and_all_samples_are_paid_for(self) -> None:
        voted = script("one_budget")["_voted"]

        def sample(value: str | None, right: bool) -> dict[str, Any]:
            return {"values": [value] if value else [], "right": right, "tokens": 10}

        assert voted([sample("no", False), sample("The Yes", True), sample("yes", True)]) == (True, 30)
        assert voted([sample(None, False), sample("no", False), sample("yes", True)]) == (False, 30), "the first of two"
        assert voted([sample(None, False)] * 3) == (False, 30)

    def test_only_questions_that_every_arm_answered_count(self) -> None:
        bench = script("one_budget")
        arms = ["once", "sample 1", "sample 2", "sample 3", "more"]
        lines = [
            {"id": id_, "kind": kind, "arm": arm, "values": ["x"], "right": kind == "structure", "tokens": 7}
            for id_ in ("a", "b")
            for kind in ("structure", "chunk")
            for arm in arms
        ]
        told = bench["report"](lines[:-1])
        assert "n = 1" in told
        assert "| the labelled structure, best of 3 | 1: 100%" in told
        assert "| passages, once | 0: 0%" in told
        assert "| 21 | +100.0" in told


def test_calls_side_by_side_count_once() -> None:
    watch = script("builder_throughput")["_Watch"](began=10.0, ended=20.0)
    watch.calls += [(11.0, 13.0), (12.0, 14.0), (9.0, 10.5), (19.0, 25.0)]
    assert watch.wall == 10
    assert watch.inside == pytest.approx(0.5 + 3 + 1)


class TestSettings:
    def test_each_variant_is_compared_with_the_defaults_question_by_question(self, tmp_path: Path) -> None:
        used = {"calls": 1, "prompt_tokens": 8, "completion_tokens": 2}
        for number, right in enumerate(([True, False, False, True], [True, True, True, True])):
            (tmp_path / str(number)).mkdir()
            lines = [Line(f"q{n}", "d", "gold", ["table"], usage=used, correct=each) for n, each in enumerate(right)]
            kept = "".join(json.dumps(asdict(line)) + "\n" for line in lines)
            (tmp_path / str(number) / "lines.jsonl").write_text(kept, encoding="utf-8")
        report = script("settings_worth")["table"](tmp_path, {"defaults": (), "more": ()}, ["gold"])
        first, second = report.splitlines()[2:]
        assert first == "| gold | defaults | 2/4 (15%-85%) | 0 | 10 |"
        assert second.startswith("| gold | more | 4/4 (51%-100%) | +50 (+0 to +100) | 10 |")


class TestOutcomes:
    def test_the_cheapest_right_structure_is_the_best(self) -> None:
        best = script("outcome_labels")["_best"]
        question = KnownQuestion("q", "Which?", ("Ann",), "short", labels=(StructureType.GRAPH,))
        spent = {
            "table": (False, 5),
            "graph": (True, 90),
            "algorithm": (True, 30),
            "catalogue": (False, 1),
            "chunk": (False, 2),
        }
        lines = {
            ("q", way): Line("q", "d", way, usage={"prompt_tokens": tokens}, correct=right)
            for way, (right, tokens) in spent.items()
        }
        assert best(question, lines) is StructureType.ALGORITHM
        wrong = {key: replace(line, correct=False) for key, line in lines.items()}
        assert best(question, wrong) is StructureType.GRAPH, "where none is right, the label's"

    def test_what_was_asked_in_other_words_was_not_asked(self) -> None:
        questions = [KnownQuestion(id_, "Which?", ("Ann",), "short") for id_ in ("q", "changed", "partly")]
        lines = [
            Line(q.id, "of other words" if q.id == "changed" else q.digest, str(way))
            for q in questions
            for way in StructureType
            if (q.id, way) != ("partly", StructureType.TABLE)
        ]
        assert [q.id for q in script("outcome_labels")["_asked_everywhere"](questions, lines)] == ["q"]
