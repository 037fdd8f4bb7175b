"""What the user is told of each fault of an endpoint, whether its replies come whole or in pieces."""

from __future__ import annotations

from dataclasses import dataclass, replace

from faulty_endpoint import Fault

from structrag.errors import ModelError, ModelOutputError, TransientModelError
from structrag.models.chat import Prompt

SCHEMA = {"type": "object", "properties": {"n": {"type": "integer"}, "text": {"type": "string"}}, "required": ["n"]}
STRICT = Prompt("test", "Be brief.", "What is two and two?", schema=SCHEMA)
FREE = replace(STRICT, schema=None)


@dataclass(frozen=True)
class Seen:
    """What a fault that never ends looks like: the error, words of its message and of its hint, requests made."""

    error: type[ModelError]
    message: str
    hint: str
    requests: int


_PASSING = 3  # the first one and two repetitions
_ASKED_AGAIN = 2
_FORM = "Ask in other words, or use a larger model."
CASES: dict[str, Seen] = {
    "429": Seen(TransientModelError, "did not answer: Error code: 429", "lower `models.concurrency`", _PASSING),
    "quota": Seen(ModelError, "exceeded your current quota", "no credit left", 1),
    "500": Seen(TransientModelError, "did not answer: Error code: 500", "server is running", _PASSING),
    "503": Seen(TransientModelError, "did not answer: Error code: 503", "server is running", _PASSING),
    "401": Seen(ModelError, "Incorrect API key", "valid one into the environment variable OPENAI_API_KEY", 1),
    "404": Seen(ModelError, "The model stub does not exist", "Check the model's name, `models.chat`", 1),
    "too long": Seen(ModelError, "maximum context length", "fewer or shorter documents with --scope", 1),
    "reset": Seen(TransientModelError, "did not answer: Connection error", "server is running", _PASSING),
    "hang": Seen(
        TransientModelError, "did not answer: Request timed out", "wait longer with `models.timeout`", _PASSING
    ),
    "drip": Seen(
        TransientModelError, "did not answer: Request timed out", "wait longer with `models.timeout`", _PASSING
    ),
    "truncated": Seen(TransientModelError, "did not answer: Connection error", "server is running", _PASSING),
    "malformed": Seen(ModelOutputError, "sent is no chat completion: Expecting value", "`models.base_url`", 1),
    "no completion": Seen(ModelOutputError, "sent is no chat completion", "`models.base_url`", 1),
    "wrong schema": Seen(ModelOutputError, "'four' is not of type 'integer'", _FORM, _ASKED_AGAIN),
    "empty": Seen(ModelOutputError, "is not JSON", _FORM, _ASKED_AGAIN),
    "refusal": Seen(ModelOutputError, "refused to reply to test: I cannot help", "in other words", 1),
    "filtered": Seen(ModelOutputError, "refused to reply to test.", "in other words", 1),
    "duplicate": Seen(ModelOutputError, "the key 'n' stands there twice", _FORM, _ASKED_AGAIN),
    "nested": Seen(ModelOutputError, "longer than the 256 tokens", "`max_tokens`", 1),
    "digits": Seen(ModelOutputError, "Exceeds the limit", _FORM, _ASKED_AGAIN),
    "surrogate": Seen(ModelOutputError, "half a character", _FORM, _ASKED_AGAIN),
    "large": Seen(ModelOutputError, "sent more than 4 MB", "`models.base_url`", 1),
    "echo": Seen(ModelOutputError, "is not JSON", _FORM, _ASKED_AGAIN),
}
HARMLESS = {"fence"}
SLOW = {"hang", "drip"}


def always(name: str) -> list[Fault | None]:
    return [Fault(name)] * 20
