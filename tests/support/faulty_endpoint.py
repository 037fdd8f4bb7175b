"""An endpoint on the loopback that speaks the OpenAI chat protocol and misbehaves on command.

It stands with the tests, not in `structrag.testing`: it checks what the model layer does with the wire, which is not the
business of those who use the package; they script the model. `bench/soak_endpoints.py` takes it from here.
"""

from __future__ import annotations

import json
import socket
import struct
import threading
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, replace
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, Self

LARGE = 10_000_000
"""Characters of the large reply."""
FOUR = '{"n": 4}'
"""What is answered where a test does not care."""


@dataclass(frozen=True, slots=True)
class Request:
    """One request as it came: the body and the headers, whose names are in lower case."""

    body: dict[str, Any]
    headers: Mapping[str, str]

    @property
    def text(self) -> str:
        """All that the model was sent, as one text."""
        return "\n".join(str(message["content"]) for message in self.body["messages"])

    @property
    def streams(self) -> bool:
        """Whether the reply is to come in pieces."""
        return bool(self.body.get("stream"))


@dataclass(frozen=True, slots=True)
class Fault:
    """What to do instead of answering.

    Attributes:
        name: One of `FAULTS`.
        after: Seconds, or a date, for the header ``Retry-After``; empty for none.
    """

    name: str
    after: str = ""


class FaultyEndpoint:
    """A server that answers as a function of the request says, but for the faults that it is told to make.

    Args:
        faults: One entry for each request, in order; ``None``, and all after the last, are answered. A function is asked
            for each request instead.
        answer: Makes the content of a good reply.
    """

    def __init__(
        self,
        faults: Iterable[Fault | None] | Callable[[Request], Fault | None] = (),
        answer: Callable[[Request], str] = lambda request: FOUR,
    ) -> None:
        listed = None if callable(faults) else iter(faults)
        self._fault = faults if callable(faults) else lambda request: next(listed or iter(()), None)
        self._answer = answer
        self._lock = threading.Lock()
        self.closing = threading.Event()
        self.requests: list[Request] = []
        self._server = _Server(("127.0.0.1", 0), _Handler)
        self._server.endpoint = self
        self.url = f"http://127.0.0.1:{self._server.server_address[1]}/v1"

    def __enter__(self) -> Self:
        threading.Thread(target=self._server.serve_forever, args=(0.01,), daemon=True).start()
        return self

    def __exit__(self, *_: object) -> None:
        self.closing.set()
        self._server.shutdown()
        self._server.server_close()

    def take(self, request: Request) -> Fault | None:
        """Note a request and return what goes wrong with it."""
        with self._lock:
            self.requests.append(request)
            return self._fault(request)

    def completion(self, request: Request) -> bytes:
        """Return the body of a good reply."""
        content = self._answer(request)
        ranked = [{"token": content, "logprob": -0.05, "bytes": None}]
        logprobs = {"content": [{**ranked[0], "top_logprobs": ranked}], "refusal": None}
        whole = completion(content, logprobs=logprobs if request.body.get("logprobs") else None)
        return streamed(whole, request) if request.streams else whole


