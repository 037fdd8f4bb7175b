"""A loopback proxy before the chat endpoint that counts what each tool spends, so that all are counted alike.

Each tool is given a base URL of its own: ``http://127.0.0.1:PORT/TOOL/v1``.
"""

from __future__ import annotations

import http.client
import json
import socket
import threading
import time
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import asdict, dataclass, fields
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, Self
from urllib.parse import urlsplit

_LIMITS = ("max_tokens", "max_completion_tokens", "n_predict")
_LONGEST_END = 10.0
"""Seconds to wait for calls that were broken off."""


@dataclass(frozen=True, slots=True)
class Spent:
    """What calls came to.

    Attributes:
        calls: Requests for a reply.
        failed: Those that the endpoint refused or broke off.
        cut_off: Those that were under way when their tool was stopped: what they read and wrote is not known.
        prompt_tokens: As the endpoint counts them, those it had in its cache included.
        model_seconds: Wall time of the calls, added up; several at once count several times.
    """

    calls: int = 0
    failed: int = 0
    cut_off: int = 0
    prompt_tokens: int = 0
    completion_tokens: int = 0
    model_seconds: float = 0.0

    @property
    def tokens(self) -> int:
        """Read and written together."""
        return self.prompt_tokens + self.completion_tokens

    def __add__(self, other: Spent) -> Spent:
        return Spent(*(getattr(self, f.name) + getattr(other, f.name) for f in fields(self)))

    def __sub__(self, other: Spent) -> Spent:
        return Spent(*(getattr(self, f.name) - getattr(other, f.name) for f in fields(self)))

    def to_dict(self) -> dict[str, Any]:
        """Return the JSON form."""
        return asdict(self) | {"model_seconds": round(self.model_seconds, 1)}


class CountingProxy:
    """Forwards to an OpenAI-compatible endpoint and adds up its ``usage``, for each tool by itself.

    Args:
        endpoint: Base URL, such as ``http://127.0.0.1:8077/v1``.
        limits: Put into requests that say nothing about the same, such as ``{"temperature": 0, "max_tokens": 1024}``;
            ``max_tokens`` is not put beside another limit of the reply.
    """

    def __init__(self, endpoint: str, limits: Mapping[str, Any] | None = None) -> None:
        parts = urlsplit(endpoint)
        self.host, self.port = parts.hostname or "127.0.0.1", parts.port or 80
        self.base = parts.path.rstrip("/")
        self.limits = dict(limits or {})
        self._changed = threading.Condition()
        self._spent: dict[str, Spent] = {}
        self._open: dict[str, set[http.client.HTTPConnection]] = {}
        self._cut: set[http.client.HTTPConnection] = set()
        self._server = ThreadingHTTPServer(("127.0.0.1", 0), type("Handler", (_Handler,), {"proxy": self}))
        self._server.daemon_threads = True
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.05,), daemon=True)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        for tool in list(self._open):
            self.cut_off(tool)
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()

    def url(self, tool: str) -> str:
        """Return the base URL that a tool is given."""
        return f"http://127.0.0.1:{self._server.server_port}/{tool}/v1"

    def spent(self, tool: str) -> Spent:
        """Return what a tool spent since the proxy was started."""
        with self._changed:
            return self._spent.get(tool, Spent())

    def cut_off(self, tool: str) -> None:
        """Break off what a tool has under way, so that the endpoint stops working for one that was stopped."""
        with self._changed:
            under_way = set(self._open.get(tool, ()))
            self._cut |= under_way
            for connection in under_way:
                # Closing alone would not wake the thread that waits for the reply.
                with suppress(OSError):
                    connection.sock.shutdown(socket.SHUT_RDWR)
            self._changed.wait_for(lambda: not self._open.get(tool), timeout=_LONGEST_END)

    def connect(self, tool: str) -> http.client.HTTPConnection:
        """Open a connection to the endpoint for a tool's call."""
        connection = http.client.HTTPConnection(self.host, self.port, timeout=None)
        connection.connect()
        with self._changed:
            self._open.setdefault(tool, set()).add(connection)
        return connection

    def done(self, tool: str, connection: http.client.HTTPConnection, spent: Spent) -> None:
        """Count a call whose connection is no longer needed."""
        with self._changed:
            was_cut = connection in self._cut
            counted = Spent(calls=spent.calls, cut_off=spent.calls) if was_cut else spent
            self._cut.discard(connection)
            self._open[tool].discard(connection)
            self._spent[tool] = self._spent.get(tool, Spent()) + counted
            self._changed.notify_all()
        connection.close()

    def refused(self, tool: str, calls: int) -> None:
        """Count a call that the endpoint could not be asked."""
        with self._changed:
            self._spent[tool] = self._spent.get(tool, Spent()) + Spent(calls=calls, failed=calls)


