"""The harness of `bench/side_by_side.py`: sampling, counting, caps, resuming and the report, without the other tools."""

from __future__ import annotations

import json
import sys
import threading
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import replace
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest
from langchain_core.documents import Document

from structrag.errors import ConfigError
from structrag.evaluation.data import KnownQuestion
from structrag.types import StructureType

sys.path.insert(0, str(Path(__file__).parents[1] / "bench"))

from peers.counting import CountingProxy, Spent
from peers.lines import DONE, FAILED, INDEX, RUNNING, TIME_UP, Kept, Line
from peers.protocol import read_values, within
from peers.reporting import render
from peers.running import LINES, RUN, Limits, Run, names_gold
from peers.sampling import Sample, draw

DOCUMENTS = [Document(f"Text {n}.", id=f"d{n}", metadata={"title": f"Title {n}"}) for n in range(30)]
WORKER = """
import json, os, sys, time, urllib.request
def call(**options):
    body = json.dumps({"messages": [], **options}).encode()
    request = urllib.request.Request(os.environ["PEERS_ENDPOINT"] + "/chat/completions", body)
    return json.load(urllib.request.urlopen(request))["choices"][0]["message"]["content"]
def reply(row):
    print(json.dumps(row), flush=True)
tool = sys.argv[1]
for line in sys.stdin:
    asked = json.loads(line)
    if asked["do"] == "start":
        reply({})
    elif asked["do"] == "index":
        reply({"progress": {"documents": 7}})
        if tool == "nano":
            call(hang=True)
        reply({"problem": ""})
    elif tool == "paper":
        reply({"error": "KeyError: cannot answer " + asked["question"]})
    elif tool == "closed":
        os._exit(3)
    else:
        text = call(max_tokens=5)
        reply({"text": text, "values": [text], "notes": []})
"""


def question(name: str, label: str, *documents: str, **changed: Any) -> KnownQuestion:
    values: dict[str, Any] = {"gold": ("blue",), "answer_type": "short", "documents": documents}
    return KnownQuestion(name, f"What of {name}?", labels=(StructureType(label),), **{**values, **changed})


class Endpoint(BaseHTTPRequestHandler):
    """Stands in for a chat endpoint: keeps what it was asked, and hangs or refuses if asked to."""

    asked: list[dict[str, Any]]
    hanging: threading.Event

    def do_POST(self) -> None:
        body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        self.asked.append(body)
        if body.get("hang"):
            self.hanging.wait(20)
        reply = {"choices": [{"message": {"content": "blue"}}], "usage": {"prompt_tokens": 10, "completion_tokens": 2}}
        sent = json.dumps(reply).encode()
        if body.get("stream"):
            sent = b"data: " + json.dumps({"choices": []}).encode() + b"\n\ndata: " + sent + b"\n\ndata: [DONE]\n\n"
        self.send_response(400 if body.get("refuse") else 200)
        self.send_header("Content-Type", "text/event-stream" if body.get("stream") else "application/json")
        self.end_headers()
        with suppress(BrokenPipeError):
            self.wfile.write(b'{"error": {}}' if body.get("refuse") else sent)

    def log_message(self, *args: Any) -> None: ...


@pytest.fixture
def endpoint() -> Iterator[type[Endpoint]]:
    handler = type("Handler", (Endpoint,), {"asked": [], "hanging": threading.Event()})
    server = ThreadingHTTPServer(("127.0.0.1", 0), handler)
    handler.url = f"http://127.0.0.1:{server.server_port}/v1"  # type: ignore[attr-defined]
    threading.Thread(target=server.serve_forever, args=(0.02,), daemon=True).start()
    yield handler
    handler.hanging.set()
    server.shutdown()
    server.server_close()


def call(url: str, **body: Any) -> int:
    request = urllib.request.Request(f"{url}/chat/completions", json.dumps(body).encode())
    try:
        with urllib.request.urlopen(request, timeout=20) as reply:
            reply.read()
            return int(reply.status)
    except urllib.error.HTTPError as error:
        with error:
            return error.code


