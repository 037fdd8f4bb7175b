"""A key in the environment is sent to the endpoint, and stands nowhere else: not in a file, an output, an error, a log."""

from __future__ import annotations

import json
import logging
import time
import traceback
import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from faulty_endpoint import Fault, FaultyEndpoint, Request
from firm_reports import MOST, HashingEmbedder, firm_of, firms, reply, reports
from typer.testing import CliRunner, Result

from structrag.cli.app import build
from structrag.config import ModelSettings, load_settings
from structrag.corpus.store import CorpusStore
from structrag.errors import ConfigError, ModelError
from structrag.models.chat import Prompt
from structrag.models.loading import load_chat_model
from structrag.models.secrets import MASK, redacted
from structrag.pipeline import StructRAG
from structrag.router import FixedRouter
from structrag.structures.exports.export import formats
from structrag.types import StructureType
from structrag.usage import UsageMeter

KEY = "sk-planted-4f7d9c0b2e51"
NAMES = firms(3)


@pytest.fixture(autouse=True)
def _planted(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OPENAI_API_KEY", KEY)
    monkeypatch.setattr(time, "sleep", lambda seconds: None)


def telling(request: Request) -> str:
    """Reply well, but put the key that came with the request wherever there is room for it."""
    sent = request.headers["authorization"].removeprefix("Bearer ")
    assert sent == KEY
    good = reply(request.text)
    if firm_of(request.text) is None:
        return good
    rows = json.loads(good)["rows"]
    return json.dumps({"rows": [*rows, {"firm": sent, "revenue": f"1 million EUR, key {sent}"}]})


@pytest.fixture
def endpoint() -> Iterator[FaultyEndpoint]:
    with FaultyEndpoint([Fault("401"), None, Fault("echo"), Fault("echo"), Fault("500")], telling) as endpoint:
        yield endpoint


def every_byte(folder: Path) -> Iterator[tuple[str, bytes]]:
    for path in sorted(folder.rglob("*")):
        if path.is_file():
            yield str(path), path.read_bytes()
    # The calls are packed, so that the bytes of the file say nothing about them.
    with CorpusStore.open(folder / "corpus.sqlite") as store:
        for (packed,) in store._database.rows("SELECT payload FROM calls"):
            yield "calls", zlib.decompress(packed)


class TestCorpus:
    def run(self, folder: Path, url: str, *arguments: str) -> Result:
        def open_corpus(folder: Path, **_: Any) -> StructRAG:
            return StructRAG.open(
                folder,
                settings={"models.chat": "stub", "models.base_url": url},
                router=FixedRouter(StructureType.TABLE),
                embedder=HashingEmbedder(),
            )

        command, *rest = arguments
        return CliRunner().invoke(build(open_corpus), [command, "--corpus", str(folder), *rest])

    def test_it_is_in_no_file_no_output_no_export_and_no_log(
        self, tmp_path: Path, endpoint: FaultyEndpoint, caplog: pytest.LogCaptureFixture
    ) -> None:
        caplog.set_level(logging.DEBUG)
        folder, url = tmp_path / "c", endpoint.url
        for document in reports(NAMES):
            (tmp_path / f"{document.id}.md").write_text(document.page_content, encoding="utf-8")
        results = [self.run(folder, url, "add", *(str(tmp_path / f"{name}.md") for name in NAMES))]
        refused = self.run(folder, url, "ask", MOST, "--structure", "table")
        echoed = self.run(folder, url, "ask", MOST, "--structure", "table", "--json")
        assert (refused.exit_code, echoed.exit_code) == (3, 3)
        assert MASK in refused.stderr
        answered = self.run(folder, url, "ask", MOST, "--structure", "table", "--json")
        assert answered.exit_code == 0, answered.output
        results += [refused, echoed, answered]
        with StructRAG.open(folder, router=FixedRouter(StructureType.TABLE), embedder=HashingEmbedder()) as rag:
            (record,) = rag.answers()
            calls = json.dumps([call.to_dict() for call in rag.calls(record["id"])])
            structure = rag.structure(record["id"])
            assert structure is not None
            assert MASK in structure.render()
            exports = {each: rag.export(record["id"], each) for each in formats(structure)}
        assert MASK in calls, "the model did tell it"
        assert len(exports) > 3
        told = [*(result.output for result in results), json.dumps(record), calls, caplog.text]
        assert not [text for text in told if KEY in text]
        assert not [name for name, content in exports.items() if KEY.encode() in content]
        assert not [name for name, content in every_byte(folder) if KEY.encode() in content]
        assert all(request.headers["authorization"] == f"Bearer {KEY}" for request in endpoint.requests)
        assert not [request for request in endpoint.requests if KEY in request.text]

    def test_it_would_be_found(self, tmp_path: Path) -> None:
        with CorpusStore.open(tmp_path / "corpus.sqlite") as store:
            store.put_answer("a", {"id": "a"}, [{"reply": KEY * 20}])
        assert [name for name, content in every_byte(tmp_path) if KEY.encode() in content] == ["calls"]


class TestErrors:
    def test_not_even_the_traceback_of_the_providers_error_holds_it(self) -> None:
        with FaultyEndpoint([Fault("401")]) as endpoint:
            chat = load_chat_model(ModelSettings(chat="stub", base_url=endpoint.url))
            with pytest.raises(ModelError, match="Incorrect API key") as caught:
                chat.reply(Prompt("test", "Be brief.", "Well?"), UsageMeter())
        assert KEY not in "".join(traceback.format_exception(caught.value))

    def test_a_variable_of_any_name_is_kept_secret_if_it_is_the_one_in_use(
        self, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setenv("MY_MODEL_PASS", "open-sesame-99")
        with FaultyEndpoint([Fault("401"), Fault("echo")]) as endpoint:
            chat = load_chat_model(ModelSettings(chat="stub", base_url=endpoint.url, api_key_env="MY_MODEL_PASS"))
            with pytest.raises(ModelError, match="environment variable MY_MODEL_PASS") as caught:
                chat.reply(Prompt("test", "Be brief.", "Well?"), UsageMeter())
            said = chat.reply(Prompt("test", "Be brief.", "Well?"), UsageMeter()).text
        assert endpoint.requests[0].headers["authorization"] == "Bearer open-sesame-99"
        assert said == f"You sent Bearer {MASK}."
        assert "sesame" not in str(caught.value)

    @pytest.mark.parametrize(
        ("name", "value"),
        [
            ("models.api_key_env", KEY),
            ("models.api_key_env", "gsk_abcdef123"),
            ("models.base_url", f"http://me:{KEY}@h/v1"),
        ],
    )
    def test_a_key_in_the_wrong_setting_is_refused_and_not_repeated(self, name: str, value: str) -> None:
        with pytest.raises(ConfigError, match=rf"the setting {name} is wrong") as caught:
            load_settings(None, {name: value})
        assert value not in str(caught.value)
        assert KEY not in str(caught.value)

    def test_an_at_sign_in_the_path_is_no_password(self) -> None:
        settings, _ = load_settings(None, {"models.base_url": "http://h/@me/v1"})
        assert settings.models.base_url == "http://h/@me/v1"


class TestRedacting:
    def test_values_of_what_looks_like_a_secret_are_masked(self, monkeypatch: pytest.MonkeyPatch) -> None:
        for name in ("HF_TOKEN", "ANTHROPIC_API_KEY", "db_password", "AWS_SECRET"):
            monkeypatch.setenv(name, f"value-of-{name}")
        told = "value-of-HF_TOKEN, value-of-ANTHROPIC_API_KEY value-of-db_password|value-of-AWS_SECRET"
        assert redacted(told) == f"{MASK}, {MASK} {MASK}|{MASK}"

    def test_words_that_local_servers_take_for_a_key_stay(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setenv("OPENAI_API_KEY", "none")
        monkeypatch.setenv("HOME_TOWN", "Tarnwick upon Ouse")
        assert redacted("none of Tarnwick upon Ouse") == "none of Tarnwick upon Ouse"

    def test_of_two_keys_that_begin_alike_no_rest_is_left(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setenv("A_KEY", "12345678")
        monkeypatch.setenv("B_KEY", "12345678-and-more")
        assert redacted("12345678-and-more") == MASK
