"""`structrag doctor`: each check finds what it is there to find, and the exit code says which kind it was."""

import json
import shutil
import sys
import threading
from collections import namedtuple
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner, Result

from structrag.cli import checks, corpus_checks
from structrag.cli.app import build
from structrag.cli.checks import Check, Verdict, run_checks
from structrag.cli.narration import Activity
from structrag.config import ModelSettings
from structrag.errors import ModelError
from structrag.index.chroma import VectorIndex
from structrag.models.embedding import load_embedder
from structrag.models.weights import QWEN_CODER

GIGABYTE = 1 << 30
DiskUsage = namedtuple("DiskUsage", "total used free")


class _Endpoint(BaseHTTPRequestHandler):
    """An OpenAI-compatible server that says one word."""

    word = "Paris"

    def do_POST(self) -> None:
        self.rfile.read(int(self.headers["Content-Length"]))
        reply = {
            "id": "1",
            "object": "chat.completion",
            "created": 0,
            "model": "tiny",
            "choices": [{"index": 0, "finish_reason": "stop", "message": {"role": "assistant", "content": self.word}}],
            "usage": {"prompt_tokens": 9, "completion_tokens": 1, "total_tokens": 10},
        }
        body = json.dumps(reply).encode()
        self.send_response(200)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, format: str, *args: Any) -> None:  # noqa: A002 (the name is the base class's)
        """Say nothing."""


@pytest.fixture
def endpoint() -> Iterator[str]:
    server = ThreadingHTTPServer(("127.0.0.1", 0), _Endpoint)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    yield f"http://127.0.0.1:{server.server_port}/v1"
    server.shutdown()
    server.server_close()
    thread.join()


@pytest.fixture
def closed_port() -> str:
    server = ThreadingHTTPServer(("127.0.0.1", 0), _Endpoint)
    server.server_close()
    return f"http://127.0.0.1:{server.server_port}/v1"


def doctor(folder: Path, base_url: str, monkeypatch: pytest.MonkeyPatch, *arguments: str) -> Result:
    monkeypatch.setenv("STRUCTRAG_MODELS__BASE_URL", base_url)
    monkeypatch.setenv("STRUCTRAG_MODELS__CHAT", "tiny")
    return CliRunner().invoke(build(), ["doctor", "--corpus", str(folder), *arguments])


def by_name(result: Result) -> dict[str, dict[str, str]]:
    document = json.loads(result.stdout)
    assert document["ok"] == (result.exit_code == 0)
    return {check["name"]: check for check in document["checks"]}


def test_a_healthy_place_passes(tmp_path: Path, endpoint: str, monkeypatch: pytest.MonkeyPatch) -> None:
    result = doctor(tmp_path / "new", endpoint, monkeypatch, "--json")
    found = by_name(result)
    assert result.exit_code == 0, result.output
    assert found["chat model"]["message"].startswith("tiny answered in ")
    assert found["embedder"]["message"] == "all-MiniLM-L6-v2, 384 dimensions"
    assert found["weights"]["message"] == "not needed: the chat model is tiny"
    assert found["corpus"]["message"].endswith("is not there yet, and can be created")
    assert not (tmp_path / "new").exists(), "a check changes nothing"


