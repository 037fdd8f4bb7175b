"""The embedded chat model, for real."""

import math
import socket
import sys
from urllib.parse import urlsplit

import httpx
import pytest

from structrag.config import load_settings
from structrag.errors import ModelError, ModelOutputError
from structrag.models.chat import ChatModel, Prompt
from structrag.models.loading import load_chat_model
from structrag.models.server import SLOTS, serve
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