class _Server(ThreadingHTTPServer):
    daemon_threads = True
    request_queue_size = 256
    endpoint: FaultyEndpoint

    def handle_error(self, request: object, client_address: object) -> None:
        """Say nothing of clients that hung up: some faults are about them."""


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    # Without it, headers and body go in two packets, and the second waits for the first to be acknowledged.
    wbufsize = -1
    disable_nagle_algorithm = True
    server: _Server

    def do_POST(self) -> None:
        body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        request = Request(body, {name.lower(): value for name, value in self.headers.items()})
        fault = self.server.endpoint.take(request)
        if fault is None:
            self.send(200, self.server.endpoint.completion(request))
        else:
            {**FAULTS, **STREAM_FAULTS}[fault.name](self, request, fault)

    def send(self, status: int, body: bytes, **headers: str) -> None:
        """Send one whole response."""
        self.send_response(status)
        for name, value in {"Content-Type": "application/json", "Content-Length": str(len(body)), **headers}.items():
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(body)
        self.wfile.flush()

    def begin(self, length: int | None) -> None:
        """Send the headers of a body that is so many bytes long, or ends with the connection, which ends in any case."""
        self.close_connection = True
        self.send_response(200)
        self.send_header("Content-Type", "application/json")
        if length is None:
            self.send_header("Connection", "close")
        else:
            self.send_header("Content-Length", str(length))
        self.end_headers()
        self.wfile.flush()

    def send_half(self, request: Request) -> None:
        """Send the first half of a reply's pieces, and do not say that it ends there."""
        pieces = self.server.endpoint.completion(request).split(b"\n\n")
        self.begin(None)
        self.wfile.write(b"\n\n".join([*pieces[: len(pieces) // 2], b""]))
        self.wfile.flush()

    def log_message(self, *_: object) -> None:
        """Keep quiet."""


def completion(content: str | None, *, finish: str = "stop", logprobs: Any = None, **message: Any) -> bytes:
    """Return the body of a chat completion."""
    told = {"role": "assistant", "content": content, **message}
    choice = {"index": 0, "finish_reason": finish, "message": told, "logprobs": logprobs}
    usage = {"prompt_tokens": 11, "completion_tokens": 2, "total_tokens": 13}
    head = {"id": "1", "object": "chat.completion", "created": 0, "model": "stub"}
    return json.dumps({**head, "choices": [choice], "usage": usage}).encode()


def streamed(whole: bytes, request: Request) -> bytes:
    """Return a chat completion as the events of a stream: three characters at a time, or 100 pieces of a long text."""
    body = json.loads(whole)
    (choice,) = body["choices"]
    text, refusal = choice["message"]["content"] or "", choice["message"].get("refusal")
    size = max(3, len(text) // 100)
    deltas = [{"content": text[start : start + size]} for start in range(0, len(text), size)]
    deltas = [{"role": "assistant", "content": ""}, *deltas, *([{"refusal": refusal}] if refusal else [])]
    head = {"id": "1", "object": "chat.completion.chunk", "created": 0, "model": "stub"}
    told = [{**head, "choices": [{"index": 0, "delta": delta, "finish_reason": None}]} for delta in deltas]
    told += [{**head, "choices": [{"index": 0, "delta": {}, "finish_reason": choice["finish_reason"]}]}]
    if request.body.get("stream_options", {}).get("include_usage"):
        told += [{**head, "choices": [], "usage": body["usage"]}]
    return "".join(f"data: {line}\n\n" for line in [*map(json.dumps, told), "[DONE]"]).encode()


_Do = Callable[[_Handler, Request, Fault], None]


def _status(status: int, message: str, code: str | None = None) -> _Do:
    def do(handler: _Handler, request: Request, fault: Fault) -> None:
        told = message.format(key=request.headers.get("authorization", ""), model=request.body["model"])
        headers = {"Retry-After": fault.after} if fault.after else {}
        handler.send(status, json.dumps({"error": {"message": told, "code": code}}).encode(), **headers)

    return do


def _body(body: bytes) -> _Do:
    return lambda handler, request, fault: handler.send(200, body)


def _reply(whole: bytes) -> _Do:
    def do(handler: _Handler, request: Request, fault: Fault) -> None:
        handler.send(200, streamed(whole, request) if request.streams else whole)

    return do


def _reset(handler: _Handler, request: Request, fault: Fault) -> None:
    # Closing with no time to linger sends a reset.
    handler.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    handler.close_connection = True
    handler.connection.close()


def _hang(handler: _Handler, request: Request, fault: Fault) -> None:
    handler.close_connection = True
    handler.server.endpoint.closing.wait()


def _drip(handler: _Handler, request: Request, fault: Fault) -> None:
    body = handler.server.endpoint.completion(request)
    handler.begin(len(body))
    for byte in body:
        if handler.server.endpoint.closing.wait(0.05):
            return
        handler.wfile.write(bytes([byte]))
        handler.wfile.flush()


def _truncated(handler: _Handler, request: Request, fault: Fault) -> None:
    body = handler.server.endpoint.completion(request)
    handler.begin(len(body))
    handler.wfile.write(body[: len(body) // 2])
    handler.wfile.flush()


def _echo(handler: _Handler, request: Request, fault: Fault) -> None:
    _reply(completion(f"You sent {request.headers['authorization']}."))(handler, request, fault)


def _reset_midway(handler: _Handler, request: Request, fault: Fault) -> None:
    handler.send_half(request)
    _reset(handler, request, fault)


def _cut_midway(handler: _Handler, request: Request, fault: Fault) -> None:
    handler.send_half(request)


def _torn_midway(handler: _Handler, request: Request, fault: Fault) -> None:
    handler.send_half(request)
    handler.wfile.write(b'data: {"id": "1", "choi')


def _error_midway(handler: _Handler, request: Request, fault: Fault) -> None:
    handler.send_half(request)
    handler.wfile.write(b'data: {"error": {"code": 503, "message": "Overloaded.", "type": "server_error"}}\n\n')


def _hang_midway(handler: _Handler, request: Request, fault: Fault) -> None:
    handler.send_half(request)
    _hang(handler, request, fault)


def _no_stream(handler: _Handler, request: Request, fault: Fault) -> None:
    if request.streams:
        _status(400, "Unknown field: stream_options.")(handler, request, fault)
    else:
        handler.send(200, handler.server.endpoint.completion(request))


def _whole(handler: _Handler, request: Request, fault: Fault) -> None:
    handler.send(200, handler.server.endpoint.completion(replace(request, body={**request.body, "stream": False})))


def _endless(handler: _Handler, request: Request, fault: Fault) -> None:
    # Pieces of the reply, over and over: it never ends, and each is in time.
    events = handler.server.endpoint.completion(request).split(b"\n\n")
    pieces = b"\n\n".join([*events[1:3], b""])
    handler.begin(None)
    while not handler.server.endpoint.closing.wait(0.01):
        handler.wfile.write(pieces)
        handler.wfile.flush()


FAULTS: dict[str, _Do] = {
    "429": _status(429, "Rate limit reached."),
    "quota": _status(429, "You exceeded your current quota.", "insufficient_quota"),
    "500": _status(500, "Internal error."),
    "503": _status(503, "Overloaded."),
    "401": _status(401, "Incorrect API key provided: {key}.", "invalid_api_key"),
    "404": _status(404, "The model {model} does not exist.", "model_not_found"),
    "too long": _status(400, "This model's maximum context length is 4096 tokens.", "context_length_exceeded"),
    "reset": _reset,
    "hang": _hang,
    "drip": _drip,
    "truncated": _truncated,
    "malformed": _body(b'{"choices": [{"message": '),
    "no completion": _body(b"<html>Welcome to the hotel's network</html>"),
    "wrong schema": _reply(completion('{"n": "four"}')),
    "empty": _reply(completion("")),
    "refusal": _reply(completion(None, refusal="I cannot help with that.")),
    "filtered": _reply(completion("", finish="content_filter")),
    "fence": _reply(completion(f"```json\n{FOUR}\n```")),
    "duplicate": _reply(completion('{"n": 3, "n": 4}')),
    "nested": _reply(completion("[" * 100_000)),
    "digits": _reply(completion(f'{{"n": {"9" * 5000}}}')),
    "surrogate": _reply(completion('{"n": 4, "text": "\\ud800"}')),
    "large": _reply(completion("x" * LARGE)),
    "echo": _echo,
}
"""What an endpoint can do wrong, by name."""

STREAM_FAULTS: dict[str, _Do] = {
    "reset midway": _reset_midway,
    "cut midway": _cut_midway,
    "torn midway": _torn_midway,
    "error midway": _error_midway,
    "hang midway": _hang_midway,
    "endless": _endless,
    "no stream": _no_stream,
    "whole": _whole,
}
"""What it can do wrong with a reply that it is to send in pieces."""

PASSING = frozenset({"429", "500", "503", "reset", "hang", "drip", "truncated"})
"""Faults that may be gone at the next try."""