def test_a_sample_is_the_same_again_and_holds_what_its_questions_need() -> None:
    questions = [question(f"q{n}", ["table", "graph", "chunk"][n % 3], f"d{n}") for n in range(12)]
    drawn = draw(questions, DOCUMENTS, limit=6, most_documents=10, seed=3)
    assert drawn == draw(questions[::-1], DOCUMENTS, limit=6, most_documents=10, seed=3)
    assert sorted(q.labels[0] for q in drawn.questions) == ["chunk", "chunk", "graph", "graph", "table", "table"]
    held = {str(document.id) for document in drawn.documents}
    assert len(held) == 10
    assert held >= {q.documents[0] for q in drawn.questions}
    assert drawn.supporting == 6
    assert draw(questions, DOCUMENTS, limit=6, most_documents=10, seed=4) != drawn


def test_wide_questions_do_not_fill_the_documents() -> None:
    wide = [question(f"w{n}", "catalogue", scope=tuple(f"d{m}" for m in range(n, n + 6))) for n in range(8)]
    narrow = [question(f"q{n}", "chunk", f"d{n}") for n in range(30)]
    drawn = draw([*wide, *narrow], DOCUMENTS, limit=38, most_documents=20, seed=1)
    of_wide = {document for q in drawn.questions for document in q.scope or ()}
    assert len(drawn.documents) == 20
    assert 6 <= len(of_wide) <= 6 + 20 // 3 - 6
    with pytest.raises(ConfigError, match="'dx', which is not there"):
        draw([question("q", "chunk", "dx")], DOCUMENTS, limit=1, most_documents=5, seed=1)


def test_the_proxy_counts_each_tool_by_itself(endpoint: Any) -> None:
    with CountingProxy(endpoint.url, {"temperature": 0, "max_tokens": 1024}) as proxy:
        assert call(proxy.url("a"), max_tokens=9) == 200
        assert call(proxy.url("a"), stream=True, temperature=0.5) == 200
        assert call(proxy.url("b"), max_completion_tokens=7) == 200
        assert call(proxy.url("b"), refuse=True) == 400
        a, b = proxy.spent("a"), proxy.spent("b")
    assert (a.calls, a.failed, a.prompt_tokens, a.completion_tokens, a.tokens) == (2, 0, 20, 4, 24)
    assert (b.calls, b.failed, b.prompt_tokens) == (2, 1, 10)
    assert [(row.get("max_tokens"), row["temperature"]) for row in endpoint.asked] == [
        (9, 0),
        (1024, 0.5),
        (None, 0),
        (1024, 0),
    ]
    assert endpoint.asked[1]["stream_options"] == {"include_usage": True}


def test_what_is_cut_off_is_counted_as_such(endpoint: Any) -> None:
    with CountingProxy(endpoint.url) as proxy:
        waiting = threading.Thread(target=call, args=(proxy.url("a"),), kwargs={"hang": True})
        waiting.start()
        while not endpoint.asked:
            time.sleep(0.01)
        proxy.cut_off("a")
        assert proxy.spent("a") == Spent(calls=1, cut_off=1)
        waiting.join()


def test_an_endpoint_that_is_not_there_is_a_failed_call() -> None:
    with CountingProxy("http://127.0.0.1:9/v1") as proxy:
        assert call(proxy.url("a")) == 502
        assert proxy.spent("a") == Spent(calls=1, failed=1)


TOOLS = ["structrag", "langchain", "paper", "closed"]


def run_of(folder: Path, endpoint: Any, told: list[str]) -> Run:
    questions = [question("q1", "table", "d1"), question("q2", "graph", "d2", gold=("red",))]
    sample = Sample(questions, DOCUMENTS[:5], 2, seed=1)
    worker = folder.with_name("worker.py")
    worker.write_text(WORKER, encoding="utf-8")
    limits = Limits(index_seconds=30, question_seconds=15, context=4096, reply_tokens=99)
    return Run(
        folder,
        sample,
        endpoint.url,
        "m",
        limits,
        lambda tool, _: [sys.executable, "-S", str(worker), tool],
        told.append,
    )


