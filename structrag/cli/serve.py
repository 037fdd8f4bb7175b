"""The command that shows the terminal UI in a browser: serve."""

from __future__ import annotations

import ipaddress
import os
import shlex
import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path
from typing import Annotated
from urllib.parse import urlsplit

import typer

from structrag.cli.invocation import CorpusOption, Invocation
from structrag.cli.text import narrate
from structrag.errors import ConfigError, MissingExtraError

LOOPBACK = "127.0.0.1"
PORT = 8000
_PACKAGE = "textual_serve"
_HTTP_PORT = 80
_USUAL_PORTS = {"http": _HTTP_PORT, "https": 443}
"""Left out of origins by browsers."""
_LAST_PORT = 65535


def serve(
    ctx: typer.Context,
    host: Annotated[
        str,
        typer.Option("--host", metavar="ADDRESS", help="Where to listen; by default only this machine can connect."),
    ] = LOOPBACK,
    port: Annotated[int, typer.Option("--port", min=1, max=65535, help="The port to listen on.")] = PORT,
    public_url: Annotated[
        str | None,
        typer.Option(
            "--public-url",
            metavar="URL",
            show_default=False,
            help="How browsers reach it, such as https://example.org behind a proxy; by default http://HOST:PORT.",
        ),
    ] = None,
    corpus: CorpusOption = None,
) -> None:
    """Show the terminal UI in a browser, until Ctrl+C.

    Each browser tab gets a terminal UI of its own over the corpus. There is no password: whoever can connect can
    read the documents and have the model work.
    """
    if find_spec(_PACKAGE) is None:
        raise MissingExtraError(_PACKAGE, extra="serve", purpose="Showing the terminal UI in a browser")
    public_host = _public_host(public_url) if public_url else LOOPBACK
    if not (is_loopback(host) and is_loopback(public_host)):
        reached = public_host if is_loopback(host) else host
        narrate(
            f"WARNING: {reached} can be reached from other machines. Whoever connects can read all documents of this "
            "corpus, add files of this machine to it, and use the model at your cost. There is no password, and "
            "nothing is encrypted. Stop it with Ctrl+C unless you trust the whole network."
        )
    if is_wildcard(host) and public_url is None:
        raise ConfigError(
            f"Browsers cannot be sent to {host}: it stands for all addresses of this machine.",
            hint=f"Say how they reach it: --public-url http://NAME-OF-THIS-MACHINE:{port}",
        )
    folder = Invocation.of(ctx).folder(corpus)
    url = public_url.rstrip("/") if public_url else _url(host, port)
    narrate(f"The terminal UI of {folder} is at {url}")
    _serve(command(folder), host, port, url)


def _serve(started: str, host: str, port: int, url: str) -> None:
    from aiohttp import web
    from textual_serve.server import Server

    allowed = allowed_origins(host, port, url)

    class SameOriginServer(Server):
        """Refuses other web sites: a browser lets any page open a web socket to this machine."""

        async def handle_websocket(self, request: web.Request) -> web.WebSocketResponse:
            """Connect a browser to a terminal UI of its own."""
            origin = request.headers.get("Origin")
            if origin is not None and origin not in allowed:
                raise web.HTTPForbidden(text=f"Pages of {origin} may not use this terminal UI.")
            response: web.WebSocketResponse = await super().handle_websocket(request)
            return response

    try:
        SameOriginServer(started, host=host, port=port, title="StructRAG", public_url=url).serve()
    except OSError as error:
        raise ConfigError(
            f"Nothing can listen at {host}, port {port}: {error.strerror or error}.",
            hint=f"If another program listens there, choose another port: --port {port % _LAST_PORT + 1}",
        ) from error


def allowed_origins(host: str, port: int, url: str) -> frozenset[str]:
    """Return the origins of pages that may connect: that of the URL and, on loopback, this machine by its names."""
    own = {_origin(url)}
    if is_loopback(host):
        own |= {_url(name, port) for name in ("localhost", LOOPBACK, "::1")}
    return frozenset(own)


def _origin(url: str) -> str:
    """Return the origin of a URL as browsers write it: in lower case, without a port that goes without saying."""
    parts = urlsplit(url)
    name = parts.hostname or ""
    name = f"[{name}]" if ":" in name else name
    is_usual = parts.port in (None, _USUAL_PORTS.get(parts.scheme))
    return f"{parts.scheme}://{name}" if is_usual else f"{parts.scheme}://{name}:{parts.port}"


def _public_host(url: str) -> str:
    """Return the host of a URL that browsers are sent to.

    Raises:
        ConfigError: It is none of http or https, or names no host.
    """
    try:
        parts = urlsplit(url)
        host = parts.hostname if parts.port != 0 else None
    except ValueError:
        host = None
    if not host or parts.scheme not in _USUAL_PORTS:
        raise ConfigError(f"{url!r} is no URL that browsers can be sent to.", hint="Such as https://example.org")
    return host


def _url(host: str, port: int) -> str:
    name = f"[{host}]" if ":" in host else host
    return f"http://{name}" if port == _HTTP_PORT else f"http://{name}:{port}"


def command(folder: Path) -> str:
    """Return the shell command that starts the terminal UI over a corpus folder."""
    words = [sys.executable, "-m", "structrag", "--corpus", str(folder.expanduser().absolute())]
    return subprocess.list2cmdline(words) if os.name == "nt" else shlex.join(words)


def is_loopback(host: str) -> bool:
    """Return whether only this machine can connect to an address; an unknown name counts as one that others reach."""
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


def is_wildcard(host: str) -> bool:
    """Return whether an address stands for all addresses of this machine."""
    try:
        return ipaddress.ip_address(host).is_unspecified
    except ValueError:
        return not host