def test_a_chat_model_that_does_not_answer_ends_with_3(
    tmp_path: Path, closed_port: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    result = doctor(tmp_path, closed_port, monkeypatch)
    assert result.exit_code == 3
    assert "fail  chat model" in result.stdout
    assert "ok    embedder" in result.stdout
    assert result.stderr.endswith("checks failed.\n")


def test_offline_leaves_the_chat_model_alone(tmp_path: Path, closed_port: str, monkeypatch: pytest.MonkeyPatch) -> None:
    result = doctor(tmp_path, closed_port, monkeypatch, "--offline", "--json")
    assert result.exit_code == 0
    assert by_name(result)["chat model"]["status"] == "warn"


def test_a_damaged_corpus_ends_with_2(tmp_path: Path, endpoint: str, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "corpus.sqlite").write_bytes(b"this is no database" * 100)
    result = doctor(tmp_path, endpoint, monkeypatch, "--offline", "--json")
    assert result.exit_code == 2
    documents = by_name(result)["documents"]
    assert documents["status"] == "fail"
    assert "not a database" in documents["message"]
    assert documents["remedy"]


def test_an_error_raised_on_purpose_is_the_verdict_of_its_check_and_the_others_go_on() -> None:
    def broken() -> Verdict:
        raise ModelError("It is gone.", hint="Fetch it.")

    found = list(
        run_checks([Check("a", broken, is_model=True), Check("b", lambda: Verdict("ok", "fine"))], Activity(""))
    )
    assert [(o.name, o.status, o.message, o.remedy, o.is_model) for o in found] == [
        ("a", "fail", "It is gone.", "Fetch it.", True),
        ("b", "ok", "fine", "", False),
    ]


def test_extras_are_those_of_the_package() -> None:
    # What is installed may be older than the tree, which names one more: serve.
    assert [extra for extra in checks.known_extras() if extra != "serve"] == ["local", "train", "formats"]


def test_an_extra_that_is_not_installed_is_a_warning_with_its_command(monkeypatch: pytest.MonkeyPatch) -> None:
    lines = ['nosuchpackage[x]>=1; extra == "local"', "rich>=14", 'other-missing ; extra == "train"']
    monkeypatch.setattr(checks, "requires", lambda name: lines)
    found = checks.check_extra("local")
    assert (found.status, found.message) == ("warn", "not installed: nosuchpackage")
    assert "pip install 'structrag[local]'" in found.remedy


def test_an_installed_extra_is_ok(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(checks, "requires", lambda name: ['rich>=14; extra == "formats"'])
    assert checks.check_extra("formats") == Verdict("ok", "installed (1 packages)")


def test_a_python_that_is_too_old_fails(monkeypatch: pytest.MonkeyPatch) -> None:
    assert checks.check_python().status == "ok"
    monkeypatch.setattr(sys, "version_info", (3, 9, 1))
    assert checks.check_python() == Verdict("fail", "Python 3.9.1", "Use Python 3.11 or later.")


def test_weights_of_ones_own_must_be_there(tmp_path: Path) -> None:
    file = tmp_path / "model.gguf"
    models = ModelSettings(weights=str(file), cache=tmp_path)
    assert checks.check_weights(models).status == "fail"
    file.touch()
    assert checks.check_weights(models).status == "ok"


def test_weights_that_can_be_had_are_a_warning_and_others_a_failure(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    models = ModelSettings(cache=tmp_path)
    monkeypatch.setattr(checks, "find_spec", lambda name: object())
    assert checks.check_weights(models).status == "warn"
    monkeypatch.setattr(checks, "find_spec", lambda name: None)
    missing = checks.check_weights(models)
    assert missing.status == "fail"
    assert str(tmp_path / QWEN_CODER.file_name) in missing.message


def test_a_folder_below_a_file_cannot_be_a_corpus(tmp_path: Path) -> None:
    file = tmp_path / "file"
    file.touch()
    found = checks.check_folder(file / "corpus")
    assert found.status == "fail"
    assert "Not a directory" in found.message
    assert checks.check_folder(tmp_path).message.endswith("is readable and writable")


@pytest.mark.parametrize(("free", "status"), [(100 * GIGABYTE, "ok"), (GIGABYTE, "warn"), (GIGABYTE // 10, "fail")])
def test_little_free_space_is_noticed(free: int, status: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("shutil.disk_usage", lambda path: DiskUsage(0, 0, free))
    found = checks.check_disk(ModelSettings(cache=tmp_path / "new" / "cache"), tmp_path)
    assert found.status == status
    assert bool(found.remedy) == (status != "ok")


def corpus_with_a_document(folder: Path, source: Path) -> None:
    source.write_text("# Pump\n\nThe pump hums at 61 dB(A).\n", encoding="utf-8")
    result = CliRunner().invoke(build(), ["add", str(source), "--corpus", str(folder)])
    assert result.exit_code == 0, result.output


def test_documents_and_index_that_agree_pass_and_others_are_noticed_and_repaired(tmp_path: Path) -> None:
    folder = tmp_path / "corpus"
    corpus_with_a_document(folder, tmp_path / "pump.md")
    models = ModelSettings()
    healthy = Verdict("ok", "1 documents in 1 chunks, all of them in the index")
    assert corpus_checks.check_documents(models, folder) == healthy
    with VectorIndex(folder / "chroma", load_embedder("embedded")) as index:
        index.add([99], ["gone.md"], ["What was removed."])
        index.remove("pump.md")
    found = corpus_checks.check_documents(models, folder)
    assert (found.status, found.message) == ("warn", "1 chunks are not in the index, 1 are there in excess")
    assert CliRunner().invoke(build(), ["add", str(tmp_path / "pump.md"), "--corpus", str(folder)]).exit_code == 0
    assert corpus_checks.check_documents(models, folder) == healthy


def test_an_index_that_is_gone_is_noticed_and_not_made_anew(tmp_path: Path) -> None:
    folder = tmp_path / "corpus"
    corpus_with_a_document(folder, tmp_path / "pump.md")
    shutil.rmtree(folder / "chroma")
    assert corpus_checks.check_documents(ModelSettings(), folder).message.startswith("1 chunks are not in the index")
    assert not (folder / "chroma").exists()
