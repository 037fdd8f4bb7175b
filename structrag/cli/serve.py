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
"""Left out of origins by browsers."""


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
    if not is_loopback(host):
        narrate(
            f"WARNING: {host} can be reached from other machines. Whoever connects can read all documents of this "
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

    SameOriginServer(started, host=host, port=port, title="StructRAG", public_url=url).serve()


def allowed_origins(host: str, port: int, url: str) -> frozenset[str]:
    """Return the origins of pages that may connect: that of the URL and, on loopback, this machine by its names."""
    parts = urlsplit(url)
    own = {f"{parts.scheme}://{parts.netloc}"}
    if is_loopback(host):
        own |= {_url(name, port) for name in ("localhost", LOOPBACK, "::1")}
    return frozenset(own)


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
