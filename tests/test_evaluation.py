"""`structrag eval` end to end on four questions, with a scripted chat model, and what happens when it is stopped."""

import json
import subprocess
import sys
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from hashing_embedder import HashingEmbedder
from typer.testing import CliRunner, Result

from structrag.cli.app import build
from structrag.errors import ConfigError, ModelError
from structrag.evaluation.data import KnownQuestion, in_drawn_order
from structrag.evaluation.lines import LINES, KeptLines, Line, read_lines
from structrag.evaluation.running import parse_ways
from structrag.evaluation.spending import PaidCalls, Tally
from structrag.pipeline import StructRAG
from structrag.router import RoutingRequest
from structrag.router.preferences import read_preferences
from structrag.testing import ScriptedChatModel, scripted
from structrag.types import Route, StructureType
from structrag.usage import ModelCall, UsageMeter

DOCUMENTS = [
    {"id": "pump", "title": "Pump", "text": "The pump hums at 61 dB(A) in the hall."},
    {"id": "boiler", "title": "Boiler", "text": "The boiler was made in Tarnwick by Orla Vance."},
    {"id": "fan", "text": "The fan turns 900 times a minute."},
]
QUESTIONS = [
    {"id": "q1", "question": "How loud is the pump?", "answers": ["61 dB(A)"], "answer_type": "short",
     "structure": "chunk", "documents": ["pump"], "source": "made up"},
    {"id": "q2", "question": "Where was the boiler made?", "answers": ["Tarnwick"], "answer_type": "short",
     "structure": "graph", "also_ok": ["chunk"], "scope": ["boiler"]},
    {"id": "q3", "question": "How often does the fan turn?", "answers": ["900"], "answer_type": "number",
     "structure": "table"},
    {"id": "q4", "question": "What colour is the fan?", "answers": [], "answer_type": "none", "structure": "chunk"},
]  # fmt: skip
READ = {"How loud is the pump?": "61 dB(A)", "Where was the boiler made?": "Tarnwick", "How often does": "900 times"}


def read(prompt: str) -> dict[str, Any]:
    """Reply as a model that reads passages well."""
    asked = prompt.rpartition("Question: ")[2]
    return next(({"item": 1, "answer": READ[q]} for q in READ if asked.startswith(q)), {"item": 0, "answer": ""})


SCRIPT: dict[str, Any] = {
    "You check an answer": {"yes": 0.95, "no": 0.05},
    "Reply with the answer alone, as short as possible": "61 dB(A)",
    "You answer a question from numbered items": read,
    # What other structures ask gets no usable reply, and a no where only that is wanted.
    "": {"yes": 0.05, "no": 0.95},
}


class WordRouter:
    """Sends questions with a given word to a structure, all others to passages."""

    def __init__(self, name: str = "words", **structures: StructureType) -> None:
        self.name = name
        self._structures = structures

    def route(self, request: RoutingRequest, meter: UsageMeter) -> Route:
        chosen = next((s for word, s in self._structures.items() if word in request.question), StructureType.CHUNK)
        shares = {s: 0.8 if s is chosen else 0.05 for s in StructureType}
        return Route(request.question, shares, unsure=False, router=self.name)


