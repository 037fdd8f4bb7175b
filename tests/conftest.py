"""What all tests share: nothing outside steers them, and stand-ins on the loopback take the network's place."""

import os
import socket
import struct
import threading
from collections.abc import Callable, Iterator, Mapping
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import hypothesis
import pytest

from structrag.models.embedding import SentenceTransformerEmbedder

# The model cache alone may come from outside, so that a gigabyte need not be assembled anew for the tests.
for _name in [name for name in os.environ if name.startswith("STRUCTRAG_") and name != "STRUCTRAG_MODELS__CACHE"]:
    del os.environ[_name]
os.environ["HF_HUB_OFFLINE"] = "1"
os.environ["ANONYMIZED_TELEMETRY"] = "False"

# An example's first call may import a heavy package, and the machine may be busy: time says nothing here.
hypothesis.settings.register_profile("structrag", deadline=None)
hypothesis.settings.load_profile("structrag")

HttpReply = tuple[int, bytes, Mapping[str, str]]
"""Status, body, headers."""
StartServer = Callable[[Callable[[str, Mapping[str, str], bytes], HttpReply | None]], str]
MakeFolder = Callable[[Mapping[str, str]], Path]


class _QuietServer(ThreadingHTTPServer):
    def handle_error(self, request: object, client_address: object) -> None:
        """Say nothing of clients that hung up: some tests are about them."""


@pytest.fixture(scope="session")
def embedder() -> SentenceTransformerEmbedder:
    """The real embedder, loaded once."""
    return SentenceTransformerEmbedder()


@pytest.fixture
def make_folder(tmp_path: Path) -> MakeFolder:
    """Write a folder of small documents, given as texts by file name."""

    def make(texts: Mapping[str, str]) -> Path:
        folder = tmp_path / "documents"
        for name, text in texts.items():
            path = folder / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text, encoding="utf-8")
        return folder

    return make


@pytest.fixture
def start_server() -> Iterator[StartServer]:
    """Start HTTP servers on the loopback whose replies a function of path, lower-case headers and body makes.

    ``None`` for a reply resets the connection.
    """
    servers: list[ThreadingHTTPServer] = []

    def start(answer: Callable[[str, Mapping[str, str], bytes], HttpReply | None]) -> str:
        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
                headers = {name.lower(): value for name, value in self.headers.items()}
                reply = answer(self.path, headers, body)
                if reply is None:
                    # Closing with no time to linger sends a reset.
                    self.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
                    self.connection.close()
                    return
                status, content, sent = reply
                self.send_response(status)
                for name, value in {"Content-Length": str(len(content)), **sent}.items():
                    self.send_header(name, value)
                self.end_headers()
                self.wfile.write(content)

            do_POST = do_GET

            def log_message(self, *_: object) -> None:
                """Keep quiet."""

        server = _QuietServer(("127.0.0.1", 0), Handler)
        servers.append(server)
        threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True).start()
        return f"http://127.0.0.1:{server.server_address[1]}"

    yield start
    for server in servers:
        server.shutdown()
        server.server_close()
