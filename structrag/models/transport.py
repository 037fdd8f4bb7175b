"""The HTTP client of endpoints: a reply ends in time and in bounds, however it comes in."""

from __future__ import annotations

import atexit
import time
from collections.abc import Iterator
from functools import cache

import httpx

from structrag.models.replies import OversizeError

_CONNECT_SECONDS = 10.0
"""A server that is there takes the connection at once, however long it then thinks."""
MOST_BYTES = 4_000_000
"""Of one response: a thousand times what replies have, log-likelihoods included."""
_STARTED = "structrag.started"


class _Bounded(httpx.SyncByteStream):
    """Passes a body on until time or size run out: the client's own time-outs begin anew with each byte."""

    def __init__(self, stream: httpx.SyncByteStream, deadline: float) -> None:
        self._stream = stream
        self._deadline = deadline

    def __iter__(self) -> Iterator[bytes]:
        received = 0
        for part in self._stream:
            received += len(part)
            if received > MOST_BYTES:
                raise OversizeError(f"It sent more than {MOST_BYTES // 1_000_000} MB.")
            if time.monotonic() > self._deadline:
                raise httpx.ReadTimeout("The reply came too slowly.")
            yield part

    def close(self) -> None:
        self._stream.close()


@cache
def bounded_client(seconds: float) -> httpx.Client:
    """Return the client of this process that gives a request so many seconds in all, and the response a size.

    Bodies that are too slow raise ``httpx.ReadTimeout``, too large ones `OversizeError`.
    """

    def begin(request: httpx.Request) -> None:
        request.extensions[_STARTED] = time.monotonic()

    def bound(response: httpx.Response) -> None:
        if isinstance(response.stream, httpx.SyncByteStream):
            response.stream = _Bounded(response.stream, response.request.extensions[_STARTED] + seconds)

    # Hooks and not a transport: with one of our own, proxies of the environment would not be used.
    client = httpx.Client(
        timeout=time_outs(seconds), follow_redirects=True, event_hooks={"request": [begin], "response": [bound]}
    )
    atexit.register(client.close)
    return client


def time_outs(seconds: float) -> tuple[float, float, float, float]:
    """Return how long to wait for a connection, the next bytes, writing them, and a free connection: httpx's order."""
    return (min(seconds, _CONNECT_SECONDS), seconds, seconds, seconds)