def test_a_run_keeps_what_each_tool_came_to_and_asks_nothing_twice(tmp_path: Path, endpoint: Any) -> None:
    told: list[str] = []
    run = run_of(tmp_path / "run", endpoint, told)
    run.run(TOOLS)
    line = {(each.tool, each.id): each for each in run.kept.lines()}
    assert [(line[tool, INDEX].status, line[tool, INDEX].documents) for tool in TOOLS] == [(DONE, 7)] * 4
    first, second = line["langchain", "q1"], line["langchain", "q2"]
    assert (first.status, first.correct, first.values, first.cost.tokens) == (DONE, True, ["blue"], 12)
    assert (second.correct, second.names, second.label) == (False, False, "graph")
    assert line["paper", "q1"].status == FAILED
    assert line["paper", "q1"].error == "KeyError: cannot answer (the question)"
    assert line["closed", "q1"].error == "its process ended with 3; see its log"
    # All are asked the first question before the second.
    assert [tool for tool in TOOLS for text in told[8:12] if f" {tool} " in text] == TOOLS
    asked = len(endpoint.asked)
    again = run_of(tmp_path / "run", endpoint, told)
    again.run(TOOLS)
    assert len(endpoint.asked) == asked
    assert again.kept.lines() == run.kept.lines()
    report = render(again.kept.lines(), json.loads((tmp_path / "run" / RUN).read_text(encoding="utf-8")))
    assert "| StructRAG, as routed | 2/2 | 1/2 = 50% (9% to 91%) | 1 | – |" in report
    assert "| LangChain RAG | 2/2 | 1/2 = 50% (9% to 91%) | 1 | +0 (+0 to +0), n = 2 |" in report
    assert "| no documents (closed book) | 0/2 | did not get to answers | – | – |" in report
    assert "| the paper's prompting scheme, rewritten | 7 (done) |" in report
    assert "What of q1" not in report


def test_a_tool_that_does_not_finish_is_stopped_and_asked_all_the_same(tmp_path: Path, endpoint: Any) -> None:
    run = run_of(tmp_path / "run", endpoint, [])
    run.limits = replace(run.limits, index_seconds=0.01)
    run.run(["nano"])
    index, first, second = run.kept.lines()
    assert (index.status, index.error) == (TIME_UP, "")
    assert index.seconds >= 0.01
    assert [first.correct, second.correct] == [True, False]
    run.limits = replace(run.limits, index_seconds=60)
    run.run(["nano"])  # its answers were made from what it had
    assert run.kept.get("nano") == index


def test_an_index_goes_on_where_it_was_stopped(tmp_path: Path, endpoint: Any) -> None:
    run = run_of(tmp_path / "run", endpoint, [])
    run.folder.mkdir()
    before = Line(
        "langchain", INDEX, status=RUNNING, documents=3, seconds=0.1, spent=Spent(4, 1, 0, 5, 6, 1.0).to_dict()
    )
    Kept(run.folder / LINES).keep(before)
    with (run.folder / LINES).open("a", encoding="utf-8") as file:
        file.write('{"tool": "langch')  # what a kill leaves
    run.run(["langchain"])
    line = Kept(run.folder / LINES).get("langchain")
    assert line is not None
    assert (line.status, line.documents, line.cost.calls, line.cost.tokens) == (DONE, 7, 4, 11)
    assert line.seconds >= 0.1
    other = run_of(tmp_path / "run", endpoint, [])
    other.model = "another"
    with pytest.raises(ConfigError, match="other model"):
        other.run(["langchain"])


def test_answers_in_words_become_values() -> None:
    assert read_values("- Oslo; Bergen.\n* Trondheim\n\n### References\n- [1] north.md") == [
        "Oslo",
        "Bergen",
        "Trondheim",
    ]
    assert read_values("That is not stated.") == []
    assert read_values("Oslo; not stated") == ["Oslo"]
    assert within("Who?", None) == "Who?"
    assert within("Who?", DOCUMENTS[:2]) == "Who?\n(Asked over these documents: Title 0; Title 1)"


def test_an_answer_may_name_the_right_one_among_other_words() -> None:
    assert names_gold("The colour is Blue.", question("q", "chunk"))
    assert not names_gold("The colour is bluish.", question("q", "chunk"))
    both = question("q", "table", gold=("Oslo", "Bergen"), answer_type="list")
    assert names_gold("Bergen, and also Oslo", both)
    assert not names_gold("Oslo and Trondheim", both)
    assert not names_gold("blue", question("q", "algorithm", answer_type="node"))