class Bench:
    """Runs ``structrag eval`` on the four questions."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.out = folder / "out"
        self.script: dict[str, Any] = dict(SCRIPT)
        self.router = WordRouter(boiler=StructureType.TABLE)
        self.settings: list[Mapping[str, Any]] = []
        self.models: list[ScriptedChatModel] = []
        self.questions = self.write("questions.jsonl", QUESTIONS)
        self.documents = self.write("documents.jsonl", DOCUMENTS)

    def write(self, name: str, rows: Sequence[Any]) -> Path:
        path = self.folder / name
        path.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
        return path

    def eval(self, *extra: str) -> Result:
        paths = [str(self.questions), "--documents", str(self.documents), "--out", str(self.out)]
        return self.run("eval", *paths, *extra)

    def run(self, *arguments: str) -> Result:
        return CliRunner().invoke(build(self.open), arguments)

    def open(self, folder: Path, *, settings: Mapping[str, Any], **_: Any) -> StructRAG:
        self.settings.append(settings)
        chat, model = scripted(self.script)
        self.models.append(model)
        return StructRAG.open(folder, settings=settings, chat=chat, router=self.router, embedder=HashingEmbedder())

    @property
    def asked(self) -> int:
        return sum(len(model.prompts) for model in self.models)

    def lines(self) -> dict[tuple[str, str], Line]:
        return {(line.id, line.way): line for line in read_lines(self.out)}


@pytest.fixture
def bench(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Bench:
    monkeypatch.delenv("STRUCTRAG_CORPUS", raising=False)
    return Bench(tmp_path)


def test_four_questions_in_every_way(bench: Bench) -> None:
    result = bench.eval("--structures", "router,gold,all,plain", "--json")
    assert result.exit_code == 0, result.stderr
    lines = bench.lines()
    assert len(lines) == 4 * 8
    chunk = lines["q1", "chunk"]
    assert (chunk.values, chunk.grounded, chunk.correct, chunk.structure) == (["61 dB(A)"], True, True, "chunk")
    assert chunk.usage["calls"] == 2
    assert chunk.tokens > 20
    (citation,) = chunk.citations
    assert citation == {
        "document": "pump",
        "start": 0,
        "end": 38,
        "quote": "The pump hums at 61 dB(A) in the hall.",
        "stands": True,
        "names": True,
        "wanted": True,
    }
    assert [lines[f"q{n}", "chunk"].correct for n in (1, 2, 3, 4)] == [True, True, True, True]
    assert [lines[f"q{n}", "plain"].correct for n in (1, 2, 3, 4)] == [True, False, False, False]
    assert lines["q1", "plain"].grounded is None
    report = json.loads(result.stdout)
    assert report["ways"]["chunk"]["accuracy"]["all"] == {
        "n": 4, "right": 4.0, "value": 1.0, "low": 0.5101, "high": 1.0,
    }  # fmt: skip
    assert report["ways"]["oracle"]["accuracy"]["all"]["right"] == 4
    assert report["ways"]["chunk"]["citations"] == {"n": 3, "stand": 1.0, "precision": 1.0, "in_wanted_document": 1.0}
    assert "| plain RAG |" in (bench.out / "report.md").read_text(encoding="utf-8")


def test_a_run_goes_on_where_it_stopped_and_asks_nothing_twice(bench: Bench) -> None:
    assert bench.eval("--structures", "chunk", "--limit", "2").exit_code == 0
    first = bench.lines()
    assert len(first) == 2
    asked = bench.asked
    again = bench.eval("--structures", "chunk", "--limit", "2")
    assert again.exit_code == 0
    assert bench.asked == asked
    assert bench.eval("--structures", "chunk,router").exit_code == 0
    lines = bench.lines()
    assert {key: lines[key] for key in first} == first
    chunks = {id_ for id_, way in lines if way == "chunk"}
    assert chunks == {"q1", "q2", "q3", "q4"}
    # q2 is routed to a table, which fails; the answer is that of the passages, and both are paid for.
    routed, table, chunk = (lines["q2", way] for way in ("router", "table", "chunk"))
    assert table.error
    assert (routed.tried, routed.structure, routed.values) == (["table", "chunk"], "chunk", ["Tarnwick"])
    assert routed.tokens == table.tokens + chunk.tokens > chunk.tokens
    assert routed.route is not None
    assert (routed.route["structure"], routed.route["router"], "question" in routed.route) == ("table", "words", False)


def test_the_routers_line_is_what_the_pipeline_answers(bench: Bench) -> None:
    assert bench.eval("--structures", "router", "--seed", "3").exit_code == 0
    lines = bench.lines()
    with bench.open(bench.out / "corpus", settings={}) as rag:
        for question in QUESTIONS:
            answer = rag.ask(str(question["question"]), scope=question.get("scope"))  # type: ignore[arg-type]
            line = lines[str(question["id"]), "router"]
            assert (line.answer, line.structure) == (answer.text, answer.structure_type)
            assert [c["document"] for c in line.citations] == [c.evidence.span.document_id for c in answer.citations]


def test_another_router_is_measured_on_the_lines_that_are_there(bench: Bench) -> None:
    assert bench.eval("--structures", "router,all").exit_code == 0
    asked = bench.asked
    bench.router = WordRouter("other", fan=StructureType.TABLE)
    result = bench.eval("--structures", "router,all", "--json")
    assert bench.asked == asked
    assert json.loads(result.stdout)["routing"]["routers"] == ["other"]
    assert bench.lines()["q3", "router"].tried == ["table", "chunk"]


def test_the_report_needs_no_model_and_no_documents(bench: Bench) -> None:
    assert bench.eval("--structures", "router,all").exit_code == 0
    written = (bench.out / "report.md").read_text(encoding="utf-8")
    (bench.out / "report.md").unlink()
    opened = len(bench.settings)
    result = bench.run("eval", "--report", str(bench.out))
    assert (result.exit_code, result.stdout) == (0, written)
    assert (bench.out / "report.md").read_text(encoding="utf-8") == written
    assert len(bench.settings) == opened
    assert "| random (expected) |" in written
    assert "router's regret" in written


def test_reporting_on_nothing_ends_with_2(bench: Bench, tmp_path: Path) -> None:
    result = bench.run("eval", "--report", str(tmp_path / "nowhere"))
    assert result.exit_code == 2
    assert "There is no evaluation in" in result.stderr


def test_questions_run_side_by_side_with_the_same_outcome(bench: Bench) -> None:
    assert bench.eval("--structures", "chunk,plain,gold").exit_code == 0
    alone = bench.lines()
    bench.out = bench.folder / "side-by-side"
    assert bench.eval("--structures", "chunk,plain,gold", "--parallel", "3").exit_code == 0
    together = bench.lines()
    assert {key: (line.values, line.correct) for key, line in together.items()} == {
        key: (line.values, line.correct) for key, line in alone.items()
    }


def test_an_interruption_keeps_the_lines_and_ends_with_130(bench: Bench) -> None:
    calls = iter(range(100))

    def interrupted(prompt: str) -> dict[str, Any]:
        if next(calls) == 2:
            raise KeyboardInterrupt
        return read(prompt)

    bench.script["You answer a question from numbered items"] = interrupted
    assert bench.eval("--structures", "chunk").exit_code == 130
    assert len(bench.lines()) == 2
    bench.script["You answer a question from numbered items"] = read
    assert bench.eval("--structures", "chunk").exit_code == 0
    assert len(bench.lines()) == 4


def test_an_unreachable_model_ends_the_run_but_an_unusable_reply_is_a_line(bench: Bench) -> None:
    bench.script["You answer a question from numbered items"] = "no JSON"
    result = bench.eval("--structures", "chunk,router")
    assert result.exit_code == 0
    assert all(line.error and not line.correct for line in bench.lines().values())
    assert bench.lines()["q1", "chunk"].usage["calls"] == 2, "it was asked once more, and that costs"
    bench.out = bench.folder / "gone"
    bench.script["You answer a question from numbered items"] = ModelError("It is gone.")
    result = bench.eval("--structures", "chunk", "--parallel", "2")
    assert result.exit_code == 3
    assert "It is gone." in result.stderr
    assert (bench.out / "lines.jsonl").read_bytes() == b""


def test_what_is_routed_alone_is_no_sample_of_a_structure(bench: Bench) -> None:
    result = bench.eval("--structures", "router", "--json")
    assert set(json.loads(result.stdout)["ways"]) == {"router"}
    assert ("q2", "table") in bench.lines()


def test_options_become_settings(bench: Bench) -> None:
    options = {"--passages": "3", "--chunk-size": "500", "--embedder": "embedded", "--router": "chat", "--model": "m:x"}
    result = bench.eval("--structures", "chunk", *(part for option in options.items() for part in option))
    assert result.exit_code == 0, result.stderr
    assert bench.settings[-1] == {
        "models.chat": "m:x",
        "retrieval.passages": 3,
        "retrieval.chunk_size": 500,
        "models.embedder": "embedded",
        "router.name": "chat",
    }


@pytest.mark.parametrize("change", ["settings", "documents"])
def test_lines_of_other_settings_or_documents_are_not_mixed(bench: Bench, change: str) -> None:
    assert bench.eval("--structures", "chunk", "--limit", "1").exit_code == 0
    bench.write("documents.jsonl", DOCUMENTS[: 2 if change == "documents" else 3])
    bench.write("questions.jsonl", QUESTIONS[:2])
    result = bench.eval("--structures", "chunk", *(["--passages", "3"] if change == "settings" else []))
    assert result.exit_code == 2
    assert ("documents was" if change == "documents" else "retrieval.passages was 8 and is 3") in result.stderr


def test_a_question_that_changed_is_asked_again(bench: Bench) -> None:
    assert bench.eval("--structures", "chunk").exit_code == 0
    bench.write("questions.jsonl", [{**QUESTIONS[0], "question": "What colour is the fan?"}])
    assert bench.eval("--structures", "chunk").exit_code == 0
    assert bench.lines()["q1", "chunk"].values == []


def test_two_runs_in_one_folder_are_kept_apart(bench: Bench) -> None:
    with KeptLines(bench.out, {}):
        result = bench.eval("--structures", "chunk")
    assert result.exit_code == 2
    assert "Another evaluation is running" in result.stderr


@pytest.mark.parametrize(
    ("extra", "told"),
    [
        (["--structures", "chunk,essay"], "'essay' is no way to answer"),
        (["--structures", " , "], "No way to answer is given"),
        (["--report", "x"], "--report asks nothing"),
    ],
)
def test_wrong_options_end_with_2(bench: Bench, extra: list[str], told: str) -> None:
    result = bench.eval(*extra)
    assert result.exit_code == 2
    assert told in result.stderr
    assert bench.settings == [], "nothing was opened"


@pytest.mark.parametrize(
    ("row", "told"),
    [
        ({"id": "q1"}, "line 2: there is no answer_type."),
        ({"id": "x", "question": "?", "answers": ["y"], "answer_type": "essay"}, "line 2: the answer_type 'essay' is"),
        ({"id": "x", "question": "?", "answers": [], "answer_type": "short"}, "line 2: there are no answers."),
        ({"id": "x", "question": "?", "answers": ["y"], "answer_type": "clusters"}, "line 2: answers is an object"),
        ({"id": "x", "question": " ", "answers": ["y"], "answer_type": "short"}, "line 2: question is a text."),
        ({"id": "x", "question": "?", "answers": ["y"], "answer_type": "short", "structure": "heap"}, "line 2: 'heap'"),
        ({"id": "x", "question": "?", "answers": ["y"], "answer_type": "short", "scope": "pump"}, "line 2: scope is a"),
        ({**QUESTIONS[0]}, "has the id 'q1' twice"),
        ([], "line 2: it is not an object."),
        ({**QUESTIONS[1], "id": "x", "scope": ["gone"]}, "'x' is to be asked over 'gone', which is not there"),
    ],
)
def test_a_wrong_question_is_named(bench: Bench, row: Any, told: str) -> None:
    bench.write("questions.jsonl", [QUESTIONS[0], row])
    result = bench.eval("--structures", "chunk")
    assert result.exit_code == 2
    assert told in result.stderr
    assert bench.asked == 0


def test_gold_routing_wants_labels(bench: Bench) -> None:
    bench.write("questions.jsonl", [{k: v for k, v in QUESTIONS[0].items() if k != "structure"}])
    result = bench.eval("--structures", "gold")
    assert result.exit_code == 2
    assert "'q1' has no structure" in result.stderr
    assert bench.eval("--structures", "chunk").exit_code == 0


def test_pairs_prefer_the_right_and_cheapest_to_the_wrong(bench: Bench) -> None:
    out = ["--documents", str(bench.documents), "--out", str(bench.out)]
    assert bench.eval("--structures", "chunk").exit_code == 0
    asked = bench.asked
    result = bench.run("router", "label", str(bench.questions), *out)
    assert result.exit_code == 0, result.stderr
    assert bench.asked > asked, "the other structures were missing"
    pairs = read_preferences(bench.out / "preferences.jsonl").pairs
    lines = bench.lines()
    assert {pair.source for pair in pairs} == {"made up:q1", "eval:q2", "eval:q3", "eval:q4"}
    for pair in pairs:
        id_ = pair.source.rpartition(":")[2]
        assert (pair.kind, pair.chosen) == ("outcome", StructureType.CHUNK)
        assert not lines[id_, str(pair.rejected)].correct
    boiler = next(pair for pair in pairs if pair.source == "eval:q2")
    assert [document.title for document in boiler.request.documents] == ["Boiler"], "it is asked over that alone"
    asked = bench.asked
    assert bench.run("router", "label", str(bench.questions), *out).exit_code == 0
    assert bench.asked == asked


def test_questions_that_tell_nothing_make_no_pairs(bench: Bench) -> None:
    bench.write("questions.jsonl", [{**QUESTIONS[3], "answers": ["red"], "answer_type": "short"}])
    out = ["--documents", str(bench.documents), "--out", str(bench.out)]
    result = bench.run("router", "label", str(bench.questions), *out)
    assert result.exit_code == 2
    assert "None of 1 questions tells structures apart" in result.stderr


# The kept lines by themselves


def line(number: int, way: str = "chunk", **more: Any) -> Line:
    return Line(f"q{number}", "digest", way, **more)


def test_a_line_cut_off_by_a_kill_is_written_anew(tmp_path: Path) -> None:
    with KeptLines(tmp_path, {}) as kept:
        kept.keep(line(1))
        kept.keep(line(2))
    path = tmp_path / LINES
    path.write_bytes(path.read_bytes()[:-20])
    assert [each.id for each in read_lines(tmp_path)] == ["q1"]
    with KeptLines(tmp_path, {}) as kept:
        assert kept.get("q1", "digest", "chunk") is not None
        assert kept.get("q1", "another", "chunk") is None
        assert kept.get("q2", "digest", "chunk") is None
        kept.keep(line(3))
    assert [each.id for each in read_lines(tmp_path)] == ["q1", "q3"]


def test_a_damaged_line_is_named(tmp_path: Path) -> None:
    (tmp_path / LINES).write_text("{}\n", encoding="utf-8")
    with pytest.raises(ConfigError, match=r"line 1, is damaged"):
        read_lines(tmp_path)


def test_a_kill_loses_no_line(tmp_path: Path) -> None:
    with subprocess.Popen([sys.executable, "-c", KILLED, str(tmp_path)], stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "kept\n"
        process.kill()
    assert [each.id for each in read_lines(tmp_path)] == ["q1", "q2"]
    with KeptLines(tmp_path, {}):  # the lock of the one that was killed is gone with it
        pass


KILLED = """
import sys, time
from pathlib import Path
from structrag.evaluation.lines import KeptLines, Line
kept = KeptLines(Path(sys.argv[1]), {})
for name in ("q1", "q2"):
    kept.keep(Line(name, "digest", "chunk"))
