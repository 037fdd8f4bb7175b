"""What all tests share: nothing outside steers them, and stand-ins on the loopback take the network's place."""

import hashlib
import os
import socket
import struct
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import hypothesis
import numpy as np
import pytest
from numpy.typing import NDArray
from safetensors.numpy import save

from structrag.models.embedding import SentenceTransformerEmbedder
from structrag.router import RoutingRequest
from structrag.router.artefact import EncoderShape, PolicySettings, write_artefact
from structrag.types import StructureType

# The model cache alone may come from outside, so that a gigabyte need not be assembled anew for the tests.
for _name in [name for name in os.environ if name.startswith("STRUCTRAG_") and name != "STRUCTRAG_MODELS__CACHE"]:
    del os.environ[_name]
os.environ["HF_HUB_OFFLINE"] = "1"
# Of several processes on as many cores, each is faster with one thread for torch, and for llama.cpp, which asks for more
# than the first setting allows, than with threads that wait for each other.
if "PYTEST_XDIST_WORKER" in os.environ:
    os.environ.setdefault("OMP_NUM_THREADS", "1")
    os.environ.setdefault("OMP_THREAD_LIMIT", "1")
os.environ["ANONYMIZED_TELEMETRY"] = "False"

# An example's first call may import a heavy package, and the machine may be busy: time says nothing here.
hypothesis.settings.register_profile("structrag", deadline=None, max_examples=50)
hypothesis.settings.register_profile("thorough", deadline=None, max_examples=1000)
hypothesis.settings.load_profile("structrag")

HttpReply = tuple[int, bytes, Mapping[str, str]]
"""Status, body, headers."""
StartServer = Callable[[Callable[[str, Mapping[str, str], bytes], HttpReply | None]], str]
MakeFolder = Callable[[Mapping[str, str]], Path]
WriteRouter = Callable[..., Path]


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Keep the tests that use the chat model in one process, and those that train in one; begin with the longest."""
    order = ["model", "training"]
    for item in items:
        for name in order:
            if item.get_closest_marker(name):
                item.add_marker(pytest.mark.xdist_group(name))
    items.sort(key=lambda item: [item.get_closest_marker(name) is None for name in order])


class _QuietServer(ThreadingHTTPServer):
    def handle_error(self, request: object, client_address: object) -> None:
        """Say nothing of clients that hung up: some tests are about them."""


@pytest.fixture(scope="session")
def embedder() -> SentenceTransformerEmbedder:
    """The real embedder, loaded once."""
    return SentenceTransformerEmbedder()


@pytest.fixture
def waits(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """The pauses between repetitions, which are not made."""
    pauses: list[float] = []
    monkeypatch.setattr(time, "sleep", pauses.append)
    return pauses


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


@pytest.fixture(scope="session")
def router_cache(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Where the graphs of routers are kept: deriving one takes seconds, and equal weights share it.

    So do the processes of one run: a graph appears there whole or not at all.
    """
    base = tmp_path_factory.getbasetemp()
    return (base.parent if os.environ.get("PYTEST_XDIST_WORKER") else base) / "router-cache"


@pytest.fixture(scope="session")
def write_router() -> WriteRouter:
    """Write a router that was not trained: it chooses one structure whatever is asked, about 75 % sure.

    Further arguments take the place of its `PolicySettings`.
    """

    def write(folder: Path, structure: StructureType, **settings: Any) -> Path:
        weights = save(_untrained(structure))
        given: dict[str, Any] = {
            "version": folder.name,
            "base_model": "embedded",
            "encoder": EncoderShape(layers=6, heads=12, hidden=384, epsilon=1e-12),
            "lora_scale": 2.0,
            "temperature": 1.0,
            "unsure_below": 0.4,
            "adapter_sha256": hashlib.sha256(weights).hexdigest(),
            "data_sha256": "0" * 64,
            "metrics": {"accuracy": 0.875, "calibration_error": 0.0625},
            "training": {"pairs": 12},
        }
        write_artefact(folder, weights, PolicySettings(**given | settings), f"# {folder.name}\n")
        return folder

    return write


@pytest.fixture
def score_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let a router score equal requests once: where a test needs hundreds of questions, they may be all alike."""
    from structrag.router.encoder_scorer import EncoderScorer

    score = EncoderScorer.__call__
    known: dict[tuple[EncoderScorer, RoutingRequest], NDArray[np.float32]] = {}

    def once(scorer: EncoderScorer, request: RoutingRequest) -> NDArray[np.float32]:
        if (scorer, request) not in known:
            known[scorer, request] = score(scorer, request)
        return known[scorer, request]

    monkeypatch.setattr(EncoderScorer, "__call__", once)


def _untrained(structure: StructureType) -> dict[str, NDArray[Any]]:
    """A head whose bias decides and whose weights tell questions apart, and LoRA layers that change nothing."""
    random = np.random.default_rng(0)
    layers = {f"attention.self.{name}": (384, 384) for name in ("query", "key", "value")}
    layers |= {"attention.output.dense": (384, 384), "intermediate.dense": (384, 1536), "output.dense": (1536, 384)}
    weights: dict[str, NDArray[Any]] = {
        "head.weight": random.normal(scale=0.05, size=(5, 384)).astype(np.float32),
        "head.bias": np.array([2.5 * (each is structure) for each in StructureType], dtype=np.float32),
    }
    for number in range(6):
        for name, (inputs, outputs) in layers.items():
            layer = f"encoder.layer.{number}.{name}"
            weights[f"{layer}.lora_A"] = random.normal(scale=0.02, size=(2, inputs)).astype(np.float16)
            weights[f"{layer}.lora_B"] = np.zeros((outputs, 2), dtype=np.float16)
    return weights


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
