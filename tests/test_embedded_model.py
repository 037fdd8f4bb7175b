"""The embedded chat model, for real."""

import math
import os
import socket
import subprocess
import sys
import threading
import time
from pathlib import Path
from urllib.parse import urlsplit

import httpx
import pytest

from structrag.config import load_settings
from structrag.errors import ModelError, ModelOutputError
from structrag.models import server
from structrag.models.chat import ChatModel, Prompt
from structrag.models.llama import SLOTS
from structrag.models.loading import load_chat_model
from structrag.models.server import serve
from structrag.models.weights import ensure_weights
from structrag.usage import UsageMeter

pytestmark = pytest.mark.model


@pytest.fixture(scope="module")
def base_url() -> str:
    settings, _ = load_settings()
    return serve(ensure_weights(settings.models.cache, source=settings.models.weights))


@pytest.fixture(scope="module")
def chat() -> ChatModel:
    settings, _ = load_settings()
    return load_chat_model(settings.models)


def test_the_server_starts_once_per_process(base_url: str, chat: ChatModel) -> None:
    settings, _ = load_settings()
    chat.reply(Prompt("test", "Be brief.", "Say yes.", max_tokens=1), UsageMeter())
    assert serve(ensure_weights(settings.models.cache)) == base_url


def test_the_server_listens_on_the_loopback_alone(base_url: str) -> None:
    address = urlsplit(base_url)
    assert address.hostname == "127.0.0.1"
    assert address.port
    with socket.socket() as same, pytest.raises(OSError, match="in use"):
        same.bind(("127.0.0.1", address.port))
    if sys.platform != "linux":
        return  # other systems have no second loopback address
    with socket.socket() as other:  # would be in use too if the server listened on every address
        other.bind(("127.0.0.2", address.port))


def test_the_server_offers_no_page_for_browsers(base_url: str) -> None:
    assert "<html" not in httpx.get(base_url.removesuffix("/v1"), timeout=30).text.lower()


@pytest.mark.slow  # tests/test_end_to_end_model.py rests on replies that follow their schema
def test_a_reply_follows_its_schema(chat: ChatModel) -> None:
    meter = UsageMeter()
    schema = {
        "type": "object",
        "properties": {
            "colour": {"enum": ["red", "green", "blue"]},
            "wheels": {"type": "integer", "minimum": 0, "maximum": 9},
        },
        "required": ["colour", "wheels"],
        "additionalProperties": False,
    }
    prompt = Prompt("test", "Extract what the text says.", "The old car is green and has four wheels.", schema)
    assert chat.reply(prompt, meter).data == {"colour": "green", "wheels": 4}
    usage = meter.snapshot()
    assert usage.calls == 1
    assert usage.prompt_tokens > 10
    assert 5 < usage.completion_tokens < 60


@pytest.mark.slow  # tests/test_chat_model.py has a reply that is cut off by another server
def test_a_reply_that_does_not_end_is_cut_off_and_said_so(chat: ChatModel) -> None:
    schema = {"type": "array", "items": {"type": "string"}, "minItems": 50}
    prompt = Prompt("test.list", "Reply in JSON.", "Name fifty rivers.", schema, max_tokens=12)
    with pytest.raises(ModelOutputError, match=r"The reply to test\.list was cut off at 12 tokens"):
        chat.reply(prompt, UsageMeter())


@pytest.mark.slow  # tests/test_chat_model.py has parallel replies of another server
def test_parallel_replies_are_those_of_their_prompts(chat: ChatModel) -> None:
    schema = {"type": "object", "properties": {"n": {"type": "integer"}}, "required": ["n"]}
    numbers = [17, 42, 58, 63, 71, 96]
    assert len(numbers) > SLOTS
    prompts = [Prompt("test", "Copy the number of boats.", f"There are {n} boats.", schema, 20) for n in numbers]
    replies = chat.reply_many(prompts, UsageMeter())
    assert [reply if isinstance(reply, ModelOutputError) else reply.data for reply in replies] == [
        {"n": n} for n in numbers
    ]


def test_a_prompt_longer_than_the_context_is_refused(chat: ChatModel) -> None:
    with pytest.raises(ModelError, match="context"):
        chat.reply(Prompt("test", "Be brief.", "word " * 6000), UsageMeter())


def test_choosing_reads_the_likely_next_word(chat: ChatModel) -> None:
    meter = UsageMeter()
    prompt = Prompt("test", "Reply with one word: bird, fish or tree.", "What is an oak?", max_tokens=1)
    shares = chat.choose(prompt, ["bird", "fish", "tree"], meter)
    assert math.fsum(shares.values()) == pytest.approx(1)
    assert max(shares, key=lambda option: shares[option]) == "tree"
    assert meter.snapshot().completion_tokens == 1


def test_other_threads_go_on_while_weights_are_loaded_and_one_that_died_is_started_anew(tmp_path: Path) -> None:
    settings, _ = load_settings()
    # By another name it is another server: tests share the one of the usual name.
    weights = tmp_path / "weights.gguf"
    weights.symlink_to(ensure_weights(settings.models.cache, source=settings.models.weights))
    before = serve(weights)
    server._servers[weights][0].kill()
    server._servers[weights][0].wait()
    gaps, is_loaded = [0.0], threading.Event()

    def watch() -> None:
        last = time.monotonic()
        while not is_loaded.wait(0.01):
            gaps.append(time.monotonic() - last)
            last = time.monotonic()

    watcher = threading.Thread(target=watch)
    watcher.start()
    try:
        after = serve(weights)
    finally:
        is_loaded.set()
        watcher.join()
    assert after != before
    assert len(gaps) > 10  # one, if the loading held the interpreter
    assert httpx.get(after.replace("/v1", "/health"), timeout=30).status_code == 200
    server._stop(server._servers.pop(weights)[0])


def test_a_server_ends_with_the_process_that_started_it(tmp_path: Path) -> None:
    settings, _ = load_settings()
    weights = ensure_weights(settings.models.cache, source=settings.models.weights)
    script = f"""
import os
from pathlib import Path
from structrag.models.server import _servers, serve
serve(Path({str(weights)!r}))
print(_servers.popitem()[1][0].pid, flush=True)
os.kill(os.getpid(), 9)
"""
    done = subprocess.run(
        [sys.executable, "-c", script], cwd=tmp_path, stdout=subprocess.PIPE, timeout=300, check=False
    )
    pid = int(done.stdout)
    for _ in range(300):
        if not is_alive(pid):
            return
        time.sleep(0.1)
    raise AssertionError("The server is still there.")


def is_alive(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    stat = Path(f"/proc/{pid}/stat")
    # One that nobody has waited for yet has ended all the same.
    return not stat.exists() or " Z " not in stat.read_text(encoding="ascii")


def test_a_file_that_is_no_model_is_an_error_that_says_so(tmp_path: Path) -> None:
    path = tmp_path / "weights.gguf"
    path.write_bytes(b"no model")
    with pytest.raises(ModelError, match=r"llama\.cpp cannot load .*weights\.gguf"):
        serve(path)