print("kept", flush=True)
time.sleep(600)
"""


def test_the_drawn_order_gives_each_structure_its_turn_and_smaller_samples_are_part_of_larger_ones() -> None:
    labels = [StructureType.TABLE] * 8 + [StructureType.GRAPH] * 3
    questions = [KnownQuestion(str(n), "?", ["x"], "short", (label,)) for n, label in enumerate(labels)]
    drawn = in_drawn_order(questions, seed=1)
    assert sorted(q.id for q in drawn) == sorted(q.id for q in questions)
    assert [q.labels[0] for q in drawn[:6]] == [StructureType.GRAPH, StructureType.TABLE] * 3
    assert drawn == in_drawn_order(questions[::-1], seed=1)
    assert drawn != in_drawn_order(questions, seed=2)


def test_a_reply_from_the_cache_costs_what_it_cost_before() -> None:
    paid = PaidCalls()
    call = ModelCall("read", (("human", "x"),), "y", prompt_tokens=70, completion_tokens=5, seconds=1.5)
    cached = replace(call, prompt_tokens=0, completion_tokens=0, seconds=0, cached=True)
    first, second = Tally(paid), Tally(paid)
    first.tell(call)
    second.tell(cached)
    assert first.usage() == second.usage() == {
        "calls": 1, "cached": 0, "prompt_tokens": 70, "completion_tokens": 5, "model_seconds": 1.5,
    }  # fmt: skip
    assert (first.saved_seconds, second.saved_seconds) == (0, 1.5)
    third = Tally(PaidCalls())
    third.tell(cached)
    assert third.usage()["cached"] == 1, "its price is not known"


def test_ways_are_read() -> None:
    assert parse_ways("router, Chunk") == ["router", "chunk"]
    assert parse_ways("oracle") == parse_ways("random") == parse_ways("all") == list(map(str, StructureType))
    assert parse_ways("router,oracle,all,chunk") == ["router", *map(str, StructureType)]


@pytest.mark.model
@pytest.mark.thorough
def test_the_embedded_model_answers_four_questions_and_is_measured(bench: Bench) -> None:
    paths = [str(bench.questions), "--documents", str(bench.documents), "--out", str(bench.out)]
    result = CliRunner().invoke(build(), ["eval", *paths, "--structures", "chunk,plain", "--json"])
    assert result.exit_code == 0, result.stderr
    lines = bench.lines()
    assert set(lines) == {(question["id"], way) for question in QUESTIONS for way in ("chunk", "plain")}
    assert [lines[id_, "chunk"].correct for id_ in ("q1", "q2")] == [True, True]
    assert "Tarnwick" in lines["q2", "plain"].answer, "it may say more than was asked"
    told = json.loads(result.stdout)["ways"]["chunk"]
    assert told["citations"]["precision"] == 1
    assert told["cost"]["tokens"] > 200
    assert told["cost"]["seconds"] > 0