class _Handler(BaseHTTPRequestHandler):
    proxy: CountingProxy
    protocol_version = "HTTP/1.1"

    def do_GET(self) -> None:
        self._forward(b"")

    def do_POST(self) -> None:
        self._forward(self.rfile.read(int(self.headers.get("Content-Length") or 0)))

    def log_message(self, format: str, *args: Any) -> None:  # noqa: A002 - the base class names it
        """Say nothing."""

    def _forward(self, body: bytes) -> None:
        tool, _, path = self.path.lstrip("/").partition("/v1")
        calls = int(path.endswith("completions"))
        body = self._with_limits(body) if calls else body
        started = time.monotonic()
        try:
            upstream = self.proxy.connect(tool)
        except OSError as error:
            self.proxy.refused(tool, calls)
            self._answer(502, "application/json", json.dumps({"error": {"message": str(error)}}).encode())
            return
        status, counted = 502, Spent()
        try:
            headers = {"Content-Type": "application/json", "Connection": "close"}
            upstream.request(self.command, self.proxy.base + path, body or None, headers)
            response = upstream.getresponse()
            status, kind, reply = response.status, response.headers.get("Content-Type", ""), response.read()
            counted = _usage(reply, kind)
        except (OSError, http.client.HTTPException) as error:
            kind, reply = "application/json", json.dumps({"error": {"message": f"broken off: {error}"}}).encode()
        seconds = time.monotonic() - started
        failed = int(status >= http.HTTPStatus.BAD_REQUEST)
        self.proxy.done(tool, upstream, counted + Spent(calls, calls * failed, model_seconds=calls * seconds))
        self._answer(status, kind, reply)

    def _with_limits(self, body: bytes) -> bytes:
        asked = json.loads(body)
        limited = any(asked.get(name) is not None for name in _LIMITS)
        for name, value in self.proxy.limits.items():
            if asked.get(name) is None and not (limited and name in _LIMITS):
                asked[name] = value
        if asked.get("stream"):
            asked["stream_options"] = {"include_usage": True}
        return json.dumps(asked).encode()

    def _answer(self, status: int, kind: str, reply: bytes) -> None:
        try:
            self.send_response(status)
            self.send_header("Content-Type", kind)
            self.send_header("Content-Length", str(len(reply)))
            self.end_headers()
            self.wfile.write(reply)
        except OSError:
            # The tool was stopped, or no longer waits for the reply; it is counted all the same.
            self.close_connection = True


def _usage(reply: bytes, kind: str) -> Spent:
    """Return the tokens that a reply says it took; of a streamed one the last that it says."""
    rows = [line[5:] for line in reply.splitlines() if line.startswith(b"data:")] if "event-stream" in kind else [reply]
    for row in reversed(rows):
        try:
            usage = json.loads(row).get("usage")
        except (ValueError, AttributeError):
            continue
        if usage:
            return Spent(
                prompt_tokens=usage.get("prompt_tokens", 0), completion_tokens=usage.get("completion_tokens", 0)
            )
    return Spent()
